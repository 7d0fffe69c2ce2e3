//! What rows are counted by, and which are taken.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use snowguard_fod::place::Place;
use snowguard_fod::rule::{Level, Rule};
use snowguard_fod::{After, Class, Proxy, Reference, Scheme, Tls, did_you_mean};
use snowguard_store::{ContentAddressMethod, HashAlgo};

use super::listing::{Finding, Listing, Row, host_of};
use crate::pattern::Pattern;

/// A property of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// With what it fetches.
    Class,
    /// The tool.
    Tool,
    /// The hash algorithm.
    Algo,
    /// What is hashed.
    Mode,
    /// Where from.
    Host,
    /// How.
    Scheme,
    /// What stays the same.
    Reference,
    /// What is done with what came.
    After,
    /// Whether it can be led through a proxy.
    Proxy,
    /// Whether it checks whom it speaks to.
    Tls,
    /// What speaks against it.
    Rule,
    /// How much.
    Level,
    /// Its name.
    Name,
    /// The attribute that needs it.
    Attribute,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Class,
        Self::Tool,
        Self::Algo,
        Self::Mode,
        Self::Host,
        Self::Scheme,
        Self::Reference,
        Self::After,
        Self::Proxy,
        Self::Tls,
        Self::Rule,
        Self::Level,
        Self::Name,
        Self::Attribute,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Tool => "tool",
            Self::Algo => "algo",
            Self::Mode => "mode",
            Self::Host => "host",
            Self::Scheme => "scheme",
            Self::Reference => "reference",
            Self::After => "after",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Rule => "rule",
            Self::Level => "level",
            Self::Name => "name",
            Self::Attribute => "attribute",
        }
    }

    /// What there can be; none if it can be anything.
    fn words(self) -> Option<Vec<&'static str>> {
        Some(match self {
            Self::Class => Class::ALL.map(Class::as_str).into(),
            Self::Algo => HashAlgo::ALL.map(HashAlgo::as_str).into(),
            Self::Mode => MODES.map(ContentAddressMethod::as_str).into(),
            Self::Scheme => {
                let words = Scheme::ALL.map(Scheme::as_str);
                words.into_iter().chain(["none"]).collect()
            }
            Self::Reference => Reference::ALL.map(Reference::as_str).into(),
            Self::After => After::ALL.map(After::as_str).into(),
            Self::Proxy => Proxy::ALL.map(Proxy::as_str).into(),
            Self::Tls => Tls::ALL.map(Tls::as_str).into(),
            Self::Rule => Rule::ALL.map(Rule::as_str).into(),
            Self::Level => Level::ALL.map(Level::as_str).into(),
            Self::Tool | Self::Host | Self::Name | Self::Attribute => return None,
        })
    }

    /// Whether a row may have nothing there.
    const fn may_be_empty(self) -> bool {
        matches!(
            self,
            Self::Tool | Self::Host | Self::Rule | Self::Level | Self::Name | Self::Attribute
        )
    }

    /// What a row has there, for conditions: of addresses that of each, where [`Self::of`] has that of the first.
    fn any_of(self, row: &Row) -> Vec<Cow<'_, str>> {
        let places = || row.addresses.iter().map(|url| Place::of(url));
        match self {
            Self::Host if !row.addresses.is_empty() => {
                places().map(|place| host_of(&place).into()).collect()
            }
            Self::Scheme if !row.addresses.is_empty() => {
                places().map(|place| place.scheme.as_str().into()).collect()
            }
            _ => self.of(row).into_iter().map(Cow::Borrowed).collect(),
        }
    }

    /// What a row has there, to be counted by: one, or several, or none.
    pub fn of(self, row: &Row) -> Vec<&str> {
        match self {
            Self::Class => vec![row.class],
            Self::Tool => vec![row.tool],
            Self::Algo => vec![row.algo],
            Self::Mode => vec![row.mode],
            Self::Host => vec![&row.host],
            Self::Scheme => vec![row.scheme],
            Self::Reference => vec![row.reference],
            Self::After => vec![row.after],
            Self::Proxy => vec![row.proxy],
            Self::Tls => vec![row.tls],
            Self::Rule => row
                .findings
                .iter()
                .map(|finding| finding.rule.as_str())
                .collect(),
            Self::Level => {
                let mut levels: Vec<&str> = row
                    .findings
                    .iter()
                    .map(|finding| finding.level.as_str())
                    .collect();
                levels.sort_unstable();
                levels.dedup();
                levels
            }
            Self::Name => vec![&row.name],
            Self::Attribute => row.attributes.iter().map(String::as_str).collect(),
        }
    }
}

