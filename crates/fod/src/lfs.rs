//! Git LFS as far as `fetchgit` needs it: which file stands for one that is kept elsewhere, who is asked for that, and
//! what the answer says.
//!
//! Exact or not at all: what `git-lfs` takes in one version and not in another, or by settings that are not followed
//! here, is told as unclear. Sources: its own specification (`docs/spec.md`, `docs/api/batch.md`) and what its filter
//! does in versions 2 and 3. Deliberately absent: uploads, locks, SSH, transfers other than `basic`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::outcome::Attempt;

/// How much of a file `git-lfs` looks at to tell whether it is a pointer, in bytes.
pub const LOOKED_AT: usize = 1024;
/// What questions and answers are.
pub const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";
/// The file of a repository that says how it is asked.
pub const CONFIG: &str = ".lfsconfig";
/// How many headers one download may ask for.
const MOST_HEADERS: usize = 32;
/// How much of what a server says is told, in letters.
const MOST_SAID: usize = 200;

/// What stands in a repository in place of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// The SHA-256 of the file, in 64 small hexadecimal digits.
    oid: String,
    size: u64,
}

/// What a file that goes through the filter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// It stands for another one.
    Pointer(Pointer),
    /// It stays as it is.
    Plain,
    /// It looks like a pointer and is not written like one: what becomes of it depends on the version of `git-lfs`.
    Unclear,
}

impl Filtered {
    /// What the file is that begins so; `begin` has its first [`LOOKED_AT`] bytes, or all of them.
    pub fn of(begin: &[u8]) -> Self {
        if let Some(pointer) = Pointer::of(begin) {
            return Self::Pointer(pointer);
        }
        // Without one of these words it is no pointer to any version, nor if it begins with anything else.
        let words = ["git-media", "hawser", "git-lfs"];
        let has = |word: &str| begin.windows(word.len()).any(|w| w == word.as_bytes());
        let first = begin.iter().position(u8::is_ascii_graphic);
        let text = &begin[first.unwrap_or(begin.len())..];
        let is_like = text.starts_with(b"version") || text.starts_with(b"ext-");
        if is_like && words.into_iter().any(has) {
            Self::Unclear
        } else {
            Self::Plain
        }
    }
}

impl Pointer {
    /// Reads one as `git-lfs` writes it, and nothing else.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let rest = text.strip_prefix("version https://git-lfs.github.com/spec/v1\noid sha256:")?;
        let (oid, size) = rest.strip_suffix('\n')?.split_once("\nsize ")?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_number = size.bytes().all(|byte| byte.is_ascii_digit()) && !size.starts_with('0');
        if oid.len() != 64 || !oid.bytes().all(is_digit) || !is_number {
            return None;
        }
        // It is a signed number to git-lfs.
        let size = size.parse::<i64>().ok()?;
        Some(Self {
            oid: oid.to_owned(),
            size: u64::try_from(size).ok()?,
        })
    }

    /// The SHA-256 of the file, in 64 small hexadecimal digits.
    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// The length of the file, in bytes; at least 1.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (oid, size) = (&self.oid, self.size);
        writeln!(f, "version https://git-lfs.github.com/spec/v1")?;
        writeln!(f, "oid sha256:{oid}\nsize {size}")
    }
}

/// Where the files of a repository are kept that is fetched from `url`, if nothing else is said.
pub fn endpoint(url: &str) -> String {
    let url = url.strip_suffix('/').unwrap_or(url);
    let name = url.rsplit('/').next().unwrap_or_default();
    let git = if name.ends_with(".git") { "" } else { ".git" };
    format!("{url}{git}/info/lfs")
}

/// Where a question goes.
pub fn batch_url(endpoint: &str) -> String {
    let slash = if endpoint.ends_with('/') { "" } else { "/" };
    format!("{endpoint}{slash}objects/batch")
}

/// What [`CONFIG`] says of where files are kept, from what `git config --null --list` prints of it; an error names the
/// key that would change something else of what is fetched.
pub fn endpoint_of_config(listed: &str) -> Result<Option<String>, String> {
    // About what is sent there, and not about what is fetched.
    const HARMLESS: [&str; 3] = ["lfs.pushurl", "lfs.locksverify", "lfs.allowincompletepush"];
    let mut url = None;
    for line in listed.split('\0').filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once('\n').unwrap_or((line, ""));
        if key == "lfs.url" {
            url = Some(value.to_owned());
        } else if !HARMLESS.contains(&key) && !key.ends_with(".locksverify") {
            return Err(key.to_owned());
        }
    }
    Ok(url)
}

/// A question for files.
#[derive(Debug, Serialize)]
pub struct Question<'p> {
    operation: &'static str,
    transfers: [&'static str; 1],
    objects: Vec<Wanted<'p>>,
    hash_algo: &'static str,
}

#[derive(Debug, Serialize)]
struct Wanted<'p> {
    oid: &'p str,
    size: u64,
}

impl<'p> Question<'p> {
    /// How many files are asked for at once, as `git-lfs` does.
    pub const MOST: usize = 100;

    /// Asks for the files of these pointers.
    pub fn of(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let wanted = |pointer: &'p Pointer| Wanted {
            oid: &pointer.oid,
            size: pointer.size,
        };
        Self {
            operation: "download",
            transfers: ["basic"],
            objects: pointers.into_iter().map(wanted).collect(),
            hash_algo: "sha256",
        }
    }
}

/// What a server says to a question.
#[derive(Debug, Deserialize)]
pub struct Answer {
    transfer: Option<String>,
    hash_algo: Option<String>,
    #[serde(default)]
    objects: Vec<Object>,
}

#[derive(Debug, Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<ObjectError>,
}

