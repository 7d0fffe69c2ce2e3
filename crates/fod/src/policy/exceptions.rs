//! The reviewed file: what may be reached beyond what derivations say, why, and until when.
//!
//! ```toml
//! [limits]
//! bytes = 68719476736
//!
//! [[exception]]
//! derivation = "hello-*"
//! hosts = ["mirror.example.org", "*.cdn.example.org:8443"]
//! protocols = ["http"]
//! reason = "the only mirror that has it"
//! expires = 2027-01-01
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use snowguard_store::StorePath;
use toml::Spanned;

use super::{HostPattern, Limits, Protocol};
use crate::class::{Class, is_tool};
use crate::fod::Fod;

/// The largest policy file, in bytes.
const MOST_BYTES: usize = 4 << 20;
/// So many exceptions a file holds at most: more are reviewed by nobody.
const MOST: usize = 10_000;

/// Something that is allowed for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The name of the derivation's output; `*` stands for anything.
    pub derivation: Option<Box<str>>,
    /// The store path of its output, which follows from name and hash.
    pub output: Option<Box<str>>,
    /// The word of its class.
    pub class: Option<Box<str>>,
    /// The name of its tool.
    pub tool: Option<Box<str>>,
    /// What may be reached; with a port that is not the protocol's.
    pub hosts: Vec<(HostPattern, Option<u16>)>,
    /// By these protocols.
    pub protocols: Vec<Protocol>,
    /// Also at addresses that are not of the public network.
    pub private: bool,
    /// Why.
    pub reason: Box<str>,
    /// Until which day, that day included, in UTC.
    pub expires: Date,
}

/// The day that exceptions are held against: that of UTC, wherever a machine is.
pub fn day_of(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

impl Exception {
    /// Whether it is about a derivation: all that it names has to fit.
    pub fn concerns(&self, fod: &Fod) -> bool {
        let fits = |asked: Option<&str>, is: &str| asked.is_none_or(|asked| asked == is);
        self.derivation
            .as_deref()
            .is_none_or(|glob| matches(glob, &fod.name))
            && fits(self.output.as_deref(), &fod.output)
            && fits(self.class.as_deref(), fod.tool.class.as_str())
            && fits(self.tool.as_deref(), fod.tool.name)
    }
}

/// A policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    limits: Option<Limits>,
    all: Vec<Exception>,
}

impl Exceptions {
    /// Limits, and exceptions that hold as they are; for who has no file.
    pub fn new(limits: Limits, all: Vec<Exception>) -> Self {
        Self {
            limits: Some(limits),
            all,
        }
    }

    /// Reads a policy file. One exception that is wrong makes the whole file wrong: what is reviewed is what
    /// holds.
    pub fn parse(text: &str) -> Result<Self, ExceptionsError> {
        if text.len() > MOST_BYTES {
            return Err(ExceptionsError::TooLarge);
        }
        let file: File = toml::from_str(text)?;
        if file.exception.len() > MOST {
            return Err(ExceptionsError::TooLarge);
        }
        let all = file.exception.into_iter().enumerate().map(|(at, entry)| {
            let line = 1 + text[..entry.span().start].matches('\n').count();
            let wrong = |what| ExceptionsError::Wrong {
                number: at + 1,
                line,
                what,
            };
            entry.into_inner().check().map_err(wrong)
        });
        Ok(Self {
            limits: Some(file.limits.over(Limits::default())),
            all: all.collect::<Result<_, _>>()?,
        })
    }

    /// How much a derivation may take.
    pub fn limits(&self) -> Limits {
        self.limits.unwrap_or_default()
    }

    /// All that stand in the file.
    pub fn all(&self) -> &[Exception] {
        &self.all
    }

    /// Those that hold on a day.
    pub fn in_force(&self, today: Date) -> Vec<&Exception> {
        self.all.iter().filter(|one| one.expires >= today).collect()
    }

