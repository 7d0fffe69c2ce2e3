//! Builds that are kept to the proxy: each in a network in which nothing else can be reached, one at a time, under a
//! token of its own, with the policy of its derivation.
//!
//! What a derivation is built with comes from substitutes, outside of that network by a Nix that may not build. What
//! has to be built for it is built inside: fixed outputs under their own policies, all else without a token.

use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::Utf8Path;
use snowguard_confine::{Ended, Stdout};
use snowguard_refetch::{Built, Denied, End, Halt, Job, Realise, Said, Stop, Watch};
use snowguard_report::escape::line;

use super::build::network::Network;
use super::build::nix::{Nix, Reach};
use super::build::plan::{Fixed, Plan};
use super::build::settings::Settings;
use super::build::strays::To;
use super::egress::{By, Egress};
use crate::error::Failure;
use crate::output::Terminal;

/// So many paths fit the arguments of every system.
const AT_ONCE: usize = 500;

/// A network for builds that has no proxy yet.
pub(super) struct Ready {
    nix: Nix,
    network: Network,
    said: [File; 2],
    place: tempfile::TempDir,
}

impl Ready {
    /// Makes it, for a store by its name, with settings that say where that takes from what it lacks. An error where
    /// builds could not be kept in it.
    pub(super) fn start(
        (store, sources): (&str, String),
        settings: &Settings,
        helper: Option<&Utf8Path>,
        tell: (&Terminal, bool),
    ) -> Result<(Self, TcpListener), Failure> {
        let cannot = |source| {
            Failure::new(anyhow::Error::new(source).context("cannot make a directory for logs"))
        };
        let place = tempfile::Builder::new()
            .prefix("snowguard-fod-")
            .tempdir()
            .map_err(cannot)?;
        let at = Utf8Path::from_path(place.path())
            .ok_or_else(|| Failure::message("the directory for a while is no text"))?;
        let said = [log().map_err(cannot)?, log().map_err(cannot)?];
        let nix = Nix::at(store, sources, settings, at)?;
        let [out, log] = &said;
        let to = [
            Stdio::from(out.try_clone().map_err(cannot)?),
            Stdio::from(log.try_clone().map_err(cannot)?),
        ];
        let (network, socket) = Network::start(&nix, helper, to, tell)?;
        let ready = Self {
            nix,
            network,
            said,
            place,
        };
        Ok((ready, socket))
    }

    /// With the proxy, which listens at its socket by now.
    pub(super) fn with(self, egress: Arc<Egress>) -> Kept {
        Kept {
            nix: self.nix,
            network: Mutex::new(self.network),
            said: self.said,
            egress,
            is_any: AtomicBool::new(false),
            _place: self.place,
        }
    }
}

/// A file without a name for what is printed, by whoever has it, one after the other.
fn log() -> std::io::Result<File> {
    let named = tempfile::Builder::new().append(true).tempfile()?;
    Ok(named.into_file())
}

/// Nix, in a network with the proxy at its only way out.
#[derive(Debug)]
pub(super) struct Kept {
    nix: Nix,
    /// One at a time: what goes past the proxy is of the one that is built meanwhile.
    network: Mutex<Network>,
    /// What is printed in there: output, and complaints.
    said: [File; 2],
    egress: Arc<Egress>,
    /// Whether something was built.
    is_any: AtomicBool,
    _place: tempfile::TempDir,
}

impl Realise for Kept {
    fn inputs(&self, inputs: &[String], watch: &Watch<'_>) -> Result<Option<String>, Stop> {
        let network = self.network();
        let outside = |args: &[&str], paths: &[String]| {
            let mut command = self.nix.outside("nix-store");
            watch.run(command.args(args).args(paths))
        };
        let asked = outside(&["--realise", "--dry-run"], inputs)?;
        if !asked.is_success() {
            return Ok(Some(asked.last_line()));
        }
        if !asked.is_whole() {
            let text = "Nix lists more than 1 MiB of what it lacks; realise its inputs once, in a store that --build-store names";
            return Ok(Some(text.to_owned()));
        }
        let plan = match Plan::of(&self.nix, inputs.to_vec(), &asked.log) {
            Ok(plan) => plan,
            // What is wrong with one says nothing of the others.
            Err(failure) => return Ok(Some(failure.text())),
        };
        for paths in plan.fetched.chunks(AT_ONCE) {
            let came = outside(&["--realise"], paths)?;
            if !came.is_success() {
                return Ok(Some(came.last_line()));
            }
        }
        for fixed in &plan.fixed {
            if let Some(why) = self.fixed(&network, fixed, watch)? {
                return Ok(Some(format!("{}: {why}", fixed.drv)));
            }
        }
        if plan.built.is_empty() {
            return Ok(None);
        }
        self.realise(&network, inputs, None, watch)
    }

    fn derivation(&self, job: &Job, args: &[String], watch: &Watch<'_>) -> Result<Built, Stop> {
        let Some(described) = &job.described else {
            let text = format!("what {} may reach is not told", job.drv);
            return Err(Stop::Halt(Halt::Network(text)));
        };
        let network = self.network();
        let token = self.egress.admit(described, By::Network)?;
        self.under(&network, &job.drv, &token, args, watch)
    }

