//! The room of findings: what was computed of packages and advisories, what people decided, the log of
//! all that was done, memory, and the rows of the queue.
//!
//! What follows from what is decided elsewhere (`snowguard-triage`); this room keeps it, and keeps what
//! is computed from findings in step with them.

mod events;
mod heads;
mod identities;
mod memory;
mod merge;
mod refresh;
mod stale;

use jiff::Timestamp;
use snowguard_matching::Status;
use snowguard_triage::{Basis, Bucket, Code, Decided, State, StateKind};

use crate::advisories::{clean, truth};
use crate::packed;
use crate::{Bulk, DbError, Dialect, Row, Session, Value};

pub use self::events::{EventRow, NewEvent, add_events, event, events_of_batch, events_of_finding};
pub use self::heads::{HeadRow, PackageRow, heads, packages_after, packages_numbered};
pub use self::identities::{Identified, identities_after, identities_of, put_identities};
pub use self::memory::{MemoryRow, add_rule, revoke_rule, rule, rules_in_force, rules_of_package};
pub use self::merge::merge_findings;
pub use self::refresh::refresh;
pub use self::stale::{
    Stale, mark_all_stale, mark_channel_stale, mark_expired_stale, mark_stale, stale, stale_of,
    unmark_stale,
};

/// Why a finding is in a list of its own.
pub mod flag {
    /// Nixpkgs itself marks the package insecure because of it.
    pub const MARKED: i64 = 1;
    /// It is of a kernel.
    pub const KERNEL: i64 = 2;
}

/// A finding as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingRow {
    /// Its number.
    pub id: i64,
    /// The package.
    pub package: i64,
    /// The advisory.
    pub advisory: i64,
    /// What is computed.
    pub computed: Computed,
    /// What is decided.
    pub decided: Decided,
    /// Since when it has its state.
    pub state_since: Timestamp,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Since when nothing is computed of it any more.
    pub gone: Option<Timestamp>,
    /// Raised by each change.
    pub revision: i64,
}

/// What is computed of a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// The worst of all channels.
    pub status: Status,
    /// Whether some identity behind it is sure.
    pub is_sure: bool,
    /// What is said.
    pub basis: Basis,
    /// Why, as [`pack_evidence`] writes it.
    pub evidence: Vec<u8>,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// Why, in a few words: lists show no more of the evidence.
    pub why: String,
    /// What speaks against it, in a few words.
    pub against: Option<String>,
    /// Its place in lists.
    pub rank: i64,
    /// The channels that are affected or in doubt, as [`snowguard_triage::group::channel_bit`]s.
    pub channels: i64,
    /// See [`flag`].
    pub flags: i64,
}

impl Computed {
    /// In which list a finding in this state stands.
    pub fn bucket(&self, state: State) -> Bucket {
        let has = |flag| self.flags & flag != 0;
        Bucket::of(state, self.status, has(flag::KERNEL), has(flag::MARKED))
    }
}

/// A finding of which something else is computed now.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed {
    /// Its number.
    pub id: i64,
    /// Its state as it is.
    pub state: State,
    /// What is computed.
    pub computed: Computed,
    /// Since when nothing is computed of it any more.
    pub gone: Option<Timestamp>,
    /// Its revision from now on.
    pub revision: i64,
}

/// What a channel has of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    /// The finding.
    pub finding: i64,
    /// The channel.
    pub channel: i64,
    /// What holds there.
    pub status: Status,
    /// Of which versions, with commas.
    pub versions: String,
    /// The evaluation with which it became so.
    pub since: i64,
    /// The evaluation with which it was fixed.
    pub fixed_since: Option<i64>,
}

/// The columns of a finding, in the order of [`finding_of`].
const FINDING: &str = "id, package, advisory, status, confidence, basis, evidence, fixed_in, rank, \
    channels, flags, state, justification, duplicate_of, assignee, decided_basis, state_since, \
    first_seen, gone, revision, why, against";

