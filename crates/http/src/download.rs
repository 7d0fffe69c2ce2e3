//! Large documents, into files: conditional, resumed, checked.

use std::io::Read as _;
use std::time::Duration;

use camino::Utf8Path;
use data_encoding::HEXLOWER;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};

use crate::address::Address;
use crate::client::{Client, conditions_of, headers, with_conditions};
use crate::error::HttpError;
use crate::fault::{Fault, Patience, status_error, too_large};
use crate::local;
use crate::pace::Pace;
use crate::part::{Begun, Part};
use crate::settings::Conditions;

/// A document that is wanted as a file.
#[derive(Clone, Debug)]
pub struct Download<'a> {
    /// Where it is.
    pub address: &'a Address,
    /// Which file it becomes once it is whole and checked. Beside it, `.part` holds what is here of
    /// it, also across runs.
    pub to: &'a Utf8Path,
    /// What is known of it.
    pub conditions: Option<&'a Conditions>,
    /// Headers to send, by name and value.
    pub headers: &'a [(&'a str, &'a str)],
    /// What is known of its bytes.
    pub expected: Expected,
}

/// What a file must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The published length, in bytes.
    pub length: Option<u64>,
    /// The published SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// How large it may be at most, in bytes.
    pub limit: u64,
}

/// A file that has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Its length in bytes.
    pub length: u64,
    /// How many of these were here from an earlier run.
    pub kept: u64,
    /// What to ask with the next time.
    pub conditions: Conditions,
}

/// What happens on the way, for who shows it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// So much of a file is here.
    Here {
        /// In bytes.
        length: u64,
        /// Of how many, where the server says.
        of: Option<u64>,
    },
    /// A try failed, and there will be another.
    Again {
        /// Why.
        error: &'e HttpError,
        /// After how long.
        after: Duration,
    },
}

impl Whole {
    /// Makes a file again that had arrived and was not used to its end what it was before: a part, of
    /// which nothing more is missing. The next download takes it if it is still what is served.
    pub fn put_back(&self, to: &Utf8Path, address: &Address) {
        Part::beside(to, address).reopen(to, validator(&self.conditions).as_deref());
    }
}

impl Expected {
    /// How large it may be at most: what is published is not exceeded.
    fn most(&self) -> u64 {
        self.length
            .map_or(self.limit, |length| length.min(self.limit))
    }
}

impl Client {
    /// Fetches a document into a file. None if it is as the conditions say; then nothing is written.
    ///
    /// A file that is there and has the expected SHA-256 is taken as it is.
    pub fn download(
        &self,
        download: &Download<'_>,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Whole>, HttpError> {
        self.check_reach(download.address)?;
        let part = Part::beside(download.to, download.address);
        if let Some(length) = part.is_finished(download.to, &download.expected) {
            return Ok(Some(Whole {
                length,
                kept: length,
                conditions: Conditions::default(),
            }));
        }
        if let Some(path) = download.address.path() {
            return self.copy(download, &part, &path, events);
        }
        self.runtime().block_on(async {
            let kept = part.begun().map_or(0, |begun| begun.length);
            let mut furthest = kept;
            let mut patience = Patience::new(self);
            loop {
                let fault = match self.once(download, &part, events).await {
                    Ok(None) => return Ok(None),
                    Ok(Some(whole)) => {
                        let kept = if whole.kept == 0 { 0 } else { kept };
                        return Ok(Some(Whole { kept, ..whole }));
                    }
                    Err(fault) => fault,
                };
                let here = part.begun().map_or(0, |begun| begun.length);
                if here > furthest {
                    furthest = here;
                    patience.progressed();
                }
                patience.bear(fault, events).await?;
            }
        })
    }

