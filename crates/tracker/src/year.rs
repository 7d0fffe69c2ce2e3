//! Makes up a year of evaluations out of one package set, for measuring and for tests: the same from the
//! same seed.
//!
//! Each day some packages get another version, and they and a few that depend on them are built anew; on
//! some days of a month everything is. Each month some attributes come and go. Channels go on from the same
//! set, each in its own way, and meet the same versions, as channels do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use snowguard_db::evaluations::paths::{DIGEST, pack_drv, pack_outputs, set_digests};
use snowguard_db::evaluations::{NewAttribute, NewFact};
use snowguard_inventory::Fact;

/// What happens in a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// How many attributes the set is brought to at first, by giving more of them out of those that are
    /// there, under other names.
    pub attributes: usize,
    /// How many get another version each day.
    pub changes: usize,
    /// How many others are built anew for each of these.
    pub dependents: usize,
    /// On how many days of a month of 30 days everything is built anew.
    pub rebuilds: u32,
    /// Of how many attributes one comes and one goes in a month.
    pub churn: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            attributes: 40_000,
            changes: 200,
            dependents: 4,
            rebuilds: 4,
            churn: 100,
        }
    }
}

/// A channel on its way through the year.
#[derive(Debug, Clone)]
pub struct Year {
    plan: Plan,
    channel: u64,
    day: u32,
    chance: Chance,
    set: BTreeMap<Box<str>, Row>,
    /// What attributes are made of that come.
    templates: Vec<NewAttribute>,
    made: usize,
}

/// What is new on a day.
#[derive(Debug, Clone)]
pub struct Day {
    /// A revision that no other day of any channel has.
    pub revision: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether everything was built anew.
    pub is_rebuild: bool,
    /// The whole set.
    pub attributes: Vec<NewAttribute>,
}

#[derive(Debug, Clone)]
struct Row {
    is: NewAttribute,
    /// How often its version has changed, and it was built.
    versions: u32,
    builds: u64,
}

impl Year {
    /// The year of a channel, told apart by its number, beginning with a set.
    pub fn new(plan: Plan, channel: u64, set: &[NewAttribute]) -> Self {
        let mut year = Self {
            plan,
            channel,
            day: 0,
            chance: Chance(
                plan.seed
                    .wrapping_mul(0x9E37_79B9)
                    .wrapping_add(channel + 1),
            ),
            set: BTreeMap::new(),
            templates: set.iter().take(plan.attributes).cloned().collect(),
            made: 0,
        };
        for copy in 0_usize.. {
            if year.set.len() >= plan.attributes || set.is_empty() {
                break;
            }
            for template in set.iter().take(plan.attributes - year.set.len()) {
                let suffix = match copy {
                    0 => String::new(),
                    copy => format!("_{}", copy + 1),
                };
                year.add(template, &suffix);
            }
        }
        year
    }

    /// The next day; the first is the set as it is.
    pub fn next_day(&mut self) -> Day {
        let is_rebuild = self.day > 0 && self.is_rebuild();
        if self.day > 0 {
            self.pass(is_rebuild);
        }
        let day = Day {
            revision: format!(
                "{:08x}{:016x}{:016x}",
                self.channel, self.day, self.plan.seed
            ),
            made_at: BEGIN
                + SignedDuration::from_hours(24) * i32::try_from(self.day).unwrap_or(i32::MAX),
            is_rebuild,
            attributes: self.set.values().map(|row| row.is.clone()).collect(),
        };
        self.day += 1;
        day
    }

    /// Whether everything is built anew on this day: as often as planned, and evenly over the month.
    fn is_rebuild(&self) -> bool {
        let rebuilds = self.plan.rebuilds;
        let of = |day: u32| day * rebuilds / 30;
        // Channels do not do it on the same day.
        let day = self.day % 30 + u32::try_from(self.channel % 7).unwrap_or(0);
        of(day + 1) > of(day)
    }

