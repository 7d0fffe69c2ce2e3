//! Where the submodules of a checkout come from, and where they go.

use std::io;
use std::path::{Path, PathBuf};

use snowguard_fod::outcome::Attempt;
use snowguard_fod::place::Place;

use super::run::Order;
use super::words::beside;
use super::{Checkout, Fetch, Stop};
use crate::verify::Halt;

impl Fetch<'_> {
    /// Path, address and commit of the submodules of a checkout. They are read from the commit, as git does where
    /// the file that lists them is not checked out.
    pub(super) fn submodules_of(
        &self,
        checkout: &Checkout,
    ) -> Result<Vec<(String, String, String)>, Stop> {
        if checkout.links.is_empty() {
            return Ok(Vec::new());
        }
        let in_it = |args: &[&str]| {
            self.run(&Order {
                pinned: None,
                directory: &checkout.directory,
                args,
                input: None,
            })
        };
        let kind = in_it(&["ls-tree", "HEAD", "--", ".gitmodules"])?;
        if !kind.starts_with("100") {
            let text = "it has submodules, and no file says from where".to_owned();
            return Err(Stop::Said(Attempt::Failed, text));
        }
        let listed = in_it(&["config", "--blob", "HEAD:.gitmodules", "--null", "--list"])?;
        let set = |name: &str, key: &str| {
            let wanted = format!("submodule.{name}.{key}\n");
            let mut found = listed
                .split('\0')
                .filter_map(|line| line.strip_prefix(&*wanted));
            found.next_back().map(str::to_owned)
        };
        let names = listed.split('\0').filter_map(|line| {
            let (key, path) = line.split_once('\n')?;
            let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
            Some((path.to_owned(), name.to_owned()))
        });
        let names: Vec<(String, String)> = names.collect();
        let mut found = Vec::new();
        for link in &checkout.links {
            let path = &link.path;
            let name = names.iter().rev().find(|(of, _)| of == path);
            let url = name.and_then(|(_, name)| set(name, "url"));
            if name.is_some_and(|(_, name)| set(name, "update").as_deref() == Some("none")) {
                continue;
            }
            let Some(url) = url else {
                let text = format!("no file says from where the submodule {path} comes");
                return Err(Stop::Said(Attempt::Failed, text));
            };
            let url = beside(&checkout.url, &url);
            let place = Place::of(&url);
            if !matches!(place.scheme.as_str(), "https" | "http") {
                let text = format!(
                    "the submodule {path} comes by {}, which is not spoken here",
                    place.scheme
                );
                return Err(Stop::Said(Attempt::Skipped, text));
            }
            found.push((path.clone(), url, link.commit.clone()));
        }
        Ok(found)
    }
}

/// Makes the directory of a submodule where it is not there: it may lie outside of what of a tree is taken. Nothing
/// is made through a link; git does not do that either.
pub(super) fn make(root: &Path, path: &str) -> Result<PathBuf, Stop> {
    let outside = || {
        let text = format!("the submodule {path} lies outside of the tree");
        Stop::Said(Attempt::Failed, text)
    };
    let mut directory = root.to_owned();
    for part in path.split('/') {
        if matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git") {
            return Err(outside());
        }
        directory.push(part);
        match std::fs::symlink_metadata(&directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(outside()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir(&directory).map_err(Halt::scratch)?;
            }
            Err(error) => return Err(Halt::scratch(error).into()),
        }
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_outside_of_the_tree() {
        let root = tempfile::tempdir().unwrap();
        let (tree, out) = (root.path().join("tree"), root.path().join("out"));
        std::fs::create_dir_all(tree.join("a")).unwrap();
        std::fs::create_dir(&out).unwrap();
        std::os::unix::fs::symlink(&out, tree.join("link")).unwrap();
        std::fs::write(tree.join("file"), "").unwrap();
        for path in ["a", "a/b/c", "new/d"] {
            assert!(make(&tree, path).is_ok_and(|made| made.is_dir()), "{path}");
        }
        for path in [
            "link/x", "link", "file/x", "../x", "a/../b", "/x", "a//b", ".git/x", "",
        ] {
            assert!(make(&tree, path).is_err(), "{path}");
        }
        assert_eq!(out.read_dir().unwrap().count(), 0);
    }
}
