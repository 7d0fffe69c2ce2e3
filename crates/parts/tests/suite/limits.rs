//! Hostile files, read through a cache as the product reads them: how much is asked of the disk, and
//! stays in memory.

use std::cell::Cell;
use std::io::{Cursor, Read, Seek, SeekFrom, Write as _};
use std::rc::Rc;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use object::ReadCache;
use snowguard_parts::{Kind, Limits, Parts, PartsError, read};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Bytes that count how many of them are read.
struct Counting<'b> {
    bytes: Cursor<&'b [u8]>,
    count: Rc<Cell<u64>>,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// What a file declares, and how many bytes of it were read.
fn counted(
    kind: Kind,
    path: &str,
    bytes: &[u8],
    limits: &Limits,
) -> (Result<Parts, PartsError>, u64) {
    let count = Rc::new(Cell::new(0));
    let cache = ReadCache::new(Counting {
        bytes: Cursor::new(bytes),
        count: Rc::clone(&count),
    });
    let parts = read(kind, path, &cache, limits);
    (parts, count.get())
}

const MIB: u64 = 1 << 20;
const POM: &str = "META-INF/maven/a/b/pom.properties";

/// One member, and entries that all name it, each with sizes of its own.
fn overlapping(
    name: impl Fn(u32) -> String,
    method: u16,
    data: &[u8],
    entries: impl Iterator<Item = (u32, u32)>,
) -> Vec<u8> {
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend([0; 26]);
    zip.extend(data);
    let start = u32::try_from(zip.len()).unwrap();
    let mut count = 0;
    for (packed, size) in entries {
        let name = name(count);
        zip.extend(b"PK\x01\x02\0\0\0\0\0\0");
        zip.extend(method.to_le_bytes());
        zip.extend([0; 8]);
        zip.extend(packed.to_le_bytes());
        zip.extend(size.to_le_bytes());
        zip.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        zip.extend([0; 16]);
        zip.extend(name.as_bytes());
        count += 1;
    }
    let length = u32::try_from(zip.len()).unwrap() - start;
    zip.extend(b"PK\x05\x06\0\0\0\0");
    let few = u16::try_from(count).unwrap();
    zip.extend([few.to_le_bytes(), few.to_le_bytes()].concat());
    zip.extend(length.to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn members_that_share_their_bytes() {
    let pom = b"version=1\n";
    let mut data = deflated(pom);
    data.resize(usize::try_from(MIB).unwrap(), 0);
    let size = u32::try_from(pom.len()).unwrap();
    let packed = u32::try_from(data.len()).unwrap();
    let entries = (0..200).map(|entry| (packed - entry, size));
    let zip = overlapping(|_| POM.to_owned(), 8, &data, entries);
    let (parts, read) = counted(Kind::Archive, "a.jar", &zip, &Limits::default());
    let parts = parts.unwrap();
    assert!(read < 4 * MIB, "{read}");
    assert!(
        parts.problems[0].what.contains("not read to its end"),
        "{:?}",
        parts.problems
    );
}

#[test]
fn archives_that_share_their_bytes() {
    let data = vec![0; usize::try_from(MIB).unwrap()];
    let length = u32::try_from(data.len()).unwrap();
    let entries = (0..2_000).map(|entry| (length - entry, length - entry));
    let zip = overlapping(|entry| format!("{entry}.jar"), 0, &data, entries);
    let (parts, read) = counted(Kind::Archive, "a.jar", &zip, &Limits::default());
    assert!(read < 4 * MIB, "{read}");
    assert!(parts.unwrap().problems[0].what.contains("too often"));
}

#[test]
fn what_fails_while_it_is_unpacked_costs_as_well() {
    // Each says that it is half of what comes out.
    let half = u32::try_from(MIB).unwrap();
    let data = deflated(&vec![0; 2 << 20]);
    let packed = u32::try_from(data.len()).unwrap();
    let entries = (0..10).map(|_| (packed, half));
    let zip = overlapping(|_| POM.to_owned(), 8, &data, entries);
    let limits = Limits {
        unpacked: 4 * MIB,
        ..Limits::default()
    };
    let parts = read(Kind::Archive, "a.jar", &*zip, &limits).unwrap();
    let unpacked = |problem: &&snowguard_parts::Problem| problem.what.contains("another size");
    assert_eq!(parts.problems.len(), 10);
    assert_eq!(parts.problems.iter().filter(unpacked).count(), 4);
}

#[test]
fn segments_that_share_their_bytes() {
    const SEGMENTS: u16 = 1_000;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16.to_le_bytes(), 62_u16.to_le_bytes()].concat());
    elf.extend(1_u32.to_le_bytes());
    for offset in [0_u64, 64, 0] {
        elf.extend(offset.to_le_bytes());
    }
    elf.extend([0; 4]);
    for number in [64, 56, SEGMENTS, 0, 0, 0] {
        elf.extend(number.to_le_bytes());
    }
    for segment in 0..u64::from(SEGMENTS) {
        // Loaded, and may be written.
        elf.extend([1_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat());
        for number in [segment, 0, 0, MIB, MIB, 1] {
            elf.extend(number.to_le_bytes());
        }
    }
    elf.resize(64 << 20, 0);
    let (parts, read) = counted(Kind::Executable, "bin/x", &elf, &Limits::default());
    assert_eq!(parts.unwrap(), Parts::default());
    assert!(read < 5 * MIB, "{read}");
}

#[test]
fn a_large_file_is_asked_for_no_more_than_the_limit() {
    let limits = Limits {
        asked: MIB,
        ..Limits::default()
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for member in 0..4 {
        zip.start_file(format!("{member}/{POM}"), stored).unwrap();
        zip.write_all(&vec![b'\n'; 400 << 10]).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let (parts, read) = counted(Kind::Archive, "a.jar", &zip, &limits);
    assert!(read <= MIB, "{read}");
    assert!(parts.unwrap().problems[0].what.contains("too many"));
}

/// An archive with a list of what npm has installed, in some directory.
fn installed(directory: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let name = format!("{directory}/node_modules/.package-lock.json");
    zip.start_file(name, SimpleFileOptions::default()).unwrap();
    zip.write_all(
        br#"{"packages": {
            "node_modules/a": {"version": "1.0.0"},
            "node_modules/b": {"version": "1.0.0"}}}"#,
    )
    .unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn the_path_of_a_member_is_no_longer_than_one_on_a_disk_and_kept_once() {
    let long = installed(&"a".repeat(60_000));
    let parts = read(Kind::Archive, "a.jar", &*long, &Limits::default()).unwrap();
    assert_eq!(parts.parts, []);
    assert!(
        parts.problems[0].what.contains("path is longer"),
        "{:?}",
        parts.problems
    );
    let parts = read(Kind::Archive, "a.jar", &*installed("a"), &Limits::default()).unwrap();
    let [one, other] = &*parts.parts else {
        panic!("{:?}", parts.parts);
    };
    let member = |part: &snowguard_parts::Part| part.place.member.clone().unwrap();
    assert!(Arc::ptr_eq(&member(one), &member(other)));
}
