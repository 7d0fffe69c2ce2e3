//! Import of local files: what `snowguard advisories import` does.
//!
//! Files, directories and archives are walked in order of name; each document goes to the reader of
//! its format; records are read on all cores. A document or record that cannot be read is told and
//! counted, and nothing else is lost by it. Nothing is written here: the index is handed back.

use std::io::{self, BufRead, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use snowguard_advisory::index::{Builder, Built, SourceKind};
use snowguard_advisory::read::{Format, ReadError, With, split_list};
use snowguard_advisory::record::Record;

use crate::open::{self, ContainerError, Limits};
use crate::records::{Change, RecordsError};

/// How many bytes of JSON lines are read before the cores get to work on them.
const BATCH: usize = 8 << 20;
/// The largest single document: NVD's largest yearly feed is below 200 MB.
const MAX_DOCUMENT: u64 = 2 << 30;
/// How many problems are told in full; the rest are counted.
const MAX_PROBLEMS: usize = 1_000;

/// An import under way.
///
/// Records go into the [`Sink`]: a builder of an index, unless something else is asked for.
pub struct Import<'p, S = Builder> {
    sink: S,
    with: With,
    interrupted: &'p AtomicBool,
    progress: &'p mut dyn FnMut(Event<'_>),
    problems: Vec<Problem>,
    records: u64,
    skipped: u64,
}

/// What takes the records of an import.
pub trait Sink {
    /// Takes a record.
    fn add(&mut self, source: &str, kind: SourceKind, record: Record) -> Result<(), RecordsError>;

    /// Notes that something could not be read.
    fn skip(&mut self, source: &str, kind: SourceKind, place: &str) -> Result<(), RecordsError>;
}

impl Sink for Builder {
    fn add(&mut self, source: &str, kind: SourceKind, record: Record) -> Result<(), RecordsError> {
        Self::add(self, source, kind, record);
        Ok(())
    }

    fn skip(&mut self, source: &str, kind: SourceKind, _: &str) -> Result<(), RecordsError> {
        Self::skip(self, source, kind);
        Ok(())
    }
}

/// Each source that is imported is a whole new edition of it.
impl Sink for Change<'_> {
    fn add(&mut self, source: &str, kind: SourceKind, record: Record) -> Result<(), RecordsError> {
        self.replace_once(source, kind)?;
        self.put(source, kind, &record)
    }

    fn skip(&mut self, source: &str, kind: SourceKind, place: &str) -> Result<(), RecordsError> {
        self.replace_once(source, kind)?;
        Change::skip(self, source, kind, place)
    }
}

/// What happens during an import, for who shows it.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    /// A file is begun.
    File {
        /// Which.
        path: &'e Utf8Path,
        /// Its size as it lies there, in bytes.
        size: u64,
    },
    /// So many records have been read in all.
    Records(u64),
    /// Everything is read; the index is being made.
    Assembling,
}

