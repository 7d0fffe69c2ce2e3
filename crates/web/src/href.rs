//! Addresses of pages. Names in them are of strangers: each is one segment, or one value.

#![expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "templates hand over references"
)]

use std::borrow::Borrow;
use std::fmt::Write as _;

use snowguard_tracker::view::{
    Bucket, FindingRow, Grouping, Hit, HitKind, QueueFilter, Search, Subscription,
};

use crate::respond::Shown;

pub(crate) fn advisory(name: &str) -> String {
    format!("/advisories/{}", segment(name))
}

pub(crate) fn package(key: &str) -> String {
    format!("/packages/{}", segment(key))
}

pub(crate) fn pair(key: &str, name: &str) -> String {
    format!("/packages/{}/{}", segment(key), segment(name))
}

pub(crate) fn finding(row: &FindingRow) -> String {
    pair(&row.package.key, &row.advisory.name)
}

pub(crate) fn maintainer(name: &str) -> String {
    format!("/maintainers/{}", segment(name))
}

pub(crate) fn channel(name: &str) -> String {
    format!("/channels/{}", segment(name))
}

pub(crate) fn issue(id: &str) -> String {
    format!("/issues/{}", segment(id))
}

/// The form with which an advisory is published.
pub(crate) fn publish(advisory: &str) -> String {
    format!("/advisories/{}/publish", segment(advisory))
}

/// The rules about a package.
pub(crate) fn rules(key: &str) -> String {
    format!("/rules/{}", segment(key))
}

/// The same with a product about which one is to be made.
pub(crate) fn rule(key: &str, product: &str, verdict: &str) -> String {
    let mut query = Query::default();
    query.add("product", product);
    query.add("verdict", verdict);
    format!("{}#make", query.of(&rules(key)))
}

/// What is new of a page, as a feed.
pub(crate) fn feed(shown: &Shown<'_>, name: &str) -> String {
    let page = match shown {
        Shown::Package(_) => package(name),
        Shown::Maintainer(_) => maintainer(name),
        Shown::Advisory(_) => advisory(name),
        Shown::Channel(_) => channel(name),
        Shown::Search => search(name, None),
        _ => "/activity".to_owned(),
    };
    format!("/atom{page}")
}

/// The page of what a subscription is about.
pub(crate) fn subscribed(of: &Subscription) -> String {
    match of.kind.as_str() {
        "package" => package(&of.name),
        "maintainer" => maintainer(&of.name),
        "advisory" => advisory(&of.name),
        "channel" => channel(&of.name),
        "search" => search(&of.name, None),
        _ => "/activity".to_owned(),
    }
}

pub(crate) fn hit(hit: &Hit) -> String {
    match hit.kind {
        HitKind::Advisory => advisory(&hit.name),
        HitKind::Package => package(&hit.name),
        HitKind::Maintainer => maintainer(&hit.name),
    }
}

/// The queue as a filter says, in another list or further down.
pub(crate) fn queue(filter: &QueueFilter, bucket: Option<Bucket>, cursor: Option<&str>) -> String {
    let bucket = bucket.unwrap_or(filter.bucket);
    let mut query = Query::default();
    if bucket != Bucket::Untriaged {
        query.add("bucket", bucket.key());
    }
    if filter.grouping != Grouping::Advisory {
        query.add("by", filter.grouping.key());
    }
    if let Some(rating) = filter.rating {
        query.add("rating", rating.word());
    }
    if filter.exploited {
        query.add("exploited", "1");
    }
    if let Some(channel) = &filter.channel {
        query.add("channel", channel);
    }
    if let Some(assignee) = &filter.assignee {
        query.add("assignee", assignee);
    }
    if let Some(cursor) = cursor {
        query.add("cursor", cursor);
    }
    query.of("/queue")
}

/// What is known to be exploited in a channel and waits for a first look.
pub(crate) fn exploited_in(channel: &str) -> String {
    let filter = QueueFilter {
        exploited: true,
        channel: Some(channel.to_owned()),
        ..QueueFilter::default()
    };
    queue(&filter, None, None)
}

/// What needs review in a channel.
pub(crate) fn review_in(channel: &str) -> String {
    let filter = QueueFilter {
        channel: Some(channel.to_owned()),
        ..QueueFilter::default()
    };
    queue(&filter, Some(Bucket::Review), None)
}

