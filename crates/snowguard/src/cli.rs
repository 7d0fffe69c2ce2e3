//! The command line: one definition for parsing, help, man pages and completions.

pub(crate) mod attest;
pub(crate) mod fod;
pub(crate) mod fod_build;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Tells what is wrong with a Nix system, and what to do about it
///
/// Reads a system, a closure or a package set, holds it against an index of advisories, and says
/// which known vulnerabilities reach it, patches counted, with the evidence for each. Works offline.
#[derive(Parser)]
#[command(
    name = "snowguard",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "\
Examples:
  snowguard scan                           what is wrong with this system
  snowguard scan ./result                  with what you just built
  snowguard explain CVE-2021-3711 openssl  why a line is there
  snowguard COMMAND --help                 more of each

Exit status: 0 nothing found, 1 findings, 2 failure.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options of every command stand apart from those of the command.
const EVERYWHERE: &str = "Options of every command";

#[derive(Args)]
pub(crate) struct Global {
    /// When to use colour
    #[arg(long, help_heading = EVERYWHERE, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Settings and suppressions [default: ./snowguard.toml, else the user's, else the system's]
    #[arg(long, help_heading = EVERYWHERE, global = true, value_name = "FILE")]
    pub(crate) config: Option<Utf8PathBuf>,
    /// The advisory index [default: the imported one, else the one in the program]
    #[arg(long, help_heading = EVERYWHERE, global = true, value_name = "FILE", env = "SNOWGUARD_INDEX")]
    pub(crate) index: Option<Utf8PathBuf>,
    /// Says less: no progress, no hints, no warning about old advisories
    #[arg(long, short, help_heading = EVERYWHERE, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tells which known vulnerabilities reach a system
    Scan(Scan),
    /// Tells why a package is affected by an advisory, or why not
    Explain(Explain),
    /// Tells what an upgrade fixes, brings and leaves
    Diff(Diff),
    /// Prints the packages of a system as CycloneDX 1.6 or SPDX 2.3
    Sbom(Sbom),
    /// Fixed-output derivations: what is fetched from where, and how far that holds
    #[command(
        subcommand,
        after_help = "\
Examples:
  snowguard fod list system.drv
  snowguard fod diff base.drv head.drv"
    )]
    Fod(fod::Fod),
    /// Signs, verifies and shows results of scans
    #[command(
        subcommand,
        after_help = "\
Examples:
  snowguard scan --format result --host web-1 --output web-1.json
  snowguard result sign web-1.json --key-file web-1.secret \\
    --output web-1.dsse.json
  snowguard result verify web-1.dsse.json --key web-1.public"
    )]
    Result(ResultCommand),
    /// Signed statements about store objects, and the keys that are trusted for them
    #[command(
        subcommand,
        after_help = "\
Examples:
  snowguard attest verify fod.dsse.json --keyring keyring.json
  snowguard attest key new ci-1 --keyring keyring.json"
    )]
    Attest(attest::Attest),
    /// Tells what the watcher found, since when, and how it does
    Status(Status),
    /// Manages the advisory index
    #[command(
        subcommand,
        after_help = "\
Examples:
  snowguard advisories update
  snowguard advisories info
  snowguard advisories import cvelistV5-main.zip osv/ kev.json"
    )]
    Advisories(Advisories),
    /// Prints completions for a shell
    Completions(Completions),
    /// Writes the man pages
    Man(Man),
}

/// What to read; shared by every command that reads a system.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Another store: the root of its file system (`/mnt`), its directory or its state directory, or
    /// as Nix names it (`local?root=/mnt`)
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<Utf8PathBuf>,
    /// Derivations beside a package set: a directory or tar of .drv files, or their JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) derivations: Vec<Utf8PathBuf>,
    /// Takes derivations of a package set from there alone, and not from a live store as well
    #[arg(skip)]
    pub(crate) only_beside: bool,
    /// Statements about which product a package is, before the built-in ones
    #[arg(long, value_name = "FILE")]
    pub(crate) identities: Vec<Utf8PathBuf>,
    /// Looks into files for the libraries inside them; without WHEN always [default: auto]
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always"
    )]
    pub(crate) deep: Option<WhenDeep>,
    /// The same as --deep=never
    #[arg(long, conflicts_with = "deep")]
    pub(crate) no_deep: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhenDeep {
    /// Into objects of a live store that are known from before, and as many new ones as cost little
    #[default]
    Auto,
    /// Into all whose files are there; also into plain directories and files
    Always,
    /// Into none
    Never,
}

