//! What is committed: sorted where it must be, and nothing left over.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

/// Data is sorted lines, each once: so that a change shows as what it is, and two people who add
/// something do not meet.
pub(crate) fn check_data(root: &Utf8Path) -> Result<()> {
    let mut files = 0;
    for extension in ["jsonl", "txt"] {
        for path in files_below(&root.join("data"), extension)? {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            check_sorted(&path, &text)?;
            files += 1;
        }
    }
    ensure!(files > 0, "there is no data under data/");
    Ok(())
}

/// Lines in the order of their bytes, but for remarks: lines that are one, and the end of those that
/// have one.
fn check_sorted(path: &Utf8Path, text: &str) -> Result<()> {
    let mut previous = "";
    for (line, number) in text.lines().zip(1..) {
        let content = line.split("  #").next().unwrap_or(line);
        if content.starts_with('#') || content.is_empty() {
            continue;
        }
        ensure!(
            content > previous,
            "{path}, line {number}: the line stands before or beside its place; sort the file by its bytes, each line once"
        );
        previous = content;
    }
    ensure!(text.ends_with('\n'), "{path}: the last line has no end");
    Ok(())
}

/// Begins a new list of snapshots that tests compare with.
pub(crate) fn forget_snapshots(used: &Utf8Path) -> Result<()> {
    if let Some(directory) = used.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {directory}"))?;
    }
    std::fs::write(used, "").with_context(|| format!("cannot write {used}"))
}

/// Every committed snapshot is one that a test compared with.
pub(crate) fn check_snapshots(root: &Utf8Path, used: &Utf8Path) -> Result<()> {
    let list = std::fs::read_to_string(used).with_context(|| format!("cannot read {used}"))?;
    let used: BTreeSet<Utf8PathBuf> = list
        .lines()
        .filter_map(|path| root.join(path).canonicalize_utf8().ok())
        .collect();
    let mut unused = Vec::new();
    for path in files_below(&root.join("crates"), "snap")? {
        let real = path
            .canonicalize_utf8()
            .with_context(|| format!("cannot resolve {path}"))?;
        if !used.contains(&real) {
            unused.push(path.strip_prefix(root).unwrap_or(&path).to_string());
        }
    }
    ensure!(
        unused.is_empty(),
        "no test compares with these snapshots; delete them:\n  {}",
        unused.join("\n  ")
    );
    Ok(())
}

/// All files with an extension, sorted.
fn files_below(directory: &Utf8Path, extension: &str) -> Result<Vec<Utf8PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let context = || format!("cannot list {directory}");
        for entry in directory.read_dir_utf8().with_context(context)? {
            let entry = entry.with_context(context)?;
            let kind = entry.file_type().with_context(context)?;
            if kind.is_dir() {
                open.push(entry.into_path());
            } else if entry.path().extension() == Some(extension) {
                files.push(entry.into_path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_out_of_order_or_twice_are_told() {
        let check = |text| check_sorted(Utf8Path::new("x"), text);
        assert!(check("# b, then a\na  # why\nb\n").is_ok());
        for wrong in ["b\na\n", "a\na  # why\n", "a\nb"] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        let error = check("b\na\n").unwrap_err().to_string();
        assert!(error.starts_with("x, line 2: "), "{error}");
    }
}
