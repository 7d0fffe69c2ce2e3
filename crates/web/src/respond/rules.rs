//! Rules about packages and products: what holds, what a rule would change, and what a package is taken not
//! to be; and the channels in which anything counts at all.

use jiff::tz::TimeZone;
use serde::Serialize;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::findings::Findings as _;
use snowguard_tracker::decide::{self, Remembered};
use snowguard_tracker::view::Rules;
use snowguard_tracker::view::load::{self, ViewError};
use snowguard_triage::memory::InvalidRule;
use snowguard_triage::{MemoryRule, Right, Verdict};
use utoipa::ToSchema;

use super::act::{actor, fault};
use super::show::NoData;
use super::{Context, json};
use crate::access::{By, Person};
use crate::fault::Fault;
use crate::frame::Frame;
use crate::href;
use crate::page::{self, PageError, RuleDraft};
use crate::reply::Reply;
use crate::request::Fields;

/// How many strangers are shown.
const STRANGERS: usize = 50;

/// A rule that was made or taken back, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ruled {
    /// Its number.
    rule: i64,
}

/// A channel that was left out or taken in, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Followed {
    /// Its name.
    channel: String,
    /// Whether it is followed now.
    followed: bool,
}

/// The rules about a package, with a preview if one is asked for.
pub(super) fn load(context: &Context<'_>, key: &str) -> Result<Rules, NoData> {
    let (app, query) = (context.app, &context.request.query);
    let loaded = app.database().try_read(|session| load::rules(session, key));
    let (mut view, package) = loaded.map_err(|error| match error {
        ViewError::NotFound { what, name } => Fault::NotFound { what, name },
        error => Fault::internal(error),
    })?;
    let Some(foresight) = app.foresight() else {
        return Ok(view);
    };
    let found = foresight
        .strangers(app.database(), package, STRANGERS, context.now)
        .map_err(Fault::internal)?;
    view.strangers = Some(found.into_iter().map(Into::into).collect());
    // Two matches of a package: for who may make the rule, and has written one.
    if query.get("preview").is_some() && may_remember(context, key)? {
        let rule = match written(context, query, key)? {
            Ok(rule) => rule,
            Err(error) if context.request.is_api() => {
                return Err(Fault::Refused(error.to_string()).into());
            }
            Err(_) => return Ok(view),
        };
        let preview = foresight
            .preview(app.database(), package, &rule, context.now)
            .map_err(Fault::internal)?;
        view.preview = Some(preview.into());
    }
    Ok(view)
}

/// The page of the rules about a package.
pub(super) fn page(
    context: &Context<'_>,
    frame: &Frame,
    view: &Rules,
) -> Result<String, PageError> {
    let query = &context.request.query;
    let draft = drafted(query);
    let key = &view.package.key;
    let csrf = match &context.person {
        Some(Person {
            by: By::Session { csrf, .. },
            ..
        }) if may_remember(context, key).unwrap_or(false) => Some(csrf.as_str()),
        _ => None,
    };
    let error = query
        .get("preview")
        .and_then(|_| written(context, query, key).ok()?.err())
        .map(|error| error.to_string());
    page::rules(frame, view, csrf, &draft, error.as_deref())
}

/// Makes a rule.
pub(super) fn remember(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let form = &context.request.form;
    let key = form
        .text("package")
        .ok_or_else(|| Fault::Refused("the package is not said".into()))?;
    let rule = written(context, form, key)?.map_err(|error| Fault::Refused(error.to_string()))?;
    let db = context.app.database();
    let made = decide::remember(db, actor(person), &rule, context.now).map_err(fault)?;
    done(context, made, key, "remembered")
}

