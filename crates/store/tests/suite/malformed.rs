//! What readers say of what they cannot read. The snapshots are tables: input, then the whole message.

use std::error::Error;
use std::fmt::Debug;

use snowguard_store::derivation::aterm::AtermLimits;
use snowguard_store::derivation::json::{DerivationSet, JsonForm, JsonLayout, JsonLimits};
use snowguard_store::derivation::modulo::{Mismatch, ModuloHasher};
use snowguard_store::nar::{NarError, NarEvent, NarLimits, NarReader, NarWriteError, NarWriter};
use snowguard_store::{
    ContentAddress, ContentAddressMethod, Derivation, DerivationBuilder, DrvPath, Hash, HashAlgo,
    InputDrv, Output, OutputName, References, StoreDir, StoreName, StorePath, nix32,
};

use crate::support::Table;

const DIGEST: &str = "0123456789abcdfghijklmnpqrsvwxyz";

#[test]
fn names_and_paths() {
    let long = "a".repeat(212);
    let mut table = Table::default();
    for name in [
        "",
        ".",
        "..",
        ".-a",
        "..-a",
        "a b",
        "a/b",
        "é",
        "a\u{1b}[31mb",
        &long,
    ] {
        table.row(name, name.parse::<StoreName>());
    }
    for name in ["", "a b", ".."] {
        table.row(format!("output {name}"), name.parse::<OutputName>());
    }
    for path in [
        String::new(),
        "abc".to_owned(),
        DIGEST.to_owned(),
        format!("{DIGEST}-"),
        format!("{DIGEST}_a"),
        format!("e{}-a", &DIGEST[1..]),
        format!("{DIGEST}-a/b"),
        format!("{}-a", DIGEST.to_uppercase()),
        format!("/nix/store/{DIGEST}-a"),
    ] {
        table.row(&path, path.parse::<StorePath>());
    }
    let drvs = [
        format!("{DIGEST}-a"),
        format!("{DIGEST}-.drv"),
        format!("{DIGEST}-a.drv.chroot"),
    ];
    for path in drvs {
        table.row(format!("derivation {path}"), path.parse::<DrvPath>());
    }
    for dir in [
        "",
        "/",
        "nix/store",
        "/nix/store/",
        "/nix//store",
        "/nix/./store",
        "/nix/../store",
        "/nix/\"store",
    ] {
        table.row(format!("directory {dir}"), dir.parse::<StoreDir>());
    }
    let dir = StoreDir::default();
    for path in [
        format!("/nix/storage/{DIGEST}-a"),
        format!("/nix/store{DIGEST}-a"),
        format!("/nix/store//{DIGEST}-a"),
        format!("/nix/store/{DIGEST}-a/bin"),
        format!("/gnu/store/{DIGEST}-a"),
        "/nix/store".to_owned(),
    ] {
        table.row(&path, dir.parse(&path));
    }
    table.row("no directory", StoreDir::split(&format!("{DIGEST}-a")));
    insta::assert_snapshot!(table.0);
}

#[test]
fn hashes() {
    let mut table = Table::default();
    for hash in [
        "",
        "abc",
        "sha3:abc",
        "sha256:abc",
        "sha256-abc",
        "sha256-!!!!",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85g",
        "sha256:zmdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
        "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c7e",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF-=",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==",
    ] {
        table.row(hash, hash.parse::<Hash>());
    }
    table.row(
        "of sha1: sha256:...",
        Hash::parse("sha256:00", Some(HashAlgo::Sha1)),
    );
    table.row("not SRI", Hash::parse_sri("abc"));
    table.row("no algorithm", Hash::parse_output_hash("", ""));
    table.row("three bytes", Hash::new(HashAlgo::Md5, &[1, 2, 3]));
    for text in ["0", "000", "z0", "e0"] {
        table.row(format!("nix32 {text}"), nix32::decode(text));
    }
    for address in [
        "",
        "text",
        "fixed:",
        "fixed:abc",
        "other:sha256:abc",
        "fixed:sha256:abc",
        "text:r:sha256:abc",
    ] {
        table.row(address, address.parse::<ContentAddress>());
    }
    table.row("method", "tar".parse::<ContentAddressMethod>());
    table.row("r:", ContentAddressMethod::parse_with_algo("r:"));
    insta::assert_snapshot!(table.0);
}

