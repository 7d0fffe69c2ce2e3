//! `snowguard attest key`.

use std::fmt::Write as _;
use std::fs::File;

use camino::Utf8Path;
use serde_json::json;
use snowguard_attest::keyring::{Entry, Revocation};
use snowguard_attest::{KeyId, Keyring, RevocationReason, Time};
use snowguard_report::escape::line;
use snowguard_secrets::KeyDirectory;
use snowguard_store::PublicKey;

use super::{directory, keyring, now, time};
use crate::Findings;
use crate::cli::PlainFormat;
use crate::cli::attest::{Accept, Add, Key, New, Revoke, Rotate, ShowKey, Why};
use crate::error::Failure;
use crate::output::Terminal;

pub(super) fn run(command: &Key, terminal: &Terminal) -> Result<Findings, Failure> {
    match command {
        Key::New(args) => new(args, terminal),
        Key::Add(args) => add(args, terminal),
        Key::Show(args) => show(args, terminal),
        Key::Rotate(args) => rotate(args, terminal),
        Key::Revoke(args) => revoke(args, terminal),
        Key::Accept(args) => accept(args, terminal),
    }?;
    Ok(Findings::None)
}

/// The right to be the only one who changes a keyring, until it is dropped: of two that read and write it at once, one
/// would lose what it changed. Its file stays; a lock on the keyring itself would end when that is replaced.
fn alone_at(keyring: &Utf8Path) -> Result<File, Failure> {
    let name = format!(".{}.lock", keyring.file_name().unwrap_or("keyring"));
    let path = keyring.with_file_name(name);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .and_then(|lock| lock.lock().map(|()| lock));
    lock.map_err(|error| Failure::cannot_write(&path, error))
}

fn new(args: &New, terminal: &Terminal) -> Result<(), Failure> {
    let _alone = args.keyring.as_deref().map(alone_at).transpose()?;
    let mut ring = match &args.keyring {
        Some(path) if path.exists() => keyring(path)?,
        _ => Keyring::default(),
    };
    let keys = KeyDirectory::create(&directory(&args.keys)?)?;
    let key = keys.create_key(&args.name)?;
    if let Some(path) = &args.keyring {
        let added = match ring.add(key.public().clone(), now()) {
            Ok(_) => write(&ring, path, terminal),
            Err(error) => Err(error.into()),
        };
        unless_kept(added, &keys, &args.name)?;
    }
    terminal.data(format!("{}\n", key.public()).as_bytes(), None)
}

fn add(args: &Add, terminal: &Terminal) -> Result<(), Failure> {
    let _alone = alone_at(&args.keyring)?;
    let mut ring = match &args.keyring {
        path if path.exists() => keyring(path)?,
        _ => Keyring::default(),
    };
    let key: PublicKey = args.key.trim().parse().map_err(Failure::new)?;
    let now = now();
    let told = told(ring.add(key, now)?, now);
    write(&ring, &args.keyring, terminal)?;
    terminal.data(told.as_bytes(), None)
}

fn rotate(args: &Rotate, terminal: &Terminal) -> Result<(), Failure> {
    let _alone = alone_at(&args.keyring)?;
    let mut ring = keyring(&args.keyring)?;
    let keys = KeyDirectory::open(&directory(&args.keys)?)?;
    let old = keys.key(&args.old)?;
    let now = now();
    let until = args.until.as_deref().map(time).transpose()?.unwrap_or(now);
    let new = keys.create_key(&args.new)?;
    let rotated = match ring.rotate(&old, new.public().clone(), now, until) {
        Ok(_) => write(&ring, &args.keyring, terminal),
        Err(error) => Err(error.into()),
    };
    unless_kept(rotated, &keys, &args.new)?;
    terminal.data(format!("{}\n", new.public()).as_bytes(), None)
}

/// Takes away a new key that no keyring knows of: it would only be in the way of the next try.
fn unless_kept(kept: Result<(), Failure>, keys: &KeyDirectory, name: &str) -> Result<(), Failure> {
    if kept.is_err() {
        keys.discard(name)?;
    }
    kept
}

fn revoke(args: &Revoke, terminal: &Terminal) -> Result<(), Failure> {
    let _alone = alone_at(&args.keyring)?;
    let mut ring = keyring(&args.keyring)?;
    let now = now();
    let revocation = Revocation {
        at: args.at.as_deref().map(time).transpose()?.unwrap_or(now),
        reason: match args.reason {
            Why::Compromised => RevocationReason::Compromised,
            Why::Retired => RevocationReason::Retired,
            Why::Superseded => RevocationReason::Superseded,
        },
        recorded_at: now,
        note: args.note.clone(),
    };
    ring.revoke(&args.name, revocation)?;
    write(&ring, &args.keyring, terminal)?;
    if let Some(entry) = ring.named(&args.name) {
        terminal.data(told(entry, now).as_bytes(), None)?;
    }
    Ok(())
}

