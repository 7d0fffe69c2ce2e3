//! The room of subscriptions: who wants to be told what, what there is to tell, and what was told.
//!
//! What is new is what has a higher number than what was looked at before. Numbers are given before they
//! can be seen: on PostgreSQL a later one may be there while an earlier one is still being written. So who
//! writes events and findings holds a lock with all others who do, and who looks how far they go waits
//! until none of these is on the way (`numbered`).

use jiff::Timestamp;
use snowguard_matching::Status;
use snowguard_triage::{Decided, EventKind, StateKind};

use crate::stored::code;
use crate::{DbError, Dialect, Row, Session, Value};

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// A letter.
    Mail,
    /// A request.
    Webhook,
}

/// How often somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// As soon as there is something.
    AtOnce,
    /// All of a day together.
    Daily,
}

/// What somebody is told about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// All there is.
    Everything,
    /// A package, by number.
    Package(i64),
    /// The packages of a maintainer, by number.
    Maintainer(i64),
    /// An advisory, by number.
    Advisory(i64),
    /// A channel, by number.
    Channel(i64),
    /// What a search finds: packages and advisories by number.
    Found {
        /// The packages.
        packages: Vec<i64>,
        /// The advisories.
        advisories: Vec<i64>,
    },
}

/// The kinds of topics that have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicKind {
    /// Packages.
    Package,
    /// Maintainers and teams.
    Maintainer,
    /// Advisories.
    Advisory,
    /// Channels.
    Channel,
}

/// What a subscription is about, as it is stored: a search is looked up again each time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// A topic other than what a search finds.
    Topic(Topic),
    /// A search, as it was typed.
    Search(String),
}

/// How far somebody has looked: the last event and the last finding, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The event.
    pub event: i64,
    /// The finding.
    pub finding: i64,
}

/// A subscription as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub account: i64,
    /// How they are told.
    pub way: Way,
    /// Where: a mail address, or an address of the web.
    pub target: String,
    /// About what.
    pub about: About,
    /// How often.
    pub pace: Pace,
    /// Signs what is sent, and proves that a link was sent to them.
    pub secret: Vec<u8>,
    /// Since when.
    pub created: Timestamp,
    /// Since when it is known that the target is theirs.
    pub confirmed: Option<Timestamp>,
    /// When it was ended.
    pub ended: Option<Timestamp>,
    /// How far they have looked.
    pub mark: Mark,
}

/// A subscription to be made.
#[derive(Clone, Debug)]
pub struct NewSubscription<'a> {
    /// Whose.
    pub account: i64,
    /// How they are told.
    pub way: Way,
    /// Where.
    pub target: &'a str,
    /// About what.
    pub about: &'a About,
    /// How often.
    pub pace: Pace,
    /// Random bytes.
    pub secret: &'a [u8],
    /// When.
    pub at: Timestamp,
}

/// Something to be told that was not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its number, by which a receiver knows it.
    pub id: i64,
    /// To whom.
    pub subscription: i64,
    /// What is after this.
    pub after: Mark,
    /// Up to this.
    pub to: Mark,
    /// When it was made.
    pub created: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// Something that is new.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// When it came about.
    pub at: Timestamp,
    /// The package, by key.
    pub package: Option<String>,
    /// The advisory, by name.
    pub advisory: Option<String>,
    /// How bad that is, as stored.
    pub rating: i64,
    /// Whether that is known to be exploited.
    pub is_exploited: bool,
    /// What it is.
    pub what: What,
}

/// What is new.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An advisory matches a package.
    Found {
        /// What is computed.
        status: Status,
        /// The first version without it.
        fixed_in: Option<String>,
    },
    /// Somebody, or the worker, did something.
    Done {
        /// What.
        kind: EventKind,
        /// Who; none for the worker.
        actor: Option<String>,
        /// The state before.
        before: Option<StateKind>,
        /// The state after.
        after: Option<StateKind>,
        /// Why.
        reason: String,
    },
}

/// Says that numbers of events and findings are about to be given: nobody looks how far they go before this
/// transaction ends.
pub(crate) fn numbered<S: Session + ?Sized>(session: &mut S) -> Result<(), DbError> {
    if session.dialect() == Dialect::Postgres {
        session.query("SELECT pg_advisory_xact_lock_shared($1)", &[LOCK.into()])?;
    }
    Ok(())
}