#[test]
fn paths_that_nothing_has() {
    let dir = StoreDir::default();
    let name: StoreName = "name".parse().unwrap();
    let other: StorePath = format!("{DIGEST}-a").parse().unwrap();
    let hash = |algo: HashAlgo| Hash::new(algo, &vec![0; algo.digest_len()]).unwrap();
    let one = References {
        others: &[other],
        itself: false,
    };
    let itself = References {
        others: &[],
        itself: true,
    };
    let mut table = Table::default();
    for (method, algo, references) in [
        (ContentAddressMethod::Text, HashAlgo::Sha1, References::NONE),
        (
            ContentAddressMethod::Git,
            HashAlgo::Sha512,
            References::NONE,
        ),
        (ContentAddressMethod::Flat, HashAlgo::Sha256, one),
        (ContentAddressMethod::Nar, HashAlgo::Sha1, itself),
        (ContentAddressMethod::Text, HashAlgo::Sha256, itself),
    ] {
        let address = ContentAddress::new(method, hash(algo));
        table.row(
            format!("{method} {algo}"),
            dir.content_path(&name, &address, references),
        );
    }
    table.row(
        "long",
        dir.output_path(&"a".repeat(210), &"dev".parse().unwrap(), [0; 32]),
    );
    insta::assert_snapshot!(table.0);
}

