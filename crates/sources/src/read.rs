//! From inputs to one subject.

use snowguard_closure::NodeId;
use snowguard_inventory::{Gap, Nature, Role, Subject, SubjectBuilder};
use snowguard_store::{Quoted, StorePath};

use crate::auxiliary::tell_unread_patches;
use crate::derivations::{Assembly, Reduction};
use crate::detect::Format;
use crate::drv_closure::{self, DrvFile};
use crate::drv_files::Skipped;
use crate::error::SourceError;
use crate::input::{Found, Input, Kind};
use crate::inside::{self, Mode};
use crate::live;
use crate::options::Options;
use crate::packages::Detail;
use crate::title::title_of;
use crate::{derivations, document, packages, path_info, path_list, show, tree};

/// Reads inputs into one subject.
///
/// Several inputs must go together (see [`Kind::goes_with`]). `beside` are derivations of the
/// packages of a set, which say what their sources and patches are; with any other input there must
/// be none.
pub fn read(
    inputs: Vec<Input>,
    beside: Vec<Input>,
    options: &Options,
) -> Result<Subject, SourceError> {
    let Some(first) = inputs.first() else {
        return Err(SourceError::NoInput);
    };
    let (kind, name) = (first.kind(), first.name.clone());
    if let Some(other) = inputs.iter().find(|input| !input.kind().goes_with(kind)) {
        return Err(SourceError::MixedKinds {
            first: name,
            first_kind: kind,
            second_kind: other.kind(),
            second: other.name.clone(),
        });
    }
    if let Some(wrong) = beside
        .iter()
        .find(|input| kind != Kind::PackageSet || !input.kind().is_derivations())
    {
        return Err(SourceError::NotBeside {
            name: wrong.name.clone(),
            kind: wrong.kind(),
            input: kind,
        });
    }
    match kind {
        Kind::LiveStore => read_live(inputs, options),
        Kind::Derivation | Kind::DerivationTree | Kind::Derivations => {
            read_derivations(inputs, options)
        }
        Kind::PathInfo => read_path_info(inputs, options),
        Kind::PathList => read_path_list(inputs, options),
        Kind::CycloneDx | Kind::Spdx => read_documents(inputs, options),
        Kind::PackageSet => read_packages(inputs, beside, options),
        Kind::Files => Ok(read_files(inputs, options)),
    }
}

fn read_live(inputs: Vec<Input>, options: &Options) -> Result<Subject, SourceError> {
    let mut found: Option<(Quoted, Box<live::Store>, Vec<StorePath>)> = None;
    for input in inputs {
        let Found::Object(store, object) = input.found else {
            continue;
        };
        match &mut found {
            None => found = Some((input.name, store, vec![object])),
            Some((name, first, _)) if *first != store => {
                return Err(SourceError::OtherStore {
                    first: name.clone(),
                    second: input.name,
                });
            }
            Some((_, _, objects)) if objects.contains(&object) => {}
            Some((_, _, objects)) => objects.push(object),
        }
    }
    let Some((name, store, objects)) = found else {
        return Err(SourceError::NoInput);
    };
    let fail = |source| SourceError::Store {
        name: name.clone(),
        source: Box::new(source),
    };
    let mut subject = live::read(&store, &objects, &options.limits).map_err(fail)?;
    inside::look_into(&mut subject, &store, &options.deep).map_err(fail)?;
    Ok(subject)
}

/// Where store paths that someone lists may be looked into: only if that was asked for, since the
/// list may be of another machine.
fn look_into_listed(subject: &mut Subject, store: Option<&live::Store>, options: &Options) {
    if options.deep.mode != Mode::Always {
        return;
    }
    let system = live::Store::system();
    let store = store.or(options.store.as_ref()).unwrap_or(&system);
    // No store here is no failure: the derivations say what they say.
    if inside::look_into(subject, store, &options.deep).is_err() || subject.looked_into == 0 {
        let count = subject
            .objects
            .iter()
            .filter(|object| object.role == Role::Part)
            .count();
        subject.gaps.push(Gap::NotLookedInto { count, of: count });
    }
}

