//! The words of a published issue: what is proposed to who publishes it, and what a forge shows.
//!
//! Names of packages, versions and channels come from evaluations, and titles from people. They are put
//! into Markdown as text: whatever they hold, they begin no heading, link or mention.

use std::fmt::Write as _;

use snowguard_triage::PublicId;

use super::issue::{DecidedPackage, Decision, Issue, Site, Standing, Verdicts};
use crate::view::Status;

/// The title that is proposed: the packages and the advisory.
pub fn title<'n>(packages: impl IntoIterator<Item = &'n str>, advisory: &str) -> String {
    let packages: Vec<&str> = packages.into_iter().collect();
    let listed = match &*packages {
        [] => return advisory.to_owned(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, _] => format!("{one}, {two} and 1 other"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} others", rest.len()),
    };
    format!("{listed}: {advisory}")
}

/// The title that is proposed for what was decided about an advisory.
pub(super) fn proposed_title(verdicts: &Verdicts) -> String {
    title(
        confirmed(verdicts).map(|package| package.key.as_str()),
        &verdicts.advisory,
    )
}

/// The text that is proposed: what to do about each package that is confirmed.
pub(super) fn proposal(verdicts: &Verdicts) -> String {
    let mut out = String::new();
    for package in confirmed(verdicts) {
        let open: Vec<&str> = package
            .channels
            .iter()
            .filter(|channel| !channel.is_safe())
            .map(|channel| channel.channel.as_str())
            .collect();
        let _ = match (&package.fixed_in, &*open) {
            (_, []) => writeln!(out, "{} is fixed in every channel.", code(&package.key)),
            (Some(version), open) => writeln!(
                out,
                "Update {} to {} or later; it is open in {}.",
                code(&package.key),
                code(version),
                open.join(", ")
            ),
            (None, open) => writeln!(
                out,
                "No fixed version of {} is known; it is open in {}.",
                code(&package.key),
                open.join(", ")
            ),
        };
    }
    out.trim_end().to_owned()
}

fn confirmed(verdicts: &Verdicts) -> impl Iterator<Item = &DecidedPackage> {
    let packages = verdicts.packages.iter();
    packages.filter(|package| package.decision == Decision::Confirmed)
}

/// One line for a list.
pub fn summary(issue: &Issue) -> String {
    let open = open(issue).count();
    let of = issue
        .verdicts
        .packages
        .iter()
        .map(|package| package.channels.len())
        .sum::<usize>();
    match open {
        0 => format!("{}, fixed in every channel", issue.title),
        _ => format!("{}, open in {open} of {of} channels", issue.title),
    }
}

/// With what the tracker's part of a forge's issue begins: by it the issue is found again, whatever
/// people made of the rest.
pub fn marker(id: &PublicId) -> String {
    format!("<!-- snowguard: {id} -->")
}

/// With what the tracker's part ends.
fn end_marker(id: &PublicId) -> String {
    format!("<!-- end of {id} -->")
}

/// The tracker's part of a forge's issue, between its markers: the words of who published it, and how each
/// channel stands.
pub fn body(issue: &Issue, site: &Site) -> String {
    let mut out = marker(&issue.id);
    out.push('\n');
    if let Some(text) = issue.text.as_deref().filter(|text| !text.trim().is_empty()) {
        // What looks like an end would cut the part in two.
        let _ = writeln!(out, "{}\n", text.trim_end().replace("<!--", "&lt;!--"));
    }
    out.push_str(&details(issue));
    let _ = write!(
        out,
        "\nPublished as [{}]({}). The tracker keeps this part up to date; what is written before or after \
         it stays.\n{}\n",
        issue.id,
        site.issue(&issue.id),
        end_marker(&issue.id)
    );
    out
}

