//! What goes into an index comes out of it, in the same bytes every time.

use proptest::prelude::*;
use snowguard_advisory::identity::{Name, PackageKey, Product, RepoKey};
use snowguard_advisory::index::{Builder, Index, Key, ProductView, SourceKind};
use snowguard_advisory::order::Scheme;
use snowguard_advisory::range::{Lower, Rule, Span, Status, Upper};
use snowguard_advisory::record::{Affected, Commit, Platform, Record};
use snowguard_advisory::severity::{Epss, Exploitation, Exploited, Rating, Severity, Ssvc};

fn text(pattern: &'static str) -> impl Strategy<Value = Box<str>> {
    pattern.prop_map(Into::into)
}

fn rule() -> impl Strategy<Value = Rule<Box<str>>> {
    let version = || text("[0-9]{1,2}(\\.[0-9a-z]{1,3}){0,3}");
    let lower = prop_oneof![
        Just(Lower::Start),
        version().prop_map(Lower::From),
        version().prop_map(Lower::After)
    ];
    let upper = prop_oneof![
        Just(Upper::Open),
        version().prop_map(Upper::Before),
        version().prop_map(Upper::UpTo),
        version().prop_map(Upper::Within)
    ];
    let span = prop_oneof![
        version().prop_map(Span::Exact),
        text("[ -~é]{1,30}").prop_map(Span::Text),
        (lower, upper).prop_map(|(lower, upper)| Span::Between(lower, upper)),
    ];
    let status = prop_oneof![
        Just(Status::Affected),
        Just(Status::Unaffected),
        Just(Status::Unknown)
    ];
    (status, span).prop_map(|(status, span)| Rule { status, span })
}

fn product() -> impl Strategy<Value = Product> {
    prop_oneof![
        ("[a-z]{1,8}", proptest::option::of("[a-z]{1,8}")).prop_filter_map(
            "a name",
            |(name, vendor)| Product::from_vendor_product(vendor.as_deref(), &name)
        ),
        "[a-z]{1,8}".prop_filter_map("a package", |name| Some(Product::Package(
            PackageKey::new("pypi", &name).ok()?
        ))),
        "[a-z]{1,8}".prop_filter_map("a repository", |name| {
            RepoKey::from_url(&format!("https://github.com/x/{name}")).map(Product::Repository)
        }),
        "[a-z]{1,8}".prop_filter_map("a CPE", |name| {
            Product::from_cpe(
                &format!("cpe:2.3:o:{name}:kernel:*:*:*:*:*:wordpress:*:*")
                    .parse()
                    .ok()?,
            )
        }),
    ]
}

fn affected() -> impl Strategy<Value = Affected> {
    let products = || proptest::collection::vec(product(), 1..4);
    let platforms =
        || proptest::collection::btree_set(proptest::sample::select(&Platform::ALL[..]), 0..3);
    let scheme = proptest::sample::select(
        &[
            Scheme::Release,
            Scheme::Semver,
            Scheme::Pep440,
            Scheme::Distribution,
            Scheme::Git,
        ][..],
    );
    let default =
        proptest::sample::select(&[Status::Affected, Status::Unaffected, Status::Unknown][..]);
    (
        products(),
        proptest::option::of(text("[a-zA-Z-]{1,10}")),
        any::<bool>(),
        scheme,
        default,
        proptest::collection::vec(rule(), 0..6),
        platforms(),
        platforms(),
        proptest::collection::vec(product(), 0..2),
    )
        .prop_map(
            |(products, by, upstream, scheme, default, rules, platforms, prose, only_with)| {
                Affected {
                    products,
                    by,
                    upstream,
                    scheme,
                    default,
                    rules,
                    platforms: platforms.into_iter().collect(),
                    prose_platforms: prose.into_iter().collect(),
                    only_with,
                }
            },
        )
}

