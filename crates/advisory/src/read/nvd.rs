//! NVD 2.0 records: one item, the API's page or the yearly feed.
//!
//! Source: NVD CVE API 2.0 schema, `configurations`. Matches with `vulnerable: false` beside
//! vulnerable ones under AND are what the product must run on: an operating system becomes a
//! platform, anything else a condition. Without AND they say that a product is not vulnerable.

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeSeed};

use super::cve5::{Description, dedup, english};
use super::ranges::{self, rule};
use super::{
    LIMIT_AFFECTED, LIMIT_REFERENCES, LIMIT_RULES, ReadError, With, cve_id, day, lenient, prose,
    within,
};
use crate::cpe::{Cpe, Part, Value};
use crate::identity::Product;
use crate::range::{Lower, Rule, Span, Status, Upper};
use crate::record::{Affected, Commit, Platform, Record};
use crate::severity::{CvssVector, Severity};

/// Reads one item or a whole feed. A feed is never held as a whole: items go out one by one.
pub fn read(document: &[u8], sink: &mut dyn FnMut(Result<Record, ReadError>)) {
    read_with(With::Facts, document, sink);
}

/// As [`read`], with or without the words of authors.
pub fn read_with(with: With, document: &[u8], sink: &mut dyn FnMut(Result<Record, ReadError>)) {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let mut single = None;
    let outcome = Document {
        with,
        sink: &mut *sink,
        single: &mut single,
    }
    .deserialize(&mut deserializer);
    match outcome {
        Err(error) => sink(Err(ReadError::json(error))),
        Ok(()) => {
            if let Some(item) = single {
                sink(item.record(with));
            }
        }
    }
}

/// A document is either `{vulnerabilities: [item…]}` or one item.
struct Document<'s> {
    with: With,
    sink: &'s mut dyn FnMut(Result<Record, ReadError>),
    single: &'s mut Option<Item>,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an NVD 2.0 item or feed")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut item = Item::default();
        let mut is_item = false;
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match &*key {
                "vulnerabilities" => map.next_value_seed(Items(self.with, &mut *self.sink))?,
                "cve" => {
                    item.cve = map.next_value()?;
                    is_item = true;
                }
                "_annotation" => item.annotation = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if is_item {
            *self.single = Some(item);
        }
        Ok(())
    }
}

struct Items<'s>(With, &'s mut dyn FnMut(Result<Record, ReadError>));

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of NVD 2.0 items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        // An item of the wrong shape is told and skipped: it must not end the feed.
        while let Some(item) = seq.next_element::<&serde_json::value::RawValue>()? {
            let item = serde_json::from_str::<Item>(item.get()).map_err(ReadError::json);
            (self.1)(item.and_then(|item| item.record(self.0)));
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
struct Item {
    #[serde(default)]
    cve: Cve,
    #[serde(default, rename = "_annotation")]
    annotation: Annotation,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cve {
    id: Option<String>,
    vuln_status: Option<String>,
    published: Option<String>,
    last_modified: Option<String>,
    descriptions: Vec<Description>,
    configurations: Vec<Configuration>,
    metrics: Metrics,
    references: Vec<Reference>,
}

/// Where an enrichment of NVD's data keeps the id and the dates.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotation {
    cve_id: Option<String>,
    description: Option<String>,
    published: Option<String>,
    modified: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "cvssMetricV40")]
    v40: Vec<Metric>,
    #[serde(rename = "cvssMetricV31")]
    v31: Vec<Metric>,
    #[serde(rename = "cvssMetricV30")]
    v30: Vec<Metric>,
    #[serde(rename = "cvssMetricV2")]
    v2: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    cvss_data: Option<CvssData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CvssData {
    vector_string: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tags: Vec<String>,
}

