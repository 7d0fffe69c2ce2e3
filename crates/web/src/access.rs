//! Who asks, and whether a form is from their own page.

use hyper::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use jiff::{Timestamp, ToSpan as _};
use snowguard_db::people::{Account, LOCAL, Login, People as _, Scopes};
use snowguard_triage::{Role, Standing};

use crate::app::App;
use crate::fault::Fault;
use crate::frame::Viewer;
use crate::random;
use crate::request::Request;
use crate::settings::Login as Way;

/// How long a login lasts, whatever it is used for, and how long if it is not used. In hours.
const LIFE: i64 = 30 * 24;
const IDLE: i64 = 7 * 24;
/// After how many minutes it is noted again that a login or a token is used.
const NOTED: i64 = 5;

/// Somebody who is known.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) account: Account,
    /// What they may, by their account, the settings of the server, and their packages.
    pub(crate) role: Role,
    pub(crate) by: By,
}

/// How somebody is known.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// By a login in a browser.
    Session {
        login: Login,
        /// What their forms must say.
        csrf: String,
    },
    /// By a token.
    Token(Scopes),
}

impl Person {
    fn new(app: &App, account: Account, by: By) -> Option<Self> {
        // Who was the one person here is nobody where people log in with GitHub.
        if account.name == LOCAL && !matches!(app.settings().login, Way::Local) {
            return None;
        }
        let (role, _) = role_of(app, &account);
        Some(Self { account, role, by })
    }

    /// How they are shown.
    pub(crate) fn login(&self) -> &str {
        &self.account.name
    }

    /// What the pages show of them.
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer {
            login: self.login().to_owned(),
            csrf: self.csrf().to_owned(),
        }
    }

    pub(crate) fn csrf(&self) -> &str {
        match &self.by {
            By::Session { csrf, .. } => csrf,
            By::Token(_) => "",
        }
    }

    /// Where they stand towards a package that they maintain or not.
    pub(crate) fn standing(&self, maintains: bool) -> Standing {
        Standing::new(self.role, maintains)
    }

    pub(crate) fn needs(&self, scope: Scopes, word: &'static str) -> Result<(), Fault> {
        match &self.by {
            By::Token(scopes) if !scopes.has(scope) => Err(Fault::Scope(word)),
            _ => Ok(()),
        }
    }
}

/// The role of an account, and whether the settings of the server give it.
pub(crate) fn role_of(app: &App, account: &Account) -> (Role, bool) {
    let settings = app.settings();
    let listed = |list: &[String]| list.iter().any(|entry| is_meant(app, entry, account));
    if listed(&settings.admins) {
        (Role::Admin, true)
    } else if listed(&settings.security) && account.role < Role::Admin {
        (Role::Security, true)
    } else if account.role == Role::Reader && account.maintainer.is_some() {
        (Role::Maintainer, false)
    } else {
        (account.role, false)
    }
}

/// Whether an entry of the settings means an account: by its number at GitHub, or by the login that was bound
/// to it when it first came by it. A name alone can be given up, and taken by somebody else.
fn is_meant(app: &App, entry: &str, account: &Account) -> bool {
    let Some(github) = account.github else {
        return false;
    };
    if let Some(number) = entry.strip_prefix("id:") {
        return number.parse() == Ok(github);
    }
    // The binding decides, whatever they are called by now.
    app.bound(entry) == Some(github)
}

/// Who asks, if they say so and it holds. A token that does not hold is an error; a cookie that does not
/// is none.
pub(crate) fn person(
    app: &App,
    request: &Request,
    now: Timestamp,
) -> Result<Option<Person>, Fault> {
    if let Some(header) = request.header(&AUTHORIZATION) {
        let token = header.strip_prefix("Bearer ").ok_or(Fault::BadToken)?;
        return by_token(app, token.trim(), now).map(Some);
    }
    let Some(secret) = request.cookie(cookie_name(app)) else {
        return Ok(None);
    };
    let hash = random::digest(secret);
    let found = app
        .database()
        .read(|session| session.login(&hash, now, now - IDLE.hours()))
        .map_err(Fault::internal)?;
    let Some((account, login)) = found else {
        return Ok(None);
    };
    if login.seen + NOTED.minutes() < now {
        app.database()
            .write(|session| session.touch_login(&hash, now))
            .map_err(Fault::internal)?;
    }
    let csrf = random::derived(secret, "csrf");
    Ok(Person::new(app, account, By::Session { login, csrf }))
}

