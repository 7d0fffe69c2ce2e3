//! What must hold of every value: round trips, orders, and that nothing makes a reader panic.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use snowguard_store::derivation::DynamicOutputs;
use snowguard_store::derivation::json::{DerivationSet, JsonForm, JsonLayout};
use snowguard_store::derivation::modulo::{HashModulo, ModuloHasher};
use snowguard_store::nar::{NarError, NarEvent, NarHash, NarLimits, NarReader, NarWriter};
use snowguard_store::{
    ContentAddress, ContentAddressMethod, Derivation, DerivationBuilder, DrvPath, Hash, HashAlgo,
    InputDrv, NarInfo, Notation, ObjectInfo, Output, OutputName, PathInfoSet, PublicKey, Quoted,
    Signature, StoreDir, StoreName, StorePath, compare_versions, nix32, parse_drv_name,
    version_components,
};

proptest! {
    #[test]
    fn nix32_round_trips(bytes in vec(any::<u8>(), 0..80)) {
        let text = nix32::encode(&bytes);
        prop_assert_eq!(text.len(), nix32::encoded_len(bytes.len()));
        prop_assert_eq!(nix32::decode(&text).unwrap(), bytes);
    }

    #[test]
    fn nix32_has_one_text_for_each_value(text in "[0-9a-df-np-sv-z]{0,60}") {
        if let Ok(bytes) = nix32::decode(&text) {
            prop_assert_eq!(nix32::encode(&bytes), text);
        }
    }

    #[test]
    fn nix32_keeps_the_order_of_the_number(one in any::<[u8; 20]>(), other in any::<[u8; 20]>()) {
        let reversed = |mut bytes: [u8; 20]| { bytes.reverse(); bytes };
        let texts = nix32::encode(&one).cmp(&nix32::encode(&other));
        prop_assert_eq!(texts, reversed(one).cmp(&reversed(other)));
    }

    #[test]
    fn hashes_round_trip(hash in hash()) {
        for notation in [Notation::Hex, Notation::Nix32, Notation::Base64, Notation::Sri] {
            prop_assert_eq!(Hash::parse(&hash.to_notation(notation), Some(hash.algo())).unwrap(), hash);
            prop_assert_eq!(hash.to_prefixed(notation).parse::<Hash>().unwrap(), hash);
        }
        prop_assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
        through_serde(&hash)?;
    }

    #[test]
    fn paths_round_trip(path in path(), dir in dir()) {
        prop_assert_eq!(&path.to_string().parse::<StorePath>().unwrap(), &path);
        let whole = dir.show(&path).to_string();
        prop_assert_eq!(&dir.parse(&whole).unwrap(), &path);
        prop_assert_eq!(StoreDir::split(&whole).unwrap(), (dir.clone(), path.clone()));
        prop_assert_eq!(&dir.parse_within(format!("{whole}/bin/sh")).unwrap(), &path);
        prop_assert_eq!(StorePath::new(path.digest(), path.name().clone()), path.clone());
        through_serde(&path)?;
        through_serde(&dir)?;
    }

    #[test]
    fn paths_are_ordered_as_their_texts(one in path(), other in path(), name in name()) {
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        let same_digest = StorePath::new(one.digest(), name);
        prop_assert_eq!(one.cmp(&same_digest), one.to_string().cmp(&same_digest.to_string()));
    }

    #[test]
    fn output_names_round_trip_and_are_ordered_as_text(one in output_name(), other in output_name()) {
        prop_assert_eq!(&one.to_string().parse::<OutputName>().unwrap(), &one);
        prop_assert_eq!(one.cmp(&other), one.as_str().cmp(other.as_str()));
        prop_assert_eq!(one == other, one.as_str() == other.as_str());
        through_serde(&one)?;
    }

    #[test]
    fn content_addresses_round_trip(address in address()) {
        prop_assert_eq!(address.to_string().parse::<ContentAddress>().unwrap(), address);
        let with_algo = address.method.with_algo(address.hash.algo());
        prop_assert_eq!(
            ContentAddressMethod::parse_with_algo(&with_algo).unwrap(),
            (address.method, address.hash.algo())
        );
        prop_assert_eq!(address.method.to_string().parse::<ContentAddressMethod>().unwrap(), address.method);
        through_serde(&address)?;
    }

    #[test]
    fn derivations_round_trip(drv in derivation(true), dir in dir()) {
        let text = drv.to_aterm(&dir);
        let read = Derivation::from_aterm(&text, drv.name().as_str(), &dir).unwrap();
        prop_assert_eq!(&read, &drv);
        prop_assert_eq!(read.to_aterm(&dir), text);
        prop_assert_eq!(&drv.to_builder().build().unwrap(), &drv);
        let path = drv.drv_path(&dir).unwrap();
        prop_assert_eq!(path.drv_name(), drv.name().as_str());
    }

    #[test]
    fn derivations_round_trip_as_json(drv in derivation(false), dir in dir()) {
        let path = drv.drv_path(&dir).unwrap();
        let set = DerivationSet { dir: dir.clone(), derivations: vec![(path, drv.clone())] };
        for layout in [JsonLayout::Compact, JsonLayout::Pretty] {
            if let Ok(json) = set.to_json(JsonForm::Nix28, layout) {
                prop_assert_eq!(&DerivationSet::from_json(&json, None).unwrap(), &set);
            }
            if let Ok(json) = set.to_json(JsonForm::V4, layout) {
                prop_assert_eq!(&DerivationSet::from_json(&json, Some(&dir)).unwrap(), &set);
                prop_assert_eq!(Derivation::from_json(
                    &drv.to_json(&dir, JsonForm::V4, layout).unwrap(), &dir).unwrap(), drv.clone());
            }
        }
    }

    #[test]
    fn dropped_variables_leave_the_rest(mut drv in derivation(true)) {
        let whole = drv.clone();
        drv.retain_env(|name| name.len() % 2 == 0);
        let kept: Vec<_> = whole.env().filter(|(name, _)| name.len() % 2 == 0).collect();
        prop_assert_eq!(drv.env().collect::<Vec<_>>(), kept);
        prop_assert_eq!(drv.args().collect::<Vec<_>>(), whole.args().collect::<Vec<_>>());
        prop_assert_eq!(drv.builder(), whole.builder());
        prop_assert_eq!(drv.outputs(), whole.outputs());
    }

    #[test]
    fn nars_round_trip(steps in steps()) {
        let mut writer = NarWriter::new(Vec::new()).unwrap();
        for step in &steps {
            writer.event(step.event()).unwrap();
            if let Step::File { contents, .. } = step {
                for part in contents.chunks(7) {
                    writer.contents(part).unwrap();
                }
            }
        }
        let nar = writer.finish().unwrap();
        prop_assert_eq!(nar.len() % 8, 0);
        let mut reader = NarReader::new(&nar[..]).unwrap();
        for step in &steps {
            prop_assert_eq!(reader.next().unwrap(), Some(step.event()));
        }
        prop_assert_eq!(reader.next().unwrap(), None);
        reader.end().unwrap();
        // Whatever is left out at the end, it is no NAR.
        for length in 0..nar.len() {
            prop_assert!(NarReader::new(&nar[..length]).and_then(NarReader::end).is_err());
        }
    }

    #[test]
    fn narinfos_round_trip(info in narinfo(), dir in dir()) {
        let text = info.to_text(&dir);
        prop_assert_eq!(NarInfo::parse(text.as_bytes(), &dir).unwrap(), info);
    }

    #[test]
    fn versions_are_antisymmetric(one in version(), other in version()) {
        prop_assert_eq!(compare_versions(&one, &other), compare_versions(&other, &one).reverse());
        prop_assert!(compare_versions(&one, &one).is_eq());
    }

    #[test]
    fn versions_are_in_order(mut versions in vec(version(), 3)) {
        versions.sort_by(|one, other| compare_versions(one, other));
        prop_assert!(compare_versions(&versions[0], &versions[1]).is_le());
        prop_assert!(compare_versions(&versions[1], &versions[2]).is_le());
        prop_assert!(compare_versions(&versions[0], &versions[2]).is_le());
    }

    #[test]
    fn equal_versions_are_alike_to_others(one in version(), other in version(), third in version()) {
        if compare_versions(&one, &other).is_eq() {
            prop_assert_eq!(compare_versions(&one, &third), compare_versions(&other, &third));
        }
    }

    #[test]
    fn components_are_what_is_between_separators(version in version()) {
        let components: Vec<&str> = version_components(&version).collect();
        prop_assert_eq!(components.concat(), version.replace(['.', '-'], ""));
        prop_assert!(components.iter().all(|component| !component.is_empty()));
    }

    #[test]
    fn names_are_put_together_again(name in ".{0,20}") {
        let (package, version) = parse_drv_name(&name);
        if version.is_empty() {
            prop_assert_eq!(package, &name);
        } else {
            prop_assert_eq!(format!("{package}-{version}"), name);
        }
    }

    #[test]
    fn quoted_text_is_harmless(bytes in vec(any::<u8>(), 0..300)) {
        let quoted = Quoted::new(&bytes);
        let inner = quoted.as_str().strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap();
        prop_assert!(!inner.replace("\\`", "").contains('`'));
        prop_assert!(!inner.contains(|c: char| c.is_control()));
    }

    #[test]
    fn nothing_makes_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        let dir = StoreDir::default();
        let text = String::from_utf8_lossy(&bytes);
        let _ = Derivation::from_aterm(&bytes, "name", &dir);
        let _ = DerivationSet::from_json(&bytes, None);
        let _ = PathInfoSet::from_json(&bytes, None);
        let _ = NarInfo::parse(&bytes, &dir);
        let _ = NarReader::new(&bytes[..]).and_then(NarReader::end);
        let _ = text.parse::<Hash>();
        let _ = text.parse::<StorePath>();
        let _ = text.parse::<ContentAddress>();
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<Signature>();
    }
}

