//! What will be built, as Nix says before anything is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::Utf8Path;
use snowguard_report::escape::line;
use snowguard_store::{Derivation, DerivationKind, StoreDir};

use super::nix::{Nix, complaints, output};
use crate::error::Failure;

/// The largest derivation that is read, in bytes.
const MOST: u64 = 64 << 20;

/// What will be built and fetched.
pub(in crate::fod) struct Plan {
    /// What is asked for.
    pub(super) roots: Vec<String>,
    /// All derivations that will be built.
    pub(in crate::fod) built: BTreeSet<String>,
    /// Of these, the ones whose output is fixed: each after those that it needs.
    pub(in crate::fod) fixed: Vec<Fixed>,
    /// What substituters have.
    pub(in crate::fod) fetched: Vec<String>,
}

/// A fixed-output derivation that will be built.
pub(in crate::fod) struct Fixed {
    pub(in crate::fod) drv: String,
    /// What it needs that will be built as well, and has no fixed output.
    pub(in crate::fod) inputs: Vec<String>,
    /// Where its outputs will lie. Another of the same name and hash has the same ones.
    pub(in crate::fod) outputs: Vec<String>,
}

impl Plan {
    /// Asks Nix what a command would build.
    pub(super) fn ask(nix: &Nix, command: &[String], place: &Utf8Path) -> Result<Self, Failure> {
        let roots = roots(nix, command, place)?;
        if roots.is_empty() {
            return Err(Failure::message("the command names nothing to build"));
        }
        let mut said = String::new();
        for roots in roots.chunks(500) {
            let mut asked = nix.outside("nix-store");
            said += &complaints(asked.args(["--realise", "--dry-run"]).args(roots))?;
        }
        Self::of(nix, roots, &said)
    }

    /// What Nix says that it would do for what is asked for (`nix-store --realise --dry-run`).
    pub(in crate::fod) fn of(nix: &Nix, roots: Vec<String>, said: &str) -> Result<Self, Failure> {
        let mut built = BTreeSet::new();
        let mut fetched = Vec::new();
        for path in said.lines().filter_map(|line| line.strip_prefix("  /")) {
            let path = format!("/{}", path.trim_end());
            if is_drv(&path) {
                built.insert(path);
            } else {
                fetched.push(path);
            }
        }
        let fixed = in_order(&read_all(nix, &built)?);
        Ok(Self {
            roots,
            built,
            fixed,
            fetched,
        })
    }

    /// Fetches what substituters have, with links to it in `place`, so that nothing collects it meanwhile. Nothing is
    /// built for it.
    pub(super) fn substitute(&self, nix: &Nix, place: &Utf8Path) -> Result<(), Failure> {
        for (at, paths) in self.fetched.chunks(500).enumerate() {
            let link = place.join(format!("substituted-{at}"));
            let mut command = nix.outside("nix-store");
            command.args(["--realise", "--add-root", link.as_str(), "--indirect"]);
            output(command.args(paths))?;
        }
        Ok(())
    }
}

