//! Sentences of the pages, each in one place.

#![expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "templates hand over references"
)]

use std::borrow::Borrow;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
pub(crate) use snowguard_report::words::{counted, number};
use snowguard_tracker::view::{
    Advisory, ChannelStatus, ChannelSummary, Counts, Event, EventKind, FindingRow, Grouping,
    HitKind, Home, Issue, IssuePackage, Maintainer, Package, PatchNote, Rating, RuleChange,
    RulePreview, State, Status, Subscription, Suggestion,
};

/// The justifications of OpenVEX, with what they mean.
pub(crate) const JUSTIFICATIONS: [(&str, &str); 5] = [
    (
        "component_not_present",
        "the component is not in the package",
    ),
    (
        "vulnerable_code_not_present",
        "the vulnerable code is not in the package",
    ),
    (
        "vulnerable_code_not_in_execute_path",
        "the vulnerable code is never run",
    ),
    (
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "an attacker cannot reach the vulnerable code",
    ),
    (
        "inline_mitigations_already_exist",
        "something built in prevents it",
    ),
];

pub(crate) fn justification(key: &str) -> String {
    let known = JUSTIFICATIONS.iter().find(|(known, _)| *known == key);
    capital(known.map_or(key, |(_, word)| word))
}

pub(crate) fn class(rating: impl Borrow<Rating>) -> &'static str {
    let rating = *rating.borrow();
    match rating {
        Rating::Critical => "c",
        Rating::High => "h",
        Rating::Medium => "m",
        Rating::Low => "l",
        Rating::Unrated => "u",
    }
}

/// `9.8 critical`, `high`, `unrated`.
pub(crate) fn severity(rating: impl Borrow<Rating>, score: impl Borrow<Option<f64>>) -> String {
    let rating = *rating.borrow();
    let score = *score.borrow();
    match score {
        Some(score) => format!("{score:.1} {}", rating.word()),
        None => rating.word().to_owned(),
    }
}

pub(crate) fn status_class(status: impl Borrow<Status>) -> &'static str {
    let status = *status.borrow();
    match status {
        Status::Affected => "affected",
        Status::NeedsReview => "needs_review",
        Status::Patched => "patched",
        Status::Fixed => "fixed",
        Status::NotAffected => "not_affected",
    }
}

pub(crate) fn channel(channel: &ChannelStatus, now: impl Borrow<Timestamp>) -> String {
    let now = *now.borrow();
    match (channel.status, channel.fixed_since) {
        (None, _) => "not there".into(),
        (Some(Status::Fixed | Status::Patched), Some(since)) => {
            format!(
                "{} since {}",
                channel.status.map_or("", Status::word),
                short_day(since, now)
            )
        }
        (Some(status), _) => status.word().into(),
    }
}

/// How a finding stands in the channels, by status: the class of its mark, and where that is so.
pub(crate) fn standing(
    row: &FindingRow,
    now: impl Borrow<Timestamp>,
) -> Vec<(&'static str, String)> {
    let now = *now.borrow();
    let statuses = [
        Status::Affected,
        Status::NeedsReview,
        Status::Patched,
        Status::Fixed,
        Status::NotAffected,
    ];
    let groups = statuses.into_iter().filter_map(|status| {
        let those: Vec<&ChannelStatus> = row
            .channels
            .iter()
            .filter(|channel| channel.status == Some(status))
            .collect();
        let first = those.first()?;
        let alike = those
            .iter()
            .all(|channel| channel.versions == first.versions);
        let names: Vec<String> = those
            .iter()
            .map(|channel| {
                let mut text = channel.channel.clone();
                if !alike && !channel.versions.is_empty() {
                    text = format!("{text} {}", versions(&channel.versions));
                }
                match channel.fixed_since {
                    Some(since) if matches!(status, Status::Fixed | Status::Patched) => {
                        format!("{text} since {}", short_day(since, now))
                    }
                    _ => text,
                }
            })
            .collect();
        let names = names.join(", ");
        let text = if alike && !first.versions.is_empty() {
            format!(
                "{} in {names}: {}",
                status.word(),
                versions(&first.versions)
            )
        } else {
            format!("{} in {names}", status.word())
        };
        Some((status_class(status), text))
    });
    groups.collect()
}