proptest! {
    // Arithmetic on curves is slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn signatures_verify_only_what_was_signed(secret in any::<[u8; 32]>(), message in vec(any::<u8>(), 0..100), flip in any::<u16>()) {
        use ed25519_dalek::Signer as _;
        let secret = ed25519_dalek::SigningKey::from_bytes(&secret);
        let key = PublicKey::new("key-1", secret.verifying_key().to_bytes()).unwrap();
        prop_assert_eq!(&key.to_string().parse::<PublicKey>().unwrap(), &key);
        let made = secret.sign(&message).to_bytes();
        let text = |bytes: &[u8]| {
            let hash = Hash::new(HashAlgo::Sha512, bytes).unwrap();
            format!("key-1:{}", hash.to_notation(Notation::Base64)).parse::<Signature>().unwrap()
        };
        let signature = text(&made);
        prop_assert_eq!(&signature.to_string().parse::<Signature>().unwrap(), &signature);
        prop_assert!(key.verifies(&message, &signature));
        let (byte, bit) = (usize::from(flip >> 3) % 64, flip & 7);
        let mut wrong = made;
        wrong[byte] ^= 1 << bit;
        prop_assert!(!key.verifies(&message, &text(&wrong)));
        let mut longer = message.clone();
        longer.push(0);
        prop_assert!(!key.verifies(&longer, &signature));
    }
}

