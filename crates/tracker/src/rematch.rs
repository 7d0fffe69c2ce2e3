//! Re-match: what channels have against all advisories, compared with what is stored; only differences
//! are written.
//!
//! Some packages at a time: they are read, matched without a transaction, and compared and written in
//! one. So memory is bounded, nobody waits for long, and what was done stays when it is interrupted.

mod compare;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_advisory::index::{Corrupt, Index, VulnerabilityId};
use snowguard_db::advisories::Advisories as _;
use snowguard_db::evaluations::{Channel, Evaluations as _};
use snowguard_db::findings::{
    Findings as _, HeadRow, PackageRow, Stale, heads, identities_after, identities_of,
    packages_after, packages_numbered, rules_in_force, stale, stale_of, unmark_stale,
};
use snowguard_db::meta::Meta as _;
use snowguard_db::{Database, DbError};
use snowguard_inventory::{Fact, IdentityTable};
use snowguard_triage::rematch::{Changed, Found, Head, Keys, Package, Rematch, Stamp};
use snowguard_triage::{MemoryRule, State};

/// How many packages are matched at once.
const AT_ONCE: usize = 4_000;
/// Of how many packages it is looked at once whether advisories could be about them.
const LOOKED_AT: usize = 20_000;
/// Under which name it is noted how far a whole re-match has come.
const PROGRESS: &str = "rematch";

/// What is to be matched anew.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'s> {
    /// Everything. `state` names what it is matched with, such as the digest of the index and the heads of
    /// the channels: an interrupted re-match goes on where it was if that is the same, and else begins anew.
    All {
        /// What it is matched with.
        state: &'s str,
    },
    /// These packages, by number.
    Packages(&'s [i64]),
    /// The packages of which something changed since they were matched.
    Stale,
    /// All packages that these advisories, by number and name, concern or concerned.
    Advisories(&'s [(i64, String)]),
}

/// What a re-match did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rematched {
    /// Packages that were matched.
    pub packages: u64,
    /// New findings.
    pub new: u64,
    /// Findings of which something else is computed.
    pub changed: u64,
    /// Findings of which nothing is computed any more.
    pub gone: u64,
    /// Decisions that something speaks against.
    pub reopened: u64,
    /// Confirmed findings that no channel has any more.
    pub closed: u64,
    /// Advisories of the index that are not in the database yet: they come with the next re-match.
    pub unknown: u64,
}

/// Why a re-match ended. What was written stays.
#[derive(Debug, thiserror::Error)]
pub enum RematchError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The index is damaged.
    #[error(transparent)]
    Index(#[from] Corrupt),
    /// Somebody stopped it.
    #[error("interrupted; what was matched stays")]
    Interrupted,
}

/// With what, and when.
pub struct Rematcher<'r, 'a> {
    /// The database.
    pub db: &'r Database,
    /// All advisories.
    pub index: Index<'a>,
    /// The reviewed table.
    pub table: &'r IdentityTable,
    /// Now.
    pub now: Timestamp,
    /// Today: rules hold until a day.
    pub today: Date,
    /// Setting it ends the re-match as soon as may be.
    pub interrupted: &'r AtomicBool,
}

