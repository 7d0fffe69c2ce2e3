//! What was found in the versions of a package, joined over channels by advisory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use snowguard_advisory::id::CveId;
use snowguard_advisory::index::{Corrupt, VulnerabilityView};
use snowguard_advisory::severity::Severity;
use snowguard_matching::{Certainty, Decision, Finding, FixedIn, Matcher, Options, Status};
use snowguard_report::action::{Held, Point, action, compare};
use snowguard_report::model::Action;

use super::{Changed, Found, Hit, InChannel, Outcome, Package, Rematch};
use crate::evidence::{Build, Evidence, MAX_ATTRIBUTES, MAX_SAID, Said};
use crate::memory::target_of;
use crate::rank::Weights;
use crate::state::State;

/// Of how many versions the update is looked for.
const MAX_UPDATES: usize = 4;
/// How many versions of one channel are told.
const MAX_VERSIONS: usize = 8;

pub(super) fn join(
    rematch: &Rematch<'_, '_>,
    package: &Package,
    hits: &[Hit<'_>],
    only: Option<&Changed<'_>>,
) -> Result<Found, Corrupt> {
    let mut by_advisory: BTreeMap<&str, Vec<(&Hit<'_>, &Finding<'_>)>> = BTreeMap::new();
    for hit in hits {
        let told = |finding: &&Finding<'_>| {
            only.is_none_or(|only| only.vulnerabilities.contains(&finding.vulnerability))
        };
        for finding in hit.findings.iter().filter(told) {
            by_advisory
                .entry(finding.id)
                .or_default()
                .push((hit, finding));
        }
    }
    let mut found = Found::default();
    for (advisory, members) in by_advisory {
        let is_open = members
            .iter()
            .any(|(_, finding)| finding.status <= Status::Patched);
        if is_open || (rematch.stored)(package.id, advisory).is_some() {
            found
                .outcomes
                .push(outcome(rematch, package, advisory, &members)?);
        }
    }
    found.action = update(rematch, package, hits)?;
    Ok(found)
}

fn outcome(
    rematch: &Rematch<'_, '_>,
    package: &Package,
    advisory: &str,
    members: &[(&Hit<'_>, &Finding<'_>)],
) -> Result<Outcome, Corrupt> {
    let mut builds: Vec<Build> = members
        .iter()
        .map(|(hit, finding)| build(rematch, hit, finding))
        .collect();
    builds.sort_by(|a, b| (a.status, &a.version).cmp(&(b.status, &b.version)));
    let channels = channels(&builds);
    let affected = channels
        .iter()
        .filter(|channel| channel.status <= Status::NeedsReview)
        .count();
    let mut evidence = Evidence {
        builds,
        marked: Vec::new(),
    };
    let status = evidence.status();
    let view = match members.first() {
        Some((_, finding)) => Some(rematch.index.vulnerability(finding.vulnerability)?),
        None => None,
    };
    if let Some(view) = &view {
        evidence.marked = marked(view, members);
    }
    Ok(Outcome {
        advisory: advisory.to_owned(),
        status,
        is_sure: members
            .iter()
            .flat_map(|(_, finding)| &finding.claims)
            .any(|claim| claim.certainty == Certainty::Sure),
        weights: Weights {
            dependents: package.dependents,
            channels: u32::try_from(affected).unwrap_or(u32::MAX),
            status: Some(status),
            marked: !evidence.marked.is_empty(),
            ..view.as_ref().map(weights).unwrap_or_default()
        },
        channels,
        evidence,
    })
}

fn build(rematch: &Rematch<'_, '_>, hit: &Hit<'_>, finding: &Finding<'_>) -> Build {
    let (fixed_in, last_affected) = match finding.fixed_in {
        FixedIn::Version(version) => (Some(version.to_owned()), None),
        FixedIn::After(version) => (None, Some(version.to_owned())),
        FixedIn::Unknown => (None, None),
    };
    let attributes = hit.component.attrs.iter().take(MAX_ATTRIBUTES);
    // What is said of versions that are not affected is not kept: there are very many.
    let most = if finding.status <= Status::Patched {
        MAX_SAID
    } else {
        0
    };
    let said = finding.claims.iter().take(most).map(|claim| {
        let words = snowguard_report::evidence(claim, &rematch.sources);
        Said::new(words, target_of(claim.product))
    });
    Build {
        version: hit.component.version.to_string(),
        attributes: attributes.map(ToString::to_string).collect(),
        channels: hit.channels.to_vec(),
        status: finding.status,
        reason: snowguard_report::reason(finding),
        fixed_in,
        last_affected,
        said: said.collect(),
        patches: finding
            .proofs
            .iter()
            .map(|proof| snowguard_report::patch(proof).into())
            .collect(),
    }
}

