//! What is inside of others, and what is said of it where nothing can be held against it.

use snowguard_inventory::{Nature, Need, Origin};

use crate::support::World;

#[test]
fn a_module_in_place_of_a_published_one_is_not_passed_over_in_silence() {
    let mut scan = World::new("tools", Nature::BuildTime);
    scan.package("tool-1.0", |_| {}).root("tool-1.0");
    for purl in [
        "pkg:golang/golang.org/x/crypto@0.1.0",
        "pkg:generic/own@0.1.0",
    ] {
        scan.declares("tool-1.0", "bin/tool", purl, Need::Runtime)
            .came_from(Origin::Local);
    }
    scan.finish().with(|_, report| {
        let names: Vec<&str> = report.not_looked_at.iter().map(|it| &*it.name).collect();
        assert!(names.contains(&"golang.org/x/crypto (Go)"), "{names:?}");
        // A crate of the program's own tree is the program.
        assert!(!names.contains(&"own"), "{names:?}");
    });
}
