//! What a file declares: a library, its version, and where the proof stands.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use snowguard_advisory::identity::PackageKey;

/// One library that a file declares to be inside it, or to be needed by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// The package. It is `generic`, and not of its language's ecosystem, if the file says that it
    /// came from a repository, an archive or a directory: see [`Part::origin`]. One from another
    /// registry, which may be a mirror, is of the ecosystem; but for cargo, where mirrors are not
    /// written down.
    pub package: PackageKey,
    /// The name as the format has it, which the key may spell otherwise: `serde_core`, `Flask`.
    pub name: Box<str>,
    /// The version as the format has it: `v1.2.3+incompatible`, `(devel)`, `2.0.post1`. Never empty.
    pub version: Box<str>,
    /// What the library is for.
    pub scope: Scope,
    /// How the file declares it.
    pub by: Declared,
    /// Where the declaration stands.
    pub place: Place,
    /// The file is this package, as opposed to using it: the root of the dependency graph.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Where the package came from.
    #[serde(default, skip_serializing_if = "Origin::is_registry")]
    pub origin: Origin,
    /// What this package was put in the place of: Go's `replace`, npm's aliases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<str>>,
    /// The checksum of the package as the format writes it: `h1:…=`, `sha512-…`, `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Box<str>>,
}

impl Part {
    /// The version as advisories of the ecosystem write it; none if no order knows it.
    ///
    /// Go writes `v1.2.3+incompatible` where advisories have `1.2.3`: what follows `+` never
    /// decides in semantic versioning. `(devel)` is a build from a working tree: it has no version,
    /// and neither have a branch (`dev-main` of Composer) and an address (`file:../x` of npm).
    /// Composer's versions are those of tags, with or without `v`. Bills of materials give Go's
    /// standard library the name of the toolchain's release, `go1.27.2`.
    pub fn advisory_version(&self) -> Option<&str> {
        let text = &*self.version;
        let without_v = || text.strip_prefix('v').unwrap_or(text);
        match self.package.kind() {
            _ if text.contains("://") || text.starts_with("file:") || text == "(devel)" => None,
            "composer" if text.starts_with("dev-") => None,
            "composer" => Some(without_v()),
            "golang" if self.package.name() == "stdlib" => {
                Some(text.strip_prefix("go").unwrap_or_else(without_v))
            }
            // Go's word for a checkout that has no tags, whatever release it is of. Of a module that
            // is used, it is the version that was asked for.
            "golang" if self.root && text.starts_with("v0.0.0-") => None,
            "golang" => {
                let text = without_v();
                Some(text.strip_suffix("+incompatible").unwrap_or(text))
            }
            _ => Some(text),
        }
    }

    /// The purl of package and version.
    pub fn purl(&self) -> String {
        // The key takes `_` and `-` for one, as crates.io does for those who look for a crate. The
        // purl has the name that the crate has.
        let as_named = self.package.kind() == "cargo"
            && self.name.contains('_')
            && self
                .name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let purl = self.package.to_purl(Some(&self.version));
        match purl.split_once('@').filter(|_| as_named) {
            Some((_, version)) => format!("pkg:cargo/{}@{version}", self.name),
            None => purl,
        }
    }
}

/// What a library is for, as far as the format says it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// It is in the product, or is loaded by it.
    Runtime,
    /// It ran while the product was built: build scripts, procedural macros.
    Build,
    /// Only those who develop the product use it: tests, linters.
    Development,
    /// It is used if it is there.
    Optional,
    /// The format does not tell.
    #[default]
    Unknown,
}

impl Scope {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Build => "build",
            Self::Development => "development",
            Self::Optional => "optional",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a package came from, as far as the format says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The registry of its ecosystem, or the format does not tell anything else.
    #[default]
    Registry,
    /// Another registry, or an archive at a URL; the text is what the format says of it.
    Elsewhere(Box<str>),
    /// A source repository; the text is what the format says of it.
    Repository(Box<str>),
    /// Files beside the product: its own packages, path dependencies, local replacements.
    Local,
}

impl Origin {
    /// Whether it is the registry of its ecosystem.
    pub fn is_registry(&self) -> bool {
        *self == Self::Registry
    }

    /// With an address of at most so many bytes.
    pub(crate) fn shortened(self, most: usize) -> Self {
        let cut =
            |text: Box<str>| match text.char_indices().find(|(at, c)| at + c.len_utf8() > most) {
                Some((at, _)) => text[..at].into(),
                None => text,
            };
        match self {
            Self::Elsewhere(text) => Self::Elsewhere(cut(text)),
            Self::Repository(text) => Self::Repository(cut(text)),
            other => other,
        }
    }
}

