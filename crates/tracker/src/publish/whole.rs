//! Whole documents out of the database, for whoever fetches them.

use std::io::{Cursor, Write as _};

use jiff::Timestamp;
use snowguard_db::issues::{IssueRow, Issues as _};
use snowguard_db::{DbError, Session};
use snowguard_formats::osv::Naming;
use snowguard_formats::secdb::Database;
use snowguard_formats::{Layout, WriteError, atom, openvex};
use snowguard_triage::PublicId;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::gather;
use super::issue::{Issue, Site, Verdicts};
use super::{osv, secdb};

/// How many issues, or advisories, are gathered at once.
const AT_ONCE: u32 = 200;
/// How many entries a feed has.
const ENTRIES: u32 = 50;

/// Why a document cannot be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Decisions cannot be written.
    #[error("cannot write what was decided")]
    Json(#[source] serde_json::Error),
    /// They cannot be packed.
    #[error("cannot pack what was decided")]
    Pack(#[source] std::io::Error),
    /// Issues cannot be put into an archive.
    #[error("cannot write the archive of issues")]
    Archive(#[source] zip::result::ZipError),
}

/// One issue as OSV; none if there is none of that id.
pub fn one_osv(
    session: &mut dyn Session,
    public: &PublicId,
    site: &Site,
    naming: Naming,
) -> Result<Option<Vec<u8>>, DocumentError> {
    let Some(row) = session.issue(public)? else {
        return Ok(None);
    };
    let issues = gather::issues(session, vec![row])?;
    let Some(issue) = issues.first() else {
        return Ok(None);
    };
    Ok(Some(osv(issue, site).to_json(naming, Layout::Pretty)?))
}

/// All issues as OSV, one document a line, in the order in which they were published.
pub fn all_osv(
    session: &mut dyn Session,
    site: &Site,
    naming: Naming,
) -> Result<Vec<u8>, DocumentError> {
    let mut out = Vec::new();
    each_issue(session, &mut |issue| {
        out.extend(osv(issue, site).to_json(naming, Layout::Compact)?);
        if out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        Ok(())
    })?;
    Ok(out)
}

/// All issues as OSV, each a file of an archive: what tools fetch of an ecosystem. The same issues give the same
/// bytes.
pub fn osv_archive(
    session: &mut dyn Session,
    site: &Site,
    naming: Naming,
) -> Result<Vec<u8>, DocumentError> {
    // Without a time of its own each member has that of the format's beginning.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    each_issue(session, &mut |issue| {
        let document = osv(issue, site);
        let name = format!("{}.json", document.id);
        archive
            .start_file(name, options)
            .map_err(DocumentError::Archive)?;
        let json = document.to_json(naming, Layout::Compact)?;
        archive.write_all(&json).map_err(DocumentError::Pack)
    })?;
    let written = archive.finish().map_err(DocumentError::Archive)?;
    Ok(written.into_inner())
}

/// All that was decided as OpenVEX; none if nothing was. Its time is that of the last thing it tells.
pub fn whole_openvex(
    session: &mut dyn Session,
    site: &Site,
) -> Result<Option<openvex::Document>, DocumentError> {
    let mut all: Vec<(Verdicts, Option<PublicId>)> = Vec::new();
    let mut after = 0;
    loop {
        let advisories = session.decided_advisories(after, AT_ONCE)?;
        let Some(last) = advisories.last() else {
            break;
        };
        after = *last;
        let issues: Vec<IssueRow> = session.issues_of_advisories(&advisories)?;
        let verdicts = gather::verdicts(session, &advisories, Timestamp::UNIX_EPOCH)?;
        for (advisory, verdicts) in advisories.iter().zip(verdicts) {
            let issue = issues.iter().find(|row| row.advisory == *advisory);
            all.push((verdicts, issue.map(|row| row.public.clone())));
        }
    }
    let fixed = all
        .iter()
        .flat_map(|(verdicts, _)| &verdicts.packages)
        .flat_map(|package| &package.channels)
        .filter_map(|channel| Some(channel.fixed.as_ref()?.at));
    let decided = all.iter().map(|(verdicts, _)| verdicts.decided);
    let at = decided.chain(fixed).max().unwrap_or(Timestamp::UNIX_EPOCH);
    let decided = all.iter().map(|(verdicts, id)| (verdicts, id.as_ref()));
    Ok(super::openvex(decided, site, at))
}

/// All issues of one channel in the form of Alpine's security database.
pub fn whole_secdb(
    session: &mut dyn Session,
    channel: &str,
    site: &Site,
) -> Result<Database, DocumentError> {
    let mut issues: Vec<Issue> = Vec::new();
    each_issue(session, &mut |issue| {
        issues.push(issue.clone());
        Ok(())
    })?;
    Ok(secdb(channel, &issues, site))
}

/// The issues that changed last, as a feed.
pub fn newest_issues(session: &mut dyn Session, site: &Site) -> Result<atom::Feed, DocumentError> {
    let rows = session.newest_issues(None, ENTRIES)?;
    let updated = rows.iter().map(|row| row.modified).max();
    let mut issues = gather::issues(session, rows)?;
    issues.retain(|issue| issue.withdrawn.is_none());
    Ok(super::atom(
        &issues,
        site,
        updated.unwrap_or(Timestamp::UNIX_EPOCH),
    ))
}

fn each_issue(
    session: &mut dyn Session,
    work: &mut dyn FnMut(&Issue) -> Result<(), DocumentError>,
) -> Result<(), DocumentError> {
    let mut after = 0;
    loop {
        let rows = session.issues_after(after, AT_ONCE)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.id;
        for issue in gather::issues(session, rows)? {
            work(&issue)?;
        }
    }
}
