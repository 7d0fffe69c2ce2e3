//! The reviewed file of a gate: which finding about which output is accepted, why, and until when.
//!
//! ```toml
//! [[waiver]]
//! rule = "stale-hash"
//! output = "/nix/store/00000000000000000000000000000000-nix-2.24.15.tar.gz"
//! url = "https://example.org/nix-2.24.15.tar.gz"
//! reason = "released again without a change; the maintainers said so in their announcement"
//! expires = 2027-01-31
//! ```
//!
//! The output's path follows from its name and its hash, so that a waiver holds for these bytes under this
//! name and for nothing else. There are no patterns. Of a repository the revision is part of where it is
//! fetched from, and a waiver has to name it.

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use crate::nearest::did_you_mean;
use crate::place::Place;
use crate::shown;
use crate::stale::is_same_file;

/// The largest file, in bytes.
const MOST_BYTES: usize = 4 << 20;
/// So many waivers a file holds at most: more are reviewed by nobody.
const MOST: usize = 10_000;

/// A finding that is accepted for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Which rule.
    pub rule: Box<str>,
    /// The store path of the output.
    pub output: Box<str>,
    /// Only while it is fetched from here, if given: from this address first, and then from none that names
    /// another file. As the finding names it, or as it is written.
    pub url: Option<Box<str>>,
    /// At which revision.
    pub rev: Option<Box<str>>,
    /// Why.
    pub reason: Box<str>,
    /// Until which day, that day included.
    pub expires: Date,
    /// In which line of the file it begins.
    pub line: usize,
}

impl Waiver {
    /// Whether it is about a finding. `urls` are whole: what is not shown of them tells one source from another. `rev` is the revision, where it does not stand in the first URL.
    pub fn covers<'a>(
        &self,
        rule: &str,
        output: &str,
        urls: impl Iterator<Item = &'a str>,
        rev: Option<&str>,
    ) -> bool {
        let is_here = match self.url.as_deref() {
            Some(url) => is_only(url, urls),
            None => true,
        };
        *self.rule == *rule
            && *self.output == *output
            && is_here
            // One that is named where there is none is of another fetch as well.
            && self.rev.as_deref() == rev
    }

    /// Whether its day has passed.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires < today
    }
}

/// Whether one names the first of some, and the others have the same file at other places.
fn is_only<'a>(named: &str, mut urls: impl Iterator<Item = &'a str>) -> bool {
    let Some(first) = urls.next() else {
        return false;
    };
    let place = Place::of(first);
    (shown::named(first) == named || shown::asked(first) == named)
        && urls.all(|other| is_same_file(&Place::of(other), &place))
}

/// A file of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waivers(Vec<Waiver>);

impl Waivers {
    /// Reads a file. `rules` are those that can be waived. One waiver that is wrong makes the whole file
    /// wrong: what is reviewed is what holds.
    pub fn parse(text: &str, rules: &[&str]) -> Result<Self, WaiversError> {
        if text.len() > MOST_BYTES {
            return Err(WaiversError::TooLarge);
        }
        let file: File = toml::from_str(text)?;
        if file.waiver.len() > MOST {
            return Err(WaiversError::TooLarge);
        }
        let all = file.waiver.into_iter().map(|entry| {
            let start = entry.span().start;
            let line = 1 + text
                .get(..start)
                .map_or(0, |before| before.matches('\n').count());
            let entry = entry.into_inner();
            entry
                .check(line, rules)
                .map_err(|what| WaiversError::Wrong { line, what })
        });
        Ok(Self(all.collect::<Result<_, _>>()?))
    }

    /// All of them, in the order of the file.
    pub fn all(&self) -> &[Waiver] {
        &self.0
    }
}

