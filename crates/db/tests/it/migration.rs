//! What was stored with an older schema is there with the present one.

use snowguard_db::{Database, Location, SCHEMA_VERSION};
use snowguard_testkit::database::Scratch;

use crate::filled;

#[test]
fn every_older_schema_comes_forward_with_its_rows() {
    for version in 1..=SCHEMA_VERSION {
        for scratch in [Scratch::sqlite().unwrap(), Scratch::postgres().unwrap()] {
            let location: Location = scratch.name().parse().unwrap();
            let old = Database::open_at(&location, version).unwrap();
            filled::fill(&old);
            let shape = old.read(|session| filled::shape(session)).unwrap();
            let before = filled::rows(&old, &shape);
            drop(old);
            assert!(before.lines().count() > 2 * shape.len(), "{before}");

            let new = Database::open(scratch.name()).unwrap();
            assert_eq!(filled::rows(&new, &shape), before, "version {version}");
            let forward = new.read(|session| filled::shape(session)).unwrap();
            let problems = new
                .read(|session| snowguard_db::fsck::run(session))
                .unwrap();
            assert_eq!(problems, [], "version {version}");

            let fresh = match location.path() {
                Some(_) => Scratch::sqlite().unwrap(),
                None => Scratch::postgres().unwrap(),
            };
            let fresh = Database::open(fresh.name()).unwrap();
            let made = fresh.read(|session| filled::shape(session)).unwrap();
            assert_eq!(forward, made, "version {version}");
        }
    }
}

#[test]
fn both_engines_have_the_same_columns() {
    let shapes: Vec<_> = [Scratch::sqlite().unwrap(), Scratch::postgres().unwrap()]
        .iter()
        .map(|scratch| {
            let db = Database::open(scratch.name()).unwrap();
            db.read(|session| filled::shape(session)).unwrap()
        })
        .collect();
    assert_eq!(shapes[0], shapes[1]);
}
