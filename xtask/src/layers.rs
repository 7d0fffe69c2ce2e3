//! The floors of the house: which crate may use which. ARCHITECTURE.md draws them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, PackageId};

use crate::workspace::Workspace;

/// Where a crate stands. A crate uses those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    /// The data of others as values: no I/O, no clock.
    Ground,
    /// What follows from data: no I/O, no clock either.
    Knowledge,
    /// Where I/O begins.
    Outside,
    /// What runs as a service, without its command line.
    Services,
    /// What a person or the system starts.
    Faces,
    /// Shared by tests: used by none but them.
    Tests,
    /// Chores that measure the product: used by nobody.
    Measures,
    /// Chores that must start before anything of ours is compiled.
    Chores,
}

/// Every crate of the workspace.
const FLOORS: &[(&str, Floor)] = &[
    ("snowguard-advisory", Floor::Ground),
    ("snowguard-archive", Floor::Ground),
    ("snowguard-formats", Floor::Ground),
    ("snowguard-parts", Floor::Ground),
    ("snowguard-reach", Floor::Ground),
    ("snowguard-store", Floor::Ground),
    ("snowguard-attest", Floor::Knowledge),
    ("snowguard-closure", Floor::Knowledge),
    ("snowguard-fod", Floor::Knowledge),
    ("snowguard-inventory", Floor::Knowledge),
    ("snowguard-matching", Floor::Knowledge),
    ("snowguard-report", Floor::Knowledge),
    ("snowguard-triage", Floor::Knowledge),
    ("snowguard-db", Floor::Outside),
    ("snowguard-child", Floor::Outside),
    ("snowguard-confine", Floor::Outside),
    ("snowguard-feeds", Floor::Outside),
    ("snowguard-http", Floor::Outside),
    ("snowguard-secrets", Floor::Outside),
    ("snowguard-send", Floor::Outside),
    ("snowguard-sources", Floor::Outside),
    ("snowguard-notify", Floor::Services),
    ("snowguard-proxy", Floor::Services),
    ("snowguard-refetch", Floor::Services),
    ("snowguard-tracker", Floor::Services),
    ("snowguard-watch", Floor::Services),
    ("snowguard-web", Floor::Services),
    ("snowguard", Floor::Faces),
    ("snowguardd", Floor::Faces),
    ("snowguard-testkit", Floor::Tests),
    ("snowguard-measure", Floor::Measures),
    ("xtask", Floor::Chores),
];

/// Uses of a crate on the same floor, each for its reason.
const BESIDE: &[(&str, &str, &str)] = &[
    (
        "snowguard-archive",
        "snowguard-store",
        "what is unpacked is compared by the hash of its NAR",
    ),
    (
        "snowguard-parts",
        "snowguard-advisory",
        "what is declared is named as advisories name it",
    ),
    ("snowguard-feeds", "snowguard-http", "feeds are fetched"),
    (
        "snowguard-send",
        "snowguard-child",
        "sendmail may never end",
    ),
    ("snowguard-send", "snowguard-http", "webhooks are requests"),
    (
        "snowguard-advisory",
        "snowguard-store",
        "Nix's version order is the second opinion on ranges",
    ),
    (
        "snowguard-inventory",
        "snowguard-closure",
        "components are those of a closure",
    ),
    (
        "snowguard-inventory",
        "snowguard-fod",
        "what a derivation fetches is a fact of its recipe",
    ),
    (
        "snowguard-matching",
        "snowguard-closure",
        "a finding's paths are paths in a closure",
    ),
    (
        "snowguard-matching",
        "snowguard-inventory",
        "components are what is matched",
    ),
    (
        "snowguard-notify",
        "snowguard-watch",
        "what is told is in the history",
    ),
    (
        "snowguard-web",
        "snowguard-tracker",
        "its pages show the tracker's views",
    ),
    (
        "snowguard-report",
        "snowguard-closure",
        "paths and kinds of closures are shown",
    ),
    (
        "snowguard-report",
        "snowguard-fod",
        "fixed-output derivations are listed",
    ),
    (
        "snowguard-report",
        "snowguard-inventory",
        "components and their reasons are shown",
    ),
    (
        "snowguard-report",
        "snowguard-matching",
        "findings and their evidence are shown",
    ),
    (
        "snowguard-triage",
        "snowguard-inventory",
        "a re-match begins with components, and memory is rows of the identity table",
    ),
    (
        "snowguard-triage",
        "snowguard-matching",
        "what is decided about is found by matching",
    ),
    (
        "snowguard-triage",
        "snowguard-report",
        "evidence and updates are told in the same words",
    ),
];

