//! `snowguard explain`: the evidence in words, for or against, like a proof that fits on one screen.

use std::fmt::Write as _;

use super::paint::{Paint, number, row, wrap};
use super::scan::decision;
use crate::escape::line;
use crate::explain::{Explained, Explanation};
use crate::model::Evidence;
use crate::{triage, words};

/// How many records' words are shown before it says how many more there are.
const SHOWN: usize = 8;

/// Writes an explanation.
pub fn explain(explanation: &Explanation, paint: Paint, width: usize) -> String {
    let width = width.clamp(40, 100);
    let mut out = String::new();
    let _ = writeln!(out, "{}", paint.heading(&line(&explanation.id)));
    if let Some(title) = &explanation.title {
        wrap(&mut out, 2, &line(title), width);
    }
    let mut facts = Vec::new();
    if !explanation.aliases.is_empty() {
        facts.push(format!(
            "also {}",
            explanation
                .aliases
                .iter()
                .map(|a| line(a))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    if let Some(day) = explanation.published {
        facts.push(format!("published {day}"));
    }
    facts.push(line(&explanation.url).into_owned());
    for fact in facts {
        wrap(&mut out, 2, &fact, width);
    }
    if explanation.withdrawn {
        wrap(&mut out, 2, "Its author has withdrawn it.", width);
    }
    for package in &explanation.packages {
        let _ = writeln!(out);
        one(&mut out, package, paint, width);
    }
    if explanation.packages.is_empty() {
        let _ = writeln!(out, "\nNo package here is concerned.");
    }
    let nothing = |package: &Explained| package.status == "not concerned";
    if explanation.packages.iter().all(nothing) {
        let _ = writeln!(out, "\n{}", paint.heading("The advisory is about"));
        for about in explanation.about.iter().take(SHOWN) {
            wrap(&mut out, 2, &line(about), width);
        }
        if explanation.about.len() > SHOWN {
            let _ = writeln!(
                out,
                "  and {} more",
                number(explanation.about.len() - SHOWN)
            );
        }
    }
    out
}

fn one(out: &mut String, package: &Explained, paint: Paint, width: usize) {
    let verdict = match package.status {
        "affected" => "is affected",
        "needs_review" => "needs review",
        "patched" => "is patched here",
        "fixed" => "has the fix",
        "not_affected" => "is not affected",
        "not concerned" => "is not concerned",
        _ => "is another product",
    };
    let finding = package.finding.as_ref();
    let active = finding.and_then(|finding| finding.suppressed.as_ref());
    let name = format!("{} {}", line(&package.package), line(&package.version));
    let sentence = format!("{name} {verdict}: {}", line(&package.reason));
    let mut lines = String::new();
    wrap(&mut lines, 0, &sentence, width);
    // The name and the verdict are painted where they stand together on the first line.
    match lines.strip_prefix(&format!("{name} {verdict}")) {
        Some(rest) => {
            let _ = write!(
                out,
                "{} {}{rest}",
                paint.name(&name),
                paint.heading(verdict)
            );
        }
        None => out.push_str(&lines),
    }
    let told = finding.and_then(|finding| finding.triage.as_ref());
    if let Some(by) = active {
        // The tracker's own words follow.
        let is_told = told.is_some_and(|told| by.url.as_ref() == Some(&told.url));
        let text = if is_told {
            "Suppressed, so that scans do not count it.".to_owned()
        } else {
            let decision = decision(by);
            format!("Suppressed, so that scans do not count it: {decision}")
        };
        wrap(out, 2, &text, width);
    }
    if let Some(told) = told {
        wrap(out, 2, &line(&triage::sentences(told)), width);
        wrap(out, 2, &line(&told.url), width);
    }
    if let Some(by) = &package.expired {
        let day = by.expires.map_or(String::new(), |day| format!(" on {day}"));
        let text = format!(
            "A suppression expired{day}: {} ({})",
            line(&by.reason),
            line(&by.origin)
        );
        wrap(out, 2, &text, width);
    }
    if let Some(finding) = &package.finding {
        let mut facts = Vec::new();
        if let Some(severity) = &finding.severity {
            let score = severity
                .score
                .map_or(String::new(), |score| format!("{score:.1} "));
            let by = severity
                .cvss
                .map_or(String::new(), |cvss| format!(" (CVSS {cvss})"));
            let text = format!("{score}{}{by}", severity.rating);
            facts.push((text.clone(), paint.rating(severity.rating, &text)));
        }
        if let Some(exploited) = &finding.exploited {
            let since = exploited.since;
            facts.push((
                format!("exploited since {since}"),
                format!("{} since {since}", paint.exploited("exploited")),
            ));
        }
        if let Some(epss) = &finding.epss {
            let text = format!("EPSS {:.1} %", epss.probability * 100.0);
            facts.push((text.clone(), text));
        }
        if let Some(ssvc) = &finding.ssvc {
            let text = format!("SSVC exploitation: {}", ssvc.exploitation);
            facts.push((text.clone(), text));
        }
        if !facts.is_empty() {
            row(out, 2, &facts, width);
        }
    }
    if !package.evidence.is_empty() {
        let _ = writeln!(out, "\n  {}", paint.heading("Who says what"));
        for word in package.evidence.iter().take(SHOWN) {
            evidence(out, word, paint, width);
        }
        if package.evidence.len() > SHOWN {
            let _ = writeln!(
                out,
                "    and {} more records",
                number(package.evidence.len() - SHOWN)
            );
        }
    }
    if !package.strangers.is_empty() {
        let _ = writeln!(out, "\n  {}", paint.heading("Same name, other product"));
        for stranger in package.strangers.iter().take(SHOWN) {
            wrap(
                out,
                4,
                &format!(
                    "{} in {}: {}",
                    line(&stranger.product),
                    line(&stranger.record),
                    line(&stranger.why)
                ),
                width,
            );
        }
    }
    places(out, package, paint, width);
    patches(out, package, paint, width);
    if matches!(package.status, "affected" | "needs_review") {
        let _ = writeln!(out, "\n  {}", paint.heading("What to do"));
        let finding = package.finding.as_ref();
        let text = match finding.map(|f| (&f.fixed_in, &f.last_affected)) {
            _ if package.status == "needs_review" => {
                "Read the advisory and decide. If this version is not affected, a [[suppress]] entry in snowguard.toml keeps that. If it is about another product, a line `package not vendor:product # reason` in a file for --identities does.".to_owned()
            }
            Some((Some(version), _)) if package.inside => format!(
                "Update what contains it to a build with version {} or later.",
                line(version)
            ),
            Some((Some(version), _)) => format!("Update to {} or later.", line(version)),
            Some((None, Some(last))) => format!("Update to a version after {}, the last one affected.", line(last)),
            _ => "No record knows a fix.".to_owned(),
        };
        wrap(out, 4, &text, width);
    }
    if package.path.len() > 1 {
        let _ = writeln!(out, "\n  {}", paint.heading("How it gets in"));
        let path: Vec<_> = package.path.iter().map(|name| line(name)).collect();
        wrap(out, 4, &path.join(" → "), width);
    }
    if !package.identities.is_empty() {
        let _ = writeln!(
            out,
            "\n  {}",
            paint.heading("What the package is called elsewhere")
        );
    }
    for identity in package.identities.iter().take(SHOWN) {
        wrap(
            out,
            4,
            &format!("{}: {}", line(&identity.identity), line(&identity.reason)),
            width,
        );
    }
    if package.identities.len() > SHOWN {
        let _ = writeln!(
            out,
            "    and {} more names",
            number(package.identities.len() - SHOWN)
        );
    }
}

/// The files that declare it: which bytes or line, and who put them there.
fn places(out: &mut String, package: &Explained, paint: Paint, width: usize) {
    if !package.places.is_empty() {
        let _ = writeln!(out, "\n  {}", paint.heading("What declares it"));
    }
    for place in package.places.iter().take(SHOWN) {
        let what = match &place.inside {
            Some(host) => format!("{}, inside {}", line(&place.by), line(host)),
            None => format!("{}, of its own", line(&place.by)),
        };
        wrap(out, 4, &what, width);
        let span = words::span(place).map_or(String::new(), |span| format!(", {span}"));
        let location = words::location(place);
        wrap(out, 6, &format!("{}{span}", line(&location)), width);
        let need = match place.need {
            "build" => Some("for building only"),
            "development" => Some("for development only"),
            "optional" => Some("works without it"),
            _ => None,
        };
        if let Some(need) = need {
            wrap(out, 6, need, width);
        }
    }
    if package.places.len() > SHOWN {
        let _ = writeln!(
            out,
            "    and {} more places",
            number(package.places.len() - SHOWN)
        );
    }
    for other in &package.other_versions {
        let text = format!(
            "Its own bytes give another version, {}: {}",
            line(&other.version),
            line(&words::location(&other.place))
        );
        wrap(out, 4, &text, width);
    }
}

fn evidence(out: &mut String, word: &Evidence, paint: Paint, width: usize) {
    let by = match (&word.by, word.upstream) {
        (Some(by), true) => format!(" by {}, the project itself", line(by)),
        (Some(by), false) => format!(" by {}", line(by)),
        (None, true) => ", the project itself".to_owned(),
        (None, false) => String::new(),
    };
    let _ = writeln!(
        out,
        "    {}{}",
        paint.name(&line(&word.record)),
        paint.quiet(&format!("{by} ({})", line(&word.source)))
    );
    let order = if word.says == "unknown" {
        String::new()
    } else {
        format!(", by {}", word.order)
    };
    wrap(out, 6, &format!("{}{order}", line(&word.range)), width);
    let sure = if word.identity_sure {
        "is this package"
    } else {
        "may be this package"
    };
    wrap(
        out,
        6,
        &format!("{} {sure}: {}", line(&word.product), line(&word.identity)),
        width,
    );
}

fn patches(out: &mut String, package: &Explained, paint: Paint, width: usize) {
    let Some(finding) = &package.finding else {
        return;
    };
    if !matches!(package.status, "affected" | "needs_review" | "patched") {
        return;
    }
    // Patches of what contains it decide as far as they speak of it, and the reason says so.
    if package.inside {
        return;
    }
    let _ = writeln!(out, "\n  {}", paint.heading("What speaks against it"));
    if !package.patches_known {
        wrap(
            out,
            4,
            "its patches are unknown: no derivation of it was read",
            width,
        );
        return;
    }
    for patch in &finding.patches {
        let name = patch
            .name
            .as_deref()
            .map_or_else(|| "a build phase".into(), line);
        let all = if patch.builds >= patch.of {
            String::new()
        } else {
            format!(", in {} of its {} builds only", patch.builds, patch.of)
        };
        let text = match patch.proof {
            "upstream commit" => format!(
                "{name} is commit {}, which the advisory calls the fix{all}",
                &patch.detail[..12.min(patch.detail.len())]
            ),
            "header" => format!("the head of {name} speaks of {}{all}", patch.detail),
            "build phase" => format!("the build phases speak of {}{all}", patch.detail),
            _ => format!("{name} names {}{all}", patch.detail),
        };
        wrap(out, 4, &text, width);
    }
    if finding.patches.is_empty() {
        let text = match package.patches.len() {
            0 => "it has no patches".to_owned(),
            1 => format!("its patch {} names no advisory", line(&package.patches[0])),
            many => format!("none of its {many} patches names the advisory or is its fix"),
        };
        wrap(out, 4, &text, width);
    }
}
