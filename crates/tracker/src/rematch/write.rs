//! The differences of some packages, in one transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use snowguard_db::advisories::clean;
use snowguard_db::findings::{
    ChannelRow, Computed, FindingRow, Findings as _, NewEvent, Recomputed, add_events,
    identities_of, put_identities, refresh, unpack_evidence,
};
use snowguard_db::{DbError, Session};
use snowguard_triage::rematch::{Found, InChannel, Package};
use snowguard_triage::{EventKind, Evidence};

use super::{Common, Loaded, Rematched, compare};

/// Packages with what was found for them.
pub(super) struct Matched<'m> {
    pub(super) common: &'m Common,
    pub(super) loaded: &'m Loaded,
    pub(super) found: &'m [OfPackage],
    pub(super) advisories: &'m HashMap<String, i64>,
    /// The advisories that changed, where not all were looked at.
    pub(super) anew: &'m [i64],
    pub(super) now: Timestamp,
}

/// What is to be stored of what was found for a package. Its evidence is packed already: one package may have
/// thousands of findings, and many kilobytes of evidence for each.
pub(super) struct OfPackage {
    pub(super) outcomes: Vec<OfAdvisory>,
    update_to: Option<String>,
    identities: Vec<u8>,
    is_whole: bool,
}

/// What is to be stored of a package and an advisory.
pub(super) struct OfAdvisory {
    pub(super) advisory: Box<str>,
    channels: Box<[InChannel]>,
    computed: Computed,
}

impl OfPackage {
    pub(super) fn of(
        common: &Common,
        loaded: &Loaded,
        package: &Package,
        found: Found,
    ) -> Result<Self, DbError> {
        let name = name_of(loaded, package);
        let mut outcomes = Vec::with_capacity(found.outcomes.len());
        for outcome in found.outcomes {
            outcomes.push(OfAdvisory {
                computed: compare::computed(&outcome, name, &common.channels)?,
                advisory: outcome.advisory.into(),
                channels: outcome.channels.into(),
            });
        }
        let update_to = found.action.and_then(|action| action.update_to);
        Ok(Self {
            outcomes,
            update_to: update_to.as_deref().map(clean),
            identities: found.identities,
            is_whole: found.is_whole,
        })
    }
}

fn name_of<'l>(loaded: &'l Loaded, package: &'l Package) -> &'l str {
    let row = loaded.rows.get(&package.id);
    row.map_or(package.key.as_str(), |row| row.name.as_str())
}

/// What is to be written.
#[derive(Default)]
struct Writes {
    new: Vec<(i64, i64, Computed)>,
    recomputed: Vec<Recomputed>,
    channels: Vec<ChannelRow>,
    dropped: Vec<(i64, i64)>,
    events: Vec<NewEvent>,
    updates: Vec<(i64, Option<String>)>,
    advisories: BTreeSet<i64>,
    packages: BTreeSet<i64>,
    done: Rematched,
}

