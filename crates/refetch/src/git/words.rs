//! What git says, and what it takes for names.

use std::path::Path;

use snowguard_fod::outcome::Attempt;

/// What `git --version` says.
pub(super) fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.trim().strip_prefix("git version ")?.split(['.', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether this may be the name of a ref, or the number of a commit: the rules of `git check-ref-format`, and nothing
/// that `git fetch` would take for something else.
pub(super) fn may_be_ref(name: &str) -> bool {
    let is_special = |letter: char| letter.is_control() || " ~^:?*[\\".contains(letter);
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && Path::new(part).extension() != Some("lock".as_ref())
    };
    !name.contains(is_special)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with(['-', '+'])
        && !name.ends_with('.')
        && name.split('/').all(is_part)
}

/// What a URL in `.gitmodules` means: `./` and `../` are beside the repository itself.
pub(super) fn beside(base: &str, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let (mut base, mut rest) = (base.trim_end_matches('/'), url);
    loop {
        if let Some(next) = rest.strip_prefix("./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix("../") {
            rest = next;
            base = base.rsplit_once('/').map_or(base, |(parent, _)| parent);
        } else {
            return format!("{base}/{}", rest.trim_end_matches('/'));
        }
    }
}

/// What git's words mean, in the language of `LC_ALL=C`.
pub(super) fn meaning(said: &str) -> (Attempt, String) {
    const WORDS: &[(Attempt, &[&str])] = &[
        (
            Attempt::Tls,
            &[
                "SSL certificate problem",
                "certificate verification failed",
                "SSL peer certificate",
            ],
        ),
        (
            Attempt::Gone,
            &[
                "couldn't find remote ref",
                "not our ref",
                "no such remote ref",
                "Repository not found",
                "returned error: 404",
                "returned error: 410",
            ],
        ),
        (
            Attempt::Failed,
            &[
                "could not read Username",
                "returned error: 401",
                "returned error: 403",
            ],
        ),
        (Attempt::Denied, &["not allowed"]),
        (
            Attempt::Transient,
            &[
                "Could not resolve host",
                "timed out",
                "Connection refused",
                "Connection reset",
                "early EOF",
                "RPC failed",
                "returned error: 5",
                "CONNECT tunnel failed, response 5",
                "returned error: 429",
                "the remote end hung up",
                "Operation too slow",
            ],
        ),
        // Larger in memory than it may be.
        (Attempt::Skipped, &["over limit"]),
        (Attempt::Redirect, &["redirection", "returned error: 30"]),
    ];
    let line = said
        .lines()
        .rev()
        .find(|line| line.starts_with("fatal:") || line.starts_with("error:"))
        .or_else(|| said.lines().last())
        .unwrap_or("git failed");
    let line = line.trim().to_owned();
    let found = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| said.contains(word)));
    (found.map_or(Attempt::Failed, |(attempt, _)| *attempt), line)
}

#[cfg(test)]
mod tests {
    use super::super::OLDEST;
    use super::*;

    #[test]
    fn relative_submodules_lie_beside_their_repository() {
        for (url, expected) in [
            ("../b.git", "https://x.org/o/b.git"),
            ("../../p/c", "https://x.org/p/c"),
            ("./d/", "https://x.org/o/a.git/d"),
            ("https://y.org/e", "https://y.org/e"),
        ] {
            assert_eq!(beside("https://x.org/o/a.git/", url), expected);
        }
    }

    #[test]
    fn names_that_git_would_take_are_taken_and_no_others() {
        for name in [
            "refs/tags/v1.0+k3s1",
            "HEAD",
            "refs/tags/a-b_c@1",
            "0123456789abcdef",
        ] {
            assert!(may_be_ref(name), "{name}");
        }
        for name in [
            "+refs/heads/a",
            "-x",
            "refs/tags/a\0b",
            "refs/tags/a\u{85}",
            "refs/tags/a b",
            "refs/tags/a:b",
            "refs/tags/*",
            "refs/tags/a..b",
            "refs/tags/a@{1}",
            "refs/tags/",
            "refs/tags//a",
            "refs/tags/a.lock",
            "refs/tags/.a",
            "refs/tags/a.",
            "refs/tags/a\\b",
        ] {
            assert!(!may_be_ref(name), "{name}");
        }
    }

    #[test]
    fn versions_of_git_are_read() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(version("git version 2.39 (Apple Git-1)"), Some((2, 39)));
        assert!(version("git version 2.34.1").unwrap() < OLDEST);
        assert_eq!(version("hub version 2"), None);
    }

    #[test]
    fn words_of_git_are_told_apart() {
        for (said, expected) in [
            (
                "fatal: couldn't find remote ref refs/tags/v1",
                Attempt::Gone,
            ),
            (
                "fatal: remote error: upload-pack: not our ref 0123",
                Attempt::Gone,
            ),
            (
                "error: RPC failed; HTTP 503 curl 22\nfatal: early EOF",
                Attempt::Transient,
            ),
            ("fatal: transport 'file' not allowed", Attempt::Denied),
            (
                "fatal: unable to access: SSL certificate problem: self-signed",
                Attempt::Tls,
            ),
            ("fatal: something new", Attempt::Failed),
            (
                "fatal: attempting to allocate 2147483649 over limit 1073741824",
                Attempt::Skipped,
            ),
            (
                "fatal: could not read Username for 'https://x.org': terminal prompts disabled",
                Attempt::Failed,
            ),
        ] {
            assert_eq!(meaning(said).0, expected, "{said}");
        }
    }
}
