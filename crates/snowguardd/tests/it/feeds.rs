//! The facts that the repository ships, written as the feeds write their records: real ids, products
//! and ranges, in the formats and packings of the CVE list, NVD, OSV, KEV and EPSS.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use snowguard_testkit::feeds::{Mirror, Named};

/// Records by id, each in its feed's own format.
pub(crate) struct Records {
    pub(crate) cve: BTreeMap<String, Value>,
    pub(crate) nvd: BTreeMap<String, Value>,
    pub(crate) pypi: Vec<Value>,
    pub(crate) kev: BTreeMap<String, Value>,
}

impl Records {
    /// What is known of other packages than the kernel, and has ranges that the formats can say.
    pub(crate) fn shipped() -> Self {
        let by_id = |file: &str, write: fn(&Value) -> Option<Value>| {
            let facts = shipped(file);
            let written = facts
                .iter()
                .filter_map(|facts| Some((text(&facts["id"]).to_owned(), write(facts)?)));
            written.collect::<BTreeMap<_, _>>()
        };
        Self {
            cve: by_id("cve5", cve),
            nvd: by_id("nvd", nvd),
            pypi: shipped("osv").iter().filter_map(pypi).collect(),
            kev: by_id("kev", kev),
        }
    }

    /// The CVE list as bytes.
    pub(crate) fn cves(&self) -> Vec<Named> {
        let bytes = |(id, record): (&String, &Value)| (id.clone(), record.to_string().into_bytes());
        self.cve.iter().map(bytes).collect()
    }

    /// NVD's files, each year in its own.
    pub(crate) fn years(&self, modified: &str, mirror: &mut Mirror) {
        // As many as there may be when this runs: an update asks for each year up to its own.
        for year in 2002..=2060 {
            let of_year = |id: &str| id[4..8].parse().unwrap_or(0).max(2002) == year;
            let items = self.nvd.iter().filter(|(id, _)| of_year(id));
            let items: Vec<Value> = items.map(|(_, item)| item.clone()).collect();
            mirror.nvd(&year.to_string(), modified, &items).unwrap();
        }
    }

    /// CISA's entries.
    pub(crate) fn exploited(&self) -> Vec<Value> {
        self.kev.values().cloned().collect()
    }
}

fn shipped(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../data/advisories")
        .join(format!("{file}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// CVE JSON 5.1.
fn cve(facts: &Value) -> Option<Value> {
    let mut containers = list(&facts["affects"])
        .iter()
        .filter_map(|said| {
            let (vendor, product) = text(&said["products"][0]).split_once(':')?;
            let plain = !vendor.is_empty() && !vendor.contains('/') && vendor != "repo";
            if !plain || product == "linux" {
                return None;
            }
            let versions = ranges(said)?.into_iter().map(Range::cve);
            let mut container = json!({
                "providerMetadata": {"orgId": "0", "shortName": said["by"].as_str()?},
                "affected": [{
                    "vendor": vendor,
                    "product": product,
                    "defaultStatus": said["default"].as_str().unwrap_or("unknown"),
                    "versions": versions.collect::<Vec<_>>(),
                }],
            });
            let vector = vector(facts);
            if let Some(vector) = vector {
                container["metrics"] =
                    json!([{"cvssV3_1": {"version": "3.1", "vectorString": vector}}]);
            }
            Some(container)
        })
        .collect::<Vec<_>>()
        .into_iter();
    let cna = containers.next()?;
    Some(json!({
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": facts["id"], "state": "PUBLISHED", "datePublished": facts["published"]},
        "containers": {"cna": cna, "adp": containers.collect::<Vec<_>>()},
    }))
}

/// An item of NVD 2.0.
fn nvd(facts: &Value) -> Option<Value> {
    let mut nodes = Vec::new();
    for said in list(&facts["affects"]) {
        let (vendor, product) = text(&said["products"][0])
            .strip_prefix("a/")?
            .split_once(':')?;
        let matches = ranges(said)?
            .into_iter()
            .map(|range| range.nvd(vendor, product));
        let matches: Vec<Value> = matches.collect();
        nodes.push(json!({"operator": "OR", "negate": false, "cpeMatch": matches}));
    }
    let day = facts["published"].as_str()?;
    Some(json!({"cve": {
        "id": facts["id"],
        "published": format!("{day}T00:00:00.000"),
        "lastModified": format!("{}T00:00:00.000", facts["modified"].as_str()?),
        "descriptions": [],
        "references": [],
        "configurations": [{"nodes": nodes}],
    }}))
}

/// A record of OSV about a package of Python.
fn pypi(facts: &Value) -> Option<Value> {
    let said = facts["affects"].as_array()?.first()?;
    let package = text(&said["products"][0]).strip_prefix("pkg:pypi/")?;
    let events = ranges(said)?.into_iter().flat_map(Range::osv);
    let mut record = json!({
        "schema_version": "1.6.0",
        "id": facts["id"],
        "aliases": facts["aliases"],
        "published": format!("{}T00:00:00Z", facts["published"].as_str()?),
        "modified": format!("{}T00:00:00.123456Z", facts["modified"].as_str()?),
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": package},
            "ranges": [{"type": "ECOSYSTEM", "events": events.collect::<Vec<_>>()}],
        }],
    });
    if let Some(vector) = vector(facts) {
        record["severity"] = json!([{"type": "CVSS_V3", "score": vector}]);
    }
    Some(record)
}

/// An entry of CISA's catalogue.
fn kev(facts: &Value) -> Option<Value> {
    let exploited = &facts["exploited"];
    let ransomware = exploited["ransomware"] == true;
    Some(json!({
        "cveID": facts["id"],
        "dateAdded": exploited["since"].as_str()?,
        "dueDate": exploited["due"].as_str()?,
        "knownRansomwareCampaignUse": if ransomware { "Known" } else { "Unknown" },
    }))
}

/// A CVSS 3.1 vector, where there is one.
fn vector(facts: &Value) -> Option<&str> {
    let mut vectors = list(&facts["severities"])
        .iter()
        .filter_map(|severity| severity["vector"].as_str());
    vectors.find(|vector| vector.starts_with("CVSS:3.1/"))
}

/// What is affected: from a version, up to another that is in it or not.
#[derive(Clone, Copy, Default)]
struct Range<'f> {
    exact: Option<&'f str>,
    from: Option<&'f str>,
    before: Option<&'f str>,
    through: Option<&'f str>,
}

