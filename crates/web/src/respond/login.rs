//! In and out.

use std::sync::PoisonError;

use snowguard_db::people::{Account, Audit, AuditKind, GitHubUser, Login, People as _};

use super::Context;
use crate::access::{self, By};
use crate::fault::Fault;
use crate::frame::Section;
use crate::oauth;
use crate::page;
use crate::random;
use crate::reply::Reply;
use crate::request::{Method, local as is_local};
use crate::settings::Login as Way;

/// The way in.
pub(super) fn page(context: &Context<'_>) -> Result<Reply, Fault> {
    form(context, None)
}

fn form(context: &Context<'_>, error: Option<&str>) -> Result<Reply, Fault> {
    let github = match &context.app.settings().login {
        Way::GitHub(github) => Some(github.web.origin().ascii_serialization()),
        Way::Local => None,
    };
    let html = page::login(
        &context.frame(Section::Other),
        github.is_some(),
        context.back(),
        error,
    )?;
    let mut reply = Reply::page(html);
    // Browsers hold a form's redirects against the policy of its page.
    reply.form_action = github;
    Ok(reply)
}

/// Somebody brings the token that was printed when the server started.
pub(super) fn local(context: &Context<'_>) -> Result<Reply, Fault> {
    let (app, request) = (context.app, context.request);
    if !matches!(app.settings().login, Way::Local) {
        return Err(Fault::NoPage);
    }
    let token = match request.method {
        Method::Get => request.query.text("token"),
        Method::Post => {
            access::own_site(request, true)?;
            request.form.text("token")
        }
    };
    let token = token.unwrap_or_default();
    let is_right = {
        let mut way_in = app.way_in().lock().unwrap_or_else(PoisonError::into_inner);
        let is_right = *way_in == Some(random::digest(token));
        if is_right {
            // Used once: whoever finds it later in a history or a log finds nothing.
            *way_in = None;
        }
        is_right
    };
    if !is_right {
        if context.person.is_some() {
            // The address was opened again by who is in already.
            return Ok(Reply::see_other(context.back()));
        }
        refused(context, "local", "a wrong or used token")?;
        let reply = form(
            context,
            Some("This token is not the one, or was used already."),
        )?;
        return Ok(reply.status(hyper::StatusCode::FORBIDDEN));
    }
    let account = app
        .database()
        .write(|session| session.local_account(context.now))
        .map_err(Fault::internal)?;
    enter(context, &account, "by the printed token", context.back())
}

/// Somebody wants to log in with GitHub: they are sent there, and their browser keeps what shows
/// afterwards that it was them.
pub(super) fn github(context: &Context<'_>) -> Result<Reply, Fault> {
    access::own_site(context.request, true)?;
    let Way::GitHub(github) = &context.app.settings().login else {
        return Err(Fault::NoPage);
    };
    let (state, verifier) = (random::secret()?, random::secret()?);
    let challenge = random::challenge(&verifier);
    let back = data_encoding::BASE64URL_NOPAD.encode(context.back().as_bytes());
    let address = oauth::authorize(github, &state, &challenge, &callback(context));
    let value = format!("{state}.{verifier}.{back}");
    let mut reply = Reply::see_other(&address).cookie(&pending(context, &value, 600));
    reply.form_action = Some(github.web.origin().ascii_serialization());
    Ok(reply)
}

