//! All fixed-output derivations of a subject, each with its place among the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};
use snowguard_closure::NodeId;
use snowguard_fod::fod::MOST_URLS;
use snowguard_fod::place::Place;
use snowguard_fod::rule::{Level, Rule};
use snowguard_fod::shown::shown;
use snowguard_fod::{Fod, Mirrors, Scheme, rule};
use snowguard_inventory::{Gap, Nature, Subject};

use crate::gaps;
use crate::words::counted;

/// How many dependents and attributes of one are named.
const NAMED: usize = 8;
/// How far is looked for an attribute: a source is mostly used by a package itself, a patch of a library
/// of a tool may be far from any.
const LOOKED: usize = 2_000;

/// The fixed-output derivations of something.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// `snowguard-fod-list/1`.
    pub schema: &'static str,
    /// What was looked at.
    pub subject: String,
    /// How many derivations there are, fixed-output or not.
    pub derivations: usize,
    /// How many of these are fixed-output.
    pub fixed_output: usize,
    /// The fixed-output ones, or those of them that were asked for, by name and output.
    pub fods: Vec<Row>,
    /// What could not be known.
    pub gaps: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The name of its output.
    pub name: String,
    /// The derivation.
    pub drv: String,
    /// The store path of its output.
    pub output: String,
    /// With what it fetches: `builtin`, `curl`, `git`, `vcs`, `vendor`, `nothing`, `manual`, `unknown`.
    pub class: &'static str,
    /// The tool; empty where there is none.
    pub tool: &'static str,
    /// What told so.
    pub because: String,
    /// The hash algorithm.
    pub algo: &'static str,
    /// What is hashed: `flat`, `nar`, `git`, `text`.
    pub mode: &'static str,
    /// What is promised, as SRI.
    pub hash: String,
    /// Where it is fetched from, mirrors resolved, in the order in which they are tried; without credentials.
    pub urls: Vec<String>,
    /// How many more it names, of which nothing is known.
    #[serde(skip_serializing_if = "is_none")]
    pub more_urls: usize,
    /// The same as they are, to be asked and not to be shown.
    #[serde(skip)]
    pub addresses: Vec<String>,
    /// Mirrors as they are written, where what they stand for is known; else they stand in `urls`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// The host of the first; the name of a mirror that is not known as `mirror:NAME`.
    pub host: String,
    /// Its scheme.
    pub scheme: &'static str,
    /// What stays the same where it is fetched again.
    pub reference: &'static str,
    /// The revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// What it is fetched for, where it names no URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What is done with what came.
    pub after: &'static str,
    /// Git: `submodules`, `lfs`, `leave-dot-git`, `deep`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checkout: Vec<&'static str>,
    /// Whether it can be led through a proxy.
    pub proxy: &'static str,
    /// Whether it checks whom it speaks to.
    pub tls: &'static str,
    /// What speaks against it.
    pub findings: Vec<Finding>,
    /// How many derivations need it themselves.
    pub direct_dependents: usize,
    /// How many need it at all.
    pub dependents: usize,
    /// The names of some that need it themselves.
    pub needed_by: Vec<String>,
    /// The nearest attributes of a package set that need it, or are it.
    pub attributes: Vec<String>,
    /// Where the first of these is defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

/// What speaks against one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    #[serde(serialize_with = "as_rule")]
    pub rule: Rule,
    /// How much it says of this one.
    #[serde(serialize_with = "as_level")]
    pub level: Level,
    /// Which of the URLs it is about, from 0; none if it is about all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
}

impl Row {
    /// The URL to be shown where there is room for one: that which a rule speaks against, else the first.
    pub(super) fn telling_url(&self) -> Option<&str> {
        let at = self.findings.iter().find_map(|finding| finding.at);
        self.urls.get(at.unwrap_or(0)).map(String::as_str)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_rule<S: Serializer>(rule: &Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.as_str())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_level<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.as_str())
}

