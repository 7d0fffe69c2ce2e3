//! In the namespaces: the units are started, and what they do is looked at.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::probe::TRIES;
use super::{OURS, SHARED};

const UNITS: &str = "/etc/systemd/system";
/// The services of the system; that of the session needs a session.
const SERVICES: &[&str] = &[
    "snowguard-fod-proxy",
    "snowguard-update",
    "snowguard-watch",
    "snowguard-notify-file",
    "snowguard-notify-journal",
    "snowguard-notify-mail",
    "snowguard-notify-webhook",
    "snowguard-publish",
    "snowguard-push",
    "snowguard-tracker",
    "snowguard-tracker-worker",
];
/// Restrictions that no try is for, with the reason.
const NOT_TRIED: &[(&str, &str)] = &[
    ("IPAddressDeny", "the unit has no network to begin with"),
    (
        "ProtectClock",
        "a clock cannot be set for a namespace alone",
    ),
    ("RemoveIPC", "nothing of ours uses System V IPC"),
    (
        "SystemCallArchitectures",
        "it needs a program of another architecture",
    ),
];
/// Directives that restrict nothing, or the outcome of which is looked at below.
const OTHERS: &[&str] = &[
    "AmbientCapabilities",
    "CPUSchedulingPolicy",
    "CPUWeight",
    "CacheDirectory",
    "CacheDirectoryMode",
    "DynamicUser",
    "Environment",
    "ExecStart",
    "Group",
    "IOSchedulingClass",
    "IOWeight",
    "LimitNOFILE",
    "LoadCredential",
    "LogsDirectory",
    "LogsDirectoryMode",
    "MemoryMax",
    "Nice",
    "OOMPolicy",
    "Restart",
    "RestartSec",
    "RuntimeDirectory",
    "RuntimeDirectoryMode",
    "StateDirectory",
    "StateDirectoryMode",
    "SystemCallErrorNumber",
    "TasksMax",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Type",
    "UMask",
    "User",
    "WatchdogSec",
    "WorkingDirectory",
];

pub(crate) fn run() -> Result<()> {
    let mut told = String::new();
    if let Err(error) = all(&mut told) {
        let _ = writeln!(told, "failed {error:#}");
    }
    told.push_str("end\n");
    fs::write(format!("{SHARED}/report"), told)?;
    let _ = Command::new("systemctl").args(["--force", "exit"]).status();
    Ok(())
}

fn all(told: &mut String) -> Result<()> {
    let receiver = Receiver::start()?;
    fs::write(format!("{SHARED}/address"), receiver.address.as_bytes())?;
    restrictions(told)?;
    work(told, &receiver)
}

/// Tries under the restrictions of each unit what they are there to forbid.
fn restrictions(told: &mut String) -> Result<()> {
    let free = probe(
        "probe-free",
        "[Unit]\nDefaultDependencies=no\n[Service]\nPrivateMounts=yes\n",
        false,
    )?;
    let works: BTreeSet<&str> = free
        .lines()
        .filter_map(|line| line.strip_prefix("could "))
        .collect();
    let mut left = BTreeSet::new();
    for service in SERVICES {
        let text = fs::read_to_string(format!("{UNITS}/{service}.service"))?;
        for (line, key) in directives(&text) {
            let known = TRIES.iter().any(|it| it.directive == key)
                || NOT_TRIED.iter().any(|(it, _)| *it == key)
                || OTHERS.contains(&key);
            ensure!(known, "{service}: nothing tries what `{line}` is for");
        }
        for as_root in [false, true] {
            let name = format!("probe-{}{service}", if as_root { "root-" } else { "" });
            let tried = probe(&name, &text, as_root)?;
            for it in TRIES {
                let (what, directive) = (it.what, it.directive);
                // It hides the processes of other users: root's are its own.
                let meant = !(as_root && directive == "ProtectProc");
                // No unit may be without it, but those that are there to speak to others.
                let is_said = directives(&text).any(|(_, key)| key == directive);
                let wanted = meant && (is_said || directive != "PrivateNetwork");
                let refused = tried
                    .lines()
                    .any(|line| line.starts_with(&format!("refused {what}: ")));
                let who = if as_root { ", as root" } else { "" };
                match (wanted, refused) {
                    (true, _) if !works.contains(what) => {
                        left.insert(format!(
                            "{directive} ({what}: not possible here to begin with)"
                        ));
                    }
                    (true, true) => writeln!(told, "held {service}{who}: cannot {what}")?,
                    (true, false) => writeln!(
                        told,
                        "failed {service}{who}: could {what}, against {directive}="
                    )?,
                    // What a unit needs and may do: without it, the others would show less.
                    (false, true) if directive == "PrivateNetwork" => {
                        writeln!(told, "failed {service}{who}: cannot {what}")?;
                    }
                    (false, _) => {}
                }
            }
        }
    }
    for (directive, why) in NOT_TRIED {
        left.insert(format!("{directive} ({why})"));
    }
    left.insert("the unit of the desktop (it needs a session)".into());
    for it in left {
        writeln!(told, "left {it}")?;
    }
    Ok(())
}

