//! Weighing claims: what holds, when several records speak of one component and one vulnerability.
//!
//! In order: an upstream's own word on the versions; then, among third parties, any word for
//! "affected"; then any for "not affected"; and if nobody can decide, review. A record that knows no
//! end of a range yields to one that names the end which this version has passed: it knows less.
//! A claim whose identity is not sure can only ask for review.

use std::cmp::Ordering;

use snowguard_advisory::order::{Doubt, Scheme, Version};
use snowguard_advisory::range::{Fix, Outside, Rule, Span};

use crate::claim::{Certainty, Claim, Outcome};
use crate::finding::{Decision, FixedIn, Status};

/// What the claims come to; none if they say nothing at all.
pub(crate) fn resolve(claims: &[Claim<'_>]) -> Option<(Status, Decision)> {
    let sure = || {
        claims
            .iter()
            .filter(|claim| claim.certainty == Certainty::Sure)
    };
    for upstream in [true, false] {
        let said = || sure().filter(|claim| claim.upstream == upstream);
        let passed = said().any(|claim| has_passed_the_end(&claim.outcome));
        if said()
            .any(|claim| claim.outcome.is_inside() && !(passed && knows_no_end(&claim.outcome)))
        {
            let decision = match (upstream, said().any(|claim| claim.outcome.is_outside())) {
                (true, _) => Decision::Upstream,
                (false, false) => Decision::Others,
                (false, true) => Decision::OthersDisagree,
            };
            return Some((Status::Affected, decision));
        }
        let outside = said().find(|claim| has_passed_the_end(&claim.outcome));
        if let Some(claim) = outside.or_else(|| said().find(|claim| claim.outcome.is_outside())) {
            let status = match claim.outcome {
                Outcome::Outside(Outside::Fixed(_) | Outside::After(_)) => Status::Fixed,
                _ => Status::NotAffected,
            };
            return Some((
                status,
                if upstream {
                    Decision::Upstream
                } else {
                    Decision::Others
                },
            ));
        }
        // An upstream that names no version leaves the word to others.
    }
    if sure().any(|claim| matches!(claim.outcome, Outcome::Together(_))) {
        return Some((Status::NeedsReview, Decision::Together));
    }
    let mut doubts: Vec<&Doubt> = sure()
        .filter_map(|claim| match &claim.outcome {
            Outcome::Unknown(doubt) => Some(doubt),
            _ => None,
        })
        .collect();
    doubts.sort_by_key(|doubt| weight(doubt));
    if let Some(doubt) = doubts.first() {
        return Some((Status::NeedsReview, Decision::Doubt((*doubt).clone())));
    }
    // Somebody's product of that name is affected in this version; whether it is this one, a person
    // must say.
    let unsure = claims
        .iter()
        .any(|claim| claim.certainty == Certainty::Unsure && claim.outcome.is_inside());
    unsure.then_some((Status::NeedsReview, Decision::Identity))
}

fn has_passed_the_end(outcome: &Outcome<'_>) -> bool {
    matches!(
        outcome,
        Outcome::Outside(Outside::Fixed(_) | Outside::After(_))
    )
}

fn knows_no_end(outcome: &Outcome<'_>) -> bool {
    matches!(outcome, Outcome::Inside { fix: Fix::Unknown, rule } if !matches!(rule, Some(Rule { span: Span::Exact(_), .. })))
}

/// The doubt that tells a reader most comes first.
fn weight(doubt: &Doubt) -> u8 {
    match doubt {
        Doubt::OrdersDisagree { .. } | Doubt::OtherSystem { .. } => 0,
        Doubt::Snapshot => 1,
        Doubt::FreeText { .. } => 2,
        Doubt::Undetermined | Doubt::NotLookedAt { .. } => 3,
        Doubt::Unversioned => 4,
        Doubt::OneLater => 5,
        Doubt::NoVersion => 6,
        Doubt::Commits => 7,
        Doubt::Distribution => 8,
    }
}

/// Where the affected range ends, by the claims that decided; the highest, which satisfies all.
pub(crate) fn fixed_in<'a>(claims: &[Claim<'a>]) -> FixedIn<'a> {
    let upstream = claims
        .iter()
        .any(|claim| claim.upstream && claim.outcome.is_inside());
    let fixes = claims
        .iter()
        .filter(|claim| claim.upstream == upstream)
        .filter_map(|claim| match claim.outcome {
            Outcome::Inside { fix, .. } => Some((fix, claim.scheme)),
            _ => None,
        });
    let mut best = FixedIn::Unknown;
    for (fix, scheme) in fixes {
        best = match (best, fix) {
            (best, Fix::Unknown) => best,
            (FixedIn::Version(known), Fix::In(version)) if !newer(version, known, scheme) => {
                FixedIn::Version(known)
            }
            (FixedIn::Version(known), Fix::After(last)) if !newer(last, known, scheme) => {
                FixedIn::Version(known)
            }
            (FixedIn::After(known), Fix::After(last)) if !newer(last, known, scheme) => {
                FixedIn::After(known)
            }
            (FixedIn::After(known), Fix::In(version)) if !newer(version, known, scheme) => {
                FixedIn::After(known)
            }
            (_, Fix::In(version)) => FixedIn::Version(version),
            (_, Fix::After(last)) => FixedIn::After(last),
        };
    }
    best
}

fn newer(a: &str, b: &str, scheme: Scheme) -> bool {
    Version::new(a)
        .compare(b, scheme)
        .is_ok_and(Ordering::is_gt)
}
