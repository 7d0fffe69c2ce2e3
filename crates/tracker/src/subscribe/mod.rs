//! Subscriptions: who is told what, how they agree to it, and how they end it without logging in.

mod letter;
mod tell;
mod words;

use jiff::{SignedDuration, Timestamp};
use snowguard_db::search::{Found, Search as _};
use snowguard_db::subscriptions::{
    About, NewSubscription, News, Pace, SubscriptionRow, Subscriptions as _, Topic, Way,
};
use snowguard_db::{Database, DbError, Session};
use snowguard_http::Address;
use snowguard_send::mail::MailAddress;

pub use self::letter::confirmation;
pub use self::tell::{Sender, Told, tell};
pub use self::words::{feed, line};

/// How many subscriptions an account may have.
pub const MOST: usize = 200;
/// How many packages, and how many advisories, of a search are listened to.
const FOUND: usize = 200;
/// How long what is searched for may be, in characters.
const QUERY: usize = 200;
/// How many subscriptions by mail an account may ask for in a day: each sends a letter to an address that
/// may be another's.
const LETTERS: u64 = 10;
/// How many bytes a secret has.
pub const SECRET: usize = 32;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// Whose it is.
    pub account: i64,
    /// How they want to be told.
    pub way: Way,
    /// Where.
    pub target: &'a str,
    /// About what.
    pub about: About,
    /// How often.
    pub pace: Pace,
    /// Random bytes.
    pub secret: [u8; SECRET],
}

/// Why there is no such subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It is no address of mail.
    #[error("{0}")]
    Mail(String),
    /// It is no address that can be sent to.
    #[error("`{address}` cannot be sent to: {why}")]
    Web {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// What it is about is not there.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// There is nothing to search for, or too much.
    #[error("a search has 1 to {QUERY} characters")]
    Query,
    /// One has enough of them.
    #[error("an account may have {MOST} subscriptions")]
    TooMany,
    /// One has asked for enough letters.
    #[error("an account may ask for letters {LETTERS} times a day")]
    TooManyLetters,
}

