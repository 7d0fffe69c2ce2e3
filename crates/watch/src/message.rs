//! Changes as one message: grouped by package, the most pressing first, in words.
//!
//! Others' texts are made harmless here, once for every notifier.

use std::fmt::Write as _;

use snowguard_report::escape::line;

use crate::change::{Cause, Kind, Severity};
use crate::history::{Event, Told};
use crate::key::Key;
use crate::observation::Counts;

/// After so many packages a text says how many more there are.
const PACKAGES_SHOWN: usize = 40;
/// After so many findings of a package as well.
const FINDINGS_SHOWN: usize = 8;

/// What is told at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The same for the same changes.
    pub key: Key,
    /// The machine.
    pub host: String,
    /// The changes, in the order in which they were seen.
    pub changes: Vec<Event>,
}

/// Changes of one package that go the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<'m> {
    /// The target, where a message is about several.
    pub target: Option<&'m str>,
    /// The package.
    pub package: &'m str,
    /// The language whose module it is.
    pub language: Option<&'m str>,
    /// What to do.
    pub update_to: Option<&'m str>,
    /// The changes, the most pressing first.
    pub changes: Vec<&'m Event>,
    /// They ask for something to be done.
    pub alarm: bool,
}

impl Message {
    /// A message of changes; none where there are none.
    pub fn new(host: &str, changes: Vec<Event>) -> Option<Self> {
        if changes.is_empty() {
            return None;
        }
        Some(Self {
            key: Key::of_all(changes.iter().map(|event| &event.key)),
            host: host.to_owned(),
            changes,
        })
    }

    /// The worst severity of what is new.
    pub fn severity(&self) -> Severity {
        let severities = self.alarms().map(|event| event.told.severity);
        severities.max().unwrap_or_default()
    }

    /// Whether something new is known to be exploited.
    pub fn exploited(&self) -> bool {
        self.alarms().any(|event| event.told.exploited)
    }

    /// Whether something has to be done.
    pub fn is_alarm(&self) -> bool {
        self.alarms().next().is_some()
    }

    /// The changes by package, alarms and the most pressing first.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let several = self
            .changes
            .iter()
            .any(|event| event.told.target != self.changes[0].told.target);
        for event in &self.changes {
            let told = &event.told;
            let Some(package) = told.package.as_deref() else {
                continue;
            };
            let target = several.then_some(told.target.as_str());
            let (language, alarm) = (told.language.as_deref(), told.kind.is_alarm());
            let same = groups.iter_mut().find(|group| {
                group.package == package
                    && group.language == language
                    && group.target == target
                    && group.alarm == alarm
            });
            match same {
                Some(group) => group.changes.push(event),
                None => groups.push(Group {
                    target,
                    package,
                    language,
                    update_to: told.update_to.as_deref(),
                    changes: vec![event],
                    alarm,
                }),
            }
        }
        for group in &mut groups {
            group
                .changes
                .sort_by_key(|event| std::cmp::Reverse(rank(&event.told)));
        }
        groups.sort_by_key(|group| {
            let worst = group.changes.first().map(|event| rank(&event.told));
            std::cmp::Reverse((group.alarm, worst))
        });
        groups
    }

    /// One line: what it is about.
    pub fn headline(&self) -> String {
        let alarms = self.alarms().count();
        let gone = self
            .changes
            .iter()
            .filter(|event| event.told.kind.is_end())
            .count();
        let mut parts = Vec::new();
        if alarms > 0 {
            let exploited = self.alarms().filter(|event| event.told.exploited).count();
            let mut text = counted(alarms, "new finding", "new findings");
            if exploited > 0 {
                let _ = write!(text, ", {exploited} exploited");
            }
            parts.push(text);
        }
        if gone > 0 {
            parts.push(counted(gone, "finding gone", "findings gone"));
        }
        for event in &self.changes {
            match event.told.kind {
                Kind::Baseline => {
                    let counts = event.told.counts.unwrap_or_default();
                    let affected = usize::try_from(counts.affected).unwrap_or(usize::MAX);
                    parts.push(format!(
                        "{} in {}",
                        counted(affected, "open finding", "open findings"),
                        line(&event.told.target)
                    ));
                }
                Kind::ScanFailing => {
                    parts.push(format!("scans of {} fail", line(&event.told.target)));
                }
                Kind::ScanWorking => {
                    parts.push(format!("scans of {} work again", line(&event.told.target)));
                }
                _ => {}
            }
        }
        let more = parts.len().saturating_sub(4);
        parts.truncate(4);
        if more > 0 {
            parts.push(format!("{more} more"));
        }
        format!("{}: {}", line(&self.host), parts.join("; "))
    }

    /// The whole, for a person, in 80 columns as far as names allow.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for event in &self.changes {
            general(&mut text, &event.told);
        }
        let groups = self.groups();
        for (heading, alarm) in [("NEW", true), ("GONE", false)] {
            let of: Vec<&Group<'_>> = groups.iter().filter(|group| group.alarm == alarm).collect();
            if of.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{heading}");
            for group in of.iter().take(PACKAGES_SHOWN) {
                group.write(&mut text);
            }
            if of.len() > PACKAGES_SHOWN {
                let more = counted(of.len() - PACKAGES_SHOWN, "package", "packages");
                let _ = writeln!(text, "  and {more} more");
            }
        }
        text
    }

    fn alarms(&self) -> impl Iterator<Item = &Event> {
        self.changes
            .iter()
            .filter(|event| event.told.kind.is_alarm())
    }
}

