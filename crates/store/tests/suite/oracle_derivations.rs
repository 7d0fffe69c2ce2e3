//! Derivations that the real Nix instantiates: read, written, recomputed and shown as Nix does.

use std::collections::BTreeMap;

use snowguard_store::derivation::json::{DerivationSet, JsonForm, JsonLayout};
use snowguard_store::derivation::modulo::ModuloHasher;
use snowguard_store::{Derivation, DerivationKind, DrvPath, Output, StoreName};
use snowguard_testkit::nix::{NixStore, NixVersion};

use crate::support::{Features, chain, derivations, dir, nix, text};

#[test]
fn every_shape_in_an_ordinary_store() {
    check_store(&shapes("store"));
}

#[test]
fn every_shape_in_a_store_of_another_name() {
    check_store(&shapes("a b/Störe+1.0"));
}

#[test]
fn every_shape_as_json() {
    let store = shapes("store");
    let version = store.nix().version();
    let features = Features::of(version);
    let dir = dir(&store);
    let show: &[&str] = if version < NixVersion::new(2, 15) {
        &["show-derivation"]
    } else {
        &["derivation", "show"]
    };

    // New versions refuse to show what is not UTF-8.
    let all = derivations(&store);
    let shown: Vec<DrvPath> = all
        .keys()
        .filter(|path| version < NixVersion::new(2, 14) || path.drv_name() != "not-utf8")
        .cloned()
        .collect();
    let paths = shown.iter().map(|path| dir.show(path).to_string());
    let paths: Vec<String> = paths
        .map(|path| {
            if version < NixVersion::new(2, 15) {
                path
            } else {
                path + "^*"
            }
        })
        .collect();
    let args = show.iter().map(ToString::to_string).chain(paths);
    let json = store.run("nix", &features.switches(), args).unwrap();

    let set = DerivationSet::from_json(&json, Some(&dir))
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(set.derivations.len(), shown.len());
    for (path, drv) in &set.derivations {
        let (bytes, same) = &all[path];
        // Versions that hold structured attributes as JSON print them in their own form.
        if path.drv_name() == "json-by-hand" && drv.structured_attrs() != same.structured_attrs() {
            continue;
        }
        assert_eq!(drv, same, "{path}");
        assert_eq!(&drv.to_aterm(&dir), bytes, "{path}");
    }

    // The document is found out to be of this directory where it says so.
    let found = DerivationSet::from_json(&json, None).unwrap();
    if version < NixVersion::new(2, 32) {
        assert_eq!(found, set);
    }

    let originals = DerivationSet {
        dir: dir.clone(),
        derivations: shown
            .iter()
            .map(|path| (path.clone(), all[path].1.clone()))
            .collect(),
    };
    let written = if version < NixVersion::new(2, 15) {
        Some(
            originals
                .to_json(JsonForm::Nix28, JsonLayout::Pretty)
                .unwrap(),
        )
    } else if version >= NixVersion::new(2, 33) {
        Some(
            originals
                .to_json(JsonForm::V4, JsonLayout::Compact)
                .unwrap(),
        )
    } else {
        None
    };
    if let Some(written) = written {
        assert_eq!(lines(&written), lines(json.trim_ascii_end()));
    }
}

#[test]
fn texts_and_sources_get_their_paths() {
    let store = nix().store().unwrap();
    std::fs::create_dir(store.scratch().join("tree")).unwrap();
    store.write("tree/file", "contents").unwrap();
    let expression = format!(
        r#"rec {{
            text = builtins.toFile "text" "some text";
            other = builtins.toFile "other" "";
            referring = builtins.toFile "referring" "${{text}} ${{other}} ${{text}}";
            source = builtins.path {{ path = {root}/tree; name = "source"; }};
            flat = builtins.path {{ path = {root}/tree/file; name = "flat"; recursive = false; }};
        }}"#,
        root = store.scratch().display(),
    );
    let paths = store.evaluate(&expression).unwrap();
    let dir = dir(&store);
    let path = |name: &str| dir.parse(paths[name].as_str().unwrap()).unwrap();
    let name = |name: &str| StoreName::new(name).unwrap();

    let text = dir.text_path(&name("text"), b"some text", &[]);
    let other = dir.text_path(&name("other"), b"", &[]);
    assert_eq!(text, path("text"));
    assert_eq!(other, path("other"));
    let content = format!(
        "{} {} {}",
        dir.show(&text),
        dir.show(&other),
        dir.show(&text)
    );
    assert_eq!(
        dir.text_path(&name("referring"), content.as_bytes(), &[other, text]),
        path("referring")
    );

    let nar =
        |write: &dyn Fn(&mut snowguard_store::nar::NarWriter<snowguard_store::nar::NarHasher>)| {
            let mut writer =
                snowguard_store::nar::NarWriter::new(snowguard_store::nar::NarHasher::new())
                    .unwrap();
            write(&mut writer);
            writer.finish().unwrap().finish().hash.digest()
        };
    let tree = nar(&|writer| {
        writer.directory(b"").unwrap();
        writer.file(b"file", false, b"contents").unwrap();
        writer.directory_end().unwrap();
    });
    assert_eq!(dir.source_path(&name("source"), tree), path("source"));
    let address = "fixed:sha256:1gxi9p4g3bvg3yrnzhxqr3y51sq8q4v4r7jn35i03agblp15cfbg"
        .parse::<snowguard_store::ContentAddress>()
        .unwrap();
    let hash = snowguard_store::Hash::of(snowguard_store::HashAlgo::Sha256, b"contents").unwrap();
    let address = snowguard_store::ContentAddress::new(address.method, hash);
    let flat = dir
        .content_path(&name("flat"), &address, snowguard_store::References::NONE)
        .unwrap();
    assert_eq!(flat, path("flat"));
}

