//! Live stores, as Nix itself writes them.

use std::os::unix::fs::symlink;
use std::path::Path;

use snowguard_inventory::{Gap, Nature, Role, Subject};
use snowguard_sources::{Home, Options, Store, default_input, read};

use crate::support::{World, object, references, snapshot, told, try_subject};

fn options(world: &World) -> Options {
    let state = world.store.scratch().join("var");
    let dir = world.store.dir().to_str().unwrap().parse().unwrap();
    Options {
        store: Some(Store::with_dirs(dir, &state)),
        ..Options::default()
    }
}

/// The references that Nix tells, without those of a path to itself.
fn by_nix(world: &World, root: &str) -> std::collections::BTreeMap<String, Vec<String>> {
    world
        .query(&["-qR", root])
        .lines()
        .map(|path| {
            let mut references: Vec<String> = world
                .query(&["-q", "--references", path])
                .lines()
                .filter(|reference| *reference != path)
                .map(str::to_owned)
                .collect();
            references.sort();
            (path.to_owned(), references)
        })
        .collect()
}

/// References among the parts; what is only read for what it says is no part.
fn parts(subject: &Subject) -> std::collections::BTreeMap<String, Vec<String>> {
    let is_part = |id: &str| {
        subject
            .objects
            .iter()
            .any(|object| &*object.id == id && object.role == Role::Part)
    };
    references(subject)
        .into_iter()
        .filter(|(id, _)| is_part(id))
        .map(|(id, mut to)| {
            to.retain(|id| is_part(id));
            (id, to)
        })
        .collect()
}

#[test]
fn the_closure_is_that_of_nix() {
    let world = World::built();
    let app = world.output("app-2.1");
    let subject = try_subject(&app, &options(&world)).unwrap();
    assert_eq!(subject.nature, Nature::RunTime);
    assert_eq!(subject.title, "app-2.1");
    assert_eq!(parts(&subject), by_nix(&world, &app));
    assert_eq!(subject.gaps, []);
    let root = subject.object(subject.graph.roots()[0]).unwrap();
    assert_eq!(*root.id, *app);
    // What its derivation says came along, from the file beside it.
    let lib = object(&subject, "lib-1.0");
    assert!(lib.run_time);
    let recipe = lib.recipe.as_ref().unwrap();
    assert_eq!(recipe.version.as_deref(), Some("1.0"));
    assert_eq!(recipe.patches.len(), 1);
    let texts: Vec<_> = subject
        .objects
        .iter()
        .filter_map(|object| object.patch.as_ref())
        .collect();
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].cves[0].to_string(), "CVE-2020-0002");
    let source = subject
        .objects
        .iter()
        .filter_map(|object| object.recipe.as_ref())
        .find(|recipe| recipe.fixed)
        .unwrap();
    assert_eq!(*source.urls[0], *"https://example.org/lib-1.0.tar.gz");
}

#[test]
fn links_and_files_inside_lead_to_the_object() {
    let world = World::built();
    let app = world.output("app-2.1");
    let link = world.store.scratch().join("result");
    let profile = world.store.scratch().join("profile");
    symlink(&app, &link).unwrap();
    symlink("result", &profile).unwrap();
    let inside = format!("{app}/bin/run");
    for path in [Path::new(&app), &link, &profile, Path::new(&inside)] {
        let subject = try_subject(path, &options(&world)).unwrap();
        assert_eq!(subject.title, "app-2.1", "{path:?}");
    }
    let endless = world.store.scratch().join("endless");
    symlink("endless", &endless).unwrap();
    let error = try_subject(&endless, &options(&world)).unwrap_err();
    assert!(told(&error).contains("symbolic links"), "{}", told(&error));
}

#[test]
fn a_store_is_found_by_what_people_call_it() {
    let world = World::built();
    let app = world.output("app-2.1");
    let dir = world.store.dir().to_str().unwrap();
    let state = world.store.scratch().join("var");
    let state = state.to_str().unwrap();
    let named = [
        format!("local?store={dir}&state={state}"),
        state.to_owned(),
        format!("{state}/db/db.sqlite"),
    ];
    for name in named {
        let options = Options {
            store: Some(Store::locate(&name).unwrap()),
            ..Options::default()
        };
        let subject = try_subject(&app, &options).unwrap();
        assert_eq!(parts(&subject), by_nix(&world, &app), "{name}");
    }
}

/// A disk that is mounted somewhere: paths are written without the mount point.
#[test]
fn a_store_under_another_root() {
    let world = World::built();
    let disk = tempfile::tempdir().unwrap();
    // The whole scratch directory of the world is moved under another root.
    let scratch = world.store.scratch();
    let inside = disk.path().join(scratch.strip_prefix("/").unwrap());
    for (path, content) in snapshot(scratch) {
        let to = inside.join(path.strip_prefix(scratch).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, content).unwrap();
    }
    let app = world.output("app-2.1");
    let wanted = by_nix(&world, &app);
    let settings = format!(
        "local?root={}&store={}&state={}",
        disk.path().display(),
        world.store.dir().display(),
        inside.join("var").display()
    );
    let deriver = world.drv.clone();
    drop(world);
    assert!(!deriver.exists());
    let options = Options {
        store: Some(Store::locate(&settings).unwrap()),
        ..Options::default()
    };
    let subject = try_subject(&app, &options).unwrap();
    assert_eq!(parts(&subject), wanted);
    assert_eq!(subject.gaps, []);
}

