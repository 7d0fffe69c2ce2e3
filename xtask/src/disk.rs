//! Whether the disk has room for what the tests build.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use crate::workspace::Workspace;

/// What all steps leave behind in a fresh clone, measured, and some more for what they write meanwhile.
const NEEDED: u64 = 14 * GIGABYTE;
const GIGABYTE: u64 = 1_000_000_000;

/// What to say where there is too little room; a compiler that meets a full disk says it in a hundred ways.
pub(crate) fn warning(workspace: &Workspace) -> Result<Option<String>> {
    let root = workspace.root();
    let disk = rustix::fs::statvfs(root.as_str())
        .with_context(|| format!("cannot ask how much room there is at {root}"))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let built = taken(workspace.target()) + taken(&root.join("fuzz/target"));
    Ok(too_little(free, built).then(|| {
        format!(
            "warning: the tests need about {} GB of disk, of which {} GB are built; {} GB are free at {root}",
            NEEDED / GIGABYTE,
            built / GIGABYTE,
            free / GIGABYTE,
        )
    }))
}

fn too_little(free: u64, built: u64) -> bool {
    free.saturating_add(built) < NEEDED
}

/// How much a directory takes on the disk; what cannot be read counts as nothing.
fn taken(directory: &Utf8Path) -> u64 {
    let mut bytes: u64 = 0;
    let mut pending = vec![directory.as_std_path().to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                pending.push(entry.path());
            }
            bytes = bytes.saturating_add(blocks(&metadata));
        }
    }
    bytes
}

fn blocks(metadata: &Metadata) -> u64 {
    metadata.blocks().saturating_mul(512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_already_needs_no_room() {
        assert!(too_little(5 * GIGABYTE, 0));
        assert!(!too_little(5 * GIGABYTE, 10 * GIGABYTE));
        assert!(!too_little(NEEDED, 0));
    }
}
