//! What was asked for, by whom, and what came of it: JSON lines in a file that is bounded.
//!
//! Each line is an object with the schema [`SCHEMA`] and a `kind`: `request`, `build` for the verdict when a build
//! ends, or `rotated` where lines were dropped. Credentials never get here: addresses are cut where a secret could stand (`shown`), and of headers
//! none is kept but where a redirect leads.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use snowguard_fod::policy::{Proposal, Protocol};
use tokio::sync::{mpsc, oneshot};

pub use crate::build::Verdict;
use crate::settings::EvidenceSettings;

/// The schema of every line.
pub const SCHEMA: &str = "snowguard-fod-evidence/1";

/// So many records wait to be written; who has one more waits.
const MOST_WAITING: usize = 1024;
/// So many requests of nobody are written in a second.
const MOST_OF_NOBODY: u32 = 100;
/// The longest address that is kept, in bytes.
const MOST_URL: usize = 2048;
/// So many files that were put aside are read back.
const MOST_ASIDE: u32 = 10_000;
/// The longest line that is read back, in bytes.
const MOST_LINE: u64 = 1 << 20;

/// One line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Record {
    Request(Box<Request>),
    Build(Box<Build>),
    Rotated(Rotated),
}

/// What was written, and is no longer there since files are bounded; since the proxy began.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Rotated {
    pub(crate) dropped_files: u64,
    pub(crate) dropped_bytes: u64,
}

/// A request, when it is answered.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Request {
    /// The number of the session; none if nobody knows whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<u64>,
    /// Derivations that it may be of; mostly one.
    pub(crate) derivations: Vec<Box<str>>,
    /// The name of its output, if it is of one derivation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Box<str>>,
    /// The store path of that output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Box<str>>,
    /// How that is known: `token`, `listener`, `process`, `nobody`.
    pub(crate) attributed: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    pub(crate) method: Box<str>,
    /// The address, with what could be secret left out.
    pub(crate) url: String,
    pub(crate) protocol: &'static str,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// `allowed`, `denied`, `would-deny`, `refused`.
    pub(crate) verdict: &'static str,
    /// Why it is denied, refused, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// What allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<String>,
    /// The address that was connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Where it is redirected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) milliseconds: u64,
    /// So many of nobody before it were only counted, since they were too many in a second.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) not_written: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Body>,
}

/// How TLS with a server went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tls {
    /// Whether the server proved who it is; none where nobody looked, as in a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<bool>,
    /// The name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<Box<str>>,
    /// Certificates as the server showed them.
    pub(crate) chain: Vec<Certificate>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Certificate {
    pub(crate) sha256: String,
    pub(crate) subject: String,
    pub(crate) issuer: String,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Body {
    pub(crate) bytes: u64,
    /// Hashes as SRI.
    pub(crate) hashes: Vec<String>,
    /// Whether it came to its end.
    pub(crate) whole: bool,
    /// Whether it is a part of something (206), or encoded: its hash is then not that of the file.
    pub(crate) part: bool,
    /// Whether it has the hash that is declared; none where that says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) matches: Option<bool>,
}

/// The verdict on a build.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Build {
    pub(crate) session: u64,
    pub(crate) derivation: Box<str>,
    pub(crate) output: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) class: &'static str,
    pub(crate) verdict: Verdict,
    /// The hash that it declares, as SRI.
    pub(crate) declared: String,
    /// Hashes of whole bodies that are not the declared one.
    pub(crate) got: Vec<String>,
    pub(crate) requests: u64,
    pub(crate) denied: u64,
    pub(crate) would_deny: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Requests after a limit was exceeded, of which no line tells.
    pub(crate) not_written: u64,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
}

#[derive(Serialize)]
struct Line<'r> {
    schema: &'static str,
    at: Timestamp,
    mode: &'static str,
    #[serde(flatten)]
    record: &'r Record,
}

/// What the thread that writes is told.
enum Message {
    Write(Record),
    /// Everything before is written; who asked is told.
    Written(oneshot::Sender<()>),
}