impl Rematcher<'_, '_> {
    /// Matches anew. `told` hears how far it is.
    pub fn run(
        &self,
        scope: Scope<'_>,
        told: &mut dyn FnMut(&Rematched),
    ) -> Result<Rematched, RematchError> {
        let mut done = Rematched::default();
        let common = self.common()?;
        match scope {
            Scope::Packages(packages) => {
                for ids in packages.chunks(AT_ONCE) {
                    let packages = self.db.read(|session| packages_numbered(session, ids))?;
                    self.some(&common, &packages, Because::Itself, &mut done)?;
                    told(&done);
                }
            }
            Scope::Stale => loop {
                self.check()?;
                let packages = self.db.read(|session| {
                    let ids: Vec<i64> = stale(session, AT_ONCE)?
                        .iter()
                        .map(|stale| stale.package)
                        .collect();
                    packages_numbered(session, &ids)
                })?;
                if packages.is_empty() {
                    break;
                }
                self.some(&common, &packages, Because::Itself, &mut done)?;
                told(&done);
            },
            Scope::All { state } => {
                let after = self.progress(state)?;
                self.each(after, &mut |packages, last| {
                    let progress = format!("{last} {state}");
                    self.some(&common, packages, Because::All(&progress), &mut done)?;
                    told(&done);
                    Ok(())
                })?;
                self.db.write(|session| session.forget_meta(PROGRESS))?;
            }
            Scope::Advisories(advisories) => {
                let anew = Anew::of(self.index, advisories)?;
                for ids in self.concerned(advisories)?.chunks(AT_ONCE) {
                    self.check()?;
                    let packages = self.db.read(|session| packages_numbered(session, ids))?;
                    self.some(&common, &packages, Because::Advisories(&anew), &mut done)?;
                    told(&done);
                }
            }
        }
        Ok(done)
    }

    /// What a rule would change: what is found for one package without and with it. Nothing is written.
    pub fn preview(
        &self,
        package: i64,
        rule: &MemoryRule,
    ) -> Result<snowguard_triage::rematch::Preview, RematchError> {
        let mut common = self.common()?;
        let packages = self
            .db
            .read(|session| packages_numbered(session, &[package]))?;
        let loaded = self.load(&packages, false)?;
        let without = self.matched(&common, &loaded)?;
        common.rules.push(rule.clone());
        let with = self.matched(&common, &loaded)?;
        let outcomes = |found: Vec<Found>| {
            found
                .into_iter()
                .flat_map(|found| found.outcomes)
                .collect::<Vec<_>>()
        };
        Ok(snowguard_triage::rematch::difference(
            &outcomes(without),
            &outcomes(with),
        ))
    }

    /// What a package is taken not to be. Nothing is written.
    pub fn strangers(
        &self,
        package: i64,
        limit: usize,
    ) -> Result<Vec<snowguard_triage::rematch::Stranger>, RematchError> {
        let common = self.common()?;
        let packages = self
            .db
            .read(|session| packages_numbered(session, &[package]))?;
        let loaded = self.load(&packages, false)?;
        let Some(package) = loaded.packages.first() else {
            return Ok(Vec::new());
        };
        self.with(&common, &loaded, None, |rematch| {
            Ok(rematch.strangers(package, limit)?)
        })
    }

    /// How far an interrupted re-match with the same has come.
    fn progress(&self, state: &str) -> Result<i64, RematchError> {
        let noted = self.db.read(|session| session.meta(PROGRESS))?;
        let after = noted.and_then(|noted| {
            let (after, with) = noted.split_once(' ')?;
            (with == state).then(|| after.parse().ok())?
        });
        Ok(after.unwrap_or(0))
    }

