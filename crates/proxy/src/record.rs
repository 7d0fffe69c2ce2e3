//! Bodies by their hash and answers by their address, in a directory; written by `inspect`, read by `replay`.
//!
//! `DIR/sha256/HEX` are bodies. `DIR/index.jsonl` has a line for each answer, with the schema
//! [`SCHEMA`]: `key` is the SHA-256 of method, address and body of the request, so that no secret of an address
//! stands there. Where it has headers by which servers answer differently ([`ASKED`]), a second line has the key with
//! these as well, which goes before. `to` and the kept headers are as the server sent them, which is why the directory is for its owner
//! alone.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::wire::head::Headers;

/// The schema of every line.
const SCHEMA: &str = "snowguard-fod-record/1";
/// So many answers are read at most.
const MOST_ANSWERS: usize = 1_000_000;
/// Headers that matter to a fetcher.
pub(crate) const KEPT: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "last-modified",
    "etag",
];

/// An answer that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    schema: Box<str>,
    key: Box<str>,
    /// The address as evidence shows it, for people.
    url: String,
    pub(crate) status: u16,
    /// Where it redirects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// The SHA-256 of the body, in hexadecimal.
    pub(crate) sha256: Box<str>,
    pub(crate) bytes: u64,
}

/// Whether answers with a status are recorded; no other is believed of a record.
pub(crate) fn is_kept_status(status: u16) -> bool {
    matches!(status, 200 | 207 | 301 | 302 | 303 | 307 | 308 | 404 | 410)
}

/// Headers of a request by which servers answer differently: npm's two forms of a document, Git's protocols.
const ASKED: [&str; 2] = ["accept", "git-protocol"];

/// The keys of a request: the most precise first.
pub(crate) fn keys(
    method: &str,
    url: &str,
    body: Option<&[u8; 32]>,
    headers: &Headers,
) -> Vec<String> {
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    hash.update(b"\n");
    hash.update(url.as_bytes());
    hash.update(b"\n");
    hash.update(body.map_or(&[][..], |body| body));
    let plain = HEXLOWER.encode(&hash.clone().finalize());
    let mut is_asked = false;
    for name in ASKED {
        if let Some(value) = headers.text(name) {
            is_asked = true;
            hash.update(format!("\n{name}: {value}"));
        }
    }
    let mut keys = vec![plain];
    if is_asked {
        keys.insert(0, HEXLOWER.encode(&hash.finalize()));
    }
    keys
}

/// Writes a record.
pub(crate) struct Recorder {
    directory: Utf8PathBuf,
    index: Mutex<std::fs::File>,
    number: AtomicU64,
    /// What no other process that records has: of which run a part is.
    run: String,
    /// Held as long as something may be recorded.
    _lock: std::fs::File,
}

impl Recorder {
    pub(crate) fn open(directory: &Utf8Path) -> Result<Self, RecordError> {
        let failed = |source| RecordError::Use {
            directory: directory.to_owned(),
            source,
        };
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory.join("sha256")).map_err(failed)?;
        let append = |name: &str| {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(directory.join(name))
        };
        let lock = append("lock").map_err(failed)?;
        if lock.try_lock().is_ok() {
            // Nobody else records: what is left here is of those who were killed.
            remove_parts(directory).map_err(failed)?;
        }
        lock.lock_shared().map_err(failed)?;
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self {
            directory: directory.to_owned(),
            index: Mutex::new(append("index.jsonl").map_err(failed)?),
            number: AtomicU64::new(0),
            run: HEXLOWER.encode(&run),
            _lock: lock,
        })
    }

    /// Begins a body.
    pub(crate) async fn begin(&self) -> io::Result<Take> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!(".{}-{number}.part", self.run));
        let mut options = tokio::fs::OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        Ok(Take {
            file: options.open(&path).await?,
            path,
        })
    }

    /// Keeps an answer whose body is whole.
    pub(crate) async fn keep(&self, mut take: Take, answer: Kept) -> io::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        take.file.flush().await?;
        take.file.sync_all().await?;
        let sha256 = HEXLOWER.encode(&answer.sha256);
        tokio::fs::rename(&take.path, self.directory.join("sha256").join(&sha256)).await?;
        let mut line = Answer {
            schema: SCHEMA.into(),
            key: Box::default(),
            url: answer.url,
            status: answer.status,
            to: answer.to,
            headers: answer.headers,
            sha256: sha256.into(),
            bytes: answer.bytes,
        };
        let mut bytes = Vec::new();
        for key in answer.keys {
            line.key = key.into();
            serde_json::to_writer(&mut bytes, &line).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.write_all(&bytes)
    }
}

