//! Documents for other tools: what is published, in the forms that these read.
//!
//! They are the same for everybody. The large ones are kept for a minute at most, and made anew as soon as
//! something was done.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::{DbError, Session};
use snowguard_formats::Layout;
use snowguard_formats::osv::Naming;
use snowguard_tracker::publish::triage;
use snowguard_tracker::publish::whole::{self, DocumentError};

use super::Context;
use super::route::Document;
use crate::fault::Fault;
use crate::reply::Reply;

/// For how many seconds a document is kept.
const KEPT: i64 = 60;
/// How many documents are kept.
const MOST: usize = 16;

/// Makes a document.
type Make<'m> = dyn Fn(&mut dyn Session) -> Result<Vec<u8>, DocumentError> + 'm;

/// A document that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    name: String,
    /// What the database was like.
    state: Vec<i64>,
    at: Timestamp,
    bytes: Arc<[u8]>,
}

/// A document.
pub(super) fn answer(context: &Context<'_>, document: Document<'_>) -> Result<Reply, Fault> {
    let site = context.app.site();
    let naming = naming(context)?;
    match document {
        Document::Osv(id) => {
            let missing = || Fault::NotFound {
                what: "issue",
                name: id.to_owned(),
            };
            let public = id.parse().map_err(|_| missing())?;
            let bytes = context
                .app
                .database()
                .try_read(|session| whole::one_osv(session, &public, &site, naming))
                .map_err(fault)?
                .ok_or_else(missing)?;
            Ok(Reply::document("application/json", bytes))
        }
        Document::OsvAll => {
            let name = match naming {
                Naming::Valid => "osv",
                Naming::Open => "osv, open",
            };
            let bytes = kept(context, name, &|session| {
                whole::all_osv(session, &site, naming)
            })?;
            Ok(Reply::document("application/jsonl", bytes))
        }
        Document::OsvArchive => {
            let name = match naming {
                Naming::Valid => "osv, archive",
                Naming::Open => "osv, archive, open",
            };
            let bytes = kept(context, name, &|session| {
                whole::osv_archive(session, &site, naming)
            })?;
            Ok(Reply::document("application/zip", bytes))
        }
        Document::OpenVex => {
            let bytes = kept(context, "openvex", &|session| {
                Ok(match whole::whole_openvex(session, &site)? {
                    Some(document) => document.to_json(Layout::Pretty)?,
                    None => Vec::new(),
                })
            })?;
            if bytes.is_empty() {
                // A document without a statement is none.
                return Err(Fault::NotFound {
                    what: "statement: nothing was decided yet in",
                    name: context.app.settings().site.clone(),
                });
            }
            Ok(Reply::document("application/json", bytes))
        }
        Document::Secdb(channel) => {
            let known = context
                .app
                .database()
                .read(|session| session.channel(channel))
                .map_err(Fault::internal)?;
            if known.is_none() {
                return Err(Fault::NotFound {
                    what: "channel",
                    name: channel.to_owned(),
                });
            }
            let bytes = kept(context, &format!("secdb {channel}"), &|session| {
                let database = whole::whole_secdb(session, channel, &site)?;
                Ok(database.to_json(Layout::Pretty)?)
            })?;
            Ok(Reply::document("application/json", bytes))
        }
        Document::Triage => {
            let bytes = kept(context, "triage", &|session| {
                triage::json(session, &site, context.now)
            })?;
            Ok(Reply::document("application/json", bytes))
        }
        Document::TriagePacked => {
            let bytes = kept(context, "triage, packed", &|session| {
                triage::packed(session, &site, context.now)
            })?;
            Ok(Reply::document("application/zstd", bytes))
        }
        Document::Atom => {
            let feed = context
                .app
                .database()
                .try_read(|session| whole::newest_issues(session, &site))
                .map_err(fault)?;
            Ok(Reply::document(
                "application/atom+xml",
                feed.to_xml().into_bytes(),
            ))
        }
    }
}

/// Where the ecosystem is named: as the schema wants it, or where tools look.
fn naming(context: &Context<'_>) -> Result<Naming, Fault> {
    match context.request.query.text("ecosystem") {
        None => Ok(Naming::Valid),
        Some("open") => Ok(Naming::Open),
        Some(_) => Err(Fault::Malformed(
            "the ecosystem is open, or not said".into(),
        )),
    }
}

/// A document as it was made, if nothing was done since; else anew.
fn kept(context: &Context<'_>, name: &str, make: &Make<'_>) -> Result<Vec<u8>, Fault> {
    let (app, now) = (context.app, context.now);
    let state = app.database().read(state).map_err(Fault::internal)?;
    let is_good = |made: &Made| {
        made.name == name && made.state == state && now.as_second() - made.at.as_second() < KEPT
    };
    let lock = || {
        app.documents()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(made) = lock().iter().find(|made| is_good(made)) {
        return Ok(made.bytes.to_vec());
    }
    let bytes = app
        .database()
        .try_read(|session| make(session))
        .map_err(fault)?;
    let mut documents = lock();
    documents.retain(|made| made.name != name);
    if documents.len() >= MOST {
        documents.remove(0);
    }
    documents.push(Made {
        name: name.to_owned(),
        state,
        at: now,
        bytes: bytes.as_slice().into(),
    });
    Ok(bytes)
}

/// What differs as soon as something was done, taken in or published.
fn state(session: &mut dyn Session) -> Result<Vec<i64>, DbError> {
    let rows = session.query(
        "SELECT COALESCE((SELECT max(id) FROM event), 0), COALESCE((SELECT max(id) FROM evaluation), 0),
                COALESCE((SELECT max(modified) FROM issue), 0)",
        &[],
    )?;
    let row = rows.first();
    row.map_or_else(
        || Ok(Vec::new()),
        |row| (0..3).map(|at| row.get(at)).collect(),
    )
}

fn fault(error: DocumentError) -> Fault {
    Fault::internal(error)
}
