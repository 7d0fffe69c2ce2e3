//! The word that was meant, where one is not known.

/// Longer ones are no slip of the pen, and comparing them would take long.
const LONGEST: usize = 64;
/// So much of the beginning of a word stands for the whole.
const BEGINNING: usize = 3;

/// ` (did you mean `class`?)`, to stand behind a word that is not known; empty where none of those that are is near.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match nearest(word, known) {
        Some(known) => format!(" (did you mean `{known}`?)"),
        None => String::new(),
    }
}

/// The nearest of some words: with one letter in three that is another, or which goes on as this one begins.
fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let length = word.chars().count();
    let far = |known: &str| {
        let distance = strsim::damerau_levenshtein(&word, known);
        if distance <= (length / 3).max(1) && distance < length {
            Some(distance)
        } else if length >= BEGINNING && known.starts_with(&word) {
            // It is a guess still: what is spelt nearly so is more likely.
            Some(LONGEST + distance)
        } else {
            None
        }
    };
    let near = known
        .into_iter()
        .filter_map(|known| Some((far(known)?, known)));
    near.min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_told() {
        let known = [
            "class",
            "tool",
            "tls",
            "name",
            "scheme",
            "weak-hash",
            "git-protocol",
        ];
        for (word, meant) in [
            ("clas", Some("class")),
            ("calss", Some("class")),
            ("Scheme", Some("scheme")),
            ("git-protokol", Some("git-protocol")),
            ("weak", Some("weak-hash")),
            ("tsl", Some("tls")),
            ("colour", None),
            ("x", None),
            ("", None),
            ("\u{e9}\u{e9}", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"class".repeat(1_000_000), known), None);
        assert_eq!(did_you_mean("clas", known), " (did you mean `class`?)");
        assert_eq!(did_you_mean("colour", known), "");
    }
}
