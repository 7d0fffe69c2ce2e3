//! `snowguard result`: signs, verifies and shows results of scans.
//!
//! Only `sign` holds a secret key. What it signs is a statement that `scan --format result` wrote
//! before: the process that parses what strangers wrote never sees the key.

use std::io::Read as _;

use camino::Utf8Path;
use snowguard_formats::Layout;
use snowguard_formats::dsse::{Envelope, INTOTO};
use snowguard_formats::intoto::Statement;
use snowguard_report::result::{LIMITS, read, sign as signed};
use snowguard_report::text;
use snowguard_secrets::{SecretError, SecretFile};
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
    let key = SecretFile::at(&args.key_file).key()?;
    let (name, bytes) = input(&args.input)?;
    let statement = read(&bytes).map_err(|error| {
        Failure::new(error)
            .context(format!("cannot sign {name}"))
            .hint("`snowguard scan --format result` writes what is signed here")
    })?;
    let signed = signed(&key, &statement).map_err(Failure::new)?;
    let json = signed
        .envelope
        .to_json(Layout::Pretty)
        .map_err(Failure::new)?;
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
    let statement = read(&envelope.payload).map_err(|error| Failure::new(error).context(name))?;
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
            read(&envelope.payload)
        }
        Err(_) => read(&bytes),
    };
    let statement = statement.map_err(|error| Failure::new(error).context(name))?;
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

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
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
pub(crate) fn input(path: &Utf8Path) -> Result<(String, Vec<u8>), Failure> {
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
