//! The commands about fixed-output derivations.

pub(crate) mod gate;
mod through;
mod verify;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};
use snowguard_report::fod::{Column, Condition};

pub(crate) use through::Through;
pub(crate) use verify::{Verify, VerifyFormat};

#[derive(Subcommand)]
pub(crate) enum Fod {
    /// Lists fixed-output derivations: what fetches what from where, and what speaks against it
    List(List),
    /// Tells which were added, removed, and changed their source without changing their hash
    Diff(Diff),
    /// Says in CI whether a change may pass: which fixed-output derivations it adds and alters, and what
    /// speaks against these
    Gate(Box<gate::Gate>),
    /// Fetches the sources of fixed-output derivations again and compares their hashes, or builds them
    /// where nothing less is exact
    Verify(Box<Verify>),
    /// Builds with a network in which fixed-output derivations reach the proxy, and nothing else
    Build(super::fod_build::Build),
}

/// Where derivations are read from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct From {
    /// Another store: the root of its file system (`/mnt`), its directory or its state directory, or
    /// as Nix names it (`local?root=/mnt`)
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<Utf8PathBuf>,
    /// Derivations beside a package set: a directory or tar of .drv files, or their JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) derivations: Vec<Utf8PathBuf>,
}

impl From {
    /// The same, and more derivations.
    fn with(&self, more: &[Utf8PathBuf]) -> Self {
        let mut from = self.clone();
        from.derivations.extend_from_slice(more);
        from
    }
}

/// Where the derivations of two package sets are read from: of both from one place only where the sets name theirs
/// (`drvPath`), since what differs only in how a source is fetched has the same outputs.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Sides {
    #[command(flatten)]
    both: From,
    /// The same for BASE alone; needed where package sets name outputs and no drvPath
    #[arg(long, value_name = "PATH")]
    base_derivations: Vec<Utf8PathBuf>,
    /// The same for HEAD alone
    #[arg(long, value_name = "PATH")]
    head_derivations: Vec<Utf8PathBuf>,
}

impl Sides {
    /// Where those before the change are.
    pub(crate) fn base(&self) -> From {
        self.both.with(&self.base_derivations)
    }

    /// Where those after it are.
    pub(crate) fn head(&self) -> From {
        self.both.with(&self.head_derivations)
    }
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  nix derivation show -r nixpkgs#hello | snowguard fod list -
  snowguard fod list system.drv
  snowguard fod list --where rule=weak-hash --where class=curl drvs/
  snowguard fod list --count-by class,algo drvs.tar.zst
  snowguard fod list --format jsonl drvs/ | jq -r 'select(.tls == \"off\").name'
  nix-env -f '<nixpkgs>' -qaP --json --meta --drv-path --out-path |
    snowguard fod list - --derivations /nix/store --format html > fods.html

An older Nix, such as 2.8, says `nix show-derivation -r`. Before 2.20 nix-env tells outputs and no
derivations: then give --derivations of this evaluation alone, and no store that has others as well.

Columns of --where and --count-by: class, tool, algo, mode, host, scheme,
reference, after, proxy, tls, rule, level, name, attribute.

Exit status: 0 listed, 1 something is as --fail-on says, 2 failure.")]
pub(crate) struct List {
    /// What to read: .drv files with what they need, a directory or tar of them, JSON of `nix
    /// derivation show`, a package set with --derivations; - for stdin [default: the running system]
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) from: From,
    /// Only some: COLUMN=VALUE,VALUE, or != for the others; `*` at an end stands for anything.
    /// Several must all hold. `host` and `scheme` look at each address; counts at the first
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) conditions: Vec<Condition>,
    /// Counts instead of listing, by the values of one or several columns
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) count_by: Vec<Column>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: ListFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// What makes the exit status 1
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub(crate) fail_on: FailOn,
    /// Shows every one, and not the first
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    #[default]
    Text,
    /// Everything, schema snowguard-fod-list/1
    Json,
    /// One JSON document a line for each
    Jsonl,
    /// One page with plots, self-contained
    Html,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Errors
    Error,
    /// Warnings and errors
    Warning,
    /// Anything that a rule says
    Note,
    /// Nothing: always 0 or 2
    #[default]
    Never,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard fod diff base.drv head.drv
  snowguard fod diff base.json.zst head.json.zst --format json

Where a source changed and its hash did not, the hash was most likely forgotten. If its output
is called as before, the old source is built: it is in the store already, and Nix does not fetch
again. Under another name Nix fetches, and refuses what is not the old file.

Exit status: 0 nothing is stale, 1 something is, 2 failure.")]
pub(crate) struct Diff {
    /// Before: as for list
    #[arg(value_name = "BASE")]
    pub(crate) base: Utf8PathBuf,
    /// After
    #[arg(value_name = "HEAD")]
    pub(crate) head: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) from: Sides,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: super::PlainFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// Shows every one, and not the first of each part
    #[arg(long, short)]
    pub(crate) all: bool,
}