fn read_files(inputs: Vec<Input>, options: &Options) -> Subject {
    let paths: Vec<_> = inputs
        .into_iter()
        .filter_map(|input| match input.found {
            Found::Files(path) => Some((path, input.title)),
            _ => None,
        })
        .collect();
    inside::read_files(&paths, &options.deep)
}

fn read_derivations(inputs: Vec<Input>, options: &Options) -> Result<Subject, SourceError> {
    let mut builder = SubjectBuilder::new();
    let mut skipped = Skipped::default();
    let only_files = inputs
        .iter()
        .all(|input| matches!(input.found, Found::Derivation(_)));
    let mut titles = Vec::new();
    let mut run_time = Some(rustc_hash::FxHashSet::default());
    let store = inputs.iter().find_map(|input| match &input.found {
        Found::Derivation(drv_closure::Place::Store(store, _)) => Some(store.clone()),
        _ => None,
    });
    for input in inputs {
        let added = add_derivations(&mut builder, input, Role::Part, options, &mut skipped)?;
        titles.extend(added.titles);
        run_time = run_time.zip(added.run_time).map(|(mut all, more)| {
            all.extend(more);
            all
        });
        // Elsewhere the roots are what nothing refers to.
        if let Some(root) = added.root.filter(|_| only_files) {
            builder.root(root);
        }
    }
    if let Some(paths) = run_time {
        drv_closure::mark_run_time(&mut builder, &paths);
    }
    tell_unread_patches(&mut builder);
    skipped.tell(&mut builder);
    let title = title_of(titles.iter().map(String::as_str));
    let mut subject = builder.build(title, Nature::BuildTime);
    look_into_listed(&mut subject, store.as_deref(), options);
    Ok(subject)
}

/// Derivations that were added.
#[derive(Default)]
pub(crate) struct Added {
    titles: Vec<String>,
    root: Option<NodeId>,
    run_time: Option<Vec<String>>,
}

pub(crate) fn add_derivations(
    builder: &mut SubjectBuilder,
    input: Input,
    role: Role,
    options: &Options,
    skipped: &mut Skipped,
) -> Result<Added, SourceError> {
    let limits = &options.limits;
    let dir = options.store.as_ref().map(live::Store::dir);
    let Input { name, title, found } = input;
    match found {
        Found::Derivation(place) => {
            let file = DrvFile { name, place };
            let added = drv_closure::add(builder, file, role, limits, skipped)?;
            Ok(Added {
                titles: vec![added.name],
                root: Some(added.node),
                run_time: added.run_time,
            })
        }
        Found::Directory(path) => {
            tree::add_directory(builder, &path, role, limits, skipped)?;
            Ok(Added {
                titles: vec![title],
                ..Added::default()
            })
        }
        Found::Archive(archive) => {
            tree::add_archive(builder, &name, archive, role, limits, skipped)?;
            Ok(Added {
                titles: vec![title],
                ..Added::default()
            })
        }
        Found::Document(_, json) => {
            let reduction =
                show::read(&json, dir, limits).map_err(|source| SourceError::Derivations {
                    name: name.clone(),
                    source: Box::new(source),
                })?;
            if reduction.derivations.is_empty() {
                return Err(SourceError::Nothing {
                    name,
                    what: "derivation",
                });
            }
            let Reduction { dir, derivations } = reduction;
            let (derivations, roots) = derivations::roots_first(derivations);
            let titles = derivations
                .iter()
                .take(roots.max(1))
                .map(|drv| drv.path().drv_name().to_owned())
                .collect();
            let mut assembly = Assembly::new(builder, dir, role);
            if let (0, Some(first)) = (roots, derivations.first()) {
                let node = assembly.place(first);
                assembly.root(node);
            }
            for drv in derivations {
                assembly.add(drv);
            }
            assembly.finish();
            Ok(Added {
                titles,
                ..Added::default()
            })
        }
        Found::Object(..) | Found::Files(_) => Ok(Added::default()),
    }
}

