//! Package sets: what is taken, what comes back, and what is refused.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail where they cannot go on"
)]

use std::collections::BTreeMap;

use jiff::Timestamp;
use snowguard_db::evaluations::{
    Evaluations, MaintainerKind, NewAttribute, NewEvaluation, NewFact, NewPackage, Outcome, Poll,
    Set, Shrinking, paths,
};
use snowguard_db::people::{GitHubUser, People as _};
use snowguard_db::search::{Found, Search as _};
use snowguard_db::{Database, DbError, Session};
use snowguard_inventory::Fact;
use snowguard_inventory::fact::Team;
use snowguard_testkit::on_both_engines;

/// A time that goes up with a number.
fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + number * 86_400).unwrap()
}

fn hash(seed: &str) -> String {
    let digest = Fact::digest(seed.as_bytes());
    snowguard_store::nix32::encode(&digest)
}

/// An attribute in a version, as built in some round.
fn attribute(path: &str, version: &str, round: u32, maintainers: &[&str]) -> NewAttribute {
    let package = path.rsplit('.').next().unwrap();
    let name = format!("{package}-{version}");
    let fact = Fact {
        description: Some(format!("{package} of {}", maintainers.join(", ")).into()),
        maintainers: maintainers.iter().map(|name| (*name).into()).collect(),
        teams: vec![Team {
            name: "Everyone".into(),
            github: Some("everyone".into()),
        }],
        ..Fact::default()
    };
    let json = fact.encode();
    let drv = format!(
        "/nix/store/{}-{name}.drv",
        hash(&format!("{name} drv {round}"))
    );
    let out = format!("/nix/store/{}-{name}", hash(&format!("{name} out {round}")));
    NewAttribute {
        path: path.into(),
        package: NewPackage {
            key: package.into(),
            name: package.into(),
            language: None,
        },
        drv: paths::pack_drv(&name, &drv).map(Into::into),
        outputs: paths::pack_outputs(&name, &[("out".into(), Some(out.into()))]).map(Into::into),
        name: name.into(),
        version: version.into(),
        fact: NewFact {
            digest: Fact::digest(&json),
            json: json.into(),
        },
    }
}

fn new<'e>(
    channel: i64,
    number: i64,
    revision: &'e str,
    attributes: &'e [NewAttribute],
) -> NewEvaluation<'e> {
    NewEvaluation {
        channel,
        revision,
        evaluated_at: day(number),
        ingested_at: day(number + 1),
        attributes,
        failures: &[],
        shrinking: Shrinking::Taken,
    }
}

fn channel(db: &Database, name: &str) -> i64 {
    db.write(|session| session.add_channel(name, None))
        .unwrap()
        .id
}

fn take(db: &Database, evaluation: &NewEvaluation<'_>) -> Outcome {
    db.write(|session| session.ingest(evaluation)).unwrap()
}

fn taken(db: &Database, evaluation: &NewEvaluation<'_>) -> i64 {
    match take(db, evaluation) {
        Outcome::Taken(taken) => taken.evaluation,
        other => panic!("{other:?}"),
    }
}

/// What an evaluation said, by attribute path.
fn said(db: &Database, evaluation: i64) -> Option<Set> {
    db.read(|session| session.set_of(evaluation)).unwrap()
}

fn package(session: &mut dyn Session, key: &str) -> Result<i64, DbError> {
    let rows = session.query("SELECT id FROM package WHERE key = $1", &[key.into()])?;
    rows.first().expect("a package").get(0)
}

