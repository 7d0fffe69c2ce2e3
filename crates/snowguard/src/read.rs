//! What to scan: from arguments to a subject.

use std::io::Read as _;

use camino::Utf8PathBuf;
use snowguard_inventory::{Nature, Role, Subject, SubjectBuilder};

use crate::cli::Reading;
use crate::error::Failure;

pub(crate) fn subject(inputs: &[Utf8PathBuf], _reading: &Reading) -> Result<Subject, Failure> {
    let path = inputs
        .first()
        .ok_or_else(|| Failure::message("nothing to scan"))?;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Failure::cannot_read(path, e))?;
    zstd::stream::read::Decoder::new(file)
        .and_then(|mut d| d.read_to_end(&mut bytes))
        .map_err(|e| Failure::cannot_read(path, e))?;
    let set = snowguard_store::derivation::json::DerivationSet::from_json(&bytes, None)
        .map_err(Failure::new)?;
    let mut builder = SubjectBuilder::new();
    let reduced = snowguard_sources::derivations::reduce(&set);
    let title = reduced
        .first()
        .map(|r| r.name.to_string())
        .unwrap_or_default();
    snowguard_sources::derivations::add(&mut builder, reduced, Role::Part);
    Ok(builder.build(title, Nature::BuildTime))
}
