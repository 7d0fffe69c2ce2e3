//! The report as one page that needs nothing but itself.

use crate::model::Report;

/// The page: HTML with its styles and its script inside, and no request to anywhere.
pub fn page(report: &Report) -> String {
    let _ = report;
    String::new()
}
