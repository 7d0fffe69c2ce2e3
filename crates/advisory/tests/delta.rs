//! A base and a delta answer as one index of the same records does.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::identity::Product;
use snowguard_advisory::index::{
    Builder, EntryId, Index, Key, OpenError, SegmentDigest, Source, SourceKind, Touched, marks,
    reseal,
};
use snowguard_advisory::record::{Affected, Commit, Record};
use snowguard_advisory::severity::Exploited;

/// Few names, so that they meet.
const NAMES: [&str; 13] = [
    "CVE-2024-0001",
    "CVE-2024-0002",
    "CVE-2024-0003",
    "CVE-2024-0004",
    "CVE-2024-0005",
    "GHSA-aaaa-aaaa-aaaa",
    "GHSA-bbbb-bbbb-bbbb",
    "GHSA-cccc-cccc-cccc",
    "GHSA-dddd-dddd-dddd",
    "PYSEC-2024-1",
    "PYSEC-2024-2",
    "PYSEC-2024-3",
    "X-1",
];
const PRODUCTS: [&str; 4] = [":alpha", ":beta", "pkg:pypi/alpha", "pkg:cargo/gamma"];
const SOURCES: [&str; 3] = ["alpine", "middle", "zeta"];

type State = Vec<(&'static str, Record)>;

fn id() -> impl Strategy<Value = AdvisoryId> {
    proptest::sample::select(&NAMES[..]).prop_map(|name| name.parse().unwrap())
}

fn affected() -> impl Strategy<Value = Affected> {
    let products = proptest::sample::subsequence(&PRODUCTS[..], 1..3);
    (products, 1_u8..4).prop_map(|(products, version)| Affected {
        products: products.iter().map(|name| name.parse().unwrap()).collect(),
        rules: vec![serde_json::from_value(format!("<{version}").into()).unwrap()],
        ..Affected::default()
    })
}

fn record() -> impl Strategy<Value = (&'static str, Record)> {
    (
        proptest::sample::select(&SOURCES[..]),
        id(),
        proptest::collection::vec(id(), 0..3),
        proptest::collection::vec(affected(), 0..3),
        proptest::collection::vec(any::<u8>(), 0..2),
        (0_u8..8, 0_u8..4, 1_i8..29),
    )
        .prop_map(
            |(source, id, aliases, affects, fixes, (withdrawn, exploited, day))| {
                let mut record = Record::new(id);
                record.aliases = aliases;
                record.affects = affects;
                record.withdrawn = withdrawn == 0;
                record.modified = Some(jiff::civil::date(2024, 1, day));
                record.fixes = fixes
                    .into_iter()
                    .map(|byte| Commit::from_bytes([byte; 20]))
                    .collect();
                record.exploited = (exploited == 0).then_some(Exploited {
                    since: jiff::civil::date(2024, 2, day),
                    due: None,
                    ransomware: false,
                });
                (source, record)
            },
        )
}

/// Which records go, and which come.
fn change() -> impl Strategy<Value = (Vec<prop::sample::Index>, State)> {
    (
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        proptest::collection::vec(record(), 0..3),
    )
}

fn names(record: &Record) -> impl Iterator<Item = &AdvisoryId> {
    std::iter::once(&record.id).chain(&record.aliases)
}

fn is_loose(record: &Record) -> bool {
    names(record).all(|name| name.cve().is_none())
}

/// The records of the touched groups, and no others.
fn of_groups(state: &State, touched: &Touched) -> State {
    let mut wanted: BTreeSet<AdvisoryId> = touched.names().cloned().collect();
    loop {
        let more: BTreeSet<AdvisoryId> = state
            .iter()
            .filter(|(_, record)| {
                is_loose(record) && names(record).any(|name| wanted.contains(name))
            })
            .flat_map(|(_, record)| names(record).cloned())
            .collect();
        let before = wanted.len();
        wanted.extend(more);
        if wanted.len() == before {
            break;
        }
    }
    let mut records = state.clone();
    records.retain(|(_, record)| {
        marks(names(record))
            .into_iter()
            .any(|name| wanted.contains(name))
    });
    records
}

fn builder(state: &State) -> Builder {
    let mut builder = Builder::new();
    for (source, record) in state {
        builder.add(source, SourceKind::Osv, record.clone());
    }
    builder
}

fn entry(index: Index<'_>, id: EntryId) -> String {
    let entry = index.entry(id).unwrap();
    let products: Vec<_> = entry.products.clone().collect();
    let rules: Vec<_> = entry
        .rules
        .clone()
        .map(|rule| rule.span.to_string())
        .collect();
    format!(
        "{} of {}: {products:?} {rules:?}",
        entry.record, entry.source
    )
}

/// All that can be asked of an index, without the numbers in it.
fn answers(index: Index<'_>) -> Vec<String> {
    let mut told = vec![
        format!("{:?}", index.sources().unwrap()),
        format!(
            "{} {} {}",
            index.vulnerability_count(),
            index.entry_count(),
            index.key_count()
        ),
    ];
    for id in index.vulnerabilities() {
        let view = index.vulnerability(id).unwrap();
        let entries: Vec<_> = view.entries.iter().map(|id| entry(index, *id)).collect();
        assert_eq!(index.id_of(id).unwrap(), view.id);
        told.push(format!(
            "{} {:?} {:?} {:?} {:?} {:?} {:?} {entries:?} {:?}",
            view.id,
            view.aliases,
            view.withdrawn,
            view.modified,
            view.exploited,
            view.fixes,
            view.records,
            index.fixes_of(id).unwrap(),
        ));
    }
    for name in NAMES {
        let found = index.find(name).unwrap();
        told.push(format!(
            "{name} {:?}",
            found.map(|id| index.id_of(id).unwrap())
        ));
    }
    for head in ["", "CVE-", "GHSA-", "PYSEC-2024-2"] {
        for limit in [2, 50] {
            told.push(format!(
                "{:?}",
                index.ids_beginning_with(head, limit).unwrap()
            ));
        }
    }
    for product in PRODUCTS {
        let product: Product = product.parse().unwrap();
        let entries = index.lookup(Key::of(&product)).unwrap();
        let (least, most) = entries.size_hint();
        let count = entries.clone().count();
        assert!(least <= count && most.is_some_and(|most| count <= most));
        let mut pairs: Vec<String> = entries
            .flat_map(|id| {
                let entry = entry(index, id);
                index
                    .entry(id)
                    .unwrap()
                    .vulnerabilities
                    .map(move |id| format!("{entry} in {}", index.id_of(id).unwrap()))
            })
            .collect();
        pairs.sort();
        told.push(format!("{product:?} {pairs:?}"));
    }
    told
}

fn delta_of(base: &[u8], touched: &Touched, records: &State, full: &[u8]) -> Vec<u8> {
    let full = Index::open(full).unwrap();
    builder(records)
        .finish_delta(base, touched, &full.sources().unwrap())
        .unwrap()
        .bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn base_and_delta_answer_as_one(
        first in proptest::collection::vec(record(), 0..10),
        changes in proptest::collection::vec(change(), 1..4),
        with_others: bool,
    ) {
        let base = builder(&first).finish().bytes;
        let mut state = first;
        let mut touched = Touched::new();
        for (gone, come) in changes {
            for at in gone {
                if !state.is_empty() {
                    let (_, record) = state.remove(at.index(state.len()));
                    touched.note(&record);
                }
            }
            for (_, record) in &come {
                touched.note(record);
            }
            state.extend(come);
            let records = if with_others { state.clone() } else { of_groups(&state, &touched) };
            let full = builder(&state).finish().bytes;
            let delta = delta_of(&base, &touched, &records, &full);
            let joined = Index::open_with_delta(&base, &delta).unwrap();
            prop_assert_eq!(answers(joined), answers(Index::open(&full).unwrap()));
            prop_assert_eq!(SegmentDigest::of_base(&delta), SegmentDigest::of(&base));
        }
    }

    #[test]
    fn damaged_deltas_never_panic(
        first in proptest::collection::vec(record(), 1..6),
        come in proptest::collection::vec(record(), 1..4),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let base = builder(&first).finish().bytes;
        let mut touched = Touched::new();
        for (_, record) in &come {
            touched.note(record);
        }
        let full = builder(&come).finish().bytes;
        let mut delta = delta_of(&base, &touched, &come, &full);
        for (at, byte) in changes {
            let at = at.index(delta.len());
            delta[at] = byte;
        }
        reseal(&mut delta);
        if let Ok(index) = Index::open_with_delta(&base, &delta) {
            for id in index.vulnerabilities().take(1_000) {
                let _ = index.vulnerability(id);
            }
            let _ = (index.find(NAMES[0]), index.key_count(), index.sources());
        }
    }
}

fn about(id: &str, aliases: &[&str], product: &str) -> Record {
    let mut record = Record::new(id.parse().unwrap());
    record.aliases = aliases.iter().map(|alias| alias.parse().unwrap()).collect();
    record.affects = vec![Affected {
        products: vec![product.parse().unwrap()],
        ..Affected::default()
    }];
    record
}

#[test]
fn a_record_of_several_cves_does_not_drag_in_untouched_ones() {
    let shared = about(
        "RUSTSEC-2023-0061",
        &["CVE-2023-4863", "CVE-2023-5129"],
        ":webp",
    );
    let first = vec![
        ("a", shared.clone()),
        ("b", about("CVE-2023-4863", &[], ":chrome")),
    ];
    let base = builder(&first).finish().bytes;
    let new = about("CVE-2023-4863", &[], ":chromium");
    let mut touched = Touched::new();
    touched.note(&first[1].1);
    touched.note(&new);
    let state = vec![("a", shared), ("b", new)];
    let full = builder(&state).finish().bytes;
    let delta = builder(&of_groups(&state, &touched))
        .finish_delta(
            &base,
            &touched,
            &Index::open(&full).unwrap().sources().unwrap(),
        )
        .unwrap();
    assert_eq!(delta.vulnerabilities, 1);
    let joined = Index::open_with_delta(&base, &delta.bytes).unwrap();
    assert_eq!(answers(joined), answers(Index::open(&full).unwrap()));
}

#[test]
fn a_delta_knows_its_base() {
    let base = builder(&vec![("a", about("CVE-2024-0001", &[], ":x"))])
        .finish()
        .bytes;
    let other = builder(&vec![("a", about("CVE-2024-0002", &[], ":x"))])
        .finish()
        .bytes;
    let sources: [Source<'_>; 0] = [];
    let delta = Builder::new()
        .finish_delta(&base, &Touched::new(), &sources)
        .unwrap()
        .bytes;
    let error = |base, delta| match Index::open_with_delta(base, delta) {
        Ok(_) => panic!("it opens"),
        Err(error) => error,
    };
    assert_eq!(error(&other, &delta), OpenError::OtherBase);
    assert_eq!(error(&base, &other), OpenError::NotADelta);
    assert_eq!(Index::open(&delta).map(|_| ()), Err(OpenError::Delta));
    insta::assert_snapshot!(OpenError::Delta, @"this is the delta of an advisory index; the index lies beside it");
    for end in 0..delta.len() {
        assert!(Index::open_with_delta(&base, &delta[..end]).is_err());
    }
    for at in 8..delta.len() {
        let mut damaged = delta.clone();
        damaged[at] ^= 1;
        // Padding between sections is nobody's.
        if let Err(error) = Index::open_with_delta(&base, &damaged) {
            assert!(
                !matches!(error, OpenError::NotADelta | OpenError::OtherBase),
                "byte {at}: {error}"
            );
        }
    }
}