pub(crate) fn says_class(says: &str) -> &'static str {
    match says {
        "affected" => "affected",
        "not_affected" => "not_affected",
        _ => "needs_review",
    }
}

pub(crate) fn says(says: &str) -> &'static str {
    match says {
        "affected" => "affected",
        "not_affected" => "not affected",
        _ => "undecided",
    }
}

/// Whether something is chosen.
pub(crate) fn is<T: PartialEq>(chosen: &Option<T>, this: &T) -> bool {
    chosen.as_ref() == Some(this)
}

/// A number and the word for it.
pub(crate) fn counts(count: impl Borrow<u32>, one: &str, many: &str) -> String {
    counted(*count.borrow() as usize, one, many)
}

/// The length of a list and the word for it.
pub(crate) fn counted_len<T>(list: &[T], one: &str, many: &str) -> String {
    counted(list.len(), one, many)
}

/// A number that a view has.
pub(crate) fn many(count: impl Borrow<u64>) -> String {
    number(usize::try_from(*count.borrow()).unwrap_or(usize::MAX))
}

/// A few versions on one line.
pub(crate) fn versions(versions: &[String]) -> String {
    match versions {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one}, {two}"),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    }
}

pub(crate) fn choice(state: &State) -> &'static str {
    match state {
        State::Untriaged => "untriaged",
        State::NeedsReview => "needs review",
        State::Confirmed => "confirmed",
        State::NotAffected => "not affected",
        State::Duplicate => "duplicate",
        State::WontFix => "won’t fix",
        State::Closed => "fixed everywhere",
    }
}

/// A text with a capital at its head.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

pub(crate) fn moment(at: impl Borrow<Timestamp>) -> String {
    let at = *at.borrow();
    at.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string()
}

pub(crate) fn day(at: impl Borrow<Timestamp>) -> String {
    let at = *at.borrow();
    at.to_zoned(TimeZone::UTC).date().to_string()
}

fn short_day(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    if at.year() == now.year() {
        at.strftime("%-d %b").to_string()
    } else {
        at.date().to_string()
    }
}

