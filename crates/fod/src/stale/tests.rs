use snowguard_store::{Hash, StoreDir};

use super::*;
use crate::fod::tests::of_hash;
use crate::plan::tests::run_by_script;

fn fod(name: &str, inputs: &[&str], env: &[(&str, &str)], hash: u8) -> Fod {
    let drv = of_hash(name, "/bin/sh", inputs, env, Hash::sha256([hash; 32]));
    Fod::of(&drv, &StoreDir::default()).unwrap()
}

fn url(name: &str, url: &str, hash: u8) -> Fod {
    fod(name, &["curl-8.1"], &[("urls", url)], hash)
}

fn told(base: &[Fod], head: &[Fod]) -> String {
    let (base, head): (Vec<&Fod>, Vec<&Fod>) = (base.iter().collect(), head.iter().collect());
    let difference = compare(&base, &head);
    let mut lines = vec![format!("same {}", difference.same)];
    let added = difference.added.iter().map(|at| head[*at]);
    lines.extend(added.map(|fod| format!("added {}", fod.name)));
    let removed = difference.removed.iter().map(|at| base[*at]);
    lines.extend(removed.map(|fod| format!("removed {}", fod.name)));
    lines.extend(difference.unchanged.iter().map(|found| {
        let (before, after) = (&base[found.base].name, &head[found.head].name);
        format!("{} {after} <- {before}", found.kind.as_str())
    }));
    let rehashed = difference.rehashed.iter().map(|found| head[found.head]);
    lines.extend(rehashed.map(|fod| format!("rehashed {}", fod.name)));
    lines.join("\n")
}

