//! `snowguard fod verify`, as it is asked for.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use snowguard_report::fod::Condition;

use super::{From, Through};
use crate::cli::attest::Keys;

#[derive(Args)]
#[command(after_help = "\
Examples:
  nix path-info --derivation nixpkgs#hello | xargs snowguard fod verify
  snowguard fod verify --plan drvs/
  snowguard fod verify --where host=github.com --queue fods.db drvs/
  snowguard fod verify --queue fods.db --again mismatch,gone --max-age 30 drvs/
  snowguard fod verify --build --where class=vendor system.drv
  snowguard fod verify --sign ci-1 --statements statements/ drvs/
  snowguard fod verify --format jsonl drvs/ | jq -r 'select(.verdict == \"gone\").name'

What is exact without a builder is fetched and compared here: files, archives that are
only unpacked, commits. --plan says which are, and why the others are not. Hashed mirrors
(tarballs.nixos.org) are not asked: that they have it says nothing of the source.

Verdicts: ok, mismatch, gone, redirect, tls, denied, failed, transient, needs-builder,
not-fetchable.

A run with --queue does what it was asked for, and nothing else that waits there. What was
transient is tried again by every run; what needs a builder by one with --build, what was
denied by one with --allow-private, and what was tls by one with --ca-file. What was
fetched directly is fetched again where it is to go through the proxy, and what was found under
other exceptions of --policy, --allow-private or --ca-file is found anew.

Exit status: 0 verified, 1 some have a verdict of --fail-on, 2 failure.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command line"
)]
pub(crate) struct Verify {
    /// What to read: .drv files with what they need, a directory or tar of them, JSON of `nix
    /// derivation show`, a package set with --derivations; - for stdin [default with --plan: the
    /// running system]
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) from: From,
    /// Only some, as for list: COLUMN=VALUE,VALUE, or != for the others. Several must all hold
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) conditions: Vec<Condition>,
    /// Tells how each would be verified, and why; nothing is fetched
    #[arg(long, conflicts_with_all = ["queue", "again", "build"])]
    pub(crate) plan: bool,
    /// How many at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) jobs: u16,
    /// How many ask one host at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) per_host: u16,
    /// So many milliseconds between two requests to one host
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) pace: u64,
    /// How often what fails for now is tried, with longer and longer pauses
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) tries: u32,
    /// So many MiB of the disk may all take together for a while; what does not fit beside others waits
    /// [default: three quarters of what is free, at most 64 GiB]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) disk: Option<u64>,
    /// Keeps what was done, so that it is not done again: a file, or a URL of PostgreSQL, where several
    /// work together
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) queue: Option<String>,
    /// With --queue: verifies again what has one of these verdicts, or all
    #[arg(
        long,
        value_name = "VERDICT",
        value_delimiter = ',',
        requires = "queue"
    )]
    pub(crate) again: Vec<String>,
    /// Builds with Nix what nothing less is exact for, in a store that begins empty and is gone afterwards; what is
    /// fetched with comes from the store that Nix uses, or from its substituters
    #[arg(long)]
    pub(crate) build: bool,
    /// With --build: another store, as Nix's --store takes it, which keeps what is built; `auto` is the one
    /// that Nix uses
    #[arg(long, value_name = "STORE", requires = "build")]
    pub(crate) build_store: Option<String>,
    /// With --build: how many seconds one build may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3 * 60 * 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) build_timeout: u32,
    /// Fetches through the proxy, each under the policy of its derivation: hosts that its URLs name, and what
    /// --policy allows. With --build, Nix builds where nothing else can be reached
    #[arg(long, conflicts_with_all = ["plan", "allow_private"])]
    pub(crate) proxy: bool,
    #[command(flatten)]
    pub(crate) through: Through,
    /// Hosts of private networks may be asked as well, and proxies of the environment are used
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Authorities that are trusted beside the system's, in PEM; git trusts them in their place
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<Utf8PathBuf>,
    /// With --queue: verifies again what was found longer ago than so many days
    #[arg(long, value_name = "DAYS", requires = "queue")]
    pub(crate) max_age: Option<u32>,
    /// The verdicts that make the exit status 1, or never
    #[arg(
        long,
        value_name = "VERDICT",
        value_delimiter = ',',
        default_value = "mismatch,gone,redirect,tls,denied,failed,transient,needs-builder"
    )]
    pub(crate) fail_on: Vec<String>,
    /// Signs what was found with this key, one statement for each derivation; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        requires = "statements",
        conflicts_with = "plan"
    )]
    pub(crate) sign: Vec<String>,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// With --sign: the directory that the statements are put into
    #[arg(long, value_name = "DIR", requires = "sign")]
    pub(crate) statements: Option<Utf8PathBuf>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: VerifyFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// Shows every one, also those that are as promised
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyFormat {
    /// For people
    #[default]
    Text,
    /// Everything, schema snowguard-fod-verify/1
    Json,
    /// One JSON document a line for each
    Jsonl,
    /// One page, self-contained
    Html,
}
