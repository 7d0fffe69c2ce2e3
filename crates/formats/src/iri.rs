//! Makes any text a legal IRI or URI by percent-encoding what is not allowed in one.
//!
//! Schemas check `iri-reference` and `uri`, and the URLs that we write are others' text. Nothing is
//! resolved or normalised here: a legal IRI passes unchanged.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serializer;

/// Which characters pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// RFC 3987: most of Unicode.
    Iri,
    /// RFC 3986: ASCII only.
    Uri,
}

/// The text as a legal IRI reference or URI reference; unchanged when it is one already.
pub(crate) fn encode(text: &str, alphabet: Alphabet) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let bytes = text.as_bytes();
    let authority = Authority::of(text);
    let first_segment = first_segment(text);
    let mut fragment = false;
    for (at, c) in text.char_indices() {
        let legal = match c {
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | '-'
            | '.'
            | '_'
            | '~'
            | '!'
            | '$'
            | '&'
            | '\''
            | '('
            | ')'
            | '*'
            | '+'
            | ','
            | ';'
            | '='
            | '/'
            | '?' => true,
            '@' => authority.allows_at(at),
            ':' => at >= first_segment && authority.allows_colon(at),
            '#' => !std::mem::replace(&mut fragment, true),
            '%' => is_escape(&bytes[at..]),
            '[' | ']' => authority
                .brackets
                .is_some_and(|(open, close)| at == open || at == close),
            _ => alphabet == Alphabet::Iri && is_ucschar(c),
        };
        if legal {
            continue;
        }
        out.push_str(&text[copied..at]);
        let mut buffer = [0; 4];
        for byte in c.encode_utf8(&mut buffer).bytes() {
            let _ = write!(out, "%{byte:02X}");
        }
        copied = at + c.len_utf8();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether the text is an IRI with a scheme, as formats ask of identifiers.
pub(crate) fn is_absolute_iri(text: &str) -> bool {
    scheme_end(text).is_some() && matches!(encode(text, Alphabet::Iri), Cow::Borrowed(_))
}

/// For `serialize_with`: an IRI reference.
pub(crate) fn iri<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(text, Alphabet::Iri))
}

/// For `serialize_with`: an IRI reference that may be absent.
#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(crate) fn iri_option<S: Serializer>(
    text: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => iri(text, serializer),
        None => serializer.serialize_none(),
    }
}

/// For `serialize_with`: several IRI references.
pub(crate) fn iri_list<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.iter().map(|text| encode(text, Alphabet::Iri)))
}

/// For `serialize_with`: a URI reference.
pub(crate) fn uri<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(text, Alphabet::Uri))
}

/// For `serialize_with`: a URI reference that may be absent.
#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(crate) fn uri_option<S: Serializer>(
    text: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => uri(text, serializer),
        None => serializer.serialize_none(),
    }
}

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Where a scheme ends, when the text begins with one.
fn scheme_end(text: &str) -> Option<usize> {
    let end = text.find(':')?;
    let mut scheme = text[..end].bytes();
    (scheme.next()?.is_ascii_alphabetic()
        && scheme.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
    .then_some(end)
}

/// Up to where colons would make the first segment of a relative reference a scheme.
fn first_segment(text: &str) -> usize {
    if scheme_end(text).is_some() {
        return 0;
    }
    text.find(['/', '?', '#']).unwrap_or(text.len())
}

/// The part after `//`, where `@`, `:` and brackets mean something and are legal only once.
#[derive(Default)]
struct Authority {
    /// Where it begins and ends.
    range: std::ops::Range<usize>,
    /// The `@` after the user.
    user_end: Option<usize>,
    /// The brackets of a host such as `[::1]`.
    brackets: Option<(usize, usize)>,
    /// The `:` before the port.
    port: Option<usize>,
}

impl Authority {
    fn of(text: &str) -> Self {
        let begin = scheme_end(text).map_or(0, |end| end + 1);
        let Some(rest) = text[begin..].strip_prefix("//") else {
            return Self::default();
        };
        let begin = begin + 2;
        let end = begin + rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let user_end = text[begin..end].rfind('@').map(|at| begin + at);
        let host_begin = user_end.map_or(begin, |at| at + 1);
        let host = &text[host_begin..end];
        let brackets = host
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .filter(|(address, after)| {
                address.parse::<std::net::Ipv6Addr>().is_ok()
                    && (after.is_empty() || after.starts_with(':'))
            })
            .map(|(address, _)| (host_begin, host_begin + 1 + address.len()));
        let port = host
            .rfind(':')
            .filter(|at| host[at + 1..].bytes().all(|b| b.is_ascii_digit()))
            .map(|at| host_begin + at)
            .filter(|at| brackets.is_none_or(|(_, close)| *at > close));
        Self {
            range: begin..end,
            user_end,
            brackets,
            port,
        }
    }

    fn allows_at(&self, at: usize) -> bool {
        !self.range.contains(&at) || self.user_end == Some(at)
    }

    fn allows_colon(&self, at: usize) -> bool {
        !self.range.contains(&at)
            || self.port == Some(at)
            || self.user_end.is_some_and(|end| at < end)
            || self
                .brackets
                .is_some_and(|(open, close)| open < at && at < close)
    }
}

/// The `ucschar` of RFC 3987, less the bidirectional formatting characters that it forbids too.
fn is_ucschar(c: char) -> bool {
    matches!(c,
        '\u{A0}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFEF}'
        | '\u{10000}'..='\u{1FFFD}' | '\u{20000}'..='\u{2FFFD}' | '\u{30000}'..='\u{3FFFD}')
        && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_references_pass_unchanged() {
        for text in [
            "",
            "https://example.org/a/b?c=d&e#f",
            "mirror://gnu/hello/hello-2.12.tar.gz",
            "/nix/store/00000000000000000000000000000000-hello",
            "nix/store/x",
            "pkg:generic/hello@2.12",
            "urn:uuid:00000000-0000-4000-8000-000000000000",
            "http://[::1]:8080/x",
            "http://user:secret@host:8080/x:y@z",
            "https://example.org/%20",
            "https://example.org/grüße",
        ] {
            assert_eq!(encode(text, Alphabet::Iri), text);
        }
    }

    #[test]
    fn everything_else_is_encoded() {
        for (text, expected) in [
            ("https://example.org/a b", "https://example.org/a%20b"),
            ("https://example.org/%zz", "https://example.org/%25zz"),
            ("a#b#c", "a#b%23c"),
            ("1.2:3", "1.2%3A3"),
            ("::/:", "%3A%3A/:"),
            ("a[1]", "a%5B1%5D"),
            ("\u{1b}[31m", "%1B%5B31m"),
            ("x\u{202e}y", "x%E2%80%AEy"),
            ("${url}", "$%7Burl%7D"),
            ("ssh://git@host:owner/x", "ssh://git@host%3Aowner/x"),
            ("git@host:owner/x", "git@host%3Aowner/x"),
            ("http://a@b@c/", "http://a%40b@c/"),
            ("http://[::1]x/", "http://%5B%3A%3A1%5Dx/"),
        ] {
            assert_eq!(encode(text, Alphabet::Iri), expected);
        }
        assert_eq!(encode("grüße", Alphabet::Uri), "gr%C3%BC%C3%9Fe");
    }

    #[test]
    fn absolute_means_a_scheme() {
        assert!(is_absolute_iri("pkg:generic/x"));
        assert!(!is_absolute_iri("x/y"));
        assert!(!is_absolute_iri("https://a b"));
    }
}