impl Group<'_> {
    /// The package with its versions.
    pub fn name(&self) -> String {
        let mut name = line(self.package).into_owned();
        if let Some(language) = self.language {
            let _ = write!(name, " ({})", line(language));
        }
        if let Some(first) = self.changes.first() {
            for version in &first.told.versions {
                let _ = write!(name, " {}", line(version));
            }
        }
        name
    }

    /// What to do about it.
    pub fn action(&self) -> String {
        match self.update_to {
            Some(version) => format!("update to {} or later", line(version)),
            None if self.alarm => "no fixed version is known".to_owned(),
            None => String::new(),
        }
    }

    fn write(&self, text: &mut String) {
        let (name, action) = (self.name(), self.action());
        let target = self
            .target
            .map_or(String::new(), |target| format!(" in {}", line(target)));
        if action.is_empty() || !self.alarm {
            let _ = writeln!(text, "  {name}{target}");
        } else {
            let _ = writeln!(text, "  {name}{target}: {action}");
        }
        for event in self.changes.iter().take(FINDINGS_SHOWN) {
            let told = &event.told;
            let id = told.advisory.as_deref().unwrap_or_default();
            let mut facts = vec![severity(told)];
            if told.exploited {
                facts.push("exploited".to_owned());
            }
            facts.push(why(told).to_owned());
            let _ = writeln!(text, "    {}  {}", line(id), facts.join(", "));
        }
        if self.changes.len() > FINDINGS_SHOWN {
            let more = self.changes.len() - FINDINGS_SHOWN;
            let _ = writeln!(text, "    and {more} more");
        }
    }
}

/// What happened and why, in words.
pub fn why(told: &Told) -> &'static str {
    match (told.kind, told.cause) {
        (Kind::Opened, Some(Cause::Advisories)) => "new advisory",
        (Kind::Opened, Some(Cause::System)) => "came with the system's new version of it",
        (Kind::Opened, Some(Cause::Decision)) => "no decision covers it any more",
        (Kind::Opened, _) => "new; both the system and the advisories changed",
        (Kind::Reopened, Some(Cause::Advisories)) => "back: an advisory changed",
        (Kind::Reopened, Some(Cause::System)) => "back with the system's new version of it",
        (Kind::Reopened, Some(Cause::Decision)) => "back: no decision covers it any more",
        (Kind::Reopened, _) => "back; both the system and the advisories changed",
        (Kind::ToReview, _) => "needs review",
        (Kind::Exploited, _) => "now known to be exploited",
        (Kind::Worse, _) => "the severity rose",
        (Kind::Fixed, Some(Cause::System)) => "fixed: the system changed",
        (Kind::Fixed, Some(Cause::Decision)) => "gone: the settings changed",
        (Kind::Fixed, _) => "gone; both the system and the advisories changed",
        (Kind::Withdrawn, _) => "the advisory was withdrawn or corrected",
        (Kind::Suppressed, _) => "suppressed by a decision",
        (Kind::Baseline, _) => "first scan",
        (Kind::ScanFailing, _) => "scans fail",
        (Kind::ScanWorking, _) => "scans work again",
    }
}