/// Crates that do I/O, know the clock or run threads of their own for it. Crates on the ground and
/// knowledge floors must not bring one in, not even through others.
const IO: &[&str] = &[
    "async-std",
    "ctrlc",
    "hyper",
    "indicatif",
    "libsqlite3-sys",
    "memmap2",
    "mio",
    "object_store",
    "openssl",
    "postgres",
    "reqwest",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tracing-subscriber",
    "ureq",
    "walkdir",
];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    println!("{}", check(workspace.metadata())?);
    Ok(())
}

/// Fails with every edge that breaks a rule, and the rule.
pub(crate) fn check(metadata: &Metadata) -> Result<String> {
    let graph = Graph::of(metadata)?;
    let violations = graph.violations();
    if violations.is_empty() {
        return Ok(format!("{} crates on their floors", graph.members.len()));
    }
    bail!(
        "these uses break the rules of the floors (ARCHITECTURE.md):\n  {}",
        violations.join("\n  ")
    )
}

/// Who uses whom, by name.
#[derive(Default)]
struct Graph {
    /// The crates of the workspace.
    members: BTreeSet<String>,
    /// What each crate uses; strangers as well.
    uses: BTreeMap<String, BTreeSet<(String, Use)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Product,
    BuildScripts,
    Tests,
}

impl Graph {
    fn of(metadata: &Metadata) -> Result<Self> {
        let names: BTreeMap<&PackageId, &str> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, package.name.as_str()))
            .collect();
        let name = |id: &PackageId| {
            names
                .get(id)
                .map(|name| (*name).to_owned())
                .with_context(|| format!("cargo does not describe the package {id}"))
        };
        let resolve = metadata
            .resolve
            .as_ref()
            .context("cargo did not say which crate uses which")?;
        let mut graph = Self::default();
        for id in &metadata.workspace_members {
            graph.members.insert(name(id)?);
        }
        for node in &resolve.nodes {
            let uses = graph.uses.entry(name(&node.id)?).or_default();
            for dependency in &node.deps {
                for kind in &dependency.dep_kinds {
                    let kind = match kind.kind {
                        DependencyKind::Development => Use::Tests,
                        DependencyKind::Build => Use::BuildScripts,
                        _ => Use::Product,
                    };
                    uses.insert((name(&dependency.pkg)?, kind));
                }
            }
        }
        Ok(graph)
    }

    fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for member in &self.members {
            let Some(floor) = floor_of(member) else {
                violations.push(format!(
                    "{member}: it stands on no floor; give it one in xtask/src/layers.rs"
                ));
                continue;
            };
            for (used, kind) in self.uses.get(member).into_iter().flatten() {
                let rule = floor_of(used)
                    .filter(|_| self.members.contains(used))
                    .and_then(|other| broken(member, floor, used, other, *kind));
                if let Some(rule) = rule {
                    violations.push(format!("{member} -> {used}: {rule}"));
                }
            }
            if floor <= Floor::Knowledge {
                violations.extend(self.way_to_io(member).map(|way| {
                    format!(
                        "{}: crates on the ground and knowledge floors do no I/O, not even through others",
                        way.join(" -> ")
                    )
                }));
            }
        }
        violations
    }

    /// The shortest way from a crate to one that does I/O, in the product.
    fn way_to_io<'a>(&'a self, start: &'a str) -> Option<Vec<&'a str>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            if IO.contains(&at) {
                let mut way = vec![at];
                while let Some(&before) = way.last().and_then(|name| came_from.get(name)) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            for (used, kind) in self.uses.get(at).into_iter().flatten() {
                let seen = used == start || came_from.contains_key(used.as_str());
                if *kind == Use::Product && !seen {
                    came_from.insert(used, at);
                    queue.push_back(used);
                }
            }
        }
        None
    }
}

fn floor_of(name: &str) -> Option<Floor> {
    FLOORS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, floor)| *floor)
}

