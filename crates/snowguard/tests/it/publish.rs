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

#[test]
fn a_published_index_is_taken_and_an_old_one_refused() {
    let place = with_key();
    publish(&place, &[]).exits(0);
    let key = place.run(&["advisories", "key", "other"]).stdout;
    let from = format!("file://{}", place.path("public").display());
    let update = |key: &str| {
        let args = [
            "advisories",
            "update",
            "--from",
            &from,
            "--key",
            key,
            "--output",
            "taken.idx",
        ];
        place.run(&args)
    };
    let run = update(key.trim());
    assert!(run.stderr.contains("is not signed with the key"), "{run}");
    run.exits(2);
    // A root that was brought here in a safe way serves as well as a key.
    fs::copy(
        place.path("public/metadata/1.root.json"),
        place.path("root.json"),
    )
    .unwrap();
    let run = update("root.json");
    run.exits(0).fits();
    assert!(run.stdout.contains("a new index; "), "{run}");
    let run = update("root.json");
    assert!(run.stdout.contains("nothing new; 0.0 kB received"), "{run}");
    assert_eq!(
        fs::read(place.path("taken.idx")).unwrap(),
        fs::read(place.default_index()).unwrap()
    );
    let index = ["--index", "taken.idx"];
    let info = place.run(&["advisories", "info", index[0], index[1]]);
    assert!(info.stdout.contains("\nfrom  version 1 "), "{info}");
    // It has no feeds that could be missing here.
    let check = [
        "advisories",
        "update",
        "--offline-check",
        "--output",
        "taken.idx",
    ];
    place.run(&check).exits(0);
    let old = fs::read(place.path("public/metadata/timestamp.json")).unwrap();
    publish(&place, &[]).exits(0);
    update("root.json").exits(0);
    fs::write(place.path("public/metadata/timestamp.json"), old).unwrap();
    let run = update("root.json");
    run.exits(2);
    assert!(run.stderr.contains("older state"), "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
    let run = place.run(&check);
    run.exits(2);
    assert!(run.stderr.contains("failed the last time: from"), "{run}");
}

#[test]
fn a_key_that_systemd_hands_over_is_taken() {
    let place = with_key();
    fs::create_dir(place.path("credentials")).unwrap();
    fs::rename(place.path("key"), place.path("credentials/key")).unwrap();
    // As systemd leaves it where a list says who may read it.
    let mode = fs::Permissions::from_mode(0o440);
    fs::set_permissions(place.path("credentials/key"), mode).unwrap();
    let directory = place.path("credentials");
    let environment = [("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())];
    let args = ["advisories", "publish", "--to", "public", "--key"];
    let run = |key| place.run_with(&[&args[..], &[key]].concat(), &environment);
    run("credential:key").exits(0);
    run("credentials/key").exits(2);
    run("credential:../key").exits(2);
}
