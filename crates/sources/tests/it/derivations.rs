//! Derivations: files, directories, archives and JSON, all of which say the same.

use std::io::Write as _;
use std::path::Path;

use snowguard_inventory::{Gap, Nature, Subject};
use snowguard_sources::{Input, Kind, Options, Store, read};
use snowguard_store::{StoreDir, StorePath};

use crate::support::{World, object, piped, references, subject, told, try_subject};

/// Only the `.drv` files, away from the store that they came from.
fn drv_files(world: &World, to: &Path) {
    for entry in std::fs::read_dir(world.store.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "drv") {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn archive(dir: &Path, compress: bool) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("some/where", dir).unwrap();
    let bytes = tar.into_inner().unwrap();
    if !compress {
        return bytes;
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    gzip.finish().unwrap()
}

/// What a subject says, whatever order it was read in.
fn said(subject: &Subject) -> Vec<String> {
    let mut said: Vec<String> = references(subject)
        .into_iter()
        .map(|(id, to)| {
            let found = subject.objects.iter().find(|object| *object.id == *id);
            let recipe = found.unwrap().recipe.as_ref();
            let recipe = recipe.map(|recipe| (&recipe.version, &recipe.urls, &recipe.outputs));
            format!("{id} {to:?} {recipe:?}")
        })
        .collect();
    said.sort();
    said
}

#[test]
fn every_form_says_the_same() {
    let world = World::new();
    let away = tempfile::tempdir().unwrap();
    drv_files(&world, away.path());
    let drv = world.drv.file_name().unwrap();
    let by_file = subject(away.path().join(drv));
    assert_eq!(by_file.nature, Nature::BuildTime);
    assert_eq!(by_file.title, "app-2.1");
    // What the patch says in its head stayed in the store.
    let unread = [Gap::UnreadPatches { unread: 1, of: 1 }];
    assert_eq!(by_file.gaps, unread);
    let closure = world.query(&["-qR", world.drv.to_str().unwrap()]);
    let mut ids: Vec<&str> = by_file.objects.iter().map(|object| &*object.id).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        closure
            .lines()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );

    let by_directory = subject(away.path());
    let tar = away.path().with_extension("tar");
    std::fs::write(&tar, archive(away.path(), false)).unwrap();
    let by_tar = subject(&tar);
    std::fs::remove_file(&tar).unwrap();
    let by_pipe = piped(archive(away.path(), true)).unwrap();
    let json = world.store.run(
        "nix",
        &[],
        ["show-derivation", "-r", world.drv.to_str().unwrap()],
    );
    // The newest form does not say which store it is about.
    let dir = world.store.dir().to_str().unwrap().parse().unwrap();
    let options = Options {
        store: Some(Store::with_dirs(dir, &world.store.scratch().join("var"))),
        ..Options::default()
    };
    let json_file = world.store.write("closure.json", json.unwrap()).unwrap();
    let by_json = try_subject(json_file, &options).unwrap();
    for other in [&by_directory, &by_tar, &by_pipe, &by_json] {
        assert_eq!(said(other), said(&by_file));
        assert_eq!(other.nature, Nature::BuildTime);
        assert_eq!(other.gaps, unread);
    }
    assert_eq!(subject(&world.drv).gaps, []);
    let root = by_json.object(by_json.graph.roots()[0]).unwrap();
    assert_eq!(*root.name, *"app-2.1");
}

#[test]
fn references_are_those_of_nix() {
    let world = World::new();
    let found = references(&subject(&world.drv));
    for (path, mut to) in found {
        to.sort();
        let mut by_nix: Vec<String> = world
            .query(&["-q", "--references", &path])
            .lines()
            .map(str::to_owned)
            .collect();
        by_nix.sort();
        assert_eq!(to, by_nix, "{path}");
    }
}

#[test]
fn missing_inputs_are_counted_and_one_is_named() {
    let world = World::new();
    let away = tempfile::tempdir().unwrap();
    drv_files(&world, away.path());
    let lib = std::fs::read_dir(away.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with("-lib-1.0.drv"))
        .unwrap();
    let name = lib.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(&lib).unwrap();
    let app = away.path().join(world.drv.file_name().unwrap());
    for read in [subject(&app), subject(away.path())] {
        let [Gap::MissingInputs { count: 1, example }] = &*read.gaps else {
            panic!("{:?}", read.gaps);
        };
        assert!(example.ends_with(&name), "{example}");
    }
    // One that comes alone through a pipe has nothing beside it.
    let alone = piped(std::fs::read(&app).unwrap()).unwrap();
    assert_eq!(alone.title, "app-2.1");
    assert!(
        matches!(&*alone.gaps, [Gap::MissingInputs { count: 1, .. }]),
        "{:?}",
        alone.gaps
    );
}

#[test]
fn a_broken_file_among_many_is_told_and_skipped() {
    let world = World::new();
    let away = tempfile::tempdir().unwrap();
    drv_files(&world, away.path());
    let broken = "00000000000000000000000000000000-broken-1.drv";
    std::fs::write(away.path().join(broken), "Derive([(\"out\"").unwrap();
    let read = subject(away.path());
    let [
        Gap::UnreadPatches { .. },
        Gap::Unreadable { count: 1, example },
    ] = &*read.gaps
    else {
        panic!("{:?}", read.gaps);
    };
    assert!(example.contains(broken), "{example}");
    assert_eq!(
        object(&read, "app-2.1")
            .recipe
            .as_ref()
            .unwrap()
            .version
            .as_deref(),
        Some("2.1")
    );

    let only = tempfile::tempdir().unwrap();
    std::fs::write(only.path().join(broken), "Derive([(\"out\"").unwrap();
    let error = try_subject(only.path(), &Options::default()).unwrap_err();
    assert!(
        told(&error).contains("none of the 1 .drv files"),
        "{}",
        told(&error)
    );
    let empty = tempfile::tempdir().unwrap();
    let error = try_subject(empty.path(), &Options::default()).unwrap_err();
    assert!(
        told(&error).contains("there is no .drv file in"),
        "{}",
        told(&error)
    );
    // What was copied out of a store without its database.
    for path in [
        "nix/store",
        "nix/store/cvjbb3giry7wjkyqgv459igaxya0qnrf-curl-7.71.1",
    ] {
        let copied = empty.path().join(path);
        std::fs::create_dir_all(&copied).unwrap();
        let error = try_subject(&copied, &Options::default()).unwrap_err();
        assert!(
            told(&error).contains("Nix's database is not beside"),
            "{}",
            told(&error)
        );
    }
    let error = try_subject(only.path().join(broken), &Options::default()).unwrap_err();
    assert!(
        told(&error).contains("cannot read the derivation"),
        "{}",
        told(&error)
    );
}

#[test]
fn a_renamed_file_is_known_by_its_content() {
    let world = World::new();
    let away = tempfile::tempdir().unwrap();
    let file = away.path().join("some-file");
    std::fs::copy(&world.drv, &file).unwrap();
    // Its inputs are not beside it, and its path needs their hashes: only for one without inputs
    // can it be computed, and then it is.
    let tool = world.query(&["-qR", world.drv.to_str().unwrap()]);
    let tool = tool
        .lines()
        .find(|path| path.ends_with("-tool-0.1.drv"))
        .unwrap();
    std::fs::copy(tool, away.path().join("other")).unwrap();
    let read = subject(away.path().join("other"));
    assert_eq!(*read.objects[0].id, *tool);
    let read = subject(&file);
    assert_eq!(*read.objects[0].id, *world.drv.to_str().unwrap());
}

#[test]
fn inputs_of_one_kind_are_read_as_one_and_others_are_refused() {
    let world = World::new();
    let away = tempfile::tempdir().unwrap();
    drv_files(&world, away.path());
    let options = Options::default();
    let detect = |path: &Path| Input::detect(path, &options).unwrap();
    let one = detect(&world.drv);
    assert_eq!(one.kind(), Kind::Derivation);
    let both = read(vec![one, detect(away.path())], Vec::new(), &options).unwrap();
    assert_eq!(both.objects.len(), subject(&world.drv).objects.len());
    let bom = away.path().join("bom.json");
    std::fs::write(&bom, r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"x"}]}"#).unwrap();
    let error = read(vec![detect(&world.drv), detect(&bom)], Vec::new(), &options).unwrap_err();
    assert!(
        told(&error).contains("they cannot be read as one"),
        "{}",
        told(&error)
    );
    let error = read(vec![detect(&world.drv)], vec![detect(&bom)], &options).unwrap_err();
    assert!(told(&error).contains("cannot be used"), "{}", told(&error));
    assert!(told(&read(Vec::new(), Vec::new(), &options).unwrap_err()).contains("no input"));
}