/// What can be hashed.
const MODES: [ContentAddressMethod; 4] = [
    ContentAddressMethod::Flat,
    ContentAddressMethod::Nar,
    ContentAddressMethod::Git,
    ContentAddressMethod::Text,
];

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Column {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let found = Self::ALL.into_iter().find(|column| column.as_str() == text);
        found.ok_or_else(|| ConditionError::Column(text.into()))
    }
}

/// Which rows are taken: `class=git,vcs`, `host!=github.com`, `name=*.crate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    column: Column,
    is: bool,
    values: Vec<String>,
}

/// Why a condition cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// There is no such column.
    #[error(
        "there is no column `{0}`{meant}; columns are {all}",
        meant = did_you_mean(.0, Column::ALL.map(Column::as_str)),
        all = Column::ALL.map(Column::as_str).join(", ")
    )]
    Column(String),
    /// It has no `=`.
    #[error("`{0}` is no condition: write COLUMN=VALUE or COLUMN!=VALUE, as in class=git,vcs")]
    Form(String),
    /// Nothing has that there.
    #[error(
        "no {column} is `{value}`{meant}; it is one of {}",
        words.join(", "),
        meant = did_you_mean(value.trim_matches('*'), words.iter().copied())
    )]
    Value {
        /// Where.
        column: Column,
        /// What was asked for.
        value: String,
        /// What there can be.
        words: Vec<&'static str>,
    },
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let (column, values) = text
            .split_once('=')
            .ok_or_else(|| ConditionError::Form(text.into()))?;
        let (column, is) = match column.strip_suffix('!') {
            Some(column) => (column, false),
            None => (column, true),
        };
        let column: Column = column.trim().parse()?;
        let values: Vec<String> = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        // A condition that nothing can meet would guard nothing for ever.
        if let Some(words) = column.words() {
            let can_be = |value: &String| {
                let pattern = Pattern::new(value);
                (value.is_empty() && column.may_be_empty())
                    || words.iter().any(|word| pattern.means(word))
            };
            if let Some(value) = values.iter().find(|value| !can_be(value)) {
                let value = value.clone();
                return Err(ConditionError::Value {
                    column,
                    value,
                    words,
                });
            }
        }
        Ok(Self { column, is, values })
    }
}

impl Condition {
    /// Whether a row is taken: where it has several values, for any of them. An empty value stands for none.
    pub fn takes(&self, row: &Row) -> bool {
        let has = self.column.any_of(row);
        let fits = |value: &String| {
            if value.is_empty() {
                has.iter().all(|has| has.is_empty())
            } else {
                let pattern = Pattern::new(value);
                has.iter().any(|has| pattern.means(has))
            }
        };
        self.values.iter().any(fits) == self.is
    }
}

/// How many rows have the same in some columns, the most first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// What they have, column by column; empty for nothing.
    pub values: Vec<String>,
    /// How many.
    pub count: usize,
}

/// Counts rows. One that has several values of a column counts for each; rule and level go together, since each
/// finding has one of both.
pub fn counts(listing: &Listing, by: &[Column]) -> Vec<Count> {
    let is_paired = by.contains(&Column::Rule) && by.contains(&Column::Level);
    let mut counts: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
    for row in &listing.fods {
        if is_paired && !row.findings.is_empty() {
            for finding in &row.findings {
                count(&mut counts, row, by, Some(finding));
            }
        } else {
            count(&mut counts, row, by, None);
        }
    }
    let mut counts: Vec<Count> = counts
        .into_iter()
        .map(|(values, count)| Count {
            values: values.into_iter().map(str::to_owned).collect(),
            count,
        })
        .collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
    counts
}

/// Counts a row for all that it has in some columns; where one of its findings is given, for that one.
fn count<'r>(
    counts: &mut BTreeMap<Vec<&'r str>, usize>,
    row: &'r Row,
    by: &[Column],
    finding: Option<&'r Finding>,
) {
    let mut keys: Vec<Vec<&str>> = vec![Vec::new()];
    for column in by {
        let mut values = match (column, finding) {
            (Column::Rule, Some(finding)) => vec![finding.rule.as_str()],
            (Column::Level, Some(finding)) => vec![finding.level.as_str()],
            _ => column.of(row),
        };
        if values.is_empty() {
            values.push("");
        }
        keys = keys
            .iter()
            .flat_map(|key| {
                values.iter().map(|value| {
                    let mut key = key.clone();
                    key.push(*value);
                    key
                })
            })
            .collect();
    }
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
}