/// Lists the fixed-output derivations of a subject.
pub fn listing(subject: &Subject) -> Listing {
    let (mut listing, _) = listing_with_facts(subject);
    let order = |row: &Row| (row.name.clone(), row.output.clone(), row.drv.clone());
    listing.fods.sort_by_cached_key(order);
    listing
}

/// The same in the order of the subject, with the facts behind each row.
pub fn listing_with_facts(subject: &Subject) -> (Listing, Vec<&Fod>) {
    let none = Mirrors::default();
    let mut nodes: Vec<(NodeId, &Fod)> = Vec::new();
    let mut derivations = 0;
    for node in own(subject) {
        let Some(recipe) = subject.object(node).and_then(|o| o.recipe.as_deref()) else {
            continue;
        };
        derivations += 1;
        if let Some(fod) = &recipe.fod {
            nodes.push((node, fod));
        }
    }
    let attributes = Attributes::of(subject);
    let counts = dependents(subject, &nodes);
    let fods: Vec<Row> = nodes
        .par_iter()
        .zip(counts)
        .map(|(&(node, fod), dependents)| {
            let mut row = row(fod, mirrors(subject, node).unwrap_or(&none));
            let object = subject.object(node);
            row.drv = object.map_or_else(String::new, |object| object.id.to_string());
            let referrers = subject.graph.referrers(node);
            row.direct_dependents = referrers.len();
            row.dependents = dependents;
            let names: BTreeSet<&str> = referrers
                .iter()
                .filter_map(|node| Some(&*subject.object(*node)?.name))
                .collect();
            row.needed_by = names.into_iter().take(NAMED).map(str::to_owned).collect();
            (row.attributes, row.position) = attributes.nearest(subject, node);
            row
        })
        .collect();
    let gaps = subject.gaps.iter();
    // What patches say is nobody's question here.
    let gaps = gaps.filter(|gap| !matches!(gap, Gap::UnreadPatches { .. }));
    let gaps = gaps.map(gaps::told).chain(unread(&fods)).collect();
    let listing = Listing {
        schema: "snowguard-fod-list/1",
        subject: subject.title.clone(),
        derivations,
        fixed_output: fods.len(),
        fods,
        gaps,
    };
    (listing, nodes.into_iter().map(|(_, fod)| fod).collect())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// That some name more URLs than are looked at.
fn unread(fods: &[Row]) -> Option<String> {
    let mut those = fods.iter().filter(|row| row.more_urls > 0);
    let first = those.next()?;
    let (mut count, mut more) = (1, first.more_urls);
    for row in those {
        count += 1;
        more += row.more_urls;
    }
    Some(format!(
        "{} more than {MOST_URLS} URLs, {} among them: {} not looked at",
        counted(count, "derivation names", "derivations name"),
        first.name,
        counted(more, "URL was", "URLs were"),
    ))
}

/// The nodes that a subject is about. Beside a package set lie derivations of whatever else; what none of its
/// packages needs is not its own. Of derivations alone each one that was given counts.
fn own(subject: &Subject) -> impl Iterator<Item = NodeId> {
    let graph = &subject.graph;
    let reached = (subject.nature == Nature::PackageSet).then(|| graph.reachable(graph.roots()));
    let is_own = move |node: &NodeId| reached.as_ref().is_none_or(|set| set.contains(*node));
    graph.nodes().filter(is_own)
}

/// Whether any derivation of what a subject is about was read.
pub fn has_derivations(subject: &Subject) -> bool {
    let mut objects = own(subject).filter_map(|node| subject.object(node));
    objects.any(|object| object.recipe.is_some())
}

/// The list of mirrors that one goes by.
fn mirrors(subject: &Subject, node: NodeId) -> Option<&Mirrors> {
    let inputs = subject.graph.references(node).iter();
    Mirrors::only(inputs.filter_map(|input| {
        let recipe = subject.object(*input)?.recipe.as_ref()?;
        Some(Some(recipe.mirrors.as_deref()?))
    }))
}

/// All that a derivation tells by itself.
fn row(fod: &Fod, mirrors: &Mirrors) -> Row {
    let is_resolved = |url: &&str| url.starts_with("mirror://") && !mirrors.resolve(url).is_empty();
    let written = fod.urls.iter().map(|url| &**url).filter(is_resolved);
    let written = written.map(shown).collect();
    let urls: Vec<String> = fod.resolved(mirrors).into_iter().map(Into::into).collect();
    let places: Vec<Place<'_>> = urls.iter().map(|url| Place::of(url)).collect();
    let first = places.first();
    let host = first.map_or_else(String::new, host_of);
    let scheme = first.map_or("none", |place| place.scheme.as_str());
    let checkout = [
        (fod.checkout.submodules, "submodules"),
        (fod.checkout.lfs, "lfs"),
        (fod.checkout.dot_git, "leave-dot-git"),
        (fod.checkout.deep, "deep"),
    ];
    Row {
        name: fod.name.to_string(),
        drv: String::new(),
        output: fod.output.to_string(),
        class: fod.tool.class.as_str(),
        tool: fod.tool.name,
        because: fod.tool.because.to_string(),
        algo: fod.address.hash.algo().as_str(),
        mode: fod.address.method.as_str(),
        hash: fod.address.hash.to_string(),
        host,
        scheme,
        urls: urls.iter().map(|url| shown(url)).collect(),
        more_urls: fod.more_urls,
        mirrors: written,
        reference: fod.reference(&places).as_str(),
        rev: fod.rev.as_deref().map(str::to_owned),
        sources: fod.sources.iter().map(ToString::to_string).collect(),
        after: fod.after.as_str(),
        checkout: checkout
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect(),
        proxy: fod.proxy_at(&places).as_str(),
        tls: fod.tls_at(&places).as_str(),
        findings: rule::against(fod, &places)
            .into_iter()
            .map(|met| Finding {
                rule: met.rule,
                level: met.level,
                at: met.at,
            })
            .collect(),
        addresses: urls,
        direct_dependents: 0,
        dependents: 0,
        needed_by: Vec::new(),
        attributes: Vec::new(),
        position: None,
    }
}

/// The host of a place; the name of a mirror that is not known as `mirror:NAME`.
pub(super) fn host_of(place: &Place<'_>) -> String {
    if place.scheme == Scheme::Mirror {
        format!("mirror:{}", place.host)
    } else {
        place.host.clone()
    }
}

/// How many need each, directly or not.
fn dependents(subject: &Subject, of: &[(NodeId, &Fod)]) -> Vec<usize> {
    let nodes: Vec<NodeId> = of.iter().map(|(node, _)| *node).collect();
    let reach = subject.graph.reach();
    nodes
        .par_chunks(snowguard_closure::BATCH)
        .flat_map_iter(|batch| reach.count(batch).into_iter().map(|count| count as usize))
        .collect()
}

/// Attributes of a package set, by the derivation that builds them.
struct Attributes<'s> {
    by_node: FxHashMap<NodeId, Vec<(&'s str, Option<&'s str>)>>,
}

