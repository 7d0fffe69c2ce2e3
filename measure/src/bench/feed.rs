//! The records of an index in the feed format that vulnix reads: NVD's yearly JSON 1.1.
//!
//! It takes the files of this year and the five before; what is older goes into the oldest, so that
//! both programs look at the same records.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::{Value, json};
use snowguard_advisory::cpe::Part;
use snowguard_advisory::index::{Index, ProductView, VulnerabilityView};
use snowguard_advisory::range::{Lower, Span, Upper};
use snowguard_advisory::severity::Severity;
use snowguard_feeds::IndexFile;

use super::ranges::affected;

/// How many years before this one it takes.
const YEARS_BEFORE: i32 = 5;

/// What was served.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Served {
    /// Records; those without a CVE id it cannot take.
    pub(super) cves: usize,
    /// Products with a range in them.
    pub(super) matches: usize,
}

/// Writes the files, with the prose of the records, which the index leaves out.
pub(super) fn write(
    index: &Utf8Path,
    descriptions: &HashMap<String, String>,
    folder: &Utf8Path,
) -> Result<Served> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    let file = IndexFile::open(index)?;
    let index = file.index()?;
    let this_year = this_year()?;
    let oldest = this_year - YEARS_BEFORE;
    let mut years = (oldest..=this_year)
        .map(|year| Archive::begin(folder, &year.to_string()))
        .collect::<Result<Vec<_>>>()?;
    let mut served = Served::default();
    for id in index.vulnerabilities() {
        let vulnerability = index.vulnerability(id)?;
        let Some(year) = year_of(vulnerability.id) else {
            continue;
        };
        let matches = matches(index, &vulnerability)?;
        served.cves += 1;
        served.matches += matches.len();
        let archive = usize::try_from(year.clamp(oldest, this_year) - oldest)?;
        if let Some(archive) = years.get_mut(archive) {
            let text = descriptions.get(vulnerability.id).map_or("", |text| text);
            archive.add(&item(&vulnerability, text, &matches))?;
        }
    }
    // What changed lately: asked for only by who has the rest.
    years.push(Archive::begin(folder, "modified")?);
    for year in years {
        year.end()?;
    }
    Ok(served)
}

struct Archive {
    path: Utf8PathBuf,
    out: GzEncoder<File>,
    empty: bool,
}

impl Archive {
    fn begin(folder: &Utf8Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("nvdcve-1.1-{name}.json.gz"));
        let file = File::create(&path).with_context(|| format!("cannot write {path}"))?;
        let mut archive = Self {
            path,
            out: GzEncoder::new(file, Compression::default()),
            empty: true,
        };
        archive.put(b"{\"CVE_Items\":[")?;
        Ok(archive)
    }

    fn add(&mut self, item: &Value) -> Result<()> {
        let separator: &[u8] = if self.empty { b"\n" } else { b",\n" };
        self.empty = false;
        self.put(separator)?;
        self.put(&serde_json::to_vec(item)?)
    }

    fn end(mut self) -> Result<()> {
        self.put(b"\n]}\n")?;
        let Self { path, out, .. } = self;
        out.finish()
            .with_context(|| format!("cannot write {path}"))?;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out
            .write_all(bytes)
            .with_context(|| format!("cannot write {}", self.path))
    }
}

/// In UTC, as vulnix is told to count.
fn this_year() -> Result<i32> {
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now())
        .context("the clock of this machine is set to no time at all")?;
    Ok(now.to_zoned(jiff::tz::TimeZone::UTC).year().into())
}

/// Of an id that vulnix can read: it takes the year and the number for numbers.
fn year_of(id: &str) -> Option<i32> {
    let (year, number) = id.strip_prefix("CVE-")?.split_once('-')?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    year.parse().ok()
}

fn matches(index: Index<'_>, vulnerability: &VulnerabilityView<'_>) -> Result<Vec<Value>> {
    let mut matches = Vec::new();
    for id in vulnerability.entries.clone() {
        let entry = index.entry(id)?;
        let spans = affected(entry.default, entry.rules);
        for product in entry.products.clone() {
            let cpe = cpe_of(&product);
            matches.extend(spans.iter().map(|span| cpe_match(&cpe, span)));
        }
    }
    Ok(matches)
}

fn item(vulnerability: &VulnerabilityView<'_>, description: &str, matches: &[Value]) -> Value {
    let score = vulnerability.severity().and_then(Severity::score);
    let impact = score.map_or_else(
        || json!({}),
        |score| {
            let score = f64::from(score.tenths()) / 10.0;
            json!({ "baseMetricV3": { "cvssV3": { "baseScore": score } } })
        },
    );
    json!({
        "cve": {
            "CVE_data_meta": { "ID": vulnerability.id },
            "description": { "description_data": [
                { "lang": "en", "value": description },
            ] },
        },
        "configurations": { "nodes": [{ "operator": "OR", "cpe_match": matches }] },
        "impact": impact,
    })
}