/// Runs the probe with what a unit says, but for what it starts and how.
fn probe(name: &str, text: &str, as_root: bool) -> Result<String> {
    let mut unit = String::new();
    for line in text.lines() {
        let key = line.split('=').next().unwrap_or_default();
        let is_user = matches!(key, "DynamicUser" | "User" | "Group");
        let is_other = matches!(
            key,
            "[Install]"
                | "WantedBy"
                | "ExecStart"
                | "Type"
                | "Restart"
                | "RestartSec"
                | "WatchdogSec"
                | "LoadCredential"
                // It would go with the probe.
                | "RuntimeDirectory"
                | "RuntimeDirectoryMode"
        );
        if !(is_other || as_root && is_user) {
            unit.push_str(line);
            unit.push('\n');
        }
    }
    let output = format!("{SHARED}/{name}");
    write!(
        unit,
        "[Service]\nType=oneshot\nExecStart={OURS}xtask inside-units probe\nStandardOutput=append:{output}\n\
         StandardError=append:{SHARED}/log\n"
    )?;
    fs::write(format!("{UNITS}/{name}.service"), unit)?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["start", &format!("{name}.service")])?;
    let tried = fs::read_to_string(&output)?;
    ensure!(
        tried.ends_with("end\n"),
        "the probe {name} did not end:\n{tried}"
    );
    Ok(tried)
}

/// Lines `KEY=VALUE` of what a service is, where the value is not `no`.
fn directives(unit: &str) -> impl Iterator<Item = (&str, &str)> {
    let service = unit.split("[Service]").nth(1).unwrap_or_default();
    let service = service.split("\n[").next().unwrap_or_default();
    service.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (!key.starts_with('#') && value != "no").then_some((line, key))
    })
}

