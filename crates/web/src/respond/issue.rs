//! Issues: they are published, edited and withdrawn, by a form that shows how it will look or by a program.

use serde::Serialize;
use snowguard_db::advisories::advisory_by_name;
use snowguard_tracker::decide::ActError;
use snowguard_tracker::publish::act::{self, Done, InvalidWords, Words};
use snowguard_tracker::view::load::{self, ViewError};
use snowguard_tracker::view::{Draft, Issue};
use snowguard_triage::{PublicId, Right, Standing};
use utoipa::ToSchema;

use super::act::{actor, fault};
use super::{Context, json};
use crate::access::{By, Person};
use crate::fault::Fault;
use crate::frame::{Frame, Section};
use crate::href;
use crate::page::{self, Writing};
use crate::reply::Reply;

/// What was done, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    /// The public id.
    issue: String,
    /// Counts its edits.
    revision: i64,
    /// The entry in the log.
    event: Option<i64>,
}

/// What the viewer's forms say, if they may publish.
pub(super) fn may_publish<'c>(context: &'c Context<'_>) -> Option<&'c str> {
    let person = context.person.as_ref()?;
    let may = person.standing(false).may(Right::Publish);
    match &person.by {
        By::Session { csrf, .. } if may => Some(csrf),
        _ => None,
    }
}

/// The form with which an advisory is published.
pub(super) fn draft_page(
    context: &Context<'_>,
    frame: &Frame,
    view: &Draft,
) -> Result<Reply, Fault> {
    if let Some(issue) = &view.issue {
        return Ok(Reply::see_other(&href::issue(issue)));
    }
    let words = (
        view.title.as_str(),
        view.text.as_deref().unwrap_or_default(),
    );
    draft(context, frame, view, words, None)
}

/// The form with which an issue is edited.
pub(super) fn edit_page(context: &Context<'_>, id: &str) -> Result<Reply, Fault> {
    let view = loaded(context, |session| load::issue(session, id))?;
    let words = (
        view.title.as_str(),
        view.text.as_deref().unwrap_or_default(),
    );
    editing(context, &view, view.revision, words, None)
}

/// Publishes an advisory, or shows how it would look.
pub(super) fn publish(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let form = &context.request.form;
    let name = form
        .text("advisory")
        .ok_or_else(|| Fault::Refused("the advisory is not said".into()))?;
    let (title, text) = given(context);
    let again = |error: Option<InvalidWords>| {
        let view = loaded(context, |session| load::draft(session, name))?;
        let frame = context.frame(Section::Issues);
        draft(context, &frame, &view, (title, text), error)
    };
    let words = match Words::new(title, text) {
        Err(error) => return refused(context, error, || again(Some(error))),
        Ok(_) if is_preview(context) => return again(None),
        Ok(words) => words,
    };
    let app = context.app;
    let advisory = app
        .database()
        .read(|session| advisory_by_name(session, name))
        .map_err(Fault::internal)?
        .ok_or_else(|| Fault::NotFound {
            what: "advisory",
            name: name.to_owned(),
        })?;
    let prefix = &app.settings().publishing.prefix;
    let done = act::publish(
        app.database(),
        actor(person),
        prefix,
        advisory,
        &words,
        context.now,
    );
    told(context, done, "published")
}

/// Edits an issue, or shows how it would look.
pub(super) fn edit(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let (id, revision) = named(context)?;
    let (title, text) = given(context);
    let again = |error: Option<InvalidWords>| {
        let name = id.to_string();
        let view = loaded(context, |session| load::issue(session, &name))?;
        editing(context, &view, revision, (title, text), error)
    };
    let words = match Words::new(title, text) {
        Err(error) => return refused(context, error, || again(Some(error))),
        Ok(_) if is_preview(context) => return again(None),
        Ok(words) => words,
    };
    let done = act::edit(
        context.app.database(),
        actor(person),
        (&id, revision),
        &words,
        context.now,
    );
    told(context, done, "edited")
}

/// Withdraws an issue.
pub(super) fn withdraw(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let (id, revision) = named(context)?;
    let reason = context.request.form.text("reason").unwrap_or_default();
    let done = act::withdraw(
        context.app.database(),
        actor(person),
        (&id, revision),
        reason,
        context.now,
    );
    told(context, done, "withdrawn")
}

