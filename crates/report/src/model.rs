//! The report as data: what `--format json` prints, field by field.
//!
//! The schema is versioned by [`SCHEMA`]: fields are added without a new number; a field that goes
//! or changes its meaning takes one. It is documented in the book (`docs/src/reference/json.md`).

use jiff::civil::Date;
use serde::Serialize;

/// The name and version of the schema.
pub const SCHEMA: &str = "snowguard-scan/1";

/// One scan.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What made it.
    pub tool: Tool,
    /// When, in RFC 3339.
    pub generated_at: String,
    /// What was scanned.
    pub subject: SubjectInfo,
    /// Against what.
    pub index: IndexInfo,
    /// Counts.
    pub summary: Summary,
    /// Packages with something to say, the most pressing first.
    pub packages: Vec<Package>,
    /// Components about which nothing but the name is known, or of which the index never heard.
    pub not_looked_at: Vec<ComponentRef>,
    /// What could not be known, in sentences.
    pub gaps: Vec<String>,
    /// What became of the suppressions.
    pub suppressions: Suppressions,
    /// Whose decisions were taken into account beside them; none if there are none.
    pub triage: Option<TriageInfo>,
}

/// The tracker whose decisions are shown.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct TriageInfo {
    /// What it is called.
    pub tracker: String,
    /// Where its pages are.
    pub url: String,
    /// When it wrote its decisions down, in RFC 3339.
    pub generated: String,
    /// How many days ago that is; none if it is in the future.
    pub age_days: Option<i64>,
    /// How many there are.
    pub decisions: usize,
    /// The channel that the subject follows; none if that is not known.
    pub channel: Option<String>,
    /// Whether what the tracker has cleared is suppressed.
    pub suppresses: bool,
}

/// A program and its version.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: String,
}

/// What was scanned.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectInfo {
    /// Its name.
    pub title: String,
    /// `build-time closure`, `run-time closure`, `package set` or `document`.
    pub nature: &'static str,
    /// How many objects it has: derivations, store paths, packages or a document's components.
    pub objects: usize,
    /// How many packages these are, in different versions.
    pub components: usize,
    /// How many libraries were found inside of them, in different versions.
    pub parts: usize,
    /// How many objects were looked into for that.
    pub looked_into: usize,
    /// How many objects and files could not be looked into, or not to their end.
    pub unread: usize,
    /// How many are sources, patches and downloads.
    pub sources: usize,
    /// How many have no version: scripts, hooks, configuration.
    pub unversioned: usize,
}

/// The index against which it was scanned.
#[derive(Clone, Debug, Serialize)]
pub struct IndexInfo {
    /// Its file; none for the one in the program.
    pub path: Option<String>,
    /// The newest day in what its records say of affected versions.
    pub newest: Option<Date>,
    /// How many days that is ago.
    pub age_days: Option<i32>,
    /// Older than it should be.
    pub stale: bool,
    /// How many vulnerabilities it knows.
    pub vulnerabilities: usize,
    /// What its records came from.
    pub sources: Vec<IndexSource>,
}

/// One source of an index.
#[derive(Clone, Debug, Serialize)]
pub struct IndexSource {
    /// Its name.
    pub name: String,
    /// Its format.
    pub format: &'static str,
    /// How many records.
    pub records: u64,
    /// The newest day in them.
    pub newest: Option<Date>,
}

/// Counts of findings: pairs of a package in a version and a vulnerability.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Affected, in all.
    pub affected: usize,
    /// Of these: known to be exploited.
    pub exploited: usize,
    /// Of these: critical.
    pub critical: usize,
    /// Of these: high.
    pub high: usize,
    /// Of these: medium.
    pub medium: usize,
    /// Of these: low or none.
    pub low: usize,
    /// Of these: without any statement of severity.
    pub unrated: usize,
    /// Nobody can decide.
    pub needs_review: usize,
    /// Affected but for a patch.
    pub patched: usize,
    /// Affected in an older version.
    pub fixed: usize,
    /// Spoken of and not affected.
    pub not_affected: usize,
    /// Affected or to review, and suppressed by a decision.
    pub suppressed: usize,
    /// Packages with something affected.
    pub affected_packages: usize,
}

