//! A request as handlers see it: taken apart once, with limits.

use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

/// How long the address of a request may be, in bytes.
pub(crate) const MAX_TARGET: usize = 4_096;
/// How many fields a form or a query may have. A page of findings has up to 200, and a form names each
/// of them twice.
const MAX_FIELDS: usize = 1_000;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// The segments of the path, decoded.
    pub(crate) segments: Vec<String>,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) query: Fields,
    pub(crate) form: Fields,
    pub(crate) headers: HeaderMap,
    /// Who asks.
    pub(crate) peer: IpAddr,
}

/// What is asked for. `HEAD` is answered as `GET`, without the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// Names and values, in the order in which they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the path is not text")]
    Path,
    #[error("there are too many fields")]
    TooManyFields,
    #[error("it has a NUL")]
    Nul,
}

impl Request {
    /// The segments as a slice of texts, to be matched.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// A header, if it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all(hyper::header::COOKIE).iter();
        cookies
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Whether it is a program that asks.
    pub(crate) fn is_api(&self) -> bool {
        self.segments.first().is_some_and(|first| first == "api") && self.segments.len() > 1
    }
}

impl Fields {
    /// From a query or the body of a form.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if fields.len() == MAX_FIELDS {
                return Err(Malformed::TooManyFields);
            }
            // Nothing of ours has one, and no database takes it.
            if name.contains('\0') || value.contains('\0') {
                return Err(Malformed::Nul);
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first value of a name, if it says something.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let found = self.0.iter().filter(move |(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The segments of a path, decoded one by one, so that what is encoded is never a separator. An empty
/// one at the end is left out.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Malformed> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/')
        .map(|segment| {
            let text = percent_decode_str(segment).decode_utf8();
            let text = text.map_err(|_| Malformed::Path)?;
            if text.contains('\0') {
                return Err(Malformed::Nul);
            }
            Ok(text.into_owned())
        })
        .collect()
}

/// An address of this site to come back to: a path, and never another server.
pub(crate) fn local(back: &str) -> Option<&str> {
    let mut bytes = back.bytes();
    let is_path = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let is_plain = back
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_path && is_plain && back.len() <= 2_000).then_some(back)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::respond;

    fn request(path: &str, query: &[u8], form: &[u8], method: Method) -> Option<Request> {
        Some(Request {
            id: String::new(),
            method,
            segments: segments(path).ok()?,
            target: path.to_owned(),
            query: Fields::parse(query).ok()?,
            form: Fields::parse(form).ok()?,
            headers: HeaderMap::new(),
            peer: IpAddr::from([127, 0, 0, 1]),
        })
    }

    proptest! {
        /// Whatever is sent, it is taken apart, and means one address or none.
        #[test]
        fn anything_is_an_address_or_none(
            path in "(/|[a-z./%0-9ä\u{0}-\u{20}])*",
            query in proptest::collection::vec(any::<u8>(), 0..200),
            form in proptest::collection::vec(any::<u8>(), 0..200),
            sends in any::<bool>(),
        ) {
            let method = if sends { Method::Post } else { Method::Get };
            if let Some(request) = request(&path, &query, &form, method) {
                prop_assert!(!respond::name(&request).is_empty());
                for name in ["f", "back", "cursor", ""] {
                    let _ = (request.form.text(name), request.query.all(name).count());
                }
            }
        }

        /// Every name leads to its own page, however it is written.
        #[test]
        fn a_link_to_a_name_leads_to_it(name in "\\PC{1,40}") {
            prop_assume!(name != "." && name != "..");
            prop_assert_eq!(segments(&crate::href::package(&name)).unwrap(), ["packages".to_owned(), name]);
        }

        /// What one is led back to is a path of this site, also without its notice.
        #[test]
        fn one_is_led_back_to_this_site_only(back in any::<String>()) {
            if let Some(back) = local(&back) {
                prop_assert!(back.starts_with('/') && !back.starts_with("//") && !back.contains('\\'));
                let plain = respond::without_notice(back);
                prop_assert_eq!(local(&plain), Some(plain.as_str()));
                prop_assert_eq!(respond::without_notice(&plain), plain.clone());
            }
        }
    }

    #[test]
    fn what_is_encoded_is_no_separator() {
        let read = |path| segments(path).unwrap();
        assert!(read("/").is_empty());
        assert_eq!(read("/packages/a%2Fb"), ["packages", "a/b"]);
        assert_eq!(read("/packages/a/"), ["packages", "a"]);
        assert_eq!(read("/packages//a"), ["packages", "", "a"]);
        assert_eq!(segments("/%ff"), Err(Malformed::Path));
    }

    #[test]
    fn what_no_database_takes_is_malformed() {
        assert_eq!(segments("/packages/a%00"), Err(Malformed::Nul));
        assert_eq!(Fields::parse(b"q=a%00b"), Err(Malformed::Nul));
        assert_eq!(Fields::parse(b"q%00=a"), Err(Malformed::Nul));
    }

    #[test]
    fn only_paths_of_this_site_are_come_back_to() {
        for good in ["/", "/queue?by=package", "/packages/a%20b"] {
            assert_eq!(local(good), Some(good));
        }
        for wrong in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "a",
            "/a\r\nb",
            "/a b",
        ] {
            assert_eq!(local(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fields_are_few() {
        let fields = Fields::parse(b"f=1.2&f=3.4&reason=+a%20b+").unwrap();
        assert_eq!(fields.all("f").collect::<Vec<_>>(), ["1.2", "3.4"]);
        assert_eq!(fields.text("reason"), Some("a b"));
        assert_eq!(fields.text("none"), None);
        let many = "a=1&".repeat(MAX_FIELDS + 1);
        assert_eq!(
            Fields::parse(many.as_bytes()),
            Err(Malformed::TooManyFields)
        );
    }
}
