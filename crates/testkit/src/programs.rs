//! Programs that declare what is inside them, as linkers and build tools write it: small, and never
//! run.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a helper of a test fails the test"
)]

use std::fmt::Write as _;
use std::io::Write as _;

use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use serde_json::json;

/// A crate of a Rust program.
#[derive(Clone, Copy, Debug)]
pub struct Crate<'c> {
    /// Its name.
    pub name: &'c str,
    /// Its version.
    pub version: &'c str,
    /// `crates.io`, `git`, `local`, `registry`.
    pub source: &'c str,
    /// `runtime` or `build`.
    pub kind: &'c str,
}

impl<'c> Crate<'c> {
    /// A crate of crates.io that is compiled in.
    pub fn new(name: &'c str, version: &'c str) -> Self {
        Self {
            name,
            version,
            source: "crates.io",
            kind: "runtime",
        }
    }

    /// One that is only used for building.
    #[must_use]
    pub fn for_building(self) -> Self {
        Self {
            kind: "build",
            ..self
        }
    }
}

/// An ELF file with the list of cargo-auditable: the program's own crate, and others.
///
/// Source of the form: `PARSING.md` of cargo-auditable.
pub fn rust(name: &str, version: &str, crates: &[Crate<'_>]) -> Vec<u8> {
    let mut packages = vec![json!({
        "name": name, "version": version, "source": "local", "root": true,
    })];
    packages.extend(crates.iter().map(|one| {
        json!({
            "name": one.name, "version": one.version, "source": one.source, "kind": one.kind,
        })
    }));
    let json = json!({ "packages": packages }).to_string();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(json.as_bytes()).unwrap();
    elf(".dep-v0", &packed.finish().unwrap())
}

/// An ELF file with the build information of Go, as linkers since 1.18 write it: the main module,
/// and others by path and version.
///
/// Source of the form: `debug/buildinfo` of Go's standard library.
pub fn go(version: &str, main: (&str, &str), modules: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("path\t{0}\nmod\t{0}\t{1}\t\n", main.0, main.1);
    for (path, version) in modules {
        let _ = writeln!(text, "dep\t{path}\t{version}\th1:AAAA=");
    }
    let mut module = Vec::new();
    module.extend([
        0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02, 0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18,
        0xe6,
    ]);
    module.extend(text.as_bytes());
    module.extend([
        0xf9, 0x32, 0x43, 0x31, 0x86, 0x18, 0x20, 0x72, 0x00, 0x82, 0x42, 0x10, 0x41, 0x16, 0xd8,
        0xf2,
    ]);
    let mut data = b"\xff Go buildinf:\x08\x02".to_vec();
    data.resize(32, 0);
    for part in [version.as_bytes(), &module] {
        let mut length = part.len();
        while length >= 0x80 {
            data.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        data.push(length.to_le_bytes()[0]);
        data.extend(part);
    }
    elf(".go.buildinfo", &data)
}

fn elf(section: &str, data: &[u8]) -> Vec<u8> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let id = file.add_section(Vec::new(), section.as_bytes().to_vec(), SectionKind::Data);
    file.append_section_data(id, data, 16);
    file.write().unwrap()
}