/// A document or record that was skipped.
#[derive(Debug)]
pub struct Problem {
    /// File, member and line.
    pub place: String,
    /// What is wrong.
    pub error: ReadError,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.error)?;
        let mut source = std::error::Error::source(&self.error);
        while let Some(cause) = source {
            // serde's own place is that of the error, which has said it.
            let cause_text = cause.to_string();
            let text = cause_text.split(" at line ").next().unwrap_or_default();
            write!(f, ": {text}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// What an import gives.
pub struct Imported {
    /// The index.
    pub built: Built,
    /// Records read.
    pub records: u64,
    /// Documents and records skipped.
    pub skipped: u64,
    /// The first of the problems.
    pub problems: Vec<Problem>,
}

impl<'p> Import<'p, Builder> {
    /// Begins an import. Setting `interrupted` ends it at the next batch, with nothing written.
    pub fn new(interrupted: &'p AtomicBool, progress: &'p mut dyn FnMut(Event<'_>)) -> Self {
        Self::begin(Builder::new(), With::Facts, interrupted, progress)
    }

    /// Makes the index.
    pub fn finish(self) -> Result<Imported, ImportError> {
        (self.progress)(Event::Assembling);
        let built = self.sink.finish();
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(ImportError::Interrupted);
        }
        Ok(Imported {
            built,
            records: self.records,
            skipped: self.skipped,
            problems: self.problems,
        })
    }
}

impl<'p, S: Sink> Import<'p, S> {
    /// Begins an import into something else than an index.
    pub fn begin(
        sink: S,
        with: With,
        interrupted: &'p AtomicBool,
        progress: &'p mut dyn FnMut(Event<'_>),
    ) -> Self {
        Self {
            sink,
            with,
            interrupted,
            progress,
            problems: Vec::new(),
            records: 0,
            skipped: 0,
        }
    }

    /// What took the records, how many there were, and the first of the problems.
    pub fn end(self) -> (S, u64, Vec<Problem>) {
        (self.sink, self.records, self.problems)
    }

    /// Reads a file, an archive, or a directory with all below it. Each is one source, by its name.
    pub fn add(&mut self, path: &Utf8Path) -> Result<(), ImportError> {
        let source = path
            .canonicalize_utf8()
            .ok()
            .and_then(|p| p.file_name().map(str::to_owned));
        let source = source.unwrap_or_else(|| path.to_string());
        let before = (self.records, self.skipped);
        for file in files_below(path)? {
            self.file(&source, &file)?;
        }
        if (self.records, self.skipped) == before {
            return Err(ImportError::Nothing(path.to_owned()));
        }
        Ok(())
    }

    fn file(&mut self, source: &str, path: &Utf8Path) -> Result<(), ImportError> {
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        (self.progress)(Event::File { path, size });
        open::members(path, Limits::IMPORT, &mut |name, stream| {
            self.member(source, name, stream)
        })
    }

    /// One member: JSON lines, one document, or a list of documents.
    fn member(
        &mut self,
        source: &str,
        name: &str,
        stream: &mut dyn BufRead,
    ) -> Result<(), ImportError> {
        if is_beside_the_point(name) {
            return Ok(());
        }
        let io = |e| ImportError::Container(ContainerError::io(name, e));
        let mut batch = Vec::with_capacity(1 << 16);
        let mut line = 1;
        // The first line decides: a whole JSON document on it means JSON lines.
        let length = read_line(stream, &mut batch).map_err(io)?;
        if length == 0 {
            return Ok(());
        }
        if !is_one_document(&batch) {
            (&mut *stream)
                .take(MAX_DOCUMENT)
                .read_to_end(&mut batch)
                .map_err(io)?;
            if batch.len() as u64 >= MAX_DOCUMENT {
                return Err(ImportError::Container(ContainerError::Limit(
                    name.to_owned(),
                    "is a document of over 2 GiB",
                )));
            }
            return self.documents(source, name, &batch);
        }
        loop {
            while batch.len() < BATCH && read_line(stream, &mut batch).map_err(io)? > 0 {}
            if batch.is_empty() {
                return Ok(());
            }
            line = self.lines(source, name, &batch, line)?;
            batch.clear();
        }
    }

    fn lines(
        &mut self,
        source: &str,
        name: &str,
        batch: &[u8],
        first: usize,
    ) -> Result<usize, ImportError> {
        let with = self.with;
        let lines: Vec<&[u8]> = batch.split_inclusive(|&b| b == b'\n').collect();
        let read: Vec<_> = lines
            .par_iter()
            .enumerate()
            .filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
            .map(|(at, line)| (at, read_all(with, line)))
            .collect();
        for (at, (format, results)) in read {
            for result in results {
                self.take(source, format, result, || {
                    format!("{name}, line {}", first + at)
                })?;
            }
        }
        self.tick()?;
        Ok(first + lines.len())
    }

    fn documents(&mut self, source: &str, name: &str, bytes: &[u8]) -> Result<(), ImportError> {
        let with = self.with;
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
        let list = (first == Some(&b'[')).then(|| split_list(bytes)).flatten();
        let documents = list.unwrap_or_else(|| vec![bytes]);
        let read: Vec<_> = documents
            .par_iter()
            .map(|document| read_all(with, document))
            .collect();
        for (at, (format, results)) in read.into_iter().enumerate() {
            for result in results {
                let place = || {
                    if documents.len() == 1 {
                        name.to_owned()
                    } else {
                        format!("{name}, document {}", at + 1)
                    }
                };
                self.take(source, format, result, place)?;
            }
        }
        self.tick()
    }

    fn take(
        &mut self,
        source: &str,
        format: Option<Format>,
        result: Result<Record, ReadError>,
        place: impl Fn() -> String,
    ) -> Result<(), ImportError> {
        let kind = format.map_or_else(SourceKind::default, SourceKind::from);
        match result {
            Ok(record) => {
                self.records += 1;
                self.sink.add(source, kind, record)?;
            }
            Err(error) => {
                self.skipped += 1;
                let place = place();
                self.sink.skip(source, kind, &place)?;
                if self.problems.len() < MAX_PROBLEMS {
                    self.problems.push(Problem { place, error });
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), ImportError> {
        (self.progress)(Event::Records(self.records));
        if self.interrupted.load(Ordering::Relaxed) {
            Err(ImportError::Interrupted)
        } else {
            Ok(())
        }
    }
}

fn read_all(with: With, document: &[u8]) -> (Option<Format>, Vec<Result<Record, ReadError>>) {
    match Format::detect(document) {
        Err(error) => (None, vec![Err(error)]),
        Ok(format) => {
            let mut results = Vec::with_capacity(1);
            format.read_with(with, document, &mut |result| results.push(result));
            (Some(format), results)
        }
    }
}

/// Reads one line with its end onto a buffer, however long it is, up to the limit of a document.
fn read_line(stream: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let length = stream.take(MAX_DOCUMENT).read_until(b'\n', buffer)?;
    if length as u64 >= MAX_DOCUMENT {
        return Err(io::Error::other("a line of over 2 GiB"));
    }
    Ok(length)
}

/// Whether a line is a whole JSON object, as far as its ends tell.
fn is_one_document(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.len() > 2 && line.starts_with(b"{") && line.ends_with(b"}")
}

/// Files that lie beside records in the feeds' archives and repositories.
fn is_beside_the_point(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let extension = file
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    file.starts_with('.')
        || matches!(
            file,
            "delta.json" | "deltaLog.json" | "recent_activities.json" | "LICENSE" | "README"
        )
        || matches!(
            extension.as_deref(),
            Some(
                "md" | "txt" | "yml" | "yaml" | "toml" | "html" | "sig" | "asc" | "sha256" | "meta"
            )
        )
}

/// All files below a path, sorted, without following links out of it.
fn files_below(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, ImportError> {
    let io = |path: &Utf8Path| {
        let path = path.to_owned();
        move |e| ImportError::Container(ContainerError::Io(path.to_string(), e))
    };
    if !std::fs::metadata(path).map_err(io(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut directories) = (Vec::new(), vec![path.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir_utf8().map_err(io(&directory))? {
            let entry = entry.map_err(io(&directory))?;
            let kind = entry.file_type().map_err(io(entry.path()))?;
            if entry.file_name().starts_with('.') {
            } else if kind.is_dir() {
                directories.push(entry.into_path());
            } else if kind.is_file() {
                files.push(entry.into_path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Why an import ended.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file, archive or directory cannot be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The record store into which it goes fails.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// There is nothing to read in it.
    #[error("there are no advisories in {0}")]
    Nothing(Utf8PathBuf),
    /// The person stopped it.
    #[error("interrupted; the index is as it was")]
    Interrupted,
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they import"
)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::records::RecordStore;

    const OSV: &str = r#"{"id":"PYSEC-1-1","aliases":["CVE-2020-0001"],"affected":[{"package":{"ecosystem":"PyPI","name":"x"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]}]}"#;
    const KEV: &str = r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2020-0001","dateAdded":"2021-01-01"}]}"#;

    fn import(path: &Utf8Path) -> Result<Imported, ImportError> {
        let interrupted = AtomicBool::new(false);
        let mut progress = |_: Event<'_>| {};
        let mut import = Import::new(&interrupted, &mut progress);
        import.add(path)?;
        import.finish()
    }

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    #[test]
    fn every_container_gives_the_same_index() {
        let (_keep, root) = scratch();
        let lines = format!("{OSV}\n{KEV}\n");
        let plain = root.join("a/feed");
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::fs::write(&plain, &lines).unwrap();
        let expected = import(&plain).unwrap();
        assert_eq!((expected.records, expected.skipped), (2, 0));

        std::fs::write(&plain, zstd::encode_all(lines.as_bytes(), 3).unwrap()).unwrap();
        assert_eq!(import(&plain).unwrap().built.bytes, expected.built.bytes);

        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(lines.as_bytes()).unwrap();
        std::fs::write(&plain, gzip.finish().unwrap()).unwrap();
        assert_eq!(import(&plain).unwrap().built.bytes, expected.built.bytes);

        // A zip in a zip, as cvelistV5 is published.
        let zip = |name: &str, content: &[u8]| {
            let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
            zip.start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(content).unwrap();
            zip.finish().unwrap().into_inner()
        };
        std::fs::write(
            &plain,
            zip("cves.zip", &zip("cves/x.json", lines.as_bytes())),
        )
        .unwrap();
        assert_eq!(import(&plain).unwrap().built.bytes, expected.built.bytes);

        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [("one.json", OSV), ("two.json", KEV)] {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        std::fs::write(&plain, tar.into_inner().unwrap()).unwrap();
        assert_eq!(import(&plain).unwrap().built.bytes, expected.built.bytes);

        std::fs::remove_file(&plain).unwrap();
        std::fs::create_dir_all(plain.join("deep")).unwrap();
        std::fs::write(plain.join("deep/1.json"), format!("[{OSV},\n{KEV}]")).unwrap();
        std::fs::write(plain.join("README.md"), "no record").unwrap();
        assert_eq!(import(&plain).unwrap().built.bytes, expected.built.bytes);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_skipped() {
        let (_keep, root) = scratch();
        let path = root.join("feed.jsonl");
        std::fs::write(
            &path,
            format!("{OSV}\n{{\"id\":5}}\n\n{{\"what\":1}}\n{{\"id\": \n{KEV}\n"),
        )
        .unwrap();
        let imported = import(&path).unwrap();
        assert_eq!((imported.records, imported.skipped), (2, 3));
        let told: Vec<String> = imported
            .problems
            .iter()
            .map(|p| p.to_string().replace(root.as_str(), ""))
            .collect();
        insta::assert_debug_snapshot!(told, @r#"
        [
            "/feed.jsonl, line 2: line 1, column 7: the record does not fit its format: invalid type: integer `5`, expected a string",
            "/feed.jsonl, line 4: the document is neither CVE 5, OSV, NVD 2.0, KEV, EPSS nor facts",
            "/feed.jsonl, line 5: line 2, column 0: the record does not fit its format: EOF while parsing a value",
        ]
        "#);
    }

    #[test]
    fn a_store_takes_an_import_with_texts_as_a_whole_edition() {
        let (_keep, root) = scratch();
        let path = root.join("feed.jsonl");
        let other = OSV.replace("PYSEC-1-1", "PYSEC-1-2");
        let told = OSV.replace("\"affected\"", "\"details\":\"in words\",\"affected\"");
        let mut store = RecordStore::open(&root.join("records"))
            .unwrap()
            .with(With::Texts);
        let mut import = |lines: String| {
            std::fs::write(&path, lines).unwrap();
            let interrupted = AtomicBool::new(false);
            let mut progress = |_: Event<'_>| {};
            let change = store.change().unwrap();
            let mut import = Import::begin(change, With::Texts, &interrupted, &mut progress);
            import.add(&path).unwrap();
            let (change, records, problems) = import.end();
            let changed = change.commit().unwrap();
            (records, problems.len(), changed.added, changed.removed)
        };
        assert_eq!(import(format!("{told}\n{other}\n{{\n")), (2, 1, 2, 0));
        assert_eq!(import(format!("{told}\n")), (1, 0, 0, 1));
        let records = store.under_name("feed.jsonl", "PYSEC-1-1").unwrap();
        let texts = records[0].texts.as_ref().unwrap();
        assert_eq!(texts.description.as_deref(), Some("in words"));
    }

    #[test]
    fn limits_and_absences_are_told() {
        let (_keep, root) = scratch();
        let told = |path: &Utf8Path| {
            import(path)
                .err()
                .unwrap()
                .to_string()
                .replace(root.as_str(), "")
        };
        insta::assert_snapshot!(told(&root.join("absent")), @"cannot read /absent");
        std::fs::write(root.join("x.xz"), b"\xfd7zXZ\0rest").unwrap();
        insta::assert_snapshot!(told(&root.join("x.xz")), @"/x.xz is compressed with xz; unpack it first");
        std::fs::create_dir(root.join("empty")).unwrap();
        insta::assert_snapshot!(told(&root.join("empty")), @"there are no advisories in /empty");
        let mut deep = OSV.as_bytes().to_vec();
        for _ in 0..5 {
            deep = zstd::encode_all(deep.as_slice(), 1).unwrap();
        }
        std::fs::write(root.join("deep"), deep).unwrap();
        insta::assert_snapshot!(told(&root.join("deep")), @"/deep nests archives too deep");
    }

    #[test]
    fn an_interrupted_import_gives_nothing() {
        let (_keep, root) = scratch();
        std::fs::write(root.join("feed"), OSV).unwrap();
        let interrupted = AtomicBool::new(true);
        let mut progress = |_: Event<'_>| {};
        let mut import = Import::new(&interrupted, &mut progress);
        assert!(matches!(
            import.add(&root.join("feed")),
            Err(ImportError::Interrupted)
        ));
    }
}