/// Takes records from everywhere, and writes them from a thread of its own.
#[derive(Clone)]
pub(crate) struct Sink {
    to: mpsc::Sender<Message>,
    failed: Arc<AtomicBool>,
    /// What was told where nothing can be waited for; written before what is told next.
    aborted: Arc<Mutex<Vec<Record>>>,
    nobody: Arc<Mutex<Nobody>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was written in this second of requests that are nobody's, and how many were not.
#[derive(Debug, Default)]
struct Nobody {
    second: i64,
    written: u32,
    left_out: u64,
}

impl Nobody {
    /// Whether one more is written, and how many before it were not.
    fn admit(&mut self, second: i64) -> Option<u64> {
        if self.second != second {
            (self.second, self.written) = (second, 0);
        }
        if self.written >= MOST_OF_NOBODY {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Sink {
    /// Opens the file; the handle ends when the last sink is gone.
    pub(crate) fn open(
        settings: &EvidenceSettings,
        mode: &'static str,
    ) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        let mut file = File::open(settings.clone())?;
        let (to, mut from) = mpsc::channel(MOST_WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let telling = Arc::clone(&failed);
        let aborted = Arc::<Mutex<Vec<Record>>>::default();
        let left = Arc::clone(&aborted);
        let thread = std::thread::spawn(move || {
            while let Some(message) = from.blocking_recv() {
                let (record, asked) = match message {
                    Message::Write(record) => (Some(record), None),
                    Message::Written(asked) => (None, Some(asked)),
                };
                let aborted = std::mem::take(&mut *lock(&left));
                for record in aborted.into_iter().chain(record) {
                    let written = line(mode, &record).and_then(|bytes| file.write(mode, &bytes));
                    if let Err(error) = written {
                        if !telling.swap(true, Ordering::Relaxed) {
                            tracing::error!(%error, "evidence cannot be written: nothing more is carried");
                        }
                    } else if telling.swap(false, Ordering::Relaxed) {
                        tracing::info!("evidence is written again");
                    }
                }
                if let Some(asked) = asked {
                    // Who asked may have stopped waiting.
                    let _ = asked.send(());
                }
            }
        });
        let nobody = Arc::new(Mutex::new(Nobody::default()));
        let sink = Self {
            to,
            failed,
            aborted,
            nobody,
        };
        Ok((sink, thread))
    }

    /// Hands a record over; waits where too many wait.
    pub(crate) async fn tell(&self, record: Record) {
        // The thread ends after the last sender.
        let _ = self.to.send(Message::Write(record)).await;
    }

    /// Hands a record over where nothing can be waited for. It is written before what is told or asked next.
    pub(crate) fn tell_now(&self, record: Record) {
        lock(&self.aborted).push(record);
    }

    /// Hands over what is said of a request that is nobody's. Whoever can reach the proxy can make these, so only
    /// some of a second are written.
    pub(crate) async fn tell_of_nobody(&self, mut record: Request) {
        let admitted = lock(&self.nobody).admit(Timestamp::now().as_second());
        if let Some(left_out) = admitted {
            record.not_written = left_out;
            self.tell(Record::Request(Box::new(record))).await;
        }
    }

    /// Waits until all that was handed over is written.
    pub(crate) async fn written(&self) {
        let (asked, answer) = oneshot::channel();
        if self.to.send(Message::Written(asked)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Whether the last record could not be written: then nothing may happen that would not be known.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

fn line(mode: &'static str, record: &Record) -> io::Result<Vec<u8>> {
    let line = Line {
        schema: SCHEMA,
        at: Timestamp::now(),
        mode,
        record,
    };
    serde_json::to_vec(&line).map_err(io::Error::other)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The file, and those that were put aside: `NAME.1` is the latest of these.
struct File {
    settings: EvidenceSettings,
    open: std::fs::File,
    bytes: u64,
    /// Whether the last line may have no end.
    is_torn: bool,
    rotated: Rotated,
}

impl File {
    fn open(settings: EvidenceSettings) -> io::Result<Self> {
        let open = append(&settings.file)?;
        let bytes = open.metadata()?.len();
        let is_torn = bytes > 0 && !ends_in_a_line(&settings.file)?;
        Ok(Self {
            settings,
            open,
            bytes,
            is_torn,
            rotated: Rotated::default(),
        })
    }

    fn write(&mut self, mode: &'static str, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + length > self.settings.most_bytes {
            let before = self.rotated.dropped_files;
            self.rotate()?;
            if self.rotated.dropped_files > before {
                let told = self::line(mode, &Record::Rotated(self.rotated.clone()))?;
                self.append(&told)?;
            }
        }
        self.append(line)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut whole = Vec::with_capacity(line.len() + 2);
        if self.is_torn {
            // So that what was cut spoils no line but its own.
            whole.push(b'\n');
        }
        whole.extend_from_slice(line);
        whole.push(b'\n');
        self.is_torn = true;
        let written = self.open.write_all(&whole);
        match &written {
            Ok(()) => {
                self.is_torn = false;
                self.bytes += whole.len() as u64;
            }
            Err(_) => self.bytes = self.open.metadata().map_or(self.bytes, |data| data.len()),
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        let keep = self.settings.keep;
        let missing_is_fine = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let oldest = aside(&self.settings.file, keep);
        if let Ok(data) = oldest.symlink_metadata() {
            self.rotated.dropped_files += 1;
            self.rotated.dropped_bytes += data.len();
        }
        if keep == 0 {
            missing_is_fine(std::fs::remove_file(&self.settings.file))?;
        }
        for number in (0..keep).rev() {
            let (from, to) = (
                aside(&self.settings.file, number),
                aside(&self.settings.file, number + 1),
            );
            missing_is_fine(std::fs::rename(from, to))?;
        }
        self.open = append(&self.settings.file)?;
        (self.bytes, self.is_torn) = (0, false);
        Ok(())
    }
}

fn append(path: &Utf8Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// Whether a file that is not empty ends with the end of a line.
fn ends_in_a_line(path: &Utf8Path) -> io::Result<bool> {
    use std::io::{Read as _, Seek as _};
    let mut file = open(path)?;
    let mut last = [0];
    file.seek(io::SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn aside(file: &Utf8Path, number: u32) -> Utf8PathBuf {
    match number {
        0 => file.to_owned(),
        number => format!("{file}.{number}").into(),
    }
}

/// Reads all lines, the oldest first; lines that are none are left out and counted.
pub fn read(file: &Utf8Path, mut each: impl FnMut(Value)) -> io::Result<u64> {
    let mut numbers: Vec<u32> = (1..MOST_ASIDE)
        .take_while(|number| aside(file, *number).exists())
        .collect();
    numbers.reverse();
    numbers.push(0);
    let mut skipped = 0;
    for number in numbers {
        let mut lines = BufReader::new(open(&aside(file, number))?);
        loop {
            let mut line = Vec::new();
            let read = io::Read::take(&mut lines, MOST_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            if line == b"\n" {
                continue;
            }
            let value = serde_json::from_slice::<Value>(&line).ok();
            match value.filter(|value| value["schema"] == SCHEMA) {
                Some(value) => each(value),
                None => skipped += 1,
            }
        }
    }
    Ok(skipped)
}

#[expect(clippy::disallowed_methods, reason = "this room reads evidence")]
fn open(path: &Utf8Path) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}

/// What a line would have been denied for, as something that an exception could allow.
pub fn proposal(line: &Value) -> Option<Proposal> {
    let verdict = line["verdict"].as_str()?;
    if line["kind"] != "request" || !matches!(verdict, "would-deny" | "denied") {
        return None;
    }
    // Limits and what is no name are nothing that hosts are named for.
    let reason = line["reason"].as_str()?;
    let by_name = [
        "no-network",
        "other-host",
        "address-literal",
        "other-port",
        "plain-http",
        "weak-hash-over-http",
        "private-address",
    ];
    if !by_name.contains(&reason) {
        return None;
    }
    Some(Proposal {
        output: line["output"].as_str()?.to_owned(),
        host: line["host"].as_str()?.to_owned(),
        port: u16::try_from(line["port"].as_u64()?).ok()?,
        protocol: match line["protocol"].as_str()? {
            "http" => Protocol::Http,
            _ => Protocol::Https,
        },
        private: reason == "private-address",
    })
}

/// An address as evidence shows it: without a user, and of its query only the names, since a value can be a key
/// that opens something; but as it is if the derivation itself names it, which all may read.
pub(crate) fn shown(url: &str, own: &[Box<str>]) -> String {
    let has_user = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split(['/', '?'])
            .next()
            .is_some_and(|authority| authority.contains('@'))
    };
    if !has_user(url) && own.iter().any(|known| **known == *url) {
        return cut(url);
    }
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let mut text = match before.split_once("://") {
        Some((scheme, rest)) if has_user(url) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}")
        }
        _ => before.to_owned(),
    };
    if !query.is_empty() {
        let names = query.split('#').next().unwrap_or_default().split('&');
        let names: Vec<String> = names
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) => format!("{name}=…"),
                None => "…".to_owned(),
            })
            .collect();
        text = format!("{text}?{}", names.join("&"));
    }
    cut(&text)
}

fn cut(text: &str) -> String {
    if text.len() <= MOST_URL {
        return text.to_owned();
    }
    let end = (0..=MOST_URL).rev().find(|at| text.is_char_boundary(*at));
    format!("{}…", &text[..end.unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let own: Vec<Box<str>> = vec![
            "https://x.org/a?p=x;h=1".into(),
            "https://me:word@x.org/b".into(),
        ];
        for (url, expected) in [
            ("https://x.org/a?p=x;h=1", "https://x.org/a?p=x;h=1"),
            ("https://x.org/a?p=y", "https://x.org/a?p=…"),
            (
                "https://x.org/a?X-Sig=abc&jwt=e.y&raw",
                "https://x.org/a?X-Sig=…&jwt=…&…",
            ),
            ("https://me:word@x.org/b", "https://x.org/b"),
            ("https://me:word@x.org?a=b", "https://x.org?a=…"),
            ("https://x.org/a@b", "https://x.org/a@b"),
        ] {
            assert_eq!(shown(url, &own), expected);
        }
        assert!(shown(&format!("https://x.org/{}", "ä".repeat(3000)), &[]).len() < 2100);
    }

    fn record(url: &str) -> Record {
        Record::Request(Box::new(Request {
            url: url.to_owned(),
            name: Some("x".into()),
            output: Some("/nix/store/x".into()),
            host: "y.org".into(),
            port: 443,
            protocol: "https",
            verdict: "would-deny",
            reason: Some("other-host".to_owned()),
            ..Request::default()
        }))
    }

    #[test]
    fn files_are_bounded_and_read_in_order() {
        let place = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(place.path())
            .unwrap()
            .join("evidence.jsonl");
        let settings = EvidenceSettings {
            most_bytes: 1500,
            keep: 2,
            file: file.clone(),
        };
        let (sink, thread) = Sink::open(&settings, "audit").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            for number in 0..20 {
                sink.tell(record(&number.to_string())).await;
            }
        });
        assert!(!sink.has_failed());
        drop(sink);
        thread.join().unwrap();
        let mut seen = Vec::new();
        assert_eq!(read(&file, |line| seen.push(line)).unwrap(), 0);
        let (told, seen): (Vec<_>, Vec<_>) =
            seen.into_iter().partition(|line| line["kind"] == "rotated");
        let (first, last) = (&told[0], told.last().unwrap());
        assert!(last["dropped_files"].as_u64() > first["dropped_files"].as_u64());
        assert!(last["dropped_bytes"].as_u64() > Some(2000));
        let numbers: Vec<u64> = seen
            .iter()
            .map(|line| line["url"].as_str().unwrap().parse().unwrap())
            .collect();
        let first = numbers[0];
        assert!(first > 0, "what is old is gone: {numbers:?}");
        assert_eq!(numbers, (first..20).collect::<Vec<_>>());
        for path in ["", ".1", ".2"] {
            let data = std::fs::metadata(format!("{file}{path}")).unwrap();
            assert!(data.len() <= 1500);
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o777,
                0o600
            );
        }
        assert!(!Utf8PathBuf::from(format!("{file}.3")).exists());
        assert_eq!(proposal(&seen[0]).unwrap().host, "y.org");
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let place = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(place.path())
            .unwrap()
            .join("evidence.jsonl");
        let told = |bytes: &str| {
            let mut before = std::fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .open(&file)
                .unwrap();
            before.write_all(bytes.as_bytes()).unwrap();
            let mut open = File::open(EvidenceSettings::new(file.clone())).unwrap();
            let whole = line("audit", &record("https://x.org/")).unwrap();
            open.write("audit", &whole).unwrap();
            // As after a disk that was full.
            open.open.write_all(b"{\"schema\"").unwrap();
            open.is_torn = true;
            open.write("audit", &whole).unwrap();
            assert_eq!(open.bytes + 9, open.open.metadata().unwrap().len());
            let mut seen = 0;
            (read(&file, |_| seen += 1).unwrap(), seen)
        };
        assert_eq!(told(""), (1, 2));
        assert_eq!(told("{\"schema\": \"snow"), (2, 2));
        assert_eq!(told("\n"), (1, 2));
    }

    #[test]
    fn requests_of_nobody_do_not_fill_the_file() {
        let mut nobody = Nobody::default();
        let written = (0..1000).filter(|_| nobody.admit(7).is_some()).count();
        assert_eq!(written, MOST_OF_NOBODY as usize);
        assert_eq!(nobody.admit(8), Some(1000 - u64::from(MOST_OF_NOBODY)));
        assert_eq!(nobody.admit(8), Some(0));
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let settings = EvidenceSettings::new("/dev/full".into());
        let (sink, thread) = Sink::open(&settings, "audit").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(sink.tell(record("x")));
        let failed = Arc::clone(&sink.failed);
        drop(sink);
        thread.join().unwrap();
        assert!(failed.load(Ordering::Relaxed));
    }
}
