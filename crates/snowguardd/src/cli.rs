//! The command line: one definition for parsing, help, man pages and completions.

use camino::Utf8PathBuf;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use snowguard_proxy::evidence::verdicts;

/// The services of Snowguard, one role to a process
///
/// Scans again when a system or the advisories changed, remembers what was found, and tells what is
/// new. Usually started by systemd, with the units that come with it.
#[derive(Parser)]
#[command(
    name = "snowguardd",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "\
Examples:
  snowguardd watch --once --state ./state  scans once, and writes it down
  snowguardd ROLE --help                   more of each

Exit status: 0 stopped or done, 2 failure.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) role: Role,
}

#[derive(Subcommand)]
pub(crate) enum Role {
    /// Scans when something changed, and remembers
    Watch(Watch),
    /// Tells what changed
    Notify(Notify),
    /// Signs the result of a scan, and sends it
    Push(Push),
    /// Serves the pages and the API of the tracker
    Serve(Box<Serve>),
    /// Does what is due in the tracker: channels, advisories, matching, publishing, telling
    Work(WorkAlone),
    /// Keeps the database of the tracker: what goes into it, backups, checks
    Tracker(Tracker),
    /// The way of fixed-output derivations to the network
    FodProxy(Box<FodProxy>),
    /// Checks files of exceptions for `fod-proxy`
    FodPolicy(FodPolicy),
    /// Looks through what `fod-proxy` wrote down
    FodEvidence(FodEvidence),
    /// Prints completions for a shell
    Completions(Completions),
    /// Writes the man pages
    Man(Man),
}

/// Settings; shared by every role.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// Settings [default: /etc/snowguard/watch.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<Utf8PathBuf>,
    /// Where the role keeps what it must not forget
    #[arg(
        long,
        value_name = "DIR",
        env = "STATE_DIRECTORY",
        hide_env_values = true
    )]
    pub(crate) state: Utf8PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Scans with `snowguard scan`, as a process of its own with a time limit. A scan
that fails changes no finding, and is tried again later.

Examples:
  snowguardd watch --state /var/lib/snowguard-watch
  snowguardd watch --state ./state --once
  snowguardd watch --state ./state --metrics 127.0.0.1:9187")]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// The copy of the history for those who read it [default: history.sqlite in
    /// `$RUNTIME_DIRECTORY`, else beside the history]
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<Utf8PathBuf>,
    /// The program that scans [default: as set, else snowguard beside snowguardd]
    #[arg(long, value_name = "FILE")]
    pub(crate) scanner: Option<Utf8PathBuf>,
    /// Serves metrics at unix:PATH or 127.0.0.1:PORT [default: as set, else nowhere]
    #[arg(long, value_name = "WHERE")]
    pub(crate) metrics: Option<String>,
    /// Writes metrics for the node exporter, to a file whose name ends with .prom
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<Utf8PathBuf>,
    /// Ends when what is due is scanned
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args)]
#[command(after_help = "\
Reads the copy of the history that `snowguardd watch` publishes, and tells every
change that its policy asks for: at least once, and in practice once. What could
not be told is tried again.

Examples:
  snowguardd notify journal --state /var/lib/snowguard-notify-journal
  snowguardd notify file --config watch.toml --state ./told --once")]
