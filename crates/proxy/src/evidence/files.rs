//! The files: bounded, shared with other proxies that write there, and read back in order.
//!
//! Verdicts on builds lie beside requests, in files of their own (`NAME.verdicts`): what builds ask for cannot wash
//! them away. Each of the two is put aside when it is large: `NAME.1` is the latest of these. Whoever writes holds
//! `NAME.lock` meanwhile.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use super::{Line, Record, Rotated, SCHEMA, line};
use crate::settings::EvidenceSettings;

/// So many files that were put aside are read back.
const MOST_ASIDE: u32 = 10_000;
/// The longest line that is read back, in bytes.
const MOST_LINE: u64 = 1 << 20;

/// All files of one evidence.
pub(super) struct Files {
    lock: std::fs::File,
    requests: File,
    verdicts: File,
}

impl Files {
    pub(super) fn open(settings: &EvidenceSettings) -> io::Result<Self> {
        let lock = append(&Utf8PathBuf::from(format!("{}.lock", settings.file)))?;
        lock.lock()?;
        let of = |path: Utf8PathBuf| File::open(path, settings.most_bytes, settings.keep);
        let (requests, verdicts) = (of(settings.file.clone())?, of(beside(&settings.file))?);
        lock.unlock()?;
        Ok(Self {
            lock,
            requests,
            verdicts,
        })
    }

    /// Writes a line where it belongs.
    pub(super) fn write(&mut self, mode: &'static str, line: &Line) -> io::Result<()> {
        self.lock.lock()?;
        let file = if line.is_verdict {
            &mut self.verdicts
        } else {
            &mut self.requests
        };
        let written = file.write(mode, &line.bytes);
        self.lock.unlock()?;
        written
    }
}

/// Where verdicts are.
fn beside(file: &Utf8Path) -> Utf8PathBuf {
    format!("{file}.verdicts").into()
}

struct File {
    path: Utf8PathBuf,
    most_bytes: u64,
    keep: u32,
    open: std::fs::File,
    bytes: u64,
    /// Whether the last line may have no end.
    is_torn: bool,
    rotated: Rotated,
}

impl File {
    fn open(path: Utf8PathBuf, most_bytes: u64, keep: u32) -> io::Result<Self> {
        let open = append(&path)?;
        Ok(Self {
            path,
            most_bytes,
            keep,
            open,
            bytes: 0,
            is_torn: false,
            rotated: Rotated::default(),
        })
    }

    fn write(&mut self, mode: &'static str, bytes: &[u8]) -> io::Result<()> {
        self.follow()?;
        let length = bytes.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + length > self.most_bytes {
            let before = self.rotated.dropped_files;
            self.rotate()?;
            if self.rotated.dropped_files > before {
                let told = line(mode, &Record::Rotated(self.rotated.clone()))?;
                self.append(&told)?;
            }
        }
        self.append(bytes)
    }

    /// Takes over what another process that writes here did: it may have put the file aside, or ended within a line.
    fn follow(&mut self) -> io::Result<()> {
        let mut open = self.open.metadata()?;
        let is_there = self
            .path
            .metadata()
            .is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino()));
        if !is_there {
            self.open = append(&self.path)?;
            open = self.open.metadata()?;
        }
        if !is_there || open.len() != self.bytes {
            self.bytes = open.len();
            self.is_torn = self.bytes > 0 && !ends_in_a_line(&self.path)?;
        }
        Ok(())
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
        let missing_is_fine = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let oldest = aside(&self.path, self.keep);
        if let Ok(data) = oldest.symlink_metadata() {
            self.rotated.dropped_files += 1;
            self.rotated.dropped_bytes += data.len();
        }
        if self.keep == 0 {
            missing_is_fine(std::fs::remove_file(&self.path))?;
        }
        for number in (0..self.keep).rev() {
            let (from, to) = (aside(&self.path, number), aside(&self.path, number + 1));
            missing_is_fine(std::fs::rename(from, to))?;
        }
        self.open = append(&self.path)?;
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
    let mut requests = Lines::of(file);
    // Evidence of an older version has its verdicts among the requests.
    let verdicts = beside(file);
    let mut verdicts = verdicts.exists().then(|| Lines::of(&verdicts));
    let of_verdicts = |verdicts: &mut Option<Lines>| match verdicts {
        Some(lines) => lines.next(),
        None => Ok(None),
    };
    let (mut request, mut verdict) = (requests.next()?, of_verdicts(&mut verdicts)?);
    loop {
        let is_verdict = match (&request, &verdict) {
            (None, None) => break,
            (Some(request), Some(verdict)) => at(verdict) < at(request),
            (request, _) => request.is_none(),
        };
        if is_verdict {
            each(verdict.take().unwrap_or_default());
            verdict = of_verdicts(&mut verdicts)?;
        } else {
            each(request.take().unwrap_or_default());
            request = requests.next()?;
        }
    }
    Ok(requests.skipped + verdicts.map_or(0, |verdicts| verdicts.skipped))
}

fn at(line: &Value) -> Option<Timestamp> {
    line["at"].as_str()?.parse().ok()
}

/// The lines of a file and of those that were put aside before it.
struct Lines {
    /// The next one last.
    left: Vec<Utf8PathBuf>,
    open: Option<BufReader<std::fs::File>>,
    skipped: u64,
}

