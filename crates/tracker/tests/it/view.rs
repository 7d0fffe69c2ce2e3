//! The data of pages: what is in it, and what it costs.

use snowguard_db::{Database, Dialect, Session};
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{Request, act};
use snowguard_tracker::view::load::{self, ViewError};
use snowguard_tracker::view::{
    Bucket, EventKind, Grouping, HitKind, QueueFilter, Rating, State as Shown, Status,
};
use snowguard_triage::{Act, State};

use crate::world::{TEAM, World};

/// Two channels with packages, of which some are affected in one only.
fn world(db: &Database, packages: usize) -> World<'_> {
    let mut world = World::new(db);
    // An evaluation of a revision that is known is not taken in again.
    world.day = i64::try_from(packages).unwrap();
    let set = |version: &str| -> Vec<[String; 4]> {
        (0..packages)
            .map(|at| {
                let name = format!("pack{at}");
                [
                    name.clone(),
                    name.clone(),
                    version.to_owned(),
                    format!("https://{name}.org/"),
                ]
            })
            .collect()
    };
    for (channel, version) in [("unstable", "2.0"), ("stable", "1.0")] {
        let set = set(version);
        let set: Vec<(&str, &str, &str, &str)> = set
            .iter()
            .map(|[path, name, version, page]| (&**path, &**name, &**version, &**page))
            .collect();
        world.evaluate(channel, &set);
    }
    let records: Vec<String> = (0..packages)
        .flat_map(|at| {
            let affects = format!(
                r#""affects":[{{"products":["pack{at}:pack{at}"],"default":"unaffected","rules":["<1.5"]}}]"#
            );
            [
                format!(r#"{{"id":"CVE-2024-{at:04}","summary":"A title of {at}",{affects}}}"#),
                format!(r#"{{"id":"CVE-2025-{at:04}",{affects}}}"#),
            ]
        })
        .collect();
    world.records("cve", &records.join("\n"));
    world.settle();
    load::count(db, world.now()).unwrap();
    world
}

fn read<T>(db: &Database, mut work: impl FnMut(&mut dyn Session) -> Result<T, ViewError>) -> T {
    db.try_read(|session| work(session)).unwrap()
}

fn missing<T>(outcome: &Result<T, ViewError>) -> bool {
    matches!(outcome, Err(ViewError::NotFound { .. }))
}

/// Loads every view, and says how many statements each took; none may read a table whole.
///
/// What PostgreSQL does with a table of one page and a list of fifty keys is to read the page, whatever it
/// could do: its plans are looked at where the lists are short.
fn all(db: &Database, plans: bool) -> Vec<(&'static str, usize)> {
    let (watched, observed) = db.observed();
    let mut costs = Vec::new();
    let mut cost =
        |name: &'static str, work: &mut dyn FnMut(&mut dyn Session) -> Result<(), ViewError>| {
            watched.try_read(|session| work(session)).unwrap();
            let seen = observed.take();
            for statement in seen.iter().filter(|_| plans) {
                let scans = db.scans(statement).unwrap();
                // Channels are a handful, and the others are answers within the statement.
                let is_large = |table: &str| {
                    !matches!(table, "channel" | "found") && !table.starts_with("of_list_")
                };
                let large: Vec<_> = scans.iter().filter(|scan| is_large(&scan.table)).collect();
                assert!(
                    large.is_empty(),
                    "{name}: {} scans {large:?}",
                    statement.sql
                );
            }
            costs.push((name, seen.len()));
        };
    cost("home", &mut |s| load::home(s).map(drop));
    for (name, grouping) in [
        ("queue", Grouping::Advisory),
        ("queue by package", Grouping::Package),
    ] {
        let filter = QueueFilter {
            grouping,
            ..QueueFilter::default()
        };
        cost(name, &mut |s| load::queue(s, &filter, None).map(drop));
    }
    let narrow = QueueFilter {
        rating: Some(Rating::Unrated),
        exploited: true,
        channel: Some("stable".into()),
        assignee: Some("alice".into()),
        ..QueueFilter::default()
    };
    cost("narrow queue", &mut |s| {
        load::queue(s, &narrow, Some("5~1")).map(drop)
    });
    cost("advisory", &mut |s| {
        load::advisory(s, "CVE-2024-0000", None).map(drop)
    });
    cost("package", &mut |s| {
        load::package(s, "pack0", None).map(drop)
    });
    cost("finding", &mut |s| {
        load::finding(s, "pack0", "CVE-2024-0000").map(drop)
    });
    cost("maintainer", &mut |s| {
        load::maintainer(s, "someone", None).map(drop)
    });
    cost("channels", &mut |s| load::channels(s).map(drop));
    cost("channel", &mut |s| {
        load::channel(s, "stable", None).map(drop)
    });
    cost("activity", &mut |s| load::activity(s, None, None).map(drop));
    cost("activity of one", &mut |s| {
        load::activity(s, Some("alice"), Some("9")).map(drop)
    });
    cost("data", &mut |s| load::data(s, "0").map(drop));
    cost("issues", &mut |s| load::issues(s, None).map(drop));
    for (name, text) in [
        ("search for a name", "pack1"),
        ("search for a beginning", "p"),
        ("search for an id", "CVE-2024-0001"),
        ("search for words", "a title of"),
    ] {
        cost(name, &mut |s| load::search(s, text, None, None).map(drop));
    }
    for (name, cursor) in [("further down", "5~1"), ("at the end", "-9~1")] {
        cost(name, &mut |s| {
            let cursor = Some(cursor);
            load::advisory(s, "CVE-2024-0000", cursor)?;
            load::package(s, "pack0", cursor)?;
            load::maintainer(s, "someone", cursor)?;
            load::channel(s, "stable", cursor).map(drop)
        });
    }
    costs
}

