//! What is known of each feed: when it last succeeded and failed. For `advisories info` and for who
//! watches; the feeds themselves go by their cursors in the record store.
#![expect(clippy::disallowed_methods, reason = "this room owns the status file")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// Of all feeds. As JSON: schema `snowguard-feeds/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    schema: Schema,
    /// By part: `kev`, `osv/npm`.
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
            feeds: BTreeMap::new(),
        })
    }

    pub(super) fn note(&mut self, outcome: &Outcome, now: Timestamp) {
        let status = self.feeds.entry(outcome.part.clone()).or_default();
        match &outcome.result {
            Ok(done) => {
                status.edition = Some(done.edition.clone()).filter(|edition| !edition.is_empty());
                status.success = Some(now);
                status.failure = None;
            }
            Err(error) => {
                status.failure = Some(Attempt {
                    at: now,
                    error: told(error),
                });
            }
        }
    }

    /// Replaces the file as a whole.
    pub(super) fn save(&self, path: &Utf8Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Utf8Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".status-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(directory)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    }
}

/// An error with its causes, on one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
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
