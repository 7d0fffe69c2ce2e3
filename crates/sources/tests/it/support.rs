//! A small world that the real Nix makes, and ways to look at a subject.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use snowguard_inventory::{Object, Subject};
use snowguard_sources::{Input, Options, SourceError, read};
use snowguard_testkit::nix::{Nix, NixStore};

/// An application with a library, a patch and a source; the library has two outputs, and a build
/// tool that nothing needs at run time.
pub(crate) const WORLD: &str = r#"
let
  make = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
  source = make {
    name = "source-1.0.tar.gz";
    urls = [ "https://example.org/lib-1.0.tar.gz" ];
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  };
  tool = make { name = "tool-0.1"; };
  lib = make {
    name = "lib-1.0";
    pname = "lib";
    version = "1.0";
    outputs = [ "out" "dev" ];
    src = source;
    nativeBuildInputs = [ tool ];
    patches = [ ./CVE-2020-0001.patch ];
  };
in
  make { name = "app-2.1"; pname = "app"; version = "2.1"; buildInputs = [ lib ]; }
"#;

pub(crate) struct World {
    pub(crate) store: NixStore,
    /// The path of `app-2.1.drv`.
    pub(crate) drv: PathBuf,
    /// Output paths by `NAME` or `NAME.OUTPUT`.
    pub(crate) outputs: BTreeMap<String, String>,
}

impl World {
    /// Instantiated, and nothing built.
    pub(crate) fn new() -> Self {
        let store = Nix::find().unwrap().store_at("nix/store").unwrap();
        store
            .write(
                "CVE-2020-0001.patch",
                "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nSubject: mends CVE-2020-0002\n--- a/x\n",
            )
            .unwrap();
        store.instantiate(WORLD, &[]).unwrap();
        let drvs: Vec<PathBuf> = std::fs::read_dir(store.dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "drv"))
            .collect();
        let mut outputs = BTreeMap::new();
        let mut app = None;
        for drv in drvs {
            let text = drv.to_str().unwrap();
            let name = text.rsplit('/').next().unwrap()[33..]
                .trim_end_matches(".drv")
                .to_owned();
            if name == "app-2.1" {
                app = Some(drv.clone());
            }
            for path in lines(
                &store
                    .run("nix-store", &[], ["-q", "--outputs", text])
                    .unwrap(),
            ) {
                let whole = path.rsplit('/').next().unwrap()[33..].to_owned();
                outputs.insert(whole, path);
            }
        }
        Self {
            store,
            drv: app.unwrap(),
            outputs,
        }
    }

    /// As if it had been built: the application refers to the library's first output, to itself,
    /// and to a file that was never built.
    pub(crate) fn built() -> Self {
        let world = Self::new();
        let config = world.store.write("config.txt", "listen = 1").unwrap();
        let config = world
            .store
            .run("nix-store", &[], ["--add", config.to_str().unwrap()]);
        let config = lines(&config.unwrap()).remove(0);
        let (app, lib) = (world.output("app-2.1"), world.output("lib-1.0"));
        let lib_drv = world.query(&["-q", "--deriver", &lib]);
        world.register(&lib, &lib_drv, &[]);
        world.register(&app, world.drv.to_str().unwrap(), &[&lib, &app, &config]);
        world
    }

    pub(crate) fn output(&self, name: &str) -> String {
        self.outputs.get(name).unwrap().clone()
    }

    /// Makes a path valid, with a deriver and references. What the outputs of the library are
    /// derived from is asked of the derivation of the application.
    fn register(&self, path: &str, deriver: &str, references: &[&str]) {
        std::fs::create_dir_all(Path::new(path).join("bin")).unwrap();
        std::fs::write(Path::new(path).join("bin/run"), "#!/bin/sh\n").unwrap();
        let hash = self.store.run("nix-hash", &[], ["--type", "sha256", path]);
        let hash = lines(&hash.unwrap()).remove(0);
        let deriver = if deriver.is_empty() || deriver == "unknown-deriver" {
            self.deriver_of(path)
        } else {
            deriver.to_owned()
        };
        let size = 1_000;
        let mut text = format!("{path}\n{hash}\n{size}\n{deriver}\n{}\n", references.len());
        for reference in references {
            text.push_str(reference);
            text.push('\n');
        }
        self.store
            .run_with_input("nix-store", ["--load-db"], text.as_bytes())
            .unwrap();
    }

    fn deriver_of(&self, path: &str) -> String {
        let closure = self.query(&["-qR", self.drv.to_str().unwrap()]);
        closure
            .lines()
            .filter(|drv| drv.ends_with(".drv"))
            .find(|drv| {
                self.query(&["-q", "--outputs", drv])
                    .lines()
                    .any(|out| out == path)
            })
            .unwrap()
            .to_owned()
    }

    /// What `nix-store` prints, without the last line end.
    pub(crate) fn query(&self, arguments: &[&str]) -> String {
        let printed = self
            .store
            .run("nix-store", &[], arguments)
            .unwrap_or_default();
        String::from_utf8(printed).unwrap().trim_end().to_owned()
    }
}

pub(crate) fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Reads one input, as someone would who passes it alone.
pub(crate) fn subject(path: impl AsRef<Path>) -> Subject {
    try_subject(path, &Options::default()).unwrap()
}

pub(crate) fn try_subject(
    path: impl AsRef<Path>,
    options: &Options,
) -> Result<Subject, SourceError> {
    read(vec![Input::detect(path, options)?], Vec::new(), options)
}

/// Reads one input from a pipe.
pub(crate) fn piped(bytes: impl Into<Vec<u8>>) -> Result<Subject, SourceError> {
    let options = Options::default();
    let pipe = std::io::Cursor::new(bytes.into());
    let input = Input::from_reader("standard input", pipe, &options)?;
    read(vec![input], Vec::new(), &options)
}

/// The error with its causes, and its hint.
pub(crate) fn told(error: &SourceError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        text = format!("{text}\nhint: {hint}");
    }
    text
}

pub(crate) fn object<'s>(subject: &'s Subject, name: &str) -> &'s Object {
    let mut found = subject
        .objects
        .iter()
        .filter(|object| &*object.name == name);
    let object = found.next().unwrap_or_else(|| {
        let names: Vec<_> = subject.objects.iter().map(|object| &object.name).collect();
        panic!("there is no object {name} among {names:?}")
    });
    assert!(found.next().is_none(), "{name} is there twice");
    object
}

/// The references of every object, by id, sorted.
pub(crate) fn references(subject: &Subject) -> BTreeMap<String, Vec<String>> {
    let id = |node| subject.object(node).unwrap().id.to_string();
    subject
        .graph
        .nodes()
        .map(|node| {
            let mut to: Vec<String> = subject
                .graph
                .references(node)
                .iter()
                .map(|&n| id(n))
                .collect();
            to.sort();
            (id(node), to)
        })
        .collect()
}

/// All files below a directory, with their contents.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                pending.push(path);
            } else {
                let content = std::fs::read(&path).unwrap_or_default();
                files.insert(path, content);
            }
        }
    }
    files
}