impl Matched<'_> {
    pub(super) fn write(&self, session: &mut dyn Session) -> Result<Rematched, DbError> {
        let ids: Vec<i64> = self
            .loaded
            .packages
            .iter()
            .map(|package| package.id)
            .collect();
        let mut stored: HashMap<(i64, i64), FindingRow> = self
            .stored(session)?
            .into_iter()
            .map(|row| ((row.package, row.advisory), row))
            .collect();
        let numbers: Vec<i64> = stored.values().map(|row| row.id).collect();
        let mut channels: HashMap<i64, Vec<ChannelRow>> = HashMap::new();
        for row in session.channels_of_findings(&numbers)? {
            channels.entry(row.finding).or_default().push(row);
        }
        let mut writes = Writes::default();
        let packages = self.loaded.packages.iter();
        for (package, found) in packages.zip(self.found) {
            let row = self.loaded.rows.get(&package.id);
            if row.is_some_and(|row| row.update_to != found.update_to) {
                writes.updates.push((package.id, found.update_to.clone()));
            }
            for outcome in &found.outcomes {
                let Some(&advisory) = self.advisories.get(&*outcome.advisory) else {
                    continue;
                };
                match stored.remove(&(package.id, advisory)) {
                    Some(row) => {
                        self.compare(
                            session,
                            &row,
                            Some(&outcome.channels),
                            &outcome.computed,
                            package,
                            &channels,
                            &mut writes,
                        )?;
                    }
                    None => {
                        writes.advisories.insert(advisory);
                        writes.packages.insert(package.id);
                        let computed = outcome.computed.clone();
                        writes.new.push((package.id, advisory, computed));
                    }
                }
            }
        }
        let by_id: HashMap<i64, &Package> = self
            .loaded
            .packages
            .iter()
            .map(|package| (package.id, package))
            .collect();
        for row in stored.into_values() {
            if let Some(package) = by_id.get(&row.package) {
                let nothing = compare::nothing()?;
                self.compare(
                    session,
                    &row,
                    None,
                    &nothing,
                    package,
                    &channels,
                    &mut writes,
                )?;
            }
        }
        self.identify(session, &ids)?;
        self.put(session, writes)
    }

    /// What is stored of all that was looked at, locked.
    fn stored(&self, session: &mut dyn Session) -> Result<Vec<FindingRow>, DbError> {
        let pairs = || self.loaded.packages.iter().zip(self.found);
        let of = |is_whole: bool| -> Vec<i64> {
            let those = pairs().filter(|(_, found)| found.is_whole == is_whole);
            those.map(|(package, _)| package.id).collect()
        };
        let (whole, others) = (of(true), of(false));
        session.lock_findings_of_packages(&whole)?;
        let mut rows = session.findings_of_packages(&whole)?;
        if !others.is_empty() {
            // What they are called now may be another's number than what changed.
            let mut advisories: BTreeSet<i64> = self.anew.iter().copied().collect();
            for (_, found) in pairs().filter(|(_, found)| !found.is_whole) {
                let names = found.outcomes.iter().map(|outcome| &outcome.advisory);
                advisories.extend(names.filter_map(|name| self.advisories.get(&**name)));
            }
            let advisories: Vec<i64> = advisories.into_iter().collect();
            session.lock_findings_of_advisories(&advisories)?;
            let others: HashSet<i64> = others.into_iter().collect();
            let found = session.findings_of_advisories(&advisories)?;
            rows.extend(
                found
                    .into_iter()
                    .filter(|row| others.contains(&row.package)),
            );
        }
        Ok(rows)
    }

    /// Keeps by what packages were looked for, where that is another than before.
    fn identify(&self, session: &mut dyn Session, ids: &[i64]) -> Result<(), DbError> {
        let kept = identities_of(session, ids)?;
        let pairs = self.loaded.packages.iter().zip(self.found);
        let others: Vec<(i64, &[u8])> = pairs
            .filter(|(package, found)| kept.get(&package.id) != Some(&found.identities))
            .map(|(package, found)| (package.id, found.identities.as_slice()))
            .collect();
        put_identities(session, &others)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the only caller")]
    fn compare(
        &self,
        session: &mut dyn Session,
        row: &FindingRow,
        found: Option<&[InChannel]>,
        computed: &Computed,
        package: &Package,
        channels: &HashMap<i64, Vec<ChannelRow>>,
        writes: &mut Writes,
    ) -> Result<(), DbError> {
        let with_fix = compare::known_fix(row, computed);
        let computed = with_fix.as_ref().unwrap_or(computed);
        let own = channels.get(&row.id).map_or(&[][..], Vec::as_slice);
        let (written, dropped) = compare::channels(
            row.id,
            found.unwrap_or_default(),
            own,
            &self.common.channels,
            |channel, version| self.since(package.id, channel, version),
        );
        writes.channels.extend(written);
        writes.dropped.extend(dropped);
        let gone = compare::gone(row, found.is_some(), self.now);
        // Nothing speaks against what nobody decided.
        let evidence = if row.decided.state.is_undecided() {
            Evidence::default()
        } else {
            unpack_evidence(&computed.evidence)?
        };
        let is_present = !package.heads.is_empty();
        let done = compare::decided(row, computed, &evidence, found.is_some(), is_present);
        if done.is_none() && !compare::differs(row, computed, gone) {
            return Ok(());
        }
        writes.advisories.insert(row.advisory);
        writes.packages.insert(row.package);
        writes.done.changed += 1;
        writes.done.gone += u64::from(gone.is_some() && row.gone.is_none());
        let mut revision = row.revision + i64::from(compare::is_another(row, computed));
        let mut state = row.decided.state;
        if let Some(done) = done {
            if done.after != row.decided {
                session.put_decided(row, &done.after, self.now)?;
                revision = row.revision + 1;
            }
            state = done.after.state;
            writes.done.reopened += u64::from(done.kind == EventKind::Reopened);
            writes.done.closed += u64::from(done.kind == EventKind::Closed);
            writes.events.push(NewEvent {
                actor: None,
                kind: done.kind,
                finding: Some(row.id),
                advisory: Some(row.advisory),
                package: Some(row.package),
                change: Some((row.decided.clone(), done.after)),
                reason: done.reason,
                undoes: None,
            });
        }
        writes.recomputed.push(Recomputed {
            id: row.id,
            state,
            computed: computed.clone(),
            gone,
            revision,
        });
        Ok(())
    }

    fn put(&self, session: &mut dyn Session, mut writes: Writes) -> Result<Rematched, DbError> {
        if !writes.new.is_empty() {
            writes.done.new = writes.new.len() as u64;
            let numbers: HashMap<(i64, i64), i64> = session
                .add_findings(&writes.new, self.now)?
                .into_iter()
                .map(|(package, advisory, id)| ((package, advisory), id))
                .collect();
            let new: HashSet<(i64, i64)> = writes
                .new
                .iter()
                .map(|(package, advisory, _)| (*package, *advisory))
                .collect();
            for (package, found) in self.loaded.packages.iter().zip(self.found) {
                for outcome in &found.outcomes {
                    let key = self
                        .advisories
                        .get(&*outcome.advisory)
                        .map(|advisory| (package.id, *advisory))
                        .filter(|key| new.contains(key));
                    let Some(number) = key.and_then(|key| numbers.get(&key)) else {
                        continue;
                    };
                    let (rows, _) = compare::channels(
                        *number,
                        &outcome.channels,
                        &[],
                        &self.common.channels,
                        |channel, version| self.since(package.id, channel, version),
                    );
                    writes.channels.extend(rows);
                }
            }
        }
        session.put_computed(&writes.recomputed)?;
        session.drop_channels(&writes.dropped)?;
        session.put_channels(&writes.channels)?;
        // Each is an act of its own: what the worker does is not undone as a whole.
        for event in &writes.events {
            add_events(session, std::slice::from_ref(event), self.now)?;
        }
        session.put_updates(&writes.updates)?;
        refresh(session, &writes.advisories, &writes.packages)?;
        Ok(writes.done)
    }

    fn since(&self, package: i64, channel: i64, version: &str) -> Option<i64> {
        let key = (package, channel, version.to_owned());
        self.loaded.since.get(&key).copied()
    }
}