fn accept(args: &Accept, terminal: &Terminal) -> Result<(), Failure> {
    let _alone = alone_at(&args.keyring)?;
    let here = keyring(&args.keyring)?;
    let later = keyring(&args.input)?;
    later.follows(&here, now()).map_err(|error| {
        Failure::from(error).context(format!(
            "{} does not follow from {}",
            line(args.input.as_str()),
            line(args.keyring.as_str())
        ))
    })?;
    write(&later, &args.keyring, terminal)
}

fn show(args: &ShowKey, terminal: &Terminal) -> Result<(), Failure> {
    let Some(path) = &args.keyring else {
        let name = args.name.as_deref().unwrap_or_default();
        let key = KeyDirectory::open(&directory(&args.keys)?)?.key(name)?;
        let text = match args.format {
            PlainFormat::Text => format!("{}\n", key.public()).into_bytes(),
            PlainFormat::Json => crate::scan::json(&json!({
                "id": KeyId::of(key.public()).to_string(),
                "key": key.public(),
            }))?,
        };
        return terminal.data(&text, None);
    };
    let ring = keyring(path)?;
    let entries: Vec<&Entry> = match &args.name {
        Some(name) => vec![ring.named(name).ok_or_else(|| {
            Failure::message(format!("{path} has no key {name}"))
                .hint("without a name all of its keys are shown")
        })?],
        None => ring.entries().iter().collect(),
    };
    let now = now();
    let text = match args.format {
        PlainFormat::Text => {
            let told: Vec<String> = entries.iter().map(|entry| told(entry, now)).collect();
            told.join("\n").into_bytes()
        }
        PlainFormat::Json => {
            let keys: Vec<_> = entries.iter().map(|entry| shown(entry, now)).collect();
            crate::scan::json(&json!({"schema": "snowguard-attest-keys/1", "keys": keys}))?
        }
    };
    terminal.data(&text, None)
}

/// One key, for people.
fn told(entry: &Entry, now: Time) -> String {
    let mut text = format!("{}  {}\n", line(entry.key().name()), state(entry, now));
    let _ = writeln!(text, "  id     {}", entry.id());
    let _ = writeln!(text, "  key    {}", line(&entry.key().to_string()));
    let _ = writeln!(text, "  from   {}", entry.valid_from());
    if let Some(until) = entry.valid_until() {
        let _ = writeln!(text, "  until  {until}");
    }
    if let Some(predecessor) = entry.predecessor() {
        let _ = writeln!(text, "  after  {predecessor}");
    }
    if let Some(at) = entry.added_anew() {
        let _ = writeln!(text, "  added anew at {at}");
    }
    if let Some(doubt) = entry.doubt() {
        let (key, at) = (line(&doubt.key), doubt.at);
        let _ = writeln!(
            text,
            "  others may have handed on to it: {key} may have been in their hands from {at}"
        );
    }
    for revocation in entry.revocations() {
        let _ = write!(
            text,
            "  {} from {}",
            revocation.reason.as_str(),
            revocation.at
        );
        let note = revocation.note.as_deref().unwrap_or_default();
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        let _ = writeln!(text, "{}", line(&note));
    }
    text
}

fn shown(entry: &Entry, now: Time) -> serde_json::Value {
    json!({
        "id": entry.id(),
        "key": entry.key(),
        "state": state(entry, now),
        "valid_from": entry.valid_from(),
        "valid_until": entry.valid_until(),
        "predecessor": entry.predecessor(),
        "added_anew": entry.added_anew(),
        "revocations": entry.revocations(),
    })
}

fn state(entry: &Entry, now: Time) -> &'static str {
    match entry.end() {
        _ if entry.in_others_hands().is_some_and(|at| at <= now) => "compromised",
        _ if entry.doubt().is_some() => "in doubt",
        Some(end) if end <= now => "ended",
        _ if entry.valid_from() > now => "not yet in force",
        _ => "in force",
    }
}

fn write(keyring: &Keyring, path: &Utf8Path, terminal: &Terminal) -> Result<(), Failure> {
    terminal.data(&keyring.to_json()?, Some(path))
}
