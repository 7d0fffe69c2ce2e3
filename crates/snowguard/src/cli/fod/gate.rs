//! `snowguard fod gate`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{FailOn, From};

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard fod gate base.drv head.drv
  snowguard fod gate base.json head.json --verify --format markdown
  snowguard fod gate base/ head/ --waivers base/ci/fod-waivers.toml \\
    --verified verified.json --summary summary.md --sarif gate.sarif

Names, URLs and revisions are of whoever makes the change. In the summary they stand
in code spans: they can neither add lines to it nor hide any.

Take the waivers from the base and not from the change, which could waive itself.

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
    pub(crate) from: From,
    /// What is accepted, why and until when: a TOML file of `waiver`s
    #[arg(long, value_name = "FILE")]
    pub(crate) waivers: Option<Utf8PathBuf>,
    /// What became of fetching them again: JSON, schema snowguard-fod-verify/1. What the change adds or
    /// alters and is not in it is a finding
    #[arg(long, value_name = "FILE")]
    pub(crate) verified: Option<Utf8PathBuf>,
    /// Fetches again what the change adds or alters, and nothing else
    #[arg(long, conflicts_with = "verified")]
    pub(crate) verify: bool,
    /// With --verify: builds with Nix what nothing less is exact for; without, each such is a warning
    #[arg(long, requires = "verify")]
    pub(crate) build: bool,
    /// With --verify: keeps what was done, so that it is not done again
    #[arg(long, value_name = "FILE|URL", requires = "verify")]
    pub(crate) queue: Option<String>,
    /// With --verify: hosts of private networks may be asked as well, and proxies of the environment
    /// are used
    #[arg(long, requires = "verify")]
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
