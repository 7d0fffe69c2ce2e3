//! What is told of the way, of who answers, and of what differs.

use std::fmt::Write as _;

use snowguard_fod::outcome::Attempt;
use snowguard_fod::plan::{Form, Packing, Root, Tree};
use snowguard_fod::{Outcome, Verdict};
use snowguard_refetch::{Job, Way};
use snowguard_store::{ContentAddress, ContentAddressMethod, Hash, HashAlgo};
use snowguard_testkit::web::{Fault, Web};

use crate::support::Place;

fn flat(urls: &[String], content: &[u8]) -> Job {
    let hash = Hash::of(HashAlgo::Sha256, content).unwrap();
    Job {
        drv: "/nix/store/x.drv".into(),
        output: "/nix/store/00000000000000000000000000000000-x".into(),
        address: ContentAddress::new(ContentAddressMethod::Flat, hash),
        way: Way::Fetch(Form::File { executable: false }),
        urls: urls.to_vec(),
    }
}

/// Verdict, reason and tries, without the port.
fn told(outcome: &Outcome, web: &Web) -> String {
    let mut text = format!("{}: {}\n", outcome.verdict, outcome.reason);
    for tried in &outcome.tries {
        let _ = write!(text, "{:?} {} {}", tried.result, tried.url, tried.detail);
        if !tried.redirects.is_empty() {
            let _ = write!(text, " by {}", tried.redirects.join(", "));
        }
        text.push('\n');
    }
    let base = web.base();
    let (_, host) = base.split_once("://").unwrap();
    text.replace(host, "HOST")
}