impl<'s> Attributes<'s> {
    fn of(subject: &'s Subject) -> Self {
        let mut by_node: FxHashMap<NodeId, Vec<_>> = FxHashMap::default();
        let mut by_drv: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for object in &subject.objects {
            let Some(meta) = &object.meta else { continue };
            if let Some(drv) = &meta.drv_path {
                let entry = (&*meta.attr, meta.position.as_deref());
                by_drv.entry(drv).or_default().push(entry);
            }
        }
        if !by_drv.is_empty() {
            for node in subject.graph.nodes() {
                let id = subject.object(node).map_or("", |object| &object.id);
                if let Some(entries) = by_drv.get(id) {
                    by_node.entry(node).or_default().extend(entries);
                }
            }
        }
        Self { by_node }
    }

    /// The nearest attributes that need a derivation, and where the first is defined.
    fn nearest(&self, subject: &'s Subject, node: NodeId) -> (Vec<String>, Option<String>) {
        if self.by_node.is_empty() {
            return (Vec::new(), None);
        }
        let mut found: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
        let mut seen = BTreeSet::from([node]);
        let mut level = VecDeque::from([node]);
        while found.is_empty() && !level.is_empty() && seen.len() < LOOKED {
            for _ in 0..level.len() {
                let Some(node) = level.pop_front() else { break };
                found.extend(self.by_node.get(&node).into_iter().flatten());
                for &next in subject.graph.referrers(node) {
                    if seen.len() < LOOKED && seen.insert(next) {
                        level.push_back(next);
                    }
                }
            }
        }
        // Of the names of one thing the shortest is the one that people use.
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(attr, _)| (attr.len(), *attr));
        let position = found.first().and_then(|(_, position)| *position);
        let names = found.iter().take(NAMED).map(|(attr, _)| (*attr).to_owned());
        (names.collect(), position.map(str::to_owned))
    }
}

