//! The summary that a forge shows beside a change.
//!
//! Whoever makes the change writes names, URLs and revisions, and must not be able to say "all is well" with
//! them, nor hide what this says. So all of that stands in code spans whose fence is longer than any in it: no
//! HTML, link, mention or emphasis begins there. It is on one line, of ASCII only (a letter that looks like
//! another is shown by its number), and cut. It is in no table, where a bar would end a cell. What blocks comes
//! first, and where not all is shown, that is said before it.

use std::fmt::Write as _;

use snowguard_fod::Verdict;

use super::found::GUIDE;
use super::{Found, Gate, How};
use crate::escape::line;
use crate::words::{counted, number};

/// How many characters of somebody's text are shown, as they are written here.
const CUT: usize = 240;
/// How long all findings get, in bytes: a comment on GitHub has at most 65,536 characters, and there are
/// waivers and gaps beside them.
const MOST: usize = 44_000;

/// The summary, as GitHub's, GitLab's and Forgejo's Markdown.
pub fn summary(gate: &Gate) -> String {
    let mut out = String::new();
    let blocking = gate.blocking();
    let verdict = match blocking {
        0 => gate.passes().to_owned(),
        _ => format!("{}, not passed", counted(blocking, "finding", "findings")),
    };
    let _ = writeln!(out, "## What this change fetches: {verdict}\n");
    if gate.changes.is_empty() && gate.findings.is_empty() {
        out.push_str("It adds and alters no fixed-output derivation.\n");
        gaps(&mut out, gate);
        return out;
    }
    let _ = writeln!(
        out,
        "{ABOUT} The names of findings lead to [what to do]({GUIDE}).\n"
    );
    counts(&mut out, gate);
    let some = |takes: fn(&Found) -> bool| -> Vec<&Found> {
        gate.findings.iter().filter(|found| takes(found)).collect()
    };
    let mut left = MOST;
    for (heading, found) in [
        (
            "To be mended before it can pass",
            some(|found| found.blocks),
        ),
        (
            "Worth knowing",
            some(|found| !found.blocks && found.waived.is_none()),
        ),
        ("Accepted", some(|found| found.waived.is_some())),
    ] {
        if found.is_empty() {
            continue;
        }
        let parts: Vec<String> = found.iter().map(|found| one(found)).collect();
        let shown = parts
            .iter()
            .scan(0, |length, part| {
                *length += part.len();
                Some(*length)
            })
            .take_while(|length| *length <= left)
            .count();
        let _ = writeln!(out, "\n### {heading}\n");
        if shown < parts.len() {
            let _ = writeln!(
                out,
                "**{} of {} are shown; the JSON of this check has all.**\n",
                number(shown),
                number(parts.len())
            );
        }
        for part in &parts[..shown] {
            left -= part.len();
            out.push_str(part);
        }
    }
    if !gate.unused_waivers.is_empty() {
        let _ = writeln!(out, "\n### Waivers that met nothing\n");
        for waiver in gate.unused_waivers.iter().take(20) {
            let _ = writeln!(
                out,
                "- line {}: {} for {}",
                waiver.line,
                code(&waiver.rule),
                code(&waiver.output)
            );
        }
        more(&mut out, gate.unused_waivers.len(), 20);
        out.push_str("\nThey cover nothing that this change does. Such as are needed no more should be deleted.\n");
    }
    gaps(&mut out, gate);
    out
}

/// For whoever has never heard of it.
const ABOUT: &str = "\
A *fixed-output derivation* is how Nix downloads something: a source, a patch, what a package manager needs. The \
hash of what should come is written into the package. Nix asks for the hash before it asks the network: where it has \
those bytes already, or a cache has, it fetches nothing. So a hash that was forgotten, or a file that was replaced on \
its server, is seen by nobody until much later. This check looks at those that the change adds or alters, and only at \
these.";