/// The derivations that a command is about; they are instantiated, and nothing else happens.
fn roots(nix: &Nix, command: &[String], place: &Utf8Path) -> Result<Vec<String>, Failure> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::message("there is no command"))?;
    let name = Utf8Path::new(program).file_name().unwrap_or_default();
    let refused = |why: String| {
        Err(Failure::message(why)
            .hint("give nix-build, nix build or nix-store --realise, with what to build"))
    };
    // The first word of `nix build` and `nix-store --realise` is looked at below.
    let skipped = usize::from(name != "nix-build");
    if let Some(unfit) = arguments.iter().skip(skipped).find(|one| is_unfit(one)) {
        let unfit = line(unfit);
        return Err(
            Failure::message(format!("{unfit} does not go together with `fod build`"))
                .hint("options that say what to build, and where links go, do; each by itself"),
        );
    }
    match (name, arguments.first().map(String::as_str)) {
        ("nix-store", Some("--realise" | "-r")) => {
            let drvs = arguments.iter().filter(|argument| is_drv(plain(argument)));
            Ok(drvs.map(|drv| plain(drv).to_owned()).collect())
        }
        ("nix-build", _) => {
            let (drvs, rest): (Vec<_>, Vec<_>) = without(arguments, &["-o", "--out-link"], SILENT)
                .into_iter()
                .partition(|argument| is_drv(plain(argument)));
            let mut roots: Vec<String> = drvs.iter().map(|drv| plain(drv).to_owned()).collect();
            if roots.is_empty() || !rest.is_empty() {
                let link = place.join("root");
                let mut evaluator = nix.evaluating("nix-instantiate")?;
                let command = evaluator.command.args(["--add-root", link.as_str()]);
                roots.extend(resolved(&output(command.arg("--indirect").args(rest))?)?);
            }
            Ok(roots)
        }
        ("nix", Some("build")) => {
            let rest = without(&arguments[1..], &["-o", "--out-link", "--profile"], SILENT);
            let mut evaluator = nix.evaluating(program)?;
            let command = evaluator.command.args(["path-info", "--derivation"]);
            resolved(&output(command.args(rest))?)
        }
        _ => refused(format!(
            "`{}` is no command that builds",
            line(&command.join(" "))
        )),
    }
}

/// Options that say nothing about what is built.
const SILENT: &[&str] = &[
    "--no-link",
    "--no-out-link",
    "--print-out-paths",
    "--print-build-logs",
    "-L",
    "--json",
    "--keep-going",
    "-k",
];

/// Options that say what to build, and where links to it go.
const FIT: &[&str] = &[
    "--attr",
    "-A",
    "--expr",
    "-E",
    "--file",
    "-f",
    "--include",
    "-I",
    "--arg",
    "--argstr",
    "--impure",
    "--override-input",
    "--no-write-lock-file",
    "--show-trace",
    "--extra-experimental-features",
    "--experimental-features",
    "--out-link",
    "-o",
    "--profile",
    "--add-root",
    "--indirect",
];

/// Whether an argument may let Nix build outside of the network, or in another store, or again what is there:
/// every option that is not known. Nix takes several of one letter as one word, and what is on its command line
/// comes before what it is told here.
fn is_unfit(argument: &str) -> bool {
    argument.starts_with('-') && !FIT.contains(&argument) && !SILENT.contains(&argument)
}

/// Arguments but for options with a value and flags.
fn without<'a>(arguments: &'a [String], options: &[&str], flags: &[&str]) -> Vec<&'a String> {
    let mut kept = Vec::new();
    let mut all = arguments.iter();
    while let Some(argument) = all.next() {
        if options.contains(&argument.as_str()) {
            all.next();
        } else if !flags.contains(&argument.as_str()) {
            kept.push(argument);
        }
    }
    kept
}

/// The paths that lines name, links followed.
fn resolved(lines: &str) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for named in lines.lines().map(plain) {
        let path = Utf8Path::new(named);
        let target = path.read_link_utf8().unwrap_or_else(|_| path.to_owned());
        if !is_drv(target.as_str()) {
            return Err(Failure::message(format!(
                "{} is no derivation",
                line(named)
            )));
        }
        all.push(target.into_string());
    }
    Ok(all)
}

/// A path without the outputs that are asked for of it.
fn plain(argument: &str) -> &str {
    argument.split(['!', '^']).next().unwrap_or_default()
}

fn is_drv(path: &str) -> bool {
    path.starts_with('/') && Utf8Path::new(path).extension() == Some("drv")
}

