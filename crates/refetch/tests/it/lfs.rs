//! What Git LFS keeps elsewhere, from a server that does as it is told, and held against `git-lfs` itself.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use snowguard_fod::plan::Sparse;
use snowguard_fod::policy::Described;
use snowguard_fod::{Outcome, Verdict};
use snowguard_http::Egress;
use snowguard_refetch::{Denied, Guard, Halt, Job, Limits, Verifier};
use snowguard_store::Hash;
use snowguard_testkit::web::{Answer, Request, Web};

use crate::fetched::commit_of;
use crate::lfs_server::{ATTRIBUTES, BIG, OTHER, Server, answer, job, oid, pointer};
use crate::support::{Place, git_backend, run};

/// The hash of a tree that is made here, as Nix computes it.
fn hash_of(directory: &Path) -> Hash {
    let hash = run(
        directory,
        "nix-hash",
        &["--type", "sha256", "--base32", "."],
    );
    Hash::parse(&format!("sha256:{hash}"), None).unwrap()
}

fn got(outcome: &Outcome) -> Hash {
    let got = outcome
        .got
        .as_ref()
        .unwrap_or_else(|| panic!("{outcome:?}"));
    Hash::parse(&got.hash, None).unwrap()
}

/// Files of all kinds, and what they are in the end.
fn all_kinds(server: &Server) -> (Job, Vec<(&'static str, Vec<u8>)>) {
    server.keep(BIG).keep(OTHER);
    let (big, other) = (pointer(BIG), pointer(OTHER));
    let files: [(&str, &[u8], &[u8]); 9] = [
        (
            ".gitattributes",
            ATTRIBUTES.as_bytes(),
            ATTRIBUTES.as_bytes(),
        ),
        ("a/big.bin", big.as_bytes(), BIG),
        ("a/same one.bin", big.as_bytes(), BIG),
        ("do.sh.bin", other.as_bytes(), OTHER),
        ("\u{e4}.bin", other.as_bytes(), OTHER),
        // Handed to the filter, which leaves it as it is.
        ("plain.bin", b"no pointer\n", b"no pointer\n"),
        ("empty.bin", b"", b""),
        // A directory has attributes of its own.
        ("b/.gitattributes", b"*.bin -filter\n", b"*.bin -filter\n"),
        ("b/big.bin", big.as_bytes(), big.as_bytes()),
    ];
    let stored: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes, _)| (*name, *bytes))
        .collect();
    let mut stored = stored;
    // Not handed to it.
    stored.push(("pointer.txt", big.as_bytes()));
    let mut made: Vec<_> = files
        .iter()
        .map(|(name, _, bytes)| (*name, bytes.to_vec()))
        .collect();
    made.push(("pointer.txt", big.clone().into_bytes()));
    (server.commit("v1", &stored), made)
}

#[test]
fn what_is_kept_elsewhere_is_put_in_place() {
    let server = Server::start();
    let (job, made) = all_kinds(&server);
    let tree = tempfile::tempdir().unwrap();
    for (name, bytes) in made {
        let file = tree.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, bytes).unwrap();
    }
    run(tree.path(), "chmod", &["+x", "do.sh.bin"]);
    let place = Place::private();
    let right = Job {
        address: snowguard_store::ContentAddress::new(job.address.method, hash_of(tree.path())),
        ..job
    };
    server.web.seen();
    let outcome = place.verify(&right);
    assert_eq!(outcome.verdict, Verdict::Ok, "{outcome:?}");
    // Each is asked for once, however often it is there.
    let seen = server.web.seen();
    let of = |part: &str| seen.iter().filter(|one| one.path.contains(part)).count();
    assert_eq!((of("/objects/batch"), of("/objects/")), (1, 3));
    assert_eq!(place.scratch.path().read_dir().unwrap().count(), 0);
    // Without it, what stands for them is the source.
    let without = commit_of(server.web.url("/git/r.git"), "v1");
    assert_eq!(place.verify(&without).verdict, Verdict::Mismatch);
    assert!(
        server
            .web
            .seen()
            .iter()
            .all(|one| !one.path.contains("/objects/"))
    );
}

