//! Tells subscribers what is new: at least once with a key that stays the same, and in practice once.
//!
//! Two steps, each of which can be broken off anywhere. First it is noted what goes to whom; then that is
//! sent, and noted that it was. What was sent and not noted is sent again with the key that it had.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use snowguard_db::subscriptions::{
    DeliveryRow, Mark, News, SubscriptionRow, Subscriptions as _, Way,
};
use snowguard_db::{Database, DbError};
use snowguard_http::Client;
use snowguard_send::mail::{Letter, MailAddress, Sendmail};
use snowguard_send::webhook::Hook;

use super::letter::{self, LINES};
use super::topic;
use super::words::{line, page};
use crate::chain::chain;
use crate::publish::Site;

/// How many subscriptions are looked at in one transaction, and how many deliveries are taken at once.
const AT_ONCE: u32 = 100;
/// How much of what is new is told in words; the rest is counted.
const NEWS: u32 = 2_000;
/// A receiver that takes nothing for so long is not told any more.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24 * 14);

/// With what is sent.
pub struct Sender<'s> {
    /// Where the tracker is.
    pub site: &'s Site,
    /// From whom letters come.
    pub from: Option<MailAddress>,
    /// What takes letters; without it, letters wait.
    pub sendmail: Option<Sendmail>,
    /// For webhooks: its settings say that it goes to the public network only.
    pub client: &'s Client,
    /// The name of this machine.
    pub host: &'s str,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many were asked whether they want letters.
    pub asked: usize,
    /// How many subscriptions have something new.
    pub made: usize,
    /// How many deliveries were taken.
    pub taken: usize,
    /// How many were not, and are tried again.
    pub failed: usize,
    /// How many subscriptions were ended since nothing was taken for two weeks.
    pub given_up: usize,
}