/// What decides about findings beside the index.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Deciding {
    /// OpenVEX or CSAF VEX documents with decisions to apply
    #[arg(long, value_name = "FILE")]
    pub(crate) vex: Vec<Utf8PathBuf>,
    /// Fails if the newest advisory is older: 30d, 12h, 2w
    #[arg(long, value_name = "AGE")]
    pub(crate) max_age: Option<String>,
    /// What to do with decisions of a tracker that came with the index [default: apply]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) triage: Option<UseTriage>,
    /// The channel that the system follows [default: as set, else by its os-release]
    #[arg(long, value_name = "NAME")]
    pub(crate) channel: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UseTriage {
    /// What it has cleared is suppressed, the rest is shown
    #[default]
    Apply,
    /// All is shown, nothing is suppressed
    Show,
    /// As if there were none
    Ignore,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard scan                      the running system, or your profile
  snowguard scan /run/current-system  a system in the store
  snowguard scan ./result             what you built
  nix derivation show -r nixpkgs#hello | snowguard scan -
  snowguard scan system.drv           a derivation with all that it needs
  snowguard scan bom.cdx.json         someone's bill of materials
  snowguard scan --deep ./result      with what is inside its programs
  snowguard scan --deep /opt/app      what the files of any directory declare
  nix-env -f '<nixpkgs>' -qaP --json --meta --drv-path --out-path |
    snowguard scan -
  snowguard scan --format sarif --output scan.sarif --fail-on exploited,high

Exit status: 0 nothing affected, 1 something is (see --fail-on), 2 failure.")]
pub(crate) struct Scan {
    /// What to scan: a store path, a .drv file, a directory or tar of them, JSON of `nix derivation
    /// show`, `nix path-info` or `nix-env -qaP`, a CycloneDX or SPDX document, with --deep any
    /// directory, program or archive; - for stdin [default: the running system, else your profile]
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) deciding: Deciding,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: ScanFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// Who makes the statements of OpenVEX: a name or an IRI [default: Unknown Author]
    #[arg(long, value_name = "WHO")]
    pub(crate) author: Option<String>,
    /// Also writes the result that can be signed, as --format result does, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<Utf8PathBuf>,
    /// The label of this machine in a result [default: none]
    #[arg(long, value_name = "LABEL")]
    pub(crate) host: Option<String>,
    /// What makes the exit status 1
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) fail_on: Vec<FailOn>,
    /// Only these packages, in full: a name, `*name*`, an attribute; `?` for what was not looked
    /// at. The exit status is about these
    #[arg(long, short, value_name = "NAME")]
    pub(crate) component: Option<String>,
    /// Also shows what is patched
    #[arg(long)]
    pub(crate) show_patched: bool,
    /// Also shows what is suppressed
    #[arg(long)]
    pub(crate) show_suppressed: bool,
    /// Shows everything, and not the first of each section
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For people
    #[default]
    Table,
    /// Everything, schema snowguard-scan/1
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// CycloneDX 1.6 with vulnerabilities
    Cyclonedx,
    /// SPDX 2.3 with the advisories as references
    Spdx,
    /// OpenVEX 0.2.0
    Openvex,
    /// One page, self-contained
    Html,
    /// One row for each finding, for spreadsheets
    Csv,
    /// An in-toto statement to sign and send, without texts
    Result,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Anything that is affected (the default)
    Affected,
    /// Known to be exploited
    Exploited,
    /// Critical
    Critical,
    /// High or critical
    High,
    /// Medium or worse
    Medium,
    /// Low or worse
    Low,
    /// What needs review
    Review,
    /// Nothing: always 0 or 2
    Never,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard explain CVE-2021-3711                 whom it concerns here
  snowguard explain CVE-2021-3711 openssl         why it is affected, or not
  snowguard explain CVE-2021-3711 openssl@1.1.1k  for a version that is not here
  snowguard explain CVE-2021-3711 openssl --in bom.cdx.json

