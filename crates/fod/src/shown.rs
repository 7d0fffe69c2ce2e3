//! Addresses as reports show them: without what may open something to whoever reads the report.
//!
//! A derivation is read by whoever has the store; a report goes into a comment that all may read.

use std::fmt::Write as _;

use snowguard_store::{Hash, HashAlgo};

/// Parameters of a query that name what is had. The values of all others are hidden: nobody can list the
/// names that secrets go by.
const NAMES: [&str; 32] = [
    "a",
    "archive",
    "at",
    "branch",
    "c",
    "commit",
    "committish",
    "download",
    "f",
    "file",
    "filename",
    "format",
    "h",
    "hb",
    "id",
    "name",
    "p",
    "package",
    "path",
    "prefix",
    "r",
    "raw",
    "ref",
    "ref_type",
    "rev",
    "revision",
    "s",
    "sf",
    "sha",
    "tag",
    "v",
    "version",
];

/// The address without user, password and fragment, and with `…` for what its query or a parameter of its path may
/// keep secret. For one that stands in a derivation.
pub fn shown(url: &str) -> String {
    without_secrets(url, |name| NAMES.contains(&name))
}

/// The same, with `…` for all values: for an address that somebody asked for, of which nothing is known.
pub fn shown_bare(url: &str) -> String {
    without_secrets(url, |_| false)
}

fn without_secrets(url: &str, tells: impl Fn(&str) -> bool) -> String {
    let (whole, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (before, query) = match whole.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (whole, None),
    };
    let mut out = String::new();
    // `/a;jsessionid=…/b`: parameters of a path are written as those of a query.
    for (number, segment) in without_user(before).split('/').enumerate() {
        out.push_str(if number == 0 { "" } else { "/" });
        let (name, parameters) = segment.split_once(';').unwrap_or((segment, ""));
        out.push_str(name);
        if segment.len() > name.len() {
            out.push(';');
            pairs(&mut out, parameters, &tells);
        }
    }
    if let Some(query) = query {
        out.push('?');
        pairs(&mut out, query, &tells);
    }
    if !fragment.is_empty() {
        out.push_str("#…");
    }
    out
}

fn pairs(out: &mut String, text: &str, tells: &impl Fn(&str) -> bool) {
    for part in text.split_inclusive(['&', ';']) {
        let pair = part.strip_suffix(['&', ';']).unwrap_or(part);
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pair.is_empty() || tells(name) {
            out.push_str(pair);
        } else if value.trim_end_matches('=').is_empty() {
            // A word alone is the name of what is had, or a key; also one in Base64, with its padding.
            out.push('…');
        } else {
            let _ = write!(out, "{name}=…");
        }
        out.push_str(&part[pair.len()..]);
    }
}

/// The longest address that is named as it is.
const LONGEST: usize = 240;

/// What names one address and no other where it is accepted: itself, if all of it is shown and can be copied into any
/// file; else a digest of what it asks for.
pub fn named(url: &str) -> String {
    let whole = asked(url);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if whole.len() <= LONGEST
        && whole.bytes().all(is_plain)
        && !whole.starts_with(DIGEST)
        && shown(&whole) == whole
    {
        return whole;
    }
    Hash::of(HashAlgo::Sha256, whole.as_bytes()).map_or_else(|| shown(url), |hash| hash.to_string())
}

/// How a digest begins.
const DIGEST: &str = "sha256-";

/// What an address asks for: without who asks, and without what no server is told.
pub(crate) fn asked(url: &str) -> String {
    let whole = url.split('#').next().unwrap_or(url);
    let (before, query) = whole.split_once('?').unwrap_or((whole, ""));
    let joint = if before.len() < whole.len() { "?" } else { "" };
    format!("{}{joint}{query}", without_user(before))
}

/// Who asks stands before the last `@` of the authority. `git@` of SSH names nobody.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = match authority.rsplit_once('@') {
        Some(("git", _)) | None => authority,
        Some((_, host)) => host,
    };
    // Who writes it wrong may have put the password behind a slash: `https://me:a/b@host/x`.
    let path = match path.rsplit_once('@') {
        Some((_, after)) if is_password(authority) => return format!("{scheme}://{after}"),
        _ => path,
    };
    format!("{scheme}://{host}{path}")
}

/// Whether what stands before a slash is a user and a part of a password, and no host and its port.
fn is_password(authority: &str) -> bool {
    let is_port = |text: &str| text.is_empty() || text.parse::<u16>().is_ok();
    let pair = authority
        .rsplit_once(':')
        .filter(|_| !authority.contains(['@', '[']));
    pair.is_some_and(|(_, port)| !is_port(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_a_name_of_its_own() {
        let plain = "https://x.org/a?file=x-1.tar.gz";
        assert_eq!(named(plain), plain);
        assert_eq!(named("https://me:secret@x.org/a#b"), "https://x.org/a");
        let long = |end: &str| format!("https://x.org/{}{end}", "a".repeat(LONGEST));
        let hidden = [
            "https://x.org/get?release=1",
            "https://x.org/get?release=2",
            "https://x.org/get?1",
            "https://g\u{456}thub.com/a",
            "https://x.org/\"a",
            "sha256-x",
            &long("1"),
            &long("2"),
        ];
        let names: std::collections::BTreeSet<String> =
            hidden.iter().map(|url| named(url)).collect();
        assert_eq!(names.len(), hidden.len());
        assert!(
            names
                .iter()
                .all(|name| name.starts_with(DIGEST) && name.len() == 51),
            "{names:?}"
        );
        let told = "https://me:secret@x.org/get?release=1#x";
        assert_eq!(named(told), named(hidden[0]));
    }

    #[test]
    fn no_secret_of_an_address_is_shown() {
        let all = [
            "https://me:hunter2@x.org/a.tar.gz?token=hunter3",
            "https://hunter2@x.org:8443/a@b#hunter3",
            "https://me:hun/ter2@x.org/a",
            "ftp://me@hunter2@x.org/a",
            "https://x.org/?id=0123&key=hunter3;h=v1&hunter3=",
            "https://x.org/a?hunter3",
            "https://x.org/a?hunter3=",
            "https://x.org/f?aHVudGVyMw==&v=",
            "https://x.org/a;jsessionid=hunter3/b;v=1;hunter3?x",
            "https://x.org/a?hunter3&raw",
            "https://x.org/a?raw",
            "https://x.org/npm/@types/node-1.tgz",
            "ssh://git@x.org/r.git",
            "git@x.org:o/r.git",
            "mirror://gnu/a?b=c",
            "",
        ];
        for url in all {
            let told = shown(url);
            for told in [told, shown_bare(url)] {
                let is_told = ["hunter3", "aHVudGVyMw", "me:"].map(|secret| told.contains(secret));
                assert_eq!(is_told, [false; 3], "{told}");
            }
        }
        insta::assert_snapshot!(all.map(shown).join("\n"), @"
        https://x.org/a.tar.gz?token=…
        https://x.org:8443/a@b#…
        https://x.org/a
        ftp://x.org/a
        https://x.org/?id=0123&key=…;h=v1&…
        https://x.org/a?…
        https://x.org/a?…
        https://x.org/f?…&v=
        https://x.org/a;jsessionid=…/b;v=1;…?…
        https://x.org/a?…&raw
        https://x.org/a?raw
        https://x.org/npm/@types/node-1.tgz
        ssh://git@x.org/r.git
        git@x.org:o/r.git
        mirror://gnu/a?b=…
        ");
    }
}
