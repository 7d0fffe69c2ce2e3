//! Texts that packages carry about themselves, and what all readers of texts share.

pub(crate) mod dotnet;
pub(crate) mod gemspec;
pub(crate) mod npm;
pub(crate) mod python;
pub(crate) mod sbom;

use std::borrow::Cow;
use std::cell::Cell;

use memchr::memchr_iter;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::part::Span;
use crate::read::PartsError;

/// A text whose places are told as lines.
pub(crate) struct Text<'a> {
    text: Cow<'a, str>,
    /// An offset whose line was asked for, and how many lines end before it. Places are asked for in
    /// their order, so that a table of all lines would only cost memory.
    last: Cell<(usize, usize)>,
}

/// The most bytes of a text that is read as TOML, whose reader takes up to seventy times as many.
const MOST_TOML: usize = 8 << 20;

impl<'a> Text<'a> {
    /// From bytes. What is not UTF-8 is replaced: old metadata is in any encoding, and its names
    /// and versions are ASCII.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Self {
            text: String::from_utf8_lossy(bytes),
            last: Cell::default(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The lines with their places, without what ends them.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Span, &str)> {
        let lines = self.text.split('\n').enumerate();
        lines.map(|(index, line)| (line_span(index), line.strip_suffix('\r').unwrap_or(line)))
    }

    /// The line of an offset.
    pub(crate) fn line_of(&self, offset: usize) -> Span {
        let bytes = self.text.as_bytes();
        let offset = offset.min(bytes.len());
        let (from, before) = match self.last.get() {
            last if last.0 <= offset => last,
            _ => (0, 0),
        };
        let lines = before + memchr_iter(b'\n', &bytes[from..offset]).count();
        self.last.set((offset, lines));
        line_span(lines)
    }

    /// The line at which a piece of this text begins.
    pub(crate) fn line_of_piece(&self, piece: &str) -> Span {
        let offset = (piece.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if offset > self.text.len() {
            return Span::Whole;
        }
        self.line_of(offset)
    }

    /// This text as JSON.
    pub(crate) fn json<'t, T: Deserialize<'t>>(
        &'t self,
        format: &'static str,
    ) -> Result<T, PartsError> {
        serde_json::from_str(&self.text).map_err(|error| PartsError::Malformed {
            format,
            what: error.to_string(),
        })
    }

    /// This text as TOML.
    pub(crate) fn toml<'t, T: Deserialize<'t>>(
        &'t self,
        format: &'static str,
    ) -> Result<T, PartsError> {
        if self.text.len() > MOST_TOML {
            return Err(PartsError::TooLarge {
                what: format,
                limit: MOST_TOML as u64,
            });
        }
        toml::from_str(&self.text).map_err(|error| PartsError::Malformed {
            format,
            what: error.message().to_owned(),
        })
    }
}

fn line_span(index: usize) -> Span {
    Span::Line(u32::try_from(index + 1).unwrap_or(u32::MAX))
}

/// The members of a JSON object in their order, with values that are not read yet.
///
/// A map would sort them and lose their places.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'a>, &'a RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// A name that is borrowed where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A value that is text, or nothing if it is anything else: a stranger's `"version": 3` must not
/// hide the rest of a file.
pub(crate) fn text_or_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

/// A value that is true; false if it is anything else.
pub(crate) fn is_true<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value == serde_json::Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_lines() {
        let text = Text::new(b"\xef\xbb\xbfa\r\nb\n\nc");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], (Span::Line(1), "a"));
        assert_eq!(lines[3], (Span::Line(4), "c"));
        assert_eq!(text.line_of(0), Span::Line(1));
        assert_eq!(text.line_of_piece(lines[1].1), Span::Line(2));
        assert_eq!(text.line_of_piece(lines[3].1), Span::Line(4));
        assert_eq!(text.line_of_piece(lines[1].1), Span::Line(2));
        assert_eq!(text.line_of_piece("elsewhere"), Span::Whole);
    }

    #[test]
    fn members_keep_their_order() {
        let text = Text::new(br#"{"z": 1, "\u0061": {"deep": []}}"#);
        let members: Members<'_> = text.json("JSON").unwrap();
        let names: Vec<&str> = members.0.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["z", "a"]);
        assert_eq!(members.0[1].1.get(), r#"{"deep": []}"#);
    }
}
