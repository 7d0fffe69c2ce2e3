//! Derivations of the shapes of Nixpkgs' fetchers, with small scripts of our own behind them, and a server that has
//! what they fetch. The right hashes are those that Nix computes of what was packed.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::{Fault, Web};

use crate::support::{git_backend, run};

/// What runs the curl shapes.
const CURL: &str = r#"
set -e
export PATH=/usr/local/bin:/usr/bin:/bin
downloadedFile=$out
if [ -n "$downloadToTemp" ]; then downloadedFile=$TMPDIR/file; fi
unpackFile() {
  case "$1" in
    *.zip) unzip -qq "$1" ;;
    *.tar.xz) (xz -d < "$1"; true) | tar xf - ;;
    *) tar xf "$1" ;;
  esac
}
for url in $urls; do
  if curl --silent --fail --location --max-redirs 20 --output "$downloadedFile" "$url"; then
    if [ "$executable" = 1 ]; then chmod +x "$downloadedFile"; fi
    eval "$postFetch"
    exit 0
  fi
done
exit 1
"#;

/// What runs the git shapes.
const GIT: &str = r#"
set -e
export PATH=/usr/local/bin:/usr/bin:/bin HOME=$TMPDIR
mkdir "$out"; cd "$out"; git init --quiet .; git remote add origin "$url"
if [ -n "$deepClone" ]; then
  git fetch --quiet --tags origin "+refs/heads/*:refs/remotes/origin/*"
else
  git fetch --quiet --depth 1 origin "$rev" ||
    git fetch --quiet --depth 1 origin "refs/tags/$rev" ||
    git fetch --quiet --tags origin
fi
if [ -n "$sparseCheckout" ]; then echo "$sparseCheckout" | git sparse-checkout set --cone --stdin; fi
if [ -n "$deepClone" ] || [ "${#rev}" = 40 ]; then git checkout --quiet --detach "$rev"; else git checkout --quiet --detach FETCH_HEAD; fi
if [ -n "$fetchSubmodules" ]; then git submodule --quiet update --init --recursive; fi
find "$out" -name .git -prune -exec rm -rf {} +
"#;

const UNPACK: &str = r#"
unpackDir="$TMPDIR/unpack"
mkdir "$unpackDir"
cd "$unpackDir"
renamed="$TMPDIR/@NAME@"
mv "$downloadedFile" "$renamed"
unpackFile "$renamed"
"#;

const STRIP: &str = r#"
if [ $(@LS@ "$unpackDir" | wc -l) != 1 ]; then
  echo "more than one"
  exit 1
fi
fn=$(cd "$unpackDir" && @NAMES@)
if [ -f "$unpackDir/$fn" ]; then
  mkdir $out
fi
mv "$unpackDir/$fn" "$out"
"#;

/// How many of each kind there are.
pub(crate) const EACH: usize = 30;
/// Endings of archives, and the programs and options that pack them.
pub(crate) const ARCHIVES: [(&str, &[&str]); 6] = [
    ("tar", &["tar", "cf"]),
    ("tar.gz", &["tar", "czf"]),
    ("tar.xz", &["tar", "cJf"]),
    ("tar.bz2", &["tar", "cjf"]),
    ("tar.zst", &["tar", "--zstd", "-cf"]),
    ("zip", &["zip", "-qry"]),
];

