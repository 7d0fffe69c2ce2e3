//! How what was fetched again went out.

use serde::Serialize;

use crate::words::number;

/// The way out, and what was seen on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "through", rename_all = "kebab-case")]
pub enum Egress {
    /// Through the proxy, each derivation under its own policy.
    Proxy {
        /// Requests and tunnels.
        requests: u64,
        /// Of these, those that were denied.
        denied: u64,
        /// Bytes that came.
        received: u64,
        /// Whether Nix built what only a build can tell, held to the proxy as well.
        builds: bool,
        /// Where it was written down, if it is kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
    },
    /// Directly: nothing held a derivation to what it names.
    Direct,
}

impl Egress {
    /// In one sentence, without the file of the evidence, whose name is somebody's text.
    pub fn sentence(&self) -> String {
        match self {
            Self::Proxy {
                requests,
                denied,
                received,
                builds,
                ..
            } => format!(
                "fetched through the proxy, each under the policy of its derivation: {} {}, {} denied, {} bytes{}",
                number(requests),
                if *requests == 1 { "request" } else { "requests" },
                number(denied),
                number(received),
                if *builds {
                    "; so was what Nix built"
                } else {
                    ""
                },
            ),
            Self::Direct => {
                "fetched directly and not through the proxy: nothing held a derivation to what it names"
                    .to_owned()
            }
        }
    }

    /// Where it was written down.
    pub fn evidence(&self) -> Option<&str> {
        match self {
            Self::Proxy { evidence, .. } => evidence.as_deref(),
            Self::Direct => None,
        }
    }
}
