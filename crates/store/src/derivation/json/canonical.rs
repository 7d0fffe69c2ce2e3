//! Structured attributes as text: JSON the way Nix dumps it into `__json`.
//!
//! Nix sorts keys, writes no spaces, escapes control characters, quotes and backslashes only, and prints
//! numbers in its own way. Numbers are kept as they stand, since whoever reads them into a float and out
//! again has changed the derivation; what Nix printed comes out as Nix printed it.

use serde_json::value::RawValue;

/// Rewrites valid JSON in the form of `__json`.
pub(super) fn canonical(json: &RawValue) -> Result<String, serde_json::Error> {
    let mut scanner = Scanner { rest: json.get() };
    // Each open array or object, with what has been written of it.
    let mut open: Vec<Open> = Vec::new();
    loop {
        let token = scanner.token();
        let done = match token {
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
                serde_json::to_string(&string)?
            }
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
                entries.reverse();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                // Of a key that is there twice, the last value counts.
                entries.dedup_by(|later, earlier| later.0 == earlier.0);
                let mut out = String::from("{");
                for (index, (key, value)) in entries.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    // Serializing a string cannot fail.
                    out.push_str(&serde_json::to_string(&key).unwrap_or_default());
                    out.push(':');
                    out.push_str(&value);
                }
                out.push('}');
                out
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
        let rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let Some(first) = rest.chars().next() else {
            return Token::End;
        };
        let length = match first {
            '"' => string_len(rest),
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

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(json: &str) -> String {
        canonical(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn as_nix_dumps() {
        assert_eq!(
            rewrite(r#" { "b" : [ 1 , 2.50, 1e3 ,true,null ] , "a" : { } , "c":[] } "#),
            r#"{"a":{},"b":[1,2.50,1e3,true,null],"c":[]}"#
        );
        assert_eq!(
            rewrite(r#"{"ké\u0001\/":"\u00e9\n\"\\\u007f"}"#),
            "{\"ké\\u0001/\":\"é\\n\\\"\\\\\u{7f}\"}"
        );
        assert_eq!(rewrite(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
        assert_eq!(rewrite("3"), "3");
    }
}
