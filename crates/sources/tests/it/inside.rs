//! What files declare: in a store that the real Nix made, and in plain directories, hostile ones
//! among them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use snowguard_inventory::{Gap, IdentityTable, Inventory, Subject};
use snowguard_sources::{Deep, DeepLimits, Input, Mode, Options, Store, read};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::programs::{Crate, go, rust};

use crate::support::lines;

/// Objects with programs in them, added by the real Nix.
struct World {
    store: NixStore,
    objects: Vec<String>,
}

impl World {
    /// Three programs with the same library inside, a Python module, and a script.
    fn new() -> Self {
        let store = Nix::find().unwrap().store_at("nix/store").unwrap();
        let mut world = Self {
            store,
            objects: Vec::new(),
        };
        let regex = Crate::new("regex", "1.5.4");
        let crates = [regex, Crate::new("cc", "1.0.1").for_building()];
        world.add(
            "ripgrep-13.0.0",
            &[("bin/rg", rust("ripgrep", "13.0.0", &crates))],
        );
        world.add(
            "fd-8.0.0",
            &[("bin/fd", rust("fd-find", "8.0.0", &[regex]))],
        );
        let modules = [("golang.org/x/text", "v0.3.7")];
        world.add(
            "both-1.0",
            &[
                ("bin/a", rust("both", "0.9.0", &[regex])),
                (
                    "bin/b",
                    go("go1.21.1", ("example.org/both", "(devel)"), &modules),
                ),
            ],
        );
        let metadata = b"Metadata-Version: 2.1\nName: typing_extensions\nVersion: 4.1.0\n";
        world.add(
            "python3.11-typing_extensions-4.1.0",
            &[(
                "lib/python3.11/site-packages/typing_extensions-4.1.0.dist-info/METADATA",
                metadata.to_vec(),
            )],
        );
        world.add("script-1.0", &[("bin/run", b"#!/bin/sh\n".to_vec())]);
        world
    }