/// Tells what is new. `go_on` is asked between deliveries.
pub fn tell(
    db: &Database,
    sender: &Sender<'_>,
    now: Timestamp,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Told, DbError> {
    let mut told = Told {
        asked: ask(db, sender, now, go_on)?,
        made: make(db, now)?,
        ..Told::default()
    };
    loop {
        let due = db.read(|session| session.deliveries(now, AT_ONCE))?;
        if due.is_empty() {
            return Ok(told);
        }
        for delivery in due {
            if !go_on() {
                return Ok(told);
            }
            one(db, sender, &delivery, now, &mut told)?;
        }
    }
}

/// Asks who was entered by mail whether they want it; how many were asked. Who cannot be is asked the next
/// time.
fn ask(
    db: &Database,
    sender: &Sender<'_>,
    now: Timestamp,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<usize, DbError> {
    let (mut asked, mut after) = (0, 0);
    loop {
        let page = db.read(|session| session.to_be_asked(after, AT_ONCE))?;
        let Some(last) = page.last() else {
            return Ok(asked);
        };
        after = last.id;
        for row in page {
            if !go_on() {
                return Ok(asked);
            }
            if sender.ask(&row, now).is_ok() {
                asked += 1;
                db.write(|session| session.asked(row.id, now))?;
            } else if now.duration_since(row.created) > PATIENCE {
                db.write(|session| session.end_subscription(row.id, now))?;
            }
        }
    }
}

/// Notes what goes to whom; how many have something new.
fn make(db: &Database, now: Timestamp) -> Result<usize, DbError> {
    let to = db.write(|session| session.how_far())?;
    let day_ago = now
        .checked_sub(SignedDuration::from_hours(24))
        .unwrap_or(now);
    let (mut made, mut after) = (0, 0);
    loop {
        let (page, news) = db.write(|session| {
            let page = session.listening(day_ago, after, AT_ONCE)?;
            let mut with_news = 0;
            for row in &page {
                if row.mark == to {
                    continue;
                }
                let topic = topic(session, &row.about)?;
                let is_news = !session.news(&topic, row.mark, to, 1)?.is_empty();
                session.look(row, to, is_news, now)?;
                with_news += usize::from(is_news);
            }
            Ok((page, with_news))
        })?;
        made += news;
        let Some(last) = page.last() else {
            return Ok(made);
        };
        after = last.id;
    }
}

fn one(
    db: &Database,
    sender: &Sender<'_>,
    delivery: &DeliveryRow,
    now: Timestamp,
    told: &mut Told,
) -> Result<(), DbError> {
    let (row, news) = db.read(|session| {
        let Some(row) = session.subscription(delivery.subscription)? else {
            return Ok((None, Vec::new()));
        };
        let topic = topic(session, &row.about)?;
        let news = session.news(&topic, delivery.after, delivery.to, NEWS)?;
        Ok((Some(row), news))
    })?;
    let Some(row) = row.filter(|_| !news.is_empty()) else {
        // What it was about is not there any more.
        return db.write(|session| session.delivered(delivery.id, now));
    };
    let sent = match row.way {
        Way::Mail => sender.mail(&row, delivery, &news, now),
        Way::Webhook => sender.webhook(&row, delivery, &news, now),
    };
    match sent {
        Ok(()) => {
            told.taken += 1;
            db.write(|session| session.delivered(delivery.id, now))
        }
        Err(_) if now.duration_since(delivery.created) > PATIENCE => {
            told.given_up += 1;
            db.write(|session| session.end_subscription(row.id, now).map(drop))
        }
        Err(why) => {
            told.failed += 1;
            let due = now
                .checked_add(pause(delivery.attempts))
                .unwrap_or(Timestamp::MAX);
            db.write(|session| session.not_delivered(delivery.id, &why, due))
        }
    }
}

/// One minute, then twice as long each time, up to six hours.
fn pause(attempts: u32) -> SignedDuration {
    SignedDuration::from_mins(1_i64 << attempts.min(9)).min(SignedDuration::from_hours(6))
}

impl Sender<'_> {
    /// The letter with which somebody agrees.
    fn ask(&self, row: &SubscriptionRow, now: Timestamp) -> Result<(), String> {
        let (subject, text) = letter::confirmation(self.site, row);
        let id = format!("tracker-{}-asked", row.id);
        self.letter(row, &subject, &text, &id, &[], now)
    }

    fn letter(
        &self,
        row: &SubscriptionRow,
        subject: &str,
        text: &str,
        id: &str,
        headers: &[(&'static str, String)],
        now: Timestamp,
    ) -> Result<(), String> {
        let sendmail = self
            .sendmail
            .as_ref()
            .ok_or("no program that takes letters is set")?;
        let to = [MailAddress::try_from(row.target.clone())?];
        let letter = Letter {
            from: self.from.as_ref(),
            to: &to,
            subject: &snowguard_report::escape::fit(subject, 160),
            id,
            host: self.host,
            at: now,
            headers,
            text,
        };
        sendmail.send(&letter).map_err(|error| chain(&error))
    }

    fn mail(
        &self,
        row: &SubscriptionRow,
        delivery: &DeliveryRow,
        news: &[News],
        now: Timestamp,
    ) -> Result<(), String> {
        let more = news.len().saturating_sub(LINES);
        let (subject, text) = letter::news(self.site, row, &news[..news.len() - more], more);
        let headers = letter::headers(self.site, row);
        self.letter(row, &subject, &text, &key(delivery), &headers, now)
    }

    fn webhook(
        &self,
        row: &SubscriptionRow,
        delivery: &DeliveryRow,
        news: &[News],
        now: Timestamp,
    ) -> Result<(), String> {
        let address = row
            .target
            .parse()
            .map_err(|error: snowguard_http::AddressError| chain(&error))?;
        let changes: Vec<_> = news.iter().map(|news| self.change(news)).collect();
        let body = json!({
            "schema": SCHEMA,
            "subscription": row.id,
            "changes": changes,
        })
        .to_string();
        let hook = Hook {
            address: &address,
            key: &key(delivery),
            at: now,
            body: body.as_bytes(),
            secret: Some(&row.secret),
            authorization: None,
        };
        hook.send(self.client).map_err(|error| chain(&error))
    }

    fn change(&self, news: &News) -> serde_json::Value {
        json!({
            "at": news.at,
            "package": news.package,
            "advisory": news.advisory,
            "exploited": news.is_exploited,
            "text": line(news),
            "url": page(&self.site.url, news),
        })
    }
}

/// The schema of what a webhook gets (`docs/src/tracker/subscriptions.md`).
const SCHEMA: &str = "snowguard-tracker-news/1";

/// What tells a delivery from every other, however often it is sent.
fn key(delivery: &DeliveryRow) -> String {
    let Mark { event, finding } = delivery.to;
    format!(
        "tracker-{}-{}-{event}-{finding}",
        delivery.subscription, delivery.id
    )
}
