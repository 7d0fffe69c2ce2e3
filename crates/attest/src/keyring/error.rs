//! Why a document is no keyring, or why something cannot be done with one, and what to do about it.

use super::SCHEMA;
use crate::time::Time;

/// Why a document is no keyring, or why something cannot be done with one.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It cannot be read.
    #[error("read the keyring at `{place}`")]
    Malformed {
        /// Where.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("write the keyring")]
    Write(#[source] serde_json::Error),
    /// It is another document, or of another version.
    #[error("it is `{0}`, not `{SCHEMA}`")]
    OtherSchema(String),
    /// It has more than a keyring may.
    #[error("the keyring is larger than a keyring may be")]
    TooLarge,
    /// A key or a name is in it twice.
    #[error("the key {0}, or its name, is in the keyring already")]
    Twice(String),
    /// A name could be taken for the id of another key.
    #[error("the name {0} looks like the id of a key")]
    LooksLikeId(String),
    /// A key is not in it.
    #[error("the keyring has no key {0}")]
    NotHere(String),
    /// A key would end before it begins.
    #[error("the key {0} would end before it begins")]
    Order(String),
    /// A key is said to take over, and is not signed by one before it.
    #[error("the key {0} is not signed by the key that it takes over from")]
    NoPredecessor(String),
    /// A key that others may have had cannot hand on.
    #[error("the key {0} may have been in others' hands, so that no key can take over from it")]
    HandedOnByOthers(String),
    /// Nor can one to which such a key has handed on.
    #[error("nobody can tell whose the key {0} is, so that no key can take over from it")]
    Doubted(String),
    /// A key that has ended cannot hand on.
    #[error("the key {name} has ended at {end}")]
    Ended {
        /// Its name.
        name: String,
        /// When.
        end: Time,
    },
    /// A later edition lacks a key.
    #[error("the key {0} is gone from it")]
    Gone(String),
    /// A later edition says something else of a key than the earlier.
    #[error("it says otherwise of the key {0} than before, or takes back what was said")]
    Changed(String),
    /// A later edition says that a key is right, which nobody can tell by a signature.
    #[error(
        "it says that the key {0} is right, whoever handed on to it, and no key of the keyring says so"
    )]
    AddedAnew(String),
    /// A later edition has a key that no earlier one signed.
    #[error("no key of the keyring has signed the new key {0}")]
    Unvouched(String),
}

impl KeyringError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::HandedOnByOthers(_) => Some(
                "make a key that takes over from none, and let people know of it in another way",
            ),
            Self::Doubted(_) => {
                Some("if you know from elsewhere that it is right, add it anew with `key add`")
            }
            Self::Unvouched(_) | Self::AddedAnew(_) => Some(
                "if you know from elsewhere that it is right, put the new file in the place of the old",
            ),
            Self::Gone(_) | Self::Changed(_) => Some(
                "a keyring only grows; ask who keeps it why this one does not, before you take it over",
            ),
            _ => None,
        }
    }
}
