//! What can go wrong with a request: what is said of it, to people and to programs.

use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request is not answered as it was meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("There is no {what} {name:?}.")]
    NotFound { what: &'static str, name: String },
    #[error("This address means nothing here.")]
    NoPage,
    #[error("The request cannot be read: {0}.")]
    Malformed(String),
    #[error("A form is wanted.")]
    NoForm,
    #[error("This needs a login.")]
    LoginNeeded,
    #[error("This is not yours to do: {0}.")]
    Forbidden(String),
    #[error("The form does not come from a page of this site, or from an old one.")]
    Forged,
    #[error("Somebody else was faster: {0}.")]
    Conflict(String),
    #[error("It cannot be done: {0}.")]
    Refused(String),
    #[error("The token is not valid, or not any more.")]
    BadToken,
    #[error("The token may not do this: it lacks the scope {0:?}.")]
    Scope(&'static str),
    #[error("Too many requests.")]
    TooMany(Duration),
    #[error("The server has too much to do.")]
    Busy,
    #[error("The request is too large.")]
    TooLarge,
    #[error("The request did not arrive in time.")]
    Slow,
    #[error("This address is not for that method.")]
    Method,
    #[error("The server does not go by that name.")]
    Host,
    #[error("GitHub could not be asked: {0}.")]
    GitHub(String),
    #[error("Something went wrong in the server.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What went wrong, for programs. Source: RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem: `/api#not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What happened, to which thing.
    pub detail: String,
    /// The number of the request, for whoever asks about it.
    pub request: String,
}

impl Fault {
    /// From an error that is not the client's.
    pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } | Self::NoPage => StatusCode::NOT_FOUND,
            Self::Malformed(_) | Self::NoForm => StatusCode::BAD_REQUEST,
            Self::LoginNeeded | Self::BadToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Forged | Self::Scope(_) => StatusCode::FORBIDDEN,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::GitHub(_) => StatusCode::BAD_GATEWAY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The kind, as it is in addresses.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NoPage => "not-found",
            Self::Malformed(_) | Self::NoForm => "malformed",
            Self::LoginNeeded => "login-needed",
            Self::BadToken => "bad-token",
            Self::Forbidden(_) => "forbidden",
            Self::Forged => "forged",
            Self::Scope(_) => "scope",
            Self::Conflict(_) => "conflict",
            Self::Refused(_) => "refused",
            Self::TooMany(_) => "too-many-requests",
            Self::Busy => "busy",
            Self::TooLarge => "too-large",
            Self::Slow => "slow",
            Self::Method => "method",
            Self::Host => "host",
            Self::GitHub(_) => "github",
            Self::Internal(_) => "internal",
        }
    }

    /// The kind in words, as the head of a page.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NoPage => "Nothing is here",
            Self::Malformed(_)
            | Self::NoForm
            | Self::TooLarge
            | Self::Slow
            | Self::Method
            | Self::Host => "The request is not understood",
            Self::LoginNeeded | Self::BadToken => "Not logged in",
            Self::Forbidden(_) | Self::Scope(_) => "Not allowed",
            Self::Forged => "Not taken",
            Self::Conflict(_) => "It has changed meanwhile",
            Self::Refused(_) => "Not done",
            Self::TooMany(_) | Self::Busy => "Later",
            Self::GitHub(_) | Self::Internal(_) => "It did not work",
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound { .. } | Self::NoPage => "Search for it by another name.",
            Self::LoginNeeded => "Log in, and do it again.",
            Self::BadToken => "Make a new token in your settings.",
            Self::Forged => "Go back, load the page anew, and send the form again.",
            Self::Conflict(_) => "Go back, load the page anew, and decide on what it says now.",
            Self::TooMany(_) | Self::Busy => "Ask again in a moment.",
            Self::Refused(_) => "Go back and change what is missing.",
            Self::GitHub(_) => "Try again in a moment; what can be read needs no login.",
            Self::Internal(_) => {
                "Try again. If it stays so, tell the operator the request's number."
            }
            Self::Host => "Use the address that the server prints when it starts.",
            _ => return None,
        })
    }

    /// After how many seconds to ask again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(wait.as_secs() + 1),
            Self::Busy => Some(2),
            _ => None,
        }
    }

    pub(crate) fn problem(&self, request: &str) -> Problem {
        Problem {
            kind: format!("/api#{}", self.kind()),
            title: self.title().into(),
            status: self.status().as_u16(),
            detail: self.to_string(),
            request: request.into(),
        }
    }
}

impl From<crate::request::Malformed> for Fault {
    fn from(error: crate::request::Malformed) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<crate::page::PageError> for Fault {
    fn from(error: crate::page::PageError) -> Self {
        Self::internal(error)
    }
}

impl From<crate::random::NoRandom> for Fault {
    fn from(error: crate::random::NoRandom) -> Self {
        Self::internal(error)
    }
}