/// Takes a rule back.
pub(super) fn forget(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let form = &context.request.form;
    let rule = form.text("rule").and_then(|rule| rule.parse().ok());
    let rule = rule.ok_or_else(|| Fault::Refused("the rule is not said".into()))?;
    let reason = form.text("reason").unwrap_or_default();
    let db = context.app.database();
    let gone = decide::forget(db, actor(person), rule, reason, context.now).map_err(fault)?;
    let key = form.text("package").unwrap_or_default();
    done(context, gone, key, "forgotten")
}

/// Leaves a channel out of account, or takes it in again.
pub(super) fn follow(
    context: &Context<'_>,
    person: &Person,
    followed: bool,
) -> Result<Reply, Fault> {
    let form = &context.request.form;
    let channel = form
        .text("channel")
        .ok_or_else(|| Fault::Refused("the channel is not said".into()))?;
    let reason = form.text("reason").unwrap_or_default();
    decide::follow_channel(
        context.app.database(),
        actor(person),
        channel,
        followed,
        reason,
        context.now,
    )
    .map_err(fault)?;
    if context.request.is_api() {
        return json(&Followed {
            channel: channel.to_owned(),
            followed,
        });
    }
    let word = if followed { "followed" } else { "dropped" };
    let page = href::channel(channel);
    Ok(Reply::see_other(&format!("{page}?done={word}")))
}

fn done(context: &Context<'_>, made: Remembered, key: &str, word: &str) -> Result<Reply, Fault> {
    if context.request.is_api() {
        return json(&Ruled { rule: made.rule });
    }
    let page = href::rules(key);
    Ok(Reply::see_other(&format!("{page}?done={word}")))
}

/// Whether the viewer may make rules about a package.
fn may_remember(context: &Context<'_>, key: &str) -> Result<bool, Fault> {
    let Some(person) = &context.person else {
        return Ok(false);
    };
    person.needs(snowguard_db::people::Scopes::TRIAGE, "triage")?;
    if person.standing(false).may(Right::Remember) {
        return Ok(true);
    }
    let Some(maintainer) = person.account.maintainer else {
        return Ok(false);
    };
    let maintains = context
        .app
        .database()
        .read(|session| match session.package_numbered_by(key)? {
            Some(package) => Ok(!session.maintained_of(maintainer, &[package])?.is_empty()),
            None => Ok(false),
        })
        .map_err(Fault::internal)?;
    Ok(person.standing(maintains).may(Right::Remember))
}

/// The rule of a form; an inner error where somebody has to write it otherwise.
fn written(
    context: &Context<'_>,
    form: &Fields,
    key: &str,
) -> Result<Result<MemoryRule, InvalidRule>, Fault> {
    let verdict = match form.text("verdict") {
        Some("accept") => Verdict::Accept,
        Some("deny") => Verdict::Deny,
        _ => {
            let what = "whether it is the product is not said: accept or deny";
            return Err(Fault::Refused(what.into()));
        }
    };
    let channel = match form.text("channel") {
        None => None,
        Some(name) => {
            let found = context
                .app
                .database()
                .read(|session| session.channel(name))
                .map_err(Fault::internal)?;
            let missing = || Fault::NotFound {
                what: "channel",
                name: name.to_owned(),
            };
            Some(found.ok_or_else(missing)?.id)
        }
    };
    let expires = form.text("expires").map(str::parse).transpose();
    let expires = expires.map_err(|_| Fault::Refused("a day is YEAR-MONTH-DAY".into()))?;
    let today = context.now.to_zoned(TimeZone::UTC).date();
    Ok(MemoryRule::new(
        key,
        form.text("product").unwrap_or_default(),
        verdict,
        channel,
        expires,
        form.text("reason").unwrap_or_default(),
        today,
    ))
}

/// What somebody has written so far.
fn drafted(query: &Fields) -> RuleDraft {
    let text = |name| query.text(name).unwrap_or_default().to_owned();
    RuleDraft {
        product: text("product"),
        accept: query.text("verdict") == Some("accept"),
        channel: text("channel"),
        expires: text("expires"),
        reason: text("reason"),
    }
}
