//! The list as one page that needs nothing but itself, and no script.

use std::collections::BTreeSet;

use askama::Template;
use snowguard_fod::rule::{Level, Rule};

use super::column::{Column, counts};
use super::listing::{Finding, Listing, Row, by_rule, some_of_each, worst_first};
use crate::html::{BASE_STYLE, hash};
use crate::words::number;

/// How many rows the page shows: with more it would be slow to load and no easier to read.
const ROWS: usize = 150;
/// And how many of one rule, where there are more rows.
const OF_EACH: usize = 20;
/// How many bars a plot has.
const BARS: usize = 8;
/// From one bar to the next, and how long the longest is.
const STEP: usize = 24;
const WIDTH: usize = 150;

/// The page.
pub fn page(listing: &Listing) -> String {
    let style = format!(
        "{BASE_STYLE}{}",
        include_str!("../../templates/html/fod.css")
    );
    let rows = if listing.fods.len() <= ROWS {
        worst_first(&listing.fods)
    } else {
        some_of_each(&listing.fods, OF_EACH, ROWS)
    };
    let mut seen = BTreeSet::new();
    let mut rows: Vec<Shown<'_>> = rows.into_iter().map(Shown::of).collect();
    for row in &mut rows {
        let mut new = row.of.findings.iter().map(|finding| finding.rule);
        row.first_of = new.find(|rule| seen.insert(*rule));
    }
    Page {
        style_hash: hash(&style),
        style,
        listing,
        rules: by_rule(listing.fods.iter())
            .into_iter()
            .map(|(finding, count)| (finding, count, seen.contains(&finding.rule)))
            .collect(),
        plots: [
            (Column::Class, "By what fetches"),
            (Column::Host, "By host"),
            (Column::Reference, "By what the address names"),
            (Column::Scheme, "By scheme"),
            (Column::Algo, "By hash"),
            (Column::Tls, "By whether certificates are checked"),
            (Column::Proxy, "By whether a proxy can lead it"),
            (Column::After, "By what is done with what came"),
        ]
        .map(|(column, title)| plot(listing, column, title))
        .into(),
        rows,
    }
    .to_string()
}

#[derive(Template)]
#[template(path = "html/fod.html")]
struct Page<'l> {
    style: String,
    style_hash: String,
    listing: &'l Listing,
    /// Each, how often, and whether a row below has it.
    rules: Vec<(Finding, usize, bool)>,
    plots: Vec<Plot>,
    rows: Vec<Shown<'l>>,
}

struct Plot {
    column: Column,
    title: &'static str,
    height: usize,
    bars: Vec<Bar>,
    description: String,
}

struct Bar {
    word: String,
    y: usize,
    width: usize,
    end: usize,
    count: usize,
}

struct Shown<'l> {
    of: &'l Row,
    place: &'l str,
    more: usize,
    /// The rule that it is the first to have, where the count of that leads to.
    first_of: Option<Rule>,
}

impl<'l> Shown<'l> {
    fn of(row: &'l Row) -> Self {
        let source = || row.sources.first().map(String::as_str);
        Self {
            of: row,
            place: row.telling_url().or_else(source).unwrap_or_default(),
            more: row.urls.len().saturating_sub(1),
            first_of: None,
        }
    }
}

/// The words of the plots, for whoever meets them here first.
const WORDS: [(&str, &[(&str, &str)]); 5] = [
    (
        "What fetches",
        &[
            ("builtin", "Nix itself: builtin:fetchurl"),
            ("curl", "fetchurl, fetchzip and all that is made of them"),
            ("git", "fetchgit"),
            ("vcs", "another version control system"),
            (
                "vendor",
                "a package manager (Cargo, Go, npm …), which decides what it fetches",
            ),
            ("nothing", "nothing in it can fetch: it unpacks or writes"),
            ("manual", "a person has to put the file into the store"),
            ("unknown", "something in it is not known"),
        ],
    ),
    (
        "What the address names: whether the same comes when it is fetched again",
        &[
            ("content", "a digest, such as a commit: always the same"),
            ("registry", "a release of a registry that replaces none"),
            (
                "abbreviated",
                "the beginning of a commit: the same while no other begins so",
            ),
            (
                "release",
                "a file of a release, which its owner can replace",
            ),
            ("file", "a file on a server, which its owner can replace"),
            ("tag", "a tag, which its owner can move"),
            ("branch", "a branch, which moves as a matter of course"),
            ("none", "no address is known"),
        ],
    ),
    (
        "Whether certificates are checked",
        &[
            ("verified", "they are"),
            (
                "off",
                "they are not, as fetchers of Nixpkgs do on purpose where the hash is known",
            ),
            ("without", "no address has TLS"),
            (
                "daemon",
                "Nix itself fetches, and checks since 2.18.8 and 2.24.8",
            ),
            ("unknown", "it cannot be told"),
            ("not-needed", "nothing is fetched"),
        ],
    ),
    (
        "Whether a proxy can lead it",
        &[
            ("yes", "by the usual variables"),
            ("daemon", "by the environment of Nix's daemon"),
            ("no", "not by variables"),
            ("not-needed", "nothing is fetched"),
        ],
    ),
    (
        "What is done with what came",
        &[
            ("none", "nothing: the hash is of what the server sends"),
            ("unpack", "it is unpacked, as fetchzip does"),
            ("other", "a program works on it (postFetch)"),
        ],
    ),
];

/// The colour of a level.
fn class_of(level: Level) -> &'static str {
    match level {
        Level::Error => "h",
        Level::Warning => "m",
        Level::Note => "u",
    }
}

fn plot(listing: &Listing, column: Column, title: &'static str) -> Plot {
    let counts = counts(listing, &[column]);
    let mut shown: Vec<(String, usize)> = counts
        .iter()
        .take(if counts.len() > BARS { BARS - 1 } else { BARS })
        .map(|count| {
            let value = count.values.first().map_or("", String::as_str);
            let value = if value.is_empty() {
                "no address"
            } else {
                value
            };
            (crate::escape::fit(value, 16).into_owned(), count.count)
        })
        .collect();
    let rest: usize = counts
        .iter()
        .skip(shown.len())
        .map(|count| count.count)
        .sum();
    if rest > 0 {
        shown.push((
            format!("{} others", number(counts.len() - shown.len())),
            rest,
        ));
    }
    let most = shown
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let told: Vec<String> = shown
        .iter()
        .map(|(word, count)| format!("{word} {}", number(count)))
        .collect();
    let bars = shown.into_iter().enumerate().map(|(at, (word, count))| {
        // What is there is seen, however little it is.
        let width = (count * WIDTH / most).max(2);
        Bar {
            word,
            y: at * STEP,
            width,
            end: 140 + width + 6,
            count,
        }
    });
    let bars: Vec<Bar> = bars.collect();
    Plot {
        column,
        title,
        height: bars.len().max(1) * STEP,
        bars,
        description: told.join(", "),
    }
}
