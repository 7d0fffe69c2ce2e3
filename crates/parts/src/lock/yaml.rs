//! The YAML that lock files are written in: block mappings with one key on a line, scalars that are
//! plain, quoted, or in a flow mapping on the same line. Nothing else of YAML is understood, and
//! what is not understood is told.
//!
//! Source: what pnpm 5 to 9 and yarn 2 to 4 write; YAML 1.2.2 for quoting.

use std::borrow::Cow;

use crate::part::Span;
use crate::read::Sink;
use crate::text::Text;

/// A key and what follows it on its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// How many spaces stand before the key.
    pub(super) indent: usize,
    pub(super) key: Cow<'a, str>,
    /// Empty if a mapping follows on the next lines.
    pub(super) value: Cow<'a, str>,
    pub(super) span: Span,
}

/// More entries are not read: the largest lock files have a tenth of these.
const MOST_ENTRIES: usize = 2_000_000;

/// The entries of a text, in their order.
pub(super) fn entries<'a>(text: &'a Text<'_>, sink: &mut Sink) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    // Lines that are indented more belong to a text of several lines.
    let mut prose: Option<usize> = None;
    let mut long_key: Option<(usize, Cow<'a, str>, Span)> = None;
    for (span, line) in text.lines() {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        if body.trim_end().is_empty() || prose.is_some_and(|outer| indent > outer) {
            continue;
        }
        prose = None;
        if entries.len() >= MOST_ENTRIES {
            sink.problem(span, format!("more than {MOST_ENTRIES} keys"));
            break;
        }
        if body.starts_with('#') || body == "---" || body == "-" || body.starts_with("- ") {
            continue;
        }
        if let Some(key) = body.strip_prefix("? ") {
            long_key = Some((indent, unquote(key), span));
            continue;
        }
        if let Some((at, key, key_span)) = long_key.take() {
            if let Some(rest) = body.strip_prefix(':').filter(|_| indent == at) {
                let value = Cow::Borrowed("");
                entries.push(Entry {
                    indent,
                    key,
                    value,
                    span: key_span,
                });
                if let Some((key, value)) = split(rest.trim_start()) {
                    entries.push(Entry {
                        indent: indent + 2,
                        key: unquote(key),
                        value: unquote(value),
                        span,
                    });
                }
                continue;
            }
            sink.problem(key_span, "a key without a value");
        }
        let Some((key, value)) = split(body) else {
            // A plain text goes on below its key, or it is not ours to understand.
            let goes_on = entries
                .last()
                .is_some_and(|last: &Entry<'_>| !last.value.is_empty() && last.indent < indent);
            if !goes_on {
                sink.problem(span, "a line that is no key and value");
            }
            continue;
        };
        if value.starts_with(['&', '*', '!']) {
            sink.problem(span, "an anchor, alias or tag");
        }
        if value.starts_with(['|', '>']) {
            prose = Some(indent);
        }
        entries.push(Entry {
            indent,
            key: unquote(key),
            value: unquote(value),
            span,
        });
    }
    entries
}

/// The key and the value of a line. A key ends at a colon that a space or the line's end follows,
/// and that is not quoted.
fn split(body: &str) -> Option<(&str, &str)> {
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''));
    let from = match quote {
        Some(quote) => end_of_quoted(body, quote)?,
        None => 0,
    };
    let rest = &body[from..];
    let colon = rest
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| matches!(rest.as_bytes().get(at + 1), None | Some(b' ')))?;
    if quote.is_some() && colon != 0 {
        return None;
    }
    let (key, value) = body.split_at(from + colon);
    Some((key, value[1..].trim()))
}

/// Where a quoted text ends that begins a line.
fn end_of_quoted(body: &str, quote: char) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == '"' => at += 1,
            b'\'' if quote == '\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            byte if char::from(byte) == quote => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// A scalar without its quotes.
fn unquote(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return if inner.contains("''") {
            Cow::Owned(inner.replace("''", "'"))
        } else {
            Cow::Borrowed(inner)
        };
    }
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        // What is written there are the escapes of JSON.
        if let Ok(inner) = serde_json::from_str::<String>(text) {
            return Cow::Owned(inner);
        }
    }
    Cow::Borrowed(text)
}

/// A field of a flow mapping on one line: `{integrity: sha512-…, tarball: https://…}`.
pub(super) fn flow_field<'a>(value: &'a str, field: &str) -> Option<Cow<'a, str>> {
    let inner = value.strip_prefix('{')?.strip_suffix('}')?;
    inner.split(", ").find_map(|pair| {
        let (key, value) = pair.trim().split_once(": ")?;
        (key == field).then(|| unquote(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Limits;

    fn read(text: &str) -> (Vec<String>, usize) {
        let text = Text::new(text.as_bytes());
        let mut sink = Sink::new(Limits::default());
        let entries = entries(&text, &mut sink)
            .iter()
            .map(|entry| format!("{} {}={}", entry.indent, entry.key, entry.value))
            .collect();
        (entries, sink.into_parts().problems.len())
    }

    #[test]
    fn what_lock_files_use() {
        let text = "# made by a tool\nlockfileVersion: '6.0'\n\npackages:\n\n  /a@1.0.0(b@2:3):\n    \
             resolution: {integrity: sha512-x==, tarball: https://x/y}\n  '@s/it''s@1':\n    \
             deprecated: >-\n      not: a key\n      at all\n    os: [darwin]\n    cpu:\n      - x64\n  \
             ? /long/1.0.0_x\n  : resolution: {integrity: sha1-y}\n    dev: true\n\"q\\u0061: b\": \"v\"\n";
        let (entries, problems) = read(text);
        assert_eq!(
            entries,
            [
                "0 lockfileVersion=6.0",
                "0 packages=",
                "2 /a@1.0.0(b@2:3)=",
                "4 resolution={integrity: sha512-x==, tarball: https://x/y}",
                "2 @s/it's@1=",
                "4 deprecated=>-",
                "4 os=[darwin]",
                "4 cpu=",
                "2 /long/1.0.0_x=",
                "4 resolution={integrity: sha1-y}",
                "4 dev=true",
                "0 qa: b=v",
            ]
        );
        assert_eq!(problems, 0);
    }

    #[test]
    fn the_rest_of_yaml_is_told() {
        assert_eq!(read("a: &x 1\nb: *x\n").1, 2);
        assert_eq!(read("no key\n").1, 1);
        assert_eq!(read("'a: 1\n").1, 1);
    }

    #[test]
    fn fields_of_flow_mappings() {
        let value = "{integrity: sha512-a, tarball: 'https://x/y', type: git}";
        assert_eq!(flow_field(value, "tarball").as_deref(), Some("https://x/y"));
        assert_eq!(flow_field(value, "commit"), None);
        assert_eq!(flow_field("{}", "commit"), None);
    }
}
