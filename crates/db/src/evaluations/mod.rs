//! Package sets: channels, what their evaluations say, who maintains what.
//!
//! Of each channel the newest evaluation is held attribute by attribute. Older ones are computed from it
//! by the deltas that lead back; which version an attribute had from when to when is in rows of its own,
//! since that is asked for most. Deliberately absent: reading package sets (`snowguard-sources`), and
//! deciding which of them are taken (`snowguard-tracker`).

mod bytes;
mod channel;
pub mod delta;
mod dependents;
mod facts;
mod ingest;
mod maintainer;
pub mod paths;
mod read;

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use snowguard_inventory::Fact;

pub use self::channel::{Channel, Poll};
pub use self::delta::{Held, Set};
pub use self::ingest::{
    Ingested, NewAttribute, NewEvaluation, NewFact, NewPackage, Outcome, Shrinking,
};
pub use self::maintainer::{Maintainer, MaintainerKind};
pub use self::read::{Evaluation, Failure, HeadRow, VersionRow};
use crate::{DbError, Session};

/// What can be asked and said of package sets, inside one transaction.
pub trait Evaluations {
    /// All channels, in their order.
    fn channels(&mut self) -> Result<Vec<Channel>, DbError>;

    /// A channel by its name.
    fn channel(&mut self, name: &str) -> Result<Option<Channel>, DbError>;

    /// Makes a channel, the last in order and followed; one that is there is left as it is.
    fn add_channel(&mut self, name: &str, source: Option<&str>) -> Result<Channel, DbError>;

    /// Puts channels into the given order; those that are not named follow. Masks of channels mean
    /// others after that: whoever holds such must compute them anew.
    fn order_channels(&mut self, names: &[&str]) -> Result<(), DbError>;

    /// Follows a channel, or ends it: what is known of it stays, and nothing new is taken or matched.
    fn follow_channel(&mut self, channel: i64, is_followed: bool) -> Result<(), DbError>;

    /// Sets where a channel's package sets come from.
    fn set_channel_source(&mut self, channel: i64, source: Option<&str>) -> Result<(), DbError>;

    /// Notes how looking for a new evaluation went. The head stays.
    fn note_poll(&mut self, channel: i64, poll: &Poll) -> Result<(), DbError>;

    /// Removes a channel with all its evaluations, and what was computed of findings in it. Packages,
    /// attributes and facts stay, since other channels and decisions refer to them.
    fn drop_channel(&mut self, channel: i64) -> Result<(), DbError>;

