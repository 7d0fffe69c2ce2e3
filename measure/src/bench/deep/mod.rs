//! Inside the binaries: the components of a tree of real programs and packages, and what finding them
//! takes, beside the SBOM generators that the registries offer.
//!
//! All of them look at the same files, which are in the page cache, one after another in each round.
//! A component that a peer has and we have not counts as missed unless the bytes speak against it:
//! `compare` says which rule decided, `proof` where it stands.

mod bom;
mod compare;
mod fetch;
mod ours;
mod peers;
mod proof;
mod table;
mod tree;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use self::bom::Components;
use self::ours::{Ours, Store};
use self::peers::Peer;
use self::proof::Prover;
pub(super) use self::table::Deep;
use self::table::{Alone, Cold, PeerTold};
use self::tree::Tree;
use super::meter::{Measured, Ran, Reads};
use super::times::Times;
use super::{Format, say};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the tree, the peers and all that is downloaded are kept
    #[arg(long, value_name = "DIR", default_value = "target/bench/deep")]
    data: Utf8PathBuf,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// How often everything runs warm; the median is told
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Which others to measure beside
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["cdxgen", "syft"])]
    peers: Vec<peers::Name>,
    /// Without others
    #[arg(long, conflicts_with = "peers")]
    alone: bool,
    /// The program to measure [default: that of this source, built as it is installed]
    #[arg(long, value_name = "PROGRAM")]
    snowguard: Option<Utf8PathBuf>,
}

/// Second scans are short: so many of them in each round.
const SECOND: usize = 5;

pub(super) fn measure(args: &Args) -> Result<Deep> {
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot make {}; --data names another place", args.data))?;
    let data = args.data.canonicalize_utf8()?;
    let tree = Tree::get(&data)?;
    let ours = Ours::get(args.snowguard.clone(), &data)?;
    let peers: Vec<Peer> = if args.alone {
        Vec::new()
    } else {
        let names = args.peers.iter();
        names
            .map(|&name| Peer::get(name, &data))
            .collect::<Result<_>>()?
    };
    let store = Store::fill(data.join("store"), &tree.objects()?)?;

    say("with an empty page cache");
    ours.forget()?;
    evict(&tree.dir)?;
    let cold = ours.sbom(&tree.dir)?;

    say("with all in the page cache");
    warm(&tree.dir)?;
    let mut first = Vec::new();
    let (mut scans, mut seconds, mut store_first, mut stored) = (vec![], vec![], vec![], vec![]);
    let mut theirs: Vec<Vec<Ran>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.runs {
        ours.forget()?;
        first.push(ours.sbom(&tree.dir)?);
        ours.forget()?;
        scans.push(ours.scan(&tree.dir)?);
        for _ in 0..SECOND {
            seconds.push(ours.scan(&tree.dir)?);
        }
        if let Some(store) = &store {
            store_first.push(ours.scan_store(store)?);
            for _ in 0..SECOND {
                stored.push(ours.scan_store(store)?);
            }
        }
        for (peer, runs) in peers.iter().zip(&mut theirs) {
            runs.push(peer.run(&tree.dir, &data.join(format!("{}.json", peer.name)))?);
        }
    }

    say("comparing");
    let bom = data.join("snowguard.json");
    ours.write_sbom(&tree.dir, &bom)?;
    let (components, _) = bom::read(&bom, &tree.dir)?;
    let times = times_of(&first)?;
    let mut prover = Prover::new(&tree.dir)?;
    let peers = peers
        .iter()
        .zip(&theirs)
        .map(|(peer, runs)| {
            let bom = data.join(format!("{}.json", peer.name));
            told(
                peer,
                runs,
                &bom,
                &tree.dir,
                &times,
                &components,
                &mut prover,
            )
        })
        .collect::<Result<Vec<_>>>()?;
    let second = times_of(&seconds)?;
    let slowest = |times: &Option<Times>| times.as_ref().map_or(0.0, |times| times.wall_ms);
    let store_second = (!stored.is_empty())
        .then(|| times_of(&stored))
        .transpose()?;
    Ok(Deep {
        ratio_to_peer: peers.iter().map(|peer| peer.ratio).min_by(f64::total_cmp),
        missed_components: compare::missed(peers.iter().flat_map(|peer| &peer.missing)),
        second_scan_ms: second.wall_ms.max(slowest(&store_second)),
        ours: Alone {
            version: ours.version.clone(),
            components: components.len(),
            by_kind: table::by_kind(&components),
            times,
            scan: times_of(&scans)?,
            second_scan: second,
            second_scan_reads: seconds.last().map(|ran| ran.reads),
            store_objects: store.as_ref().map_or(0, |store| store.paths.len()),
            store_scan: (!store_first.is_empty())
                .then(|| times_of(&store_first[..1]))
                .transpose()?,
            store_second_scan: store_second,
            reads: reads(&first),
            cold: Cold::of(&cold, tree.told.bytes),
        },
        tree: tree.told,
        peers,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        runs: args.runs.into(),
    })
}

fn told(
    peer: &Peer,
    runs: &[Ran],
    bom: &Utf8Path,
    tree: &Utf8Path,
    ours: &Times,
    components: &Components,
    prover: &mut Prover<'_>,
) -> Result<PeerTold> {
    let (theirs, without_version) = bom::read(bom, tree)?;
    let times = times_of(runs)?;
    let only_ours = compare::only_ours(components, &theirs);
    Ok(PeerTold {
        name: peer.name,
        version: peer.version.clone(),
        how: peer.how,
        network: peer.network,
        ratio: times.wall_ms / ours.wall_ms,
        cpu_ratio: times.cpu_ms / ours.cpu_ms,
        components: theirs.len(),
        without_version,
        both: theirs
            .keys()
            .filter(|key| components.contains_key(key))
            .count(),
        by_kind: table::by_kind(&theirs),
        missing: compare::missing(components, &theirs, prover)?,
        only_ours,
        reads: reads(runs),
        times,
    })
}

fn reads(runs: &[Ran]) -> Reads {
    runs.last().map(|ran| ran.reads).unwrap_or_default()
}

fn times_of(runs: &[Ran]) -> Result<Times> {
    let measured: Vec<Measured> = runs.iter().map(|ran| ran.measured).collect();
    Times::of(&measured).context("nothing was run")
}

/// Reads all files, so that everybody finds them in the page cache.
fn warm(root: &Utf8Path) -> Result<()> {
    tree::walk(root, &mut |path, kind| {
        if kind.is_file() {
            let mut file = std::fs::File::open(path)?;
            std::io::copy(&mut file, &mut std::io::sink())?;
        }
        Ok(())
    })
}

/// Asks the kernel to forget what is in the files; it does, unless somebody uses them.
fn evict(root: &Utf8Path) -> Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    // What was not written yet cannot be forgotten.
    nix::unistd::sync();
    tree::walk(root, &mut |path, kind| {
        if kind.is_file() {
            let file = std::fs::File::open(path)?;
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        Ok(())
    })
}