/// Members that lie elsewhere by their names, links and devices: names are never used as paths.
#[test]
fn hostile_archives_write_and_read_nothing_else() {
    let mut tar = tar::Builder::new(Vec::new());
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "Derive(secret").unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_link_name(secret.path()).unwrap();
    header.set_cksum();
    let link = "00000000000000000000000000000000-link-1.drv";
    tar.append_data(&mut header, link, std::io::empty())
        .unwrap();
    let aterm = br#"Derive([("out","/nix/store/0c0yfmv0qq9sdqxh1yiv5vpcpvkz7v6x-a-1","","")],[],[],"x86_64-linux","/bin/sh",[],[("name","a-1"),("out","/nix/store/0c0yfmv0qq9sdqxh1yiv5vpcpvkz7v6x-a-1"),("version","1")])"#;
    let mut header = tar::Header::new_gnu();
    header.set_size(aterm.len() as u64);
    let name = b"../../../11111111111111111111111111111111-a-1.drv";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    tar.append(&header, &aterm[..]).unwrap();
    let read = piped(tar.into_inner().unwrap()).unwrap();
    let ids: Vec<_> = read
        .objects
        .iter()
        .map(|object| object.id.to_string())
        .collect();
    assert_eq!(ids, ["/nix/store/11111111111111111111111111111111-a-1.drv"]);
}

