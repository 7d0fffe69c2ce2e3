//! One's own logins and tokens, and the roles of others.

use jiff::ToSpan as _;
use snowguard_db::people::{Audit, AuditKind, People as _, Scopes, Token};
use snowguard_tracker::view::{
    AccountEntry, AuditEntry, People, SessionEntry, Settings, TokenEntry,
};
use snowguard_triage::{Right, Role};

use super::Context;
use crate::access::{self, By, Person};
use crate::fault::Fault;
use crate::frame::Section;
use crate::page;
use crate::random;
use crate::reply::Reply;

/// How many tokens somebody may have at once.
const MOST_TOKENS: usize = 50;
/// How many entries a page has.
const PAGE: usize = 50;

/// One's own settings, perhaps with a token that was just made.
pub(super) fn settings(context: &Context<'_>, fresh: Option<&str>) -> Result<Reply, Fault> {
    let person = in_a_browser(context)?;
    let (logins, tokens) = context
        .app
        .database()
        .read(|session| {
            let logins = session.logins(person.account.id, context.now)?;
            Ok((logins, session.tokens(person.account.id, context.now)?))
        })
        .map_err(Fault::internal)?;
    let own = match &person.by {
        By::Session { login, .. } => &login.hash,
        By::Token(_) => return Err(Fault::LoginNeeded),
    };
    let view = Settings {
        login: person.login().to_owned(),
        role: person.role.as_str().to_owned(),
        sessions: logins
            .into_iter()
            .map(|login| SessionEntry {
                id: name_of(&login.hash),
                created: login.created,
                used: login.seen,
                current: login.hash == *own,
                agent: login.agent,
            })
            .collect(),
        tokens: tokens
            .into_iter()
            .map(|token| TokenEntry {
                id: token.id,
                name: token.name,
                scopes: token.scopes.words(),
                created: token.created,
                expires: token.expires,
                used: token.used,
            })
            .collect(),
    };
    let html = page::settings(&context.frame(Section::Other), &view, person.csrf(), fresh)?;
    let reply = Reply::page(html);
    // A page with a secret in it is kept nowhere.
    Ok(match fresh {
        Some(_) => reply.with(hyper::header::CACHE_CONTROL, "no-store"),
        None => reply,
    })
}

/// Makes a token, which is shown once.
pub(super) fn make_token(context: &Context<'_>) -> Result<Reply, Fault> {
    let person = context.sender()?;
    let form = &context.request.form;
    let name = form
        .text("name")
        .ok_or_else(|| Fault::Refused("a token needs a name".into()))?;
    if name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(Fault::Refused(
            "a name has at most 80 characters, on one line".into(),
        ));
    }
    let scopes = Scopes::ALL
        .into_iter()
        .filter(|(_, word)| form.all("scope").any(|scope| scope == *word))
        .fold(Scopes::default(), |all, (scope, _)| all.and(scope));
    if scopes.is_empty() {
        return Err(Fault::Refused(
            "a token that may nothing is of no use".into(),
        ));
    }
    let days = form.text("days").and_then(|days| days.parse::<i64>().ok());
    let days = days.filter(|days| (1..=365).contains(days));
    let days = days.ok_or_else(|| Fault::Refused("a token holds for 1 to 365 days".into()))?;
    let secret = format!("sgt_{}", random::secret()?);
    let token = Token {
        id: 0,
        name: name.to_owned(),
        scopes,
        created: context.now,
        used: None,
        expires: context.now + (days * 24).hours(),
    };
    let hash = random::digest(&secret);
    let detail = format!("may {}, for {days} days", scopes.words().join(", "));
    let made = context
        .app
        .database()
        .write(|session| {
            if session.tokens(person.account.id, context.now)?.len() >= MOST_TOKENS {
                return Ok(false);
            }
            session.add_token(person.account.id, &hash, &token)?;
            session.audit(&audit(
                context,
                person,
                AuditKind::TokenMade,
                name,
                &detail,
                &context.address(),
            ))?;
            Ok(true)
        })
        .map_err(Fault::internal)?;
    if !made {
        return Err(Fault::Refused(
            "50 tokens are enough: revoke one first".into(),
        ));
    }
    settings(context, Some(&secret))
}

/// Revokes one's own token.
pub(super) fn revoke_token(context: &Context<'_>) -> Result<Reply, Fault> {
    let person = context.sender()?;
    let id = context
        .request
        .form
        .text("token")
        .and_then(|id| id.parse().ok())
        .unwrap_or(0);
    context
        .app
        .database()
        .write(|session| {
            if let Some(name) = session.revoke_token(person.account.id, id, context.now)? {
                let address = context.address();
                session.audit(&audit(
                    context,
                    person,
                    AuditKind::TokenRevoked,
                    &name,
                    "",
                    &address,
                ))?;
            }
            Ok(())
        })
        .map_err(Fault::internal)?;
    Ok(Reply::see_other("/settings"))
}

