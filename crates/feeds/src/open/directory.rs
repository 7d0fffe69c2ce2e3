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

/// The count in the end of a directory: it is there twice, for one disk and for all, and there is one.
fn count(end: &[u8]) -> Option<u64> {
    let number = |at: usize| -> Option<u64> {
        let bytes = end.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    (number(16)? == 0 && number(24)? == number(32)?).then(|| number(32))?
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
        let mut end = END.to_vec();
        for number in [44_u64, 0, 0, 1 << 40, 1 << 40] {
            end.extend(number.to_le_bytes());
        }
        // Its fields begin with a length, two versions and two disks.
        end.drain(4..8);
        assert_eq!(count(&end), Some(1 << 40));
        bytes.extend(&end);
        assert_eq!(entries(&mut Cursor::new(&bytes)).unwrap(), 1 << 40);
        assert_eq!(entries(&mut Cursor::new(b"")).unwrap(), 0);
    }
}