#[test]
fn json_of_path_info_in_all_its_forms() {
    let world = World::built();
    let app = world.output("app-2.1");
    let json = world
        .store
        .run("nix", &[], ["path-info", "--json", "-r", &app])
        .unwrap();
    let read = piped(json).unwrap();
    assert_eq!(read.nature, Nature::RunTime);
    assert_eq!(read.title, "app-2.1");
    let closure = world.query(&["-qR", &app]);
    let mut ids: Vec<&str> = read.objects.iter().map(|object| &*object.id).collect();
    ids.sort_unstable();
    let mut wanted: Vec<&str> = closure.lines().collect();
    wanted.sort_unstable();
    assert_eq!(ids, wanted);
    assert!(
        matches!(&*read.gaps, [Gap::NoDerivations { .. }]),
        "{:?}",
        read.gaps
    );

    // The list of the closure says which, and not how they depend on each other.
    let listed = piped(closure.clone()).unwrap();
    let mut ids: Vec<&str> = listed.objects.iter().map(|object| &*object.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, wanted);
    let bad = format!("{closure}\nnonsense\n");
    let error = piped(bad).unwrap_err();
    assert!(
        told(&error).contains(&format!("line {}", wanted.len() + 1)),
        "{}",
        told(&error)
    );

    // Forms that later versions print, by hand.
    let base = |path: &str| StoreDir::split(path).unwrap().1.to_string();
    let lib = world.output("lib-1.0");
    let newer = format!(
        r#"{{"{app}":{{"narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","narSize":1,"references":["{lib}"],"ca":null,"deriver":null}},
            "{lib}":{{"narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","narSize":1,"references":[],"ca":null,"deriver":null}}}}"#
    );
    let newest = format!(
        r#"{{"version":2,"storeDir":"{}","info":{{"{}":{{"narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","narSize":1,"references":["{}"],"ca":null,"deriver":null}}}}}}"#,
        world.store.dir().display(),
        base(&app),
        base(&lib),
    );
    let newer = piped(newer).unwrap();
    assert_eq!(references(&newer)[&app], [&*lib]);
    let newest = piped(newest).unwrap();
    assert_eq!(references(&newest)[&app], [lib]);
    assert!(
        newest
            .gaps
            .iter()
            .any(|gap| matches!(gap, Gap::MissingInputs { count: 1, .. }))
    );
    let _: StorePath = StorePath::from_base_name(base(&app).as_bytes()).unwrap();
}
