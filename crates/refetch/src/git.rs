//! The tree of a commit, as `fetchgit` takes it, by the program `git`.
//!
//! First our own client asks the repository for what it has: so the network is reached under the same rules as for
//! files, redirects are told, and what is gone, refused or not to be reached is told apart by status. Only then `git`
//! is started, on the address where that ended, with the addresses of its host pinned: without configuration of the
//! user or the system, without hooks, helpers and prompts, without redirects, and for https and http alone.
//! Submodules are fetched in the same way, one by one, and never by `git submodule`.

#![expect(
    clippy::disallowed_methods,
    reason = "this room starts git, and reads what it checked out"
)]

use std::fs::File;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use snowguard_child::Ended;
use snowguard_fod::outcome::{Attempt, Got, Try};
use snowguard_fod::place::Place;
use snowguard_fod::plan::{Sparse, Tree};
use snowguard_http::{Address, Stream, is_public};
use snowguard_store::ContentAddress;
use url::Url;

use crate::compare;
use crate::file::{Came, got_of_tree};
use crate::tree::{self, DirectoryError};
use crate::tried::{self, failed, shown};
use crate::verify::{Halt, Verifier};

/// How long one command of git may take.
const LONGEST: Duration = Duration::from_hours(2);
/// How many submodules are fetched, and how deep they may lie in one another.
const SUBMODULES: usize = 500;
const DEPTH: usize = 10;
/// The first version that takes everything by which it is held: what older ones do not know, they leave out in silence.
const OLDEST: (u32, u32) = (2, 37);
/// How much of what git says is read.
const MOST_SAID: u64 = 1 << 20;
/// How much of the list of what a repository has is read before git itself asks.
const MOST_ASKED: u64 = 1 << 16;

/// How repositories are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    /// The program.
    pub program: PathBuf,
    /// Keeps to the public network, as the client does; and uses no proxy then, as the client does not.
    pub public_only: bool,
    /// A file of authorities that git trusts in place of the system's.
    pub authorities: Option<PathBuf>,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            program: "git".into(),
            public_only: true,
            authorities: None,
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
    redirects: Vec<String>,
    submodules: usize,
}

/// A repository and where it lies.
struct Checkout {
    /// The address as it was named, for what is named beside it.
    url: String,
    directory: PathBuf,
    depth: usize,
}