fn counts(out: &mut String, gate: &Gate) {
    if let Some(found) = gate.by_rule() {
        let _ = writeln!(out, "- **Found:** {found}");
    }
    let how = |how: How| {
        gate.changes
            .iter()
            .filter(|change| change.how == how)
            .count()
    };
    let added = how(How::Added);
    let _ = writeln!(
        out,
        "- {} added, {} altered, {} removed, {} the same",
        number(added),
        number(gate.changes.len() - added),
        number(gate.removed),
        number(gate.same)
    );
    let Some(verdicts) = &gate.verdicts else {
        out.push_str("- Nothing was fetched: whether the hashes are right is not known.\n");
        return;
    };
    let ok = verdicts.get(&Verdict::Ok).copied().unwrap_or_default();
    let _ = write!(
        out,
        "- {} of {} fetched again, with the hash that is written down",
        number(ok),
        number(gate.changes.len())
    );
    match gate.unverified() {
        0 => out.push_str(".\n"),
        unverified => {
            let _ = writeln!(out, "; of {} it is **not known**.", number(unverified));
        }
    }
    if let earlier @ 1.. = gate.found_earlier() {
        let _ = writeln!(
            out,
            "- Not found now, but by an earlier run or another worker of the queue: {earlier}."
        );
    }
    if let Some(egress) = &gate.egress {
        let _ = write!(out, "- {}", crate::words::sentence(&egress.sentence()));
        if let Some(evidence) = egress.evidence() {
            let _ = write!(out, "; written down in {}", code(evidence));
        }
        out.push_str(".\n");
    }
}

/// One finding, as an item of a list.
fn one(found: &Found) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "- **[{}]({})** ({}): {}",
        found.rule.as_str(),
        found.rule.guide(),
        found.level.as_str(),
        code(&found.name)
    );
    if let Some(attribute) = &found.attribute {
        let _ = write!(out, " for {}", code(attribute));
    }
    out.push('\n');
    let _ = writeln!(out, "  - What: {}.", crate::words::sentence(found.what));
    let mut fact = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            let _ = writeln!(out, "  - {name}: {}", code(text));
        }
    };
    match &found.was {
        Some(was) => {
            fact("Was", Some(was));
            fact("Is", found.is.as_deref());
        }
        None => fact("From", found.is.as_deref()),
    }
    fact("Told", found.detail.as_deref());
    fact("Defined in", found.position.as_deref());
    if !found.output.is_empty() {
        fact("Output", Some(&found.output));
    }
    fact("URL for a waiver", found.waiver_url.as_deref());
    match &found.waived {
        Some(waived) => {
            let _ = writeln!(
                out,
                "  - Accepted until {} (line {} of the waivers): {}",
                waived.expires,
                waived.line,
                code(&waived.reason)
            );
        }
        None => {
            let _ = writeln!(out, "  - What to do: {}.", found.remedy);
        }
    }
    out
}

fn gaps(out: &mut String, gate: &Gate) {
    if gate.gaps.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### What could not be known\n");
    for gap in gate.gaps.iter().take(20) {
        let _ = writeln!(out, "- {}", code(gap));
    }
    more(out, gate.gaps.len(), 20);
}

fn more(out: &mut String, all: usize, shown: usize) {
    if all > shown {
        let _ = writeln!(out, "- and {} more", number(all - shown));
    }
}

/// Somebody's text as a code span.
pub(super) fn code(text: &str) -> String {
    let text = plain(text);
    if text.trim().is_empty() {
        return "(nothing)".into();
    }
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    // A space at each end is not part of a code span; without it a fence would run into the text.
    let room = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{room}{text}{room}{fence}")
}