/// A derivation, as far as it matters here.
struct Read {
    is_fixed: bool,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

#[expect(clippy::disallowed_methods, reason = "the face reads what Nix names")]
fn read_all(nix: &Nix, built: &BTreeSet<String>) -> Result<BTreeMap<String, Read>, Failure> {
    let mut all = BTreeMap::new();
    for path in built {
        let file = nix.file(path);
        let cannot = |source| Failure::cannot_read(&file, source);
        let size = fs::metadata(&file).map_err(cannot)?.len();
        let bytes = fs::read(&file).map_err(cannot)?;
        let wrong = || Failure::message(format!("{} is no derivation", line(path)));
        let (dir, drv) = StoreDir::split(path).map_err(|_| wrong())?;
        let name = drv
            .name()
            .strip_drv()
            .filter(|_| size <= MOST)
            .ok_or_else(wrong)?;
        let drv = Derivation::from_aterm(&bytes, name, &dir)
            .map_err(|error| Failure::new(error).context(format!("cannot read {}", line(path))))?;
        let inputs = drv.input_drvs().iter();
        let inputs = inputs
            .map(|input| dir.show(input.path()).to_string())
            .collect();
        let is_fixed = drv.kind().is_ok_and(|kind| kind == DerivationKind::Fixed);
        let outputs = drv.outputs().iter().filter_map(|(_, output)| output.path());
        let outputs = outputs.map(|path| dir.show(path).to_string()).collect();
        let read = Read {
            is_fixed,
            inputs,
            outputs,
        };
        all.insert(path.clone(), read);
    }
    Ok(all)
}

/// The fixed ones, each after all fixed ones that it needs, also through others.
fn in_order(all: &BTreeMap<String, Read>) -> Vec<Fixed> {
    let mut done = BTreeSet::new();
    let mut fixed = Vec::new();
    for start in all.keys() {
        // What is left, with whether all that it needs has been seen.
        let mut left = vec![(start, false)];
        while let Some((drv, seen)) = left.pop() {
            let Some(read) = all.get(drv) else { continue };
            if seen {
                let needs = read.inputs.iter();
                let inputs =
                    needs.filter(|input| all.get(*input).is_some_and(|read| !read.is_fixed));
                if read.is_fixed {
                    fixed.push(Fixed {
                        drv: drv.clone(),
                        inputs: inputs.cloned().collect(),
                        outputs: read.outputs.clone(),
                    });
                }
            } else if done.insert(drv) {
                left.push((drv, true));
                left.extend(read.inputs.iter().map(|input| (input, false)));
            }
        }
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(is_fixed: bool, inputs: &[&str]) -> Read {
        Read {
            is_fixed,
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            outputs: Vec::new(),
        }
    }

    #[test]
    fn what_is_needed_comes_first() {
        let all = BTreeMap::from([
            ("/a.drv".to_owned(), read(true, &["/tool.drv"])),
            ("/b.drv".to_owned(), read(true, &["/elsewhere.drv"])),
            ("/main.drv".to_owned(), read(false, &["/a.drv", "/b.drv"])),
            ("/tool.drv".to_owned(), read(false, &["/z.drv"])),
            ("/z.drv".to_owned(), read(true, &[])),
        ]);
        let fixed = in_order(&all);
        let order: Vec<&str> = fixed.iter().map(|one| one.drv.as_str()).collect();
        assert_eq!(order, ["/z.drv", "/a.drv", "/b.drv"]);
        assert_eq!(fixed[1].inputs, ["/tool.drv"]);
        assert!(fixed[2].inputs.is_empty());
    }

    #[test]
    fn options_about_results_are_left_out() {
        let arguments = ["-o", "x", "-A", "hello", "--no-out-link", "."].map(str::to_owned);
        let kept = without(&arguments, &["-o", "--out-link"], &["--no-out-link"]);
        assert_eq!(kept, ["-A", "hello", "."]);
        assert_eq!(plain("/nix/store/x.drv!out"), "/nix/store/x.drv");
        assert!(is_drv("/nix/store/x.drv") && !is_drv("x.drv") && !is_drv("/nix/store/x"));
    }

    #[test]
    fn options_that_nobody_knows_are_refused() {
        for unfit in [
            "-j",
            "-j4",
            "-kj8",
            "-Qj4",
            "-vj8",
            "-",
            "--",
            "--max-jobs",
            "--option",
            "--builders",
            "--accept-flake-config",
            "--rebuild",
            "--check",
            "--store",
            "--dry-run",
        ] {
            assert!(is_unfit(unfit), "{unfit}");
        }
        for fit in [
            "-A", "jq", "--json", "check", ".", "-I", "--arg", "-k", "-L",
        ] {
            assert!(!is_unfit(fit), "{fit}");
        }
    }
}
