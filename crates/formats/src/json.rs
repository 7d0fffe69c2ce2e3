//! JSON in and out, the same way for every format.
//!
//! Reading names the place of an error; writing gives the same bytes for the same value and escapes
//! every character that could steer a terminal or reorder text, which JSON allows and readers undo.

use std::io::{self, BufWriter, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use serde_path_to_error::Segment;

use crate::error::{ReadError, WriteError};
use crate::text::{self, is_hostile};
use crate::{Format, Limits};

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Two spaces of indentation, a newline at the end: for people, and for files under review.
    #[default]
    Pretty,
    /// One line, with a newline at the end.
    Compact,
}

/// Writes a value with [`Layout`] and escapes; ends with a newline.
pub(crate) fn write<T: Serialize>(
    format: Format,
    value: &T,
    layout: Layout,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    // The serializer writes a few bytes at a time.
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let written = match layout {
        Layout::Pretty => serialize(value, &mut out, PrettyFormatter::new()),
        Layout::Compact => serialize(value, &mut out, CompactFormatter),
    };
    written
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(|source| WriteError { format, source })
}

/// Reads a value within limits; an error carries the JSON pointer of its place.
pub(crate) fn read<T: DeserializeOwned>(
    format: Format,
    json: &[u8],
    limits: &Limits,
) -> Result<T, ReadError> {
    let json = without_byte_order_mark(json);
    limits.check_json(format, json)?;
    serde_json::from_slice(json).or_else(|_| {
        // Following the path costs time, so it is followed only once there is an error to place.
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let followed: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
        let (pointer, source) = match followed {
            Err(error) => (pointer(error.path()), error.into_inner()),
            Ok(value) => match deserializer.end() {
                Err(source) => (String::new(), source),
                Ok(()) => return Ok(value),
            },
        };
        Err(ReadError::Malformed {
            format,
            pointer,
            source: source.into(),
        })
    })
}

/// Some tools begin a file with the mark; it is no part of JSON.
pub(crate) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// For `deserialize_with`: `null` is the same as absence, as several tools have it.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The path as RFC 6901 spells it, but for keys that are long or hostile.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&text::excerpt(key).replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

fn serialize<T: Serialize>(
    value: &T,
    out: &mut impl Write,
    layout: impl Formatter,
) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Escaping(layout));
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// A layout that also escapes what [`is_hostile`].
struct Escaping<F>(F);

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        if fragment.bytes().all(|byte| byte < 0x7F) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut copied = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_hostile(*c)) {
            writer.write_all(&fragment.as_bytes()[copied..at])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            copied = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[copied..])
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &serde_json::Value, layout: Layout) -> String {
        let mut out = Vec::new();
        write(Format::Sarif, value, layout, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hostile_text_is_escaped_and_comes_back() {
        let text = "a\u{1b}[31m\u{9b}31m\u{202e}\u{7f}\u{e0001}é日\n\"\\";
        let out = written(&text.into(), Layout::Compact);
        assert_eq!(
            out,
            "\"a\\u001b[31m\\u009b31m\\u202e\\u007f\\udb40\\udc01é日\\n\\\"\\\\\"\n"
        );
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }

    #[test]
    fn both_layouts_end_with_a_newline() {
        let value = serde_json::json!({"b": [1, 2], "a": {}});
        assert_eq!(written(&value, Layout::Compact), "{\"a\":{},\"b\":[1,2]}\n");
        assert_eq!(
            written(&value, Layout::Pretty),
            "{\n  \"a\": {},\n  \"b\": [\n    1,\n    2\n  ]\n}\n"
        );
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = write(Format::Sarif, &1, Layout::Compact, &mut Full).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        insta::assert_snapshot!(error, @"cannot write the SARIF document");
    }

    #[test]
    fn errors_carry_their_place() {
        #[derive(Debug, Deserialize)]
        struct Outer {
            #[expect(dead_code, reason = "only its reading is tested")]
            list: Vec<u8>,
        }
        let error =
            read::<Outer>(Format::Sarif, br#"{"list": [1, "x"]}"#, &Limits::default()).unwrap_err();
        insta::assert_snapshot!(error, @"cannot read the SARIF document at `/list/1`");
        let error = read::<Outer>(Format::Sarif, br#"{"list": []} x"#, &Limits::default());
        assert!(matches!(error, Err(ReadError::Malformed { .. })));
    }
}
