//! NARs: of the same trees the same bytes, and of broken bytes the same opinion.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use snowguard_store::Notation;
use snowguard_store::nar::{NarError, NarEvent, NarHasher, NarReader, NarWriter};
use snowguard_testkit::nix::{NixStore, NixVersion};

use crate::support::{Numbers, nix};

#[test]
fn trees_give_the_bytes_that_nix_dumps() {
    let store = nix().store().unwrap();
    let mut numbers = Numbers(20);
    for index in 0..25 {
        let tree = match index {
            0 => Tree::File {
                executable: false,
                contents: Vec::new(),
            },
            1 => Tree::File {
                executable: true,
                contents: b"#!/bin/sh\n".to_vec(),
            },
            2 => Tree::Directory(BTreeMap::new()),
            3 => Tree::Symlink(b"/nowhere/\xff".to_vec()),
            _ => Tree::random(&mut numbers, 5),
        };
        let path = store.scratch().join(format!("tree-{index}"));
        tree.put(&path);
        let ours = tree.nar();
        let theirs = store
            .run("nix-store", &[], [OsStr::new("--dump"), path.as_os_str()])
            .unwrap();
        assert!(ours == theirs, "{tree:?}");
        assert_eq!(Tree::read(&theirs), tree);

        let mut hasher = NarHasher::new();
        std::io::copy(&mut &ours[..], &mut hasher).unwrap();
        let digest = hasher.finish();
        assert_eq!(digest.size, ours.len() as u64);
        let args = [
            OsStr::new("--type"),
            OsStr::new("sha256"),
            OsStr::new("--base32"),
            path.as_os_str(),
        ];
        let hash = store.run("nix-hash", &[], args).unwrap();
        let hash = String::from_utf8_lossy(&hash);
        assert_eq!(
            digest.hash.to_hash().to_notation(Notation::Nix32),
            hash.trim()
        );

        let restored = store.scratch().join(format!("restored-{index}"));
        let args = [OsStr::new("--restore"), restored.as_os_str()];
        store.run_with_input("nix-store", args, &ours).unwrap();
        let again = store
            .run(
                "nix-store",
                &[],
                [OsStr::new("--dump"), restored.as_os_str()],
            )
            .unwrap();
        assert!(again == ours, "{tree:?}");
    }
}

#[test]
fn broken_nars_are_refused_where_nix_refuses_them() {
    let store = nix().store().unwrap();
    let (mut refused, mut accepted) = (0, 0);
    for (index, (what, nar)) in broken().into_iter().enumerate() {
        let path = store.scratch().join(format!("broken-{index}"));
        let theirs = store.run_with_input(
            "nix-store",
            [OsStr::new("--restore"), path.as_os_str()],
            &nar,
        );
        let ours = read_all(&nar);
        match (&ours, &theirs) {
            (Ok(()), Ok(_)) => accepted += 1,
            (Err(_), Err(_)) => refused += 1,
            (Err(error), Ok(_)) if is_stricter(error, &store) => refused += 1,
            _ => panic!("{what}: we say {ours:?}, Nix says {theirs:?}"),
        }
    }
    assert!(
        refused > 150 && accepted > 5,
        "{refused} refused, {accepted} accepted"
    );
}

/// Whether this version is known to be laxer here than newer ones are.
fn is_stricter(error: &NarError, store: &NixStore) -> bool {
    let version = store.nix().version();
    match error {
        // Nix leaves what follows to whoever reads on.
        NarError::Trailing { .. } => true,
        // Limits came with 2.35, and with corrections of the versions before it.
        NarError::StringTooLong { .. } | NarError::TooDeep { .. } | NarError::Target { .. } => {
            version < NixVersion::new(2, 35)
        }
        // Until 2.25 order was not looked at, and fields came in any order.
        NarError::Order { .. } | NarError::Duplicate { .. } => version < NixVersion::new(2, 25),
        // Until 2.32 a file could be without contents.
        NarError::Expected { expected, .. } => {
            let since = if *expected == "`contents`" { 32 } else { 25 };
            version < NixVersion::new(2, since)
        }
        _ => false,
    }
}

fn read_all(nar: &[u8]) -> Result<(), NarError> {
    NarReader::new(nar)?.end()
}

