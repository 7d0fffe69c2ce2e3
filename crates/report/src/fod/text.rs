//! Lists and counts for a terminal.

use std::fmt::Write as _;

use snowguard_fod::rule::Level;
use unicode_width::UnicodeWidthStr as _;

use super::column::{Column, Count, counts};
use super::listing::{Finding, Listing, Row, by_rule, some_of_each, worst_first};
use crate::escape::{fit, line};
use crate::text::{Paint, number, wrap};
use crate::words::counted as counted_words;

/// How many rows are shown before it says how many more there are.
const FIRST: usize = 24;
/// And how many of one rule among these.
const OF_EACH: usize = 2;
/// How many values of a column are shown beside the others.
const VALUES: usize = 8;

/// The list: what there is of each kind, what speaks against which, and the rows themselves.
pub fn listed(listing: &Listing, paint: Paint, width: usize, all: bool) -> String {
    let width = width.clamp(60, 160);
    let mut out = String::new();
    let some = if listing.fods.len() < listing.fixed_output {
        format!("{} of ", number(listing.fods.len()))
    } else {
        String::new()
    };
    let title = format!(
        "{some}{} among {} in {}",
        fixed_output(listing.fixed_output),
        number(listing.derivations),
        line(&listing.subject),
    );
    let _ = writeln!(out, "{}", paint.heading(&fit(&title, width)));
    if listing.fods.is_empty() {
        return out + &gaps(&listing.gaps, paint);
    }
    for column in [
        Column::Class,
        Column::Algo,
        Column::Mode,
        Column::Scheme,
        Column::Reference,
        Column::Tls,
        Column::Proxy,
        Column::Host,
    ] {
        let _ = writeln!(
            out,
            "  {:<10} {}",
            column,
            values(listing, column, width - 13)
        );
    }
    out.push_str(&findings(
        "WHAT SPEAKS AGAINST THEM",
        listing.fods.iter(),
        paint,
        width,
    ));
    let shown = if all || listing.fods.len() <= FIRST {
        worst_first(&listing.fods)
    } else {
        some_of_each(&listing.fods, OF_EACH, FIRST)
    };
    let some = shown.len() < listing.fods.len();
    let heading = if some {
        "SOME OF EACH, THOSE FIRST ON WHICH MOST DEPENDS"
    } else {
        "ALL OF THEM"
    };
    let _ = writeln!(out, "\n{}", paint.heading(heading));
    for row in &shown {
        out.push_str(&one(row, paint, width));
    }
    if some {
        let more = format!(
            "  and {} more (--all shows them, --where takes some of them)",
            number(listing.fods.len() - shown.len())
        );
        let _ = writeln!(out, "{}", paint.quiet(&more));
    }
    out + &gaps(&listing.gaps, paint)
}

/// Counts, a line each.
pub fn counted(counts: &[Count], by: &[Column], paint: Paint, width: usize) -> String {
    let width = width.clamp(60, 160);
    let mut out = String::new();
    let names: Vec<&str> = by.iter().map(|column| column.as_str()).collect();
    let _ = writeln!(
        out,
        "{}",
        paint.heading(&format!("{:>9}  {}", "count", names.join(" / ")))
    );
    for count in counts {
        let values: Vec<String> = count
            .values
            .iter()
            .map(|value| {
                if value.is_empty() {
                    "(none)".into()
                } else {
                    line(value).into_owned()
                }
            })
            .collect();
        let text = values.join(" / ");
        let _ = writeln!(
            out,
            "{:>9}  {}",
            number(count.count),
            fit(&text, width - 11)
        );
    }
    out
}

/// `curl 37,694, git 2,882, 3 more`, in one line.
fn values(listing: &Listing, column: Column, width: usize) -> String {
    let counts = counts(listing, &[column]);
    let mut text = String::new();
    for (at, count) in counts.iter().enumerate() {
        let value = count.values.first().map_or("", String::as_str);
        let value = if value.is_empty() { "(none)" } else { value };
        let part = format!("{} {}", line(value), number(count.count));
        let rest = counts.len() - at;
        let tail = format!(", {} more", number(rest));
        let joint = if at == 0 { 0 } else { 2 };
        let room = if rest == 1 {
            width
        } else {
            width.saturating_sub(tail.width())
        };
        if at >= VALUES || text.width() + joint + part.width() > room {
            if at > 0 {
                text.push_str(&tail);
            }
            break;
        }
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(&part);
    }
    text
}