fn finding_of(row: Row<'_>) -> Result<FindingRow, DbError> {
    let state = State::from_parts(
        code(row, 11)?,
        row.get::<Option<i64>>(12)?
            .map(Code::from_code)
            .transpose()
            .map_err(|error| content(&error))?,
        row.get(13)?,
    );
    let decided_basis: Option<&[u8]> = row.get(15)?;
    Ok(FindingRow {
        id: row.get(0)?,
        package: row.get(1)?,
        advisory: row.get(2)?,
        computed: Computed {
            status: code(row, 3)?,
            is_sure: truth(row, 4)?,
            basis: basis(row.get(5)?)?,
            evidence: row.get(6)?,
            fixed_in: row.get(7)?,
            why: row.get(20)?,
            against: row.get(21)?,
            rank: row.get(8)?,
            channels: row.get(9)?,
            flags: row.get(10)?,
        },
        decided: Decided {
            state: state.ok_or_else(|| content(&"its columns do not fit together"))?,
            assignee: row.get(14)?,
            basis: decided_basis.map(basis).transpose()?,
        },
        state_since: row.get(16)?,
        first_seen: row.get(17)?,
        gone: row.get(18)?,
        revision: row.get(19)?,
    })
}

fn basis(bytes: &[u8]) -> Result<Basis, DbError> {
    Basis::from_bytes(bytes).ok_or_else(|| content(&"what it stands on is damaged"))
}

/// A stored number as what it stands for.
fn code<T: Code>(row: Row<'_>, column: usize) -> Result<T, DbError> {
    T::from_code(row.get(column)?).map_err(|error| content(&error))
}

fn content(reason: &dyn std::fmt::Display) -> DbError {
    DbError::Content {
        what: "a finding".to_owned(),
        reason: reason.to_string(),
    }
}

/// What is stored of findings.
pub trait Findings {
    /// Keeps findings as they are until the change ends. SQLite has one writer, and needs no more.
    fn lock_findings(&mut self, ids: &[i64]) -> Result<(), DbError>;

    /// The same for all findings of packages.
    fn lock_findings_of_packages(&mut self, packages: &[i64]) -> Result<(), DbError>;

    /// The same for all findings of advisories.
    fn lock_findings_of_advisories(&mut self, advisories: &[i64]) -> Result<(), DbError>;

    /// A finding by its number.
    fn finding(&mut self, id: i64) -> Result<Option<FindingRow>, DbError>;

    /// Findings by their numbers, in order of number.
    fn findings(&mut self, ids: &[i64]) -> Result<Vec<FindingRow>, DbError>;

    /// All findings of packages.
    fn findings_of_packages(&mut self, packages: &[i64]) -> Result<Vec<FindingRow>, DbError>;

    /// All findings of advisories.
    fn findings_of_advisories(&mut self, advisories: &[i64]) -> Result<Vec<FindingRow>, DbError>;

    /// The numbers of an advisory's findings that are in one of these lists, the first in rank first.
    fn findings_of_advisory(
        &mut self,
        advisory: i64,
        buckets: &[Bucket],
    ) -> Result<Vec<i64>, DbError>;

    /// What was decided about all findings of packages: package, advisory's name, state.
    fn states_of_packages(
        &mut self,
        packages: &[i64],
    ) -> Result<Vec<(i64, String, State)>, DbError>;

    /// What channels have of findings.
    fn channels_of_findings(&mut self, findings: &[i64]) -> Result<Vec<ChannelRow>, DbError>;

    /// Writes new findings: package, advisory, what is computed. Gives their numbers by package and
    /// advisory.
    fn add_findings(
        &mut self,
        findings: &[(i64, i64, Computed)],
        now: Timestamp,
    ) -> Result<Vec<(i64, i64, i64)>, DbError>;

    /// Writes what is computed.
    fn put_computed(&mut self, findings: &[Recomputed]) -> Result<(), DbError>;

