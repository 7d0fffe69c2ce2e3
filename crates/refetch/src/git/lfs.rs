//! What Git LFS keeps elsewhere, put in the place of what stands for it: as `fetchgit` does with `fetchLFS`, where
//! `git checkout` hands the files that have the attribute `filter=lfs` to a program.
//!
//! Git is not asked to run one. What it checks out without is what that program would be given: line ends and the like
//! come before it. Who keeps the files is asked by our own client, under the same rules as everybody else.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use snowguard_fod::lfs::{self, Answer, Download, Filtered, Pointer};
use snowguard_fod::outcome::Attempt;
use snowguard_http::{Address, Question, Stream, Told};

use super::ask::why_not;
use super::run::{BLOCK, Order};
use super::weigh::LINE;
use super::{Fetch, Stop};
use crate::tried;
use crate::verify::Halt;

/// How much of an answer is read: a hundred addresses with their headers, in bytes.
const MOST_ANSWERED: usize = 4 << 20;
/// How many redirects in a row `git-lfs` follows.
const REDIRECTS: usize = 2;

/// The files of a checkout that stand for others.
struct Pointers {
    /// By what stands in them.
    paths: BTreeMap<Pointer, Vec<PathBuf>>,
    /// The first file in the order of checkouts that is handed to the filter, whatever it is.
    first: Option<PathBuf>,
}

