//! All `.drv` files of a directory or a tar archive.
//!
//! Files are read and parsed on all cores, a batch at a time, and reduced at once, so that memory
//! follows the number of derivations and not their size. Nothing is descended into, and names in
//! archives are only taken apart, never used as paths.

use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use snowguard_inventory::{Role, SubjectBuilder};
use snowguard_store::{Quoted, StoreDir};

use crate::auxiliary::Auxiliary;
use crate::content::{regular_file, shown};
use crate::derivations::{Assembly, Reduced};
use crate::drv_files::{DrvError, DrvFiles, Skipped, file_name, parse_file, stated_store_dir};
use crate::error::SourceError;
use crate::options::Limits;

/// Adds all derivations of a directory.
pub(crate) fn add_directory(
    builder: &mut SubjectBuilder,
    path: &Path,
    role: Role,
    limits: &Limits,
    skipped: &mut Skipped,
) -> Result<(), SourceError> {
    let name = shown(path);
    let files = list(path, &name, limits)?;
    // One that is broken says nothing of the others.
    let stated = files
        .iter()
        .find_map(|file| stated_store_dir(&regular_file(file, limits.derivation).ok()?));
    let dir = stated.unwrap_or_default();
    let read = |batch: &[PathBuf]| -> Vec<Result<Reduced, DrvError>> {
        let read = batch.par_iter().map(|file| {
            let shown = || shown(file);
            let bytes = regular_file(file, limits.derivation).map_err(|source| DrvError::Io {
                name: shown(),
                source,
            })?;
            parse_file(&bytes, file_name(file), &dir, shown)
        });
        read.collect()
    };
    let beside = DrvFiles::new(dir.clone(), path.to_owned(), limits);
    let mut sink = Sink::new(builder, &name, &beside, role, skipped);
    let mut ready = Vec::new();
    for batch in files.chunks(BATCH) {
        let ((), next) = rayon::join(|| sink.take(std::mem::take(&mut ready)), || read(batch));
        ready = next;
    }
    sink.take(ready);
    sink.finish()
}

/// Adds all derivations of an archive.
pub(crate) fn add_archive(
    builder: &mut SubjectBuilder,
    name: &Quoted,
    archive: Box<dyn Read + Send>,
    role: Role,
    limits: &Limits,
    skipped: &mut Skipped,
) -> Result<(), SourceError> {
    let mut archive = tar::Archive::new(archive);
    let mut members = Members {
        entries: archive.entries().map_err(|source| SourceError::Io {
            name: name.clone(),
            source,
        })?,
        name,
        limits,
        count: 0,
    };
    let mut batch = members.next_batch()?;
    if batch.is_empty() {
        return Err(SourceError::NoDerivations {
            name: name.clone(),
            elsewhere: None,
        });
    }
    let stated = batch.iter().find_map(|(_, bytes)| stated_store_dir(bytes));
    let dir = stated.unwrap_or_default();
    let nothing_beside = DrvFiles::new(dir.clone(), PathBuf::from("/dev/null"), limits);
    let mut sink = Sink::new(builder, name, &nothing_beside, role, skipped);
    while !batch.is_empty() {
        let (mut read, mut next) = (Vec::new(), Ok(Vec::new()));
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| read = parse_members(&batch, &dir));
            next = members.next_batch();
        });
        sink.take(read);
        batch = next?;
    }
    sink.finish()
}

/// How many files are read before the cores wait for each other.
const BATCH: usize = 2_048;
/// How many bytes of an archive are read before the cores get to work on them.
const BATCH_BYTES: usize = 8 << 20;

type Member = (Vec<u8>, Vec<u8>);

fn parse_members(batch: &[Member], dir: &StoreDir) -> Vec<Result<Reduced, DrvError>> {
    let read = batch
        .par_iter()
        .map(|(member, bytes)| parse_file(bytes, member, dir, || Quoted::new(member)));
    read.collect()
}

