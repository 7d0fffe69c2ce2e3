//! `snowguard result`: signs, verifies and shows results of scans.
//!
//! Only `sign` holds a secret key. What it signs is a statement that `scan --format result` wrote
//! before: the process that parses what strangers wrote never sees the key.

use std::io::Read as _;

use camino::Utf8Path;
use snowguard_formats::dsse::{Envelope, INTOTO};
use snowguard_formats::intoto::Statement;
use snowguard_formats::{Layout, Limits, dsse};
use snowguard_report::{result, text};
use snowguard_store::{PublicKey, SecretKey, Signature};

use crate::Findings;
use crate::cli::{ResultCommand, ResultShow, ResultSign, ResultVerify};
use crate::error::Failure;
use crate::output::Terminal;

pub(crate) fn run(command: &ResultCommand, terminal: &Terminal) -> Result<Findings, Failure> {
    match command {
        ResultCommand::Sign(args) => sign(args, terminal),
        ResultCommand::Verify(args) => verify(args, terminal),
        ResultCommand::Show(args) => show(args, terminal),
    }
}

fn sign(args: &ResultSign, terminal: &Terminal) -> Result<Findings, Failure> {
    let key = secret_key(&args.key_file)?;
    let (name, bytes) = input(&args.input)?;
    let statement = statement(&bytes).map_err(|failure| {
        failure
            .context(format!("cannot sign {name}"))
            .hint("`snowguard scan --format result` writes what is signed here")
    })?;
    let payload = statement.to_json(Layout::Compact).map_err(Failure::new)?;
    let payload = payload.strip_suffix(b"\n").unwrap_or(&payload).to_vec();
    let signature = key.sign(&dsse::pae(INTOTO, &payload));
    let envelope = Envelope {
        payload_type: INTOTO.to_owned(),
        payload,
        signatures: vec![dsse::Signature {
            key_id: Some(key.name().to_owned()),
            bytes: signature.bytes().to_vec(),
        }],
    };
    let json = envelope.to_json(Layout::Pretty).map_err(Failure::new)?;
    terminal.data(&json, args.output.as_deref())?;
    Ok(Findings::None)
}

fn verify(args: &ResultVerify, terminal: &Terminal) -> Result<Findings, Failure> {
    let keys = args
        .key
        .iter()
        .map(|key| public_key(key))
        .collect::<Result<Vec<_>, _>>()?;
    let (name, bytes) = input(&args.input)?;
    let envelope = envelope(&name, &bytes)?;
    let key = signer(&envelope, &keys).map_err(|failure| failure.context(name.clone()))?;
    let statement = statement(&envelope.payload).map_err(|failure| failure.context(name))?;
    terminal.note(&format!("signed by {}", key.name()));
    print(&statement, args.format, terminal)?;
    Ok(Findings::None)
}

fn show(args: &ResultShow, terminal: &Terminal) -> Result<Findings, Failure> {
    let (name, bytes) = input(&args.input)?;
    let statement = match Envelope::read(&bytes, &LIMITS) {
        Ok(envelope) => {
            terminal.warning("the signature was not checked");
            terminal.hint("`snowguard result verify --key KEY` checks it");
            statement(&envelope.payload)
        }
        Err(_) => statement(&bytes),
    };
    let statement = statement.map_err(|failure| failure.context(name))?;
    print(&statement, args.format, terminal)?;
    Ok(Findings::None)
}

/// The first key whose signature holds.
fn signer<'k>(envelope: &Envelope, keys: &'k [PublicKey]) -> Result<&'k PublicKey, Failure> {
    if envelope.payload_type != INTOTO {
        return Err(Failure::message(format!(
            "its payload is {}, not an in-toto statement",
            envelope.payload_type
        )));
    }
    let pae = envelope.pae();
    let found = keys.iter().find(|key| {
        // What the envelope calls the key is a hint that nobody signed.
        envelope.signatures.iter().any(|signature| {
            Signature::new(key.name(), &signature.bytes)
                .is_some_and(|signature| key.verifies(&pae, &signature))
        })
    });
    if let Some(key) = found {
        return Ok(key);
    }
    if envelope.signatures.is_empty() {
        return Err(Failure::message("it has no signature"));
    }
    let names: Vec<&str> = envelope
        .signatures
        .iter()
        .filter_map(|signature| signature.key_id.as_deref())
        .collect();
    let same = keys.iter().any(|key| names.contains(&key.name()));
    Err(if same {
        Failure::message("its signature does not fit its content and this key")
            .hint("it was changed after it was signed, or another key of the same name signed it")
    } else if names.is_empty() {
        Failure::message("none of these keys signed it, and it names none")
    } else {
        Failure::message(format!(
            "none of these keys signed it: it names {}",
            names.join(", ")
        ))
        .hint("pass the public half of that key with --key, if you trust it")
    })
}

