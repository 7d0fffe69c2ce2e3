//! `snowguard fod diff` for a terminal: what is dangerous first, and in each change what differs.
//!
//! An address of which a part is missing may be the one that matters, so that addresses and hashes of what changed
//! are whole. Only what is beyond all measure is cut, and then never where two of them differ.

use std::collections::HashSet;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::difference::{Difference, Rehashed, Unchanged};
use super::listing::{Row, some_of_each, with_revision, worst_first};
use super::text::{findings, gaps, named, notes, place};
use crate::escape::line;
use crate::text::{Paint, number, wrap};
use crate::words::counted;

/// How many stale ones are shown before it says how many more there are.
const FIRST_STALE: usize = 24;
/// And how many of each other part.
const FIRST: usize = 8;
/// How many of one rule among what was added.
const OF_EACH: usize = 2;
/// How many addresses of one derivation are shown.
const ADDRESSES: usize = 3;
/// The longest address that is shown whole, in characters.
const LONGEST: usize = 300;
/// How much of a longer one is shown beside what differs.
const BESIDE: usize = 60;

/// What differs.
pub fn differing(difference: &Difference, paint: Paint, width: usize, all: bool) -> String {
    let width = width.clamp(60, 160);
    let mut out = String::new();
    let mut title = String::new();
    let names = format!("{} → {}", line(&difference.base), line(&difference.head));
    wrap(&mut title, 0, &names, width);
    for part in title.lines() {
        let _ = writeln!(out, "{}", paint.heading(part));
    }
    let (moved, others): (Vec<_>, Vec<_>) = difference
        .unchanged_hash
        .iter()
        .partition(|found| found.is_moved());
    let (stale, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|found| found.is_stale());
    out.push_str(&summary(
        difference,
        stale.len(),
        others.len(),
        moved.len(),
        width,
    ));
    let page = Page { paint, width, all };
    page.unchanged(&mut out, "STALE", &stale, FIRST_STALE);
    page.rehashed(&mut out, &difference.changed_hash);
    page.unchanged(
        &mut out,
        "THE SAME HASH FOR WHAT MAY BE SOMETHING ELSE",
        &others,
        FIRST,
    );
    out.push_str(&findings(
        "WHAT SPEAKS AGAINST WHAT IS NEW OR CHANGED",
        difference.changed(),
        paint,
        width,
    ));
    page.unchanged(&mut out, "MOVED", &moved, FIRST);
    page.rows(&mut out, "ADDED", &difference.added);
    page.rows(&mut out, "REMOVED", &difference.removed);
    out + &gaps(&difference.gaps, paint)
}

/// How many there are of each, in two lines.
fn summary(
    difference: &Difference,
    stale: usize,
    others: usize,
    moved: usize,
    width: usize,
) -> String {
    let mut out = String::new();
    let changed = format!(
        "{} stale, {} with another hash of the same source, {} with the same hash for what may be something else, {} moved",
        number(stale),
        number(difference.changed_hash.len()),
        number(others),
        number(moved),
    );
    wrap(&mut out, 2, &changed, width);
    let rest = format!(
        "{} added, {} removed, {} the same",
        number(difference.added.len()),
        number(difference.removed.len()),
        number(difference.same),
    );
    wrap(&mut out, 2, &rest, width);
    out
}

/// How it is written.
struct Page {
    paint: Paint,
    width: usize,
    all: bool,
}

impl Page {
    /// Those with the same hash, by what that means.
    fn unchanged(&self, out: &mut String, heading: &str, found: &[&Unchanged], first: usize) {
        let mut found = found.to_vec();
        // What is built from the old source in silence stands before what Nix refuses.
        found.sort_by_key(|found| (found.kind, found.base.name != found.head.name));
        let mut meaning = "";
        self.part(out, heading, &found, first, |out, found| {
            if found.meaning != meaning {
                meaning = found.meaning;
                let is_told = heading.eq_ignore_ascii_case(found.kind);
                let kind = if is_told {
                    String::new()
                } else {
                    format!("{}: ", found.kind)
                };
                wrap(out, 2, &format!("{kind}{meaning}"), self.width);
            }
            out.push_str(&named(&found.head, self.paint, self.width));
            if found.base.name != found.head.name {
                self.pair(out, &found.base.name, &found.head.name);
            }
            self.addresses(out, found);
            if !found.is_moved() {
                let hash = format!("    {}", found.head.hash);
                let _ = writeln!(out, "{}", self.paint.quiet(&hash));
            }
            out.push_str(&notes(&found.head, self.paint, self.width));
        });
    }

