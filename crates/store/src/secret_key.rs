//! Ed25519 secret keys in Nix's form, `NAME:BASE64` of the seed and the public key.
//!
//! Source: `nix key generate-secret` and `nix-store --generate-binary-cache-key`. For whoever signs, and
//! for nobody else: a process that parses what strangers wrote has no use for this module.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::signature::{SignatureError, split};
use crate::{PublicKey, Signature, base64};

/// A named Ed25519 secret key. It is never shown, and its memory is wiped when it is dropped, as is what
/// it was read from on the way: the text itself is the caller's.
pub struct SecretKey {
    public: PublicKey,
    key: SigningKey,
}

impl SecretKey {
    /// The key of a seed. An error if the name is empty or holds `:` or a control character.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SignatureError> {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::new(name, key.verifying_key().to_bytes())?;
        Ok(Self { public, key })
    }

    /// The key as it is written to a file, without a line feed at its end.
    pub fn to_text(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new(self.key.to_keypair_bytes());
        let secret = Zeroizing::new(base64::encode(&*pair));
        // Long enough from the start: a string that grows leaves what it held behind.
        let mut text = Zeroizing::new(String::with_capacity(self.name().len() + 1 + secret.len()));
        text.push_str(self.name());
        text.push(':');
        text.push_str(&secret);
        text
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.public.name()
    }

    /// The public half, under the same name.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::of_key(&self.public, &self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}:…)", self.name())
    }
}

impl FromStr for SecretKey {
    type Err = SecretKeyError;

    fn from_str(text: &str) -> Result<Self, SecretKeyError> {
        let (name, bytes) = split(text.trim()).ok_or(SecretKeyError::Form)?;
        let bytes = Zeroizing::new(bytes);
        let pair: &[u8; 64] = match bytes.as_slice().try_into() {
            Ok(pair) => pair,
            Err(_) if bytes.len() == 32 => return Err(SecretKeyError::Public),
            Err(_) => return Err(SecretKeyError::Length { found: bytes.len() }),
        };
        let key = SigningKey::from_keypair_bytes(pair).map_err(|_| SecretKeyError::Halves)?;
        let public = PublicKey::new(name, key.verifying_key().to_bytes())
            .map_err(|_| SecretKeyError::Halves)?;
        Ok(Self { public, key })
    }
}

/// Why a text is no secret key. None of these repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// Not `NAME:BASE64`.
    #[error("read secret key: it is not of the form `NAME:BASE64`")]
    Form,
    /// It is the public half.
    #[error("read secret key: it has 32 bytes, as a public key has")]
    Public,
    /// Neither half.
    #[error("read secret key: it has {found} bytes, not 64")]
    Length {
        /// How many it has.
        found: usize,
    },
    /// The public half is not that of the secret one.
    #[error("read secret key: its two halves do not belong together")]
    Halves,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 8032, section 7.1, test 1, in Nix's form.
    const KEY: &str = "test-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

    #[test]
    fn it_signs_as_the_rfc_does() {
        let key: SecretKey = KEY.parse().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(test-1:…)");
        assert_eq!(
            key.public().to_string(),
            "test-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        );
        let signature = key.sign(b"");
        assert_eq!(
            signature.to_string(),
            "test-1:5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="
        );
        assert!(key.public().verifies(b"", &signature));
        assert!(!key.public().verifies(b"x", &signature));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let key: SecretKey = KEY.parse().unwrap();
        assert_eq!(*key.to_text(), KEY);
        let seed = [7; 32];
        let made = SecretKey::from_seed("mirror-1", &seed).unwrap();
        let again: SecretKey = made.to_text().parse().unwrap();
        assert_eq!(again.public(), made.public());
        for name in ["", "a:b", "a\n"] {
            assert!(SecretKey::from_seed(name, &seed).is_err());
        }
    }

    #[test]
    fn what_is_no_secret_key_is_told_without_repeating_it() {
        let told = |text: &str| text.parse::<SecretKey>().unwrap_err().to_string();
        insta::assert_snapshot!(told("nothing"), @"read secret key: it is not of the form `NAME:BASE64`");
        insta::assert_snapshot!(told("test-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), @"read secret key: it has 32 bytes, as a public key has");
        insta::assert_snapshot!(told("a:AAAA"), @"read secret key: it has 3 bytes, not 64");
        insta::assert_snapshot!(told(&KEY.replace("DXWpg", "DXWph")), @"read secret key: its two halves do not belong together");
    }
}
