//! An update: a base of all records, then a day on which some changed.
//!
//! In this process and not in the program: what is measured is the record store, the delta and the
//! published files, not the feeds.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use rayon::prelude::*;
use snowguard_advisory::identity::Product;
use snowguard_advisory::index::{Index, Key, SourceKind};
use snowguard_advisory::read::Format;
use snowguard_advisory::record::Record;
use snowguard_feeds::repository::{Publish, Published, publish};
use snowguard_feeds::segments::{Compact, Written, WrittenFile, records_path, write};
use snowguard_feeds::{IndexFile, RecordStore};
use snowguard_secrets::{SecretFile, create_key};

use super::meter::Measured;
use super::product::Product as Program;
use super::report::{Lookups, Mirror, Scans, Update};
use super::times::{Times, median, megabytes, sorted};
use super::{Common, say, write as write_file};
use crate::dataset;

/// How many records change.
const CHANGED: usize = 1_000;

pub(super) fn measure(args: &Common) -> Result<Update> {
    let work = args.work.join("update");
    if work.exists() {
        std::fs::remove_dir_all(&work).with_context(|| format!("cannot empty {work}"))?;
    }
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {work}"))?;
    let index = work.join("advisories.idx");
    say("reading all records");
    let sources = read_all(&args.data)?;
    let records = sources.iter().map(|(_, _, records)| records.len()).sum();
    ensure!(
        records > CHANGED,
        "there are only {records} records in {}",
        args.data
    );

    say("putting them into the store");
    let mut store = RecordStore::open(&records_path(&index))?;
    let (put_s, changed) = timed(|| put(&mut store, &sources))?;
    ensure!(changed > 0, "the store took nothing");
    let (same_s, changed) = timed(|| put(&mut store, &sources))?;
    ensure!(changed == 0, "{changed} records changed by being put again");
    let (base_s, base) = timed(|| Ok(write(&mut store, &index, Compact::WhenLarge)?))?;
    expect(&base, WrittenFile::Base)?;
    let before = published(&work, &index)?;

    say("changing some of them");
    let news = news(&sources);
    let mut seconds = Vec::new();
    let mut delta = None;
    for round in 0..args.runs {
        let news = news_of(&news, round);
        let (update_s, written) = timed(|| {
            put(&mut store, &news)?;
            Ok(write(&mut store, &index, Compact::WhenLarge)?)
        })?;
        expect(&written, WrittenFile::Delta)?;
        seconds.push(update_s);
        delta = Some(written);
    }
    let delta = delta.context("nothing was measured")?;
    let lookups = lookups(&index, &sources)?;
    let with_delta = published(&work, &index)?;
    let joined = work.join("joined.idx");
    copy(&index, &joined)?;

    say("making the base anew");
    let (compact_s, compacted) = timed(|| Ok(write(&mut store, &index, Compact::Now)?))?;
    expect(&compacted, WrittenFile::Base)?;
    let after = published(&work, &index)?;
    say("scanning");
    let scans = scans(args, &index, &joined)?;
    let store_size = std::fs::metadata(store.path())?.len();
    Ok(Update {
        wall_s: median(&sorted(seconds.into_iter())).unwrap_or_default(),
        records,
        changed: CHANGED,
        delta_mb: megabytes(delta.bytes as u64),
        delta_vulnerabilities: delta.vulnerabilities,
        base_mb: megabytes(base.bytes as u64),
        store_mb: megabytes(store_size),
        put_s,
        put_again_s: same_s,
        base_s,
        compact_s,
        lookups,
        scans,
        mirror: Mirror {
            base_mb: megabytes(before.base),
            delta_mb: megabytes(with_delta.delta.unwrap_or_default()),
            patch_mb: megabytes(after.patches.first().copied().unwrap_or_default()),
        },
        runs: usize::from(args.runs),
    })
}

type Sources = Vec<(String, SourceKind, Vec<Record>)>;

fn timed<T>(of: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let result = of()?;
    Ok((start.elapsed().as_secs_f64(), result))
}

fn expect(written: &Written, what: WrittenFile) -> Result<()> {
    ensure!(
        written.what == what,
        "{what:?} should have been written, and {written:?} was"
    );
    Ok(())
}

/// The records of all files; each file is a source.
fn read_all(data: &Utf8Path) -> Result<Sources> {
    let mut sources = Vec::new();
    for path in dataset::advisories(data)? {
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        let bytes = if path.extension() == Some("zst") {
            let mut decoder = zstd::stream::read::Decoder::new(bytes.as_slice())?;
            decoder.window_log_max(27)?;
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut decoder, &mut plain)?;
            plain
        } else {
            bytes
        };
        let documents: Vec<&[u8]> = if path.as_str().contains(".jsonl") {
            bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .collect()
        } else {
            vec![&bytes]
        };
        let read: Vec<(SourceKind, Record)> = documents
            .par_iter()
            .flat_map_iter(|document| {
                let mut records = Vec::new();
                if let Ok(format) = Format::detect(document) {
                    format.read(document, &mut |record| {
                        records.extend(record.map(|record| (format.into(), record)));
                    });
                }
                records
            })
            .collect();
        let kind = read.first().map(|(kind, _)| *kind).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_owned();
        sources.push((
            name,
            kind,
            read.into_iter().map(|(_, record)| record).collect(),
        ));
    }
    Ok(sources)
}