/// GitHub has sent somebody back.
pub(super) fn back(context: &Context<'_>) -> Result<Reply, Fault> {
    let (app, request) = (context.app, context.request);
    let Way::GitHub(github) = &app.settings().login else {
        return Err(Fault::NoPage);
    };
    let refuse = |why: &str, told: &str| {
        refused(context, "github", why)?;
        let reply = form(context, Some(told))?.status(hyper::StatusCode::FORBIDDEN);
        Ok(reply.cookie(&pending(context, "", 0)))
    };
    let kept = request.cookie(pending_name(context)).unwrap_or_default();
    let mut parts = kept.split('.');
    let (Some(state), Some(verifier), Some(to)) = (parts.next(), parts.next(), parts.next()) else {
        return refuse(
            "no login was begun",
            "The login took too long, or was begun in another browser. Try again.",
        );
    };
    let said = request.query.get("state").unwrap_or_default();
    if state.is_empty() || !random::same(state, said) {
        return refuse("another state", "This login was not begun here. Try again.");
    }
    let Some(code) = request.query.text("code") else {
        return refuse("no code", "GitHub did not let you in.");
    };
    let user = match oauth::user(github, code, verifier, &callback(context)) {
        Ok(user) => user,
        Err(error) => {
            tracing::warn!(request = request.id, %error, "a login with GitHub failed");
            return Err(Fault::GitHub(error.to_string()));
        }
    };
    let account = app
        .database()
        .write(|session| {
            let user = GitHubUser {
                id: user.id,
                login: &user.login,
            };
            let settings = app.settings();
            let mut listed = settings.admins.iter().chain(&settings.security);
            if listed.any(|login| login.eq_ignore_ascii_case(user.login)) {
                session.bind_login(user)?;
            }
            session.sign_in(user, context.now)
        })
        .map_err(Fault::internal)?;
    let Some(account) = account else {
        return refuse("a disabled account", "This account may not log in.");
    };
    let to = data_encoding::BASE64URL_NOPAD
        .decode(to.as_bytes())
        .unwrap_or_default();
    let to = std::str::from_utf8(&to)
        .ok()
        .and_then(is_local)
        .unwrap_or("/");
    let reply = enter(context, &account, "by GitHub", to)?;
    Ok(reply.cookie(&pending(context, "", 0)))
}

/// Logs somebody in with a new secret. What the browser had before is ended.
fn enter(context: &Context<'_>, account: &Account, how: &str, to: &str) -> Result<Reply, Fault> {
    let (cookie, login) = access::log_in(context.app, context.request, context.now)?;
    let address = context.address();
    let before: Option<&Login> = context.person.as_ref().and_then(|person| match &person.by {
        By::Session { login, .. } => Some(login),
        By::Token(_) => None,
    });
    context
        .app
        .database()
        .write(|session| {
            if let (Some(login), Some(person)) = (before, &context.person) {
                session.end_login(person.account.id, &login.hash)?;
            }
            session.forget_logins(context.now)?;
            session.add_login(account.id, &login)?;
            session.audit(&Audit {
                at: context.now,
                account: Some(account.id),
                kind: AuditKind::Login,
                subject: &account.name,
                detail: how,
                address: &address,
            })
        })
        .map_err(Fault::internal)?;
    Ok(Reply::see_other(to).cookie(&cookie))
}

/// Somebody leaves, here or everywhere.
pub(super) fn out(context: &Context<'_>) -> Result<Reply, Fault> {
    let person = context.sender()?;
    let By::Session { login, .. } = &person.by else {
        return Err(Fault::LoginNeeded);
    };
    let everywhere = context.request.form.get("everywhere").is_some();
    let address = context.address();
    context
        .app
        .database()
        .write(|session| {
            if everywhere {
                session.end_logins(person.account.id)?;
            } else {
                session.end_login(person.account.id, &login.hash)?;
            }
            session.audit(&Audit {
                at: context.now,
                account: Some(person.account.id),
                kind: if everywhere {
                    AuditKind::LogoutEverywhere
                } else {
                    AuditKind::Logout
                },
                subject: &person.account.name,
                detail: "",
                address: &address,
            })
        })
        .map_err(Fault::internal)?;
    Ok(Reply::see_other("/").cookie(&access::no_cookie(context.app)))
}

fn refused(context: &Context<'_>, subject: &str, detail: &str) -> Result<(), Fault> {
    let address = context.address();
    context
        .app
        .database()
        .write(|session| {
            session.audit(&Audit {
                at: context.now,
                account: None,
                kind: AuditKind::LoginRefused,
                subject,
                detail,
                address: &address,
            })
        })
        .map_err(Fault::internal)
}

fn callback(context: &Context<'_>) -> String {
    format!("{}/login/callback", context.app.base())
}

/// The cookie that keeps what shows that it was the same browser that began.
fn pending(context: &Context<'_>, value: &str, seconds: u32) -> String {
    let secure = if context.app.settings().is_secure() {
        "; Secure"
    } else {
        ""
    };
    format!(
        "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        pending_name(context)
    )
}

fn pending_name(context: &Context<'_>) -> &'static str {
    if context.app.settings().is_secure() {
        "__Host-snowguard-login"
    } else {
        "snowguard-login"
    }
}
