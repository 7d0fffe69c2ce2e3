//! What people do about findings: by a form, which leads back to its page, or by a program.

use serde::Serialize;
use snowguard_db::people::{People as _, Scopes};
use snowguard_matching::suppress::Justification;
use snowguard_tracker::decide::{self, ActError, Acted, Actor, Request as Wish};
use snowguard_tracker::view::State as Shown;
use snowguard_triage::{Act as Deed, Refused, Right, Standing, State};
use utoipa::ToSchema;

use super::route::Act;
use super::{Context, issue, json, rules, subscribe, without_notice};
use crate::access::{self, By, Person};
use crate::fault::Fault;
use crate::reply::Reply;
use crate::request::Fields;

/// How many findings are acted on at once.
const MOST: usize = 500;

/// What was done, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    /// By which it is taken back as a whole.
    event: Option<i64>,
    /// The findings that changed.
    findings: Vec<i64>,
}

/// Does something, by whom it may be done.
#[expect(clippy::disallowed_methods, reason = "rates are per second")]
pub(super) fn act(context: &Context<'_>, act: Act) -> Result<Reply, Fault> {
    let person = context.known()?;
    match &person.by {
        // A token is sent by nobody's browser on its own.
        By::Token(_) => match act {
            Act::Subscribe | Act::Unsubscribe => person.needs(Scopes::SUBSCRIBE, "subscribe")?,
            Act::Publish | Act::Edit | Act::Withdraw => person.needs(Scopes::PUBLISH, "publish")?,
            Act::Decide
            | Act::Comment
            | Act::Assign
            | Act::Undo
            | Act::Remember
            | Act::Forget
            | Act::Follow
            | Act::Drop => {
                person.needs(Scopes::TRIAGE, "triage")?;
            }
        },
        By::Session { .. } => access::own_form(context.request, person)?,
    }
    let deciding = &context.app.rates().deciding;
    deciding
        .take(&person.account.id, std::time::Instant::now())
        .map_err(Fault::TooMany)?;
    let form = &context.request.form;
    let reason = form.text("reason").unwrap_or_default();
    let db = context.app.database();
    let who = actor(person);
    let (word, acted) = match act {
        Act::Decide => {
            let wishes = decisions(context, form)?;
            (
                "decided",
                decide::act(db, who, &wishes, reason, context.now),
            )
        }
        Act::Comment => {
            let wishes = wishes(form, "f", &Deed::Comment)?;
            (
                "commented",
                decide::act(db, who, &wishes, reason, context.now),
            )
        }
        Act::Assign => {
            let wishes = wishes(form, "f", &Deed::Assign(assignee(context, person, form)?))?;
            (
                "assigned",
                decide::act(db, who, &wishes, reason, context.now),
            )
        }
        Act::Undo => {
            let event = form.text("event").and_then(|event| event.parse().ok());
            let event =
                event.ok_or_else(|| Fault::Refused("what is to be undone is not said".into()))?;
            ("undone", decide::undo(db, who, event, reason, context.now))
        }
        Act::Remember => return rules::remember(context, person),
        Act::Forget => return rules::forget(context, person),
        Act::Follow => return rules::follow(context, person, true),
        Act::Drop => return rules::follow(context, person, false),
        Act::Subscribe => return subscribe::subscribe(context, person),
        Act::Unsubscribe => return subscribe::unsubscribe(context, person),
        Act::Publish => return issue::publish(context, person),
        Act::Edit => return issue::edit(context, person),
        Act::Withdraw => return issue::withdraw(context, person),
    };
    let acted = acted.map_err(fault)?;
    if context.request.is_api() {
        return json(&Done {
            event: acted.event,
            findings: acted.findings,
        });
    }
    Ok(Reply::see_other(&back(context.back(), word, &acted)))
}

pub(super) fn actor(person: &Person) -> Actor {
    Actor {
        account: Some(person.account.id),
        role: person.role,
        maintainer: person.account.maintainer,
    }
}

/// The page to come back to, which says what was done.
fn back(page: &str, word: &str, acted: &Acted) -> String {
    let page = without_notice(page);
    let and = if page.contains('?') { '&' } else { '?' };
    let event = acted
        .event
        .map_or_else(String::new, |event| format!("&event={event}"));
    format!(
        "{page}{and}done={word}&count={}{event}",
        acted.findings.len()
    )
}

/// What is decided about which findings. With `others`, those of the page that were not picked are
/// dismissed.
fn decisions(context: &Context<'_>, form: &Fields) -> Result<Vec<Wish>, Fault> {
    let picked = chosen(context, form)?;
    let mut all = wishes(form, "f", &Deed::Decide(picked))?;
    if form.text("others") == Some("dismiss") {
        let dismissed = State::NotAffected {
            justification: justification(form)?,
        };
        let others = wishes(form, "all", &Deed::Decide(dismissed))?;
        let is_picked = |other: &Wish| all.iter().any(|wish| wish.finding == other.finding);
        let others: Vec<Wish> = others
            .into_iter()
            .filter(|other| !is_picked(other))
            .collect();
        all.extend(others);
    }
    Ok(all)
}