    /// Those of which other bytes are promised.
    fn rehashed(&self, out: &mut String, found: &[Rehashed]) {
        let mut is_told = false;
        self.part(
            out,
            "THE SAME SOURCE, ANOTHER HASH",
            found,
            FIRST,
            |out, found| {
                if !is_told {
                    is_told = true;
                    let meaning =
                        "other bytes were put there, a tag was moved, or a mistake was mended";
                    wrap(out, 2, meaning, self.width);
                }
                out.push_str(&named(&found.head, self.paint, self.width));
                if let Some(source) = sources(&found.head).first() {
                    let _ = writeln!(out, "    {}", cut(source, (0, 0)).concat());
                }
                self.pair(out, &found.base.hash, &found.head.hash);
                out.push_str(&notes(&found.head, self.paint, self.width));
            },
        );
    }

    /// What is there on one side only.
    fn rows(&self, out: &mut String, heading: &str, rows: &[Row]) {
        let shown = if self.all || rows.len() <= FIRST {
            worst_first(rows)
        } else {
            some_of_each(rows, OF_EACH, FIRST)
        };
        let rest = rows.len() - shown.len();
        self.part(out, heading, &shown, shown.len(), |out, row| {
            out.push_str(&named(row, self.paint, self.width));
            let _ = writeln!(out, "    {}", cut(&place(row), (0, 0)).concat());
            out.push_str(&notes(row, self.paint, self.width));
        });
        self.more(out, rest);
    }

    fn part<T>(
        &self,
        out: &mut String,
        heading: &str,
        of: &[T],
        first: usize,
        mut each: impl FnMut(&mut String, &T),
    ) {
        if of.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n{}", self.paint.heading(heading));
        let shown = if self.all {
            of.len()
        } else {
            of.len().min(first)
        };
        for one in &of[..shown] {
            each(out, one);
        }
        self.more(out, of.len() - shown);
    }

    fn more(&self, out: &mut String, count: usize) {
        if count > 0 {
            let more = format!("  and {} more; --all shows them", number(count));
            let _ = writeln!(out, "{}", self.paint.quiet(&more));
        }
    }

    /// Where it was and is fetched from, without what is there on both sides.
    fn addresses(&self, out: &mut String, found: &Unchanged) {
        let (was, is) = (only(&found.was, &found.is), only(&found.is, &found.was));
        match (was.as_slice(), is.as_slice()) {
            ([], []) => {
                if let Some(first) = found.is.first() {
                    let _ = writeln!(out, "    {}", cut(first, (0, 0)).concat());
                }
                self.other_way(out, found);
            }
            ([was], [is]) => self.pair(out, was, is),
            _ => {
                side(out, if is.is_empty() { "no more" } else { "was" }, &was);
                side(out, if was.is_empty() { "also" } else { "is" }, &is);
            }
        }
    }

    /// What differs of two with the same address, as far as that can be named.
    fn other_way(&self, out: &mut String, found: &Unchanged) {
        let (base, head) = (&found.base, &found.head);
        if found.is_moved() || found.is_stale() {
            let text =
                "only what is not shown differs: a user, a password, or the value of a query";
            return wrap(out, 4, text, self.width);
        }
        let checkout = |row: &Row| match row.checkout.as_slice() {
            [] => "none".to_owned(),
            some => some.join(", "),
        };
        let facts = [
            ("tool", base.tool.to_owned(), head.tool.to_owned()),
            ("after", base.after.to_owned(), head.after.to_owned()),
            ("checkout", checkout(base), checkout(head)),
        ];
        let differ = facts.iter().filter(|(_, was, is)| was != is);
        let told: Vec<String> = differ
            .map(|(what, was, is)| format!("{what}: {was} → {is}"))
            .collect();
        if told.is_empty() {
            // What is asked for is in the derivations themselves.
            self.pair(out, &base.drv, &head.drv);
        } else {
            wrap(out, 4, &told.join("; "), self.width);
        }
    }

    /// Two texts, on one line where both have room, and with weight on what differs.
    fn pair(&self, out: &mut String, was: &str, is: &str) {
        let (was, is) = (line(was), line(is));
        let (from, to) = differ(&was, &is);
        let shown = |text: &str, at| {
            let [before, middle, after] = cut(text, at);
            (
                format!("{before}{middle}{after}").width(),
                format!("{before}{}{after}", self.paint.name(&middle)),
            )
        };
        let (old, new) = (shown(&was, from), shown(&is, to));
        let _ = if 4 + old.0 + 3 + new.0 <= self.width {
            writeln!(out, "    {} → {}", old.1, new.1)
        } else {
            writeln!(out, "    was {}\n    is  {}", old.1, new.1)
        };
    }
}

/// Where it is fetched from on one side, some of many.
fn side(out: &mut String, word: &str, of: &[&str]) {
    for (at, address) in of.iter().take(ADDRESSES).enumerate() {
        let word = if at == 0 { word } else { "" };
        let _ = writeln!(out, "    {word:<7} {}", cut(address, (0, 0)).concat());
    }
    if of.len() > ADDRESSES {
        let more = counted(of.len() - ADDRESSES, "more address", "more addresses");
        let _ = writeln!(out, "            and {more}");
    }
}

