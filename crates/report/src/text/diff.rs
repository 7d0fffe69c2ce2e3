//! `snowguard diff`: what an upgrade mends, brings and leaves.

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
    let _ = writeln!(
        out,
        "{} → {}",
        paint.heading(&line(&difference.old)),
        paint.heading(&line(&difference.new))
    );
    let summary = format!(
        "mends {}, brings {}, leaves {}; {} changed",
        number(difference.mended.len()),
        number(difference.brought.len()),
        number(difference.left.len()),
        count(difference.versions.len(), "package", "packages"),
    );
    wrap(&mut out, 0, &summary, width);
    for (heading, changes) in [
        ("BRINGS", &difference.brought),
        ("MENDS", &difference.mended),
        ("LEAVES", &difference.left),
    ] {
        part(&mut out, heading, changes, paint, width, all);
    }
    let silent: Vec<_> = difference
        .versions
        .iter()
        .filter(|change| {
            !difference
                .mended
                .iter()
                .chain(&difference.brought)
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
        let how = if heading == "LEAVES" { "" } else { first.how };
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

fn arrow(old: &[String], new: &[String]) -> String {
    let side = |versions: &[String], none: &str| {
        if versions.is_empty() {
            none.to_owned()
        } else {
            versions.join(", ")
        }
    };
    format!("{} → {}", side(old, "(absent)"), side(new, "(gone)"))
}