/// A test's stack holds 2 MiB: readers that called themselves would need more.
#[test]
fn deep_trees_need_no_deep_stack() {
    const DEPTH: usize = 50_000;
    let limits = NarLimits {
        depth: usize::MAX,
        ..NarLimits::default()
    };
    let mut writer = NarWriter::new(Vec::new()).unwrap();
    writer.directory(b"").unwrap();
    for _ in 1..DEPTH {
        writer.directory(b"d").unwrap();
    }
    for _ in 0..DEPTH {
        writer.directory_end().unwrap();
    }
    let nar = writer.finish().unwrap();
    NarReader::with_limits(&nar[..], limits)
        .and_then(NarReader::end)
        .unwrap();
    let stopped = NarReader::new(&nar[..]).and_then(NarReader::end);
    assert!(matches!(stopped, Err(NarError::TooDeep { limit: 64, .. })));
}

#[test]
fn long_chains_need_no_deep_stack() {
    let dir = StoreDir::default();
    let mut all: BTreeMap<DrvPath, Derivation> = BTreeMap::new();
    let mut last: Option<DrvPath> = None;
    for index in 0..20_000 {
        let mut drv = DerivationBuilder::new("link".parse().unwrap());
        let path = StorePath::new([0; 20], "link".parse().unwrap());
        drv.output(OutputName::out(), Output::InputAddressed { path })
            .env("index", index.to_string());
        if let Some(input) = last {
            drv.input_drv(InputDrv::new(input, [OutputName::out()]));
        }
        let drv = drv.build().unwrap();
        let path = drv.drv_path(&dir).unwrap();
        all.insert(path.clone(), drv);
        last = Some(path);
    }
    let hash = ModuloHasher::new(dir)
        .hash_modulo(&last.unwrap(), &mut &all)
        .unwrap();
    assert!(matches!(hash, HashModulo::Regular(_)));
}