/// Names the lock.
const LOCK: i64 = 0x736e_6f77_6e65_7773;

/// Who is told what.
pub trait Subscriptions {
    /// Whether what a topic names is there.
    fn is_topic(&mut self, topic: &Topic) -> Result<bool, DbError>;

    /// Makes a subscription. What is there already is not told.
    fn subscribe(&mut self, new: &NewSubscription<'_>) -> Result<SubscriptionRow, DbError>;

    /// A subscription.
    fn subscription(&mut self, id: i64) -> Result<Option<SubscriptionRow>, DbError>;

    /// Those of an account that are not ended.
    fn subscriptions_of(&mut self, account: i64) -> Result<Vec<SubscriptionRow>, DbError>;

    /// The topic of a name: a package's key, the name of a maintainer, an advisory or a channel.
    fn topic_of(&mut self, kind: TopicKind, name: &str) -> Result<Option<Topic>, DbError>;

    /// What topics are called, by number, of one kind.
    fn names_of_topics(
        &mut self,
        kind: TopicKind,
        ids: &[i64],
    ) -> Result<Vec<(i64, String)>, DbError>;

    /// How many subscriptions by mail an account has asked for since then, whatever became of them.
    fn letters_asked_for(&mut self, account: i64, since: Timestamp) -> Result<u64, DbError>;

    /// Subscriptions by mail whose target was not asked yet.
    fn to_be_asked(&mut self, after: i64, limit: u32) -> Result<Vec<SubscriptionRow>, DbError>;

    /// Notes that the target was asked.
    fn asked(&mut self, id: i64, at: Timestamp) -> Result<(), DbError>;

    /// Why the last delivery of subscriptions was not taken, by subscription, if it still is not.
    fn troubles(&mut self, subscriptions: &[i64]) -> Result<Vec<(i64, String)>, DbError>;

    /// Notes that the target is theirs; false if it was known, or the subscription is ended.
    fn confirm_subscription(&mut self, id: i64, at: Timestamp) -> Result<bool, DbError>;

    /// Ends a subscription, and what was on its way; false if it was ended.
    fn end_subscription(&mut self, id: i64, at: Timestamp) -> Result<bool, DbError>;

    /// How far numbers go: all up to there can be seen. Only in a transaction that writes.
    fn how_far(&mut self) -> Result<Mark, DbError>;

    /// Subscriptions that may be told something: nothing of theirs is on its way, and those that are told
    /// once a day were not told since `day_ago`.
    fn listening(
        &mut self,
        day_ago: Timestamp,
        after: i64,
        limit: u32,
    ) -> Result<Vec<SubscriptionRow>, DbError>;

    /// What is new about a topic, the oldest first.
    fn news(
        &mut self,
        topic: &Topic,
        after: Mark,
        to: Mark,
        limit: u32,
    ) -> Result<Vec<News>, DbError>;

    /// What is newest about a topic, the newest first.
    fn newest(&mut self, topic: &Topic, limit: u32) -> Result<Vec<News>, DbError>;

    /// Notes how far a subscription has looked; with `is_told`, what is new goes on its way.
    fn look(
        &mut self,
        row: &SubscriptionRow,
        to: Mark,
        is_told: bool,
        now: Timestamp,
    ) -> Result<(), DbError>;

    /// What is on its way and due.
    fn deliveries(&mut self, now: Timestamp, limit: u32) -> Result<Vec<DeliveryRow>, DbError>;

    /// Notes that something was taken.
    fn delivered(&mut self, id: i64, now: Timestamp) -> Result<(), DbError>;

    /// Notes that something was not taken, and when it is tried again.
    fn not_delivered(&mut self, id: i64, error: &str, due: Timestamp) -> Result<(), DbError>;
}

impl<S: Session + ?Sized> Subscriptions for S {
    fn is_topic(&mut self, topic: &Topic) -> Result<bool, DbError> {
        let (table, id) = match topic {
            Topic::Everything | Topic::Found { .. } => return Ok(true),
            Topic::Package(id) => ("package", id),
            Topic::Maintainer(id) => ("maintainer", id),
            Topic::Advisory(id) => ("advisory", id),
            Topic::Channel(id) => ("channel", id),
        };
        let sql = format!("SELECT 1 FROM {table} WHERE id = $1");
        Ok(!self.query(&sql, &[(*id).into()])?.is_empty())
    }