    fn add(&mut self, name: &str, files: &[(&str, Vec<u8>)]) {
        let directory = self.store.scratch().join("new").join(name);
        for (file, content) in files {
            let path = directory.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let added = self
            .store
            .run("nix-store", &[], ["--add", directory.to_str().unwrap()])
            .unwrap();
        self.objects.push(lines(&added).remove(0));
    }

    fn cache(&self) -> PathBuf {
        self.store.scratch().join("cache")
    }

    fn look(&self, mode: Mode, limits: DeepLimits) -> (Subject, Deep) {
        self.look_with(&self.cache(), mode, limits)
    }

    fn look_with(&self, cache: &Path, mode: Mode, limits: DeepLimits) -> (Subject, Deep) {
        let deep = Deep {
            mode,
            cache: Some(cache.to_owned()),
            limits,
            ..Deep::default()
        };
        let state = self.store.scratch().join("var");
        let dir = self.store.dir().to_str().unwrap().parse().unwrap();
        let options = Options {
            store: Some(Store::with_dirs(dir, &state)),
            deep: deep.clone(),
            ..Options::default()
        };
        let inputs = self.objects.iter();
        let inputs = inputs.map(|path| Input::detect(path, &options).unwrap());
        let subject = read(inputs.collect(), Vec::new(), &options).unwrap();
        (subject, deep)
    }
}

/// Components with their places and what else their bytes say.
fn told(subject: &Subject) -> String {
    use std::fmt::Write as _;
    let inventory = Inventory::of(subject, &IdentityTable::default());
    let mut out = String::new();
    for (_, component) in inventory.iter() {
        let kind = if component.is_part() {
            "inside"
        } else {
            "whole"
        };
        let language = component.language.map_or("", |language| language.as_str());
        writeln!(
            out,
            "{kind} {language} {} {} ({})",
            component.pname,
            component.version,
            component.scope.as_str()
        )
        .unwrap();
        for place in &component.places {
            let host = component.hosts.iter().find(|host| host.node == place.node);
            let host = host.map_or("itself", |host| &host.label);
            writeln!(
                out,
                "    {host}: {} {}, {}",
                place.file,
                place.by,
                place.need.as_str()
            )
            .unwrap();
        }
        for other in &component.other_versions {
            writeln!(out, "    says {} in {}", other.version, other.place.file).unwrap();
        }
    }
    for gap in &subject.gaps {
        writeln!(out, "gap {gap:?}").unwrap();
    }
    out
}

#[test]
fn one_library_in_three_programs_is_one_component() {
    let world = World::new();
    let (subject, deep) = world.look(Mode::Always, DeepLimits::default());
    assert_eq!(subject.looked_into, 5);
    assert_eq!(deep.effort.known(), 0);
    insta::assert_snapshot!(told(&subject), @r"
    whole  both 1.0 (run-time)
        itself: bin/b Go build information, run-time
        says 0.9.0 in bin/a
    inside Rust cc 1.0.1 (build-time)
        ripgrep 13.0.0: bin/rg cargo-auditable data, build
    whole  fd 8.0.0 (run-time)
        itself: bin/fd cargo-auditable data, run-time
    inside Go golang.org/x/text 0.3.7 (run-time)
        both 1.0: bin/b Go build information, run-time
    inside Rust regex 1.5.4 (run-time)
        ripgrep 13.0.0: bin/rg cargo-auditable data, run-time
        fd 8.0.0: bin/fd cargo-auditable data, run-time
        both 1.0: bin/a cargo-auditable data, run-time
    whole  ripgrep 13.0.0 (run-time)
        itself: bin/rg cargo-auditable data, run-time
    whole  script 1.0 (run-time)
    inside Go stdlib 1.21.1 (run-time)
        both 1.0: bin/b Go build information, run-time
    whole Python typing_extensions 4.1.0 (run-time)
        itself: lib/python3.11/site-packages/typing_extensions-4.1.0.dist-info/METADATA Python metadata, run-time
    ");
}

#[test]
fn a_second_look_opens_no_file() {
    let world = World::new();
    let (first, deep) = world.look(Mode::Always, DeepLimits::default());
    assert!(deep.effort.opened() >= 6);
    let (second, deep) = world.look(Mode::Always, DeepLimits::default());
    assert_eq!((deep.effort.opened(), deep.effort.bytes()), (0, 0));
    assert_eq!(deep.effort.known(), 5);
    assert_eq!(second.inside, first.inside);
    // Of what is new, that alone is read.
    let mut world = world;
    world.add("new-1.0", &[("bin/new", rust("new", "1.0", &[]))]);
    let (_, deep) = world.look(Mode::Always, DeepLimits::default());
    assert_eq!((deep.effort.known(), deep.effort.opened()), (5, 1));
}

#[test]
fn a_look_that_costs_too_much_is_left_out_and_told() {
    let world = World::new();
    let poor = DeepLimits {
        budget: 0,
        ..DeepLimits::default()
    };
    let (subject, deep) = world.look(Mode::Auto, poor);
    assert_eq!(deep.effort.opened(), 0);
    assert_eq!(subject.inside, []);
    assert_eq!(
        subject.gaps.last(),
        Some(&Gap::NotLookedInto { count: 5, of: 5 })
    );
    // What is known costs nothing.
    let (all, _) = world.look(Mode::Always, DeepLimits::default());
    let (subject, deep) = world.look(Mode::Auto, poor);
    assert_eq!(deep.effort.opened(), 0);
    assert_eq!(subject.inside, all.inside);
    let (subject, deep) = world.look(Mode::Never, poor);
    assert_eq!((deep.effort.objects(), subject.inside.len()), ((0, 0), 0));
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let world = World::new();
    let (first, _) = world.look(Mode::Always, DeepLimits::default());
    let file = world.cache().join("inside.sqlite");
    let whole = fs::read(&file).unwrap();
    for damaged in [
        b"this is no database, and long enough to be asked about it".repeat(100),
        whole[..whole.len() / 2].to_vec(),
        whole.iter().map(|byte| byte ^ 0x55).collect(),
    ] {
        for tail in ["-wal", "-shm"] {
            let _ = fs::remove_file(world.cache().join(format!("inside.sqlite{tail}")));
        }
        fs::write(&file, damaged).unwrap();
        let (again, deep) = world.look(Mode::Always, DeepLimits::default());
        assert_eq!(again.inside, first.inside);
        assert_eq!(
            deep.effort.warnings().len(),
            1,
            "{:?}",
            deep.effort.warnings()
        );
        let (_, deep) = world.look(Mode::Always, DeepLimits::default());
        assert_eq!((deep.effort.opened(), deep.effort.warnings().len()), (0, 0));
    }
    // Bodies that are not as they were written are read again, and nothing is told of it.
    let at = whole
        .windows(b"regex".len())
        .position(|window| window == b"regex")
        .expect("what was found is in the file");
    let mut damaged = whole;
    damaged[at] = b'R';
    for tail in ["-wal", "-shm"] {
        let _ = fs::remove_file(world.cache().join(format!("inside.sqlite{tail}")));
    }
    fs::write(&file, damaged).unwrap();
    let (again, deep) = world.look(Mode::Always, DeepLimits::default());
    assert_eq!(again.inside, first.inside);
    assert!(deep.effort.opened() > 0);
}

#[test]
fn what_one_store_says_is_not_believed_of_another() {
    let world = World::new();
    let other = Nix::find().unwrap().store_at("nix/store").unwrap();
    let empty = other.scratch().join("ripgrep-13.0.0");
    fs::create_dir(&empty).unwrap();
    other
        .run("nix-store", &[], ["--add", empty.to_str().unwrap()])
        .unwrap();
    // The other store says that its empty directory has the content of the program here.
    let database = |store: &NixStore| {
        let path = store.scratch().join("var/db/db.sqlite");
        rusqlite::Connection::open(path).unwrap()
    };
    let hash: String = database(&world.store)
        .query_row(
            "SELECT hash FROM ValidPaths WHERE path LIKE '%-ripgrep-13.0.0'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let changed = database(&other).execute("UPDATE ValidPaths SET hash = ?1", [hash]);
    assert_eq!(changed, Ok(1));
    let object = fs::read_dir(other.dir()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.to_str()
            .filter(|path| path.ends_with("-ripgrep-13.0.0"))
            .map(str::to_owned)
    });
    let other = World {
        store: other,
        objects: vec![object.unwrap()],
    };
    let look = |at: &World| at.look_with(&world.cache(), Mode::Always, DeepLimits::default());
    assert_eq!(look(&other).0.inside, []);
    let (here, deep) = look(&world);
    assert_eq!(deep.effort.known(), 0);
    assert!(here.inside.iter().any(|found| &*found.name == "ripgrep"));
    // Nor the other way round.
    let (there, deep) = look(&other);
    assert_eq!((there.inside.len(), deep.effort.known()), (0, 1));
}

#[test]
fn the_same_bytes_under_two_names_are_two_things() {
    let mut world = World {
        store: Nix::find().unwrap().store_at("nix/store").unwrap(),
        objects: Vec::new(),
    };
    let lock = "version = 3\n\n[[package]]\nname = \"regex\"\nversion = \"1.5.4\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    let mut found = Vec::new();
    for name in ["source", "Cargo.lock"] {
        let file = world.store.scratch().join(name);
        fs::write(&file, lock).unwrap();
        let added = world
            .store
            .run("nix-store", &[], ["--add", file.to_str().unwrap()])
            .unwrap();
        world.objects = lines(&added);
        let (subject, deep) = world.look(Mode::Always, DeepLimits::default());
        assert_eq!(deep.effort.known(), 0);
        found.push(subject.inside.len());
    }
    assert_eq!(found, [0, 1]);
}

#[test]
fn a_cache_that_cannot_be_kept_is_told_and_no_failure() {
    let world = World::new();
    fs::write(world.cache(), "a file where the directory should be").unwrap();
    let (subject, deep) = world.look(Mode::Always, DeepLimits::default());
    assert!(!subject.inside.is_empty());
    let warnings = deep.effort.warnings();
    assert!(warnings[0].contains("is not kept"), "{warnings:?}");
}

#[test]
fn a_cache_stays_within_its_limit() {
    let mut world = World::new();
    let small = DeepLimits {
        cache: 4_096,
        ..DeepLimits::default()
    };
    for at in 0..40 {
        let names: Vec<String> = (0..20).map(|name| format!("crate-{at}-{name}")).collect();
        let crates: Vec<Crate<'_>> = names.iter().map(|name| Crate::new(name, "1.0")).collect();
        let program = rust("p", "1.0", &crates);
        world.add(&format!("p{at}-1.0"), &[("bin/p", program)]);
    }
    let (first, _) = world.look(Mode::Always, small);
    let (second, deep) = world.look(Mode::Always, small);
    assert_eq!(first.inside, second.inside);
    // Some are known, and the cache did not grow without end.
    assert!(deep.effort.known() > 0 && deep.effort.opened() > 0);
    assert!(deep.effort.warnings().is_empty());
}

#[test]
fn two_looks_at_once_do_not_disturb_each_other() {
    let world = World::new();
    let looks: Vec<Subject> = std::thread::scope(|scope| {
        let looks: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (subject, deep) = world.look(Mode::Always, DeepLimits::default());
                    assert_eq!(deep.effort.warnings(), Vec::<String>::new());
                    subject
                })
            })
            .collect();
        looks.into_iter().map(|look| look.join().unwrap()).collect()
    });
    for look in &looks[1..] {
        assert_eq!(look.inside, looks[0].inside);
    }
}

