//! The tree of a commit, as `fetchgit` takes it, by the program `git`.
//!
//! First our own client asks the repository for what it has: so the network is reached under the same rules as for
//! files, redirects are told, and what is gone, refused or not to be reached is told apart by status. Only then `git`
//! is started, on the address where that ended, with the addresses of its host pinned: without configuration of the
//! user or the system, without hooks, helpers and prompts, without redirects, and for https and http alone.
//! Submodules are fetched in the same way, one by one, and never by `git submodule`; what Git LFS keeps elsewhere comes by
//! our own client, and never by `git-lfs`. A repository is watched while it comes, and its tree is weighed before anything
//! of it is checked out.

#![expect(
    clippy::disallowed_methods,
    reason = "this room starts git, and reads what it checked out"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snowguard_fod::outcome::{Attempt, Got, Try};
use snowguard_fod::plan::{Sparse, Tree};
mod ask;
mod lfs;
mod run;
mod submodules;
mod weigh;
mod words;

use self::ask::host_of;
use self::run::{Order, size_of};
use self::weigh::{Left, Link};
use self::words::{may_be_ref, version};
use crate::compare;
use crate::file::{Came, got_of_tree, wrong};
use crate::space::Share;
use crate::tree::{self, DirectoryError};
use crate::tried::{self, failed, shown};
use crate::verify::{Asked, Halt, Verifier};

/// How many submodules are fetched, and how deep they may lie in one another.
const SUBMODULES: usize = 500;
const DEPTH: usize = 10;
/// The first version that takes everything by which it is held: what older ones do not know, they leave out in silence.
const OLDEST: (u32, u32) = (2, 37);

/// How repositories are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    /// The program.
    pub program: PathBuf,
    /// Keeps to the public network, as the client does; and uses no proxy then, as the client does not.
    pub public_only: bool,
    /// A file of authorities that git trusts in place of the system's.
    pub authorities: Option<PathBuf>,
    /// A proxy that decides what may be reached, as a URL. Nothing goes round it, and it alone looks up names.
    pub proxy: Option<String>,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            program: "git".into(),
            public_only: true,
            authorities: None,
            proxy: None,
        }
    }
}

/// Why there is no tree: what that says of the address, or an end of all.
enum Stop {
    Said(Attempt, String),
    Halt(Halt),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// What is under way for one derivation.
struct Fetch<'f> {
    git: &'f Git,
    verifier: &'f Verifier<'f>,
    /// Everything of it lies in here.
    scratch: &'f Path,
    share: &'f Arc<Share>,
    redirects: Vec<String>,
    submodules: usize,
    /// What its trees may still have.
    left: Left,
    /// The bytes of a disk that its repositories take, those that are done.
    repositories: u64,
    /// The same of its trees.
    trees: u64,
}

/// A repository and where it lies.
struct Checkout {
    /// The address as it was named, for what is named beside it.
    url: String,
    directory: PathBuf,
    depth: usize,
    /// What of other repositories stands in it.
    links: Vec<Link>,
}

