//! One package in full, and what was not looked at.

use std::fmt::Write as _;

use super::tell::{action_detail, action_text, decision, pad};
use super::{PLACES, View};
use crate::escape::line;
use crate::model::{Package, Report};
use crate::pattern::Pattern;
use crate::text::paint::{count, wrap};
use crate::{triage, words};

impl View<'_> {
    pub(super) fn component(&mut self, report: &Report, name: &str) {
        let pattern = Pattern::new(name);
        let mut found = false;
        for package in report.packages.iter().filter(|p| pattern.means_package(p)) {
            if found {
                let _ = writeln!(self.out);
            }
            found = true;
            self.package_line(package, &action_text(package.action.as_ref()));
            self.place(package);
            self.all_places(package);
            if let Some(text) = action_detail(package.action.as_ref()) {
                wrap(&mut self.out, 4, &text, self.width);
            }
            for text in &package.known_vulnerabilities {
                wrap(
                    &mut self.out,
                    4,
                    &format!("Nixpkgs marks it insecure: {}", line(text)),
                    self.width,
                );
            }
            for finding in &package.findings {
                let status = match (&finding.suppressed, finding.status) {
                    (Some(_), _) => "suppressed",
                    (None, "needs_review") => "review",
                    (None, status) => status,
                };
                let mark = if finding.exploited.is_some() {
                    let space = " ".repeat(13_usize.saturating_sub(status.len()));
                    format!("{space}{}", self.paint.exploited("exploited"))
                } else {
                    String::new()
                };
                let _ = writeln!(
                    self.out,
                    "    {}{}   {status}{mark}",
                    pad(&line(&finding.id), 20),
                    self.severity(finding, 14),
                );
                if let Some(by) = &finding.suppressed {
                    wrap(&mut self.out, 6, &decision(by), self.width);
                } else if finding.status != "affected" {
                    wrap(&mut self.out, 6, &line(&finding.reason), self.width);
                }
                if let Some(told) = &finding.triage {
                    self.quietly(6, &triage::sentences(told));
                    self.quietly(6, &told.url);
                }
            }
        }
        for component in report
            .not_looked_at
            .iter()
            .filter(|component| pattern.means(&component.name))
        {
            found = true;
            let name = format!("{} {}", line(&component.name), line(&component.version));
            let _ = writeln!(
                self.out,
                "  {}: not looked at, nothing but its name is known",
                self.paint.name(&name)
            );
        }
        if !found {
            let _ = writeln!(
                self.out,
                "  {}: nothing known to be affected, patched or to review",
                self.paint.name(&line(name))
            );
        }
    }

    /// Every place where bytes declare it, and what they say otherwise.
    fn all_places(&mut self, package: &Package) {
        let shown = if self.options.all || package.places.len() <= PLACES + 1 {
            package.places.len()
        } else {
            PLACES
        };
        // A single one that is inside of another is told already.
        let told = package.places.len() == 1 && package.inside;
        for place in package.places[..shown].iter().filter(|_| !told) {
            self.quietly(6, &words::inside(place));
        }
        if package.places.len() > shown {
            let more = count(package.places.len() - shown, "more place", "more places");
            self.quietly(6, &format!("and {more} (--all shows them)"));
        }
        for other in &package.other_versions {
            let text = format!(
                "Its own bytes give another version, {}: {}",
                other.version,
                words::inside(&other.place)
            );
            wrap(&mut self.out, 4, &line(&text), self.width);
        }
    }

    pub(super) fn not_looked_at(&mut self, report: &Report) {
        for component in &report.not_looked_at {
            let _ = writeln!(
                self.out,
                "{} {}",
                line(&component.name),
                line(&component.version)
            );
        }
        if report.not_looked_at.is_empty() {
            let _ = writeln!(self.out, "every package has a known identity");
        }
    }
}
