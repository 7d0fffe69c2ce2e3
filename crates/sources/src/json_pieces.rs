//! Cuts a JSON object between its members, so that pieces of it can be read side by side.
//!
//! Nothing is read: only strings and nesting are minded. What is cut may still be no JSON, which
//! whoever reads the pieces will find; what cannot be cut is not judged.

/// What is between the braces of an object.
pub(crate) fn inside_braces(text: &[u8]) -> Option<&[u8]> {
    text.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")
}

/// Cuts the members of an object into pieces of whole members, each of which is worth a task.
pub(crate) fn cut(members: &[u8]) -> Option<Vec<&[u8]>> {
    cut_at_least(members, PIECE)
}

/// The value of a member, among a few members.
pub(crate) fn value_of<'j>(members: &'j [u8], key: &str) -> Option<&'j [u8]> {
    let member = cut_at_least(members, 0)?
        .into_iter()
        .find(|member| first_key(member) == Some(key))?;
    let colon = member.iter().position(|byte| *byte == b':')?;
    member.get(colon + 1..)
}

/// The key that a piece begins with, if it is plain.
pub(crate) fn first_key(piece: &[u8]) -> Option<&str> {
    let piece = piece.trim_ascii_start().strip_prefix(b"\"")?;
    let end = piece.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (piece[end] == b'"')
        .then(|| std::str::from_utf8(&piece[..end]).ok())
        .flatten()
}

/// A piece as an object of its own.
pub(crate) fn as_object(piece: &[u8]) -> Vec<u8> {
    let mut object = Vec::with_capacity(piece.len() + 2);
    object.push(b'{');
    object.extend_from_slice(piece);
    object.push(b'}');
    object
}

/// How long a piece is at least: long enough to be worth a task, short enough to be shared fairly.
const PIECE: usize = 64 << 10;

fn cut_at_least(members: &[u8], least: usize) -> Option<Vec<&[u8]>> {
    let mut pieces = Vec::new();
    let mut scan = Scan::new(members);
    let mut start = 0;
    while let Some(comma) = scan.next_comma() {
        if comma - start >= least {
            pieces.push(&members[start..comma]);
            start = comma + 1;
        }
    }
    pieces.push(&members[start..]);
    scan.balanced().then_some(pieces)
}

/// Walks over JSON without reading it: only strings and nesting are minded.
struct Scan<'j> {
    json: &'j [u8],
    at: usize,
    depth: usize,
    broken: bool,
}

impl<'j> Scan<'j> {
    fn new(json: &'j [u8]) -> Self {
        Self {
            json,
            at: 0,
            depth: 0,
            broken: false,
        }
    }

    /// The next comma outside of all strings, objects and arrays.
    fn next_comma(&mut self) -> Option<usize> {
        while let Some(&byte) = self.json.get(self.at) {
            let at = self.at;
            self.at += 1;
            match byte {
                b'"' => self.skip_string(),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => match self.depth.checked_sub(1) {
                    Some(depth) => self.depth = depth,
                    None => {
                        self.broken = true;
                        return None;
                    }
                },
                b',' if self.depth == 0 => return Some(at),
                _ => {}
            }
        }
        None
    }

    fn skip_string(&mut self) {
        loop {
            let rest = self.json.get(self.at..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest[found] == b'"' => {
                    self.at += found + 1;
                    return;
                }
                Some(found) => self.at += found + 2,
                None => {
                    self.at = self.json.len();
                    self.broken = true;
                    return;
                }
            }
        }
    }

    /// Whether all that was opened was closed.
    fn balanced(&self) -> bool {
        self.depth == 0 && !self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_they_hold() {
        let json = br#" {"a": "},{\"", "b\\": [1, {"c": ","}], "d":{}} "#;
        let members = inside_braces(json).unwrap();
        let pieces = cut_at_least(members, 0).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_eq!(first_key(pieces[0]), Some("a"));
        assert_eq!(first_key(pieces[1]), None);
        assert_eq!(value_of(members, "d"), Some(&b"{}"[..]));
        assert_eq!(value_of(members, "e"), None);
    }

    #[test]
    fn what_is_not_balanced_is_not_cut() {
        for members in [
            "\"a",
            "\"a\\",
            "{",
            "[",
            "]",
            "}{",
            "\"a\": {\"b\"",
            "\"\\\"",
        ] {
            assert_eq!(cut(members.as_bytes()), None, "{members}");
        }
        for text in ["", "{", "}", "{}x", "[]"] {
            assert_eq!(inside_braces(text.as_bytes()), None, "{text}");
        }
    }
}
