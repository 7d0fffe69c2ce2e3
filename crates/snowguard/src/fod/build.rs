//! `snowguard fod build`: a build whose fixed-output derivations reach the network through the proxy only.
//!
//! Whatever may build runs in a network in which nothing leads out (`snowguard_confine`), with substituters
//! and remote builders switched off. What runs outside of it may not build (`max-jobs = 0`): evaluation, what
//! substituters have, and in the end the command itself, which finds everything there.

pub(super) mod network;
pub(super) mod nix;
mod packets;
pub(super) mod plan;
pub(super) mod proxy;
pub(super) mod settings;
pub(super) mod strays;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use snowguard_confine::ConfineError;
use snowguard_report::escape::line;

use self::network::Network;
use self::nix::{Nix, Reach};
use self::plan::Plan;
use self::proxy::Proxy;
use self::strays::Stray;
use crate::Findings;
use crate::cli::Global;
use crate::cli::fod_build::{Build, Mode};
use crate::error::Failure;
use crate::index::data_directory;
use crate::output::Terminal;

pub(super) fn run(global: &Global, args: &Build, terminal: &Terminal) -> Result<Findings, Failure> {
    let scratch = scratch()?;
    let place = utf8(scratch.path())?;
    let mut nix = Nix::find(args, place)?;
    let evidence = evidence(args)?;
    let daemon = program(args.daemon.as_deref(), "snowguardd")?;
    // Before anything is fetched, also by an evaluation or a substituter: what protects must be there.
    let run = Run::start(
        args,
        &nix,
        &daemon,
        &evidence,
        place,
        terminal,
        global.quiet,
    )?;
    let (mut watcher, at) = Proxy::watch(&daemon, &evidence, place)?;
    nix.watch_at(at);
    let plan = Plan::ask(&nix, &args.command, place)?;
    let evaluated = watcher.requests()?;
    tell_of_evaluation(evaluated, terminal);
    if !plan.built.is_empty() {
        // Who interrupts this wants all of it to end, and what protects to end last.
        let stopper = run.network.stopper()?;
        ctrlc::set_handler(move || stopper.stop()).map_err(Failure::new)?;
    }
    plan.substitute(&nix, place)?;
    let mut report = Report::default();
    if !plan.built.is_empty() {
        report = run.build(&nix, &plan, terminal, global.quiet)?;
    }
    report.evaluation.requests = evaluated;
    // Also where nothing had to be built: one that is there is of an earlier run.
    if let Some(path) = &args.report {
        terminal.data(&crate::scan::json(&report)?, Some(path))?;
    }
    if report.is_denied() {
        terminal.hint(&format!(
            "each request is in {}; `snowguardd fod-evidence --propose` makes exceptions of what is right",
            line(evidence.as_str())
        ));
    }
    if let Some(failed) = &report.failed {
        let told = format!("{} could not be built", line(failed));
        let failure = Failure::message(told.as_str());
        if report.has_findings() {
            terminal.error(&told);
            return Ok(Findings::Some);
        }
        return Err(failure.hint("what Nix says about it stands above"));
    }
    nix.finish(&args.command)?;
    // It evaluates again, and should have all that it needs.
    tell_of_evaluation(watcher.requests()? - evaluated, terminal);
    watcher.stop();
    Ok(report.has_findings().into())
}

/// What an evaluation fetches is nothing that a derivation promises, and is not held against one.
fn tell_of_evaluation(requests: u64, terminal: &Terminal) {
    if requests == 0 {
        return;
    }
    let times = if requests == 1 { "request" } else { "requests" };
    terminal.warning(&format!(
        "evaluation itself made {requests} {times}: nothing was denied, each is in the evidence as `evaluation`"
    ));
    terminal.hint("`builtins.fetchTarball` and its kin, and inputs of flakes, are fetched so: have them locked by hash");
}

/// What came of a build.
#[derive(Debug, Default, Serialize)]
struct Report {
    schema: Schema,
    /// The fixed-output derivations that were built, in order.
    derivations: Vec<Realised>,
    /// What tried to go past the proxy.
    strays: Vec<Stray>,
    /// How many there were beyond those.
    more_strays: u64,
    /// What could not be built, if something could not.
    failed: Option<String>,
    /// What was fetched to know what to build.
    evaluation: Evaluation,
}