    /// Takes an evaluation: all of it, or nothing where it is refused.
    ///
    /// A revision that the channel has is not taken again. One that is older than the head is refused:
    /// what was so between two evaluations that were told about is not changed afterwards.
    fn ingest(&mut self, evaluation: &NewEvaluation<'_>) -> Result<Outcome, DbError>;

    /// Notes how many packages are built with each, by key. Where that changes the place of its findings, the
    /// package is to be matched anew.
    fn note_dependents(
        &mut self,
        dependents: &[(Box<str>, u32)],
        now: Timestamp,
    ) -> Result<(), DbError>;

    /// An evaluation.
    fn evaluation(&mut self, id: i64) -> Result<Option<Evaluation>, DbError>;

    /// The evaluations of a channel, newest first, from before one of them.
    fn evaluations(
        &mut self,
        channel: i64,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Evaluation>, DbError>;

    /// The evaluations of a channel since a time, oldest first.
    fn evaluations_since(
        &mut self,
        channel: i64,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<Evaluation>, DbError>;

    /// What could not be evaluated; known of the newest evaluation of a channel only.
    fn failures(&mut self, evaluation: i64) -> Result<Vec<Failure>, DbError>;

    /// What an evaluation said, computed from the head of its channel. Nothing if it was forgotten.
    fn set_of(&mut self, evaluation: i64) -> Result<Option<Set>, DbError>;

    /// Computes every evaluation of a channel that is kept, one after the other; an error names the first
    /// whose delta cannot be used.
    fn walk_back(&mut self, channel: i64) -> Result<(), DbError>;

    /// Forgets what evaluations older than this one said; they stay in the list, and versions keep
    /// their history. How many were forgotten.
    fn forget_before(&mut self, evaluation: i64) -> Result<u64, DbError>;

    /// The head of a channel, in order of attributes' numbers; of these packages only, where given.
    fn head(&mut self, channel: i64, packages: Option<&[i64]>) -> Result<Vec<HeadRow>, DbError>;

    /// The attributes of a package in the heads of all channels.
    fn heads_of(&mut self, package: i64) -> Result<Vec<HeadRow>, DbError>;

    /// Facts by their numbers.
    fn facts(&mut self, ids: &[i64]) -> Result<FxHashMap<i64, Fact>, DbError>;

    /// The history of versions of a package in all channels: by channel in order, attribute, newest
    /// first; so many at most.
    fn versions_of(&mut self, package: i64, limit: usize) -> Result<Vec<VersionRow>, DbError>;

    /// Who maintains a package: teams first, then by name.
    fn maintainers_of(&mut self, package: i64) -> Result<Vec<Maintainer>, DbError>;

    /// A maintainer by name, in any case.
    fn maintainer(
        &mut self,
        kind: MaintainerKind,
        name: &str,
    ) -> Result<Option<Maintainer>, DbError>;

    /// The packages of a maintainer, by number: `(id, key)`, from after one of them.
    fn maintained_by(
        &mut self,
        maintainer: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, DbError>;
}

impl<S: Session + ?Sized> Evaluations for S {
    fn channels(&mut self) -> Result<Vec<Channel>, DbError> {
        channel::all(self)
    }

    fn channel(&mut self, name: &str) -> Result<Option<Channel>, DbError> {
        channel::by_name(self, name)
    }

    fn add_channel(&mut self, name: &str, source: Option<&str>) -> Result<Channel, DbError> {
        channel::add(self, name, source)
    }

    fn order_channels(&mut self, names: &[&str]) -> Result<(), DbError> {
        channel::order(self, names)
    }

    fn follow_channel(&mut self, channel: i64, is_followed: bool) -> Result<(), DbError> {
        let sql = "UPDATE channel SET followed = $2 WHERE id = $1";
        self.execute(sql, &[channel.into(), is_followed.into()])
            .map(drop)
    }

    fn set_channel_source(&mut self, channel: i64, source: Option<&str>) -> Result<(), DbError> {
        // What was known of the other source says nothing of this one.
        let sql = "UPDATE channel SET source = $2, etag = NULL, last_modified = NULL WHERE id = $1";
        self.execute(sql, &[channel.into(), source.into()])
            .map(drop)
    }

    fn note_poll(&mut self, channel: i64, poll: &Poll) -> Result<(), DbError> {
        channel::note_poll(self, channel, poll)
    }

    fn drop_channel(&mut self, channel: i64) -> Result<(), DbError> {
        channel::remove(self, channel)
    }

    fn ingest(&mut self, evaluation: &NewEvaluation<'_>) -> Result<Outcome, DbError> {
        ingest::ingest(self, evaluation)
    }

    fn note_dependents(
        &mut self,
        dependents: &[(Box<str>, u32)],
        now: Timestamp,
    ) -> Result<(), DbError> {
        dependents::note(self, dependents, now)
    }

    fn evaluation(&mut self, id: i64) -> Result<Option<Evaluation>, DbError> {
        read::evaluation(self, id)
    }

    fn evaluations(
        &mut self,
        channel: i64,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Evaluation>, DbError> {
        read::evaluations(self, channel, before, limit)
    }

    fn evaluations_since(
        &mut self,
        channel: i64,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<Evaluation>, DbError> {
        read::evaluations_since(self, channel, time, limit)
    }

    fn failures(&mut self, evaluation: i64) -> Result<Vec<Failure>, DbError> {
        read::failures(self, evaluation)
    }

    fn set_of(&mut self, evaluation: i64) -> Result<Option<Set>, DbError> {
        read::set_of(self, evaluation)
    }

    fn walk_back(&mut self, channel: i64) -> Result<(), DbError> {
        read::walk_back(self, channel)
    }

    fn forget_before(&mut self, evaluation: i64) -> Result<u64, DbError> {
        read::forget_before(self, evaluation)
    }

    fn head(&mut self, channel: i64, packages: Option<&[i64]>) -> Result<Vec<HeadRow>, DbError> {
        read::head(self, channel, packages)
    }

    fn heads_of(&mut self, package: i64) -> Result<Vec<HeadRow>, DbError> {
        read::heads_of(self, package)
    }

    fn facts(&mut self, ids: &[i64]) -> Result<FxHashMap<i64, Fact>, DbError> {
        read::facts(self, ids)
    }

    fn versions_of(&mut self, package: i64, limit: usize) -> Result<Vec<VersionRow>, DbError> {
        read::versions_of(self, package, limit)
    }

    fn maintainers_of(&mut self, package: i64) -> Result<Vec<Maintainer>, DbError> {
        maintainer::of_package(self, package)
    }

    fn maintainer(
        &mut self,
        kind: MaintainerKind,
        name: &str,
    ) -> Result<Option<Maintainer>, DbError> {
        maintainer::by_name(self, kind, name)
    }

    fn maintained_by(
        &mut self,
        maintainer: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, DbError> {
        maintainer::packages(self, maintainer, after, limit)
    }
}

/// A limit as a statement has it.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
