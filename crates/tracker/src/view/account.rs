//! One's own account, and those of others.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One's own settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// One's name.
    pub login: String,
    /// `reader`, `maintainer`, `security` or `admin`.
    pub role: String,
    /// Where one is logged in.
    pub sessions: Vec<SessionEntry>,
    /// One's tokens for the API.
    pub tokens: Vec<TokenEntry>,
}

/// Where somebody is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionEntry {
    /// By what it is ended.
    pub id: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last used.
    #[schema(value_type = String, format = DateTime)]
    pub used: Timestamp,
    /// The browser, as it named itself.
    pub agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A token for the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenEntry {
    /// Its number.
    pub id: i64,
    /// What it is for, in its owner's words.
    pub name: String,
    /// What it may: `read`, `triage`.
    pub scopes: Vec<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// When it was last used, to the hour.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used: Option<Timestamp>,
}

/// Who may what, and who did what with that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct People {
    /// Everybody who ever logged in.
    pub accounts: Vec<AccountEntry>,
    /// What happened to accounts, the newest first.
    pub audit: Vec<AuditEntry>,
    /// Where the list of what happened goes on.
    pub next: Option<String>,
}

/// Somebody who has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountEntry {
    /// Its number.
    pub id: i64,
    /// Their name.
    pub login: String,
    /// Their role.
    pub role: String,
    /// Whether the role is in the settings of the server, and not to be changed here.
    pub fixed: bool,
    /// When they last logged in.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login: Option<Timestamp>,
}

/// Something that happened to accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who; none for somebody unknown.
    pub actor: Option<String>,
    /// What: `login`, `token created`.
    pub what: String,
    /// More of it.
    pub detail: String,
    /// From which address.
    pub address: String,
}
