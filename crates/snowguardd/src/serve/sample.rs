//! The sample: two package sets years apart and the shipped facts, for a tracker that has nothing else to
//! show. Everything is within the program; nothing is fetched.

use std::io::Cursor;
use std::sync::atomic::AtomicBool;

use camino::Utf8Path;
use jiff::{Timestamp, tz::TimeZone};
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::read::facts;
use snowguard_db::Database;
use snowguard_db::evaluations::{Evaluations as _, Shrinking};
use snowguard_feeds::RecordStore;
use snowguard_inventory::IdentityTable;
use snowguard_sources::packages::Derivations;
use snowguard_sources::{Input, Options};
use snowguard_tracker::advisories;
use snowguard_tracker::ingest::{self, Revision};
use snowguard_tracker::rematch::{Rematcher, Scope};

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
pub(super) fn take_in(database: &Database) -> Result<bool, Failure> {
    if !database.read(|session| session.channels())?.is_empty() {
        return Ok(false);
    }
    for set in &SETS {
        take_set(database, set)?;
    }
    let directory = tempfile::tempdir().map_err(Failure::new)?;
    let directory = Utf8Path::from_path(directory.path());
    let directory =
        directory.ok_or_else(|| Failure::message("the temporary directory is not text"))?;
    match_all(database, &directory.join("records"))?;
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

fn match_all(database: &Database, records: &Utf8Path) -> Result<(), Failure> {
    let mut store = RecordStore::open(records).map_err(Failure::new)?;
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
    let (now, interrupted) = (Timestamp::now(), AtomicBool::new(false));
    advisories::take(database, &store, now, &interrupted, &mut |_| ()).map_err(Failure::new)?;
    let mut builder = Builder::new();
    store.fill(&mut builder).map_err(Failure::new)?;
    let bytes = builder.finish().bytes;
    let rematcher = Rematcher {
        db: database,
        index: Index::open(&bytes).map_err(Failure::new)?,
        table: &IdentityTable::builtin(),
        now,
        today: now.to_zoned(TimeZone::UTC).date(),
        interrupted: &interrupted,
    };
    let all = Scope::All { state: "sample" };
    rematcher.run(all, &mut |_| ()).map_err(Failure::new)?;
    Ok(())
}
