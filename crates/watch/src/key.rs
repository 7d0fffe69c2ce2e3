//! The key of a change: the same for the same change, whenever and however often it is told.
//!
//! It is a digest of what changed and of how often that happened before, and not of time. A receiver
//! that keeps the keys it has seen can drop what arrives twice.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The key of a change, or of a message about several: 32 digits of base 16.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl Key {
    /// Of parts in order. No two lists of parts have one key: each part is counted.
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"snowguard-change/1");
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(HEXLOWER.encode(&hasher.finalize()[..16]))
    }

    /// Of a message about several changes.
    pub fn of_all<'k>(keys: impl IntoIterator<Item = &'k Self>) -> Self {
        let mut keys: Vec<&str> = keys.into_iter().map(|key| key.0.as_str()).collect();
        keys.sort_unstable();
        Self::of(std::iter::once("message").chain(keys))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the key of a change")]
pub struct NoKey(String);

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let digits = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if digits && text.len() == 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoKey(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Key {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(Key::of(["ab", "c"]), Key::of(["a", "bc"]));
        assert_ne!(Key::of(["ab"]), Key::of(["ab", ""]));
        assert_eq!(Key::of(["ab", "c"]), Key::of(["ab", "c"]));
    }

    #[test]
    fn the_key_of_a_message_does_not_depend_on_order() {
        let (a, b) = (Key::of(["a"]), Key::of(["b"]));
        assert_eq!(Key::of_all([&a, &b]), Key::of_all([&b, &a]));
        assert_ne!(Key::of_all([&a]), a);
    }

    #[test]
    fn keys_are_read_back_and_nothing_else_is() {
        let key = Key::of(["a"]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in [
            "",
            "A",
            "../../etc/passwd",
            "0123456789abcdef0123456789abcde\n",
        ] {
            assert!(wrong.parse::<Key>().is_err());
        }
    }
}
