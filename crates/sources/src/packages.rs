//! Evaluated package sets: `nix-env -qaP --json`, a channel's `packages.json`, and the lines of
//! nix-eval-jobs.
//!
//! No field of a package is demanded to have the shape that it mostly has: evaluations contain
//! whatever someone wrote into `meta`. A field of another shape is as good as absent.

mod entry;
mod evaluation;
mod uses;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::de::IgnoredAny;
use snowguard_inventory::fact::About;
use snowguard_inventory::{Gap, Meta, SubjectBuilder};
use snowguard_store::Quoted;

use self::entry::{Entries, Entry};
pub use self::evaluation::{Derivations, Evaluated, Evaluation, evaluation};
pub use self::uses::Uses;
use crate::auxiliary::Auxiliary;
use crate::detect::{Format, detect};
use crate::drv_files::{DrvFiles, Skipped};
use crate::json_pieces::{as_object, cut, first_key, inside_braces, value_of};
use crate::live::Store;
use crate::options::Options;

/// One package of a set.
#[derive(Debug)]
pub struct Package {
    /// The derivation's name.
    pub name: Box<str>,
    /// What the evaluation says.
    pub meta: Meta,
    /// What it says beyond what matching needs.
    about: About,
    /// Its outputs; for matching only, where nothing else tells its derivation.
    outputs: Vec<Output>,
}

/// An output of a package: its name, and its path where that is told.
pub type Output = (Box<str>, Option<Box<str>>);

/// How much of a package is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What matching needs.
    Matching,
    /// All that is told of it.
    Whole,
}

/// A package that could not be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its attribute path; empty where not even that is told.
    pub attr: Box<str>,
    /// Why, in one line.
    pub error: Box<str>,
}

impl Failure {
    /// How many characters of an error are kept.
    const LONGEST: usize = 300;

    pub(crate) fn of(attr: &str, error: &str) -> Self {
        Self {
            attr: attr.into(),
            error: error.chars().take(Self::LONGEST).collect(),
        }
    }

    fn no_package(attr: &str) -> Self {
        Self::of(attr, "it is no package")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.attr.is_empty() {
            return write!(f, "{}", Quoted::new(&*self.error));
        }
        write!(
            f,
            "{}: {}",
            Quoted::new(&*self.attr),
            Quoted::new(&*self.error)
        )
    }
}

/// The packages of a set, and those that could not be read or evaluated.
#[derive(Debug, Default)]
pub(crate) struct PackageSet {
    pub(crate) packages: Vec<Package>,
    pub(crate) failed: Vec<Failure>,
}

impl PackageSet {
    /// What failed, as it is told of a scan.
    pub(crate) fn skipped(&self) -> Skipped {
        Skipped {
            count: self.failed.len(),
            example: self.failed.first().map(ToString::to_string),
        }
    }
}

/// Reads a package set of either form.
pub fn read(json: &[u8]) -> Result<Vec<Package>, PackagesError> {
    let read = match detect(json) {
        Ok(Format::Jobs) => read_jobs(json, Detail::Matching),
        _ => read_set(json, Detail::Matching),
    };
    read.map(|set| set.packages)
}