Exit status: 0 not affected or suppressed, 1 affected, 2 failure.")]
pub(crate) struct Explain {
    /// The advisory: CVE-…, GHSA-…, PYSEC-…
    #[arg(value_name = "ADVISORY")]
    pub(crate) advisory: String,
    /// The package, by name, attribute or name@version
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: Option<String>,
    /// Where to look: as for scan
    #[arg(long = "in", value_name = "INPUT")]
    pub(crate) inputs: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) deciding: Deciding,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlainFormat {
    /// For people
    #[default]
    Text,
    /// Everything, with a versioned schema
    Json,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard diff /run/current-system ./result     what the next switch changes
  snowguard diff old.json.zst new.json.zst

Exit status: 0 brings nothing, 1 brings something (see --fail-on), 2 failure.")]
pub(crate) struct Diff {
    /// The old system: as for scan
    #[arg(value_name = "OLD")]
    pub(crate) old: Utf8PathBuf,
    /// The new system
    #[arg(value_name = "NEW")]
    pub(crate) new: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) deciding: Deciding,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: DiffFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
    /// What, if it is brought, makes the exit status 1
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) fail_on: Vec<FailOn>,
    /// Shows everything, and not the first of each section
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard sbom /run/current-system > system.cdx.json
  snowguard sbom --deep ./result      with the libraries inside, and where
  snowguard sbom ./result --format spdx --output result.spdx.json")]
pub(crate) struct Sbom {
    /// What to read: as for scan
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: SbomFormat,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    #[default]
    Text,
    /// Everything, with a versioned schema
    Json,
    /// One row for each change, for spreadsheets
    Csv,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SbomFormat {
    /// CycloneDX 1.6
    #[default]
    Cyclonedx,
    /// SPDX 2.3, JSON
    Spdx,
}

#[derive(Subcommand)]
pub(crate) enum ResultCommand {
    /// Signs a result
    Sign(ResultSign),
    /// Checks the signature of a result, and prints what was signed
    Verify(ResultVerify),
    /// Prints a result without checking who signed it
    Show(ResultShow),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  nix key generate-secret --key-name web-1 > web-1.secret
  snowguard scan --format result |
    snowguard result sign - --key-file web-1.secret")]
pub(crate) struct ResultSign {
    /// What `scan --format result` wrote; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// The secret key, as `nix key generate-secret` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Utf8PathBuf,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  nix key convert-secret-to-public < web-1.secret > web-1.public
  snowguard result verify web-1.dsse.json --key web-1.public

Exit status: 0 signed by one of these keys, 2 not, or failure.")]
pub(crate) struct ResultVerify {
    /// The signed result; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// A trusted public key, NAME:BASE64, or a file with one; may be repeated
    #[arg(long, value_name = "KEY", required = true)]
    pub(crate) key: Vec<String>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  snowguard result show web-1.dsse.json")]
pub(crate) struct ResultShow {
    /// A result, signed or not; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
}

#[derive(Args)]
#[command(after_help = "\
Reads what `snowguardd watch` wrote down, and scans nothing.

Examples:
  snowguard status
  snowguard status --advisory CVE-2021-3711   when it came, when it was fixed
  snowguard status --format json

Exit status: 0 nothing affected, 1 something is, 2 failure.")]
pub(crate) struct Status {
    /// The history [default: /run/snowguard/history.sqlite]
    #[arg(
        long,
        value_name = "FILE",
        env = "SNOWGUARD_HISTORY",
        hide_env_values = true
    )]
    pub(crate) history: Option<Utf8PathBuf>,
    /// What happened to one advisory
    #[arg(long, value_name = "ID", conflicts_with = "component")]
    pub(crate) advisory: Option<String>,
    /// Only these packages: a name or `*name*`
    #[arg(long, short, value_name = "NAME")]
    pub(crate) component: Option<String>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
    /// Shows everything, and not the first of each section
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Subcommand)]
pub(crate) enum Advisories {
    /// Fetches the feeds and brings the index up to date
    Update(Update),
    /// Builds the index from files, directories and archives of advisories
    Import(Import),
    /// Tells what is in the index, and how old each source is
    Info(Info),
    /// Publishes the index as signed files, for a fleet
    Publish(Publish),
    /// Makes a key that signs what is published, and prints its public half
    Key(Key),
}

#[derive(Args)]
#[command(after_help = "\
Writes a directory that any web server or object store can serve, after The \
Update Framework. Publish at least once per time of expiry, also if nothing \
changed: clients refuse what has expired. Serve files named SHA256.* and N.* for \
as long as you like, timestamp.json and root.json with a short or no cache time.

Examples:
  snowguard advisories key mirror.secret --name mirror-1 > mirror.public
  snowguard advisories publish --to /srv/advisories --key mirror.secret
  snowguard advisories publish --to /srv/advisories --key mirror.secret \\
    --next-key next.secret
  snowguard advisories publish --to /srv/advisories --key mirror.secret \\
    --triage https://tracker.example/triage.json.zst")]
pub(crate) struct Publish {
    /// The directory; what was published there before is built upon
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Utf8PathBuf,
    /// The file of the key that signs, which only its owner may read; or credential:NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Utf8PathBuf,
    /// What a tracker decided, published with the index: a file, or an address
    #[arg(long, value_name = "WHERE")]
    pub(crate) triage: Option<String>,
    /// The key that takes its place from now on; clients that trust the old one follow
    #[arg(long, value_name = "FILE")]
    pub(crate) next_key: Option<Utf8PathBuf>,
    /// After how long clients refuse it, unless it is published again: 12h, 7d, 2w
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) expires: String,
    /// The same of the root, which is renewed by itself when half of it has passed
    #[arg(long, value_name = "TIME", default_value = "365d")]
    pub(crate) root_expires: String,
    /// From how many older bases clients are brought up by a patch
    #[arg(long, value_name = "COUNT", default_value = "3")]
    pub(crate) keep: u8,
}

