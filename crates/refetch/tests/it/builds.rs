//! What a build by the real Nix says, and what it does not.

use snowguard_fod::outcome::FoundBy;
use snowguard_fod::{Outcome, Verdict};
use snowguard_refetch::{Builder, Job, Way};
use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::Web;

use crate::support::{Place, builder, fods, job};

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

fn build(store: &NixStore, nix: &Builder) -> Outcome {
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
        let outcome = build(&store, &builder(&store));
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
        .envs(builder(&store).environment)
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
    let outcome = build(&store, &builder(&store));
    assert_eq!(outcome.verdict, Verdict::Failed);
    assert_eq!(outcome.found_by, Some(FoundBy::Build));
    insta::assert_snapshot!(outcome.reason, @"its build printed more than 1048576 bytes");
}
