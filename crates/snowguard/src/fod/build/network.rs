//! A network in which Nix builds: nothing leads out of it but the proxy's socket, and what goes past that is told.

use std::net::TcpListener;
use std::process::Stdio;

use camino::Utf8Path;
use snowguard_confine::{Command, Confined, Ended, Stopper};
use snowguard_report::escape::line;

use super::nix::Nix;
use super::program;
use super::strays::{Stray, Strays};
use crate::error::Failure;
use crate::output::Terminal;

/// A network; all that runs in it ends with it.
#[derive(Debug)]
pub(in crate::fod) struct Network {
    confined: Confined,
    strays: Strays,
    port: u16,
}

impl Network {
    /// Makes it, and the socket of its proxy. An error where builders could not be kept in it: nothing has been run
    /// then. What runs there prints where it is said.
    pub(in crate::fod) fn start(
        nix: &Nix,
        helper: Option<&Utf8Path>,
        [stdout, stderr]: [Stdio; 2],
        (terminal, quiet): (&Terminal, bool),
    ) -> Result<(Self, TcpListener), Failure> {
        nix.check_builders()?;
        let helper = program(helper, "snowguard-confine")?;
        let (confined, sockets) = Confined::start_saying(&helper, stdout, stderr)?;
        match confined.together() {
            Some(why) if nix.is_without_sandbox() => terminal.warning(&format!(
                "builders see processes and Unix sockets of this machine, and what one leaves behind goes on: {}",
                line(why)
            )),
            Some(why) => {
                return Err(Failure::message(format!(
                    "builders cannot be kept from processes and Unix sockets of this machine: {}",
                    line(why)
                ))
                .hint("a container must let it mount /proc")
                .maybe_hint(nix.goes_without()));
            }
            None => {}
        }
        // In the sandbox nobody sees where they are.
        if let Some(missed) = confined.missed().filter(|_| nix.is_without_sandbox()) {
            terminal.warning(&format!(
                "builders may reach Unix sockets of this machine that were renamed, or are of another network: {}",
                line(missed)
            ));
        }
        if let Some(why) = confined.untold().filter(|_| !quiet) {
            terminal.warning(&format!(
                "what goes past the proxy is refused, but not told: {why}"
            ));
            terminal.hint("connections are told with nftables' `nft`, datagrams with the right to open raw sockets");
        }
        let port = sockets.proxy.local_addr().map_err(Failure::new)?.port();
        let network = Self {
            confined,
            strays: Strays::watch(sockets.strays, sockets.datagrams),
            port,
        };
        Ok((network, sockets.proxy))
    }

    /// The port of the proxy, on loopback in there.
    pub(in crate::fod) fn port(&self) -> u16 {
        self.port
    }

    /// What ends all that runs in it, from another thread.
    pub(super) fn stopper(&self) -> Result<Stopper, Failure> {
        Ok(self.confined.stopper()?)
    }

    /// What goes past the proxy; which derivation is built is said there.
    pub(in crate::fod) fn strays(&self) -> &Strays {
        &self.strays
    }

    /// Runs a command to its end, or until it is over.
    pub(in crate::fod) fn run(
        &self,
        command: &Command,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Ended, Failure> {
        Ok(self.confined.run_until(command, is_over)?)
    }

    /// Ends it; what went past the proxy, and how many more there were.
    pub(in crate::fod) fn end(self, terminal: &Terminal) -> (Vec<Stray>, u64) {
        let Self {
            confined, strays, ..
        } = self;
        drop(confined);
        let (all, more) = strays.all();
        for stray in &all {
            terminal.warning(&line(&stray.to_string()));
            terminal.hint(stray.to.remedy());
        }
        if more > 0 {
            terminal.warning(&format!(
                "past the proxy went {more} more, which were stopped as well"
            ));
        }
        (all, more)
    }
}
