//! Python's core metadata: `METADATA` of a `.dist-info`, `PKG-INFO` of an `.egg-info`.
//!
//! Headers as in mail. Names are those of the Python Package Index; a distribution that was
//! installed from elsewhere looks the same here.
//!
//! Source: Core metadata specifications, Python Packaging User Guide.

use super::Text;
use crate::part::{Declared, Scope, Span};
use crate::read::{Draft, Sink};

/// Adds the distribution that the metadata describe.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) {
    let mut name = None;
    let mut version = None;
    for (span, line) in text.lines() {
        // An empty line begins the description, which may hold anything.
        if line.is_empty() {
            break;
        }
        let Some((header, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if header.eq_ignore_ascii_case("name") {
            name.get_or_insert((value, span));
        } else if header.eq_ignore_ascii_case("version") {
            version.get_or_insert(value);
        }
    }
    match (name, version) {
        (Some((name, span)), Some(version)) => {
            let draft = Draft::new("pypi", name, version, span).scope(Scope::Runtime);
            sink.add(Declared::PythonMetadata, draft);
        }
        _ => sink.problem(Span::Whole, "Python metadata without name or version"),
    }
}