/// NARs with something wrong, each with a word on what; and a few with nothing wrong.
fn broken() -> Vec<(String, Vec<u8>)> {
    let good: &[&[u8]] = &[
        b"nix-archive-1",
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        b"a",
        b"node",
        b"(",
        b"type",
        b"regular",
        b"contents",
        b"hello",
        b")",
        b")",
        b"entry",
        b"(",
        b"name",
        b"b",
        b"node",
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        b"c",
        b"node",
        b"(",
        b"type",
        b"symlink",
        b"target",
        b"../a",
        b")",
        b")",
        b")",
        b")",
        b"entry",
        b"(",
        b"name",
        b"d",
        b"node",
        b"(",
        b"type",
        b"regular",
        b"executable",
        b"",
        b"contents",
        b"",
        b")",
        b")",
        b")",
    ];
    let mut all = vec![
        ("nothing".to_owned(), tokens(good)),
        ("empty".to_owned(), Vec::new()),
    ];

    let whole = tokens(good);
    for length in (0..whole.len()).step_by(8) {
        all.push((format!("cut at {length}"), whole[..length].to_vec()));
    }
    all.push((
        "cut in padding".to_owned(),
        whole[..whole.len() - 3].to_vec(),
    ));
    for (index, token) in good.iter().enumerate() {
        let mut without = good.to_vec();
        without.remove(index);
        all.push((format!("without token {index}"), tokens(&without)));
        let mut twice = good.to_vec();
        twice.insert(index, token);
        all.push((format!("token {index} twice"), tokens(&twice)));
        let mut other = good.to_vec();
        other[index] = b"other";
        all.push((format!("another token {index}"), tokens(&other)));
    }

    let mut replace = |what: &str, at: usize, with: &[u8]| {
        let mut changed = good.to_vec();
        changed[at] = with;
        all.push((what.to_owned(), tokens(&changed)));
    };
    // The names `a`, `b` and `d` are tokens 7, 19 and 41.
    assert_eq!(
        (good[7], good[19], good[41]),
        (&b"a"[..], &b"b"[..], &b"d"[..])
    );
    for name in [
        &b""[..],
        b".",
        b"..",
        b"/",
        b"a/b",
        b"../x",
        b"a\0",
        b"\0",
        b"b",
        b"c",
        b"...",
    ] {
        replace(&format!("first name {name:?}"), 7, name);
    }
    for name in [&b"a"[..], b"A", b"0", b"b", b"e", b"\xff", b"b\xff"] {
        replace(&format!("second name {name:?}"), 19, name);
    }
    for name in [&b"a"[..], b"b", b"a0", b"aa", b"bb", b"z"] {
        replace(&format!("last name {name:?}"), 41, name);
    }
    replace("longest name", 7, &[b'a'; 255]);
    replace("too long name", 7, &[b'a'; 256]);
    replace("very long tag", 4, &[b'e'; 5000]);
    replace("empty target", 33, b"");
    replace("target with zero", 33, b"a\0b");
    replace("longest target", 33, &[b't'; 4095]);
    replace("too long target", 33, &[b't'; 4096]);
    replace("executable with value", 47, b"yes");
    replace("unknown type", 11, b"fifo");

    for at in [13, 14, 15] {
        let mut padded = whole.clone();
        padded[8 + at] = 1;
        all.push((format!("padding of the magic at {at}"), padded));
    }
    let contents = whole
        .windows(5)
        .position(|window| window == b"hello")
        .unwrap();
    for at in 5..8 {
        let mut padded = whole.clone();
        padded[contents + at] = b'!';
        all.push((format!("padding of contents at {at}"), padded));
    }
    for (what, length) in [
        ("too long", 6u64),
        ("too short", 4),
        ("huge", u64::MAX),
        ("much too long", 1 << 20),
    ] {
        let mut sized = whole.clone();
        sized[contents - 8..contents].copy_from_slice(&length.to_le_bytes());
        all.push((format!("contents {what}"), sized));
    }
    all.push((
        "something after the end".to_owned(),
        [&whole[..], b"\0"].concat(),
    ));
    all.push((
        "the same again".to_owned(),
        [&whole[..], &whole[..]].concat(),
    ));
    for depth in [60, 63, 64, 65, 100] {
        all.push((format!("{depth} directories"), nested(depth)));
    }
    all
}