on_both_engines! {
    fn every_page_costs_the_same_whatever_there_is(db) {
        world(db, 3);
        let few = all(db, true);
        let several = |name: &str| matches!(name, "further down" | "at the end");
        assert!(few.iter().all(|(name, count)| *count <= if several(name) { 60 } else { 20 }), "{few:?}");
        world(db, 40);
        assert_eq!(read(db, |s| load::home(s)).counts.packages, 40);
        assert_eq!(all(db, db.dialect() == Dialect::Sqlite), few);
    }

    fn an_empty_tracker_has_pages(db) {
        let home = read(db, |s| load::home(s));
        assert_eq!(home.counts.packages, 0);
        assert_eq!(home.severity.len(), 5);
        assert!(read(db, |s| load::queue(s, &QueueFilter::default(), None)).suggestions.is_empty());
        assert!(missing(&db.try_read(|s| load::package(s, "x", None))));
        assert!(missing(&db.try_read(|s| load::advisory(s, "x", None))));
        assert!(missing(&db.try_read(|s| load::finding(s, "x", "y"))));
        assert!(missing(&db.try_read(|s| load::maintainer(s, "x", None))));
        assert!(missing(&db.try_read(|s| load::channel(s, "x", None))));
        assert!(read(db, |s| load::search(s, "x%_'\" OR 1=1 --", None, None)).hits.is_empty());
    }

    fn a_finding_is_the_same_on_every_page(db) {
        let world = world(db, 3);
        let finding = read(db, |s| load::finding(s, "pack1", "CVE-2024-0001"));
        assert_eq!(finding.row.status, Status::Affected);
        assert_eq!(finding.row.fixed_in.as_deref(), Some("1.5"));
        let standing: Vec<_> = finding.row.channels.iter().map(|c| (c.channel.as_str(), c.status, c.versions.join(","))).collect();
        assert_eq!(standing, [
            ("unstable", Some(Status::Fixed), "2.0".to_owned()),
            ("stable", Some(Status::Affected), "1.0".to_owned()),
        ]);
        assert!(!finding.evidence.is_empty());
        assert_eq!(finding.row.advisory.title.as_deref(), Some("A title of 1"));
        let advisory = read(db, |s| load::advisory(s, "CVE-2024-0001", None));
        assert_eq!(advisory.findings, std::slice::from_ref(&finding.row));
        assert_eq!(advisory.records.len(), 1);
        let package = read(db, |s| load::package(s, "pack1", None));
        assert!(package.open.contains(&finding.row));
        assert_eq!(package.open.len(), 2);
        let affected: Vec<_> = package.verdicts.iter().map(|v| (v.channel.as_str(), v.affected)).collect();
        assert_eq!(affected, [("unstable", 0), ("stable", 2)]);
        assert_eq!(package.maintainers, ["someone"]);
        let home = read(db, |s| load::home(s));
        assert_eq!(home.counts.packages, 3);
        assert_eq!(home.counts.untriaged + home.counts.review, 6);
        let stable = home.channels.iter().find(|c| c.name == "stable").unwrap();
        assert_eq!((stable.affected, stable.attributes), (6, 3));
        assert_eq!(home.trend.last().unwrap().open, 6);
        let channel = read(db, |s| load::channel(s, "stable", None));
        assert!(channel.findings.contains(&finding.row));
        let maintainer = read(db, |s| load::maintainer(s, "Someone", None));
        assert_eq!((maintainer.packages, maintainer.concerned.len(), maintainer.concerned_count), (3, 3, 3));

        let request = Request { finding: finding.row.id, revision: Some(finding.row.revision), act: Act::Decide(State::Confirmed) };
        act(db, TEAM, &[request], "it is so", world.now()).unwrap();
        let finding = read(db, |s| load::finding(s, "pack1", "CVE-2024-0001"));
        assert_eq!(finding.row.state, Shown::Confirmed);
        let decision = finding.decision.unwrap();
        assert_eq!((decision.reason.as_deref(), decision.changed), (Some("it is so"), None));
        let event = &finding.events[0];
        assert_eq!((event.kind, event.before, event.after), (EventKind::Decided, Some(Shown::Untriaged), Some(Shown::Confirmed)));
        assert!(event.can_undo);
        let confirmed = QueueFilter { bucket: Bucket::Confirmed, ..QueueFilter::default() };
        let queue = read(db, |s| load::queue(s, &confirmed, None));
        assert_eq!(queue.suggestions[0].advisory.name, "CVE-2024-0001");
        let activity = read(db, |s| load::activity(s, None, None));
        assert_eq!(activity.events[0].reason.as_deref(), Some("it is so"));
    }

    fn a_list_is_walked_through_by_cursors(db) {
        world(db, 60);
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        let filter = QueueFilter { bucket: Bucket::Untriaged, ..QueueFilter::default() };
        loop {
            let page = read(db, |s| load::queue(s, &filter, cursor.as_deref()));
            seen.extend(page.suggestions.into_iter().map(|one| one.advisory.name));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 120);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 120, "nothing twice, nothing left out");
        assert!(matches!(db.try_read(|s| load::queue(s, &filter, Some("x"))), Err(ViewError::Cursor)));
    }

    fn a_search_takes_a_few_statements(db) {
        world(db, 40);
        let (watched, observed) = db.observed();
        let found = read(&watched, |s| load::search(s, "pack", None, None));
        assert_eq!(found.hits.len(), 40);
        assert!(observed.count() <= 12, "{}", observed.count());
        let titled = read(db, |s| load::search(s, "title", Some(HitKind::Advisory), None));
        assert_eq!(titled.hits.len(), 40, "by the words of titles");
    }

    /// What is told of a list is told of all of it, and not of the page.
    fn counts_are_of_the_whole(db) {
        world(db, 60);
        let maintainer = read(db, |s| load::maintainer(s, "someone", None));
        assert_eq!((maintainer.concerned.len(), maintainer.concerned_count), (50, 60));
        assert!(maintainer.next.is_some());
    }

    fn names_are_found_from_their_beginning(db) {
        world(db, 3);
        let hits = |text: &str| -> Vec<(HitKind, String)> {
            let found = read(db, |s| load::search(s, text, None, None));
            found.hits.into_iter().map(|hit| (hit.kind, hit.name)).collect()
        };
        assert_eq!(hits("cve-2024-0001"), [(HitKind::Advisory, "CVE-2024-0001".into())]);
        assert_eq!(hits("PACK2"), [(HitKind::Package, "pack2".into())]);
        assert_eq!(hits("some"), [(HitKind::Maintainer, "someone".into())]);
        assert_eq!(hits(" "), []);
    }
}