    /// Writes what was decided, if the finding is still of that revision; whether it was.
    fn put_decided(
        &mut self,
        finding: &FindingRow,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<bool, DbError>;

    /// Writes what channels have.
    fn put_channels(&mut self, rows: &[ChannelRow]) -> Result<(), DbError>;

    /// Takes away what channels do not have any more: finding, channel.
    fn drop_channels(&mut self, rows: &[(i64, i64)]) -> Result<(), DbError>;

    /// The packages that have findings of these advisories.
    fn packages_of_advisories(&mut self, advisories: &[i64]) -> Result<Vec<i64>, DbError>;

    /// Sets the update that a package should have.
    fn put_updates(&mut self, updates: &[(i64, Option<String>)]) -> Result<(), DbError>;

    /// Of these packages, those that a maintainer has.
    fn maintained_of(&mut self, maintainer: i64, packages: &[i64]) -> Result<Vec<i64>, DbError>;

    /// The number of the package of a key.
    fn package_numbered_by(&mut self, key: &str) -> Result<Option<i64>, DbError>;

    /// How many findings there are.
    fn count_findings(&mut self) -> Result<i64, DbError>;
}

impl<S: Session + ?Sized> Findings for S {
    fn lock_findings(&mut self, ids: &[i64]) -> Result<(), DbError> {
        if self.dialect() == Dialect::Postgres {
            self.query(
                "SELECT id FROM finding WHERE id {in:1} ORDER BY id FOR UPDATE",
                &[ids.into()],
            )?;
        }
        Ok(())
    }

    fn lock_findings_of_packages(&mut self, packages: &[i64]) -> Result<(), DbError> {
        if self.dialect() == Dialect::Postgres {
            self.query(
                "SELECT id FROM finding WHERE package {in:1} ORDER BY id FOR UPDATE",
                &[packages.into()],
            )?;
        }
        Ok(())
    }

    fn lock_findings_of_advisories(&mut self, advisories: &[i64]) -> Result<(), DbError> {
        if self.dialect() == Dialect::Postgres {
            self.query(
                "SELECT id FROM finding WHERE advisory {in:1} ORDER BY id FOR UPDATE",
                &[advisories.into()],
            )?;
        }
        Ok(())
    }

    fn finding(&mut self, id: i64) -> Result<Option<FindingRow>, DbError> {
        Ok(self.findings(&[id])?.pop())
    }

    fn findings(&mut self, ids: &[i64]) -> Result<Vec<FindingRow>, DbError> {
        let sql = format!("SELECT {FINDING} FROM finding WHERE id {{in:1}} ORDER BY id");
        self.query(&sql, &[ids.into()])?.map(finding_of)
    }

    fn findings_of_packages(&mut self, packages: &[i64]) -> Result<Vec<FindingRow>, DbError> {
        let sql = format!("SELECT {FINDING} FROM finding WHERE package {{in:1}} ORDER BY id");
        self.query(&sql, &[packages.into()])?.map(finding_of)
    }

    fn findings_of_advisories(&mut self, advisories: &[i64]) -> Result<Vec<FindingRow>, DbError> {
        let sql = format!("SELECT {FINDING} FROM finding WHERE advisory {{in:1}} ORDER BY id");
        self.query(&sql, &[advisories.into()])?.map(finding_of)
    }

    fn findings_of_advisory(
        &mut self,
        advisory: i64,
        buckets: &[Bucket],
    ) -> Result<Vec<i64>, DbError> {
        let buckets: Vec<i64> = buckets.iter().map(|bucket| bucket.to_code()).collect();
        self.query(
            "SELECT id FROM finding WHERE advisory = $1 AND bucket {in:2} ORDER BY rank DESC, id",
            &[advisory.into(), buckets.into()],
        )?
        .map(|row| row.get(0))
    }

    fn states_of_packages(
        &mut self,
        packages: &[i64],
    ) -> Result<Vec<(i64, String, State)>, DbError> {
        self.query(
            "SELECT finding.package, advisory.name, finding.state, finding.justification, \
             finding.duplicate_of FROM finding JOIN advisory ON advisory.id = finding.advisory \
             WHERE finding.package {in:1} AND advisory.merged_into IS NULL",
            &[packages.into()],
        )?
        .map(|row| {
            let kind: StateKind = code(row, 2)?;
            let justification = row.get::<Option<i64>>(3)?.map(Code::from_code);
            let justification = justification.transpose().map_err(|error| content(&error))?;
            let state = State::from_parts(kind, justification, row.get(4)?);
            Ok((
                row.get(0)?,
                row.get(1)?,
                state.ok_or_else(|| content(&"its columns do not fit together"))?,
            ))
        })
    }

