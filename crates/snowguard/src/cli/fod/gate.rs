//! `snowguard fod gate`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{FailOn, Sides, Through};

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard fod gate base.drv head.drv
  snowguard fod gate base.json head.json --verify --format markdown
  snowguard fod gate base/ head/ --waivers base/ci/fod-waivers.toml \\
    --verified verified.json --summary summary.md --sarif gate.sarif

Names, URLs and revisions are of whoever makes the change. In the summary they stand
in code spans: they can neither add lines to it nor hide any.

Take the waivers, and --policy, from the base and not from the change, which could waive itself.

What blocks by default (--fail-on warning): forgotten hashes, what could not be verified, also
where only a build could tell, derivations that could not be read, and rules of that level. The
book's page on the gate has all of them. Where nothing is verified, the report says so.

Exit status: 0 it may pass, 1 something is as --fail-on says, 2 failure.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command"
)]
pub(crate) struct Gate {
    /// Before: as for list
    #[arg(value_name = "BASE")]
    pub(crate) base: Utf8PathBuf,
    /// After
    #[arg(value_name = "HEAD")]
    pub(crate) head: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) from: Sides,
    /// What is accepted, why and until when: a TOML file of `waiver`s
    #[arg(long, value_name = "FILE")]
    pub(crate) waivers: Option<Utf8PathBuf>,
    /// What became of fetching them again: JSON, schema snowguard-fod-verify/1. What the change adds or
    /// alters and is not in it is a finding
    #[arg(long, value_name = "FILE")]
    pub(crate) verified: Option<Utf8PathBuf>,
    /// Fetches again what the change adds or alters, and nothing else: through the proxy, each under the
    /// policy of its derivation
    #[arg(long, conflicts_with = "verified")]
    pub(crate) verify: bool,
    /// With --verify: fetches directly, and not through the proxy; every report says so
    #[arg(long, requires = "verify")]
    pub(crate) direct: bool,
    #[command(flatten)]
    pub(crate) through: Through,
    /// With --verify: builds with Nix what nothing less is exact for, where it reaches nothing but the proxy
    /// either; without, each such is a warning
    #[arg(long, requires = "verify")]
    pub(crate) build: bool,
    /// With --build: another store than one that begins empty and is gone afterwards, as Nix's --store takes
    /// it; `auto` is the one that Nix uses
    #[arg(long, value_name = "STORE", requires = "build")]
    pub(crate) build_store: Option<String>,
    /// With --build: how many seconds one build may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3 * 60 * 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) build_timeout: u32,
    /// With --verify: how many at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) jobs: u16,
    /// With --verify: how many ask one host at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) per_host: u16,
    /// With --verify: so many milliseconds between two requests to one host
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) pace: u64,
    /// With --verify: how often what fails for now is tried, with longer and longer pauses
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) tries: u32,
    /// With --verify: keeps what was done for 7 days, so that it is not done again. Keep it from who
    /// makes the change
    #[arg(long, value_name = "FILE|URL", requires = "verify")]
    pub(crate) queue: Option<String>,
    /// With --direct: hosts of private networks may be asked as well, and proxies of the environment
    /// are used. The proxy is told by --policy
    #[arg(long, requires = "direct")]
    pub(crate) allow_private: bool,
    /// With --verify: authorities that are trusted beside the system's, in PEM
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub(crate) ca_file: Option<Utf8PathBuf>,
    /// Derivations that could not be read are only noted: what they fetch is not known
    #[arg(long)]
    pub(crate) allow_incomplete: bool,
    /// What makes the exit status 1
    #[arg(long, value_enum, default_value_t = FailOn::Warning, value_name = "LEVEL")]
    pub(crate) fail_on: FailOn,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: GateFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// Also writes the summary, as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<Utf8PathBuf>,
    /// Also writes SARIF
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<Utf8PathBuf>,
    /// Also writes everything, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GateFormat {
    /// For people, and for the log of a job
    #[default]
    Text,
    /// The summary that a forge shows
    Markdown,
    /// Everything, schema snowguard-fod-gate/1
    Json,
    /// For code-scanning services
    Sarif,
}