/// The rule that a use breaks.
fn broken(member: &str, floor: Floor, used: &str, other: Floor, kind: Use) -> Option<&'static str> {
    let rule = match (floor, other) {
        (Floor::Chores, _) => {
            "xtask starts before anything of ours is compiled, and uses nothing of it"
        }
        (Floor::Tests, _) => "the test kit uses nothing of ours, so that every crate can use it",
        (_, Floor::Measures | Floor::Chores) => "nobody uses the chores",
        (Floor::Measures, Floor::Tests) => return None,
        (_, Floor::Tests) if kind == Use::Tests => return None,
        (_, Floor::Tests) => "the test kit is for tests: make it a dev-dependency",
        (floor, other) if other < floor => return None,
        (floor, other) if other > floor => "a crate uses only what is below it",
        _ if BESIDE
            .iter()
            .any(|(from, to, _)| *from == member && *to == used) =>
        {
            return None;
        }
        _ => "a use on the same floor needs a reason in xtask/src/layers.rs",
    };
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str, Use)]) -> Graph {
        let mut graph = Graph::default();
        for (from, to, kind) in edges {
            for name in [from, to] {
                if name.starts_with("snowguard") || *name == "xtask" {
                    graph.members.insert((*name).to_owned());
                }
            }
            graph
                .uses
                .entry((*from).to_owned())
                .or_default()
                .insert(((*to).to_owned(), *kind));
        }
        graph
    }

    #[track_caller]
    fn refused(edges: &[(&str, &str, Use)], expected: &str) {
        let violations = graph(edges).violations();
        assert_eq!(violations, [expected.to_owned()]);
    }

    #[test]
    fn the_workspace_keeps_its_floors() {
        let workspace = Workspace::find().unwrap();
        if let Err(error) = check(workspace.metadata()) {
            panic!("{error}");
        }
    }

    #[test]
    fn every_reason_is_for_two_crates_of_one_floor() {
        for (from, to, reason) in BESIDE {
            assert_eq!(floor_of(from), floor_of(to), "{from} -> {to}");
            assert!(floor_of(from).is_some() && !reason.is_empty());
        }
    }

    #[test]
    fn what_the_floors_allow() {
        let allowed = graph(&[
            ("snowguard", "snowguard-sources", Use::Product),
            ("snowguard", "snowguard-advisory", Use::BuildScripts),
            ("snowguard-sources", "snowguard-inventory", Use::Product),
            ("snowguard-sources", "rusqlite", Use::Product),
            ("snowguard-inventory", "snowguard-closure", Use::Product),
            ("snowguard-store", "snowguard-testkit", Use::Tests),
            ("snowguard-testkit", "tempfile", Use::Product),
            ("snowguard-measure", "snowguard-sources", Use::Product),
            ("snowguard-measure", "snowguard-testkit", Use::Product),
        ]);
        assert_eq!(allowed.violations(), Vec::<String>::new());
    }

    #[test]
    fn upwards() {
        refused(
            &[("snowguard-store", "snowguard-closure", Use::Product)],
            "snowguard-store -> snowguard-closure: a crate uses only what is below it",
        );
        refused(
            &[("snowguard-matching", "snowguard-sources", Use::Tests)],
            "snowguard-matching -> snowguard-sources: a crate uses only what is below it",
        );
        refused(
            &[("snowguard-formats", "snowguard-report", Use::BuildScripts)],
            "snowguard-formats -> snowguard-report: a crate uses only what is below it",
        );
    }

    #[test]
    fn beside_without_a_reason() {
        refused(
            &[("snowguard-formats", "snowguard-store", Use::Product)],
            "snowguard-formats -> snowguard-store: a use on the same floor needs a reason in xtask/src/layers.rs",
        );
    }

    #[test]
    fn without_a_floor() {
        refused(
            &[("snowguard-attic", "serde", Use::Product)],
            "snowguard-attic: it stands on no floor; give it one in xtask/src/layers.rs",
        );
    }

    #[test]
    fn the_test_kit_in_the_product() {
        refused(
            &[("snowguard-sources", "snowguard-testkit", Use::Product)],
            "snowguard-sources -> snowguard-testkit: the test kit is for tests: make it a dev-dependency",
        );
        refused(
            &[("snowguard-testkit", "snowguard-store", Use::Product)],
            "snowguard-testkit -> snowguard-store: the test kit uses nothing of ours, so that every crate can use it",
        );
    }

    #[test]
    fn the_chores() {
        refused(
            &[("snowguard", "snowguard-measure", Use::Product)],
            "snowguard -> snowguard-measure: nobody uses the chores",
        );
        refused(
            &[("snowguard-measure", "xtask", Use::Tests)],
            "snowguard-measure -> xtask: nobody uses the chores",
        );
        refused(
            &[("xtask", "snowguard-store", Use::Product)],
            "xtask -> snowguard-store: xtask starts before anything of ours is compiled, and uses nothing of it",
        );
    }

    #[test]
    fn io_through_others() {
        refused(
            &[
                ("snowguard-advisory", "friendly", Use::Product),
                ("friendly", "friendlier", Use::Product),
                ("friendlier", "tokio", Use::Product),
            ],
            "snowguard-advisory -> friendly -> friendlier -> tokio: crates on the ground and knowledge floors do no I/O, not even through others",
        );
        // What only tests and build scripts of strangers bring in is not in the product.
        let tests = graph(&[
            ("snowguard-advisory", "proptest", Use::Tests),
            ("proptest", "tempfile", Use::Product),
        ]);
        assert_eq!(tests.violations(), Vec::<String>::new());
    }
}