fn envelope(name: &str, bytes: &[u8]) -> Result<Envelope, Failure> {
    Envelope::read(bytes, &LIMITS).map_err(|error| {
        let failure = Failure::new(error).context(name.to_owned());
        match Statement::read(bytes, &LIMITS) {
            Ok(_) => failure.hint("it is a statement that nobody signed: `snowguard result sign`"),
            Err(_) => failure,
        }
    })
}

fn statement(bytes: &[u8]) -> Result<Statement, Failure> {
    let statement = Statement::read(bytes, &LIMITS).map_err(Failure::new)?;
    if statement.predicate_type == result::PREDICATE_TYPE {
        Ok(statement)
    } else {
        Err(Failure::message(format!(
            "it is a statement of type {}, not the result of a scan",
            statement.predicate_type
        )))
    }
}

fn print(
    statement: &Statement,
    format: crate::cli::PlainFormat,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let bytes = match format {
        crate::cli::PlainFormat::Json => statement.to_json(Layout::Pretty).map_err(Failure::new)?,
        crate::cli::PlainFormat::Text => text::result(statement).into_bytes(),
    };
    terminal.data(&bytes, None)
}

/// A result is much smaller than the report that it came from.
const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    depth: 32,
    objects: 1_000_000,
    values: 4_000_000,
};

/// A secret key from a file that only its owner can read.
#[expect(clippy::disallowed_methods, reason = "the face reads what is named")]
fn secret_key(path: &Utf8Path) -> Result<SecretKey, Failure> {
    let cannot_read = |source| Failure::cannot_read(path, source);
    let metadata = std::fs::metadata(path).map_err(cannot_read)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(Failure::message(format!(
            "the secret key {path} can be read by others than its owner"
        ))
        .hint(format!(
            "`chmod 600 {path}`, and a new key if others could read it"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(cannot_read)?;
    text.parse().map_err(|error| {
        Failure::new(anyhow::Error::new(error).context(format!("cannot use the key {path}")))
            .hint("`nix key generate-secret --key-name NAME` makes one")
    })
}

/// A public key as it stands, or a file with one.
#[expect(clippy::disallowed_methods, reason = "the face reads what is named")]
fn public_key(text: &str) -> Result<PublicKey, Failure> {
    let text = if text.contains(':') {
        text.to_owned()
    } else {
        let path = Utf8Path::new(text);
        std::fs::read_to_string(path).map_err(|source| {
            Failure::cannot_read(path, source).hint("--key takes NAME:BASE64, or a file with it")
        })?
    };
    let text = text.trim();
    text.parse()
        .map_err(|error: snowguard_store::signature::SignatureError| {
            // The argument may be a secret key by mistake: it is not repeated.
            let hint = match error {
                _ if text.parse::<SecretKey>().is_ok() => {
                    "it is a secret key: `nix key convert-secret-to-public` gives the public half"
                }
                _ => "--key takes NAME:BASE64 with the 32 bytes of an Ed25519 public key",
            };
            Failure::message("--key is no public key").hint(hint)
        })
}

/// The bytes of a file, or of stdin, and what to call them.
#[expect(clippy::disallowed_methods, reason = "the face reads what is named")]
fn input(path: &Utf8Path) -> Result<(String, Vec<u8>), Failure> {
    let limit = LIMITS.bytes as u64 + 1;
    let mut bytes = Vec::new();
    let (name, read) = if path == "-" {
        let read = std::io::stdin().take(limit).read_to_end(&mut bytes);
        ("standard input".to_owned(), read)
    } else {
        let read =
            std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        (path.to_string(), read)
    };
    read.map_err(|source| Failure::cannot_read(Utf8Path::new(&name), source))?;
    Ok((name, bytes))
}
