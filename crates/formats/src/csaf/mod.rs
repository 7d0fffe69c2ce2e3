//! CSAF 2.0: the statements of vendors on which products a vulnerability concerns; read only.
//!
//! Read is what a source of suppressions needs: the product tree with package URLs, CPEs and
//! digests, and of each vulnerability its names, product status, justifications (flags), impact
//! (threats) and remediations. [`Document::statements`] joins them. Deliberately absent are notes,
//! scores, acknowledgements, tracking history and distribution rules, and so is writing.

mod statements;

use serde::Deserialize;

pub use self::statements::{Statement, StatementProduct};

use crate::json::{self, null_as_default};
use crate::open_enum::open_enum;
use crate::{Format, Limits, ReadError, Readable, Timestamp};

/// A CSAF document, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Document {
    /// What the document says of itself.
    pub document: Meta,
    /// The products.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_tree: ProductTree,
    /// The vulnerabilities.
    #[serde(default, deserialize_with = "null_as_default")]
    pub vulnerabilities: Vec<Vulnerability>,
}

impl Document {
    /// Reads a document, version 2.0.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        crate::read_known(Format::Csaf, bytes, limits, &READABLE)?;
        let document: Self = json::read(Format::Csaf, bytes, limits)?;
        document.check_expansion(limits)?;
        Ok(document)
    }
}

/// What a document says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Meta {
    /// The profile, such as `csaf_vex` or `csaf_security_advisory`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub category: String,
    /// The title.
    #[serde(default, deserialize_with = "null_as_default")]
    pub title: String,
    /// Who published it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub publisher: Publisher,
    /// Its identifier and revision.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tracking: Tracking,
}

/// Who published a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Publisher {
    /// The name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// The name space in which its identifiers are unique.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// The identifier and revision of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Tracking {
    /// The identifier, unique with its publisher.
    #[serde(default, deserialize_with = "null_as_default")]
    pub id: String,
    /// The revision.
    #[serde(default, deserialize_with = "null_as_default")]
    pub version: String,
    /// `draft`, `interim` or `final`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: String,
    /// When this revision was released.
    #[serde(default)]
    pub current_release_date: Option<Timestamp>,
}

/// The products of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ProductTree {
    /// Products by vendor, name, version and so on.
    #[serde(default, deserialize_with = "null_as_default")]
    pub branches: Vec<Branch>,
    /// Products without such an order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub full_product_names: Vec<Product>,
    /// Products that are made of others.
    #[serde(default, deserialize_with = "null_as_default")]
    pub relationships: Vec<ProductRelationship>,
    /// Sets of products.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_groups: Vec<ProductGroup>,
}

impl ProductTree {
    /// Every product by itself, in the order of the document; those made of others come last.
    pub fn products(&self) -> Vec<&Product> {
        let mut products = Vec::new();
        let mut stack: Vec<_> = self.branches.iter().rev().collect();
        while let Some(branch) = stack.pop() {
            products.extend(&branch.product);
            stack.extend(branch.branches.iter().rev());
        }
        products.extend(&self.full_product_names);
        products.extend(
            self.relationships
                .iter()
                .map(|made| &made.full_product_name),
        );
        products
    }
}

/// A branch of the tree: a vendor, a product name, a version and so on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Branch {
    /// What it stands for: `vendor`, `product_name`, `product_version` and so on.
    #[serde(default, deserialize_with = "null_as_default")]
    pub category: String,
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// The product, at the end of a branch.
    #[serde(default)]
    pub product: Option<Product>,
    /// Further branches.
    #[serde(default, deserialize_with = "null_as_default")]
    pub branches: Vec<Branch>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Product {
    /// By what the rest of the document refers to it.
    pub product_id: String,
    /// Its full name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// By what others know it.
    #[serde(
        default,
        rename = "product_identification_helper",
        deserialize_with = "null_as_default"
    )]
    pub identification: Identification,
}

/// By what others know a product.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Identification {
    /// A CPE, of version 2.2 or 2.3.
    #[serde(default)]
    pub cpe: Option<String>,
    /// A package URL.
    #[serde(default)]
    pub purl: Option<String>,
}

/// A product that is made of two others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProductRelationship {
    /// How: `default_component_of`, `installed_on` and so on.
    #[serde(default, deserialize_with = "null_as_default")]
    pub category: String,
    /// The product that they make.
    pub full_product_name: Product,
    /// The identifier of the part.
    pub product_reference: String,
    /// The identifier of the whole.
    pub relates_to_product_reference: String,
}

