//! Changes as JSON, for machines.

use serde::Serialize;
use snowguard_watch::Message;
use snowguard_watch::history::{Event, Told};

/// One change on a line of its own.
pub const CHANGE: &str = "snowguard-change/1";
/// A message with its changes.
pub const CHANGES: &str = "snowguard-changes/1";

#[derive(Serialize)]
struct Line<'m> {
    schema: &'static str,
    host: &'m str,
    #[serde(flatten)]
    change: Change<'m>,
}

#[derive(Serialize)]
struct Document<'m> {
    schema: &'static str,
    key: &'m str,
    host: &'m str,
    headline: String,
    changes: Vec<Change<'m>>,
}

#[derive(Serialize)]
struct Change<'m> {
    key: &'m str,
    at: String,
    #[serde(flatten)]
    told: &'m Told,
}

impl<'m> Change<'m> {
    fn new(event: &'m Event) -> Self {
        Self {
            key: event.key.as_str(),
            at: event.at.to_string(),
            told: &event.told,
        }
    }
}

/// Each change of a message as a line, with its key.
pub fn lines(message: &Message) -> serde_json::Result<Vec<(&str, String)>> {
    let line = |event| {
        let line = Line {
            schema: CHANGE,
            host: &message.host,
            change: Change::new(event),
        };
        Ok((event.key.as_str(), escaped(serde_json::to_string(&line)?)))
    };
    message.changes.iter().map(line).collect()
}

/// How each line begins.
pub fn line_begin() -> String {
    format!("{{\"schema\":\"{CHANGE}\"")
}

/// A whole message.
pub fn document(message: &Message) -> serde_json::Result<String> {
    let document = Document {
        schema: CHANGES,
        key: message.key.as_str(),
        host: &message.host,
        headline: message.headline(),
        changes: message.changes.iter().map(Change::new).collect(),
    };
    Ok(escaped(serde_json::to_string(&document)?))
}

/// Marks that a terminal would obey mean the same to every reader of JSON when they are escaped.
fn escaped(text: String) -> String {
    snowguard_report::escape::json(text)
}
