//! Under what something is fetched. What allows it belongs to what was found: without it, nothing would have come. So it
//! is a part of the key under which a queue keeps that, and a run with other terms finds it anew.

use std::fmt::Write as _;

use camino::Utf8Path;
use jiff::civil::Date;
use snowguard_fod::Fod;
use snowguard_fod::policy::Exceptions;
use snowguard_store::{Hash, HashAlgo};

use super::build::proxy::policy;
use crate::cli::fod::Verify;
use crate::error::Failure;
use crate::scan::now;

/// What holds for a run.
#[derive(Debug)]
pub(super) struct Terms {
    /// For all; empty for what is usual.
    common: String,
    /// Where it goes through a proxy.
    exceptions: Option<Exceptions>,
    today: Date,
}

impl Terms {
    /// As they are given.
    pub(super) fn of(args: &Verify) -> Result<Self, Failure> {
        let mut common = String::new();
        if args.allow_private {
            common.push_str("allow-private\n");
        }
        if let Some(path) = &args.ca_file {
            let bytes = read(path)?;
            if let Some(hash) = Hash::of(HashAlgo::Sha256, &bytes) {
                let _ = writeln!(common, "ca-file {hash}");
            }
        }
        let exceptions = match policy(args.through.policy.as_deref()).filter(|_| args.proxy) {
            Some(path) => {
                let text = String::from_utf8_lossy(&read(path)?).into_owned();
                let read = Exceptions::parse(&text)
                    .map_err(|error| Failure::new(error).context(format!("cannot use {path}")))?;
                Some(read)
            }
            None => None,
        };
        if let Some(exceptions) = &exceptions {
            let _ = writeln!(common, "limits {:?}", exceptions.limits());
        }
        for option in args.through.proxy_option.iter().filter(|_| args.proxy) {
            let _ = writeln!(common, "proxy-option {option}");
        }
        Ok(Self {
            common,
            exceptions,
            today: now().1,
        })
    }

    /// Those of one: only the exceptions that concern it, and are in force.
    pub(super) fn text(&self, fod: &Fod) -> String {
        let mut text = self.common.clone();
        let all = self
            .exceptions
            .iter()
            .flat_map(|all| all.in_force(self.today));
        for one in all.filter(|one| one.concerns(fod)) {
            let _ = write!(text, "exception {:?}", one.protocols);
            for (host, port) in &one.hosts {
                let _ = write!(text, " {host} {port:?}");
            }
            text.push_str(if one.private { " private\n" } else { "\n" });
        }
        text
    }
}

#[expect(clippy::disallowed_methods, reason = "the face reads its settings")]
fn read(path: &Utf8Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::cannot_read_settings(path, source))
}