/// Reads an object of packages by attribute path, or one that has it under `packages`.
pub(crate) fn read_set(json: &[u8], detail: Detail) -> Result<PackageSet, PackagesError> {
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    let Some(read) = members(json).and_then(|members| in_pieces(members, detail)) else {
        // Whoever reads the whole can say where it breaks.
        let broken = serde_json::from_slice::<IgnoredAny>(json).err();
        let broken = broken.or_else(|| serde_json::from_slice::<Entries<'_>>(json).err());
        return match broken {
            Some(source) => Err(PackagesError::Json { source }),
            None => Ok(PackageSet::default()),
        };
    };
    let mut set = PackageSet::default();
    for piece in read {
        set.packages.extend(piece.packages);
        set.failed.extend(piece.failed);
    }
    set.packages
        .par_sort_by(|a, b| a.meta.attr.cmp(&b.meta.attr));
    Ok(set)
}

/// What is between the braces of the object that holds the packages.
fn members(json: &[u8]) -> Option<&[u8]> {
    let outer = inside_braces(json)?;
    match first_key(outer) {
        Some("version" | "packages") => value_of(outer, "packages")
            .and_then(inside_braces)
            .or(Some(outer)),
        _ => Some(outer),
    }
}

fn in_pieces(members: &[u8], detail: Detail) -> Option<Vec<PackageSet>> {
    cut(members)?
        .par_iter()
        .map(|piece| {
            let object = as_object(piece);
            let entries: Entries<'_> = serde_json::from_slice(&object).ok()?;
            let packages = entries
                .packages
                .into_iter()
                .map(|(attr, entry)| entry.into_package(&attr, detail));
            Some(PackageSet {
                packages: packages.collect(),
                failed: entries.failed,
            })
        })
        .collect()
}

/// Reads jobs, one a line. A job that failed to evaluate has an error in place of a name.
pub(crate) fn read_jobs(lines: &[u8], detail: Detail) -> Result<PackageSet, PackagesError> {
    let lines: Vec<(usize, &[u8])> = lines
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .collect();
    let read: Vec<Result<Result<Package, Failure>, PackagesError>> = lines
        .par_iter()
        .map(|(at, line)| {
            let line = (at + 1, line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line));
            serde_json::from_slice::<Entry<'_>>(line.1)
                .map(|entry| entry.into_job(detail))
                .map_err(|source| PackagesError::Line {
                    line: line.0,
                    source,
                })
        })
        .collect();
    let mut set = PackageSet::default();
    let mut first = None;
    for read in read {
        match read {
            Ok(Ok(package)) => set.packages.push(package),
            Ok(Err(failure)) => set.failed.push(failure),
            Err(error) => {
                let words = crate::drv_files::chain(&error);
                set.failed.push(Failure::of("", &words));
                first.get_or_insert(error);
            }
        }
    }
    match first {
        // Not one line was a job: then it is not the format that is wrong in places.
        Some(error) if set.packages.is_empty() => Err(error),
        _ => Ok(set),
    }
}

/// Adds packages as roots of a subject. One whose outputs several derivations have is joined with none of them, and that
/// is told.
pub fn add(builder: &mut SubjectBuilder, packages: Vec<Package>) {
    let by_output = derivations_by_output(builder, &packages);
    let mut ambiguous: Vec<Box<str>> = Vec::new();
    for mut package in packages {
        if package.meta.drv_path.is_none() {
            let mut outputs = package.outputs.iter();
            match outputs.find_map(|(_, path)| by_output.get(path.as_ref()?)) {
                Some(Maker::One(drv)) => package.meta.drv_path = Some(drv.clone()),
                Some(Maker::Several) => ambiguous.push(package.meta.attr.clone()),
                None => {}
            }
        }
        let id = format!("attr:{}", package.meta.attr);
        let node = builder.object(&id, &package.name, |object| {
            object.meta = Some(Box::new(package.meta));
        });
        builder.root(node);
        let drv = builder
            .get(node)
            .and_then(|object| object.meta.as_ref()?.drv_path.clone());
        if let Some(drv) = drv.and_then(|drv| builder.find(&drv)) {
            builder.edge(node, drv);
        }
    }
    if let Some(example) = ambiguous.iter().min() {
        builder.gap(Gap::SeveralDerivations {
            count: ambiguous.len(),
            example: example.to_string(),
        });
    }
}

/// Who makes an output.
#[derive(Debug, PartialEq, Eq)]
enum Maker {
    /// One derivation of those that were read.
    One(Box<str>),
    /// Several. The path of an output says what the fixed-output derivations before it promise, and not how they fetch
    /// it: where only that differs, all have the same outputs.
    Several,
}

