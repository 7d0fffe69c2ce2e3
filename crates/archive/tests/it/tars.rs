//! Tars of every kind, byte by byte, and what GNU tar makes of them.

use std::fmt::Write as _;

use snowguard_archive::StripError;

use crate::tools;

/// A header.
pub(crate) fn header(name: &str, kind: u8, size: u64, link: &str) -> Vec<u8> {
    header_of(name.as_bytes(), kind, size, link.as_bytes(), 0o644)
}

pub(crate) fn header_of(name: &[u8], kind: u8, size: u64, link: &[u8], mode: u32) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
    block[108..124].copy_from_slice(b"0000000\x000000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut block);
    block
}

pub(crate) fn sum(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A header with contents.
pub(crate) fn member(name: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, contents.len() as u64, "");
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, contents: &str) -> Vec<u8> {
    member(name, b'0', contents.as_bytes())
}

fn directory(name: &str) -> Vec<u8> {
    header_of(name.as_bytes(), b'5', 0, b"", 0o755)
}

fn symlink(name: &str, target: &str) -> Vec<u8> {
    header(name, b'2', 0, target)
}

fn hard(name: &str, target: &str) -> Vec<u8> {
    header(name, b'1', 0, target)
}

/// A record of a pax header.
pub(crate) fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let text: String = records
        .iter()
        .map(|(key, value)| record(key, value))
        .collect();
    member("pax", b'x', text.as_bytes())
}

pub(crate) const END: [u8; 1024] = [0; 1024];

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), END.to_vec()].concat()
}