    fn pass(&mut self, is_rebuild: bool) {
        let leaving = self.of_month(self.set.len());
        for _ in 0..leaving {
            if let Some(path) = self.any() {
                self.set.remove(&path);
            }
        }
        for _ in 0..leaving {
            let at = self.chance.below(self.templates.len());
            if let Some(template) = self.templates.get(at).cloned() {
                self.made += 1;
                // Another channel gets the same attributes, in another order.
                self.add(&template, &format!("-new-{}", self.made));
            }
        }
        for _ in 0..self.plan.changes {
            if let Some(row) = self.any().and_then(|path| self.set.get_mut(&path)) {
                row.change();
            }
            for _ in 0..self.plan.dependents {
                if let Some(row) = self.any().and_then(|path| self.set.get_mut(&path)) {
                    row.build(self.channel);
                }
            }
        }
        if is_rebuild {
            for row in self.set.values_mut() {
                row.build(self.channel);
            }
        }
    }

    /// How many attributes come and go on this day.
    fn of_month(&self, attributes: usize) -> usize {
        let month = attributes / self.plan.churn.max(1);
        let of = |day: usize| day * month / 30;
        let day = usize::try_from(self.day % 30).unwrap_or(0);
        of(day + 1) - of(day)
    }

    /// The path of any attribute.
    fn any(&mut self) -> Option<Box<str>> {
        // Names are as good as chance where a place in a tree cannot be asked for.
        let template = self
            .templates
            .get(self.chance.below(self.templates.len()))?;
        let from = self.set.range(template.path.clone()..).next();
        let (path, _) = from.or_else(|| self.set.iter().next())?;
        Some(path.clone())
    }

    fn add(&mut self, template: &NewAttribute, suffix: &str) {
        let mut is = template.clone();
        if !suffix.is_empty() {
            let with = |text: &str| -> Box<str> { format!("{text}{suffix}").into() };
            is.path = with(&is.path);
            is.package.key = with(&is.package.key);
            is.package.name = with(&is.package.name);
        }
        let mut row = Row {
            is,
            versions: 0,
            builds: 0,
        };
        row.name();
        if suffix.is_empty() && template.drv.is_some() {
            row.is.drv.clone_from(&template.drv);
            row.is.outputs.clone_from(&template.outputs);
        }
        self.set.insert(row.is.path.clone(), row);
    }
}

/// The first day.
const BEGIN: Timestamp = Timestamp::constant(1_760_000_000, 0);

impl Row {
    /// Gives it the next version, with all that follows from that.
    fn change(&mut self) {
        self.versions += 1;
        let version = next_version(&self.is.version);
        let name = match self.is.name.strip_suffix(&*self.is.version) {
            Some(before) if !self.is.version.is_empty() => format!("{before}{version}"),
            _ => format!("{}-{version}", self.is.package.name),
        };
        self.is.version = version.into();
        self.is.name = name.into();
        self.say();
        self.name();
    }

    /// Another version mostly means other words about it: other lines, other sources.
    fn say(&mut self) {
        let Ok(mut fact) = Fact::decode(&self.is.fact.json) else {
            return;
        };
        let position = fact.position.as_deref().unwrap_or("pkgs/default.nix:1");
        let (file, _) = position.rsplit_once(':').unwrap_or((position, ""));
        fact.position = Some(format!("{file}:{}", 10 + self.versions).into());
        for source in fact.build.iter_mut().flat_map(|build| &mut build.sources) {
            for url in &mut source.urls {
                *url = format!("{url}?{}", self.versions).into();
            }
        }
        let json = fact.encode();
        self.is.fact = NewFact {
            digest: Fact::digest(&json),
            json: json.into(),
        };
    }

    /// Packs the paths under the present name, and builds it.
    fn name(&mut self) {
        const NO_HASH: &str = "/nix/store/00000000000000000000000000000000";
        let name = &self.is.name;
        let outputs = self.is.outputs.as_deref();
        let outputs = outputs
            .and_then(|packed| snowguard_db::evaluations::paths::unpack_outputs(name, packed));
        let names = match outputs {
            Some(outputs) => outputs.into_iter().map(|(output, _)| output).collect(),
            None => vec!["out".into()],
        };
        let outputs: Vec<(Box<str>, Option<Box<str>>)> = names
            .into_iter()
            .map(|output: Box<str>| {
                let path = match &*output {
                    "out" => format!("{NO_HASH}-{name}"),
                    other => format!("{NO_HASH}-{name}-{other}"),
                };
                (output, Some(path.into()))
            })
            .collect();
        self.is.drv = pack_drv(name, &format!("{NO_HASH}-{name}.drv")).map(Into::into);
        self.is.outputs = pack_outputs(name, &outputs).map(Into::into);
        self.build(0);
    }

