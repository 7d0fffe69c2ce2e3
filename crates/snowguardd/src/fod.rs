//! `fod-proxy`: the way of fixed-output derivations to the network; `fod-policy`, which checks what it may be told; and
//! `fod-evidence`, which looks through what it wrote down.

pub(crate) mod policy;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use snowguard_fod::policy::{Exceptions, day_of, propose};
use snowguard_proxy::{
    Control, EvidenceSettings, Listener, Mode, Proxy, ProxyError, Session, Settings,
    evidence as lines, keep_memory, until_unread,
};
use snowguard_report::escape;
use snowguard_report::words::counted;
use snowguard_watch::ready::Manager;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{EvidenceKind, FodEvidence, FodMode, FodProxy};
use crate::environment::{log_to_stderr, say, variable};
use crate::failure::Failure;

/// The longest list of derivations that is read, in bytes.
const MOST_LIST: u64 = 64 << 20;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn proxy(args: &FodProxy) -> Result<(), Failure> {
    log_to_stderr(&args.log);
    let settings = settings(args)?;
    let too_few = take_files(settings.most_connections);
    let today = day_of(Timestamp::now());
    policy::remark(&settings.exceptions, today);
    // Before there is a key.
    keep_memory().map_err(Failure::new)?;
    let proxy = Proxy::new(settings, today)?;
    match (&args.ca_out, proxy.authority()) {
        (Some(path), Some(pem)) => replace(path, pem.as_bytes())
            .map_err(|source| Failure::new(source).context(format!("cannot write {path}")))?,
        (Some(_), None) => {
            return Err(
                Failure::message("only inspect and replay have an authority")
                    .hint("leave --ca-out out: TLS is carried as it is"),
            );
        }
        (None, _) => {}
    }
    let session = match (&args.derivations, &args.watch) {
        (Some(file), _) => Some(begin(&proxy, file)?),
        (None, Some(name)) => Some(proxy.watch(name)?),
        (None, None) => None,
    };
    let listeners = listeners(args, session.as_ref())?;
    if listeners.is_empty() {
        return Err(Failure::message("the proxy listens nowhere")
            .hint("--listen, --unix or --inherit says where"));
    }
    if session.is_none() && args.control.is_none() && args.mode != FodMode::Audit {
        return Err(Failure::message("no build could ever be announced")
            .hint("--control or --derivations says which builds there are"));
    }
    let addresses: Vec<String> = listeners.iter().map(Listener::address).collect();
    let control = match &args.control {
        Some(path) => Some(Control::bind(path).map_err(|error| {
            Failure::new(error).hint("--control takes a path in a directory of this user")
        })?),
        None => None,
    };
    if let Some(place) = &args.metrics {
        let proxy = proxy.clone();
        crate::metrics::serve_text(place, move || proxy.metrics())?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).map_err(Failure::new)?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::new)?;
        let handle = proxy.serve(listeners).map_err(Failure::new)?;
        let speaking = control.map(|control| {
            let served = control.serve(handle.proxy().clone(), addresses.clone());
            tokio::spawn(served)
        });
        for address in addresses.iter().filter(|_| args.watch.is_none()) {
            say(&format!("listening at {address}"));
        }
        if let Some(note) = &too_few {
            say(note);
        }
        if let Some(session) = &session {
            tell(session, &addresses)?;
        }
        let manager = Manager::new(variable("NOTIFY_SOCKET").as_deref(), None);
        manager.ready();
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
            () = until_unread(), if args.until_unread => {}
        }
        manager.stopping();
        say("stopping");
        if let Some(speaking) = speaking {
            speaking.abort();
        }
        handle.stop().await;
        Ok(())
    })
}

/// Takes as many open files as this process may have: a connection takes two, and a shell gives 1,024 to begin with.
/// What to say if they do not suffice.
fn take_files(connections: usize) -> Option<String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // None is without a limit.
    let most = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    }?;
    let needed = u64::try_from(connections).map_or(u64::MAX, |count| count.saturating_mul(2));
    (most < needed).then(|| {
        format!(
            "note: {connections} connections take {needed} open files, and {most} are allowed: \
             beyond that, connections fail"
        )
    })
}

