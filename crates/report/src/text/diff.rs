//! `snowguard diff`: what an upgrade fixes, brings and leaves.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::paint::{Paint, both_ends, count, number, wrap};
use crate::diff::{Change, Difference};
use crate::escape::line;

/// How many packages a part shows before it says how many more there are.
const FIRST: usize = 15;

/// Writes a difference.
pub fn diff(difference: &Difference, paint: Paint, width: usize, all: bool) -> String {
    let width = width.clamp(40, 120);
    let mut out = String::new();
    let mut title = String::new();
    let names = format!("{} → {}", line(&difference.old), line(&difference.new));
    wrap(&mut title, 0, &names, width);
    for part in title.lines() {
        let _ = writeln!(out, "{}", paint.heading(part));
    }
    let review = match difference.to_review.len() {
        0 => String::new(),
        more => format!(", {} more to review", number(more)),
    };
    let summary = format!(
        "brings {}, fixes {}, leaves {}{review}; {} changed",
        number(difference.brought.len()),
        number(difference.fixed.len()),
        number(difference.left.len()),
        count(difference.versions.len(), "package", "packages"),
    );
    wrap(&mut out, 0, &summary, width);
    for (heading, changes) in [
        ("BRINGS", &difference.brought),
        ("TO REVIEW", &difference.to_review),
        ("FIXES", &difference.fixed),
        ("LEAVES", &difference.left),
    ] {
        part(&mut out, heading, changes, paint, width, all);
    }
    let silent: Vec<_> = difference
        .versions
        .iter()
        .filter(|change| {
            !difference
                .fixed
                .iter()
                .chain(&difference.brought)
                .chain(&difference.to_review)
                .any(|c| c.package == change.package)
        })
        .collect();
    if !silent.is_empty() {
        let _ = writeln!(out, "\n{}", paint.heading("OTHER CHANGES"));
        let shown = if all {
            silent.len()
        } else {
            silent.len().min(FIRST)
        };
        for change in &silent[..shown] {
            let _ = writeln!(
                out,
                "  {} {}",
                line(&change.package),
                arrow(&change.old, &change.new)
            );
        }
        more(&mut out, silent.len(), shown, paint);
    }
    out
}

fn part(
    out: &mut String,
    heading: &str,
    changes: &[Change],
    paint: Paint,
    width: usize,
    all: bool,
) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.heading(heading));
    let mut order: Vec<&str> = Vec::new();
    let mut packages: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        let list = packages.entry(&change.package).or_default();
        if list.is_empty() {
            order.push(&change.package);
        }
        list.push(change);
    }
    let shown = if all {
        order.len()
    } else {
        order.len().min(FIRST)
    };
    for package in &order[..shown] {
        let Some(changes) = packages.get(package) else {
            continue;
        };
        let Some(first) = changes.first() else {
            continue;
        };
        let versions = if heading == "LEAVES" {
            first.new_versions.join(", ")
        } else {
            arrow(&first.old_versions, &first.new_versions)
        };
        let plain = format!("  {} {}", line(package), line(&versions));
        let how = how(heading, first);
        both_ends(
            out,
            &format!("  {} {}", paint.name(&line(package)), line(&versions)),
            &plain,
            &paint.quiet(how),
            how,
            width,
        );
        let named: Vec<String> = changes
            .iter()
            .take(4)
            .map(|change| {
                let rating = change
                    .severity
                    .as_ref()
                    .map_or("unrated", |severity| severity.rating);
                let mark = if change.exploited.is_some() {
                    " exploited"
                } else {
                    ""
                };
                format!("{} {rating}{mark}", line(&change.id))
            })
            .collect();
        let rest = if changes.len() > 4 {
            format!(" (+{})", number(changes.len() - 4))
        } else {
            String::new()
        };
        wrap(out, 4, &format!("{}{rest}", named.join(", ")), width);
    }
    more(out, order.len(), shown, paint);
}

fn more(out: &mut String, all: usize, shown: usize, paint: Paint) {
    if all > shown {
        let text = format!(
            "  and {} (--all shows them)",
            count(all - shown, "more package", "more packages")
        );
        let _ = writeln!(out, "{}", paint.quiet(&text));
    }
}

/// What happened to a package, in a word or two.
fn how(heading: &str, change: &Change) -> &'static str {
    match (heading, change.how) {
        ("LEAVES", _) => "",
        (_, "addition") => "new here",
        (_, "removal") => "removed",
        (_, "patch") => "patched",
        (_, "decision") => "suppressed",
        (_, "doubt") => "affected before",
        (_, "update") => "updated",
        (_, other) => other,
    }
}

fn arrow(old: &[String], new: &[String]) -> String {
    if old == new {
        return new.join(", ");
    }
    let side = |versions: &[String], none: &str| {
        if versions.is_empty() {
            none.to_owned()
        } else {
            versions.join(", ")
        }
    };
    format!("{} → {}", side(old, "(absent)"), side(new, "(gone)"))
}
