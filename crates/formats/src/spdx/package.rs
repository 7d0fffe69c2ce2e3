//! A package: name, version, origin, licences, digests and the identities it goes by.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::NOASSERTION;
use crate::json::null_as_default;
use crate::open_enum::{Vocabulary, open_enum};

/// A package: any unit of software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// The identifier within the document: `SPDXRef-` and a name.
    #[serde(rename = "SPDXID")]
    pub id: String,
    /// The name.
    pub name: String,
    /// The version.
    #[serde(
        default,
        rename = "versionInfo",
        skip_serializing_if = "Option::is_none"
    )]
    pub version: Option<String>,
    /// The name of its file.
    #[serde(
        default,
        rename = "packageFileName",
        skip_serializing_if = "Option::is_none"
    )]
    pub file_name: Option<String>,
    /// What it is for.
    #[serde(
        default,
        rename = "primaryPackagePurpose",
        skip_serializing_if = "Option::is_none"
    )]
    pub purpose: Option<Purpose>,
    /// Who supplied it: `Organization: ` or `Person: ` and a name, or `NOASSERTION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<String>,
    /// Who made it, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originator: Option<String>,
    /// Where it is had from, or `NOASSERTION` or `NONE`.
    #[serde(default = "no_assertion", deserialize_with = "null_as_no_assertion")]
    pub download_location: String,
    /// Whether its files are listed; here they never are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_analyzed: Option<bool>,
    /// Digests of it.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub checksums: Vec<Checksum>,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Where it comes from, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<String>,
    /// The licence that was concluded: an expression, `NOASSERTION` or `NONE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_concluded: Option<String>,
    /// The licence that its authors declare: an expression, `NOASSERTION` or `NONE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_declared: Option<String>,
    /// Its copyright notices, or `NOASSERTION` or `NONE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copyright_text: Option<String>,
    /// What it is, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What it is, in more words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What else it goes by: package URLs, CPEs and so on.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub external_refs: Vec<ExternalRef>,
}

impl Package {
    /// A package of which only identifier and name are known yet; its files are not listed.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            version: None,
            file_name: None,
            purpose: None,
            supplier: None,
            originator: None,
            download_location: no_assertion(),
            files_analyzed: Some(false),
            checksums: Vec::new(),
            homepage: None,
            source_info: None,
            license_concluded: None,
            license_declared: None,
            copyright_text: None,
            summary: None,
            description: None,
            comment: None,
            external_refs: Vec::new(),
        }
    }

    /// The package URLs that it goes by.
    pub fn purls(&self) -> impl Iterator<Item = &str> {
        self.locators(&["purl"])
    }

    /// The CPEs that it goes by, of either version.
    pub fn cpes(&self) -> impl Iterator<Item = &str> {
        self.locators(&["cpe23Type", "cpe22Type"])
    }

    /// Some tools spell a naming scheme in full, as the URI of its definition.
    fn locators<'a>(&'a self, kinds: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.external_refs
            .iter()
            .filter(|external| {
                let (_, kind) = external
                    .kind
                    .rsplit_once('/')
                    .unwrap_or(("", &external.kind));
                kinds.contains(&kind)
            })
            .map(|external| external.locator.as_str())
    }
}

