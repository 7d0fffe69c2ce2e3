//! What goes wrong with one try: what it is, whether the next may do better, and how long to wait.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, redirect};

use crate::address::{Address, shown};
use crate::client::Client;
use crate::download::{Event, length_of_whole};
use crate::error::HttpError;
use crate::public::{NotPublic, may_be_public};
use crate::retry;

/// How many redirects are followed in a row.
const MAX_REDIRECTS: usize = 10;
/// How often a request is made again in all, however much arrives between.
const MAX_ROUNDS: u32 = 200;

/// A try that failed: why, and whether the next may do better.
pub(crate) struct Fault {
    pub(crate) error: HttpError,
    /// For faults that pass: how long to wait at least.
    pub(crate) again: Option<Duration>,
    /// Where nothing of a document was sent: how long it is.
    pub(crate) of: Option<u64>,
}

impl Fault {
    pub(crate) fn last(error: HttpError) -> Self {
        Self {
            error,
            again: None,
            of: None,
        }
    }

    pub(crate) fn passing(error: HttpError) -> Self {
        Self {
            error,
            again: Some(Duration::ZERO),
            of: None,
        }
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        Self::last(error)
    }
}

/// Counts failed tries and waits between them.
pub(crate) struct Patience<'c> {
    client: &'c Client,
    failed: u32,
    rounds: u32,
}

impl<'c> Patience<'c> {
    pub(crate) fn new(client: &'c Client) -> Self {
        Self {
            client,
            failed: 0,
            rounds: 0,
        }
    }

    /// Something arrived that stays: the tries are counted anew.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits as long as a fault asks for; hands it back if it does not pass or comes too often.
    pub(crate) async fn bear(
        &mut self,
        fault: Fault,
        notice: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), HttpError> {
        let Some(at_least) = fault.again else {
            return Err(fault.error);
        };
        self.failed += 1;
        self.rounds += 1;
        let settings = self.client.settings();
        if self.failed >= settings.attempts || self.rounds >= MAX_ROUNDS {
            return Err(fault.error);
        }
        let pause = retry::pause(
            self.failed,
            settings.pause,
            settings.longest_pause,
            retry::dice(),
        )
        .max(at_least);
        notice(Event::Again {
            error: &fault.error,
            after: pause,
        });
        self.client.or_stop(tokio::time::sleep(pause)).await
    }
}

/// A redirect that is not followed, on its way through reqwest.
#[derive(Debug)]
struct Refused {
    target: String,
    why: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Refused {}

pub(crate) fn follow(attempt: redirect::Attempt<'_>, public_only: bool) -> redirect::Action {
    let was_secure = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    let why = if was_secure && attempt.url().scheme() != "https" {
        "which is not encrypted"
    } else if attempt.previous().len() > MAX_REDIRECTS {
        "one redirect too many"
    } else if public_only && !may_be_public(attempt.url()) {
        "which is not on the public network"
    } else {
        return attempt.follow();
    };
    let target = shown(attempt.url());
    attempt.error(Refused { target, why })
}

/// What to make of an answer of 400 or more.
pub(crate) fn refusal(address: &Address, response: &Response, longest_pause: Duration) -> Fault {
    let now = Timestamp::now();
    let status = response.status();
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let asked = header(RETRY_AFTER.as_str()).and_then(|value| retry::retry_after(value, now));
    // GitHub's way to say the same.
    let spent = header("x-ratelimit-remaining") == Some("0");
    let reset = header("x-ratelimit-reset")
        .and_then(|text| Timestamp::from_second(text.parse().ok()?).ok())
        .filter(|_| spent)
        .map(|until| Duration::try_from(until.duration_since(now)).unwrap_or_default());
    let wait = asked.or(reset);
    if !retry::passes(status.as_u16()) && wait.is_none_or(|_| status != StatusCode::FORBIDDEN) {
        return Fault {
            of: length_of_whole(response.headers()),
            ..Fault::last(status_error(address, status))
        };
    }
    match wait {
        Some(wait) if wait > longest_pause => Fault::last(HttpError::Later {
            host: address.host(),
            until: now
                .checked_add(wait)
                .ok()
                .map(|until| until.round(jiff::Unit::Second).unwrap_or(until)),
        }),
        wait => Fault {
            error: status_error(address, status),
            again: Some(wait.unwrap_or_default()),
            of: None,
        },
    }
}

/// What an error of reqwest is, in the words of who uses this.
pub(crate) fn fault(address: &Address, received: u64, error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let host = address.host();
    let mut told = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return Fault::last(HttpError::Redirect {
                host,
                address: address.to_string(),
                target: refused.target.clone(),
                why: refused.why,
            });
        }
        if inner.is::<NotPublic>() {
            return Fault::last(HttpError::NotPublic { host });
        }
        told += &inner.to_string().to_ascii_lowercase();
        cause = inner.source();
    }
    if told.contains("certificate") {
        return Fault::last(HttpError::Certificate {
            host,
            source: error,
        });
    }
    if error.is_connect() {
        return Fault::passing(HttpError::Connect {
            host,
            source: error,
        });
    }
    let broken = [
        "closed",
        "reset",
        "broken pipe",
        "incomplete",
        "eof",
        "end of file",
    ];
    if error.is_timeout() || broken.iter().any(|word| told.contains(word)) {
        return Fault::passing(HttpError::Cut {
            host,
            address: address.to_string(),
            received,
        });
    }
    Fault::last(HttpError::Garbled {
        host,
        source: error,
    })
}

pub(crate) fn status_error(address: &Address, status: StatusCode) -> HttpError {
    HttpError::Status {
        host: address.host(),
        address: address.to_string(),
        status,
    }
}

pub(crate) fn too_large(address: &Address, limit: u64) -> HttpError {
    HttpError::TooLarge {
        address: address.to_string(),
        limit,
    }
}