pub(crate) struct Notify {
    /// Whom to tell
    #[arg(value_enum)]
    pub(crate) kind: NotifierKind,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// The copy of the history
    #[arg(long, value_name = "FILE", default_value = snowguard_watch::settings::DEFAULT_HISTORY)]
    pub(crate) history: Utf8PathBuf,
    /// Ends when everything is told
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotifierKind {
    /// The journal of systemd
    Journal,
    /// A notification in your session
    Desktop,
    /// Mail, through sendmail
    Mail,
    /// A request to a server
    Webhook,
    /// A file of JSON lines
    File,
}

#[derive(Args)]
// The generated one, with --state, has more than 80 columns.
#[command(override_usage = "snowguardd push [OPTIONS] --to <URL> --key-file <FILE> [FILE]")]
#[command(after_help = "\
Signs the latest results that `snowguardd watch` keeps, or one that `snowguard
scan --format result` wrote, and sends what it has not sent as a DSSE envelope
by POST. What cannot be sent is kept, also across a crash, and sent the next
time, the oldest first; there is room for 64. Every request has an
Idempotency-Key, by which the receiver can tell that it has a result already.

Examples:
  snowguardd push --to https://fleet.example.org/results \\
    --key-file web-1.secret --state /var/lib/snowguard-push
  snowguardd push result.json --to https://fleet.example.org/results \\
    --key-file web-1.secret --state /var/lib/snowguard-push
  snowguardd push result.json --to https://fleet.example.org/results \\
    --key-file web-1.secret --state ./state --dry-run")]
pub(crate) struct Push {
    /// The result, or a directory of them [default: /run/snowguard/results, where the watcher keeps
    /// the latest of each target]
    #[arg(value_name = "FILE")]
    pub(crate) result: Option<Utf8PathBuf>,
    /// Where to
    #[arg(
        long,
        value_name = "URL",
        env = "SNOWGUARD_PUSH_TO",
        hide_env_values = true
    )]
    pub(crate) to: String,
    /// The secret key, as `nix key generate-secret` writes it: a file, or credential:NAME for one
    /// that systemd hands over
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Utf8PathBuf,
    /// Where it keeps what is not sent
    #[arg(
        long,
        value_name = "DIR",
        env = "STATE_DIRECTORY",
        hide_env_values = true
    )]
    pub(crate) state: Utf8PathBuf,
    /// A file with the value of the Authorization header, or credential:NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) authorization_file: Option<Utf8PathBuf>,
    /// Certificates in PEM to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<Utf8PathBuf>,
    /// Allows a server that is not this machine to be reached without encryption
    #[arg(long)]
    pub(crate) allow_plain_http: bool,
    /// Says what would be sent, and sends and keeps nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
#[command(after_help = "\
Without more, one person uses it on this machine, and logs in with the address
that is printed. With an application of GitHub, everybody can: maintainers
decide on their packages, the security team on all.

Examples:
  snowguardd serve --database sample.db --sample
  snowguardd serve --database tracker.db --fetch
  snowguardd serve --database postgres://tracker@db.example.org/tracker \\
    --url https://tracker.example.org --behind-proxy \\
    --github-client-id Iv1.0123456789abcdef \\
    --github-secret-file credential:github --admin alice --security bob")]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Where to listen [default: as set, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// Takes in two small package sets that come with the program, if the database has none
    #[arg(long)]
    pub(crate) sample: bool,
    /// Leaves what is due to `snowguardd work`, or to another server on the same PostgreSQL
    #[arg(long)]
    pub(crate) no_worker: bool,
    #[command(flatten)]
    pub(crate) work: Work,
    /// The address under which people reach it
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<url::Url>,
    /// The name of the site, in the head of every page [default: as set, else Snowguard]
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// What `snowguard advisories publish` wrote, given out below /repository for `advisories update
    /// --from` [default: as set, else nothing]
    #[arg(long, value_name = "DIR")]
    pub(crate) repository: Option<std::path::PathBuf>,
    /// A proxy on this machine stands in front: believe its X-Forwarded-For
    #[arg(long)]
    pub(crate) behind_proxy: bool,
    /// The application of GitHub with which people log in
    #[arg(long, value_name = "ID")]
    pub(crate) github_client_id: Option<String>,
    /// A file with its secret, or credential:NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) github_secret_file: Option<String>,
    /// Where people log in [default: as set, else that of GitHub]
    #[arg(long, value_name = "URL")]
    pub(crate) github_web: Option<url::Url>,
    /// Where it is asked who they are [default: as set, else that of GitHub]
    #[arg(long, value_name = "URL")]
    pub(crate) github_api: Option<url::Url>,
    /// Somebody of the security team, beside those that are set; may be repeated
    #[arg(long, value_name = "LOGIN")]
    pub(crate) security: Vec<String>,
    /// An administrator, beside those that are set; may be repeated
    #[arg(long, value_name = "LOGIN")]
    pub(crate) admin: Vec<String>,
    /// Serves metrics at unix:PATH or 127.0.0.1:PORT [default: as set, else nowhere]
    #[arg(long, value_name = "WHERE")]
    pub(crate) metrics: Option<String>,
    #[command(flatten)]
    pub(crate) log: Log,
}

