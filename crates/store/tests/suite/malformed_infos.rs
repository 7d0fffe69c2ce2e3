//! What readers of narinfos and path infos say of what they cannot read, in tables as in `malformed`.

use snowguard_store::narinfo::NarInfoLimits;
use snowguard_store::{NarInfo, PathInfoSet, PublicKey, Signature, StoreDir};

use crate::support::Table;

const DIGEST: &str = "0123456789abcdfghijklmnpqrsvwxyz";

#[test]
fn narinfos() {
    let dir = StoreDir::default();
    let good = format!(
        "StorePath: /nix/store/{DIGEST}-a\nURL: nar/a.nar.xz\nCompression: xz\nNarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nNarSize: 120\nReferences: {DIGEST}-a\n"
    );
    let mut table = Table::default();
    assert!(NarInfo::parse(good.as_bytes(), &dir).is_ok());
    for text in [
        String::new(),
        good.trim_end().to_owned(),
        good.replace("URL: ", "URL "),
        good.replace("URL: ", "URL:"),
        good.replace("StorePath: ", "Other: "),
        good.replace("URL: ", "Other: "),
        good.replace("NarHash: ", "Other: "),
        good.replace("NarSize: 120", "NarSize: 0"),
        good.replace("NarSize: 120", "NarSize: +120"),
        good.replace("NarSize: 120", "NarSize: 99999999999999999999"),
        good.replace("/nix/store", "/gnu/store"),
        good.replace("sha256:0mdqa", "sha256:1"),
        good.replace(
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
        ),
        format!("{good}FileSize: many\n"),
        format!("{good}FileHash: none\n"),
        format!("{good}References: {DIGEST}-b\n"),
        format!("{good}Deriver: a\n"),
        format!("{good}Sig: key\n"),
        format!("{good}Sig: :AAAA\n"),
        format!("{good}CA: sha256:abc\n"),
        format!(
            "{good}CA: text:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nCA: x\n"
        ),
    ] {
        table.row(
            text.replace(&good, "GOOD").replace('\n', "|"),
            NarInfo::parse(text.as_bytes(), &dir),
        );
    }
    table.row("not UTF-8", NarInfo::parse(b"URL: \xff\n", &dir));
    let limits = NarInfoLimits {
        bytes: 10,
        ..NarInfoLimits::default()
    };
    table.row("bytes", NarInfo::parse_with(good.as_bytes(), &dir, &limits));
    let limits = NarInfoLimits {
        references: 0,
        ..NarInfoLimits::default()
    };
    table.row(
        "references",
        NarInfo::parse_with(good.as_bytes(), &dir, &limits),
    );
    let limits = NarInfoLimits {
        signatures: 1,
        ..NarInfoLimits::default()
    };
    let signed = format!("{good}Sig: a:AAAA\nSig: b:AAAA\n");
    table.row(
        "signatures",
        NarInfo::parse_with(signed.as_bytes(), &dir, &limits),
    );
    for text in ["", "a", "a:", ":AAAA", "a:!", "a\n:AAAA"] {
        table.row(format!("signature {text}"), text.parse::<Signature>());
    }
    for text in ["a:AAAA", "a:AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        table.row(format!("key {text}"), text.parse::<PublicKey>());
    }
    insta::assert_snapshot!(table.0);
}

/// Nix takes fields in any order and the last of most of them, without the fields that it does not know.
#[test]
fn narinfos_in_disorder() {
    let dir = StoreDir::default();
    let text = format!(
        "System: x86_64-linux\nNarSize: 1\nReferences: \nDeriver: unknown-deriver\nURL: a\nURL: b\nNarSize: 2\nFileSize: 0\nNarHash: sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nCA: \nStorePath: /nix/store/{DIGEST}-a\nReferences: {DIGEST}-c  {DIGEST}-b {DIGEST}-c\n"
    );
    let info = NarInfo::parse(text.as_bytes(), &dir).unwrap();
    insta::assert_snapshot!(info.to_text(&dir));
}

#[test]
fn path_infos() {
    let path = format!("/nix/store/{DIGEST}-a");
    let with = |fields: &str| {
        format!(
            r#"{{"{path}":{{"narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","narSize":1{fields}}}}}"#
        )
    };
    assert!(PathInfoSet::from_json(with("").as_bytes(), None).is_ok());
    let mut table = Table::default();
    for json in [
        "3".to_owned(),
        "[{}]".to_owned(),
        r#"{"version":4}"#.to_owned(),
        r#"{"a":{}}"#.to_owned(),
        format!(r#"{{"{path}":{{}}}}"#),
        format!(
            r#"{{"{path}":{{"narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}}}}"#
        ),
        with("").replace("47DEQ", "!"),
        with(r#","references":["b"]"#),
        with(r#","deriver":"/gnu/store/x""#),
        with(r#","signatures":["x"]"#),
        with(r#","signatures":[{"keyName":"a"}]"#),
        with(r#","ca":"x""#),
        with(r#","ca":{"method":"nar","hash":"x"}"#),
        with(r#","storeDir":"relative""#).replace("/nix/store/", ""),
    ] {
        table.row(&json, PathInfoSet::from_json(json.as_bytes(), None));
    }
    insta::assert_snapshot!(table.0);
}