/// Which derivation, of those that were read, has which output; nothing where no package needs it.
fn derivations_by_output(
    builder: &SubjectBuilder,
    packages: &[Package],
) -> FxHashMap<Box<str>, Maker> {
    let is_told = |package: &Package| package.meta.drv_path.is_some() || package.outputs.is_empty();
    if packages.iter().all(is_told) {
        return FxHashMap::default();
    }
    let mut makers = FxHashMap::default();
    for object in builder.nodes().filter_map(|node| builder.get(node)) {
        let outputs = object.recipe.iter().flat_map(|recipe| &*recipe.outputs);
        for path in outputs.filter_map(|(_, path)| path.clone()) {
            makers
                .entry(path)
                .and_modify(|maker| *maker = Maker::Several)
                .or_insert_with(|| Maker::One(object.id.clone()));
        }
    }
    makers
}

/// Reads the derivations of packages where a live store has them, with those of their sources and
/// patches.
///
/// The store is the one that was asked for, else that of this machine; a package that was evaluated
/// elsewhere mostly has no `.drv` file there, which is as it should be.
pub(crate) fn add_live_derivations(
    builder: &mut SubjectBuilder,
    options: &Options,
    skipped: &mut Skipped,
) {
    let Some(files) = live_files(options) else {
        return;
    };
    let nodes: Vec<_> = builder.nodes().collect();
    let wanted: Vec<_> = nodes
        .into_iter()
        .filter_map(|node| {
            let path = builder.get(node)?.meta.as_ref()?.drv_path.as_deref()?;
            let is_read = builder
                .find(path)
                .and_then(|drv| builder.get(drv))
                .is_some_and(|drv| drv.recipe.is_some());
            let path = (!is_read).then(|| files.dir().parse_drv(path).ok())?;
            Some((node, path?))
        })
        .collect();
    let mut auxiliary = Auxiliary::new(&files);
    for batch in wanted.chunks(2_048) {
        auxiliary.derivations(batch, builder, skipped);
    }
    auxiliary.add_to(builder, skipped);
}

/// The derivations of the store that was asked for, else of this machine's; none if there is no store.
fn live_files(options: &Options) -> Option<DrvFiles> {
    let store = options.store.clone().unwrap_or_else(Store::system);
    let real = store.real().to_owned();
    real.is_dir()
        .then(|| DrvFiles::new(store.dir().clone(), real, &options.limits))
}

/// Tells how many packages have no derivation that was read: an evaluation says nothing of patches. Those that have
/// several are told apart.
pub(crate) fn tell_missing_derivations(builder: &mut SubjectBuilder) {
    let packages = || {
        let objects = builder.nodes().filter_map(|node| builder.get(node));
        objects.filter_map(|object| object.meta.as_ref())
    };
    let is_missing = |drv_path: Option<&str>| {
        let drv = drv_path.and_then(|path| builder.find(path));
        drv.and_then(|drv| builder.get(drv))
            .is_none_or(|drv| drv.recipe.is_none())
    };
    let missing = packages()
        .filter(|meta| is_missing(meta.drv_path.as_deref()))
        .count();
    let several = builder.gaps().iter().map(|gap| match gap {
        Gap::SeveralDerivations { count, .. } => *count,
        _ => 0,
    });
    let missing = missing.saturating_sub(several.sum());
    let of = packages().count();
    if missing > 0 {
        builder.gap(Gap::NoDerivations { missing, of });
    }
}

/// Why a text is no package set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackagesError {
    /// Not a JSON object of packages by attribute path.
    #[error("it is not a JSON object of packages by attribute path")]
    Json {
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
    /// A line is not a job.
    #[error("line {line} is not a line of nix-eval-jobs")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Where in the line, and what.
        #[source]
        source: serde_json::Error,
    },
}

impl PackagesError {
    /// What to do about it, when there is something to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Json { .. } => {
                "make it again with `nix-env -qaP --json --meta --drv-path --out-path`"
            }
            Self::Line { .. } => "make it again with `nix-eval-jobs --meta`",
        }
    }
}
