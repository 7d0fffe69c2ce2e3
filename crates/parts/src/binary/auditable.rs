//! The list of crates that cargo-auditable compiles into programs: JSON, compressed with zlib, in a
//! section of its own.
//!
//! Source: `PARSING.md` and `cargo-auditable.schema.json` of cargo-auditable.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use object::ReadRef;
use serde::Deserialize;

use super::Window;
use super::image::Region;
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, Sink};

#[derive(Deserialize)]
struct VersionInfo {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    root: bool,
}

/// Adds the crates, or tells what is wrong with the section.
pub(super) fn read<'data, R: ReadRef<'data>>(data: Window<R>, section: Region, sink: &mut Sink) {
    let span = data.span(section.offset, section.length);
    match unpack(data, section, sink) {
        Ok(info) => {
            for package in &info.packages {
                add(package, span, sink);
            }
        }
        Err(what) => sink.problem(span, format!("the cargo-auditable data {what}")),
    }
}

fn unpack<'data, R: ReadRef<'data>>(
    data: Window<R>,
    section: Region,
    sink: &mut Sink,
) -> Result<VersionInfo, String> {
    if section.length > sink.limits.text {
        return Err("is larger than the limit".to_owned());
    }
    let bytes = data
        .bytes(section.offset, section.length)
        .ok_or("ends beyond the file")?;
    let mut json = Vec::new();
    ZlibDecoder::new(bytes)
        .take(sink.limits.text.saturating_add(1))
        .read_to_end(&mut json)
        .map_err(|error| format!("cannot be unpacked: {error}"))?;
    if json.len() as u64 > sink.limits.text {
        return Err("is larger than the limit".to_owned());
    }
    serde_json::from_slice(&json).map_err(|error| format!("is not its JSON: {error}"))
}

fn add(package: &Package, span: Span, sink: &mut Sink) {
    let scope = match package.kind.as_deref() {
        Some("build") => Scope::Build,
        Some("development") => Scope::Development,
        _ => Scope::Runtime,
    };
    // Sources are words: anything but these three is a registry other than crates.io.
    let origin = match &*package.source {
        "crates.io" => Origin::Registry,
        "local" => Origin::Local,
        "git" => Origin::Repository("git".into()),
        other => Origin::Elsewhere(other.into()),
    };
    let draft = Draft::new("cargo", &package.name, &package.version, span)
        .scope(scope)
        .root(package.root)
        .origin(origin);
    sink.add(Declared::CargoAuditable, draft);
}
