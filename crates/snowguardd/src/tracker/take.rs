//! Package sets and advisories, by hand.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use camino::Utf8Path;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use snowguard_advisory::read::With;
use snowguard_db::Database;
use snowguard_db::evaluations::Shrinking;
use snowguard_feeds::segments::{Compact, SegmentsError, index_path, is_of_others, write};
use snowguard_feeds::{IndexFile, RecordStore};
use snowguard_http::{Client, Settings};
use snowguard_inventory::IdentityTable;
use snowguard_sources::packages::Derivations;
use snowguard_sources::{Input, Options};
use snowguard_tracker::ingest::{self, IngestError, Outcome, Polled, Poller, Revision};
use snowguard_tracker::rematch::{Rematcher, Scope};

use crate::cli::{Advisories, Ingest};
use crate::environment::say;
use crate::failure::Failure;

pub(super) fn ingest_failed(error: IngestError) -> Failure {
    let hint = error.hint();
    Failure::new(error).maybe_hint(hint)
}

/// Takes a package set in, and matches what it changed if there is something to match with.
pub(super) fn ingest(database: &Database, args: &Ingest) -> Result<(), Failure> {
    let channel = ingest::followed(database, &args.channel).map_err(ingest_failed)?;
    let options = Options::default();
    let shrinking = if args.allow_shrinking {
        Shrinking::Taken
    } else {
        Shrinking::Refused
    };
    let now = Timestamp::now();
    let outcome = match &args.set {
        Some(set) => {
            let inputs = args
                .derivations
                .iter()
                .map(|path| Input::detect(path, &options));
            let derivations = Derivations {
                inputs: inputs.collect::<Result<_, _>>().map_err(Failure::new)?,
                live: false,
            };
            let read = if set == "-" {
                let pipe = std::io::stdin();
                ingest::read_pipe("standard input", pipe, derivations, &options, &mut |_| ())
            } else {
                ingest::read_file(set, derivations, &options, &mut |_| ())
            };
            let evaluation = read.map_err(ingest_failed)?;
            let revision = revision(args, now)?;
            ingest::take(
                database,
                &channel,
                &revision,
                now,
                shrinking,
                evaluation,
                &mut |_| (),
            )
        }
        None => {
            let spool = tempfile::tempdir().map_err(Failure::new)?;
            let spool = Utf8Path::from_path(spool.path())
                .ok_or_else(|| Failure::message("the temporary directory is not text"))?;
            let client =
                Client::new(Settings::from_environment(), Arc::default()).map_err(Failure::new)?;
            let poller = Poller {
                db: database,
                client: &client,
                options: &options,
                spool,
                shrinking,
                evaluator: None,
            };
            match poller.poll(&channel, now, &mut |_| ()) {
                Ok(Polled::Unchanged) => {
                    say(&format!("{} is as it was", channel.name));
                    return Ok(());
                }
                Ok(Polled::Fetched(outcome)) => Ok(outcome),
                Err(error) => Err(error),
            }
        }
    };
    told(&channel.name, &outcome.map_err(ingest_failed)?)
}

/// As it was named, else by when it was taken in: a set by hand has no hash of its own.
fn revision(args: &Ingest, now: Timestamp) -> Result<Revision, Failure> {
    let named = match &args.revision {
        Some(name) => name.clone(),
        None => now.strftime("by-hand-%Y%m%d-%H%M%S").to_string(),
    };
    Revision::named(&named, now).map_err(ingest_failed)
}

fn told(channel: &str, outcome: &Outcome) -> Result<(), Failure> {
    let text = match outcome {
        Outcome::Taken(taken) => format!(
            "{channel}: {} attributes; {} added, {} removed, {} of another version, {} built anew",
            taken.attributes, taken.added, taken.removed, taken.changed, taken.rebuilt
        ),
        Outcome::Known(_) => format!("{channel} has that package set already"),
        Outcome::Older { evaluated_at, .. } => {
            return Err(
                Failure::message(format!("{channel} has a newer one, of {evaluated_at}"))
                    .hint("a channel goes forward; add another channel for an older set"),
            );
        }
        Outcome::Shrunk { head, missing } => {
            return Err(Failure::message(format!(
                "it lacks {missing} of the {head} attributes that {channel} has"
            ))
            .hint("--allow-shrinking takes it all the same"));
        }
        Outcome::Empty => {
            return Err(Failure::message("it has no packages")
                .hint("the book's page on package sets says what can be read"));
        }
        other => format!("{channel}: {other:?}"),
    };
    say(&text);
    Ok(())
}

/// Brings advisories in, and matches all packages with what is known then.
pub(super) fn advisories(database: &Database, args: &Advisories) -> Result<(), Failure> {
    let interrupted = AtomicBool::new(false);
    let mut store = RecordStore::open(&args.records)
        .map_err(Failure::new)?
        .with(With::Texts);
    if !args.paths.is_empty() {
        let (records, problems) = snowguard_tracker::advisories::import(
            &mut store,
            &args.paths,
            &interrupted,
            &mut |_| (),
        )
        .map_err(Failure::new)?;
        say(&format!("read {records} records"));
        for problem in &problems {
            say(&format!("warning: {problem}"));
        }
    }
    let now = Timestamp::now();
    let taken =
        snowguard_tracker::advisories::take(database, &store, now, &interrupted, &mut |_| ())
            .map_err(Failure::new)?;
    say(&format!(
        "{} records and {} advisories changed",
        taken.records, taken.advisories
    ));
    let path = index_path(&args.records);
    let failed = |error: SegmentsError| Failure::new(error);
    if is_of_others(&mut store, &path).map_err(failed)? {
        return Err(
            Failure::message(format!("{path} is an index that was not made here"))
                .hint("move it away, or keep the records under another name: their index lies beside them"),
        );
    }
    write(&mut store, &path, Compact::WhenLarge).map_err(failed)?;
    let file = IndexFile::open(&path).map_err(Failure::new)?;
    let digest = file.digest();
    let rematcher = Rematcher {
        db: database,
        index: file.index().map_err(Failure::new)?,
        table: &IdentityTable::builtin(),
        now,
        today: now.to_zoned(TimeZone::UTC).date(),
        interrupted: &interrupted,
    };
    let all = Scope::All { state: &digest };
    let done = rematcher.run(all, &mut |_| ()).map_err(Failure::new)?;
    say(&format!(
        "matched {} packages: {} findings are new, {} changed, {} gone, {} reopened, {} fixed everywhere",
        done.packages, done.new, done.changed, done.gone, done.reopened, done.closed
    ));
    Ok(())
}