impl Item {
    fn record(self, with: With) -> Result<Record, ReadError> {
        let Self { cve, annotation } = self;
        let mut record = Record::new(cve_id(cve.id.or(annotation.cve_id))?);
        record.withdrawn = cve.vuln_status.as_deref() == Some("Rejected");
        record.published = day(cve.published.as_deref().or(annotation.published.as_deref()));
        record.modified = day(cve
            .last_modified
            .as_deref()
            .or(annotation.modified.as_deref()));
        record.affects = affected(&cve.configurations)?;
        record.restrict_by_prose(&prose::systems(&[
            english(&cve.descriptions),
            annotation.description.as_deref(),
        ]));
        within("references", cve.references.len(), LIMIT_REFERENCES)?;
        record.texts = with.texts(|texts| {
            texts.describe(english(&cve.descriptions).or(annotation.description.as_deref()));
            for reference in &cve.references {
                let tags = reference.tags.iter().map(String::as_str);
                texts.refer(reference.url.as_deref(), tags);
            }
        });
        record.fixes = cve
            .references
            .iter()
            .filter_map(|r| Commit::from_url(r.url.as_deref()?))
            .collect();
        record.fixes.sort_unstable();
        record.fixes.dedup();
        let Metrics { v40, v31, v30, v2 } = cve.metrics;
        for metric in [v40, v31, v30, v2].into_iter().flatten() {
            let vector = metric
                .cvss_data
                .and_then(|data| data.vector_string?.parse::<CvssVector>().ok());
            if let Some(severity) = vector.map(Severity::Vector)
                && !record.severities.contains(&severity)
            {
                record.severities.push(severity);
            }
        }
        Ok(record)
    }
}

/// One configuration: nodes under AND or OR.
#[derive(Deserialize)]
pub(super) struct Configuration {
    operator: Option<String>,
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    operator: Option<String>,
    #[serde(default)]
    negate: bool,
    #[serde(default)]
    cpe_match: Vec<Match>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    #[serde(default)]
    vulnerable: bool,
    criteria: String,
    version_start_including: Option<String>,
    version_start_excluding: Option<String>,
    version_end_including: Option<String>,
    version_end_excluding: Option<String>,
}

/// The statements of configurations, one for each product and condition.
pub(super) fn affected(configurations: &[Configuration]) -> Result<Vec<Affected>, ReadError> {
    let matches = configurations
        .iter()
        .flat_map(|c| &c.nodes)
        .map(|n| n.cpe_match.len())
        .sum();
    within("CPE matches", matches, LIMIT_RULES)?;
    let mut all: Vec<Affected> = Vec::new();
    for configuration in configurations {
        let and = is_and(configuration.operator.as_deref());
        for (at, node) in configuration.nodes.iter().enumerate() {
            if node.negate {
                continue;
            }
            let others = configuration
                .nodes
                .iter()
                .enumerate()
                .filter(|(other, _)| and && *other != at);
            let context = Context::of(others.map(|(_, node)| node));
            if and && node.cpe_match.iter().all(|m| !m.vulnerable) {
                continue;
            }
            let inner = is_and(node.operator.as_deref());
            for (position, matched) in node.cpe_match.iter().enumerate() {
                if inner && !matched.vulnerable {
                    continue;
                }
                let Some(cpe) = matched.cpe() else { continue };
                let Some(product) = Product::from_cpe(&cpe).filter(names_something) else {
                    continue;
                };
                let mut context = context.clone();
                if inner {
                    let rest = node
                        .cpe_match
                        .iter()
                        .enumerate()
                        .filter(|(other, _)| *other != position);
                    context.add(rest.map(|(_, m)| m));
                }
                add(&mut all, product, context, matched.rule(&cpe));
                within("affected entries", all.len(), LIMIT_AFFECTED)?;
            }
        }
    }
    Ok(all)
}