fn settings(args: &FodProxy) -> Result<Settings, Failure> {
    let mode = match args.mode {
        FodMode::Audit => Mode::Audit,
        FodMode::Tunnel => Mode::Tunnel,
        FodMode::Inspect => Mode::Inspect,
        FodMode::Replay => Mode::Replay,
    };
    let exceptions = match &args.policy {
        Some(file) => policy::read(file)?,
        None if Utf8Path::new(policy::USUAL).exists() => policy::read(policy::USUAL.into())?,
        None => Exceptions::default(),
    };
    let mut resolve = BTreeMap::new();
    for entry in &args.resolve {
        let pair = entry.split_once('=').and_then(|(host, address)| {
            Some((host.to_ascii_lowercase(), address.parse::<IpAddr>().ok()?))
        });
        let Some((host, address)) = pair else {
            return Err(Failure::message(format!("`{entry}` is not HOST=ADDRESS"))
                .hint("as in --resolve mirror.example.org=192.0.2.1"));
        };
        resolve.insert(host, address);
    }
    Ok(Settings {
        exceptions,
        ca_files: args.ca_file.clone(),
        resolve,
        record: args.record.clone(),
        most_connections: args.connections,
        peer_net: args.peer_net.clone(),
        ..Settings::new(
            mode,
            EvidenceSettings {
                file: args.evidence.clone(),
                most_bytes: u64::from(args.evidence_size) << 20,
                keep: args.evidence_files,
            },
        )
    })
}

fn begin(proxy: &Proxy, file: &Utf8Path) -> Result<Session, Failure> {
    let text = read(file, MOST_LIST)
        .map_err(|source| Failure::new(source).context(format!("cannot read {file}")))?;
    let paths: Vec<&Utf8Path> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(Utf8Path::new)
        .collect();
    Ok(proxy.begin(&paths, day_of(Timestamp::now()))?)
}

fn listeners(args: &FodProxy, session: Option<&Session>) -> Result<Vec<Listener>, Failure> {
    let mut all = Vec::new();
    for address in &args.listen {
        let listener = Listener::tcp(*address).map_err(|source| {
            Failure::new(source).context(format!("cannot listen at {address}"))
        })?;
        all.push(listener);
    }
    for path in &args.unix {
        let listener = Listener::unix(path)
            .map_err(|source| Failure::new(source).context(format!("cannot listen at {path}")))?;
        all.push(listener);
    }
    for number in &args.inherit {
        let listener = Listener::inherited_number(*number).map_err(|source| {
            Failure::new(source)
                .context(format!("cannot take over descriptor {number}"))
                .hint("it has to be a socket on which somebody listens already")
        })?;
        all.push(listener);
    }
    match session.filter(|_| args.no_token || args.watch.is_some()) {
        Some(session) => Ok(all
            .into_iter()
            .map(|one| one.for_session(session))
            .collect()),
        None => Ok(all),
    }
}

/// The token, for who started the proxy.
fn tell(session: &Session, addresses: &[String]) -> Result<(), Failure> {
    let mut text: Value = session.description.clone();
    text["token"] = session.token.clone().into();
    text["listeners"] = json!(addresses);
    print(&text.to_string())
}

/// Prints what was written down.
pub(crate) fn evidence(args: &FodEvidence) -> Result<(), Failure> {
    let mut seen = Vec::new();
    let mut printed = Ok(());
    let skipped = lines::read(&args.file, |line| {
        if !fits(args, &line) || printed.is_err() {
            return;
        }
        if args.propose.is_some() {
            seen.extend(lines::proposal(&line));
        } else {
            // Others chose paths of redirects and names of certificates.
            printed = print(&escape::json(line.to_string()));
        }
    })
    .map_err(|source| {
        Failure::new(source)
            .context(format!("cannot read {}", args.file))
            .hint("it takes the file that --evidence of fod-proxy names")
    })?;
    printed?;
    if skipped > 0 {
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let skipped = counted(skipped, "line is", "lines are");
        say(&format!("note: {skipped} no evidence, and left out"));
    }
    match args.propose {
        Some(day) => print(propose(&seen, day).trim_end()),
        None => Ok(()),
    }
}

fn fits(args: &FodEvidence, line: &Value) -> bool {
    let is = |key: &str, asked: Option<&str>| asked.is_none_or(|asked| line[key] == asked);
    let kind = args.kind.map(|kind| match kind {
        EvidenceKind::Request => "request",
        EvidenceKind::Tunnel => "tunnel",
        EvidenceKind::Build => "build",
    });
    let of = |which: &str| {
        let one = ["derivation", "output", "name"]
            .iter()
            .any(|key| line[*key] == which);
        let many = line["derivations"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == which));
        one || many
    };
    is("kind", kind)
        && is("host", args.host.as_deref())
        && is("verdict", args.verdict.as_deref())
        && args.derivation.as_deref().is_none_or(of)
}

fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(error)),
        _ => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the face reads what it was told to read"
)]
fn read(path: &Utf8Path, most: u64) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(most)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Replaces a file as a whole, with one that everybody may read, whatever is usual for this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the face writes what it was asked to write"
)]
fn replace(path: &Utf8Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let beside: Utf8PathBuf = format!("{path}.new").into();
    std::fs::write(&beside, bytes)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(&beside, path)
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}
