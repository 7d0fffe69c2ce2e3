//! Repositories that are made to be too much, and what of them `fetchgit` takes that is easily overlooked.

use std::path::Path;

use snowguard_fod::Verdict;
use snowguard_fod::plan::{Form, Sparse, Tree};
use snowguard_refetch::{Job, Limits, Space, Verifier, Way};
use snowguard_testkit::web::Web;

use crate::fetched::{commit_of, repository};
use crate::support::{Place, git_backend, run};

/// A bare repository below `root`, with nothing in it.
fn bare<'r>(root: &'r Path, name: &'r str) -> impl Fn(&[&str]) -> String + 'r {
    let git = move |args: &[&str]| {
        let dir = format!("--git-dir={name}");
        run(root, "git", &[&[&*dir], args].concat())
    };
    git(&["init", "--quiet", "--bare"]);
    git
}

/// A tree in a repository, of lines as `git mktree` takes them.
fn tree(root: &Path, name: &str, lines: &str) -> String {
    std::fs::write(root.join("lines"), lines).unwrap();
    let script = format!("git --git-dir={name} mktree < lines");
    run(root, "sh", &["-c", &script])
}

fn tag(git: &impl Fn(&[&str]) -> String, name: &str, tree: &str) -> String {
    let commit = git(&["commit-tree", tree, "-m", name]);
    git(&["tag", name, &commit]);
    commit
}

fn serve(root: &Path) -> Web {
    let web = Web::start().unwrap();
    let served = root.to_owned();
    web.answer_with(move |request| git_backend(&served, request));
    web
}

fn told(place: &Place, limits: Limits, job: &Job) -> String {
    let verifier = Verifier {
        limits,
        ..place.verifier(None, None)
    };
    let outcome = verifier.verify(job).unwrap();
    format!("{}: {}", outcome.verdict, outcome.reason)
}

/// Fewer than by default, for listings that are read by what is built for tests.
fn few() -> Limits {
    let archive = snowguard_archive::Limits {
        entries: 50_000,
        ..snowguard_archive::Limits::default()
    };
    Limits {
        archive,
        ..Limits::default()
    }
}