fn add(all: &mut Vec<Affected>, product: Product, context: Context, rule: Option<Rule<Box<str>>>) {
    let Context {
        platforms,
        only_with,
    } = context;
    // Records list many versions of one product: the last entry is nearly always the right one.
    let same = |a: &&mut Affected| {
        a.products.first() == Some(&product) && a.platforms == platforms && a.only_with == only_with
    };
    if let Some(affected) = all.iter_mut().rev().take(64).find(same) {
        affected.rules.extend(rule);
        return;
    }
    all.push(Affected {
        products: vec![product],
        default: Status::Unaffected,
        // No rule at all means that NVD names no version; a default of "unaffected" would be a lie.
        rules: rule.into_iter().collect(),
        platforms,
        only_with,
        ..Affected::default()
    });
    if let Some(last) = all.last_mut().filter(|a| a.rules.is_empty()) {
        last.default = Status::Unknown;
    }
}

/// What a vulnerable product must be combined with.
#[derive(Clone, Default)]
struct Context {
    platforms: Vec<Platform>,
    only_with: Vec<Product>,
}

impl Context {
    fn of<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        let mut context = Self::default();
        for node in nodes {
            context.add(node.cpe_match.iter());
        }
        context
    }

    fn add<'a>(&mut self, matches: impl Iterator<Item = &'a Match>) {
        let (mut platforms, mut others) = (Vec::new(), Vec::new());
        for cpe in matches.filter_map(Match::cpe) {
            match (cpe.part, cpe.product.text()) {
                (Some(Part::OperatingSystem), Some(product)) => {
                    platforms.push(Platform::from_word(product).unwrap_or(Platform::Other));
                }
                (Some(Part::Hardware), _) => platforms.push(Platform::Other),
                _ => others.extend(Product::from_cpe(&cpe).filter(names_something)),
            }
        }
        // One alternative that is no system makes the whole node a condition of its own.
        if others.is_empty() {
            self.platforms.extend(platforms);
            self.platforms.sort_unstable();
            self.platforms.dedup();
        } else {
            self.only_with.extend(others);
            self.only_with = dedup(std::mem::take(&mut self.only_with));
        }
    }
}

impl Match {
    fn cpe(&self) -> Option<Cpe> {
        self.criteria.parse().ok()
    }

    fn rule(&self, cpe: &Cpe) -> Option<Rule<Box<str>>> {
        let status = if self.vulnerable {
            Status::Affected
        } else {
            Status::Unaffected
        };
        let text = |bound: &Option<String>| {
            bound
                .as_deref()
                .map(str::trim)
                .filter(|b| !b.is_empty())
                .map(Box::from)
        };
        let lower = match (
            text(&self.version_start_including),
            text(&self.version_start_excluding),
        ) {
            (Some(version), _) if ranges::is_start(&version) => Lower::Start,
            (Some(version), _) => Lower::From(version),
            (None, Some(version)) => Lower::After(version),
            (None, None) => Lower::Start,
        };
        let upper = match (
            text(&self.version_end_excluding),
            text(&self.version_end_including),
        ) {
            (Some(version), _) => Upper::Before(version),
            (None, Some(version)) => Upper::UpTo(version),
            (None, None) => Upper::Open,
        };
        if lower == Lower::Start && upper == Upper::Open {
            return match &cpe.version {
                Value::Text(_) => cpe
                    .full_version()
                    .map(|version| rule(status, ranges::version_field(&version))),
                Value::Any | Value::NotApplicable if status == Status::Unaffected => {
                    Some(rule(status, Span::Between(Lower::Start, Upper::Open)))
                }
                Value::Any | Value::NotApplicable => None,
            };
        }
        Some(rule(status, Span::Between(lower, upper)))
    }
}

fn is_and(operator: Option<&str>) -> bool {
    operator.is_some_and(|o| o.eq_ignore_ascii_case("and"))
}

/// `null:null` stands where an enrichment wants a record to match nothing.
fn names_something(product: &Product) -> bool {
    !matches!(product, Product::Named(named) if named.name.as_str() == "null")
}
