//! What to update to, held against what is known of that version.

use serde_json::json;
use snowguard_inventory::Nature;
use snowguard_matching::suppress::Judged;
use snowguard_report::model::Action;

use crate::support::{World, affects, decision};

/// OpenSSL 1.1.1g, with these ranges.
fn openssl(ranges: &[(&str, &str)]) -> World {
    let mut world = World::new("system", Nature::BuildTime);
    world
        .package("openssl-1.1.1g", |_| {})
        .root("openssl-1.1.1g");
    for (id, range) in ranges {
        let affected = affects("a/openssl:openssl", Some("openssl"), true, range);
        world.record("openssl", json!({"id": id, "affects": [affected]}));
    }
    world
}

fn action(world: World) -> Action {
    world
        .finish()
        .with(|_, report| report.packages[0].action.clone().unwrap())
}

const BOTH_LINES: (&str, &str) = ("CVE-2022-0001", "<3.0.1");
const OF_THE_NEXT: (&str, &str) = ("CVE-2022-0002", ">=3.0.0 <3.0.7");
const FAR: (&str, &str) = ("CVE-2022-0003", "<3.2.0");

#[test]
fn what_reaches_the_first_fix_is_passed_by() {
    let found = action(openssl(&[BOTH_LINES, OF_THE_NEXT]));
    assert_eq!(found.update_to.as_deref(), Some("3.0.7"));
    assert_eq!((found.fixes, found.of, found.brings), (1, 1, 0));
}

#[test]
fn what_has_no_fix_there_is_told() {
    let found = action(openssl(&[BOTH_LINES, ("CVE-2022-0002", ">=3.0.0")]));
    assert_eq!(found.update_to.as_deref(), Some("3.0.1"));
    assert_eq!((found.fixes, found.of, found.brings), (1, 1, 1));
}

#[test]
fn what_somebody_decided_not_to_count_does_not_steer() {
    let all = action(openssl(&[BOTH_LINES, OF_THE_NEXT, FAR]));
    assert_eq!(all.update_to.as_deref(), Some("3.2.0"));
    let mut decided = openssl(&[BOTH_LINES, OF_THE_NEXT, FAR]);
    decided.suppress(decision("openssl", FAR.0, Judged::NotAffected(None)));
    let decided = action(decided);
    assert_eq!(decided.update_to.as_deref(), Some("3.0.7"));
    assert_eq!((decided.fixes, decided.of, decided.brings), (1, 1, 0));
}