#[test]
fn reading_leaves_no_trace() {
    let world = World::built();
    let app = world.output("app-2.1");
    let before = snapshot(world.store.scratch());
    try_subject(&app, &options(&world)).unwrap();
    assert_eq!(snapshot(world.store.scratch()), before);
}

/// Nix keeps its database in WAL mode: what it has committed may still be in the log alone.
#[test]
fn what_nix_has_only_logged_is_seen_and_what_it_has_not_committed_is_not() {
    let world = World::built();
    let app = world.output("app-2.1");
    let lib = world.output("lib-1.0");
    let database = world.store.scratch().join("var/db/db.sqlite");
    let writer = rusqlite::Connection::open(&database).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;")
        .unwrap();
    let forget = |from: &str, to: &str| {
        let sql = "DELETE FROM Refs WHERE referrer = (SELECT id FROM ValidPaths WHERE path = ?1) \
                   AND reference = (SELECT id FROM ValidPaths WHERE path = ?2)";
        assert_eq!(writer.execute(sql, [from, to]).unwrap(), 1);
    };
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    forget(&app, &lib);
    let during = try_subject(&app, &options(&world)).unwrap();
    assert!(parts(&during).contains_key(&lib));
    writer.execute_batch("COMMIT").unwrap();
    let log = database.with_file_name("db.sqlite-wal");
    assert!(log.metadata().unwrap().len() > 0, "nothing is pending");
    let after = try_subject(&app, &options(&world)).unwrap();
    assert!(!parts(&after).contains_key(&lib));
    assert_eq!(parts(&after).len(), 2);
}

#[test]
fn without_drv_files_it_says_once_what_it_cannot_know() {
    let world = World::built();
    let app = world.output("app-2.1");
    for entry in std::fs::read_dir(world.store.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "drv") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let subject = try_subject(&app, &options(&world)).unwrap();
    assert_eq!(parts(&subject), by_nix(&world, &app));
    // The file that was added was never built: it lacks nothing.
    assert_eq!(subject.gaps, [Gap::NoDerivations { missing: 2, of: 2 }]);
    assert!(object(&subject, "lib-1.0").recipe.is_none());
}

/// What someone keeps in a store to be read here: a list and a document.
fn kept(world: &World) -> (String, String) {
    let add = |name: &str, text: &str| {
        let file = world.store.write(name, text).unwrap();
        let added = world
            .store
            .run("nix-store", &[], ["--add", file.to_str().unwrap()]);
        String::from_utf8(added.unwrap()).unwrap().trim().to_owned()
    };
    let list = add("list.txt", &world.output("app-2.1"));
    let bom = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"x"}]}"#;
    (list, add("bom.json", bom))
}

#[test]
fn a_list_in_a_store_is_an_object_and_no_list() {
    let world = World::built();
    let (list, bom) = kept(&world);
    let subject = try_subject(&list, &options(&world)).unwrap();
    let ids: Vec<_> = subject.objects.iter().map(|object| &*object.id).collect();
    assert_eq!(ids, [&*list]);
    let subject = try_subject(&bom, &options(&world)).unwrap();
    assert_eq!(subject.nature, Nature::Document);

    // Where no store is named, nothing is beside this one that could be asked.
    let link = world.store.scratch().join("result");
    let app = world.output("app-2.1");
    for path in [&*list, &app, &format!("{app}/bin/run")] {
        let _ = std::fs::remove_file(&link);
        symlink(path, &link).unwrap();
        for path in [Path::new(path), &link] {
            let error = try_subject(path, &Options::default()).unwrap_err();
            let text = told(&error);
            assert!(text.contains("cannot tell what"), "{text}");
            assert!(text.contains("database is not beside"), "{text}");
        }
    }
    let subject = try_subject(&bom, &Options::default()).unwrap();
    assert_eq!(subject.nature, Nature::Document);
    let _ = std::fs::remove_file(&link);
    symlink(&world.drv, &link).unwrap();
    for path in [&world.drv, &link] {
        let subject = try_subject(path, &Options::default()).unwrap();
        assert_eq!(subject.nature, Nature::BuildTime);
        assert_eq!(subject.gaps, []);
    }
}