/// Where the tracker's settings and its database are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// Settings [default: /etc/snowguard/tracker.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<Utf8PathBuf>,
    /// The database: a file, or the URL of a PostgreSQL [default: as set]
    #[arg(
        long,
        value_name = "WHERE",
        env = "SNOWGUARD_DATABASE",
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
}

/// What the worker is told by arguments.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Work {
    /// The index of advisories, with their records beside it [default: as set, else beside a database
    /// that is a file]
    #[arg(long, value_name = "FILE")]
    pub(crate) advisories: Option<Utf8PathBuf>,
    /// Fetches advisories
    #[arg(long)]
    pub(crate) fetch: bool,
}

/// How a service logs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Log {
    /// How it logs
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log: LogFormat,
    /// How much it logs
    #[arg(long, value_enum, default_value = "info")]
    pub(crate) log_level: LogLevel,
}

#[derive(Args)]
#[command(after_help = "\
The server does all of this beside its pages, unless it has --no-worker. On a
PostgreSQL, any number of workers share it: each job is done by one of them.

Examples:
  snowguardd work --database postgres://tracker@db.example.org/tracker \\
    --advisories /var/lib/snowguard/advisories.idx --fetch
  snowguardd work --database tracker.db --once")]
pub(crate) struct WorkAlone {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) work: Work,
    /// Ends when nothing more is due
    #[arg(long)]
    pub(crate) once: bool,
    /// Serves metrics at unix:PATH or 127.0.0.1:PORT; what is set is for the server
    #[arg(long, value_name = "WHERE")]
    pub(crate) metrics: Option<String>,
    #[command(flatten)]
    pub(crate) log: Log,
}

#[derive(Args)]
#[command(after_help = "\
Each command may run while `snowguardd serve` does.

Examples:
  snowguardd tracker --database tracker.db add-channel nixos-26.05
  snowguardd tracker --database tracker.db ingest nixos-26.05 packages.json.br
  snowguardd tracker --database tracker.db advisories --records feeds.records
  snowguardd tracker --database tracker.db backup monday.db")]
pub(crate) struct Tracker {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: TrackerCommand,
}