impl Fetch<'_> {
    /// Puts the files of a checkout in place.
    pub(super) fn put_in_place(&mut self, url: &str, directory: &Path) -> Result<(), Stop> {
        let pointers = self.pointers(directory)?;
        if pointers.paths.is_empty() {
            return Ok(());
        }
        let limits = self.verifier.limits;
        for (pointer, paths) in &pointers.paths {
            if pointer.size() > limits.download {
                let most = limits.download;
                let text = format!("{}: it has more than {most} bytes", name(directory, paths));
                return Err(Stop::Said(Attempt::Skipped, text));
            }
            for _ in paths {
                self.left.take_bytes(pointer.size(), &limits.archive)?;
                self.trees += pointer.size().div_ceil(BLOCK) * BLOCK;
            }
        }
        self.has_room(self.repositories + self.trees)?;
        let endpoint = self.endpoint(url, directory, pointers.first.as_deref())?;
        let pointers: Vec<_> = pointers.paths.iter().collect();
        for some in pointers.chunks(lfs::Question::MOST) {
            let answer = self.batch(&endpoint, some.iter().map(|(pointer, _)| *pointer))?;
            for (pointer, paths) in some {
                self.fetch_to(&answer, pointer, paths)
                    .map_err(|stop| match stop {
                        Stop::Said(attempt, text) => {
                            Stop::Said(attempt, format!("{}: {text}", name(directory, paths)))
                        }
                        halt @ Stop::Halt(_) => halt,
                    })?;
            }
        }
        Ok(())
    }

    /// Whether nothing of a submodule is kept elsewhere. Who would be asked depends on a branch of it that is not fetched
    /// here.
    pub(super) fn has_none(&self, directory: &Path) -> Result<(), Stop> {
        let Some(paths) = self.pointers(directory)?.paths.into_values().next() else {
            return Ok(());
        };
        let name = name(directory, &paths);
        let text = format!("{name}: Git LFS keeps it elsewhere, and it is of a submodule");
        Err(Stop::Said(Attempt::Skipped, text))
    }

    fn pointers(&self, directory: &Path) -> Result<Pointers, Stop> {
        let root = directory.canonicalize().map_err(unusable)?;
        let mut pointers = Pointers {
            paths: BTreeMap::new(),
            first: None,
        };
        for path in self.filtered(directory)? {
            let file = directory.join(&path);
            // What of the tree is not taken is not there.
            if !std::fs::symlink_metadata(&file).is_ok_and(|found| found.is_file()) {
                continue;
            }
            pointers.first.get_or_insert_with(|| path.clone());
            let said = |attempt, text: &str| {
                let text = format!("{}: {text}", path.display());
                Err(Stop::Said(attempt, text))
            };
            let mut begin = Vec::new();
            File::open(&file)
                .and_then(|file| file.take(lfs::LOOKED_AT as u64).read_to_end(&mut begin))
                .map_err(unusable)?;
            match Filtered::of(&begin) {
                Filtered::Plain => {}
                Filtered::Unclear => {
                    let text = "it is nearly a pointer of Git LFS, and what becomes of it depends on the version of that";
                    return said(Attempt::Skipped, text);
                }
                Filtered::Pointer(pointer) => {
                    // Git leads no path through a link, and nothing is written through one.
                    let real = file.canonicalize().map_err(unusable)?;
                    if !real.starts_with(&root) {
                        return said(Attempt::Failed, "it lies behind a link");
                    }
                    pointers.paths.entry(pointer).or_default().push(file);
                }
            }
        }
        Ok(pointers)
    }

    /// The paths that have the attribute, in the order of checkouts. Attributes are read from the commit, as a checkout
    /// does.
    fn filtered(&self, directory: &Path) -> Result<Vec<PathBuf>, Stop> {
        let order = |args, input| Order {
            pinned: None,
            directory,
            args,
            input,
        };
        let mut names = self.file()?;
        self.pipe(&order(&["ls-files", "-z"], None), |mut out| {
            Ok(io::copy(&mut out, &mut names).map_err(Halt::scratch)?)
        })?;
        let args = ["check-attr", "--cached", "-z", "--stdin", "filter"];
        self.pipe(&order(&args, Some(&names)), filtered)
    }

    /// Who keeps the files.
    fn endpoint(&self, url: &str, directory: &Path, first: Option<&Path>) -> Result<String, Stop> {
        let not_here = |text: String| Err(Stop::Said(Attempt::Skipped, text));
        let in_it = |args: &[&str]| self.git(directory, None, args);
        let config = lfs::CONFIG;
        let mut found = lfs::endpoint(url);
        if !in_it(&["ls-files", "--", config])?.is_empty() {
            // What is checked out before it does not know of it.
            let is_there =
                std::fs::symlink_metadata(directory.join(config)).is_ok_and(|file| file.is_file());
            let is_late = first
                .is_some_and(|first| first.as_os_str().as_bytes() <= OsStr::new(config).as_bytes());
            if !is_there || is_late {
                return not_here(format!(
                    "whether Git LFS follows its {config} depends on what is checked out first"
                ));
            }
            let list = [
                "config",
                "--file",
                config,
                "--no-includes",
                "--null",
                "--list",
            ];
            let listed = match in_it(&list) {
                Err(Stop::Said(..)) => return not_here(format!("its {config} cannot be read")),
                listed => listed?,
            };
            match lfs::endpoint_of_config(&listed) {
                Ok(Some(url)) => found = url,
                Ok(None) => {}
                Err(key) => {
                    return not_here(format!(
                        "its {config} sets {key}, which is not followed here"
                    ));
                }
            }
        }
        let is_spoken = found.starts_with("https://") || found.starts_with("http://");
        if !is_spoken || found.contains(['@', '?', '#']) || found.contains(char::is_control) {
            let text = "Git LFS keeps its files at no plain address of https or http";
            return not_here(text.to_owned());
        }
        Ok(found)
    }

    /// Asks for the addresses of files.
    fn batch<'p>(
        &self,
        endpoint: &str,
        pointers: impl Iterator<Item = &'p Pointer>,
    ) -> Result<Answer, Stop> {
        let address = address(&lfs::batch_url(endpoint))?;
        let question = serde_json::to_vec(&lfs::Question::of(pointers))
            .map_err(|error| Halt::Network(error.to_string()))?;
        let (mut body, mut over) = (Vec::new(), None);
        let stream = Stream {
            address: &address,
            limit: u64::MAX,
            headers: &[],
            question: Some(Question {
                body: &question,
                kind: lfs::MEDIA_TYPE,
            }),
            redirects: REDIRECTS,
            cookies: false,
            statuses: &[200],
        };
        self.stream(&stream, &mut |told, piece| {
            body.extend_from_slice(piece);
            if let Some(packed) = packed(told) {
                over = Some(packed);
            } else if body.len() > MOST_ANSWERED {
                over = Some(format!(
                    "its LFS server answers with more than {MOST_ANSWERED} bytes"
                ));
            }
            flow(over.is_none())
        })?;
        if let Some(over) = over {
            return Err(Stop::Said(Attempt::Skipped, over));
        }
        serde_json::from_slice(&body).map_err(|error| {
            let text = format!("what its LFS server answers cannot be read: {error}");
            Stop::Said(Attempt::Failed, text)
        })
    }

    /// Fetches one file to all places where it is to be.
    fn fetch_to(&self, answer: &Answer, pointer: &Pointer, paths: &[PathBuf]) -> Result<(), Stop> {
        let said = |(attempt, text)| Stop::Said(attempt, text);
        let download = answer.download(pointer).map_err(said)?;
        let Some((first, others)) = paths.split_first() else {
            return Ok(());
        };
        self.download(download, pointer, first)?;
        for other in others {
            let copy = || io::copy(&mut File::open(first)?, &mut File::create(other)?);
            copy().map_err(unusable)?;
        }
        Ok(())
    }

    fn download(&self, from: &Download, pointer: &Pointer, to: &Path) -> Result<(), Stop> {
        let address = address(from.href())?;
        // The rights of a file stay as they are.
        let mut file = File::create(to).map_err(unusable)?;
        let (mut hasher, mut received) = (Sha256::new(), 0_u64);
        let (mut packing, mut failed) = (None, None);
        let stream = Stream {
            address: &address,
            limit: self.verifier.limits.download,
            headers: &from.headers(),
            question: None,
            redirects: REDIRECTS,
            cookies: false,
            statuses: &[],
        };
        self.stream(&stream, &mut |told, piece| {
            packing = packed(told);
            hasher.update(piece);
            received += piece.len() as u64;
            // There is room for what is promised; of what is more only the hash counts.
            if packing.is_none() && received <= pointer.size() {
                failed = file.write_all(piece).err();
            }
            flow(packing.is_none() && failed.is_none())
        })?;
        if let Some(error) = failed {
            return Err(unusable(error));
        }
        if let Some(packing) = packing {
            return Err(Stop::Said(Attempt::Skipped, packing));
        }
        let (oid, size) = (HEXLOWER.encode(&hasher.finalize()), pointer.size());
        if oid != pointer.oid() {
            let text = format!(
                "its LFS server sends {received} bytes with the SHA-256 {oid}, and {size} with {} are promised, so git-lfs \
                 refuses them",
                pointer.oid()
            );
            return Err(Stop::Said(Attempt::Failed, text));
        }
        if received != size {
            let text = format!("it has {received} bytes, and what stands for it says {size}");
            return Err(Stop::Said(Attempt::Skipped, text));
        }
        Ok(())
    }

    fn stream(
        &self,
        stream: &Stream<'_>,
        each: &mut dyn FnMut(Told, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Stop> {
        let client = self.verifier.client;
        let _pass = self
            .verifier
            .gate
            .enter(&stream.address.host(), client.interrupted())
            .ok_or(Halt::Interrupted)?;
        // Where that leads says nothing of the repository.
        let outcome = client.stream(stream, &mut Vec::new(), each);
        outcome.map_err(|error| why_not(&error))?;
        Ok(())
    }
}

/// Reads triples of path, attribute and value, each with a NUL behind it.
fn filtered(mut out: impl BufRead) -> Result<Vec<PathBuf>, Stop> {
    let mut field = |text: &mut Vec<u8>| -> Result<(), Stop> {
        text.clear();
        (&mut out)
            .take(LINE)
            .read_until(0, text)
            .map_err(Halt::scratch)?;
        if !text.is_empty() && text.pop() != Some(0) {
            let text = "git lists attributes in a way that is not known here".to_owned();
            return Err(Stop::Said(Attempt::Skipped, text));
        }
        Ok(())
    };
    let mut found = Vec::new();
    let (mut path, mut attribute, mut value) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        field(&mut path)?;
        if path.is_empty() {
            return Ok(found);
        }
        field(&mut attribute)?;
        field(&mut value)?;
        if attribute == b"filter" && value == b"lfs" {
            found.push(PathBuf::from(OsStr::from_bytes(&path)));
        }
    }
}