/// A plain directory.
struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("tree").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A clock does not tell apart what happens within a tick, and what just changed is not taken
    /// as known: this waits until it no longer did.
    fn settle() {
        std::thread::sleep(Duration::from_millis(50));
    }

    fn look(&self) -> (Subject, Deep) {
        self.look_at(&self.path(""), DeepLimits::default())
    }

    fn look_at(&self, path: &Path, limits: DeepLimits) -> (Subject, Deep) {
        let deep = Deep {
            mode: Mode::Always,
            cache: Some(self.root.path().join("cache")),
            limits,
            ..Deep::default()
        };
        let options = Options {
            deep: deep.clone(),
            ..Options::default()
        };
        let input = Input::detect(path, &options).unwrap();
        (read(vec![input], Vec::new(), &options).unwrap(), deep)
    }
}

#[test]
fn a_directory_is_read_again_where_it_changed() {
    let tree = Tree::new();
    tree.write("bin/a", rust("a", "1.0", &[Crate::new("regex", "1.5.4")]));
    tree.write("bin/b", rust("b", "1.0", &[Crate::new("libc", "0.2.1")]));
    tree.write(
        "node_modules/ip/package.json",
        r#"{"name": "ip", "version": "1.1.5"}"#,
    );
    tree.write("README.md", "nothing");
    Tree::settle();
    let (first, deep) = tree.look();
    assert_eq!(deep.effort.opened(), 3);
    assert_eq!(first.inside.len(), 5);
    let (second, deep) = tree.look();
    assert_eq!((deep.effort.opened(), deep.effort.known()), (0, 1));
    assert_eq!(second.inside, first.inside);
    // In place, with the times set back.
    let times = fs::metadata(tree.path("bin/b"))
        .unwrap()
        .modified()
        .unwrap();
    tree.write("bin/b", rust("b", "1.0", &[Crate::new("libc", "0.2.2")]));
    let file = fs::File::options()
        .write(true)
        .open(tree.path("bin/b"))
        .unwrap();
    file.set_modified(times).unwrap();
    Tree::settle();
    let (third, deep) = tree.look();
    assert_eq!(deep.effort.opened(), 1);
    assert!(third.inside.iter().any(|found| &*found.version == "0.2.2"));
    // A file more, and one less.
    tree.write("bin/c", rust("c", "1.0", &[]));
    fs::remove_file(tree.path("bin/a")).unwrap();
    Tree::settle();
    let (fourth, deep) = tree.look();
    assert_eq!(deep.effort.opened(), 1);
    assert!(!fourth.inside.iter().any(|found| &*found.name == "regex"));
    assert_eq!(tree.look().1.effort.opened(), 0);
}

