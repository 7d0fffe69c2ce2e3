//! `snowguard advisories publish` and `key`: an index for a fleet, and the key that signs it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use camino::Utf8Path;
use jiff::SignedDuration;
use snowguard_feeds::repository::{Publish as Publishing, PublishError, publish};
use snowguard_feeds::triage::unpacked;
use snowguard_feeds::update::error_text;
use snowguard_http::{Address, Client, Get};
use snowguard_matching::triage::MAX_BYTES;
use snowguard_report::escape::line;
use snowguard_report::text::number;
use snowguard_secrets::{SecretFile, create_key};
use snowguard_store::SecretKey;

use crate::Findings;
use crate::advisories::{Feeds, network};
use crate::cli::{Global, Key, Publish};
use crate::config::Config;
use crate::error::Failure;
use crate::index::{self, parse_age};
use crate::output::Terminal;

pub(crate) fn run(
    global: &Global,
    args: &Publish,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let index = global
        .index
        .clone()
        .or(config.index)
        .or_else(index::default_path)
        .ok_or_else(|| {
            Failure::message("there is no home directory with an index in it")
                .hint("`--index FILE` says which index to publish")
        })?;
    let key = secret(&args.key)?;
    let next_key = args.next_key.as_deref().map(secret).transpose()?;
    let triage = args
        .triage
        .as_deref()
        .map(|place| triage(&config.feeds, place))
        .transpose()?;
    let published = publish(&Publishing {
        index: &index,
        triage: triage.as_deref(),
        to: &args.to,
        key: &key,
        next_key: next_key.as_ref(),
        now: crate::scan::now().0,
        expires: duration(&args.expires)?,
        root_expires: duration(&args.root_expires)?,
        keep: usize::from(args.keep),
    })?;
    if !global.quiet {
        let mut text = String::new();
        let size =
            |bytes: u64| crate::advisories::size(usize::try_from(bytes).unwrap_or(usize::MAX));
        let _ = writeln!(text, "{}", line(args.to.as_str()));
        let _ = writeln!(
            text,
            "version {}, root {}, until {}",
            published.version, published.root, published.expires
        );
        let _ = write!(text, "base {}", size(published.base));
        if let Some(delta) = published.delta {
            let _ = write!(text, ", delta {}", size(delta));
        }
        for patch in &published.patches {
            let _ = write!(text, ", patch {}", size(*patch));
        }
        text.push('\n');
        if let (Some(bytes), Some(decisions)) = (published.triage, published.decisions) {
            let decisions = number(decisions);
            let _ = writeln!(text, "decisions of a tracker: {decisions}, {}", size(bytes));
        }
        terminal.data(text.as_bytes(), None)?;
    }
    Ok(Findings::None)
}

/// A key, from a file or from what systemd hands over.
#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
fn secret(path: &Utf8Path) -> Result<SecretKey, Failure> {
    let credentials = std::env::var("CREDENTIALS_DIRECTORY").ok();
    let credentials = credentials.as_deref().map(Utf8Path::new);
    Ok(SecretFile::named(path.as_str(), credentials)?.key()?)
}

/// What a tracker decided, from a file or an address, packed or not.
#[expect(clippy::disallowed_methods, reason = "the face reads what it is given")]
fn triage(feeds: &Feeds, place: &str) -> Result<Vec<u8>, Failure> {
    let is_address = ["https://", "http://", "file://"]
        .iter()
        .any(|scheme| place.starts_with(scheme));
    let bytes = if is_address {
        let address: Address = place.parse().map_err(Failure::new)?;
        let client = Client::new(feeds.settings(), Arc::new(AtomicBool::new(false)))
            .map_err(|error| network(&error, error_text(&error)))?;
        let got = client.get(&Get {
            address: &address,
            limit: MAX_BYTES as u64,
            conditions: None,
            headers: &[],
        });
        let page = got.map_err(|error| network(&error, error_text(&error)))?;
        page.map(|page| page.body).unwrap_or_default()
    } else {
        let path = Utf8Path::new(place);
        std::fs::read(path).map_err(|source| {
            Failure::cannot_read(path, source)
                .hint("--triage takes a file, or an address: https://…/triage.json.zst")
        })?
    };
    unpacked(bytes).map_err(|source| {
        Failure::new(anyhow::Error::new(source).context(format!("cannot unpack {}", line(place))))
    })
}

pub(crate) fn key(args: &Key, terminal: &Terminal) -> Result<Findings, Failure> {
    let key = create_key(&args.file, &args.name)?;
    let text = format!("{}\n", key.public());
    terminal.data(text.as_bytes(), None)?;
    Ok(Findings::None)
}

/// The time of an age like `7d`, which must be one.
fn duration(text: &str) -> Result<SignedDuration, Failure> {
    let seconds = parse_age(text)? * 86_400.0;
    SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration > SignedDuration::ZERO)
        .ok_or_else(|| {
            Failure::message(format!("`{text}` is no time to be in force"))
                .hint("write a number and a unit: 12h, 7d, 2w")
        })
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Index(error) => error.into(),
            error => {
                let hint = error.hint();
                Self::new(error).maybe_hint(hint)
            }
        }
    }
}
