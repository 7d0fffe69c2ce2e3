//! What goes wrong between a publisher and its clients, and what to do about it.

use std::error::Error as _;

use camino::Utf8PathBuf;
use snowguard_advisory::index::OpenError;
use snowguard_http::HttpError;
use snowguard_matching::triage::ReadError;

use crate::file::IndexFileError;

/// Why an index cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexFileError),
    /// The directory is signed with another key.
    #[error("the repository in {0} is signed with another key")]
    OtherKey(Utf8PathBuf),
    /// Something that others put there, or damage.
    #[error("{0} is not signed with the key of the repository")]
    Unverified(Utf8PathBuf),
    /// There is nothing yet whose key could be replaced.
    #[error("there is no repository in {0} whose key could be replaced")]
    NothingToRotate(Utf8PathBuf),
    /// Metadata that cannot be read.
    #[error("{path} is damaged")]
    Metadata {
        /// Which file.
        path: Utf8PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A file of the repository.
    #[error("cannot {what} {path}")]
    File {
        /// Read, write ...
        what: &'static str,
        /// Which.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another program publishes there.
    #[error("another program is publishing to {0}")]
    Busy(Utf8PathBuf),
    /// The index is larger than a client takes.
    #[error("the index is larger than 2 GiB")]
    TooLarge,
    /// What a tracker decided cannot be read.
    #[error("the decisions of the tracker cannot be published")]
    Triage(#[source] ReadError),
    /// The time of expiry cannot be told.
    #[error("the metadata would expire in a year that cannot be written")]
    Expiry,
    /// Metadata that cannot be written.
    #[error("cannot write metadata")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PublishError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherKey(_) => Some(
                "use the key that signed it; `--next-key NEW` beside that one replaces it by a new one",
            ),
            Self::Unverified(_) => {
                Some("find out who writes to that directory, and restore it from a copy")
            }
            Self::NothingToRotate(_) => Some("publish with `--key` alone first"),
            Self::Metadata { .. } => Some(
                "restore the directory from a copy; clients take one that is begun anew for a rollback",
            ),
            Self::Busy(_) => Some("wait until it has ended, then try again"),
            Self::Triage(error) => error.hint(),
            _ => None,
        }
    }

    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Write(error.into())
    }

    pub(super) fn schema(error: tough::schema::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Why a published index is not taken. Whatever it is, the index that was there stays in force.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The connection, or a file that is not what the signed metadata says.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What was given to be trusted is nothing of the kind.
    #[error("{0} is neither a public key nor a root")]
    NoAnchor(String),
    /// There is no repository.
    #[error("there is no signed index at {0}")]
    Nothing(String),
    /// The first root is not signed with the given key.
    #[error("the index at {from} is not signed with the key {key}")]
    OtherKey {
        /// Where it is.
        from: String,
        /// The key.
        key: String,
    },
    /// What is kept here of a repository was made with another key.
    #[error("{state} belongs to an index that is signed with another key than {key}")]
    OtherState {
        /// The directory.
        state: Utf8PathBuf,
        /// The key.
        key: String,
    },
    /// A signature is missing or wrong.
    #[error("the {role} metadata at {from} has no valid signature")]
    Signature {
        /// Where it is.
        from: String,
        /// Which file.
        role: String,
    },
    /// Older than what was seen before.
    #[error("{from} offers an older state than it did before: {why}")]
    Rollback {
        /// Where it is.
        from: String,
        /// What is older.
        why: String,
    },
    /// Older than it may be.
    #[error("the {role} metadata at {from} has expired")]
    Frozen {
        /// Where it is.
        from: String,
        /// Which file.
        role: String,
    },
    /// Files of different states.
    #[error("the files at {from} do not belong together: {why}")]
    Mixed {
        /// Where it is.
        from: String,
        /// What does not fit.
        why: String,
    },
    /// More than a client takes.
    #[error("{what} at {from} is too large")]
    TooLarge {
        /// Where it is.
        from: String,
        /// What.
        what: String,
    },
    /// Not what a publisher writes.
    #[error("{what} at {from} cannot be read")]
    Malformed {
        /// Where it is.
        from: String,
        /// What.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was unpacked is not what was published.
    #[error("{0} does not unpack to what is published")]
    Unpacked(String),
    /// The published index is of another format.
    #[error("the published index cannot be used")]
    Format(#[source] OpenError),
    /// This machine's clock went back.
    #[error("the clock of this machine is behind the last time that an index was fetched")]
    Clock,
    /// Another program fetches.
    #[error("another program is using {0}")]
    Busy(Utf8PathBuf),
    /// What is kept here cannot be read.
    #[error("{0} is damaged")]
    State(Utf8PathBuf),
    /// A file of this machine.
    #[error("cannot {what} {path}")]
    File {
        /// Read, write ...
        what: &'static str,
        /// Which.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The index file.
    #[error(transparent)]
    Index(#[from] IndexFileError),
    /// Something else that `tough` refuses.
    #[error("the metadata at {from} is refused")]
    Refused {
        /// Where it is.
        from: String,
        /// Why.
        #[source]
        source: Box<tough::error::Error>,
    },
}

impl FetchError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Http(error) => return error.hint(),
            Self::Nothing(_) => {
                "check the address: it is that of the directory with `metadata` and `targets`"
            }
            Self::NoAnchor(_) => {
                "give NAME:BASE64, as `snowguard advisories key` prints it, or a file with it"
            }
            Self::OtherKey { .. } => {
                "check the key with whoever publishes; after a change of keys, take the new one from there"
            }
            Self::OtherState { .. } => {
                "if the key was changed on purpose, remove that directory; the next fetch begins anew"
            }
            Self::Signature { .. } => {
                "do not trust this server before its operator explains it; the last good index stays"
            }
            Self::Rollback { .. } => {
                "a mirror that lags behind mends itself; else tell its operator; the last good index stays"
            }
            Self::Frozen { .. } => {
                "check this machine's clock; else the publisher has stopped, or someone keeps news back"
            }
            Self::Mixed { .. } => {
                "a mirror that is just being copied mends itself; else tell its operator; the last good index stays"
            }
            Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Unpacked(_)
            | Self::Refused { .. } => "tell the operator of the server; the last good index stays",
            Self::Format(OpenError::Version { .. }) => {
                "the publisher and this program must be of the same generation"
            }
            Self::Format(_) => "tell whoever publishes it; the last good index stays",
            Self::Clock => {
                "set the clock; if it is right now and was wrong before, remove `latest_known_time.json` in the state directory"
            }
            Self::Busy(_) => "wait until it has ended, then try again",
            Self::State(_) => {
                "remove it; the next fetch begins anew, without knowledge of what was seen before"
            }
            Self::File { .. } | Self::Index(_) => return None,
        })
    }

    /// From what `tough` says, by what an operator must tell apart.
    pub(super) fn of(from: &str, error: tough::error::Error) -> Self {
        use tough::error::Error as E;
        let from = from.to_owned();
        let told = error.to_string();
        match error {
            E::ExpiredMetadata { role, .. } => Self::Frozen {
                from,
                role: role.to_string(),
            },
            E::OlderMetadata {
                role,
                current_version,
                new_version,
                ..
            } => Self::Rollback {
                from,
                why: format!(
                    "its {role} metadata has version {new_version}, and had {current_version}"
                ),
            },
            E::OlderSnapshotInTimestamp { .. } | E::SnapshotRoleRollback { .. } => {
                Self::Rollback { from, why: told }
            }
            E::VersionMismatch { .. }
            | E::HashMismatch { .. }
            | E::SnapshotRoleMissing { .. }
            | E::MetaMissing { .. } => Self::Mixed { from, why: told },
            E::VerifyMetadata { role, .. } => Self::Signature {
                from,
                role: role.to_string(),
            },
            E::VerifyTrustedMetadata { .. } => Self::Signature {
                from,
                role: "root".to_owned(),
            },
            E::ParseMetadata { role, source, .. } => Self::Malformed {
                from,
                what: format!("the {role} metadata"),
                source: source.into(),
            },
            E::MaxSizeExceeded { .. } => Self::TooLarge {
                from,
                what: "the metadata".to_owned(),
            },
            E::SystemTimeSteppedBackward { .. } => Self::Clock,
            E::Transport { url, source, .. } => Self::of_transport(from, url.path(), source),
            error => Self::Refused {
                from,
                source: Box::new(error),
            },
        }
    }

    fn of_transport(from: String, path: &str, error: tough::TransportError) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut cause = error.source();
        while let Some(found) = cause {
            if let Some(found) = found.downcast_ref::<tough::error::Error>() {
                return match found {
                    tough::error::Error::HashMismatch { .. } => Self::Mixed {
                        from,
                        why: format!("{name} is not the one that the others name"),
                    },
                    _ => Self::TooLarge {
                        from,
                        what: name.to_owned(),
                    },
                };
            }
            if let Some(HttpError::TooLarge { .. }) = found.downcast_ref::<HttpError>() {
                return Self::TooLarge {
                    from,
                    what: name.to_owned(),
                };
            }
            cause = found.source();
        }
        if error.kind() == tough::TransportErrorKind::FileNotFound {
            return if name == "timestamp.json" {
                Self::Nothing(from)
            } else {
                Self::Mixed {
                    from,
                    why: format!("{name} is missing"),
                }
            };
        }
        Self::Malformed {
            from,
            what: name.to_owned(),
            source: error.into(),
        }
    }
}