impl Git {
    pub(crate) fn fetch(
        &self,
        verifier: &Verifier<'_>,
        wanted: &Tree,
        address: &ContentAddress,
        old: Option<&Path>,
    ) -> Result<Came, Halt> {
        let scratch = tempfile::Builder::new()
            .prefix("git-")
            .tempdir_in(verifier.scratch)
            .map_err(Halt::scratch)?;
        let mut fetch = Fetch {
            git: self,
            verifier,
            scratch: scratch.path(),
            redirects: Vec::new(),
            submodules: 0,
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
        let mut tree = match tree::read(&root, Some(b".git"), verifier.scratch, limits) {
            Ok(tree) => tree,
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
            .and_then(|old| compare::tree(&mut tree, old, verifier.scratch, limits));
        let (result, detail) = if is_right {
            (Attempt::Ok, String::new())
        } else {
            let detail = format!("it sends {hash}, not {}", address.hash);
            (Attempt::Mismatch, detail)
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
        self.commit(&wanted.url, &wanted.rev, wanted.sparse.as_ref(), root)?;
        if !wanted.submodules {
            return Ok(());
        }
        let mut todo = vec![Checkout {
            url: wanted.url.to_string(),
            directory: root.to_owned(),
            depth: 0,
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
                let directory = checkout.directory.join(&path);
                // Git does not check anything out through a link; nor do we.
                let inside = directory
                    .canonicalize()
                    .is_ok_and(|real| real.starts_with(root.canonicalize().unwrap_or_default()));
                if !inside {
                    let text = format!("the submodule {path} lies outside of the tree");
                    return Err(Stop::Said(Attempt::Failed, text));
                }
                let inner = |stop| match stop {
                    Stop::Said(attempt, text) => {
                        Stop::Said(attempt, format!("submodule {path}: {text}"))
                    }
                    halt @ Stop::Halt(_) => halt,
                };
                self.commit(&url, &commit, None, &directory)
                    .map_err(inner)?;
                todo.push(Checkout {
                    url,
                    directory,
                    depth: checkout.depth + 1,
                });
            }
        }
        Ok(())
    }

    /// Only a version that is held to the addresses that were judged is let out.
    fn check_version(&self) -> Result<(), Stop> {
        let told = self.run(None, self.scratch, &["--version"], None)?;
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

    /// Checks one commit out.
    fn commit(
        &mut self,
        url: &str,
        rev: &str,
        sparse: Option<&Sparse>,
        directory: &Path,
    ) -> Result<(), Stop> {
        let is_hash = rev.len() >= 4 && rev.bytes().all(|byte| byte.is_ascii_hexdigit());
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
        let in_it = |args: &[&str]| self.run(pinned.as_deref(), directory, args, None);
        std::fs::create_dir_all(directory).map_err(Halt::scratch)?;
        in_it(&["init", "--quiet", "--template="])?;
        if let Some(sparse) = sparse {
            let cone = if sparse.patterns {
                "--no-cone"
            } else {
                "--cone"
            };
            let lines = format!("{}\n", sparse.lines.trim_end());
            let args = ["sparse-checkout", "set", cone, "--stdin"];
            self.run(pinned.as_deref(), directory, &args, Some(&lines))?;
        }
        let _pass = self
            .verifier
            .gate
            .enter(&host_of(&place), self.verifier.client.interrupted())
            .ok_or(Halt::Interrupted)?;
        // What follows options is never one.
        let shallow = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--",
            &place,
            &named,
        ];
        let at = match in_it(&shallow) {
            Ok(_) => "FETCH_HEAD".to_owned(),
            Err(Stop::Said(attempt, _)) if attempt != Attempt::Tls => {
                // Some servers give no commits by number, and some no part of a history.
                let refs = "+refs/heads/*:refs/remotes/origin/*";
                in_it(&["fetch", "--quiet", "--tags", "--", &place, refs])?;
                if is_hash {
                    named.clone()
                } else {
                    in_it(&["fetch", "--quiet", "--", &place, &named])?;
                    "FETCH_HEAD".to_owned()
                }
            }
            Err(stop) => return Err(stop),
        };
        let found = in_it(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{at}^{{object}}"),
        ]);
        let object = match found {
            Ok(text) => text.trim().to_owned(),
            Err(Stop::Said(..)) => {
                let text = format!("the repository does not have {rev} any more");
                return Err(Stop::Said(Attempt::Gone, text));
            }
            Err(halt) => return Err(halt),
        };
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
        in_it(&["checkout", "--quiet", "--detach", &commit])?;
        Ok(())
    }

    /// Asks with our own client; where that led is where git goes.
    fn ask(&mut self, url: &str) -> Result<String, Stop> {
        let said = |attempt, text: &str| Err(Stop::Said(attempt, text.to_owned()));
        if url.contains(char::is_control) {
            return said(Attempt::Failed, "it is no address");
        }
        let base = url.trim_end_matches('/');
        let Ok(address) = format!("{base}/info/refs?service=git-upload-pack").parse::<Address>()
        else {
            return said(Attempt::Skipped, "it is no address of https or http");
        };
        if address.path().is_some() {
            return said(Attempt::Denied, "it is a file of this machine");
        }
        let _pass = self
            .verifier
            .gate
            .enter(&address.host(), self.verifier.client.interrupted())
            .ok_or(Halt::Interrupted)?;
        let stream = Stream {
            address: &address,
            limit: u64::MAX,
            headers: &[("Git-Protocol", "version=2")],
            redirects: 20,
            cookies: false,
        };
        let (mut hops, mut received) = (Vec::new(), 0);
        let outcome = self
            .verifier
            .client
            .stream(&stream, &mut hops, &mut |_, piece| {
                received += piece.len() as u64;
                if received < MOST_ASKED {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
        self.redirects.extend(hops.iter().map(ToString::to_string));
        if let Err(error) = outcome {
            let (attempt, text) = tried::of_error(&error)?;
            // Who may not know whether a repository is there is asked for a password; so is who asks too much.
            if text.contains(" answered 401") || text.contains(" answered 403") {
                let text = format!("{text}: it is gone, or for those only who have a login");
                return Err(Stop::Said(Attempt::Failed, text));
            }
            return Err(Stop::Said(attempt, text));
        }
        let Some(last) = hops.last() else {
            return Ok(base.to_owned());
        };
        let last = last.to_string();
        match last.strip_suffix("/info/refs") {
            Some(place) => Ok(place.to_owned()),
            None => Err(Stop::Said(
                Attempt::Redirect,
                format!("it leads to {last}, which is no repository"),
            )),
        }
    }

    /// The addresses of a host, for git to use these and no others.
    fn pin(&self, place: &str) -> Result<Option<String>, Stop> {
        if !self.git.public_only {
            return Ok(None);
        }
        let url = Url::parse(place).ok();
        let (host, port) = url
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
            .ok_or_else(|| Stop::Said(Attempt::Failed, "it is no address".into()))?;
        let bare = host.trim_matches(['[', ']']);
        let found = (bare, port).to_socket_addrs().map_err(|error| {
            Stop::Said(
                Attempt::Transient,
                format!("cannot look up {host}: {error}"),
            )
        })?;
        let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
        if public.is_empty() {
            let text = format!("{host} is not on the public network");
            return Err(Stop::Said(Attempt::Denied, text));
        }
        let addresses: Vec<String> = public
            .iter()
            .map(|address| match address {
                SocketAddr::V4(v4) => v4.ip().to_string(),
                SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
            })
            .collect();
        Ok(Some(format!("{host}:{port}:{}", addresses.join(","))))
    }

    /// Path, address and commit of the submodules of a checkout.
    fn submodules_of(&self, checkout: &Checkout) -> Result<Vec<(String, String, String)>, Stop> {
        let in_it = |args: &[&str]| self.run(None, &checkout.directory, args, None);
        let staged = in_it(&["ls-files", "--stage", "-z"])?;
        let links: Vec<(String, String)> = staged
            .split('\0')
            .filter_map(|line| {
                let (left, path) = line.split_once('\t')?;
                let mut words = left.split(' ');
                let (mode, commit) = (words.next()?, words.next()?);
                (mode == "160000").then(|| (path.to_owned(), commit.to_owned()))
            })
            .collect();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let file = checkout.directory.join(".gitmodules");
        if !std::fs::symlink_metadata(&file).is_ok_and(|file| file.is_file()) {
            let text = "it has submodules, and no file says from where".to_owned();
            return Err(Stop::Said(Attempt::Failed, text));
        }
        let listed = in_it(&["config", "--file", ".gitmodules", "--null", "--list"])?;
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
        for (path, commit) in links {
            let name = names.iter().rev().find(|(of, _)| *of == path);
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
            found.push((path, url, commit));
        }
        Ok(found)
    }

    /// One command of git; what it prints.
    fn run(
        &self,
        pinned: Option<&str>,
        directory: &Path,
        args: &[&str],
        input: Option<&str>,
    ) -> Result<String, Stop> {
        let file = || tempfile::tempfile_in(self.scratch).map_err(Halt::scratch);
        let (out, told) = (file()?, file()?);
        let mut command = Command::new(&self.git.program);
        command
            .args(args)
            .current_dir(directory)
            .process_group(0)
            .stdin(match input {
                Some(text) => Stdio::from(written(file()?, text)?),
                None => Stdio::null(),
            })
            .stdout(out.try_clone().map_err(Halt::scratch)?)
            .stderr(told.try_clone().map_err(Halt::scratch)?);
        self.isolate(&mut command, pinned);
        let mut running = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let text = "git is not installed here".to_owned();
                Stop::Said(Attempt::Skipped, text)
            }
            _ if tried::is_of_the_machine(&error) => {
                Stop::Halt(Halt::Network(format!("cannot start git: {error}")))
            }
            // What it is given, or where: that is of this derivation.
            _ => Stop::Said(
                Attempt::Skipped,
                format!("git cannot be started on it: {error}"),
            ),
        })?;
        let stop = self.verifier.client.interrupted();
        let ended = snowguard_child::wait(&mut running, LONGEST, stop).map_err(Halt::scratch)?;
        let status = match ended {
            Ended::Itself(status) => status,
            Ended::Slow => {
                snowguard_child::end(&mut running);
                let text = format!("git took more than {} hours", LONGEST.as_secs() / 3600);
                return Err(Stop::Said(Attempt::Transient, text));
            }
            Ended::Stopped => {
                snowguard_child::end(&mut running);
                return Err(Halt::Interrupted.into());
            }
        };
        if status.success() {
            return Ok(read(out)?);
        }
        let said = read(told)?;
        let (attempt, text) = meaning(&said);
        Err(Stop::Said(attempt, text))
    }

    /// Nothing of the user, the system or the repository decides what git does.
    fn isolate(&self, command: &mut Command, pinned: Option<&str>) {
        let kept: &[&str] = if self.git.public_only {
            &["PATH"]
        } else {
            &[
                "PATH",
                "http_proxy",
                "https_proxy",
                "HTTPS_PROXY",
                "all_proxy",
                "ALL_PROXY",
                "no_proxy",
                "NO_PROXY",
            ]
        };
        command.env_clear();
        for name in kept {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in [
            ("LC_ALL", "C"),
            ("HOME", "/var/empty"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS", "/bin/false"),
            ("GIT_ALLOW_PROTOCOL", "https:http"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_AUTHOR_NAME", "snowguard"),
            ("GIT_AUTHOR_EMAIL", "snowguard@localhost"),
            ("GIT_COMMITTER_NAME", "snowguard"),
            ("GIT_COMMITTER_EMAIL", "snowguard@localhost"),
        ] {
            command.env(name, value);
        }
        // No repository outside of the scratch directory is taken for the one that is meant.
        command.env("GIT_CEILING_DIRECTORIES", self.scratch);
        if let Some(file) = &self.git.authorities {
            command.env("GIT_SSL_CAINFO", file);
        }
        let mut settings = vec![
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.autocrlf", "false"),
            ("core.symlinks", "true"),
            ("core.attributesFile", "/dev/null"),
            ("core.excludesFile", "/dev/null"),
            ("credential.helper", ""),
            ("http.followRedirects", "false"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "60"),
            ("fetch.recurseSubmodules", "false"),
            ("submodule.recurse", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("advice.detachedHead", "false"),
            ("init.defaultBranch", "main"),
            ("safe.directory", "*"),
        ];
        if let Some(pinned) = pinned {
            settings.push(("http.curloptResolve", pinned));
        }
        for (at, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    }
}

fn written(mut file: File, text: &str) -> Result<File, Halt> {
    use io::{Seek as _, Write as _};
    file.write_all(text.as_bytes())
        .and_then(|()| file.seek(io::SeekFrom::Start(0)))
        .map_err(Halt::scratch)?;
    Ok(file)
}

fn read(mut file: File) -> Result<String, Halt> {
    use io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.seek(io::SeekFrom::Start(0))
        .and_then(|_| file.take(MOST_SAID).read_to_end(&mut bytes))
        .map_err(Halt::scratch)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What `git --version` says.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.trim().strip_prefix("git version ")?.split(['.', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether this may be the name of a ref, or the number of a commit: the rules of `git check-ref-format`, and nothing
/// that `git fetch` would take for something else.
fn may_be_ref(name: &str) -> bool {
    let is_special = |letter: char| letter.is_control() || " ~^:?*[\\".contains(letter);
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && Path::new(part).extension() != Some("lock".as_ref())
    };
    !name.contains(is_special)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with(['-', '+'])
        && !name.ends_with('.')
        && name.split('/').all(is_part)
}

fn host_of(url: &str) -> String {
    Place::of(url).host
}

/// What a URL in `.gitmodules` means: `./` and `../` are beside the repository itself.
fn beside(base: &str, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let (mut base, mut rest) = (base.trim_end_matches('/'), url);
    loop {
        if let Some(next) = rest.strip_prefix("./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix("../") {
            rest = next;
            base = base.rsplit_once('/').map_or(base, |(parent, _)| parent);
        } else {
            return format!("{base}/{}", rest.trim_end_matches('/'));
        }
    }
}

/// What git's words mean, in the language of `LC_ALL=C`.
fn meaning(said: &str) -> (Attempt, String) {
    const WORDS: &[(Attempt, &[&str])] = &[
        (
            Attempt::Tls,
            &[
                "SSL certificate problem",
                "certificate verification failed",
                "SSL peer certificate",
            ],
        ),
        (
            Attempt::Gone,
            &[
                "couldn't find remote ref",
                "not our ref",
                "no such remote ref",
                "Repository not found",
                "returned error: 404",
                "returned error: 410",
            ],
        ),
        (
            Attempt::Failed,
            &[
                "could not read Username",
                "returned error: 401",
                "returned error: 403",
            ],
        ),
        (Attempt::Denied, &["not allowed"]),
        (
            Attempt::Transient,
            &[
                "Could not resolve host",
                "timed out",
                "Connection refused",
                "Connection reset",
                "early EOF",
                "RPC failed",
                "returned error: 5",
                "returned error: 429",
                "the remote end hung up",
                "Operation too slow",
            ],
        ),
        (Attempt::Redirect, &["redirection", "returned error: 30"]),
    ];
    let line = said
        .lines()
        .rev()
        .find(|line| line.starts_with("fatal:") || line.starts_with("error:"))
        .or_else(|| said.lines().last())
        .unwrap_or("git failed");
    let line = line.trim().to_owned();
    let found = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| said.contains(word)));
    (found.map_or(Attempt::Failed, |(attempt, _)| *attempt), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_submodules_lie_beside_their_repository() {
        for (url, expected) in [
            ("../b.git", "https://x.org/o/b.git"),
            ("../../p/c", "https://x.org/p/c"),
            ("./d/", "https://x.org/o/a.git/d"),
            ("https://y.org/e", "https://y.org/e"),
        ] {
            assert_eq!(beside("https://x.org/o/a.git/", url), expected);
        }
    }

    #[test]
    fn names_that_git_would_take_are_taken_and_no_others() {
        for name in [
            "refs/tags/v1.0+k3s1",
            "HEAD",
            "refs/tags/a-b_c@1",
            "0123456789abcdef",
        ] {
            assert!(may_be_ref(name), "{name}");
        }
        for name in [
            "+refs/heads/a",
            "-x",
            "refs/tags/a\0b",
            "refs/tags/a\u{85}",
            "refs/tags/a b",
            "refs/tags/a:b",
            "refs/tags/*",
            "refs/tags/a..b",
            "refs/tags/a@{1}",
            "refs/tags/",
            "refs/tags//a",
            "refs/tags/a.lock",
            "refs/tags/.a",
            "refs/tags/a.",
            "refs/tags/a\\b",
        ] {
            assert!(!may_be_ref(name), "{name}");
        }
    }

    #[test]
    fn versions_of_git_are_read() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(version("git version 2.39 (Apple Git-1)"), Some((2, 39)));
        assert!(version("git version 2.34.1").unwrap() < OLDEST);
        assert_eq!(version("hub version 2"), None);
    }

    #[test]
    fn words_of_git_are_told_apart() {
        for (said, expected) in [
            (
                "fatal: couldn't find remote ref refs/tags/v1",
                Attempt::Gone,
            ),
            (
                "fatal: remote error: upload-pack: not our ref 0123",
                Attempt::Gone,
            ),
            (
                "error: RPC failed; HTTP 503 curl 22\nfatal: early EOF",
                Attempt::Transient,
            ),
            ("fatal: transport 'file' not allowed", Attempt::Denied),
            (
                "fatal: unable to access: SSL certificate problem: self-signed",
                Attempt::Tls,
            ),
            ("fatal: something new", Attempt::Failed),
            (
                "fatal: could not read Username for 'https://x.org': terminal prompts disabled",
                Attempt::Failed,
            ),
        ] {
            assert_eq!(meaning(said).0, expected, "{said}");
        }
    }
}