#[test]
fn a_file_is_looked_into_as_well() {
    let tree = Tree::new();
    tree.write(
        "rg",
        rust("ripgrep", "13.0.0", &[Crate::new("regex", "1.5.4")]),
    );
    tree.write("Cargo.lock", "version = 3\n\n[[package]]\nname = \"regex\"\nversion = \"1.5.4\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n");
    for name in ["rg", "Cargo.lock"] {
        let (subject, _) = tree.look_at(&tree.path(name), DeepLimits::default());
        let regex = subject.inside.iter().find(|found| &*found.name == "regex");
        assert_eq!(&*regex.unwrap().place.file, "", "{name}");
    }
}

#[test]
fn a_directory_that_is_itself_of_modules() {
    let tree = Tree::new();
    tree.write(
        "node_modules/ip/package.json",
        r#"{"name": "ip", "version": "1.1.5"}"#,
    );
    let (subject, _) = tree.look_at(&tree.path("node_modules"), DeepLimits::default());
    assert_eq!(subject.inside.len(), 1);
}

#[test]
fn hostile_trees_end() {
    let tree = Tree::new();
    // Loops of links, links out, and links to what would be found.
    tree.write("bin/a", rust("a", "1.0", &[]));
    symlink(".", tree.path("loop")).unwrap();
    symlink("..", tree.path("bin/up")).unwrap();
    symlink("/proc/self/root", tree.path("out")).unwrap();
    symlink("bin/a", tree.path("again")).unwrap();
    symlink("nowhere", tree.path("dangling")).unwrap();
    // A pipe that nobody writes to, and a socket.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tree.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_retain(0o600),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).unwrap();
    // A terabyte of nothing behind the head of a program, and as a text.
    let program = rust("big", "1.0", &[]);
    for (name, head) in [
        ("bin/big", &program[..64]),
        ("Cargo.lock", b"version = 3\n"),
    ] {
        tree.write(name, head);
        let file = fs::File::options()
            .write(true)
            .open(tree.path(name))
            .unwrap();
        file.set_len(1 << 40).unwrap();
    }
    // Names that are no text, or that a terminal would obey.
    use std::os::unix::ffi::OsStrExt as _;
    let odd = std::ffi::OsStr::from_bytes(b"bin/\xff\x1b[2J\n");
    fs::write(tree.path("").join(odd), rust("odd", "1.0", &[])).unwrap();
    // Very deep.
    let mut deep = tree.path("deep");
    fs::create_dir(&deep).unwrap();
    for _ in 0..1_000 {
        deep.push("d");
        if fs::create_dir(&deep).is_err() {
            break;
        }
    }
    let (subject, effort) = tree.look();
    let names: Vec<&str> = subject.inside.iter().map(|found| &*found.name).collect();
    assert_eq!(names, ["a", "odd"]);
    assert!(
        effort.effort.bytes() < 16 << 20,
        "{}",
        effort.effort.bytes()
    );
    let unread = subject.gaps.iter().find_map(|gap| match gap {
        Gap::UnreadFiles { count, example } => Some((*count, example.clone())),
        _ => None,
    });
    let (count, example) = unread.unwrap();
    assert_eq!(count, 2, "{example}");
    assert!(!example.contains('\x1b'), "{example}");
}

