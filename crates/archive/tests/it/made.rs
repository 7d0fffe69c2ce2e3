//! Trees that are made up, packed by the real programs in every way.
#![expect(clippy::disallowed_methods, reason = "tests write scratch files")]

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;

use crate::tools;

#[derive(Debug, Clone)]
enum What {
    Directory,
    File(bool, usize),
    Symlink(String),
    /// To the file before it.
    HardLink,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z0-9._+-]{1,12}",
        2 => "[ -.0-:<-\\[\\]-~äøΩ漢]{1,8}",
        1 => "[a-z]{90,130}",
    ]
    .prop_filter("special", |name| name != "." && name != "..")
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Directory),
        (
            any::<bool>(),
            prop_oneof![0..2000_usize, Just(512), Just(70_000)]
        )
            .prop_map(|(executable, size)| What::File(executable, size)),
        prop_oneof![
            "[a-z./]{1,20}",
            "[a-z/]{100,140}",
            Just("/etc/passwd".to_owned())
        ]
        .prop_map(What::Symlink),
        Just(What::HardLink),
    ]
}

type Made = Vec<(Vec<String>, What)>;

fn tree() -> impl Strategy<Value = Made> {
    let path = prop::collection::vec(name(), 1..4);
    prop::collection::vec((path, what()), 1..16)
}

/// Writes a tree; whatever cannot be there, since something else is, is left out.
fn write(root: &Path, made: &Made) {
    let mut file = None;
    let mut used = BTreeSet::new();
    for (at, (path, what)) in made.iter().enumerate() {
        let path = path
            .iter()
            .fold(root.to_owned(), |path, part| path.join(part));
        if !used.insert(path.clone()) || path.symlink_metadata().is_ok() {
            continue;
        }
        let Some(parent) = path.parent() else {
            continue;
        };
        let real = parent.ancestors().all(|part| {
            !part.starts_with(root) || part.symlink_metadata().map_or(true, |found| found.is_dir())
        });
        if !real || std::fs::create_dir_all(parent).is_err() {
            continue;
        }
        match what {
            What::Directory => std::fs::create_dir(&path).unwrap(),
            What::File(executable, size) => {
                let contents: Vec<u8> = (0..*size)
                    .map(|byte| (byte + at).to_le_bytes()[0])
                    .collect();
                std::fs::write(&path, contents).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
                file = Some(path);
            }
            What::Symlink(target) => symlink(target, &path).unwrap(),
            What::HardLink => {
                if let Some(file) = &file {
                    std::fs::hard_link(file, &path).unwrap();
                }
            }
        }
    }
}

/// Packs the directory `tree`, or what is in it.
fn pack(scratch: &Path, how: usize) -> Result<(Vec<u8>, &'static str), String> {
    const WAYS: [(&str, &[&str]); 8] = [
        ("tar", &["--format=gnu", "-cf"]),
        ("tar", &["--format=pax", "-cf"]),
        ("tar", &["--format=ustar", "-cf"]),
        ("tar", &["--format=v7", "-cf"]),
        ("tar.gz", &["--format=gnu", "-czf"]),
        ("tar.xz", &["--format=pax", "-cJf"]),
        ("tar.bz2", &["--format=gnu", "-cjf"]),
        ("tar.zst", &["--format=pax", "--zstd", "-cf"]),
    ];
    match WAYS.get(how) {
        Some((extension, args)) => {
            let file = format!("made.{extension}");
            let args = args.iter().copied().chain([file.as_str(), "tree"]);
            tools::run(scratch, "tar", args)?;
            Ok((tools::bytes(&scratch.join(file)), extension))
        }
        None => {
            tools::run(scratch, "zip", ["-qry", "made.zip", "tree"])?;
            Ok((tools::bytes(&scratch.join("made.zip")), "zip"))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 30, ..ProptestConfig::default() })]
    #[test]
    fn unpacked_as_the_programs_do(made in tree(), how in 0..9_usize) {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("tree");
        std::fs::create_dir(&root).unwrap();
        write(&root, &made);
        // Old formats cannot hold every name; then there is nothing to compare.
        let Ok((archive, extension)) = pack(scratch.path(), how) else {
            prop_assert!(how == 2 || how == 3);
            return Ok(());
        };
        let real = tools::unpacked(&archive, extension);
        let ours = tools::read(&archive);
        match (real, ours) {
            (Ok(real), Ok(mut ours)) => {
                prop_assert_eq!(tools::hash(&mut ours), real);
                prop_assert_eq!(tools::read_through_a_file(&archive).unwrap(), tools::hash(&mut ours));
                let mut ours = ours.strip_root().unwrap();
                prop_assert_eq!(tools::hash(&mut ours), tools::stripped(&archive, extension).unwrap());
                prop_assert_eq!(tools::hash(&mut ours), tools::nar_hash(scratch.path(), "tree").unwrap());
            }
            (Err(_), Err(_)) => {}
            (real, ours) => prop_assert!(
                false,
                "the programs say {real:?}, we say {:?}",
                ours.map(|_| ())
            ),
        }
    }
}

#[test]
fn names_of_other_encodings() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::create_dir(scratch.path().join("tree")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"tree/\xff\xfe\n\x1b");
    std::fs::write(scratch.path().join(name), "x").unwrap();
    for how in 0..8 {
        let (archive, extension) = pack(scratch.path(), how).unwrap();
        let real = tools::unpacked(&archive, extension).unwrap();
        assert_eq!(tools::hash(&mut tools::read(&archive).unwrap()), real);
    }
}
