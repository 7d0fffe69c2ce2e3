//! One record of one database, in the model that all formats are read into.
//!
//! A record is what a source says; several records may speak of one vulnerability. They are
//! brought together, by their aliases, when the index is built. The serialised form of [`Record`]
//! is the facts format, documented in the book (`docs/src/reference/facts.md`).

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::id::AdvisoryId;
use crate::identity::Product;
use crate::order::Scheme;
use crate::range::{Rule, Status};
use crate::severity::{Epss, Exploited, Severity, Ssvc};
use crate::texts::Texts;

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The record's own id.
    pub id: AdvisoryId,
    /// Other names of the same vulnerability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AdvisoryId>,
    /// Taken back by its author: rejected or withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// First published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
    /// Last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Date>,
    /// The title, in the author's words. Never in data that is shipped with the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// How bad, as its authors say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<Severity>,
    /// CISA's decision points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssvc: Option<Ssvc>,
    /// Known exploitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited: Option<Exploited>,
    /// Likelihood of exploitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    /// Commits that fix it, in whatever repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Commit>,
    /// What is affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<Affected>,
    /// The words of its author, where they were asked for. No part of the serialised form.
    #[serde(skip)]
    pub texts: Option<Box<Texts>>,
}

impl Record {
    /// A record of which only the id is known.
    pub fn new(id: AdvisoryId) -> Self {
        Self {
            id,
            aliases: Vec::new(),
            withdrawn: false,
            published: None,
            modified: None,
            summary: None,
            severities: Vec::new(),
            ssvc: None,
            exploited: None,
            epss: None,
            fixes: Vec::new(),
            affects: Vec::new(),
            texts: None,
        }
    }

    /// Notes the systems to which the record's prose restricts itself, on all that it says.
    ///
    /// Who restricts some entries by structure has said which: Git for Windows runs on Windows, and
    /// what stands beside it without a system is Git.
    pub(crate) fn restrict_by_prose(&mut self, systems: &[Platform]) {
        let told: Vec<_> = self
            .affects
            .iter()
            .filter(|affected| !affected.platforms.is_empty())
            .map(|affected| affected.by.clone())
            .collect();
        for affected in &mut self.affects {
            if affected.platforms.is_empty() && !told.contains(&affected.by) {
                affected.prose_platforms = systems.to_vec();
            }
        }
    }

    /// Whether two records of one id differ in what matters to whether something is affected: ranges,
    /// products, names, fixes and whether it was taken back. Titles, scores and days do not.
    pub fn differs_in_substance(&self, other: &Self) -> bool {
        let substance = |record: &Self| {
            let mut aliases = record.aliases.clone();
            aliases.sort_unstable();
            let mut fixes = record.fixes.clone();
            fixes.sort_unstable();
            let mut affects = record.affects.clone();
            affects.sort_unstable();
            (record.withdrawn, aliases, fixes, affects)
        };
        substance(self) != substance(other)
    }

    /// The newest day of what it says about versions; none if it says nothing about any, as records
    /// of exploitation and of scores do.
    pub fn newest_range(&self) -> Option<Date> {
        self.published
            .max(self.modified)
            .filter(|_| !self.affects.is_empty())
    }

    /// The newest day in the record.
    pub fn newest_date(&self) -> Option<Date> {
        let kev = self.exploited.map(|e| e.since);
        let epss = self.epss.and_then(|e| e.date);
        [self.published, self.modified, kev, epss]
            .into_iter()
            .flatten()
            .max()
    }
}

/// What a record says about one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affected {
    /// The thing, under each of its names. Any of them joins.
    pub products: Vec<Product>,
    /// Who says so: the CNA, the enriching container or the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// Whether they who say so make the thing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upstream: bool,
    /// The order of the versions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scheme: Scheme,
    /// What holds for versions that no rule covers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: Status,
    /// Which versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule<Box<str>>>,
    /// Only on these systems; empty where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// The systems to which the record's prose restricts itself: a hint, not a statement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prose_platforms: Vec<Platform>,
    /// Only together with one of these (NVD's AND); empty where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_with: Vec<Product>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An operating system that a record restricts itself to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Linux, of whatever distribution.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
    /// Anything else: Android, iOS, z/OS, an appliance, a service that only its provider runs.
    Other,
}

impl Platform {
    /// All of them, in the order of their codes in the index.
    pub const ALL: [Self; 4] = [Self::Linux, Self::Macos, Self::Windows, Self::Other];

    /// From a word of a CVE record's `platforms` or the product of an operating system's CPE.
    ///
    /// Processor architectures and words that say nothing ("all", "Unknown") are none.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        let has = |needles: &[&str]| needles.iter().any(|n| word.contains(n));
        if has(&["windows", "win32", "win64"]) {
            Some(Self::Windows)
        } else if has(&[
            "linux", "debian", "ubuntu", "fedora", "suse", "centos", "nixos",
        ]) {
            Some(Self::Linux)
        } else if has(&["macos", "mac os", "mac_os", "os x", "darwin"]) {
            Some(Self::Macos)
        } else if has(&[
            "android", "iphone", "ipad", "ios", "solaris", "aix", "freebsd", "openbsd", "netbsd",
            "z/os", "hp-ux", "vxworks",
        ]) {
            Some(Self::Other)
        } else {
            None
        }
    }

    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Macos => "macOS",
            Self::Windows => "Windows",
            Self::Other => "another system",
        }
    }
}

