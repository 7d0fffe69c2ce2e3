//! How what is fetched again goes through the proxy.

use camino::Utf8PathBuf;
use clap::Args;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The proxy")]
pub(crate) struct Through {
    /// What may be reached beyond what each derivation names: reviewed exceptions
    /// [default: /etc/snowguard/fod-build-policy.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<Utf8PathBuf>,
    /// Keeps what was asked for and what came of it, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<Utf8PathBuf>,
    /// An option for `snowguardd fod-proxy`; may be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) proxy_option: Vec<String>,
    /// The program with the proxy [default: snowguardd beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) daemon: Option<Utf8PathBuf>,
    /// With --build: the program that makes the network in which Nix builds, where only the proxy can be reached
    /// [default: snowguard-confine beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) helper: Option<Utf8PathBuf>,
}

impl Through {
    /// Whether nothing of it was asked for.
    pub(crate) fn is_usual(&self) -> bool {
        self.policy.is_none()
            && self.evidence.is_none()
            && self.proxy_option.is_empty()
            && self.daemon.is_none()
            && self.helper.is_none()
    }
}