/// Why a file of waivers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WaiversError {
    /// It is no TOML, or holds what it must not.
    #[error("cannot read the waivers")]
    Toml(#[from] toml::de::Error),
    /// A waiver says too little or something that cannot be.
    #[error("the waiver in line {line}: {what}")]
    Wrong {
        /// Where it begins.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Nobody reviews that much.
    #[error("the file of waivers is larger than {MOST_BYTES} bytes, or has more than {MOST}")]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    waiver: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: Box<str>,
    output: Box<str>,
    url: Option<Box<str>>,
    rev: Option<Box<str>>,
    reason: String,
    expires: toml::value::Datetime,
}

impl Entry {
    fn check(self, line: usize, rules: &[&str]) -> Result<Waiver, String> {
        if !rules.contains(&&*self.rule) {
            let meant = did_you_mean(&self.rule, rules.iter().copied());
            return Err(format!("there is no such rule{meant}"));
        }
        let is_path = self
            .output
            .rsplit_once('/')
            .is_some_and(|(dir, name)| dir.starts_with('/') && name.contains('-'));
        if !is_path {
            return Err("`output` is the store path of the output, as the finding names it".into());
        }
        if self.reason.trim().is_empty() {
            return Err("it has no reason".into());
        }
        let (Some(day), None) = (self.expires.date, self.expires.time) else {
            return Err("`expires` is a day, as in 2027-01-31".into());
        };
        let whole = (
            i16::try_from(day.year),
            i8::try_from(day.month),
            i8::try_from(day.day),
        );
        let expires = match whole {
            (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).ok(),
            _ => None,
        };
        Ok(Waiver {
            rule: self.rule,
            output: self.output,
            url: self.url,
            rev: self.rev,
            reason: self.reason.trim().into(),
            expires: expires.ok_or("there is no such day")?,
            line,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const ONE: &str = r#"
[[waiver]]
rule = "stale-hash"
output = "/nix/store/00000000000000000000000000000000-x"
url = "https://x.org/x-1"
reason = " because "
expires = 2026-12-31
"#;

    fn parse(text: &str) -> Result<Waivers, WaiversError> {
        Waivers::parse(text, &["stale-hash", "weak-hash"])
    }

    #[test]
    fn it_covers_what_it_names() {
        let waivers = parse(ONE).unwrap();
        let waiver = &waivers.all()[0];
        assert_eq!((&*waiver.reason, waiver.line), ("because", 2));
        let output = "/nix/store/00000000000000000000000000000000-x";
        let covers = |rule: &str, output: &str, url: &str| {
            waiver.covers(rule, output, [url, "https://y.org/x-1"].into_iter(), None)
        };
        assert!(covers("stale-hash", output, "https://x.org/x-1"));
        assert!(!covers("weak-hash", output, "https://x.org/x-1"));
        assert!(!covers("stale-hash", &output[1..], "https://x.org/x-1"));
        assert!(!covers("stale-hash", output, "https://x.org/x2"));
        // What is fetched from elsewhere first, or is another file where that is not there.
        let among =
            |urls: &[&'static str]| waiver.covers("stale-hash", output, urls.iter().copied(), None);
        assert!(among(&["https://x.org/x-1"]) && !among(&[]));
        assert!(!among(&["https://x.org/x-3", "https://x.org/x-1"]));
        assert!(!among(&["https://x.org/x-1", "https://x.org/x-3"]));
        // What is not shown counts.
        let hidden = |waived: &str, url: &'static str| {
            let text = ONE.replacen("https://x.org/x-1", waived, 1);
            let waivers = parse(&text).unwrap();
            waivers.all()[0].covers("stale-hash", output, [url].into_iter(), None)
        };
        let (two, three) = ("https://x.org/get?release=2", "https://x.org/get?release=3");
        for waived in [two, &shown::named(two)] {
            assert!(hidden(waived, two) && !hidden(waived, three));
        }
        assert!(!hidden(&shown::shown(two), two));
        // Of a repository it holds for one revision.
        let at = |rev: Option<&str>, text: &str| {
            let waivers = parse(text).unwrap();
            let urls = ["https://x.org/x-1"].into_iter();
            waivers.all()[0].covers("stale-hash", output, urls, rev)
        };
        let v1 = format!("{ONE}rev = \"v1\"\n");
        assert!(at(Some("v1"), &v1) && !at(Some("v2"), &v1) && !at(Some("v2"), ONE));
        assert!(!waiver.is_expired(date(2026, 12, 31)));
        assert!(waiver.is_expired(date(2027, 1, 1)));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |from: &str, to: &str| {
            let text = ONE.replacen(from, to, 1);
            assert_ne!(text, ONE);
            parse(&text).unwrap_err().to_string()
        };
        let all = [
            told("stale-hash", "stale-hsh"),
            told("stale-hash", "other"),
            told("/nix/store/", ""),
            told(" because ", " "),
            told("2026-12-31", "2026-12-31T00:00:00"),
            told("2026-12-31", "2026-02-30"),
            told("url", "urls"),
            told("reason = \" because \"\n", ""),
            told("expires = 2026-12-31\n", ""),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        the waiver in line 2: there is no such rule (did you mean `stale-hash`?)
        the waiver in line 2: there is no such rule
        the waiver in line 2: `output` is the store path of the output, as the finding names it
        the waiver in line 2: it has no reason
        the waiver in line 2: `expires` is a day, as in 2027-01-31
        cannot read the waivers
        cannot read the waivers
        cannot read the waivers
        cannot read the waivers
        ");
    }
}
