//! Patches, and what they say about vulnerabilities.

use snowguard_advisory::id::CveId;
use snowguard_advisory::record::Commit;

/// A patch that a component's build applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Its file name: `CVE-2017-6829.patch`.
    pub name: Box<str>,
    /// Its store path.
    pub path: Box<str>,
    /// Where it was fetched from.
    pub urls: Vec<Box<str>>,
    /// CVEs in its name or its URLs.
    pub named_cves: Vec<CveId>,
    /// The upstream commits that its URLs name, as fetchpatch has them.
    pub commits: Vec<Commit>,
    /// What its text says, if that could be read.
    pub text: Option<PatchText>,
}

impl Patch {
    /// From a name and URLs.
    pub fn new(name: &str, path: &str, urls: Vec<Box<str>>) -> Self {
        let mut named_cves = CveId::find_all(name);
        for url in &urls {
            for cve in CveId::find_all(url) {
                if !named_cves.contains(&cve) {
                    named_cves.push(cve);
                }
            }
        }
        let commits = urls
            .iter()
            .filter_map(|url| Commit::from_url(url))
            .collect();
        Self {
            name: name.into(),
            path: path.into(),
            urls,
            named_cves,
            commits,
            text: None,
        }
    }
}

/// What the head of a patch file says: the part before the first hunk, where authors write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchText {
    /// CVEs in its head.
    pub cves: Vec<CveId>,
    /// The upstream commit of a `git format-patch` head or of a `cherry picked from` line.
    pub commits: Vec<Commit>,
}

impl PatchText {
    /// How much of a patch file is looked at.
    pub const HEAD: usize = 64 << 10;

    /// Reads the head of a patch file.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(Self::HEAD)]);
        let mut found = Self::default();
        let mut in_head = true;
        for line in text.lines() {
            // A mail box of several patches has several heads.
            if line.starts_with("From ") {
                in_head = true;
            } else if line.starts_with("--- ")
                || line.starts_with("diff ")
                || line.starts_with("Index: ")
                || line.starts_with("@@ ")
            {
                in_head = false;
            }
            if !in_head {
                continue;
            }
            for cve in CveId::find_all(line) {
                if !found.cves.contains(&cve) {
                    found.cves.push(cve);
                }
            }
            let commit = line
                .strip_prefix("From ")
                .and_then(|rest| rest.get(..40)?.parse().ok());
            let picked = [
                "cherry picked from commit ",
                "commit ",
                "Upstream-commit: ",
                "Origin: ",
            ]
            .iter()
            .any(|mark| line.contains(mark))
            .then(|| Commit::from_url(line))
            .flatten();
            for commit in commit.into_iter().chain(picked) {
                if !found.commits.contains(&commit) {
                    found.commits.push(commit);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "43913f2f4fbd7dcff930b8a809e709591e4dd79e";

    #[test]
    fn names_and_urls_tell() {
        let url = format!("https://github.com/miekg/dns/commit/{SHA}.patch");
        let patch = Patch::new(
            "fix-CVE-2020-1-CVE-2020-12345.patch",
            "/nix/store/x",
            vec![url.into()],
        );
        assert_eq!(patch.named_cves.len(), 1);
        assert_eq!(patch.commits[0].to_string(), SHA);
    }

    #[test]
    fn heads_tell_and_hunks_do_not() {
        let text = format!(
            "From {SHA} Mon Sep 17 00:00:00 2001\nSubject: fix CVE-2020-12345\n\n---\n x.c | 2 +-\n\ndiff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-// CVE-2019-11111\n+// nothing\n"
        );
        let found = PatchText::read(text.as_bytes());
        assert_eq!(found.cves, ["CVE-2020-12345".parse().unwrap()]);
        assert_eq!(found.commits[0].to_string(), SHA);
        let picked = format!("Fix it\n(cherry picked from commit {SHA})\nIndex: x\n");
        assert_eq!(PatchText::read(picked.as_bytes()).commits.len(), 1);
        assert_eq!(PatchText::read(&[0xff; 100]), PatchText::default());
    }
}
