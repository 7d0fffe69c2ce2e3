//! What is told without a builder is what the real Nix says after a build.

use std::collections::{BTreeMap, BTreeSet};

use snowguard_fod::plan::Plan;
use snowguard_fod::{Fod, Verdict};

use crate::corpus::{ARCHIVES, Corpus, EACH};
use crate::support::{Place, builder, fods, job, openly};

/// What Nix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Ok,
    Mismatch,
    Failed,
}

/// Builds all, and tells of each what came of it.
fn built(corpus: &Corpus, all: &[(String, Fod)]) -> BTreeMap<String, Said> {
    let mut command = corpus.store.command("nix-store", &[]);
    command
        .args(["--realise", "--keep-going", "--max-jobs", "4"])
        .args(["--option", "download-attempts", "1"])
        .args(["--option", "sandbox", "false"])
        // Before and after each build Nix ends all that runs as its user, also what others build elsewhere.
        .args(["--option", "build-users-group", ""])
        .args(all.iter().map(|(drv, _)| drv));
    let output = command.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    // What lies there need not be whole.
    let mut command = corpus.store.command("nix-store", &[]);
    command
        .args(["--check-validity", "--print-invalid"])
        .args(all.iter().map(|(_, fod)| &*fod.output));
    let invalid = command.output().unwrap().stdout;
    let invalid = String::from_utf8(invalid).unwrap();
    let invalid: BTreeSet<&str> = invalid.lines().collect();
    let said = |(drv, fod): &(String, Fod)| {
        let mismatch = format!("hash mismatch in fixed-output derivation '{drv}'");
        let said = if log.contains(&mismatch) {
            Said::Mismatch
        } else if invalid.contains(&*fod.output) {
            Said::Failed
        } else {
            Said::Ok
        };
        (drv.clone(), said)
    };
    all.iter().map(said).collect()
}

/// Compares all verdicts with what Nix says, and that there are some of each.
fn agrees(corpus: &Corpus, way: &str) {
    corpus.instantiate();
    let all = fods(&corpus.store);
    let place = Place::private();
    let said = built(corpus, &all);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (drv, fod) in &all {
        assert_eq!(fod.plan.as_str(), way, "{}: {}", fod.name, fod.plan.why());
        let outcome = place.verify(&job(drv, fod));
        let ours = match outcome.verdict {
            Verdict::Ok => Said::Ok,
            Verdict::Mismatch => Said::Mismatch,
            Verdict::Gone | Verdict::Failed => Said::Failed,
            other => panic!("{}: {other}: {outcome:?}", fod.name),
        };
        assert_eq!(ours, said[drv], "{}: {outcome:?}", fod.name);
        assert!(matches!(fod.plan, Plan::Fetch(_)));
        *counts.entry(format!("{ours:?}")).or_default() += 1;
    }
    assert!(all.len() >= EACH, "{}", all.len());
    for said in ["Ok", "Mismatch", "Failed"] {
        assert!(counts.contains_key(said), "{said} {counts:?}");
    }
}

fn archives(end: &str) {
    let mut corpus = Corpus::new();
    let (_, pack) = ARCHIVES.iter().find(|(name, _)| *name == end).unwrap();
    corpus.archives(end, pack);
    agrees(&corpus, "unpack");
}

#[test]
fn archives_of_tar() {
    archives("tar");
}

#[test]
fn archives_of_tar_gz() {
    archives("tar.gz");
}

#[test]
fn archives_of_tar_xz() {
    archives("tar.xz");
}

#[test]
fn archives_of_tar_bz2() {
    archives("tar.bz2");
}

#[test]
fn archives_of_tar_zst() {
    archives("tar.zst");
}

#[test]
fn archives_of_zip() {
    archives("zip");
}

#[test]
fn nars() {
    let mut corpus = Corpus::new();
    corpus.nars();
    agrees(&corpus, "nar");
}

#[test]
fn repositories() {
    let mut corpus = Corpus::new();
    corpus.repositories();
    agrees(&corpus, "git");
}

