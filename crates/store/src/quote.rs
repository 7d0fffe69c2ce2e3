//! Strangers' text, made safe to print.
//!
//! Every error of this crate that repeats a piece of its input goes through [`Quoted`].
//! Deliberately absent: escaping for HTML, shells or JSON; those belong to whoever writes them.

use std::fmt;

use crate::hash::push_hex;

/// A piece of untrusted text for a person to read: in backticks, cut at 120 characters, with control
/// characters, bidirectional marks, other invisible characters and bytes that are not UTF-8 escaped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Quoted(String);

impl Quoted {
    /// The longest excerpt that is repeated, in characters of the input.
    pub const MAX_CHARS: usize = 120;

    /// Takes text or bytes that need not be UTF-8.
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        // Four bytes are the longest UTF-8 character: no more of the input has to be looked at.
        let head = &text[..text.len().min(4 * Self::MAX_CHARS)];
        let mut out = String::with_capacity(head.len().min(Self::MAX_CHARS) + 2);
        let mut left = Self::MAX_CHARS;
        let mut seen = 0;
        out.push('`');
        'outer: for chunk in head.utf8_chunks() {
            for character in chunk.valid().chars() {
                if left == 0 {
                    break 'outer;
                }
                left -= 1;
                seen += character.len_utf8();
                push_escaped(&mut out, character);
            }
            for byte in chunk.invalid() {
                if left == 0 {
                    break 'outer;
                }
                left -= 1;
                seen += 1;
                out.push_str("\\x");
                push_hex(&mut out, *byte);
            }
        }
        if seen < text.len() {
            out.push('…');
        }
        out.push('`');
        Self(out)
    }

    /// The escaped text with its backticks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn push_escaped(out: &mut String, character: char) {
    match character {
        '`' => out.push_str("\\`"),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if is_unsafe(character) => out.extend(character.escape_unicode()),
        _ => out.push(character),
    }
}

/// Whether a character can change how the text around it looks without being seen itself.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped() {
        assert_eq!(Quoted::new("plain ü").as_str(), "`plain ü`");
        assert_eq!(Quoted::new("a\u{1b}[31mb").as_str(), r"`a\u{1b}[31mb`");
        assert_eq!(Quoted::new("x\u{202e}y").as_str(), r"`x\u{202e}y`");
        assert_eq!(Quoted::new("`\\\n").as_str(), r"`\`\\\n`");
        assert_eq!(Quoted::new(b"a\xffb").as_str(), r"`a\xffb`");
    }

    #[test]
    fn long_text_is_cut() {
        let quoted = Quoted::new("é".repeat(500));
        assert_eq!(quoted.as_str().chars().count(), Quoted::MAX_CHARS + 3);
        assert!(quoted.as_str().ends_with("…`"));
        assert!(
            !Quoted::new("a".repeat(Quoted::MAX_CHARS))
                .as_str()
                .contains('…')
        );
    }
}
