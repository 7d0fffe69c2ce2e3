//! The orders against what the real programs say (`tests/orders`), and as orders.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::{Scheme, Version};

/// Each line is a version, `<`, `=` or `>`, and another version.
const VECTORS: [(Scheme, &str); 7] = [
    (Scheme::Maven, include_str!("../../tests/orders/maven.txt")),
    (Scheme::Gem, include_str!("../../tests/orders/gem.txt")),
    (Scheme::Nuget, include_str!("../../tests/orders/nuget.txt")),
    (
        Scheme::Composer,
        include_str!("../../tests/orders/composer.txt"),
    ),
    (
        Scheme::Haskell,
        include_str!("../../tests/orders/haskell.txt"),
    ),
    (Scheme::R, include_str!("../../tests/orders/r.txt")),
    (Scheme::Opam, include_str!("../../tests/orders/opam.txt")),
];

#[test]
fn orders_agree_with_the_real_programs() {
    for (scheme, vectors) in VECTORS {
        let mut wrong = Vec::new();
        let mut count = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (Some(a), Some(sign), Some(b)) = (words.next(), words.next(), words.next()) else {
                panic!("no vector: {line}");
            };
            let expected = match sign {
                "<" => Some(Ordering::Less),
                "=" => Some(Ordering::Equal),
                ">" => Some(Ordering::Greater),
                "?" => None,
                _ => panic!("no vector: {line}"),
            };
            count += 1;
            let ours = scheme.compare(a, b);
            if ours != expected || scheme.compare(b, a) != expected.map(Ordering::reverse) {
                wrong.push(format!("{line}: {ours:?}"));
            }
        }
        assert!(count > 25, "{scheme:?} has only {count} vectors");
        assert!(wrong.is_empty(), "{scheme:?}: {wrong:#?}");
    }
}

#[test]
fn ecosystems_decide_what_nix_reads_otherwise() {
    let cmp = |scheme, a, b| Version::new(a).compare(b, scheme);
    use Ordering::{Equal, Greater, Less};
    assert_eq!(cmp(Scheme::Maven, "2.0-rc1", "2.0"), Ok(Less));
    assert_eq!(cmp(Scheme::Maven, "5.3.18.RELEASE", "5.3.18"), Ok(Equal));
    assert_eq!(cmp(Scheme::Gem, "7.0.0.rc2", "7.0.0"), Ok(Less));
    assert_eq!(cmp(Scheme::Nuget, "1.2.3.4", "1.2.3"), Ok(Greater));
    assert_eq!(cmp(Scheme::Composer, "v5.4.0-BETA2", "5.4"), Ok(Less));
    assert_eq!(cmp(Scheme::Haskell, "2.1", "2.1.0"), Ok(Less));
    assert_eq!(cmp(Scheme::R, "1.3-10", "1.3.9"), Ok(Greater));
    assert_eq!(cmp(Scheme::Pub, "1.0.0+2", "1.0.0+10"), Ok(Less));
    assert_eq!(cmp(Scheme::Semver, "1.0.0+2", "1.0.0+10"), Ok(Equal));
    assert_eq!(cmp(Scheme::Semver, "4.0.0-rc.1", "4.0.0"), Ok(Less));
    assert_eq!(cmp(Scheme::Pep440, "2.0b1", "2.0"), Ok(Less));
    // A patch level of a package set reads as a version before the release.
    assert!(cmp(Scheme::Semver, "9.8.0-p1", "9.8.0").is_err());
    // What an order cannot read is held against upstream's and Nix's.
    assert_eq!(cmp(Scheme::Composer, "dev-main", "dev-main"), Ok(Equal));
    assert!(cmp(Scheme::Haskell, "2.1-rc1", "2.1").is_err());
}

#[test]
fn sorting_takes_one_order_for_all() {
    let sorted = |scheme: Scheme, versions: &[&'static str]| {
        let mut versions = versions.to_vec();
        scheme.sort_by_version(&mut versions, |version| version);
        versions.join(" ")
    };
    assert_eq!(
        sorted(Scheme::Gem, &["1.0", "1.0.rc1", "0.9"]),
        "0.9 1.0.rc1 1.0"
    );
    // One version is no gem's: all are upstream releases then.
    assert_eq!(
        sorted(Scheme::Gem, &["1.0_1", "1.0.9", "0.9"]),
        "0.9 1.0_1 1.0.9"
    );
}

fn version() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "[0-9]{1,2}",
        1 => "0",
        2 => proptest::sample::select(vec![
            "rc", "alpha", "a", "b", "beta", "final", "sp", "snapshot", "dev", "p", "x", "foo", "RC",
        ])
        .prop_map(str::to_owned),
    ];
    let separator = proptest::sample::select(vec![".", ".", "-", "", "_", "~", "+"]);
    ("[0-9]", proptest::collection::vec((separator, part), 0..5)).prop_map(|(first, parts)| {
        parts
            .into_iter()
            .fold(first, |text, (separator, part)| text + separator + &part)
    })
}

/// Versions as people give them: numbers, then perhaps a word and its number.
fn usual_version() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec![
        "", "rc", "alpha", "a", "b", "beta", "final", "sp", "SNAPSHOT", "jre", "M", "v", "RELEASE",
    ]);
    ("[0-9](\\.[0-9]{1,2}){0,3}", "[-.]", word, "([0-9]{1,2})?").prop_map(
        |(numbers, separator, word, number)| match word {
            "" => numbers,
            word => numbers + &separator + word + &number,
        },
    )
}

fn agree(scheme: Scheme, a: &str, b: &str, c: &str) -> Result<(), TestCaseError> {
    let (Some(ab), Some(bc), Some(ac)) = (
        scheme.compare(a, b),
        scheme.compare(b, c),
        scheme.compare(a, c),
    ) else {
        return Ok(());
    };
    if ab == bc || bc.is_eq() {
        prop_assert_eq!(ac, ab, "{:?}: {} {} {}", scheme, a, b, c);
    } else if ab.is_eq() {
        prop_assert_eq!(ac, bc, "{:?}: {} {} {}", scheme, a, b, c);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_order_is_one(a in version(), b in version(), c in version()) {
        for scheme in Scheme::ALL {
            prop_assert!(matches!(scheme.compare(&a, &a), None | Some(Ordering::Equal)));
            prop_assert_eq!(scheme.compare(&a, &b), scheme.compare(&b, &a).map(Ordering::reverse));
            // What an order reads does not depend on what it is compared with.
            let reads = |text: &str| scheme.compare(text, text).is_some();
            prop_assert_eq!(scheme.compare(&a, &b).is_some(), reads(&a) && reads(&b));
            // Maven's own goes in circles here: `0_0`, `0-0.rc`, `0`.
            if scheme != Scheme::Maven {
                agree(scheme, &a, &b, &c)?;
            }
        }
    }

    #[test]
    fn usual_versions_have_one_order_everywhere(
        a in usual_version(),
        b in usual_version(),
        c in usual_version(),
    ) {
        for scheme in Scheme::ALL {
            agree(scheme, &a, &b, &c)?;
        }
    }

    #[test]
    fn no_text_is_too_much(a in "\\PC{0,40}", b in "\\PC{0,40}") {
        for scheme in Scheme::ALL {
            let _ = Version::new(&a).compare(&b, scheme);
            let _ = scheme.compare(&a, &b);
        }
    }
}
