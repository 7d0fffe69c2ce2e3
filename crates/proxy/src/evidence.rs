//! What was asked for, by whom, and what came of it: JSON lines in a file that is bounded.
//!
//! Each line is an object with the schema [`SCHEMA`] and a `kind`: `request`, `tunnel` when one begins, `build` for the
//! verdict when a build ends, or `rotated` where lines were dropped. Credentials never get here: addresses are cut
//! where a secret could stand (`shown`), and of headers none is kept but where a redirect leads. What others chose
//! stands there as escapes of JSON where a terminal would obey it.

mod files;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use snowguard_fod::policy::{Proposal, Protocol};
use snowguard_fod::shown;
use snowguard_report::escape;
use tokio::sync::{mpsc, oneshot};

use self::files::Files;
pub use self::files::read;
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

/// What a line says.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Record {
    Request(Box<Request>),
    /// That a tunnel is carried from now on; a request follows when it ends.
    Tunnel(Box<Request>),
    Build(Box<Build>),
    Rotated(Rotated),
}

/// One line as it is written, without its end.
#[derive(Debug)]
pub(crate) struct Line {
    is_verdict: bool,
    bytes: Vec<u8>,
}

impl Line {
    /// How much it takes in a file.
    pub(crate) fn length(&self) -> u64 {
        self.bytes.len() as u64 + 1
    }
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
    /// How that is known: `token`, `listener`, `network`, `process`, `nobody`.
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
    /// Whether it is a part that was asked for (206), or encoded: its hash is then not that of the file.
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
    /// Requests after a limit was exceeded, or beyond what one build may write down, of which no line tells.
    pub(crate) not_written: u64,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
}

#[derive(Serialize)]
struct Framed<'r> {
    schema: &'static str,
    at: Timestamp,
    mode: &'static str,
    #[serde(flatten)]
    record: &'r Record,
}

/// What the thread that writes is told.
enum Message {
    Write(Line),
    /// Everything before is written; who asked is told.
    Written(oneshot::Sender<()>),
}

/// Takes records from everywhere, and writes them from a thread of its own.
#[derive(Clone)]
pub(crate) struct Sink {
    mode: &'static str,
    to: mpsc::Sender<Message>,
    failed: Arc<AtomicBool>,
    /// What was told where nothing can be waited for; written before what is told next.
    aborted: Arc<Mutex<Vec<Line>>>,
    nobody: Arc<Mutex<Nobody>>,
    /// So many bytes are written of the requests of one session.
    share: u64,
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
        let mut files = Files::open(settings)?;
        let (to, mut from) = mpsc::channel(MOST_WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let telling = Arc::clone(&failed);
        let aborted = Arc::<Mutex<Vec<Line>>>::default();
        let left = Arc::clone(&aborted);
        let thread = std::thread::spawn(move || {
            // Of requests, and of verdicts: each in files of its own.
            let mut has_failed = [false; 2];
            while let Some(message) = from.blocking_recv() {
                let (line, asked) = match message {
                    Message::Write(line) => (Some(line), None),
                    Message::Written(asked) => (None, Some(asked)),
                };
                let aborted = std::mem::take(&mut *lock(&left));
                for line in aborted.into_iter().chain(line) {
                    let written = files.write(mode, &line);
                    has_failed[usize::from(line.is_verdict)] = written.is_err();
                    let is_failing = has_failed.contains(&true);
                    let was_failing = telling.swap(is_failing, Ordering::Relaxed);
                    match written {
                        Err(error) if !was_failing => {
                            tracing::error!(%error, "evidence cannot be written: nothing more is carried");
                        }
                        Ok(()) if was_failing && !is_failing => {
                            tracing::info!("evidence is written again");
                        }
                        _ => {}
                    }
                }
                if let Some(asked) = asked {
                    // Who asked may have stopped waiting.
                    let _ = asked.send(());
                }
            }
        });
        let sink = Self {
            mode,
            to,
            failed,
            aborted,
            nobody: Arc::default(),
            share: settings
                .most_bytes
                .saturating_mul(u64::from(settings.keep) + 1)
                / 4,
        };
        Ok((sink, thread))
    }

    /// So many bytes are written of the requests of one session: others have a place as well.
    pub(crate) fn share(&self) -> u64 {
        self.share
    }