/// The same in another list.
pub(crate) fn bucket(filter: &QueueFilter, bucket: &Bucket) -> String {
    queue(filter, Some(*bucket), None)
}

/// The same further down.
pub(crate) fn queue_next(filter: &QueueFilter, cursor: &str) -> String {
    queue(filter, None, Some(cursor))
}

/// The same list without what narrows it.
pub(crate) fn queue_all(filter: &QueueFilter) -> String {
    let all = QueueFilter {
        grouping: filter.grouping,
        bucket: filter.bucket,
        ..QueueFilter::default()
    };
    queue(&all, None, None)
}

pub(crate) fn search(text: &str, kind: Option<HitKind>) -> String {
    searched(text, kind, None)
}

pub(crate) fn search_kind(text: &str, kind: impl Borrow<HitKind>) -> String {
    searched(text, Some(*kind.borrow()), None)
}

pub(crate) fn search_next(view: &Search, cursor: &str) -> String {
    searched(&view.query, view.kind, Some(cursor))
}

fn searched(text: &str, kind: Option<HitKind>, cursor: Option<&str>) -> String {
    let mut query = Query::default();
    query.add("q", text);
    if let Some(kind) = kind {
        query.add("kind", kind.key());
    }
    if let Some(cursor) = cursor {
        query.add("cursor", cursor);
    }
    query.of("/search")
}

pub(crate) fn activity(actor: Option<&str>, cursor: &str) -> String {
    let mut query = Query::default();
    if let Some(actor) = actor {
        query.add("actor", actor);
    }
    query.add("cursor", cursor);
    query.of("/activity")
}

pub(crate) fn with_cursor(page: impl AsRef<str>, cursor: &str) -> String {
    let mut query = Query::default();
    query.add("cursor", cursor);
    query.of(page.as_ref())
}

/// An address elsewhere, if it is one that may be followed: never `javascript:`, never `data:`.
pub(crate) fn outside(address: &str) -> Option<&str> {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic());
    (is_web && is_plain && address.len() <= 2_000).then_some(address)
}

/// The same of an address that may be missing.
pub(crate) fn outside_of(address: &Option<String>) -> Option<&str> {
    address.as_deref().and_then(outside)
}

/// A text as the value of a query.
pub(crate) fn query(text: &str) -> String {
    encoded(text, |byte| matches!(byte, b'/' | b':' | b'@'))
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    match text {
        // Browsers take these for directions, even encoded.
        "." | ".." => format!("{text}%20"),
        text => encoded(text, |byte| matches!(byte, b':' | b'@' | b'+')),
    }
}

fn encoded(text: &str, plain: fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || plain(byte)
        {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[derive(Default)]
struct Query(String);

impl Query {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&query(value));
    }

    fn of(self, page: &str) -> String {
        format!("{page}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment() {
        assert_eq!(package("python:falcon"), "/packages/python:falcon");
        assert_eq!(package("gtk+"), "/packages/gtk+");
        assert_eq!(package("a/../b?c#d"), "/packages/a%2F..%2Fb%3Fc%23d");
        assert_eq!(package(".."), "/packages/..%20");
        assert_eq!(advisory("\"><script>"), "/advisories/%22%3E%3Cscript%3E");
        assert_eq!(pair("ä", "CVE-2026-1"), "/packages/%C3%A4/CVE-2026-1");
    }

    #[test]
    fn only_the_web_is_linked() {
        assert!(outside("https://example.org/a?b=c").is_some());
        for wrong in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.org",
            "https://a b",
            "",
        ] {
            assert_eq!(outside(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_address_holds_the_whole_filter() {
        let filter = QueueFilter {
            grouping: Grouping::Package,
            exploited: true,
            channel: Some("nixos-26.05".into()),
            assignee: Some("a&b".into()),
            ..QueueFilter::default()
        };
        assert_eq!(
            queue(&filter, Some(Bucket::Confirmed), Some("12.x")),
            "/queue?bucket=confirmed&by=package&exploited=1&channel=nixos-26.05&assignee=a%26b&cursor=12.x"
        );
        assert_eq!(queue_all(&filter), "/queue?by=package");
        assert_eq!(queue(&QueueFilter::default(), None, None), "/queue");
    }
}
