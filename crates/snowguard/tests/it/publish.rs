//! `snowguard advisories key` and `publish`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Place, Run, assert_shown};

fn publish(place: &Place, more: &[&str]) -> Run {
    let mut args = vec!["advisories", "publish", "--to", "public", "--key", "key"];
    args.extend(more);
    place.run(&args)
}

fn with_key() -> Place {
    let place = Place::with_index();
    let run = place.run(&["advisories", "key", "key", "--name", "mirror-1"]);
    run.exits(0);
    assert!(
        run.stdout.starts_with("mirror-1:") && run.stdout.lines().count() == 1,
        "{run}"
    );
    place
}

#[test]
fn a_key_is_made_once_and_is_nobody_elses() {
    let place = with_key();
    let mode = fs::metadata(place.path("key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let run = place.run(&["advisories", "key", "key"]);
    assert_shown!(run);
    fs::set_permissions(place.path("key"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_shown!(publish(&place, &[]));
}

#[test]
fn an_index_is_published_and_published_again() {
    let place = with_key();
    let run = publish(&place, &[]);
    run.exits(0).fits();
    assert!(
        run.stdout.starts_with("public\nversion 1, root 1, until "),
        "{run}"
    );
    let run = publish(&place, &["--expires", "12h"]);
    assert!(run.stdout.contains("version 2, root 1, until "), "{run}");
    assert_eq!(place.files("public"), [".lock", "metadata", "targets"]);
    let run = place.run(&["advisories", "key", "next"]);
    run.exits(0);
    let run = publish(&place, &["--next-key", "next"]);
    assert!(run.stdout.contains("version 3, root 2, until "), "{run}");
    assert_shown!(publish(&place, &[]));
    assert_shown!(publish(&place, &["--expires", "0d"]));
}
