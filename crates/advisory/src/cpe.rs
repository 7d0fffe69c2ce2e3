//! CPE 2.3 names, in both bindings: `cpe:2.3:a:gnu:global:6.6.12:*:…` and `cpe:/a:gnu:global`.
//!
//! Only what matching needs is kept: part, vendor, product, version, update and target software.
//! Source: NISTIR 7695 (Common Platform Enumeration: Naming, 2.3).

use std::borrow::Cow;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::shorten;

/// What kind of thing a CPE names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// `a`
    Application,
    /// `o`
    OperatingSystem,
    /// `h`
    Hardware,
}

/// One attribute of a CPE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// `*`, or left out: any value.
    Any,
    /// `-`: not applicable.
    NotApplicable,
    /// A value, without the quoting of the binding.
    Text(String),
}

impl Value {
    /// The text, if there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Any | Self::NotApplicable => None,
        }
    }
}

/// A CPE 2.3 name, as far as matching needs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpe {
    /// `a`, `o` or `h`; none for `*`.
    pub part: Option<Part>,
    /// Who makes it; `*` and `-` say nothing.
    pub vendor: Value,
    /// What it is called.
    pub product: Value,
    /// Which version, if the name is about one.
    pub version: Value,
    /// The update within the version: `rc1`, `p1`.
    pub update: Value,
    /// For which software it is made: `wordpress`, `node.js`, `python`.
    pub target_software: Value,
}

impl Cpe {
    /// Version and update joined as upstreams write them: `8.2` and `p1` are `8.2p1`.
    pub fn full_version(&self) -> Option<Cow<'_, str>> {
        let version = self.version.text()?;
        Some(match self.update.text() {
            Some(update) => Cow::Owned(format!("{version}{update}")),
            None => Cow::Borrowed(version),
        })
    }
}

impl FromStr for Cpe {
    type Err = InvalidCpe;

    fn from_str(text: &str) -> Result<Self, InvalidCpe> {
        let invalid = |why| InvalidCpe {
            text: shorten(text),
            why,
        };
        if text.len() > 2_048 {
            return Err(invalid("it is longer than 2,048 bytes"));
        }
        let (fields, uri) = if let Some(rest) = text.strip_prefix("cpe:2.3:") {
            (split_unquoted(rest), false)
        } else if let Some(rest) = text.strip_prefix("cpe:/") {
            (rest.split(':').collect(), true)
        } else {
            return Err(invalid("it starts with neither `cpe:2.3:` nor `cpe:/`"));
        };
        let value = |at: usize| match fields.get(at).copied() {
            None | Some("" | "*") => Value::Any,
            Some("-") => Value::NotApplicable,
            Some(field) if uri => Value::Text(percent_decode(field)),
            Some(field) => Value::Text(unquote(field)),
        };
        let part = match fields.first().copied() {
            Some("a") => Some(Part::Application),
            Some("o") => Some(Part::OperatingSystem),
            Some("h") => Some(Part::Hardware),
            Some("*" | "") => None,
            _ => return Err(invalid("its part is not one of a, o, h")),
        };
        let product = value(2);
        if product == Value::Any {
            return Err(invalid("it names no product"));
        }
        // In the URI binding the sixth field may pack edition and target software: ~a~b~c~d~e.
        let target_software = if uri {
            unpack(fields.get(5).copied())
        } else {
            value(8)
        };
        Ok(Self {
            part,
            vendor: value(1),
            product,
            version: value(3),
            update: value(4),
            target_software,
        })
    }
}

fn unpack(edition: Option<&str>) -> Value {
    match edition
        .and_then(|e| e.strip_prefix('~'))
        .and_then(|e| e.split('~').nth(2))
    {
        Some(target) if !target.is_empty() => Value::Text(percent_decode(target)),
        _ => Value::Any,
    }
}

/// Splits at colons that no backslash quotes.
fn split_unquoted(text: &str) -> Vec<&str> {
    let mut fields = Vec::with_capacity(11);
    let (mut start, mut quoted) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if quoted => quoted = false,
            b'\\' => quoted = true,
            b':' => {
                fields.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&text[start..]);
    fields
}

fn unquote(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut quoted = false;
    for c in field.chars() {
        if c == '\\' && !quoted {
            quoted = true;
        } else {
            out.push(c);
            quoted = false;
        }
    }
    out
}

fn percent_decode(field: &str) -> String {
    let mut out = Vec::with_capacity(field.len());
    let bytes = field.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Why a text is not a CPE name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a CPE name: {why}")]
pub struct InvalidCpe {
    text: String,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn formatted_strings_are_read() {
        let cpe: Cpe = r"cpe:2.3:a:nodejs:node.js:*:*:*:*:lts:*:*:*"
            .parse()
            .unwrap();
        assert_eq!(cpe.part, Some(Part::Application));
        assert_eq!((cpe.vendor, cpe.product), (text("nodejs"), text("node.js")));
        assert_eq!((cpe.version, cpe.update), (Value::Any, Value::Any));

        let cpe: Cpe = r"cpe:2.3:a:gnu:c\+\+\:x:1.0:-:*:*:*:node.js:*:*"
            .parse()
            .unwrap();
        assert_eq!(cpe.product, text("c++:x"));
        assert_eq!(cpe.update, Value::NotApplicable);
        assert_eq!(cpe.target_software, text("node.js"));
    }

    #[test]
    fn uri_binding_is_read() {
        let cpe: Cpe = "cpe:/a:redhat:openshift:4.14::el8".parse().unwrap();
        assert_eq!(
            (cpe.vendor, cpe.product),
            (text("redhat"), text("openshift"))
        );
        assert_eq!(cpe.version, text("4.14"));
        let cpe: Cpe = "cpe:/a:acme:thing%2b:1.0:sp1:~~~wordpress~~"
            .parse()
            .unwrap();
        assert_eq!(cpe.product, text("thing+"));
        assert_eq!(cpe.target_software, text("wordpress"));
    }

    #[test]
    fn updates_join_versions_as_upstreams_write_them() {
        let cpe: Cpe = "cpe:2.3:a:openbsd:openssh:8.2:p1:*:*:*:*:*:*"
            .parse()
            .unwrap();
        assert_eq!(cpe.full_version().as_deref(), Some("8.2p1"));
        let cpe: Cpe = "cpe:2.3:a:python:python:3.8.4:rc1:*:*:*:*:*:*"
            .parse()
            .unwrap();
        assert_eq!(cpe.full_version().as_deref(), Some("3.8.4rc1"));
    }

    #[test]
    fn what_is_no_cpe_says_why() {
        insta::assert_snapshot!("cpe:2.3:x:a:b".parse::<Cpe>().unwrap_err(), @"`cpe:2.3:x:a:b` is not a CPE name: its part is not one of a, o, h");
        insta::assert_snapshot!("gnu:global".parse::<Cpe>().unwrap_err(), @"`gnu:global` is not a CPE name: it starts with neither `cpe:2.3:` nor `cpe:/`");
        insta::assert_snapshot!("cpe:2.3:a:gnu".parse::<Cpe>().unwrap_err(), @"`cpe:2.3:a:gnu` is not a CPE name: it names no product");
    }
}
