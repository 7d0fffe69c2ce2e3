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
use snowguard_formats::dsse::{self, Envelope, INTOTO};
use snowguard_formats::intoto::Statement;
use snowguard_formats::{Layout, Limits};
use snowguard_http::{Address, Client, HttpError, Post, Settings};
use snowguard_report::result::PREDICATE_TYPE;
use snowguard_store::{Hash, HashAlgo, Notation, SecretKey};
use snowguard_watch::settings::DEFAULT_RESULTS;

use crate::cli::Push;
use crate::environment::{directory, say};
use crate::failure::Failure;
use crate::spool::{self, Spool};

pub(crate) fn run(args: &Push) -> Result<(), Failure> {
    let address = address(args)?;
    let key = secret_key(&args.key_file)?;
    let mut signed = Vec::new();
    for path in results(args.result.as_deref())? {
        signed.push(sign(&key, &statement(&path)?)?);
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
        authorization(args)?.as_deref(),
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
                return Err(match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                });
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

/// The statement in an envelope, and by what the receiver knows it again: the SHA-256 of what is signed.
fn sign(key: &SecretKey, statement: &Statement) -> Result<(String, Vec<u8>), Failure> {
    let payload = statement.to_json(Layout::Compact).map_err(Failure::new)?;
    let payload = payload.strip_suffix(b"\n").unwrap_or(&payload).to_vec();
    let pae = dsse::pae(INTOTO, &payload);
    let id = Hash::of(HashAlgo::Sha256, &pae)
        .map(|hash| hash.to_notation(Notation::Hex))
        .unwrap_or_default();
    let envelope = Envelope {
        payload_type: INTOTO.to_owned(),
        payload,
        signatures: vec![dsse::Signature {
            key_id: Some(key.name().to_owned()),
            bytes: key.sign(&pae).bytes().to_vec(),
        }],
    };
    let json = envelope.to_json(Layout::Compact).map_err(Failure::new)?;
    Ok((id, json))
}

/// How much of an answer is read.
const ANSWER: u64 = 64 << 10;

const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    depth: 32,
    objects: 1_000_000,
    values: 4_000_000,
};

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
    let statement = Statement::read(&bytes, &LIMITS)
        .map_err(|error| Failure::new(error).context(format!("cannot send {path}")))?;
    if statement.predicate_type != PREDICATE_TYPE {
        return Err(Failure::message(format!(
            "cannot send {path}: it is a statement of type {}, not the result of a scan",
            statement.predicate_type
        )));
    }
    Ok(statement)
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
    if !address.is_secure() && !args.allow_plain_http && !is_here(&address.host()) {
        return Err(Failure::message(
            "--to is not https: whoever is on the way could read what this machine has",
        )
        .hint("`--allow-plain-http` allows it"));
    }
    Ok(address)
}

fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || host == "[::1]"
}

/// A name of systemd's credentials, or a path.
fn named(path: &Utf8Path) -> Utf8PathBuf {
    match path.as_str().strip_prefix("credential:") {
        Some(name) => directory("CREDENTIALS_DIRECTORY")
            .unwrap_or_default()
            .join(name),
        None => path.to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "this role holds the key")]
fn secret_key(path: &Utf8Path) -> Result<SecretKey, Failure> {
    let file = named(path);
    let cannot = |source: std::io::Error| {
        Failure::new(source).context(format!("cannot read the key {path}"))
    };
    let metadata = std::fs::metadata(&file).map_err(cannot)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    if mode & 0o077 != 0 && !path.as_str().starts_with("credential:") {
        return Err(Failure::message(format!(
            "the secret key {path} can be read by others than its owner"
        ))
        .hint(format!(
            "`chmod 600 {path}`, and a new key if others could read it"
        )));
    }
    let text = std::fs::read_to_string(&file).map_err(cannot)?;
    text.parse()
        .map_err(|error: snowguard_store::secret_key::SecretKeyError| {
            Failure::new(error)
                .context(format!("cannot use the key {path}"))
                .hint("`nix key generate-secret --key-name NAME` makes one")
        })
}

#[expect(clippy::disallowed_methods, reason = "the face reads what is named")]
fn authorization(args: &Push) -> Result<Option<String>, Failure> {
    args.authorization_file
        .as_deref()
        .map(|path| {
            let text = std::fs::read_to_string(named(path))
                .map_err(|source| Failure::new(source).context(format!("cannot read {path}")))?;
            Ok(text.trim().to_owned())
        })
        .transpose()
}
