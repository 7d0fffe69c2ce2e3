//! An issue in a forge, by the REST interface of GitHub (which others have, too).
//!
//! A request that was taken while its answer was lost is the usual fault. So nothing is opened before it
//! was looked for: by its marker, among what this very account opened, since anyone can write a marker.
//!
//! Source: <https://docs.github.com/en/rest/issues/issues>, version 2022-11-28.

use std::sync::Mutex;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use snowguard_http::{Address, Client, Get, HttpError, Page, Post};
use zeroize::Zeroizing;

use super::issue::{Issue, Site};
use super::text::{body, marker, renewed};

/// How large an answer may be: a hundred issues with long texts.
const ANSWER: u64 = 32 << 20;
/// After how many pages of a hundred it is given up.
const PAGES: usize = 100;

/// A forge, and the repository in it.
pub struct Forge<'c> {
    client: &'c Client,
    repository: Address,
    user: Address,
    authorization: Zeroizing<String>,
    label: Option<String>,
    login: Mutex<Option<String>>,
}

/// An issue as the forge has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// Why a forge does not have an issue as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// The name of the repository is none.
    #[error("`{0}` is no repository: it has the form OWNER/NAME")]
    Repository(String),
    /// It cannot be reached, or refuses.
    #[error("cannot {doing} in the forge")]
    Http {
        /// What was to be done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: HttpError,
    },
    /// Its answer is not what its interface says.
    #[error("cannot read the forge's answer when asked to {doing}")]
    Answer {
        /// What was to be done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The issue that was opened is not there any more.
    #[error("issue {number} is gone from the forge")]
    Gone {
        /// Its number there.
        number: u64,
    },
    /// There are more issues than are looked through.
    #[error("the forge has more than {} issues of this account", PAGES * 100)]
    TooMany,
}

impl ForgeError {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Repository(_) => Some("for example NixOS/nixpkgs"),
            Self::Http { source, .. } => source.hint(),
            Self::Answer { .. } => Some("check the address of the forge's interface"),
            Self::Gone { .. } => {
                Some("somebody deleted or moved it: unlink it to have another one opened")
            }
            Self::TooMany => Some("give the tracker an account of its own"),
        }
    }
}

