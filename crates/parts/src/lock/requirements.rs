//! Requirements files of pip: only what is pinned with `==` names a version.
//!
//! Options, includes, addresses and open ranges are passed over: they are no lock.
//!
//! Source: pip documentation, Requirements File Format; PEP 508.

use crate::part::{Declared, Span};
use crate::read::{Draft, Sink};
use crate::text::Text;

/// Adds the pinned requirements.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) {
    let mut logical = String::new();
    let mut start: Option<Span> = None;
    for (span, line) in text.lines() {
        let first = *start.get_or_insert(span);
        // A comment begins the line, or follows a space.
        let line = line.split(" #").next().unwrap_or(line);
        let line = if line.trim_start().starts_with('#') {
            ""
        } else {
            line
        };
        match line.trim_end().strip_suffix('\\') {
            Some(part) => {
                logical.push_str(part);
                logical.push(' ');
                continue;
            }
            None => logical.push_str(line),
        }
        add(&logical, first, sink);
        logical.clear();
        start = None;
    }
    if let Some(span) = start {
        add(&logical, span, sink);
    }
}

fn add(line: &str, span: Span, sink: &mut Sink) {
    let mut words = line.split_ascii_whitespace();
    let checksum = words.clone().find_map(|word| word.strip_prefix("--hash="));
    // Without options, and without the marker that says for which Python it is.
    let requirement: String = words
        .by_ref()
        .take_while(|word| !word.starts_with("--"))
        .collect();
    let requirement = requirement.split(';').next().unwrap_or_default();
    let Some((name, version)) = requirement.split_once("==") else {
        return;
    };
    let version = version.strip_prefix('=').unwrap_or(version);
    let name = name.split('[').next().unwrap_or(name);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // `==1.*` and `==1,<2` are ranges.
    if name.is_empty() || !name.chars().all(is_name) || version.contains(['*', ',']) {
        return;
    }
    let draft = Draft {
        checksum,
        ..Draft::new("pypi", name, version, span)
    };
    sink.add(Declared::Requirements, draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Limits;

    #[test]
    fn only_what_is_pinned() {
        let text = "# flask==9\n-r other.txt\nflask==3.0.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n\
            PyYAML [x] == 6.0 ; python_version >= '3' # why\na>=1\nb==1.*\nc==1,<2\nd @ https://x/d==1\n\
            e===1.0+local\nlast==1 \\";
        let mut sink = Sink::new(Limits::default());
        read(&Text::new(text.as_bytes()), &mut sink);
        let parts = sink.into_parts().parts;
        let lines: Vec<String> = parts
            .iter()
            .map(|part| {
                format!(
                    "{} {} {}",
                    part.purl(),
                    part.place.span,
                    part.checksum.as_deref().unwrap_or("-")
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                "pkg:pypi/flask@3.0.0 line 3 sha256:aa",
                "pkg:pypi/pyyaml@6.0 line 6 -",
                "pkg:pypi/e@1.0%2Blocal line 11 -",
                "pkg:pypi/last@1 line 12 -",
            ]
        );
    }
}