/// How often each rule applies, under a heading; nothing where none does.
pub(super) fn findings<'r>(
    heading: &str,
    rows: impl Iterator<Item = &'r Row>,
    paint: Paint,
    width: usize,
) -> String {
    let found = by_rule(rows);
    if found.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", paint.heading(heading));
    for (Finding { rule, level, .. }, count) in found {
        let left = format!("  {:<7} {:>7}  ", level.as_str(), number(count));
        let left = left.replacen(level.as_str(), &painted(level, paint), 1);
        let _ = writeln!(out, "{left}{}", paint.name(rule.as_str()));
        let text = format!("{}; {}", rule.what(), rule.remedy());
        wrap(&mut out, 19, &text, width);
    }
    out
}

fn painted(level: Level, paint: Paint) -> String {
    let rating = match level {
        Level::Error => "high",
        Level::Warning => "medium",
        Level::Note => "low",
    };
    paint.rating(rating, level.as_str())
}

/// One, in two lines or three.
fn one(row: &Row, paint: Paint, width: usize) -> String {
    let mut out = named(row, paint, width);
    let _ = writeln!(out, "    {}", fit(&place(row), width - 4));
    out + &notes(row, paint, width)
}

/// Its name, and with what it is fetched.
pub(super) fn named(row: &Row, paint: Paint, width: usize) -> String {
    let what = if row.tool.is_empty() {
        row.class
    } else {
        row.tool
    };
    let right = format!("{what}, {} {}", row.algo, row.mode);
    let shown = line(&row.name);
    let name = fit(&shown, width.saturating_sub(right.width() + 4));
    let space = width.saturating_sub(2 + name.width() + right.width());
    format!(
        "  {}{}{}\n",
        paint.name(&name),
        " ".repeat(space.max(2)),
        paint.quiet(&right)
    )
}

/// What speaks against it, and whom it is for.
pub(super) fn notes(row: &Row, paint: Paint, width: usize) -> String {
    let mut notes: Vec<String> = Vec::new();
    let rules = row.findings.iter().map(|finding| finding.rule.as_str());
    let rules: Vec<&str> = rules.collect();
    if !rules.is_empty() {
        notes.push(rules.join(", "));
    }
    if let Some(attribute) = row.attributes.first() {
        let more = match row.attributes.len() {
            1 => String::new(),
            many => format!(" (+{})", number(many - 1)),
        };
        notes.push(format!("for {}{more}", line(attribute)));
    } else if let Some(name) = row.needed_by.first() {
        notes.push(format!("for {}", line(name)));
    }
    if row.dependents > 0 {
        notes.push(depend(row.dependents));
    }
    if notes.is_empty() {
        return String::new();
    }
    let text = notes.join("; ");
    format!("    {}\n", paint.quiet(&fit(&text, width - 4)))
}

/// How many need it.
pub(super) fn depend(count: usize) -> String {
    counted_words(count, "depends on it", "depend on it")
}

/// `7 fixed-output derivations`.
pub(crate) fn fixed_output(count: usize) -> String {
    counted_words(count, "fixed-output derivation", "fixed-output derivations")
}

/// Where it is fetched from, in a line: the address that a rule speaks against, before the first.
pub(super) fn place(row: &Row) -> String {
    let mut place = match (row.telling_url(), row.sources.first()) {
        (Some(url), _) => line(url).into_owned(),
        (None, Some(source)) => format!("for {}", line(object_name(source))),
        (None, None) => "no URL".to_owned(),
    };
    if let Some(rev) = row.rev.as_ref().filter(|rev| !place.contains(&***rev)) {
        let _ = write!(place, " at {}", line(rev));
    }
    if row.urls.len() > 1 {
        let _ = write!(place, " (+{})", number(row.urls.len() - 1));
    }
    place
}

/// `app-1.0.tar.gz` of its store path.
fn object_name(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split_once('-').map_or(base, |(_, name)| name)
}

pub(super) fn gaps(gaps: &[String], paint: Paint) -> String {
    let mut out = String::new();
    for gap in gaps {
        let _ = writeln!(out, "{}", paint.quiet(&format!("note: {}", line(gap))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::verified::{Verification, verified};
    use super::*;

    #[test]
    fn counts_agree_with_their_words() {
        assert_eq!(depend(1), "1 depends on it");
        assert_eq!(depend(1_200), "1,200 depend on it");
        let title = |count: usize| {
            let none = Verification::new("x".into(), count, Vec::new(), Vec::new());
            let text = verified(&none, Paint::new(false), 80, false);
            text.lines().next().map(str::to_owned)
        };
        assert_eq!(
            title(1).as_deref(),
            Some("0 of 1 fixed-output derivation in x")
        );
        assert_eq!(
            title(2).as_deref(),
            Some("0 of 2 fixed-output derivations in x")
        );
    }
}