/// A set of products.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProductGroup {
    /// By what the rest of the document refers to it.
    pub group_id: String,
    /// The identifiers of its products.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_ids: Vec<String>,
}

/// A vulnerability and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Vulnerability {
    /// The CVE.
    #[serde(default)]
    pub cve: Option<String>,
    /// Its other names.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ids: Vec<VulnerabilityId>,
    /// Which products have which status.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_status: ProductStatus,
    /// Justifications.
    #[serde(default, deserialize_with = "null_as_default")]
    pub flags: Vec<Flag>,
    /// Impacts and other threats.
    #[serde(default, deserialize_with = "null_as_default")]
    pub threats: Vec<Threat>,
    /// What to do.
    #[serde(default, deserialize_with = "null_as_default")]
    pub remediations: Vec<Remediation>,
}

impl Vulnerability {
    /// The CVE and the other names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let other = self.ids.iter().map(|id| id.text.as_str());
        self.cve.as_deref().into_iter().chain(other)
    }
}

/// Another name of a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct VulnerabilityId {
    /// Who gave it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub system_name: String,
    /// The name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub text: String,
}

/// Which products have which status, by their identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ProductStatus {
    /// The first versions that are known to be affected.
    #[serde(default, deserialize_with = "null_as_default")]
    pub first_affected: Vec<String>,
    /// The first versions with a fix.
    #[serde(default, deserialize_with = "null_as_default")]
    pub first_fixed: Vec<String>,
    /// Versions with a fix.
    #[serde(default, deserialize_with = "null_as_default")]
    pub fixed: Vec<String>,
    /// Versions that are affected.
    #[serde(default, deserialize_with = "null_as_default")]
    pub known_affected: Vec<String>,
    /// Versions that are not affected.
    #[serde(default, deserialize_with = "null_as_default")]
    pub known_not_affected: Vec<String>,
    /// The last versions that are known to be affected.
    #[serde(default, deserialize_with = "null_as_default")]
    pub last_affected: Vec<String>,
    /// Versions that the vendor recommends.
    #[serde(default, deserialize_with = "null_as_default")]
    pub recommended: Vec<String>,
    /// Versions of which it is not known yet.
    #[serde(default, deserialize_with = "null_as_default")]
    pub under_investigation: Vec<String>,
}

/// Why some products are not affected, as one of five reasons.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Flag {
    /// The reason.
    pub label: Justification,
    /// When that was said.
    #[serde(default)]
    pub date: Option<Timestamp>,
    /// The products.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_ids: Vec<String>,
    /// Further products, by their groups.
    #[serde(default, deserialize_with = "null_as_default")]
    pub group_ids: Vec<String>,
}

open_enum! {
    /// Why products are not affected. The words are those of OpenVEX, one of them shorter.
    pub enum Justification {
        /// The component is not in the product.
        ComponentNotPresent = "component_not_present",
        /// The component is there, the vulnerable code is not.
        VulnerableCodeNotPresent = "vulnerable_code_not_present",
        /// The vulnerable code is there and never run.
        VulnerableCodeNotInExecutePath = "vulnerable_code_not_in_execute_path",
        /// The vulnerable code is run, and no attacker has a say in it.
        VulnerableCodeCannotBeControlledByAdversary =
            "vulnerable_code_cannot_be_controlled_by_adversary",
        /// Something else prevents the attack.
        InlineMitigationsAlreadyExist = "inline_mitigations_already_exist",
    }
}

/// A threat: with the category `impact`, why some products are not affected, in words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Threat {
    /// `impact`, `exploit_status` or `target_set`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub category: String,
    /// The words.
    #[serde(default, deserialize_with = "null_as_default")]
    pub details: String,
    /// The products; all of them when neither products nor groups are named.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_ids: Vec<String>,
    /// Further products, by their groups.
    #[serde(default, deserialize_with = "null_as_default")]
    pub group_ids: Vec<String>,
}

/// What to do about a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Remediation {
    /// `vendor_fix`, `mitigation`, `workaround`, `none_available`, `no_fix_planned`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub category: String,
    /// The words.
    #[serde(default, deserialize_with = "null_as_default")]
    pub details: String,
    /// The products; all of them when neither products nor groups are named.
    #[serde(default, deserialize_with = "null_as_default")]
    pub product_ids: Vec<String>,
    /// Further products, by their groups.
    #[serde(default, deserialize_with = "null_as_default")]
    pub group_ids: Vec<String>,
}

const READABLE: Readable = Readable {
    words: "2.0",
    accepts: |version| version == Some("2.0"),
};
