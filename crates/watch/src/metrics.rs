//! Numbers for Prometheus, in its text format 0.0.4.
//!
//! Source of the format: "Exposition formats" in the documentation of Prometheus.

use std::fmt::Write as _;

use crate::history::{HistoryError, Reading, Target};

/// The media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a history.
pub fn render(history: &Reading, version: &str) -> Result<String, HistoryError> {
    let targets = history.targets()?;
    let mut text = Text::default();
    text.family(
        "snowguard_build_info",
        "gauge",
        "The version of snowguardd.",
    );
    text.sample("snowguard_build_info", &[("version", version)], 1);
    text.family(
        "snowguard_changes_total",
        "counter",
        "Changes that were recorded.",
    );
    let changes = history.last_event()?;
    text.sample("snowguard_changes_total", &[], changes);
    text.findings(&targets);
    text.scans(&targets, |target| history.scans(target))?;
    text.advisories(&targets);
    Ok(text.text)
}

#[derive(Default)]
struct Text {
    text: String,
}

impl Text {
    fn findings(&mut self, targets: &[Target]) {
        let name = "snowguard_findings";
        self.family(name, "gauge", "Affected and not suppressed, by severity.");
        for (target, last) in worked(targets) {
            let counts = &last.counts;
            for (severity, count) in [
                ("critical", counts.critical),
                ("high", counts.high),
                ("medium", counts.medium),
                ("low", counts.low),
                ("unrated", counts.unrated),
            ] {
                self.sample(
                    name,
                    &[("target", &target.name), ("severity", severity)],
                    count,
                );
            }
        }
        type Pick = fn(&crate::observation::Counts) -> u64;
        let others: [(&str, &str, Pick); 4] = [
            (
                "snowguard_findings_exploited",
                "Affected and known to be exploited.",
                |c| c.exploited,
            ),
            (
                "snowguard_findings_needs_review",
                "Nobody can decide.",
                |c| c.needs_review,
            ),
            (
                "snowguard_findings_patched",
                "Affected but for a patch.",
                |c| c.patched,
            ),
            (
                "snowguard_findings_suppressed",
                "With a decision of a person.",
                |c| c.suppressed,
            ),
        ];
        for (name, help, pick) in others {
            self.family(name, "gauge", help);
            for (target, last) in worked(targets) {
                self.sample(name, &[("target", &target.name)], pick(&last.counts));
            }
        }
        self.family(
            "snowguard_components",
            "gauge",
            "Packages in different versions.",
        );
        for (target, last) in worked(targets) {
            self.sample(
                "snowguard_components",
                &[("target", &target.name)],
                last.components,
            );
        }
    }

    fn scans(
        &mut self,
        targets: &[Target],
        scans: impl Fn(&Target) -> Result<(u64, u64), HistoryError>,
    ) -> Result<(), HistoryError> {
        let name = "snowguard_scans_total";
        self.family(
            name,
            "counter",
            "Scans; failed ones are forgotten after 90 days.",
        );
        for target in targets {
            let (ok, failed) = scans(target)?;
            self.sample(name, &[("target", &target.name), ("outcome", "ok")], ok);
            self.sample(
                name,
                &[("target", &target.name), ("outcome", "failed")],
                failed,
            );
        }
        let name = "snowguard_scan_failures_in_a_row";
        self.family(
            name,
            "gauge",
            "Scans that failed since the last that worked.",
        );
        for target in targets {
            let times = target.failing.as_ref().map_or(0, |failing| failing.times);
            self.sample(name, &[("target", &target.name)], times);
        }
        let name = "snowguard_scan_last_success_timestamp_seconds";
        self.family(name, "gauge", "When the last scan that worked ended.");
        for (target, last) in worked(targets) {
            self.sample(name, &[("target", &target.name)], last.finished.as_second());
        }
        let name = "snowguard_scan_last_duration_seconds";
        self.family(name, "gauge", "How long the last scan that worked took.");
        for (target, last) in worked(targets) {
            let seconds = last.finished.as_second() - last.started.as_second();
            self.sample(name, &[("target", &target.name)], seconds);
        }
        let name = "snowguard_scan_knew_less";
        self.family(
            name,
            "gauge",
            "1 if the last scan had fewer or older advisories than before, or could look into less.",
        );
        for (target, last) in worked(targets) {
            self.sample(name, &[("target", &target.name)], u8::from(last.blind));
        }
        Ok(())
    }

    fn advisories(&mut self, targets: &[Target]) {
        let name = "snowguard_advisories_vulnerabilities";
        self.family(
            name,
            "gauge",
            "Vulnerabilities that the index of the last scan knows.",
        );
        for (target, last) in worked(targets) {
            let count = last.knowledge.vulnerabilities;
            self.sample(name, &[("target", &target.name)], count);
        }
        let name = "snowguard_advisories_newest_timestamp_seconds";
        self.family(
            name,
            "gauge",
            "The newest day in the records of each source.",
        );
        for (target, last) in worked(targets) {
            for source in &last.knowledge.sources {
                let day = source.newest.as_deref().and_then(|day| day.parse().ok());
                let Some(time) = day.and_then(midnight) else {
                    continue;
                };
                let labels = [("target", target.name.as_str()), ("source", &source.name)];
                self.sample(name, &labels, time);
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn worked(targets: &[Target]) -> impl Iterator<Item = (&Target, &crate::history::Scan)> {
    targets
        .iter()
        .filter_map(|target| Some((target, target.last.as_ref()?)))
}

fn midnight(day: jiff::civil::Date) -> Option<i64> {
    let zoned = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