#[test]
fn deep_json_is_refused() {
    let dir = StoreDir::default();
    for open in [
        "[",
        r#"{"dynamicOutputs":{"out":"#,
        r#"{"structuredAttrs":{"a":"#,
    ] {
        let json = format!(
            r#"{{"/nix/store/{}-a.drv":{{"inputDrvs":{{"/nix/store/{}-b.drv":{}"#,
            "0".repeat(32),
            "1".repeat(32),
            open.repeat(100_000)
        );
        assert!(DerivationSet::from_json(json.as_bytes(), None).is_err());
        assert!(Derivation::from_json(open.repeat(100_000).as_bytes(), &dir).is_err());
    }
}

fn through_serde<T>(value: &T) -> Result<(), TestCaseError>
where
    T: serde::Serialize
        + serde::de::DeserializeOwned
        + std::fmt::Display
        + std::fmt::Debug
        + PartialEq,
{
    let json = serde_json::to_value(value).unwrap();
    prop_assert_eq!(json.as_str().unwrap(), value.to_string());
    prop_assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value);
    Ok(())
}

fn hash() -> impl Strategy<Value = Hash> {
    (
        prop::sample::select(HashAlgo::ALL.to_vec()),
        any::<[u8; 32]>(),
        any::<[u8; 32]>(),
    )
        .prop_map(|(algo, one, two)| {
            Hash::new(algo, &[one, two].concat()[..algo.digest_len()]).unwrap()
        })
}

fn name() -> impl Strategy<Value = StoreName> {
    "[0-9a-zA-Z+_?=][0-9a-zA-Z+._?=-]{0,20}".prop_map(|name| name.parse().unwrap())
}

fn output_name() -> impl Strategy<Value = OutputName> {
    prop_oneof!["out", "dev", "lib", "[a-z]{1,6}"].prop_map(|name| name.parse().unwrap())
}

fn path() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), name()).prop_map(|(digest, name)| StorePath::new(digest, name))
}

fn drv_path() -> impl Strategy<Value = DrvPath> {
    (any::<[u8; 20]>(), name()).prop_map(|(digest, name)| {
        StorePath::new(digest, format!("{name}.drv").parse().unwrap())
            .try_into()
            .unwrap()
    })
}

fn dir() -> impl Strategy<Value = StoreDir> {
    "(/[a-z0-9_ é.-]{0,3}[a-z]){1,3}".prop_map(|path| path.parse().unwrap())
}

fn method() -> impl Strategy<Value = ContentAddressMethod> {
    prop::sample::select(vec![
        ContentAddressMethod::Flat,
        ContentAddressMethod::Nar,
        ContentAddressMethod::Git,
        ContentAddressMethod::Text,
    ])
}

fn address() -> impl Strategy<Value = ContentAddress> {
    (method(), hash()).prop_map(|(method, hash)| ContentAddress::new(method, hash))
}

/// Outputs of any kind; paths of fixed ones are those that JSON without paths would give.
fn output() -> impl Strategy<Value = Output> {
    let algo = prop::sample::select(HashAlgo::ALL.to_vec());
    prop_oneof![
        path().prop_map(|path| Output::InputAddressed { path }),
        (path(), address()).prop_map(|(path, address)| Output::Fixed { path, address }),
        (method(), algo.clone()).prop_map(|(method, algo)| Output::Floating { method, algo }),
        Just(Output::Deferred),
        (method(), algo).prop_map(|(method, algo)| Output::Impure { method, algo }),
    ]
}

fn input_drv(dynamic: bool) -> impl Strategy<Value = InputDrv> {
    let needs = (vec(output_name(), 1..4), vec(output_name(), 1..3))
        .prop_map(|(chain, outputs)| DynamicOutputs::new(chain, outputs).unwrap());
    (
        drv_path(),
        vec(output_name(), 1..3),
        vec(needs, 0..if dynamic { 6 } else { 1 }),
    )
        .prop_map(|(path, outputs, needs)| InputDrv::with_dynamic(path, outputs, needs))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z/ ]{0,20}".prop_map(String::into_bytes),
        "[\\PC\n\r\t\"\\\\\u{0}-\u{1f}]{0,20}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
    ]
}