    fn subscribe(&mut self, new: &NewSubscription<'_>) -> Result<SubscriptionRow, DbError> {
        let mark = self.how_far()?;
        let (topic, subject, search) = stored(new.about)?;
        let rows = self.query(
            "INSERT INTO subscription (account, way, target, topic, subject, search, pace, secret, \
             created, confirmed, event, finding) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
            &[
                new.account.into(),
                way_code(new.way).into(),
                new.target.into(),
                topic.into(),
                subject.into(),
                search.into(),
                pace_code(new.pace).into(),
                new.secret.into(),
                new.at.into(),
                // A webhook proves itself by taking what it is sent.
                (new.way == Way::Webhook).then_some(new.at).into(),
                mark.event.into(),
                mark.finding.into(),
            ],
        )?;
        let id = crate::advisories::one(&rows, "a subscription")?;
        self.subscription(id)?.ok_or_else(|| DbError::Content {
            what: "a subscription".to_owned(),
            reason: "it is not there after it was written".to_owned(),
        })
    }

    fn subscription(&mut self, id: i64) -> Result<Option<SubscriptionRow>, DbError> {
        let sql = format!("SELECT {COLUMNS} FROM subscription WHERE id = $1");
        let rows = self.query(&sql, &[id.into()])?.map(|row| read(&row))?;
        Ok(rows.into_iter().next())
    }

