//! The form of Alpine's security database: for each package, in which version what was fixed. It is
//! written here.
//!
//! One document is one repository of one release: a channel of a package set. Version `0` stands for
//! vulnerabilities that never reached the package, as it does there. Several scanners read the form.
//!
//! Source: the files under <https://secdb.alpinelinux.org/>, which have no schema.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde::{Serialize, Serializer};

use crate::Format;
use crate::error::WriteError;
use crate::json::{self, Layout};

/// What stands for the version of a package that was never affected.
pub const NEVER: &str = "0";

/// The fixes of one repository.
///
/// ```
/// use snowguard_formats::secdb::Database;
///
/// let mut fixes = Database::new("nixos-25.11", "nixpkgs", "https://tracker.example.org/packages");
/// fixes.add("zlib", "1.3.2", "CVE-2026-0001");
/// let json = fixes.to_json(Default::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The release: a channel.
    #[serde(rename = "distroversion")]
    pub release: String,
    /// The repository in it.
    #[serde(rename = "reponame")]
    pub repository: String,
    /// What pages of packages begin with.
    #[serde(rename = "urlprefix")]
    pub url_prefix: String,
    #[serde(serialize_with = "packages")]
    packages: BTreeMap<String, Fixes>,
}

/// Vulnerabilities by the version without them.
type Fixes = BTreeMap<String, BTreeSet<String>>;

impl Database {
    /// A database without packages.
    pub fn new(
        release: impl Into<String>,
        repository: impl Into<String>,
        url_prefix: impl Into<String>,
    ) -> Self {
        Self {
            release: release.into(),
            repository: repository.into(),
            url_prefix: url_prefix.into(),
            packages: BTreeMap::new(),
        }
    }

    /// Notes that a version of a package is the first without a vulnerability.
    pub fn add(
        &mut self,
        package: impl Into<String>,
        version: impl Into<String>,
        vulnerability: impl Into<String>,
    ) {
        self.packages
            .entry(package.into())
            .or_default()
            .entry(version.into())
            .or_default()
            .insert(vulnerability.into());
    }

    /// Notes that a vulnerability never reached a package.
    pub fn add_never(&mut self, package: impl Into<String>, vulnerability: impl Into<String>) {
        self.add(package, NEVER, vulnerability);
    }

    /// Writes the document as JSON: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        json::write(Format::Secdb, self, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    pkg: Package<'a>,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    secfixes: &'a Fixes,
}

fn packages<S: Serializer>(
    packages: &BTreeMap<String, Fixes>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(packages.iter().map(|(name, secfixes)| Entry {
        pkg: Package { name, secfixes },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_lists_what_each_version_fixed() {
        let mut fixes = Database::new("nixos-25.11", "nixpkgs", "https://tracker.example.org/p");
        fixes.add("zlib", "1.3.2", "CVE-2026-0002");
        fixes.add("zlib", "1.3.2", "CVE-2026-0001");
        fixes.add("zlib", "1.3.2", "CVE-2026-0001");
        fixes.add_never("zlib", "CVE-2026-0003");
        fixes.add("curl", "8.18.0", "CVE-2026-0004");
        let json = fixes.to_json(Layout::Compact).unwrap();
        insta::assert_snapshot!(String::from_utf8(json).unwrap(), @r#"{"distroversion":"nixos-25.11","reponame":"nixpkgs","urlprefix":"https://tracker.example.org/p","packages":[{"pkg":{"name":"curl","secfixes":{"8.18.0":["CVE-2026-0004"]}}},{"pkg":{"name":"zlib","secfixes":{"0":["CVE-2026-0003"],"1.3.2":["CVE-2026-0001","CVE-2026-0002"]}}}]}"#);
    }
}
