//! What was verified, as signed statements: one file for each derivation, as `snowguard attest verify` reads it.
//!
//! Nothing is claimed of what was not decided: where only a build could tell, or where the server refused; nothing where
//! nothing was fetched and nothing built, nor of an address that was not asked; and nothing of what this process did not
//! find itself: whoever can write into a queue would have its signature.

use std::collections::BTreeSet;

use camino::Utf8Path;
use jiff::Timestamp;
use snowguard_attest::fod::{MAX_SOURCES, MAX_TEXT, MAX_URL, Means, Outcome as Said, Tried};
use snowguard_attest::{Claim, Content, FodVerification, Statement, Subject, Time, Tool};
use snowguard_fod::outcome::{Attempt, FoundBy, Outcome, Try, Verdict};
use snowguard_formats::Layout;
use snowguard_report::fod::Verified;
use snowguard_store::{ContentAddressMethod, DrvPath, Hash, OutputName, SecretKey, StoreDir};

use crate::error::Failure;

/// How many statements there are of what this process was to find.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// So many were signed.
    pub(super) signed: usize,
    /// Of so many nothing was fetched and nothing built.
    pub(super) not_done: usize,
    /// Of so many nothing was decided.
    pub(super) undecided: usize,
}

/// Signs what was found of each, into a directory.
#[expect(
    clippy::disallowed_methods,
    reason = "the face writes what it was asked to write"
)]
pub(super) fn write(
    fods: &[Verified],
    keys: &[SecretKey],
    directory: &Utf8Path,
) -> Result<Written, Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::cannot_write(directory, error))?;
    let keys: Vec<&SecretKey> = keys.iter().collect();
    let mut written = Written::default();
    for fod in fods.iter().filter(|fod| !fod.earlier) {
        let Some(outcome) = &fod.outcome else {
            continue;
        };
        let Some(means) = outcome.found_by.map(means) else {
            written.not_done += 1;
            continue;
        };
        let Some(statement) = statement(fod, outcome, means) else {
            written.undecided += 1;
            continue;
        };
        let envelope = snowguard_attest::sign(&statement, &keys).map_err(Failure::new)?;
        let bytes = envelope.to_json(Layout::Pretty).map_err(Failure::new)?;
        let Claim::FodVerification(claim) = &statement.claim;
        let file = directory.join(format!("{}.dsse.json", claim.derivation));
        let beside = directory.join(format!(".{}.new", claim.derivation));
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &file))
            .map_err(|error| Failure::cannot_write(&file, error))?;
        written.signed += 1;
    }
    Ok(written)
}

/// What is stated of one; none where nothing was decided.
fn statement(fod: &Verified, outcome: &Outcome, means: Means) -> Option<Statement> {
    let (store_dir, path) = StoreDir::split(&fod.output).ok()?;
    let derivation = fod.drv.rsplit('/').next()?.parse::<DrvPath>().ok()?;
    let declared = Content {
        method: fod.mode.parse::<ContentAddressMethod>().ok()?,
        hash: Hash::parse(&fod.hash, None).ok()?,
    };
    let made_at = match &fod.checked {
        Some(checked) => checked.parse().ok()?,
        None => Timestamp::now(),
    };
    let claim = FodVerification {
        derivation,
        output: OutputName::new("out").ok()?,
        declared,
        means,
        outcome: said(outcome, &declared)?,
        sources: outcome
            .tries
            .iter()
            .filter(|tried| tried.url.len() <= MAX_URL && tried.result != Attempt::Skipped)
            .take(MAX_SOURCES)
            .map(|tried| source(tried, outcome, &declared))
            .collect(),
        swhids: outcome
            .got
            .iter()
            .filter_map(|got| got.swhid.clone())
            .collect(),
    };
    Some(Statement {
        subjects: vec![Subject {
            store_dir,
            path,
            contents: BTreeSet::from([declared]),
        }],
        made_at: Time::new(made_at),
        tool: Tool {
            name: "snowguard".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        claim: Claim::FodVerification(claim),
    })
}

const fn means(found_by: FoundBy) -> Means {
    match found_by {
        FoundBy::Build => Means::Build,
        FoundBy::Fetch => Means::Refetch,
    }
}

fn said(outcome: &Outcome, declared: &Content) -> Option<Said> {
    Some(match outcome.verdict {
        Verdict::Ok => Said::Ok,
        Verdict::Mismatch => mismatch(outcome, declared)?,
        Verdict::Gone => Said::Gone,
        Verdict::Redirect => Said::ChangedRedirect,
        Verdict::Tls => Said::TlsFailure,
        Verdict::Denied => Said::PolicyDenied,
        Verdict::Transient => Said::Transient,
        Verdict::NotFetchable => Said::NotFetchable,
        Verdict::Failed | Verdict::NeedsBuilder => return None,
    })
}

fn mismatch(outcome: &Outcome, declared: &Content) -> Option<Said> {
    let got = outcome.got.as_ref()?;
    Some(Said::Mismatch {
        observed: Content {
            method: declared.method,
            hash: Hash::parse(&got.hash, None).ok()?,
        },
        bytes: got.size,
    })
}

fn source(tried: &Try, of: &Outcome, declared: &Content) -> Tried {
    let outcome = match tried.result {
        Attempt::Ok => Said::Ok,
        Attempt::Mismatch => mismatch(of, declared).unwrap_or(Said::Transient),
        Attempt::Gone => Said::Gone,
        Attempt::Redirect => Said::ChangedRedirect,
        Attempt::Tls => Said::TlsFailure,
        Attempt::Denied => Said::PolicyDenied,
        // Of these nothing is known that would last.
        Attempt::Failed | Attempt::Transient | Attempt::Skipped => Said::Transient,
    };
    let mut detail = tried.detail.clone();
    while detail.len() > MAX_TEXT {
        detail.pop();
    }
    Tried {
        url: tried.url.clone(),
        outcome,
        detail: (!detail.is_empty()).then_some(detail),
    }
}