#[derive(Subcommand)]
pub(crate) enum TrackerCommand {
    /// Lists the channels, with their heads
    Channels,
    /// Adds a channel, the last in the ladder
    AddChannel(AddChannel),
    /// Leaves a channel out of account; what is known of it stays
    DropChannel(OneChannel),
    /// Takes a channel in again that was left out
    FollowChannel(OneChannel),
    /// Takes in a package set, or the one at the channel's source
    Ingest(Ingest),
    /// Takes in advisories, and matches the packages anew
    Advisories(Advisories),
    /// Has packages matched anew by the worker: those named, else all
    Rematch(Rematch),
    /// Lists jobs: what runs, what waits, and what failed
    Jobs,
    /// Writes a backup, while others read and write
    Backup(Backup),
    /// Restores a backup to where nothing is yet
    Restore(Restore),
    /// Checks that the database is sound
    Fsck(Fsck),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguardd tracker --database tracker.db add-channel nixos-unstable \\
    --source https://channels.nixos.org/nixos-unstable
  snowguardd tracker --database tracker.db add-channel mine --source /srv/nixpkgs")]
pub(crate) struct AddChannel {
    /// Its name: letters, digits, `.`, `_` and `-`
    pub(crate) name: String,
    /// Where its package sets come from: a folder of releases, or a checkout
    #[arg(long, value_name = "WHERE")]
    pub(crate) source: Option<String>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguardd tracker --database tracker.db drop-channel nixos-25.05 --reason 'ended'")]
pub(crate) struct OneChannel {
    /// Its name
    pub(crate) name: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

#[derive(Args)]
#[command(after_help = "\
The worker does it with what it has of advisories. It matches by itself what
changed; this is for when the reviewed identities changed, or in doubt.

Examples:
  snowguardd tracker --database tracker.db rematch
  snowguardd tracker --database tracker.db rematch openssl python:requests")]
pub(crate) struct Rematch {
    /// Packages, as their pages are called
    #[arg(value_name = "PACKAGE")]
    pub(crate) packages: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "\
Reads what `nix-env -qaP --json --meta --drv-path --out-path` and nix-eval-jobs
print, and a channel's packages.json, packed or not. `advisories` matches what
was taken in.

Examples:
  snowguardd tracker --database tracker.db ingest nixos-unstable
  snowguardd tracker --database tracker.db ingest mine set.json --derivations drvs/
  nix-eval-jobs … | snowguardd tracker --database tracker.db ingest mine -")]
pub(crate) struct Ingest {
    /// The channel
    pub(crate) channel: String,
    /// The package set, or - for a pipe [default: what is at the channel's source]
    #[arg(value_name = "FILE")]
    pub(crate) set: Option<Utf8PathBuf>,
    /// Derivations of the packages: a directory or tar of .drv files, or their JSON
    #[arg(long, value_name = "PATH", requires = "set")]
    pub(crate) derivations: Vec<Utf8PathBuf>,
    /// What the set is called [default: by when it is taken in]
    #[arg(long, value_name = "NAME", requires = "set")]
    pub(crate) revision: Option<String>,
    /// Takes a set that lacks more than a fifth of the last one's attributes
    #[arg(long)]
    pub(crate) allow_shrinking: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguardd tracker --database tracker.db advisories cves.zip kev.json
  snowguardd tracker --database tracker.db advisories \\
    --records /var/lib/snowguard/advisories.idx.records")]
pub(crate) struct Advisories {
    /// Files, directories and archives of advisories, each a whole edition of one source
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<Utf8PathBuf>,
    /// Where the records of all sources are kept, with their index beside them
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Utf8PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
A backup is one SQLite file, also of a PostgreSQL. It can be served as it is.

Examples:
  snowguardd tracker --database tracker.db backup monday.db")]
pub(crate) struct Backup {
    /// Where it goes; nothing may be there
    #[arg(value_name = "FILE")]
    pub(crate) to: Utf8PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguardd tracker --database new.db restore monday.db
  snowguardd tracker --database postgres://tracker@db/tracker restore monday.db")]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) from: Utf8PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Reads everything. Exit status 1: something does not hold, with what to do.

Examples:
  snowguardd tracker --database tracker.db fsck
  snowguardd tracker --database tracker.db fsck --repair")]
pub(crate) struct Fsck {
    /// Mends what can be: the queue and the counts of lists are computed anew, and everything is to be
    /// matched again; changes no decision
    #[arg(long, alias = "recompute")]
    pub(crate) repair: bool,
}

#[derive(Args)]
#[command(override_usage = "snowguardd fod-proxy --mode <MODE> --evidence <FILE> [OPTIONS]")]
#[command(after_help = "\
Carries what fixed-output derivations fetch, judges each request by what the
derivation says, and writes down what came of it. Builds are announced at the
control socket, which gives each a token; a build sends it as the user of the
proxy's address: http://TOKEN:x@127.0.0.1:3128 in http_proxy and https_proxy.

Examples:
  snowguardd fod-proxy --mode audit --listen 127.0.0.1:3128 \\
    --control /run/snowguard-fod-proxy/control.sock \\
    --evidence /var/lib/snowguard-fod-proxy/evidence.jsonl
  snowguardd fod-proxy --mode inspect --listen 127.0.0.1:0 --derivations drvs \\
    --evidence evidence.jsonl --ca-out ca.pem --record ./record
  snowguardd fod-proxy --mode replay --inherit 3 --derivations drvs --no-token \\
    --evidence evidence.jsonl --ca-out ca.pem --record ./record")]
pub(crate) struct FodProxy {
    /// What becomes of a request
    #[arg(long, value_enum)]
    pub(crate) mode: FodMode,
    /// Listens at an address; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<std::net::SocketAddr>,
    /// Listens at a socket of this user; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Vec<Utf8PathBuf>,
    /// Takes over a descriptor on which another process listens already; may be repeated
    #[arg(long, value_name = "NUMBER")]
    pub(crate) inherit: Vec<i32>,
    /// Exceptions and limits [default: /etc/snowguard/fod-policy.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<Utf8PathBuf>,
    /// Where it is written down what was fetched, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Utf8PathBuf,
    /// So large that file becomes before it is put aside
    #[arg(long, value_name = "MIB", default_value = "64")]
    pub(crate) evidence_size: u32,
    /// So many that were put aside are kept
    #[arg(long, value_name = "COUNT", default_value = "7")]
    pub(crate) evidence_files: u32,
    /// Where builds are announced: a socket of this user
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<Utf8PathBuf>,
    /// A file with the paths of derivations, one to a line, that may fetch from the start; their token
    /// goes to stdout, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) derivations: Option<Utf8PathBuf>,
    /// Takes every connection for one of --derivations: for a network that only they are in
    #[arg(long, requires = "derivations")]
    pub(crate) no_token: bool,
    /// Carries what something that is no build fetches, and writes it down under that name, in an audit;
    /// its token goes to stdout, as JSON
    #[arg(long, value_name = "NAME", conflicts_with = "derivations")]
    pub(crate) watch: Option<String>,
    /// Certificates in PEM to trust beside the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Vec<Utf8PathBuf>,
    /// Writes the certificate of this run's authority, which builds have to trust where TLS is taken
    /// off; its key is written nowhere
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_out: Option<Utf8PathBuf>,
    /// Where `inspect` keeps bodies, and `replay` has them from
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<Utf8PathBuf>,
    /// An address for a name, in place of what it resolves to; may be repeated
    #[arg(long, value_name = "HOST=ADDRESS")]
    pub(crate) resolve: Vec<String>,
    /// Where `tcp` and `tcp6` of the network of builds lie: /proc/PID/net for another namespace
    #[arg(long, value_name = "DIR", default_value = "/proc/net")]
    pub(crate) peer_net: Utf8PathBuf,
    /// So many connections at a time
    #[arg(long, value_name = "COUNT", default_value = "4096")]
    pub(crate) connections: usize,
    /// Serves metrics at unix:PATH or 127.0.0.1:PORT [default: nowhere]
    #[arg(long, value_name = "WHERE")]
    pub(crate) metrics: Option<String>,
    /// Ends when nobody reads its stdout any more: with who started it, and has a pipe there
    #[arg(long)]
    pub(crate) until_unread: bool,
    #[command(flatten)]
    pub(crate) log: Log,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FodMode {
    /// Denies nothing, and says what it would deny
    Audit,
    /// Denies what is not allowed, and carries TLS as it is
    Tunnel,
    /// As tunnel, and takes TLS off to see bodies
    Inspect,
    /// Answers from a record, and nothing goes out
    Replay,
}

#[derive(Args)]
#[command(after_help = "\
Reads each file as `fod-proxy` would, and says how many exceptions it has, how
many of these have ended, and how many end within 30 days. One that could not be
used is told with the place and what to do, and makes the exit status 2.

Examples:
  snowguardd fod-policy /etc/snowguard/fod-policy.toml
  snowguardd fod-policy policies/*.toml")]
pub(crate) struct FodPolicy {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Prints the lines that fit, the oldest first, from the file and from those that
were put aside.

Examples:
  snowguardd fod-evidence evidence.jsonl --verdict denied
  snowguardd fod-evidence evidence.jsonl --kind build --verdict mismatch
  snowguardd fod-evidence audit.jsonl --propose 2027-01-31 > fod-policy.toml")]
pub(crate) struct FodEvidence {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: Utf8PathBuf,
    /// Of this kind
    #[arg(long, value_enum)]
    pub(crate) kind: Option<EvidenceKind>,
    /// Of a derivation, by its path, its output or its name
    #[arg(long, value_name = "WHICH")]
    pub(crate) derivation: Option<String>,
    /// With a host
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// With a verdict: the first four are of requests, the others of builds
    #[arg(long, value_name = "WORD", value_parser = PossibleValuesParser::new(verdicts()))]
    pub(crate) verdict: Option<String>,
    /// Prints exceptions in their place that would allow what was or would be denied, until that day,
    /// to be reviewed
    #[arg(long, value_name = "DAY")]
    pub(crate) propose: Option<jiff::civil::Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvidenceKind {
    /// Requests, when they are answered
    Request,
    /// Tunnels, when they begin
    Tunnel,
    /// Builds, when they end
    Build,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line of text for each event
    Text,
    /// A line of JSON for each event
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What went wrong
    Error,
    /// And what is odd
    Warn,
    /// And every request; fod-proxy has these in its evidence
    Info,
    /// And more
    Debug,
}

impl From<LogLevel> for tracing::level_filters::LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguardd completions bash > /etc/bash_completion.d/snowguardd
  snowguardd completions zsh > ~/.zfunc/_snowguardd")]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguardd man | man -l -
  snowguardd man /usr/local/share/man/man1")]
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