/// Instantiates every shape that this Nix has.
fn shapes(store_dir: &str) -> NixStore {
    let nix = nix();
    let store = nix.store_at(store_dir).unwrap();
    store.write("shapes.nix", text("suite/shapes.nix")).unwrap();
    store.write("latin1", b"caf\xe9 \xff\xfe").unwrap();
    std::fs::create_dir(store.scratch().join("tree")).unwrap();
    store.write("tree/file", "contents").unwrap();
    let features = Features::of(nix.version());
    let expression = format!(
        "import ./shapes.nix {{ scratch = ./.; {} }}",
        features.arguments()
    );
    store
        .instantiate(&expression, &features.switches())
        .unwrap();
    store
}

/// Everything that a store says of its derivations follows from their content.
fn check_store(store: &NixStore) {
    let dir = dir(store);
    let all = derivations(store);
    assert!(all.len() > 800, "only {} derivations", all.len());
    let values: BTreeMap<DrvPath, Derivation> = all
        .iter()
        .map(|(path, (_, drv))| (path.clone(), drv.clone()))
        .collect();
    let mut hasher = ModuloHasher::new(dir.clone());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut dynamic = 0;
    for (path, (bytes, drv)) in &all {
        assert_eq!(&drv.to_aterm(&dir), bytes, "{path}");
        assert_eq!(&drv.to_builder().build().unwrap(), drv, "{path}");
        let mismatches = hasher
            .check(path, drv, &mut &values)
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(mismatches, [], "{path}");
        for (name, computed) in hasher.output_paths(path, drv, &mut &values).unwrap() {
            assert_eq!(
                drv.output(name.as_str()).unwrap().path(),
                computed.as_ref(),
                "{path} {name}"
            );
        }
        *kinds
            .entry(format!("{:?}", drv.kind().unwrap()))
            .or_default() += 1;
        dynamic += usize::from(
            drv.input_drvs()
                .iter()
                .any(|input| !input.dynamic().is_empty()),
        );
    }

    let features = Features::of(store.nix().version());
    let expected = [
        (DerivationKind::InputAddressed, true),
        (DerivationKind::Fixed, true),
        (DerivationKind::Floating, features.has("ca")),
        (DerivationKind::Deferred, features.has("ca")),
        (DerivationKind::Impure, features.has("impure")),
    ];
    for (kind, has) in expected {
        assert_eq!(kinds.contains_key(&format!("{kind:?}")), has, "{kind:?}");
    }
    assert_eq!(dynamic > 0, features.has("dynamic"));

    let drv = |name: &str| {
        values
            .iter()
            .find(|(path, _)| path.drv_name() == name)
            .unwrap()
            .1
    };
    assert_eq!(
        drv("not-utf8").env_bytes("text").unwrap(),
        b"caf\xe9 \xff\xfe"
    );
    assert_eq!(
        drv("odd+name-._?=1.0").env_text("windows").unwrap(),
        "a\r\nb"
    );
    assert_eq!(
        drv("structured").attrs().unwrap().text("number").unwrap(),
        "42"
    );
    assert_eq!(
        drv("structured-fixed").attrs().unwrap().list("urls"),
        ["https://example.org/a", "https://example.org/b"]
    );
    assert_eq!(
        drv("multi-2.3.4").attrs().unwrap().list("outputs"),
        ["out", "dev", "bin", "zlib-extra"]
    );
    assert!(matches!(
        drv("builtin").output("out"),
        Some(Output::Fixed { .. })
    ));
    let zero = drv("empty-hash").output("out").cloned();
    assert!(
        matches!(zero, Some(Output::Fixed { address, .. }) if address.hash.digest() == [0; 32])
    );
}

/// For messages that can be read: one line for each member.
fn lines(json: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(json)
        .replace(",\"", ",\n\"")
        .lines()
        .map(str::to_owned)
        .collect()
}
