//! Keeps what is published in step with what is known: whether an issue changed, and how it stands in the
//! forge.
//!
//! Two workers on one database may both do this: what they write is the same, and an issue is looked for
//! in the forge before it is opened. The queue of jobs keeps them from doing it at the same time.

use jiff::Timestamp;
use snowguard_db::issues::{ForgeRow, Issues};
use snowguard_db::{Database, DbError};
use snowguard_formats::Layout;
use snowguard_formats::osv::Naming;
use snowguard_store::{Hash, HashAlgo};

use super::forge::{Forge, ForgeError};
use super::gather;
use super::issue::{Issue, Site};
use super::{osv, text};
use crate::chain::chain;

/// How many issues are looked at in one transaction.
const AT_ONCE: u32 = 200;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// How many issues were looked at.
    pub issues: usize,
    /// How many of these changed.
    pub changed: usize,
    /// How many were brought to the forge.
    pub brought: usize,
    /// What went wrong there, by public id. It is noted with the issue, and tried again the next time.
    pub failed: Vec<(String, String)>,
}

/// Why it was given up.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The worker is to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Looks at all issues; brings those to the forge that it does not have as they are now. `go_on` is asked
/// between issues.
pub fn sync(
    db: &Database,
    site: &Site,
    forge: Option<&Forge<'_>>,
    now: Timestamp,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Synced, SyncError> {
    let mut done = Synced::default();
    let mut after = 0;
    loop {
        let (page, changed) = db.write(|session| {
            let rows = session.issues_after(after, AT_ONCE)?;
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let issues = gather::issues(session, rows)?;
            let mut page = Vec::with_capacity(issues.len());
            let mut changed = 0;
            for (id, mut issue) in ids.into_iter().zip(issues) {
                let digest = digest(&issue, site);
                if session.note_issue_digest(id, &digest, now)? {
                    changed += 1;
                    // The first time it stays as it was published.
                    issue.modified = session
                        .issue(&issue.id)?
                        .map_or(issue.modified, |row| row.modified);
                }
                let row = session.forge_issue(id)?;
                page.push((id, issue, digest, row));
            }
            Ok((page, changed))
        })?;
        done.changed += changed;
        let Some((last, ..)) = page.last() else {
            return Ok(done);
        };
        after = *last;
        for (id, issue, digest, row) in page {
            if !go_on() {
                return Err(SyncError::Interrupted);
            }
            done.issues += 1;
            let Some(forge) = forge else { continue };
            if row.digest.as_ref() == Some(&digest) {
                continue;
            }
            let row = match forge.bring(&issue, site, row.number) {
                Ok(posted) => {
                    done.brought += usize::from(posted.is_some());
                    ForgeRow {
                        number: posted.as_ref().map(|posted| posted.number),
                        url: posted.map(|posted| posted.url),
                        digest: Some(digest),
                        synced: Some(now),
                        error: None,
                    }
                }
                Err(error) => {
                    let error = told(&error);
                    done.failed.push((issue.id.to_string(), error.clone()));
                    ForgeRow {
                        error: Some(error),
                        ..row
                    }
                }
            };
            db.write(|session| session.note_forge_issue(id, &row))?;
        }
    }
}

/// Of all that is published of an issue, but for the time at which it changed.
fn digest(issue: &Issue, site: &Site) -> Vec<u8> {
    let timeless = Issue {
        modified: issue.published,
        ..issue.clone()
    };
    let mut bytes = osv(&timeless, site)
        .to_json(Naming::Valid, Layout::Compact)
        .unwrap_or_default();
    bytes.extend(issue.title.bytes());
    bytes.extend(text::body(&timeless, site).bytes());
    Hash::of(HashAlgo::Sha256, &bytes).map_or(Vec::new(), |hash| hash.digest().to_vec())
}

/// An error with its causes and what to do.
fn told(error: &ForgeError) -> String {
    let told = chain(error);
    match error.hint() {
        Some(hint) => format!("{told}; {hint}"),
        None => told,
    }
}
