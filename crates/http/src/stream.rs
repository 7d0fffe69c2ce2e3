//! Documents of any size, piece by piece: what comes is looked at and need not be kept.
//!
//! Redirects are followed one by one, so that who asks learns the way. Nothing is tried again here: what is
//! behind the pieces that came would have to be told to begin anew.

use std::ops::ControlFlow;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION};

use crate::address::Address;
use crate::client::{Client, headers};
use crate::cookies::Jar;
use crate::error::HttpError;
use crate::fault::{Fault, status_error, too_large};
use crate::pace::Pace;
use crate::public::may_be_public;

/// A document that is wanted piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// Where it is.
    pub address: &'a Address,
    /// How large it may be, in bytes.
    pub limit: u64,
    /// Headers to send, by name and value. After a redirect to another host they are not sent.
    pub headers: &'a [(&'a str, &'a str)],
    /// How many redirects are followed in a row.
    pub redirects: usize,
    /// Whether cookies that a redirect sets are sent on the rest of the way, to whom they are for.
    pub cookies: bool,
}

/// What was told by the head of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How long the body is, where the server says so.
    pub length: Option<u64>,
    /// Whether the server says that it is a page for people: HTML.
    pub is_page: bool,
}

impl Client {
    /// Fetches a document and hands each piece to `each`, which may break off: its length, or none if it did.
    ///
    /// `hops` gets the address of each redirect that was followed, also where it ends in an error.
    pub fn stream(
        &self,
        stream: &Stream<'_>,
        hops: &mut Vec<Address>,
        each: &mut dyn FnMut(Told, &[u8]) -> ControlFlow<()>,
    ) -> Result<Option<u64>, HttpError> {
        let outcome = self.runtime().block_on(self.pieces(stream, hops, each));
        outcome.map_err(|fault| fault.error)
    }

    async fn pieces(
        &self,
        stream: &Stream<'_>,
        hops: &mut Vec<Address>,
        each: &mut dyn FnMut(Told, &[u8]) -> ControlFlow<()>,
    ) -> Result<Option<u64>, Fault> {
        let client = self.staying()?;
        let mut at = stream.address.clone();
        let mut jar = Jar::default();
        let mut response = loop {
            self.check_reach(&at)?;
            let mut request = client.get(at.url().clone());
            if at.host() == stream.address.host() {
                request = request.headers(headers(stream.headers)?);
            }
            if let Some(cookies) = jar.header(at.url()) {
                request = request.header(COOKIE, cookies);
            }
            let response = self.answer(request, &at).await?;
            if !response.status().is_redirection() {
                break response;
            }
            if stream.cookies {
                jar.take(at.url(), response.headers());
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            let Some(location) = location else {
                return Err(Fault::last(status_error(&at, response.status())));
            };
            let refused = |target: String, why| {
                Fault::last(HttpError::Redirect {
                    host: at.host(),
                    address: at.to_string(),
                    target,
                    why,
                })
            };
            let Ok(next) = at.join(location) else {
                return Err(refused(
                    "what is no address".into(),
                    "which cannot be fetched",
                ));
            };
            let why = if next.path().is_some() {
                "which is a file of this machine"
            } else if at.is_secure() && !next.is_secure() {
                "which is not encrypted"
            } else if self.settings().public_only && !may_be_public(next.url()) {
                "which is not on the public network"
            } else if hops.len() >= stream.redirects {
                "one redirect too many"
            } else {
                hops.push(next.clone());
                at = next;
                continue;
            };
            return Err(refused(next.to_string(), why));
        };
        let length = response.content_length();
        if length.is_some_and(|length| length > stream.limit) {
            return Err(Fault::last(too_large(&at, stream.limit)));
        }
        let is_page = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(is_page);
        let told = Told { length, is_page };
        let mut received = 0;
        let mut pace = Pace::new(self.settings().stall);
        while let Some(chunk) = self.chunk(&mut response, &at, received).await? {
            received += chunk.len() as u64;
            if received > stream.limit {
                return Err(Fault::last(too_large(&at, stream.limit)));
            }
            if each(told, &chunk).is_break() {
                return Ok(None);
            }
            if pace.is_too_slow(chunk.len()) {
                return Err(self.stalled(&at));
            }
        }
        Ok(Some(received))
    }
}

/// Whether a media type is one of pages.
fn is_page(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"]
        .iter()
        .any(|page| essence.eq_ignore_ascii_case(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_files() {
        for kind in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "application/xhtml+xml",
        ] {
            assert!(is_page(kind), "{kind}");
        }
        for kind in ["", "text/plain", "application/gzip", "text/htmlx"] {
            assert!(!is_page(kind), "{kind}");
        }
    }
}