/// Ends one's own login in another browser.
pub(super) fn end_session(context: &Context<'_>) -> Result<Reply, Fault> {
    let person = context.sender()?;
    let name = context.request.form.text("session").unwrap_or_default();
    context
        .app
        .database()
        .write(|session| {
            let logins = session.logins(person.account.id, context.now)?;
            for login in logins.iter().filter(|login| name_of(&login.hash) == name) {
                session.end_login(person.account.id, &login.hash)?;
                let address = context.address();
                session.audit(&audit(
                    context,
                    person,
                    AuditKind::SessionEnded,
                    &login.agent,
                    "",
                    &address,
                ))?;
            }
            Ok(())
        })
        .map_err(Fault::internal)?;
    Ok(Reply::see_other("/settings"))
}

/// People and their roles.
pub(super) fn people(context: &Context<'_>) -> Result<Reply, Fault> {
    let person = administrator(context)?;
    let cursor = context.request.query.text("cursor").map(str::parse::<i64>);
    let before = cursor
        .transpose()
        .map_err(|_| Fault::Malformed("the cursor is none".into()))?;
    let (accounts, entries) = context
        .app
        .database()
        .read(|session| {
            let accounts = session.accounts("", 500)?;
            Ok((accounts, session.audited(before, PAGE)?))
        })
        .map_err(Fault::internal)?;
    let view = People {
        accounts: accounts
            .into_iter()
            .map(|account| {
                let (role, fixed) = access::role_of(context.app, &account);
                AccountEntry {
                    id: account.id,
                    role: role.as_str().to_owned(),
                    fixed: fixed || account.id == person.account.id,
                    last_login: account.seen,
                    login: account.name,
                }
            })
            .collect(),
        next: entries
            .last()
            .filter(|_| entries.len() == PAGE)
            .map(|last| last.id.to_string()),
        audit: entries
            .into_iter()
            .map(|entry| AuditEntry {
                at: entry.at,
                actor: entry.actor,
                what: entry.kind.word().to_owned(),
                detail: match (entry.subject.as_str(), entry.detail.as_str()) {
                    (subject, "") => subject.to_owned(),
                    (subject, detail) => format!("{subject}: {detail}"),
                },
                address: entry.address,
            })
            .collect(),
    };
    let html = page::people(&context.frame(Section::Other), &view, person.csrf())?;
    Ok(Reply::page(html))
}

/// Gives a role to somebody else.
pub(super) fn set_role(context: &Context<'_>) -> Result<Reply, Fault> {
    context.sender()?;
    let person = administrator(context)?;
    let form = &context.request.form;
    let id: i64 = form
        .text("account")
        .and_then(|id| id.parse().ok())
        .unwrap_or(0);
    let role = match form.text("role") {
        Some("reader") => Role::Reader,
        Some("security") => Role::Security,
        Some("admin") => Role::Admin,
        _ => {
            return Err(Fault::Refused(
                "the role is reader, security or admin".into(),
            ));
        }
    };
    if id == person.account.id {
        return Err(Fault::Refused(
            "one's own role is given by another administrator".into(),
        ));
    }
    let done = context
        .app
        .database()
        .write(|session| {
            let Some(account) = session.account(id)? else {
                return Ok(false);
            };
            session.set_role(id, role)?;
            let detail = format!("{} instead of {}", role.as_str(), account.role.as_str());
            let address = context.address();
            session.audit(&audit(
                context,
                person,
                AuditKind::RoleChanged,
                &account.name,
                &detail,
                &address,
            ))?;
            Ok(true)
        })
        .map_err(Fault::internal)?;
    if !done {
        return Err(Fault::NotFound {
            what: "account",
            name: id.to_string(),
        });
    }
    Ok(Reply::see_other("/admin"))
}

fn administrator<'c>(context: &'c Context<'_>) -> Result<&'c Person, Fault> {
    let person = in_a_browser(context)?;
    if person.standing(false).may(Right::Administer) {
        Ok(person)
    } else {
        Err(Fault::Forbidden("administrators may do this".into()))
    }
}

/// A token, which may be anywhere, opens no page from which more tokens are made.
fn in_a_browser<'c>(context: &'c Context<'_>) -> Result<&'c Person, Fault> {
    let person = context.known()?;
    match person.by {
        By::Session { .. } => Ok(person),
        By::Token(_) => Err(Fault::LoginNeeded),
    }
}

/// A login by a part of its digest, which tells nothing of its secret.
fn name_of(hash: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&hash[..hash.len().min(8)])
}

fn audit<'a>(
    context: &Context<'_>,
    person: &Person,
    kind: AuditKind,
    subject: &'a str,
    detail: &'a str,
    address: &'a str,
) -> Audit<'a> {
    Audit {
        at: context.now,
        account: Some(person.account.id),
        kind,
        subject,
        detail,
        address,
    }
}
