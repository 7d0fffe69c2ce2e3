//! Zips of every kind, byte by byte, and what unzip makes of them.

use std::fmt::Write as _;

use crate::tools;

/// A member: what both headers say.
#[derive(Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) contents: &'a [u8],
    pub(crate) host: u8,
    pub(crate) attributes: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) extra: &'a [u8],
    pub(crate) crc: Option<u32>,
    pub(crate) local_name: Option<&'a [u8]>,
}

pub(crate) const FILE: u32 = 0o100_644 << 16;
const PROGRAM: u32 = 0o100_755 << 16;
const LINK: u32 = 0o120_777 << 16;

pub(crate) fn member<'a>(name: &'a str, contents: &'a str) -> Member<'a> {
    Member {
        name: name.as_bytes(),
        contents: contents.as_bytes(),
        host: 3,
        attributes: FILE,
        flags: 0,
        method: 0,
        extra: b"",
        crc: None,
        local_name: None,
    }
}

pub(crate) fn zip(members: &[Member<'_>]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = u32::try_from(bytes.len()).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(member.contents);
        let crc = member.crc.unwrap_or(crc.sum());
        let size = u32::try_from(member.contents.len()).unwrap();
        let mut common = Vec::new();
        common.extend(member.flags.to_le_bytes());
        common.extend(member.method.to_le_bytes());
        common.extend([0, 0, 0x21, 0]);
        common.extend(crc.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(size.to_le_bytes());
        let local = member.local_name.unwrap_or(member.name);
        bytes.extend(b"PK\x03\x04\x14\0");
        bytes.extend(&common);
        bytes.extend(u16::try_from(local.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(local);
        bytes.extend(member.contents);
        directory.extend([b'P', b'K', 1, 2, 20, member.host, 20, 0]);
        directory.extend(&common);
        directory.extend(u16::try_from(member.name.len()).unwrap().to_le_bytes());
        directory.extend(u16::try_from(member.extra.len()).unwrap().to_le_bytes());
        directory.extend([0; 6]);
        directory.extend(member.attributes.to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(member.name);
        directory.extend(member.extra);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn with(name: &'static str, contents: &'static str, host: u8, attributes: u32) -> Member<'static> {
    Member {
        host,
        attributes,
        ..member(name, contents)
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut corpus: Vec<(String, Vec<u8>)> = Vec::new();
    for host in (0..=20).chain([30, 31, 99, 255]).filter(|host| *host != 1) {
        let members = [
            ("file", FILE),
            ("program", PROGRAM),
            ("program that is a directory", PROGRAM | 0x10),
            ("file that is a directory", FILE | 0x10),
            ("read only", PROGRAM | 1),
            ("link", LINK),
            ("nothing", 0),
            ("archived", 0x20),
        ];
        let members = members.map(|(name, attributes)| with(name, "b", host, attributes));
        corpus.push((format!("of system {host}"), zip(&members)));
    }
    let f = || member("f", "abc");
    let more = [
        ("nothing", zip(&[])),
        ("twice", zip(&[member("a", "1"), member("a", "2")])),
        ("below a file", zip(&[member("a", "1"), member("a/b", "2")])),
        (
            "a file for a directory",
            zip(&[member("a/b", "1"), member("a", "2")]),
        ),
        (
            "directories twice",
            zip(&[member("a/", ""), member("a/", ""), member("a/b", "1")]),
        ),
        (
            "a directory that is a file",
            zip(&[with("d/", "", 3, FILE), f()]),
        ),
        (
            "a directory without a slash",
            zip(&[with("d", "", 3, (0o40_755 << 16) | 0x10), f()]),
        ),
        (
            "a directory with contents",
            zip(&[member("d/", "data"), f()]),
        ),
        ("a link with a slash", zip(&[with("d/", "q", 3, LINK), f()])),
        (
            "a pipe is a file",
            zip(&[with("p", "q", 3, 0o010_644 << 16), f()]),
        ),
        (
            "a mode alone",
            zip(&[
                with("p", "q", 3, 0o755 << 16),
                with("q", "q", 3, 0o100 << 16),
            ]),
        ),
        (
            "links",
            zip(&[
                with("l", "../x", 3, LINK),
                with("m", "/etc/passwd", 3, LINK),
                f(),
            ]),
        ),
        (
            "through a link",
            zip(&[
                member("b/", ""),
                with("a", "b", 3, LINK),
                member("a/x", "2"),
            ]),
        ),
        ("absolute", zip(&[member("/a", "1")])),
        (
            "dots",
            zip(&[
                member("./a", "1"),
                member("b/./c", "2"),
                member("d//e", "3"),
            ]),
        ),
        ("a backslash", zip(&[member("a\\b", "1")])),
        ("a backslash of DOS", zip(&[with("a\\b", "1", 0, 0x20)])),
        (
            "UTF-8",
            zip(&[Member {
                flags: 0x800,
                ..member("ä漢", "1")
            }]),
        ),
        ("UTF-8 that is not told", zip(&[member("ä漢", "1")])),
        (
            "a version in the middle",
            zip(&[member("b;x", "1"), member("b;1x", "1")]),
        ),
        (
            "a wrong checksum",
            zip(&[Member {
                crc: Some(1),
                ..member("a", "1")
            }]),
        ),
        (
            "another name before the contents",
            zip(&[Member {
                local_name: Some(b"b"),
                ..member("a", "1")
            }]),
        ),
        ("something before", [b"junk".to_vec(), zip(&[f()])].concat()),
        ("something after", [zip(&[f()]), b"junk".to_vec()].concat()),
        (
            "encrypted",
            zip(&[Member {
                flags: 1,
                ..member("a", "0123456789abcdef")
            }]),
        ),
        (
            "an unknown method",
            zip(&[Member {
                method: 77,
                ..member("a", "x")
            }]),
        ),
        ("no end", zip(&[f()])[..40].to_vec()),
        ("a long name", zip(&[member(&"a".repeat(255), "x")])),
        ("a name too long", zip(&[member(&"a".repeat(256), "x")])),
    ];
    corpus.extend(more.map(|(what, archive)| (what.to_owned(), archive)));
    corpus
}

#[test]
fn as_unzip_does() {
    let mut told = String::new();
    for (what, archive) in corpus() {
        let real = tools::unpacked(&archive, "zip");
        match (tools::read(&archive), real) {
            (Ok(mut tree), Ok(real)) => assert_eq!(tools::hash(&mut tree), real, "{what}"),
            (Err(error), Err(_)) => writeln!(told, "{what}: {error}").unwrap(),
            (ours, real) => panic!("{what}: {real:?}, but {:?}", ours.map(|_| ())),
        }
    }
    insta::assert_snapshot!(told, @r"
    nothing: read zip at byte 0: it is empty, which unzip fails on
    twice: unpack `a`: there is one of this name already
    below a file: unpack `a/b`: `a` on its way is a file
    a file for a directory: unpack `a`: there is one of this name already
    through a link: unpack `a/x`: `a` on its way is a symbolic link
    absolute: unpack `/a`: its name begins at the root, which unzip warns of
    a backslash of DOS: unpack `a\\b`: its name has a backslash, which unzip warns of
    a wrong checksum: read zip at byte 31: the checksum of a member is wrong
    another name before the contents: read zip at byte 0: the header of a member and the central directory differ
    something before: read archive: it is neither tar (plain, gzip, xz, bzip2, zstd) nor zip
    encrypted: unpack `a`: it is encrypted
    an unknown method: unpack `a`: it is packed with a method that is not known here
    no end: read zip at byte 40: it has no end
    a name too long: unpack archive: a name of it has more than 255 bytes
    ");
}

/// unzip makes something of these that their names do not say, or that depends on where it runs.
#[test]
fn refused_openly() {
    let refused = [
        ("leads out", zip(&[member("../a", "1")])),
        ("leads out and back", zip(&[member("b/../a", "1")])),
        ("control characters", zip(&[member("a\u{1}b", "1")])),
        ("a version of VMS", zip(&[member("a;1", "1")])),
        (
            "another system's letters",
            zip(&[Member {
                name: b"\x81",
                ..with("", "1", 0, 0x20)
            }]),
        ),
        (
            "letters of no encoding",
            zip(&[Member {
                name: b"\xff",
                ..member("", "1")
            }]),
        ),
        ("a link to nowhere", zip(&[with("a", "", 3, LINK)])),
        ("a link with a zero", zip(&[with("a", "a\0b", 3, LINK)])),
        (
            "attributes of the Amiga",
            zip(&[with("a", "1", 1, PROGRAM)]),
        ),
    ];
    let told: Vec<String> = refused
        .into_iter()
        .map(|(what, archive)| {
            let told =
                tools::read(&archive).map_or_else(|error| error.to_string(), |_| "read".into());
            format!("{what}: {told}")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    leads out: unpack `../a`: its name leads out of the directory
    leads out and back: unpack `b/../a`: its name leads out of the directory
    control characters: unpack `a\u{1}b`: its name has control characters, which unzip leaves out
    a version of VMS: unpack `a;1`: its name ends like a version of VMS, which unzip leaves out
    another system's letters: unpack `\x81`: the encoding of its name depends on where it is unpacked
    letters of no encoding: unpack `\xff`: its name is not UTF-8
    a link to nowhere: unpack `a`: a symbolic link cannot point there
    a link with a zero: unpack `a`: a symbolic link cannot point there
    attributes of the Amiga: unpack `a`: it has the attributes of an Amiga
    ");
}

#[test]
fn packed_by_zip_in_each_way() {
    let scratch = tempfile::tempdir().unwrap();
    let contents = "All work and no play makes Jack a dull boy. ".repeat(3000);
    tools::write(&scratch.path().join("a"), contents.as_bytes());
    for method in ["store", "deflate", "bzip2"] {
        for zip64 in ["-fz", "-fz-"] {
            let file = format!("{method}{zip64}.zip");
            let args = ["-q", zip64, "-Z", method, &file, "a"];
            tools::run(scratch.path(), "zip", args).unwrap();
            let archive = tools::bytes(&scratch.path().join(&file));
            let real = tools::unpacked(&archive, "zip").unwrap();
            assert_eq!(
                tools::hash(&mut tools::read(&archive).unwrap()),
                real,
                "{file}"
            );
            // As they come through a pipe, with sizes after the contents.
            let script = format!("cat a | zip -q {zip64} -Z {method} - - > piped.zip");
            tools::run(scratch.path(), "bash", ["-c", &script]).unwrap();
            let archive = tools::bytes(&scratch.path().join("piped.zip"));
            let real = tools::unpacked(&archive, "zip").unwrap();
            assert_eq!(
                tools::hash(&mut tools::read(&archive).unwrap()),
                real,
                "{file}, piped"
            );
        }
    }
}