#[derive(Args)]
#[command(after_help = "\
The key is of the form that Nix uses: a name, a colon, and Ed25519 in base64.

Example:
  snowguard advisories key mirror.secret --name mirror-1 > mirror.public")]
pub(crate) struct Key {
    /// The file to make; it must not exist
    #[arg(value_name = "FILE")]
    pub(crate) file: Utf8PathBuf,
    /// The name of the key, by which people tell it from others
    #[arg(long, value_name = "NAME", default_value = "snowguard-advisories-1")]
    pub(crate) name: String,
}

#[derive(Args)]
#[command(after_help = "\
Feeds: kev (CISA's catalogue), epss (FIRST's scores), cve (the CVE list), nvd \
(NVD 2.0), osv (OSV by ecosystem, GitHub's advisories among them). The first \
update brings some 1.2 GB, later ones what has changed. A broken download goes on where \
it stopped. A feed that fails leaves its last good edition in force: the \
others go on, the index has what is good, and the exit status is 2.

HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured; SNOWGUARD_GITHUB_TOKEN raises \
GitHub's limit on lists of releases.

Examples:
  snowguard advisories update
  snowguard advisories update --only kev,epss
  snowguard advisories update --mirror https://mirror.example/advisories
  snowguard advisories update --mirror file:///media/stick/advisories
  snowguard advisories update --from https://fleet.example/advisories \\
    --key mirror.public
  snowguard advisories update --from https://tracker.example --key KEY

Exit status: 0 all are up to date, 2 one or more are not.")]
pub(crate) struct Update {
    /// Only these feeds, also those that are switched off: kev, epss, cve, nvd, osv
    #[arg(long, value_name = "FEED", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Takes a published index, or a tracker's with its decisions, in place of the feeds: https://,
    /// http:// or file://
    #[arg(
        long,
        value_name = "URL",
        requires = "key",
        conflicts_with_all = ["only", "mirror", "accept_smaller", "offline_check"]
    )]
    pub(crate) from: Option<String>,
    /// The public key that it must be signed with, as NAME:BASE64 or a file with it; or a root.json
    #[arg(long, value_name = "KEY", requires = "from")]
    pub(crate) key: Option<String>,
    /// A folder that has each feed in a folder of its name: https://, http:// or file://
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// Certificates in PEM to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<Utf8PathBuf>,
    /// Takes a new edition even if most records are gone from it
    #[arg(long)]
    pub(crate) accept_smaller: bool,
    /// Uses no network: tells which feeds are here, and fails if one is missing or failed
    #[arg(long)]
    pub(crate) offline_check: bool,
    /// Where the index goes [default: `$XDG_DATA_HOME/snowguard/advisories.idx`]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Reads CVE 5 records, OSV, NVD 2.0, the KEV catalogue, EPSS scores and facts, as \
single documents, JSON lines or lists, also in zip (and zip in zip), tar, gzip \
and zstd, and from a pipe (-). The index is replaced as a whole when \
everything is read; an interrupted import leaves the old one.

Examples:
  snowguard advisories import cvelistV5-main.zip kev.json
  snowguard advisories import osv/ nvd/ epss_scores-current.csv.gz")]
pub(crate) struct Import {
    /// Files, directories and archives; - for stdin
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<Utf8PathBuf>,
    /// Where the index goes [default: `$XDG_DATA_HOME/snowguard/advisories.idx`]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard advisories info
  snowguard advisories info --index advisories.idx --format json")]
pub(crate) struct Info {
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard completions bash \\
    > ~/.local/share/bash-completion/completions/snowguard
  snowguard completions fish > ~/.config/fish/completions/snowguard.fish
  snowguard completions zsh > ~/.zfunc/_snowguard")]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard man | man -l -
  snowguard man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The directory to which they go [default: the main page to stdout]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<Utf8PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
