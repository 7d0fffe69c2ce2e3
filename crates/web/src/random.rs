//! Secrets: random texts that nobody can guess, and their digests, which are what is kept.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

/// No secret can be made: the system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandom(getrandom::Error);

/// 256 random bits as 43 characters that need no escape anywhere.
pub(crate) fn secret() -> Result<String, NoRandom> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(NoRandom)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// A few random characters, to tell one process from another.
pub(crate) fn short() -> Result<String, NoRandom> {
    let plain = |c: &char| c.is_ascii_alphanumeric();
    Ok(secret()?.chars().filter(plain).take(6).collect())
}

/// What is kept of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A secret that follows from another, for one purpose.
pub(crate) fn derived(secret: &str, purpose: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(purpose.as_bytes());
    hasher.update([0]);
    hasher.update(secret.as_bytes());
    BASE64URL_NOPAD.encode(&hasher.finalize())
}

/// Whether two secrets are one, in a time that tells nothing: digests are compared, of which nobody can
/// choose a beginning.
pub(crate) fn same(one: &str, other: &str) -> bool {
    digest(one) == digest(other)
}

/// The challenge for a verifier. Source: RFC 7636, section 4.2, method S256.
pub(crate) fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&digest(verifier))
}

/// The digest of what is sent, as text.
pub(crate) fn challenge_of(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_need_no_escape() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.len(), 43);
        assert!(!same(&one, &other) && same(&one, &one.clone()));
        assert!(
            one.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_ne!(derived(&one, "a"), derived(&one, "b"));
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
