//! What a build by the real Nix says, and what it does not.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use snowguard_fod::outcome::FoundBy;
use snowguard_fod::{Outcome, Verdict};
use snowguard_refetch::{Builder, Fresh, Job, Origin, Store, Way};
use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::Web;

use crate::support::{Place, builder, fods, job, openly};

/// In the shape of `fetchurl`: who has it by its hash is asked before and after its own addresses.
const SCRIPT: &str = r#"
export PATH=/usr/local/bin:/usr/bin:/bin
get() {
  echo; echo "trying $1"
  if curl --fail --silent --show-error --location --output "$out" "$1"; then exit 0; fi
}
by_hash() {
  if [ -n "$NIX_HASHED_MIRRORS" ]; then hashedMirrors="$NIX_HASHED_MIRRORS"; fi
  for mirror in $hashedMirrors; do get "$mirror/$outputHashAlgo/$outputHash"; done
}
if [ -n "$preferHashedMirrors" ]; then by_hash; fi
for url in $urls; do get "$url"; done
by_hash
exit 1
"#;

/// A derivation with that script, and more attributes.
fn store(url: &str, hash: &str, more: &str) -> NixStore {
    let store = Nix::find().unwrap().store().unwrap();
    let script = store.write("fetch.sh", SCRIPT).unwrap();
    let expression = format!(
        r#"derivation {{
  name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-e" {} ];
  urls = [ "{url}" ]; outputHash = "{hash}"; outputHashAlgo = "sha256"; outputHashMode = "flat";
  {more}
}}"#,
        script.display()
    );
    store.instantiate(&expression, &[]).unwrap();
    store
}

fn build(store: &NixStore, nix: &Builder<'_>) -> Outcome {
    let (drv, fod) = fods(store).remove(0);
    let job = Job {
        way: Way::Build("as a test wants it".into()),
        ..job(&drv, &fod)
    };
    let place = Place::private();
    place.verifier(Some(nix), None).verify(&job).unwrap()
}

#[test]
fn who_has_it_by_its_hash_does_not_stand_for_its_source() {
    let web = Web::start().unwrap();
    let hash = Hash::of(HashAlgo::Sha256, b"right").unwrap();
    let hash = hash.to_notation(Notation::Hex);
    let hashed = format!("/by-hash/sha256/{hash}");
    web.put(&hashed, "right");
    web.put("/here", "right");
    let mirror = format!("hashedMirrors = \"{}\";", web.url("/by-hash"));
    let prefer = format!("{mirror} preferHashedMirrors = true;");
    let as_nixpkgs = format!("{prefer} impureEnvVars = [ \"NIX_HASHED_MIRRORS\" ];");
    let told = |path: &str, more: &str| {
        let store = store(&web.url(path), &hash, more);
        let outcome = build(&store, &builder(&store, &openly(&store)));
        let is_asked = web.seen().iter().any(|request| request.path == hashed);
        let reason = outcome.reason.replace(&web.base(), "http://HOST");
        let is_asked = if is_asked { "asked" } else { "not asked" };
        format!(
            "{}: {reason} [{:?}, {is_asked}]",
            outcome.verdict, outcome.found_by
        )
    };
    insta::assert_snapshot!([
        // Its builder lets the environment decide: nobody is asked but the source.
        told("/here", &as_nixpkgs),
        told("/gone", &as_nixpkgs),
        // A daemon's environment is not ours: it is told.
        told("/here", &mirror),
        told("/gone", &mirror),
        told("/here", &prefer),
    ].join("\n"), @r"
    ok: what comes now has the promised hash [Some(Build), not asked]
    gone: the build failed: curl: (22) The requested URL returned error: 404 [Some(Build), not asked]
    ok: what comes now has the promised hash [Some(Build), not asked]
    gone: its own addresses did not send it (curl: (22) The requested URL returned error: 404); it is had by its hash alone, from http://HOST/by-hash/sha256/27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9 [Some(Build), asked]
    needs-builder: Nix took it by its hash from http://HOST/by-hash/sha256/27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9, and asked none of its own addresses: NIX_HASHED_MIRRORS must be a blank where its daemon builds [None, asked]
    ");
    // Nix itself calls each of these built.
    let store = store(&web.url("/gone"), &hash, &mirror);
    let (drv, _) = fods(&store).remove(0);
    let mut command = store.command("nix-store", &[]);
    command
        .envs(openly(&store).nix.environment)
        .args(["--realise", &drv]);
    assert!(command.output().unwrap().status.success());
}

#[test]
fn a_build_that_prints_without_end_is_ended() {
    let store = Nix::find().unwrap().store().unwrap();
    let expression = r#"derivation {
  name = "x"; system = "x86_64-linux"; builder = "/bin/sh";
  args = [ "-c" "while :; do echo trying to fill the disk with what nobody reads; done" ];
  outputHash = "0000000000000000000000000000000000000000000000000000"; outputHashAlgo = "sha256";
}"#;
    store.instantiate(expression, &[]).unwrap();
    let outcome = build(&store, &builder(&store, &openly(&store)));
    assert_eq!(outcome.verdict, Verdict::Failed);
    assert_eq!(outcome.found_by, Some(FoundBy::Build));
    insta::assert_snapshot!(outcome.reason, @"its build printed more than 1048576 bytes");
}

