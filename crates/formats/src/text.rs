//! Others' text within messages: short, and without what could steer a terminal or reorder text.

/// Controls that JSON itself does not escape, and marks that reorder or hide text.
pub(crate) fn is_hostile(c: char) -> bool {
    matches!(c,
        '\u{7F}'..='\u{9F}'
        | '\u{AD}'
        | '\u{61C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}')
}

/// The first characters of a text, with an ellipsis where it goes on.
pub(crate) fn excerpt(text: &str) -> String {
    shown(text, 40)
}

/// A whole message that holds others' text.
pub(crate) fn message(text: &str) -> String {
    shown(text, 400)
}

fn shown(text: &str, length: usize) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == length {
            shown.push('…');
            break;
        }
        if c.is_control() || is_hostile(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_are_spelled_out() {
        assert_eq!(excerpt("grün `x`"), "grün `x`");
        assert_eq!(excerpt("\u{1b}[31m\u{202e}\n"), r"\u{1b}[31m\u{202e}\n");
        assert_eq!(excerpt(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
        assert_eq!(message(&"x".repeat(400)).len(), 400);
    }
}