/// How a file declares a part: the format, and with it the strength of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Declared {
    /// The list that cargo-auditable compiles into a program.
    CargoAuditable,
    /// The build information that the Go linker writes.
    GoBuildInfo,
    /// The version that a language runtime writes into its own program or library.
    Runtime,
    /// The metadata of an installed Python distribution, or of a wheel.
    PythonMetadata,
    /// The `package.json` of a package under `node_modules`.
    NpmPackage,
    /// What npm leaves in `node_modules` about what it has installed.
    NpmInstalled,
    /// The specification of an installed gem.
    Gemspec,
    /// What the .NET host loads for a program.
    DotnetDeps,
    /// `pom.properties`, which Maven leaves in archives.
    PomProperties,
    /// The manifest of a Java archive.
    JarManifest,
    /// A bill of materials that the package carries where such are about the package.
    Sbom,
    /// A bill of materials that lies somewhere.
    LooseSbom,
    /// `Cargo.lock`.
    CargoLock,
    /// `go.mod`.
    GoMod,
    /// `go.sum`.
    GoSum,
    /// `vendor/modules.txt`, about what lies beside it.
    GoVendor,
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    NpmLock,
    /// `yarn.lock`.
    YarnLock,
    /// `pnpm-lock.yaml`.
    PnpmLock,
    /// `composer.lock`.
    ComposerLock,
    /// What Composer leaves in `vendor` about what it has installed.
    ComposerInstalled,
    /// `Gemfile.lock`.
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

/// How well a format proves that a library is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The tool that put it there says so.
    Contained,
    /// It is named by a manifest, but not by its coordinate in the registry: the name may differ.
    NamedByManifest,
    /// A bill of materials lists it, without a word of what the bill is of.
    Listed,
    /// A lock file says that it would be fetched; not whether it was, or whether it ended up in the
    /// product.
    Locked,
}

impl Declared {
    /// The name that a reader of evidence sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CargoAuditable => "cargo-auditable data",
            Self::GoBuildInfo => "Go build information",
            Self::Runtime => "the runtime's own version text",
            Self::PythonMetadata => "Python metadata",
            Self::NpmPackage => "package.json",
            Self::NpmInstalled => "npm's record of what it installed",
            Self::Gemspec => "gem specification",
            Self::DotnetDeps => ".NET deps file",
            Self::PomProperties => "pom.properties",
            Self::JarManifest => "JAR manifest",
            Self::Sbom => "the package's bill of materials",
            Self::LooseSbom => "a bill of materials",
            Self::CargoLock => "Cargo.lock",
            Self::GoMod => "go.mod",
            Self::GoSum => "go.sum",
            Self::GoVendor => "vendor/modules.txt",
            Self::NpmLock => "npm lock file",
            Self::YarnLock => "yarn.lock",
            Self::PnpmLock => "pnpm-lock.yaml",
            Self::ComposerLock => "composer.lock",
            Self::ComposerInstalled => "Composer's record of what it installed",
            Self::GemfileLock => "Gemfile.lock",
            Self::PoetryLock => "poetry.lock",
            Self::UvLock => "uv.lock",
            Self::PipfileLock => "Pipfile.lock",
            Self::Requirements => "requirements file",
        }
    }

    /// How well it proves that the library is there.
    pub fn evidence(self) -> Evidence {
        match self {
            Self::CargoAuditable
            | Self::GoBuildInfo
            | Self::Runtime
            | Self::PythonMetadata
            | Self::NpmPackage
            | Self::NpmInstalled
            | Self::Gemspec
            | Self::DotnetDeps
            | Self::PomProperties
            | Self::Sbom
            | Self::GoVendor
            | Self::ComposerInstalled => Evidence::Contained,
            Self::JarManifest => Evidence::NamedByManifest,
            Self::LooseSbom => Evidence::Listed,
            Self::CargoLock
            | Self::GoMod
            | Self::GoSum
            | Self::NpmLock
            | Self::YarnLock
            | Self::PnpmLock
            | Self::ComposerLock
            | Self::GemfileLock
            | Self::PoetryLock
            | Self::UvLock
            | Self::PipfileLock
            | Self::Requirements => Evidence::Locked,
        }
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a declaration stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The member, if the file is an archive; archives within archives are joined by `!/`, as in
    /// `BOOT-INF/lib/a.jar!/META-INF/maven/g/a/pom.properties`. All parts of a member share it.
    /// Others' text: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub member: Option<Arc<str>>,
    /// Where in the member as it is unpacked, or in the file if there is no member.
    pub span: Span,
}

/// A shared text is written as any other.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes the field")]
    pub(super) fn serialize<S: Serializer>(
        text: &Option<Arc<str>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        text.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<Box<str>>::deserialize(deserializer)?.map(Into::into))
    }
}

/// Where in some bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// These bytes; offset and length.
    Bytes(u64, u64),
    /// This line of a text, from 1.
    Line(u32),
    /// All of it.
    #[default]
    Whole,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(offset, length) => write!(f, "{length} bytes at {offset:#x}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Whole => f.write_str("the whole file"),
        }
    }
}
