//! Documents of any size, piece by piece: what comes is looked at and need not be kept.
//!
//! Redirects are followed one by one, so that who asks learns the way. Nothing is tried again here: what is
//! behind the pieces that came would have to be told to begin anew.

use std::ops::ControlFlow;

use reqwest::Response;
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, LOCATION,
    TRANSFER_ENCODING,
};

use crate::address::{Address, shown};
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
    /// A question that is asked with `POST`, wherever it is led; none, and it is `GET`.
    pub question: Option<Question<'a>>,
    /// How many redirects are followed in a row.
    pub redirects: usize,
    /// Whether cookies that a redirect sets are sent on the rest of the way, to whom they are for.
    pub cookies: bool,
    /// Which statuses the document may come with; empty for all below 400, once it leads nowhere else.
    pub statuses: &'a [u16],
}

/// A question to which the document is the answer. It changes nothing where it is asked, so it may be asked twice.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is asked.
    pub body: &'a [u8],
    /// What it is, and what its answer is to be: a media type.
    pub kind: &'a str,
}

/// What was told by the head of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How long the body is, where the server says so.
    pub length: Option<u64>,
    /// Whether the server says that it is a page for people: HTML.
    pub is_page: bool,
    /// The status.
    pub status: u16,
    /// Whether the server says that it packed the document (`Content-Encoding`). It comes as it was sent.
    pub is_packed: bool,
    /// Whether it is packed for the way alone (`Transfer-Encoding`, beside pieces). It comes as it was sent.
    pub is_wrapped: bool,
}

impl Client {
    /// Fetches a document and hands each piece to `each`, which may break off: its length, or none if it did. Before
    /// anything of it comes, `each` gets an empty piece.
    ///
    /// No encoding is asked for, and none refused, as programs do that know nothing of them.
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
        let mut at = stream.address.clone();
        let mut jar = Jar::default();
        let mut response = loop {
            self.check_reach(&at)?;
            let response = self.head(stream, &at, &jar).await?;
            if !response.status().is_redirection() {
                break response;
            }
            if stream.cookies {
                jar.take(at.url(), response.headers());
            }
            let location = response.headers().get(LOCATION);
            let Some(location) = location.filter(|location| !location.is_empty()) else {
                break response;
            };
            let refused = |target: String, why| {
                Fault::last(HttpError::Redirect {
                    host: at.host(),
                    address: at.to_string(),
                    target,
                    why,
                })
            };
            let next = std::str::from_utf8(location.as_bytes()).unwrap_or_default();
            let Ok(next) = at.join(next) else {
                return Err(match at.url().join(next) {
                    Ok(ftp) if matches!(ftp.scheme(), "ftp" | "ftps") => {
                        refused(shown(&ftp), "which is not spoken here")
                    }
                    _ => refused("what is no address".into(), "which cannot be fetched"),
                });
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
        let status = response.status();
        let is_taken = stream.statuses.is_empty() || stream.statuses.contains(&status.as_u16());
        if !is_taken {
            return Err(Fault::last(status_error(&at, status)));
        }
        let length = response.content_length();
        if length.is_some_and(|length| length > stream.limit) {
            return Err(Fault::last(too_large(&at, stream.limit)));
        }
        let told = Told {
            length,
            status: status.as_u16(),
            ..told(response.headers())
        };
        if each(told, &[]).is_break() {
            return Ok(None);
        }
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

    /// The head of the answer of one address.
    async fn head(&self, stream: &Stream<'_>, at: &Address, jar: &Jar) -> Result<Response, Fault> {
        let ask = async |client: &reqwest::Client| {
            let url = at.url().clone();
            let mut request = match stream.question {
                Some(Question { body, kind }) => client
                    .post(url)
                    .header(ACCEPT, kind)
                    .header(CONTENT_TYPE, kind)
                    .body(body.to_vec()),
                None => client.get(url),
            };
            if at.host() == stream.address.host() {
                request = request.headers(headers(stream.headers)?);
            }
            if let Some(cookies) = jar.header(at.url()) {
                request = request.header(COOKIE, cookies);
            }
            self.answer_as_asked(request, at).await
        };
        let is_first = self.is_first();
        match ask(self.staying()?).await {
            // Something that belonged to another answer may have been left on a connection that was used before.
            Err(fault) if !is_first && matches!(fault.error, HttpError::Garbled { .. }) => {
                ask(self.unshared()?).await
            }
            outcome => outcome,
        }
    }
}

/// What the headers tell.
fn told(headers: &HeaderMap) -> Told {
    let words = |name: HeaderName| {
        let values = headers.get_all(name).into_iter();
        values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|word| !word.is_empty())
    };
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    Told {
        is_page: kind.is_some_and(is_page),
        is_packed: words(CONTENT_ENCODING).next().is_some(),
        is_wrapped: words(TRANSFER_ENCODING).any(|word| {
            !["chunked", "identity"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
        }),
        ..Told::default()
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
    fn what_is_packed_is_told() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.append(name, value.parse().unwrap());
            let told = told(&headers);
            (told.is_packed, told.is_wrapped)
        };
        for (name, value, expected) in [
            ("content-encoding", "gzip", (true, false)),
            ("content-encoding", "identity", (true, false)),
            ("content-encoding", " ", (false, false)),
            ("transfer-encoding", "Chunked", (false, false)),
            ("transfer-encoding", "gzip, chunked", (false, true)),
            ("content-type", "gzip", (false, false)),
        ] {
            assert_eq!(of(name, value), expected, "{name}: {value}");
        }
    }

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