    /// The packages that these advisories concern or concerned, in order of number.
    fn concerned(&self, advisories: &[(i64, String)]) -> Result<Vec<i64>, RematchError> {
        let names = advisories.iter().map(|(_, name)| name.as_str());
        let keys = Keys::of(self.index, names)?;
        let stamp = Stamp::of(self.table);
        let ids: Vec<i64> = advisories.iter().map(|(id, _)| *id).collect();
        let mut concerned = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let had = self
                .db
                .read(|session| session.packages_of_advisories(ids))?;
            concerned.extend(had);
        }
        let mut after = 0;
        loop {
            self.check()?;
            let packages = self
                .db
                .read(|session| identities_after(session, after, LOOKED_AT))?;
            let Some((last, _)) = packages.last() else {
                break;
            };
            after = *last;
            let could_be = packages
                .iter()
                .filter(|(_, kept)| keys.concern(stamp, kept.as_deref()));
            concerned.extend(could_be.map(|(package, _)| *package));
        }
        concerned.sort_unstable();
        concerned.dedup();
        Ok(concerned)
    }

    fn check(&self) -> Result<(), RematchError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(RematchError::Interrupted);
        }
        Ok(())
    }

    fn each(&self, mut after: i64, work: &mut Work<'_>) -> Result<(), RematchError> {
        loop {
            self.check()?;
            let packages = self
                .db
                .read(|session| packages_after(session, after, AT_ONCE))?;
            let Some(last) = packages.last() else {
                return Ok(());
            };
            after = last.id;
            work(&packages, after)?;
        }
    }

    fn common(&self) -> Result<Common, RematchError> {
        let (channels, rules) = self.db.read(|session| {
            let channels = session.channels()?;
            Ok((channels, rules_in_force(session, self.today)?))
        })?;
        let sources = self.index.sources()?;
        Ok(Common {
            channels: channels
                .into_iter()
                .filter(|channel| channel.is_followed)
                .map(|channel| (channel.id, channel))
                .collect(),
            rules: rules.into_iter().map(|row| row.rule).collect(),
            sources: sources
                .iter()
                .map(|source| source.name.to_owned())
                .collect(),
        })
    }

    /// Matches some packages, and writes what differs.
    fn some(
        &self,
        common: &Common,
        packages: &[PackageRow],
        because: Because<'_>,
        done: &mut Rematched,
    ) -> Result<(), RematchError> {
        let anew = match because {
            Because::Advisories(anew) => Some(anew),
            Because::Itself | Because::All(_) => None,
        };
        let loaded = self.load(packages, anew.is_some())?;
        if loaded.packages.is_empty() {
            return Ok(());
        }
        let found = self.computed(common, &loaded, anew)?;
        done.packages += loaded.packages.len() as u64;
        let names: Vec<String> = {
            let names = found.iter().flat_map(|found| &found.outcomes);
            let names: BTreeSet<&str> = names.map(|outcome| &*outcome.advisory).collect();
            names.into_iter().map(str::to_owned).collect()
        };
        let advisories = self
            .db
            .read(|session| session.advisories_of_names(&names))?;
        done.unknown += names
            .iter()
            .filter(|name| !advisories.contains_key(*name))
            .count() as u64;
        let matched = write::Matched {
            common,
            loaded: &loaded,
            found: &found,
            advisories: &advisories,
            anew: anew.map_or(&[], |anew| &anew.ids),
            now: self.now,
        };
        let written = self.db.write(|session| {
            let written = matched.write(session)?;
            unmark_stale(session, &loaded.stale)?;
            if let Because::All(progress) = because {
                session.set_meta(PROGRESS, progress)?;
            }
            Ok(written)
        })?;
        done.new += written.new;
        done.changed += written.changed;
        done.gone += written.gone;
        done.reopened += written.reopened;
        done.closed += written.closed;
        Ok(())
    }

    /// `with_kept` is whether what their last match was done by is of use.
    fn load(&self, packages: &[PackageRow], with_kept: bool) -> Result<Loaded, RematchError> {
        let ids: Vec<i64> = packages.iter().map(|package| package.id).collect();
        let (rows, facts, states, stale, mut kept) = self.db.read(|session| {
            let stale = stale_of(session, &ids)?;
            let kept = if with_kept {
                identities_of(session, &ids)?
            } else {
                HashMap::new()
            };
            let rows = heads(session, &ids)?;
            let mut numbers: Vec<i64> = rows.iter().map(|row| row.fact).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let facts = session.facts(&numbers)?;
            let states = session.states_of_packages(&ids)?;
            Ok((rows, facts, states, stale, kept))
        })?;
        // Of what changed itself, all is to be looked at.
        for stale in &stale {
            kept.remove(&stale.package);
        }
        let mut since: HashMap<(i64, i64, String), i64> = HashMap::new();
        let mut by_package: FxHashMap<i64, Vec<Head>> = FxHashMap::default();
        for HeadRow {
            package,
            channel,
            attr,
            name,
            version,
            fact,
            since: from,
        } in rows
        {
            since
                .entry((package, channel, version.clone()))
                .and_modify(|known| *known = (*known).max(from))
                .or_insert(from);
            by_package.entry(package).or_default().push(Head {
                channel,
                attr: attr.into(),
                name: name.into(),
                version: version.into(),
                fact,
            });
        }
        let mut stored: FxHashMap<i64, FxHashMap<String, State>> = FxHashMap::default();
        for (package, advisory, state) in states {
            stored.entry(package).or_default().insert(advisory, state);
        }
        Ok(Loaded {
            packages: packages
                .iter()
                .map(|row| Package {
                    id: row.id,
                    key: row.key.clone(),
                    dependents: row.dependents,
                    heads: by_package.remove(&row.id).unwrap_or_default(),
                })
                .collect(),
            rows: packages.iter().map(|row| (row.id, row.clone())).collect(),
            facts,
            stored,
            since,
            stale,
            kept,
        })
    }

    fn matched(&self, common: &Common, loaded: &Loaded) -> Result<Vec<Found>, RematchError> {
        self.with(common, loaded, None, |rematch| {
            Ok(rematch.run(&loaded.packages)?)
        })
    }

    /// What is to be stored of all that is found: made on all cores, and before anybody must wait for the database.
    fn computed(
        &self,
        common: &Common,
        loaded: &Loaded,
        anew: Option<&Anew>,
    ) -> Result<Vec<write::OfPackage>, RematchError> {
        let changed = anew.map(|anew| Changed {
            vulnerabilities: &anew.vulnerabilities,
            kept: &loaded.kept,
        });
        self.with(common, loaded, changed, |rematch| {
            rematch.run_each(&loaded.packages, |package, found| {
                Ok(write::OfPackage::of(common, loaded, package, found)?)
            })
        })
    }

    fn with<T>(
        &self,
        common: &Common,
        loaded: &Loaded,
        changed: Option<Changed<'_>>,
        work: impl FnOnce(&Rematch<'_, '_>) -> T,
    ) -> T {
        let rematch = Rematch {
            index: self.index,
            sources: common.sources.iter().map(String::as_str).collect(),
            table: self.table,
            rules: &common.rules,
            today: self.today,
            facts: &|number| loaded.facts.get(&number),
            stored: &|package, advisory| loaded.stored.get(&package)?.get(advisory).copied(),
            changed,
        };
        work(&rematch)
    }
}

