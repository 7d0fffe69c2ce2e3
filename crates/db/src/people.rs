//! Who uses the tracker: accounts, where they are logged in, their tokens, and what was done with these.
//!
//! Of secrets only digests are here. Whether a session or a token still holds is decided by the statement
//! that looks it up, with the time that it is given.

use jiff::Timestamp;
use snowguard_triage::{Code as _, Role};

use crate::meta::Meta as _;
use crate::{DbError, Row, Rows, Session, Value};

/// Somebody who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: i64,
    /// The login.
    pub name: String,
    /// What was given by an administrator; `Reader` for everybody else.
    pub role: Role,
    /// As whom they act on packages.
    pub maintainer: Option<i64>,
    /// Their number at GitHub, which stays when the login changes.
    pub github: Option<i64>,
    /// When they last logged in.
    pub seen: Option<Timestamp>,
}

/// A login in one browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The digest of its secret.
    pub hash: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, to some minutes.
    pub seen: Timestamp,
    /// After which it is none, whatever it is used for.
    pub expires: Timestamp,
    /// The browser, as it named itself.
    pub agent: String,
}

/// A token for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// What it is for, in its owner's words.
    pub name: String,
    /// What it may.
    pub scopes: Scopes,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, to some minutes.
    pub used: Option<Timestamp>,
    /// After which it is none.
    pub expires: Timestamp,
}

/// What a token may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Read what needs a login to be read.
    pub const READ: Self = Self(1);
    /// Decide as its owner may.
    pub const TRIAGE: Self = Self(2);
    /// Publish, edit and withdraw issues as its owner may.
    pub const PUBLISH: Self = Self(4);
    /// Make and end its owner's subscriptions.
    pub const SUBSCRIBE: Self = Self(8);
    /// All, with their words.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::READ, "read"),
        (Self::TRIAGE, "triage"),
        (Self::PUBLISH, "publish"),
        (Self::SUBSCRIBE, "subscribe"),
    ];

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is all in here.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In words.
    pub fn words(self) -> Vec<String> {
        let those = Self::ALL.iter().filter(|(scope, _)| self.has(*scope));
        those.map(|(_, word)| (*word).to_owned()).collect()
    }
}

/// What happened to accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditKind {
    /// Somebody logged in.
    Login,
    /// Somebody tried to.
    LoginRefused,
    /// Somebody logged out.
    Logout,
    /// Somebody ended all their logins.
    LogoutEverywhere,
    /// A login elsewhere was ended.
    SessionEnded,
    /// A token was made.
    TokenMade,
    /// A token was revoked.
    TokenRevoked,
    /// Somebody was given another role.
    RoleChanged,
}

impl AuditKind {
    /// Each with its number and its words. A number, once given, keeps its meaning.
    const ALL: [(Self, i64, &'static str); 8] = [
        (Self::Login, 1, "login"),
        (Self::LoginRefused, 2, "login refused"),
        (Self::Logout, 3, "logout"),
        (Self::LogoutEverywhere, 4, "logout everywhere"),
        (Self::SessionEnded, 5, "login ended"),
        (Self::TokenMade, 6, "token made"),
        (Self::TokenRevoked, 7, "token revoked"),
        (Self::RoleChanged, 8, "role changed"),
    ];

    fn code(self) -> i64 {
        let found = Self::ALL.iter().find(|(kind, ..)| *kind == self);
        found.map_or(0, |(_, code, _)| *code)
    }

    /// In words.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(kind, ..)| *kind == self);
        found.map_or("", |(.., word)| *word)
    }

    fn from_code(code: i64) -> Result<Self, DbError> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == code);
        found
            .map(|(kind, ..)| *kind)
            .ok_or_else(|| DbError::Content {
                what: "an audit entry".into(),
                reason: format!("{code} is no kind of it"),
            })
    }
}

/// Something that happens to accounts, to be written down.
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a> {
    /// When.
    pub at: Timestamp,
    /// Who; none for somebody unknown.
    pub account: Option<i64>,
    /// What.
    pub kind: AuditKind,
    /// To whom or what.
    pub subject: &'a str,
    /// More of it.
    pub detail: &'a str,
    /// From which address.
    pub address: &'a str,
}

