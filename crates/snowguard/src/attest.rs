//! `snowguard attest`: signed statements about store objects, and their keys.
//!
//! Only `sign` and `key new`, `rotate` and `show NAME` read a secret key. What `verify` and `show` read is a
//! stranger's.

mod key;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use snowguard_attest::fod::Outcome;
use snowguard_attest::statement::LIMITS;
use snowguard_attest::{
    Claim, Content, FodVerification, Keyring, KeyringError, Statement, StatementError, Time, Times,
    Verdict, Verification, read_unverified, verify as verified,
};
use snowguard_formats::Layout;
use snowguard_formats::dsse::Envelope;
use snowguard_report::escape::line;
use snowguard_secrets::KeyDirectory;

use crate::Findings;
use crate::cli::PlainFormat;
use crate::cli::attest::{Attest, Keys, Show, Sign, Verify};
use crate::error::Failure;
use crate::index::data_directory;
use crate::output::Terminal;
use crate::result::input;

/// How many members that are not signed are named.
const LEFT_OUT: usize = 10;

pub(crate) fn run(command: &Attest, terminal: &Terminal) -> Result<Findings, Failure> {
    match command {
        Attest::Sign(args) => sign(args, terminal),
        Attest::Verify(args) => verify(args, terminal),
        Attest::Show(args) => show(args, terminal),
        Attest::Key(command) => key::run(command, terminal),
    }
}

fn sign(args: &Sign, terminal: &Terminal) -> Result<Findings, Failure> {
    let keys = directory(&args.keys)?;
    let keys = KeyDirectory::open(&keys)?;
    let keys = args.key.iter().map(|name| keys.key(name));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let (name, bytes) = input(&args.input)?;
    let statement = Statement::read_loosely(&bytes)
        .map_err(|error| Failure::from(error).context(format!("cannot sign {name}")))?;
    let left = left_out(&bytes, &statement)?;
    for path in left.iter().take(LEFT_OUT) {
        terminal.warning(&format!(
            "`{}` is not known here, and is not signed",
            line(path)
        ));
    }
    if left.len() > LEFT_OUT {
        let more = left.len() - LEFT_OUT;
        terminal.warning(&format!(
            "{more} more are not known here, and are not signed"
        ));
    }
    let keys: Vec<_> = keys.iter().collect();
    let envelope = snowguard_attest::sign(&statement, &keys)?;
    let json = envelope.to_json(Layout::Pretty).map_err(Failure::new)?;
    terminal.data(&json, args.output.as_deref())?;
    Ok(Findings::None)
}

/// The members of a document that are not in the statement that is made of it, each as a path.
fn left_out(document: &[u8], statement: &Statement) -> Result<Vec<String>, Failure> {
    let read = |bytes: &[u8]| {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(Failure::new)?;
        let mut paths = BTreeSet::new();
        members(&value, "", &mut paths);
        Ok::<_, Failure>(paths)
    };
    let (all, signed) = (read(document)?, read(&statement.to_bytes()?)?);
    Ok(all.difference(&signed).cloned().collect())
}

/// The paths of all members, without the numbers of elements. What is null is as good as absent.
fn members(value: &serde_json::Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                members(value, &path, into);
                into.insert(path);
            }
        }
        serde_json::Value::Array(elements) => {
            for element in elements {
                members(element, &format!("{path}[]"), into);
            }
        }
        _ => {}
    }
}

fn verify(args: &Verify, terminal: &Terminal) -> Result<Findings, Failure> {
    let keyring = keyring(&args.keyring)?;
    let times = Times {
        now: now(),
        existed_by: args.existed_by.as_deref().map(time).transpose()?,
    };
    let (name, bytes) = input(&args.input)?;
    let verification = verified(&bytes, &keyring, &times)
        .map_err(|error| Failure::new(error).context(line(&name).into_owned()))?;
    let printed = match args.format {
        PlainFormat::Text => told(&verification).into_bytes(),
        PlainFormat::Json => document(&verification)?,
    };
    terminal.data(&printed, None)?;
    let verdict = verification.verdict();
    if verdict == Verdict::Undecided && args.existed_by.is_none() {
        terminal
            .hint("--existed-by says since when you know of it, from a log or your own records");
    }
    Ok((verdict != Verdict::Valid).into())
}

fn show(args: &Show, terminal: &Terminal) -> Result<Findings, Failure> {
    let (name, bytes) = input(&args.input)?;
    let statement = if Envelope::read(&bytes, &LIMITS).is_ok() {
        terminal.warning("the signature was not checked");
        terminal.hint("`snowguard attest verify --keyring FILE` checks it");
        read_unverified(&bytes)
            .map(|(statement, _)| statement)
            .map_err(Failure::new)
    } else {
        Statement::read_loosely(&bytes).map_err(Failure::from)
    };
    let statement = statement.map_err(|failure| failure.context(line(&name).into_owned()))?;
    let printed = match args.format {
        PlainFormat::Text => described(&statement).into_bytes(),
        PlainFormat::Json => {
            let value: serde_json::Value =
                serde_json::from_slice(&statement.to_bytes()?).map_err(Failure::new)?;
            crate::scan::json(&value)?
        }
    };
    terminal.data(&printed, None)?;
    Ok(Findings::None)
}