fn draft(
    context: &Context<'_>,
    frame: &Frame,
    view: &Draft,
    words: (&str, &str),
    error: Option<InvalidWords>,
) -> Result<Reply, Fault> {
    let csrf = writer(context)?;
    let confirmed = view.packages.iter().any(|package| {
        use snowguard_tracker::view::State;
        matches!(package.state, State::Confirmed | State::Closed)
    });
    if !confirmed {
        return Err(fault(ActError::NothingConfirmed));
    }
    let fields = [("advisory", view.advisory.name.clone())];
    let error = error.map(|error| error.to_string());
    let html = page::writing(
        frame,
        &Writing {
            action: "/publish",
            fields: &fields,
            csrf,
            advisory: &view.advisory,
            issue: None,
            title: words.0,
            text: words.1,
            packages: &view.packages,
            error: error.as_deref(),
        },
    )?;
    Ok(Reply::page(html))
}

fn editing(
    context: &Context<'_>,
    view: &Issue,
    revision: i64,
    words: (&str, &str),
    error: Option<InvalidWords>,
) -> Result<Reply, Fault> {
    let csrf = writer(context)?;
    let fields = [
        ("issue", view.id.clone()),
        ("revision", revision.to_string()),
    ];
    let error = error.map(|error| error.to_string());
    let html = page::writing(
        &context.frame(Section::Issues),
        &Writing {
            action: "/edit",
            fields: &fields,
            csrf,
            advisory: &view.advisory,
            issue: Some(&view.id),
            title: words.0,
            text: words.1,
            packages: &view.packages,
            error: error.as_deref(),
        },
    )?;
    Ok(Reply::page(html))
}

/// What the viewer's forms say; an error if they may not publish.
fn writer<'c>(context: &'c Context<'_>) -> Result<&'c str, Fault> {
    context.known()?;
    may_publish(context)
        .ok_or_else(|| Fault::Forbidden(Standing::needed(Right::Publish).to_owned()))
}

/// The words of the form, as they were typed.
fn given<'c>(context: &'c Context<'_>) -> (&'c str, &'c str) {
    let form = &context.request.form;
    (
        form.get("title").unwrap_or_default(),
        form.get("text").unwrap_or_default(),
    )
}

fn is_preview(context: &Context<'_>) -> bool {
    context.request.form.get("preview").is_some() && !context.request.is_api()
}

/// The issue of the form, and the revision that was looked at.
fn named(context: &Context<'_>) -> Result<(PublicId, i64), Fault> {
    let form = &context.request.form;
    let name = form.text("issue").unwrap_or_default();
    let id = name.parse().map_err(|_| Fault::NotFound {
        what: "issue",
        name: name.to_owned(),
    })?;
    let revision = form.text("revision").and_then(|text| text.parse().ok());
    let revision = revision
        .ok_or_else(|| Fault::Refused("the revision that was looked at is not said".into()))?;
    Ok((id, revision))
}

/// What is wrong with the words: beside the form, where they are kept, or as an error for programs.
fn refused(
    context: &Context<'_>,
    error: InvalidWords,
    form: impl FnOnce() -> Result<Reply, Fault>,
) -> Result<Reply, Fault> {
    if context.request.is_api() {
        return Err(Fault::Refused(error.to_string()));
    }
    Ok(form()?.status(hyper::StatusCode::UNPROCESSABLE_ENTITY))
}

fn told(context: &Context<'_>, done: Result<Done, ActError>, word: &str) -> Result<Reply, Fault> {
    let done = done.map_err(fault)?;
    let id = done.issue.public.to_string();
    if context.request.is_api() {
        return json(&Published {
            issue: id,
            revision: done.issue.revision,
            event: done.event,
        });
    }
    Ok(Reply::see_other(&format!(
        "{}?done={word}",
        href::issue(&id)
    )))
}

fn loaded<T>(
    context: &Context<'_>,
    mut load: impl FnMut(&mut dyn snowguard_db::Session) -> Result<T, ViewError>,
) -> Result<T, Fault> {
    let loaded = context.app.database().try_read(|session| load(session));
    loaded.map_err(|error| match error {
        ViewError::NotFound { what, name } => Fault::NotFound { what, name },
        ViewError::Elsewhere(name) => Fault::NotFound {
            what: "advisory of its own by a name that leads to",
            name,
        },
        error => Fault::internal(error),
    })
}
