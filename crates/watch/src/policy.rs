//! Which changes a notifier tells.

use serde::{Deserialize, Serialize};

use crate::change::{Kind, Severity};
use crate::duration::Length;
use crate::history::Told;

/// What one notifier tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch in the settings"
)]
pub struct Policy {
    /// The least severity.
    pub min_severity: Severity,
    /// Tells what is known to be exploited whatever its severity.
    pub exploited_always: bool,
    /// Tells what no source has rated: it may be as bad as anything.
    pub unrated: bool,
    /// Tells what needs review.
    pub review: bool,
    /// Tells what is fixed, withdrawn or suppressed.
    pub resolved: bool,
    /// Tells that scans fail, and that they work again.
    pub failures: bool,
    /// Gathers changes for so long after a message before the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most_every: Option<Length>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_severity: Severity::Medium,
            exploited_always: true,
            unrated: true,
            review: false,
            resolved: true,
            failures: true,
            at_most_every: None,
        }
    }
}

impl Policy {
    /// Everything: what a machine reads, a machine can choose from.
    pub fn everything() -> Self {
        Self {
            min_severity: Severity::Unrated,
            review: true,
            ..Self::default()
        }
    }

    /// Whether a change is told.
    pub fn wants(&self, told: &Told) -> bool {
        match told.kind {
            Kind::Baseline => true,
            Kind::ScanFailing | Kind::ScanWorking => self.failures,
            Kind::ToReview if !self.review => false,
            kind if kind.is_end() && !self.resolved => false,
            // Of what nobody was told, nobody is told that it is over.
            kind if kind.is_end() && told.only_review && !self.review => false,
            _ if told.exploited && self.exploited_always => true,
            _ if told.severity == Severity::Unrated => self.unrated,
            _ => told.severity >= self.min_severity,
        }
    }

    /// Whether a change is told at once, though others are gathered.
    pub fn is_urgent(&self, told: &Told) -> bool {
        self.at_most_every.is_none()
            || (self.exploited_always && told.exploited && told.kind.is_alarm())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::change::Cause;

    /// A change of `openssl`.
    pub(crate) fn told(kind: Kind, severity: Severity, exploited: bool) -> Told {
        serde_json::from_value(serde_json::json!({
            "kind": kind, "cause": Cause::Advisories, "target": "system", "advisory": "CVE-2026-1",
            "package": "openssl", "versions": ["1.1.1g"], "severity": severity,
            "exploited": exploited, "update_to": "1.1.1za",
        }))
        .unwrap()
    }

    #[test]
    fn by_severity() {
        let policy = Policy {
            min_severity: Severity::High,
            ..Policy::default()
        };
        let wants = |severity, exploited| policy.wants(&told(Kind::Opened, severity, exploited));
        assert!(wants(Severity::Critical, false) && wants(Severity::High, false));
        assert!(!wants(Severity::Medium, false));
        assert!(wants(Severity::Low, true));
        assert!(wants(Severity::Unrated, false));
    }

    #[test]
    fn the_end_of_what_was_only_to_review() {
        let mut end = told(Kind::Fixed, Severity::Critical, true);
        end.only_review = true;
        assert!(!Policy::default().wants(&end) && Policy::everything().wants(&end));
        end.only_review = false;
        assert!(Policy::default().wants(&end));
    }

    #[test]
    fn by_kind() {
        let quiet = Policy {
            resolved: false,
            failures: false,
            ..Policy::default()
        };
        for kind in [
            Kind::Fixed,
            Kind::Withdrawn,
            Kind::Suppressed,
            Kind::ScanFailing,
            Kind::ToReview,
        ] {
            assert!(
                !quiet.wants(&told(kind, Severity::Critical, true)),
                "{kind:?}"
            );
            assert!(
                Policy::everything().wants(&told(kind, Severity::Low, false)),
                "{kind:?}"
            );
        }
        assert!(quiet.wants(&told(Kind::Baseline, Severity::Unrated, false)));
    }
}