/// Derivations, the store that they are in, and who serves what they fetch.
pub(crate) struct Corpus {
    pub(crate) store: NixStore,
    pub(crate) web: Web,
    expression: String,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        Self {
            store: Nix::find().unwrap().store_at("nix/store").unwrap(),
            web: Web::start().unwrap(),
            expression: String::new(),
        }
    }

    /// What is not right of the `n`-th: every third hash, and every seventh thing is not there.
    fn fate(n: usize) -> (bool, bool) {
        (n % 3 != 1, n % 7 != 6)
    }

    pub(crate) fn add(&mut self, name: &str, hash: &str, mode: &str, args: &str) {
        let _ = writeln!(
            self.expression,
            "(fixed \"{name}\" \"{hash}\" \"{mode}\" {{ {args} }})"
        );
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let directory = self.store.scratch().join("made").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// The hash that Nix computes of something on the disk.
    fn nix_hash(&self, path: &Path) -> String {
        let args = ["--type", "sha256", "--base32", path.to_str().unwrap()];
        let said = self.store.run("nix-hash", &[], args).unwrap();
        String::from_utf8(said).unwrap().trim().to_owned()
    }

    /// Files as they are.
    pub(crate) fn files(&mut self) {
        for n in 0..EACH {
            let (is_right, is_there) = Self::fate(n);
            let body: Vec<u8> = (0..n * 977)
                .map(|at| u8::try_from(at * n % 251).unwrap())
                .collect();
            let path = format!("/files/{n}.bin");
            if is_there {
                self.web.put(&path, body.clone());
            }
            let hashed: &[u8] = if is_right { &body } else { b"other" };
            let algo = [HashAlgo::Sha256, HashAlgo::Sha512, HashAlgo::Sha1][n % 3];
            let hash = Hash::of(algo, hashed).unwrap().to_notation(Notation::Hex);
            let algo = format!("outputHashAlgo = \"{algo}\";");
            let url = self.web.url(&path);
            // Every other has mirrors before it that have nothing, one of them on the way elsewhere.
            let mut urls = url.clone();
            if n % 2 == 1 {
                let away = format!("/away/{n}");
                self.web
                    .fail_always(&away, Fault::Redirect("/nowhere".into()));
                urls = format!("{} {url}", self.web.url(&away));
            }
            self.add(
                &format!("curl-{n}"),
                &hash,
                "flat",
                &format!("{algo} {CURL_ARGS} urls = \"{urls}\";"),
            );
            self.add(
                &format!("builtin-{n}"),
                &hash,
                "flat",
                &format!("{algo} builder = \"builtin:fetchurl\"; url = \"{url}\";"),
            );
            // The same, executable.
            let file = self.directory("executable").join(format!("{n}"));
            std::fs::write(&file, hashed).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            let hash = self.nix_hash(&file);
            self.add(
                &format!("executable-{n}"),
                &hash,
                "recursive",
                &format!("{CURL_ARGS} urls = \"{urls}\"; executable = true;"),
            );
            self.add(
                &format!("builtin-executable-{n}"),
                &hash,
                "recursive",
                &format!("builder = \"builtin:fetchurl\"; url = \"{url}\"; executable = true;"),
            );
        }
    }

    /// NARs that Nix itself unpacks.
    pub(crate) fn nars(&mut self) {
        for n in 0..EACH {
            let (is_right, is_there) = Self::fate(n);
            let directory = self.directory(&format!("nar/{n}"));
            fill(&directory, n);
            let args = ["--dump", directory.to_str().unwrap()];
            let mut nar = self.store.run("nix-store", &[], args).unwrap();
            let end = if n % 2 == 0 { "nar" } else { "nar.xz" };
            if n % 5 == 4 {
                nar.truncate(nar.len() / 2);
            }
            if n % 2 == 1 {
                let file = self.store.write("packed", &nar).unwrap();
                let _ = std::fs::remove_file(self.store.scratch().join("packed.xz"));
                run(self.store.scratch(), "xz", &["-k", file.to_str().unwrap()]);
                nar = std::fs::read(self.store.scratch().join("packed.xz")).unwrap();
            }
            let path = format!("/nars/{n}.{end}");
            if is_there {
                self.web.put(&path, nar);
            }
            let hash = self.hash_of(&directory, is_right);
            let args = format!(
                "builder = \"builtin:fetchurl\"; url = \"{}\"; unpack = true;",
                self.web.url(&path)
            );
            self.add(&format!("nar-{n}"), &hash, "recursive", &args);
        }
    }

    pub(crate) fn hash_of(&self, path: &Path, is_right: bool) -> String {
        if is_right {
            self.nix_hash(path)
        } else {
            Hash::of(HashAlgo::Sha256, b"other")
                .unwrap()
                .to_notation(Notation::Nix32)
        }
    }

    /// Archives of one kind.
    pub(crate) fn archives(&mut self, end: &str, pack: &[&str]) {
        for n in 0..EACH {
            let (is_right, is_there) = Self::fate(n);
            let top = self.directory(&format!("{end}/{n}"));
            let inner = top.join(format!("pkg-{n}"));
            // With its root, without, one file alone, hidden things beside it, and two things.
            let kind = n % 5;
            let (ls, names) = if kind == 3 {
                ("ls", "echo *")
            } else {
                ("ls -A", "ls -A")
            };
            if kind == 2 {
                std::fs::write(&inner, format!("alone {n}")).unwrap();
            } else {
                std::fs::create_dir(&inner).unwrap();
                fill(&inner, n);
            }
            let result = if kind == 1 || kind == 2 { &top } else { &inner };
            let hash = self.hash_of(result, is_right);
            if kind == 3 {
                std::fs::write(top.join(".hidden"), "x").unwrap();
            }
            if kind == 4 {
                std::fs::write(top.join("second"), "x").unwrap();
            }
            let file = self.store.scratch().join(format!("{n}.{end}"));
            let names_of = std::fs::read_dir(&top).unwrap();
            let members: Vec<String> = names_of
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let mut args: Vec<&str> = pack[1..].to_vec();
            args.push(file.to_str().unwrap());
            args.extend(members.iter().map(String::as_str));
            run(&top, pack[0], &args);
            let path = format!("/{end}/v{n}.{end}");
            if is_there {
                let mut bytes = std::fs::read(&file).unwrap();
                if n == 20 {
                    bytes = b"<html>not here any more</html>".to_vec();
                }
                self.web.put(&path, bytes);
            }
            let strip = (kind != 1).then_some((ls, names));
            self.archive((&format!("{end}-{n}"), &path), &hash, strip);
        }
    }

    /// One that unpacks what is at a path, and strips its root as it is told.
    pub(crate) fn archive(
        &mut self,
        (name, path): (&str, &str),
        hash: &str,
        strip: Option<(&str, &str)>,
    ) {
        let base = path.rsplit('/').next().unwrap();
        let mut program = UNPACK.replace("@NAME@", base);
        match strip {
            None => program += "mv \"$unpackDir\" \"$out\"\n",
            Some((ls, names)) => {
                program += &STRIP.replace("@LS@", ls).replace("@NAMES@", names);
            }
        }
        program += "chmod 755 \"$out\"\n";
        let args = format!(
            "{CURL_ARGS} urls = \"{}\"; downloadToTemp = true; postFetch = builtins.readFile {};",
            self.web.url(path),
            self.store
                .write(&format!("{name}.sh"), program)
                .unwrap()
                .display()
        );
        self.add(name, hash, "recursive", &args);
    }

    /// Repositories, half of them over the protocol that has no shallow part.
    pub(crate) fn repositories(&mut self) {
        let root = self.directory("git");
        let served = root.clone();
        self.web
            .answer_with(move |request| git_backend(&served, request));
        let library = self.directory("git-library");
        run(&library, "git", &["init", "--quiet", "-b", "main"]);
        std::fs::write(library.join("library.c"), "int x;\n").unwrap();
        run(&library, "git", &["add", "."]);
        run(&library, "git", &["commit", "--quiet", "-m", "library"]);
        run(
            &root,
            "git",
            &[
                "clone",
                "--quiet",
                "--bare",
                library.to_str().unwrap(),
                "library.git",
            ],
        );
        for n in 0..EACH {
            let (is_right, is_there) = Self::fate(n);
            let with_submodule = n % 5 == 2;
            let sparse = n % 10 == 3;
            let work = self.directory(&format!("work/{n}"));
            run(&work, "git", &["init", "--quiet", "-b", "main"]);
            fill(&work, n);
            // What a checkout changes.
            std::fs::write(work.join(".gitattributes"), "*.txt eol=crlf\n*.id ident\n").unwrap();
            std::fs::write(work.join("a.txt"), "one\ntwo\n").unwrap();
            std::fs::write(work.join("b.id"), "$Id$\n").unwrap();
            run(&work, "git", &["add", "."]);
            run(&work, "git", &["commit", "--quiet", "-m", "first"]);
            if with_submodule {
                let source = library.to_str().unwrap();
                let args = [
                    "-c",
                    "protocol.file.allow=always",
                    "submodule",
                    "--quiet",
                    "add",
                    source,
                    "lib",
                ];
                run(&work, "git", &args);
                let modules = work.join(".gitmodules");
                let text = std::fs::read_to_string(&modules).unwrap();
                std::fs::write(&modules, text.replace(source, "../library.git")).unwrap();
                run(
                    &work,
                    "git",
                    &["commit", "--quiet", "-a", "-m", "submodule"],
                );
            }
            run(&work, "git", &["tag", "v1"]);
            let commit = run(&work, "git", &["rev-parse", "HEAD"]);
            if n % 4 == 0 {
                std::fs::write(work.join("later"), "later").unwrap();
                run(&work, "git", &["add", "."]);
                run(&work, "git", &["commit", "--quiet", "-m", "later"]);
            }
            let name = format!("r{n}.git");
            run(
                &root,
                "git",
                &["clone", "--quiet", "--bare", work.to_str().unwrap(), &name],
            );
            // What is to come: a checkout of that commit by git itself.
            let out = self.store.scratch().join(format!("expected-{n}"));
            run(
                &root,
                "git",
                &[
                    "clone",
                    "--quiet",
                    "--no-checkout",
                    &name,
                    out.to_str().unwrap(),
                ],
            );
            if sparse {
                run(&out, "git", &["sparse-checkout", "set", "--cone", "dir"]);
            }
            run(&out, "git", &["checkout", "--quiet", "--detach", &commit]);
            if with_submodule {
                let args = [
                    "-c",
                    "protocol.file.allow=always",
                    "submodule",
                    "--quiet",
                    "update",
                    "--init",
                ];
                run(&out, "git", &args);
                std::fs::remove_file(out.join("lib/.git")).unwrap();
            }
            std::fs::remove_dir_all(out.join(".git")).unwrap();
            let hash = self.hash_of(&out, is_right);
            let dumb = n % 3 == 0 && !with_submodule;
            let url = if dumb {
                run(&root.join(&name), "git", &["update-server-info"]);
                self.publish(&root.join(&name), &format!("/dumb/{n}"));
                self.web.url(&format!("/dumb/{n}"))
            } else {
                self.web.url(&format!("/git/{name}"))
            };
            let url = if is_there {
                url
            } else {
                self.web.url("/git/none.git")
            };
            let rev = if n % 2 == 0 { &commit } else { "v1" };
            let mut args = format!("{GIT_ARGS} url = \"{url}\"; rev = \"{rev}\";");
            if with_submodule {
                args += " fetchSubmodules = true;";
            }
            if sparse {
                args += " sparseCheckout = \"dir\";";
            }
            if n % 8 < 2 {
                args += " deepClone = true;";
            }
            self.add(&format!("git-{n}"), &hash, "recursive", &args);
        }
    }

    /// What only a build can tell.
    pub(crate) fn programs(&mut self) {
        for n in 0..EACH {
            let (is_right, is_there) = Self::fate(n);
            let path = format!("/programs/{n}");
            if is_there {
                self.web.put(&path, format!("body {n}"));
            }
            let made = if is_right {
                format!("body {n}more")
            } else {
                "other".into()
            };
            let hash = Hash::of(HashAlgo::Sha256, made.as_bytes())
                .unwrap()
                .to_notation(Notation::Hex);
            let args = format!(
                "{CURL_ARGS} urls = \"{}\"; postFetch = \"printf more >> $out\";",
                self.web.url(&path)
            );
            self.add(&format!("program-{n}"), &hash, "flat", &args);
        }
    }

    /// Serves the files of a directory.
    fn publish(&self, directory: &Path, path: &str) {
        let mut todo = vec![(directory.to_owned(), path.to_owned())];
        while let Some((directory, path)) = todo.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
                if entry.path().is_dir() {
                    todo.push((entry.path(), path));
                } else {
                    self.web.put(&path, std::fs::read(entry.path()).unwrap());
                }
            }
        }
    }

    /// Puts them into the store.
    pub(crate) fn instantiate(&self) {
        for (directory, text) in [("curl", CURL), ("git", GIT)] {
            let directory = self.store.scratch().join("builders").join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("builder.sh"), text).unwrap();
        }
        let builders = self.store.scratch().join("builders");
        let expression = format!(
            r#"
let
  drv = args: derivation ({{ system = "x86_64-linux"; builder = "/bin/sh"; }} // args);
  curlScript = {0}/curl/builder.sh;
  gitScript = {0}/git/builder.sh;
  git = drv {{ name = "git-2.51.0"; args = [ "-c" "echo > $out" ]; }};
  fixed = name: outputHash: outputHashMode: args: drv ({{
    inherit name outputHash outputHashMode; outputHashAlgo = "sha256";
  }} // args);
in [
{1}
]
"#,
            builders.display(),
            self.expression
        );
        self.store.instantiate(&expression, &[]).unwrap();
    }
}

pub(crate) const CURL_ARGS: &str = "args = [ \"-e\" curlScript ];";
const GIT_ARGS: &str = "args = [ \"-e\" gitScript ]; nativeBuildInputs = [ git ];";

/// Something of everything that a tree can hold.
fn fill(directory: &Path, n: usize) {
    let write = |path: &str, text: String| std::fs::write(directory.join(path), text).unwrap();
    std::fs::create_dir_all(directory.join("dir/inner")).unwrap();
    write("readme", format!("number {n}\n"));
    write("dir/inner/file", "x".repeat(n * 100));
    write(".dotfile", String::new());
    write("dir/a b\u{e4}", "name".into());
    let script = directory.join("dir/run.sh");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../readme", directory.join("dir/link")).unwrap();
    symlink("/nowhere/at/all", directory.join("broken")).unwrap();
}