#[test]
fn every_address_that_was_tried_is_told() {
    let web = Web::start().unwrap();
    web.put("/moved", "right");
    web.fail_always("/a", Fault::Redirect("/moved".into()));
    web.fail_always("/loop", Fault::Redirect("/loop".into()));
    web.fail_always("/down", Fault::Status(503, Vec::new()));
    web.fail_always("/no", Fault::Status(403, Vec::new()));
    let place = Place::private();
    let verify = |paths: &[&str]| {
        let url = |path: &&str| {
            if path.starts_with('/') {
                web.url(path)
            } else {
                (*path).to_owned()
            }
        };
        let urls: Vec<String> = paths.iter().map(url).collect();
        told(&place.verify(&flat(&urls, b"right")), &web)
    };
    insta::assert_snapshot!([
        verify(&["/gone", "mirror://gnu/x", "ftp://x.org/x", "/a"]),
        verify(&["/gone", "/also"]),
        verify(&["/gone", "/down"]),
        verify(&["/loop"]),
        verify(&["/no"]),
        verify(&["/gone", "mirror://gnu/x"]),
        verify(&["http://[bad/x"]),
    ].join("\n"), @r"
    ok: what comes now has the promised hash
    Gone http://HOST/gone HOST answered 404 Not Found to http://HOST/gone
    Skipped mirror://gnu/x what mirror gnu stands for is not known
    Skipped ftp://x.org/x ftp is not spoken here
    Ok http://HOST/a  by http://HOST/moved

    gone: none of 2 addresses has it; HOST answered 404 Not Found to http://HOST/gone
    Gone http://HOST/gone HOST answered 404 Not Found to http://HOST/gone
    Gone http://HOST/also HOST answered 404 Not Found to http://HOST/also

    transient: HOST answered 503 Service Unavailable to http://HOST/down
    Gone http://HOST/gone HOST answered 404 Not Found to http://HOST/gone
    Transient http://HOST/down HOST answered 503 Service Unavailable to http://HOST/down

    redirect: HOST leads from http://HOST/loop to http://HOST/loop, one redirect too many
    Redirect http://HOST/loop HOST leads from http://HOST/loop to http://HOST/loop, one redirect too many by http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop, http://HOST/loop

    failed: HOST answered 403 Forbidden to http://HOST/no
    Failed http://HOST/no HOST answered 403 Forbidden to http://HOST/no

    needs-builder: what mirror gnu stands for is not known
    Gone http://HOST/gone HOST answered 404 Not Found to http://HOST/gone
    Skipped mirror://gnu/x what mirror gnu stands for is not known

    failed: it is no address
    Failed http://[bad/x it is no address
    ");
}

#[test]
fn what_is_private_is_not_asked_and_who_cannot_prove_himself_is_told() {
    let (web, secure) = (Web::start().unwrap(), Web::start_tls().unwrap());
    web.put("/x", "right");
    secure.put("/x", "right");
    let outcome = Place::public().verify(&flat(&[web.url("/x")], b"right"));
    assert_eq!(outcome.verdict, Verdict::Denied, "{outcome:?}");
    assert!(web.seen().is_empty());
    let outcome = Place::private().verify(&flat(&[secure.url("/x")], b"right"));
    assert_eq!(outcome.verdict, Verdict::Tls, "{outcome:?}");
    let git = Job {
        way: Way::Fetch(Form::Git(Tree {
            url: web.url("/r.git").into(),
            rev: "v1".into(),
            submodules: false,
            sparse: None,
        })),
        ..flat(&[web.url("/r.git")], b"x")
    };
    let outcome = Place::public().verify(&git);
    assert_eq!(outcome.verdict, Verdict::Denied, "{outcome:?}");
    assert!(web.seen().is_empty());
    let outcome = Place::private().verify(&git);
    assert_eq!(outcome.verdict, Verdict::Gone, "{outcome:?}");
}

#[test]
fn what_differs_is_told() {
    let web = Web::start().unwrap();
    let store = tempfile::tempdir().unwrap();
    let place = Place::private();
    let verify = |job: &Job| {
        place
            .verifier(None, Some(store.path()))
            .verify(job)
            .unwrap()
    };
    let name = "00000000000000000000000000000000-x";
    web.put("/x", "what comes now");
    let job = flat(&[web.url("/x")], b"what was");
    std::fs::write(store.path().join(name), "what was").unwrap();
    let outcome = verify(&job);
    assert_eq!(outcome.verdict, Verdict::Mismatch);
    insta::assert_debug_snapshot!(outcome.difference, @r#"
    Some(
        Difference {
            member: "",
            was: "8 bytes, different from byte 5",
            is: "14 bytes, different from byte 5",
        },
    )
    "#);
    insta::assert_debug_snapshot!(outcome.got, @r#"
    Some(
        Got {
            hash: "sha256-z+9kNjC0lE01/M4SFaYjutT3GCMoU7aNORrw0XmjiYM=",
            size: Some(
                14,
            ),
            swhid: Some(
                "swh:1:cnt:487a682f71d48fa10bdc2048ecc2b96b60d9aeac",
            ),
        },
    )
    "#);
    std::fs::remove_file(store.path().join(name)).unwrap();
    // Trees by their first member.
    let old = store.path().join(name);
    std::fs::create_dir_all(old.join("src")).unwrap();
    std::fs::write(old.join("src/a.c"), "old").unwrap();
    let made = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(made.path().join("pkg/src")).unwrap();
    std::fs::write(made.path().join("pkg/src/a.c"), "new").unwrap();
    crate::support::run(made.path(), "tar", &["cf", "x.tar", "pkg"]);
    web.put("/x.tar", std::fs::read(made.path().join("x.tar")).unwrap());
    let job = Job {
        address: ContentAddress::new(ContentAddressMethod::Nar, Hash::sha256([7; 32])),
        way: Way::Fetch(Form::Archive {
            kind: Packing::Tar,
            root: Root::Stripped { hidden: true },
        }),
        ..flat(&[web.url("/x.tar")], b"")
    };
    let outcome = verify(&job);
    assert_eq!(outcome.tries[0].result, Attempt::Mismatch);
    insta::assert_debug_snapshot!(outcome.difference, @r#"
    Some(
        Difference {
            member: "src/a.c",
            was: "file of 3 bytes, SHA-256 cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4",
            is: "file of 3 bytes, SHA-256 11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437",
        },
    )
    "#);
    insta::assert_debug_snapshot!(outcome.got.unwrap().swhid, @r#"
    Some(
        "swh:1:dir:407b33dc255e9213093b41ed2a6d7b1fefeebf37",
    )
    "#);
}
