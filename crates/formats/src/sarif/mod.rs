//! SARIF 2.1.0: findings for code-scanning services and editors; it is written, not read.
//!
//! The types are the part of the format that a scanner of packages needs: a tool with rules,
//! results with messages, locations and fingerprints, suppressions, and what went wrong on the run.
//! Deliberately absent are code flows, graphs, fixes, taxonomies and whatever else is about source
//! code. [`Log::github_problems`] says what GitHub code scanning would refuse or not show.

mod github;

use std::collections::BTreeMap;
use std::io::Write;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::{Problem, WriteError};
use crate::json::{self, Layout};
use crate::{Format, Timestamp, iri};

/// Further facts of any kind, by name.
pub type Properties = BTreeMap<String, Value>;

/// A whole SARIF document.
///
/// ```
/// use snowguard_formats::sarif::{Level, Location, Log, ReportingResult, Rule, Run};
///
/// let mut run = Run::new("snowguard", "0.1.0");
/// run.tool.driver.rules.push(Rule {
///     short_description: Some("A hole in zlib".into()),
///     ..Rule::new("CVE-2026-0001").with_security_severity(9.8).with_tag("security")
/// });
/// run.results.push(ReportingResult {
///     rule_index: Some(0),
///     locations: vec![Location::file("flake.lock", 1).with_logical("zlib-1.3.1", "module")],
///     ..ReportingResult::new("CVE-2026-0001", Level::Error, "zlib 1.3.1 is affected")
///         .with_fingerprint("CVE-2026-0001 zlib")
/// });
/// let log = Log { runs: vec![run] };
/// assert!(log.github_problems().is_empty());
/// let json = log.to_json(Default::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// The runs; GitHub wants one for each category of analysis.
    pub runs: Vec<Run>,
}

impl Log {
    /// Writes the document as JSON: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        json::write(Format::Sarif, self, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }

    /// What GitHub code scanning would refuse (errors) or not show as meant (warnings).
    pub fn github_problems(&self) -> Vec<Problem> {
        github::problems(self)
    }
}

impl Serialize for Log {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut log = serializer.serialize_struct("Log", 3)?;
        log.serialize_field("$schema", SCHEMA)?;
        log.serialize_field("version", "2.1.0")?;
        log.serialize_field("runs", &self.runs)?;
        log.end()
    }
}

/// One run of one tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The tool.
    pub tool: Tool,
    /// How it was run, and what went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invocations: Vec<Invocation>,
    /// What kind of run it is; GitHub tells categories of analysis apart by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automation_details: Option<AutomationDetails>,
    /// The findings.
    pub results: Vec<ReportingResult>,
    /// Further facts.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

impl Run {
    /// A run of a tool, without findings yet.
    pub fn new(tool: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            tool: Tool {
                driver: Driver {
                    name: tool.into(),
                    version: Some(version.into()),
                    ..Driver::default()
                },
            },
            ..Self::default()
        }
    }
}

/// A tool; its driver is the program itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Tool {
    /// The program.
    pub driver: Driver,
}

/// The program that was run, and the rules by which it found something.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Driver {
    /// The name.
    pub name: String,
    /// The version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The site: an absolute URI.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::uri_option"
    )]
    pub information_uri: Option<String>,
    /// The rules, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Kinds of notifications, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Rule>,
}

/// What kind of run it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AutomationDetails {
    /// A category, a slash, and what tells runs of it apart: `snowguard/nixos/`.
    pub id: String,
}

/// A rule, or a kind of notification: for a scanner of packages, an advisory.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The identifier.
    pub id: String,
    /// A name without spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// One sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_description: Option<Text>,
    /// Some sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_description: Option<Text>,
    /// What to know and to do, as text and as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<Text>,
    /// Where to read on: an absolute URI.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::uri_option"
    )]
    pub help_uri: Option<String>,
    /// How grave a result is unless it says so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_configuration: Option<Configuration>,
    /// Further facts. GitHub reads `security-severity`, `precision` and `tags`.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

impl Rule {
    /// A rule of which only the identifier is known yet.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// The rule with a CVSS score, from 0 to 10, as the text that GitHub wants.
    ///
    /// It shows above 9.0 as critical, from 7.0 as high, from 4.0 as medium and below as low.
    #[must_use]
    pub fn with_security_severity(self, score: f64) -> Self {
        let score = score.clamp(0.0, 10.0);
        self.with_property("security-severity", format!("{score:.1}").into())
    }

    /// The rule with a tag; `security` makes it a security rule on GitHub.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        let tag = Value::String(tag.into());
        match self.properties.get_mut("tags") {
            Some(Value::Array(tags)) => {
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
                self
            }
            _ => self.with_property("tags", Value::Array(vec![tag])),
        }
    }

    /// The rule with a further fact.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: Value) -> Self {
        self.properties.insert(name.into(), value);
        self
    }
}

/// How grave results of a rule are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// The level.
    pub level: Level,
}

/// How grave a result or a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to judge.
    None,
    /// For information.
    Note,
    /// A problem.
    Warning,
    /// A grave problem.
    Error,
}

/// Plain text, and the same as Markdown where there is such.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Text {
    /// The plain text.
    pub text: String,
    /// The same as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markdown: Option<String>,
}

