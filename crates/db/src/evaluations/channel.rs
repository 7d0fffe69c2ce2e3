//! Channels.

use jiff::Timestamp;

use crate::{DbError, Dialect, Row, Session, Value};

/// A channel: a line of package sets, each of which takes the place of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its number.
    pub id: i64,
    /// Its name: `nixos-26.05`.
    pub name: String,
    /// Where it stands among the channels, from 0.
    pub position: i64,
    /// Whether new evaluations are taken and matched.
    pub is_followed: bool,
    /// Where its package sets come from.
    pub source: Option<String>,
    /// Its newest evaluation.
    pub head: Option<i64>,
    /// How the last look for a new one went.
    pub poll: Option<Poll>,
}

/// How a look for a new evaluation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// When it was.
    pub at: Timestamp,
    /// What went wrong, in words, if something did.
    pub trouble: Option<String>,
    /// What the server called the document that named the head.
    pub etag: Option<String>,
    /// When that was changed, as the server says it.
    pub last_modified: Option<String>,
}

const COLUMNS: &str =
    "id, name, position, followed, source, head, polled_at, trouble, etag, last_modified";

pub(super) fn all<S: Session + ?Sized>(session: &mut S) -> Result<Vec<Channel>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM channel ORDER BY position");
    session.query(&sql, &[])?.map(read)
}

pub(super) fn by_name<S: Session + ?Sized>(
    session: &mut S,
    name: &str,
) -> Result<Option<Channel>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM channel WHERE name = $1");
    session
        .query(&sql, &[name.into()])?
        .first()
        .map(read)
        .transpose()
}

pub(super) fn add<S: Session + ?Sized>(
    session: &mut S,
    name: &str,
    source: Option<&str>,
) -> Result<Channel, DbError> {
    if let Some(channel) = by_name(session, name)? {
        return Ok(channel);
    }
    let sql = format!(
        "INSERT INTO channel (name, position, followed, source) \
         VALUES ($1, (SELECT coalesce(max(position) + 1, 0) FROM channel), 1, $2) RETURNING {COLUMNS}"
    );
    let rows = session.query(&sql, &[name.into(), source.into()])?;
    let row = rows.first().ok_or_else(|| missing(name))?;
    read(row)
}

pub(super) fn order<S: Session + ?Sized>(session: &mut S, names: &[&str]) -> Result<(), DbError> {
    let mut channels = all(session)?;
    let place = |name: &str| {
        names
            .iter()
            .position(|of| *of == name)
            .unwrap_or(names.len())
    };
    channels.sort_by_key(|channel| (place(&channel.name), channel.position));
    // Two may not be in one place, not even on the way.
    session.execute("UPDATE channel SET position = -1 - position", &[])?;
    for (position, channel) in (0_i64..).zip(channels) {
        let sql = "UPDATE channel SET position = $2 WHERE id = $1";
        session.execute(sql, &[channel.id.into(), position.into()])?;
    }
    Ok(())
}

pub(super) fn note_poll<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    poll: &Poll,
) -> Result<(), DbError> {
    let sql = "UPDATE channel SET polled_at = $2, trouble = $3, etag = $4, last_modified = $5 \
               WHERE id = $1";
    let values: [Value<'_>; 5] = [
        channel.into(),
        poll.at.into(),
        poll.trouble.as_ref().into(),
        poll.etag.as_ref().into(),
        poll.last_modified.as_ref().into(),
    ];
    session.execute(sql, &values).map(drop)
}

pub(super) fn remove<S: Session + ?Sized>(session: &mut S, channel: i64) -> Result<(), DbError> {
    let packages = session
        .query(
            "SELECT DISTINCT package FROM head WHERE channel = $1",
            &[channel.into()],
        )?
        .map(|row| row.get::<i64>(0))?;
    // An evaluation refers to its parent: none may be left that does while it goes.
    for sql in [
        "DELETE FROM finding_channel WHERE channel = $1",
        "DELETE FROM package_channel WHERE channel = $1",
        "DELETE FROM version WHERE channel = $1",
        "DELETE FROM head WHERE channel = $1",
        "UPDATE evaluation SET parent = NULL WHERE channel = $1",
        "DELETE FROM evaluation WHERE channel = $1",
        "DELETE FROM channel WHERE id = $1",
    ] {
        session.execute(sql, &[channel.into()])?;
    }
    super::maintainer::update(session, &packages)
}

/// Locks a channel against other ingestions until the transaction ends; gives its head.
pub(super) fn lock<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
) -> Result<Option<i64>, DbError> {
    let sql = match session.dialect() {
        // There is one writer.
        Dialect::Sqlite => "SELECT head FROM channel WHERE id = $1",
        Dialect::Postgres => "SELECT head FROM channel WHERE id = $1 FOR UPDATE",
    };
    let rows = session.query(sql, &[channel.into()])?;
    let row = rows.first().ok_or_else(|| missing(&channel.to_string()))?;
    row.get(0)
}

fn missing(channel: &str) -> DbError {
    DbError::Content {
        what: format!("channel {channel}"),
        reason: "there is none".to_owned(),
    }
}

fn read(row: Row<'_>) -> Result<Channel, DbError> {
    let polled_at: Option<Timestamp> = row.get(6)?;
    let poll = match polled_at {
        None => None,
        Some(at) => Some(Poll {
            at,
            trouble: row.get(7)?,
            etag: row.get(8)?,
            last_modified: row.get(9)?,
        }),
    };
    Ok(Channel {
        id: row.get(0)?,
        name: row.get(1)?,
        position: row.get(2)?,
        is_followed: row.get(3)?,
        source: row.get(4)?,
        head: row.get(5)?,
        poll,
    })
}
