//! How much a tree is, before it is checked out: a kilobyte of objects that name one another can be a thousand million
//! files.

use std::io::{BufRead, Read as _};
use std::path::Path;

use snowguard_archive::Limits;
use snowguard_fod::outcome::Attempt;

use super::run::{BLOCK, Order};
use super::{Fetch, Stop};
use crate::verify::Halt;

/// The longest line of a listing, in bytes: a path as long as a path may be, and what stands before it.
pub(super) const LINE: u64 = 4096 + 128;

/// What trees may still have, all of one derivation together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    entries: u64,
    bytes: u64,
    names: u64,
}

impl Left {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            entries: limits.entries,
            bytes: limits.bytes,
            names: limits.names,
        }
    }

    /// Takes the bytes of a file.
    pub(super) fn take_bytes(&mut self, count: u64, limits: &Limits) -> Result<(), Stop> {
        let most = limits.bytes;
        self.bytes = self
            .bytes
            .checked_sub(count)
            .ok_or_else(|| over(format_args!("files of more than {most} bytes in all")))?;
        Ok(())
    }
}

/// What stands in a tree in place of the tree of another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) path: String,
    pub(super) commit: String,
}

/// What a tree is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// How many bytes of a disk it takes, checked out.
    pub(super) room: u64,
    pub(super) links: Vec<Link>,
}

impl Fetch<'_> {
    /// Walks a tree without writing anything of it, and ends the walk where it is too much.
    pub(super) fn weigh(&mut self, directory: &Path, commit: &str) -> Result<Weight, Stop> {
        // Directories are listed as well: there may be nothing else.
        let order = Order {
            pinned: None,
            directory,
            args: &["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit],
            input: None,
        };
        let limits = self.verifier.limits.archive;
        let left = self.left;
        let (weight, left) = self.pipe(&order, move |out| {
            let mut left = left;
            let weight = weigh(out, &limits, &mut left)?;
            Ok((weight, left))
        })?;
        self.left = left;
        Ok(weight)
    }
}

fn weigh(mut out: impl BufRead, limits: &Limits, left: &mut Left) -> Result<Weight, Stop> {
    let mut weight = Weight::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut out)
            .take(LINE)
            .read_until(0, &mut line)
            .map_err(Halt::scratch)?;
        let Some((0, entry)) = line.split_last() else {
            if line.is_empty() {
                return Ok(weight);
            }
            return Err(over(format_args!("a path of more than {LINE} bytes")));
        };
        let entry = Entry::of(entry).ok_or_else(|| {
            let text = "git lists its tree in a way that is not known here".to_owned();
            Stop::Said(Attempt::Skipped, text)
        })?;
        entry.is_within(limits, left)?;
        weight.room += entry.size.div_ceil(BLOCK).max(1) * BLOCK;
        if entry.mode == b"160000" {
            weight.links.push(Link {
                path: String::from_utf8_lossy(entry.path).into_owned(),
                commit: String::from_utf8_lossy(entry.object).into_owned(),
            });
        }
    }
}

/// One line of `git ls-tree -l`: mode, type, object, size (`-` where there is none), and behind a tabulator the path.
struct Entry<'l> {
    mode: &'l [u8],
    object: &'l [u8],
    size: u64,
    path: &'l [u8],
}

impl<'l> Entry<'l> {
    fn of(line: &'l [u8]) -> Option<Self> {
        let at = line.iter().position(|byte| *byte == b'\t')?;
        let (facts, path) = (&line[..at], &line[at + 1..]);
        let mut words = facts
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let (mode, _, object, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let size = match size {
            b"-" => 0,
            digits => std::str::from_utf8(digits).ok()?.parse().ok()?,
        };
        Some(Self {
            mode,
            object,
            size,
            path,
        })
    }

    fn is_within(&self, limits: &Limits, left: &mut Left) -> Result<(), Stop> {
        let take = |left: &mut u64, count: u64| match left.checked_sub(count) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        };
        let name = self
            .path
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        let parts = self.path.split(|byte| *byte == b'/').count();
        if !take(&mut left.entries, 1) {
            let most = limits.entries;
            return Err(over(format_args!("more than {most} files and directories")));
        }
        left.take_bytes(self.size, limits)?;
        if !take(&mut left.names, name.len() as u64) {
            let most = limits.names;
            return Err(over(format_args!("names of more than {most} bytes in all")));
        }
        if parts >= limits.depth {
            let most = limits.depth;
            return Err(over(format_args!(
                "directories that are nested more than {most} deep"
            )));
        }
        if name.len() > limits.name_len {
            let most = limits.name_len;
            return Err(over(format_args!("a name of more than {most} bytes")));
        }
        if self.mode == b"120000" && self.size > limits.target_len as u64 {
            let most = limits.target_len;
            return Err(over(format_args!(
                "a symbolic link of more than {most} bytes"
            )));
        }
        Ok(())
    }
}

fn over(what: std::fmt::Arguments<'_>) -> Stop {
    Stop::Said(Attempt::Skipped, format!("its tree has {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(listing: &str, limits: Limits) -> String {
        let listing = listing.replace('\n', "\0");
        let mut left = Left::of(&limits);
        match weigh(listing.as_bytes(), &limits, &mut left) {
            Ok(weight) => format!("{} {:?}", weight.room, weight.links),
            Err(Stop::Said(attempt, text)) => format!("{attempt:?}: {text}"),
            Err(Stop::Halt(halt)) => halt.to_string(),
        }
    }

    #[test]
    fn each_limit_is_told() {
        let listing = "040000 tree 0a      -\td\n100644 blob 0b     13\td/f\n120000 blob 0c      5\tl\n160000 commit 0d       -\td/s\n";
        let is = Limits::default;
        insta::assert_snapshot!([
            told(listing, is()),
            told("", is()),
            told(listing, Limits { entries: 3, ..is() }),
            told(listing, Limits { bytes: 17, ..is() }),
            told(listing, Limits { names: 3, ..is() }),
            told(listing, Limits { depth: 2, ..is() }),
            told(listing, Limits { name_len: 0, ..is() }),
            told(listing, Limits { target_len: 4, ..is() }),
            told(&format!("100644 blob 0b     13\t{}", "x/".repeat(4000)), is()),
            told("100644 blob\td\n", is()),
            told("100644 blob 0b     13\tcut off", is()),
        ].join("\n"), @r#"
        16384 [Link { path: "d/s", commit: "0d" }]
        0 []
        Skipped: its tree has more than 3 files and directories
        Skipped: its tree has files of more than 17 bytes in all
        Skipped: its tree has names of more than 3 bytes in all
        Skipped: its tree has directories that are nested more than 2 deep
        Skipped: its tree has a name of more than 0 bytes
        Skipped: its tree has a symbolic link of more than 4 bytes
        Skipped: its tree has a path of more than 4224 bytes
        Skipped: git lists its tree in a way that is not known here
        Skipped: its tree has a path of more than 4224 bytes
        "#);
    }
}