/// What differs from the file `f` that most of them have at the end, to see that they are read on.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let f = || file("f", "abc");
    let long = "n".repeat(150);
    let mut corpus: Vec<(&'static str, Vec<u8>)> = vec![
        ("nothing", tar(&[])),
        (
            "the last of one name stays",
            tar(&[file("a", "1"), file("a", "2")]),
        ),
        ("below a file", tar(&[file("a", "1"), file("a/b", "2")])),
        (
            "a directory for a file",
            tar(&[file("a", "1"), directory("a"), file("a/b", "2")]),
        ),
        (
            "a file for an empty directory",
            tar(&[directory("a"), file("a", "1")]),
        ),
        (
            "a file for a full directory",
            tar(&[file("a/b", "1"), file("a", "2")]),
        ),
        (
            "a directory for a link",
            tar(&[
                directory("b"),
                symlink("a", "b"),
                directory("a"),
                file("a/x", "2"),
            ]),
        ),
        (
            "through a link that leads out",
            tar(&[directory("b"), symlink("a", "../b"), file("a/x", "2")]),
        ),
        (
            "through an absolute link",
            tar(&[symlink("a", "/tmp"), file("a/x", "2")]),
        ),
        (
            "a file for a link",
            tar(&[file("b", "q"), symlink("a", "b"), file("a", "2")]),
        ),
        (
            "a link for a file",
            tar(&[file("a", "2"), symlink("a", "b")]),
        ),
        (
            "a link for an empty directory",
            tar(&[directory("a"), symlink("a", "b")]),
        ),
        (
            "absolute names",
            tar(&[file("/a", "2"), file("//b/c", "3")]),
        ),
        ("a name that leads out", tar(&[file("../a", "2")])),
        (
            "a name that leads out and back",
            tar(&[file("b/../a", "2")]),
        ),
        (
            "a copy keeps its contents",
            tar(&[file("a", "1"), hard("b", "a"), file("a", "2")]),
        ),
        (
            "a hard link with an absolute target",
            tar(&[file("a", "2"), hard("b", "/a")]),
        ),
        (
            "a hard link to itself",
            tar(&[file("a", "2"), hard("a", "a")]),
        ),
        (
            "a hard link to a link",
            tar(&[symlink("a", "x"), hard("b", "a")]),
        ),
        (
            "a hard link to a link that leads out",
            tar(&[symlink("a", "../x"), hard("b", "a")]),
        ),
        (
            "a hard link to a directory",
            tar(&[directory("x"), hard("b", "x")]),
        ),
        ("a hard link to nothing", tar(&[hard("b", "x")])),
        (
            "a hard link in other words",
            tar(&[file("./a", "2"), hard("b", "./a"), hard("./c", "a")]),
        ),
        (
            "a hard link for a file",
            tar(&[file("a", "1"), file("b", "2"), hard("b", "a")]),
        ),
        ("a file with a slash", tar(&[file("a/", ""), f()])),
        ("a link with a slash", tar(&[symlink("a/", "q"), f()])),
        (
            "slashes and dots",
            tar(&[file("a//b/./c", "q"), directory("./"), directory(".")]),
        ),
        ("a file for the root", tar(&[file(".", "q")])),
        ("a link to nowhere", tar(&[symlink("a", "")])),
        (
            "a size of a directory",
            tar(&[header("d", b'5', 512, ""), f()]),
        ),
        (
            "contents of a directory",
            tar(&[header("d", b'5', 512, ""), vec![b'x'; 512], f()]),
        ),
        ("a size of a link", tar(&[header("d", b'2', 512, "q"), f()])),
        (
            "a size of a hard link",
            tar(&[f(), header("d", b'1', 512, "f"), file("g", "x")]),
        ),
        ("no end", f()),
        ("half an end", [f(), vec![0; 512]].concat()),
        (
            "half an end and more",
            [f(), vec![0; 512], file("g", "1"), END.to_vec()].concat(),
        ),
        ("a header without contents", header("f", b'0', 3, "")),
        (
            "half the contents",
            [header("f", b'0', 600, ""), vec![b'a'; 512]].concat(),
        ),
        (
            "contents without what fills the block",
            [header("f", b'0', 3, ""), b"abc".to_vec()].concat(),
        ),
        (
            "less than a block at the end",
            [f(), b"abc".to_vec()].concat(),
        ),
        ("empty", Vec::new()),
        ("no tar", vec![b'x'; 2048]),
        (
            "a header that is none",
            [f(), vec![b'x'; 512], file("g", "1"), END.to_vec()].concat(),
        ),
        (
            "more after the end",
            [f(), END.to_vec(), vec![b'x'; 512]].concat(),
        ),
        ("a volume", tar(&[header("v", b'V', 0, ""), f()])),
        ("contiguous", tar(&[member("a", b'7', b"abc"), f()])),
        ("of before POSIX", tar(&[member("a", 0, b"abc"), f()])),
        ("a pipe", tar(&[header("u", b'6', 0, "")])),
        ("a line break", tar(&[file("a\nb", "q")])),
        (
            "modes",
            tar(&[
                header_of(b"a", b'0', 0, b"", 0o100),
                header_of(b"b", b'0', 0, b"", 0o655),
                header_of(b"c", b'0', 0, b"", 0o4755),
                header_of(b"d", b'0', 0, b"", 0o100_744),
            ]),
        ),
        (
            "long names of GNU",
            tar(&[
                member("././@LongLink", b'L', format!("{long}\0").as_bytes()),
                file("short", "1"),
                f(),
            ]),
        ),
        (
            "long targets of GNU",
            tar(&[
                member("././@LongLink", b'K', format!("{long}\0").as_bytes()),
                symlink("a", "q"),
                f(),
            ]),
        ),
        (
            "a long name of GNU and of pax",
            tar(&[
                member("././@LongLink", b'L', b"gnu\0"),
                pax(&[("path", "pax")]),
                file("short", "1"),
                f(),
            ]),
        ),
        (
            "pax",
            tar(&[
                pax(&[("path", &long), ("mtime", "1.5"), ("comment", "a=b\nc")]),
                file("short", "1"),
                f(),
            ]),
        ),
        (
            "pax with a target",
            tar(&[pax(&[("linkpath", &long)]), symlink("a", "b"), f()]),
        ),
        (
            "pax with a size",
            tar(&[
                pax(&[("size", "3")]),
                header("a", b'0', 0, ""),
                [b"abc".to_vec(), vec![0; 509]].concat(),
                f(),
            ]),
        ),
        (
            "pax twice",
            tar(&[
                pax(&[("path", "1")]),
                pax(&[("path", "2")]),
                file("a", "x"),
                f(),
            ]),
        ),
        (
            "pax with no name",
            tar(&[pax(&[("path", "1"), ("path", "")]), file("a", "x"), f()]),
        ),
        (
            "pax that is no list",
            tar(&[member("pax", b'x', b"abc"), file("a", "x")]),
        ),
        (
            "pax with a wrong length",
            tar(&[member("pax", b'x', b"99 path=x\n"), file("a", "x")]),
        ),
        (
            "pax for all",
            tar(&[
                member(
                    "pax_global_header",
                    b'g',
                    record("comment", &"a".repeat(40)).as_bytes(),
                ),
                f(),
            ]),
        ),
        (
            "pax that leads out",
            tar(&[pax(&[("path", "../a")]), file("a", "x")]),
        ),
        (
            "a name too long",
            tar(&[pax(&[("path", &"a".repeat(256))]), file("a", "x")]),
        ),
    ];
    let mut split = header("e", b'0', 0, "");
    split[345..350].copy_from_slice(b"a/b/c");
    sum(&mut split);
    corpus.push(("a name in two", tar(&[split.clone(), f()])));
    split[257..265].copy_from_slice(b"ustar  \0");
    sum(&mut split);
    corpus.push(("times of GNU", tar(&[split, f()])));
    let mut large = header("a", b'0', 0, "");
    large[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\0\0\0\0\x03");
    sum(&mut large);
    corpus.push((
        "a size to the base of 256",
        tar(&[large, [b"abc".to_vec(), vec![0; 509]].concat(), f()]),
    ));
    let mut spaces = header("a", b'0', 0, "");
    spaces[124..136].copy_from_slice(b"          3 ");
    sum(&mut spaces);
    corpus.push((
        "a size among spaces",
        tar(&[spaces, [b"abc".to_vec(), vec![0; 509]].concat(), f()]),
    ));
    let mut wrong = f();
    wrong[0] = b'g';
    corpus.push(("a wrong checksum", tar(&[f(), wrong])));
    corpus
}

