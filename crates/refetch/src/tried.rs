//! What an error on the way means, and how addresses are shown.

use std::io;

use snowguard_fod::outcome::{Attempt, Outcome, Try, Verdict};
use snowguard_http::{Address, HttpError};

use crate::verify::Halt;

/// A try that did not bring the promised bytes.
pub(crate) fn failed(url: &str, result: Attempt, detail: impl Into<String>) -> Try {
    Try {
        url: shown(url),
        result,
        detail: detail.into(),
        redirects: Vec::new(),
        bytes: None,
    }
}

/// An address without user, password and query: any of these may be a secret.
pub(crate) fn shown(url: &str) -> String {
    match url.parse::<Address>() {
        Ok(address) => address.to_string(),
        Err(_) => match (url.find("://"), url.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}{}", &url[..scheme + 3], &url[at + 1..])
            }
            _ => url.to_owned(),
        },
    }
}

/// What an error of the client means for the address. What concerns this machine or its user ends all.
pub(crate) fn of_error(error: &HttpError) -> Result<(Attempt, String), Halt> {
    let attempt = match error {
        HttpError::Interrupted => return Err(Halt::Interrupted),
        HttpError::Certificates { .. } | HttpError::Setup(_) | HttpError::File { .. } => {
            return Err(Halt::Network(text(error)));
        }
        HttpError::NotPublic { .. } => Attempt::Denied,
        HttpError::Redirect { why, .. } if why.contains("public") => Attempt::Denied,
        HttpError::Redirect { why, .. } if why.contains("spoken") => Attempt::Skipped,
        HttpError::Redirect { .. } => Attempt::Redirect,
        HttpError::Certificate { .. } => Attempt::Tls,
        HttpError::Status { status, .. } if matches!(status.as_u16(), 404 | 410) => Attempt::Gone,
        error if error.is_passing() => Attempt::Transient,
        _ => Attempt::Failed,
    };
    Ok((attempt, text(error)))
}

/// To which host an address led when it was last as promised, and to which it leads now, if that is another.
pub(crate) fn elsewhere<'a>(
    before: Option<&'a Outcome>,
    url: &str,
    redirects: &'a [String],
) -> Option<(&'a str, &'a str)> {
    let url = shown(url);
    let before = before.filter(|before| before.verdict == Verdict::Ok)?;
    let earlier = before
        .tries
        .iter()
        .find(|tried| tried.url == url && tried.result == Attempt::Ok)?;
    let was = earlier
        .redirects
        .last()
        .map_or(&*earlier.url, String::as_str);
    let is = redirects.last()?;
    (authority(was) != authority(is)).then_some((was, is))
}

/// Host and port of an address that is shown.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Whether an error of the system is of this machine, and not of what was asked of it.
pub(crate) fn is_of_the_machine(error: &io::Error) -> bool {
    // These mean the same number on every architecture that Nix builds for, but for EDQUOT, which has a kind.
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::WouldBlock
    ) || matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
}

/// An error with what caused it.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_of_the_machine_and_a_long_name_is_not() {
        let of = |number| is_of_the_machine(&io::Error::from_raw_os_error(number));
        // EIO, EAGAIN, ENOMEM, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT.
        assert!([5, 11, 12, 23, 24, 28, 30, 122].into_iter().all(of));
        // ENOENT, E2BIG, EACCES, ENOTDIR, EINVAL, ENAMETOOLONG, ELOOP.
        assert!(![2, 7, 13, 20, 22, 36, 40].into_iter().any(of));
        let nul = io::Error::from(io::ErrorKind::InvalidInput);
        assert!(!is_of_the_machine(&nul));
    }

    #[test]
    fn no_secret_of_an_address_is_shown() {
        for (url, expected) in [
            ("https://me:secret@x.org/a?token=1", "https://x.org/a"),
            ("ftp://me:secret@x.org/a", "ftp://x.org/a"),
            ("mirror://gnu/a", "mirror://gnu/a"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
