//! The same for a terminal, and for the log of a CI job.
//!
//! Runners take lines of a log for commands that begin with `::` after spaces, or have `##[` or `##vso[` in them. So none
//! of another's text begins a line, and `##` is broken up.

use std::fmt::Write as _;

use snowguard_fod::rule::Level;

use super::Gate;
use crate::escape::{fit, line};
use crate::text::{Paint, number, wrap};
use crate::words::counted;

/// What is decided, and why.
pub fn gated(gate: &Gate, paint: Paint, width: usize) -> String {
    let width = width.clamp(60, 160);
    let mut out = String::new();
    let title = format!("change: {} → {}", line(&gate.base), line(&gate.head));
    let _ = writeln!(out, "{}", paint.heading(&fit(&quiet(&title), width)));
    let verdict = match gate.blocking() {
        0 => gate.passes().to_owned(),
        blocking => format!("not passed: {}", counted(blocking, "finding", "findings")),
    };
    let _ = writeln!(out, "{verdict}");
    if let Some(counts) = gate.by_rule() {
        wrap(&mut out, 2, &counts, width);
    }
    let _ = writeln!(
        out,
        "fixed-output derivations: {} added or altered, {} removed, {} the same",
        number(gate.changes.len()),
        number(gate.removed),
        number(gate.same),
    );
    match &gate.verdicts {
        None => out.push_str("nothing was fetched: whether hashes are right is not known\n"),
        Some(verdicts) => {
            let told: Vec<String> = verdicts
                .iter()
                .map(|(verdict, count)| format!("{verdict} {}", number(*count)))
                .collect();
            let _ = writeln!(out, "fetched again: {}", told.join(", "));
            if let earlier @ 1.. = gate.found_earlier() {
                let told = format!(
                    "{} of these found by an earlier run or another worker of the queue",
                    number(earlier)
                );
                wrap(&mut out, 0, &told, width);
            }
        }
    }
    if let Some(egress) = &gate.egress {
        let mut told = egress.sentence();
        if let Some(evidence) = egress.evidence() {
            let _ = write!(told, "; written down in {}", quiet(&line(evidence)));
        }
        wrap(&mut out, 0, &told, width);
    }
    for found in &gate.findings {
        let level = match (&found.waived, found.level) {
            (Some(_), _) => paint.quiet("accepted"),
            (None, Level::Error) => paint.rating("high", "error"),
            (None, Level::Warning) => paint.rating("medium", "warning"),
            (None, Level::Note) => paint.rating("low", "note"),
        };
        let name = quiet(&line(&found.name));
        let _ = writeln!(
            out,
            "\n{level} {}: {}",
            found.rule.as_str(),
            paint.name(&fit(&name, width.saturating_sub(30)))
        );
        wrap(
            &mut out,
            2,
            &format!("{}; {}", found.what, found.remedy),
            width,
        );
        let room = width - 10;
        fact(&mut out, room, "for", found.attribute.as_deref());
        match &found.was {
            Some(was) => {
                fact(&mut out, room, "was", Some(was));
                fact(&mut out, room, "is", found.is.as_deref());
            }
            None => fact(&mut out, room, "from", found.is.as_deref()),
        }
        if let Some(detail) = &found.detail {
            folded(&mut out, "told", detail, width);
        }
        fact(&mut out, room, "defined", found.position.as_deref());
        fact(
            &mut out,
            room,
            "output",
            Some(&*found.output).filter(|path| !path.is_empty()),
        );
        fact(
            &mut out,
            room,
            "waiver",
            found
                .waiver_url
                .as_deref()
                .map(|url| format!("url={url}"))
                .as_deref(),
        );
        if let Some(waived) = &found.waived {
            let reason = format!("until {}: {}", waived.expires, waived.reason);
            folded(&mut out, "waived", &reason, width);
        }
    }
    for waiver in &gate.unused_waivers {
        let told = format!(
            "note: the waiver in line {} met nothing ({}, {})",
            waiver.line, waiver.rule, waiver.output
        );
        let _ = writeln!(out, "{}", paint.quiet(&quiet(&line(&told))));
    }
    for gap in &gate.gaps {
        let _ = writeln!(
            out,
            "{}",
            paint.quiet(&format!("note: {}", quiet(&line(gap))))
        );
    }
    out
}

/// A fact in one line, if there is one.
fn fact(out: &mut String, room: usize, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        let _ = writeln!(out, "  {name:<7} {}", whole(text, room));
    }
}

/// Sentences, in as many lines as they need: what was met is nowhere else in a log. Each line after the first begins
/// with what is ours.
fn folded(out: &mut String, name: &str, text: &str, width: usize) {
    let text = quiet(&line(text));
    let mut lines = String::new();
    wrap(&mut lines, 0, &fit(&text, LONGEST_TEXT), width - 12);
    for (at, part) in lines.lines().enumerate() {
        let _ = match at {
            0 => writeln!(out, "  {name:<7} {part}"),
            _ => writeln!(out, "  {:<7} | {part}", ""),
        };
    }
}

/// A text that is copied is not cut, if it is one word and not beyond all measure.
fn whole(text: &str, width: usize) -> String {
    let text = quiet(&line(text));
    let is_word = text.len() <= LONGEST && !text.contains(' ');
    if is_word {
        text
    } else {
        fit(&text, width).into_owned()
    }
}

/// The longest word that is shown whole, in bytes.
const LONGEST: usize = 300;

/// The longest sentences that are shown whole, in columns.
const LONGEST_TEXT: usize = 4_000;

/// Without what a runner would obey: `##[`, `##vso[` and `##teamcity[`, for some of them anywhere in a line.
fn quiet(text: &str) -> String {
    text.replace("##", "#\\u{23}")
}