/// One line of printable ASCII, cut.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in line(text).chars() {
        // Of a letter that is written as a number much is left.
        if out.len() >= CUT {
            out.push_str("...");
            break;
        }
        match c {
            ' '..='~' => out.push(c),
            _ => out.extend(c.escape_unicode()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use snowguard_fod::rule::Level;

    use super::*;
    use crate::fod::gate::{GateRule, ToldWaiver};

    #[test]
    fn text_stays_in_its_span() {
        let all = [
            "hello-2.12.tar.gz",
            "a`b",
            "``a```b`",
            " spaces ",
            "\n## Passed\n",
            "a|b\\|c",
            "<!-- <b>x</b>",
            "@someone #1 https://evil.example",
            "g\u{456}thub.com \u{202e}txt.exe",
            "",
            "   ",
        ];
        insta::assert_snapshot!(all.map(code).join("\n"), @r"
        `hello-2.12.tar.gz`
        ``a`b``
        ```` ``a```b` ````
        `  spaces  `
        `  ## Passed  `
        `a|b\|c`
        `<!-- <b>x</b>`
        `@someone #1 https://evil.example`
        `g\u{456}thub.com \u{202e}txt.exe`
        (nothing)
        (nothing)
        ");
        assert_eq!(code(&"x".repeat(1000)).len(), CUT + 5);
        assert!(code(&"\u{1f4a5}".repeat(1000)).len() < CUT + 20);
    }

    #[test]
    fn many_findings_hide_none_that_blocks() {
        // As long as it may be, and beginning like what is ours.
        let forged = "\n- **Found:** 0 stale-hash\n  0 stale-hash\n";
        let long = format!("{forged}{}", "\u{1f4a5}`".repeat(200));
        let found = |blocks: bool, rule: GateRule| Found {
            rule,
            level: rule.level().unwrap_or(Level::Error),
            what: rule.what(),
            remedy: rule.remedy(),
            blocks,
            name: long.clone(),
            drv: long.clone(),
            output: long.clone(),
            attribute: Some(long.clone()),
            position: Some(long.clone()),
            urls: vec![long.clone()],
            addresses: Vec::new(),
            waiver_url: Some(long.clone()),
            rev: Some(long.clone()),
            was: Some(long.clone()),
            is: Some(long.clone()),
            detail: Some(long.clone()),
            waived: None,
        };
        let mut findings = vec![found(true, GateRule::StaleHash)];
        let notes = std::iter::repeat_with(|| found(false, GateRule::ChangedHash));
        findings.extend(notes.take(1000));
        let waiver = ToldWaiver {
            rule: long.clone(),
            output: long.clone(),
            reason: long.clone(),
            expires: jiff::civil::date(2026, 1, 1),
            line: 1,
        };
        let gate = Gate {
            schema: "snowguard-fod-gate/1",
            passed: false,
            base: long.clone(),
            head: long.clone(),
            same: 0,
            removed: 0,
            changes: Vec::new(),
            findings,
            expired_waivers: Vec::new(),
            unused_waivers: vec![waiver; 100],
            verdicts: None,
            egress: None,
            gaps: vec![long.clone(); 100],
        };
        let summary = summary(&gate);
        assert!(summary.len() < 65_536, "{}", summary.len());
        assert!(summary.starts_with("## What this change fetches: 1 finding, not passed\n"));
        assert_eq!(summary.matches("**[stale-hash](").count(), 1);
        let shown = summary.matches("**[changed-hash](").count();
        // What was found is counted first, all of it, once, and by nobody else.
        let counted = "- **Found:** 1 stale-hash, 1,000 changed-hash";
        let told: Vec<&str> = summary
            .lines()
            .filter(|line| line.starts_with("- **Found:**"))
            .collect();
        assert_eq!(told, [counted]);
        assert!(summary.find(counted) < summary.find("**[stale-hash]("));
        let text = crate::fod::gate::gated(&gate, crate::text::Paint::new(false), 80);
        let told: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("  0 ") || line.starts_with("  1 "))
            .collect();
        assert_eq!(told, ["  1 stale-hash, 1,000 changed-hash"]);
        assert_eq!(text.lines().position(|line| line == told[0]), Some(2));
        assert!(shown > 5 && summary.contains(&format!("**{shown} of 1,000 are shown;")));
    }
}