/// From where one is fetched.
fn sources(row: &Row) -> Vec<String> {
    let sources = if row.urls.is_empty() {
        &row.sources
    } else {
        &row.urls
    };
    with_revision(sources, row.rev.as_deref())
}

/// Those that the others have not.
fn only<'t>(those: &'t [String], others: &[String]) -> Vec<&'t str> {
    let others: HashSet<&str> = others.iter().map(String::as_str).collect();
    let those = those.iter().map(String::as_str);
    those.filter(|text| !others.contains(text)).collect()
}

/// Which characters of two texts differ: from where to where, in each.
fn differ(one: &str, other: &str) -> ((usize, usize), (usize, usize)) {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (rest, other_rest) = (one[same..].iter().rev(), other[same..].iter().rev());
    let tail = rest.zip(other_rest).take_while(|(a, b)| a == b).count();
    ((same, one.len() - tail), (same, other.len() - tail))
}

/// What is before some characters of a text, these, and what is after them; cut where all of it is too long, and what
/// differs last.
fn cut(text: &str, (from, to): (usize, usize)) -> [String; 3] {
    let text: Vec<char> = line(text).chars().collect();
    let parts = [&text[..from], &text[from..to], &text[to..]];
    if text.len() <= LONGEST {
        return parts.map(|part| part.iter().collect());
    }
    let [before, middle, after] = parts;
    let start = |part: &[char], most: usize| -> String {
        let rest = if part.len() > most { "…" } else { "" };
        part.iter().take(most).collect::<String>() + rest
    };
    let near = if before.len() > 2 * BESIDE {
        let end = &before[before.len() - BESIDE..];
        start(before, BESIDE) + &end.iter().collect::<String>()
    } else {
        before.iter().collect()
    };
    let room = LONGEST - 2 * BESIDE;
    let left = room.saturating_sub(middle.len()).max(BESIDE);
    [near, start(middle, room), start(after, left)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(was: &str, is: &str, width: usize, colour: bool) -> String {
        let paint = Paint::new(colour);
        let page = Page {
            paint,
            width,
            all: false,
        };
        let mut out = String::new();
        page.pair(&mut out, was, is);
        out
    }

    #[test]
    fn two_that_differ_never_look_the_same() {
        let short = pair(
            "https://x.org/a-1.0.tgz",
            "https://x.org/a-1.1.tgz",
            80,
            false,
        );
        assert_eq!(
            short,
            "    https://x.org/a-1.0.tgz → https://x.org/a-1.1.tgz\n"
        );
        // However long they are, and wherever they differ.
        for (before, middle, after) in [
            (70, 1, 10),
            (900, 1, 900),
            (10, 900, 10),
            (0, 500, 0),
            (900, 1, 0),
        ] {
            let text = |c: &str| {
                format!(
                    "{}{}{}",
                    "p".repeat(before),
                    c.repeat(middle),
                    "s".repeat(after)
                )
            };
            let out = pair(&text("0"), &text("1"), 80, false);
            let lines: Vec<&str> = out.lines().collect();
            let [was, is] = lines[..] else {
                panic!("{out}")
            };
            assert!(was.starts_with("    was p") || before == 0);
            assert!(
                was.contains('0') && !was.contains('1') && is.contains('1'),
                "{out}"
            );
            assert!(is.width() < LONGEST + 20, "{out}");
            assert_eq!(was.replace('0', "1").replace("was", "is "), is);
        }
        // What is taken away, or put in.
        assert_eq!(
            pair("a.tgz", "a.tar.gz", 80, false),
            "    a.tgz → a.tar.gz\n"
        );
        assert_eq!(differ("aa", "aaa"), ((2, 2), (2, 3)));
        assert_eq!(differ("x", "x"), ((1, 1), (1, 1)));
    }

    #[test]
    fn what_differs_has_weight() {
        let painted = pair("v1.0", "v1.1", 80, true);
        assert_eq!(
            painted,
            "    v1.\u{1b}[1m0\u{1b}[0m → v1.\u{1b}[1m1\u{1b}[0m\n"
        );
    }

    #[test]
    fn anothers_text_is_no_line_of_ours() {
        let out = pair(
            "https://x.org/a\nSTALE",
            "https://x.org/\u{1b}[2J\u{202e}b",
            80,
            false,
        );
        assert_eq!(
            out,
            "    https://x.org/a STALE → https://x.org/\\u{1b}[2J\\u{202e}b\n"
        );
        let long = cut(&format!("{}\n", "x".repeat(400)), (0, 0)).concat();
        assert!(!long.contains('\n') && long.chars().count() <= LONGEST);
    }
}
