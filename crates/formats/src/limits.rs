//! How much of a stranger's document is taken on, measured before any of it is built in memory.
//!
//! One pass over the bytes counts what a parser would allocate for: it is iterative, needs no
//! memory, and does not judge whether the JSON is well formed; that is the parser's word.

use crate::Format;
use crate::error::{Place, ReadError};

/// What a reader takes before it refuses.
///
/// The defaults fit the largest documents that tools write for whole images and package sets, and
/// keep a hostile document to about two gigabytes of memory in the worst case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document.
    pub bytes: usize,
    /// Nesting of JSON objects and arrays; a component within a component is two levels.
    /// More than 100 has no effect, so that a small stack is enough.
    pub depth: usize,
    /// JSON objects: components, packages, relationships, hashes, properties and so on.
    pub objects: usize,
    /// JSON values of any kind (an upper bound of them), or tags of a tag-value document.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            depth: 64,
            objects: 4_000_000,
            values: 16_000_000,
        }
    }
}

impl Limits {
    /// Refuses a document that is over a limit, naming the limit and the place.
    pub(crate) fn check_json(&self, format: Format, json: &[u8]) -> Result<(), ReadError> {
        self.check_size(format, json)?;
        let max_depth = self.depth.min(MAX_DEPTH);
        let mut depth = 0_usize;
        let mut objects = 0_usize;
        let mut values = 1_usize;
        let mut at = 0;
        while let Some(&byte) = json.get(at) {
            match byte {
                b'"' => at = end_of_string(json, at),
                b'{' | b'[' => {
                    depth += 1;
                    values += 1;
                    objects += usize::from(byte == b'{');
                    if depth > max_depth {
                        return Err(ReadError::TooDeep {
                            format,
                            limit: max_depth,
                            place: Place::of_offset(json, at),
                        });
                    }
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => values += 1,
                _ => {}
            }
            if objects > self.objects || values > self.values {
                let (what, limit) = if objects > self.objects {
                    ("objects", self.objects)
                } else {
                    ("values", self.values)
                };
                return Err(ReadError::TooMany {
                    format,
                    what,
                    limit,
                    place: Place::of_offset(json, at),
                });
            }
            at += 1;
        }
        Ok(())
    }

    pub(crate) fn check_size(&self, format: Format, bytes: &[u8]) -> Result<(), ReadError> {
        if bytes.len() > self.bytes {
            return Err(ReadError::TooLarge {
                format,
                bytes: bytes.len(),
                limit: self.bytes,
            });
        }
        Ok(())
    }
}

/// `serde_json` itself stops at 128; a component is the largest frame, and this many fit a thread.
const MAX_DEPTH: usize = 100;

/// The place of the closing quote of the string that opens at `open`, or the last byte.
fn end_of_string(json: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        bytes: 40,
        depth: 3,
        objects: 2,
        values: 8,
    };

    fn check(json: &str) -> Result<(), String> {
        SMALL
            .check_json(Format::CycloneDx, json.as_bytes())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_fits_passes() {
        assert_eq!(check("[[[]]]"), Ok(()));
        assert_eq!(check(r#"{"[[[[{{{{,,,,,\"": [1]}"#), Ok(()));
        assert_eq!(check(r#"{"unfinished\"#), Ok(()));
    }

    #[test]
    fn every_limit_is_named_with_its_place() {
        insta::assert_snapshot!(check("[\n [[[]]]]").unwrap_err(), @"CycloneDX document refused: nested deeper than 3 levels at line 2, column 4");
        insta::assert_snapshot!(check("[{},{},{}]").unwrap_err(), @"CycloneDX document refused: more than 2 objects by line 1, column 8");
        insta::assert_snapshot!(check("[1,2,3,4,5,6,7,8]").unwrap_err(), @"CycloneDX document refused: more than 8 values by line 1, column 15");
        insta::assert_snapshot!(check(&" ".repeat(41)).unwrap_err(), @"CycloneDX document refused: 41 bytes, more than the limit of 40");
    }
}