/// Findings that a form names as `NUMBER.REVISION`, with what is done to them.
fn wishes(form: &Fields, field: &str, deed: &Deed) -> Result<Vec<Wish>, Fault> {
    let mut wishes = Vec::new();
    for text in form.all(field) {
        let wish = text.split_once('.').and_then(|(finding, revision)| {
            Some(Wish {
                finding: finding.parse().ok()?,
                revision: Some(revision.parse().ok()?),
                act: deed.clone(),
            })
        });
        wishes.push(wish.ok_or_else(|| Fault::Malformed("a finding is NUMBER.REVISION".into()))?);
    }
    match wishes.len() {
        0 => Err(Fault::Refused("no finding is selected".into())),
        1..=MOST => Ok(wishes),
        _ => Err(Fault::Refused(format!("at most {MOST} findings at once"))),
    }
}

/// The state that was chosen.
fn chosen(context: &Context<'_>, form: &Fields) -> Result<State, Fault> {
    let state = form.text("state").and_then(Shown::from_key);
    Ok(match state {
        Some(Shown::Confirmed) => State::Confirmed,
        Some(Shown::NeedsReview) => State::NeedsReview,
        Some(Shown::Untriaged) => State::Untriaged,
        Some(Shown::WontFix) => State::WontFix,
        Some(Shown::NotAffected) => State::NotAffected {
            justification: justification(form)?,
        },
        Some(Shown::Duplicate) => State::Duplicate {
            of: original(context, form)?,
        },
        Some(Shown::Closed) => {
            return Err(Fault::Refused(
                "what is fixed is found out by matching".into(),
            ));
        }
        None => return Err(Fault::Refused("choose what it is".into())),
    })
}

fn justification(form: &Fields) -> Result<Justification, Fault> {
    let said = form.text("justification");
    let known = Justification::ALL
        .into_iter()
        .find(|known| Some(known.as_str()) == said);
    known.ok_or_else(|| Fault::Refused("“not affected” needs one of the justifications".into()))
}

/// The advisory at which is said what there is to say.
fn original(context: &Context<'_>, form: &Fields) -> Result<i64, Fault> {
    let name = form.text("duplicate_of");
    let name = name.ok_or_else(|| Fault::Refused("“duplicate” needs the other advisory".into()))?;
    let found = context
        .app
        .database()
        .read(|session| {
            let rows = session.query(
                "SELECT advisory FROM alias WHERE lower(name) = lower($1)",
                &[name.into()],
            )?;
            rows.first().map(|row| row.get::<i64>(0)).transpose()
        })
        .map_err(Fault::internal)?;
    found.ok_or_else(|| Fault::NotFound {
        what: "advisory",
        name: name.to_owned(),
    })
}

/// Who is to look after it: oneself, nobody, or another whom the security team names. A field of its own says
/// whom, beside buttons that stand for oneself and nobody.
fn assignee(context: &Context<'_>, person: &Person, form: &Fields) -> Result<Option<i64>, Fault> {
    let name = match form.get("give") {
        Some(_) => {
            let name = form.text("to");
            Some(name.ok_or_else(|| Fault::Refused("it is not said to whom".into()))?)
        }
        None => form.text("assignee"),
    };
    let Some(name) = name else {
        return Ok(None);
    };
    if name.eq_ignore_ascii_case(&person.account.name) {
        return Ok(Some(person.account.id));
    }
    if !person.standing(false).may(Right::AssignOthers) {
        let needed = Standing::needed(Right::AssignOthers);
        return Err(Fault::Forbidden(needed.to_owned()));
    }
    let found = context
        .app
        .database()
        .read(|session| session.account_named(name))
        .map_err(Fault::internal)?;
    let found = found.ok_or_else(|| Fault::NotFound {
        what: "account",
        name: name.to_owned(),
    })?;
    Ok(Some(found.id))
}

pub(super) fn fault(error: ActError) -> Fault {
    match error {
        ActError::Changed { .. }
        | ActError::IssueChanged { .. }
        | ActError::Withdrawn { .. }
        | ActError::Refused(Refused::Superseded) => Fault::Conflict(error.to_string()),
        ActError::Refused(Refused::Forbidden(_)) => Fault::Forbidden(error.to_string()),
        ActError::Refused(_)
        | ActError::Rule(_)
        | ActError::NothingConfirmed
        | ActError::Words(_)
        | ActError::NoReason => Fault::Refused(error.to_string()),
        ActError::Missing { what, id } => Fault::NotFound { what, name: id },
        ActError::Db(error) => Fault::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_named_with_what_was_looked_at() {
        let form = Fields::parse(b"f=12.3&f=4.0").unwrap();
        let wishes = wishes(&form, "f", &Deed::Comment).unwrap();
        assert_eq!((wishes[0].finding, wishes[0].revision), (12, Some(3)));
        for wrong in [&b"f=12"[..], b"f=a.b", b"f=1.2.3", b""] {
            let form = Fields::parse(wrong).unwrap();
            assert!(super::wishes(&form, "f", &Deed::Comment).is_err());
        }
    }

    #[test]
    fn the_page_says_what_was_done() {
        let acted = Acted {
            event: Some(7),
            findings: vec![1, 2],
        };
        assert_eq!(
            back("/queue?by=package&done=undone", "decided", &acted),
            "/queue?by=package&done=decided&count=2&event=7"
        );
        assert_eq!(
            back("/", "undone", &Acted::default()),
            "/?done=undone&count=0"
        );
    }
}
