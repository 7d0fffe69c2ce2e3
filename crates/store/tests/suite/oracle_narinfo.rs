//! Narinfo and signatures of a binary cache that Nix has made.

use std::fmt::Write as _;
use std::path::Path;

use snowguard_store::{NarInfo, ObjectInfo, PathInfoSet, PublicKey, StoreDir, StorePath};
use snowguard_testkit::nix::NixStore;

use crate::support::{chain, dir, nix};

#[test]
fn a_signed_cache_is_read_and_verified() {
    let store = nix().store().unwrap();
    let dir = dir(&store);
    let content_addressed = texts(&store, &dir);
    let built = pretend_built(&store, &dir, &content_addressed);
    let keys: Vec<PublicKey> = ["cache.example.org-1", "other-key"]
        .iter()
        .map(|name| key(&store, name))
        .collect();

    // One signature comes from the store itself, one from copying.
    let paths = content_addressed
        .iter()
        .chain(&built)
        .map(|path| dir.show(path).to_string());
    let sign = [
        "store",
        "sign",
        "--key-file",
        "secret-other-key",
        "--recursive",
    ]
    .map(str::to_owned);
    store
        .run("nix", &[], sign.into_iter().chain(paths.clone()))
        .unwrap();
    let cache = store.scratch().join("cache");
    let secret = store.scratch().join("secret-cache.example.org-1");
    let url = format!(
        "file://{}?secret-key={}&compression=xz",
        cache.display(),
        secret.display()
    );
    let copy = [
        "copy".to_owned(),
        "--to".to_owned(),
        url,
        "--no-check-sigs".to_owned(),
    ];
    store
        .run("nix", &[], copy.into_iter().chain(paths.clone()))
        .unwrap();

    for path in &content_addressed {
        let info = read(&cache, path, &dir);
        assert_eq!(
            info.object.path_follows_from_content(&dir),
            Ok(Some(true)),
            "{path}"
        );
        check(&info.object, &dir, &keys);
    }
    for path in &built {
        let info = read(&cache, path, &dir);
        assert_eq!(
            info.object.path_follows_from_content(&dir),
            Ok(None),
            "{path}"
        );
        assert_eq!(
            info.object.deriver.as_ref().unwrap().name().as_str(),
            "some.drv"
        );
        check(&info.object, &dir, &keys);
    }
    let args = ["path-info", "--json"].map(str::to_owned).into_iter();
    let missing = format!("{dir}/00000000000000000000000000000000-missing");
    let json = store
        .run("nix", &[], args.chain(paths).chain([missing]))
        .unwrap();
    let set =
        PathInfoSet::from_json(&json, None).unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(set.dir, dir);
    assert_eq!(set.missing.len(), 1);
    assert_eq!(set.objects.len(), content_addressed.len() + built.len());
    for info in set.objects {
        let mut cached = read(&cache, &info.object.path, &dir).object;
        cached.signatures = info.object.signatures.clone();
        assert_eq!(info.object, cached);
        assert_eq!(info.object.verified(&dir, &keys[1..]).count(), 1);
        assert!(
            info.registration_time
                .is_some_and(|time| time > 1_700_000_000)
        );
    }

    let info = read(&cache, &built[1], &dir);
    assert_eq!(
        info.object.references.len(),
        3,
        "itself, the other one, a text"
    );
}

/// Text files, the second referring to the first.
fn texts(store: &NixStore, dir: &StoreDir) -> Vec<StorePath> {
    let expression =
        r#"let a = builtins.toFile "a" "text"; in [ a (builtins.toFile "b" "see ${a}") ]"#;
    let paths = store.evaluate(expression).unwrap();
    paths
        .as_array()
        .unwrap()
        .iter()
        .map(|path| dir.parse(path.as_str().unwrap()).unwrap())
        .collect()
}

/// Paths that the store takes for built ones; the second refers to itself and to others.
fn pretend_built(store: &NixStore, dir: &StoreDir, texts: &[StorePath]) -> Vec<StorePath> {
    let one: StorePath = "0123456789abcdfghijklmnpqrsvwxyz-one-1.0".parse().unwrap();
    let two: StorePath = "zyxwvsrqpnmlkjihgfdcba9876543210-two-2.0-dev"
        .parse()
        .unwrap();
    let deriver = "33333333333333333333333333333333-some.drv";
    let mut registration = String::new();
    for (path, references) in [(&one, vec![]), (&two, vec![&one, &two, &texts[1]])] {
        std::fs::create_dir(store.dir().join(path.to_string())).unwrap();
        std::fs::write(
            store.dir().join(path.to_string()).join("file"),
            path.to_string(),
        )
        .unwrap();
        let _ = writeln!(
            registration,
            "{}\n{dir}/{deriver}\n{}",
            dir.show(path),
            references.len()
        );
        for reference in references {
            let _ = writeln!(registration, "{}", dir.show(reference));
        }
    }
    store
        .run_with_input(
            "nix-store",
            ["--register-validity"],
            registration.as_bytes(),
        )
        .unwrap();
    vec![one, two]
}

/// Makes a key pair; the secret half stays in a file.
fn key(store: &NixStore, name: &str) -> PublicKey {
    let (secret, public) = (format!("secret-{name}"), format!("public-{name}"));
    store
        .run(
            "nix-store",
            &[],
            ["--generate-binary-cache-key", name, &secret, &public],
        )
        .unwrap();
    let text = std::fs::read_to_string(store.scratch().join(public)).unwrap();
    let key: PublicKey = text.trim().parse().unwrap();
    assert_eq!(key.to_string(), text.trim());
    assert_eq!(key.name(), name);
    key
}

fn read(cache: &Path, path: &StorePath, dir: &StoreDir) -> NarInfo {
    let text = std::fs::read(cache.join(format!("{}.narinfo", path.digest_text()))).unwrap();
    let info = NarInfo::parse(&text, dir).unwrap();
    assert_eq!(info.to_text(dir), String::from_utf8(text).unwrap());
    assert_eq!(info.object.path, *path);
    assert_eq!(info.compression, "xz");
    info
}

fn check(info: &ObjectInfo, dir: &StoreDir, keys: &[PublicKey]) {
    assert_eq!(info.signatures.len(), 2);
    assert_eq!(info.verified(dir, keys).count(), 2);
    let verified: Vec<&str> = info
        .verified(dir, &keys[1..])
        .map(|(_, key)| key.name())
        .collect();
    assert_eq!(verified, ["other-key"]);
    assert_eq!(info.verified(dir, &[]).count(), 0);
    // A key of the right name alone verifies nothing, nor does the right key under another name.
    let renamed = PublicKey::new(keys[0].name(), *keys[1].bytes()).unwrap();
    assert_eq!(info.verified(dir, &[renamed]).count(), 0);

    let mut other = info.clone();
    other.nar_size += 1;
    assert_eq!(other.verified(dir, keys).count(), 0);
    let mut other = info.clone();
    other
        .references
        .push("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-more".parse().unwrap());
    assert_eq!(other.verified(dir, keys).count(), 0);
    let mut other = info.clone();
    other.path = StorePath::new(info.path.digest(), "another-name".parse().unwrap());
    assert_eq!(other.verified(dir, keys).count(), 0);
    assert_eq!(
        info.verified(&StoreDir::new("/other/store").unwrap(), keys)
            .count(),
        0
    );
}