/// Something that happened to accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, by login.
    pub actor: Option<String>,
    /// What.
    pub kind: AuditKind,
    /// To whom or what.
    pub subject: String,
    /// More of it.
    pub detail: String,
    /// From which address.
    pub address: String,
}

/// Somebody who logs in with GitHub.
#[derive(Clone, Copy, Debug)]
pub struct GitHubUser<'a> {
    /// The number that stays when the login changes.
    pub id: i64,
    /// The login.
    pub login: &'a str,
}

/// The room of people.
pub trait People {
    /// The account of somebody whom GitHub has named, made where it is their first login. Its name follows
    /// theirs. They act as the maintainer whose number at GitHub a package set tells to be theirs; where it tells
    /// none, as the one of their name, unless somebody else of that name acts as them already: a login can be given
    /// up and taken by others. Nobody acts as a team by its name. None if the account is disabled.
    fn sign_in(&mut self, user: GitHubUser<'_>, now: Timestamp)
    -> Result<Option<Account>, DbError>;

    /// Binds a login that has a role by the settings to the account that first logs in by it, and gives the
    /// number at GitHub to which it is bound.
    fn bind_login(&mut self, user: GitHubUser<'_>) -> Result<i64, DbError>;

    /// The number at GitHub to which a login is bound.
    fn bound_login(&mut self, login: &str) -> Result<Option<i64>, DbError>;

    /// The account of the one person who uses a tracker on their own machine, an administrator.
    fn local_account(&mut self, now: Timestamp) -> Result<Account, DbError>;

    /// An account by its number.
    fn account(&mut self, id: i64) -> Result<Option<Account>, DbError>;

    /// An account by its name, whatever the case of its letters.
    fn account_named(&mut self, name: &str) -> Result<Option<Account>, DbError>;

    /// All accounts, by name, from after a name on.
    fn accounts(&mut self, after: &str, limit: usize) -> Result<Vec<Account>, DbError>;

    /// Gives a role. False if there is no such account.
    fn set_role(&mut self, id: i64, role: Role) -> Result<bool, DbError>;

    /// Whether a maintainer looks after all of these packages.
    fn maintains_all(&mut self, maintainer: i64, packages: &[i64]) -> Result<bool, DbError>;

    /// Notes a login.
    fn add_login(&mut self, account: i64, login: &Login) -> Result<(), DbError>;

    /// Who is logged in with a secret of that digest: only if it was used after `idle_since`, and `now` is
    /// before its end.
    fn login(
        &mut self,
        hash: &[u8],
        now: Timestamp,
        idle_since: Timestamp,
    ) -> Result<Option<(Account, Login)>, DbError>;

    /// Notes that a login is used.
    fn touch_login(&mut self, hash: &[u8], now: Timestamp) -> Result<(), DbError>;

    /// Ends a login of an account. False if there is none.
    fn end_login(&mut self, account: i64, hash: &[u8]) -> Result<bool, DbError>;

    /// Ends all logins of an account, and says how many there were.
    fn end_logins(&mut self, account: i64) -> Result<u64, DbError>;

    /// The logins of an account that still hold, the newest first.
    fn logins(&mut self, account: i64, now: Timestamp) -> Result<Vec<Login>, DbError>;

    /// Forgets logins whose end has come.
    fn forget_logins(&mut self, now: Timestamp) -> Result<u64, DbError>;

    /// Notes a token, by the digest of its secret, and gives its number.
    fn add_token(&mut self, account: i64, hash: &[u8], token: &Token) -> Result<i64, DbError>;

    /// Whose token it is, by the digest of its secret, if it holds.
    fn token(&mut self, hash: &[u8], now: Timestamp) -> Result<Option<(Account, Token)>, DbError>;

    /// Notes that a token is used.
    fn touch_token(&mut self, id: i64, now: Timestamp) -> Result<(), DbError>;

    /// The tokens of an account that still hold, the newest first.
    fn tokens(&mut self, account: i64, now: Timestamp) -> Result<Vec<Token>, DbError>;

    /// Revokes a token of an account, and gives its name. None if there is none that holds.
    fn revoke_token(
        &mut self,
        account: i64,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<String>, DbError>;

    /// Writes down what happened.
    fn audit(&mut self, entry: &Audit<'_>) -> Result<(), DbError>;

    /// What happened, the newest first, from before a number on.
    fn audited(&mut self, before: Option<i64>, limit: usize) -> Result<Vec<Audited>, DbError>;
}

/// The columns of an account, which [`account_of`] reads from the first on.
const ACCOUNT: &str = "a.id, a.name, a.role, a.maintainer, a.seen, a.github_id";
const LOGIN: &str = "s.hash, s.created, s.seen, s.expires, s.agent";
const TOKEN: &str = "t.id, t.name, t.scopes, t.created, t.used, t.expires";

impl<S: Session + ?Sized> People for S {
    fn sign_in(
        &mut self,
        user: GitHubUser<'_>,
        now: Timestamp,
    ) -> Result<Option<Account>, DbError> {
        // Whoever had the login before has given it up: GitHub has each only once.
        self.execute(
            "UPDATE account SET name = name || ' (' || CAST(id AS TEXT) || ')'
             WHERE lower(name) = lower($1) AND (github_id IS NULL OR github_id <> $2)",
            &[user.login.into(), user.id.into()],
        )?;
        let rows = self.query(
            "INSERT INTO account (name, role, github_id, maintainer, created, seen)
             VALUES ($1, $2, $3, COALESCE(
                (SELECT m.id FROM maintainer m WHERE m.github_id = $3 AND m.kind = 0 ORDER BY m.id LIMIT 1),
                (SELECT m.id FROM maintainer m WHERE lower(m.name) = lower($1) AND m.kind = 0
                    AND m.github_id IS NULL
                    AND NOT EXISTS (SELECT 1 FROM account o WHERE o.maintainer = m.id
                        AND (o.github_id IS NULL OR o.github_id <> $3)))), $4, $4)
             ON CONFLICT (github_id) DO UPDATE
             SET name = excluded.name, maintainer = COALESCE(excluded.maintainer,
                    (SELECT m.id FROM maintainer m WHERE m.id = account.maintainer AND m.kind = 0
                        AND m.github_id IS NULL)),
                 seen = excluded.seen
             RETURNING id, name, role, maintainer, seen, github_id, disabled",
            &[
                user.login.into(),
                Role::Reader.to_code().into(),
                user.id.into(),
                now.into(),
            ],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        if row.get::<Option<i64>>(6)?.is_some() {
            return Ok(None);
        }
        account_of(row, 0).map(Some)
    }

    fn bind_login(&mut self, user: GitHubUser<'_>) -> Result<i64, DbError> {
        self.execute(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            &[bound_name(user.login).into(), user.id.to_string().into()],
        )?;
        Ok(self.bound_login(user.login)?.unwrap_or(user.id))
    }

    fn bound_login(&mut self, login: &str) -> Result<Option<i64>, DbError> {
        let bound = self.meta(&bound_name(login))?;
        Ok(bound.and_then(|id| id.parse().ok()))
    }

    fn local_account(&mut self, now: Timestamp) -> Result<Account, DbError> {
        let found = self.query(
            &format!("SELECT {ACCOUNT} FROM account a WHERE lower(a.name) = lower($1)"),
            &[LOCAL.into()],
        )?;
        if let Some(row) = found.first() {
            return account_of(row, 0);
        }
        let rows = self.query(
            "INSERT INTO account (name, role, created) VALUES ($1, $2, $3)
             RETURNING id, name, role, maintainer, seen, github_id",
            &[LOCAL.into(), Role::Admin.to_code().into(), now.into()],
        )?;
        one(&rows, "an account", |row| account_of(row, 0))
    }

    fn account(&mut self, id: i64) -> Result<Option<Account>, DbError> {
        let rows = self.query(
            &format!("SELECT {ACCOUNT} FROM account a WHERE a.id = $1 AND a.disabled IS NULL"),
            &[id.into()],
        )?;
        rows.first().map(|row| account_of(row, 0)).transpose()
    }

    fn account_named(&mut self, name: &str) -> Result<Option<Account>, DbError> {
        let rows = self.query(
            &format!(
                "SELECT {ACCOUNT} FROM account a WHERE lower(a.name) = lower($1) AND a.disabled IS NULL"
            ),
            &[name.into()],
        )?;
        rows.first().map(|row| account_of(row, 0)).transpose()
    }

    fn accounts(&mut self, after: &str, limit: usize) -> Result<Vec<Account>, DbError> {
        let rows = self.query(
            &format!(
                "SELECT {ACCOUNT} FROM account a WHERE lower(a.name) > lower($1)
                 ORDER BY lower(a.name) LIMIT $2"
            ),
            &[after.into(), count(limit)],
        )?;
        rows.map(|row| account_of(row, 0))
    }

    fn set_role(&mut self, id: i64, role: Role) -> Result<bool, DbError> {
        let changed = self.execute(
            "UPDATE account SET role = $2 WHERE id = $1",
            &[id.into(), role.to_code().into()],
        )?;
        Ok(changed > 0)
    }

    fn maintains_all(&mut self, maintainer: i64, packages: &[i64]) -> Result<bool, DbError> {
        let mut packages = packages.to_vec();
        packages.sort_unstable();
        packages.dedup();
        let rows = self.query(
            "SELECT count(*) FROM maintains WHERE maintainer = $1 AND package {in:2}",
            &[maintainer.into(), Value::from(&packages)],
        )?;
        let found = one(&rows, "a count", |row| row.get::<usize>(0))?;
        Ok(found == packages.len())
    }

    fn add_login(&mut self, account: i64, login: &Login) -> Result<(), DbError> {
        self.execute(
            "INSERT INTO session (hash, account, created, seen, expires, agent)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                Value::from(&login.hash),
                account.into(),
                login.created.into(),
                login.seen.into(),
                login.expires.into(),
                login.agent.as_str().into(),
            ],
        )?;
        Ok(())
    }

    fn login(
        &mut self,
        hash: &[u8],
        now: Timestamp,
        idle_since: Timestamp,
    ) -> Result<Option<(Account, Login)>, DbError> {
        let rows = self.query(
            &format!(
                "SELECT {ACCOUNT}, {LOGIN} FROM session s JOIN account a ON a.id = s.account
                 WHERE s.hash = $1 AND s.expires > $2 AND s.seen > $3 AND a.disabled IS NULL"
            ),
            &[hash.into(), now.into(), idle_since.into()],
        )?;
        let found = rows.first();
        found
            .map(|row| Ok((account_of(row, 0)?, login_of(row, 6)?)))
            .transpose()
    }

    fn touch_login(&mut self, hash: &[u8], now: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE session SET seen = $2 WHERE hash = $1 AND seen < $2",
            &[hash.into(), now.into()],
        )?;
        Ok(())
    }

    fn end_login(&mut self, account: i64, hash: &[u8]) -> Result<bool, DbError> {
        let ended = self.execute(
            "DELETE FROM session WHERE hash = $1 AND account = $2",
            &[hash.into(), account.into()],
        )?;
        Ok(ended > 0)
    }

    fn end_logins(&mut self, account: i64) -> Result<u64, DbError> {
        self.execute("DELETE FROM session WHERE account = $1", &[account.into()])
    }

    fn logins(&mut self, account: i64, now: Timestamp) -> Result<Vec<Login>, DbError> {
        let rows = self.query(
            &format!(
                "SELECT {LOGIN} FROM session s WHERE s.account = $1 AND s.expires > $2
                 ORDER BY s.created DESC LIMIT 100"
            ),
            &[account.into(), now.into()],
        )?;
        rows.map(|row| login_of(row, 0))
    }

    fn forget_logins(&mut self, now: Timestamp) -> Result<u64, DbError> {
        self.execute("DELETE FROM session WHERE expires <= $1", &[now.into()])
    }

    fn add_token(&mut self, account: i64, hash: &[u8], token: &Token) -> Result<i64, DbError> {
        let rows = self.query(
            "INSERT INTO token (account, name, hash, scopes, created, expires)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            &[
                account.into(),
                token.name.as_str().into(),
                hash.into(),
                token.scopes.0.into(),
                token.created.into(),
                token.expires.into(),
            ],
        )?;
        one(&rows, "a token", |row| row.get(0))
    }

    fn token(&mut self, hash: &[u8], now: Timestamp) -> Result<Option<(Account, Token)>, DbError> {
        let rows = self.query(
            &format!(
                "SELECT {ACCOUNT}, {TOKEN} FROM token t JOIN account a ON a.id = t.account
                 WHERE t.hash = $1 AND t.expires > $2 AND t.revoked IS NULL AND a.disabled IS NULL"
            ),
            &[hash.into(), now.into()],
        )?;
        let found = rows.first();
        found
            .map(|row| Ok((account_of(row, 0)?, token_of(row, 6)?)))
            .transpose()
    }

    fn touch_token(&mut self, id: i64, now: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE token SET used = $2 WHERE id = $1",
            &[id.into(), now.into()],
        )?;
        Ok(())
    }

    fn tokens(&mut self, account: i64, now: Timestamp) -> Result<Vec<Token>, DbError> {
        let rows = self.query(
            &format!(
                "SELECT {TOKEN} FROM token t
                 WHERE t.account = $1 AND t.revoked IS NULL AND t.expires > $2
                 ORDER BY t.id DESC LIMIT 100"
            ),
            &[account.into(), now.into()],
        )?;
        rows.map(|row| token_of(row, 0))
    }

    fn revoke_token(
        &mut self,
        account: i64,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<String>, DbError> {
        let rows = self.query(
            "UPDATE token SET revoked = $3 WHERE id = $2 AND account = $1 AND revoked IS NULL
             RETURNING name",
            &[account.into(), id.into(), now.into()],
        )?;
        rows.first().map(|row| row.get(0)).transpose()
    }

    fn audit(&mut self, entry: &Audit<'_>) -> Result<(), DbError> {
        self.execute(
            "INSERT INTO audit (at, account, kind, subject, detail, address)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                entry.at.into(),
                entry.account.into(),
                entry.kind.code().into(),
                entry.subject.into(),
                entry.detail.into(),
                entry.address.into(),
            ],
        )?;
        Ok(())
    }

    fn audited(&mut self, before: Option<i64>, limit: usize) -> Result<Vec<Audited>, DbError> {
        let rows = self.query(
            "SELECT u.id, u.at, a.name, u.kind, u.subject, u.detail, u.address
             FROM audit u LEFT JOIN account a ON a.id = u.account
             WHERE u.id < $1 ORDER BY u.id DESC LIMIT $2",
            &[before.unwrap_or(i64::MAX).into(), count(limit)],
        )?;
        let text = |row: Row<'_>, at| -> Result<String, DbError> {
            Ok(row.get::<Option<String>>(at)?.unwrap_or_default())
        };
        rows.map(|row| {
            Ok(Audited {
                id: row.get(0)?,
                at: row.get(1)?,
                actor: row.get(2)?,
                kind: AuditKind::from_code(row.get(3)?)?,
                subject: text(row, 4)?,
                detail: text(row, 5)?,
                address: text(row, 6)?,
            })
        })
    }
}

