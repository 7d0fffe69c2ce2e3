//! The journal of systemd, over its native protocol: one entry for each package, with fields.
//!
//! Source of the protocol: "Native Journal Protocol" of the systemd project.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;

use camino::Utf8PathBuf;
use serde::Deserialize;
use snowguard_watch::history::{Event, Told};
use snowguard_watch::message::{Group, why};
use snowguard_watch::{Key, Kind, Message, Severity};

use crate::{Deliver, DeliverError};

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// Something new has to be done.
pub const ALARM: &str = "6e1e5a0c7c2f4f0e9a4be1c6e8f6d5b1";
/// Something is fixed, withdrawn or suppressed.
pub const GONE: &str = "0f7ae2f3b1c24b58b6a3f4f9c5d2e7a8";
/// The first scan, failures, and their end.
pub const GENERAL: &str = "c47d9b1d5f0a4a6d8f3a2be0917c64f3";
/// Longer values are cut: an entry has to fit one datagram.
const MAX_VALUE: usize = 8_000;
/// Of several changes of a package, so many are listed in fields.
const MAX_LISTED: usize = 200;

/// Settings: `[notify.journal]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Where the journal listens.
    pub socket: Utf8PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: SOCKET.into(),
        }
    }
}

/// Writes to the journal.
#[derive(Debug)]
pub struct Journal {
    socket: Utf8PathBuf,
}

impl Journal {
    /// Writes to the socket of the settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            socket: settings.socket,
        }
    }
}

impl Deliver for Journal {
    fn deliver(&mut self, message: &Message, _again: bool) -> Result<(), DeliverError> {
        let cannot = |source| {
            DeliverError::of(
                format!("cannot write to the journal at {}", self.socket),
                source,
            )
            .hint("check that systemd-journald runs, and that the unit may reach its socket")
        };
        let socket = UnixDatagram::unbound().map_err(cannot)?;
        for entry in entries(message) {
            socket.send_to(&entry.0, &self.socket).map_err(cannot)?;
        }
        Ok(())
    }
}

/// One entry, as it is sent.
struct Entry(Vec<u8>);

impl Entry {
    fn new(text: &str, id: &str, priority: u8, keys: &Key) -> Self {
        let mut entry = Self(Vec::new());
        entry.field("MESSAGE", text);
        entry.field("MESSAGE_ID", id);
        entry.field("PRIORITY", &priority.to_string());
        entry.field("SYSLOG_IDENTIFIER", "snowguard");
        entry.field("SNOWGUARD_KEY", keys.as_str());
        entry
    }

    /// A value with a line end in it takes the form with a length.
    fn field(&mut self, name: &str, value: &str) {
        let mut end = value.len().min(MAX_VALUE);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let value = &value[..end];
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0
                .extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        // A vector takes everything.
        let _ = self.0.write_all(value.as_bytes());
        self.0.push(b'\n');
    }
}

fn entries(message: &Message) -> Vec<Entry> {
    let mut entries = Vec::new();
    for event in &message.changes {
        if event.told.package.is_none() {
            entries.push(general(message, event));
        }
    }
    entries.extend(message.groups().iter().map(group));
    entries
}

fn general(message: &Message, event: &Event) -> Entry {
    let one = Message::new(&message.host, vec![event.clone()]);
    let text = one.map_or(String::new(), |one| one.headline());
    let failing = event.told.kind == Kind::ScanFailing;
    let mut entry = Entry::new(&text, GENERAL, if failing { 3 } else { 5 }, &event.key);
    entry.field("SNOWGUARD_CHANGE", event.told.kind.as_str());
    entry.field("SNOWGUARD_TARGET", &event.told.target);
    if let Some(reason) = &event.told.reason {
        entry.field("SNOWGUARD_REASON", reason);
    }
    entry
}

fn group(group: &Group<'_>) -> Entry {
    let told: Vec<&Told> = group.changes.iter().map(|event| &event.told).collect();
    let ids: Vec<&str> = told
        .iter()
        .filter_map(|told| told.advisory.as_deref())
        .collect();
    let listed = ids.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more = match ids.len() {
        0..=4 => String::new(),
        many => format!(" and {} more", many - 4),
    };
    let first = told.first().copied();
    let reason = first.map_or("", why);
    let mut text = format!("{}: {listed}{more}; {reason}", group.name());
    if group.alarm {
        text = format!("{text}; {}", group.action());
    }
    let exploited = told.iter().any(|told| told.exploited);
    let severity = told
        .iter()
        .map(|told| told.severity)
        .max()
        .unwrap_or_default();
    let key = Key::of_all(group.changes.iter().map(|event| &event.key));
    let id = if group.alarm { ALARM } else { GONE };
    let mut entry = Entry::new(
        &snowguard_report::escape::line(&text),
        id,
        priority(group.alarm, exploited, severity),
        &key,
    );
    entry.field("SNOWGUARD_PACKAGE", group.package);
    entry.field("SNOWGUARD_SEVERITY", severity.as_str());
    entry.field("SNOWGUARD_EXPLOITED", if exploited { "1" } else { "0" });
    if let Some(first) = first {
        entry.field("SNOWGUARD_CHANGE", first.kind.as_str());
        entry.field("SNOWGUARD_TARGET", &first.target);
        entry.field(
            "SNOWGUARD_CAUSE",
            first
                .cause
                .map_or("unknown", snowguard_watch::Cause::as_str),
        );
        for version in first.versions.iter().take(MAX_LISTED) {
            entry.field("SNOWGUARD_VERSION", version);
        }
    }
    if let Some(version) = group.update_to {
        entry.field("SNOWGUARD_UPDATE_TO", version);
    }
    for event in group.changes.iter().take(MAX_LISTED) {
        entry.field("SNOWGUARD_CHANGE_KEY", event.key.as_str());
        if let Some(id) = &event.told.advisory {
            entry.field("SNOWGUARD_ADVISORY", id);
        }
    }
    entry
}

/// As syslog counts: 2 critical, 3 error, 4 warning, 5 notice, 6 informational.
fn priority(alarm: bool, exploited: bool, severity: Severity) -> u8 {
    match (alarm, exploited, severity) {
        (false, ..) => 6,
        (true, true, _) => 2,
        (true, false, Severity::Critical) => 3,
        (true, false, Severity::High) => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::tests::message;

    #[test]
    fn an_entry() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().join("socket")).unwrap();
        let listener = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::new(Settings { socket: path });
        journal.deliver(&message(&["a", "b"]), false).unwrap();
        let mut buffer = [0; 10_000];
        let length = listener.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_value_with_lines_has_a_length() {
        let mut entry = Entry(Vec::new());
        entry.field("A", "one\nB=two");
        assert_eq!(entry.0, b"A\n\x09\0\0\0\0\0\0\0one\nB=two\n");
    }

    #[test]
    fn nobody_listens() {
        let mut journal = Journal::new(Settings {
            socket: "/nowhere/at/all".into(),
        });
        assert!(journal.deliver(&message(&["a"]), false).is_err());
    }
}