/// What of a forge's issue is looked at.
#[derive(Debug, Deserialize)]
struct Known {
    number: u64,
    html_url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    state: String,
    user: Option<User>,
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

impl From<Known> for Posted {
    fn from(known: Known) -> Self {
        Self {
            number: known.number,
            url: known.html_url,
        }
    }
}

impl<'c> Forge<'c> {
    /// A forge by the address of its interface (`https://api.github.com`), a repository in it, and a token
    /// that may write issues.
    pub fn new(
        client: &'c Client,
        api: &Address,
        repository: &str,
        token: &str,
        label: Option<String>,
    ) -> Result<Self, ForgeError> {
        let refused = || ForgeError::Repository(repository.to_owned());
        let (owner, name) = repository.split_once('/').ok_or_else(refused)?;
        let is_name = |name: &str| {
            !matches!(name, "" | "." | "..")
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !is_name(owner) || !is_name(name) {
            return Err(refused());
        }
        Ok(Self {
            client,
            repository: api.below(&["repos", owner, name]),
            user: api.below(&["user"]),
            authorization: Zeroizing::new(format!("Bearer {token}")),
            label,
            login: Mutex::new(None),
        })
    }

    /// Makes the forge's issue what it should be; opens it if it is not there. `number` is the one under
    /// which it was opened, where that is known. None of an issue that was withdrawn and never opened.
    pub fn bring(
        &self,
        issue: &Issue,
        site: &Site,
        number: Option<u64>,
    ) -> Result<Option<Posted>, ForgeError> {
        let known = match number {
            Some(number) => Some(self.get(number)?),
            None => self.find(issue)?,
        };
        let part = body(issue, site);
        let wanted = if issue.withdrawn.is_some() || issue.verdicts.is_fixed() {
            "closed"
        } else {
            "open"
        };
        let Some(known) = known else {
            if issue.withdrawn.is_some() {
                return Ok(None);
            }
            let labels: Vec<&str> = self.label.as_deref().into_iter().collect();
            let text = json!({ "title": issue.title, "body": part, "labels": labels });
            let address = self.repository.below(&["issues"]);
            let page = self.send("open an issue", &address, &text, Client::post)?;
            let opened: Known = read("open an issue", &page)?;
            if wanted == "open" {
                return Ok(Some(opened.into()));
            }
            return self.change(&opened, &json!({ "state": wanted })).map(Some);
        };
        let text = known.body.as_deref().unwrap_or_default();
        let text = renewed(text, &issue.id, &part);
        let mut change = json!({});
        if known.body.as_deref() != Some(&text) {
            change["body"] = json!(text);
        }
        if known.state != wanted {
            change["state"] = json!(wanted);
            change["state_reason"] = json!(match wanted {
                "open" => "reopened",
                _ if issue.withdrawn.is_some() => "not_planned",
                _ => "completed",
            });
        }
        if known.title != issue.title {
            change["title"] = json!(issue.title);
        }
        if change == json!({}) {
            return Ok(Some(known.into()));
        }
        self.change(&known, &change).map(Some)
    }

    /// Looks for the issue among what this account opened.
    fn find(&self, issue: &Issue) -> Result<Option<Known>, ForgeError> {
        const DOING: &str = "look for an issue";
        let marker = marker(&issue.id);
        let login = self.login()?;
        // A day earlier than it was published: clocks differ.
        let since = issue
            .published
            .checked_sub(jiff::SignedDuration::from_hours(24))
            .unwrap_or(issue.published);
        for page in 1..=PAGES {
            let query = format!(
                "issues?state=all&creator={login}&sort=created&direction=desc&per_page=100&page={page}&since={}",
                since.strftime("%Y-%m-%dT%H:%M:%SZ")
            );
            let address = self
                .repository
                .below(&["issues"])
                .join(&query)
                .map_err(|_| ForgeError::Repository(query.clone()))?;
            let listed: Vec<Known> = read(DOING, &self.fetch(DOING, &address)?)?;
            let is_last = listed.len() < 100;
            let found = listed.into_iter().find(|known| {
                let is_ours = known.user.as_ref().is_some_and(|user| user.login == login);
                let has_marker = known.body.as_deref().is_some_and(|b| b.contains(&marker));
                is_ours && has_marker && known.pull_request.is_none()
            });
            if found.is_some() {
                return Ok(found);
            }
            if is_last {
                return Ok(None);
            }
        }
        Err(ForgeError::TooMany)
    }

    fn get(&self, number: u64) -> Result<Known, ForgeError> {
        const DOING: &str = "read an issue";
        let address = self.repository.below(&["issues", &number.to_string()]);
        match self.fetch(DOING, &address) {
            Err(ForgeError::Http { source, .. }) if source.is_missing() => {
                Err(ForgeError::Gone { number })
            }
            page => read(DOING, &page?),
        }
    }

    fn change(&self, known: &Known, change: &serde_json::Value) -> Result<Posted, ForgeError> {
        const DOING: &str = "change an issue";
        let address = self
            .repository
            .below(&["issues", &known.number.to_string()]);
        let page = self.send(DOING, &address, change, Client::patch)?;
        read::<Known>(DOING, &page).map(Into::into)
    }

    /// Who we are there.
    fn login(&self) -> Result<String, ForgeError> {
        const DOING: &str = "ask whose token it is";
        let mut login = self
            .login
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(login) = &*login {
            return Ok(login.clone());
        }
        let user: User = read(DOING, &self.fetch(DOING, &self.user)?)?;
        Ok(login.insert(user.login).clone())
    }

    fn fetch(&self, doing: &'static str, address: &Address) -> Result<Page, ForgeError> {
        let failed = |source| ForgeError::Http { doing, source };
        let page = self.client.get(&Get {
            address,
            limit: ANSWER,
            conditions: None,
            headers: &self.headers(),
        });
        Ok(page.map_err(failed)?.unwrap_or_default())
    }

    fn send(
        &self,
        doing: &'static str,
        address: &Address,
        text: &serde_json::Value,
        send: impl Fn(&Client, &Post<'_>) -> Result<Page, HttpError>,
    ) -> Result<Page, ForgeError> {
        let body = text.to_string();
        let post = Post {
            address,
            body: body.as_bytes(),
            content_type: "application/json",
            headers: &self.headers(),
            idempotency_key: None,
            limit: ANSWER,
        };
        send(self.client, &post).map_err(|source| ForgeError::Http { doing, source })
    }

    fn headers(&self) -> [(&str, &str); 3] {
        [
            ("Authorization", &self.authorization),
            ("Accept", "application/vnd.github+json"),
            ("X-GitHub-Api-Version", "2022-11-28"),
        ]
    }
}

fn read<T: DeserializeOwned>(doing: &'static str, page: &Page) -> Result<T, ForgeError> {
    serde_json::from_slice(&page.body).map_err(|source| ForgeError::Answer { doing, source })
}