#[test]
fn a_kilobyte_that_is_a_thousand_million_files_is_not_checked_out() {
    let root = tempfile::tempdir().unwrap();
    let git = bare(root.path(), "r.git");
    std::fs::write(root.path().join("a"), "a").unwrap();
    let blob = git(&["hash-object", "-w", root.path().join("a").to_str().unwrap()]);
    let nested = |kind: &str, object: String| {
        let mut inner = (kind.to_owned(), object);
        for _ in 0..9 {
            let lines: Vec<String> = (0..10)
                .map(|n| format!("{} {}\t{n}\n", inner.0, inner.1))
                .collect();
            let made = tree(root.path(), "r.git", &lines.concat());
            inner = ("040000 tree".into(), made);
        }
        inner.1
    };
    let files = nested("100644 blob", blob.clone());
    tag(&git, "files", &files);
    // Nothing but directories.
    let nothing = tree(root.path(), "r.git", "");
    tag(&git, "directories", &nested("040000 tree", nothing));
    let mut deep = tree(root.path(), "r.git", &format!("100644 blob {blob}\ta\n"));
    for _ in 0..70 {
        deep = tree(root.path(), "r.git", &format!("040000 tree {deep}\td\n"));
    }
    tag(&git, "deep", &deep);
    let web = serve(root.path());
    let place = Place::private();
    let verify = |rev: &str| {
        let job = commit_of(web.url("/git/r.git"), rev);
        told(&place, few(), &job)
    };
    insta::assert_snapshot!([verify("files"), verify("directories"), verify("deep")].join("\n"), @r"
    needs-builder: its tree has more than 50000 files and directories
    needs-builder: its tree has more than 50000 files and directories
    needs-builder: its tree has directories that are nested more than 64 deep
    ");
    // As a submodule it counts in the same way.
    let commit = git(&["rev-parse", "files^{commit}"]);
    let modules = "[submodule \"x\"]\npath = x\nurl = ./../r.git\n";
    std::fs::write(root.path().join("modules"), modules).unwrap();
    let listed = git(&[
        "hash-object",
        "-w",
        root.path().join("modules").to_str().unwrap(),
    ]);
    let lines = format!("100644 blob {listed}\t.gitmodules\n160000 commit {commit}\tx\n");
    tag(&git, "outer", &tree(root.path(), "r.git", &lines));
    insta::assert_snapshot!(told(&place, few(), &with_submodules(&web, "outer", None)), @"needs-builder: submodule x: its tree has more than 50000 files and directories");
    // Nothing is left of any.
    assert_eq!(place.scratch.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_repository_takes_no_more_of_the_disk_than_it_may() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::start().unwrap();
    repository(&web, root.path(), "a", "v1");
    let git = |args: &[&str]| run(root.path(), "git", &[&["--git-dir=r.git"], args].concat());
    // What cannot be packed.
    let mut seed = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    })
    .take(4 << 20)
    .collect();
    std::fs::write(root.path().join("noise"), &noise).unwrap();
    let blob = git(&[
        "hash-object",
        "-w",
        root.path().join("noise").to_str().unwrap(),
    ]);
    let large = tree(
        root.path(),
        "r.git",
        &format!("100644 blob {blob}\tnoise\n"),
    );
    tag(&git, "v2", &large);
    let mut place = Place::private();
    let small = Limits {
        repository: 1 << 20,
        ..Limits::default()
    };
    let verify = |place: &Place, limits, rev| {
        let told = told(place, limits, &commit_of(web.url("/git/r.git"), rev));
        match told.split_once(": it sends") {
            Some((verdict, _)) => verdict.to_owned(),
            None => told,
        }
    };
    insta::assert_snapshot!([
        verify(&place, small, "v1"),
        verify(&place, small, "v2"),
        verify(&place, Limits::default(), "v2"),
    ].join("\n"), @r"
    mismatch
    needs-builder: its repository takes more than 1048576 bytes
    mismatch
    ");
    // The pack and what is checked out are more than there is for all.
    place.space = Space::new(6 << 20);
    insta::assert_snapshot!([
        verify(&place, Limits::default(), "v1"),
        verify(&place, Limits::default(), "v2"),
    ].join("\n"), @r"
    mismatch
    needs-builder: it takes more disk than the 6291456 bytes that all may take together
    ");
}

fn with_submodules(web: &Web, rev: &str, sparse: Option<Sparse>) -> Job {
    let url = web.url("/git/r.git");
    Job {
        way: Way::Fetch(Form::Git(Tree {
            url: url.clone().into(),
            rev: rev.into(),
            submodules: true,
            lfs: false,
            sparse,
        })),
        ..commit_of(url, rev)
    }
}

#[test]
fn a_submodule_outside_of_what_is_taken_of_a_tree_comes_as_with_git_itself() {
    let root = tempfile::tempdir().unwrap();
    let web = serve(root.path());
    let inner = bare(root.path(), "inner.git");
    std::fs::write(root.path().join("a"), "a").unwrap();
    let blob = inner(&["hash-object", "-w", root.path().join("a").to_str().unwrap()]);
    let inner_tree = tree(
        root.path(),
        "inner.git",
        &format!("100644 blob {blob}\ta\n"),
    );
    let commit = tag(&inner, "v1", &inner_tree);
    let git = bare(root.path(), "r.git");
    git(&["hash-object", "-w", root.path().join("a").to_str().unwrap()]);
    let modules = format!(
        "[submodule \"x\"]\npath = ext/sub\nurl = {}\n",
        web.url("/git/inner.git")
    );
    std::fs::write(root.path().join("modules"), modules).unwrap();
    let listed = git(&[
        "hash-object",
        "-w",
        root.path().join("modules").to_str().unwrap(),
    ]);
    let one = tree(root.path(), "r.git", &format!("100644 blob {blob}\tf\n"));
    let other = tree(
        root.path(),
        "r.git",
        &format!("100644 blob {blob}\tg\n160000 commit {commit}\tsub\n"),
    );
    let lines = format!(
        "100644 blob {listed}\t.gitmodules\n040000 tree {other}\text\n040000 tree {one}\tsrc\n"
    );
    tag(&git, "v1", &tree(root.path(), "r.git", &lines));
    let place = Place::private();
    // With patterns not even the file that lists submodules is there.
    for (lines, patterns) in [("src", false), ("/src/", true)] {
        let work = root.path().join(format!("work-{patterns}"));
        std::fs::create_dir(&work).unwrap();
        let cone = if patterns { "--no-cone" } else { "--cone" };
        // As `nix-prefetch-git` does it.
        let script = format!(
            "git init --quiet && git remote add origin {} && git sparse-checkout set {cone} {lines} && \
             git fetch --quiet --depth 1 origin +refs/tags/v1 && git checkout --quiet -b fetchgit FETCH_HEAD && \
             git submodule --quiet update --init --recursive --depth 1",
            web.url("/git/r.git")
        );
        run(&work, "sh", &["-c", &script]);
        assert!(work.join("ext/sub/a").exists() && !work.join("ext/g").exists());
        assert_eq!(work.join(".gitmodules").exists(), !patterns);
        // Whatever is hidden in it stays out of the hash.
        run(
            &work,
            "sh",
            &["-c", "find . -name .git -print0 | xargs -0 rm -rf"],
        );
        let hash = run(&work, "nix-hash", &["--type", "sha256", "--base32", "."]);
        let sparse = Sparse {
            lines: lines.into(),
            patterns,
        };
        let outcome = place.verify(&with_submodules(&web, "v1", Some(sparse)));
        let got = outcome.got.unwrap().hash;
        let got = snowguard_store::Hash::parse(&got, None).unwrap();
        let same = snowguard_store::Hash::parse(&format!("sha256:{hash}"), None).unwrap();
        assert_eq!(got, same, "{lines}");
    }
}

#[test]
fn what_fetchgit_takes_for_a_commit_is_one() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::start().unwrap();
    repository(&web, root.path(), "a", "20240101");
    let git = |args: &[&str]| run(root.path(), "git", &[&["--git-dir=r.git"], args].concat());
    let commit = git(&["rev-parse", "main"]);
    git(&["tag", "ABCDEF12", &commit]);
    git(&["tag", "abc", &commit]);
    let place = Place::private();
    let verify = |rev: &str| {
        let outcome = place.verify(&commit_of(web.url("/git/r.git"), rev));
        match outcome.verdict {
            Verdict::Mismatch => "its tree".to_owned(),
            verdict => format!("{verdict}: {}", outcome.reason),
        }
    };
    insta::assert_snapshot!([
        verify("20240101"),
        verify("refs/tags/20240101"),
        verify("abc"),
        verify("ABCDEF12"),
        verify(&commit),
        verify(&commit[..12]),
        verify(&"0".repeat(40)),
    ].join("\n"), @r"
    failed: fetchgit takes 20240101 for a commit, and it is the name of a tag or branch
    its tree
    failed: fetchgit takes abc for a commit, and it is the name of a tag or branch
    its tree
    its tree
    its tree
    gone: the repository does not have 0000000000000000000000000000000000000000 any more
    ");
}