fn by_token(app: &App, token: &str, now: Timestamp) -> Result<Person, Fault> {
    let hash = random::digest(token);
    let found = app
        .database()
        .read(|session| session.token(&hash, now))
        .map_err(Fault::internal)?;
    let (account, token) = found.ok_or(Fault::BadToken)?;
    if token.used.is_none_or(|used| used + NOTED.minutes() < now) {
        app.database()
            .write(|session| session.touch_token(token.id, now))
            .map_err(Fault::internal)?;
    }
    Person::new(app, account, By::Token(token.scopes)).ok_or(Fault::BadToken)
}

/// Notes a login, and gives the cookie for it. The secret is a new one, whatever the browser had.
pub(crate) fn log_in(
    app: &App,
    request: &Request,
    now: Timestamp,
) -> Result<(String, Login), Fault> {
    let secret = random::secret()?;
    let agent = request
        .header(&hyper::header::USER_AGENT)
        .unwrap_or("unknown");
    let login = Login {
        hash: random::digest(&secret).to_vec(),
        created: now,
        seen: now,
        expires: now + LIFE.hours(),
        agent: browser(agent),
    };
    Ok((cookie(app, &secret, LIFE * 3_600), login))
}

/// The cookie that takes a login away.
pub(crate) fn no_cookie(app: &App) -> String {
    cookie(app, "", 0)
}

fn cookie(app: &App, value: &str, seconds: i64) -> String {
    let secure = if app.settings().is_secure() {
        "; Secure"
    } else {
        ""
    };
    format!(
        "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(app)
    )
}

/// With the prefix, browsers take it only from this very server, encrypted.
fn cookie_name(app: &App) -> &'static str {
    if app.settings().is_secure() {
        "__Host-snowguard"
    } else {
        "snowguard"
    }
}

/// A form of somebody who is logged in: from a page of this site, with what that page was given.
pub(crate) fn own_form(request: &Request, person: &Person) -> Result<(), Fault> {
    own_site(request, false)?;
    let said = request.form.get("csrf").unwrap_or_default();
    match &person.by {
        By::Session { csrf, .. } if random::same(csrf, said) => Ok(()),
        _ => Err(Fault::Forged),
    }
}

/// Whether the browser says that a form is from a page of this site. One that says nothing is too old to
/// be asked for more than the form's own word, unless there is none.
pub(crate) fn own_site(request: &Request, must_say: bool) -> Result<(), Fault> {
    let site = request.header(&HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin") {
        return Err(Fault::Forged);
    }
    let origin = request.header(&ORIGIN);
    if let Some(origin) = origin {
        let host = request.header(&HOST).unwrap_or_default();
        let named = origin.split_once("://").map_or("", |(_, host)| host);
        if named.is_empty() || !named.eq_ignore_ascii_case(host) {
            return Err(Fault::Forged);
        }
    }
    if must_say && site.is_none() && origin.is_none() {
        return Err(Fault::Forged);
    }
    Ok(())
}

/// A browser in two words, from what it says of itself.
fn browser(agent: &str) -> String {
    let find = |names: &[(&str, &'static str)], other: &'static str| {
        let found = names.iter().find(|(mark, _)| agent.contains(mark));
        found.map_or(other, |(_, name)| name)
    };
    let program = find(
        &[
            ("Firefox/", "Firefox"),
            ("Edg/", "Edge"),
            ("Chrome/", "Chromium"),
            ("Safari/", "Safari"),
        ],
        "a browser",
    );
    let system = find(
        &[
            ("Android", "Android"),
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Mac OS", "macOS"),
            ("Windows", "Windows"),
            ("Linux", "Linux"),
        ],
        "another system",
    );
    format!("{program} on {system}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_in_two_words() {
        assert_eq!(
            browser("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            "Firefox on Linux"
        );
        assert_eq!(browser("curl/8"), "a browser on another system");
    }
}
