//! Structured attributes as text: JSON the way Nix dumps it.
//!
//! Nix sorts keys, writes no spaces, and escapes control characters, quotes and backslashes only.
//! Where structured attributes become the text `__json`, numbers are kept as they stand, since whoever reads
//! them into a float and out again has changed the derivation. Where the text becomes JSON for others to
//! read, numbers are printed as Nix prints them.

use serde_json::value::RawValue;

use super::write::string_len;

/// What becomes of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// They stay as they are.
    Keep,
    /// They are read and printed again.
    AsNix,
}

/// How deep arrays and objects may be nested, as in all JSON that is read here.
const DEPTH: usize = 128;

/// Rewrites valid JSON; an error if it is nested too deep.
pub(super) fn canonical(json: &RawValue, numbers: Numbers) -> Result<String, serde_json::Error> {
    let mut scanner = Scanner { rest: json.get() };
    // Each open array or object, with what has been written of it.
    let mut open: Vec<Open> = Vec::new();
    loop {
        if open.len() > DEPTH {
            return Err(serde::de::Error::custom("recursion limit exceeded"));
        }
        let done = match scanner.token() {
            Token::Open('{') => {
                open.push(Open::Object {
                    entries: Vec::new(),
                    key: None,
                });
                continue;
            }
            Token::Open(_) => {
                open.push(Open::Array { items: Vec::new() });
                continue;
            }
            Token::Between => continue,
            Token::End => return Ok(String::new()),
            Token::Close => match open.pop() {
                Some(container) => container.finish(),
                None => return Ok(String::new()),
            },
            Token::String(text) => {
                let string: String = serde_json::from_str(text)?;
                if let Some(Open::Object {
                    key: key @ None, ..
                }) = open.last_mut()
                {
                    *key = Some(string);
                    continue;
                }
                string_text(&string)
            }
            Token::Other(text) if numbers == Numbers::AsNix => number(text),
            Token::Other(text) => text.to_owned(),
        };
        match open.last_mut() {
            None => return Ok(done),
            Some(Open::Array { items }) => items.push(done),
            Some(Open::Object { entries, key }) => {
                entries.push((key.take().unwrap_or_default(), done));
            }
        }
    }
}

/// Appends a string with its quotes.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut start = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            0..32 => &[
                b'\\',
                b'u',
                b'0',
                b'0',
                b'0' + (byte >> 4),
                b"0123456789abcdef"[usize::from(byte & 15)],
            ],
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[start..index]);
        out.extend_from_slice(escape);
        start = index + 1;
    }
    out.extend_from_slice(&text.as_bytes()[start..]);
    out.push(b'"');
}

fn string_text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    // Escapes are ASCII and everything else is copied.
    String::from_utf8(out).unwrap_or_default()
}

/// Prints a number as Nix's JSON library does; other words stay as they are.
fn number(text: &str) -> String {
    if text.starts_with(|first: char| first.is_ascii_lowercase()) {
        return text.to_owned();
    }
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(integer) = text.parse::<i64>() {
            return integer.to_string();
        }
        if let Ok(integer) = text.parse::<u64>() {
            return integer.to_string();
        }
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => float_text(float),
        _ => text.to_owned(),
    }
}

/// The shortest digits that are read as the same number, with an exponent where the point would be
/// more than 15 digits to the right or more than 4 to the left of the first.
fn float_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if float == 0.0 {
        return format!("{sign}0.0");
    }
    let point = exponent + 1;
    let unsigned = match usize::try_from(point) {
        Ok(point @ 1..=15) if digits.len() <= point => {
            format!("{digits}{}.0", "0".repeat(point - digits.len()))
        }
        Ok(point @ 1..=15) => format!("{}.{}", &digits[..point], &digits[point..]),
        _ if (-3..=0).contains(&point) => {
            format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
        }
        _ => {
            let fraction = if digits.len() > 1 {
                format!(".{}", &digits[1..])
            } else {
                String::new()
            };
            let exponent_sign = if exponent < 0 { '-' } else { '+' };
            format!(
                "{}{fraction}e{exponent_sign}{:02}",
                &digits[..1],
                exponent.unsigned_abs()
            )
        }
    };
    format!("{sign}{unsigned}")
}

enum Open {
    Array {
        items: Vec<String>,
    },
    Object {
        entries: Vec<(String, String)>,
        key: Option<String>,
    },
}

impl Open {
    fn finish(self) -> String {
        match self {
            Self::Array { items } => format!("[{}]", items.join(",")),
            Self::Object { mut entries, .. } => {
                // Of a key that is there twice, the last value counts.
                entries.reverse();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                entries.dedup_by(|later, earlier| later.0 == earlier.0);
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}:{value}", string_text(key)))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }
}

enum Token<'a> {
    Open(char),
    Close,
    /// `,` or `:`.
    Between,
    /// A string with its quotes.
    String(&'a str),
    /// A number, `true`, `false` or `null`.
    Other(&'a str),
    End,
}

/// Cuts JSON that is known to be valid.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn token(&mut self) -> Token<'a> {
        const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
        let rest = self.rest.trim_start_matches(SPACE);
        let Some(first) = rest.chars().next() else {
            return Token::End;
        };
        let length = match first {
            '"' => string_len(rest.as_bytes()),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest
                .find([',', '}', ']', ' ', '\t', '\n', '\r'])
                .unwrap_or(rest.len()),
        };
        let (token, rest) = rest.split_at(length);
        self.rest = rest;
        match first {
            '{' | '[' => Token::Open(first),
            '}' | ']' => Token::Close,
            ',' | ':' => Token::Between,
            '"' => Token::String(token),
            _ => Token::Other(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(json: &str, numbers: Numbers) -> String {
        canonical(serde_json::from_str(json).unwrap(), numbers).unwrap()
    }

    #[test]
    fn as_nix_dumps() {
        let keep = |json| rewrite(json, Numbers::Keep);
        assert_eq!(
            keep(r#" { "b" : [ 1 , 2.50, 1e3 ,true,null ] , "a" : { } , "c":[] } "#),
            r#"{"a":{},"b":[1,2.50,1e3,true,null],"c":[]}"#
        );
        assert_eq!(
            keep(r#"{"ké\u0001\/":"\u00e9\n\"\\\u007f\b\u000c"}"#),
            "{\"ké\\u0001/\":\"é\\n\\\"\\\\\u{7f}\\b\\f\"}"
        );
        assert_eq!(keep(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
        assert_eq!(keep("3"), "3");
    }

    #[test]
    fn numbers_as_nix_prints_them() {
        for (text, printed) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("0.0", "0.0"),
            ("1.5", "1.5"),
            ("1.50", "1.5"),
            ("1e3", "1000.0"),
            ("1e14", "100000000000000.0"),
            ("1e15", "1e+15"),
            ("123456789012345678", "123456789012345678"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.25e-7", "1.25e-07"),
            ("-2.5e100", "-2.5e+100"),
            ("true", "true"),
            ("null", "null"),
        ] {
            assert_eq!(rewrite(text, Numbers::AsNix), printed, "{text}");
        }
    }
}