#[test]
fn derivations() {
    let path = format!("/nix/store/{DIGEST}-a");
    let drv = format!("/nix/store/{DIGEST}-a.drv");
    let good = format!(
        r#"Derive([("out","{path}","","")],[("{drv}",["out"])],["{path}"],"x","/b",["a"],[("k","v")])"#
    );
    let output = |fields: &str| format!(r#"Derive([("out",{fields})],[],[],"x","/b",[],[])"#);
    let dynamic = |node: &str| {
        format!(r#"DrvWithVersion("xp-dyn-drv",[],[("{drv}",{node})],[],"x","/b",[],[])"#)
    };
    let mut table = Table::default();
    let dir = StoreDir::default();
    let read = |text: &[u8]| Derivation::from_aterm(text, "a", &dir);
    assert!(read(good.as_bytes()).is_ok());
    for text in [
        String::new(),
        "Derive".to_owned(),
        "derive(".to_owned(),
        "\u{1b}[2J".to_owned(),
        r#"DrvWithVersion("other",[]"#.to_owned(),
        good[..good.len() - 1].to_owned(),
        good[..40].to_owned(),
        format!("{good}\n"),
        good.replace("],[(", "] ,[("),
        good.replace(r#""x""#, "x"),
        good.replace(r#"["a"]"#, r#"["a",]"#),
        good.replace(r#"["a"]"#, r#"["a""b"]"#),
        good.replace(r#"["a"]"#, r#"[,"a"]"#),
        good.replace("/nix/store", "/gnu/store"),
        good.replace(r#"-a.drv""#, r#"-a.txt""#),
        good.replace(r#"["out"]"#, r#"["a b"]"#),
        output(r#""","sha256","""#).replace("out", ""),
        output(r#""","sha3","""#),
        output(&format!(r#""{path}","sha256","abc""#)),
        output(&format!(r#""{path}","r:sha256","""#)),
        output(&format!(r#""{path}","r:sha256","impure""#)),
        output(
            r#""","r:sha256","e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#,
        ),
        output(&format!(r#""{path}","","e3b0""#)),
        output(r#""no path","","""#),
        dynamic("[]"),
        dynamic("([],[])"),
        dynamic(r#"(["out"],[("b",["x"]),("a",["x"])])"#),
        dynamic(r#"(["out"],[("a",["x"]),("a",["x"])])"#),
        dynamic(r#"(["out"],[("a",[])])"#),
        dynamic(r#"(["out"],[("a",["x"])"#),
        dynamic(&format!("{}{}", r#"([],[("a","#.repeat(40), r#"["x"]"#)),
        // The older form has no outputs of outputs.
        dynamic(r#"(["out"],[])"#).replace(r#"DrvWithVersion("xp-dyn-drv","#, "Derive("),
    ] {
        table.row(&text, read(text.as_bytes()));
    }
    table.row(
        "not UTF-8",
        read(
            &good
                .replace(r#""x""#, "\"\u{1}\"")
                .bytes()
                .map(|b| if b == 1 { 0xff } else { b })
                .collect::<Vec<_>>(),
        ),
    );
    table.row(
        "bad name",
        Derivation::from_aterm(good.as_bytes(), "", &dir),
    );
    let limits = AtermLimits {
        bytes: 100,
        ..AtermLimits::default()
    };
    table.row(
        "bytes",
        Derivation::from_aterm_with(good.as_bytes(), "a", &dir, &limits),
    );
    let limits = AtermLimits {
        items: 3,
        ..AtermLimits::default()
    };
    table.row(
        "items",
        Derivation::from_aterm_with(good.as_bytes(), "a", &dir, &limits),
    );
    insta::assert_snapshot!(table.0);
}

/// Where Nix is lax about what it reads, the canonical form comes out.
#[test]
fn derivations_in_disorder() {
    let dir = StoreDir::default();
    let drv =
        |letter: char, name: &str| format!("/nix/store/{}-{name}", letter.to_string().repeat(32));
    let (a, b) = (drv('a', "a.drv"), drv('b', "b.drv"));
    let (one, two) = (drv('1', "one"), drv('2', "two"));
    let text = format!(
        r#"Derive([("out","{two}","",""),("dev","{one}","",""),("out","{one}","","")],[("{b}",["out","dev","out"]),("{a}",["out"]),("{b}",["bin"])],["{two}","{one}","{two}"],"x","/b",[],[("b","1"),("a","\x\\\"\n"),("b","2")])"#
    );
    let canonical = format!(
        r#"Derive([("dev","{one}","",""),("out","{two}","","")],[("{a}",["out"]),("{b}",["bin"])],["{one}","{two}"],"x","/b",[],[("a","x\\\"\n"),("b","2")])"#
    );
    let read = Derivation::from_aterm(text.as_bytes(), "a", &dir).unwrap();
    assert_eq!(String::from_utf8(read.to_aterm(&dir)).unwrap(), canonical);
}

#[test]
fn derivations_as_json() {
    let path = format!("/nix/store/{DIGEST}-a");
    let drv = format!("/nix/store/{DIGEST}-a.drv");
    let with = |fields: &str| {
        format!(
            r#"{{"{drv}":{{"outputs":{{}},"system":"x","builder":"/b","args":[],"env":{{}}{fields}}}}}"#
        )
    };
    let output = |fields: &str| with(&format!(r#","outputs":{{"out":{{{fields}}}}}"#));
    assert!(DerivationSet::from_json(with("").as_bytes(), None).is_ok());
    let mut table = Table::default();
    for json in [
        String::new(),
        "[]".to_owned(),
        "{} x".to_owned(),
        r#"{"version":5,"derivations":{}}"#.to_owned(),
        r#"{"version":"4"}"#.to_owned(),
        r#"{"a":{}}"#.to_owned(),
        format!(r#"{{"{path}":{{}}}}"#),
        format!(r#"{{"{drv}":{{}}}}"#),
        format!(r#"{{"{drv}":null}}"#),
        format!(r#"{{"{drv}":{{"system":"x"}}}}"#),
        with(r#","name":"b""#),
        with(r#","version":9"#),
        with(r#","args":[1]"#),
        with(r#","env":{"a":1}"#),
        with(r#","inputSrcs":["a"]"#),
        with(&format!(r#","inputSrcs":["/gnu/store/{DIGEST}-a"]"#)),
        with(&format!(r#","inputDrvs":{{"{path}":["out"]}}"#)),
        with(&format!(r#","inputDrvs":{{"{drv}":["a b"]}}"#)),
        with(&format!(r#","inputDrvs":{{"{drv}":3}}"#)),
        with(r#","inputs":3"#),
        output(r#""path":"x""#),
        output(r#""hashAlgo":"sha3""#),
        output(r#""method":"tar","hashAlgo":"sha256""#),
        output(r#""method":"nar","hashAlgo":"r:sha256""#),
        output(r#""method":"nar""#),
        output(r#""hash":"sha256-abc""#),
        output(r#""method":"nar","hash":"abc""#),
        output(r#""method":"text","hash":"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=""#),
        output(&format!(r#""path":"{path}","hashAlgo":"r:sha256""#)),
        output(r#""impure":true"#),
        output(r#""impure":true,"method":"nar","hash":"abc""#),
        with(r#","structuredAttrs":{"a":"#),
    ] {
        table.row(&json, DerivationSet::from_json(json.as_bytes(), None));
    }
    table.row(
        "another directory",
        DerivationSet::from_json(with("").as_bytes(), Some(&StoreDir::new("/a").unwrap())),
    );
    table.row(
        "alone, no name",
        Derivation::from_json(b"{}", &StoreDir::default()),
    );
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    table.row(
        "deep",
        DerivationSet::from_json(
            with(&format!(r#","structuredAttrs":{deep}"#)).as_bytes(),
            None,
        ),
    );
    let limits = JsonLimits {
        bytes: 10,
        ..JsonLimits::default()
    };
    table.row(
        "bytes",
        DerivationSet::from_json_with(with("").as_bytes(), None, &limits),
    );
    let limits = JsonLimits {
        derivations: 0,
        ..JsonLimits::default()
    };
    table.row(
        "derivations",
        DerivationSet::from_json_with(with("").as_bytes(), None, &limits),
    );

    let mut drv = DerivationBuilder::new("a".parse().unwrap());
    drv.arg(b"\xff".to_vec());
    let dir = StoreDir::default();
    table.row(
        "not UTF-8",
        drv.build()
            .unwrap()
            .to_json(&dir, JsonForm::V4, JsonLayout::Compact),
    );
    let mut drv = DerivationBuilder::new("a".parse().unwrap());
    drv.env("__json", "{");
    table.row(
        "not JSON",
        drv.build()
            .unwrap()
            .to_json(&dir, JsonForm::V4, JsonLayout::Compact),
    );
    table.row(
        "attributes",
        drv.build()
            .unwrap()
            .attrs()
            .map(|attrs| attrs.is_structured()),
    );
    insta::assert_snapshot!(table.0);
}

#[test]
fn derivations_that_state_what_is_not_so() {
    let dir = StoreDir::default();
    let path = |letter: char, name: &str| -> StorePath {
        format!("{}-{name}", letter.to_string().repeat(32))
            .parse()
            .unwrap()
    };
    let drv_path = |letter: char, name: &str| DrvPath::new(path(letter, name)).unwrap();
    let mut builder = DerivationBuilder::new("a".parse().unwrap());
    builder.output(
        OutputName::out(),
        Output::InputAddressed {
            path: path('1', "a"),
        },
    );
    let drv = builder.build().unwrap();
    let stated = drv_path('a', "a.drv");
    let none = std::collections::BTreeMap::new();
    let mismatches = ModuloHasher::new(dir.clone())
        .check(&stated, &drv, &mut &none)
        .unwrap();
    assert!(
        matches!(
            mismatches[..],
            [Mismatch::DrvPath { .. }, Mismatch::Output { .. }]
        ),
        "{mismatches:?}"
    );

    // A variable of the output's name does not count for its path, but must hold it.
    builder.env("out", "");
    let drv = builder.build().unwrap();
    let paths = ModuloHasher::new(dir.clone())
        .output_paths(&stated, &drv, &mut &none)
        .unwrap();
    let [(_, Some(computed))] = &paths[..] else {
        panic!("{paths:?}")
    };
    builder.output(
        OutputName::out(),
        Output::InputAddressed {
            path: computed.clone(),
        },
    );
    for (value, right) in [
        (dir.show(computed).to_string(), true),
        ("elsewhere".to_owned(), false),
    ] {
        let drv = builder.env("out", value).build().unwrap();
        let path = drv.drv_path(&dir).unwrap();
        let mismatches = ModuloHasher::new(dir.clone())
            .check(&path, &drv, &mut &none)
            .unwrap();
        match &mismatches[..] {
            [] if right => {}
            [Mismatch::OutputVariable { name, .. }] if !right && name.as_str() == "out" => {}
            other => panic!("{other:?}"),
        }
    }

    let mut table = Table::default();
    let check = |drv: &DerivationBuilder, inputs: &[(DrvPath, Derivation)]| {
        let inputs = inputs
            .iter()
            .cloned()
            .collect::<std::collections::BTreeMap<_, _>>();
        ModuloHasher::new(dir.clone()).check(&stated, &drv.build().unwrap(), &mut &inputs)
    };
    let input = drv_path('b', "b.drv");
    builder.input_drv(InputDrv::new(input.clone(), ["lib".parse().unwrap()]));
    table.row("no input", check(&builder, &[]));
    let itself = builder.build().unwrap();
    table.row("needs itself", check(&builder, &[(input.clone(), itself)]));
    let empty = DerivationBuilder::new("b".parse().unwrap())
        .build()
        .unwrap();
    table.row("no outputs", check(&builder, &[(input.clone(), empty)]));
    let mut fixed = DerivationBuilder::new("b".parse().unwrap());
    let hash = Hash::sha256([0; 32]);
    let address = ContentAddress::new(ContentAddressMethod::Flat, hash);
    fixed.output(
        OutputName::out(),
        Output::Fixed {
            path: path('2', "b"),
            address,
        },
    );
    table.row(
        "no such output",
        check(&builder, &[(input.clone(), fixed.build().unwrap())]),
    );
    let mut floating = DerivationBuilder::new("b".parse().unwrap());
    let algo = HashAlgo::Sha256;
    floating.output(
        OutputName::out(),
        Output::Floating {
            method: ContentAddressMethod::Nar,
            algo,
        },
    );
    let mismatches = check(&builder, &[(input.clone(), floating.build().unwrap())]).unwrap();
    assert!(
        matches!(
            mismatches[..],
            [Mismatch::DrvPath { .. }, Mismatch::Unknowable { .. }]
        ),
        "{mismatches:?}"
    );
    fixed.output("dev".parse().unwrap(), Output::Deferred);
    table.row("mixed", fixed.build().unwrap().kind());
    let mut fixed = DerivationBuilder::new("b".parse().unwrap());
    fixed.output(
        "dev".parse().unwrap(),
        Output::Fixed {
            path: path('2', "b"),
            address,
        },
    );
    table.row("fixed dev", fixed.build().unwrap().kind());
    let mut floating = DerivationBuilder::new("b".parse().unwrap());
    for (name, algo) in [("a", HashAlgo::Sha1), ("b", HashAlgo::Sha256)] {
        floating.output(
            name.parse().unwrap(),
            Output::Floating {
                method: ContentAddressMethod::Nar,
                algo,
            },
        );
    }
    table.row("two algorithms", floating.build().unwrap().kind());
    insta::assert_snapshot!(table.0);
}

#[test]
fn nars() {
    let mut table = Table::default();
    let tree = {
        let mut writer = NarWriter::new(Vec::new()).unwrap();
        writer.directory(b"").unwrap();
        writer.directory(b"d").unwrap();
        writer.file(b"f", true, b"contents!").unwrap();
        writer.directory_end().unwrap();
        writer.directory_end().unwrap();
        writer.finish().unwrap()
    };
    let read = |nar: &[u8], limits: NarLimits| {
        NarReader::with_limits(nar, limits).and_then(NarReader::end)
    };
    let limits = NarLimits::default();
    assert!(read(&tree, limits).is_ok());
    table.row("empty", read(b"", limits));
    table.row(
        "zip",
        read(b"PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaa", limits),
    );
    table.row("cut", read(&tree[..tree.len() - 8], limits));
    table.row("more", read(&[&tree[..], b"\0"].concat(), limits));
    table.row("depth", read(&tree, NarLimits { depth: 2, ..limits }));
    table.row(
        "entries",
        read(
            &tree,
            NarLimits {
                entries: 2,
                ..limits
            },
        ),
    );
    table.row(
        "bytes",
        read(
            &tree,
            NarLimits {
                bytes: 300,
                ..limits
            },
        ),
    );
    table.row(
        "contents",
        read(
            &tree,
            NarLimits {
                bytes: 400,
                ..limits
            },
        ),
    );
    table.row(
        "name",
        read(
            &tree,
            NarLimits {
                name_len: 0,
                ..limits
            },
        ),
    );
    let replaced = |from: &[u8], to: &[u8]| {
        let at = tree
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        let mut nar = tree.clone();
        nar[at..at + to.len()].copy_from_slice(to);
        read(&nar, limits)
    };
    table.row("type", replaced(b"directory", b"DIRECTORY"));
    table.row("tag", replaced(b"entry", b"ENTRY"));
    table.row("slash", replaced(b"f\0", b"/\0"));
    table.row("escape", replaced(b"executable", b"\x1b[2Jcutabl"));
    table.row("padding", replaced(b"contents!\0", b"contents!!"));
    table.row("padding of a name", replaced(b"f\0", b"ff"));

    let failed = {
        let mut reader = NarReader::new(&tree[..100]).unwrap();
        while reader.next().is_ok() {}
        reader.next().map(|_| ())
    };
    table.row("after an error", failed);
    let broken = NarReader::new(BrokenRead).map(|_| ());
    table.row("broken input", broken);

    let write = |steps: &[NarEvent<'_>]| -> Result<Vec<u8>, NarWriteError> {
        let mut writer = NarWriter::new(Vec::new())?;
        steps.iter().try_for_each(|step| writer.event(*step))?;
        writer.finish()
    };
    let directory = NarEvent::Directory { name: b"" };
    let file = |name, size| NarEvent::File {
        name,
        executable: false,
        size,
    };
    table.row("nothing", write(&[]));
    table.row("open", write(&[directory]));
    table.row("two roots", write(&[file(b"", 0), file(b"", 0)]));
    table.row("named root", write(&[file(b"a", 0)]));
    table.row("nameless entry", write(&[directory, file(b"", 0)]));
    table.row("bad name", write(&[directory, file(b"a/b", 0)]));
    table.row("order", write(&[directory, file(b"b", 0), file(b"a", 0)]));
    table.row("twice", write(&[directory, file(b"a", 0), file(b"a", 0)]));
    table.row(
        "target",
        write(&[NarEvent::Symlink {
            name: b"",
            target: b"",
        }]),
    );
    table.row("not open", write(&[NarEvent::DirectoryEnd]));
    table.row(
        "short",
        write(&[directory, file(b"a", 3), NarEvent::DirectoryEnd]),
    );
    table.row("short at the end", write(&[file(b"", 3)]));
    let mut writer = NarWriter::new(Vec::new()).unwrap();
    table.row("nothing to fill", writer.contents(b"abc"));
    writer.event(file(b"", 3)).unwrap();
    table.row("long", writer.contents(b"abcdef"));
    insta::assert_snapshot!(table.0);
}

/// Errors say what was being done, and never what their source says.
#[test]
fn sources_are_not_repeated() {
    let error = "sha256:zmdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
        .parse::<Hash>()
        .unwrap_err();
    let source = error.source().unwrap();
    assert!(!error.to_string().contains(&source.to_string()));
    assert!(matches!(NarReader::new(&b""[..]), Err(NarError::Magic)));
}

/// Something that cannot be read from.
#[derive(Debug)]
struct BrokenRead;

impl std::io::Read for BrokenRead {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk is gone"))
    }
}
