//! What is known of each feed: when it last succeeded and failed. For `advisories info` and for who
//! watches; the feeds themselves go by their cursors in the record store.
#![expect(clippy::disallowed_methods, reason = "this room owns the status file")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use snowguard_advisory::index::SegmentDigest;

use super::{FeedsPlace, Outcome};
use crate::file::IndexFile;

/// The name of what came signed as a whole, in the place of a feed's.
const SIGNED: &str = "from";
/// What a new file is called until it is whole.
pub(super) const UNFINISHED: &str = ".status-";

/// Of all feeds. As JSON: schema `snowguard-feeds/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    schema: Schema,
    /// Which index this is about: the digest of its base, as its delta names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// By part: `kev`, `osv/npm`. An index that came signed as a whole has one, `from`.
    pub feeds: BTreeMap<String, FeedStatus>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Schema {
    #[default]
    #[serde(rename = "snowguard-feeds/1")]
    One,
}

/// Of one part of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// The edition in force, as the feed names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// When it was last found to be up to date, or brought up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Timestamp>,
    /// When that last failed, and why; none after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Attempt>,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub error: String,
}

impl Status {
    /// What is known; nothing where there is no file, or none that this program wrote.
    pub fn load(path: &Utf8Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Self {
            schema: Schema::One,
            base: None,
            feeds: BTreeMap::new(),
        })
    }

    /// What is known of the feeds of an index, if it was made from them, or came signed as a whole.
    pub fn of(index: &IndexFile) -> Option<Self> {
        let status = Self::load(&FeedsPlace::of(index.path()).status());
        let base = index.base_digest().as_ref().map(name);
        (base.is_some() && status.base == base).then_some(status)
    }

    /// Notes that an index was fetched as a whole, signed, or why not. `edition` says which. A failure
    /// is of the index in force only if that one was fetched so.
    pub fn note_signed(
        index: &Utf8Path,
        fetched: Result<&str, &dyn Error>,
        now: Timestamp,
    ) -> io::Result<()> {
        let path = FeedsPlace::of(index).status();
        let mut status = Self::load(&path);
        let file = IndexFile::open(index).ok();
        let base = file.and_then(|file| file.base_digest());
        let base = base.as_ref().map(name);
        if fetched.is_err() && (base.is_none() || base != status.base || !status.is_signed()) {
            return Ok(());
        }
        status.base = base;
        status.feeds.retain(|part, _| part == SIGNED);
        let known = status.feeds.entry(SIGNED.to_owned()).or_default();
        known.note(fetched, now);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        status.save(&path)
    }

    /// Whether the index came signed as a whole.
    pub fn is_signed(&self) -> bool {
        self.feeds.contains_key(SIGNED)
    }

    /// Notes how a part came out.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Timestamp) {
        let result = match &outcome.result {
            Ok(done) => Ok(done.edition.as_str()),
            Err(error) => Err(error as &dyn Error),
        };
        let known = self.feeds.entry(outcome.part.clone()).or_default();
        known.note(result, now);
    }

    /// Says which index this is about, which was made from feeds.
    pub(super) fn set_base(&mut self, base: Option<SegmentDigest>) {
        self.feeds.remove(SIGNED);
        self.base = base.as_ref().map(name);
    }

    /// Replaces the file as a whole.
    pub(super) fn save(&self, path: &Utf8Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Utf8Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(directory)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    }
}

impl FeedStatus {
    fn note(&mut self, result: Result<&str, &dyn Error>, now: Timestamp) {
        match result {
            Ok(edition) => {
                self.edition = Some(edition.to_owned()).filter(|edition| !edition.is_empty());
                self.success = Some(now);
                self.failure = None;
            }
            Err(error) => {
                self.failure = Some(Attempt {
                    at: now,
                    error: error_text(error),
                });
            }
        }
    }
}

fn name(base: &SegmentDigest) -> String {
    data_encoding::HEXLOWER.encode(base.as_bytes())
}

/// An error with its causes, on one line.
pub fn error_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