#[test]
fn a_hundred_thousand_files() {
    let tree = Tree::new();
    for directory in 0..100 {
        let directory = tree.path(&format!("d{directory}"));
        fs::create_dir_all(&directory).unwrap();
        for file in 0..1_000 {
            fs::File::create(directory.join(format!("{file}.js"))).unwrap();
        }
    }
    tree.write("d7/tool", rust("tool", "1.0", &[]));
    Tree::settle();
    let (subject, deep) = tree.look();
    // Names that speak against a program are not opened.
    assert_eq!((subject.inside.len(), deep.effort.opened()), (1, 1));
    let few = DeepLimits {
        entries: 1_000,
        ..DeepLimits::default()
    };
    fs::write(tree.path("d7/other"), "").unwrap();
    let (subject, _) = tree.look_at(&tree.path(""), few);
    let cut = |gap: &Gap| matches!(gap, Gap::CutShort { count: 1, example } if example.contains("1000 directory entries"));
    assert!(subject.gaps.iter().any(cut), "{:?}", subject.gaps);
}

/// A source that was fetched beforehand has what the build could see, and nothing of what it did.
#[test]
fn a_vendored_source_is_no_proof_of_what_became_of_it() {
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let vendor = store.scratch().join("tool-1.0-vendor");
    fs::create_dir(&vendor).unwrap();
    let lock = "version = 3\n\n[[package]]\nname = \"regex\"\nversion = \"1.5.4\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    fs::write(vendor.join("Cargo.lock"), lock).unwrap();
    let vendor = vendor.to_str().unwrap();
    store
        .run(
            "nix-store",
            &[],
            ["--add-fixed", "--recursive", "sha256", vendor],
        )
        .unwrap();
    let hash = store
        .run("nix-hash", &[], ["--type", "sha256", vendor])
        .unwrap();
    let hash = lines(&hash).remove(0);
    let expression = format!(
        r#"
        let make = args: derivation ({{ system = "x86_64-linux"; builder = "/bin/sh"; }} // args); in
        make {{
          name = "tool-1.0";
          pname = "tool";
          version = "1.0";
          cargoDeps = make {{
            name = "tool-1.0-vendor";
            outputHashMode = "recursive";
            outputHashAlgo = "sha256";
            outputHash = "{hash}";
          }};
        }}"#
    );
    store.instantiate(&expression, &[]).unwrap();
    let drv = fs::read_dir(store.dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with("-tool-1.0.drv"))
        .unwrap();
    let options = |mode| Options {
        store: Some(Store::with_dirs(
            store.dir().to_str().unwrap().parse().unwrap(),
            &store.scratch().join("var"),
        )),
        deep: Deep {
            mode,
            ..Deep::default()
        },
        ..Options::default()
    };
    let look = |mode| {
        let input = Input::detect(&drv, &options(mode)).unwrap();
        read(vec![input], Vec::new(), &options(mode)).unwrap()
    };
    insta::assert_snapshot!(told(&look(Mode::Always)), @r"
    inside Rust regex 1.5.4 (unknown)
        tool-1.0-vendor: Cargo.lock Cargo.lock, unknown
    whole  tool 1.0 (unknown)
    ");
    assert_eq!(look(Mode::Auto).inside, []);
}
