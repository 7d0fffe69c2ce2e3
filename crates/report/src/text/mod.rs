//! Reports for a terminal: eighty columns without colour suffice; colour and width only help.

mod diff;
mod explain;
mod paint;
mod result;
mod scan;

pub use diff::diff;
pub use explain::explain;
pub(crate) use paint::wrap;
pub use paint::{Paint, number};
pub use result::result;
pub use scan::{Options, age, scan};
