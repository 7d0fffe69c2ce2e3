//! Which files are worth reading, by name and first bytes.

use serde::{Deserialize, Serialize};

/// A format that declares parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// An executable or a library: ELF, PE, Mach-O, WebAssembly.
    Executable,
    /// An archive of Java (`.jar`, `.war`, `.ear` and their kin) or Python (`.whl`, `.egg`, `.pyz`).
    Archive,
    /// `METADATA` in a `.dist-info`, `PKG-INFO` in an `.egg-info`, or an `.egg-info` that is a file.
    PythonMetadata,
    /// `package.json` of a package under `node_modules`.
    NpmPackage,
    /// A gem's specification in `specifications`.
    Gemspec,
    /// `*.deps.json`.
    DotnetDeps,
    /// A bill of materials of what it lies in or beside: `*.dist-info/sboms/*.json`,
    /// `META-INF/sbom/*.json`, and by its ending in a directory of vendored code.
    Sbom,
    /// A bill of materials by its ending, wherever it lies: `*.cdx.json`, `*.cyclonedx.json`,
    /// `*.spdx.json`. It may be of anything, such as a sample.
    LooseSbom,
    /// `Cargo.lock`.
    CargoLock,
    /// `go.mod`.
    GoMod,
    /// `go.sum`.
    GoSum,
    /// `vendor/modules.txt`.
    GoVendor,
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    NpmLock,
    /// `node_modules/.package-lock.json`.
    NpmInstalled,
    /// `yarn.lock`.
    YarnLock,
    /// `pnpm-lock.yaml`.
    PnpmLock,
    /// `composer.lock`.
    ComposerLock,
    /// `composer/installed.json`.
    ComposerInstalled,
    /// `Gemfile.lock`, `gems.locked`.
    GemfileLock,
    /// `poetry.lock`.
    PoetryLock,
    /// `uv.lock`.
    UvLock,
    /// `Pipfile.lock`.
    PipfileLock,
    /// A requirements file of pip.
    Requirements,
}

/// How many first bytes [`kind_of`] looks at, at most. Fewer are enough if the file has no more.
pub const HEAD: usize = 64;

/// The format of a file, if it may declare parts.
///
/// `path` is relative, with `/`; if the walk starts at a file, it is the file's name. `head` is the
/// first [`HEAD`] bytes. Only names and magic numbers are looked at, so that a walk can ask for
/// every file; the answer promises nothing about the rest of the bytes.
pub fn kind_of(path: &str, head: &[u8]) -> Option<Kind> {
    let by_magic = || {
        if is_executable(head) {
            Some(Kind::Executable)
        } else {
            is_archive(path)
                .then_some(Kind::Archive)
                .filter(|_| is_zip(head))
        }
    };
    by_name(path).or_else(by_magic)
}

/// Whether a name is that of an archive that declares parts, or has such within it.
pub(crate) fn is_archive(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    matches!(
        extension,
        "jar" | "war" | "ear" | "hpi" | "jpi" | "kar" | "aar" | "whl" | "egg" | "pyz"
    )
}

/// A member, the directory of an empty archive, or a script before one that unpacks itself.
fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || head.starts_with(b"#!")
}

/// The format of a text, by its name alone: a walk can ask this before it opens a file.
pub(crate) fn by_name(path: &str) -> Option<Kind> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = directory.rsplit('/').next().unwrap_or_default();
    match name {
        "METADATA" if parent.ends_with(".dist-info") => Some(Kind::PythonMetadata),
        "PKG-INFO" if parent.ends_with(".egg-info") || parent == "EGG-INFO" => {
            Some(Kind::PythonMetadata)
        }
        "package.json" if is_installed_by_npm(directory) => Some(Kind::NpmPackage),
        "Cargo.lock" => Some(Kind::CargoLock),
        "go.mod" => Some(Kind::GoMod),
        "go.sum" => Some(Kind::GoSum),
        // Vendored trees are outputs of their own, too.
        "modules.txt" if parent == "vendor" || directory.is_empty() => Some(Kind::GoVendor),
        "package-lock.json" | "npm-shrinkwrap.json" => Some(Kind::NpmLock),
        ".package-lock.json" if parent == "node_modules" => Some(Kind::NpmInstalled),
        "yarn.lock" => Some(Kind::YarnLock),
        "pnpm-lock.yaml" => Some(Kind::PnpmLock),
        "composer.lock" => Some(Kind::ComposerLock),
        "installed.json" if parent == "composer" => Some(Kind::ComposerInstalled),
        "Gemfile.lock" | "gems.locked" => Some(Kind::GemfileLock),
        "poetry.lock" => Some(Kind::PoetryLock),
        "uv.lock" => Some(Kind::UvLock),
        "Pipfile.lock" => Some(Kind::PipfileLock),
        _ if name.ends_with(".egg-info") => Some(Kind::PythonMetadata),
        _ if name.ends_with(".deps.json") => Some(Kind::DotnetDeps),
        _ if name.ends_with(".json") && is_place_of_sboms(directory) => Some(Kind::Sbom),
        _ if is_called_sbom(name) && is_vendored(parent) => Some(Kind::Sbom),
        _ if is_called_sbom(name) => Some(Kind::LooseSbom),
        _ if name.ends_with(".gemspec") && is_specifications(directory) => Some(Kind::Gemspec),
        _ if name.ends_with(".txt") && is_requirements(parent, name) => Some(Kind::Requirements),
        _ => None,
    }
}