/// A package in one version, with what is known to be wrong with it.
#[derive(Clone, Debug, Serialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The language whose module it is.
    pub language: Option<&'static str>,
    /// A purl: of its registry where there is one, else `pkg:generic`.
    pub purl: String,
    /// Attribute paths, in a package set.
    pub attributes: Vec<String>,
    /// Its outputs, or the objects that are it.
    pub store_paths: Vec<String>,
    /// A shortest way from the root to it, by names.
    pub path: Vec<String>,
    /// How many objects of the subject depend on it.
    pub dependents: usize,
    /// `run-time`, `build-time` or `unknown`.
    pub scope: &'static str,
    /// Where bytes declare it: in its own objects, and inside of others.
    pub places: Vec<Place>,
    /// Found inside of others only.
    pub inside: bool,
    /// Versions that its own bytes declare of it, other than the one it goes by.
    pub other_versions: Vec<OtherVersion>,
    /// Many findings of one kind: shown as counts.
    pub grouped: bool,
    /// Marked insecure by Nixpkgs itself, in its words.
    pub known_vulnerabilities: Vec<String>,
    /// What to do about what is affected.
    pub action: Option<Action>,
    /// What is affected, needs review, is patched or suppressed; the most pressing first.
    pub findings: Vec<Finding>,
}

/// Where bytes declare a package.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Place {
    /// What it is inside of: `ripgrep 14.1.0`, or the object's name; none if it is that itself.
    pub inside: Option<String>,
    /// The store path, or the directory or file that was scanned.
    pub object: String,
    /// The file, from there on; empty where the object is the file.
    pub file: String,
    /// The file within that file, where it is an archive.
    pub member: Option<String>,
    /// At which byte of the file, or of its member.
    pub offset: Option<u64>,
    /// How many bytes it takes there.
    pub length: Option<u64>,
    /// In which line of a text.
    pub line: Option<u32>,
    /// What declares it: `cargo-auditable data`.
    pub by: String,
    /// `run-time`, `optional`, `unknown`, `build` or `development`.
    pub need: &'static str,
    /// `contained`, `named`, `listed` or `locked`.
    pub proof: &'static str,
}

/// A version that bytes declare.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct OtherVersion {
    /// The version.
    pub version: String,
    /// Where.
    pub place: Place,
}

/// What to do.
#[derive(Clone, Debug, Serialize)]
pub struct Action {
    /// The version to update to; none where no fix is known.
    pub update_to: Option<String>,
    /// The version after which to look, where a record names only the last affected one.
    pub newer_than: Option<String>,
    /// How many of the affected findings that mends.
    pub fixes: usize,
    /// How many affected findings there are.
    pub of: usize,
    /// How many of those that are known to be exploited it mends.
    pub fixes_exploited: usize,
    /// How many affected findings are known to be exploited.
    pub exploited: usize,
    /// How many vulnerabilities are known of the version to update to that the present one has not.
    pub brings: usize,
    /// The least update within the same line, and how many it mends, where that is less.
    pub within_line: Option<WithinLine>,
}

/// An update that stays in the line.
#[derive(Clone, Debug, Serialize)]
pub struct WithinLine {
    /// To which version.
    pub update_to: String,
    /// How many of the affected findings that mends.
    pub fixes: usize,
    /// How many of those that are known to be exploited it mends.
    pub fixes_exploited: usize,
    /// How many are known of that version that the present one has not.
    pub brings: usize,
}

/// One vulnerability of a package.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Where to read about it.
    pub url: String,
    /// A title, in an author's words.
    pub title: Option<String>,
    /// `affected`, `needs_review` or `patched`.
    pub status: &'static str,
    /// Why that, in a few words.
    pub reason: String,
    /// The severity.
    pub severity: Option<Severity>,
    /// Known exploitation.
    pub exploited: Option<Exploited>,
    /// Likelihood of exploitation.
    pub epss: Option<Epss>,
    /// CISA's decision points.
    pub ssvc: Option<Ssvc>,
    /// First published.
    pub published: Option<Date>,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// The last version with it, where only that is known.
    pub last_affected: Option<String>,
    /// The chain of evidence, the weightiest first.
    pub evidence: Vec<Evidence>,
    /// Patches that speak against it.
    pub patches: Vec<Patch>,
    /// The decision that suppresses it.
    pub suppressed: Option<Suppressed>,
    /// What a tracker decided about it.
    pub triage: Option<Triaged>,
}

