//! What the readers that everything goes through cost, on made-up input of ordinary shape.
//!
//! `cargo bench -p snowguard-store`. For a whole package set see the example `verify_drvs`.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::collections::BTreeMap;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use snowguard_store::derivation::json::{DerivationSet, JsonForm, JsonLayout};
use snowguard_store::derivation::modulo::ModuloHasher;
use snowguard_store::nar::{NarReader, NarWriter};
use snowguard_store::{
    Derivation, DerivationBuilder, DrvPath, InputDrv, Output, OutputName, StoreDir, StorePath,
    compare_versions, nix32, parse_drv_name,
};

fn main() {
    divan::main();
}

#[divan::bench]
fn aterm_read(bencher: Bencher<'_, '_>) {
    let dir = StoreDir::default();
    let text = derivation(0, &[]).to_aterm(&dir);
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench(|| Derivation::from_aterm(&text, "package-1.0", &dir));
}

#[divan::bench]
fn aterm_write(bencher: Bencher<'_, '_>) {
    let dir = StoreDir::default();
    let drv = derivation(0, &[]);
    bencher
        .counter(BytesCount::new(drv.to_aterm(&dir).len()))
        .bench(|| drv.to_aterm(&dir));
}

#[divan::bench]
fn json_read(bencher: Bencher<'_, '_>) {
    let dir = StoreDir::default();
    let drv = derivation(0, &[]);
    let derivations = vec![(drv.drv_path(&dir).unwrap(), drv)];
    let set = DerivationSet { dir, derivations };
    let json = set.to_json(JsonForm::Nix28, JsonLayout::Pretty).unwrap();
    bencher
        .counter(BytesCount::of_slice(&json))
        .bench(|| DerivationSet::from_json(&json, None));
}

#[divan::bench]
fn hash_modulo_of_a_chain_of_100(bencher: Bencher<'_, '_>) {
    let dir = StoreDir::default();
    let mut all: BTreeMap<DrvPath, Derivation> = BTreeMap::new();
    let mut last: Vec<DrvPath> = Vec::new();
    for index in 1..=100 {
        let drv = derivation(index, &last);
        let path = drv.drv_path(&dir).unwrap();
        all.insert(path.clone(), drv);
        last = vec![path];
    }
    let bytes: usize = all.values().map(|drv| drv.to_aterm(&dir).len()).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| {
        ModuloHasher::new(dir.clone())
            .hash_modulo(&last[0], &mut &all)
            .unwrap()
    });
}

#[divan::bench]
fn nar_read_without_contents(bencher: Bencher<'_, '_>) {
    let mut writer = NarWriter::new(Vec::new()).unwrap();
    writer.directory(b"").unwrap();
    for index in 0..200 {
        writer
            .file(format!("file-{index:03}").as_bytes(), false, &vec![0; 4000])
            .unwrap();
    }
    writer.directory_end().unwrap();
    let nar = writer.finish().unwrap();
    bencher
        .counter(BytesCount::of_slice(&nar))
        .bench(|| NarReader::new(&nar[..]).and_then(NarReader::end));
}

#[divan::bench]
fn store_path_read(bencher: Bencher<'_, '_>) {
    let dir = StoreDir::default();
    let path = dir.show(&path(7)).to_string();
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| dir.parse(divan::black_box(&path)));
}

#[divan::bench]
fn nix32_of_a_sha256(bencher: Bencher<'_, '_>) {
    bencher.bench(|| nix32::encode(divan::black_box(&[0x5a; 32])));
}

#[divan::bench]
fn version_order(bencher: Bencher<'_, '_>) {
    bencher.bench(|| compare_versions(divan::black_box("2.33.1-rc4"), divan::black_box("2.33.1")));
}

#[divan::bench]
fn drv_name(bencher: Bencher<'_, '_>) {
    bencher.bench(|| parse_drv_name(divan::black_box("python3.8-apache-airflow-1.10.5")));
}

/// A derivation like most in a package set: a few dozen variables, some of them scripts, a dozen inputs.
fn derivation(seed: u8, more: &[DrvPath]) -> Derivation {
    let mut drv = DerivationBuilder::new("package-1.0".parse().unwrap());
    drv.system("x86_64-linux")
        .builder("/nix/store/2jysm3dfsgby5sw5jgj43qjrb5v79ms9-bash-4.4-p23/bin/bash");
    for name in ["out", "dev", "man"] {
        drv.output(
            name.parse().unwrap(),
            Output::InputAddressed { path: path(seed) },
        );
    }
    for index in 0..12 {
        let input = DrvPath::new(StorePath::new(
            [index; 20],
            "input-1.2.3.drv".parse().unwrap(),
        ))
        .unwrap();
        if seed == 0 {
            drv.input_drv(InputDrv::new(
                input,
                [OutputName::out(), "dev".parse().unwrap()],
            ));
        }
        drv.input_src(path(index));
    }
    for input in more {
        drv.input_drv(InputDrv::new(input.clone(), [OutputName::out()]));
    }
    drv.arg("-e")
        .arg("/nix/store/9krlzvny65gdc8s7kpb6lkx8cd02c25b-default-builder.sh");
    for index in 0..40 {
        drv.env(
            format!("variable{index:02}"),
            format!("value {index} of {seed}"),
        );
    }
    drv.env(
        "buildPhase",
        "runHook preBuild\nmake -j \"$NIX_BUILD_CORES\"\nrunHook postBuild\n".repeat(25),
    );
    drv.build().unwrap()
}

fn path(seed: u8) -> StorePath {
    StorePath::new([seed; 20], "package-1.0".parse().unwrap())
}