    /// Gives all its paths other hashes.
    fn build(&mut self, channel: u64) {
        self.builds += 1;
        let seed = Fact::digest(self.is.path.as_bytes());
        let seed = seed.iter().fold(channel, |sum, byte| {
            sum.wrapping_mul(257).wrapping_add((*byte).into())
        });
        let mut chance = Chance(seed.wrapping_add(self.builds.wrapping_mul(0xD134_2543_DE82_EF95)));
        let mut next = || chance.digest();
        if let Some(drv) = self.is.drv.as_deref_mut() {
            set_digests(drv, true, &mut next);
        }
        if let Some(outputs) = self.is.outputs.as_deref_mut() {
            set_digests(outputs, false, &mut next);
        }
    }
}

/// The version with its last number raised, or with one at its end.
fn next_version(version: &str) -> String {
    let head = version.trim_end_matches(|c: char| c.is_ascii_digit());
    match version[head.len()..].parse::<u32>() {
        Ok(number) if number < u32::MAX => format!("{head}{}", number + 1),
        _ if version.is_empty() => "1".to_owned(),
        _ => format!("{version}.1"),
    }
}

/// Numbers that look like chance: `SplitMix64`, by Sebastiano Vigna, in the public domain.
#[derive(Debug, Clone)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    fn digest(&mut self) -> [u8; DIGEST] {
        let mut digest = [0; DIGEST];
        for chunk in digest.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use snowguard_db::evaluations::NewPackage;

    use super::*;

    fn set(count: usize) -> Vec<NewAttribute> {
        let one = |number: usize| {
            let json = Fact::default().encode();
            NewAttribute {
                path: format!("p{number}").into(),
                package: NewPackage {
                    key: format!("p{number}").into(),
                    name: format!("p{number}").into(),
                    language: None,
                },
                name: format!("p{number}-1.9").into(),
                version: "1.9".into(),
                fact: NewFact {
                    digest: Fact::digest(&json),
                    json: json.into(),
                },
                drv: None,
                outputs: None,
            }
        };
        (0..count).map(one).collect()
    }

    fn plan() -> Plan {
        Plan {
            attributes: 1_000,
            changes: 10,
            dependents: 2,
            ..Plan::default()
        }
    }

    #[test]
    fn a_month_is_as_planned() {
        let mut year = Year::new(plan(), 1, &set(300));
        let first = year.next_day();
        assert_eq!(first.attributes.len(), 1_000);
        let mut before = first.attributes;
        let (mut came, mut rebuilds, mut revisions) = (0, 0, BTreeSet::new());
        for _ in 0..30 {
            let day = year.next_day();
            assert_eq!(day.attributes.len(), 1_000);
            assert!(revisions.insert(day.revision));
            let old: BTreeMap<_, _> = before.iter().map(|old| (&old.path, old)).collect();
            let both = || {
                day.attributes
                    .iter()
                    .filter_map(|new| Some((new, old.get(&new.path)?)))
            };
            came += day.attributes.len() - both().count();
            let changed = both()
                .filter(|(new, old)| new.version != old.version)
                .count();
            // Chance may meet one twice.
            assert!((5..=10).contains(&changed), "{changed}");
            let rebuilt = both()
                .filter(|(new, old)| new.drv != old.drv && new.outputs != old.outputs)
                .count();
            rebuilds += usize::from(day.is_rebuild);
            if day.is_rebuild {
                assert_eq!(rebuilt, both().count());
            } else {
                assert!((changed..=30).contains(&rebuilt), "{rebuilt}");
            }
            before = day.attributes;
        }
        assert_eq!((came, rebuilds), (10, 4));
    }

    #[test]
    fn the_same_seed_makes_the_same_year() {
        let days = |seed, channel| {
            let mut year = Year::new(Plan { seed, ..plan() }, channel, &set(100));
            (0..5)
                .map(|_| year.next_day().attributes)
                .collect::<Vec<_>>()
        };
        assert_eq!(days(1, 0), days(1, 0));
        assert_ne!(days(1, 0), days(2, 0));
        assert_ne!(days(1, 0), days(1, 1));
    }

    #[test]
    fn versions_go_up() {
        let told = ["1.9", "", "1.1.1g", "2020-07-01", "4294967295"].map(next_version);
        assert_eq!(told, ["1.10", "1", "1.1.1g.1", "2020-07-2", "4294967295.1"]);
    }
}
