//! Joins the parts of a CSAF document into statements: vulnerability, product, status, reason.
//!
//! CSAF scatters them: a status lists identifiers, the tree gives the identifiers names, flags and
//! threats name them again or by their groups.

use std::collections::{HashMap, HashSet};

use super::{Document, Flag, Identification, Justification, Product, ProductRelationship, Threat};
use crate::openvex::Status;
use crate::{Format, Limits, ReadError};

/// One assertion of a document: this product has this status with regard to this vulnerability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The place of the vulnerability in [`Document::vulnerabilities`].
    pub vulnerability: usize,
    /// The product.
    pub product: StatementProduct<'a>,
    /// The status, in the words of OpenVEX.
    pub status: Status,
    /// Why the product is not affected, as one of five reasons.
    pub justification: Option<&'a Justification>,
    /// Why the product is not affected, in words.
    pub impact: Option<&'a str>,
}

/// The product that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementProduct<'a> {
    /// Its identifier within the document.
    pub id: &'a str,
    /// Its name; the identifier, when the tree does not have it.
    pub name: &'a str,
    /// By what others know it.
    pub identification: Option<&'a Identification>,
    /// Where it is a part within a whole, the part: what the status is about in practice.
    pub part: Option<&'a Product>,
    /// Where it is a part within a whole, the whole.
    pub whole: Option<&'a Product>,
}

impl Document {
    /// Every statement of the document, in its order.
    ///
    /// Products that are affected first or last count as affected, those fixed first as fixed. A
    /// recommended product says nothing about its status and makes no statement.
    pub fn statements(&self) -> Vec<Statement<'_>> {
        let tree = Tree::of(self);
        let mut statements = Vec::new();
        for (at, vulnerability) in self.vulnerabilities.iter().enumerate() {
            let justifications = tree.by_product(
                vulnerability
                    .flags
                    .iter()
                    .map(|flag: &Flag| (&flag.product_ids, &flag.group_ids, &flag.label)),
            );
            let impacts = tree.by_product(
                vulnerability
                    .threats
                    .iter()
                    .filter(|threat| threat.category == "impact")
                    .map(|threat: &Threat| {
                        (
                            &threat.product_ids,
                            &threat.group_ids,
                            threat.details.as_str(),
                        )
                    }),
            );
            let status = &vulnerability.product_status;
            let lists = [
                (Status::NotAffected, &status.known_not_affected),
                (Status::Fixed, &status.fixed),
                (Status::Fixed, &status.first_fixed),
                (Status::Affected, &status.known_affected),
                (Status::Affected, &status.first_affected),
                (Status::Affected, &status.last_affected),
                (Status::UnderInvestigation, &status.under_investigation),
            ];
            for (status, products) in lists {
                let explained = status == Status::NotAffected;
                statements.extend(products.iter().map(|id| Statement {
                    vulnerability: at,
                    product: tree.product(id),
                    status: status.clone(),
                    justification: justifications.get(id).copied().filter(|_| explained),
                    impact: impacts.get(id).copied().filter(|_| explained),
                }));
            }
        }
        statements
    }

    /// Groups are named again and again: few bytes must not stand for many products.
    pub(super) fn check_expansion(&self, limits: &Limits) -> Result<(), ReadError> {
        let sizes: HashMap<&str, usize> = self
            .product_tree
            .product_groups
            .iter()
            .map(|group| (group.group_id.as_str(), group.product_ids.len()))
            .collect();
        let named = self.vulnerabilities.iter().flat_map(|vulnerability| {
            let flags = vulnerability.flags.iter().map(|flag| &flag.group_ids);
            let threats = vulnerability.threats.iter().map(|threat| &threat.group_ids);
            flags.chain(threats).flatten()
        });
        let expanded = named
            .filter_map(|group| sizes.get(group.as_str()).copied())
            .fold(0, usize::saturating_add);
        if expanded > limits.values {
            return Err(ReadError::TooManyExpanded {
                format: Format::Csaf,
                what: "products of groups",
                limit: limits.values,
            });
        }
        Ok(())
    }
}

/// The products and groups of a document by their identifiers.
struct Tree<'a> {
    products: HashMap<&'a str, &'a Product>,
    made: HashMap<&'a str, &'a ProductRelationship>,
    groups: HashMap<&'a str, &'a [String]>,
}

impl<'a> Tree<'a> {
    fn of(document: &'a Document) -> Self {
        let tree = &document.product_tree;
        Self {
            products: tree
                .products()
                .into_iter()
                .map(|product| (product.product_id.as_str(), product))
                .collect(),
            made: tree
                .relationships
                .iter()
                .map(|made| (made.full_product_name.product_id.as_str(), made))
                .collect(),
            groups: tree
                .product_groups
                .iter()
                .map(|group| (group.group_id.as_str(), group.product_ids.as_slice()))
                .collect(),
        }
    }

    fn product(&self, id: &'a str) -> StatementProduct<'a> {
        let product = self.products.get(id).copied();
        let made = self.made.get(id);
        let named = |id: &str| self.products.get(id).copied();
        StatementProduct {
            id,
            name: product.map_or(id, |product| product.name.as_str()),
            identification: product.map(|product| &product.identification),
            part: made.and_then(|made| named(&made.product_reference)),
            whole: made.and_then(|made| named(&made.relates_to_product_reference)),
        }
    }

    /// What is said of each product; the first word counts. Who names no product says it of none.
    fn by_product<T: Copy>(
        &self,
        said: impl Iterator<Item = (&'a Vec<String>, &'a Vec<String>, T)>,
    ) -> HashMap<&'a String, T> {
        let mut by_product = HashMap::new();
        for (products, groups, value) in said {
            let mut seen = HashSet::new();
            let grouped = groups
                .iter()
                .filter_map(|group| self.groups.get(group.as_str()).copied())
                .flatten();
            for product in products.iter().chain(grouped) {
                if seen.insert(product) {
                    by_product.entry(product).or_insert(value);
                }
            }
        }
        by_product
    }
}
