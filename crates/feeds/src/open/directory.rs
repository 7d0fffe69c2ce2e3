//! How many entries a zip archive's directory may turn out to have, before anything is made of it.
//!
//! What reads the directory holds all of it in memory, and looks for its end in more than one place if
//! the first is not right. So this does not look for it, but counts what could be an entry, and reads
//! every count of entries beyond 65,535 that may be meant.

use std::io::{self, Read, Seek, SeekFrom};

/// Begins an entry of the directory.
const ENTRY: [u8; 4] = *b"PK\x01\x02";
/// Begins the end of a directory with many entries.
const END: [u8; 4] = *b"PK\x06\x06";
/// As much of that end as says how many there are.
const ENOUGH: usize = 40;
const BUFFER: usize = 1 << 20;

/// The most entries that the directory of a zip archive may have.
pub(super) fn entries(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = Vec::with_capacity(BUFFER + ENOUGH);
    let (mut found, mut claimed) = (0, 0);
    loop {
        let read = file.by_ref().take(BUFFER as u64).read_to_end(&mut buffer)?;
        let is_end = read < BUFFER;
        // What begins in the last bytes is looked at with what follows.
        let until = if is_end {
            buffer.len()
        } else {
            buffer.len() - ENOUGH
        };
        for at in memchr::memchr_iter(b'P', &buffer[..until]) {
            let here = &buffer[at..];
            if here.starts_with(&ENTRY) {
                found += 1;
            } else if here.starts_with(&END) {
                claimed = claimed.max(count(here).unwrap_or(0));
            }
        }
        if is_end {
            return Ok(found.max(claimed));
        }
        buffer.drain(..until);
    }
}

/// The count in the end of a directory. It is there twice, for one disk and for all.
///
/// What reads the directory takes the one for all, whatever the disks are called. That there is one
/// disk, and that both counts are the same, is for it to check: here counts whatever is not certainly
/// refused. Compressed data in which this would stand by chance is not to be expected.
fn count(end: &[u8]) -> Option<u64> {
    let short = |at: usize| -> Option<u32> {
        let bytes = end.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let long = |at: usize| -> Option<u64> {
        let bytes = end.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    (short(16)? == short(20)? && long(24)? <= long(32)?).then(|| long(32))?
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn what_may_be_an_entry_is_counted() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for at in 0..500 {
            zip.start_file(format!("{at}"), options).unwrap();
            zip.write_all(&vec![b'P'; 9_000]).unwrap();
        }
        let mut bytes = zip.finish().unwrap().into_inner();
        assert!(bytes.len() > 4 * BUFFER);
        assert_eq!(entries(&mut Cursor::new(&bytes)).unwrap(), 500);
        // One that says that it has many more.
        let many = end([0, 0], [1 << 40, 1 << 40]);
        bytes.extend(&many);
        assert_eq!(entries(&mut Cursor::new(&bytes)).unwrap(), 1 << 40);
        assert_eq!(entries(&mut Cursor::new(b"")).unwrap(), 0);
    }

    /// The end of a directory that says on which disks it is, and how many entries there are.
    fn end(disks: [u32; 2], counts: [u64; 2]) -> Vec<u8> {
        let mut end = END.to_vec();
        end.extend(44_u64.to_le_bytes());
        end.extend([45, 0, 45, 0]);
        end.extend(disks.iter().flat_map(|disk| disk.to_le_bytes()));
        end.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
        // How long the directory is, and where it begins.
        end.extend((1_u64 << 40).to_le_bytes());
        end.extend(0_u64.to_le_bytes());
        end
    }

    #[test]
    fn an_end_that_is_not_certainly_refused_counts() {
        let told = |disks, counts| count(&end(disks, counts));
        assert_eq!(told([0, 0], [7, 7]), Some(7));
        assert_eq!(told([0, 0], [1, 7]), Some(7), "less on this disk");
        assert_eq!(told([3, 3], [7, 7]), Some(7), "another disk");
        assert_eq!(told([0, 1], [7, 7]), None);
        assert_eq!(told([0, 0], [8, 7]), None);
        assert_eq!(count(&end([0, 0], [7, 7])[..39]), None);
    }

    /// What does not count here must be refused there: a whole archive, whose end says other things.
    #[test]
    fn what_does_not_count_is_refused() {
        let archive = |disks, counts| {
            let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
            zip.start_file("a", SimpleFileOptions::default()).unwrap();
            let mut bytes = zip.finish().unwrap().into_inner();
            let old = bytes.split_off(bytes.len() - 22);
            let directory = u32::from_le_bytes(old[16..20].try_into().unwrap());
            let at = bytes.len() as u64;
            let mut end = end(disks, counts);
            end[40..48].copy_from_slice(&(at - u64::from(directory)).to_le_bytes());
            end[48..56].copy_from_slice(&u64::from(directory).to_le_bytes());
            bytes.extend(end);
            // Where that lies, and the end of an archive with few entries, which leads there.
            bytes.extend(b"PK\x06\x07");
            bytes.extend(disks[1].to_le_bytes());
            bytes.extend(at.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(b"PK\x05\x06\0\0\0\0");
            bytes.extend([0xff; 12]);
            bytes.extend([0, 0]);
            bytes
        };
        let is_taken = |disks, counts| {
            let bytes = archive(disks, counts);
            zip::ZipArchive::new(Cursor::new(bytes)).is_ok()
        };
        assert!(is_taken([0, 0], [1, 1]), "the archive is made well");
        for disks in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            for counts in [[0, 1], [1, 1], [2, 1], [u64::MAX, 1]] {
                let counted = count(&end(disks, counts)).is_some();
                assert!(counted || !is_taken(disks, counts), "{disks:?} {counts:?}");
            }
        }
    }
}
