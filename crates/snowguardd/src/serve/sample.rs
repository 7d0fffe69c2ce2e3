//! The sample: two package sets years apart and the shipped facts, for a tracker that has nothing else to
//! show. Everything is within the program; nothing is fetched.

use std::io::Cursor;

use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::read::facts;
use snowguard_db::Database;
use snowguard_db::evaluations::{Evaluations as _, Shrinking};
use snowguard_feeds::RecordStore;
use snowguard_feeds::segments::records_path;
use snowguard_sources::packages::Derivations;
use snowguard_sources::{Input, Options};
use snowguard_tracker::ingest::{self, Revision};
use snowguard_tracker::work::{Advisories, Plan};

use crate::failure::Failure;

/// A package set of the sample: the name of its channel, the packages, and how they are built.
struct Set {
    channel: &'static str,
    packages: &'static [u8],
    derivations: &'static [u8],
    made_at: &'static str,
}

/// The newer first: changes reach it before the other.
const SETS: [Set; 2] = [
    Set {
        channel: "corepkgs-2026",
        packages: include_bytes!("../../../../examples/tracker/corepkgs-2026.packages.json.zst"),
        derivations: include_bytes!(
            "../../../../examples/tracker/corepkgs-2026.derivations.json.zst"
        ),
        made_at: "2026-08-15T00:00:00Z",
    },
    Set {
        channel: "nixpkgs-20.09",
        packages: include_bytes!("../../../../examples/tracker/nixpkgs-20.09.packages.json.zst"),
        derivations: include_bytes!(
            "../../../../examples/tracker/nixpkgs-20.09.derivations.json.zst"
        ),
        made_at: "2020-07-15T00:00:00Z",
    },
];

/// The shipped facts, by source.
const FACTS: [(&str, &str); 4] = [
    (
        "cve5",
        include_str!("../../../../data/advisories/cve5.jsonl"),
    ),
    ("kev", include_str!("../../../../data/advisories/kev.jsonl")),
    ("nvd", include_str!("../../../../data/advisories/nvd.jsonl")),
    ("osv", include_str!("../../../../data/advisories/osv.jsonl")),
];

/// Takes the sample into a database without channels. False if it has some: those are somebody's.
///
/// The shipped facts become the records of the worker, unless it has some already. From there on they are taken
/// in and matched as all others are.
pub(super) fn take_in(database: &Database, plan: &Plan) -> Result<bool, Failure> {
    if !database.read(|session| session.channels())?.is_empty() {
        return Ok(false);
    }
    for set in &SETS {
        take_set(database, set)?;
    }
    let directory = tempfile::tempdir().map_err(Failure::new)?;
    let scratch = Utf8Path::from_path(directory.path());
    let scratch = scratch.ok_or_else(|| Failure::message("the temporary directory is not text"))?;
    let advisories = plan.advisories.as_ref();
    let file = advisories.map_or_else(|| scratch.join("advisories.idx"), |set| set.file.clone());
    fill(&records_path(&file))?;
    let plan = Plan {
        spool: scratch.to_owned(),
        look: None,
        evaluator: None,
        advisories: Some(Advisories {
            file,
            feeds: None,
            every: SignedDuration::from_hours(1),
        }),
        publish: None,
        tell: None,
        keep: None,
    };
    crate::work::once(database, &plan)?;
    Ok(true)
}

fn take_set(database: &Database, set: &Set) -> Result<(), Failure> {
    let options = Options::default();
    let how = Input::from_reader(set.channel, Cursor::new(set.derivations), &options);
    let derivations = Derivations {
        inputs: vec![how.map_err(Failure::new)?],
        live: false,
    };
    let packages = Cursor::new(set.packages);
    let read = ingest::read_pipe(set.channel, packages, derivations, &options, &mut |_| ());
    let evaluation = read.map_err(Failure::new)?;
    let made_at: Timestamp = set.made_at.parse().map_err(Failure::new)?;
    let revision = Revision::named(set.channel, made_at).map_err(Failure::new)?;
    let channel = database.write(|session| session.add_channel(set.channel, None))?;
    let now = Timestamp::now();
    ingest::take(
        database,
        &channel,
        &revision,
        now,
        Shrinking::Taken,
        evaluation,
        &mut |_| (),
    )
    .map_err(Failure::new)?;
    Ok(())
}

/// Puts the shipped facts into a store that has no records.
fn fill(records: &Utf8Path) -> Result<(), Failure> {
    if let Some(directory) = records.parent() {
        std::fs::create_dir_all(directory).map_err(Failure::new)?;
    }
    let mut store = RecordStore::open(records).map_err(Failure::new)?;
    if !store.sources().map_err(Failure::new)?.is_empty() {
        return Ok(());
    }
    let mut change = store.change().map_err(Failure::new)?;
    for (source, lines) in FACTS {
        change
            .replace(source, SourceKind::Facts)
            .map_err(Failure::new)?;
        for line in lines.lines() {
            let record = facts::read(line.as_bytes()).map_err(Failure::new)?;
            change
                .put(source, SourceKind::Facts, &record)
                .map_err(Failure::new)?;
        }
    }
    change.commit().map_err(Failure::new)?;
    Ok(())
}