/// The name of the one person on their own machine, which nobody else may have.
pub const LOCAL: &str = "local_user";

/// Under which name it is noted to whom a login is bound.
fn bound_name(login: &str) -> String {
    format!("people.login.{}", login.to_lowercase())
}

fn account_of(row: Row<'_>, from: usize) -> Result<Account, DbError> {
    Ok(Account {
        id: row.get(from)?,
        name: row.get(from + 1)?,
        role: Role::from_code(row.get(from + 2)?).map_err(|error| DbError::Content {
            what: "an account".into(),
            reason: error.to_string(),
        })?,
        maintainer: row.get(from + 3)?,
        seen: row.get(from + 4)?,
        github: row.get(from + 5)?,
    })
}

fn login_of(row: Row<'_>, from: usize) -> Result<Login, DbError> {
    Ok(Login {
        hash: row.get(from)?,
        created: row.get(from + 1)?,
        seen: row.get(from + 2)?,
        expires: row.get(from + 3)?,
        agent: row.get::<Option<String>>(from + 4)?.unwrap_or_default(),
    })
}

fn token_of(row: Row<'_>, from: usize) -> Result<Token, DbError> {
    Ok(Token {
        id: row.get(from)?,
        name: row.get(from + 1)?,
        scopes: Scopes(row.get(from + 2)?),
        created: row.get(from + 3)?,
        used: row.get(from + 4)?,
        expires: row.get(from + 5)?,
    })
}

fn count(limit: usize) -> Value<'static> {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}

fn one<T>(
    rows: &Rows,
    what: &str,
    read: impl Fn(Row<'_>) -> Result<T, DbError>,
) -> Result<T, DbError> {
    rows.first().map_or_else(
        || {
            Err(DbError::Content {
                what: what.to_owned(),
                reason: "the engine gave no row".into(),
            })
        },
        read,
    )
}
