//! What a record's prose says about systems, where its structure says nothing.
//!
//! Nobody may decide by prose alone; but a text that speaks of Windows and of no other system is a
//! reason to look before crying wolf on Linux.

use crate::record::Platform;

/// The systems to which a text restricts itself; empty where it names Linux, every system, or none.
pub(super) fn systems(texts: &[Option<&str>]) -> Vec<Platform> {
    let mut found = Vec::new();
    for text in texts.iter().flatten() {
        let text = text.to_lowercase();
        if EVERYWHERE.iter().any(|word| text.contains(word)) {
            return Vec::new();
        }
        for (phrase, platform) in ELSEWHERE {
            if has_phrase(&text, phrase) && !found.contains(&platform) {
                found.push(platform);
            }
        }
    }
    found.sort_unstable();
    found
}

const EVERYWHERE: [&str; 12] = [
    "linux",
    "unix",
    "posix",
    "bsd",
    "solaris",
    "all platforms",
    "all operating systems",
    "any platform",
    "other platforms are also",
    "cross-platform",
    "debian",
    "ubuntu",
];

const ELSEWHERE: [(&str, Platform); 17] = [
    ("on windows", Platform::Windows),
    ("on microsoft windows", Platform::Windows),
    ("for windows", Platform::Windows),
    ("running windows", Platform::Windows),
    ("windows only", Platform::Windows),
    ("windows-only", Platform::Windows),
    ("windows installer", Platform::Windows),
    ("windows operating system", Platform::Windows),
    ("on macos", Platform::Macos),
    ("on mac os", Platform::Macos),
    ("for macos", Platform::Macos),
    ("on os x", Platform::Macos),
    ("on mac", Platform::Macos),
    ("on android", Platform::Other),
    ("for android", Platform::Other),
    ("on ios", Platform::Other),
    ("for ios", Platform::Other),
];

/// A phrase with word boundaries around it.
fn has_phrase(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_word(before) && !is_word(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_restrict_themselves_tell() {
        let systems = |text| systems(&[Some(text)]);
        assert_eq!(
            systems("In 3.8 through 3.8.4rc1 on Windows, a wrong DLL is loaded."),
            [Platform::Windows]
        );
        assert_eq!(
            systems("Flaw in the browser on Android prior to 119."),
            [Platform::Other]
        );
        assert_eq!(systems("Affects Firefox on Windows and Linux."), []);
        assert_eq!(systems("A flaw in the parser."), []);
        assert_eq!(systems("A dialog on windowsill."), []);
    }
}