/// Counts in words: `2 exploited, 11 critical or high, 24 other`.
pub fn counts(counts: &Counts) -> String {
    let mut parts = Vec::new();
    let severe = counts.critical + counts.high;
    let other = counts.affected.saturating_sub(severe);
    for (count, what) in [
        (counts.exploited, "exploited"),
        (severe, "critical or high"),
        (other, "other"),
        (counts.needs_review, "to review"),
        (counts.patched, "patched here"),
        (counts.suppressed, "suppressed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if parts.is_empty() {
        parts.push("nothing open".to_owned());
    }
    parts.join(", ")
}

fn general(text: &mut String, told: &Told) {
    let target = line(&told.target);
    match told.kind {
        Kind::Baseline => {
            let title = told.title.as_deref().unwrap_or_default();
            let sums = counts(&told.counts.unwrap_or_default());
            let _ = writeln!(text, "{target} ({}): {sums}", line(title));
            let _ = writeln!(text, "From now on, only changes are told.");
        }
        Kind::ScanFailing => {
            let reason = told.reason.as_deref().unwrap_or_default();
            let _ = writeln!(text, "Scans of {target} fail: {}", line(reason));
            let _ = writeln!(text, "Findings are as the last scan that worked left them.");
        }
        Kind::ScanWorking => {
            let _ = writeln!(text, "Scans of {target} work again.");
        }
        _ => {}
    }
}

fn severity(told: &Told) -> String {
    match told.score {
        Some(score) => format!("{score:.1} {}", told.severity.as_str()),
        None => told.severity.as_str().to_owned(),
    }
}

fn rank(told: &Told) -> (bool, Severity) {
    (told.exploited, told.severity)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::policy::tests::told;

    fn event(seq: i64, told: Told) -> Event {
        Event {
            seq,
            key: Key::of([seq.to_string().as_str()]),
            at: Timestamp::UNIX_EPOCH,
            told,
        }
    }

    #[test]
    fn changes_are_grouped_and_ranked() {
        let mut sudo = told(Kind::Fixed, Severity::High, false);
        sudo.package = Some("sudo\u{1b}[31m".into());
        sudo.cause = Some(Cause::System);
        let message = Message::new(
            "tern",
            vec![
                event(1, sudo),
                event(2, told(Kind::Opened, Severity::Medium, false)),
                event(3, told(Kind::Opened, Severity::High, true)),
            ],
        )
        .unwrap();
        insta::assert_snapshot!(message.headline(), @"tern: 2 new findings, 1 exploited; 1 finding gone");
        insta::assert_snapshot!(message.text(), @r"
        NEW
          openssl 1.1.1g: update to 1.1.1za or later
            CVE-2026-1  high, exploited, new advisory
            CVE-2026-1  medium, new advisory

        GONE
          sudo\u{1b}[31m 1.1.1g
            CVE-2026-1  high, fixed: the system changed
        ");
        assert!(message.exploited() && message.severity() == Severity::High);
    }

    #[test]
    fn a_first_scan_is_one_summary() {
        let mut first = told(Kind::Baseline, Severity::High, true);
        first.package = None;
        first.title = Some("nixos-system".into());
        first.counts = Some(Counts {
            affected: 700,
            exploited: 3,
            critical: 2,
            high: 9,
            ..Counts::default()
        });
        let mut failing = told(Kind::ScanFailing, Severity::Unrated, false);
        failing.package = None;
        failing.reason = Some("the scan took longer than 30m".into());
        let message = Message::new("tern", vec![event(1, first), event(2, failing)]).unwrap();
        insta::assert_snapshot!(message.headline(), @"tern: 700 open findings in system; scans of system fail");
        insta::assert_snapshot!(message.text(), @r"
        system (nixos-system): 3 exploited, 11 critical or high, 689 other
        From now on, only changes are told.
        Scans of system fail: the scan took longer than 30m
        Findings are as the last scan that worked left them.
        ");
    }

    #[test]
    fn a_wave_is_cut() {
        let changes = (0..200)
            .map(|n| {
                let mut told = told(Kind::Opened, Severity::High, false);
                told.package = Some(format!("package-{}", n / 2));
                event(n, told)
            })
            .collect();
        let text = Message::new("tern", changes).unwrap().text();
        assert!(text.ends_with("  and 60 packages more\n"), "{text}");
    }
}