/// A set of operating systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlatformSet(u8);

impl PlatformSet {
    /// Whether a system is in the set.
    pub fn contains(self, platform: Platform) -> bool {
        self.0 >> (platform as u8) & 1 == 1
    }

    /// Whether there is none in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The systems in it.
    pub fn iter(self) -> impl Iterator<Item = Platform> {
        Platform::ALL
            .into_iter()
            .filter(move |platform| self.contains(*platform))
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits & 0xf)
    }
}

impl FromIterator<Platform> for PlatformSet {
    fn from_iter<I: IntoIterator<Item = Platform>>(platforms: I) -> Self {
        Self(
            platforms
                .into_iter()
                .fold(0, |bits, platform| bits | 1 << (platform as u8)),
        )
    }
}

/// The systems in words: `Windows and macOS`.
impl fmt::Display for PlatformSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, platform) in self.iter().enumerate() {
            let joint = if at == 0 { "" } else { " and " };
            write!(f, "{joint}{}", platform.as_str())?;
        }
        Ok(())
    }
}

/// A git commit by its full SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit([u8; 20]);

impl Commit {
    /// From its bytes.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The commit that a URL of a commit or patch names, as fetchpatch has them:
    /// `…/commit/SHA`, `…/commit/SHA.patch`, `…?id=SHA`, `…;h=SHA`.
    ///
    /// Abbreviated hashes are no identity and are not taken.
    pub fn from_url(url: &str) -> Option<Self> {
        let bytes = url.as_bytes();
        let mut start = 0;
        for at in 0..=bytes.len() {
            if bytes.get(at).is_some_and(u8::is_ascii_hexdigit) {
                continue;
            }
            if at - start == 40 {
                return url[start..at].parse().ok();
            }
            start = at + 1;
        }
        None
    }
}

impl FromStr for Commit {
    type Err = InvalidCommit;

    fn from_str(text: &str) -> Result<Self, InvalidCommit> {
        let invalid = || InvalidCommit(crate::id::shorten(text));
        if text.len() != 40 || !text.is_ascii() {
            return Err(invalid());
        }
        let mut bytes = [0; 20];
        for (byte, at) in bytes.iter_mut().zip((0..40).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Commit {
    type Error = InvalidCommit;

    fn try_from(text: String) -> Result<Self, InvalidCommit> {
        text.parse()
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.to_string()
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a commit: expected 40 hexadecimal digits")]
pub struct InvalidCommit(String);

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "43913f2f4fbd7dcff930b8a809e709591e4dd79e";

    #[test]
    fn commits_are_found_in_urls() {
        for url in [
            format!("https://github.com/miekg/dns/commit/{SHA}"),
            format!("https://github.com/miekg/dns/commit/{SHA}.patch?full_index=1"),
            format!("https://git.savannah.gnu.org/cgit/wget.git/patch/?id={SHA}"),
            format!("https://sourceware.org/git/?p=glibc.git;a=patch;h={SHA}"),
        ] {
            assert_eq!(
                Commit::from_url(&url).map(|c| c.to_string()).as_deref(),
                Some(SHA),
                "{url}"
            );
        }
        assert_eq!(
            Commit::from_url("https://github.com/miekg/dns/commit/43913f2"),
            None
        );
        assert_eq!(Commit::from_url(&format!("https://x.org/{SHA}00")), None);
    }

    #[test]
    fn titles_and_scores_are_no_substance() {
        let read = |json: &str| serde_json::from_str::<Record>(json).unwrap();
        let one = read(
            r#"{"id":"CVE-2020-0001","affects":[{"products":[":x"],"rules":["<2"]},{"products":[":y"]}]}"#,
        );
        let same = read(
            r#"{"id":"CVE-2020-0001","summary":"t","modified":"2024-01-01","severities":[{"word":"high"}],"affects":[{"products":[":y"]},{"products":[":x"],"rules":["<2"]}]}"#,
        );
        assert!(!one.differs_in_substance(&same));
        for other in [
            r#"{"id":"CVE-2020-0001","affects":[{"products":[":x"],"rules":["<3"]},{"products":[":y"]}]}"#,
            r#"{"id":"CVE-2020-0001","withdrawn":true,"affects":[{"products":[":x"],"rules":["<2"]},{"products":[":y"]}]}"#,
        ] {
            assert!(one.differs_in_substance(&read(other)));
        }
    }

    #[test]
    fn platforms_are_told_from_their_words() {
        assert_eq!(
            Platform::from_word("Windows 10 Version 1809 for 32-bit Systems"),
            Some(Platform::Windows)
        );
        assert_eq!(Platform::from_word("x64-based Systems"), None);
        assert_eq!(Platform::from_word("linux_kernel"), Some(Platform::Linux));
        assert_eq!(Platform::from_word("mac_os_x"), Some(Platform::Macos));
        assert_eq!(Platform::from_word("iphone_os"), Some(Platform::Other));
    }
}
