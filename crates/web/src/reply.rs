//! Answers, and the headers that all of them have.

use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER, SET_COOKIE, VARY,
};
use hyper::{HeaderMap, StatusCode};

use crate::assets::Asset;
use crate::random;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Where else its forms may lead: to the server at which people log in.
    pub(crate) form_action: Option<String>,
    /// Whether it is the same for everybody.
    public: bool,
}

impl Reply {
    fn new(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self {
            status,
            headers,
            body,
            form_action: None,
            public: false,
        }
    }

    /// A page.
    pub(crate) fn page(html: String) -> Self {
        Self::new(
            StatusCode::OK,
            "text/html; charset=utf-8",
            html.into_bytes(),
        )
    }

    /// Data.
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, "application/json", body)
    }

    /// What went wrong, for programs. Source: RFC 9457.
    pub(crate) fn problem(body: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, "application/problem+json", body)
    }

    /// A document that is the same for everybody. Who has it may ask again after a minute.
    pub(crate) fn document(media_type: &'static str, body: Vec<u8>) -> Self {
        let mut reply = Self::new(StatusCode::OK, media_type, body);
        reply.public = true;
        reply
    }

    /// A text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::new(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            text.into().into_bytes(),
        )
    }

    /// Go there, with `GET`.
    pub(crate) fn see_other(target: &str) -> Self {
        let mut reply = Self::text("");
        reply.status = StatusCode::SEE_OTHER;
        reply.with(LOCATION, target)
    }

    /// It has moved there for good.
    pub(crate) fn moved(target: &str) -> Self {
        let mut reply = Self::see_other(target);
        reply.status = StatusCode::PERMANENT_REDIRECT;
        reply
    }

    /// A file that never changes under its name.
    pub(crate) fn asset(asset: &Asset, gzip: bool) -> Self {
        let mut reply = Self::new(StatusCode::OK, asset.media_type, Vec::new());
        reply.body = if gzip {
            asset.gzip.clone()
        } else {
            asset.bytes.clone()
        };
        if gzip {
            reply = reply.with(CONTENT_ENCODING, "gzip");
        }
        reply
            .with(VARY, "Accept-Encoding")
            .with(CACHE_CONTROL, "public, max-age=31536000, immutable")
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With a header. What is no header value is left out: it was not ours.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.with(SET_COOKIE, cookie)
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.with(RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// Gives what was found a tag, and leaves out what the client has already.
    pub(crate) fn tagged(mut self, known: Option<&str>) -> Self {
        if self.status != StatusCode::OK || self.headers.contains_key(CACHE_CONTROL) {
            return self;
        }
        let tag = format!("\"{}\"", &random::challenge_of(&self.body)[..22]);
        let is_known = known.is_some_and(|known| {
            known
                .split(',')
                .map(|one| one.trim().trim_start_matches("W/"))
                .any(|one| one == tag || one == "*")
        });
        self = self.with(ETAG, &tag);
        if is_known {
            self.status = StatusCode::NOT_MODIFIED;
            self.body.clear();
        }
        self
    }

    /// With the headers that every answer has.
    pub(crate) fn finished(mut self, request: &str, secure: bool) -> Self {
        let action = self.form_action.take();
        let action = action.map_or_else(String::new, |origin| format!(" {origin}"));
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             form-action 'self'{action}; base-uri 'none'; frame-ancestors 'none'"
        );
        for (name, value) in [
            ("content-security-policy", policy.as_str()),
            ("x-content-type-options", "nosniff"),
            // Not `no-referrer`: with it browsers do not say from which site a form comes.
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "permissions-policy",
                "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
            ("x-request-id", request),
        ] {
            self = self.with(HeaderName::from_static(name), value);
        }
        if secure {
            let name = HeaderName::from_static("strict-transport-security");
            self = self.with(name, "max-age=31536000");
        }
        if self.public && !self.headers.contains_key(CACHE_CONTROL) {
            self = self.with(CACHE_CONTROL, "public, max-age=60");
        } else if !self.headers.contains_key(CACHE_CONTROL) {
            self = self
                .with(CACHE_CONTROL, "private, no-cache")
                .with(VARY, "Cookie, Authorization");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let tag = |reply: &Reply| reply.headers[ETAG].to_str().unwrap().to_owned();
        let first = Reply::page("a".into()).tagged(None);
        let tag_a = tag(&first);
        let again = Reply::page("a".into()).tagged(Some(&format!("\"x\", W/{tag_a}")));
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert!(again.body.is_empty());
        let other = Reply::page("b".into()).tagged(Some(&tag_a));
        assert_eq!(other.status, StatusCode::OK);
        let error = Reply::page("a".into())
            .status(StatusCode::NOT_FOUND)
            .tagged(Some(&tag_a));
        assert_eq!(error.status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn no_text_of_others_becomes_a_header() {
        let reply = Reply::see_other("/a\r\nset-cookie: b");
        assert!(!reply.headers.contains_key(LOCATION));
    }
}
