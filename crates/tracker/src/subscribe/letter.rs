//! What subscribers by mail get.

use std::fmt::Write as _;

use snowguard_db::subscriptions::{News, Pace, SubscriptionRow};

use super::token;
use super::words::{line, page};
use crate::publish::Site;

/// How many lines a letter has.
pub(super) const LINES: usize = 100;

/// Subject and text of the letter with which somebody agrees to be told.
pub fn confirmation(site: &Site, row: &SubscriptionRow) -> (String, String) {
    let text = format!(
        "Somebody, probably you, asked {} to send letters to this address.\n\n\
         If it was you, follow this link and agree:\n\n  {}/subscriptions/confirm?token={}\n\n\
         If it was not, do nothing: nothing will be sent.\n",
        site.url,
        site.url,
        token(row)
    );
    ("Agree to letters from the tracker".to_owned(), text)
}

/// Subject and text of a letter with news; `more` is how many are left out.
pub(super) fn news(
    site: &Site,
    row: &SubscriptionRow,
    news: &[News],
    more: usize,
) -> (String, String) {
    let all = news.len() + more;
    let subject = match (news, row.pace) {
        ([one], _) => line(one),
        (_, Pace::Daily) => format!("{all} changes of the day"),
        (_, Pace::AtOnce) => format!("{all} changes"),
    };
    let mut text = String::new();
    for news in news.iter().take(LINES) {
        let _ = writeln!(text, "{}\n  {}", line(news), page(&site.url, news));
    }
    if more > 0 {
        let _ = writeln!(text, "\nand {more} more: {}/activity", site.url);
    }
    let _ = write!(
        text,
        "\n-- \nYou asked for this. To end it: {}\n",
        end_link(site, row)
    );
    (subject, text)
}

/// The headers by which mail programs offer to end it (RFC 2369, RFC 8058).
pub(super) fn headers(site: &Site, row: &SubscriptionRow) -> [(&'static str, String); 2] {
    [
        ("List-Unsubscribe", format!("<{}>", end_link(site, row))),
        (
            "List-Unsubscribe-Post",
            "List-Unsubscribe=One-Click".to_owned(),
        ),
    ]
}

fn end_link(site: &Site, row: &SubscriptionRow) -> String {
    format!("{}/subscriptions/end?token={}", site.url, token(row))
}