/// Whether Nix can make a sandbox here. Where not, the test says so and shows nothing.
fn may_sandbox() -> bool {
    let as_user: &[&str] = if Path::new("/proc/self/ns/user").exists() {
        &["--user", "--map-root-user"]
    } else {
        &[]
    };
    let mut unshare = Command::new("unshare");
    unshare.args(as_user);
    unshare.args(["--mount", "--pid", "--fork", "--mount-proc", "true"]);
    let may = unshare.status().is_ok_and(|end| end.success());
    if !may {
        let told = "SKIPPED: this test needs user, process and mount namespaces";
        let _ = std::io::stderr().write_all(format!("{told}\n").as_bytes());
        assert!(std::env::var_os("CI").is_none(), "{told}");
    }
    may
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

#[test]
fn a_store_that_begins_empty_takes_what_it_needs_from_the_other() {
    if !may_sandbox() {
        return;
    }
    let web = Web::start().unwrap();
    web.put("/x", "right");
    let hash = Hash::of(HashAlgo::Sha256, b"right").unwrap();
    let tool = "derivation { name = \"tool\"; system = \"x86_64-linux\"; builder = \"/bin/bash\"; \
        outputs = [ \"out\" \"dev\" ]; args = [ \"-c\" \"echo made > $out; echo @WORD@ > $dev\" ]; }";
    let expression = |word: &str| {
        format!(
            r#"derivation {{
  name = "x"; system = "x86_64-linux"; builder = "/bin/bash"; PATH = "/usr/bin:/bin"; tool = ({}).dev;
  args = [ "-c" "read word < $tool; curl --silent --fail --output $out $urls && test $word = yes" ];
  urls = [ "{}" ]; outputHash = "{}"; outputHashAlgo = "sha256"; outputHashMode = "flat";
}}"#,
            tool.replace("@WORD@", word),
            web.url("/x"),
            hash.to_notation(Notation::Hex)
        )
    };
    // What it is built with is there, or not, and then it is built as well.
    for is_there in [true, false] {
        let store = Nix::find().unwrap().store().unwrap();
        store.instantiate(&expression("yes"), &[]).unwrap();
        let mut openly = openly(&store);
        for (name, value) in &mut openly.nix.environment {
            if name == "NIX_CONFIG" {
                *value += "sandbox = true\nsandbox-fallback = false\nfilter-syscalls = false\n\
                           sandbox-paths = /bin /usr /lib /lib64\n";
            }
        }
        if is_there {
            let drvs = names(store.dir());
            let tool = drvs
                .iter()
                .find(|name| name.to_string_lossy().ends_with("-tool.drv"));
            let tool = store.dir().join(tool.unwrap());
            let mut realise = openly.nix.command(None);
            realise
                .arg("--realise")
                .arg(format!("{}!dev", tool.display()));
            assert!(realise.output().unwrap().status.success());
        }
        let before = names(store.dir());
        let fresh = Fresh::make(&store.scratch().join("cache")).unwrap();
        let root = fresh.path().to_owned();
        openly.store = Store {
            name: Some(format!("local?root={}", root.display())),
            root: Some(root.clone()),
            origin: Some(Origin {
                name: String::new(),
                alone: true,
            }),
        };
        let nix = builder(&store, &openly);
        for asked in 1..=2 {
            let outcome = build(&store, &nix);
            assert_eq!(outcome.verdict, Verdict::Ok, "{}", outcome.reason);
            // The second time it is run again, though its output is there.
            assert_eq!(web.seen().len(), 1, "{asked}");
        }
        web.put("/x", "wrong");
        assert_eq!(build(&store, &nix).verdict, Verdict::Mismatch);
        web.put("/x", "right");
        web.seen();
        // Only what it needs of its tool came, where that was there.
        let made = names(&root.join("nix/store"));
        let has = |name: &str| made.iter().any(|one| one.to_string_lossy().ends_with(name));
        assert_eq!(
            (has("-tool-dev"), has("-tool")),
            (true, !is_there),
            "{made:?}"
        );
        drop(fresh);
        assert!(!root.exists());
        assert_eq!(names(store.dir()), before, "the other store is as it was");
    }
}

#[test]
fn a_derivation_that_nix_does_not_have_is_told_with_what_to_do() {
    let store = Nix::find().unwrap().store().unwrap();
    let url = "http://127.0.0.1:1/x";
    let hash = Hash::of(HashAlgo::Sha256, b"x").unwrap();
    let expression = format!(
        "derivation {{ name = \"x\"; system = \"x\"; builder = \"/x\"; urls = [ \"{url}\" ]; \
         outputHash = \"{}\"; outputHashAlgo = \"sha256\"; }}",
        hash.to_notation(Notation::Hex)
    );
    store.instantiate(&expression, &[]).unwrap();
    let (drv, fod) = fods(&store).remove(0);
    let elsewhere = drv.replace("/store/", "/elsewhere/");
    let job = Job {
        way: Way::Build("as a test wants it".into()),
        ..job(&elsewhere, &fod)
    };
    let mut openly = openly(&store);
    openly.store = Store {
        name: Some(format!("local?root={}/other", store.scratch().display())),
        root: Some(store.scratch().join("other")),
        origin: Some(Origin {
            name: String::new(),
            alone: true,
        }),
    };
    let place = Place::private();
    let builder = builder(&store, &openly);
    let outcome = place.verifier(Some(&builder), None).verify(&job).unwrap();
    assert_eq!(outcome.verdict, Verdict::NeedsBuilder);
    // Each Nix says in its own words why not.
    let reason = outcome.reason;
    let (told, remedy) = (
        "Nix does not have its derivation (",
        "nix copy --derivation`",
    );
    assert!(
        reason.starts_with(told) && reason.ends_with(remedy),
        "{reason}"
    );
}