/// URLs, with the revision where it is not in them.
pub(super) fn with_revision(urls: &[String], rev: Option<&str>) -> Vec<String> {
    let told = |url: &String| match rev {
        Some(rev) if !url.contains(rev) => format!("{url} at {rev}"),
        _ => url.clone(),
    };
    urls.iter().map(told).collect()
}

/// Rows by what speaks against them, and then by how many depend on them.
pub(super) fn worst_first(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| (Reverse(worst(row)), Reverse(row.dependents), &row.name));
    rows
}

/// The first few of each rule, in that order: of one rule there may be thousands. What room these leave is for
/// the others.
pub(super) fn some_of_each(rows: &[Row], each: usize, all: usize) -> Vec<&Row> {
    let rows = worst_first(rows);
    let mut taken: BTreeMap<Option<Rule>, usize> = BTreeMap::new();
    let mut left = all;
    let mut is_taken: Vec<bool> = rows
        .iter()
        .map(|row| {
            let rule = row.findings.first().map(|finding| finding.rule);
            let count = taken.entry(rule).or_default();
            *count += 1;
            let takes = *count <= each && left > 0;
            left -= usize::from(takes);
            takes
        })
        .collect();
    for taken in &mut is_taken {
        if left > 0 && !*taken {
            *taken = true;
            left -= 1;
        }
    }
    let rows = rows.into_iter().zip(is_taken);
    rows.filter_map(|(row, taken)| taken.then_some(row))
        .collect()
}

/// How often each rule applies, the worst first.
pub(super) fn by_rule<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<(Finding, usize)> {
    let mut counts: BTreeMap<(Reverse<Level>, Rule), usize> = BTreeMap::new();
    for finding in rows.flat_map(|row| &row.findings) {
        *counts
            .entry((Reverse(finding.level), finding.rule))
            .or_default() += 1;
    }
    let counts = counts.into_iter();
    let total = |((Reverse(level), rule), count)| {
        let at = None;
        (Finding { rule, level, at }, count)
    };
    counts.map(total).collect()
}

/// The worst that speaks against one.
fn worst(row: &Row) -> Option<Level> {
    row.findings.iter().map(|finding| finding.level).max()
}

#[cfg(test)]
mod tests {
    use snowguard_store::{
        ContentAddress, ContentAddressMethod, Derivation, DerivationBuilder, Hash, Output,
        OutputName, References, StoreDir, StoreName,
    };

    use super::super::column::{Column, Condition};
    use super::*;

    fn derivation(name: &str, env: &[(&str, &str)]) -> Derivation {
        let name = StoreName::new(name).unwrap();
        let hash = Hash::sha256([1; 32]);
        let address = ContentAddress::new(ContentAddressMethod::Flat, hash);
        let path = StoreDir::default().content_path(&name, &address, References::NONE);
        let path = path.unwrap();
        let mut drv = DerivationBuilder::new(name);
        drv.output(
            OutputName::new("out").unwrap(),
            Output::Fixed { path, address },
        );
        drv.builder("/bin/sh");
        for (name, value) in env {
            drv.env(*name, *value);
        }
        drv.build().unwrap()
    }

    fn of(name: &str, urls: &str, mirrors: &Mirrors) -> Row {
        let drv = derivation(name, &[("urls", urls)]);
        row(&Fod::of(&drv, &StoreDir::default()).unwrap(), mirrors)
    }