#[test]
fn a_forgotten_hash_is_told() {
    let base = [
        url("nix-2.24.14.tar.gz", "https://x.org/nix-2.24.14.tar.gz", 1),
        url("same.tar.gz", "https://x.org/same-1.tar.gz", 2),
        url("gone.tar.gz", "https://x.org/gone-1.tar.gz", 3),
    ];
    let head = [
        url("nix-2.24.15.tar.gz", "https://x.org/nix-2.24.15.tar.gz", 1),
        url("same.tar.gz", "https://x.org/same-1.tar.gz", 2),
        url("new.tar.gz", "https://x.org/new-1.tar.gz", 4),
    ];
    insta::assert_snapshot!(told(&base, &head), @"
    same 1
    added new.tar.gz
    removed gone.tar.gz
    stale nix-2.24.15.tar.gz <- nix-2.24.14.tar.gz
    ");
}

#[test]
fn a_version_in_the_directory_counts() {
    let base = [url("source", "https://github.com/o/r/archive/v1.tar.gz", 1)];
    let head = [url("source", "https://github.com/o/r/archive/v2.tar.gz", 1)];
    assert_eq!(told(&base, &head), "same 0\nstale source <- source");
    let base = [url(
        "x",
        "https://registry.example/api/v1/crates/x/1.0.1/download",
        1,
    )];
    let head = [url(
        "x",
        "https://registry.example/api/v1/crates/x/1.0.2/download",
        1,
    )];
    assert_eq!(told(&base, &head), "same 0\nstale x <- x");
}

#[test]
fn digits_of_a_platform_or_of_a_packing_are_no_version() {
    for name in [
        "tool-linux-x86_64.tar.gz",
        "tool-linux-amd64",
        "tool-win32.zip",
        "tool.tar.bz2",
        "tool-i686.7z",
    ] {
        let at = |host: &str, version: &str| {
            [url(
                "x",
                &format!("https://{host}/o/r/releases/download/v{version}/{name}"),
                1,
            )]
        };
        let base = at("github.com", "1.2.3");
        assert_eq!(
            told(&base, &at("github.com", "1.2.4")),
            "same 0\nstale x <- x",
            "{name}"
        );
        assert_eq!(
            told(&base, &at("x.org", "1.2.4")),
            "same 0\nstale x <- x",
            "{name}"
        );
        assert_eq!(
            told(&base, &at("x.org", "1.2.3")),
            "same 0\nmoved x <- x",
            "{name}"
        );
    }
    // An interface has a version of its own.
    let base = [url(
        "x",
        "https://crates.io/api/v1/crates/x/1.0.1/download",
        1,
    )];
    let head = [url(
        "x",
        "https://static.crates.io/crates/x/1.0.1/download",
        1,
    )];
    assert_eq!(told(&base, &head), "same 0\nmoved x <- x");
    // Of several the first that answers decides.
    let base = [url("x", "https://x.org/x-2.tar.gz", 1)];
    let head = [url(
        "x",
        "https://x.org/x-3.tar.gz https://x.org/x-2.tar.gz",
        1,
    )];
    assert_eq!(told(&base, &head), "same 0\nstale x <- x");
}

#[test]
fn a_mirror_that_moves_is_no_alarm() {
    let old = "http://ftp.x.org/historic/texlive/2019/tlnet-final/archive/";
    let new = "https://mirror.y.org/systems/texlive/tlnet/archive/";
    let told = |old: &str, new: &str, name: &str, other: &str| {
        let base = [url("x", &format!("{old}{name}"), 1)];
        let head = [url("x", &format!("{new}{other}"), 1)];
        told(&base, &head)
    };
    let (moved, stale) = ("same 0\nmoved x <- x", "same 0\nstale x <- x");
    let name = "12many.r15878.tar.xz";
    assert_eq!(told(old, new, name, name), moved);
    assert_eq!(told(old, new, name, "12many.r15879.tar.xz"), stale);
    for name in [
        "tool-i686.tar.gz",
        "tool-x86_64.tgz",
        "tool-2019.tgz",
        "a1.gz",
    ] {
        assert_eq!(told(old, new, name, name), stale, "{name}");
    }
    // On one host the directory may be the version.
    assert_eq!(told(old, "http://ftp.x.org/2020/", name, name), stale);
}

#[test]
fn a_revision_beside_the_same_address_is_no_alarm() {
    let archive = |rev: &[(&str, &str)], url: &str| {
        let mut env = vec![("urls", url)];
        env.extend(rev);
        fod("source", &["curl-8.1"], &env, 1)
    };
    let (one, two) = (
        "https://github.com/o/r/archive/v1.0.2.tar.gz",
        "https://github.com/o/r/archive/v1.0.3.tar.gz",
    );
    let rev = [("rev", "v1.0.2")];
    assert_eq!(told(&[archive(&[], one)], &[archive(&rev, one)]), "same 1");
    let stale = "same 0\nstale source <- source";
    assert_eq!(told(&[archive(&rev, one)], &[archive(&rev, two)]), stale);
    // It is no address that a repository was fetched by.
    let git = |rev| {
        let env = [("url", "https://x.org/v1v2.git"), ("rev", rev)];
        fod("source", &["git-2.5"], &env, 1)
    };
    assert_eq!(told(&[git("v1")], &[git("v2")]), stale);
}

#[test]
fn the_same_source_in_another_way_is_told() {
    let git = |more: &[(&str, &str)]| {
        let mut env = vec![("url", "https://x.org/r.git"), ("rev", "v1")];
        env.extend(more);
        fod("r", &["git-2.5"], &env, 1)
    };
    let altered = "same 0\naltered r <- r";
    assert_eq!(told(&[git(&[])], &[git(&[])]), "same 1");
    // What is fetched without its builder is compared by the form in which it is taken.
    let by_script = |more: &[(&str, &str)]| {
        let mut env = vec![("url", "https://x.org/r.git"), ("rev", "v1")];
        env.extend(more);
        run_by_script(true, "/bin/sh", &["git-2.5"], &env)
    };
    assert_eq!(by_script(&[("fetchLFS", "1")]).plan.as_str(), "git");
    for more in [
        ("fetchSubmodules", "1"),
        ("sparseCheckout", "src"),
        ("fetchLFS", "1"),
        ("leaveDotGit", "1"),
        ("postFetch", "rm -r $out/x"),
    ] {
        assert_eq!(told(&[git(&[])], &[git(&[more])]), altered, "{more:?}");
        let (one, other) = ([by_script(&[])], [by_script(&[more])]);
        assert_eq!(told(&one, &other), "same 0\naltered x <- x", "{more:?}");
    }
    let curl = |place: &str, more: &[(&str, &str)]| {
        let mut env = vec![("urls", place)];
        env.extend(more);
        fod("r", &["curl-8.1"], &env, 1)
    };
    let (old, new) = ("https://x.org/r-1.zip", "https://y.org/r-1.zip");
    for more in [
        ("postFetch", "true"),
        ("executable", "1"),
        ("curlOpts", "-d x"),
    ] {
        assert_eq!(
            told(&[curl(old, &[])], &[curl(old, &[more])]),
            altered,
            "{more:?}"
        );
        assert_eq!(
            told(&[curl(old, &[])], &[curl(new, &[more])]),
            altered,
            "{more:?}"
        );
    }
    let vendor = |more: &[(&str, &str)]| {
        let mut env = vec![("src", "/nix/store/00000000000000000000000000000000-s")];
        env.extend(more);
        fod("r", &["go-1.24"], &env, 1)
    };
    for more in [
        ("modRoot", "x"),
        ("proxyVendor", "1"),
        ("patches", "/nix/store/x.patch"),
    ] {
        assert_eq!(
            told(&[vendor(&[])], &[vendor(&[more])]),
            altered,
            "{more:?}"
        );
    }
    // What names no source at all.
    let none = |more: &str| fod("r", &["python3-3.12"], &[("buildCommand", more)], 1);
    assert_eq!(told(&[none("a")], &[none("b")]), altered);
    // Two in one set are two.
    assert_eq!(
        told(
            &[git(&[])],
            &[git(&[("fetchLFS", "1")]), git(&[("leaveDotGit", "1")])]
        ),
        "same 0\naltered r <- r\naltered r <- r"
    );
}

#[test]
fn a_release_may_go_by_a_name() {
    let one = |at: &str| [url("x", at, 1)];
    let dists = |host: &str, name: &str| {
        one(&format!(
            "http://{host}/debian/dists/{name}/main/installer-amd64/netboot.tar.gz"
        ))
    };
    let (old, new) = ("deb.debian.org", "ftp.de.debian.org");
    let relocated = "same 0\nrelocated x <- x";
    let moved = "same 0\nmoved x <- x";
    assert_eq!(
        told(&dists(old, "bullseye"), &dists(old, "bookworm")),
        relocated
    );
    assert_eq!(
        told(&dists(old, "bullseye"), &dists(new, "bullseye")),
        moved
    );
    let stable = one("https://x.org/tool/v1/stable/tool-x86_64.tar.gz");
    let nightly = one("https://x.org/tool/v1/nightly/tool-x86_64.tar.gz");
    assert_eq!(told(&stable, &nightly), relocated);
    // No number at all, and no name that is the same.
    let (stable, nightly) = (one("https://x.org/stable"), one("https://x.org/nightly"));
    assert_eq!(told(&stable, &nightly), "same 0\nstale x <- x");
    // The same in other letters.
    for other in [
        "http://x.org//a/b+c/v1.tar.gz",
        "https://X.org/a/./b%2Bc/d/../1.tar.gz",
    ] {
        assert_eq!(
            told(&one("https://x.org/a/b+c/v1.tar.gz"), &one(other)),
            moved,
            "{other}"
        );
    }
    for broken in ["%", "%2", "%zz", "%\u{e9}1", "%00", "%2F"] {
        assert_eq!(decoded(broken), broken);
    }
}

#[test]
fn another_script_is_told() {
    let by = |digest: char, env: &[(&str, &str)]| {
        let digest: String = std::iter::repeat_n(digest, 32).collect();
        let script = format!("/nix/store/{digest}-builder.sh");
        let hash = Hash::sha256([1; 32]);
        let mut drv = of_hash("x", "/bin/sh", &["curl-8.1"], env, hash).to_builder();
        drv.arg("-e").arg(script.as_str());
        drv.input_src(StoreDir::default().parse(&*script).unwrap());
        Fod::of(&drv.build().unwrap(), &StoreDir::default()).unwrap()
    };
    let url = [("urls", "https://x.org/x-1.tar.gz")];
    let more = [url[0], ("postFetch", "rm x")];
    for env in [&url[..], &more] {
        assert_eq!(told(&[by('0', env)], &[by('0', env)]), "same 1");
        let script = "same 0\nscript x <- x";
        assert_eq!(told(&[by('0', env)], &[by('1', env)]), script);
    }
    // Neither of two that differ in it alone is lost.
    assert_eq!(
        told(&[by('0', &url)], &[by('0', &url), by('1', &url)]),
        "same 1\nscript x <- x"
    );
    assert_eq!(
        told(&[by('0', &url)], &[by('1', &more)]),
        "same 0\naltered x <- x"
    );
}

#[test]
fn a_move_is_no_alarm() {
    let base = [url("x-1.tar.gz", "http://old.org/x-1.tar.gz", 1)];
    let head = [url("x-1.tar.gz", "https://new.org/pub/x-1.tar.gz", 1)];
    assert_eq!(told(&base, &head), "same 0\nmoved x-1.tar.gz <- x-1.tar.gz");
    // Beside one that was there before, the same thing under another name is no alarm either.
    let base = [
        url("x-1.tar.gz", "http://old.org/x-1.tar.gz", 1),
        url("x-0.tar.gz", "http://old.org/x-0.tar.gz", 1),
    ];
    assert_eq!(
        told(&base, &head),
        "same 0\nremoved x-0.tar.gz\nmoved x-1.tar.gz <- x-1.tar.gz"
    );
}

#[test]
fn the_first_address_decides() {
    let of = |urls: &str| [url("x", urls, 1)];
    let (one, two) = ("https://x.org/x-1.tar.gz", "https://x.org/x-2.tar.gz");
    let mirror = "https://y.org/pub/x-1.tar.gz";
    let both = |first: &str, second: &str| of(&format!("{first} {second}"));
    let (moved, altered) = ("same 0\nmoved x <- x", "same 0\naltered x <- x");
    assert_eq!(told(&of(one), &both(one, mirror)), moved);
    assert_eq!(told(&both(one, mirror), &both(mirror, one)), moved);
    assert_eq!(told(&both(one, mirror), &of(mirror)), moved);
    // Another version behind it, which then comes first.
    assert_eq!(told(&of(one), &both(one, two)), altered);
    assert_eq!(told(&both(one, two), &both(two, one)), altered);
    assert_eq!(told(&both(one, two), &of(two)), altered);
    assert_eq!(told(&of(one), &of(two)), "same 0\nstale x <- x");
}

#[test]
fn another_hash_under_one_address_is_told_however_it_is_written() {
    let of = |name: &str, urls: &str, hash| [url(name, urls, hash)];
    let base = of("x", "https://x.org/a+b/v1.tar.gz", 1);
    for urls in [
        "https://x.org/a+b/v1.tar.gz",
        "https://x.org/a+b/v1.tar.gz#",
        "http://X.org//a%2Bb/./v1.tar.gz",
        "https://x.org/a+b/v1.tar.gz https://y.org/v1.tar.gz",
    ] {
        for name in ["x", "y"] {
            let expected = format!("same 0\nrehashed {name}");
            assert_eq!(told(&base, &of(name, urls, 2)), expected, "{urls}");
        }
    }
    for urls in [
        "https://x.org/a+b/1.tar.gz",
        "https://x.org/a+b/v1.tar.gz?x",
        "https://y.org/a+b/v1.tar.gz",
    ] {
        let expected = "same 0\nadded x\nremoved x";
        assert_eq!(told(&base, &of("x", urls, 2)), expected, "{urls}");
    }
    // Two parts of one patch.
    let part = |name: &str, program: &str, hash| {
        let env = [("urls", "https://x.org/p"), ("postFetch", program)];
        [fod(name, &["curl-8.1"], &env, hash)]
    };
    assert_eq!(
        told(&part("a", "filter a", 1), &part("b", "filter b", 2)),
        "same 0\nadded b\nremoved a"
    );
}

#[test]
fn what_a_cache_is_fetched_for_counts() {
    let store = |digest: char, rest: &str| {
        let digest: String = std::iter::repeat_n(digest, 32).collect();
        format!("/nix/store/{digest}-{rest}")
    };
    let with = |name: &str, value: &str| {
        let tool = store('0', "yarn-1.22");
        let env = [("nativeBuildInputs", tool.as_str()), (name, value)];
        [fod("offline", &["yarn-1.22"], &env, 1)]
    };
    // A cache of yarn names its lock file, and no source.
    let lock = |digest| with("yarnLock", &store(digest, "source/yarn.lock"));
    assert_eq!(told(&lock('0'), &lock('0')), "same 1");
    assert_eq!(
        told(&lock('0'), &lock('1')),
        "same 0\nvendored offline <- offline"
    );
    // In a program: what is content, and no tool.
    for (rest, expected) in [
        ("source", "altered"),
        ("x-1.2/package-lock.json", "altered"),
        ("x-1.2.tar.gz", "altered"),
        ("jq-1.7/bin/jq", "same 1"),
        ("cacert-3.1/etc/ssl/certs/ca-bundle.crt", "same 1"),
        ("jq-1.7", "same 1"),
    ] {
        let program = |digest| with("buildCommand", &format!("cp {} .", store(digest, rest)));
        let told = told(&program('0'), &program('1'));
        assert!(told.contains(expected), "{rest}: {told}");
    }
}

#[test]
fn a_moved_tag_and_a_vendored_lock() {
    let git = |rev: &str, hash| {
        fod(
            "r",
            &["git-2.5"],
            &[("url", "https://x.org/r.git"), ("rev", rev)],
            hash,
        )
    };
    assert_eq!(told(&[git("v1", 1)], &[git("v1", 2)]), "same 0\nrehashed r");
    assert_eq!(
        told(&[git("v1", 1)], &[git("v2", 1)]),
        "same 0\nstale r <- r"
    );
    let vendor = |source: &str, hash| {
        let path = format!("/nix/store/00000000000000000000000000000000-{source}");
        fod("x-vendor", &["cargo-1.8"], &[("src", &path)], hash)
    };
    assert_eq!(
        told(&[vendor("a", 1)], &[vendor("b", 1)]),
        "same 0\nvendored x-vendor <- x-vendor"
    );
    assert_eq!(told(&[vendor("a", 1)], &[vendor("a", 1)]), "same 1");
}
