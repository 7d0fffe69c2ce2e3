//! Answers as servers give them, and archives as they come: each for `curl` and for Nix itself, where it is for both.

use std::collections::BTreeSet;

use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::web::{Answer, Fault};

use crate::corpus::{CURL_ARGS, Corpus};
use crate::support::run;

const GOOD: &[u8] = b"good content\n";

/// Who takes an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Curl,
    Nix,
}

impl Corpus {
    /// Statuses, redirects, encodings and addresses before one another; the names of those that only a build can tell.
    pub(crate) fn answers(&mut self) -> BTreeSet<String> {
        self.web.answer_with(|request| {
            let mut parts = request.path.trim_start_matches('/').split('/');
            let (kind, word) = (parts.next()?, parts.next()?);
            let (mut status, mut headers) = (200, Vec::new());
            let mut body = GOOD.to_vec();
            match kind {
                "code" => status = word.parse().ok()?,
                "empty" => {
                    status = 302;
                    headers.push(("Location".to_owned(), String::new()));
                }
                "chain" => {
                    let left: usize = word.parse().ok()?;
                    if left > 0 {
                        status = 302;
                        body.clear();
                        headers.push(("Location".to_owned(), format!("/chain/{}", left - 1)));
                    }
                }
                "named" => headers.push(("Content-Encoding".to_owned(), word.to_owned())),
                _ => return None,
            }
            Some(Answer {
                status,
                headers,
                body,
            })
        });
        let good = hash(GOOD);
        let paths = [200, 201, 203, 204, 206, 300, 302, 304, 305, 403, 404]
            .map(|code| format!("/code/{code}"))
            .into_iter()
            .chain([10, 11, 20, 21].map(|hops| format!("/chain/{hops}")))
            .chain(["/empty/x".to_owned()]);
        for path in paths {
            self.both(&path, &good);
        }
        // Nothing comes with these.
        for path in ["/code/204", "/code/304"] {
            self.one(&format!("{path}/nothing"), path, &hash(b""), By::Nix);
        }
        let mut only_a_build = BTreeSet::new();
        for (word, pack) in [
            ("gzip", "gzip"),
            ("x-gzip", "gzip"),
            ("xz", "xz"),
            ("bzip2", "bzip2"),
        ] {
            let packed = self.packed(pack);
            let path = format!("/packed/{word}");
            self.web
                .put_with(&path, packed.clone(), &[("Content-Encoding", word)], None);
            // What `curl` was not asked to unpack, it does not.
            self.one(&format!("{path}/packed"), &path, &hash(&packed), By::Curl);
            self.one(&format!("{path}/plain"), &path, &good, By::Curl);
            for (what, hash) in [("packed", hash(&packed)), ("plain", good.clone())] {
                let name = self.one(&format!("{path}/{what}"), &path, &hash, By::Nix);
                only_a_build.insert(name);
            }
        }
        for word in ["identity", "junk"] {
            let path = format!("/named/{word}");
            self.one(&path, &path, &good, By::Curl);
            only_a_build.insert(self.one(&path, &path, &good, By::Nix));
        }
        let packed = self.packed("gzip");
        let mut wrapped = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{:x}\r\n",
            packed.len()
        )
        .into_bytes();
        wrapped.extend_from_slice(&packed);
        wrapped.extend_from_slice(b"\r\n0\r\n\r\n");
        self.web.fail_always("/wrapped", Fault::Garbage(wrapped));
        only_a_build
            .extend([By::Curl, By::Nix].map(|by| self.one("/wrapped", "/wrapped", &good, by)));
        self.mirrors(&good, &mut only_a_build);
        only_a_build
    }

    /// Several addresses, of which `curl` takes the first that it can.
    fn mirrors(&mut self, good: &str, only_a_build: &mut BTreeSet<String>) {
        let (there, none) = (self.web.url("/code/200"), self.web.url("/code/404"));
        let file = self.store.write("here", "another").unwrap();
        let file = format!("file://{}", file.display());
        let dead = "ftp://127.0.0.1:1/x";
        for (name, urls, is_known) in [
            ("file-first", [file.as_str(), &there], false),
            ("no-file-first", ["file:///nowhere/at/all", &there], false),
            ("ftp-first", [dead, &there], false),
            ("ftp-last", [&there, dead], true),
            ("file-last", [&none, &file], false),
            ("304-first", [&self.web.url("/code/304"), &there], true),
            ("302-first", [&self.web.url("/code/302"), &none], true),
            ("404-first", [&none, &there], true),
        ] {
            let args = format!("{CURL_ARGS} urls = \"{}\";", urls.join(" "));
            self.add(name, good, "flat", &args);
            if !is_known {
                only_a_build.insert(name.to_owned());
            }
        }
    }

    fn both(&mut self, path: &str, hash: &str) {
        for by in [By::Curl, By::Nix] {
            self.one(path, path, hash, by);
        }
    }

    fn one(&mut self, name: &str, path: &str, hash: &str, by: By) -> String {
        let name = name.trim_start_matches('/').replace('/', "-");
        let url = self.web.url(path);
        let (name, args) = match by {
            By::Curl => (
                format!("curl-{name}"),
                format!("{CURL_ARGS} urls = \"{url}\";"),
            ),
            By::Nix => (
                format!("nix-{name}"),
                format!("builder = \"builtin:fetchurl\"; url = \"{url}\";"),
            ),
        };
        self.add(&name, hash, "flat", &args);
        name
    }

    fn packed(&self, program: &str) -> Vec<u8> {
        let directory = self.directory("packed");
        std::fs::write(directory.join("good"), GOOD).unwrap();
        let command = format!("{program} -c good > packed");
        run(&directory, "sh", &["-c", &command]);
        std::fs::read(directory.join("packed")).unwrap()
    }

    /// Archives that are damaged, or lead out of where they are unpacked; the names of those that only a build can tell.
    pub(crate) fn odd_archives(&mut self) -> BTreeSet<String> {
        let top = self.directory("odd");
        std::fs::create_dir_all(top.join("r/d")).unwrap();
        std::fs::write(top.join("r/a"), "a".repeat(5000)).unwrap();
        let mut only_a_build = BTreeSet::new();
        run(&top, "tar", &["cJf", "x.tar.xz", "r"]);
        run(&top, "tar", &["czf", "x.tar.gz", "r"]);
        let read = |name: &str| std::fs::read(top.join(name)).unwrap();
        let (xz, gz) = (read("x.tar.xz"), read("x.tar.gz"));
        let right = self.hash_of(&top.join("r"), true);
        // The index is damaged; of all else, tar has what it needs.
        let mut index = xz.clone();
        let at = index.len() - 20;
        index[at] ^= 1;
        let cut = |bytes: &[u8], less: usize| bytes[..bytes.len() - less].to_vec();
        for (name, bytes, is_known) in [
            ("whole.tar.xz", xz.clone(), true),
            ("trailing.tar.xz", [&xz[..], b"garbage"].concat(), false),
            ("cut.tar.xz", cut(&xz, 20), false),
            ("half.tar.xz", cut(&xz, xz.len() / 2), false),
            ("index.tar.xz", index, false),
            // Of these, tar itself looks at what its helper says.
            ("trailing.tar.gz", [&gz[..], b"garbage"].concat(), true),
            ("half.tar.gz", cut(&gz, gz.len() / 2), true),
            ("gzip.tar.xz", gz, true),
        ] {
            self.odd(name, bytes, &right, is_known, &mut only_a_build);
        }
        // Through a link that the archive itself made, which tar follows.
        std::os::unix::fs::symlink("d", top.join("r/e")).unwrap();
        std::fs::write(top.join("x"), "x").unwrap();
        run(&top, "tar", &["cf", "link.tar", "r"]);
        let rename = "--transform=s,^x$,r/e/x,";
        run(&top, "tar", &["rf", "link.tar", rename, "x"]);
        std::fs::rename(top.join("x"), top.join("r/d/x")).unwrap();
        let through = self.hash_of(&top.join("r"), true);
        self.odd(
            "link.tar",
            read("link.tar"),
            &through,
            false,
            &mut only_a_build,
        );
        // unzip leaves away what leads out.
        std::fs::create_dir_all(top.join("below")).unwrap();
        std::fs::create_dir_all(top.join("s")).unwrap();
        std::fs::write(top.join("s/a"), "a").unwrap();
        run(&top.join("below"), "zip", &["-qr", "../out.zip", "../s"]);
        let out = self.hash_of(&top.join("s"), true);
        self.odd("out.zip", read("out.zip"), &out, false, &mut only_a_build);
        only_a_build
    }

    fn odd(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        hash: &str,
        is_known: bool,
        only_a_build: &mut BTreeSet<String>,
    ) {
        let path = format!("/odd/{name}");
        self.web.put(&path, bytes);
        let called = name.replace('.', "-");
        self.archive((&called, &path), hash, Some(("ls -A", "ls -A")));
        if !is_known {
            only_a_build.insert(called);
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    Hash::of(HashAlgo::Sha256, bytes)
        .unwrap()
        .to_notation(Notation::Hex)
}