/// Removes bodies that never became whole.
fn remove_parts(directory: &Utf8Path) -> io::Result<()> {
    for entry in directory.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().starts_with('.') && entry.file_name().ends_with(".part") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A body that is being recorded; gone unless it is kept.
pub(crate) struct Take {
    pub(crate) file: tokio::fs::File,
    path: Utf8PathBuf,
}

impl Drop for Take {
    fn drop(&mut self) {
        // After it is kept, it is elsewhere.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What is kept of an answer.
pub(crate) struct Kept {
    /// As `keys` makes them.
    pub(crate) keys: Vec<String>,
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) to: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) sha256: [u8; 32],
    pub(crate) bytes: u64,
}

/// Reads a record.
pub(crate) struct Player {
    directory: Utf8PathBuf,
    answers: BTreeMap<Box<str>, Answer>,
}

impl Player {
    pub(crate) fn open(directory: &Utf8Path) -> Result<Self, RecordError> {
        let failed = |source| RecordError::Use {
            directory: directory.to_owned(),
            source,
        };
        let index = directory.join("index.jsonl");
        let file = open(&index).map_err(failed)?;
        let mut answers = BTreeMap::new();
        for (number, line) in (1..).zip(io::BufReader::new(file).lines()) {
            let line = line.map_err(failed)?;
            // The end of a line that was being written when the machine stopped.
            let Ok(answer) = serde_json::from_str::<Answer>(&line) else {
                continue;
            };
            if *answer.schema != *SCHEMA {
                return Err(RecordError::Schema(directory.to_owned()));
            }
            if let Some(what) = answer.wrong() {
                return Err(RecordError::Line {
                    file: index,
                    number,
                    what,
                });
            }
            if answers.len() == MOST_ANSWERS {
                return Err(RecordError::TooLarge(directory.to_owned()));
            }
            answers.insert(answer.key.clone(), answer);
        }
        Ok(Self {
            directory: directory.to_owned(),
            answers,
        })
    }

    /// The answer to a request; the one to GET stands for HEAD.
    pub(crate) fn answer(
        &self,
        method: &str,
        url: &str,
        body: Option<&[u8; 32]>,
        headers: &Headers,
    ) -> Option<&Answer> {
        let of = |method| {
            let keys = keys(method, url, body, headers);
            keys.iter().find_map(|key| self.answers.get(key.as_str()))
        };
        of(method).or_else(|| (method == "HEAD").then(|| of("GET")).flatten())
    }

    /// The body with a hash; none if it was not recorded.
    pub(crate) async fn body(&self, sha256: &[u8; 32]) -> Option<(tokio::fs::File, u64)> {
        let path = self.directory.join("sha256").join(HEXLOWER.encode(sha256));
        let file = tokio::fs::File::open(path).await.ok()?;
        let data = file.metadata().await.ok()?;
        data.is_file().then_some((file, data.len()))
    }
}

impl Answer {
    /// What `inspect` would not have written: whoever may write the index says what is answered, but an answer is one.
    fn wrong(&self) -> Option<&'static str> {
        let splits = |text: &String| text.chars().any(char::is_control);
        let is_kept = |name: &String| KEPT.contains(&name.as_str());
        if !is_kept_status(self.status) {
            return Some("its `status` is none that is recorded");
        }
        if !self.headers.iter().all(|(name, _)| is_kept(name)) {
            return Some("one of its `headers` is none that is recorded");
        }
        if self.headers.iter().any(|(_, value)| splits(value))
            || self.to.as_ref().is_some_and(splits)
        {
            return Some("a header would end in the middle of its value");
        }
        self.digest()
            .is_none()
            .then_some("its `sha256` is no SHA-256")
    }

    /// The hash of its body.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let bytes = HEXLOWER.decode(self.sha256.as_bytes()).ok()?;
        bytes.try_into().ok()
    }
}

#[expect(clippy::disallowed_methods, reason = "this room reads records")]
fn open(path: &Utf8Path) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The directory cannot be read or written.
    #[error("cannot use the record in {directory}")]
    Use {
        /// Which.
        directory: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of its index is nothing that was recorded.
    #[error("{file}, line {number}: {what}")]
    Line {
        /// The index.
        file: Utf8PathBuf,
        /// Which, counted from 1.
        number: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It is of another version.
    #[error("the record in {0} is not of the schema {SCHEMA}")]
    Schema(Utf8PathBuf),
    /// It is too large.
    #[error("the record in {0} has more than {MOST_ANSWERS} answers")]
    TooLarge(Utf8PathBuf),
}

impl RecordError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Line { .. } => {
                Some("somebody changed it: take that line out, or record anew with --mode inspect")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head;

    fn headers(text: &str) -> Headers {
        let text = format!("GET http://x.org/ HTTP/1.1\r\nHost: x.org\r\n{text}\r\n");
        head::request(text.as_bytes()).unwrap().headers
    }

    #[test]
    fn what_servers_answer_by_is_in_the_key() {
        let of = |text: &str| keys("GET", "http://x.org/", None, &headers(text));
        let plain = of("");
        assert_eq!(plain.len(), 1);
        let all = [
            "Accept: a\r\n",
            "Accept: b\r\n",
            "Git-Protocol: version=2\r\n",
        ]
        .map(of);
        for keys in &all {
            assert_eq!((keys.len(), &keys[1]), (2, &plain[0]));
        }
        assert!(all[0][0] != all[1][0] && all[0][0] != all[2][0]);
    }

    #[test]
    fn what_was_left_half_is_removed_unless_somebody_records() {
        let place = tempfile::tempdir().unwrap();
        let place = Utf8Path::from_path(place.path()).unwrap();
        let first = Recorder::open(place).unwrap();
        let part = place.join(".killed-0.part");
        let touch = || {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&part)
        };
        touch().unwrap();
        let second = Recorder::open(place).unwrap();
        assert!(part.exists(), "it may be of the first");
        drop((first, second));
        let third = Recorder::open(place).unwrap();
        assert!(!part.exists());
        assert_ne!(third.run, Recorder::open(place).unwrap().run);
    }
}