fn read_path_info(inputs: Vec<Input>, options: &Options) -> Result<Subject, SourceError> {
    let mut builder = SubjectBuilder::new();
    let mut titles = Vec::new();
    for Input { name, found, .. } in inputs {
        let Found::Document(_, json) = found else {
            continue;
        };
        let roots =
            path_info::add(&mut builder, &json).map_err(|source| SourceError::PathInfo {
                name: name.clone(),
                source: Box::new(source),
            })?;
        if roots.is_empty() {
            return Err(SourceError::Nothing {
                name,
                what: "store object",
            });
        }
        titles.extend(roots);
    }
    let title = title_of(titles.iter().map(String::as_str));
    let mut subject = builder.build(title, Nature::RunTime);
    look_into_listed(&mut subject, None, options);
    Ok(subject)
}

fn read_path_list(inputs: Vec<Input>, options: &Options) -> Result<Subject, SourceError> {
    let mut builder = SubjectBuilder::new();
    let mut titles = Vec::new();
    let mut nature = Nature::RunTime;
    for Input { name, title, found } in inputs {
        let Found::Document(_, text) = found else {
            continue;
        };
        let listed = path_list::add(&mut builder, &text).map_err(|bad| SourceError::PathList {
            name,
            line: bad.line,
            source: Box::new(bad.source),
        })?;
        if listed != Nature::RunTime {
            nature = listed;
        }
        titles.push(title);
    }
    let title = title_of(titles.iter().map(String::as_str));
    let mut subject = builder.build(title, nature);
    look_into_listed(&mut subject, None, options);
    Ok(subject)
}

fn read_documents(inputs: Vec<Input>, options: &Options) -> Result<Subject, SourceError> {
    let mut builder = SubjectBuilder::new();
    let mut titles = Vec::new();
    for (number, Input { name, title, found }) in inputs.into_iter().enumerate() {
        let Found::Document(format, bytes) = found else {
            continue;
        };
        let before = builder.len();
        let subject = match format {
            Format::Spdx => document::add_spdx(&mut builder, &bytes, number, &options.limits),
            _ => document::add_cyclonedx(&mut builder, &bytes, number, &options.limits),
        };
        let subject = subject.map_err(|source| SourceError::Document {
            name: name.clone(),
            source: Box::new(source),
        })?;
        if builder.len() == before {
            return Err(SourceError::Nothing {
                name,
                what: "component",
            });
        }
        titles.push(subject.unwrap_or(title));
    }
    let title = title_of(titles.iter().map(String::as_str));
    Ok(builder.build(title, Nature::Document))
}

fn read_packages(
    inputs: Vec<Input>,
    beside: Vec<Input>,
    options: &Options,
) -> Result<Subject, SourceError> {
    let mut builder = SubjectBuilder::new();
    let mut skipped = Skipped::default();
    for input in beside {
        add_derivations(&mut builder, input, Role::Auxiliary, options, &mut skipped)?;
    }
    let mut titles = Vec::new();
    for Input { name, title, found } in inputs {
        let Found::Document(format, json) = found else {
            continue;
        };
        let read = match format {
            Format::Jobs => packages::read_jobs(&json, Detail::Matching),
            _ => packages::read_set(&json, Detail::Matching),
        };
        let set = read.map_err(|source| SourceError::Packages {
            name: name.clone(),
            source: Box::new(source),
        })?;
        if set.packages.is_empty() {
            return Err(SourceError::Nothing {
                name,
                what: "package",
            });
        }
        skipped.add(set.skipped());
        packages::add(&mut builder, set.packages);
        titles.push(title);
    }
    if !options.only_beside {
        packages::add_live_derivations(&mut builder, options, &mut skipped);
    }
    packages::tell_missing_derivations(&mut builder);
    tell_unread_patches(&mut builder);
    skipped.tell(&mut builder);
    let title = title_of(titles.iter().map(String::as_str));
    Ok(builder.build(title, Nature::PackageSet))
}
