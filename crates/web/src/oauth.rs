//! Logging in with GitHub: a code is exchanged for a token, with which it is asked who that is. The token
//! is then forgotten.
//!
//! Source: GitHub's documentation on authorizing OAuth apps (the web application flow); RFC 6749, section
//! 4.1; RFC 7636 for the proof that whoever brings the code also asked for it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Deserialize;
use snowguard_http::{Address, Client, Get, Post};
use url::Url;

use crate::settings::GitHub;

/// How large an answer may be, in bytes.
const LARGEST: u64 = 256 << 10;

/// Somebody whom GitHub has named.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    /// The number that stays when the login changes.
    pub(crate) id: i64,
    pub(crate) login: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    error: Option<String>,
}

/// Why GitHub did not say who somebody is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OAuthError {
    #[error("its address is not usable: {0}")]
    Address(String),
    #[error("{0}")]
    Http(#[from] snowguard_http::HttpError),
    #[error("it refused the code: {0}")]
    Refused(String),
    #[error("its answer is not understood")]
    Answer(#[source] serde_json::Error),
    #[error("it names a login that is none")]
    Login,
}

/// Where somebody who wants to log in is sent.
pub(crate) fn authorize(github: &GitHub, state: &str, challenge: &str, back: &str) -> String {
    let mut url = github.web.clone();
    url.set_path("/login/oauth/authorize");
    url.query_pairs_mut()
        .append_pair("client_id", &github.client_id)
        .append_pair("redirect_uri", back)
        // No scope: who somebody is can be asked without any.
        .append_pair("state", state)
        .append_pair("code_challenge", challenge)
        .append_pair("code_challenge_method", "S256");
    url.into()
}

/// Who brought a code. Asks GitHub twice, and blocks meanwhile.
pub(crate) fn user(
    github: &GitHub,
    code: &str,
    verifier: &str,
    back: &str,
) -> Result<User, OAuthError> {
    let settings = snowguard_http::Settings {
        user_agent: concat!("snowguardd/", env!("CARGO_PKG_VERSION")).to_owned(),
        connect_timeout: Duration::from_secs(5),
        stall: Duration::from_secs(10),
        attempts: 2,
        longest_pause: Duration::from_secs(2),
        ..snowguard_http::Settings::default()
    };
    let client = Client::new(settings, Arc::new(AtomicBool::new(false)))?;
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &github.client_id)
        .append_pair("client_secret", &github.client_secret)
        .append_pair("code", code)
        .append_pair("code_verifier", verifier)
        .append_pair("redirect_uri", back)
        .finish();
    let page = client.post(&Post {
        address: &address(&github.web, "/login/oauth/access_token")?,
        body: body.as_bytes(),
        content_type: "application/x-www-form-urlencoded",
        headers: &[("Accept", "application/json")],
        idempotency_key: None,
        limit: LARGEST,
    })?;
    let granted: Granted = serde_json::from_slice(&page.body).map_err(OAuthError::Answer)?;
    let Some(token) = granted.access_token else {
        return Err(OAuthError::Refused(granted.error.unwrap_or_default()));
    };
    let bearer = format!("Bearer {token}");
    let page = client.get(&Get {
        address: &address(&github.api, "/user")?,
        limit: LARGEST,
        conditions: None,
        headers: &[
            ("Authorization", &bearer),
            ("Accept", "application/vnd.github+json"),
        ],
    })?;
    let page = page.unwrap_or_default();
    let user: User = serde_json::from_slice(&page.body).map_err(OAuthError::Answer)?;
    if is_login(&user.login) {
        Ok(user)
    } else {
        Err(OAuthError::Login)
    }
}

/// What GitHub takes for a login; those of companies hold an underscore before their suffix.
fn is_login(login: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=100).contains(&login.len())
        && login.bytes().all(is_plain)
        && login != snowguard_db::people::LOCAL
}

fn address(base: &Url, path: &str) -> Result<Address, OAuthError> {
    let mut url = base.clone();
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url.as_str()
        .parse()
        .map_err(|error: snowguard_http::AddressError| OAuthError::Address(error.to_string()))
}