on_both_engines! {
    fn a_second_evaluation_is_told_by_what_is_otherwise(db) {
        let channel = channel(db, "unstable");
        let first = [
            attribute("gone", "1", 1, &["one"]),
            attribute("openssl", "1.1.1g", 1, &["one", "Two"]),
            attribute("openssl_1_0", "1.0.2u", 1, &["one"]),
            attribute("same", "3", 1, &[]),
        ];
        let Outcome::Taken(one) = take(db, &new(channel, 1, "a", &first)) else { panic!() };
        assert_eq!((one.attributes, one.added, one.removed, one.changed, one.rebuilt), (4, 4, 0, 0, 0));
        assert_eq!(one.touched.len(), 4);
        let mut second = [
            attribute("new", "1", 2, &["three"]),
            attribute("openssl", "1.1.1h", 2, &["two"]),
            attribute("openssl_1_0", "1.0.2u", 2, &["one"]),
            attribute("same", "3", 1, &[]),
        ];
        second[2].package.key = "openssl".into();
        let Outcome::Taken(two) = take(db, &new(channel, 2, "b", &second)) else { panic!() };
        assert_eq!((two.attributes, two.added, two.removed, two.changed, two.rebuilt), (4, 1, 1, 1, 2));
        db.read(|session| {
            let openssl = package(session, "openssl")?;
            let gone = package(session, "gone")?;
            let old = package(session, "openssl_1_0")?;
            let mut touched = vec![openssl, gone, old, package(session, "new")?];
            touched.sort_unstable();
            assert_eq!(two.touched, touched);
            let versions: Vec<_> = session.versions_of(openssl, 10)?.into_iter().map(|row| {
                (row.path, row.version, row.first.0 == two.evaluation, row.last.map(|last| last.0 == one.evaluation))
            }).collect();
            assert_eq!(versions, [
                ("openssl".to_owned(), "1.1.1h".to_owned(), true, None),
                ("openssl".to_owned(), "1.1.1g".to_owned(), false, Some(true)),
                ("openssl_1_0".to_owned(), "1.0.2u".to_owned(), true, None),
            ]);
            let heads = session.heads_of(openssl)?;
            assert_eq!(heads.iter().map(|row| &*row.path).collect::<Vec<_>>(), ["openssl", "openssl_1_0"]);
            assert!(heads[0].drv_path().unwrap().ends_with("-openssl-1.1.1h.drv"));
            assert!(heads[0].output_paths()[0].1.as_deref().unwrap().ends_with("-openssl-1.1.1h"));
            assert_eq!(session.head(channel, None)?.len(), 4);
            assert_eq!(session.head(channel, Some(&[openssl]))?, heads);
            let facts = session.facts(&[heads[0].fact])?;
            assert_eq!(facts[&heads[0].fact].maintainers, [Box::from("two")]);
            let people = |session: &mut dyn Session, package| -> Result<Vec<String>, DbError> {
                Ok(session.maintainers_of(package)?.into_iter().map(|who| who.name).collect())
            };
            assert_eq!(people(session, openssl)?, ["Everyone", "one", "Two"]);
            assert_eq!(people(session, gone)?, Vec::<String>::new());
            assert_eq!(people(session, old)?, Vec::<String>::new());
            // Two and two are one: names at GitHub have no case.
            let two = session.maintainer(MaintainerKind::Person, "TWO")?.unwrap();
            assert_eq!(session.maintained_by(two.id, 0, 10)?, [(openssl, "openssl".to_owned())]);
            let team = session.maintainer(MaintainerKind::Team, "everyone")?.unwrap();
            assert_eq!(team.github.as_deref(), Some("everyone"));
            assert_eq!(session.maintained_by(team.id, 0, 10)?.len(), 3);
            assert_eq!(session.maintainer(MaintainerKind::Person, "everyone")?, None);
            Ok(())
        }).unwrap();
        let evaluations = db.read(|session| session.evaluations(channel, None, 10)).unwrap();
        assert_eq!(evaluations.iter().map(|e| &*e.revision).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(evaluations[0].parent, Some(one.evaluation));
        let older = db.read(|session| session.evaluations(channel, Some(two.evaluation), 10)).unwrap();
        assert_eq!(older.iter().map(|e| e.id).collect::<Vec<_>>(), [one.evaluation]);
        let since = db.read(|session| session.evaluations_since(channel, day(2), 10)).unwrap();
        assert_eq!(since.iter().map(|e| e.id).collect::<Vec<_>>(), [two.evaluation]);
    }

    fn an_evaluation_is_taken_once_and_in_order(db) {
        let channel = channel(db, "unstable");
        let attributes = [attribute("a", "1", 1, &[])];
        let first = taken(db, &new(channel, 5, "a", &attributes));
        let known = [attribute("a", "2", 1, &[])];
        assert_eq!(take(db, &new(channel, 6, "a", &known)), Outcome::Known(first));
        let older = take(db, &new(channel, 4, "b", &known));
        assert_eq!(older, Outcome::Older { head: first, evaluated_at: day(5) });
        assert_eq!(take(db, &new(channel, 6, "c", &[])), Outcome::Empty);
        let second = taken(db, &new(channel, 5, "d", &known));
        assert_eq!(db.read(|session| session.channel("unstable")).unwrap().unwrap().head, Some(second));
        let missing = db.write(|session| session.ingest(&new(99, 1, "a", &attributes)));
        assert!(missing.unwrap_err().to_string().contains("channel 99"));
    }

    fn what_was_cut_off_is_not_taken(db) {
        let channel = channel(db, "unstable");
        let all: Vec<_> = (0..10).map(|n| attribute(&format!("p{n}"), "1", 1, &[])).collect();
        taken(db, &new(channel, 1, "a", &all));
        let cut = NewEvaluation { shrinking: Shrinking::Refused, ..new(channel, 2, "b", &all[..7]) };
        assert_eq!(take(db, &cut), Outcome::Shrunk { head: 10, missing: 3 });
        let less = NewEvaluation { shrinking: Shrinking::Refused, ..new(channel, 2, "b", &all[..8]) };
        taken(db, &less);
    }

    fn every_evaluation_comes_back_as_it_was(db) {
        let channels = [channel(db, "stable"), channel(db, "unstable")];
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut told: BTreeMap<i64, Set> = BTreeMap::new();
        let mut sets: [BTreeMap<String, (u64, u32)>; 2] = Default::default();
        for number in 0_i64..24 {
            let which = usize::try_from(number % 2).unwrap();
            let set = &mut sets[which];
            for _ in 0..6 {
                let path = format!("set.p{}", next(30));
                match next(4) {
                    0 => { set.remove(&path); }
                    1 => { set.insert(path, (next(5), 0)); }
                    2 => { if let Some(held) = set.get_mut(&path) { held.1 += 1; } }
                    _ => { if let Some(held) = set.get_mut(&path) { held.0 += 1; } }
                }
            }
            if number % 7 == 0 {
                for held in set.values_mut() { held.1 += 1; }
            }
            set.insert("always".to_owned(), (1, 0));
            let attributes: Vec<_> = set.iter().map(|(path, (version, round))| {
                attribute(path, &version.to_string(), *round, if version % 2 == 0 { &["even"] } else { &["odd"] })
            }).collect();
            let revision = format!("r{number}");
            let id = taken(db, &new(channels[which], number, &revision, &attributes));
            let set = said(db, id).unwrap();
            assert_eq!(set.len(), attributes.len());
            told.insert(id, set);
        }
        for (id, set) in &told {
            assert_eq!(said(db, *id).as_ref(), Some(set), "{id}");
        }
        // The rows of versions say the same as the sets.
        db.read(|session| {
            let sql = "SELECT attribute, version FROM version WHERE channel = $1 AND first <= $2 \
                       AND (last IS NULL OR last >= $2)";
            for (id, set) in &told {
                let evaluation = session.evaluation(*id)?.unwrap();
                let rows = session.query(sql, &[evaluation.channel.into(), (*id).into()])?;
                let by_rows: BTreeMap<i64, String> = rows.map(|row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
                let by_set: BTreeMap<i64, String> = set.iter().map(|(id, held)| (*id, held.version.to_string())).collect();
                assert_eq!(by_rows, by_set, "{id}");
            }
            Ok(())
        }).unwrap();
        let problems = |db: &Database| db.read(|session| snowguard_db::fsck::rows(session)).unwrap();
        assert_eq!(problems(db), []);
        // What is forgotten is gone, and what is not stays.
        let middle = *told.keys().nth(12).unwrap();
        let forgotten = db.write(|session| session.forget_before(middle)).unwrap();
        assert!(forgotten > 0);
        assert_eq!(said(db, middle).as_ref(), Some(&told[&middle]));
        assert_eq!(said(db, *told.keys().next().unwrap()), None);
        assert_eq!(said(db, 1_000_000), None);
        let newest = *told.keys().last().unwrap();
        assert_eq!(said(db, newest).as_ref(), Some(&told[&newest]));
        assert_eq!(problems(db), []);
        // A head that was changed by other hands is no longer what the deltas lead back from.
        db.write(|session| session.execute("UPDATE head SET name = 'another'", &[])).unwrap();
        let found = problems(db);
        assert_eq!(found[0].check, "deltas-lead-back");
        assert!(found[0].examples[0].contains("does not belong to this evaluation"), "{found:?}");
    }

    fn an_attribute_is_the_package_that_was_said_last(db) {
        let channels = [channel(db, "stable"), channel(db, "unstable")];
        let one = [attribute("nodejs", "20", 1, &[])];
        let mut other = one.clone();
        other[0].package = NewPackage { key: "node".into(), name: "node".into(), language: None };
        let of = |db: &Database| -> String {
            let sql = "SELECT p.key FROM attribute a JOIN package p ON p.id = a.package WHERE a.path = 'nodejs'";
            db.read(|session| session.query(sql, &[])?.first().unwrap().get(0)).unwrap()
        };
        taken(db, &new(channels[0], 1, "a", &one));
        assert_eq!(of(db), "nodejs");
        taken(db, &new(channels[1], 1, "a", &other));
        assert_eq!(of(db), "node");
        taken(db, &new(channels[1], 2, "b", &one));
        assert_eq!(of(db), "nodejs");
        assert_eq!(db.read(|session| snowguard_db::fsck::rows(session)).unwrap(), []);
        let rows = db.read(|session| {
            let node = package(session, "node")?;
            session.versions_of(node, 10)
        }).unwrap();
        assert_eq!(rows.iter().map(|row| row.last.is_some()).collect::<Vec<_>>(), [true]);
    }

    fn packages_are_found_by_words_of_their_descriptions(db) {
        let channel = channel(db, "unstable");
        let found = |word: &str| -> Vec<String> {
            let hits = db.read(|session| session.search(word, &Found::ALL, None, 10)).unwrap();
            hits.into_iter().map(|hit| hit.name).collect()
        };
        taken(db, &new(channel, 1, "a", &[attribute("app", "1", 1, &["zebra"]), attribute("b", "1", 1, &[])]));
        assert_eq!(found("of zebra"), ["app"]);
        taken(db, &new(channel, 2, "b", &[attribute("b", "1", 1, &[])]));
        assert_eq!(found("of zebra"), Vec::<String>::new());
    }

    fn channels_are_ordered_ended_and_dropped(db) {
        let names = |db: &Database| -> Vec<String> {
            let channels = db.read(|session| session.channels()).unwrap();
            assert_eq!(channels.iter().map(|channel| channel.position).collect::<Vec<_>>(), (0..).take(channels.len()).collect::<Vec<_>>());
            channels.into_iter().map(|channel| channel.name).collect()
        };
        let ids: Vec<i64> = ["a", "b", "c"].iter().map(|name| channel(db, name)).collect();
        assert_eq!(channel(db, "b"), ids[1]);
        db.write(|session| session.order_channels(&["c", "unknown", "a"])).unwrap();
        assert_eq!(names(db), ["c", "a", "b"]);
        db.write(|session| session.follow_channel(ids[0], false)).unwrap();
        let ended = db.read(|session| session.channel("a")).unwrap().unwrap();
        assert!(!ended.is_followed);
        let poll = Poll { at: day(1), trouble: Some("it is not there".to_owned()), etag: Some("\"x\"".to_owned()), last_modified: None };
        db.write(|session| {
            session.set_channel_source(ids[1], Some("https://channels.example/b"))?;
            session.note_poll(ids[1], &poll)
        }).unwrap();
        let noted = db.read(|session| session.channel("b")).unwrap().unwrap();
        assert_eq!((noted.poll, noted.source.as_deref()), (Some(poll), Some("https://channels.example/b")));
        let attributes = [attribute("a", "1", 1, &["one"]), attribute("b", "1", 1, &["one"])];
        taken(db, &new(ids[0], 1, "a", &attributes));
        taken(db, &new(ids[0], 2, "b", &attributes[..1]));
        let left = taken(db, &new(ids[1], 2, "b", &attributes[1..]));
        db.write(|session| session.drop_channel(ids[0])).unwrap();
        // Positions need not be without gaps.
        let channels = db.read(|session| session.channels()).unwrap();
        assert_eq!(channels.iter().map(|channel| &*channel.name).collect::<Vec<_>>(), ["c", "b"]);
        assert_eq!(said(db, left).unwrap().len(), 1);
        db.read(|session| {
            let one = session.maintainer(MaintainerKind::Person, "one")?.unwrap();
            assert_eq!(session.maintained_by(one.id, 0, 10)?.len(), 1);
            for table in ["evaluation", "head", "version"] {
                let sql = format!("SELECT count(*) FROM {table} WHERE channel = $1");
                let count: i64 = session.query(&sql, &[ids[0].into()])?.first().unwrap().get(0)?;
                assert_eq!(count, 0, "{table}");
            }
            Ok(())
        }).unwrap();
    }

    fn what_fails_is_known_of_the_newest(db) {
        let channel = channel(db, "unstable");
        let attributes = [attribute("a", "1", 1, &[])];
        let failures = [("b".into(), "it is broken".into()), ("".into(), "line 3 is none".into())];
        let first = taken(db, &NewEvaluation { failures: &failures, ..new(channel, 1, "a", &attributes) });
        let told = db.read(|session| session.failures(first)).unwrap();
        assert_eq!((&*told[0].attribute, &*told[1].error), ("b", "line 3 is none"));
        let second = taken(db, &new(channel, 2, "b", &attributes));
        for id in [first, second] {
            assert_eq!(db.read(|session| session.failures(id)).unwrap(), []);
        }
        assert_eq!(db.read(|session| session.evaluation(first)).unwrap().unwrap().failed, 2);
    }

    fn who_came_by_a_maintainers_name_is_not_the_one_whose_number_is_told(db) {
        let channel = channel(db, "unstable");
        taken(db, &new(channel, 1, "a", &[attribute("a", "1", 1, &["one"])]));
        let sign_in = |id, login| {
            db.write(|session| session.sign_in(GitHubUser { id, login }, day(1))).unwrap().unwrap()
        };
        let acts = |account| db.read(|session| session.account(account)).unwrap().unwrap().maintainer.is_some();
        let taker = sign_in(99, "one");
        assert!(taker.maintainer.is_some(), "nobody says otherwise");
        let told = |path, number, round, id: i64| {
            let mut attribute = attribute(path, number, round, &["one"]);
            let mut fact = Fact::decode(&attribute.fact.json).unwrap();
            fact.github_ids.insert("one".into(), id);
            let json = fact.encode();
            attribute.fact = NewFact { digest: Fact::digest(&json), json: json.into() };
            attribute
        };
        taken(db, &new(channel, 2, "b", &[told("a", "1", 1, 11)]));
        assert!(!acts(taker.id), "the package set does");
        assert!(sign_in(11, "renamed").maintainer.is_some());
        // Two that say different things at once change nothing.
        taken(db, &new(channel, 3, "c", &[told("a", "2", 2, 12), told("b", "2", 2, 13)]));
        assert!(sign_in(11, "renamed").maintainer.is_some());
        assert!(sign_in(12, "one").maintainer.is_none());
    }

    fn nothing_that_is_asked_reads_a_table_to_its_end(db) {
        let channel = channel(db, "unstable");
        let attributes = [attribute("a", "1", 1, &["one"])];
        let id = taken(db, &new(channel, 1, "a", &attributes));
        let (watched, observed) = db.observed();
        watched.read(|session| {
            session.channel("unstable")?;
            session.evaluation(id)?;
            session.evaluations(channel, Some(id), 10)?;
            session.evaluations_since(channel, day(0), 10)?;
            session.failures(id)?;
            let head = session.heads_of(1)?;
            session.head(channel, Some(&[1]))?;
            session.facts(&[head[0].fact])?;
            session.versions_of(1, 10)?;
            session.maintainers_of(1)?;
            session.maintainer(MaintainerKind::Person, "one")?;
            session.maintained_by(1, 0, 10)
        }).unwrap();
        let changed = [attribute("a", "2", 2, &["two"]), attribute("b", "2", 2, &["two"])];
        taken(&watched, &new(channel, 2, "b", &changed));
        for seen in observed.take() {
            let scans = db.scans(&seen).unwrap();
            // There are a handful of channels, and lists of ours are no tables.
            let large: Vec<_> = scans.iter().filter(|scan| !["channel", "c", "json_each", "given"].contains(&&*scan.table)).collect();
            assert!(large.is_empty(), "{seen:?}: {large:?}");
        }
    }
}
