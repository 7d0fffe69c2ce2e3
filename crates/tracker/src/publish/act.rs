//! What people do about issues: they publish, edit and withdraw.
//!
//! Each call is one transaction: the right, what is confirmed, and what was looked at are checked, and
//! the issue and its event are written together, or nothing is. A public id is taken with the issue.

use jiff::Timestamp;
use snowguard_db::advisories::Advisories as _;
use snowguard_db::findings::{FindingRow, Findings as _, NewEvent, add_events};
use snowguard_db::issues::{IssueRow, Issues as _, NewIssue};
use snowguard_db::{Database, Session};
use snowguard_triage::{EventKind, PublicId, Refused, Right, Standing, StateKind};

use super::issue::Verdicts;
use super::text;
use crate::decide::{ActError, Actor};

/// How long a title may be, in characters.
pub const MAX_TITLE: usize = 200;
/// How long a text may be, in characters.
pub const MAX_TEXT: usize = 20_000;

/// The words of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line.
    title: String,
    /// More, in Markdown.
    text: Option<String>,
}

/// What is wrong with the words of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWords {
    /// There is no title.
    #[error("an issue needs a title")]
    NoTitle,
    /// The title is too long.
    #[error("a title has at most {MAX_TITLE} characters")]
    LongTitle,
    /// The text is too long.
    #[error("a text has at most {MAX_TEXT} characters")]
    LongText,
}

impl Words {
    /// Out of what somebody wrote: the title on one line, and of a text without words nothing.
    pub fn new(title: &str, text: &str) -> Result<Self, InvalidWords> {
        let title = without_controls(&title.split_whitespace().collect::<Vec<_>>().join(" "));
        let text = without_controls(&text.replace("\r\n", "\n"));
        let (title, text) = (title.trim().to_owned(), text.trim().to_owned());
        if title.is_empty() {
            Err(InvalidWords::NoTitle)
        } else if title.chars().count() > MAX_TITLE {
            Err(InvalidWords::LongTitle)
        } else if text.chars().count() > MAX_TEXT {
            Err(InvalidWords::LongText)
        } else {
            Ok(Self {
                title,
                text: Some(text).filter(|text| !text.is_empty()),
            })
        }
    }

    /// What is proposed for an advisory: the packages that are confirmed, and to which version to update.
    pub fn proposed(verdicts: &Verdicts) -> Self {
        let text = text::proposal(verdicts);
        Self {
            title: text::proposed_title(verdicts),
            text: Some(text).filter(|text| !text.is_empty()),
        }
    }

    /// One line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// More, in Markdown.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

/// What an act left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The issue as it is now.
    pub issue: IssueRow,
    /// The event.
    pub event: Option<i64>,
}

/// Gives an advisory with a confirmed finding a public id that begins with `prefix`, and these words.
pub fn publish(
    db: &Database,
    actor: Actor,
    prefix: &str,
    advisory: i64,
    words: &Words,
    now: Timestamp,
) -> Result<Done, ActError> {
    allowed(actor)?;
    db.try_write(|session| {
        let names = session.names_of_advisories(&[advisory])?;
        if names.is_empty() {
            return Err(ActError::Missing {
                what: "advisory",
                id: advisory.to_string(),
            });
        }
        if !is_confirmed(session, advisory)? {
            return Err(ActError::NothingConfirmed);
        }
        let new = NewIssue {
            prefix,
            advisory,
            title: &words.title,
            text: words.text(),
            at: now,
        };
        let issue = session.publish_issue(&new)?.ok_or(Refused::Already)?;
        let told = format!("{}: {}", issue.public, issue.title);
        log(session, actor, EventKind::Published, issue, told, now)
    })
}

/// Gives an issue other words. `revision` is the one that was looked at.
pub fn edit(
    db: &Database,
    actor: Actor,
    (public, revision): (&PublicId, i64),
    words: &Words,
    now: Timestamp,
) -> Result<Done, ActError> {
    allowed(actor)?;
    db.try_write(|session| {
        let row = standing(session, public)?;
        if row.title == words.title && row.text == words.text && row.revision == revision {
            return Err(Refused::Already.into());
        }
        let seen = (row.id, revision);
        if !session.edit_issue(seen, &words.title, words.text(), now)? {
            return Err(changed(public));
        }
        let issue = standing(session, public)?;
        let told = format!("{public}: {}", issue.title);
        log(session, actor, EventKind::IssueEdited, issue, told, now)
    })
}