/// Part, vendor and product. Of a package or repository the last name is the product.
///
/// What names no part is an application, so that both judge it. The kernel's own records are such;
/// NVD calls it an operating system, and of these vulnix takes none.
fn cpe_of(product: &ProductView<'_>) -> [String; 3] {
    let (part, vendor, name) = match *product {
        ProductView::Package(key) | ProductView::Repository(key) => {
            let (vendor, name) = key.rsplit_once('/').unwrap_or(("*", key));
            (None, vendor, name)
        }
        ProductView::Named {
            name, vendor, part, ..
        } => (part, vendor.unwrap_or("*"), name),
    };
    let part = match part {
        None | Some(Part::Application) => "a",
        Some(Part::OperatingSystem) => "o",
        Some(Part::Hardware) => "h",
    };
    [part.to_owned(), quoted(vendor), quoted(name)]
}

/// As much of the quoting of CPEs as vulnix undoes.
fn quoted(text: &str) -> String {
    text.replace(':', "\\:")
}

fn cpe_match([part, vendor, product]: &[String; 3], span: &Span<String>) -> Value {
    let (version, lower, upper) = match span {
        Span::Exact(version) | Span::Text(version) => {
            (quoted(version), &Lower::Start, &Upper::Open)
        }
        Span::Between(lower, upper) => ("*".to_owned(), lower, upper),
    };
    let mut out = json!({
        "vulnerable": true,
        "cpe23Uri": format!("cpe:2.3:{part}:{vendor}:{product}:{version}:*:*:*:*:*:*:*"),
    });
    match lower {
        Lower::Start => {}
        Lower::From(version) => out["versionStartIncluding"] = version.as_str().into(),
        Lower::After(version) => out["versionStartExcluding"] = version.as_str().into(),
    }
    match upper {
        Upper::Open => {}
        Upper::Before(version) | Upper::Within(version) => {
            out["versionEndExcluding"] = version.as_str().into();
        }
        Upper::UpTo(version) => out["versionEndIncluding"] = version.as_str().into(),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(vendor: Option<&str>, part: Option<Part>) -> ProductView<'_> {
        ProductView::Named {
            name: "openssl",
            vendor,
            part,
            target_software: None,
        }
    }

    #[test]
    fn ranges_keep_their_ends() {
        let v = |version: &str| version.to_owned();
        let cases = [
            (
                Span::Between(Lower::From(v("1.1.1")), Upper::Before(v("1.1.1l"))),
                json!({ "versionStartIncluding": "1.1.1", "versionEndExcluding": "1.1.1l" }),
            ),
            (
                Span::Between(Lower::After(v("1.0")), Upper::UpTo(v("2.0"))),
                json!({ "versionStartExcluding": "1.0", "versionEndIncluding": "2.0" }),
            ),
            (Span::Between(Lower::Start, Upper::Open), json!({})),
        ];
        for (span, mut expected) in cases {
            expected["vulnerable"] = true.into();
            expected["cpe23Uri"] = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*".into();
            let cpe = cpe_of(&named(Some("openssl"), None));
            assert_eq!(cpe_match(&cpe, &span), expected);
        }
    }

    #[test]
    fn one_version_stands_in_the_name() {
        let cpe = cpe_of(&named(None, Some(Part::OperatingSystem)));
        assert_eq!(
            cpe_match(&cpe, &Span::Exact("1:2".to_owned()))["cpe23Uri"],
            "cpe:2.3:o:*:openssl:1\\:2:*:*:*:*:*:*:*"
        );
    }

    #[test]
    fn packages_and_repositories_have_names() {
        for (product, expected) in [
            (ProductView::Package("pypi/werkzeug"), "pypi:werkzeug"),
            (
                ProductView::Repository("github.com/nixos/nix"),
                "github.com/nixos:nix",
            ),
        ] {
            let [part, vendor, name] = cpe_of(&product);
            assert_eq!((&*part, &*format!("{vendor}:{name}")), ("a", expected));
        }
    }

    #[test]
    fn only_ids_that_it_reads_have_a_year() {
        assert_eq!(year_of("CVE-1999-0001"), Some(1999));
        for id in ["GHSA-xxxx", "CVE-2020", "CVE-2020-x", "CVE--1"] {
            assert_eq!(year_of(id), None, "{id}");
        }
    }
}