fn document(verification: &Verification) -> Result<Vec<u8>, Failure> {
    let statement = match &verification.statement {
        Some(statement) => serde_json::from_slice(&statement.to_bytes()?).map_err(Failure::new)?,
        None => serde_json::Value::Null,
    };
    let word = |verdict: Verdict| match verdict {
        Verdict::Valid => "valid",
        Verdict::NotValid => "not-valid",
        Verdict::Undecided => "undecided",
    };
    let signatures: Vec<_> = verification
        .judgements
        .iter()
        .map(|judgement| {
            json!({
                "key": judgement.key.map(|id| id.to_string()),
                "name": judgement.name,
                "verdict": word(judgement.verdict),
                "reason": judgement.reason.to_string(),
            })
        })
        .collect();
    crate::scan::json(&json!({
        "schema": "snowguard-attest-verify/1",
        "verdict": word(verification.verdict()),
        "signatures": signatures,
        "statement": statement,
    }))
}

fn told(verification: &Verification) -> String {
    let mut text = String::new();
    for judgement in &verification.judgements {
        let name = judgement.name.as_deref().unwrap_or("unknown key");
        let _ = writeln!(text, "{}: {}", judgement.verdict.as_str(), line(name));
        for part in wrapped(&line(&judgement.reason.to_string())) {
            let _ = writeln!(text, "    {part}");
        }
    }
    if let Some(statement) = &verification.statement {
        text.push('\n');
        text.push_str(&described(statement));
    }
    text
}

/// What a statement says, for people.
fn described(statement: &Statement) -> String {
    let mut text = String::new();
    for subject in &statement.subjects {
        let path = subject.store_dir.show(&subject.path).to_string();
        let _ = writeln!(text, "about     {}", line(&path));
        for content in &subject.contents {
            let _ = writeln!(text, "          {}", content_of(content));
        }
    }
    let _ = writeln!(text, "made      {}", statement.made_at);
    let tool = format!("{} {}", statement.tool.name, statement.tool.version);
    let _ = writeln!(text, "with      {}", line(&tool));
    let Claim::FodVerification(claim) = &statement.claim;
    fod(claim, &mut text);
    text
}

fn fod(claim: &FodVerification, text: &mut String) {
    let _ = writeln!(text, "says      {}", outcome(&claim.outcome));
    let _ = writeln!(text, "of        {} ({})", claim.derivation, claim.output);
    let _ = writeln!(text, "declared  {}", content_of(&claim.declared));
    if let Outcome::Mismatch { observed, bytes } = &claim.outcome {
        let _ = write!(text, "came      {}", content_of(observed));
        match bytes {
            Some(bytes) => {
                let _ = writeln!(text, ", {bytes} bytes");
            }
            None => text.push('\n'),
        }
    }
    for source in &claim.sources {
        let _ = writeln!(text, "tried     {}", line(&source.url));
        let detail = source.detail.as_deref().unwrap_or_default();
        let told = format!("{} {detail}", source.outcome.as_str());
        let _ = writeln!(text, "          {}", line(told.trim_end()));
    }
    for id in &claim.swhids {
        let _ = writeln!(text, "archived  {}", line(id));
    }
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "what is fetched is what is declared",
        Outcome::Mismatch { .. } => "what is fetched is not what is declared",
        Outcome::Gone => "no source has it any more",
        Outcome::ChangedRedirect => "a source leads elsewhere than it may, or than it did",
        Outcome::TlsFailure => "a source cannot prove who it is",
        Outcome::PolicyDenied => "a rule forbids to fetch it",
        Outcome::Transient => "it could not be fetched then",
        Outcome::NotFetchable => "it is not meant to be fetched",
    }
}

fn content_of(content: &Content) -> String {
    format!("{} {}", content.method, content.hash)
}

/// Lines of at most 72 columns.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if last.len() + 1 + word.len() <= 72 => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The directory of secret keys.
pub(crate) fn directory(keys: &Keys) -> Result<Utf8PathBuf, Failure> {
    keys.keys
        .clone()
        .or_else(|| Some(data_directory()?.join("keys")))
        .ok_or_else(|| {
            Failure::message("there is no home directory for keys").hint("`--keys DIR` names one")
        })
}

fn keyring(path: &Utf8Path) -> Result<Keyring, Failure> {
    let (name, bytes) = input(path)?;
    Keyring::read(&bytes).map_err(|error| Failure::from(error).context(line(&name).into_owned()))
}

fn now() -> Time {
    crate::scan::now().0.into()
}

fn time(text: &str) -> Result<Time, Failure> {
    text.parse().map_err(|_| {
        Failure::message(format!("`{text}` is no time"))
            .hint("write it in UTC and to the second: 2026-01-31T12:00:00Z")
    })
}

impl From<StatementError> for Failure {
    fn from(error: StatementError) -> Self {
        let hint = match &error {
            StatementError::OtherType(kind) if kind.ends_with("/scan-result/v1") => {
                Some("it is the result of a scan: `snowguard result` signs and verifies those")
            }
            _ => None,
        };
        Self::new(error).maybe_hint(hint)
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}
