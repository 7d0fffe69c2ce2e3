//! Ed25519 signatures and public keys in Nix's form, `NAME:BASE64`.
//!
//! The name says which key made a signature; it is no secret and proves nothing by itself.
//! Source: `nix-store --generate-binary-cache-key` and the setting `trusted-public-keys`.
//! Deliberately absent: secret keys, which have a room of their own ([`secret_key`](crate::secret_key)).
//! What reads strangers' bytes holds none.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;

use crate::base64;
use crate::quote::Quoted;
use crate::serde_text::through_text;

/// A signature and the name of the key that is said to have made it.
///
/// The bytes may be of any number: a signature of an unknown kind is no reason to refuse what it is on, it
/// only verifies nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    key_name: Box<str>,
    bytes: Box<[u8]>,
}

impl Signature {
    /// Bytes that the key of that name is said to have made; none if that is no name of a key.
    pub fn new(key_name: &str, bytes: &[u8]) -> Option<Self> {
        (is_name(key_name) && !bytes.is_empty()).then(|| Self {
            key_name: key_name.into(),
            bytes: bytes.into(),
        })
    }

    pub(crate) fn of_key(key: &PublicKey, bytes: &[u8]) -> Self {
        Self {
            key_name: key.name.clone(),
            bytes: bytes.into(),
        }
    }

    /// The name of the key.
    pub fn key_name(&self) -> &str {
        &self.key_name
    }

    /// The signature itself; 64 bytes for Ed25519.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key_name, base64::encode(&self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let (key_name, bytes) = split(text).ok_or_else(|| SignatureError::Signature {
            text: Quoted::new(text),
        })?;
        Ok(Self {
            key_name: key_name.into(),
            bytes: bytes.into(),
        })
    }
}

through_text!(Signature);

/// A named Ed25519 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Box<str>,
    key: VerifyingKey,
}

impl PublicKey {
    /// Takes a name without `:` and a key; an error if the key is no point of the curve.
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, SignatureError> {
        let text = || Quoted::new(format!("{name}:{}", base64::encode(&key)));
        if !is_name(name) {
            return Err(SignatureError::Key { text: text() });
        }
        let key =
            VerifyingKey::from_bytes(&key).map_err(|_| SignatureError::Key { text: text() })?;
        Ok(Self {
            name: name.into(),
            key,
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether a signature is by this key, by name and by mathematics, on this message.
    ///
    /// Weak keys and signatures in other than their one canonical form do not count.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        signature.key_name == self.name
            && ed25519_dalek::Signature::from_slice(&signature.bytes)
                .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, base64::encode(self.key.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bad = || SignatureError::Key {
            text: Quoted::new(text),
        };
        let (name, key) = split(text).ok_or_else(bad)?;
        Self::new(name, key.try_into().map_err(|_| bad())?)
    }
}

through_text!(PublicKey);

/// Why a text is no signature or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not `NAME:BASE64`.
    #[error("read signature {text}: it is not of the form `NAME:BASE64`")]
    Signature {
        /// The text.
        text: Quoted,
    },
    /// Not `NAME:BASE64`, not 32 bytes, or no key.
    #[error("read public key {text}: it is not `NAME:` and 32 bytes of an Ed25519 key in base64")]
    Key {
        /// The text.
        text: Quoted,
    },
}

pub(crate) fn split(text: &str) -> Option<(&str, Vec<u8>)> {
    let (name, bytes) = text.split_once(':')?;
    if !is_name(name) {
        return None;
    }
    let bytes = base64::decode(bytes.as_bytes()).ok()?;
    (!bytes.is_empty()).then_some((name, bytes))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control())
}
