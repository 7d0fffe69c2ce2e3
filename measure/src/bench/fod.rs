//! Fixed-output derivations: listing those of a whole package set, written out as a store has them, and
//! what knowing how things are fetched costs an ordinary scan.
//!
//! It fails unless the counts by class, tool, hash and mode are those that are counted here in the data
//! itself, by other code and other rules.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snowguard_fod::Fod;
use snowguard_inventory::Recipe;
use snowguard_store::derivation::json::DerivationSet;
use snowguard_store::{Derivation, StoreDir};

use super::meter::{self, Measured};
use super::times::{Times, median, megabytes, sorted};
use super::{Common, fod_proxy, fod_verify, product, say, scan, write};
use crate::dataset;

/// How many derivations are held at once while they are written.
const TOGETHER: usize = 4_096;

/// What stands where the data set leaves a longer text out.
const LEFT_OUT: &str = "(left out)";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    proxy: fod_proxy::Args,
}

#[derive(Debug, Serialize)]
pub(super) struct Listed {
    /// Written as `.drv` files.
    derivations: usize,
    drvs_mb: f64,
    fixed_output: usize,
    /// `snowguard fod list` over the files, in seconds: the median.
    list_s: f64,
    /// The same as it was measured, in milliseconds; `peak_mb` is of the whole process.
    #[serde(flatten)]
    list: Times,
    /// All rows as JSON lines.
    jsonl: Times,
    /// By class, tool, algorithm and mode, as listed and as counted in the data.
    counts: Vec<Count>,
    scan: OfScan,
    verify: fod_verify::Verified,
    proxy: fod_proxy::Told,
}

/// So many of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    values: Vec<String>,
    count: usize,
}

/// What a scan of a system spends on how its sources are fetched.
#[derive(Debug, Serialize)]
struct OfScan {
    derivations: usize,
    fixed_output: usize,
    /// Taking all facts out of all derivations, on one core: the median.
    recipes_ms: f64,
    /// Of that, what is known of fixed-output ones.
    fods_ms: f64,
    /// The whole scan.
    scan: Times,
}

pub(super) fn measure(args: &Args) -> Result<Listed> {
    let proxy = &args.proxy;
    let args = &args.common;
    let folder = args.work.join("fod-drvs");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder}"))?;
    say("writing the derivations as files");
    let file = args.data.join(&args.set).join("derivations.jsonl.zst");
    let (written, expected) = write_all(&file, &folder)?;

    let program = product::program()?;
    let settings = args.work.join("snowguard.toml");
    write(&settings, b"")?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--quiet", "--config", settings.as_str(), "fod", "list"])
            .args(arguments)
            .arg(&folder);
        command
    };
    say("counting");
    let counts = counted(&mut command(&[
        "--count-by",
        "class,tool,algo,mode",
        "--format",
        "json",
    ]))?;
    ensure!(
        counts == expected,
        "the counts differ: listed {counts:?}, in the data {expected:?}"
    );
    say("listing");
    let (mut lists, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        lists.push(meter::run(&command(&[]), 0)?);
        lines.push(meter::run(&command(&["--format", "jsonl"]), 0)?);
    }
    let list = times(&lists)?;
    Ok(Listed {
        derivations: written.derivations,
        drvs_mb: megabytes(written.bytes),
        fixed_output: counts.iter().map(|count| count.count).sum(),
        list_s: list.wall_ms / 1e3,
        list,
        jsonl: times(&lines)?,
        counts,
        scan: of_scan(args)?,
        verify: fod_verify::usual(&program)?,
        proxy: fod_proxy::measure(proxy, &args.work)?,
    })
}

fn times(runs: &[Measured]) -> Result<Times> {
    Times::of(runs).context("nothing was run")
}

#[derive(Default)]
struct Written {
    derivations: usize,
    bytes: u64,
}