/// Derivations; with `stated`, paths of fixed outputs and `__json` may be anything.
fn derivation(stated: bool) -> impl Strategy<Value = Derivation> {
    (
        name(),
        btree_map(output_name(), output(), 0..4),
        vec(input_drv(true), 0..4),
        vec(path(), 0..4),
        "[a-z0-9_-]{0,12}",
        bytes(),
        vec(bytes(), 0..4),
        btree_map(bytes(), bytes(), 0..6),
    )
        .prop_map(
            move |(name, outputs, inputs, srcs, system, builder, args, env)| {
                let mut drv = DerivationBuilder::new(name);
                drv.system(system).builder(builder);
                for (name, output) in outputs {
                    if stated || !matches!(output, Output::Fixed { .. }) {
                        drv.output(name, output);
                    }
                }
                for input in inputs {
                    drv.input_drv(input);
                }
                for src in srcs {
                    drv.input_src(src);
                }
                for arg in args {
                    drv.arg(arg);
                }
                for (name, value) in env {
                    drv.env(name, value);
                }
                drv.build().unwrap()
            },
        )
}

fn narinfo() -> impl Strategy<Value = NarInfo> {
    let signature = ("[a-zA-Z0-9.-]{1,10}", any::<[u8; 32]>()).prop_map(|(name, bytes)| {
        let bytes = Hash::sha256(bytes).to_notation(Notation::Base64);
        format!("{name}:{bytes}").parse::<Signature>().unwrap()
    });
    let object = (
        path(),
        any::<[u8; 32]>(),
        1..=u64::MAX,
        btree_set(path(), 0..5),
        proptest::option::of(path()),
        vec(signature, 0..3),
        proptest::option::of(address()),
    )
        .prop_map(
            |(path, digest, nar_size, references, deriver, signatures, content_address)| {
                ObjectInfo {
                    path,
                    nar_hash: NarHash::new(digest),
                    nar_size,
                    references: references.into_iter().collect(),
                    deriver,
                    signatures,
                    content_address,
                }
            },
        );
    (
        object,
        "[a-z0-9/.?=]{1,20}",
        prop_oneof!["xz", "zstd", "none"],
        proptest::option::of(hash()),
        proptest::option::of(1..=u64::MAX),
    )
        .prop_map(|(object, url, compression, file_hash, file_size)| NarInfo {
            object,
            url,
            compression,
            file_hash,
            file_size,
        })
}

fn version() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9.a-z-]{0,12}",
        "([0-9]{1,3}[.-]?|[0-9]{9,11}[.-]|pre|rc|a|é|_|[+]|[.-]){0,5}"
    ]
}

/// One step through a tree, owned.
#[derive(Debug, Clone)]
enum Step {
    Directory {
        name: Vec<u8>,
    },
    DirectoryEnd,
    File {
        name: Vec<u8>,
        executable: bool,
        contents: Vec<u8>,
    },
    Symlink {
        name: Vec<u8>,
        target: Vec<u8>,
    },
}

impl Step {
    fn event(&self) -> NarEvent<'_> {
        match self {
            Self::Directory { name } => NarEvent::Directory { name },
            Self::DirectoryEnd => NarEvent::DirectoryEnd,
            Self::File {
                name,
                executable,
                contents,
            } => NarEvent::File {
                name,
                executable: *executable,
                size: contents.len() as u64,
            },
            Self::Symlink { name, target } => NarEvent::Symlink { name, target },
        }
    }
}

/// The steps through a whole tree.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        (any::<bool>(), vec(any::<u8>(), 0..30)).prop_map(|(executable, contents)| {
            vec![Step::File {
                name: Vec::new(),
                executable,
                contents,
            }]
        }),
        vec(1..=255u8, 1..20).prop_map(|target| vec![Step::Symlink {
            name: Vec::new(),
            target
        }]),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        btree_map(
            "[a-zA-Z0-9._é ]{1,6}".prop_filter("dots", |name| name != "." && name != ".."),
            inner,
            0..4,
        )
        .prop_map(|entries| {
            let mut steps = vec![Step::Directory { name: Vec::new() }];
            for (entry, mut inner) in entries {
                match &mut inner[0] {
                    Step::Directory { name }
                    | Step::File { name, .. }
                    | Step::Symlink { name, .. } => {
                        *name = entry.into_bytes();
                    }
                    Step::DirectoryEnd => {}
                }
                steps.extend(inner);
            }
            steps.push(Step::DirectoryEnd);
            steps
        })
    })
}