fn record() -> impl Strategy<Value = Record> {
    let id = prop_oneof![
        "CVE-20[0-2][0-9]-[0-9]{4,6}",
        "GHSA-[a-z]{4}-[a-z]{4}-[a-z]{4}",
        "PYSEC-20[0-2][0-9]-[0-9]{1,3}"
    ];
    let date = (1980_i16..2040, 1_i8..13, 1_i8..29)
        .prop_map(|(year, month, day)| jiff::civil::date(year, month, day));
    (
        id,
        proptest::option::of(date.clone()),
        proptest::option::of("[ -~é🦀]{1,60}"),
        proptest::collection::vec(affected(), 0..4),
        proptest::collection::btree_set(any::<[u8; 20]>().prop_map(Commit::from_bytes), 0..3),
        proptest::option::of(date),
    )
        .prop_filter_map(
            "a record",
            |(id, modified, summary, affects, fixes, since)| {
                let mut record = Record::new(id.parse().ok()?);
                record.modified = modified;
                record.summary = summary;
                record.affects = affects;
                record.fixes = fixes.into_iter().collect();
                record.severities = vec![
                    Severity::Vector(
                        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
                            .parse()
                            .ok()?,
                    ),
                    Severity::Word(Rating::Medium),
                ];
                record.exploited = since.map(|since| Exploited {
                    since,
                    due: None,
                    ransomware: true,
                });
                record.epss = Some(Epss {
                    probability: 0.25,
                    percentile: 0.5,
                    date: None,
                });
                record.ssvc = Some(Ssvc {
                    exploitation: Exploitation::Poc,
                    automatable: Some(false),
                    total_impact: None,
                });
                Some(record)
            },
        )
}

fn built(records: &[Record]) -> Vec<u8> {
    let mut builder = Builder::new();
    for record in records {
        builder.add("source", SourceKind::Osv, record.clone());
    }
    builder.finish().bytes
}

fn as_view(product: &Product) -> ProductView<'_> {
    match product {
        Product::Package(key) => ProductView::Package(key.as_str()),
        Product::Repository(key) => ProductView::Repository(key.as_str()),
        Product::Named(named) => ProductView::Named {
            name: named.name.as_str(),
            vendor: named.vendor.as_ref().map(Name::as_str),
            part: named.part,
            target_software: named.target_software.as_ref().map(Name::as_str),
        },
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(records in proptest::collection::vec(record(), 1..6)) {
        let bytes = built(&records);
        let index = Index::open(&bytes).unwrap();
        for record in &records {
            let Some(id) = index.find(record.id.as_str()).unwrap() else {
                // Nothing is known of it but scores.
                prop_assert!(record.affects.is_empty() && record.exploited.is_none());
                continue;
            };
            let view = index.vulnerability(id).unwrap();
            prop_assert_eq!(view.id, record.id.as_str());
            prop_assert_eq!(index.id_of(id).unwrap(), view.id);
            for fix in &record.fixes {
                prop_assert!(view.fixes.contains(fix));
            }
            if let Some(exploited) = record.exploited {
                prop_assert!(view.exploited.is_some_and(|e| e.ransomware == exploited.ransomware));
            }
            let severity = view.severity().unwrap();
            prop_assert_eq!(severity.score().unwrap().to_string(), "9.8");
            for affected in &record.affects {
                let same = view.entries.iter().any(|entry| {
                    let entry = index.entry(*entry).unwrap();
                    entry.products.clone().eq(affected.products.iter().map(as_view))
                        && entry.only_with.clone().eq(affected.only_with.iter().map(as_view))
                        && entry.rules.clone().eq(affected.rules.iter().map(Rule::borrowed))
                        && entry.by == affected.by.as_deref()
                        && (entry.upstream, entry.scheme, entry.default) == (affected.upstream, affected.scheme, affected.default)
                        && entry.platforms == affected.platforms.iter().copied().collect()
                        && entry.prose_platforms == affected.prose_platforms.iter().copied().collect()
                        && entry.vulnerabilities.clone().eq([id])
                });
                prop_assert!(same, "{:?}", affected);
                for product in &affected.products {
                    let entries: Vec<_> = index.lookup(Key::of(product)).unwrap().collect();
                    prop_assert!(entries.iter().any(|entry| view.entries.contains(entry)));
                }
            }
        }
    }

    #[test]
    fn the_order_of_records_does_not_matter(records in proptest::collection::vec(record(), 1..6)) {
        let mut unique = records;
        unique.sort_by(|a, b| a.id.cmp(&b.id));
        unique.dedup_by(|a, b| a.id == b.id);
        let forward = built(&unique);
        unique.reverse();
        prop_assert_eq!(forward, built(&unique));
    }

    #[test]
    fn damaged_bytes_never_panic(records in proptest::collection::vec(record(), 1..3), at: prop::sample::Index, byte: u8) {
        let mut bytes = built(&records);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(index) = Index::open(&bytes) {
            for id in index.vulnerabilities() {
                let _ = index.vulnerability(id);
            }
        }
    }
}