/// Writes all derivations of a file of the data set, and counts the fixed-output ones.
fn write_all(file: &Utf8Path, folder: &Utf8Path) -> Result<(Written, Vec<Count>)> {
    let mut written = Written::default();
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    let mut lines = dataset::lines(file)?;
    loop {
        let batch: Vec<Value> = lines.by_ref().take(TOGETHER).collect::<Result<_>>()?;
        if batch.is_empty() {
            break;
        }
        let sizes = batch.par_iter().map(|fact| write_one(fact, folder));
        written.bytes += sizes.collect::<Result<Vec<u64>>>()?.iter().sum::<u64>();
        written.derivations += batch.len();
        for key in batch.iter().filter_map(kind_of) {
            *counts.entry(key).or_default() += 1;
        }
    }
    Ok((written, in_order(counts)))
}

/// The most first, as they are listed.
fn in_order(counts: BTreeMap<Vec<String>, usize>) -> Vec<Count> {
    let mut counts: Vec<Count> = counts
        .into_iter()
        .map(|(values, count)| Count { values, count })
        .collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
    counts
}

/// Writes one as Nix does, with what the data set only names.
fn write_one(fact: &Value, folder: &Utf8Path) -> Result<u64> {
    let path = text(fact, "drv");
    let mut drv = dataset::derivation(fact);
    let names: Vec<String> = rows(&fact["env"], "present")
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect();
    let outputs: Vec<(String, Value)> = rows(fact, "outputs")
        .map(|output| {
            (
                output[0].as_str().unwrap_or_default().to_owned(),
                output[1].clone(),
            )
        })
        .collect();
    if let Some(env) = drv["env"].as_object_mut() {
        for name in names {
            env.entry(name).or_insert_with(|| json!(LEFT_OUT));
        }
        for (name, path) in outputs {
            env.entry(name).or_insert(path);
        }
    }
    let document = serde_json::to_vec(&json!({ path: drv }))?;
    let set = DerivationSet::from_json(&document, None).with_context(|| path.to_owned())?;
    let mut bytes = 0;
    for (path, drv) in &set.derivations {
        let text = drv.to_aterm(&set.dir);
        bytes += text.len() as u64;
        write(&folder.join(path.to_string()), &text)?;
    }
    Ok(bytes)
}

