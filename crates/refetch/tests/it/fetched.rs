//! What is told of the way, of who answers, and of what differs.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use jiff::{SignedDuration, Timestamp};
use snowguard_db::refetch::{NewTask, RefetchQueue, Step};
use snowguard_fod::outcome::Attempt;
use snowguard_fod::plan::{Form, Packing, Root, Tree};
use snowguard_fod::{Outcome, Verdict};
use snowguard_refetch::{Job, Limits, Notice, Space, Verifier, Way, Work, Worked};
use snowguard_store::nar::{NarEvent, NarWriter};
use snowguard_store::{ContentAddress, ContentAddressMethod, Hash, HashAlgo};
use snowguard_testkit::web::{Answer, Fault, Web};

use crate::support::{Place, git_backend, run};

pub(crate) fn flat(urls: &[String], content: &[u8]) -> Job {
    let hash = Hash::of(HashAlgo::Sha256, content).unwrap();
    Job {
        drv: "/nix/store/x.drv".into(),
        output: "/nix/store/00000000000000000000000000000000-x".into(),
        address: ContentAddress::new(ContentAddressMethod::Flat, hash),
        way: Way::Fetch(Form::File { executable: false }),
        urls: urls.to_vec(),
        curl: true,
        terms: String::new(),
        described: None,
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
        verify(&["ftps://x.org/x", "git+https://x.org/x"]),
    ].join("\n"), @r"
    needs-builder: mirror://gnu/x comes before the one that sends something; what mirror gnu stands for is not known
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

    needs-builder: ftps is not spoken here
    Skipped ftps://x.org/x ftps is not spoken here
    Skipped git+https://x.org/x git+https is not spoken here
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
            lfs: false,
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

pub(crate) fn commit_of(url: String, rev: &str) -> Job {
    Job {
        way: Way::Fetch(Form::Git(Tree {
            url: url.clone().into(),
            rev: rev.into(),
            submodules: false,
            lfs: false,
            sparse: None,
        })),
        address: ContentAddress::new(ContentAddressMethod::Nar, Hash::sha256([7; 32])),
        ..flat(&[url], b"x")
    }
}

/// A bare repository with one commit that has one file, tagged; served below `/git/`.
pub(crate) fn repository(web: &Web, root: &Path, path: &str, tag: &str) {
    let served = root.to_owned();
    web.answer_with(move |request| git_backend(&served, request));
    let git = |args: &[&str]| run(root, "git", &[&["--git-dir=r.git"], args].concat());
    git(&["init", "--quiet", "--bare"]);
    std::fs::write(root.join("a"), "a").unwrap();
    let blob = git(&["hash-object", "-w", root.join("a").to_str().unwrap()]);
    let info = format!("100644,{blob},{path}");
    git(&["update-index", "--add", "--cacheinfo", &info]);
    let tree = git(&["write-tree"]);
    let commit = git(&["commit-tree", &tree, "-m", "one"]);
    git(&["update-ref", "refs/heads/main", &commit]);
    git(&["tag", tag, &commit]);
}

#[test]
fn what_one_repository_does_to_git_is_said_of_it_alone() {
    let web = Web::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    // Git checks it out by its relative path, which is as long as a path may be; the absolute one is longer.
    let part = "d".repeat(200);
    let long = format!("{}/{}", [&*part; 20].join("/"), "f".repeat(60));
    repository(&web, root.path(), &long, "v1.0+k3s1");
    let place = Place::private();
    let outcome = place.verify(&commit_of(web.url("/git/r.git"), "v1.0+k3s1"));
    assert_eq!(outcome.verdict, Verdict::NeedsBuilder, "{outcome:?}");
    insta::assert_snapshot!(outcome.reason, @"its checkout cannot be read here: File name too long (os error 36)");
    web.seen();
    for (url, rev) in [
        (web.url("/git/r.git"), "v1\0"),
        (web.url("/git/r.git"), "v1\nv2"),
        (web.url("/git/r\0.git"), "v1"),
    ] {
        let outcome = place.verify(&commit_of(url, rev));
        assert_eq!(outcome.verdict, Verdict::Failed, "{outcome:?}");
    }
    assert!(web.seen().is_empty());
}

#[test]
fn who_is_asked_for_a_login_does_not_know_that_it_is_gone() {
    let web = Web::start().unwrap();
    let place = Place::private();
    for status in [401, 403] {
        web.answer_with(move |_| {
            Some(Answer {
                status,
                headers: Vec::new(),
                body: Vec::new(),
            })
        });
        let outcome = place.verify(&commit_of(web.url("/git/r.git"), "v1"));
        assert_eq!(outcome.verdict, Verdict::Failed, "{outcome:?}");
    }
}

#[test]
fn an_old_git_is_not_let_out() {
    let web = Web::start().unwrap();
    let mut place = Place::private();
    let program = place.scratch.path().join("git");
    std::fs::write(&program, "#!/bin/sh\necho git version 2.34.1\n").unwrap();
    run(place.scratch.path(), "chmod", &["+x", "git"]);
    place.git.program = program;
    let outcome = place.verify(&commit_of(web.url("/git/r.git"), "v1"));
    assert_eq!(outcome.verdict, Verdict::NeedsBuilder, "{outcome:?}");
    insta::assert_snapshot!(outcome.reason, @"git 2.37 or newer is needed, and here is: git version 2.34.1");
    assert!(web.seen().is_empty());
}

#[test]
fn what_takes_too_much_to_unpack_is_not_said_to_be_broken() {
    let web = Web::start().unwrap();
    let place = Place::private();
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    let content = [b'x'; 100];
    nar.event(NarEvent::File {
        name: b"",
        executable: false,
        size: 100,
    })
    .unwrap();
    nar.contents(&content).unwrap();
    let nar = nar.finish().unwrap();
    std::fs::write(place.scratch.path().join("x.nar"), &nar).unwrap();
    // Its decoder wants 64 MiB.
    run(place.scratch.path(), "xz", &["-9", "x.nar"]);
    let packed = std::fs::read(place.scratch.path().join("x.nar.xz")).unwrap();
    web.put("/x.nar.xz", packed);
    let job = Job {
        way: Way::Fetch(Form::Nar { xz: true }),
        address: ContentAddress::new(
            ContentAddressMethod::Nar,
            Hash::of(HashAlgo::Sha256, &nar).unwrap(),
        ),
        ..flat(&[web.url("/x.nar.xz")], b"")
    };
    assert_eq!(place.verify(&job).verdict, Verdict::Ok);
    let verify = |archive| {
        let limits = Limits {
            archive,
            ..Limits::default()
        };
        let verifier = Verifier {
            limits,
            ..place.verifier(None, None)
        };
        let outcome = verifier.verify(&job).unwrap();
        format!("{}: {}", outcome.verdict, outcome.reason)
    };
    let small = snowguard_archive::Limits::default;
    insta::assert_snapshot!(
        verify(snowguard_archive::Limits { window: 1 << 20, ..small() }),
        @"needs-builder: unpacking it takes more memory than it may"
    );
    insta::assert_snapshot!(
        verify(snowguard_archive::Limits { bytes: 99, ..small() }),
        @"needs-builder: it is larger than what is unpacked here"
    );
}

#[test]
fn what_does_not_fit_beside_others_waits_and_what_never_fits_is_told() {
    let web = Web::start().unwrap();
    let mut place = Place::private();
    // Each takes twice its length: as it comes, and unpacked.
    place.space = Space::new(10 << 20);
    let tar = |name: &str, length: usize| {
        std::fs::create_dir(place.scratch.path().join(name)).unwrap();
        std::fs::write(place.scratch.path().join(name).join("f"), vec![7; length]).unwrap();
        run(place.scratch.path(), "tar", &["-cf", "x.tar", name]);
        web.put(
            &format!("/{name}.tar"),
            std::fs::read(place.scratch.path().join("x.tar")).unwrap(),
        );
    };
    let archive = |name: &str| Job {
        way: Way::Fetch(Form::Archive {
            kind: Packing::Tar,
            root: Root::Stripped { hidden: true },
        }),
        address: ContentAddress::new(ContentAddressMethod::Nar, Hash::sha256([7; 32])),
        ..flat(&[web.url(&format!("/{name}.tar"))], b"x")
    };
    let names: Vec<String> = (0..6).map(|n| format!("a{n}")).collect();
    for name in &names {
        tar(name, 3 << 20);
    }
    tar("large", 6 << 20);
    std::thread::scope(|scope| {
        let place = &place;
        for name in &names {
            let job = archive(name);
            scope.spawn(move || assert_eq!(place.verify(&job).verdict, Verdict::Mismatch));
        }
    });
    let outcome = place.verify(&archive("large"));
    assert_eq!(outcome.verdict, Verdict::NeedsBuilder);
    insta::assert_snapshot!(outcome.reason, @"it takes more disk than the 10485760 bytes that all may take together");
}

#[test]
fn what_workers_died_at_is_given_up() {
    let web = Web::start().unwrap();
    web.put("/x", "right");
    let place = Place::private();
    let queue = place.scratch.path().join("queue.db");
    let queue = RefetchQueue::open(queue.to_str().unwrap()).unwrap();
    let job = flat(&[web.url("/x")], b"right");
    let payload = serde_json::to_vec(&job).unwrap();
    let task = NewTask {
        key: &job.key(),
        host: "",
        payload: &payload,
    };
    let now = Timestamp::now();
    for worker in ["one", "two", "three"] {
        queue.add(worker, &[task], now).unwrap();
        let taken = queue.step(&Step {
            worker,
            ended: &[],
            running: &[],
            want: 1,
            busy: &[],
            now,
            longest_pause: SignedDuration::from_secs(600),
            lease: SignedDuration::from_secs(60),
        });
        assert_eq!(taken.unwrap().len(), 1);
        queue.take_back_all(now).unwrap();
    }
    queue.add("four", &[task], now).unwrap();
    let work = Work {
        queue: &queue,
        verifier: place.verifier(None, None),
        worker: "four",
        at_once: 1,
        tries: 1,
        pause: SignedDuration::ZERO,
        longest_pause: SignedDuration::ZERO,
        stop: &AtomicBool::new(false),
    };
    let mut told = Vec::new();
    let worked = work.run(&mut |notice| {
        if let Notice::Ended { outcome, .. } = notice {
            told.push(format!("{}: {}", outcome.verdict, outcome.reason));
        }
    });
    assert_eq!(worked.unwrap(), Worked::Done);
    insta::assert_snapshot!(told.join("\n"), @"failed: given up: 3 times whoever was at it died");
    assert!(web.seen().is_empty());
}

#[test]
fn who_keeps_cookies_as_fetchurl_does_gets_what_it_gets() {
    let web = Web::start().unwrap();
    web.answer_with(|request| {
        let is_known = request.header("cookie") == Some("session=1");
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Some(Answer {
            status: if is_known { 200 } else { 302 },
            headers: vec![header("Location", "/x"), header("Set-Cookie", "session=1")],
            body: b"right".to_vec(),
        })
    });
    let place = Place::private();
    // Nix's own fetcher keeps none.
    let with = flat(&[web.url("/x")], b"right");
    let without = Job {
        curl: false,
        ..with.clone()
    };
    assert_eq!(place.verify(&without).verdict, Verdict::Redirect);
    assert_eq!(place.verify(&with).verdict, Verdict::Ok);
    assert_ne!(with.key(), without.key());
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
    run(made.path(), "tar", &["cf", "x.tar", "pkg"]);
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

#[test]
fn an_address_that_leads_elsewhere_now_is_told_as_such() {
    let (web, other, third) = (
        Web::start().unwrap(),
        Web::start().unwrap(),
        Web::start().unwrap(),
    );
    let html = |status| Answer {
        status,
        headers: vec![("Content-Type".into(), "text/html; charset=utf-8".into())],
        body: b"\n<!DOCTYPE html><title>This name is for sale</title>".to_vec(),
    };
    let leads = |from: &Web, path: &str, to: String| from.fail_always(path, Fault::Redirect(to));
    other.put("/file", "right");
    third.put("/file", "wrong");
    third.answer_with(move |request| request.path.starts_with("/sold").then(|| html(200)));
    web.answer_with(move |request| (request.path == "/page").then(|| html(200)));
    let place = Place::private();
    let verify = |path: &str, before: Option<&Outcome>| {
        let job = flat(&[web.url(path)], b"right");
        place
            .verifier(None, None)
            .verify_after(&job, before)
            .unwrap()
    };
    let hosts = |text: String| {
        let mut text = text;
        for (name, server) in [("SOURCE", &web), ("OTHER", &other), ("THIRD", &third)] {
            let base = server.base();
            let (_, host) = base.split_once("://").unwrap();
            text = text.replace(host, name);
        }
        text
    };
    let told = |outcome: &Outcome| hosts(format!("{}: {}", outcome.verdict, outcome.reason));
    leads(&web, "/cdn", other.url("/file"));
    let well = verify("/cdn", None);
    assert_eq!(well.verdict, Verdict::Ok);
    leads(&web, "/sold", third.url("/sold"));
    leads(&web, "/sold.html", third.url("/sold"));
    leads(&web, "/moved", third.url("/file"));
    leads(&web, "/cdn", third.url("/file"));
    // That it leads elsewhere is no fault where the promised bytes come from there.
    leads(&web, "/archive", other.url("/file"));
    let archive = Job {
        way: Way::Fetch(Form::Archive {
            kind: Packing::Tar,
            root: Root::Stripped { hidden: true },
        }),
        address: ContentAddress::new(ContentAddressMethod::Nar, Hash::sha256([7; 32])),
        ..flat(&[web.url("/sold")], b"x")
    };
    insta::assert_snapshot!([
        told(&verify("/sold", None)),
        told(&place.verify(&archive)),
        // A page was asked for; a page without a redirect is what the address itself sends.
        told(&verify("/sold.html", None)),
        told(&verify("/page", None)),
        // Whether another host is as it should be is only known if it was as promised before.
        told(&verify("/moved", None)),
        told(&verify("/cdn", None)),
        told(&verify("/cdn", Some(&well))),
        told(&verify("/archive", Some(&well))),
    ].join("\n"), @r"
    redirect: a page comes in place of the file, from http://THIRD/sold
    redirect: a page comes in place of the file, from http://THIRD/sold
    mismatch: it sends sha256-nX715QAdKiFUxhHUt43s6xA97GHp5uDIATDLgH0Y5aA=, not sha256-JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=
    mismatch: it sends sha256-nX715QAdKiFUxhHUt43s6xA97GHp5uDIATDLgH0Y5aA=, not sha256-JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=
    mismatch: it sends sha256-iBCtWB5Z8rw5KLJhcHpxMI9+E56wSCA2bcTVwY2YAiU=, not sha256-JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=
    mismatch: it sends sha256-iBCtWB5Z8rw5KLJhcHpxMI9+E56wSCA2bcTVwY2YAiU=, not sha256-JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=
    redirect: it led to http://OTHER/file when it was as promised, and leads to http://THIRD/file now, which sends sha256-iBCtWB5Z8rw5KLJhcHpxMI9+E56wSCA2bcTVwY2YAiU=, not sha256-JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=
    ok: what comes now has the promised hash
    ");
    let outcome = verify("/sold", None);
    assert!(outcome.got.is_some());
    assert_eq!(
        hosts(outcome.tries[0].redirects.join(" ")),
        "http://THIRD/sold"
    );
    // Its own host, with other bytes, after it was as promised: the file is another.
    web.heal();
    web.put("/cdn", "wrong");
    assert_eq!(verify("/cdn", Some(&well)).verdict, Verdict::Mismatch);
}

#[test]
fn what_is_called_xz_goes_through_xz() {
    let web = Web::start().unwrap();
    let place = Place::private();
    let scratch = place.scratch.path();
    std::fs::create_dir(scratch.join("a")).unwrap();
    std::fs::write(scratch.join("a/f"), "f").unwrap();
    run(scratch, "tar", &["-czf", "a.tar.gz", "a"]);
    run(scratch, "tar", &["-cJf", "a.tar.xz", "a"]);
    let told = |file: &str, kind| {
        web.put("/a", std::fs::read(scratch.join(file)).unwrap());
        let outcome = place.verify(&Job {
            way: Way::Fetch(Form::Archive {
                kind,
                root: Root::Stripped { hidden: true },
            }),
            address: ContentAddress::new(ContentAddressMethod::Nar, Hash::sha256([7; 32])),
            ..flat(&[web.url("/a")], b"x")
        });
        (outcome.verdict, outcome.reason)
    };
    let right = told("a.tar.xz", Packing::TarXz);
    assert_eq!(right.0, Verdict::Mismatch);
    assert_eq!(told("a.tar.gz", Packing::Tar), right);
    let wrong = told("a.tar.gz", Packing::TarXz);
    assert_eq!(wrong.0, Verdict::Failed);
    insta::assert_snapshot!(wrong.1, @"it is called xz, and is packed in another way");
}
