//! What the helper and who started it say to each other: frames of a length and fields.

use std::io::{self, Read, Write};

/// The longest frame, in bytes: arguments and an environment.
const MAX_FRAME: usize = 8 << 20;

/// Writes a frame. No field holds a NUL, since arguments and environments hold none.
pub(crate) fn write(mut to: impl Write, fields: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    for field in fields {
        let field = field.as_ref();
        if field.contains(&0) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        bytes.extend_from_slice(field);
        bytes.push(0);
    }
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&bytes)
}

/// Reads a frame; none if the other side is gone.
pub(crate) fn read(mut from: impl Read) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    match bytes.pop() {
        None => Ok(Some(Vec::new())),
        Some(0) => Ok(Some(
            bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
        )),
        Some(_) => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_as_they_went() {
        for fields in [vec![], vec![""], vec!["a", "", "b=c d"]] {
            let mut bytes = Vec::new();
            write(&mut bytes, &fields).unwrap();
            let read = read(bytes.as_slice()).unwrap().unwrap();
            let fields: Vec<Vec<u8>> = fields.iter().map(|f| f.as_bytes().to_vec()).collect();
            assert_eq!(read, fields);
        }
        assert_eq!(read([].as_slice()).unwrap(), None);
        assert!(write(Vec::new(), &["a\0b"]).is_err());
        assert!(read([0xff, 0xff, 0xff, 0xff].as_slice()).is_err());
        assert!(read([1, 0, 0, 0, b'a'].as_slice()).is_err());
        assert!(read([9, 0, 0, 0, b'a'].as_slice()).is_err());
    }
}