/// `just now`, `5 min ago`, `3 h ago`, `2 days ago`, then the day.
pub(crate) fn ago(at: impl Borrow<Timestamp>, now: impl Borrow<Timestamp>) -> String {
    let at = *at.borrow();
    let now = *now.borrow();
    let seconds = now.as_second() - at.as_second();
    match seconds {
        ..60 => "just now".into(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..1_209_600 => match seconds / 86_400 {
            1 => "1 day ago".into(),
            days => format!("{days} days ago"),
        },
        _ => day(at),
    }
}

pub(crate) fn share(share: impl Borrow<f64>) -> String {
    let share = *share.borrow();
    let percent = share * 100.0;
    if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// The first characters of a commit; a name that somebody gave stays whole.
pub(crate) fn short(revision: &str) -> &str {
    if revision.len() < 40 {
        return revision;
    }
    revision
        .char_indices()
        .nth(11)
        .map_or(revision, |(at, _)| &revision[..at])
}

pub(crate) fn bytes(bytes: impl Borrow<u64>) -> String {
    let bytes = *bytes.borrow();
    match bytes {
        ..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

/// An address as it is read: without the scheme.
pub(crate) fn address(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    snowguard_report::escape::fit(rest.trim_end_matches('/'), 72).into_owned()
}

/// The paragraphs of a text: what empty lines separate.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines().map(str::trim) {
        let last = paragraphs.len() - 1;
        if line.is_empty() {
            if !paragraphs[last].is_empty() {
                paragraphs.push(String::new());
            }
        } else {
            if !paragraphs[last].is_empty() {
                paragraphs[last].push(' ');
            }
            paragraphs[last].push_str(line);
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

pub(crate) fn packages(suggestion: &Suggestion) -> String {
    let count = suggestion.findings as usize;
    if count == 1 {
        suggestion.package.name.clone()
    } else {
        counted(count, "package", "packages")
    }
}

/// Who is concerned, on one line.
pub(crate) fn reach(suggestion: &Suggestion) -> String {
    let mut parts = Vec::new();
    if suggestion.dependents > 0 {
        parts.push(counted(
            suggestion.dependents as usize,
            "dependent",
            "dependents",
        ));
    }
    if !suggestion.channels.is_empty() {
        parts.push(suggestion.channels.join(", "));
    }
    if let Some(assignee) = &suggestion.assignee {
        parts.push(assignee.clone());
    }
    parts.join(" · ")
}

pub(crate) fn update(suggestion: &Suggestion) -> String {
    let open = counted(
        suggestion.findings as usize,
        "open finding",
        "open findings",
    );
    match &suggestion.update {
        Some(_) => open,
        None => format!("{open}; no record names a fix"),
    }
}

/// What the numbers beside the lists of the queue are of.
pub(crate) fn counted_by(grouping: &Grouping) -> &'static str {
    match grouping {
        Grouping::Advisory => "advisories",
        Grouping::Package => "packages",
    }
}

/// The first sentence of the first page.
pub(crate) fn lead(counts: &Counts) -> String {
    let first = match counts.exploited {
        0 => "Nothing open is known to be exploited.".to_owned(),
        1 => "1 open finding is known to be exploited.".to_owned(),
        more => format!("{} open findings are known to be exploited.", number(more)),
    };
    let second = match counts.untriaged {
        0 => "Everything has been looked at once.".to_owned(),
        1 => "1 waits for a first look.".to_owned(),
        more => format!("{} wait for a first look.", number(more)),
    };
    format!(
        "{first} {second} {} followed against {}.",
        capital(&counted(
            usize::try_from(counts.packages).unwrap_or(usize::MAX),
            "package is",
            "packages are"
        )),
        counted(
            usize::try_from(counts.advisories).unwrap_or(usize::MAX),
            "advisory",
            "advisories"
        )
    )
}

/// What is too old to be relied on.
pub(crate) fn stale(view: &Home, now: impl Borrow<Timestamp>) -> Option<String> {
    let now = *now.borrow();
    if view.counts.packages == 0 {
        return None;
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let Some(newest) = view.newest_advisory else {
        return Some("No advisory has a day: how old they are is not known.".into());
    };
    let age = (today - newest).get_days();
    if age > 7 {
        return Some(format!("The newest advisory is {age} days old."));
    }
    let old = view.channels.iter().filter(|channel| channel.followed);
    let oldest = old
        .filter_map(|channel| Some((channel.evaluated_at?, &channel.name)))
        .min()?;
    let days = (now.as_second() - oldest.0.as_second()) / 86_400;
    (days > 7).then(|| format!("The newest evaluation of {} is {days} days old.", oldest.1))
}

/// The verdict of a finding, as the head of its page.
pub(crate) fn verdict(row: &FindingRow) -> String {
    let (package, advisory) = (&row.package.name, &row.advisory.name);
    let there = row
        .channels
        .iter()
        .filter(|channel| channel.status.is_some())
        .count();
    let affected = row
        .channels
        .iter()
        .filter(|channel| channel.status == Some(Status::Affected))
        .count();
    match row.status {
        Status::Affected if there > 1 && affected < there => format!(
            "{package} is affected by {advisory} in {affected} of {}",
            counted(there, "channel", "channels")
        ),
        Status::Affected => format!("{package} is affected by {advisory}"),
        Status::NeedsReview => format!("{package} may be affected by {advisory}"),
        Status::Patched => format!("{package} is patched against {advisory}"),
        Status::Fixed => format!("{advisory} is fixed in {package}"),
        Status::NotAffected => format!("{package} is not affected by {advisory}"),
    }
}

pub(crate) fn fix(row: &FindingRow) -> String {
    match &row.fixed_in {
        Some(version) => format!("Update to {version} or later."),
        None => "No record names one version that mends it.".into(),
    }
}

pub(crate) fn dependents(count: impl Borrow<u32>) -> String {
    let count = *count.borrow();
    match count {
        1 => "1 package depends on it.".into(),
        count => format!("{} packages depend on it.", number(count)),
    }
}

pub(crate) fn patch(patch: &PatchNote) -> String {
    let name = patch.name.as_deref().unwrap_or("a build phase");
    match patch.proof.as_str() {
        "upstream commit" => format!("{name} is the upstream commit {}", patch.detail),
        "name" => format!("{name} has {} in its name or URL", patch.detail),
        "header" => format!("{name} has {} in its header", patch.detail),
        _ => format!("{name} speaks of {}", patch.detail),
    }
}

/// Whom an advisory concerns.
pub(crate) fn concerned(view: &Advisory) -> String {
    let count =
        |state: fn(&FindingRow) -> bool| view.findings.iter().filter(|row| state(row)).count();
    let parts: Vec<String> = [
        (count(|row| row.state == State::Confirmed), "confirmed"),
        (count(|row| row.state == State::Untriaged), "untriaged"),
        (count(|row| row.state == State::NeedsReview), "to review"),
        (count(|row| !row.state.is_open()), "settled"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{} {word}", number(count)))
    .collect();
    if parts.is_empty() {
        return "No package of any channel that is followed is concerned.".into();
    }
    let shown = view.findings.len();
    let all = usize::try_from(view.findings_count).unwrap_or(usize::MAX);
    let whole = if shown < all {
        format!("{} of {} packages", number(shown), number(all))
    } else {
        counted(shown, "package", "packages")
    };
    format!("{whole}: {}.", parts.join(", "))
}

/// How many there are, and how many of these are shown.
pub(crate) fn shown(shown: usize, all: impl Borrow<u64>) -> String {
    let all = usize::try_from(*all.borrow()).unwrap_or(usize::MAX);
    if shown < all {
        format!("{} of {}", number(shown), number(all))
    } else {
        number(shown)
    }
}

/// In how many channels an issue is open.
pub(crate) fn open_of(open: impl Borrow<u32>, of: impl Borrow<u32>) -> String {
    let (open, of) = (*open.borrow(), *of.borrow());
    match (open, of) {
        (_, 0) => "no package is confirmed any more".into(),
        (0, 1) => "fixed".into(),
        (0, _) => "fixed in every channel".into(),
        (open, of) => format!("open in {open} of {}", counts(of, "channel", "channels")),
    }
}

/// How an issue stands, as the first sentence of its page.
pub(crate) fn issue_lead(view: &Issue) -> String {
    let confirmed = view
        .packages
        .iter()
        .filter(|package| matches!(package.state, State::Confirmed | State::Closed));
    let channels: Vec<_> = confirmed.flat_map(|package| &package.channels).collect();
    let is_open = |channel: &&&ChannelStatus| {
        matches!(channel.status, Some(Status::Affected | Status::NeedsReview))
    };
    let open = channels.iter().filter(is_open).count();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let text = open_of(count(open), count(channels.len()));
    format!("{}.", capital(&text))
}

/// How a package of an issue stands in a channel: what was decided goes before what is computed.
pub(crate) fn standing_of(
    package: &IssuePackage,
    status: &ChannelStatus,
    now: impl Borrow<Timestamp>,
) -> (&'static str, String) {
    match (package.state, status.status) {
        (State::NotAffected, _) => ("not_affected", "not affected".into()),
        (State::WontFix, Some(Status::Affected)) => {
            ("affected", "affected, will not be fixed".into())
        }
        (_, Some(computed)) => (status_class(computed), channel(status, now)),
        (_, None) => ("absent", "not there".into()),
    }
}

/// What was decided about a package of an issue, and what to do.
pub(crate) fn settled(package: &IssuePackage) -> String {
    let mut text = match package.state {
        State::Confirmed | State::Closed => match &package.fixed_in {
            Some(version) => format!("fixed in {version}"),
            None => "no record names one version that mends it".into(),
        },
        State::WontFix => "will not be fixed".into(),
        State::NotAffected => match &package.justification {
            Some(key) => {
                let known = JUSTIFICATIONS.iter().find(|(known, _)| known == key);
                format!(
                    "not affected, {}",
                    known.map_or(key.as_str(), |(_, word)| word)
                )
            }
            None => "not affected".into(),
        },
        other => other.word().into(),
    };
    if let Some(reason) = &package.reason {
        let _ = write!(text, ": {reason}");
    }
    capital(&text)
}

/// What a subscription is about.
pub(crate) fn subscribed(of: &Subscription) -> String {
    match of.kind.as_str() {
        "everything" => "everything".into(),
        "search" => format!("what “{}” finds", of.name),
        kind => format!("{kind} {}", of.name),
    }
}

pub(crate) fn pace(pace: &str) -> &'static str {
    match pace {
        "daily" => "once a day",
        _ => "as soon as there is something",
    }
}

/// What a rule would do to a finding.
pub(crate) fn becomes(change: &RuleChange) -> String {
    match (change.was, change.is) {
        (None, Some(is)) => format!("would come: {}", is.word()),
        (Some(was), None) => format!("would go; it is {}", was.word()),
        (Some(was), Some(is)) => format!("would be {} instead of {}", is.word(), was.word()),
        (None, None) => String::new(),
    }
}

/// What a rule would do as a whole.
pub(crate) fn foreseen(preview: &RulePreview) -> String {
    let same = counted(
        usize::try_from(preview.same).unwrap_or(usize::MAX),
        "finding stays as it is",
        "findings stay as they are",
    );
    match preview.changes.len() {
        0 => format!("It changes nothing; {same}."),
        changes => format!(
            "It changes {}; {same}.",
            counted(changes, "finding", "findings")
        ),
    }
}

/// Which channels are safe.
pub(crate) fn safe(view: &Package) -> String {
    let there: Vec<_> = view
        .verdicts
        .iter()
        .filter(|v| !v.versions.is_empty())
        .collect();
    if there.is_empty() {
        return "It is in no channel any more.".into();
    }
    let names = |bad: bool| {
        let of = there.iter().filter(|v| (v.affected > 0) == bad);
        of.map(|v| v.channel.as_str()).collect::<Vec<_>>()
    };
    let (bad, good) = (names(true), names(false));
    let review: u32 = there.iter().map(|v| v.review).max().unwrap_or(0);
    let exploited = there.iter().any(|v| v.exploited > 0);
    let mut text = if bad.is_empty() {
        "Nothing is known to affect it in any channel.".to_owned()
    } else if good.is_empty() {
        format!("Affected in {}.", listed(&bad))
    } else {
        format!("Affected in {}, not in {}.", listed(&bad), listed(&good))
    };
    if exploited {
        text.push_str(" Some of it is known to be exploited.");
    }
    if review > 0 {
        let verb = if review == 1 { "needs" } else { "need" };
        let findings = counts(review, "finding", "findings");
        let _ = write!(text, " {findings} {verb} review.");
    }
    text
}

pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

pub(crate) fn maintains(view: &Maintainer) -> String {
    let packages = counted(
        usize::try_from(view.packages).unwrap_or(usize::MAX),
        "package",
        "packages",
    );
    match view.concerned_count {
        0 => format!("Nothing is open in {packages}."),
        some => format!("Something is open in {} of {packages}.", many(some)),
    }
}

pub(crate) fn channel_lead(summary: &ChannelSummary) -> String {
    let affected = match summary.affected {
        0 => "Nothing is known to affect it.".to_owned(),
        1 => "1 open finding affects it.".to_owned(),
        more => format!("{} open findings affect it.", number(more)),
    };
    let exploited = match summary.exploited {
        0 => String::new(),
        1 => " 1 is known to be exploited.".to_owned(),
        more => format!(" {} are known to be exploited.", number(more)),
    };
    format!("{affected}{exploited}")
}

pub(crate) fn fixed_in(row: &FindingRow, channel: &str, now: impl Borrow<Timestamp>) -> String {
    let now = *now.borrow();
    let of = row.channels.iter().find(|status| status.channel == channel);
    match of.and_then(|status| status.fixed_since) {
        Some(since) => ago(since, now),
        None => String::new(),
    }
}

pub(crate) fn actor(event: &Event) -> &str {
    event.actor.as_deref().unwrap_or("The tracker")
}

pub(crate) fn by(login: &Option<String>) -> &str {
    login.as_deref().unwrap_or("the tracker")
}

/// What somebody did.
pub(crate) fn did(event: &Event) -> String {
    match (event.kind, event.after) {
        (EventKind::Decided, Some(State::Confirmed)) => "confirmed".into(),
        (EventKind::Decided, Some(state)) => format!("decided “{}”", choice(&state)),
        (EventKind::Decided, None) => "decided".into(),
        (EventKind::Reopened, _) => "reopened".into(),
        (EventKind::Closed, _) => "closed, since every channel has the fix".into(),
        (EventKind::Joined, _) => "joined two advisories".into(),
        (EventKind::StatusChanged, _) => "noted a change".into(),
        (EventKind::Assigned, _) => "changed who looks after it".into(),
        (EventKind::Commented, _) => "commented".into(),
        (EventKind::Undone, _) => "took back a decision".into(),
        (EventKind::Remembered, _) => "remembered a product".into(),
        (EventKind::Revoked, _) => "forgot a product".into(),
        (EventKind::Published, _) => "published".into(),
        (EventKind::Edited, _) => "changed what is published".into(),
        (EventKind::Withdrawn, _) => "took back what was published".into(),
        (EventKind::Channel, _) => "changed a channel".into(),
    }
}

/// What a form has done, for the page to which it led: `what` is a word of ours in the address, and
/// whoever makes up an address chooses among these sentences at most.
pub(crate) fn done(what: &str, count: Option<&str>) -> Option<String> {
    let count = count
        .and_then(|count| count.parse::<u32>().ok())
        .unwrap_or(1);
    let findings = counts(count, "finding", "findings");
    Some(match what {
        "decided" => format!("Decided on {findings}."),
        "assigned" => format!("Changed who looks after {findings}."),
        "commented" => "The comment is in the history.".into(),
        "followed" => {
            "The channel is followed again. Its findings come with the next match.".into()
        }
        "dropped" => "The channel is left out. Its findings go with the next match.".into(),
        "asked" => "A letter is on its way: follow the link in it.".into(),
        "subscribed" => "You will be told.".into(),
        "ended" => "You will not be told any more.".into(),
        "published" => "It is published.".into(),
        "edited" => "The words are changed.".into(),
        "withdrawn" => "It is withdrawn.".into(),
        "undone" => format!("Took back what was decided on {findings}."),
        "remembered" => "It is remembered. The package is matched anew with the next match.".into(),
        "forgotten" => "It is forgotten. The package is matched anew with the next match.".into(),
        _ => return None,
    })
}

pub(crate) fn hits(kind: impl Borrow<HitKind>) -> &'static str {
    let kind = *kind.borrow();
    match kind {
        HitKind::Advisory => "Advisories",
        HitKind::Package => "Packages",
        HitKind::Maintainer => "Maintainers",
    }
}

pub(crate) fn role(role: &str) -> &'static str {
    match role {
        "admin" => "You may decide on everything, and say who else may.",
        "security" => "You may decide on every package.",
        "maintainer" => "You may decide on the packages that you maintain.",
        _ => "You may read. Whoever maintains a package in a followed channel may decide on it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let told = [
            "2026-11-21T11:59:30Z",
            "2026-11-21T11:01:00Z",
            "2026-11-21T01:00:00Z",
            "2026-11-20T11:00:00Z",
            "2026-11-12T12:00:00Z",
            "2026-01-02T00:00:00Z",
            "2027-01-02T00:00:00Z",
        ]
        .map(|at| ago(at.parse::<Timestamp>().unwrap(), now));
        assert_eq!(
            told,
            [
                "just now",
                "59 min ago",
                "11 h ago",
                "1 day ago",
                "9 days ago",
                "2026-01-02",
                "just now"
            ]
        );
    }

    #[test]
    fn sizes_and_shares_are_round() {
        assert_eq!(
            [1, 2_500, 3_400_000, 1_250_000_000].map(bytes),
            ["1 kB", "3 kB", "3 MB", "1.2 GB"]
        );
        assert_eq!([0.001, 0.0991, 0.97].map(share), ["0.1 %", "9.9 %", "97 %"]);
        assert_eq!(
            short("7df7ff7d8e00218376575f0acdcc5d66741351ee"),
            "7df7ff7d8e0"
        );
        assert_eq!(short("nixpkgs-20.09"), "nixpkgs-20.09");
        assert_eq!(short("ä"), "ä");
    }
}