impl Git {
    pub(crate) fn fetch(
        &self,
        verifier: &Verifier<'_>,
        asked: &Asked<'_>,
        wanted: &Tree,
    ) -> Result<Came, Halt> {
        let (address, old, share) = (&asked.job.address, asked.old, asked.share);
        let scratch = tempfile::Builder::new()
            .prefix("git-")
            .tempdir_in(verifier.scratch)
            .map_err(Halt::scratch)?;
        let mut fetch = Fetch {
            git: self,
            verifier,
            scratch: scratch.path(),
            share,
            redirects: Vec::new(),
            submodules: 0,
            left: Left::of(&verifier.limits.archive),
            repositories: 0,
            trees: 0,
        };
        let root = scratch.path().join("tree");
        let done = fetch.all(wanted, &root);
        let redirects = std::mem::take(&mut fetch.redirects);
        match done {
            Ok(()) => {}
            Err(Stop::Halt(halt)) => return Err(halt),
            Err(Stop::Said(result, detail)) => {
                let tried = failed(&wanted.url, result, detail);
                return Ok(Came::not(Try { redirects, ..tried }));
            }
        }
        let limits = verifier.limits.archive;
        let mut tree = match tree::read(&root, Some(b".git"), (verifier.scratch, share), limits) {
            Ok(tree) => tree,
            Err(_) if share.is_refused() => {
                return Ok(Came::not(failed(
                    &wanted.url,
                    Attempt::Skipped,
                    share.why(),
                )));
            }
            Err(DirectoryError::Read { source, .. }) if tried::is_of_the_machine(&source) => {
                return Err(Halt::scratch(source));
            }
            // A name that is too long, say: it is of who made the repository, and of no other derivation.
            Err(DirectoryError::Read { source, .. }) => {
                let text = format!("its checkout cannot be read here: {source}");
                return Ok(Came::not(failed(&wanted.url, Attempt::Skipped, text)));
            }
            Err(error) => {
                let tried = failed(&wanted.url, Attempt::Skipped, tried::text(&error));
                return Ok(Came::not(tried));
            }
        };
        let (hash, size, swhid) = got_of_tree(&mut tree, address.hash.algo())
            .map_err(|error| Halt::Network(tried::text(&error)))?;
        let is_right = hash == address.hash;
        let difference = old
            .filter(|_| !is_right)
            .and_then(|old| compare::tree(&mut tree, old, (verifier.scratch, share), limits));
        let (result, detail) = if is_right {
            (Attempt::Ok, String::new())
        } else {
            wrong(asked, &wanted.url, &redirects, (&hash, None))
        };
        Ok(Came {
            tried: Try {
                url: shown(&wanted.url),
                result,
                detail,
                redirects,
                bytes: None,
            },
            got: Some(Got {
                hash: hash.to_string(),
                size: Some(size),
                swhid,
            }),
            difference,
        })
    }
}

