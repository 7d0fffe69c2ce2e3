//! Bodies in chunks, as RFC 9112 section 7.1 has them: read strictly, a piece at a time.

/// The longest line of a size with its extensions, in bytes.
const MOST_LINE: usize = 512;
/// So many bytes of trailers are read, and left out.
const MOST_TRAILERS: usize = 8 << 10;

/// Reads one body.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// What came of a line that is not whole.
    line: Vec<u8>,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd(u8),
    Trailers,
    Done,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes of what was given are of the frame; none of it is of the body.
    Frame(usize),
    /// So many bytes, from the first on, are of the body.
    Data(usize),
    /// The body ends before what was given.
    End,
}

/// The chunks are malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chunk is malformed")]
pub struct ChunkError;

impl Decoder {
    /// Looks at what comes next; at least one byte has to be there, unless the body has ended.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Piece, ChunkError> {
        match self.state {
            State::Done => Ok(Piece::End),
            State::Data(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - here as u64;
                self.state = if left == 0 {
                    State::DataEnd(0)
                } else {
                    State::Data(left)
                };
                Ok(Piece::Data(here))
            }
            State::DataEnd(at) => match (at, bytes.first()) {
                (0, Some(b'\r')) => {
                    self.state = State::DataEnd(1);
                    Ok(Piece::Frame(1))
                }
                (1, Some(b'\n')) => {
                    self.state = State::Size;
                    Ok(Piece::Frame(1))
                }
                (_, None) => Ok(Piece::Frame(0)),
                _ => Err(ChunkError),
            },
            State::Size => {
                let (taken, whole) = self.take_line(bytes, MOST_LINE)?;
                if whole {
                    let size = size_of(&self.line)?;
                    self.line.clear();
                    self.state = if size == 0 {
                        State::Trailers
                    } else {
                        State::Data(size)
                    };
                }
                Ok(Piece::Frame(taken))
            }
            State::Trailers => {
                let (taken, whole) = self.take_line(bytes, MOST_TRAILERS)?;
                self.trailers += taken;
                if self.trailers > MOST_TRAILERS {
                    return Err(ChunkError);
                }
                if whole {
                    if self.line.is_empty() {
                        self.state = State::Done;
                    }
                    self.line.clear();
                }
                Ok(Piece::Frame(taken))
            }
        }
    }

    /// Whether the body is whole.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes up to the end of a line; the line is then without its end.
    fn take_line(&mut self, bytes: &[u8], most: usize) -> Result<(usize, bool), ChunkError> {
        for (at, &byte) in bytes.iter().enumerate() {
            match (byte, self.line.last()) {
                (b'\n', Some(b'\r')) => {
                    self.line.pop();
                    return Ok((at + 1, true));
                }
                (b'\n', _) | (_, Some(b'\r')) => return Err(ChunkError),
                (b'\r' | b'\t' | 0x20..=0x7e | 0x80.., _) => self.line.push(byte),
                _ => return Err(ChunkError),
            }
            if self.line.len() > most {
                return Err(ChunkError);
            }
        }
        Ok((bytes.len(), false))
    }
}

/// The size; extensions behind `;` say nothing that anybody uses.
fn size_of(line: &[u8]) -> Result<u64, ChunkError> {
    let end = line
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(line.len());
    let digits = &line[..end];
    if !matches!(digits.len(), 1..=15) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(ChunkError);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(ChunkError)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what is left, reading so many bytes at a time.
    fn decode(text: &[u8], step: usize) -> Result<(Vec<u8>, usize), ChunkError> {
        let (mut decoder, mut body, mut at) = (Decoder::default(), Vec::new(), 0);
        while !decoder.is_done() {
            let end = text.len().min(at + step);
            if at == end {
                return Err(ChunkError);
            }
            match decoder.next(&text[at..end])? {
                Piece::Frame(taken) => at += taken,
                Piece::Data(taken) => {
                    body.extend_from_slice(&text[at..at + taken]);
                    at += taken;
                }
                Piece::End => break,
            }
        }
        Ok((body, text.len() - at))
    }

    #[test]
    fn chunks_are_read_however_they_come() {
        let text =
            b"4\r\nWiki\r\n6;a=b\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\nnext";
        for step in 1..text.len() {
            let (body, left) = decode(text, step).unwrap();
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.");
            assert_eq!(left, 4);
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for wrong in [
            "4\nWiki\r\n0\r\n\r\n",
            "4\r\nWiki0\r\n\r\n",
            "4\r\nWiki\n0\r\n\r\n",
            "+4\r\nWiki\r\n0\r\n\r\n",
            "0x4\r\nWiki\r\n0\r\n\r\n",
            " 4\r\nWiki\r\n0\r\n\r\n",
            "4 \r\nWiki\r\n0\r\n\r\n",
            "4;a\nb\r\nWiki\r\n0\r\n\r\n",
            "\r\nWiki\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
            "-1\r\n",
            "4\r\nWi",
            "0\r\nX: y\n\r\n",
        ] {
            assert_eq!(decode(wrong.as_bytes(), 100), Err(ChunkError), "{wrong:?}");
        }
        let long = format!("4;{}\r\n", "a".repeat(600));
        assert_eq!(decode(long.as_bytes(), 100), Err(ChunkError));
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(3000));
        assert_eq!(decode(trailers.as_bytes(), 1000), Err(ChunkError));
    }

    proptest::proptest! {
        #[test]
        fn steps_make_no_difference(
            text in proptest::collection::vec(proptest::sample::select(b"014a\r\n;x ".to_vec()), 0..60),
            step in 1usize..20,
        ) {
            proptest::prop_assert_eq!(decode(&text, step).ok(), decode(&text, 100).ok());
        }
    }
}
