//! `.drv` files and patch files in a store directory, or in any directory that looks like one.

use std::io;
use std::path::{Path, PathBuf};

use snowguard_inventory::{Gap, PatchText, SubjectBuilder};
use snowguard_store::derivation::aterm::{AtermError, AtermLimits};
use snowguard_store::{Derivation, DrvPath, Quoted, StoreDir, StoreName, StorePath};

use crate::content::{beginning_of, regular_file, shown};
use crate::derivations::Reduced;
use crate::options::Limits;

/// A directory of `.drv` files.
#[derive(Debug, Clone)]
pub(crate) struct DrvFiles {
    dir: StoreDir,
    real: PathBuf,
    limit: u64,
}

/// Why a `.drv` file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrvError {
    #[error("cannot read {name}")]
    Io {
        name: Quoted,
        #[source]
        source: io::Error,
    },
    #[error("cannot read the derivation {name}")]
    Aterm {
        name: Quoted,
        #[source]
        source: AtermError,
    },
    #[error("cannot tell the store path of {name}")]
    Path {
        name: Quoted,
        #[source]
        source: snowguard_store::path::PathError,
    },
}

impl DrvFiles {
    /// `dir` is what paths name, `real` is where the files are.
    pub(crate) fn new(dir: StoreDir, real: PathBuf, limits: &Limits) -> Self {
        Self {
            dir,
            real,
            limit: limits.derivation,
        }
    }

    pub(crate) fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// Reads a derivation; `None` if there is no such file.
    pub(crate) fn read(&self, path: &DrvPath) -> Option<Result<Reduced, DrvError>> {
        let file = self.real.join(path.to_string());
        let bytes = match regular_file(&file, self.limit) {
            Ok(bytes) => bytes,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return None;
            }
            Err(source) => {
                let name = shown(&file);
                return Some(Err(DrvError::Io { name, source }));
            }
        };
        Some(parse(&bytes, path.clone(), &self.dir, || shown(&file)))
    }

    /// What a patch file says, if it can be read: a store path, or a file inside of one.
    pub(crate) fn patch_text(&self, path: &str) -> Option<PatchText> {
        let object = self.dir.parse_within(path).ok()?;
        let inside = path
            .strip_prefix(self.dir.as_str())?
            .strip_prefix('/')?
            .split_once('/')
            .map(|(_, inside)| inside);
        let mut file = self.real.join(object.to_string());
        if let Some(inside) = inside {
            if inside
                .split('/')
                .any(|part| matches!(part, "" | "." | ".."))
            {
                return None;
            }
            file.push(inside);
        }
        // A link could lead out of the store, a pipe would never end.
        let metadata = file.symlink_metadata().ok();
        let length = metadata.filter(std::fs::Metadata::is_file)?.len();
        let head = beginning_of(&file, PatchText::HEAD);
        // One that may not be read has said nothing.
        (length == 0 || !head.is_empty()).then(|| PatchText::read(&head))
    }
}

/// Parses a derivation whose path is known.
pub(crate) fn parse(
    bytes: &[u8],
    path: DrvPath,
    dir: &StoreDir,
    name: impl Fn() -> Quoted,
) -> Result<Reduced, DrvError> {
    let drv = derivation(bytes, path.drv_name(), dir).map_err(|source| DrvError::Aterm {
        name: name(),
        source,
    })?;
    Ok(Reduced::of(path, drv, dir))
}

/// Parses a derivation by its file: the file's name says the path, or else the content does.
pub(crate) fn parse_file(
    bytes: &[u8],
    file_name: &[u8],
    dir: &StoreDir,
    name: impl Fn() -> Quoted,
) -> Result<Reduced, DrvError> {
    match StorePath::from_base_name(file_name).and_then(DrvPath::new) {
        Ok(path) => parse(bytes, path, dir, name),
        Err(source) => {
            let aterm = |source| DrvError::Aterm {
                name: name(),
                source,
            };
            let unnamed = derivation(bytes, "unnamed", dir).map_err(aterm)?;
            let stated = unnamed
                .env_bytes("name")
                .and_then(|stated| StoreName::new(stated).ok());
            let Some(stated) = stated else {
                return Err(DrvError::Path {
                    name: name(),
                    source,
                });
            };
            let drv = derivation(bytes, stated.as_str(), dir).map_err(aterm)?;
            let Ok(path) = drv.drv_path(dir) else {
                return Err(DrvError::Path {
                    name: name(),
                    source,
                });
            };
            Ok(Reduced::of(path, drv, dir))
        }
    }
}

fn derivation(bytes: &[u8], name: &str, dir: &StoreDir) -> Result<Derivation, AtermError> {
    Derivation::from_aterm_with(bytes, name, dir, &AtermLimits::default())
}

/// The store directory of a derivation, told by the first store path that it holds; Nix's own if it
/// holds none.
pub(crate) fn store_dir_of(aterm: &[u8]) -> StoreDir {
    stated_store_dir(aterm).unwrap_or_default()
}

/// The same, or nothing where it holds no store path.
pub(crate) fn stated_store_dir(aterm: &[u8]) -> Option<StoreDir> {
    let mut rest = aterm;
    // The paths of outputs and inputs come first.
    for _ in 0..1_000 {
        let Some(start) = rest.windows(2).position(|pair| pair == b"\"/") else {
            break;
        };
        let text = &rest[start + 1..];
        let end = text.iter().position(|byte| *byte == b'"');
        let end = end.unwrap_or(text.len());
        if let Some(Ok((dir, _))) = std::str::from_utf8(&text[..end]).ok().map(StoreDir::split) {
            return Some(dir);
        }
        rest = &text[end..];
    }
    None
}

/// The name of a file, as bytes.
pub(crate) fn file_name(path: &Path) -> &[u8] {
    path.file_name().map_or(b"", |name| name.as_encoded_bytes())
}

/// What was left out because it could not be read.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    pub(crate) count: usize,
    pub(crate) example: Option<String>,
}

impl Skipped {
    /// Keeps what was read, and counts what was not.
    pub(crate) fn keep<T, E: std::error::Error>(&mut self, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                self.count += 1;
                self.example.get_or_insert_with(|| chain(&error));
                None
            }
        }
    }

    /// Counts what was left out elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.example = self.example.take().or(other.example);
    }

    /// Tells it.
    pub(crate) fn tell(self, builder: &mut SubjectBuilder) {
        if let Some(example) = self.example {
            builder.gap(Gap::Unreadable {
                count: self.count,
                example,
            });
        }
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