#[test]
fn files() {
    let mut corpus = Corpus::new();
    corpus.files();
    corpus.instantiate();
    let all = fods(&corpus.store);
    let said = built(&corpus, &all);
    let place = Place::private();
    for (drv, fod) in &all {
        let outcome = place.verify(&job(drv, fod));
        let ours = match outcome.verdict {
            Verdict::Ok => Said::Ok,
            Verdict::Mismatch => Said::Mismatch,
            Verdict::Gone => Said::Failed,
            other => panic!("{}: {other}: {outcome:?}", fod.name),
        };
        assert_eq!(ours, said[drv], "{}: {outcome:?}", fod.name);
    }
    assert_eq!(all.len(), 4 * EACH);
}

/// As Nix says, or left to a build where these names say so; how many were told without one.
fn agrees_or_leaves(corpus: &Corpus, only_a_build: &BTreeSet<String>) -> BTreeSet<String> {
    corpus.instantiate();
    let all = fods(&corpus.store);
    let said = built(corpus, &all);
    let place = Place::private();
    let (mut left, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (drv, fod) in &all {
        assert!(matches!(fod.plan, Plan::Fetch(_)), "{}", fod.name);
        let outcome = place.verify(&job(drv, fod));
        let ours = match outcome.verdict {
            Verdict::Ok => Said::Ok,
            Verdict::Mismatch => Said::Mismatch,
            Verdict::Gone | Verdict::Failed | Verdict::Redirect => Said::Failed,
            Verdict::NeedsBuilder => {
                left.insert(fod.name.to_string());
                continue;
            }
            other => panic!("{}: {other}: {outcome:?}", fod.name),
        };
        assert_eq!(ours, said[drv], "{}: {outcome:?}", fod.name);
        seen.insert(format!("{ours:?}"));
    }
    assert_eq!(&left, only_a_build);
    seen
}

#[test]
fn answers_of_all_kinds() {
    let mut corpus = Corpus::new();
    let only_a_build = corpus.answers();
    let seen = agrees_or_leaves(&corpus, &only_a_build);
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn archives_that_are_odd() {
    let mut corpus = Corpus::new();
    let only_a_build = corpus.odd_archives();
    let seen = agrees_or_leaves(&corpus, &only_a_build);
    assert_eq!(seen, BTreeSet::from(["Failed".to_owned(), "Ok".to_owned()]));
}

#[test]
fn a_build_is_told_as_nix_tells_it() {
    let mut corpus = Corpus::new();
    corpus.programs();
    corpus.instantiate();
    let all = fods(&corpus.store);
    let place = Place::private();
    let openly = openly(&corpus.store);
    let nix = builder(&corpus.store, &openly);
    // Nothing is there yet, so it is built; then all is, and it is checked.
    for round in 0..2 {
        for (at, (drv, fod)) in all.iter().enumerate() {
            let job = job(drv, fod);
            if round == 0 && at == 0 {
                assert_eq!(place.verify(&job).verdict, Verdict::NeedsBuilder);
            }
            let outcome = place.verifier(Some(&nix), None).verify(&job).unwrap();
            let n: usize = fod.name.rsplit('-').next().unwrap().parse().unwrap();
            let expected = match (n % 3 != 1, n % 7 != 6) {
                (_, false) => Verdict::Failed,
                (true, true) => Verdict::Ok,
                (false, true) => Verdict::Mismatch,
            };
            assert_eq!(outcome.verdict, expected, "{} {outcome:?}", fod.name);
        }
    }
    // What is in the store is checked against what comes now.
    let (drv, fod) = all
        .iter()
        .find(|(_, fod)| &*fod.name == "program-0")
        .unwrap();
    corpus.web.put("/programs/0", "another");
    let outcome = place
        .verifier(Some(&nix), None)
        .verify(&job(drv, fod))
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Mismatch, "{outcome:?}");
    let mut missing = openly.clone();
    missing.nix.program = "/nowhere/nix-store".into();
    let outcome = place
        .verifier(Some(&builder(&corpus.store, &missing)), None)
        .verify(&job(drv, fod))
        .unwrap();
    assert_eq!(outcome.reason, "Nix is not installed here");
}