/// The text of a forge's issue with its part renewed, and with all that others wrote.
///
/// Where somebody took a marker out, what is left of the old part cannot be told from what is theirs: it
/// stays, and the new part follows.
pub fn renewed(text: &str, id: &PublicId, part: &str) -> String {
    let (begin, end) = (marker(id), end_marker(id));
    // Forges keep the line ends of whoever edited last.
    let text = text.replace("\r\n", "\n");
    let found = text.find(&begin).and_then(|from| {
        let length = text[from..].find(&end)?;
        Some((from, from + length + end.len()))
    });
    match found {
        Some((from, to)) => {
            let rest = text[to..].strip_prefix('\n').unwrap_or(&text[to..]);
            format!("{}{part}{rest}", &text[..from])
        }
        None => {
            let kept = text.replace(&begin, "").replace(&end, "");
            match kept.trim_end() {
                "" => part.to_owned(),
                kept => format!("{kept}\n\n{part}"),
            }
        }
    }
}

/// How each package stands in each channel, as Markdown.
pub(super) fn details(issue: &Issue) -> String {
    let mut out = String::new();
    let names: Vec<String> = issue.verdicts.names().map(code).collect();
    let _ = writeln!(out, "Advisory: {}", names.join(", "));
    let mut facts = vec![format!("severity {}", issue.verdicts.rating.word())];
    if let Some(since) = issue.verdicts.exploited {
        facts.push(format!("known to be exploited since {since}"));
    }
    let _ = writeln!(out, "\n{}\n", sentence(&facts.join(", ")));
    out.push_str("| package | channel | versions | status |\n|---|---|---|---|\n");
    for package in &issue.verdicts.packages {
        for channel in &package.channels {
            let versions: Vec<String> = channel.versions.iter().map(|v| code(v)).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                code(&package.key),
                code(&channel.channel),
                versions.join(", "),
                cell(&standing(package, channel)),
            );
        }
    }
    out
}

/// The same in lines without markup.
pub(super) fn plain(issue: &Issue) -> String {
    let mut out = format!(
        "{}, {}\n",
        issue.verdicts.advisory,
        issue.verdicts.rating.word()
    );
    for package in &issue.verdicts.packages {
        for channel in &package.channels {
            let _ = writeln!(
                out,
                "{} {} in {}: {}",
                package.key,
                channel.versions.join(", "),
                channel.channel,
                standing(package, channel)
            );
        }
    }
    out
}

/// Packages in channels in which something is left to do.
fn open(issue: &Issue) -> impl Iterator<Item = &Standing> {
    issue
        .verdicts
        .packages
        .iter()
        .filter(|package| package.decision == Decision::Confirmed)
        .flat_map(|package| &package.channels)
        .filter(|channel| !channel.is_safe())
}

/// How a package stands in a channel.
fn standing(package: &DecidedPackage, channel: &Standing) -> String {
    if let Decision::NotAffected { reason, .. } = &package.decision {
        return format!("not affected: {reason}");
    }
    match (channel.status, &channel.fixed) {
        (Status::Fixed, Some(fixed)) => {
            let commit: String = fixed.revision.chars().take(12).collect();
            format!("fixed since {} ({commit})", fixed.at.strftime("%Y-%m-%d"))
        }
        (Status::Fixed, None) => "fixed".to_owned(),
        (Status::Patched, _) => "patched".to_owned(),
        (Status::NotAffected, _) => "not affected".to_owned(),
        (status, _) => {
            let mut words = match status {
                Status::NeedsReview => "needs review".to_owned(),
                _ => "affected".to_owned(),
            };
            match (&package.decision, &package.fixed_in) {
                (Decision::WontFix { reason }, _) => {
                    let _ = write!(words, ", will not be fixed: {reason}");
                }
                (_, Some(version)) => {
                    let _ = write!(words, ", fixed in {version}");
                }
                (_, None) => words.push_str(", no fixed version is known"),
            }
            words
        }
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).chain(['.']).collect(),
        None => String::new(),
    }
}

/// A name as code: nothing in it is markup or a mention.
fn code(name: &str) -> String {
    let kept: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '`' | '|' | '<' | '>'))
        .collect();
    format!("`{kept}`")
}

/// A sentence of a person in a cell of a table.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => {}
            // What begins markup, and what calls people.
            '|' | '<' | '>' | '[' | ']' | '`' | '*' | '_' | '#' | '\\' | '!' | '&' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '@' => out.push_str("@\u{2060}"),
            c => out.push(c),
        }
    }
    out
}