    async fn once(
        &self,
        download: &Download<'_>,
        part: &Part,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Whole>, Fault> {
        let address = download.address;
        let begun = part.begun();
        let mut request = self.following()?.get(address.url().clone());
        request = with_conditions(request, download.conditions);
        request = request.headers(headers(download.headers)?);
        if let Some(begun) = &begun {
            request = request
                .header(RANGE, format!("bytes={}-", begun.length))
                .header(IF_RANGE, &begun.validator);
        }
        let mut response = match self.answer(request, address).await {
            Err(fault) if is(&fault, StatusCode::RANGE_NOT_SATISFIABLE) => {
                let Some(begun) = begun else {
                    return Err(fault);
                };
                return nothing_more(download, part, &begun, &fault);
            }
            answer => answer?,
        };
        let conditions = conditions_of(response.headers());
        let offset = match (response.status(), &begun) {
            (StatusCode::NOT_MODIFIED, _) => return Ok(None),
            (StatusCode::OK, _) => 0,
            (StatusCode::PARTIAL_CONTENT, Some(begun)) if goes_on(&response, begun) => begun.length,
            (StatusCode::PARTIAL_CONTENT, _) => {
                part.discard();
                return Err(Fault::passing(status_error(address, response.status())));
            }
            (status, _) => return Err(Fault::last(status_error(address, status))),
        };
        let total = response
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
            .map(|length| offset.saturating_add(length));
        let limit = download.expected.most();
        if let Some(total) = total.filter(|total| *total > limit) {
            return Err(Fault::last(beyond(download, total)));
        }
        let mut file = if offset == 0 {
            part.begin(validator(&conditions).as_deref())?
        } else {
            part.go_on()?
        };
        let mut length = offset;
        let mut pace = Pace::new(self.settings().stall);
        events(Event::Here { length, of: total });
        while let Some(chunk) = self.chunk(&mut response, address, length).await? {
            length += chunk.len() as u64;
            if length > limit {
                part.discard();
                return Err(Fault::last(too_large(address, limit)));
            }
            part.append(&mut file, &chunk)?;
            events(Event::Here { length, of: total });
            if pace.is_too_slow(chunk.len()) {
                return Err(self.stalled(address));
            }
        }
        drop(file);
        if total.is_some_and(|total| total != length) {
            return Err(Fault::passing(HttpError::Cut {
                host: address.host(),
                address: address.to_string(),
                received: length,
            }));
        }
        if let Err(error) = check(download, part) {
            part.discard();
            // A part of yesterday's file with the rest of today's is mended by a new start.
            return Err(if offset > 0 {
                Fault::passing(error)
            } else {
                Fault::last(error)
            });
        }
        part.finish(download.to)?;
        Ok(Some(Whole {
            length,
            kept: offset,
            conditions,
        }))
    }

    /// From a mirror that is a folder.
    fn copy(
        &self,
        download: &Download<'_>,
        part: &Part,
        path: &Utf8Path,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Whole>, HttpError> {
        let mut local = local::open(path)?;
        let known = download.conditions.and_then(|known| known.etag.as_ref());
        if known == Some(&local.etag) {
            return Ok(None);
        }
        let limit = download.expected.most();
        if local.length > limit {
            return Err(beyond(download, local.length));
        }
        let mut file = part.begin(None)?;
        let mut buffer = vec![0; 1 << 18];
        let mut length = 0;
        loop {
            self.check_interrupted()?;
            let read = local
                .file
                .read(&mut buffer)
                .map_err(|source| HttpError::File {
                    what: "read",
                    path: path.to_owned(),
                    source,
                })?;
            if read == 0 {
                break;
            }
            length += read as u64;
            if length > limit {
                part.discard();
                return Err(too_large(download.address, limit));
            }
            part.append(&mut file, &buffer[..read])?;
            self.count(read as u64);
            events(Event::Here {
                length,
                of: Some(local.length),
            });
        }
        drop(file);
        check(download, part).inspect_err(|_| part.discard())?;
        part.finish(download.to)?;
        Ok(Some(Whole {
            length,
            kept: 0,
            conditions: Conditions {
                etag: Some(local.etag),
                last_modified: None,
            },
        }))
    }
}

fn is(fault: &Fault, status: StatusCode) -> bool {
    matches!(&fault.error, HttpError::Status { status: found, .. } if *found == status)
}

/// What to make of an answer that says that there is nothing after what is here: if that is all there
/// is, it is whole, and the process ended before it got its name. Else it is no part of what is there.
fn nothing_more(
    download: &Download<'_>,
    part: &Part,
    begun: &Begun,
    fault: &Fault,
) -> Result<Option<Whole>, Fault> {
    let address = download.address;
    if fault.of == Some(begun.length) && check(download, part).is_ok() {
        part.finish(download.to)?;
        return Ok(Some(Whole {
            length: begun.length,
            kept: begun.length,
            conditions: begun.conditions(),
        }));
    }
    part.discard();
    Err(Fault::passing(HttpError::Cut {
        host: address.host(),
        address: address.to_string(),
        received: begun.length,
    }))
}

/// Whether an answer goes on where a part ends, and is of the same edition. Some servers do not
/// understand `If-Range`.
fn goes_on(response: &Response, begun: &Begun) -> bool {
    let Some((start, of)) = content_range(response.headers()) else {
        return false;
    };
    let length = response.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let ends = |(of, length): (u64, u64)| start.checked_add(length) == Some(of);
    start == begun.length
        && of.zip(length).is_none_or(ends)
        && begun.is_of(&conditions_of(response.headers()))
}

/// Where a part begins, and the length of the whole: `Content-Range: bytes 100-199/200`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, rest) = range.strip_prefix("bytes ")?.split_once('-')?;
    let of = rest
        .split_once('/')
        .and_then(|(_, of)| of.trim().parse().ok());
    Some((start.trim().parse().ok()?, of))
}

/// The length of the whole where nothing of it is sent: `Content-Range: bytes */200`.
pub(crate) fn length_of_whole(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes */")?.trim().parse().ok()
}

/// Why so many bytes are too many.
fn beyond(download: &Download<'_>, found: u64) -> HttpError {
    match download.expected.length {
        Some(expected) if found <= download.expected.limit => HttpError::Length {
            address: download.address.to_string(),
            expected,
            found,
        },
        _ => too_large(download.address, download.expected.limit),
    }
}

/// What tells two editions apart byte by byte. A weak `ETag` does not.
pub(crate) fn validator(conditions: &Conditions) -> Option<String> {
    let strong = conditions
        .etag
        .clone()
        .filter(|etag| !etag.starts_with("W/"));
    strong.or_else(|| conditions.last_modified.clone())
}

fn check(download: &Download<'_>, part: &Part) -> Result<(), HttpError> {
    let Expected { length, sha256, .. } = download.expected;
    if let Some(expected) = length
        && expected != part.length()
    {
        return Err(HttpError::Length {
            address: download.address.to_string(),
            expected,
            found: part.length(),
        });
    }
    if let Some(expected) = sha256 {
        let found = part.sha256()?;
        if found != expected {
            return Err(HttpError::Digest {
                address: download.address.to_string(),
                expected: HEXLOWER.encode(&expected),
                found: HEXLOWER.encode(&found),
            });
        }
    }
    Ok(())
}
