//! Ours and theirs in turns: the same records, the same input.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::feed::Served;
use super::meter::Measured;
use super::product::Product;
use super::report::Peer;
use super::server::Server;
use super::times::Times;
use super::vulnix::Vulnix;
use super::{Common, feed, say};
use crate::dataset;

/// What both took, warm.
pub(super) struct Race {
    pub(super) ours: Times,
    pub(super) theirs: Option<Peer>,
}

impl Race {
    /// Their time by ours.
    pub(super) fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.as_ref()?;
        Some(theirs.times.wall_ms / self.ours.wall_ms)
    }

    /// The same of the work of all threads, which other programs on the machine disturb less.
    pub(super) fn cpu_ratio(&self) -> Option<f64> {
        let theirs = self.theirs.as_ref()?;
        Some(theirs.times.cpu_ms / self.ours.cpu_ms)
    }
}

/// `theirs` makes the input in the form that vulnix reads.
pub(super) fn race(
    args: &Common,
    product: &Product,
    inputs: &[&str],
    theirs: impl FnOnce() -> Result<Vec<String>>,
) -> Result<Race> {
    let mut peer = if args.alone {
        None
    } else {
        Some(Opponent::prepare(args, product.index(), theirs()?)?)
    };
    say("measuring");
    let mut ours = Vec::new();
    for _ in 0..args.runs {
        ours.push(product.scan(inputs)?);
        if let Some(peer) = &mut peer {
            peer.runs
                .push(peer.vulnix.scan(&peer.inputs, &peer.server)?);
        }
    }
    Ok(Race {
        ours: Times::of(&ours).context("nothing was run")?,
        theirs: peer.map(Opponent::finish).transpose()?,
    })
}

struct Opponent {
    vulnix: Vulnix,
    server: Server,
    served: Served,
    inputs: Vec<String>,
    cold: Measured,
    runs: Vec<Measured>,
}

impl Opponent {
    /// Serves the records, and lets it load them.
    fn prepare(args: &Common, index: &Utf8Path, inputs: Vec<String>) -> Result<Self> {
        let vulnix = Vulnix::find(args.vulnix.as_deref(), &args.work)?;
        say("writing the same records as feeds for vulnix");
        let folder = args.work.join("feed");
        let served = feed::write(index, &dataset::descriptions(&args.data)?, &folder)?;
        let server = Server::start(&folder)?;
        say("vulnix, with an empty cache");
        vulnix.forget()?;
        let cold = vulnix.scan(&inputs, &server)?;
        Ok(Self {
            vulnix,
            server,
            served,
            inputs,
            cold,
            runs: Vec::new(),
        })
    }

    fn finish(self) -> Result<Peer> {
        Ok(Peer {
            version: self.vulnix.version().to_owned(),
            times: Times::of(&self.runs).context("vulnix did not run")?,
            cold: self.cold,
            served: self.served,
            findings: self.vulnix.findings(&self.inputs, &self.server)?,
        })
    }
}