#[test]
fn as_gnu_tar_does() {
    let mut told = String::new();
    for (what, archive) in corpus() {
        let real = tools::unpacked(&archive, "tar");
        match (tools::read(&archive), real) {
            (Ok(mut tree), Ok(real)) => {
                assert_eq!(tools::hash(&mut tree), real, "{what}");
                let (ours, real) = (tree.strip_root(), tools::stripped(&archive, "tar"));
                match (ours, real) {
                    (Ok(mut ours), Ok(real)) => assert_eq!(tools::hash(&mut ours), real, "{what}"),
                    // Where a link leads to is not looked at.
                    (Err(_), Err(_)) | (Err(StripError::Symlink { .. }), Ok(_)) => {}
                    (ours, real) => panic!("{what}: {real:?}, but {:?}", ours.map(|_| ())),
                }
            }
            (Err(error), Err(_)) => writeln!(told, "{what}: {error}").unwrap(),
            (ours, real) => panic!("{what}: {real:?}, but {:?}", ours.map(|_| ())),
        }
    }
    insta::assert_snapshot!(told, @r"
    below a file: unpack `a/b`: `a` on its way is a file
    a file for a full directory: unpack `a`: a directory that is not empty is there
    through a link that leads out: unpack `a/x`: `a` on its way is a symbolic link
    through an absolute link: unpack `a/x`: `a` on its way is a symbolic link
    a name that leads out: unpack `../a`: its name leads out of the directory
    a name that leads out and back: unpack `b/../a`: its name leads out of the directory
    a hard link to a directory: unpack `b`: it is a hard link to `x`, which is no file that came before it
    a hard link to nothing: unpack `b`: it is a hard link to `x`, which is no file that came before it
    a file for the root: unpack `.`: this is the root, which is a directory
    a link to nowhere: unpack `a`: a symbolic link cannot point there
    contents of a directory: read tar at byte 512: a header has no checksum
    a header without contents: unpack `f`: 3 bytes of it are missing
    half the contents: unpack `f`: 88 bytes of it are missing
    contents without what fills the block: read tar at byte 3: a member ends early
    empty: read archive: it is neither tar (plain, gzip, xz, bzip2, zstd) nor zip
    no tar: read archive: it is neither tar (plain, gzip, xz, bzip2, zstd) nor zip
    a header that is none: read tar at byte 1024: a header has no checksum
    a pipe: unpack `u`: it is a device or a named pipe, which no store path can hold
    pax with no name: unpack ``: this is the root, which is a directory
    pax that is no list: read tar at byte 512: an extended header is not a list of records
    pax with a wrong length: read tar at byte 512: an extended header is not a list of records
    pax that leads out: unpack `../a`: its name leads out of the directory
    a name too long: unpack archive: a name of it has more than 255 bytes
    a wrong checksum: read tar at byte 1024: the checksum of a header is wrong
    ");
}

/// GNU tar makes something of these, which depends on what it finds, or no store path can hold.
#[test]
fn refused_openly() {
    let refused = [
        (
            "a zero in a name",
            tar(&[pax(&[("path", "a\0b")]), file("a", "x")]),
        ),
        (
            "through a link",
            tar(&[directory("b"), symlink("a", "b"), file("a/x", "2")]),
        ),
        (
            "a hard link through a link",
            tar(&[file("d/a", "2"), symlink("s", "d"), hard("c", "s/a")]),
        ),
        ("a kind of its own", tar(&[member("a", b'Q', b"abc")])),
        ("a device", tar(&[header("a", b'3', 0, "")])),
        ("a sparse file", tar(&[header("a", b'S', 0, "")])),
        (
            "a sparse file of pax",
            tar(&[pax(&[("GNU.sparse.major", "1")]), file("a", "x")]),
        ),
        ("a part of a file", tar(&[header("a", b'M', 0, "")])),
        ("a dump", tar(&[header("a", b'D', 0, "")])),
        (
            "names for all",
            tar(&[
                member("g", b'g', record("path", "x").as_bytes()),
                file("a", "x"),
            ]),
        ),
    ];
    let told: Vec<String> = refused
        .into_iter()
        .map(|(what, archive)| format!("{what}: {}", tools::read(&archive).unwrap_err()))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    a zero in a name: unpack `a\u{0}b`: its name has a zero byte
    through a link: unpack `a/x`: `a` on its way is a symbolic link
    a hard link through a link: unpack `c`: `s` on its way is a symbolic link
    a kind of its own: unpack `a`: it is of a kind that is not known
    a device: unpack `a`: it is a device or a named pipe, which no store path can hold
    a sparse file: unpack `a`: it is a sparse file
    a sparse file of pax: unpack `a`: it is a sparse file
    a part of a file: unpack `a`: it is a part of a file, from before
    a dump: unpack `a`: it is a directory of a dump
    names for all: unpack `g`: a header for all members names or sizes them
    ");
}

#[test]
fn what_was_replaced_is_told() {
    let tree = tools::read(&tar(&[file("a", "1"), file("./a", "2"), file("b", "3")])).unwrap();
    assert_eq!(tree.replaced().count, 1);
    assert_eq!(tree.replaced().first, [b"./a".to_vec()]);
}

#[test]
fn streams_one_after_the_other() {
    let whole = tar(&[file("a", "1"), file("b", "2")]);
    let (head, tail) = whole.split_at(700);
    let scratch = tempfile::tempdir().unwrap();
    for (program, extension) in [
        ("gzip", "gz"),
        ("xz", "xz"),
        ("bzip2", "bz2"),
        ("zstd", "zst"),
    ] {
        let mut packed = Vec::new();
        for part in [head, tail] {
            let file = scratch.path().join("part");
            tools::write(&file, part);
            let args = ["-c", file.to_str().unwrap()];
            packed.extend(tools::run(scratch.path(), program, args).unwrap());
        }
        let extension = format!("tar.{extension}");
        let real = tools::unpacked(&packed, &extension).unwrap();
        assert_eq!(tools::hash(&mut tools::read(&packed).unwrap()), real);
        // Zeros, as tapes have them.
        let mut longer = packed.clone();
        longer.extend([0; 512]);
        let real = tools::unpacked(&longer, &extension).ok();
        let ours = tools::read(&longer).ok();
        assert_eq!(
            ours.map(|mut tree| tools::hash(&mut tree)),
            real,
            "{program}"
        );
        // One byte is wrong, or the end is missing.
        for cut in [packed.len() - 1, packed.len() / 2] {
            assert!(tools::unpacked(&packed[..cut], &extension).is_err());
            let error = tools::read(&packed[..cut]).unwrap_err();
            assert!(error.is_of_the_archive(), "{error}");
        }
        let middle = packed.len() / 3;
        packed[middle] ^= 0x10;
        let real = tools::unpacked(&packed, &extension).ok();
        let ours = tools::read(&packed).ok();
        assert_eq!(
            ours.map(|mut tree| tools::hash(&mut tree)),
            real,
            "{program}"
        );
    }
}
