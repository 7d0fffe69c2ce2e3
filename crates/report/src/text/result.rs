//! The result of a scan, as it was sent, for a person.

use std::fmt::Write as _;

use serde_json::Value;
use snowguard_formats::intoto::Statement;

use crate::escape::line;

/// Who, when, what, how many, and what is affected. The statement may be a stranger's, so nothing in it
/// is taken for granted.
pub fn result(statement: &Statement) -> String {
    let predicate = &statement.predicate;
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "{label:<10}{}", line(text));
        }
    };
    let text = |place: &str| predicate.pointer(place).and_then(Value::as_str);
    let number = |place: &str| predicate.pointer(place).and_then(Value::as_u64);
    row("host", text("/host").unwrap_or_default());
    for subject in &statement.subject {
        row("subject", subject.name.as_deref().unwrap_or("unnamed"));
        for (algorithm, digest) in &subject.digest {
            row("", &format!("{algorithm}:{digest}"));
        }
    }
    row("scanned", text("/scanned_at").unwrap_or_default());
    row(
        "index",
        &format!("of {}", text("/index/newest").unwrap_or("an unknown day")),
    );
    let count = |name: &str| number(&format!("/summary/{name}")).unwrap_or(0);
    row(
        "found",
        &format!(
            "{} affected, {} of them exploited; {} need review; {} patched; {} suppressed",
            count("affected"),
            count("exploited"),
            count("needs_review"),
            count("patched"),
            count("suppressed")
        ),
    );
    for package in list(predicate.get("packages")) {
        let of = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or("?");
        let affected: Vec<&str> = list(package.get("findings"))
            .filter(|finding| {
                finding.get("status").and_then(Value::as_str) == Some("affected")
                    && finding.get("suppressed").is_none_or(Value::is_null)
            })
            .filter_map(|finding| finding.get("id").and_then(Value::as_str))
            .collect();
        if let Some((first, rest)) = affected.split_first() {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!("{} {}: {first}{more}", of("name"), of("version"));
            let _ = writeln!(out, "  {}", line(&text));
        }
    }
    out
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