/// Lets each unit do its work, from advisories to what is told and sent.
fn work(told: &mut String, receiver: &Receiver) -> Result<()> {
    let snowguard = format!("{OURS}snowguard");
    let run = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(&snowguard).args(arguments).output()?;
        ensure!(
            output.status.success(),
            "snowguard {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // A mirror of advisories, made as an operator makes one.
    run(&[
        "advisories",
        "import",
        "/srv/advisories",
        "--output",
        "/srv/all.idx",
    ])?;
    fs::write(
        "/srv/mirror.public",
        run(&["advisories", "key", "/srv/mirror.secret"])?,
    )?;
    run(&[
        "--index",
        "/srv/all.idx",
        "advisories",
        "publish",
        "--to",
        "/srv/mirror",
        "--key",
        "/srv/mirror.secret",
    ])?;
    drop_in(
        "snowguard-update",
        &format!(
            "ExecStart=\nExecStart={snowguard} advisories update --from file:///srv/mirror --key /srv/mirror.public \
         --output /var/lib/snowguard/advisories.idx"
        ),
    )?;
    let address = &receiver.address;
    let sendmail = "/srv/sendmail";
    fs::write(
        sendmail,
        "#!/bin/sh\nexec cat > \"$STATE_DIRECTORY/mail\"\n",
    )?;
    fs::set_permissions(sendmail, fs::Permissions::from_mode(0o755))?;
    fs::write(
        "/etc/snowguard/watch.toml",
        format!(
            "[watch]\nsettle = '0s'\n[[watch.target]]\nname = 'system'\ninput = '/srv/system.json.zst'\n\
         [notify.file]\npath = '/var/log/snowguard/changes.jsonl'\n\
         [notify.mail]\nto = ['root']\nfrom = 'snowguard@host.example'\nsendmail = '{sendmail}'\n\
         [notify.webhook]\nurl = 'http://{address}/hook'\nsecret-file = 'credential:secret'\n"
        ),
    )?;
    fs::write("/etc/snowguard/webhook-secret", "whsec_c2VjcmV0\n")?;
    fs::set_permissions(
        "/etc/snowguard/webhook-secret",
        fs::Permissions::from_mode(0o600),
    )?;
    drop_in(
        "snowguard-notify-webhook",
        "LoadCredential=secret:/etc/snowguard/webhook-secret",
    )?;
    run(&["advisories", "key", "/etc/snowguard/push.secret"])?;
    drop_in(
        "snowguard-push",
        &format!("Environment=SNOWGUARD_PUSH_TO=http://{address}/results"),
    )?;
    systemctl(&["daemon-reload"])?;

    start("snowguard-update", told)?;
    exists("/var/lib/snowguard/advisories.idx")?;
    held(told, "snowguard-update: fetches an index");
    start("snowguard-watch", told)?;
    priorities(told)?;
    until("a result", || {
        exists("/run/snowguard/results/system.json").is_ok()
    })?;
    held(
        told,
        "snowguard-watch: scans, and publishes the history and the result",
    );
    start("snowguard-notify-file", told)?;
    until("lines of changes", || {
        read("/var/log/snowguard/changes.jsonl").contains("baseline")
    })?;
    let other = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "cat",
            "/var/log/snowguard/changes.jsonl",
        ])
        .output()?;
    ensure!(
        other.status.success(),
        "others cannot read what the file notifier writes"
    );
    held(
        told,
        "snowguard-notify-file: writes lines that others can read",
    );
    start("snowguard-notify-journal", told)?;
    until("an entry in the journal", || {
        journal(&["-t", "snowguard", "-o", "verbose"]).contains("SNOWGUARD_CHANGE=baseline")
    })?;
    held(told, "snowguard-notify-journal: writes an entry");
    start("snowguard-notify-mail", told)?;
    let mail = "/var/lib/private/snowguard-notify-mail/mail";
    until("a mail", || read(mail).contains("Message-ID:"))?;
    held(told, "snowguard-notify-mail: hands a mail to sendmail");
    start("snowguard-notify-webhook", told)?;
    until("a request of the webhook", || {
        receiver.got("POST /hook ", "webhook-signature: v1,")
    })?;
    held(told, "snowguard-notify-webhook: sends a signed request");
    start("snowguard-push", told)?;
    until("a result that is sent", || {
        receiver.got("POST /results ", "payloadType")
    })?;
    held(told, "snowguard-push: signs and sends a result");
    start("snowguard-tracker", told)?;
    until("an answer of the tracker", || {
        asked("127.0.0.1:8080", "/readyz").is_some_and(|answer| answer.ends_with("ready\n"))
    })?;
    until("what is due is done", || {
        journal(&["-u", "snowguard-tracker", "-o", "cat"]).contains("old evaluations")
    })?;
    held(
        told,
        "snowguard-tracker: answers, and does what is due in its database",
    );
    run(&["advisories", "key", "/etc/snowguard/publish.secret"])?;
    start("snowguard-publish", told)?;
    exists("/var/lib/snowguard-publish/repository/metadata/timestamp.json")?;
    held(
        told,
        "snowguard-publish: signs the index with what the tracker decided",
    );
    start("snowguard-tracker-worker", told)?;
    until("a worker at work", || {
        journal(&["-u", "snowguard-tracker-worker", "-o", "cat"]).contains("working on")
    })?;
    held(told, "snowguard-tracker-worker: works on the same database");
    start("snowguard-fod-proxy", told)?;
    // To who takes it for a server it says that it is none.
    let refused =
        || asked("127.0.0.1:3128", "/").is_some_and(|answer| answer.starts_with("HTTP/1.1 400 "));
    until("an answer of the proxy of builds", refused)?;
    exists("/var/lib/snowguard-fod-proxy/evidence.jsonl")?;
    held(told, "snowguard-fod-proxy: answers, and writes evidence");
    for service in SERVICES {
        let state = show(service, "Result")?;
        ensure!(state == "success", "{service}: {state}");
    }
    Ok(())
}

