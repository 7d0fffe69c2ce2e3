//! A request to a server, with a key and a signature.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use camino::Utf8Path;
use data_encoding::BASE64;
use serde::Deserialize;
use snowguard_http::{Address, Client, HttpError};
use snowguard_secrets::{SecretError, SecretFile};
use snowguard_send::webhook::Hook;
use snowguard_watch::Message;
use zeroize::Zeroizing;

use crate::{Deliver, DeliverError, Refusal, document};

/// What is sent at once: receivers take a megabyte and less, and a change has about one kilobyte.
const MOST: usize = 100;
/// What to do where a receiver refuses.
const REFUSED: &str =
    "the receiver's log says why: often the secret or the address is not what it expects";

/// What a status says of a message. A wrong signature is answered with 400 as well, and so is plain HTTP
/// where TLS is expected: that the message itself is wrong can only be known after a while.
fn refusal(status: u16) -> Refusal {
    match status {
        400 | 415 | 422 => Refusal::Wrong,
        413 => Refusal::TooLarge,
        _ => Refusal::No,
    }
}

/// Settings: `[notify.webhook]`. A file is a path, or `credential:NAME` for one that systemd hands over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Where to.
    pub url: Option<String>,
    /// A file in which that stands, where it is a secret.
    pub url_file: Option<String>,
    /// A file with the secret that signs: `whsec_` and base64, or any text.
    pub secret_file: Option<String>,
    /// A file with the value of the `Authorization` header.
    pub authorization_file: Option<String>,
    /// Allows a server that is not this machine to be reached without encryption.
    pub allow_plain_http: bool,
}

/// Sends requests.
pub struct Webhook {
    client: Client,
    address: Address,
    secret: Option<Zeroizing<Vec<u8>>>,
    authorization: Option<Zeroizing<String>>,
}

impl Webhook {
    /// Reads what the settings name. `credentials` is the directory that systemd hands over.
    pub fn new(
        settings: &Settings,
        credentials: Option<&Utf8Path>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, DeliverError> {
        let read = |name: &Option<String>| -> Result<Option<Zeroizing<String>>, SecretError> {
            name.as_deref()
                .map(|name| SecretFile::named(name, credentials)?.line())
                .transpose()
        };
        let url = match (&settings.url, read(&settings.url_file)?) {
            (Some(url), None) => Zeroizing::new(url.clone()),
            (None, Some(url)) => url,
            _ => {
                return Err(DeliverError::new(
                    "`notify.webhook` needs one of `url` and `url-file`",
                ));
            }
        };
        let address: Address = url
            .parse()
            .map_err(|source| DeliverError::of("`notify.webhook.url` cannot be used", source))?;
        if !address.is_secure() && !settings.allow_plain_http && !address.is_this_machine() {
            return Err(DeliverError::new(
                "`notify.webhook.url` is not https: whoever is on the way could read and answer",
            )
            .hint("`allow-plain-http = true` allows it"));
        }
        let client = Client::new(snowguard_http::Settings::from_environment(), stop)
            .map_err(|error| DeliverError::of("cannot use the network", error))?;
        let authorization = read(&settings.authorization_file)?;
        let secret = read(&settings.secret_file)?.map(|text| match text.strip_prefix("whsec_") {
            Some(encoded) => BASE64
                .decode(encoded.as_bytes())
                .map(Zeroizing::new)
                .map_err(|source| {
                    DeliverError::of("the secret after `whsec_` is not base64", source)
                }),
            None => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        });
        Ok(Self {
            client,
            address,
            secret: secret.transpose()?,
            authorization,
        })
    }
}

impl Deliver for Webhook {
    fn deliver(&mut self, message: &Message, _again: bool) -> Result<(), DeliverError> {
        let body = document::document(message)
            .map_err(|source| DeliverError::of("cannot write the message as JSON", source))?;
        let hook = Hook {
            address: &self.address,
            key: message.key.as_str(),
            at: snowguard_watch::service::now(),
            body: body.as_bytes(),
            secret: self.secret.as_ref().map(|secret| secret.as_slice()),
            authorization: self.authorization.as_ref().map(|value| value.as_str()),
        };
        hook.send(&self.client).map_err(|error| {
            let refused = match &error {
                HttpError::Status { status, .. } => refusal(status.as_u16()),
                _ => Refusal::No,
            };
            let hint = match refused {
                Refusal::No => error.hint(),
                Refusal::Wrong | Refusal::TooLarge => Some(REFUSED),
            };
            let mut failed = DeliverError::of("cannot send to the webhook", error);
            failed.refused = refused;
            match hint {
                Some(hint) => failed.hint(hint),
                None => failed,
            }
        })
    }

