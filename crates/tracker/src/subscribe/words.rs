//! What is new, in words: one line each, for letters, requests and feeds.

use jiff::Timestamp;
use snowguard_db::subscriptions::{News, What};
use snowguard_formats::atom::{Entry, Feed};
use snowguard_matching::Status;
use snowguard_report::escape;
use snowguard_triage::{EventKind, StateKind};

/// One line, without links.
pub fn line(news: &News) -> String {
    let subject = match (&news.package, &news.advisory) {
        (Some(package), Some(advisory)) => format!("{package}, {advisory}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "the tracker".to_owned(),
    };
    escape::line(&format!("{subject}: {}{}", what(&news.what), grave(news))).into_owned()
}

/// How bad it is, where that presses.
fn grave(news: &News) -> &'static str {
    match (&news.what, news.is_exploited, news.rating) {
        (What::Done { .. }, ..) => "",
        (_, true, _) => ", known to be exploited",
        (_, _, 5) => ", critical",
        (_, _, 4) => ", high",
        _ => "",
    }
}

fn what(what: &What) -> String {
    match what {
        What::Found { status, fixed_in } => {
            let found = match status {
                Status::NeedsReview => "may be affected, needs review",
                _ => "affected",
            };
            match fixed_in {
                Some(version) => format!("{found}, fixed in {version}"),
                None => found.to_owned(),
            }
        }
        What::Done {
            kind,
            actor,
            before,
            after,
            reason,
        } => {
            let who = actor.as_deref().unwrap_or("the tracker");
            let done = done(*kind, who, *before, *after);
            if reason.trim().is_empty() {
                done
            } else {
                format!("{done}: {}", reason.trim())
            }
        }
    }
}

fn done(kind: EventKind, who: &str, before: Option<StateKind>, after: Option<StateKind>) -> String {
    let label = |state: Option<StateKind>| state.map_or("undecided", StateKind::label);
    match kind {
        EventKind::Decided => format!("{who} decided “{}”", label(after)),
        EventKind::Assigned => format!("{who} changed who sees to it"),
        EventKind::Commented => format!("{who} said"),
        EventKind::Undone => format!("{who} took back “{}”", label(before)),
        EventKind::Reopened => "to be looked at again".to_owned(),
        EventKind::Closed => "fixed in every channel".to_owned(),
        EventKind::CameBack => "it is back".to_owned(),
        EventKind::Joined => "two advisories turned out to be one".to_owned(),
        EventKind::ChannelDropped => format!("{who} changed which channels are followed"),
        EventKind::MemoryAdded => format!("{who} made a rule"),
        EventKind::MemoryRevoked => format!("{who} took a rule back"),
        EventKind::Published => format!("{who} published"),
        EventKind::StatusChanged => "what is computed of it changed".to_owned(),
        EventKind::IssueEdited => format!("{who} changed what is published"),
        EventKind::IssueWithdrawn => format!("{who} took back what was published"),
    }
}

/// The page of what is new.
pub(super) fn page(site: &str, news: &News) -> String {
    match (&news.package, &news.advisory) {
        (Some(package), Some(advisory)) => {
            format!("{site}/packages/{}/{}", segment(package), segment(advisory))
        }
        (Some(package), None) => format!("{site}/packages/{}", segment(package)),
        (None, Some(advisory)) => format!("{site}/advisories/{}", segment(advisory)),
        (None, None) => format!("{site}/activity"),
    }
}

/// A name as one segment of an address.
fn segment(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:+@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What is newest about a topic, as a feed. `path` is the feed's own, without a slash before it.
pub fn feed(
    site: &crate::publish::Site,
    path: &str,
    title: &str,
    news: &[News],
    otherwise: Timestamp,
) -> Feed {
    let updated = news.iter().map(|news| news.at).max().unwrap_or(otherwise);
    let entries = news
        .iter()
        .map(|news| {
            let page = page(&site.url, news);
            let line = line(news);
            // The same thing may happen to one pair twice, but not in one moment with the same words.
            let id = format!("{page}#{}-{:x}", news.at.as_millisecond(), crc(&line));
            Entry::new(id, line, page, news.at.into())
        })
        .collect();
    Feed {
        entries,
        ..Feed::new(
            format!("{}/{path}", site.url),
            title,
            &site.author,
            updated.into(),
        )
    }
}

/// A short sum that tells lines of one moment apart (FNV-1a).
fn crc(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(what: What) -> News {
        News {
            at: Timestamp::UNIX_EPOCH,
            package: Some("python:falcon".to_owned()),
            advisory: Some("CVE-2026-0001".to_owned()),
            rating: 4,
            is_exploited: false,
            what,
        }
    }

    #[test]
    fn news_are_lines() {
        let decided = |kind, reason: &str| {
            line(&news(What::Done {
                kind,
                actor: Some("alice".to_owned()),
                before: Some(StateKind::Untriaged),
                after: Some(StateKind::NotAffected),
                reason: reason.to_owned(),
            }))
        };
        insta::assert_snapshot!(decided(EventKind::Decided, "no such code\n\u{202e}"), @r"python:falcon, CVE-2026-0001: alice decided “not affected”: no such code \u{202e}");
        insta::assert_snapshot!(decided(EventKind::Closed, ""), @"python:falcon, CVE-2026-0001: fixed in every channel");
        let found = What::Found {
            status: Status::Affected,
            fixed_in: Some("3.1".to_owned()),
        };
        insta::assert_snapshot!(line(&news(found.clone())), @"python:falcon, CVE-2026-0001: affected, fixed in 3.1, high");
        let exploited = News {
            is_exploited: true,
            ..news(found)
        };
        insta::assert_snapshot!(line(&exploited), @"python:falcon, CVE-2026-0001: affected, fixed in 3.1, known to be exploited");
        insta::assert_snapshot!(page("https://t.example", &exploited), @"https://t.example/packages/python:falcon/CVE-2026-0001");
        assert_eq!(segment("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
    }
}