/// Takes an issue back: its id stays, and its documents say so. `revision` is the one that was looked at.
pub fn withdraw(
    db: &Database,
    actor: Actor,
    (public, revision): (&PublicId, i64),
    reason: &str,
    now: Timestamp,
) -> Result<Done, ActError> {
    allowed(actor)?;
    let reason = without_controls(snowguard_triage::act::reason(reason)?);
    if reason.is_empty() {
        return Err(ActError::NoReason);
    }
    db.try_write(|session| {
        let row = standing(session, public)?;
        if !session.withdraw_issue((row.id, revision), &reason, now)? {
            return Err(changed(public));
        }
        let issue = session.issue(public)?.ok_or_else(|| missing(public))?;
        let told = format!("{public}: {reason}");
        log(session, actor, EventKind::IssueWithdrawn, issue, told, now)
    })
}

fn allowed(actor: Actor) -> Result<(), ActError> {
    if Standing::new(actor.role, false).may(Right::Publish) {
        Ok(())
    } else {
        Err(Refused::Forbidden(Right::Publish).into())
    }
}

/// Whether one of the advisory's findings at least is confirmed, and stays so until the change ends.
fn is_confirmed(session: &mut dyn Session, advisory: i64) -> Result<bool, ActError> {
    let ids = session.confirmed_findings(advisory)?;
    session.lock_findings(&ids)?;
    let is_so = |row: &FindingRow| {
        let kind = row.decided.state.kind();
        matches!(kind, StateKind::Confirmed | StateKind::Fixed)
    };
    Ok(session.findings(&ids)?.iter().any(is_so))
}

/// An issue that is not taken back.
fn standing(session: &mut dyn Session, public: &PublicId) -> Result<IssueRow, ActError> {
    let row = session.issue(public)?.ok_or_else(|| missing(public))?;
    if row.withdrawn.is_some() {
        return Err(ActError::Withdrawn {
            issue: public.clone(),
        });
    }
    Ok(row)
}

fn log(
    session: &mut dyn Session,
    actor: Actor,
    kind: EventKind,
    issue: IssueRow,
    told: String,
    now: Timestamp,
) -> Result<Done, ActError> {
    let event = NewEvent {
        actor: actor.account,
        kind,
        finding: None,
        advisory: Some(issue.advisory),
        package: None,
        change: None,
        reason: told,
        undoes: None,
    };
    let event = add_events(session, &[event], now)?;
    if let Some(event) = event {
        session.note_event_of_issue(event, issue.id)?;
    }
    Ok(Done { issue, event })
}

/// Without what steers a terminal or a page; line ends stay.
fn without_controls(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

fn missing(public: &PublicId) -> ActError {
    ActError::Missing {
        what: "issue",
        id: public.to_string(),
    }
}

fn changed(public: &PublicId) -> ActError {
    ActError::IssueChanged {
        issue: public.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_as_they_were_meant() {
        let words = Words::new(" a\n title ", " one\r\n\r\ntwo\u{1b}[31m ").unwrap();
        assert_eq!(words.title(), "a title");
        assert_eq!(words.text(), Some("one\n\ntwo[31m"));
        assert_eq!(Words::new("a", " \n").unwrap().text(), None);
        assert_eq!(Words::new(" ", "x"), Err(InvalidWords::NoTitle));
        assert_eq!(Words::new("\u{1b} \u{7}", "x"), Err(InvalidWords::NoTitle));
        let long = "x".repeat(MAX_TITLE + 1);
        assert_eq!(Words::new(&long, ""), Err(InvalidWords::LongTitle));
        let long = "x".repeat(MAX_TEXT + 1);
        assert_eq!(Words::new("a", &long), Err(InvalidWords::LongText));
    }
}