    fn most(&self) -> usize {
        MOST
    }
}

impl From<SecretError> for DeliverError {
    fn from(error: SecretError) -> Self {
        let hint = error.hint();
        let failed = Self::of("cannot use the settings of the webhook", error);
        match hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests write the files that settings name"
)]
mod tests {
    use snowguard_send::webhook::sign;
    use snowguard_testkit::web::{Fault, Web};

    use super::*;
    use crate::notifier::tests::message;

    fn webhook(settings: &Settings) -> Result<Webhook, DeliverError> {
        Webhook::new(settings, None, Arc::default())
    }

    #[test]
    fn a_request() {
        let web = Web::start().unwrap();
        web.put("/hook", "taken");
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path.to_str().unwrap().to_owned())
        };
        let settings = Settings {
            url_file: file("url", &format!("{}\n", web.url("/hook"))),
            secret_file: file("secret", "whsec_c2VjcmV0\n"),
            authorization_file: file("authorization", "Bearer x"),
            ..Settings::default()
        };
        let message = message(&["1", "2"]);
        webhook(&settings)
            .unwrap()
            .deliver(&message, false)
            .unwrap();
        let seen = web.seen().remove(0);
        assert_eq!(seen.header("idempotency-key"), Some(message.key.as_str()));
        assert_eq!(seen.header("webhook-id"), Some(message.key.as_str()));
        assert_eq!(seen.header("authorization"), Some("Bearer x"));
        let at = seen.header("webhook-timestamp").unwrap();
        let expected = sign(b"secret", message.key.as_str(), at, &seen.body);
        assert_eq!(seen.header("webhook-signature"), Some(expected.as_str()));
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body["schema"], document::CHANGES);
        assert_eq!(body["changes"][1]["advisory"], "CVE-2026-2");
        assert!(std::str::from_utf8(&seen.body).unwrap().contains("\\u202e"));
    }

    #[test]
    fn what_a_status_says() {
        let web = Web::start().unwrap();
        let mut webhook = webhook(&Settings {
            url: Some(web.url("/hook")),
            ..Settings::default()
        })
        .unwrap();
        for (status, refused) in [
            (400, Refusal::Wrong),
            (413, Refusal::TooLarge),
            (415, Refusal::Wrong),
            (422, Refusal::Wrong),
            (401, Refusal::No),
            (404, Refusal::No),
        ] {
            web.fail_always("/hook", Fault::Status(status, vec![]));
            let error = webhook.deliver(&message(&["1"]), false).unwrap_err();
            assert_eq!(error.refused, refused, "{status}");
        }
    }

    #[test]
    fn what_is_refused() {
        let refused = |settings: &Settings| webhook(settings).err().unwrap().what;
        let url = |url: &str| Settings {
            url: Some(url.into()),
            ..Settings::default()
        };
        insta::assert_snapshot!(refused(&Settings::default()), @"`notify.webhook` needs one of `url` and `url-file`");
        insta::assert_snapshot!(refused(&url("http://hooks.example/")), @"`notify.webhook.url` is not https: whoever is on the way could read and answer");
        insta::assert_snapshot!(refused(&url("ftp://hooks.example/")), @"`notify.webhook.url` cannot be used");
        insta::assert_snapshot!(refused(&Settings { secret_file: Some("credential:a".into()), ..url("https://a.example/") }), @"cannot use the settings of the webhook");
        assert!(webhook(&url("http://127.0.0.1:1/")).is_ok());
    }
}
