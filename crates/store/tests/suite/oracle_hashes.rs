//! Hashes: computed, written and read as Nix does.

use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::nix::{NixStore, NixVersion};

use crate::support::{Features, Numbers, nix};

const ALGOS: [HashAlgo; 4] = [
    HashAlgo::Md5,
    HashAlgo::Sha1,
    HashAlgo::Sha256,
    HashAlgo::Sha512,
];

#[test]
fn files_are_hashed_as_nix_does() {
    let store = nix().store().unwrap();
    let mut numbers = Numbers(10);
    for (index, length) in [0, 1, 55, 56, 63, 64, 65, 127, 128, 1000, 70_000]
        .into_iter()
        .enumerate()
    {
        let bytes: Vec<u8> = (0..length).map(|_| numbers.byte()).collect();
        let file = store.write(&format!("file-{index}"), &bytes).unwrap();
        for algo in ALGOS {
            let ours = Hash::of(algo, &bytes).unwrap();
            for (flags, notation) in [
                (&[][..], Notation::Hex),
                (&["--base32"][..], Notation::Nix32),
            ] {
                let args = ["--flat", "--type", algo.as_str()]
                    .into_iter()
                    .chain(flags.iter().copied());
                let theirs = store
                    .run("nix-hash", &[], args.chain([file.to_str().unwrap()]))
                    .unwrap();
                assert_eq!(
                    ours.to_notation(notation),
                    trimmed(&theirs),
                    "{algo} of {length} bytes"
                );
            }
        }
    }
}

#[test]
fn notations_are_converted_as_nix_does() {
    let store = nix().store().unwrap();
    let mut numbers = Numbers(11);
    let mut algos = ALGOS.to_vec();
    if Features::of(store.nix().version()).has("blake3") {
        algos.push(HashAlgo::Blake3);
    }
    for algo in algos {
        let mut hashes: Vec<Hash> = (0..100)
            .map(|_| {
                let digest: Vec<u8> = (0..algo.digest_len()).map(|_| numbers.byte()).collect();
                Hash::new(algo, &digest).unwrap()
            })
            .collect();
        hashes.push(Hash::new(algo, &vec![0; algo.digest_len()]).unwrap());
        hashes.push(Hash::new(algo, &vec![0xff; algo.digest_len()]).unwrap());
        for (command, notation) in [
            ("to-base16", Notation::Hex),
            ("to-base32", Notation::Nix32),
            ("to-base64", Notation::Base64),
            ("to-sri", Notation::Sri),
        ] {
            for from in [
                Notation::Hex,
                Notation::Nix32,
                Notation::Base64,
                Notation::Sri,
            ] {
                let texts = hashes.iter().map(|hash| hash.to_notation(from));
                let args = ["hash", command, "--type", algo.as_str()]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(texts);
                let theirs = store.run("nix", &["blake3-hashes"], args).unwrap();
                let theirs: Vec<&str> = std::str::from_utf8(&theirs).unwrap().lines().collect();
                let ours: Vec<String> = hashes
                    .iter()
                    .map(|hash| hash.to_notation(notation))
                    .collect();
                assert_eq!(ours, theirs, "{algo} from {from:?} to {notation:?}");
                for (hash, text) in hashes.iter().zip(theirs) {
                    assert_eq!(Hash::parse(text, Some(algo)).unwrap(), *hash);
                }
            }
        }
    }
}

#[test]
fn odd_texts_are_read_or_refused_as_nix_does() {
    let store = nix().store().unwrap();
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let nix32 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    let base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let mut texts: Vec<String> = [
        "",
        ":",
        "-",
        "sha256:",
        "sha256-",
        "sha256",
        "sha257:00",
        "SHA256:00",
        "sha256-=",
        "sha256-A",
        "md5:00",
    ]
    .map(str::to_owned)
    .to_vec();
    for digest in [hex, nix32, base64] {
        texts.extend([
            digest.to_owned(),
            digest.to_uppercase(),
            format!("sha256:{digest}"),
            format!("sha256-{digest}"),
            format!("sha256-{digest}junk"),
            format!("sha1:{digest}"),
            format!("sha512-{digest}"),
            format!("{digest}0"),
            format!(" {digest}"),
            digest[1..].to_owned(),
            digest[..digest.len() - 1].to_owned(),
            format!("!{}", &digest[1..]),
            format!("sha256-{}", digest.trim_end_matches('=')),
            format!("sha256:{}", digest.trim_end_matches('=')),
            format!("sha256-{}==", digest.trim_end_matches('=')),
        ]);
    }
    // The highest digit of nix32 has one bit to spare, that of base64 two.
    texts.extend([
        format!("1{}", &nix32[1..]),
        format!("2{}", &nix32[1..]),
        format!("z{}", &nix32[1..]),
        base64.replace("FU=", "FV="),
        base64.replace("FU=", "FW="),
        format!("sha256-{}", base64.replace("FU=", "F/=")),
        format!("sha256-{}\n{}", &base64[..10], &base64[10..]),
        format!("sha256-{}", base64.replace('+', "-")),
    ]);
    for text in texts {
        let theirs = convert(&store, &text);
        let ours = Hash::parse(&text, Some(HashAlgo::Sha256))
            .ok()
            .map(|hash| hash.to_notation(Notation::Hex));
        assert_eq!(ours, theirs, "{text:?}");
    }
}

/// What Nix makes of a text where a SHA-256 is expected.
fn convert(store: &NixStore, text: &str) -> Option<String> {
    assert!(store.nix().version() >= NixVersion::new(2, 4));
    let args = ["hash", "to-base16", "--type", "sha256", "--", text];
    store
        .run("nix", &[], args)
        .ok()
        .map(|output| trimmed(&output))
}

fn trimmed(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}