    /// Those that hold on a day for whatever is called `source`, to be told: so are most sources, of a pull request too.
    pub fn broad(&self, today: Date) -> Vec<&Exception> {
        let mut all = self.in_force(today);
        all.retain(|one| {
            let glob = one.derivation.as_deref();
            one.output.is_none() && glob.is_some_and(|glob| matches(glob, "source"))
        });
        all
    }

    /// Those that hold on a day and not beyond another one, to be looked at in time.
    pub fn ending(&self, today: Date, last: Date) -> Vec<&Exception> {
        let mut all = self.in_force(today);
        all.retain(|one| one.expires <= last);
        all
    }

    /// Those that no longer hold, to be told.
    pub fn expired(&self, today: Date) -> Vec<&Exception> {
        self.all.iter().filter(|one| one.expires < today).collect()
    }
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExceptionsError {
    /// It is no TOML, or holds what it must not.
    #[error("cannot read the policy file")]
    Toml(#[from] toml::de::Error),
    /// An exception says too little or something that cannot be.
    #[error("exception {number} of the policy file, at line {line}: {what}")]
    Wrong {
        /// Which, counted from 1.
        number: usize,
        /// Where it begins, counted from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Nobody reviews that much.
    #[error(
        "the policy file is larger than {MOST_BYTES} bytes, or has more than {MOST} exceptions"
    )]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    limits: FileLimits,
    #[serde(default)]
    exception: Vec<Spanned<Entry>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLimits {
    bytes: Option<u64>,
    requests: Option<u64>,
    redirects: Option<u32>,
    seconds: Option<u64>,
}

impl FileLimits {
    fn over(&self, usual: Limits) -> Limits {
        Limits {
            bytes: self.bytes.unwrap_or(usual.bytes),
            requests: self.requests.unwrap_or(usual.requests),
            redirects: self.redirects.unwrap_or(usual.redirects),
            seconds: self.seconds.unwrap_or(usual.seconds),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    derivation: Option<Box<str>>,
    output: Option<Box<str>>,
    class: Option<Box<str>>,
    tool: Option<Box<str>>,
    hosts: Vec<String>,
    #[serde(default = "https")]
    protocols: Vec<FileProtocol>,
    #[serde(default)]
    private: bool,
    reason: String,
    expires: toml::value::Datetime,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileProtocol {
    Https,
    Http,
}

fn https() -> Vec<FileProtocol> {
    vec![FileProtocol::Https]
}

impl Entry {
    fn check(self) -> Result<Exception, &'static str> {
        let all = "`*` alone would be for every derivation; name a class or a tool for that";
        let names = [&self.output, &self.class, &self.tool];
        match self.derivation.as_deref() {
            None if names.iter().all(|name| name.is_none()) => {
                return Err("it names no derivation, output, class or tool");
            }
            Some(glob) if glob.chars().all(|c| c == '*') => return Err(all),
            _ => {}
        }
        // What fits nothing would stand there for ever, and be believed to help.
        if let Some(output) = self.output.as_deref() {
            let base = output.rsplit('/').next().unwrap_or_default();
            if !output.starts_with('/') || StorePath::from_base_name(base).is_err() {
                return Err("`output` is a store path, as in /nix/store/…-source");
            }
        }
        if let Some(class) = self.class.as_deref()
            && !Class::ALL.iter().any(|known| known.as_str() == class)
        {
            return Err("there is no such class: `snowguard fod list` shows those there are");
        }
        if let Some(tool) = self.tool.as_deref()
            && !is_tool(tool)
        {
            return Err("there is no such tool: `snowguard fod list` shows those there are");
        }
        if self.reason.trim().is_empty() {
            return Err("it has no reason");
        }
        // Whoever writes a derivation names it, and says what class and tool it seems to have.
        if self.private && self.output.is_none() {
            return Err("`private` needs `output`: everything else can be made to fit");
        }
        if self.hosts.is_empty() || self.protocols.is_empty() {
            return Err("it names no hosts or no protocols");
        }
        let hosts = self.hosts.iter().map(|host| {
            host_and_port(host)
                .ok_or("a host is a name, `*.` before one, or an address, and perhaps `:PORT`")
        });
        let (Some(day), None) = (self.expires.date, self.expires.time) else {
            return Err("`expires` is a day, as in 2027-01-31");
        };
        let (year, month, of_month) = (
            i16::try_from(day.year),
            i8::try_from(day.month),
            i8::try_from(day.day),
        );
        let expires = match (year, month, of_month) {
            (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).ok(),
            _ => None,
        };
        Ok(Exception {
            hosts: hosts.collect::<Result<_, _>>()?,
            protocols: self
                .protocols
                .iter()
                .map(|protocol| match protocol {
                    FileProtocol::Https => Protocol::Https,
                    FileProtocol::Http => Protocol::Http,
                })
                .collect(),
            derivation: self.derivation,
            output: self.output,
            class: self.class,
            tool: self.tool,
            private: self.private,
            reason: self.reason.trim().into(),
            expires: expires.ok_or("there is no such day")?,
        })
    }
}

/// `x.org`, `x.org:8443`, `[::1]:80`, `::1`.
fn host_and_port(text: &str) -> Option<(HostPattern, Option<u16>)> {
    let is_whole = text.matches(':').count() > 1 && !text.starts_with('[');
    let split = text
        .rsplit_once(':')
        .filter(|(host, _)| !is_whole && (!host.starts_with('[') || host.ends_with(']')));
    match split {
        Some((host, port)) => Some((HostPattern::parse(host)?, Some(port.parse().ok()?))),
        None => Some((HostPattern::parse(text)?, None)),
    }
}

/// Whether a text is of a form in which `*` stands for anything.
fn matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Something that would be denied, as an audit saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proposal {
    /// The store path of the derivation's output, which follows from name and hash. By its name alone something else
    /// would be allowed as well: most sources are called `source`.
    pub output: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Whether it was at an address that is not of the public network.
    pub private: bool,
}

/// Writes exceptions that would allow all of that. Each has a reason that says who proposes it, for a person to
/// replace; nothing is allowed by having been seen.
pub fn propose(seen: &[Proposal], expires: Date) -> String {
    type Key<'p> = (&'p str, Protocol, bool);
    let mut by: BTreeMap<Key<'_>, Vec<String>> = BTreeMap::new();
    for one in seen {
        let host = if one.host.contains(':') {
            format!("[{}]", one.host)
        } else {
            one.host.clone()
        };
        let host = if one.port == one.protocol.port() {
            host
        } else {
            format!("{host}:{}", one.port)
        };
        let hosts = by
            .entry((&one.output, one.protocol, one.private))
            .or_default();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let mut text = String::new();
    for ((output, protocol, private), hosts) in by {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let hosts: Vec<String> = hosts.iter().map(|host| quoted(host)).collect();
        let private = if private { "private = true\n" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "[[exception]]\noutput = {}\nhosts = [{}]\nprotocols = [\"{protocol}\"]\n{private}\
             reason = \"proposed by an audit: say why\"\nexpires = {expires}\n\n",
            quoted(output),
            hosts.join(", "),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "/nix/store/00000000000000000000000000000000-source";

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("hello", "hello", true),
            ("hello", "hello2", false),
            ("hello-*", "hello-2.12.tar.gz", true),
            ("*-x", "a-x", true),
            ("*-x", "a-xy", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let whole = "derivation = \"x\"\nhosts = [\"x.org\"]\nreason = \"y\"\nexpires = 2027-01-01";
        let told = |from: &str, to: &str| {
            let text = format!("[[exception]]\n{}", whole.replace(from, to));
            match Exceptions::parse(&text) {
                Ok(exceptions) => format!("{} good", exceptions.all.len()),
                Err(ExceptionsError::Toml(error)) => error.message().to_owned(),
                Err(error) => error.to_string(),
            }
        };
        insta::assert_snapshot!(
            [
                told("", ""),
                told("derivation = \"x\"", ""),
                told("\"x\"", "\"**\""),
                told("\"y\"", "\" \""),
                told("[\"x.org\"]", "[]"),
                told("x.org", "*"),
                told("x.org", "*.org"),
                told("x.org", "x.org:http"),
                told("2027-01-01", "\"2027-01-01\""),
                told("2027-01-01", "2027-01-01T00:00:00Z"),
                told("reason", "because"),
                told("hosts", "private = true\nhosts"),
                told("hosts", &format!("output = \"{OUTPUT}\"\nprivate = true\nhosts")),
                told("hosts", "output = \"/nix/store/x\"\nhosts"),
                told("hosts", &format!("output = \"{}\"\nhosts", &OUTPUT[11..])),
                told("derivation = \"x\"", "class = \"curlx\""),
                told("derivation = \"x\"", "class = \"curl\"\ntool = \"curl\""),
                told("derivation = \"x\"", "tool = \"cur\""),
                told("expires = 2027-01-01", ""),
            ].join("\n"), @r#"
        1 good
        exception 1 of the policy file, at line 1: it names no derivation, output, class or tool
        exception 1 of the policy file, at line 1: `*` alone would be for every derivation; name a class or a tool for that
        exception 1 of the policy file, at line 1: it has no reason
        exception 1 of the policy file, at line 1: it names no hosts or no protocols
        exception 1 of the policy file, at line 1: a host is a name, `*.` before one, or an address, and perhaps `:PORT`
        exception 1 of the policy file, at line 1: a host is a name, `*.` before one, or an address, and perhaps `:PORT`
        exception 1 of the policy file, at line 1: a host is a name, `*.` before one, or an address, and perhaps `:PORT`
        invalid type: string "2027-01-01", expected a TOML datetime
        exception 1 of the policy file, at line 1: `expires` is a day, as in 2027-01-31
        unknown field `because`, expected one of `derivation`, `output`, `class`, `tool`, `hosts`, `protocols`, `private`, `reason`, `expires`
        exception 1 of the policy file, at line 1: `private` needs `output`: everything else can be made to fit
        1 good
        exception 1 of the policy file, at line 1: `output` is a store path, as in /nix/store/…-source
        exception 1 of the policy file, at line 1: `output` is a store path, as in /nix/store/…-source
        exception 1 of the policy file, at line 1: there is no such class: `snowguard fod list` shows those there are
        1 good
        exception 1 of the policy file, at line 1: there is no such tool: `snowguard fod list` shows those there are
        missing field `expires`
        "#);
    }

    #[test]
    fn hosts_have_ports() {
        let (host, port) = host_and_port("[::1]:8080").unwrap();
        assert_eq!((host.to_string().as_str(), port), ("::1", Some(8080)));
        let (host, port) = host_and_port("::1").unwrap();
        assert_eq!((host.to_string().as_str(), port), ("::1", None));
        let (host, port) = host_and_port("*.x.org:8443").unwrap();
        assert_eq!((host.to_string().as_str(), port), ("*.x.org", Some(8443)));
    }

    #[test]
    fn the_last_day_ends_with_that_of_utc() {
        let exceptions = Exceptions::parse(
            "[[exception]]\nderivation = \"x\"\nhosts = [\"x.org\"]\nreason = \"y\"\nexpires = 2027-01-31\n",
        )
        .unwrap();
        let held = |now: &str| exceptions.in_force(day_of(now.parse().unwrap())).len();
        assert_eq!(held("2027-01-31T23:59:59Z"), 1);
        assert_eq!(held("2027-02-01T00:00:00Z"), 0);
        // The same moments, as they are called elsewhere.
        assert_eq!(held("2027-02-01T13:59:59+14:00"), 1);
        assert_eq!(held("2027-01-31T12:00:00-12:00"), 0);
    }

    #[test]
    fn what_expired_is_told_and_does_not_hold() {
        let file = "[[exception]]\ntool = \"go\"\nhosts = [\"x.org\"]\nreason = \"y\"\nexpires = 2026-01-31";
        let exceptions = Exceptions::parse(file).unwrap();
        let last = jiff::civil::date(2026, 1, 31);
        assert_eq!(
            (
                exceptions.in_force(last).len(),
                exceptions.expired(last).len()
            ),
            (1, 0)
        );
        let after = last.tomorrow().unwrap();
        assert_eq!(
            (
                exceptions.in_force(after).len(),
                exceptions.expired(after).len()
            ),
            (0, 1)
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let good = "[[exception]]\ntool = \"go\"\nhosts = [\"x.org\"]\nreason = \"y\"\nexpires = 2026-01-31\n";
        let wrong = good.replace("\"y\"", "\"\"");
        let error = Exceptions::parse(&format!("# Ours.\n\n{good}\n{wrong}")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "exception 2 of the policy file, at line 9: it has no reason"
        );
    }

    #[test]
    fn what_ends_soon_is_told_while_it_holds() {
        let ending = |day: i8| {
            let file = format!(
                "[[exception]]\ntool = \"go\"\nhosts = [\"x.org\"]\nreason = \"y\"\nexpires = 2026-01-{day:02}"
            );
            let exceptions = Exceptions::parse(&file).unwrap();
            let day = |day| jiff::civil::date(2026, 1, day);
            exceptions.ending(day(10), day(20)).len()
        };
        assert_eq!([9, 10, 20, 21].map(ending), [0, 1, 1, 0]);
    }

    #[test]
    fn what_holds_for_every_source_is_told() {
        let file = |names: &str| {
            let text = format!(
                "[[exception]]\n{names}\nhosts = [\"x.org\"]\nreason = \"y\"\nexpires = 2026-01-31"
            );
            let day = jiff::civil::date(2026, 1, 31);
            let exceptions = Exceptions::parse(&text).unwrap();
            let broad = exceptions.broad(day).len();
            assert!(exceptions.broad(day.tomorrow().unwrap()).is_empty());
            broad
        };
        assert_eq!(file("derivation = \"source\""), 1);
        assert_eq!(file("derivation = \"s*\"\ntool = \"go\""), 1);
        assert_eq!(file("derivation = \"source-*\""), 0);
        assert_eq!(
            file(&format!("derivation = \"source\"\noutput = \"{OUTPUT}\"")),
            0
        );
        assert_eq!(file("class = \"git\""), 0);
    }

    #[test]
    fn what_an_audit_proposes_can_be_read_again() {
        let seen = |host: &str, port, protocol, private| Proposal {
            output: OUTPUT.to_owned(),
            host: host.to_owned(),
            port,
            protocol,
            private,
        };
        let text = propose(
            &[
                seen("x.org", 443, Protocol::Https, false),
                seen("x.org", 443, Protocol::Https, false),
                seen("y.org", 8443, Protocol::Https, false),
                seen("::1", 80, Protocol::Http, true),
            ],
            jiff::civil::date(2027, 1, 1),
        );
        let read = Exceptions::parse(&text).unwrap();
        assert_eq!(read.all.len(), 2);
        assert_eq!(read.all[0].hosts.len(), 2);
        assert_eq!(read.all[0].output.as_deref(), Some(OUTPUT));
        assert!(read.all[1].private);
    }

    #[test]
    fn what_an_audit_proposes_is_one_exception_whatever_it_is_called() {
        let hostile = Proposal {
            output: "a \"b\"\n[[exception]]".to_owned(),
            host: "x.org".to_owned(),
            port: 443,
            protocol: Protocol::Https,
            private: false,
        };
        let text = propose(
            std::slice::from_ref(&hostile),
            jiff::civil::date(2027, 1, 1),
        );
        let read: toml::Table = toml::from_str(&text).unwrap();
        let [one] = &**read["exception"].as_array().unwrap() else {
            panic!("{text}");
        };
        assert_eq!(one["output"].as_str(), Some(&*hostile.output));
    }
}
