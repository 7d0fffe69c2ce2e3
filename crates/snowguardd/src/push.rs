//! `snowguardd push`: signs the result of a scan, and sends it.
//!
//! It holds the key, so it does nothing else: it reads statements that a scan wrote, with limits, and
//! neither scans nor watches. What is signed is put into a spool before
//! anything is sent, and leaves it when the receiver has taken it; a process that is killed in between
//! sends it again under the same key, by which the receiver tells that it has it.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_formats::Layout;
use snowguard_formats::intoto::Statement;
use snowguard_http::{Address, Client, HttpError, Post, Settings};
use snowguard_report::result::{LIMITS, read, sign};
use snowguard_secrets::SecretFile;
use snowguard_watch::settings::DEFAULT_RESULTS;

use crate::cli::Push;
use crate::environment::{directory, say};
use crate::failure::Failure;
use crate::spool::{self, Spool};

pub(crate) fn run(args: &Push) -> Result<(), Failure> {
    let address = address(args)?;
    let key = secret(&args.key_file)?.key()?;
    let authorization = match &args.authorization_file {
        Some(path) => Some(secret(path)?.line()?),
        None => None,
    };
    let mut signed = Vec::new();
    for path in results(args.result.as_deref())? {
        let result = sign(&key, &statement(&path)?).map_err(Failure::new)?;
        let envelope = result.envelope.to_json(Layout::Compact);
        signed.push((result.id, envelope.map_err(Failure::new)?));
    }
    if args.dry_run {
        for (id, envelope) in &signed {
            say(&format!(
                "would send {} bytes, signed by {}, to {address} under the key {id}",
                envelope.len(),
                key.name()
            ));
        }
        return Ok(());
    }
    let mut spool = Spool::open(&args.state)?;
    let mut dropped = 0;
    let mut refused = 0;
    // Who names a file wants it sent, also if it was refused; from a directory, each is sent once.
    let is_named = args.result.as_deref().is_some_and(|path| !path.is_dir());
    for (id, envelope) in &signed {
        if spool.was_sent(id)? {
            if is_named {
                say("this result was sent before");
            }
        } else if !is_named && spool.was_refused(id)? {
            refused += 1;
        } else {
            dropped += spool.put(id, envelope)?;
        }
    }
    if dropped > 0 {
        say(&format!(
            "left out {dropped} older results that could not be sent: there is no room for more"
        ));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(Failure::new)?;
    let mut settings = Settings::from_environment();
    settings.ca_files.extend(args.ca_file.clone());
    let client = Client::new(settings, stop).map_err(Failure::new)?;
    send(
        &mut spool,
        &client,
        &address,
        authorization.as_ref().map(|line| line.as_str()),
    )?;
    if refused > 0 {
        return Err(Failure::message(format!(
            "{address} refused {refused} of the latest results before"
        ))
        .hint("the next scan makes new ones; `snowguardd push FILE` sends one of these again"));
    }
    Ok(())
}

/// What is to be sent: a file, or those in a directory, sorted by name.
fn results(named: Option<&Utf8Path>) -> Result<Vec<Utf8PathBuf>, Failure> {
    let path = named.unwrap_or(Utf8Path::new(DEFAULT_RESULTS));
    let cannot =
        |source: std::io::Error| Failure::new(source).context(format!("cannot read {path}"));
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in path.read_dir_utf8().map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            // What begins with a dot is being written.
            if entry.path().extension() == Some("json") && !entry.file_name().starts_with('.') {
                found.push(entry.into_path());
            }
        }
        found.sort();
    } else if named.is_some() {
        return Ok(vec![path.to_owned()]);
    }
    if found.is_empty() {
        // What is in the spool is sent all the same.
        say(&format!(
            "there is no result in {path}: `snowguardd watch` puts one there after each scan"
        ));
    }
    if found.len() > spool::MAX_FILES {
        return Err(Failure::message(format!(
            "{path} has {} results; no more than {} are sent at once",
            found.len(),
            spool::MAX_FILES
        )));
    }
    Ok(found)
}

/// Sends what is in the spool, the oldest first.
fn send(
    spool: &mut Spool,
    client: &Client,
    address: &Address,
    authorization: Option<&str>,
) -> Result<(), Failure> {
    let waiting = spool.waiting()?;
    let mut refused = 0;
    for (at, entry) in waiting.iter().enumerate() {
        let body = spool.read(entry)?;
        let headers: Vec<(&str, &str)> = authorization
            .iter()
            .map(|value| ("Authorization", *value))
            .collect();
        let post = Post {
            address,
            body: &body,
            content_type: "application/vnd.dsse.envelope.v1+json",
            headers: &headers,
            idempotency_key: Some(&entry.id),
            limit: ANSWER,
        };
        match client.post(&post) {
            Ok(_) => spool.sent(entry)?,
            // Of this one the receiver will never think otherwise.
            Err(HttpError::Status { status, .. })
                if matches!(status.as_u16(), 400 | 413 | 415 | 422) =>
            {
                say(&format!(
                    "{address} refused the result {} with {status}; it is set aside",
                    entry.id
                ));
                spool.set_aside(entry)?;
                refused += 1;
            }
            Err(error) => {
                let hint = error.hint();
                let failure = Failure::new(error).context(format!(
                    "{} of {} results are not sent, and kept for the next time",
                    waiting.len() - at,
                    waiting.len()
                ));
                return Err(failure.maybe_hint(hint));
            }
        }
    }
    if refused > 0 {
        return Err(
            Failure::message(format!("the receiver refused {refused} results"))
                .hint("check that it knows this key and this version of the format"),
        );
    }
    say(&format!("sent {}", waiting.len()));
    Ok(())
}

/// How much of an answer is read.
const ANSWER: u64 = 64 << 10;

#[expect(clippy::disallowed_methods, reason = "the face reads what is named")]
fn statement(path: &Utf8Path) -> Result<Statement, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LIMITS.bytes as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| {
            Failure::new(source)
                .context(format!("cannot read {path}"))
                .hint("`snowguard scan --format result --output FILE` writes one")
        })?;
    read(&bytes).map_err(|error| Failure::new(error).context(format!("cannot send {path}")))
}

fn address(args: &Push) -> Result<Address, Failure> {
    let address: Address = args.to.parse().map_err(|error| {
        Failure::new(anyhow::Error::new::<snowguard_http::AddressError>(error))
            .context("--to cannot be used")
    })?;
    if address.path().is_some() {
        return Err(Failure::message(
            "--to names a file; results are sent to a server",
        ));
    }
    if !address.is_secure() && !args.allow_plain_http && !address.is_this_machine() {
        return Err(Failure::message(
            "--to is not https: whoever is on the way could read what this machine has",
        )
        .hint("`--allow-plain-http` allows it"));
    }
    Ok(address)
}

/// A path, or `credential:NAME`.
fn secret(name: &Utf8Path) -> Result<SecretFile, Failure> {
    let credentials = directory("CREDENTIALS_DIRECTORY");
    Ok(SecretFile::named(name.as_str(), credentials.as_deref())?)
}
