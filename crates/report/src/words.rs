//! Sentences that several faces say, each in one place, and how numbers, ages and times are written.

pub use snowguard_inventory::number;

use crate::model::{Exploited, Finding, Package, Patch, Place, Severity, SubjectInfo};

/// The file in which something is declared, as people write it: members of archives after `!/`.
pub(crate) fn location(place: &Place) -> String {
    let mut location = place.object.clone();
    if !place.file.is_empty() {
        location.push('/');
        location.push_str(&place.file);
    }
    if let Some(member) = &place.member {
        location.push_str("!/");
        location.push_str(member);
    }
    location
}

/// Where something is found, as a clause: `inside ripgrep 14.1.0, bin/rg (cargo-auditable data)`.
pub(crate) fn inside(place: &Place) -> String {
    let file = match (&place.member, place.file.as_str()) {
        (Some(member), "") => member.clone(),
        (Some(member), file) => format!("{file}!/{member}"),
        (None, file) => file.to_owned(),
    };
    match (&place.inside, file.as_str()) {
        (Some(host), "") => format!("inside {host} ({})", place.by),
        (Some(host), file) => format!("inside {host}, {file} ({})", place.by),
        (None, "") => format!("its own bytes ({})", place.by),
        (None, file) => format!("{file} ({})", place.by),
    }
}

/// The first of the places inside of others, and how many more there are; none if there is none.
pub(crate) fn places(package: &Package) -> Option<String> {
    let mut others = package.places.iter().filter(|place| place.inside.is_some());
    let first = inside(others.next()?);
    Some(match others.count() {
        0 => first,
        1 => format!("{first}, and 1 other place"),
        more => format!("{first}, and {} other places", number(more)),
    })
}

/// How much was scanned: `1,650 packages`, `11 packages and libraries`.
pub(crate) fn population(subject: &SubjectInfo) -> String {
    match (subject.components, subject.parts) {
        (packages, 0) => format!("{} packages", number(packages)),
        (0, parts) => counted(parts, "library", "libraries"),
        (packages, parts) => format!("{} packages and libraries", number(packages + parts)),
    }
}

/// Where in the file, or in its member: `1,234 bytes at 0x40`, `line 7`.
pub(crate) fn span(place: &Place) -> Option<String> {
    match (place.offset, place.length, place.line) {
        (Some(offset), Some(length), _) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            Some(format!(
                "{} at {offset:#x}",
                counted(length, "byte", "bytes")
            ))
        }
        (Some(offset), None, _) => Some(format!("at {offset:#x}")),
        (None, _, Some(line)) => Some(format!("line {line}")),
        (None, _, None) => None,
    }
}

/// What something is inside of: `in ripgrep 13.0.0, bin/rg and 2 more`; none if it is inside of
/// nothing.
pub(crate) fn in_short(package: &Package) -> Option<String> {
    let places = &package.places;
    let first = places.first().filter(|_| package.inside)?;
    let mut text = format!("in {}", first.inside.as_deref().unwrap_or_default());
    if let Some(file) = Some(&first.file).filter(|file| !file.is_empty()) {
        text.push_str(", ");
        text.push_str(file);
    }
    if places.len() > 1 {
        text.push_str(" and ");
        text.push_str(&number(places.len() - 1));
        text.push_str(" more");
    }
    Some(text)
}

/// What to do about one finding, as a sentence.
pub(crate) fn fix(package: &Package, finding: &Finding) -> String {
    if package.inside {
        let name = &package.name;
        return match (&finding.fixed_in, &finding.last_affected) {
            (Some(version), _) => {
                format!("Update what contains it to a build with {name} {version} or later.")
            }
            (None, Some(version)) => {
                format!(
                    "Update what contains it to a build with {name} newer than {version}, the last that is named as affected."
                )
            }
            (None, None) => "No record names a fix.".into(),
        };
    }
    match (&finding.fixed_in, &finding.last_affected) {
        (Some(version), _) => format!("Update to {version} or later."),
        (None, Some(version)) => {
            format!("Update to a version newer than {version}, the last that is named as affected.")
        }
        (None, None) => "No record names a fix.".into(),
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

/// A text with a capital at its head, unless that is a name: `backport.patch is applied`.
pub fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return text.to_owned();
    }
    let (head, tail) = text.split_at(text.len().min(1));
    format!("{}{tail}", head.to_ascii_uppercase())
}

/// A time to the minute: `2026-11-21 08:30 UTC`.
pub fn moment(time: &str) -> String {
    match (time.get(..10), time.get(10..11), time.get(11..16)) {
        (Some(day), Some("T"), Some(minute)) if time.ends_with('Z') => {
            format!("{day} {minute} UTC")
        }
        _ => time.to_owned(),
    }
}

/// An age: `of today`, `1 day old`, `92 days old`.
pub fn days_old(days: i32) -> String {
    match days {
        ..=0 => "of today".into(),
        1 => "1 day old".into(),
        days => format!("{} days old", number(days)),
    }
}

/// A number and the word for it.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_spelling() {
        assert_eq!(sentence("records agree"), "Records agree");
        for text in ["backport.patch is applied", "", "3 inputs", "écru"] {
            assert_eq!(sentence(text), text);
        }
    }

    #[test]
    fn ages_are_in_words() {
        let told = [-1, 0, 1, 92].map(days_old);
        assert_eq!(told, ["of today", "of today", "1 day old", "92 days old"]);
    }

    #[test]
    fn times_are_to_the_minute() {
        assert_eq!(moment("2026-11-21T08:30:59.123Z"), "2026-11-21 08:30 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
    }
}
