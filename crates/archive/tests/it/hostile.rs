//! What is too large, too many, too deep; an input that fails.

use std::io::{self, Read, Write as _};

use flate2::write::GzEncoder;
use proptest::prelude::*;
use snowguard_archive::{
    ArchiveError, Exceeded, Limits, Memory, first_difference, read_tar, read_zip,
};
use snowguard_store::HashAlgo;
use snowguard_store::nar::{NarEvent, NarReader};

use crate::tars::{END, header, member};
use crate::tools;
use crate::zips::{self, zip};

fn small() -> Limits {
    Limits {
        bytes: 1 << 20,
        ..Limits::default()
    }
}

fn read(bytes: &[u8], limits: &Limits) -> ArchiveError {
    read_tar(bytes, Memory::default(), limits).unwrap_err()
}

#[track_caller]
fn exceeds(error: &ArchiveError, limit: Exceeded) {
    assert!(
        matches!(error, ArchiveError::Limit(told) if *told == limit),
        "{error}"
    );
}

/// A bomb: as many zeros as one likes, in a few bytes.
fn zeros(count: u64) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder
        .write_all(&header("zeros", b'0', count, ""))
        .unwrap();
    io::copy(&mut io::repeat(0).take(count), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bombs() {
    let bomb = zeros(100 << 20);
    exceeds(&read(&bomb, &Limits::default()), Exceeded::Ratio(250));
    exceeds(&read(&bomb, &small()), Exceeded::Bytes(1 << 20));
    // What is larger than allowed is not even begun.
    let large = [header("a", b'0', 1 << 30, ""), vec![0; 512]].concat();
    exceeds(&read(&large, &small()), Exceeded::Bytes(1 << 20));
    // A bomb in what follows the archive.
    let mut trailing = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    trailing.write_all(&END).unwrap();
    io::copy(&mut io::repeat(0).take(2 << 20), &mut trailing).unwrap();
    let trailing = trailing.finish().unwrap();
    exceeds(&read(&trailing, &small()), Exceeded::Bytes(1 << 20));
}

/// One file, and many names for it: few bytes that are unpacked, many in a NAR.
#[test]
fn hard_links_of_one_file() {
    let size: u32 = 1 << 16;
    let file = member("file", b'0', &vec![7; size as usize]);
    let links = |count: u32| -> Vec<u8> {
        (0..count)
            .flat_map(|at| header(&format!("link{at}"), b'1', 0, "file"))
            .collect()
    };
    let limits = Limits {
        copies: 10 * u64::from(size),
        ..small()
    };
    let ten = [file.clone(), links(10), END.to_vec()].concat();
    let mut tree = read_tar(&ten[..], Memory::default(), &limits).unwrap();
    let (_, length) = tree.nar_digest(HashAlgo::Sha256).unwrap();
    assert!(length > 11 * u64::from(size));
    let eleven = [file, links(11), END.to_vec()].concat();
    exceeds(&read(&eleven, &limits), Exceeded::Copies(limits.copies));
}

#[test]
fn a_bomb_in_a_zip() {
    let scratch = tempfile::tempdir().unwrap();
    tools::run(
        scratch.path(),
        "bash",
        ["-c", "head -c 3M /dev/zero > a; zip -q a.zip a"],
    )
    .unwrap();
    let archive = tools::bytes(&scratch.path().join("a.zip"));
    let cursor = io::Cursor::new(&archive);
    let error = read_zip(cursor, Memory::default(), &small()).unwrap_err();
    exceeds(&error, Exceeded::Bytes(1 << 20));
}

/// Takes nothing.
#[derive(Debug)]
struct Untouched;

impl snowguard_archive::Spool for Untouched {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        panic!("something was unpacked");
    }

    fn read_at(&mut self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

#[test]
fn members_that_overlap() {
    // The second entry of the directory is made to point to the first member.
    let mut archive = zip(&[zips::member("a", "1"), zips::member("a", "1")]);
    let second = archive
        .windows(4)
        .rposition(|four| four == b"PK\x01\x02")
        .unwrap();
    archive[second + 42..second + 46].copy_from_slice(&[0; 4]);
    archive[second + 46] = b'a';
    assert!(tools::unpacked(&archive, "zip").is_err());
    assert!(tools::read(&archive).is_err());
    // Known before anything of it is unpacked.
    let error = read_zip(io::Cursor::new(&archive), Untouched, &small()).unwrap_err();
    assert!(error.to_string().contains("two members overlap"), "{error}");
}

/// Empty files `d/0000000` and so on, made as they are read.
struct Many {
    header: Vec<u8>,
    /// The checksum of the first.
    sum: u32,
    number: u32,
    rest: usize,
}

impl Many {
    fn new() -> Self {
        let header = header("d/0000000", b'0', 0, "");
        let sum = std::str::from_utf8(&header[148..154]).unwrap();
        Self {
            sum: u32::from_str_radix(sum, 8).unwrap(),
            header,
            number: 0,
            rest: 512,
        }
    }
}

impl Read for Many {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest == 0 {
            self.number += 1;
            let digits = format!("{:07}", self.number);
            self.header[2..9].copy_from_slice(digits.as_bytes());
            let digits: u32 = digits.bytes().map(|digit| u32::from(digit - b'0')).sum();
            let sum = format!("{:06o}", self.sum + digits);
            self.header[148..154].copy_from_slice(sum.as_bytes());
            self.rest = 512;
        }
        let count = (&self.header[512 - self.rest..]).read(buffer)?;
        self.rest -= count;
        Ok(count)
    }
}

#[test]
fn a_million_members() {
    let read = |limits| read_tar(Many::new(), Memory::default(), &limits).unwrap_err();
    let all = Limits::default();
    exceeds(&read(all), Exceeded::Entries(900_000));
    let fewer = Limits {
        entries: 1000,
        ..all
    };
    exceeds(&read(fewer), Exceeded::Entries(1000));
}

#[test]
fn a_million_members_of_a_zip() {
    // The directory alone says so, and is not read then.
    let mut archive = zip(&[zips::member("a", "1")]);
    let end = archive.len() - 22;
    let at = archive.len() as u64 - 22;
    let (start, size) = (
        u64::from(u32::from_le_bytes(
            archive[end + 16..end + 20].try_into().unwrap(),
        )),
        u64::from(u32::from_le_bytes(
            archive[end + 12..end + 16].try_into().unwrap(),
        )),
    );
    archive.truncate(end);
    archive.extend(b"PK\x06\x06");
    archive.extend(44_u64.to_le_bytes());
    archive.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    archive.extend(1_000_000_u64.to_le_bytes());
    archive.extend(1_000_000_u64.to_le_bytes());
    archive.extend(size.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend(at.to_le_bytes());
    archive.extend(1_u32.to_le_bytes());
    archive.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    exceeds(
        &tools::read(&archive).unwrap_err(),
        Exceeded::Entries(900_000),
    );
}

#[test]
fn depth_and_names() {
    let file = |name: &str| [member(name, b'0', b"x"), END.to_vec()].concat();
    let limits = Limits {
        depth: 4,
        name_len: 8,
        target_len: 8,
        names: 20,
        header: 100,
        ..Limits::default()
    };
    exceeds(&read(&file("a/b/c/d"), &limits), Exceeded::Depth(4));
    exceeds(&read(&file("123456789"), &limits), Exceeded::Name(8));
    exceeds(
        &read(&file("12345678/12345678/12345678"), &limits),
        Exceeded::Names(20),
    );
    exceeds(
        &read(&header("a", b'2', 0, "123456789"), &limits),
        Exceeded::Target(8),
    );
    exceeds(
        &read(&header("a", b'L', 101, ""), &limits),
        Exceeded::Header(100),
    );
    let deep = format!("{}a", "a/".repeat(30));
    assert!(read_tar(&file(&deep)[..], Memory::default(), &Limits::default()).is_ok());
}

/// A window as large as four gigabytes is not made room for.
#[test]
fn a_window_that_is_too_large() {
    let scratch = tempfile::tempdir().unwrap();
    let script = "printf x > a; tar cf a.tar a; xz -k --lzma2=dict=1GiB a.tar; zstd -q --ultra --long=30 a.tar";
    tools::run(scratch.path(), "bash", ["-c", script]).unwrap();
    let xz = tools::bytes(&scratch.path().join("a.tar.xz"));
    let error = tools::read(&xz).unwrap_err();
    assert!(error.is_of_the_archive(), "{error}");
    // Where the length is known, a window is no larger.
    let zstd = tools::bytes(&scratch.path().join("a.tar.zst"));
    assert!(tools::read(&zstd).is_ok());
}

/// Fails after some bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn an_input_that_fails_is_no_damage() {
    let archive = zeros(100_000);
    let plain = [member("a", b'0', &[1; 5000]), member("b", b'0', b"")].concat();
    for bytes in [
        &archive[..archive.len() / 2],
        &plain[..2000],
        &plain[..512],
        b"",
    ] {
        let error = read_tar(Broken(bytes), Memory::default(), &Limits::default()).unwrap_err();
        assert!(matches!(error, ArchiveError::Input { .. }), "{error:?}");
        assert!(!error.is_of_the_archive());
    }
}

#[test]
fn where_two_trees_differ() {
    let tree =
        |members: &[Vec<u8>]| tools::read(&[members.concat(), END.to_vec()].concat()).unwrap();
    let told = |left: &[Vec<u8>], right: &[Vec<u8>]| {
        let found = first_difference(&mut tree(left), &mut tree(right)).unwrap();
        found.map(|found| {
            let side = |what: Option<snowguard_archive::What>| {
                what.map_or("nothing".to_owned(), |what| what.to_string())
            };
            let path = String::from_utf8_lossy(&found.path).into_owned();
            format!("{path}: {} | {}", side(found.left), side(found.right))
        })
    };
    let file = |name: &str, contents: &str| member(name, b'0', contents.as_bytes());
    let base = [
        file("a/b", "1"),
        file("a.c", "2"),
        header("l", b'2', 0, "x"),
    ];
    assert_eq!(told(&base, &base), None);
    let all = [
        told(
            &base,
            &[
                file("a/b", "1"),
                file("a.c", "3"),
                header("l", b'2', 0, "x"),
            ],
        ),
        told(&base, &base[..2]),
        told(&base[1..], &base),
        told(&base, &[&base[..2], &[header("l", b'2', 0, "y")]].concat()),
        told(
            &[file("a/b/c", "1"), file("a/d/e", "1"), file("f", "1")],
            &[file("a/b/c", "1"), file("a/d", "1"), file("f", "2")],
        ),
    ];
    insta::assert_snapshot!(all.map(Option::unwrap).join("\n"), @r"
    a.c: file of 1 bytes, SHA-256 d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35 | file of 1 bytes, SHA-256 4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce
    l: symbolic link to `x` | nothing
    a: nothing | directory
    l: symbolic link to `x` | symbolic link to `y`
    a/d: directory | file of 1 bytes, SHA-256 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    ");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]
    /// As their lists tell it.
    #[test]
    fn where_two_trees_differ_is_where_their_lists_do(
        left in prop::collection::btree_map("[ab](/[ab]){0,3}", 0..3_u8, 0..8),
        right in prop::collection::btree_map("[ab](/[ab]){0,3}", 0..3_u8, 0..8),
    ) {
        let tree = |members: &std::collections::BTreeMap<String, u8>| {
            let mut bytes = Vec::new();
            for (name, kind) in members {
                // Only the first of what would be file and directory at once.
                let is_below = |other: &String| name.starts_with(&format!("{other}/"));
                if members.iter().any(|(other, kind)| *kind > 0 && is_below(other)) {
                    continue;
                }
                bytes.extend(match kind {
                    0 => member(&format!("{name}/"), b'5', b""),
                    1 => member(name, b'0', &vec![b'x'; 70_000]),
                    _ => member(name, b'0', &[&vec![b'x'; 69_999][..], b"y"].concat()),
                });
            }
            bytes.extend(END);
            tools::read(&bytes).unwrap()
        };
        let (mut left, mut right) = (tree(&left), tree(&right));
        let found = first_difference(&mut left, &mut right).unwrap();
        let (left, right) = (left.members().unwrap(), right.members().unwrap());
        let first = left.iter().zip(&right).position(|(left, right)| left != right);
        match (found, first) {
            (None, first) => prop_assert!(first.is_none() && left.len() == right.len()),
            (Some(found), first) => {
                let at = first.unwrap_or(left.len().min(right.len()));
                let of = |list: &[snowguard_archive::Member]| {
                    list.iter().find(|one| one.path == found.path).map(|one| one.what.clone())
                };
                prop_assert_eq!(of(&left), found.left.clone());
                prop_assert_eq!(of(&right), found.right.clone());
                let path = |list: &[snowguard_archive::Member]| list.get(at).map(|one| one.path.clone());
                prop_assert!([path(&left), path(&right)].contains(&Some(found.path)));
            }
        }
    }
}

/// Archives of the fuzz targets' corpora.
fn corpora() -> Vec<Vec<u8>> {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut files = Vec::new();
    for directory in ["archive_tar", "archive_zip"] {
        for entry in fuzz.join(directory).read_dir().unwrap() {
            files.push(entry.unwrap().path());
        }
    }
    files.sort();
    files.iter().map(|file| tools::bytes(file)).collect()
}

#[test]
fn what_targets_begin_with_is_read() {
    let read = corpora()
        .iter()
        .filter(|archive| tools::read(archive).is_ok())
        .count();
    // All but the empty zip, on which unzip fails.
    assert_eq!(read, corpora().len() - 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_read_is_a_tree(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let corpora = corpora();
        let mut archive = which.get(&corpora).clone();
        for (at, byte, is_bit) in changes {
            let at = at.index(archive.len());
            archive[at] = if is_bit { archive[at] ^ (1 << (byte % 8)) } else { byte };
        }
        if let Some(cut) = cut {
            archive.truncate(cut.index(archive.len()));
        }
        let limits = Limits { bytes: 1 << 20, entries: 1000, window: 1 << 20, ..Limits::default() };
        let cursor = io::Cursor::new(&archive);
        if let Ok(mut tree) = snowguard_archive::read(cursor, Memory::default(), &limits) {
            let nar = tree.write_nar(Vec::new()).unwrap();
            let mut reader = NarReader::new(&nar[..]).unwrap();
            let mut objects = 0;
            while let Some(event) = reader.next().unwrap() {
                objects += usize::from(!matches!(event, NarEvent::DirectoryEnd));
            }
            prop_assert_eq!(tree.members().unwrap().len() + 1, objects);
            tree.swhid().unwrap();
        }
    }
}
