//! Others' text, made harmless: names, titles, URLs and ranges come from strangers.
//!
//! Control characters, ANSI sequences, bidirectional marks and invisible characters are shown as
//! `\u{…}` instead of being obeyed. Source: Unicode TR #36, Unicode Security Considerations.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text that can be shown in a terminal or a page, on one line.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if is_harmless(c) => out.push(c),
            '\t' | '\n' | '\r' => out.push(' '),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// The same for a JSON text: what would be obeyed stands in its strings as `\u202e`, which means the
/// same to every reader of JSON and nothing to a terminal.
pub fn json(text: String) -> String {
    // Outside of strings JSON has only line ends and spaces.
    let is_plain = |c: char| is_harmless(c) || c == '\n';
    if text.chars().all(is_plain) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_plain(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

fn is_harmless(c: char) -> bool {
    !c.is_control() && !is_invisible(c)
}

/// Marks that change the direction of text, or that are not seen at all.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A text cut to so many columns, with an ellipsis where something is missing.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let (mut width, mut out) = (1, String::new());
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_obeyed_is_shown() {
        assert_eq!(line("openssl"), "openssl");
        assert_eq!(line("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(line("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(line("a\r\nb\u{0}"), "a  b\\u{0}");
        assert_eq!(line("naïve ⇒ 好"), "naïve ⇒ 好");
    }

    #[test]
    fn json_means_the_same() {
        let text =
            serde_json::to_string_pretty(&["a\u{202e}\u{9b}\u{e0001}\u{1b}\n", "naïve"]).unwrap();
        let escaped = json(text.clone());
        assert_eq!(
            escaped,
            "[\n  \"a\\u202e\\u009b\\udb40\\udc01\\u001b\\n\",\n  \"naïve\"\n]"
        );
        let read = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap();
        assert_eq!(read(&text), read(&escaped));
    }

    #[test]
    fn long_text_is_cut_by_columns() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("好好好", 5), "好好…");
    }
}