    fn most_at_once(&self) -> Option<usize> {
        Some(1)
    }
}

impl Kept {
    /// Ends it, and tells what went past the proxy; whether a derivation was built.
    pub(super) fn end(self, terminal: &Terminal) -> bool {
        let network = self.network.into_inner();
        let network = network.unwrap_or_else(PoisonError::into_inner);
        network.end(terminal);
        self.is_any.into_inner()
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds one that is needed, whose output is fixed, under its own policy; why not, where that fails.
    fn fixed(
        &self,
        network: &Network,
        fixed: &Fixed,
        watch: &Watch<'_>,
    ) -> Result<Option<String>, Stop> {
        // Another of the same name and hash was built meanwhile.
        if self
            .nix
            .has(&fixed.outputs)
            .map_err(|failure| halt(&failure))?
        {
            return Ok(None);
        }
        // What it is built with has no business with its token.
        if !fixed.inputs.is_empty()
            && let Some(why) = self.realise(network, &fixed.inputs, None, watch)?
        {
            return Ok(Some(why));
        }
        let token = match self.egress.begin(self.nix.file(&fixed.drv).as_str()) {
            Ok(token) => token,
            // One that the proxy cannot read says nothing of the others.
            Err(Halt::Network(why)) => return Ok(Some(why)),
            Err(halt) => return Err(halt.into()),
        };
        let args = ["--realise".to_owned(), fixed.drv.clone()];
        let built = self.under(network, &fixed.drv, &token, &args, watch)?;
        Ok(
            (!built.said.is_success()).then(|| match built.denied.first() {
                Some(one) => format!("{}: {}", one.host, one.detail),
                None => why(&built.said),
            }),
        )
    }

    /// Runs a build of one derivation under its token.
    fn under(
        &self,
        network: &Network,
        drv: &str,
        token: &str,
        args: &[String],
        watch: &Watch<'_>,
    ) -> Result<Built, Stop> {
        network.strays().building(Some(drv));
        let said = self.run(network, args, Some(token), watch);
        network.strays().building(None);
        let mut denied: Vec<Denied> = Vec::new();
        let strays = network.strays().of(drv);
        let ended = self.egress.end(token)?;
        for one in ended.denied.into_iter().chain(strays.iter().map(past)) {
            // A fetcher that is denied something asks again.
            if !denied.contains(&one) {
                denied.push(one);
            }
        }
        Ok(Built {
            said: said?,
            denied,
            requests: Some(ended.requests),
        })
    }

    /// Realises derivations; why not, where that fails.
    fn realise(
        &self,
        network: &Network,
        drvs: &[String],
        token: Option<&str>,
        watch: &Watch<'_>,
    ) -> Result<Option<String>, Stop> {
        for drvs in drvs.chunks(AT_ONCE) {
            let args = [&["--realise".to_owned()], drvs].concat();
            let said = self.run(network, &args, token, watch)?;
            if !said.is_success() {
                return Ok(Some(why(&said)));
            }
        }
        Ok(None)
    }

    fn run(
        &self,
        network: &Network,
        args: &[String],
        token: Option<&str>,
        watch: &Watch<'_>,
    ) -> Result<Said, Stop> {
        let [out, log] = &self.said;
        for file in &self.said {
            file.set_len(0).map_err(Halt::Scratch)?;
        }
        let reach = Reach {
            port: network.port(),
            token,
            trust: None,
        };
        let mut command = self
            .nix
            .inside(args, &reach, Stdout::Inherit)
            .map_err(|failure| halt(&failure))?;
        // What Nix says is read word by word; who has the bytes by their hash is not the source.
        for (name, value) in [("LC_ALL", "C"), ("NIX_HASHED_MIRRORS", " ")] {
            command.environment.push((name.into(), value.into()));
        }
        self.is_any.store(true, Ordering::Relaxed);
        let begun = watch.begin();
        let mut over = Ok(None);
        let ended = network.run(&command, &mut || {
            over = begun.is_over(log);
            !matches!(over, Ok(None))
        });
        let end = match (ended.map_err(|failure| halt(&failure))?, over?) {
            (Ended::Asked, Some(end)) => end,
            (ended, _) => End::Itself {
                success: ended.is_success(),
            },
        };
        watch.said(end, out, log)
    }
}

/// A connection or a question that did not go to the proxy.
fn past(to: &To) -> Denied {
    let host = match to {
        To::Address(to) | To::Datagram(to) => to.to_string(),
        To::Name(name) => name.clone(),
    };
    let detail = line(&format!("its build {to}; {}", to.remedy())).into_owned();
    Denied { host, detail }
}

fn why(said: &Said) -> String {
    match said.end {
        End::Itself { .. } => said.last_line(),
        End::Slow => "its build took too long".to_owned(),
        End::Loud => "its build printed too much".to_owned(),
    }
}

fn halt(failure: &Failure) -> Stop {
    Stop::Halt(Halt::Network(failure.text()))
}