fn put(store: &mut RecordStore, sources: &Sources) -> Result<u64> {
    let mut change = store.change()?;
    for (source, kind, records) in sources {
        for record in records {
            change.put(source, *kind, record)?;
        }
    }
    let changed = change.commit()?;
    Ok(changed.added + changed.changed + changed.removed)
}

/// Records spread over the largest source, one for each id.
fn news(sources: &Sources) -> Sources {
    let Some((name, kind, records)) = sources.iter().max_by_key(|(_, _, records)| records.len())
    else {
        return Vec::new();
    };
    let mut unique: Vec<&Record> = records.iter().collect();
    unique.sort_by(|a, b| a.id.cmp(&b.id));
    unique.dedup_by(|a, b| a.id == b.id);
    let step = (unique.len() / CHANGED).max(1);
    let chosen = unique.into_iter().step_by(step).take(CHANGED).cloned();
    vec![(name.clone(), *kind, chosen.collect())]
}

/// The same records, saying something new in each round.
fn news_of(news: &Sources, round: u16) -> Sources {
    let mut news = news.clone();
    for record in news.iter_mut().flat_map(|(_, _, records)| records) {
        record.summary = Some(format!("what was said in round {round}"));
    }
    news
}

/// All products of all records, looked up and their entries read: with the delta and without.
fn lookups(path: &Utf8Path, sources: &Sources) -> Result<Lookups> {
    let products: Vec<&Product> = sources
        .iter()
        .flat_map(|(_, _, records)| records)
        .flat_map(|record| &record.affects)
        .flat_map(|affected| &affected.products)
        .step_by(7)
        .take(50_000)
        .collect();
    let file = IndexFile::open(path)?;
    let joined = file.index()?;
    let alone = Index::open(file.base_bytes())?;
    let once = |index: Index<'_>| -> Result<f64> {
        let start = Instant::now();
        let mut found = 0_usize;
        for product in &products {
            for entry in index.lookup(Key::of(product))?.take(20) {
                found += index.entry(entry)?.vulnerabilities.count();
            }
        }
        ensure!(
            black_box(found) > products.len() / 2,
            "too little was found"
        );
        #[expect(clippy::cast_precision_loss, reason = "a figure to print")]
        Ok(start.elapsed().as_secs_f64() * 1e9 / products.len() as f64)
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        without.push(once(alone)?);
        with.push(once(joined)?);
    }
    let middle = |times: Vec<f64>| median(&sorted(times.into_iter())).unwrap_or_default();
    let (base_ns, joined_ns) = (middle(without), middle(with));
    Ok(Lookups {
        base_ns,
        joined_ns,
        ratio: joined_ns / base_ns,
    })
}

/// Copies an index with its delta.
fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    let file = IndexFile::open(from)?;
    IndexFile::replace(to, file.base_bytes())?;
    let delta = file.delta_bytes().context("there is no delta to copy")?;
    Ok(IndexFile::replace_delta(to, delta)?)
}

/// A system, scanned by turns with a base and with a base and a delta that hold the same.
fn scans(args: &Common, base: &Utf8Path, joined: &Utf8Path) -> Result<Scans> {
    let system = args.work.join("nixos-system.json");
    write_file(&system, &super::scan::system(args)?)?;
    let inputs = [system.as_str()];
    let base = Program::with_index(args, base.to_owned())?;
    let joined = Program::with_index(args, joined.to_owned())?;
    let found = |program: &Program| Ok::<_, anyhow::Error>(program.findings(&inputs)?.findings());
    ensure!(
        found(&base)? == found(&joined)?,
        "a base and a delta lead to other findings than one block"
    );
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        without.push(base.scan(&inputs)?);
        with.push(joined.scan(&inputs)?);
    }
    let of = |runs: &[Measured]| Times::of(runs).context("nothing was measured");
    let (base, joined) = (of(&without)?, of(&with)?);
    Ok(Scans {
        ratio: joined.wall_ms / base.wall_ms,
        base,
        joined,
    })
}

/// Publishes the index as it is now.
fn published(work: &Utf8Path, index: &Utf8Path) -> Result<Published> {
    let file = work.join("key.secret");
    let key = if file.exists() {
        SecretFile::at(&file).key()?
    } else {
        create_key(&file, "bench-1")?
    };
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now())?;
    let day = jiff::SignedDuration::from_hours(24);
    Ok(publish(&Publish {
        index,
        triage: None,
        to: &work.join("mirror"),
        key: &key,
        next_key: None,
        now,
        expires: day * 7,
        root_expires: day * 365,
        keep: 3,
    })?)
}