/// What `snowguard fod list` counts.
fn counted(command: &mut Command) -> Result<Vec<Count>> {
    let output = command.output().context("cannot start snowguard")?;
    if !output.status.success() {
        bail!(
            "snowguard fod list ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("snowguard fod list prints something else")
}

/// Class, tool, algorithm and mode of a fixed-output derivation of the data set; none for any other.
///
/// The classes are told by the names of what it is built with, and by nothing else than what its
/// fetchers set: not by the code that is measured.
fn kind_of(fact: &Value) -> Option<Vec<String>> {
    let output = rows(fact, "outputs").find(|output| output[3] != json!(""))?;
    let algo = output[2].as_str()?;
    let (algo, mode) = match algo.strip_prefix("r:") {
        Some(algo) => (algo, "nar"),
        None => (algo, "flat"),
    };
    let env = &fact["env"];
    let words = ["nativeBuildInputs", "buildInputs"]
        .into_iter()
        .flat_map(|name| text(env, name).split_whitespace());
    let inputs = rows(fact, "inputDrvs").filter_map(|input| input[0].as_str());
    let sources = rows(fact, "inputSrcs").filter_map(Value::as_str);
    let names: Vec<&str> = words
        .chain(inputs)
        .chain(sources)
        .filter_map(name_of)
        .collect();
    let one_of = |tools: &[(&'static str, &'static str)]| {
        let found = tools.iter().find(|(package, _)| has(&names, &[*package]));
        found.map(|(_, tool)| *tool)
    };
    let (class, tool) = if text(fact, "builder").starts_with("builtin:") {
        ("builtin", "builtin:fetchurl")
    } else if names.contains(&"restrict-message") {
        ("manual", "")
    } else if !text(env, "urls").trim().is_empty() {
        ("curl", "curl")
    } else if let Some(tool) = one_of(&PACKAGE_MANAGERS) {
        ("vendor", tool)
    } else if let Some(tool) = one_of(&OTHER_SYSTEMS) {
        ("vcs", tool)
    } else if has(&names, &["git", "nix-prefetch-git"]) {
        ("git", "git")
    } else if let Some(tool) = one_of(&[("wget", "wget"), ("curl", "curl")]) {
        ("curl", tool)
    } else if has(&names, &["nodejs"]) {
        ("vendor", "npm")
    } else if names.iter().all(|name| is_unpacked(name)) {
        ("nothing", "")
    } else {
        ("unknown", "")
    };
    Some([class, tool, algo, mode].map(str::to_owned).into())
}

/// What fetches for a language in the data set, and what it is called in the list. What builds with others of
/// them stands before these: Bazel has Go beside it.
const PACKAGE_MANAGERS: [(&str, &str); 19] = [
    ("bazel", "bazel"),
    ("gradle", "gradle"),
    ("sbt", "sbt"),
    ("apache-maven", "maven"),
    ("coursier", "coursier"),
    ("leiningen", "leiningen"),
    ("cargo", "cargo"),
    ("cargo-vendor-normalise", "cargo"),
    ("fetch-cargo-vendor-util", "cargo"),
    ("go", "go"),
    ("npm", "npm"),
    ("yarn", "yarn"),
    ("node_bower2nix", "bower"),
    ("composer", "composer"),
    ("dotnet-sdk", "nuget"),
    ("mix", "hex"),
    ("rebar3", "hex"),
    ("elixir", "hex"),
    ("chicken", "chicken"),
];

/// Version control systems in it, but for Git. `git-repo` is one of them: it fetches many at once.
const OTHER_SYSTEMS: [(&str, &str); 8] = [
    ("git-repo", "repo"),
    ("mercurial", "hg"),
    ("breezy", "bzr"),
    ("cvs", "cvs"),
    ("darcs", "darcs"),
    ("fossil", "fossil"),
    ("monotone", "mtn"),
    ("subversion", "svn"),
];

/// What only unpacks something, in the data set, or is unpacked: all else may fetch.
fn is_unpacked(name: &str) -> bool {
    const FILES: [&str; 13] = [
        ".sh", ".xz", ".gz", ".zip", ".tgz", ".otf", ".ttf", ".exe", ".deb", ".cab", ".txt",
        ".htm", ".conf",
    ];
    const TOOLS: [&str; 8] = [
        "bash",
        "source",
        "stdenv-linux",
        "unzip",
        "cabextract",
        "dpkg",
        "mkfontscale",
        "bdftopcf",
    ];
    FILES.iter().any(|end| name.ends_with(end)) || has(&[name], &TOOLS)
}

/// Whether one of the tools is among the names: `git-2.27.0`, `python3.8-breezy-3.0`; not what is an
/// archive or a patch of it.
fn has(names: &[&str], tools: &[&str]) -> bool {
    const FILES: [&str; 7] = [".gz", ".xz", ".bz2", ".tgz", ".zip", ".patch", ".crate"];
    let is_tool = |name: &str, tool: &str| {
        let rest = name.strip_prefix(tool).map(|rest| rest.strip_prefix('-'));
        match rest {
            Some(Some(version)) => version.starts_with(|c: char| c.is_ascii_digit()),
            Some(None) => name == tool,
            None => false,
        }
    };
    names
        .iter()
        .filter(|name| FILES.iter().all(|end| !name.ends_with(end)))
        .map(|name| match name.split_once('-') {
            Some((python, rest)) if python.starts_with("python") => rest,
            _ => name,
        })
        .any(|name| tools.iter().any(|tool| is_tool(name, tool)))
}

/// The name in a store path, of a derivation without its ending.
fn name_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.get(33..)?;
    Some(name.strip_suffix(".drv").unwrap_or(name))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn rows<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value[name].as_array().into_iter().flatten()
}

/// What a scan of the system of the data set spends on how sources are fetched.
fn of_scan(args: &Common) -> Result<OfScan> {
    say("scanning a system");
    let json = scan::system(args)?;
    let set = DerivationSet::from_json(&json, None)?;
    let file: Utf8PathBuf = args.work.join("nixos-system.json");
    write(&file, &json)?;
    let (product, _) = product::Product::build(args)?;
    let (mut recipes, mut fods, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    let mut fixed_output = 0;
    for _ in 0..args.runs {
        recipes.push(each(&set, |drv, dir| {
            std::hint::black_box(Recipe::of(drv, dir));
        }));
        fixed_output = 0;
        fods.push(each(&set, |drv, dir| {
            fixed_output += usize::from(std::hint::black_box(Fod::of(drv, dir)).is_some());
        }));
        scans.push(product.scan(&[file.as_str()])?);
    }
    let middle = |times: Vec<f64>| median(&sorted(times.into_iter())).context("nothing was run");
    Ok(OfScan {
        derivations: set.derivations.len(),
        fixed_output,
        recipes_ms: middle(recipes)?,
        fods_ms: middle(fods)?,
        scan: times(&scans)?,
    })
}

/// How long it takes for all, in milliseconds.
fn each(set: &DerivationSet, mut work: impl FnMut(&Derivation, &StoreDir)) -> f64 {
    let start = Instant::now();
    for (_, drv) in &set.derivations {
        work(drv, &set.dir);
    }
    start.elapsed().as_secs_f64() * 1e3
}

impl Listed {
    pub(super) fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{} derivations ({:.0} MB), {} fixed-output: listed in {:.2} s ({:.2} s of processor, {:.0} MB), \
             as JSON lines in {:.2} s ({:.0} MB)\n",
            self.derivations,
            self.drvs_mb,
            self.fixed_output,
            self.list_s,
            self.list.cpu_ms / 1e3,
            self.list.peak_mb,
            self.jsonl.wall_ms / 1e3,
            self.jsonl.peak_mb,
        );
        for count in &self.counts {
            let _ = writeln!(text, "{:>7}  {}", count.count, count.values.join(" "));
        }
        let _ = writeln!(
            text,
            "a system of {} derivations, {} fixed-output: scanned in {:.1} ms; all facts {:.1} ms on one core, \
             of which {:.1} ms how things are fetched",
            self.scan.derivations,
            self.scan.fixed_output,
            self.scan.scan.wall_ms,
            self.scan.recipes_ms,
            self.scan.fods_ms
        );
        text + &self.verify.text() + &self.proxy.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_known_by_name_and_version() {
        assert!(has(&["git-2.27.0"], &["git"]));
        assert!(has(&["git"], &["git"]));
        assert!(has(&["python3.8-breezy-3.0"], &["breezy"]));
        for other in ["git-lfs-2.0", "gitea-1.0", "git-2.27.0.tar.xz", "go.patch"] {
            assert!(!has(&[other], &["git", "go"]), "{other}");
        }
        let path = "/nix/store/004ldcwhncm4f629h5cdaa9zyn40ak37-stdenv-linux.drv";
        assert_eq!(name_of(path), Some("stdenv-linux"));
        assert_eq!(name_of("bash"), None);
    }

    #[test]
    fn what_is_fixed_has_a_kind() {
        let mut fact = json!({
            "outputs": [["out", "/nix/store/99qn3d3yh1xaw9gnlp94p8r3gz251h5v-x.tgz", "r:sha256", "14"]],
            "inputDrvs": [["/nix/store/91nazxhnmv39p5p128znvfnh5nmlmfhh-git-2.27.0.drv", ["out"]]],
            "inputSrcs": [],
            "builder": "/bin/sh",
            "env": { "urls": "https://x.org/x.tgz" },
        });
        let kind = |fact: &Value| kind_of(fact).map(|kind| kind.join(" "));
        assert_eq!(kind(&fact).as_deref(), Some("curl curl sha256 nar"));
        fact["env"] = json!({});
        assert_eq!(kind(&fact).as_deref(), Some("git git sha256 nar"));
        for (input, class) in [
            ("x-1.tar.xz", "nothing "),
            ("x-1.ttf", "nothing "),
            ("python3-3.8", "unknown "),
            ("nodejs-12.18.3", "vendor npm"),
            ("python3.8-mercurial-5.4", "vcs hg"),
        ] {
            let path = format!("/nix/store/91nazxhnmv39p5p128znvfnh5nmlmfhh-{input}.drv");
            fact["inputDrvs"][0][0] = json!(path);
            assert_eq!(kind(&fact), Some(format!("{class} sha256 nar")));
        }
        fact["outputs"][0][3] = json!("");
        assert_eq!(kind(&fact), None);
    }
}