impl Lines {
    fn of(file: &Utf8Path) -> Self {
        let is_there = |number: &u32| *number == 0 || aside(file, *number).exists();
        let numbers = (0..MOST_ASIDE).take_while(is_there);
        Self {
            left: numbers.map(|number| aside(file, number)).collect(),
            open: None,
            skipped: 0,
        }
    }

    fn next(&mut self) -> io::Result<Option<Value>> {
        loop {
            let Some(lines) = &mut self.open else {
                let Some(path) = self.left.pop() else {
                    return Ok(None);
                };
                self.open = Some(BufReader::new(open(&path)?));
                continue;
            };
            let mut line = Vec::new();
            if io::Read::take(lines, MOST_LINE).read_until(b'\n', &mut line)? == 0 {
                self.open = None;
                continue;
            }
            if line == b"\n" {
                continue;
            }
            let value = serde_json::from_slice::<Value>(&line).ok();
            match value.filter(|value| value["schema"] == SCHEMA) {
                Some(value) => return Ok(Some(value)),
                None => self.skipped += 1,
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this room reads evidence")]
fn open(path: &Utf8Path) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Request;

    fn record(url: &str) -> Line {
        let request = Request {
            url: url.to_owned(),
            ..Request::default()
        };
        Line {
            is_verdict: false,
            bytes: line("audit", &Record::Request(Box::new(request))).unwrap(),
        }
    }

    fn settings(place: &tempfile::TempDir) -> EvidenceSettings {
        let place = Utf8Path::from_path(place.path()).unwrap();
        EvidenceSettings::new(place.join("evidence.jsonl"))
    }

    fn seen(file: &Utf8Path) -> (u64, Vec<Value>) {
        let mut seen = Vec::new();
        let skipped = read(file, |line| seen.push(line)).unwrap();
        (skipped, seen)
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let place = tempfile::tempdir().unwrap();
        let settings = settings(&place);
        let told = |bytes: &str| {
            let mut before = std::fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .open(&settings.file)
                .unwrap();
            before.write_all(bytes.as_bytes()).unwrap();
            let mut files = Files::open(&settings).unwrap();
            files.write("audit", &record("a")).unwrap();
            // As after a disk that was full, or another process that was killed.
            let mut other = append(&settings.file).unwrap();
            other.write_all(b"{\"schema\"").unwrap();
            files.write("audit", &record("b")).unwrap();
            let written = settings.file.metadata().unwrap().len();
            assert_eq!(files.requests.bytes, written);
            let (skipped, seen) = seen(&settings.file);
            (skipped, seen.len())
        };
        assert_eq!(told(""), (1, 2));
        assert_eq!(told("{\"schema\": \"snow"), (2, 2));
        assert_eq!(told("\n"), (1, 2));
    }

    #[test]
    fn two_that_write_at_once_lose_nothing() {
        let place = tempfile::tempdir().unwrap();
        let settings = EvidenceSettings {
            most_bytes: 2000,
            keep: 1000,
            ..settings(&place)
        };
        std::thread::scope(|scope| {
            for who in ["a", "b"] {
                let mut files = Files::open(&settings).unwrap();
                scope.spawn(move || {
                    for number in 0..200 {
                        let line = record(&format!("{who}{number}"));
                        files.write("audit", &line).unwrap();
                    }
                });
            }
        });
        let (skipped, seen) = seen(&settings.file);
        assert_eq!(skipped, 0);
        for who in ["a", "b"] {
            let urls = seen.iter().filter_map(|line| line["url"].as_str());
            let own: Vec<_> = urls.filter_map(|url| url.strip_prefix(who)).collect();
            let all: Vec<String> = (0..200).map(|number| number.to_string()).collect();
            assert_eq!(own, all);
        }
        assert!(aside(&settings.file, 1).exists(), "it was put aside");
        let large = |number| aside(&settings.file, number).metadata().unwrap().len() > 2000;
        assert!(!(1..20).any(large));
    }

    #[test]
    fn verdicts_outlive_requests_and_are_read_among_them() {
        let place = tempfile::tempdir().unwrap();
        let settings = EvidenceSettings {
            most_bytes: 1000,
            keep: 1,
            ..settings(&place)
        };
        let mut files = Files::open(&settings).unwrap();
        let text = |at: u32| {
            format!(
                "{{\"schema\":\"{SCHEMA}\",\"at\":\"2999-01-01T00:00:{at:02}Z\",\"number\":{at}}}"
            )
        };
        for at in 0..50 {
            let line = Line {
                is_verdict: matches!(at, 0 | 49),
                bytes: text(at).into_bytes(),
            };
            files.write("audit", &line).unwrap();
        }
        let (_, seen) = seen(&settings.file);
        let numbers: Vec<u64> = seen
            .iter()
            .filter_map(|one| one["number"].as_u64())
            .collect();
        assert_eq!(numbers.first(), Some(&0), "the first verdict: {numbers:?}");
        assert!(!numbers.contains(&1), "requests of then are gone");
        assert!(numbers.is_sorted() && numbers.last() == Some(&49));
        assert!(seen.iter().any(|one| one["kind"] == "rotated"));
    }
}