/// Directly in a package's directory: `…/node_modules/NAME` or `…/node_modules/@SCOPE/NAME`, with
/// Debian `…/share/nodejs/NAME`; or in the `package` of an unpacked tarball. Deeper ones are the
/// package's own business: they set how modules are loaded, or are data of tests.
fn is_installed_by_npm(directory: &str) -> bool {
    let is_home = |name| matches!(name, Some("node_modules" | "nodejs"));
    let mut outwards = directory.rsplit('/');
    let own = outwards.next();
    let parent = outwards.next();
    match parent {
        Some(scope) if scope.starts_with('@') => is_home(outwards.next()),
        parent => is_home(parent) || (own == Some("package") && parent.is_some()),
    }
}

/// That of PEP 770, and that of Spring Boot in archives.
fn is_place_of_sboms(directory: &str) -> bool {
    directory.ends_with(".dist-info/sboms") || directory.ends_with("META-INF/sbom")
}

/// The endings that both formats propose.
fn is_called_sbom(name: &str) -> bool {
    let endings = [".cdx.json", ".cyclonedx.json", ".spdx.json"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// As pip and setuptools call the directory of what they bring along.
fn is_vendored(directory: &str) -> bool {
    matches!(directory, "_vendor" | "_vendored" | "vendor" | "vendored")
}

/// Where RubyGems keeps what is installed; those of gems that come with Ruby are one deeper.
fn is_specifications(directory: &str) -> bool {
    let directory = directory.strip_suffix("/default").unwrap_or(directory);
    directory == "specifications" || directory.ends_with("/specifications")
}

fn is_requirements(parent: &str, name: &str) -> bool {
    parent == "requirements"
        || name.starts_with("requirements")
        || name.ends_with("requirements.txt")
}

fn is_executable(head: &[u8]) -> bool {
    match head {
        [0x7f, b'E', b'L', b'F', ..]
        // Mach-O: 32 and 64 bits, either byte order.
        | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
        | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
        | [0x00, b'a', b's', b'm', ..] => true,
        // Several architectures in one file; Java classes begin alike, with their version (45 and
        // up) where the number of architectures stands here.
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, 0, 0, 0, count, ..] => (1..45).contains(count),
        // The MS-DOS header, with the offset of the real one.
        [b'M', b'Z', ..] => head.len() >= 64,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_by_name() {
        let kind = |path| kind_of(path, b"");
        assert_eq!(
            kind("site-packages/Flask-3.0.dist-info/METADATA"),
            Some(Kind::PythonMetadata)
        );
        assert_eq!(kind("x.egg-info/PKG-INFO"), Some(Kind::PythonMetadata));
        assert_eq!(kind("share/METADATA"), None);
        let npm = Some(Kind::NpmPackage);
        assert_eq!(kind("lib/node_modules/a/package.json"), npm);
        assert_eq!(kind("node_modules/@s/a/package.json"), npm);
        assert_eq!(kind("node_modules/a/node_modules/b/package.json"), npm);
        assert_eq!(kind("node_modules/a/dist/esm/package.json"), None);
        assert_eq!(kind("node_modules/package.json"), None);
        assert_eq!(kind("usr/share/nodejs/@s/a/package.json"), npm);
        assert_eq!(kind("driver/package/package.json"), npm);
        let sbom = Some(Kind::Sbom);
        assert_eq!(kind("a-1.dist-info/sboms/sbom.json"), sbom);
        assert_eq!(kind("pip/_vendor/bom.cdx.json"), sbom);
        let loose = Some(Kind::LooseSbom);
        assert_eq!(kind("share/doc/sample.spdx.json"), loose);
        assert_eq!(kind("a.cdx.json"), loose);
        assert_eq!(kind("sboms/sbom.json"), None);
        assert_eq!(kind("package.json"), None);
        assert_eq!(kind("vendor/modules.txt"), Some(Kind::GoVendor));
        assert_eq!(kind("modules.txt"), Some(Kind::GoVendor));
        assert_eq!(kind("doc/modules.txt"), None);
        assert_eq!(
            kind("gems/specifications/default/a-1.gemspec"),
            Some(Kind::Gemspec)
        );
        assert_eq!(kind("gems/a-1/a.gemspec"), None);
        assert_eq!(kind("requirements/base.txt"), Some(Kind::Requirements));
        assert_eq!(kind("dev-requirements.txt"), Some(Kind::Requirements));
        assert_eq!(kind("lib/App.deps.json"), Some(Kind::DotnetDeps));
    }

    #[test]
    fn archives_by_name_and_magic() {
        assert_eq!(kind_of("a.jar", b"PK\x03\x04"), Some(Kind::Archive));
        assert_eq!(
            kind_of("a-1-py3-none-any.whl", b"PK\x03\x04"),
            Some(Kind::Archive)
        );
        assert_eq!(
            kind_of("app.pyz", b"#!/usr/bin/env python3\n"),
            Some(Kind::Archive)
        );
        assert_eq!(kind_of("a.jar", b"not"), None);
        assert_eq!(kind_of("a.zip", b"PK\x03\x04"), None);
    }

    #[test]
    fn executables_by_magic() {
        let executable = |head: &[u8]| kind_of("bin/x", head) == Some(Kind::Executable);
        assert!(executable(b"\x7fELF\x02\x01"));
        assert!(executable(b"\0asm\x01\0\0\0"));
        assert!(executable(b"\xcf\xfa\xed\xfe"));
        assert!(executable(b"\xca\xfe\xba\xbe\0\0\0\x02"));
        assert!(!executable(b"\xca\xfe\xba\xbe\0\0\0\x34"));
        assert!(!executable(b"MZ is not a program"));
        assert!(!executable(b"#!/bin/sh"));
    }
}
