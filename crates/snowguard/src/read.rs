//! What to read: from arguments to one subject.

use std::path::PathBuf;

use camino::Utf8PathBuf;
use snowguard_inventory::Subject;
use snowguard_sources::{
    Home, Input, Options, SourceError, Store, StoreError, default_input, read,
};
use snowguard_store::Quoted;

use crate::cli::Reading;
use crate::deep::Look;
use crate::error::Failure;

/// Reads the inputs as one subject; if there are none, the running system, else the user's profile.
pub(crate) fn subject(
    inputs: &[Utf8PathBuf],
    reading: &Reading,
    deep: &Look<'_>,
) -> Result<Subject, Failure> {
    let options = Options {
        store: reading.store.as_deref().map(store).transpose()?,
        deep: deep.settings(),
        only_beside: reading.only_beside,
        ..Options::default()
    };
    let inputs = if inputs.is_empty() {
        vec![default_input(&home(), &options)?]
    } else {
        open(inputs, &options)?
    };
    let beside = open(&reading.derivations, &options)?;
    deep.watch(&options.deep.effort, || Ok(read(inputs, beside, &options)?))
}

fn open(paths: &[Utf8PathBuf], options: &Options) -> Result<Vec<Input>, Failure> {
    let inputs: Result<_, SourceError> = paths
        .iter()
        .map(|path| {
            if path == "-" {
                Input::from_reader("standard input", std::io::stdin(), options)
            } else {
                Input::detect(path, options)
            }
        })
        .collect();
    Ok(inputs?)
}

fn store(what: &camino::Utf8Path) -> Result<Store, Failure> {
    Store::locate(what.as_str()).map_err(|source| {
        SourceError::Store {
            name: Quoted::new(what.as_str()),
            source: Box::<StoreError>::new(source),
        }
        .into()
    })
}

#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
fn home() -> Home {
    let directory = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    Home {
        home: directory("HOME").map(PathBuf::from),
        state_home: directory("XDG_STATE_HOME").map(PathBuf::from),
    }
}