    fn subscriptions_of(&mut self, account: i64) -> Result<Vec<SubscriptionRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM subscription WHERE account = $1 AND ended IS NULL ORDER BY id"
        );
        self.query(&sql, &[account.into()])?.map(|row| read(&row))
    }

    fn topic_of(&mut self, kind: TopicKind, name: &str) -> Result<Option<Topic>, DbError> {
        let (sql, topic): (&str, fn(i64) -> Topic) = match kind {
            TopicKind::Package => ("SELECT id FROM package WHERE key = $1", Topic::Package),
            TopicKind::Maintainer => (
                "SELECT id FROM maintainer WHERE lower(name) = lower($1) ORDER BY kind LIMIT 1",
                Topic::Maintainer,
            ),
            TopicKind::Advisory => (
                "SELECT advisory FROM alias WHERE name = $1",
                Topic::Advisory,
            ),
            TopicKind::Channel => ("SELECT id FROM channel WHERE name = $1", Topic::Channel),
        };
        let rows = self.query(sql, &[name.into()])?;
        rows.first().map(|row| Ok(topic(row.get(0)?))).transpose()
    }

    fn names_of_topics(
        &mut self,
        kind: TopicKind,
        ids: &[i64],
    ) -> Result<Vec<(i64, String)>, DbError> {
        let sql = match kind {
            TopicKind::Package => "SELECT id, key FROM package WHERE id {in:1}",
            TopicKind::Maintainer => "SELECT id, name FROM maintainer WHERE id {in:1}",
            TopicKind::Advisory => "SELECT id, name FROM advisory WHERE id {in:1}",
            TopicKind::Channel => "SELECT id, name FROM channel WHERE id {in:1}",
        };
        self.query(sql, &[ids.into()])?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn letters_asked_for(&mut self, account: i64, since: Timestamp) -> Result<u64, DbError> {
        let rows = self.query(
            "SELECT count(*) FROM subscription WHERE account = $1 AND way = 1 AND created > $2",
            &[account.into(), since.into()],
        )?;
        rows.first().map_or(Ok(0), |row| row.get(0))
    }

    fn to_be_asked(&mut self, after: i64, limit: u32) -> Result<Vec<SubscriptionRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM subscription WHERE confirmed IS NULL AND ended IS NULL \
             AND told IS NULL AND id > $1 ORDER BY id LIMIT $2"
        );
        self.query(&sql, &[after.into(), limit.into()])?
            .map(|row| read(&row))
    }

    fn asked(&mut self, id: i64, at: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE subscription SET told = $2 WHERE id = $1",
            &[id.into(), at.into()],
        )?;
        Ok(())
    }

    fn troubles(&mut self, subscriptions: &[i64]) -> Result<Vec<(i64, String)>, DbError> {
        self.query(
            "SELECT subscription, error FROM delivery WHERE subscription {in:1} AND done IS NULL \
             AND error IS NOT NULL",
            &[subscriptions.into()],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn confirm_subscription(&mut self, id: i64, at: Timestamp) -> Result<bool, DbError> {
        let changed = self.execute(
            "UPDATE subscription SET confirmed = $2 \
             WHERE id = $1 AND confirmed IS NULL AND ended IS NULL",
            &[id.into(), at.into()],
        )?;
        Ok(changed == 1)
    }

    fn end_subscription(&mut self, id: i64, at: Timestamp) -> Result<bool, DbError> {
        let changed = self.execute(
            "UPDATE subscription SET ended = $2 WHERE id = $1 AND ended IS NULL",
            &[id.into(), at.into()],
        )?;
        self.execute(
            "UPDATE delivery SET done = $2, error = 'the subscription was ended' \
             WHERE subscription = $1 AND done IS NULL",
            &[id.into(), at.into()],
        )?;
        Ok(changed == 1)
    }

    fn how_far(&mut self) -> Result<Mark, DbError> {
        if self.dialect() == Dialect::Postgres {
            self.query("SELECT pg_advisory_xact_lock($1)", &[LOCK.into()])?;
        }
        let rows = self.query(
            "SELECT COALESCE((SELECT max(id) FROM event), 0), COALESCE((SELECT max(id) FROM finding), 0)",
            &[],
        )?;
        match rows.first() {
            Some(row) => Ok(Mark {
                event: row.get(0)?,
                finding: row.get(1)?,
            }),
            None => Ok(Mark::default()),
        }
    }

    fn listening(
        &mut self,
        day_ago: Timestamp,
        after: i64,
        limit: u32,
    ) -> Result<Vec<SubscriptionRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM subscription s WHERE confirmed IS NOT NULL AND ended IS NULL \
             AND id > $1 AND (pace = 1 OR COALESCE(told, created) <= $2) AND NOT EXISTS \
             (SELECT 1 FROM delivery d WHERE d.subscription = s.id AND d.done IS NULL) \
             ORDER BY id LIMIT $3"
        );
        self.query(&sql, &[after.into(), day_ago.into(), limit.into()])?
            .map(|row| read(&row))
    }

    fn news(
        &mut self,
        topic: &Topic,
        after: Mark,
        to: Mark,
        limit: u32,
    ) -> Result<Vec<News>, DbError> {
        let range = |column: &str| format!("{column} > $1 AND {column} <= $2");
        let mut news = found(
            self,
            topic,
            &range("f.id"),
            (after.finding, to.finding),
            "",
            limit,
        )?;
        news.extend(done(
            self,
            topic,
            &range("e.id"),
            (after.event, to.event),
            "",
            limit,
        )?);
        news.sort_by_key(|news| news.at);
        Ok(news)
    }

    fn newest(&mut self, topic: &Topic, limit: u32) -> Result<Vec<News>, DbError> {
        // What a sum stands in is not looked up by: of a topic with its own index, that one is walked.
        let packages = match topic {
            Topic::Maintainer(id) => Some(Topic::Found {
                packages: self
                    .query(
                        "SELECT package FROM maintains WHERE maintainer = $1",
                        &[(*id).into()],
                    )?
                    .map(|row| row.get(0))?,
                advisories: Vec::new(),
            }),
            _ => None,
        };
        let topic = packages.as_ref().unwrap_or(topic);
        let by_number = matches!(topic, Topic::Everything | Topic::Channel(_));
        let plus = if by_number { "" } else { " + 0" };
        let range = |column: &str| format!("{column}{plus} > $1 AND {column}{plus} <= $2");
        let order = format!("{plus} DESC");
        let all = (0, i64::MAX);
        let mut news = found(self, topic, &range("f.id"), all, &order, limit)?;
        news.extend(done(self, topic, &range("e.id"), all, &order, limit)?);
        news.sort_by_key(|news| std::cmp::Reverse(news.at));
        news.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(news)
    }

    fn look(
        &mut self,
        row: &SubscriptionRow,
        to: Mark,
        is_told: bool,
        now: Timestamp,
    ) -> Result<(), DbError> {
        // Another worker may have looked meanwhile: what it did stays.
        let changed = self.execute(
            "UPDATE subscription SET event = $2, finding = $3, \
             told = CASE WHEN $4 = 1 THEN $5 ELSE told END WHERE id = $1 AND event = $6 AND finding = $7",
            &[
                row.id.into(),
                to.event.into(),
                to.finding.into(),
                is_told.into(),
                now.into(),
                row.mark.event.into(),
                row.mark.finding.into(),
            ],
        )?;
        if changed == 1 && is_told {
            self.execute(
                "INSERT INTO delivery (subscription, event_after, event_to, finding_after, \
                 finding_to, created, due) VALUES ($1, $2, $3, $4, $5, $6, $6)",
                &[
                    row.id.into(),
                    row.mark.event.into(),
                    to.event.into(),
                    row.mark.finding.into(),
                    to.finding.into(),
                    now.into(),
                ],
            )?;
        }
        Ok(())
    }

    fn deliveries(&mut self, now: Timestamp, limit: u32) -> Result<Vec<DeliveryRow>, DbError> {
        self.query(
            "SELECT id, subscription, event_after, finding_after, event_to, finding_to, created, \
             attempts FROM delivery WHERE done IS NULL AND due <= $1 ORDER BY due, id LIMIT $2",
            &[now.into(), limit.into()],
        )?
        .map(|row| {
            Ok(DeliveryRow {
                id: row.get(0)?,
                subscription: row.get(1)?,
                after: mark(&row, 2)?,
                to: mark(&row, 4)?,
                created: row.get(6)?,
                attempts: row.get(7)?,
            })
        })
    }

    fn delivered(&mut self, id: i64, now: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE delivery SET done = $2, attempts = attempts + 1, error = NULL WHERE id = $1 AND done IS NULL",
            &[id.into(), now.into()],
        )?;
        Ok(())
    }

    fn not_delivered(&mut self, id: i64, error: &str, due: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE delivery SET due = $2, attempts = attempts + 1, error = $3 WHERE id = $1 AND done IS NULL",
            &[id.into(), due.into(), error.into()],
        )?;
        Ok(())
    }
}