/// Channel by channel; the builds are sorted, the worst first.
fn channels(builds: &[Build]) -> Vec<InChannel> {
    let mut channels: BTreeMap<i64, InChannel> = BTreeMap::new();
    for build in builds {
        for &channel in &build.channels {
            let known = channels.entry(channel).or_insert_with(|| InChannel {
                channel,
                status: build.status,
                versions: Vec::new(),
            });
            if known.status == build.status
                && known.versions.len() < MAX_VERSIONS
                && !known.versions.contains(&build.version)
            {
                known.versions.push(build.version.clone());
            }
        }
    }
    channels.into_values().collect()
}

fn weights(view: &VulnerabilityView<'_>) -> Weights {
    let severity = view.severity();
    Weights {
        exploited: view.exploited.map(|exploited| exploited.since),
        ransomware: view.exploited.is_some_and(|exploited| exploited.ransomware),
        exploitation: view.ssvc.map(|ssvc| ssvc.exploitation),
        epss: view.epss.map(|epss| epss.probability),
        score: severity.and_then(|severity| match severity {
            Severity::Vector(vector) => Some(vector.score().tenths().into()),
            Severity::Word(_) => None,
        }),
        rating: severity.map(Severity::rating),
        published: view.published,
        ..Weights::default()
    }
}

/// What Nixpkgs itself says of the advisory, under any of its names and in whatever text around it.
fn marked(view: &VulnerabilityView<'_>, members: &[(&Hit<'_>, &Finding<'_>)]) -> Vec<String> {
    let cve: Option<CveId> = view.id.parse().ok();
    let names_it = |text: &str| {
        cve.is_some_and(|cve| CveId::find_all(text).contains(&cve))
            || std::iter::once(&view.id)
                .chain(&view.aliases)
                .any(|name| is_word_in(name, text))
    };
    let mut texts: Vec<String> = Vec::new();
    for (hit, finding) in members {
        if finding.status > Status::NeedsReview {
            continue;
        }
        for text in &hit.component.known_vulnerabilities {
            if names_it(text) && !texts.iter().any(|known| **known == **text) {
                texts.push(text.to_string());
            }
        }
    }
    texts
}

/// Whether a name stands in a text, and not as the beginning of a longer one.
fn is_word_in(name: &str, text: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}

/// The update that mends the most. Each of the versions with the most findings has its own; what is said of
/// the package is the newest of these, since an update for one line is none for those who are past it.
fn update(
    rematch: &Rematch<'_, '_>,
    package: &Package,
    hits: &[Hit<'_>],
) -> Result<Option<Action>, Corrupt> {
    let affected = |hit: &Hit<'_>| {
        let of_hit = hit.findings.iter();
        of_hit
            .filter(|finding| finding.status == Status::Affected)
            .count()
    };
    let mut most: Vec<(usize, &Hit<'_>)> = hits
        .iter()
        .map(|hit| (affected(hit), hit))
        .filter(|(count, _)| *count > 0)
        .collect();
    most.sort_by_key(|(count, _)| Reverse(*count));
    let mut best: Option<Action> = None;
    for (_, hit) in most.into_iter().take(MAX_UPDATES) {
        let Some(action) = update_of(rematch, package, hit)? else {
            continue;
        };
        let is_newer = match (&best, &action.update_to) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(best), Some(version)) => best
                .update_to
                .as_ref()
                .is_none_or(|best| compare(version, best).is_gt()),
        };
        if is_newer {
            best = Some(action);
        }
    }
    Ok(best)
}

/// The update of one version that mends the most of its findings.
fn update_of(
    rematch: &Rematch<'_, '_>,
    package: &Package,
    hit: &Hit<'_>,
) -> Result<Option<Action>, Corrupt> {
    let is_settled = |id: &str| {
        matches!(
            (rematch.stored)(package.id, id),
            Some(State::NotAffected { .. } | State::Duplicate { .. } | State::WontFix)
        )
    };
    let mut points = Vec::new();
    for finding in &hit.findings {
        if finding.status == Status::Affected && !is_settled(finding.id) {
            let view = rematch.index.vulnerability(finding.vulnerability)?;
            points.push(Point {
                id: finding.id,
                fix: finding.fixed_in.into(),
                exploited: view.exploited.is_some(),
            });
        }
    }
    let matcher = Matcher::new(rematch.index, hit.table, Options::default());
    let present: BTreeMap<&str, &Finding<'_>> = hit
        .findings
        .iter()
        .filter(|finding| finding.status <= Status::Patched)
        .map(|finding| (finding.id, finding))
        .collect();
    action(&hit.component.version, &points, |version| {
        let held = matcher.in_version(&hit.findings, version)?;
        Ok(held
            .into_iter()
            .filter(|held| !is_settled(held.id))
            .map(|held| {
                let present = present.get(held.id);
                let is_weighed_down = present.is_some_and(|finding| {
                    use Decision::{OtherCopies, PatchedAround, Weak};
                    matches!(
                        finding.decision,
                        Weak(_) | PatchedAround { .. } | OtherCopies(_)
                    )
                });
                Held {
                    id: held.id,
                    is_sure: held.is_sure && !is_weighed_down,
                    is_new: present.is_none(),
                    fix: held.fixed_in.into(),
                }
            })
            .collect())
    })
}