#[derive(Debug, Deserialize)]
struct Actions {
    download: Option<Download>,
}

#[derive(Debug, Deserialize)]
struct ObjectError {
    code: i64,
    #[serde(default)]
    message: String,
}

/// From where a file comes.
#[derive(Debug, Deserialize)]
pub struct Download {
    href: String,
    header: Option<BTreeMap<String, String>>,
}

impl Download {
    /// The address.
    pub fn href(&self) -> &str {
        &self.href
    }

    /// The headers to send there, and nowhere else.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let all = self.header.iter().flatten();
        all.map(|(name, value)| (&**name, &**value)).collect()
    }
}

impl Answer {
    /// From where the file of a pointer comes; or what it means that it does not, in words.
    pub fn download(&self, pointer: &Pointer) -> Result<&Download, (Attempt, String)> {
        let no = |attempt, text: String| Err((attempt, text));
        for (said, known) in [(&self.transfer, "basic"), (&self.hash_algo, "sha256")] {
            let said = said.as_deref().unwrap_or_default();
            if !said.is_empty() && said != known {
                let text = format!(
                    "its LFS server wants {}, which is not spoken here",
                    cut(said)
                );
                return no(Attempt::Skipped, text);
            }
        }
        let found = self.objects.iter().find(|object| object.oid == pointer.oid);
        let Some(object) = found else {
            let text = "its LFS server says nothing of it".to_owned();
            return no(Attempt::Failed, text);
        };
        if let Some(ObjectError { code, message }) = &object.error {
            let attempt = match code {
                404 | 410 => Attempt::Gone,
                408 | 429 | 500..=599 => Attempt::Transient,
                _ => Attempt::Failed,
            };
            let text = format!("its LFS server says {code} {}", cut(message));
            return no(attempt, text.trim_end().to_owned());
        }
        let actions = object.actions.as_ref();
        let Some(download) = actions.and_then(|actions| actions.download.as_ref()) else {
            let text = "its LFS server names no address for it".to_owned();
            return no(Attempt::Failed, text);
        };
        let names = download.header.iter().flatten().map(|(name, _)| &**name);
        if let Some(name) = names.clone().find(|name| !is_sent(name)) {
            let text = format!(
                "its LFS server asks for the header {}, which is not sent for others",
                cut(name)
            );
            return no(Attempt::Skipped, text);
        }
        if names.count() > MOST_HEADERS {
            let text = format!("its LFS server asks for more than {MOST_HEADERS} headers");
            return no(Attempt::Skipped, text);
        }
        Ok(download)
    }
}

/// Whether a header is about who asks, and not about where a request goes, where it ends and how its answer comes.
fn is_sent(name: &str) -> bool {
    const OWN: [&str; 13] = [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = name.trim().to_ascii_lowercase();
    !OWN.contains(&&*name) && !name.starts_with("proxy-") && !name.starts_with("if-")
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

    fn pointer() -> Pointer {
        Pointer {
            oid: OID.to_owned(),
            size: 12345,
        }
    }

    #[test]
    fn a_pointer_is_what_git_lfs_writes_and_nothing_else() {
        let text = pointer().to_string();
        assert_eq!(
            Filtered::of(text.as_bytes()),
            Filtered::Pointer(pointer()),
            "{text}"
        );
        let with = |from: &str, to: &str| Filtered::of(text.replace(from, to).as_bytes());
        for (from, to) in [
            ("\n", "\r\n"),
            ("12345\n", "12345"),
            ("12345", "012345"),
            ("12345", "+12345"),
            ("12345", "0"),
            ("12345", "9223372036854775808"),
            ("4d7a", "4D7A"),
            ("4d7a", "4d7"),
            ("git-lfs.github.com", "hawser.github.com"),
            ("oid", "ext-0-x sha256:1\noid"),
            ("version", "\n version"),
            ("version", "\u{a0}version"),
        ] {
            assert_eq!(with(from, to), Filtered::Unclear, "{to}");
        }
        for text in [
            "",
            "\n",
            "text",
            "version 2 of something else\n",
            "Files are kept by git-lfs.\n",
        ] {
            assert_eq!(Filtered::of(text.as_bytes()), Filtered::Plain, "{text}");
        }
    }

    #[test]
    fn who_is_asked_follows_from_the_address() {
        for (url, expected) in [
            ("https://x.org/o/r", "https://x.org/o/r.git/info/lfs"),
            ("https://x.org/o/r/", "https://x.org/o/r.git/info/lfs"),
            ("https://x.org/o/r.git", "https://x.org/o/r.git/info/lfs"),
            (
                "https://x.org/o/r.git.x",
                "https://x.org/o/r.git.x.git/info/lfs",
            ),
        ] {
            assert_eq!(endpoint(url), expected);
        }
        for endpoint in ["https://x.org/l", "https://x.org/l/"] {
            assert_eq!(batch_url(endpoint), "https://x.org/l/objects/batch");
        }
    }

    #[test]
    fn a_repository_says_where_its_files_are_and_nothing_else_is_followed() {
        let of = |listed: &str| endpoint_of_config(listed);
        assert_eq!(of(""), Ok(None));
        let harmless = "lfs.locksverify\nfalse\0lfs.https://x.org/l.locksverify\0";
        assert_eq!(of(harmless), Ok(None));
        let url = "lfs.url\nhttps://x.org/a\0lfs.url\nhttps://x.org/b\0";
        assert_eq!(of(url), Ok(Some("https://x.org/b".to_owned())));
        for key in ["lfs.fetchexclude", "remote.origin.lfsurl", "lfs.x.access"] {
            assert_eq!(of(&format!("{key}\nx\0")), Err(key.to_owned()));
        }
    }
}