#[test]
fn git_lfs_itself_makes_the_same_of_it() {
    let server = Server::start();
    let (job, _) = all_kinds(&server);
    let work = tempfile::tempdir().unwrap();
    // As `nix-prefetch-git` does it.
    let script = format!(
        "export HOME=$PWD/home; unset GIT_CONFIG_GLOBAL; mkdir home tree; git lfs install --skip-repo >&2; cd tree; \
         git init --quiet . && git remote add origin {} && git fetch --quiet --depth 1 origin +refs/tags/v1 && \
         git checkout --quiet -b fetchgit FETCH_HEAD && rm -rf .git",
        server.web.url("/git/r.git")
    );
    run(work.path(), "sh", &["-ec", &script]);
    let tree = work.path().join("tree");
    assert_eq!(std::fs::read(tree.join("a/big.bin")).unwrap(), BIG);
    assert_eq!(got(&Place::private().verify(&job)), hash_of(&tree));
}

#[test]
fn what_does_not_come_as_promised_is_told() {
    let server = Server::start();
    let big = pointer(BIG);
    let lfs = |tag: &str, bytes: &str| {
        let files = [
            (".gitattributes", ATTRIBUTES.as_bytes()),
            ("x.bin", bytes.as_bytes()),
        ];
        server.commit(tag, &files)
    };
    let place = Place::private();
    let verify = |job: &Job| server.told(&place.verify(job));
    let job = lfs("v1", &big);
    let mut all = vec![verify(&job)];
    server
        .objects
        .lock()
        .unwrap()
        .insert(oid(BIG), OTHER.to_vec());
    all.push(verify(&job));
    server
        .objects
        .lock()
        .unwrap()
        .insert(oid(BIG), [BIG, OTHER].concat());
    all.push(verify(&job).replace(&oid(&[BIG, OTHER].concat()), "BOTH"));
    server.keep(BIG);
    let no = |code: u16| json!({ "error": { "code": code, "message": "Object is away" }, "actions": null });
    let to = |href: &str, header: Value| json!({ "actions": { "download": { "href": href, "header": header } } });
    for said in [
        no(404),
        no(410),
        no(422),
        no(503),
        json!({ "oid": "1" }),
        json!({ "actions": {} }),
        json!({ "actions": 1 }),
        to("file:///etc/passwd", Value::Null),
        to("ftp://x.org/x", Value::Null),
        to(&server.web.url("/objects/x"), json!({ "Host": "x.org" })),
        to(&server.web.url("/objects/x"), json!({ "X": "a\nb" })),
    ] {
        server.say(BIG, said);
        all.push(verify(&job));
    }
    server.said.lock().unwrap().clear();
    let twice = big.replace(&format!("size {}", BIG.len()), "size 35");
    all.push(verify(&lfs("v2", &twice)));
    all.push(verify(&lfs("v3", &big.replace('\n', "\r\n"))));
    insta::assert_snapshot!(all.join("\n"), @r"
    gone: x.bin: HOST answered 404 Not Found to http://HOST/objects/BIG
    failed: x.bin: its LFS server sends 10 bytes with the SHA-256 OTHER, and 34 with BIG are promised, so git-lfs refuses them
    failed: x.bin: its LFS server sends 44 bytes with the SHA-256 BOTH, and 34 with BIG are promised, so git-lfs refuses them
    gone: x.bin: its LFS server says 404 Object is away
    gone: x.bin: its LFS server says 410 Object is away
    failed: x.bin: its LFS server says 422 Object is away
    transient: x.bin: its LFS server says 503 Object is away
    failed: x.bin: its LFS server says nothing of it
    failed: x.bin: its LFS server names no address for it
    failed: what its LFS server answers cannot be read: invalid type: integer `1`, expected struct Actions at line 1 column 24
    denied: x.bin: its LFS server names a file of this machine
    failed: x.bin: its LFS server names no address of https or http
    needs-builder: x.bin: its LFS server asks for the header Host, which is not sent for others
    failed: x.bin: `X` cannot be sent as a header
    needs-builder: x.bin: it has 34 bytes, and what stands for it says 35
    needs-builder: x.bin: it is nearly a pointer of Git LFS, and what becomes of it depends on the version of that
    ");
}

#[test]
fn a_server_that_answers_otherwise_is_told() {
    let server = Server::start();
    let big = pointer(BIG);
    let files = [
        (".gitattributes", ATTRIBUTES.as_bytes()),
        ("x.bin", big.as_bytes()),
    ];
    let job = server.commit("v1", &files);
    let place = Place::private();
    let root = server.root.path().to_owned();
    let verify = |status: u16, headers: &[(&str, String)], body: &str| {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let said = Answer {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        };
        let root = root.clone();
        server
            .web
            .answer_with(move |request| match request.path.as_str() {
                "/git/r.git/info/lfs/objects/batch" => Some(said.clone()),
                _ => git_backend(&root, request),
            });
        server.told(&place.verify(&job))
    };
    let there = |path: &str| [("Location", server.web.url(path))];
    insta::assert_snapshot!([
        verify(404, &[], ""),
        verify(401, &[], ""),
        verify(500, &[], ""),
        verify(201, &[], "{}"),
        verify(200, &[], "{}"),
        verify(200, &[], "<html>"),
        verify(200, &[], r#"{"transfer":"tus","objects":[]}"#),
        verify(200, &[("Content-Encoding", "gzip".to_owned())], "{}"),
        verify(200, &[], &" ".repeat((4 << 20) + 1)),
        verify(307, &there("/git/r.git/info/lfs/objects/batch"), ""),
    ].join("\n"), @r"
    gone: HOST answered 404 Not Found to http://HOST/git/r.git/info/lfs/objects/batch
    failed: HOST answered 401 Unauthorized to http://HOST/git/r.git/info/lfs/objects/batch: it is gone, or for those only who have a login
    transient: HOST answered 500 Internal Server Error to http://HOST/git/r.git/info/lfs/objects/batch
    failed: HOST answered 201 Created to http://HOST/git/r.git/info/lfs/objects/batch
    failed: x.bin: its LFS server says nothing of it
    failed: what its LFS server answers cannot be read: expected value at line 1 column 1
    needs-builder: x.bin: its LFS server wants tus, which is not spoken here
    needs-builder: what its LFS server sends comes packed, and that is not undone here
    needs-builder: its LFS server answers with more than 4194304 bytes
    redirect: HOST leads from http://HOST/git/r.git/info/lfs/objects/batch to http://HOST/git/r.git/info/lfs/objects/batch, one redirect too many
    ");
}

#[test]
fn a_pointer_to_more_than_may_be_taken_is_not_followed() {
    let server = Server::start();
    server.keep(BIG).keep(OTHER);
    let (big, other) = (pointer(BIG), pointer(OTHER));
    let job = server.commit(
        "v1",
        &[
            (".gitattributes", ATTRIBUTES.as_bytes()),
            ("x.bin", big.as_bytes()),
            ("y.bin", other.as_bytes()),
        ],
    );
    let huge = big.replace(&format!("size {}", BIG.len()), "size 9223372036854775807");
    let files = [
        (".gitattributes", ATTRIBUTES.as_bytes()),
        ("x.bin", huge.as_bytes()),
    ];
    let huge = server.commit("v2", &files);
    let place = Place::private();
    let verify = |limits: Limits, job: &Job| {
        let verifier = Verifier {
            limits,
            ..place.verifier(None, None)
        };
        server.web.seen();
        let told = server.told(&verifier.verify(job).unwrap());
        let seen = server.web.seen();
        assert!(
            seen.iter().all(|one| !one.path.contains("/objects/")),
            "{told}"
        );
        told
    };
    let is = Limits::default;
    let archive = snowguard_archive::Limits {
        bytes: 320,
        ..snowguard_archive::Limits::default()
    };
    insta::assert_snapshot!([
        verify(Limits { download: 20, ..is() }, &job),
        verify(Limits { archive, ..is() }, &job),
        verify(is(), &huge),
        verify(Limits { download: u64::MAX, ..is() }, &huge),
    ].join("\n"), @r"
    needs-builder: x.bin: it has more than 20 bytes
    needs-builder: its tree has files of more than 320 bytes in all
    needs-builder: x.bin: it has more than 34359738368 bytes
    needs-builder: its tree has files of more than 34359738368 bytes in all
    ");
}

#[test]
fn what_a_repository_says_of_its_server_is_followed_where_that_is_exact() {
    let server = Server::start();
    server.keep(BIG);
    let place = Place::private();
    let big = pointer(BIG);
    let verify = |tag: &str, config: &str, name: &str| {
        let files = [
            (".gitattributes", ATTRIBUTES.as_bytes()),
            (".lfsconfig", config.as_bytes()),
            (name, big.as_bytes()),
        ];
        let job = server.commit(tag, &files);
        server.web.seen();
        let outcome = place.verify(&job);
        let mut told = match outcome.verdict {
            Verdict::Mismatch => "in place".to_owned(),
            _ => server.told(&outcome),
        };
        for one in server.web.seen() {
            if one.path.ends_with("/objects/batch") {
                let _ = write!(told, " by {}", one.path);
            }
        }
        told
    };
    let url = format!(
        "[lfs]\n\turl = {}\n\tlocksverify = false\n",
        server.web.url("/lfs/")
    );
    insta::assert_snapshot!([
        verify("v1", "", "x.bin"),
        verify("v2", &url, "x.bin"),
        verify("v3", &url, ".a.bin"),
        verify("v4", "[lfs]\n\tfetchexclude = *.bin\n", "x.bin"),
        verify("v5", "[lfs]\n\turl = ssh://git@x.org/r\n", "x.bin"),
        verify("v6", "[lfs]\n\turl = https://me:secret@x.org/r\n", "x.bin"),
        verify("v7", "[lfs\n", "x.bin"),
        verify("v8", "[include]\n\tpath = /etc/passwd\n", "x.bin"),
    ].join("\n"), @r"
    in place by /git/r.git/info/lfs/objects/batch
    in place by /lfs/objects/batch
    needs-builder: whether Git LFS follows its .lfsconfig depends on what is checked out first
    needs-builder: its .lfsconfig sets lfs.fetchexclude, which is not followed here
    needs-builder: Git LFS keeps its files at no plain address of https or http
    needs-builder: Git LFS keeps its files at no plain address of https or http
    needs-builder: its .lfsconfig cannot be read
    needs-builder: its .lfsconfig sets include.path, which is not followed here
    ");
}

#[test]
fn what_is_not_checked_out_is_not_asked_for() {
    let server = Server::start();
    server.keep(OTHER);
    let (big, other) = (pointer(BIG), pointer(OTHER));
    let files = [
        (".gitattributes", ATTRIBUTES.as_bytes()),
        ("in/y.bin", other.as_bytes()),
        ("out/x.bin", big.as_bytes()),
    ];
    server.commit("v1", &files);
    let sparse = Sparse {
        lines: "in".into(),
        patterns: false,
    };
    let url = server.web.url("/git/r.git");
    let outcome = Place::private().verify(&job(&url, "v1", false, Some(sparse)));
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join(".gitattributes"), ATTRIBUTES).unwrap();
    std::fs::create_dir(tree.path().join("in")).unwrap();
    std::fs::write(tree.path().join("in/y.bin"), OTHER).unwrap();
    assert_eq!(got(&outcome), hash_of(tree.path()));
}

#[test]
fn files_of_submodules_that_are_kept_elsewhere_are_left_to_a_build() {
    let server = Server::start();
    server.keep(BIG);
    let big = pointer(BIG);
    let plain: [(&str, &[u8]); 2] = [
        (".gitattributes", ATTRIBUTES.as_bytes()),
        ("x.bin", b"no pointer\n"),
    ];
    let kept = [
        (".gitattributes", ATTRIBUTES.as_bytes()),
        ("x.bin", big.as_bytes()),
    ];
    let modules = "[submodule \"m\"]\npath = m\nurl = ./../r.git\n";
    let place = Place::private();
    let url = server.web.url("/git/r.git");
    let verify = |tag: &str, inner: &[(&str, &[u8])]| {
        let inner_tag = format!("inner-{tag}");
        server.commit(&inner_tag, inner);
        let commit = server.git(&["rev-parse", &format!("{inner_tag}^{{commit}}")]);
        server.commit(tag, &[(".gitmodules", modules.as_bytes())]);
        let info = format!("160000,{commit},m");
        server.git(&["update-index", "--add", "--cacheinfo", &info]);
        let outer = format!("outer-{tag}");
        server.tagged(&outer);
        let outcome = place.verify(&job(&url, &outer, true, None));
        match outcome.verdict {
            Verdict::Mismatch => "its tree".to_owned(),
            _ => server.told(&outcome),
        }
    };
    insta::assert_snapshot!([verify("v1", &plain), verify("v2", &kept)].join("\n"), @r"
    its tree
    needs-builder: submodule m: x.bin: Git LFS keeps it elsewhere, and it is of a submodule
    ");
}

/// A proxy that knows one host, and says what else was asked for.
#[derive(Debug)]
struct OneHost {
    egress: Egress,
    denied: Arc<Mutex<Vec<Denied>>>,
}

impl Guard for OneHost {
    fn open(&self, _: &Described) -> Result<Egress, Halt> {
        Ok(self.egress.clone())
    }

    fn close(&self, _: &Egress) -> Result<Vec<Denied>, Halt> {
        Ok(std::mem::take(&mut self.denied.lock().unwrap()))
    }
}

#[test]
fn a_server_that_names_a_host_which_the_policy_does_not_have_is_denied() {
    let server = Server::start();
    server.keep(BIG);
    let big = pointer(BIG);
    let files = [
        (".gitattributes", ATTRIBUTES.as_bytes()),
        ("x.bin", big.as_bytes()),
    ];
    server.commit("v1", &files);
    let proxy = Web::start().unwrap();
    let denied: Arc<Mutex<Vec<Denied>>> = Arc::default();
    let (root, objects) = (server.root.path().to_owned(), Arc::clone(&server.objects));
    let (said, noted) = (Arc::clone(&server.said), Arc::clone(&denied));
    proxy.answer_with(move |request| {
        let (host, path) = request.path.strip_prefix("http://")?.split_once('/')?;
        if host != "repository.test" {
            noted.lock().unwrap().push(Denied {
                host: host.to_owned(),
                detail: "not in the policy".to_owned(),
            });
            return Some(Answer {
                status: 403,
                headers: Vec::new(),
                body: Vec::new(),
            });
        }
        let request = Request {
            path: format!("/{path}"),
            ..request.clone()
        };
        let base = "http://repository.test";
        answer(
            &root,
            base,
            &said.lock().unwrap(),
            &objects.lock().unwrap(),
            &request,
        )
    });
    let address = proxy
        .base()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let guard = OneHost {
        egress: Egress {
            address,
            token: "one".into(),
        },
        denied,
    };
    let place = Place::public();
    let verify = || {
        let job = job("http://repository.test/git/r.git", "v1", false, None);
        let job = Job {
            described: Some(described()),
            ..job
        };
        let verifier = Verifier {
            guard: Some(&guard),
            ..place.verifier(None, None)
        };
        verifier.verify(&job).unwrap()
    };
    // All of it goes through the proxy.
    assert_eq!(verify().verdict, Verdict::Mismatch);
    let elsewhere = format!("http://elsewhere.test/{}", oid(BIG));
    server.say(
        BIG,
        json!({ "actions": { "download": { "href": elsewhere } } }),
    );
    insta::assert_snapshot!(server.told(&verify()), @"denied: elsewhere.test: not in the policy");
}

fn described() -> Described {
    let described = json!({
        "derivation": "/nix/store/x.drv",
        "name": "x",
        "output": "/nix/store/00000000000000000000000000000000-x",
        "address": commit_of(String::new(), "v1").address,
        "class": "git",
        "tool": "git",
        "urls": ["http://repository.test/git/r.git"],
        "as_it_comes": false,
    });
    serde_json::from_value(described).unwrap()
}