/// The ranges of an entry of the facts; none where one is more than a range.
fn ranges(said: &Value) -> Option<Vec<Range<'_>>> {
    let rules = list(&said["rules"]).iter();
    let ranges: Vec<Range<'_>> = rules.map(|rule| range(text(rule))).collect::<Option<_>>()?;
    (!ranges.is_empty()).then_some(ranges)
}

fn range(rule: &str) -> Option<Range<'_>> {
    let mut range = Range::default();
    for bound in rule.split(' ') {
        let (side, version) = if let Some(version) = bound.strip_prefix(">=") {
            (&mut range.from, version)
        } else if let Some(version) = bound.strip_prefix("<=") {
            (&mut range.through, version)
        } else if let Some(version) = bound.strip_prefix('<') {
            (&mut range.before, version)
        } else {
            (&mut range.exact, bound.strip_prefix('=')?)
        };
        if side.replace(version).is_some() {
            return None;
        }
    }
    Some(range)
}

impl Range<'_> {
    fn cve(self) -> Value {
        let first = self.exact.or(self.from).unwrap_or("0");
        let mut entry = json!({"version": first, "status": "affected", "versionType": "custom"});
        match (self.exact, self.before, self.through) {
            (Some(_), ..) => {}
            (_, _, Some(last)) => entry["lessThanOrEqual"] = last.into(),
            (_, end, _) => entry["lessThan"] = end.unwrap_or("*").into(),
        }
        entry
    }

    fn nvd(self, vendor: &str, product: &str) -> Value {
        let version = self.exact.unwrap_or("*");
        let mut entry = json!({
            "vulnerable": true,
            "criteria": format!("cpe:2.3:a:{vendor}:{product}:{version}:*:*:*:*:*:*:*"),
        });
        for (name, bound) in [
            ("versionStartIncluding", self.from),
            ("versionEndExcluding", self.before),
            ("versionEndIncluding", self.through),
        ] {
            if let Some(bound) = bound {
                entry[name] = bound.into();
            }
        }
        entry
    }

    fn osv(self) -> Vec<Value> {
        let mut events = vec![json!({"introduced": self.exact.or(self.from).unwrap_or("0")})];
        let last = self.exact.or(self.through);
        events.extend(self.before.map(|end| json!({"fixed": end})));
        events.extend(last.map(|last| json!({"last_affected": last})));
        events
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
