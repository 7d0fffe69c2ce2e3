//! Gem specifications as RubyGems writes them when it installs a gem: Ruby, of which only literals
//! of known form are read. Nothing is evaluated.
//!
//! Source: `Gem::Specification#to_ruby` of RubyGems.

use super::Text;
use crate::part::{Declared, Scope, Span};
use crate::read::{Draft, Sink};

/// Adds the gem.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) {
    let mut name = None;
    let mut version = None;
    for (span, line) in text.lines() {
        let Some((target, value)) = line.trim().split_once('=') else {
            continue;
        };
        match target.trim() {
            "s.name" => name = name.or(literal(value).map(|value| (value, span))),
            "s.version" => version = version.or(literal(value)),
            _ => {}
        }
    }
    match (name, version) {
        (Some((name, span)), Some(version)) => {
            let draft = Draft::new("gem", name, version, span).scope(Scope::Runtime);
            sink.add(Declared::Gemspec, draft);
        }
        _ => sink.problem(
            Span::Whole,
            "a gemspec whose name or version is not a plain text",
        ),
    }
}

/// The text of a literal without interpolation or escapes: `"a".freeze`, `'a'`, `%q{a}`.
fn literal(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = text.strip_suffix(".freeze").unwrap_or(text);
    let inner = |open: &str, close: char| text.strip_prefix(open)?.strip_suffix(close);
    let value = inner("\"", '"')
        .or_else(|| inner("'", '\''))
        .or_else(|| inner("%q{", '}'))
        .or_else(|| inner("%q<", '>'))
        .or_else(|| inner("%q(", ')'))?;
    let plain = !value.contains(['"', '\'', '\\', '#', '{', '}', '<', '>', '(', ')']);
    plain.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        assert_eq!(literal(r#" "rake".freeze"#), Some("rake"));
        assert_eq!(literal("'13.0.6'"), Some("13.0.6"));
        assert_eq!(literal("%q{rake}"), Some("rake"));
        assert_eq!(literal("%q<rake>.freeze"), Some("rake"));
        assert_eq!(literal(r#""a#{`id`}""#), None);
        assert_eq!(literal(r#""a" + "b""#), None);
        assert_eq!(literal("RAKE_VERSION"), None);
        assert_eq!(literal("\""), None);
    }
}