impl Fetch<'_> {
    /// The commit, and its submodules where they are wanted.
    fn all(&mut self, wanted: &Tree, root: &Path) -> Result<(), Stop> {
        self.check_version()?;
        let links = self.commit(&wanted.url, &wanted.rev, wanted.sparse.as_ref(), root)?;
        if wanted.lfs {
            self.put_in_place(&wanted.url, root)?;
        }
        if !wanted.submodules {
            return Ok(());
        }
        let mut todo = vec![Checkout {
            url: wanted.url.to_string(),
            directory: root.to_owned(),
            depth: 0,
            links,
        }];
        while let Some(checkout) = todo.pop() {
            for (path, url, commit) in self.submodules_of(&checkout)? {
                self.submodules += 1;
                if self.submodules > SUBMODULES || checkout.depth >= DEPTH {
                    let text = format!(
                        "it has more than {SUBMODULES} submodules, or they lie more than {DEPTH} deep"
                    );
                    return Err(Stop::Said(Attempt::Skipped, text));
                }
                let directory = submodules::make(&checkout.directory, &path)?;
                let inner = |stop| match stop {
                    Stop::Said(attempt, text) => {
                        Stop::Said(attempt, format!("submodule {path}: {text}"))
                    }
                    halt @ Stop::Halt(_) => halt,
                };
                let links = self
                    .commit(&url, &commit, None, &directory)
                    .map_err(inner)?;
                if wanted.lfs {
                    self.has_none(&directory).map_err(inner)?;
                }
                todo.push(Checkout {
                    url,
                    directory,
                    depth: checkout.depth + 1,
                    links,
                });
            }
        }
        Ok(())
    }

    /// Only a version that is held to the addresses that were judged is let out.
    fn check_version(&self) -> Result<(), Stop> {
        let told = self.git(self.scratch, None, &["--version"])?;
        match version(&told) {
            Some(found) if found >= OLDEST => Ok(()),
            _ => {
                let (major, minor) = OLDEST;
                let told: String = told.trim().chars().take(80).collect();
                let text = format!("git {major}.{minor} or newer is needed, and here is: {told}");
                Err(Stop::Said(Attempt::Skipped, text))
            }
        }
    }

    fn git(&self, directory: &Path, pinned: Option<&str>, args: &[&str]) -> Result<String, Stop> {
        self.run(&Order {
            pinned,
            directory,
            args,
            input: None,
        })
    }

    /// Checks one commit out; what of other repositories stands in it.
    fn commit(
        &mut self,
        url: &str,
        rev: &str,
        sparse: Option<&Sparse>,
        directory: &Path,
    ) -> Result<Vec<Link>, Stop> {
        // `fetchgit` takes what is only of these letters for a commit, however short, and nothing else.
        let is_hash =
            !rev.is_empty() && rev.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        let named = if rev == "HEAD" || rev.starts_with("refs/") || is_hash {
            rev.to_owned()
        } else {
            format!("refs/tags/{rev}")
        };
        if !may_be_ref(&named) {
            return Err(Stop::Said(Attempt::Failed, "it names no revision".into()));
        }
        let place = self.ask(url)?;
        let pinned = self.pin(&place)?;
        std::fs::create_dir_all(directory).map_err(Halt::scratch)?;
        self.git(directory, None, &["init", "--quiet", "--template="])?;
        if let Some(sparse) = sparse {
            let cone = if sparse.patterns {
                "--no-cone"
            } else {
                "--cone"
            };
            let mut lines = self.file()?;
            writeln!(lines, "{}", sparse.lines.trim_end()).map_err(Halt::scratch)?;
            self.run(&Order {
                pinned: None,
                directory,
                args: &["sparse-checkout", "set", cone, "--stdin"],
                input: Some(&lines),
            })?;
        }
        let pass = self
            .verifier
            .gate
            .enter(&host_of(&place), self.verifier.client.interrupted())
            .ok_or(Halt::Interrupted)?;
        let object = self.object(directory, pinned.as_deref(), (&place, &named, rev), is_hash)?;
        drop(pass);
        let in_it = |args: &[&str]| self.git(directory, None, args);
        let kind = in_it(&["cat-file", "-t", &object])?;
        let commit = match kind.trim() {
            "tree" => {
                // As `fetchgit` does: a commit that has this tree.
                let made = in_it(&["commit-tree", &object, "-m", "tree"])?;
                made.trim().to_owned()
            }
            "blob" => {
                return Err(Stop::Said(Attempt::Failed, format!("{rev} is one file")));
            }
            _ => object,
        };
        let weight = self.weigh(directory, &commit)?;
        self.trees += weight.room;
        self.has_room(self.repositories + self.trees)?;
        self.git(
            directory,
            None,
            &["checkout", "--quiet", "--detach", &commit],
        )?;
        let most = self.verifier.limits.repository;
        self.repositories += size_of(&directory.join(".git"), most).map_err(Halt::scratch)?;
        Ok(weight.links)
    }

    /// Fetches what is named; which object that is.
    fn object(
        &self,
        directory: &Path,
        pinned: Option<&str>,
        (place, named, rev): (&str, &str, &str),
        is_hash: bool,
    ) -> Result<String, Stop> {
        let in_it = |args: &[&str]| self.git(directory, pinned, args);
        // What follows options is never one.
        let shallow = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--",
            place,
            named,
        ];
        let is_shallow = match in_it(&shallow) {
            Ok(_) => true,
            // What is too large as a part is too large as a whole.
            Err(Stop::Said(attempt, _)) if !matches!(attempt, Attempt::Tls | Attempt::Skipped) => {
                // Some servers give no commits by number, and some no part of a history.
                let refs = "+refs/heads/*:refs/remotes/origin/*";
                in_it(&["fetch", "--quiet", "--tags", "--", place, refs])?;
                if !is_hash {
                    in_it(&["fetch", "--quiet", "--", place, named])?;
                }
                false
            }
            Err(stop) => return Err(stop),
        };
        let at = if is_hash { named } else { "FETCH_HEAD" };
        let wanted = format!("{at}^{{object}}");
        match in_it(&["rev-parse", "--verify", "--quiet", &wanted]) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(Stop::Said(..)) if is_hash && is_shallow => {
                let text = format!(
                    "fetchgit takes {rev} for a commit, and it is the name of a tag or branch"
                );
                Err(Stop::Said(Attempt::Failed, text))
            }
            Err(Stop::Said(..)) => {
                let text = format!("the repository does not have {rev} any more");
                Err(Stop::Said(Attempt::Gone, text))
            }
            Err(halt) => Err(halt),
        }
    }
}