    #[test]
    fn what_a_mirror_stands_for_is_judged_and_shown() {
        let list = derivation(
            "mirrors-list",
            &[("corp", "http://10.0.0.1/ http://x.org/")],
        );
        let mirrors = Mirrors::of(&list).unwrap();
        let row = of("x", "mirror://corp/x", &mirrors);
        let rules = |row: &Row| -> Vec<(Rule, Option<usize>)> {
            let findings = row.findings.iter();
            findings.map(|found| (found.rule, found.at)).collect()
        };
        let expected = [(Rule::PrivateHost, Some(0)), (Rule::PlainHttp, None)];
        assert_eq!(rules(&row), expected);
        assert_eq!(row.tls, "without");
        assert_eq!(row.mirrors, ["mirror://corp/x"]);
        let row = of("x", "https://x.org/x mirror://corp/x", &mirrors);
        assert_eq!(rules(&row), [(Rule::PrivateHost, Some(1))]);
        assert_eq!(row.telling_url(), Some("http://10.0.0.1/x"));
        let row = of("x", "https://x.org/x", &mirrors);
        assert_eq!(row.telling_url(), Some("https://x.org/x"));
    }

    #[test]
    fn conditions_look_at_all_addresses_and_counts_at_the_first() {
        let row = of(
            "x",
            "https://one.org/x http://two.org/x mirror://corp/x",
            &Mirrors::default(),
        );
        let takes = |text: &str| text.parse::<Condition>().unwrap().takes(&row);
        for (text, expected) in [
            ("host=one.org", true),
            ("host=two.org", true),
            ("host=mirror:*", true),
            ("host=three.org", false),
            ("host!=two.org", false),
            ("host=", false),
            ("scheme=http", true),
            ("scheme=ftp,none", false),
            ("scheme!=http", false),
        ] {
            assert_eq!(takes(text), expected, "{text}");
        }
        assert_eq!(Column::Host.of(&row), ["one.org"]);
        assert_eq!(Column::Scheme.of(&row), ["https"]);
        let none = of("x", "", &Mirrors::default());
        let takes = |text: &str| text.parse::<Condition>().unwrap().takes(&none);
        assert!(takes("host=") && takes("scheme=none") && !takes("host=one.org"));
    }

    #[test]
    fn urls_that_are_not_looked_at_are_told() {
        let none = Mirrors::default();
        let urls = |count: usize| -> String {
            let urls: Vec<String> = (0..count).map(|at| format!("https://x.org/{at}")).collect();
            urls.join(" ")
        };
        let rows: Vec<Row> = [1, 64, 65, 1_300]
            .map(|count| of(&format!("has-{count}"), &urls(count), &none))
            .into();
        assert_eq!(rows[1].urls.len(), 64);
        assert_eq!(rows[3].urls.len(), 64);
        assert_eq!(unread(&rows[..2]), None);
        assert_eq!(
            unread(&rows[..3]).unwrap(),
            "1 derivation names more than 64 URLs, has-65 among them: 1 URL was not looked at"
        );
        assert_eq!(
            unread(&rows).unwrap(),
            "2 derivations name more than 64 URLs, has-65 among them: 1,237 URLs were not looked at"
        );
    }

    #[test]
    fn room_that_is_left_is_filled() {
        let none = Mirrors::default();
        let tag = "https://github.com/o/r/archive/v1.tar.gz";
        let mut fods: Vec<Row> = (0..9)
            .map(|at| of(&format!("tag-{at}"), tag, &none))
            .collect();
        fods.push(of("plain", "http://x.org/x", &none));
        let names = |each, all| -> Vec<&str> {
            let rows = some_of_each(&fods, each, all).into_iter();
            rows.map(|row| row.name.as_str()).collect()
        };
        assert_eq!(names(2, 3), ["plain", "tag-0", "tag-1"]);
        assert_eq!(names(2, 5), ["plain", "tag-0", "tag-1", "tag-2", "tag-3"]);
        assert_eq!(names(2, 20).len(), 10);
    }
}
