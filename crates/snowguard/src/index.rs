//! Which advisory index is used, and whether it is fresh enough.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use snowguard_advisory::index::Index;
use snowguard_feeds::IndexFile;

use crate::cli::Global;
use crate::config::Config;
use crate::error::Failure;
use crate::output::Terminal;

/// The index in the program.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/embedded.idx"));

/// After how many days a warning is due.
pub(crate) const STALE_AFTER_DAYS: i32 = 14;

/// Where an index comes from.
pub(crate) enum Chosen {
    Embedded,
    File(IndexFile),
}

impl Chosen {
    /// The one asked for; else the user's, the system's, the program's own.
    pub(crate) fn new(global: &Global, config: &Config) -> Result<Self, Failure> {
        if let Some(path) = global.index.as_deref().or(config.index.as_deref()) {
            return Ok(Self::File(IndexFile::open(path)?));
        }
        for path in [
            default_path(),
            Some(Utf8PathBuf::from("/var/lib/snowguard/advisories.idx")),
        ]
        .into_iter()
        .flatten()
        {
            if path.exists() {
                return Ok(Self::File(IndexFile::open(&path)?));
            }
        }
        Ok(Self::Embedded)
    }

    /// The index, with all checksums checked.
    pub(crate) fn index(&self) -> Result<Index<'_>, Failure> {
        match self {
            Self::Embedded => embedded(),
            Self::File(file) => Ok(file.index()?),
        }
    }

    /// Its file; none for the one in the program.
    pub(crate) fn path(&self) -> Option<&Utf8Path> {
        match self {
            Self::Embedded => None,
            Self::File(file) => Some(file.path()),
        }
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Embedded => EMBEDDED.len(),
            Self::File(file) => file.size(),
        }
    }
}

/// The index in the program.
pub(crate) fn embedded() -> Result<Index<'static>, Failure> {
    Index::open(EMBEDDED)
        .map_err(|error| Failure::new(error).hint("the program file is damaged; install it anew"))
}

/// Where the user's index lies.
pub(crate) fn default_path() -> Option<Utf8PathBuf> {
    Some(data_directory()?.join("advisories.idx"))
}

/// Where the program keeps what belongs to the user.
#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
pub(crate) fn data_directory() -> Option<Utf8PathBuf> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value: &String| value.starts_with('/'))
    };
    let data = variable("XDG_DATA_HOME")
        .or_else(|| Some(format!("{}/.local/share", variable("HOME")?)))?;
    Some(Utf8PathBuf::from(data).join("snowguard"))
}

/// Checks the age of the newest advisory: warns, or fails where a limit was given.
pub(crate) fn check_age(
    chosen: &Chosen,
    index: Index<'_>,
    max_age: Option<&str>,
    today: Date,
    quiet: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let limit = max_age.map(parse_age).transpose()?;
    let newest = index.newest_date()?;
    // One day that is still to come must not make an index look fresh for ever.
    let days = newest
        .and_then(|day| today.since((jiff::Unit::Day, day)).ok())
        .map(|span| span.get_days())
        .filter(|days| *days >= -1);
    let what = match chosen.path() {
        Some(path) => format!("the advisories in {path}"),
        None => "the advisories in the program".to_owned(),
    };
    let told = match (newest, days) {
        (Some(newest), Some(days)) => {
            let unit = if days == 1 { "day" } else { "days" };
            format!("{what} are {days} {unit} old (newest {newest})")
        }
        (Some(newest), None) => {
            format!("the age of {what} is unknown: one is dated {newest}, in the future")
        }
        (None, _) => format!("the age of {what} is unknown: they have no dates"),
    };
    if let (Some(limit), Some(asked)) = (limit, max_age)
        && days.is_none_or(|days| f64::from(days) > limit)
    {
        let told = format!("{told}; at most {asked} is allowed");
        return Err(
            Failure::message(told).hint("`snowguard advisories update` fetches newer advisories")
        );
    }
    if !quiet && days.is_none_or(|days| days > STALE_AFTER_DAYS) {
        terminal.warning(&told);
        terminal.hint(if chosen.path().is_none() {
            "they are a selection; `snowguard advisories update` fetches whole, newer feeds"
        } else {
            "`snowguard advisories update` fetches newer advisories"
        });
    }
    Ok(())
}

/// Days of an age like `30d`, `12h`, `2w`.
pub(crate) fn parse_age(text: &str) -> Result<f64, Failure> {
    let wrong = || {
        Failure::message(format!("`{text}` is not an age"))
            .hint("write a number and a unit: 12h, 30d, 2w")
    };
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(wrong)?;
    let number: f64 = text[..split].parse().map_err(|_| wrong())?;
    match text[split..].trim() {
        "h" | "hour" | "hours" => Ok(number / 24.0),
        "d" | "day" | "days" => Ok(number),
        "w" | "week" | "weeks" => Ok(number * 7.0),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_index_opens() {
        let index = embedded().unwrap();
        assert!(index.vulnerability_count() > 1_000);
        assert!(index.newest_date().unwrap().is_some());
    }

    #[test]
    fn ages_have_units() {
        assert!((0.4..0.6).contains(&parse_age("12h").unwrap()));
        assert!((13.9..14.1).contains(&parse_age("2w").unwrap()));
        assert!(parse_age("30").is_err() && parse_age("soon").is_err());
    }
}
