//! Reads derivations from their files, with the list of mirrors beside each.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_fod::{Fod, Mirrors, mirrors};
use snowguard_store::{Derivation, StoreDir};

/// The largest derivation that is read, in bytes.
const MOST: u64 = 64 << 20;

/// Reads a fixed-output derivation, and the mirrors that it knows.
pub(crate) fn fod(path: &Utf8Path) -> Result<(Fod, Mirrors), LoadError> {
    let (drv, dir) = derivation(path)?;
    let fod = Fod::of(&drv, &dir).ok_or_else(|| LoadError::NotFixed(path.to_owned()))?;
    let lists = drv
        .input_drvs()
        .iter()
        .filter(|input| input.path().drv_name() == mirrors::LIST);
    let known = Mirrors::only(lists.map(|input| {
        let file = dir.show(input.path()).to_string();
        // In the store itself, or beside the file where that is a copy.
        let beside = path.with_file_name(Utf8Path::new(&file).file_name().unwrap_or_default());
        let list = derivation(&beside).or_else(|_| derivation(Utf8Path::new(&file)));
        Mirrors::of(&list.ok()?.0)
    }));
    Ok((fod, known.unwrap_or_default()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this room reads derivations that are realised"
)]
fn derivation(path: &Utf8Path) -> Result<(Derivation, StoreDir), LoadError> {
    let io = |source| LoadError::Io {
        path: path.to_owned(),
        source,
    };
    let wrong = || LoadError::Malformed(path.to_owned());
    let file = std::fs::File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(wrong());
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MOST {
        return Err(wrong());
    }
    let name = path
        .file_name()
        .and_then(|name| name.split_once('-'))
        .and_then(|(_, name)| name.strip_suffix(".drv"))
        .ok_or_else(wrong)?;
    // The directory of the file is its store, unless it is a copy, or the store lies elsewhere than it says.
    let own = path
        .parent()
        .and_then(|parent| StoreDir::new(parent.as_str()).ok());
    own.into_iter()
        .chain([StoreDir::default()])
        .chain(store_of(&bytes))
        .find_map(|dir| Some((Derivation::from_aterm(&bytes, name, &dir).ok()?, dir)))
        .ok_or_else(wrong)
}

/// The directory in which the first output of a derivation is to lie.
fn store_of(aterm: &[u8]) -> Option<StoreDir> {
    let text = std::str::from_utf8(aterm).ok()?;
    let (_, after) = text.strip_prefix("Derive([(\"")?.split_once("\",\"")?;
    let (output, _) = after.split_once('"')?;
    StoreDir::new(Utf8Path::new(output).parent()?.as_str()).ok()
}

/// Why a derivation cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{0} is not a derivation")]
    Malformed(Utf8PathBuf),
    /// Its output is not fixed.
    #[error("the output of {0} is not fixed: it has no network, and no proxy")]
    NotFixed(Utf8PathBuf),
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_wherever_its_files_lie() {
        let place = tempfile::tempdir().unwrap();
        let place = Utf8Path::from_path(place.path()).unwrap();
        let name = "00000000000000000000000000000000-x.drv";
        let write = |dir: &str, file: &str| {
            let hash = "0000000000000000000000000000000000000000000000000000000000000000";
            let out = format!("{dir}/00000000000000000000000000000000-x");
            let text = format!(
                "Derive([(\"out\",\"{out}\",\"sha256\",\"{hash}\")],[],[],\"x\",\"/bin/sh\",[],[(\"out\",\"{out}\")])"
            );
            let file = place.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            derivation(&file).map(|(_, dir)| dir.to_string())
        };
        let own = place.join("own");
        for dir in ["/nix/store", "/home/of/store", own.as_str()] {
            assert_eq!(write(dir, &format!("own/{name}")).unwrap(), dir);
        }
        assert!(write("relative", &format!("own/{name}")).is_err());
    }
}