    /// A record as it will be written; none, and that is a failure to write it, if it cannot be said in JSON.
    pub(crate) fn line(&self, record: &Record) -> Option<Line> {
        match line(self.mode, record) {
            Ok(bytes) => Some(Line {
                is_verdict: matches!(record, Record::Build(_)),
                bytes,
            }),
            Err(_) => {
                self.failed.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// Hands a record over.
    pub(crate) async fn tell(&self, record: &Record) {
        if let Some(line) = self.line(record) {
            self.hand_over(line).await;
        }
    }

    /// Hands a line over; waits where too many wait.
    pub(crate) async fn hand_over(&self, line: Line) {
        // The thread ends after the last sender.
        let _ = self.to.send(Message::Write(line)).await;
    }

    /// Hands a line over where nothing can be waited for. It is written before what is told or asked next.
    pub(crate) fn hand_over_now(&self, line: Line) {
        lock(&self.aborted).push(line);
    }

    /// Hands over what is said of a request that is nobody's. Whoever can reach the proxy can make these, so only
    /// some of a second are written.
    pub(crate) async fn tell_of_nobody(&self, mut record: Request) {
        let admitted = lock(&self.nobody).admit(Timestamp::now().as_second());
        if let Some(left_out) = admitted {
            record.not_written = left_out;
            self.tell(&Record::Request(Box::new(record))).await;
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

/// Others chose paths of redirects, names of certificates and words of errors: a terminal obeys none of them, also
/// where somebody looks at the file itself.
fn line(mode: &'static str, record: &Record) -> io::Result<Vec<u8>> {
    let line = Framed {
        schema: SCHEMA,
        at: Timestamp::now(),
        mode,
        record,
    };
    let text = serde_json::to_string(&line).map_err(io::Error::other)?;
    Ok(escape::json(text).into_bytes())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What is said of a request.
const OF_REQUESTS: [&str; 4] = ["allowed", "denied", "would-deny", "refused"];

/// The words for what became of something: of requests, and then of builds.
pub fn verdicts() -> impl Iterator<Item = &'static str> {
    OF_REQUESTS
        .into_iter()
        .chain(Verdict::ALL.into_iter().map(Verdict::as_str))
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
    let host = line["host"].as_str()?;
    // Whoever has such an address named would be denied it for where it is.
    let is_inside = host
        .parse::<IpAddr>()
        .is_ok_and(|address| !snowguard_http::is_public(address));
    Some(Proposal {
        output: line["output"].as_str()?.to_owned(),
        host: host.to_owned(),
        port: u16::try_from(line["port"].as_u64()?).ok()?,
        protocol: match line["protocol"].as_str()? {
            "http" => Protocol::Http,
            _ => Protocol::Https,
        },
        private: is_inside || reason == "private-address",
    })
}

/// An address as evidence shows it: without a user, and without what could open something; of one that the derivation
/// itself names, as reports show it.
pub(crate) fn shown(url: &str, own: &[Box<str>]) -> String {
    if own.iter().any(|known| **known == *url) {
        cut(&shown::shown(url))
    } else {
        cut(&shown::shown_bare(url))
    }
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
    use camino::{Utf8Path, Utf8PathBuf};

    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let own: Vec<Box<str>> = vec![
            "https://x.org/a?p=x;h=1".into(),
            "https://x.org/a?p=x&key=word".into(),
            "https://me:word@x.org/b".into(),
        ];
        for (url, expected) in [
            ("https://x.org/a?p=x;h=1", "https://x.org/a?p=x;h=1"),
            ("https://x.org/a?p=x&key=word", "https://x.org/a?p=x&key=…"),
            ("https://x.org/a?p=y", "https://x.org/a?p=…"),
            (
                "https://x.org/f?QWxhZGRpbjpvcGVuIHNlc2FtZQ=",
                "https://x.org/f?…",
            ),
            (
                "https://x.org/f?QWxhZGRpbjpvcGVuIHNlc2FtZT0==",
                "https://x.org/f?…",
            ),
            ("https://x.org/f?ghp_word=&a=b", "https://x.org/f?…&a=…"),
            (
                "https://x.org/a;jsessionid=word/b;word?c",
                "https://x.org/a;jsessionid=…/b;…?…",
            ),
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
                sink.tell(&record(&number.to_string())).await;
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
    fn what_others_chose_is_no_text_for_a_terminal() {
        let text = line("audit", &record("https://x.org/\u{202e}\u{9b}31m")).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(r"https://x.org/\u202e\u009b31m"), "{text}");
    }

    #[test]
    fn an_address_that_is_not_public_is_proposed_as_private() {
        let private = |reason: &str, host: &str| {
            let line = serde_json::json!({
                "kind": "request", "verdict": "denied", "reason": reason, "output": "/nix/store/x",
                "host": host, "port": 80, "protocol": "http",
            });
            proposal(&line).unwrap().private
        };
        for (reason, host, expected) in [
            ("address-literal", "10.0.0.1", true),
            ("address-literal", "::1", true),
            ("other-port", "192.168.1.1", true),
            ("address-literal", "140.82.121.3", false),
            ("other-host", "example.org", false),
            ("private-address", "example.org", true),
        ] {
            assert_eq!(private(reason, host), expected, "{reason} {host}");
        }
    }

    #[test]
    fn verdicts_have_the_words_that_are_written() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::json!(verdict), verdict.as_str());
        }
        let all: std::collections::BTreeSet<&str> = verdicts().collect();
        assert_eq!(all.len(), 13);
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
        let place = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(place.path()).unwrap().join("full");
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        let settings = EvidenceSettings::new(file);
        let (sink, thread) = Sink::open(&settings, "audit").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(sink.tell(&record("x")));
        let failed = Arc::clone(&sink.failed);
        drop(sink);
        thread.join().unwrap();
        assert!(failed.load(Ordering::Relaxed));
    }
}