#[derive(Debug, Default, Serialize)]
struct Evaluation {
    requests: u64,
}

#[derive(Debug, Default, Serialize)]
enum Schema {
    #[default]
    #[serde(rename = "snowguard-fod-build/1")]
    One,
}

#[derive(Debug, Serialize)]
struct Realised {
    derivation: String,
    built: bool,
    /// What the proxy says of it.
    verdict: String,
    /// All that it says.
    proxy: serde_json::Value,
    /// The first of what it denied, or would deny.
    denials: Vec<serde_json::Value>,
}

impl Report {
    fn has_findings(&self) -> bool {
        let is_bad =
            |verdict: &str| matches!(verdict, "policy-denied" | "mismatch" | "tls-failure");
        !self.strays.is_empty()
            || self.is_denied()
            || self
                .derivations
                .iter()
                .any(|one| is_bad(&one.verdict) || one.is_unseen())
    }

    /// Whether the proxy denied something, or would deny it.
    fn is_denied(&self) -> bool {
        self.derivations.iter().any(|one| one.denied() > 0)
    }
}

impl Realised {
    /// How many requests were denied, or would be.
    fn denied(&self) -> u64 {
        let counts = ["denied", "would_deny"].map(|field| self.proxy[field].as_u64());
        counts.into_iter().flatten().sum()
    }

    /// Tells what was denied, each once.
    fn tell_of_denied(&self, terminal: &Terminal) {
        let what = match self.proxy["would_deny"].as_u64() {
            None | Some(0) => "the proxy denied it",
            Some(_) => "the proxy would deny it",
        };
        let mut told = BTreeSet::new();
        for one in &self.denials {
            let one = proxy::denied(one, what);
            if told.insert((one.host.clone(), one.detail.clone())) {
                terminal.warning(&format!(
                    "{} asked for {}: {}",
                    line(&self.derivation),
                    line(&one.host),
                    one.detail
                ));
            }
        }
        let first = u64::try_from(self.denials.len()).unwrap_or(u64::MAX);
        if self.denied() > first {
            let more = self.denied() - first;
            terminal.warning(&format!("{more} more of its requests were denied"));
        }
    }

    /// Whether it is there though nobody saw it fetch: however that came, it came round the proxy, unless
    /// nothing had to be fetched for it.
    fn is_unseen(&self) -> bool {
        self.built && self.verdict == "nothing-fetched"
    }
}

/// A network with a proxy at its only way out.
struct Run {
    network: Network,
    proxy: Proxy,
    trust: Option<Utf8PathBuf>,
    roots: Utf8PathBuf,
}

impl Run {
    fn start(
        args: &Build,
        nix: &Nix,
        daemon: &Path,
        evidence: &Utf8Path,
        place: &Utf8Path,
        terminal: &Terminal,
        quiet: bool,
    ) -> Result<Self, Failure> {
        if args.without_sandbox {
            terminal.warning(
                "builders have no sandbox: they see the files of this machine, and, where they are root, \
                 can leave the network",
            );
        }
        let (network, socket) = Network::start(
            nix,
            args.helper.as_deref(),
            [Stdio::inherit(), Stdio::inherit()],
            (terminal, quiet),
        )?;
        let mut proxy = Proxy::start(daemon, socket, args, evidence, place)?;
        let trust = match args.mode {
            Mode::Inspect | Mode::Replay => Some(proxy.bundle(place)?),
            Mode::Audit | Mode::Tunnel => None,
        };
        Ok(Self {
            network,
            proxy,
            trust,
            roots: place.to_owned(),
        })
    }