#[test]
fn a_record_with_two_cves_is_filed_under_both() {
    let mut record = Record::new("RUSTSEC-2023-0061".parse().unwrap());
    record.aliases = vec![
        "CVE-2023-4863".parse().unwrap(),
        "CVE-2023-5129".parse().unwrap(),
        "GHSA-j7hp-h8jx-5ppr".parse().unwrap(),
    ];
    record.affects = vec![Affected {
        products: vec!["pkg:cargo/libwebp-sys".parse().unwrap()],
        ..Affected::default()
    }];
    let bytes = built(&[record]);
    let index = Index::open(&bytes).unwrap();
    assert_eq!(index.vulnerability_count(), 2);
    let key = PackageKey::new("cargo", "libwebp-sys").unwrap();
    let entries: Vec<_> = index.lookup(Key::Package(&key)).unwrap().collect();
    assert_eq!(entries.len(), 1);
    let vulnerabilities = index.entry(entries[0]).unwrap().vulnerabilities;
    let ids: Vec<&str> = vulnerabilities.map(|id| index.id_of(id).unwrap()).collect();
    assert_eq!(ids, ["CVE-2023-4863", "CVE-2023-5129"]);
}

#[test]
fn names_without_a_cve_are_brought_together_by_their_aliases() {
    let about = |name: &str| Affected {
        products: vec![name.parse().unwrap()],
        ..Affected::default()
    };
    let mut one = Record::new("PYSEC-2024-1".parse().unwrap());
    one.aliases = vec!["GHSA-aaaa-bbbb-cccc".parse().unwrap()];
    one.affects = vec![about("pkg:pypi/a")];
    let mut other = Record::new("GHSA-aaaa-bbbb-cccc".parse().unwrap());
    other.affects = vec![about("pkg:pypi/b")];
    let bytes = built(&[one, other]);
    let index = Index::open(&bytes).unwrap();
    assert_eq!(index.vulnerability_count(), 1);
    assert_eq!(
        index.find("PYSEC-2024-1").unwrap(),
        index.find("GHSA-aaaa-bbbb-cccc").unwrap()
    );
    assert_eq!(
        index.ids_beginning_with("PYSEC-", 9).unwrap(),
        ["PYSEC-2024-1"]
    );
}

#[test]
fn withdrawn_records_have_no_say_and_scores_alone_no_place() {
    let affects = vec![Affected {
        products: vec![":x".parse().unwrap()],
        ..Affected::default()
    }];
    let mut withdrawn = Record::new("CVE-2020-1111".parse().unwrap());
    withdrawn.withdrawn = true;
    withdrawn.affects.clone_from(&affects);
    let mut scored = Record::new("CVE-2020-2222".parse().unwrap());
    scored.epss = Some(Epss {
        probability: 0.1,
        percentile: 0.2,
        date: None,
    });
    let bytes = built(&[withdrawn, scored]);
    let index = Index::open(&bytes).unwrap();
    assert_eq!(index.find("CVE-2020-2222").unwrap(), None);
    let id = index.find("CVE-2020-1111").unwrap().unwrap();
    let view = index.vulnerability(id).unwrap();
    assert!(view.withdrawn && view.entries.is_empty());
}