/// The `.drv` files of a directory, in order of name.
fn list(path: &Path, name: &Quoted, limits: &Limits) -> Result<Vec<PathBuf>, SourceError> {
    let io = |source| SourceError::Io {
        name: name.clone(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.file_name();
        if !file.as_encoded_bytes().ends_with(b".drv") {
            continue;
        }
        if files.len() >= limits.objects {
            return Err(SourceError::TooMany {
                name: name.clone(),
                what: ".drv files",
                limit: limits.objects,
            });
        }
        files.push(file);
    }
    if files.is_empty() {
        let elsewhere = ["nix/store", "store"]
            .into_iter()
            .map(|below| path.join(below))
            .find(|below| below.is_dir());
        return Err(SourceError::NoDerivations {
            name: name.clone(),
            elsewhere: elsewhere.as_deref().map(shown),
        });
    }
    // Before they are paths, which are compared part by part.
    files.sort_unstable();
    Ok(files.into_iter().map(|file| path.join(file)).collect())
}

/// The `.drv` files of an archive.
struct Members<'a, R: Read> {
    entries: tar::Entries<'a, R>,
    name: &'a Quoted,
    limits: &'a Limits,
    count: usize,
}

impl<R: Read> Members<'_, R> {
    /// The next few files, with what follows the last slash of their names.
    fn next_batch(&mut self) -> Result<Vec<Member>, SourceError> {
        let io = |source| SourceError::Io {
            name: self.name.clone(),
            source,
        };
        let mut batch = Vec::new();
        let mut bytes = 0;
        for entry in self.entries.by_ref() {
            let entry = entry.map_err(io)?;
            self.count += 1;
            if self.count > self.limits.objects {
                return Err(SourceError::TooMany {
                    name: self.name.clone(),
                    what: "members",
                    limit: self.limits.objects,
                });
            }
            let path = entry.path_bytes().into_owned();
            if !path.ends_with(b".drv") || !entry.header().entry_type().is_file() {
                continue;
            }
            let base = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&path);
            let limit = self.limits.derivation;
            let mut content =
                Vec::with_capacity(usize::try_from(entry.size().min(1 << 20)).unwrap_or(0));
            entry
                .take(limit + 1)
                .read_to_end(&mut content)
                .map_err(io)?;
            if content.len() as u64 > limit {
                return Err(SourceError::TooLarge {
                    name: Quoted::new(base),
                    what: "a .drv file",
                    limit,
                });
            }
            bytes += content.len();
            batch.push((base.to_vec(), content));
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        Ok(batch)
    }
}

/// Takes batches of derivations into a subject.
struct Sink<'b, 'f, 's> {
    name: &'f Quoted,
    assembly: Assembly<'b>,
    patches: Auxiliary<'f>,
    skipped: &'s mut Skipped,
    before: usize,
    read: usize,
}

impl<'b, 'f, 's> Sink<'b, 'f, 's> {
    fn new(
        builder: &'b mut SubjectBuilder,
        name: &'f Quoted,
        files: &'f DrvFiles,
        role: Role,
        skipped: &'s mut Skipped,
    ) -> Self {
        Self {
            name,
            assembly: Assembly::new(builder, files.dir().clone(), role),
            patches: Auxiliary::new(files),
            before: skipped.count,
            skipped,
            read: 0,
        }
    }

    fn take(&mut self, batch: Vec<Result<Reduced, DrvError>>) {
        for read in batch {
            if let Some(drv) = self.skipped.keep(read) {
                self.read += 1;
                let node = self.assembly.place(&drv);
                self.patches.patches_of(node, &drv);
                self.assembly.add(drv);
            }
        }
    }

    fn finish(self) -> Result<(), SourceError> {
        if self.read == 0 {
            return Err(SourceError::AllUnreadable {
                name: self.name.clone(),
                count: self.skipped.count - self.before,
                example: self.skipped.example.clone().unwrap_or_default(),
            });
        }
        let builder = self.assembly.finish();
        self.patches.read_patches(builder);
        Ok(())
    }
}
