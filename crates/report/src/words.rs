//! Sentences that several faces say, each in one place.

use crate::model::{Exploited, Finding, Patch, Severity};

/// What to do about one finding, as a sentence.
pub(crate) fn fix(finding: &Finding) -> String {
    match (&finding.fixed_in, &finding.last_affected) {
        (Some(version), _) => format!("Update to {version} or later."),
        (None, Some(version)) => {
            format!("Update to a version newer than {version}, the last that is named as affected.")
        }
        (None, None) => "No fix is known.".into(),
    }
}

/// The severity with its score: `critical 9.8`, `high`, `unrated`.
pub(crate) fn severity(severity: Option<&Severity>) -> String {
    match severity {
        None => "unrated".into(),
        Some(Severity {
            rating,
            score: Some(score),
            ..
        }) => format!("{rating} {score:.1}"),
        Some(severity) => severity.rating.into(),
    }
}

/// Since when it is known to be exploited, as a clause.
pub(crate) fn exploited(exploited: &Exploited) -> String {
    let ransomware = if exploited.ransomware {
        ", also by ransomware"
    } else {
        ""
    };
    format!(
        "known to be exploited since {}{ransomware}",
        exploited.since
    )
}

/// What a patch has to do with a finding, as a clause.
pub(crate) fn patch(patch: &Patch) -> String {
    let name = patch.name.as_deref().unwrap_or("a build phase");
    let proof = match patch.proof {
        "upstream commit" => format!("is the upstream commit {}", patch.detail),
        "name" => format!("has {} in its name or URL", patch.detail),
        "header" => format!("has {} in its header", patch.detail),
        _ => format!("speaks of {}", patch.detail),
    };
    let builds = if patch.builds < patch.of {
        format!(", in {} of {} builds", patch.builds, patch.of)
    } else {
        String::new()
    };
    format!("{name} {proof}{builds}")
}

/// The patches of a finding, as one clause.
pub(crate) fn patches(finding: &Finding) -> String {
    let patches: Vec<String> = finding.patches.iter().map(patch).collect();
    patches.join("; ")
}

/// A text with a capital at its head.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{head}{}", chars.as_str())
}