/// What a path brings about is of this repository; a full disk is not.
fn unusable(error: io::Error) -> Stop {
    if tried::is_of_the_machine(&error) {
        return Halt::scratch(error).into();
    }
    let text = format!("its checkout cannot be used here: {error}");
    Stop::Said(Attempt::Skipped, text)
}

fn address(url: &str) -> Result<Address, Stop> {
    let said = |attempt, text: &str| Err(Stop::Said(attempt, text.to_owned()));
    match url.parse::<Address>() {
        Ok(address) if address.path().is_some() => said(
            Attempt::Denied,
            "its LFS server names a file of this machine",
        ),
        Ok(address) => Ok(address),
        Err(_) => said(
            Attempt::Failed,
            "its LFS server names no address of https or http",
        ),
    }
}

/// `git-lfs` unpacks some of what comes packed, and asks for it.
fn packed(told: Told) -> Option<String> {
    (told.is_packed || told.is_wrapped)
        .then(|| "what its LFS server sends comes packed, and that is not undone here".to_owned())
}

fn flow(goes_on: bool) -> ControlFlow<()> {
    if goes_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// How a file is called that is at one or more places of a checkout.
fn name(directory: &Path, paths: &[PathBuf]) -> String {
    let first = paths.first().map_or(directory, PathBuf::as_path);
    let name = first.strip_prefix(directory).unwrap_or(first);
    name.display().to_string()
}