/// What is done with some packages, of which the last has this number.
type Work<'w> = dyn FnMut(&[PackageRow], i64) -> Result<(), RematchError> + 'w;

/// What is the same for all packages.
struct Common {
    channels: HashMap<i64, Channel>,
    rules: Vec<MemoryRule>,
    sources: Vec<String>,
}

/// Some packages with what belongs to them.
struct Loaded {
    packages: Vec<Package>,
    rows: HashMap<i64, PackageRow>,
    facts: FxHashMap<i64, Fact>,
    stored: FxHashMap<i64, FxHashMap<String, State>>,
    /// Since which evaluation a package has a version in a channel.
    since: HashMap<(i64, i64, String), i64>,
    /// Those of which something had changed when this was read.
    stale: Vec<Stale>,
    /// By what the others were matched last, where that was asked for.
    kept: HashMap<i64, Vec<u8>>,
}

/// Why packages are matched.
#[derive(Clone, Copy)]
enum Because<'b> {
    /// Something of them may have changed.
    Itself,
    /// All are; this is how far it is then.
    All(&'b str),
    /// Advisories changed that could be about them.
    Advisories(&'b Anew),
}

/// Advisories that changed.
struct Anew {
    ids: Vec<i64>,
    vulnerabilities: FxHashSet<VulnerabilityId>,
}

impl Anew {
    fn of(index: Index<'_>, advisories: &[(i64, String)]) -> Result<Self, Corrupt> {
        let found = advisories.iter().map(|(_, name)| index.find(name));
        Ok(Self {
            ids: advisories.iter().map(|(id, _)| *id).collect(),
            vulnerabilities: found
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?,
        })
    }
}