fn nested(depth: usize) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = vec![b"nix-archive-1"];
    for _ in 1..depth {
        parts.extend([
            &b"("[..],
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            b"d",
            b"node",
        ]);
    }
    parts.extend([&b"("[..], b"type", b"directory", b")"]);
    for _ in 1..depth {
        parts.extend([&b")"[..], b")"]);
    }
    tokens(&parts)
}

fn tokens(parts: &[&[u8]]) -> Vec<u8> {
    let mut nar = Vec::new();
    for part in parts {
        nar.extend_from_slice(&(part.len() as u64).to_le_bytes());
        nar.extend_from_slice(part);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// What is in a directory.
type Entries = BTreeMap<Vec<u8>, Tree>;

/// A file system tree.
#[derive(Debug, PartialEq, Eq)]
enum Tree {
    File { executable: bool, contents: Vec<u8> },
    Symlink(Vec<u8>),
    Directory(Entries),
}

impl Tree {
    fn random(numbers: &mut Numbers, depth: usize) -> Self {
        match numbers.below(if depth == 0 { 4 } else { 7 }) {
            0 => Self::Symlink(
                (0..=numbers.below(20))
                    .map(|_| b"ab/.\xc3\xa9\xff"[numbers.below(7)])
                    .collect(),
            ),
            1..4 => Self::File {
                executable: numbers.below(2) == 0,
                contents: (0..numbers.below(3000)).map(|_| numbers.byte()).collect(),
            },
            _ => {
                let mut entries = BTreeMap::new();
                for _ in 0..numbers.below(8) {
                    let name: Vec<u8> = (0..=numbers.below(12))
                        .map(|_| b"aAzZ09._- ~\xc3\xa9\xff\x01"[numbers.below(15)])
                        .collect();
                    if name != b"." && name != b".." {
                        entries.insert(name, Self::random(numbers, depth - 1));
                    }
                }
                Self::Directory(entries)
            }
        }
    }

    /// Puts it on disk.
    fn put(&self, path: &Path) {
        match self {
            Self::File {
                executable,
                contents,
            } => {
                std::fs::write(path, contents).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            Self::Symlink(target) => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), path).unwrap();
            }
            Self::Directory(entries) => {
                std::fs::create_dir(path).unwrap();
                for (name, entry) in entries {
                    entry.put(&path.join(OsStr::from_bytes(name)));
                }
            }
        }
    }

    fn nar(&self) -> Vec<u8> {
        let mut writer = NarWriter::new(Vec::new()).unwrap();
        self.write(b"", &mut writer);
        writer.finish().unwrap()
    }

    fn write(&self, name: &[u8], writer: &mut NarWriter<Vec<u8>>) {
        match self {
            Self::File {
                executable,
                contents,
            } => writer.file(name, *executable, contents).unwrap(),
            Self::Symlink(target) => writer.symlink(name, target).unwrap(),
            Self::Directory(entries) => {
                writer.directory(name).unwrap();
                for (name, entry) in entries {
                    entry.write(name, writer);
                }
                writer.directory_end().unwrap();
            }
        }
    }

    fn read(nar: &[u8]) -> Self {
        let mut reader = NarReader::new(nar).unwrap();
        let mut open: Vec<(Vec<u8>, Entries)> = Vec::new();
        let mut root = None;
        loop {
            let (name, tree) = match reader.next().unwrap() {
                None => break,
                Some(NarEvent::Directory { name }) => {
                    open.push((name.to_vec(), BTreeMap::new()));
                    continue;
                }
                Some(NarEvent::DirectoryEnd) => {
                    let (name, entries) = open.pop().unwrap();
                    (name, Self::Directory(entries))
                }
                Some(NarEvent::Symlink { name, target }) => {
                    (name.to_vec(), Self::Symlink(target.to_vec()))
                }
                Some(NarEvent::File {
                    name,
                    executable,
                    size,
                }) => {
                    let name = name.to_vec();
                    let mut contents = Vec::new();
                    reader.contents().read_to_end(&mut contents).unwrap();
                    assert_eq!(contents.len() as u64, size);
                    (
                        name,
                        Self::File {
                            executable,
                            contents,
                        },
                    )
                }
            };
            match open.last_mut() {
                Some((_, entries)) => assert!(entries.insert(name, tree).is_none()),
                None => root = Some(tree),
            }
        }
        reader.end().unwrap();
        root.unwrap()
    }
}
