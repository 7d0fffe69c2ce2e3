//! The report as statements that other tools take into account: OpenVEX.

use snowguard_formats::openvex::Document;

use crate::Facts;
use crate::model::Report;

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
    let _ = (facts, report, issuer);
    None
}
