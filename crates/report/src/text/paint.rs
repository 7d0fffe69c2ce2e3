//! Colour, numbers and columns.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

pub use crate::words::number;

/// How text is styled; or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    /// With colour or without.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// The name of a package.
    pub fn name(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// Something that can be done.
    pub fn action(self, text: &str) -> String {
        self.with(Style::new().fg_color(Some(AnsiColor::Cyan.into())), text)
    }

    /// Known exploitation: filled, not just redder.
    pub fn exploited(self, text: &str) -> String {
        self.with(
            Style::new()
                .bold()
                .invert()
                .fg_color(Some(AnsiColor::Red.into())),
            text,
        )
    }

    /// What is said beside.
    pub fn quiet(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// A severity, with its word.
    pub fn rating(self, rating: &str, text: &str) -> String {
        let style = match rating {
            "critical" => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
            "high" => Style::new().fg_color(Some(AnsiColor::Red.into())),
            "medium" => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            "low" | "none" => Style::new().fg_color(Some(AnsiColor::Blue.into())),
            _ => Style::new(),
        };
        self.with(style, text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// `1 package`, `2 packages`.
pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// A line with a left and a right part; the right one goes below where both do not fit.
///
/// `plain` is the left part without styles, by which it is measured.
pub(super) fn both_ends(
    out: &mut String,
    left: &str,
    plain: &str,
    right: &str,
    right_plain: &str,
    width: usize,
) {
    let (a, b) = (plain.width(), right_plain.width());
    if right_plain.is_empty() {
        let _ = writeln!(out, "{left}");
    } else if a + 2 + b <= width {
        let _ = writeln!(out, "{left}{}{right}", " ".repeat(width - a - b));
    } else {
        let _ = writeln!(
            out,
            "{left}\n{}{right}",
            " ".repeat(width.saturating_sub(b).min(4))
        );
    }
}

/// Short parts side by side, as many in a line as fit; each with its plain form, by which it is
/// measured.
pub(super) fn row(out: &mut String, indent: usize, parts: &[(String, String)], width: usize) {
    const GAP: usize = 3;
    let mut column = 0;
    for (plain, painted) in parts {
        let length = plain.width();
        if column > 0 && column + GAP + length > width {
            out.push('\n');
            column = 0;
        }
        let space = if column == 0 { indent } else { GAP };
        out.push_str(&" ".repeat(space));
        out.push_str(painted);
        column += space + length;
    }
    out.push('\n');
}

/// Words in lines of at most `width` columns, all but the first indented.
pub(crate) fn wrap(out: &mut String, indent: usize, text: &str, width: usize) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.width();
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_can_be_off() {
        assert_eq!(Paint::new(false).exploited("x"), "x");
        assert!(Paint::new(true).exploited("x").starts_with('\u{1b}'));
    }

    #[test]
    fn parts_stand_side_by_side() {
        let mut out = String::new();
        let parts = ["one", "two", "three"].map(|part| (part.to_owned(), format!("<{part}>")));
        row(&mut out, 2, &parts, 12);
        assert_eq!(out, "  <one>   <two>\n  <three>\n");
    }

    #[test]
    fn text_is_wrapped_by_words() {
        let mut out = String::new();
        wrap(&mut out, 2, "one two three four", 11);
        assert_eq!(out, "  one two\n  three\n  four\n");
    }
}