/// The answer to a request.
fn asked(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The priority of the watcher, and the limits of its cgroup.
fn priorities(told: &mut String) -> Result<()> {
    let pid = show("snowguard-watch", "MainPID")?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    // proc(5): from the third field on.
    let (nice, policy) = (fields.get(16), fields.get(38));
    ensure!(
        nice == Some(&"19"),
        "snowguard-watch: its nice value is {nice:?}"
    );
    ensure!(
        policy == Some(&"3"),
        "snowguard-watch: its scheduling policy is {policy:?}, not SCHED_BATCH"
    );
    held(told, "snowguard-watch: runs with nice 19 and SCHED_BATCH");
    let class = Command::new("ionice").args(["-p", &pid]).output()?;
    ensure!(
        String::from_utf8_lossy(&class.stdout).starts_with("idle"),
        "snowguard-watch: its I/O is not idle"
    );
    held(told, "snowguard-watch: its I/O is idle");
    let cgroup = format!("/sys/fs/cgroup{}", show("snowguard-watch", "ControlGroup")?);
    for (directive, file, value) in [
        ("MemoryMax", "memory.max", "4294967296"),
        ("TasksMax", "pids.max", "128"),
    ] {
        match fs::read_to_string(format!("{cgroup}/{file}")) {
            Ok(limit) => {
                ensure!(limit.trim() == value, "snowguard-watch: {file} is {limit}");
                held(told, &format!("snowguard-watch: {directive} is set"));
            }
            Err(_) => writeln!(
                told,
                "left {directive} (no controller for the cgroup of this test)"
            )?,
        }
    }
    Ok(())
}

fn held(told: &mut String, what: &str) {
    let _ = writeln!(told, "held {what}");
}

fn drop_in(service: &str, text: &str) -> Result<()> {
    let directory = format!("{UNITS}/{service}.service.d");
    fs::create_dir_all(&directory)?;
    fs::write(
        format!("{directory}/test.conf"),
        format!("[Service]\n{text}\nStandardError=append:{SHARED}/log\n"),
    )?;
    Ok(())
}

/// Starts a unit as `systemctl start` does: until it is ready, or until it is done.
fn start(service: &str, told: &mut String) -> Result<()> {
    systemctl(&["start", &format!("{service}.service")])?;
    held(told, &format!("{service}: starts"));
    Ok(())
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let output = Command::new("systemctl").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = match arguments {
        ["start", unit] => journal(&["-n", "5", "-o", "cat", "-u", unit]),
        _ => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    };
    bail!("systemctl {}: {told}", arguments.join(" "))
}

fn journal(arguments: &[&str]) -> String {
    let output = Command::new("journalctl")
        .arg("--no-pager")
        .args(arguments)
        .output();
    output.map_or_else(
        |error| error.to_string(),
        |output| {
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .replace('\n', " / ")
        },
    )
}

fn show(service: &str, property: &str) -> Result<String> {
    let output = Command::new("systemctl")
        .args(["show", "--value", "--property", property, service])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn exists(path: &str) -> Result<()> {
    fs::metadata(path)
        .map(drop)
        .with_context(|| format!("{path} is not there"))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !holds() {
        if begin.elapsed() > Duration::from_mins(1) {
            bail!("{what} did not come");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A server that takes everything, and keeps it.
struct Receiver {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    let mut request = Vec::new();
                    let mut piece = [0; 1 << 12];
                    while let Ok(read @ 1..) = stream.read(&mut piece) {
                        request.extend_from_slice(&piece[..read]);
                        if is_whole(&request) {
                            let text = String::from_utf8_lossy(&request).into_owned();
                            kept.lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(text);
                            let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                            let _ = stream.write_all(answer.as_bytes());
                            break;
                        }
                    }
                });
            }
        });
        Ok(Self { address, requests })
    }

    fn got(&self, line: &str, word: &str) -> bool {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests
            .iter()
            .any(|request| request.starts_with(line) && request.contains(word))
    }
}

/// Whether a request has all the bytes that it announces.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    body.len() >= length.unwrap_or(0)
}
