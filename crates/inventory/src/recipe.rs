//! What a derivation says about the thing that it builds, and nothing else of it.
//!
//! A package set has a hundred thousand derivations of ten kilobytes; of each, a few hundred bytes
//! matter here.

use snowguard_advisory::id::CveId;
use snowguard_fod::{Fod, Mirrors};
use snowguard_store::derivation::Output;
use snowguard_store::{Derivation, StoreDir};

/// The facts of one derivation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// `pname`, if the derivation has one.
    pub pname: Option<Box<str>>,
    /// `version`, if the derivation has one.
    pub version: Option<Box<str>>,
    /// Output names and their paths; floating outputs have no path yet.
    pub outputs: Vec<(Box<str>, Option<Box<str>>)>,
    /// Its output's content was fixed beforehand: it is a source, a patch, a download.
    pub fixed: bool,
    /// Where a fixed output is fetched from.
    pub urls: Vec<Box<str>>,
    /// How a fixed output is fetched.
    pub fod: Option<Box<Fod>>,
    /// What `mirror://` stands for, where this is the list of mirrors.
    pub mirrors: Option<Box<Mirrors>>,
    /// Store paths of the sources.
    pub sources: Vec<Box<str>>,
    /// Store paths of the patches.
    pub patches: Vec<Box<str>>,
    /// CVEs that its build phases speak of.
    pub phase_cves: Vec<CveId>,
    /// What it is built with, as far as its attributes tell: `cargo`, `go`.
    pub toolchain: Option<Toolchain>,
}

/// A language's build tool that names packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// `buildRustPackage`.
    Cargo,
    /// `buildGoModule`, `buildGoPackage`.
    Go,
}

impl Recipe {
    /// Takes the facts out of a derivation.
    ///
    /// Attributes of the wrong shape are as good as absent: a scan must not end at one of them.
    pub fn of(drv: &Derivation, dir: &StoreDir) -> Self {
        let mut recipe = Self {
            fixed: drv
                .outputs()
                .iter()
                .any(|(_, output)| matches!(output, Output::Fixed { .. })),
            outputs: drv
                .outputs()
                .iter()
                .map(|(name, output)| {
                    let path = output.path().map(|path| dir.show(path).to_string().into());
                    (name.as_str().into(), path)
                })
                .collect(),
            ..Self::default()
        };
        if recipe.fixed {
            recipe.fod = Fod::of(drv, dir).map(Box::new);
        }
        recipe.mirrors = Mirrors::of(drv).map(Box::new);
        let Ok(attrs) = drv.attrs() else {
            return recipe;
        };
        let text = |name: &str| {
            attrs
                .text(name)
                .map(|t| t.trim().to_owned())
                .filter(|t| !t.is_empty())
        };
        let list = |name: &str| {
            attrs
                .list(name)
                .into_iter()
                .map(Box::from)
                .collect::<Vec<Box<str>>>()
        };
        recipe.pname = text("pname").map(Into::into);
        recipe.version = text("version").map(Into::into);
        recipe.urls = list("urls");
        if recipe.urls.is_empty() {
            recipe.urls = list("url");
        }
        recipe.urls.truncate(16);
        for name in ["src", "srcs"] {
            recipe.sources.extend(list(name));
        }
        for name in attrs.names() {
            if name == "patches" || (name.ends_with("Patches") && name != "dontUsePatches") {
                recipe
                    .patches
                    .extend(list(&name).into_iter().filter(|path| path.starts_with('/')));
            } else if is_phase(&name)
                && let Some(phase) = attrs.text(&name)
            {
                for cve in CveId::find_all(&phase) {
                    if !recipe.phase_cves.contains(&cve) {
                        recipe.phase_cves.push(cve);
                    }
                }
            }
        }
        let has = |name: &str| text(name).is_some();
        recipe.toolchain =
            if has("cargoDeps") || has("cargoSha256") || has("cargoHash") || has("cargoBuildFlags")
            {
                Some(Toolchain::Cargo)
            } else if has("goPackagePath")
                || has("go-modules")
                || has("goModules")
                || has("modSha256")
                || has("vendorSha256")
            {
                Some(Toolchain::Go)
            } else {
                None
            };
        recipe
    }
}

/// Texts that the builder runs: `postPatch`, `installPhase`, `buildCommand`.
fn is_phase(name: &str) -> bool {
    name.ends_with("Phase")
        || name == "buildCommand"
        || ["pre", "post"].iter().any(|head| {
            name.strip_prefix(head)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
}
