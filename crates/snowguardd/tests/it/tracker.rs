//! The tracker's database by hand: what goes in, what comes out of a backup, and what is refused.

use std::process::{Command, Output};

use camino::Utf8PathBuf;

fn root() -> (tempfile::TempDir, Utf8PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    (directory, path)
}

fn run(database: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_snowguardd"))
        .args(["tracker", "--database", database])
        .args(arguments)
        .output()
        .unwrap()
}

/// What was said; fails with it unless the command had that status.
fn said(output: &Output, status: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

fn example(name: &str) -> String {
    format!(
        "{}/../../examples/tracker/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[test]
fn package_sets_and_advisories_are_taken_in() {
    let (_directory, root) = root();
    let database = root.join("tracker.db").to_string();
    assert!(said(&run(&database, &["add-channel", "stable"]), 0).contains("added stable"));
    assert!(said(&run(&database, &["add-channel", "stable"]), 2).contains("already"));
    assert!(said(&run(&database, &["add-channel", "a/b"]), 2).contains("hint"));
    let set = example("nixpkgs-20.09.packages.json.zst");
    let derivations = example("nixpkgs-20.09.derivations.json.zst");
    let taken = run(
        &database,
        &[
            "ingest",
            "stable",
            &set,
            "--derivations",
            &derivations,
            "--revision",
            "r1",
        ],
    );
    assert!(said(&taken, 0).contains("stable: 794 attributes"));
    let again = run(&database, &["ingest", "stable", &set, "--revision", "r1"]);
    assert!(said(&again, 0).contains("has that package set already"));
    let other = example("corepkgs-2026.packages.json.zst");
    let shrunk = run(&database, &["ingest", "stable", &other, "--revision", "r2"]);
    assert!(said(&shrunk, 2).contains("--allow-shrinking"));
    let records = root.join("records").to_string();
    let facts = format!("{}/../../data/advisories", env!("CARGO_MANIFEST_DIR"));
    let matched = run(&database, &["advisories", "--records", &records, &facts]);
    let told = said(&matched, 0);
    assert!(
        told.contains("matched ") && !told.contains(" 0 findings are new"),
        "{told}"
    );
    let unchanged = run(&database, &["advisories", "--records", &records]);
    assert!(said(&unchanged, 0).contains(": 0 findings are new, 0 changed, 0 gone"));
    let listed = run(&database, &["channels"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with("stable\tfollowed\tr1 of "), "{listed}");
}

#[test]
fn a_backup_is_restored_and_sound() {
    let (_directory, root) = root();
    let path = |name: &str| root.join(name).to_string();
    let database = path("tracker.db");
    said(&run(&database, &["add-channel", "stable"]), 0);
    assert!(said(&run(&database, &["backup", &path("backup.db")]), 0).contains("wrote"));
    assert!(said(&run(&database, &["backup", &path("backup.db")]), 2).contains("hint"));
    let other = path("other.db");
    assert!(said(&run(&other, &["restore", &path("backup.db")]), 0).contains("restored"));
    assert!(said(&run(&other, &["restore", &path("backup.db")]), 2).contains("hint"));
    assert!(said(&run(&other, &["fsck", "--repair"]), 0).contains("is sound"));
    let listed = run(&other, &["channels"]);
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "stable\tfollowed\tno package set yet\tby hand\n"
    );
}
