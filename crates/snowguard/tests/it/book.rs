//! What the documents show of the program is what the program prints.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Place, Run};

/// Every command with output in a document is run as it stands there, at the root of the repository.
#[test]
fn shown_outputs_are_real() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut shown = 0;
    for document in documents(&root) {
        let text = fs::read_to_string(&document).unwrap();
        for (command, output) in sessions(&text) {
            let args: Vec<&str> = command.split_whitespace().collect();
            let place = Place::new();
            let real = place.command(&args).current_dir(&root).output().unwrap();
            let run = Run::new(&args, real, &root);
            compare(&output, &run, &document);
            shown += 1;
        }
    }
    assert!(shown >= 5, "only {shown} outputs were found");
}

/// Whoever reads an index by the reference page must meet the format that is written.
#[test]
fn the_format_of_the_index_is_the_one_described() {
    let page =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference/index-format.md");
    let page = fs::read_to_string(page).unwrap();
    let format = snowguard_advisory::index::FORMAT_VERSION;
    for words in [
        format!("\nFormat {format}. "),
        format!("u32: the format, {format} |"),
    ] {
        assert!(
            page.contains(&words),
            "the page does not say `{}`",
            words.trim()
        );
    }
}

fn documents(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs/src")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// The commands after a `$` with the lines that follow them.
fn sessions(text: &str) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    let mut fence: Option<Vec<&str>> = None;
    for line in text.lines() {
        if !line.starts_with("```") {
            if let Some(lines) = &mut fence {
                lines.push(line);
            }
            continue;
        }
        let Some(lines) = fence.take() else {
            fence = Some(Vec::new());
            continue;
        };
        let Some((first, rest)) = lines.split_first() else {
            continue;
        };
        let command = first
            .strip_prefix("$ cargo run --release -- ")
            .or_else(|| first.strip_prefix("$ snowguard "));
        if let Some(command) = command
            && !rest.is_empty()
        {
            let output = rest.iter().map(ToString::to_string).collect();
            all.push((command.to_owned(), output));
        }
    }
    all
}

/// Each stretch between lines of `…` stands in the output as it is, one after the other.
#[track_caller]
fn compare(shown: &[String], run: &Run, document: &Path) {
    let real: Vec<String> = run.stdout.lines().map(ageless).collect();
    let mut from = 0;
    for stretch in shown.split(|line| line.trim() == "…") {
        let stretch: Vec<String> = stretch.iter().map(|line| ageless(line)).collect();
        if stretch.is_empty() {
            continue;
        }
        let found = real[from..]
            .windows(stretch.len())
            .position(|window| window == stretch);
        let Some(at) = found else {
            panic!(
                "{} shows what the program does not print:\n{}\n{run}",
                document.display(),
                stretch.join("\n")
            );
        };
        from += at + stretch.len();
    }
}

/// A line without the words that say how long ago something was: they depend on the day.
fn ageless(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut kept: Vec<&str> = Vec::new();
    for word in words {
        let bare = word.trim_matches(['(', ')', ',']);
        if bare == "old" && kept.len() >= 2 {
            kept.truncate(kept.len() - 2);
            kept.push("[AGE]");
        } else {
            kept.push(word);
        }
    }
    kept.join(" ").trim_end().to_owned()
}
