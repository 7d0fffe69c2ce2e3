//! What counts, and what comes first: states of findings, their number, and how pressing they are.

use snowguard_advisory::severity::Rating;
use snowguard_matching::Status;

use crate::model::{Finding, Package, Summary};

/// Whether a finding is open: neither patched nor decided by a person.
pub(crate) fn is_open(finding: &Finding) -> bool {
    finding.suppressed.is_none() && finding.status != Status::Patched.as_str()
}

/// Whether a finding stands: the version is in range, and nobody decided otherwise.
pub(crate) fn is_affected(finding: &Finding) -> bool {
    finding.suppressed.is_none() && finding.status == Status::Affected.as_str()
}

/// Adds the findings of a package to a summary.
pub(crate) fn count(summary: &mut Summary, package: &Package) {
    for finding in &package.findings {
        if finding.suppressed.is_some() {
            summary.suppressed += 1;
        } else if finding.status == Status::Patched.as_str() {
            summary.patched += 1;
        } else if finding.status == Status::NeedsReview.as_str() {
            summary.needs_review += 1;
        } else {
            summary.affected += 1;
            summary.exploited += usize::from(finding.exploited.is_some());
            match finding.severity.as_ref().map(|severity| severity.rating) {
                Some("critical") => summary.critical += 1,
                Some("high") => summary.high += 1,
                Some("medium") => summary.medium += 1,
                Some(_) => summary.low += 1,
                None => summary.unrated += 1,
            }
        }
    }
    summary.affected_packages += usize::from(package.findings.iter().any(is_affected));
}

/// How pressing a finding is: open before closed, exploited before all, then by severity.
pub(crate) fn urgency(finding: &Finding) -> (bool, bool, bool, u8, u16, u32) {
    let rating = finding
        .severity
        .as_ref()
        .and_then(|s| Rating::from_word(s.rating))
        .map_or(0, |rating| 1 + rating as u8);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "scores are 0 to 10, shares 0 to 1"
    )]
    let (score, epss) = (
        finding
            .severity
            .as_ref()
            .and_then(|s| s.score)
            .map_or(0, |score| (score * 10.0) as u16),
        finding
            .epss
            .as_ref()
            .map_or(0, |epss| (epss.probability * 1e6) as u32),
    );
    (
        is_open(finding),
        is_affected(finding),
        finding.exploited.is_some(),
        rating,
        score,
        epss,
    )
}

/// How pressing a package is: by its most pressing finding, then by how many depend on it.
pub(crate) fn rank(package: &Package) -> ((bool, bool, bool, u8, u16, u32), usize) {
    (
        package.findings.first().map(urgency).unwrap_or_default(),
        package.dependents,
    )
}