/// Makes a subscription. One by mail is told nothing before [`confirm`].
pub fn subscribe(
    db: &Database,
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<SubscriptionRow, SubscribeError> {
    check_target(wish.way, wish.target)?;
    db.try_write(|session| {
        check_about(session, &wish.about)?;
        if session.subscriptions_of(wish.account)?.len() >= MOST {
            return Err(SubscribeError::TooMany);
        }
        let day_ago = now
            .checked_sub(SignedDuration::from_hours(24))
            .unwrap_or(now);
        if wish.way == Way::Mail && session.letters_asked_for(wish.account, day_ago)? >= LETTERS {
            return Err(SubscribeError::TooManyLetters);
        }
        let new = NewSubscription {
            account: wish.account,
            way: wish.way,
            target: wish.target,
            about: &wish.about,
            pace: wish.pace,
            secret: &wish.secret,
            at: now,
        };
        Ok(session.subscribe(&new)?)
    })
}

/// Whoever has the link of the letter agrees. False if the link is none of ours, or was followed before.
pub fn confirm(db: &Database, token: &str, now: Timestamp) -> Result<bool, DbError> {
    db.write(|session| match of_token(session, token)? {
        Some(row) => session.confirm_subscription(row.id, now),
        None => Ok(false),
    })
}

/// Whoever has the link of a letter ends it, without logging in. The subscription; none if the link is none
/// of ours. Doing it twice is no error.
pub fn unsubscribe(
    db: &Database,
    token: &str,
    now: Timestamp,
) -> Result<Option<SubscriptionRow>, DbError> {
    db.write(|session| {
        let found = of_token(session, token)?;
        if let Some(row) = &found {
            session.end_subscription(row.id, now)?;
        }
        Ok(found)
    })
}

/// The subscription of a link, for the page that asks before it is ended.
pub fn of_link(db: &Database, token: &str) -> Result<Option<SubscriptionRow>, DbError> {
    db.read(|session| of_token(session, token))
}

/// Ends one's own subscription; false if there is none of that number.
pub fn end(db: &Database, account: i64, id: i64, now: Timestamp) -> Result<bool, DbError> {
    db.write(|session| match session.subscription(id)? {
        Some(row) if row.account == account => session.end_subscription(id, now),
        _ => Ok(false),
    })
}

/// What links to a subscription prove themselves with: its number, and its secret in hexadecimal.
pub fn token(row: &SubscriptionRow) -> String {
    use std::fmt::Write as _;
    let mut token = format!("{}.", row.id);
    for byte in &row.secret {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

fn of_token(session: &mut dyn Session, given: &str) -> Result<Option<SubscriptionRow>, DbError> {
    let Some(id) = given.split('.').next().and_then(|id| id.parse().ok()) else {
        return Ok(None);
    };
    let row = session.subscription(id)?;
    Ok(row.filter(|row| is_same(&token(row), given)))
}

/// Compares in a time that does not tell where two texts differ.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |differs, (a, b)| differs | (a ^ b))
            == 0
}

fn check_target(way: Way, target: &str) -> Result<(), SubscribeError> {
    match way {
        Way::Mail => match MailAddress::try_from(target.to_owned()) {
            // A name without a host is a user of the server.
            Ok(_) if target.contains('@') => Ok(()),
            Ok(_) => Err(SubscribeError::Mail(format!("`{target}` has no host"))),
            Err(why) => Err(SubscribeError::Mail(why)),
        },
        Way::Webhook => {
            let refused = |why: String| SubscribeError::Web {
                address: target.chars().take(200).collect(),
                why,
            };
            let address: Address = target.parse().map_err(|why| refused(format!("{why}")))?;
            if address.is_secure() && target.len() <= 2_000 {
                Ok(())
            } else {
                Err(refused("it must begin with https://".to_owned()))
            }
        }
    }
}

fn check_about(session: &mut dyn Session, about: &About) -> Result<(), SubscribeError> {
    let topic = match about {
        About::Topic(topic) => topic,
        About::Search(words) => {
            let long = words.trim().chars().count();
            return if (1..=QUERY).contains(&long) {
                Ok(())
            } else {
                Err(SubscribeError::Query)
            };
        }
    };
    let what = match topic {
        Topic::Package(_) => "package",
        Topic::Maintainer(_) => "maintainer",
        Topic::Advisory(_) => "advisory",
        Topic::Channel(_) => "channel",
        Topic::Everything => return Ok(()),
        // It is stored as it was typed, and looked up each time.
        Topic::Found { .. } => return Err(SubscribeError::Query),
    };
    if session.is_topic(topic)? {
        Ok(())
    } else {
        Err(SubscribeError::Missing(what))
    }
}

/// What is newest about something, the newest first.
pub fn newest(session: &mut dyn Session, about: &About, limit: u32) -> Result<Vec<News>, DbError> {
    let topic = topic(session, about)?;
    session.newest(&topic, limit)
}

/// What a subscription is about, now.
fn topic(session: &mut dyn Session, about: &About) -> Result<Topic, DbError> {
    let words = match about {
        About::Topic(topic) => return Ok(topic.clone()),
        About::Search(words) => words,
    };
    let mut ids = |kind| -> Result<Vec<i64>, DbError> {
        let hits = session.search(words, &[kind], None, FOUND)?;
        Ok(hits.into_iter().map(|hit| hit.id).collect())
    };
    Ok(Topic::Found {
        packages: ids(Found::Package)?,
        advisories: ids(Found::Advisory)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_to_is_taken() {
        for (way, target) in [
            (Way::Mail, ""),
            (Way::Mail, "root"),
            (Way::Mail, "a@b\nBcc: c@d"),
            (Way::Mail, "-f@x"),
            (Way::Webhook, "http://hooks.example.org/"),
            (Way::Webhook, "file:///etc/passwd"),
            (Way::Webhook, "javascript:alert(1)"),
            (Way::Webhook, "hooks.example.org"),
        ] {
            assert!(check_target(way, target).is_err(), "{target}");
        }
        assert!(check_target(Way::Mail, "a@example.org").is_ok());
        assert!(check_target(Way::Webhook, "https://hooks.example.org/x").is_ok());
    }

    #[test]
    fn texts_are_the_same_as_a_whole() {
        assert!(is_same("1.ab", "1.ab"));
        assert!(!is_same("1.ab", "1.ac") && !is_same("1.ab", "1.abc") && !is_same("", "1"));
    }
}