const COLUMNS: &str = "id, account, way, target, topic, subject, search, pace, secret, created, \
                       confirmed, ended, event, finding";

/// New findings about a topic: those that are affected or in doubt.
fn found<S: Session + ?Sized>(
    session: &mut S,
    topic: &Topic,
    range: &str,
    (after, to): (i64, i64),
    order: &str,
    limit: u32,
) -> Result<Vec<News>, DbError> {
    let (condition, about) = condition(topic, "f.package", "f.advisory", "f.id");
    let sql = format!(
        "SELECT f.first_seen, p.key, a.name, a.rating, a.exploited, f.status, f.fixed_in \
         FROM finding f JOIN package p ON p.id = f.package JOIN advisory a ON a.id = f.advisory \
         WHERE {range} AND f.status <= 1 AND {condition} ORDER BY f.id{order} LIMIT $3"
    );
    let mut parameters = vec![after.into(), to.into(), limit.into()];
    parameters.extend(about);
    session.query(&sql, &parameters)?.map(|row| {
        Ok(News {
            at: row.get(0)?,
            package: row.get(1)?,
            advisory: row.get(2)?,
            rating: row.get::<Option<i64>>(3)?.unwrap_or(0),
            is_exploited: row.get::<Option<&str>>(4)?.is_some(),
            what: What::Found {
                status: code(row, 5)?,
                fixed_in: row.get(6)?,
            },
        })
    })
}

/// What was done about a topic.
fn done<S: Session + ?Sized>(
    session: &mut S,
    topic: &Topic,
    range: &str,
    (after, to): (i64, i64),
    order: &str,
    limit: u32,
) -> Result<Vec<News>, DbError> {
    let (condition, about) = condition(topic, "e.package", "e.advisory", "e.finding");
    let sql = format!(
        "SELECT e.at, p.key, a.name, a.rating, a.exploited, e.kind, c.name, e.before, e.after, e.reason \
         FROM event e LEFT JOIN package p ON p.id = e.package \
         LEFT JOIN advisory a ON a.id = e.advisory LEFT JOIN account c ON c.id = e.actor \
         WHERE {range} AND {condition} ORDER BY e.id{order} LIMIT $3"
    );
    let mut parameters = vec![after.into(), to.into(), limit.into()];
    parameters.extend(about);
    session.query(&sql, &parameters)?.map(|row| {
        Ok(News {
            at: row.get(0)?,
            package: row.get(1)?,
            advisory: row.get(2)?,
            rating: row.get::<Option<i64>>(3)?.unwrap_or(0),
            is_exploited: row.get::<Option<&str>>(4)?.is_some(),
            what: What::Done {
                kind: code(row, 5)?,
                actor: row.get(6)?,
                before: state(row.get(7)?)?,
                after: state(row.get(8)?)?,
                reason: row.get::<Option<String>>(9)?.unwrap_or_default(),
            },
        })
    })
}