open_enum! {
    /// What a package is for.
    pub enum Purpose {
        /// A program.
        Application = "APPLICATION",
        /// A framework.
        Framework = "FRAMEWORK",
        /// A library.
        Library = "LIBRARY",
        /// A container image.
        Container = "CONTAINER",
        /// An operating system.
        OperatingSystem = "OPERATING_SYSTEM",
        /// A device.
        Device = "DEVICE",
        /// Firmware.
        Firmware = "FIRMWARE",
        /// Source code.
        Source = "SOURCE",
        /// An archive of files.
        Archive = "ARCHIVE",
        /// A single file.
        File = "FILE",
        /// An installer.
        Install = "INSTALL",
        /// Anything else; the specification's own word, not an unknown value.
        Unlisted = "OTHER",
    }
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checksum {
    /// The function.
    pub algorithm: ChecksumAlgorithm,
    /// The digest in hexadecimal.
    #[serde(rename = "checksumValue")]
    pub value: String,
}

impl Checksum {
    /// A digest in hexadecimal.
    pub fn new(algorithm: ChecksumAlgorithm, hex: impl Into<String>) -> Self {
        Self {
            algorithm,
            value: hex.into(),
        }
    }
}

open_enum! {
    /// A hash function.
    pub enum ChecksumAlgorithm {
        /// SHA-1.
        Sha1 = "SHA1",
        /// SHA-224.
        Sha224 = "SHA224",
        /// SHA-256.
        Sha256 = "SHA256",
        /// SHA-384.
        Sha384 = "SHA384",
        /// SHA-512.
        Sha512 = "SHA512",
        /// SHA3-256.
        Sha3_256 = "SHA3-256",
        /// SHA3-384.
        Sha3_384 = "SHA3-384",
        /// SHA3-512.
        Sha3_512 = "SHA3-512",
        /// BLAKE2b-256.
        Blake2b256 = "BLAKE2b-256",
        /// BLAKE2b-384.
        Blake2b384 = "BLAKE2b-384",
        /// BLAKE2b-512.
        Blake2b512 = "BLAKE2b-512",
        /// BLAKE3.
        Blake3 = "BLAKE3",
        /// MD2.
        Md2 = "MD2",
        /// MD4.
        Md4 = "MD4",
        /// MD5.
        Md5 = "MD5",
        /// MD6.
        Md6 = "MD6",
        /// Adler-32.
        Adler32 = "ADLER32",
    }
}

/// Another name that a package goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExternalRef {
    /// The kind of naming scheme.
    #[serde(rename = "referenceCategory")]
    pub category: ReferenceCategory,
    /// The naming scheme: `purl`, `cpe23Type`, `swh` and so on.
    #[serde(rename = "referenceType")]
    pub kind: String,
    /// The name.
    #[serde(rename = "referenceLocator")]
    pub locator: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl ExternalRef {
    /// A package URL.
    pub fn purl(purl: impl Into<String>) -> Self {
        Self::new(ReferenceCategory::PackageManager, "purl", purl)
    }

    /// A CPE of version 2.3.
    pub fn cpe23(cpe: impl Into<String>) -> Self {
        Self::new(ReferenceCategory::Security, "cpe23Type", cpe)
    }

    /// A name in any scheme.
    pub fn new(
        category: ReferenceCategory,
        kind: impl Into<String>,
        locator: impl Into<String>,
    ) -> Self {
        Self {
            category,
            kind: kind.into(),
            locator: locator.into(),
            comment: None,
        }
    }
}

/// The kind of a naming scheme.
///
/// Version 2.2 spells some with an underscore; they are read as the same and written as 2.3 has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceCategory {
    /// Names that matter to security, such as CPEs and advisories.
    Security,
    /// Names that package managers use, such as package URLs.
    PackageManager,
    /// Names that last, such as Software Heritage identifiers.
    PersistentId,
    /// Any other.
    Unlisted,
    /// A value that the specification does not have, kept as it stood.
    Other(Box<str>),
}

impl ReferenceCategory {
    /// The value as SPDX 2.3 spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Security => "SECURITY",
            Self::PackageManager => "PACKAGE-MANAGER",
            Self::PersistentId => "PERSISTENT-ID",
            Self::Unlisted => "OTHER",
            Self::Other(text) => text,
        }
    }
}

impl Vocabulary for ReferenceCategory {
    fn is_in_vocabulary(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl fmt::Display for ReferenceCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for ReferenceCategory {
    fn from(text: &str) -> Self {
        match text {
            "SECURITY" => Self::Security,
            "PACKAGE-MANAGER" | "PACKAGE_MANAGER" => Self::PackageManager,
            "PERSISTENT-ID" | "PERSISTENT_ID" => Self::PersistentId,
            "OTHER" => Self::Unlisted,
            text => Self::Other(text.into()),
        }
    }
}

impl Serialize for ReferenceCategory {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReferenceCategory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

fn no_assertion() -> String {
    NOASSERTION.to_owned()
}

fn null_as_no_assertion<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let location: Option<String> = Option::deserialize(deserializer)?;
    Ok(location.unwrap_or_else(no_assertion))
}
