//! The real programs.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs and write scratch files"
)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use snowguard_archive::{ArchiveError, FileSpool, Limits, Memory, Tree};
use snowguard_store::{HashAlgo, Hasher, Notation};
use tempfile::TempDir;

/// Runs a program in a directory; what it printed, if it was content.
pub(crate) fn run<A: AsRef<OsStr>>(
    directory: &Path,
    program: &str,
    args: impl IntoIterator<Item = A>,
) -> Result<Vec<u8>, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(directory)
        // As in a build of Nixpkgs, where unzip needs it for names.
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", directory)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("start {program}: {error}"));
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What a directory is for Nix: the SHA-256 of its NAR, in hexadecimal digits.
pub(crate) fn nar_hash(directory: &Path, name: &str) -> Result<String, String> {
    let nar = run(directory, "nix-store", ["--dump", name])?;
    let mut hasher = Hasher::sha256();
    hasher.update(&nar);
    Ok(hasher.finish().to_notation(Notation::Hex))
}

/// Unpacks as the setup of Nixpkgs' stdenv does, and hashes what came out.
pub(crate) fn unpacked(archive: &[u8], extension: &str) -> Result<String, String> {
    let (scratch, _) = unpack(archive, extension)?;
    nar_hash(scratch.path(), "unpack")
}

fn unpack(archive: &[u8], extension: &str) -> Result<(TempDir, String), String> {
    let scratch = tempfile::tempdir().unwrap();
    let file = format!("../archive.{extension}");
    std::fs::write(scratch.path().join(&file[3..]), archive).unwrap();
    let unpack = scratch.path().join("unpack");
    std::fs::create_dir(&unpack).unwrap();
    if extension == "zip" {
        run(&unpack, "unzip", ["-qq", &file])?;
    } else {
        let args = ["xf", &file, "--mode=+w", "--warning=no-timestamp"];
        run(&unpack, "tar", args)?;
    }
    run(&unpack, "chmod", ["-R", "+w", "."])?;
    Ok((scratch, file))
}

/// Unpacks and takes the root off, as `fetchzip` does.
pub(crate) fn stripped(archive: &[u8], extension: &str) -> Result<String, String> {
    let (scratch, _) = unpack(archive, extension)?;
    let script = r#"
        set -e
        if [ "$(ls -A unpack | wc -l)" != 1 ]; then echo "not one" >&2; exit 1; fi
        fn=$(ls -A unpack)
        if [ -f "unpack/$fn" ]; then mkdir out; fi
        mv "unpack/$fn" out
    "#;
    run(scratch.path(), "bash", ["-c", script])?;
    nar_hash(scratch.path(), "out")
}

/// The same by us.
pub(crate) fn read(archive: &[u8]) -> Result<Tree<Memory>, ArchiveError> {
    snowguard_archive::read(
        std::io::Cursor::new(archive),
        Memory::default(),
        &Limits::default(),
    )
}

/// The hash of a tree.
pub(crate) fn hash<S: snowguard_archive::Spool>(tree: &mut Tree<S>) -> String {
    let hash = tree.nar_hash(HashAlgo::Sha256).unwrap();
    hash.to_notation(Notation::Hex)
}

/// The same by us, with contents in a file.
pub(crate) fn read_through_a_file(archive: &[u8]) -> Result<String, ArchiveError> {
    let spool = FileSpool::new(tempfile::tempfile().unwrap());
    let cursor = std::io::Cursor::new(archive);
    let mut tree = snowguard_archive::read(cursor, spool, &Limits::default())?;
    Ok(hash(&mut tree))
}

pub(crate) fn write(path: &Path, contents: &[u8]) {
    std::fs::write(path, contents).unwrap();
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
