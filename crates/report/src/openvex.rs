//! The report as statements that other tools take into account: OpenVEX.
//!
//! What is affected says what to do, what needs review is under investigation, a patched package is
//! fixed and says by which patch, and a suppressed finding passes on the decision with its
//! justification. Products are the packages, by purl and by the CPEs that are known of them.
//! Deliberately absent: what is fixed by its version or not affected, of which the report has only
//! the count, and where a decision stands, which is nobody else's business.

use std::collections::{BTreeMap, HashMap};

use snowguard_closure::NodeId;
use snowguard_formats::openvex::{
    Document, Justification, Product, Statement, Status, Subcomponent, Vulnerability,
};
use snowguard_formats::{Layout, Timestamp};
use snowguard_inventory::ComponentId;
use snowguard_store::Hasher;

use crate::Facts;
use crate::identity::{Components, Cpes, urn};
use crate::model::{Finding, Package, Report};
use crate::{triage, words};

/// Who makes the statements.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'i> {
    /// A person or an organisation.
    pub author: &'i str,
    /// The document's own IRI; none to have one derived from what the document says.
    pub id: Option<&'i str>,
}

/// The report as OpenVEX; none if there is nothing to state, since a document without a statement
/// is not valid.
pub fn document(facts: &Facts<'_, '_>, report: &Report, issuer: Issuer<'_>) -> Option<Document> {
    let cpes = Cpes::of(facts);
    let components = Components::of(facts.inventory);
    let owners: HashMap<NodeId, ComponentId> = facts
        .inventory
        .iter()
        .flat_map(|(id, component)| component.nodes.iter().map(move |node| (*node, id)))
        .collect();
    let mut statements: BTreeMap<Key, Statement> = BTreeMap::new();
    for package in &report.packages {
        for product in products(facts, package, components.get(package), &cpes, &owners) {
            for finding in &package.findings {
                let statement = statement(package, finding, product.clone());
                match statements.get_mut(&key(&statement)) {
                    Some(known) if !known.products.contains(&product) => {
                        known.products.push(product.clone());
                    }
                    Some(_) => {}
                    None => {
                        statements.insert(key(&statement), statement);
                    }
                }
            }
        }
    }
    let mut document = Document {
        tooling: Some(format!("{} {}", report.tool.name, report.tool.version)),
        statements: statements.into_values().collect(),
        ..Document::new("", issuer.author, Timestamp::from(facts.now))
    };
    if document.statements.is_empty() {
        return None;
    }
    document.id = match issuer.id {
        Some(id) => id.to_owned(),
        None => derived_id(&document),
    };
    Some(document)
}

/// By what statements are told apart: products of which the same is said are one statement.
type Key = (String, String, [Option<String>; 4]);

fn key(statement: &Statement) -> Key {
    (
        statement.vulnerability.name.clone(),
        statement.status.to_string(),
        [
            statement.action_statement.clone(),
            statement.status_notes.clone(),
            statement.justification.as_ref().map(ToString::to_string),
            statement.impact_statement.clone(),
        ],
    )
}

/// What a package is to others: itself, or a part of each package that contains it.
fn products(
    facts: &Facts<'_, '_>,
    package: &Package,
    id: Option<ComponentId>,
    cpes: &Cpes,
    owners: &HashMap<NodeId, ComponentId>,
) -> Vec<Product> {
    let component = id.and_then(|id| facts.inventory.get(id));
    let Some(component) = component.filter(|component| component.is_part()) else {
        return vec![product(package, id, cpes)];
    };
    let mut products: Vec<Product> = Vec::new();
    for host in &component.hosts {
        let owner = owners.get(&host.node).copied();
        let made = match owner.and_then(|id| Some((id, facts.inventory.get(id)?))) {
            Some((owner, host)) => {
                let product = Product::purl(crate::build::purl(host));
                let mut product = match cpes.get(owner).first() {
                    Some(cpe) => product.with_cpe23(cpe),
                    None => product,
                };
                product.subcomponents = vec![Subcomponent::purl(&package.purl)];
                product
            }
            // What it is in has no name to others.
            None => product(package, id, cpes),
        };
        if !products.contains(&made) {
            products.push(made);
        }
    }
    products
}

fn product(package: &Package, id: Option<ComponentId>, cpes: &Cpes) -> Product {
    let product = Product::purl(&package.purl);
    match id.and_then(|id| cpes.get(id).first()) {
        Some(cpe) => product.with_cpe23(cpe),
        None => product,
    }
}

fn statement(package: &Package, finding: &Finding, product: Product) -> Statement {
    let mut statement = Statement::new(&finding.id, product, Status::Affected);
    let mut aliases = finding.aliases.clone();
    aliases.sort();
    aliases.dedup();
    statement.vulnerability = Vulnerability {
        id: Some(finding.url.clone()),
        description: finding.title.clone(),
        aliases,
        ..Vulnerability::new(&finding.id)
    };
    statement.status_notes = Some(words::sentence(&finding.reason) + ".");
    if let Some(decision) = &finding.suppressed {
        let reason = match decision.reason.as_str() {
            "" => "No reason is given.".to_owned(),
            reason => reason.to_owned(),
        };
        if decision.verdict == "fixed" {
            statement.status = Status::Fixed;
            statement.status_notes = Some(reason);
        } else {
            statement.status = Status::NotAffected;
            statement.status_notes = None;
            statement.justification = decision.justification.map(Justification::from);
            statement.impact_statement = Some(match &decision.url {
                Some(url) => format!("{reason} ({url})"),
                None => reason,
            });
        }
        return statement;
    }
    match finding.status {
        "affected" => {
            let fix = words::fix(package, finding);
            let action = match &finding.triage {
                Some(told) => {
                    let clause = words::sentence(&triage::clause(told));
                    format!("{fix} {clause} ({}).", told.url)
                }
                None => fix,
            };
            statement.action_statement = Some(action);
        }
        "patched" => {
            statement.status = Status::Fixed;
            statement.status_notes = Some(format!("Patched here: {}.", words::patches(finding)));
        }
        _ => statement.status = Status::UnderInvestigation,
    }
    statement
}

/// The same statements at the same time by the same author are the same document.
fn derived_id(document: &Document) -> String {
    let mut hasher = Hasher::sha256();
    // A hasher takes every byte; a value that cannot be serialised is told when it is written.
    let _ = document.write(&mut hasher, Layout::Compact);
    urn(&hasher.finish())
}