    /// Builds all of a plan: fixed-output derivations one at a time, each under a token of its own.
    fn build(
        mut self,
        nix: &Nix,
        plan: &Plan,
        terminal: &Terminal,
        quiet: bool,
    ) -> Result<Report, Failure> {
        let mut report = Report::default();
        for (at, fixed) in plan.fixed.iter().enumerate() {
            // Another of the same name and hash was built meanwhile: nothing will be asked for.
            if nix.has(&fixed.outputs)? {
                continue;
            }
            if !quiet {
                let count = plan.fixed.len();
                let drv = line(&fixed.drv);
                terminal.note(&format!("{} of {count}: {drv}", at + 1));
            }
            // What it is built with is built by itself, and has no business with its token.
            let ready = fixed.inputs.is_empty() || self.realise(nix, &fixed.inputs, None)?;
            if !ready {
                report.failed = Some(fixed.drv.clone());
                break;
            }
            let begun = self.proxy.begin(nix.file(&fixed.drv).as_str())?;
            for url in &begun.uncarried {
                let drv = line(&fixed.drv);
                terminal.warning(&format!(
                    "{drv} names {}, which the proxy does not carry",
                    line(&url.host)
                ));
                terminal.hint(&line(&url.detail));
            }
            self.network.strays().building(Some(&fixed.drv));
            let built = self.realise(nix, std::slice::from_ref(&fixed.drv), Some(&begun.token))?;
            self.network.strays().building(None);
            let (told, denials) = self.proxy.end(&begun.token)?;
            let verdict = told["verdict"].as_str().unwrap_or("unknown").to_owned();
            if !quiet {
                terminal.note(&format!("{}: {}", line(&fixed.drv), line(&verdict)));
            }
            let realised = Realised {
                derivation: fixed.drv.clone(),
                built,
                verdict,
                proxy: told,
                denials,
            };
            realised.tell_of_denied(terminal);
            if realised.is_unseen() {
                terminal.warning(&format!(
                    "{} was built, and asked the proxy for nothing",
                    line(&fixed.drv)
                ));
                terminal.hint("it was fetched past the proxy, or its output needs no network");
            }
            report.derivations.push(realised);
            if !built {
                report.failed = Some(fixed.drv.clone());
                break;
            }
        }
        if report.failed.is_none() && !self.realise(nix, &plan.roots, None)? {
            report.failed = Some(plan.roots.join(", "));
        }
        (report.strays, report.more_strays) = self.network.end(terminal);
        self.proxy.stop();
        Ok(report)
    }

    /// Lets Nix build, in the network.
    fn realise(&self, nix: &Nix, drvs: &[String], token: Option<&str>) -> Result<bool, Failure> {
        // So many arguments fit every system.
        for drvs in drvs.chunks(500) {
            let first = drvs.first().and_then(|drv| Utf8Path::new(drv).file_name());
            let link = format!("built-{}", first.unwrap_or_default());
            let reach = Reach {
                port: self.network.port(),
                token,
                trust: self.trust.as_deref(),
            };
            let command = nix.realise(drvs, &self.roots.join(link), &reach)?;
            if !self.network.run(&command, &mut || false)?.is_success() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A program of ours: as named, else beside this one, else where packages put such programs.
pub(super) fn program(named: Option<&Utf8Path>, name: &str) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.into());
    }
    let own = std::env::current_exe().map_err(|source| {
        Failure::new(anyhow::Error::new(source).context("cannot find this program"))
    })?;
    let beside = own.parent().unwrap_or(Path::new("/"));
    [beside.join(name), beside.join("../libexec").join(name)]
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::message(format!("there is no {name} beside this program"))
                .hint("it comes with snowguard; --helper and --daemon name the two that are needed")
        })
}

fn evidence(args: &Build) -> Result<Utf8PathBuf, Failure> {
    let path = match &args.evidence {
        Some(path) => path.clone(),
        None => data_directory()
            .map(|data| data.join("fod-evidence.jsonl"))
            .ok_or_else(|| {
                Failure::message("there is no home directory for the evidence")
                    .hint("`--evidence FILE` says where it goes")
            })?,
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|source| Failure::cannot_write(parent, source))?;
    }
    Ok(path)
}

/// A directory for sockets and certificates. Others may pass through it, since builders read certificates
/// there as other users, and see nothing.
fn scratch() -> Result<tempfile::TempDir, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let made = tempfile::Builder::new()
        .prefix("snowguard-build-")
        .tempdir();
    made.and_then(|directory| {
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711))?;
        Ok(directory)
    })
    .map_err(|source| Failure::new(anyhow::Error::new(source).context("cannot make a directory")))
}

fn utf8(path: &Path) -> Result<&Utf8Path, Failure> {
    Utf8Path::from_path(path)
        .ok_or_else(|| Failure::message(format!("{} is no text", path.display())))
}

impl From<ConfineError> for Failure {
    fn from(error: ConfineError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}