impl Text {
    /// Plain text, and the same as Markdown.
    pub fn with_markdown(text: impl Into<String>, markdown: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            markdown: Some(markdown.into()),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self {
            text,
            markdown: None,
        }
    }
}

/// A finding (`result` in the format's own words).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportingResult {
    /// The rule.
    pub rule_id: String,
    /// The rule's place among the driver's rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_index: Option<usize>,
    /// What kind of verdict it is; a failure unless stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// How grave it is. Any kind but a failure demands [`Level::None`].
    pub level: Level,
    /// What was found.
    pub message: Text,
    /// Where; GitHub wants at least one with a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// What makes it the same finding in the next run, by the name of the method.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub partial_fingerprints: BTreeMap<String, String>,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<Suppression>,
    /// Further facts.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

impl ReportingResult {
    /// A finding without a place yet.
    pub fn new(rule_id: impl Into<String>, level: Level, message: impl Into<Text>) -> Self {
        Self {
            rule_id: rule_id.into(),
            rule_index: None,
            kind: None,
            level,
            message: message.into(),
            locations: Vec::new(),
            partial_fingerprints: BTreeMap::new(),
            suppressions: Vec::new(),
            properties: Properties::new(),
        }
    }

    /// The finding with the fingerprint by which GitHub knows it again in the next run.
    ///
    /// It has to stay the same while the finding is the same, so that it names the package and the
    /// advisory, and neither a version nor a hash.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: impl Into<String>) -> Self {
        self.partial_fingerprints
            .insert(GITHUB_FINGERPRINT.to_owned(), fingerprint.into());
        self
    }
}

/// What kind of verdict a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The rule does not apply.
    NotApplicable,
    /// The rule was checked and is kept.
    Pass,
    /// A problem.
    Fail,
    /// A person has to look.
    Review,
    /// It could not be decided.
    Open,
    /// For information.
    Informational,
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// In which file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_location: Option<PhysicalLocation>,
    /// In which part of the product, such as a package.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logical_locations: Vec<LogicalLocation>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
}

impl Location {
    /// A line, from 1, of a file, as a path from the root of the repository or a URI.
    pub fn file(uri: impl Into<String>, line: u64) -> Self {
        Self {
            physical_location: Some(PhysicalLocation {
                artifact_location: ArtifactLocation {
                    uri: uri.into(),
                    uri_base_id: None,
                },
                region: Some(Region {
                    start_line: line.max(1),
                }),
            }),
            ..Self::default()
        }
    }

    /// The location with a part of the product, such as the package `zlib-1.3.1`.
    #[must_use]
    pub fn with_logical(
        mut self,
        fully_qualified_name: impl Into<String>,
        kind: impl Into<String>,
    ) -> Self {
        self.logical_locations.push(LogicalLocation {
            name: None,
            fully_qualified_name: Some(fully_qualified_name.into()),
            kind: Some(kind.into()),
        });
        self
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhysicalLocation {
    /// The file.
    pub artifact_location: ArtifactLocation,
    /// The place in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactLocation {
    /// A path from a root, or an absolute URI. What is illegal in a URI is percent-encoded on
    /// writing.
    #[serde(serialize_with = "iri::uri")]
    pub uri: String,
    /// The name of the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_base_id: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// The line, from 1.
    pub start_line: u64,
}

/// A part of the product.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogicalLocation {
    /// Its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its name that tells it apart from all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fully_qualified_name: Option<String>,
    /// What it is: `module`, `package` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suppression {
    /// Where that is said.
    pub kind: SuppressionKind,
    /// Whether it is agreed; agreed unless stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SuppressionStatus>,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

/// Where a suppression is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SuppressionKind {
    /// In the source.
    InSource,
    /// Elsewhere: a VEX document, a settings file.
    External,
}

/// Whether a suppression is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SuppressionStatus {
    /// It is.
    Accepted,
    /// It waits for review.
    UnderReview,
    /// It was turned down.
    Rejected,
}

/// How the tool was run, and what went wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// Whether the run came to its end.
    pub execution_successful: bool,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time_utc: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time_utc: Option<Timestamp>,
    /// What happened on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_execution_notifications: Vec<Notification>,
    /// What is wrong with the settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_configuration_notifications: Vec<Notification>,
}

impl Invocation {
    /// A run that came to its end, or did not.
    pub fn new(successful: bool) -> Self {
        Self {
            execution_successful: successful,
            start_time_utc: None,
            end_time_utc: None,
            tool_execution_notifications: Vec::new(),
            tool_configuration_notifications: Vec::new(),
        }
    }
}

/// Something that the tool has to say about its own run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// What kind of notification it is, where the driver lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    /// How grave it is.
    pub level: Level,
    /// What it is.
    pub message: Text,
}

impl Notification {
    /// A notification.
    pub fn new(level: Level, message: impl Into<Text>) -> Self {
        Self {
            descriptor: None,
            level,
            message: message.into(),
        }
    }
}

/// Names a rule or a kind of notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// Its identifier.
    pub id: String,
}

/// The only fingerprint that GitHub reads.
const GITHUB_FINGERPRINT: &str = "primaryLocationLineHash";

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