/// What of a row says that it is about a topic; its parameters begin with `$4`.
fn condition<'t>(
    topic: &'t Topic,
    package: &str,
    advisory: &str,
    finding: &str,
) -> (String, Vec<Value<'t>>) {
    match topic {
        Topic::Everything => ("1 = 1".to_owned(), Vec::new()),
        Topic::Package(id) => (format!("{package} = $4"), vec![(*id).into()]),
        Topic::Advisory(id) => (format!("{advisory} = $4"), vec![(*id).into()]),
        Topic::Maintainer(id) => (
            format!("{package} IN (SELECT m.package FROM maintains m WHERE m.maintainer = $4)"),
            vec![(*id).into()],
        ),
        Topic::Channel(id) => (
            format!(
                "EXISTS (SELECT 1 FROM finding_channel s WHERE s.finding = {finding} AND s.channel = $4)"
            ),
            vec![(*id).into()],
        ),
        Topic::Found {
            packages,
            advisories,
        } if advisories.is_empty() => (format!("{package} {{in:4}}"), vec![packages.into()]),
        Topic::Found {
            packages,
            advisories,
        } => (
            format!("({package} {{in:4}} OR {advisory} {{in:5}})"),
            vec![packages.into(), advisories.into()],
        ),
    }
}

fn state(decided: Option<&[u8]>) -> Result<Option<StateKind>, DbError> {
    let Some(bytes) = decided else {
        return Ok(None);
    };
    let decided: Decided = serde_json::from_slice(bytes).map_err(|error| DbError::Content {
        what: "what an event changed".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Some(decided.state.kind()))
}

fn mark(row: &Row<'_>, column: usize) -> Result<Mark, DbError> {
    Ok(Mark {
        event: row.get(column)?,
        finding: row.get(column + 1)?,
    })
}

fn way_code(way: Way) -> i64 {
    match way {
        Way::Mail => 1,
        Way::Webhook => 2,
    }
}

fn pace_code(pace: Pace) -> i64 {
    match pace {
        Pace::AtOnce => 1,
        Pace::Daily => 2,
    }
}

fn stored(about: &About) -> Result<(i64, Option<i64>, Option<&str>), DbError> {
    Ok(match about {
        About::Topic(Topic::Everything) => (1, None, None),
        About::Topic(Topic::Package(id)) => (2, Some(*id), None),
        About::Topic(Topic::Maintainer(id)) => (3, Some(*id), None),
        About::Topic(Topic::Advisory(id)) => (4, Some(*id), None),
        About::Topic(Topic::Channel(id)) => (5, Some(*id), None),
        About::Search(words) => (6, None, Some(words)),
        About::Topic(Topic::Found { .. }) => {
            return Err(DbError::Content {
                what: "a subscription".to_owned(),
                reason: "a search is stored as it was typed".to_owned(),
            });
        }
    })
}

fn read(row: &Row<'_>) -> Result<SubscriptionRow, DbError> {
    let wrong = || DbError::Content {
        what: "a subscription".to_owned(),
        reason: "its numbers are none that this version writes".to_owned(),
    };
    let subject = || row.get::<Option<i64>>(5)?.ok_or_else(wrong);
    let about = match row.get::<i64>(4)? {
        1 => About::Topic(Topic::Everything),
        2 => About::Topic(Topic::Package(subject()?)),
        3 => About::Topic(Topic::Maintainer(subject()?)),
        4 => About::Topic(Topic::Advisory(subject()?)),
        5 => About::Topic(Topic::Channel(subject()?)),
        6 => About::Search(row.get(6)?),
        _ => return Err(wrong()),
    };
    Ok(SubscriptionRow {
        id: row.get(0)?,
        account: row.get(1)?,
        way: match row.get::<i64>(2)? {
            1 => Way::Mail,
            2 => Way::Webhook,
            _ => return Err(wrong()),
        },
        target: row.get(3)?,
        about,
        pace: match row.get::<i64>(7)? {
            1 => Pace::AtOnce,
            2 => Pace::Daily,
            _ => return Err(wrong()),
        },
        secret: row.get(8)?,
        created: row.get(9)?,
        confirmed: row.get(10)?,
        ended: row.get(11)?,
        mark: mark(row, 12)?,
    })
}
