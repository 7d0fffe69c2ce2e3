//! A request to a server, with a key and a signature.
//!
//! Source of the headers: Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`), and
//! the IETF's draft of the `Idempotency-Key` header.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use snowguard_http::{Address, Client, HttpError, Post};

/// How much of an answer is read.
const ANSWER: u64 = 64 << 10;

/// A message for a webhook.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    /// Where to.
    pub address: &'a Address,
    /// What tells the message from every other: the same when it is sent again. ASCII without spaces.
    pub key: &'a str,
    /// When it is sent.
    pub at: Timestamp,
    /// JSON.
    pub body: &'a [u8],
    /// Signs it.
    pub secret: Option<&'a [u8]>,
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a str>,
}

impl Hook<'_> {
    /// Sends it, and returns when it was taken.
    pub fn send(&self, client: &Client) -> Result<(), HttpError> {
        let at = self.at.as_second().to_string();
        let signature = self
            .secret
            .map(|secret| sign(secret, self.key, &at, self.body));
        let mut headers = vec![("webhook-id", self.key), ("webhook-timestamp", &at)];
        headers.extend(
            signature
                .as_deref()
                .map(|value| ("webhook-signature", value)),
        );
        headers.extend(self.authorization.map(|value| ("Authorization", value)));
        let post = Post {
            address: self.address,
            body: self.body,
            content_type: "application/json",
            headers: &headers,
            idempotency_key: Some(self.key),
            limit: ANSWER,
        };
        client.post(&post).map(drop)
    }
}

/// The signature as Standard Webhooks writes it: over id, time and body, so that none can be taken from
/// another request.
pub fn sign(secret: &[u8], key: &str, at: &str, body: &[u8]) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return String::new();
    };
    for part in [key.as_bytes(), b".", at.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use snowguard_http::Settings;
    use snowguard_testkit::web::Web;

    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_ne!(sign(b"s", "a", "1", b"2"), sign(b"s", "a", "12", b""));
    }

    #[test]
    fn a_message_has_a_key_and_a_signature() {
        let web = Web::start().unwrap();
        web.put("/hook", "taken");
        let client = Client::new(Settings::default(), Arc::default()).unwrap();
        let hook = Hook {
            address: &web.url("/hook").parse().unwrap(),
            key: "k1",
            at: Timestamp::UNIX_EPOCH,
            body: b"{}",
            secret: Some(b"secret"),
            authorization: Some("Bearer x"),
        };
        hook.send(&client).unwrap();
        let seen = web.seen().remove(0);
        for (name, value) in [
            ("idempotency-key", "k1"),
            ("webhook-id", "k1"),
            ("webhook-timestamp", "0"),
            ("authorization", "Bearer x"),
            (
                "webhook-signature",
                sign(b"secret", "k1", "0", b"{}").as_str(),
            ),
        ] {
            assert_eq!(seen.header(name), Some(value));
        }
    }
}