    fn channels_of_findings(&mut self, findings: &[i64]) -> Result<Vec<ChannelRow>, DbError> {
        self.query(
            "SELECT finding, channel, status, versions, since, fixed_since FROM finding_channel \
             WHERE finding {in:1} ORDER BY finding, channel",
            &[findings.into()],
        )?
        .map(|row| {
            Ok(ChannelRow {
                finding: row.get(0)?,
                channel: row.get(1)?,
                status: code(row, 2)?,
                versions: row.get(3)?,
                since: row.get(4)?,
                fixed_since: row.get(5)?,
            })
        })
    }

    fn add_findings(
        &mut self,
        findings: &[(i64, i64, Computed)],
        now: Timestamp,
    ) -> Result<Vec<(i64, i64, i64)>, DbError> {
        crate::subscriptions::numbered(self)?;
        let bulk = Bulk::new("finding")
            .int("package")
            .int("advisory")
            .int("status")
            .int("confidence")
            .bytes("basis")
            .bytes("evidence")
            .text("fixed_in")
            .text("why")
            .text("against")
            .int("rank")
            .int("channels")
            .int("flags")
            .int("bucket")
            .int("state")
            .int("state_since")
            .int("first_seen")
            .then("ON CONFLICT (package, advisory) DO NOTHING");
        let rows: Vec<Vec<Value<'_>>> = findings
            .iter()
            .map(|(package, advisory, computed)| {
                let mut row = vec![(*package).into(), (*advisory).into()];
                row.extend(values_of(computed));
                row.extend([
                    computed.bucket(State::Untriaged).to_code().into(),
                    StateKind::Untriaged.to_code().into(),
                    now.into(),
                    now.into(),
                ]);
                row
            })
            .collect();
        self.insert_many(&bulk, &rows)?;
        let mut packages: Vec<i64> = findings.iter().map(|(package, ..)| *package).collect();
        packages.dedup();
        self.query(
            "SELECT package, advisory, id FROM finding WHERE package {in:1}",
            &[packages.into()],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    }

    fn put_computed(&mut self, findings: &[Recomputed]) -> Result<(), DbError> {
        let bulk = Bulk::new("finding")
            .int("id")
            .key()
            .int("status")
            .int("confidence")
            .bytes("basis")
            .bytes("evidence")
            .text("fixed_in")
            .text("why")
            .text("against")
            .int("rank")
            .int("channels")
            .int("flags")
            .int("bucket")
            .int("gone")
            .int("revision");
        let rows: Vec<Vec<Value<'_>>> = findings
            .iter()
            .map(|found| {
                let mut row = vec![found.id.into()];
                row.extend(values_of(&found.computed));
                row.extend([
                    found.computed.bucket(found.state).to_code().into(),
                    found.gone.into(),
                    found.revision.into(),
                ]);
                row
            })
            .collect();
        self.update_many(&bulk, &rows)?;
        Ok(())
    }

    fn put_decided(
        &mut self,
        finding: &FindingRow,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let state = decided.state;
        let since = if state == finding.decided.state {
            finding.state_since
        } else {
            now
        };
        let changed = self.execute(
            "UPDATE finding SET state = $3, justification = $4, duplicate_of = $5, assignee = $6, \
             decided_basis = $7, state_since = $8, bucket = $9, revision = revision + 1 \
             WHERE id = $1 AND revision = $2",
            &[
                finding.id.into(),
                finding.revision.into(),
                state.kind().to_code().into(),
                state.justification().map(Code::to_code).into(),
                state.duplicate_of().into(),
                decided.assignee.into(),
                decided.basis.as_ref().map(Basis::to_bytes).into(),
                since.into(),
                finding.computed.bucket(state).to_code().into(),
            ],
        )?;
        Ok(changed == 1)
    }

    fn put_channels(&mut self, rows: &[ChannelRow]) -> Result<(), DbError> {
        let bulk = Bulk::new("finding_channel")
            .int("finding")
            .int("channel")
            .int("status")
            .text("versions")
            .int("since")
            .int("fixed_since")
            .then(
                "ON CONFLICT (finding, channel) DO UPDATE SET status = excluded.status, \
                 versions = excluded.versions, since = excluded.since, \
                 fixed_since = excluded.fixed_since",
            );
        let rows: Vec<Vec<Value<'_>>> = rows
            .iter()
            .map(|row| {
                vec![
                    row.finding.into(),
                    row.channel.into(),
                    row.status.to_code().into(),
                    (&row.versions).into(),
                    row.since.into(),
                    row.fixed_since.into(),
                ]
            })
            .collect();
        self.insert_many(&bulk, &rows)?;
        Ok(())
    }

    fn drop_channels(&mut self, rows: &[(i64, i64)]) -> Result<(), DbError> {
        let bulk = Bulk::new("finding_channel")
            .int("finding")
            .int("channel")
            .key();
        let rows: Vec<Vec<Value<'_>>> = rows
            .iter()
            .map(|(finding, channel)| vec![(*finding).into(), (*channel).into()])
            .collect();
        self.delete_many(&bulk, &rows)?;
        Ok(())
    }

    fn packages_of_advisories(&mut self, advisories: &[i64]) -> Result<Vec<i64>, DbError> {
        self.query(
            "SELECT DISTINCT package FROM finding WHERE advisory {in:1} ORDER BY package",
            &[advisories.into()],
        )?
        .map(|row| row.get(0))
    }

    fn put_updates(&mut self, updates: &[(i64, Option<String>)]) -> Result<(), DbError> {
        let bulk = Bulk::new("package").int("id").key().text("update_to");
        let rows: Vec<Vec<Value<'_>>> = updates
            .iter()
            .map(|(package, version)| vec![(*package).into(), version.as_deref().map(clean).into()])
            .collect();
        self.update_many(&bulk, &rows)?;
        Ok(())
    }

    fn maintained_of(&mut self, maintainer: i64, packages: &[i64]) -> Result<Vec<i64>, DbError> {
        self.query(
            "SELECT package FROM maintains WHERE maintainer = $1 AND package {in:2}",
            &[maintainer.into(), packages.into()],
        )?
        .map(|row| row.get(0))
    }

    fn package_numbered_by(&mut self, key: &str) -> Result<Option<i64>, DbError> {
        let rows = self.query("SELECT id FROM package WHERE key = $1", &[key.into()])?;
        rows.first().map(|row| row.get(0)).transpose()
    }

    fn count_findings(&mut self) -> Result<i64, DbError> {
        let rows = self.query("SELECT count(*) FROM finding", &[])?;
        rows.first().map_or(Ok(0), |row| row.get(0))
    }
}

fn values_of(computed: &Computed) -> [Value<'_>; 10] {
    [
        computed.status.to_code().into(),
        computed.is_sure.into(),
        computed.basis.to_bytes().into(),
        (&computed.evidence).into(),
        computed.fixed_in.as_deref().map(clean).into(),
        (&computed.why).into(),
        computed.against.as_deref().into(),
        computed.rank.into(),
        computed.channels.into(),
        computed.flags.into(),
    ]
}

/// Evidence as it is stored. Equal evidence gives equal bytes.
pub fn pack_evidence(evidence: &snowguard_triage::Evidence) -> Result<Vec<u8>, DbError> {
    let json = serde_json::to_vec(evidence).map_err(|error| content(&error))?;
    packed::pack(&json, 3).map_err(|error| content(&error))
}

/// The evidence again.
pub fn unpack_evidence(bytes: &[u8]) -> Result<snowguard_triage::Evidence, DbError> {
    const MAX: usize = 16 << 20;
    let json = packed::unpack(bytes, MAX)
        .map_err(|error| content(&error))?
        .ok_or_else(|| content(&"its evidence says that it is too large"))?;
    serde_json::from_slice(&json).map_err(|error| content(&error))
}