#[test]
fn what_lies_in_another_store_than_the_one_that_is_named_is_refused() {
    let world = World::built();
    let (list, bom) = kept(&world);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Options {
        store: Some(Store::at_root(elsewhere.path())),
        ..Options::default()
    };
    let link = elsewhere.path().join("result");
    symlink(&list, &link).unwrap();
    let missing = format!("{list}-missing");
    let drv = world.drv.to_str().unwrap();
    for path in [
        &*list,
        &world.output("app-2.1"),
        drv,
        &missing,
        link.to_str().unwrap(),
    ] {
        let error = try_subject(path, &other).unwrap_err();
        let text = told(&error);
        assert!(text.contains("is not in the store"), "{path}: {text}");
        assert!(text.contains("hint: leave out `--store`"), "{text}");
    }
    // Documents say what they are about wherever they lie, and files outside of stores are files.
    let subject = try_subject(&bom, &other).unwrap();
    assert_eq!(subject.nature, Nature::Document);
    let plain = elsewhere.path().join("list.txt");
    std::fs::copy(&list, &plain).unwrap();
    let subject = try_subject(&plain, &other).unwrap();
    assert_eq!(subject.objects.len(), 1);
    assert_eq!(*subject.objects[0].id, *world.output("app-2.1"));
}

#[test]
fn a_patch_file_that_is_gone_is_told() {
    let world = World::built();
    let app = world.output("app-2.1");
    for entry in std::fs::read_dir(world.store.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    for path in [Path::new(&app), &world.drv] {
        let subject = try_subject(path, &options(&world)).unwrap();
        assert_eq!(subject.gaps, [Gap::UnreadPatches { unread: 1, of: 1 }]);
    }
}

#[test]
fn a_drv_in_a_store_tells_what_is_there_at_run_time() {
    let world = World::built();
    let subject = try_subject(&world.drv, &options(&world)).unwrap();
    assert_eq!(subject.nature, Nature::BuildTime);
    assert!(object(&subject, "lib-1.0").run_time);
    assert!(!object(&subject, "tool-0.1").run_time);
    assert!(!object(&subject, "source-1.0.tar.gz").run_time);
}

#[test]
fn with_nothing_named_the_running_system_of_that_store_is_read() {
    let world = World::built();
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    std::fs::create_dir_all(&run).unwrap();
    symlink(world.output("app-2.1"), run.join("current-system")).unwrap();
    let settings = format!(
        "local?root={}&store={dir}&real={dir}&state={}",
        root.path().display(),
        world.store.scratch().join("var").display(),
        dir = world.store.dir().display(),
    );
    let options = Options {
        store: Some(Store::locate(&settings).unwrap()),
        ..Options::default()
    };
    let input = default_input(&Home::default(), &options).unwrap();
    let subject = read(vec![input], Vec::new(), &options).unwrap();
    assert_eq!(subject.title, "app-2.1");
}

#[test]
fn what_is_wrong_with_a_store_is_told() {
    let world = World::built();
    let options = options(&world);
    let scratch = world.store.scratch().to_str().unwrap().to_owned();
    let hidden = |text: String| text.replace(&scratch, "SCRATCH");
    let invalid = world.output("tool-0.1");
    let error = try_subject(&invalid, &options).unwrap_err();
    let text = hidden(told(&error));
    assert!(text.contains("is not a valid path of this store"), "{text}");
    assert!(text.contains("hint: build or fetch it first"), "{text}");

    let database = world.store.scratch().join("var/db/db.sqlite");
    std::fs::write(&database, "this is no database, however long one reads it").unwrap();
    let _ = std::fs::remove_file(database.with_file_name("db.sqlite-wal"));
    let error = try_subject(world.output("app-2.1"), &options).unwrap_err();
    let text = hidden(told(&error));
    assert!(text.contains("is not a database of Nix"), "{text}");

    let other = rusqlite::Connection::open(world.store.scratch().join("var/db/other.sqlite"));
    other.unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    std::fs::rename(world.store.scratch().join("var/db/other.sqlite"), &database).unwrap();
    let error = try_subject(world.output("app-2.1"), &options).unwrap_err();
    assert!(told(&error).contains("is not a database of Nix"));

    std::fs::remove_file(&database).unwrap();
    let error = try_subject(world.output("app-2.1"), &options).unwrap_err();
    let text = hidden(told(&error));
    assert!(
        text.contains("there is no Nix database at `SCRATCH/var/db/db.sqlite`"),
        "{text}"
    );
}

#[test]
fn a_damaged_database_is_an_error_and_no_panic() {
    let world = World::built();
    let options = options(&world);
    let database = world.store.scratch().join("var/db/db.sqlite");
    let whole = std::fs::read(&database).unwrap();
    let app = world.output("app-2.1");
    let wanted = parts(&try_subject(&app, &options).unwrap());
    let mut wrong = 0;
    for at in (100..whole.len()).step_by(whole.len() / 97) {
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(at).take(16) {
            *byte ^= 0xA5;
        }
        std::fs::write(&database, &damaged).unwrap();
        // Damage where nothing is read may go unseen; what is seen is an error that says so.
        match try_subject(&app, &options) {
            Ok(subject) => assert!(parts(&subject).len() <= wanted.len()),
            // A path that a damaged table no longer leads to is not there.
            Err(error) => {
                assert!(told(&error).contains("from the store"), "{}", told(&error));
                wrong += 1;
            }
        }
    }
    assert!(wrong > 0, "no damage was seen");
}