/// What a tracker decided about a finding.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Triaged {
    /// The tracker.
    pub tracker: String,
    /// `confirmed`, `fixed`, `wont_fix` or `not_affected`.
    pub state: &'static str,
    /// It says that this very version is not affected.
    pub clears: bool,
    /// The justification in VEX's words.
    pub justification: Option<&'static str>,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
    /// Who decided; none if the tracker did.
    pub by: Option<String>,
    /// When, in RFC 3339.
    pub decided: String,
    /// The public id of the issue.
    pub issue: Option<String>,
    /// The tracker's page about it.
    pub url: String,
    /// How the package stands in the tracker's channels.
    pub channels: Vec<ChannelStanding>,
}

/// How a package stands in a channel.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct ChannelStanding {
    /// The channel.
    pub name: String,
    /// It is the one that the subject follows.
    pub yours: bool,
    /// `affected`, `needs_review`, `patched`, `fixed` or `not_affected`.
    pub status: &'static str,
    /// The versions in it.
    pub versions: Vec<String>,
    /// Since when it is fixed there, if it once was affected there and is no more; in RFC 3339.
    pub fixed_since: Option<String>,
    /// The commit with which it was fixed.
    pub fixed_in_revision: Option<String>,
}

/// How bad.
#[derive(Clone, Debug, Serialize)]
pub struct Severity {
    /// `critical`, `high`, `medium`, `low` or `none`.
    pub rating: &'static str,
    /// From 0.0 to 10.0; none where a database gives only a word.
    pub score: Option<f64>,
    /// The version of CVSS.
    pub cvss: Option<&'static str>,
    /// The vector.
    pub vector: Option<String>,
}

/// CISA says that it is exploited.
#[derive(Clone, Debug, Serialize)]
pub struct Exploited {
    /// Since when it is in the catalogue.
    pub since: Date,
    /// The day by which US agencies must act.
    pub due: Option<Date>,
    /// Known use in ransomware campaigns.
    pub ransomware: bool,
}

/// How likely exploitation in the next 30 days is.
#[derive(Clone, Debug, Serialize)]
pub struct Epss {
    /// From 0 to 1.
    pub probability: f32,
    /// The share of CVEs that score lower.
    pub percentile: f32,
}

/// CISA's decision points.
#[derive(Clone, Debug, Serialize)]
pub struct Ssvc {
    /// `none`, `poc` or `active`.
    pub exploitation: &'static str,
    /// Whether an attack can be automated.
    pub automatable: Option<bool>,
    /// Whether the technical impact is total.
    pub total_impact: Option<bool>,
}

/// One record's word.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// The record.
    pub record: String,
    /// The source from which it was read.
    pub source: String,
    /// Who says so.
    pub by: Option<String>,
    /// Whether they make the thing.
    pub upstream: bool,
    /// The product that joined.
    pub product: String,
    /// Why the package is that product.
    pub identity: String,
    /// Whether that is sure.
    pub identity_sure: bool,
    /// The range that decided, or what else did.
    pub range: String,
    /// The order of versions that decided.
    pub order: &'static str,
    /// `affected`, `not_affected` or `unknown`.
    pub says: &'static str,
}

/// A patch, and what connects it with the vulnerability.
#[derive(Clone, Debug, Serialize)]
pub struct Patch {
    /// Its name; none for a build phase.
    pub name: Option<String>,
    /// `upstream commit`, `name`, `header` or `build phase`.
    pub proof: &'static str,
    /// The commit or the id.
    pub detail: String,
    /// How many builds of the package have it.
    pub builds: usize,
    /// How many builds there are.
    pub of: usize,
}

/// A decision of a person.
#[derive(Clone, Debug, Serialize)]
pub struct Suppressed {
    /// `not_affected` or `fixed`.
    pub verdict: &'static str,
    /// The justification in VEX's words.
    pub justification: Option<&'static str>,
    /// The reason.
    pub reason: String,
    /// Until when.
    pub expires: Option<Date>,
    /// Where it stands.
    pub origin: String,
    /// A page about it that others can read.
    pub url: Option<String>,
}

/// A component by name.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComponentRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `no identity` or `not in the index`.
    pub why: &'static str,
}

/// What became of the suppressions.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Suppressions {
    /// Whose day has passed.
    pub expired: Vec<SuppressionRef>,
    /// Which met nothing.
    pub unused: Vec<SuppressionRef>,
}

/// A suppression by where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct SuppressionRef {
    /// Its advisory.
    pub advisory: String,
    /// Its component.
    pub component: String,
    /// Until when.
    pub expires: Option<Date>,
    /// Where it stands.
    pub origin: String,
}
