//! The client against a real server on the loopback interface that fails on order.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read and write files, and fail where they cannot go on"
)]

mod download;
mod get;
mod post;
mod public;
mod stream;
mod trust;

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_http::{
    Address, Client, Conditions, Download, Event, Expected, Get, HttpError, Page, Settings, Whole,
};
use snowguard_testkit::web::Web;

/// Settings with which a test need not wait.
fn quick() -> Settings {
    Settings {
        user_agent: "test".into(),
        connect_timeout: Duration::from_secs(5),
        stall: Duration::from_secs(5),
        attempts: 3,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(2),
        ..Settings::default()
    }
}

fn client(settings: Settings) -> Client {
    Client::new(settings, Arc::new(AtomicBool::new(false))).unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn get(client: &Client, url: &str) -> Result<Option<Page>, HttpError> {
    client.get(&Get {
        address: &address(url),
        limit: 1_000,
        conditions: None,
        headers: &[],
    })
}

/// A directory to download into.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    fn download(
        &self,
        client: &Client,
        url: &str,
        expected: Expected,
    ) -> Result<Option<Whole>, HttpError> {
        client.download(
            &Download {
                address: &address(url),
                to: &self.path("file"),
                conditions: None,
                headers: &[],
                expected,
            },
            &mut |_| (),
        )
    }

    fn content(&self) -> Vec<u8> {
        std::fs::read(self.path("file")).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const ANY: Expected = Expected {
    length: None,
    sha256: None,
    limit: 1 << 20,
};

/// Bytes that are not the same everywhere.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| u8::try_from(at * 7 % 251).unwrap())
        .collect()
}

/// The message with its causes and the hint, without what differs from run to run.
fn told(error: &HttpError, web: &Web) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        text = format!("{text}\nhint: {hint}");
    }
    let host = web.base().split_once("://").unwrap().1.to_owned();
    text.replace(&host, "HOST")
}
