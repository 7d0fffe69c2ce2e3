//! What goes wrong on the way, and what to do about it.

use std::io;

use camino::Utf8PathBuf;
use jiff::Timestamp;

/// Why something was not fetched or sent.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection came about.
    #[error("cannot connect to {host}")]
    Connect {
        /// Which.
        host: String,
        /// What the system says.
        #[source]
        source: reqwest::Error,
    },
    /// It is not on the public network, and only that may be reached.
    #[error("{host} is not on the public network")]
    NotPublic {
        /// Which.
        host: String,
    },
    /// The server's certificate is not trusted.
    #[error("{host} has a certificate that is not trusted here")]
    Certificate {
        /// Which.
        host: String,
        /// What is wrong with it.
        #[source]
        source: reqwest::Error,
    },
    /// No answer, or one that stands still.
    #[error("{host} sent nothing, or next to nothing, for {seconds} s")]
    Stalled {
        /// Which.
        host: String,
        /// How long.
        seconds: u64,
    },
    /// The connection broke off before the end.
    #[error("{host} broke off {address} after {received} bytes")]
    Cut {
        /// Which.
        host: String,
        /// What.
        address: String,
        /// How much of it is here.
        received: u64,
    },
    /// What came is not HTTP, or not what was asked for.
    #[error("{host} gave an answer that makes no sense")]
    Garbled {
        /// Which.
        host: String,
        /// What is wrong with it.
        #[source]
        source: reqwest::Error,
    },
    /// The server says no.
    #[error("{host} answered {status} to {address}")]
    Status {
        /// Which.
        host: String,
        /// What was asked for.
        address: String,
        /// The status, and its usual words.
        status: reqwest::StatusCode,
    },
    /// The server asks to come back later than anybody would wait.
    #[error("{host} asks to wait{}", until.map_or(String::new(), |until| format!(" until {until}")))]
    Later {
        /// Which.
        host: String,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// A redirect that is not followed.
    #[error("{host} leads from {address} to {target}, {why}")]
    Redirect {
        /// Which.
        host: String,
        /// What was asked for.
        address: String,
        /// Where it leads.
        target: String,
        /// Why that is not followed.
        why: &'static str,
    },
    /// More than was asked for, or than there can be.
    #[error("{address} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        address: String,
        /// What is taken at most.
        limit: u64,
    },
    /// Not as long as it should be.
    #[error("{address} has {found} bytes; {expected} are published")]
    Length {
        /// What.
        address: String,
        /// What is published.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Not the bytes that it should be.
    #[error("{address} has the SHA-256 {found}; {expected} is published")]
    Digest {
        /// What.
        address: String,
        /// What is published, in hexadecimal.
        expected: String,
        /// What came.
        found: String,
    },
    /// A certificate file that cannot be used.
    #[error("cannot take certificates from {path}: {why}")]
    Certificates {
        /// Which.
        path: Utf8PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The client cannot be made.
    #[error("cannot use the network")]
    Setup(#[source] reqwest::Error),
    /// A header that cannot be sent.
    #[error("`{0}` cannot be sent as a header")]
    Header(String),
    /// A file of this machine.
    #[error("cannot {what} {path}")]
    File {
        /// Read, write ...
        what: &'static str,
        /// Which.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The person stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl HttpError {
    /// Whether there is no such document. Object stores answer 403 where they may not say so.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 403 | 404 | 410),
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Whether the same may go well a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Stalled { .. } | Self::Cut { .. } | Self::Later { .. } => {
                true
            }
            Self::Status { status, .. } => crate::retry::passes(status.as_u16()),
            _ => false,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect { .. } => {
                "check the network and HTTPS_PROXY; a mirror or file:// works without either"
            }
            Self::NotPublic { .. } => {
                "addresses that others choose may not lead to this machine or its neighbours"
            }
            Self::Certificate { .. } => {
                "if that host or your proxy has a certificate authority of its own, name its file with --ca-file"
            }
            Self::Stalled { .. } | Self::Cut { .. } => {
                "run it again: what has arrived is kept, and the download goes on from there"
            }
            Self::Garbled { .. } => {
                "a proxy or a portal may have answered in its place; check HTTPS_PROXY"
            }
            Self::Status { status, .. } => match status.as_u16() {
                401 | 407 => "it wants a login: put it into the address or the proxy's",
                403 => "it refuses this client; a mirror may serve it, and some hosts want a token",
                404 | 410 => "check the address of the mirror; feeds move at times",
                _ => "try again later, or use a mirror",
            },
            Self::Later { .. } => "run it again then, or use a mirror",
            Self::Redirect { .. } => "check the address; if it has moved for good, set the new one",
            Self::TooLarge { .. } => "this is not what that address should serve; check it",
            Self::Length { .. } | Self::Digest { .. } => {
                "the file was damaged or replaced on the way; try again, and if it stays so, use another mirror"
            }
            Self::Certificates { .. } => "it must be a file of certificates in PEM",
            Self::Setup(_) => {
                "if no certificates are installed here, name a file of them with --ca-file"
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on that disk"
            }
            Self::File { what: "read", .. } => "check the path of the mirror",
            Self::File { .. } => "check that you may write there",
            Self::Header(_) | Self::Interrupted => return None,
        })
    }
}
