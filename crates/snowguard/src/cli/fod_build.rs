//! `snowguard fod build`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

#[derive(Args)]
#[command(after_help = "\
What is built is asked of Nix first; what a substituter has is fetched as usual.
Then each fixed-output derivation is built, one at a time, in a network of its
own in which only the proxy can be reached, and last all others there too. What
goes past the proxy is refused and told. Remote builders are not used.

It needs a store that you may write to: one of your own, or that of the machine
as root. Nix's sandbox must be on, and root needs build users: that keeps
builders from asking services of this machine through Unix sockets, and in the
network. Builders, and what evaluates, are given little of the environment; see
--pass-env.

Examples:
  snowguard fod build -- nix-build '<nixpkgs>' -A hello
  snowguard fod build --mode audit -- nix build .#hello
  snowguard fod build --mode inspect --record bodies -- nix-build release.nix
  snowguard fod build --mode replay --record bodies -- nix-build release.nix
  snowguard fod build --policy exceptions.toml --report build.json -- \\
    nix-store --realise /nix/store/…-system.drv

Exit status: 0 built, 1 something was denied, refused or not what it should be,
2 failure.")]
pub(crate) struct Build {
    /// What the proxy does
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// What may be reached beyond what derivations say: reviewed exceptions
    /// [default: /etc/snowguard/fod-build-policy.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<Utf8PathBuf>,
    /// Where the proxy writes what was asked for and what came
    /// [default: `$XDG_DATA_HOME/snowguard/fod-evidence.jsonl`]
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<Utf8PathBuf>,
    /// With --mode inspect: keeps the bodies that come, by their hashes, in a directory; with replay: answers from there
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<Utf8PathBuf>,
    /// Where to write what came of each derivation, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<Utf8PathBuf>,
    /// A variable that expressions and builders may read, beside the proxy's and those of Nix itself; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,
    /// Builds without Nix's sandbox and, as root, without build users: then builders can get past the proxy through
    /// services of this machine, and as root at all
    #[arg(long)]
    pub(crate) without_sandbox: bool,
    /// An option for `snowguardd fod-proxy`; may be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) proxy_option: Vec<String>,
    /// The program that makes the network [default: snowguard-confine beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) helper: Option<Utf8PathBuf>,
    /// The program with the proxy [default: snowguardd beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) daemon: Option<Utf8PathBuf>,
    /// The command of Nix: nix-build, nix build, or nix-store --realise
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Denies nothing, and says what it would deny
    Audit,
    /// Denies what is not allowed; TLS is carried as it is
    #[default]
    Tunnel,
    /// Takes TLS off as well, and sees what is fetched
    Inspect,
    /// Answers from a record, and nothing goes out
    Replay,
}

impl Mode {
    /// The word that the proxy knows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Tunnel => "tunnel",
            Self::Inspect => "inspect",
            Self::Replay => "replay",
        }
    }
}
