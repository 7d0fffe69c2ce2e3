//! The files of an index that somebody with a key publishes with the tracker's decisions. They are signed,
//! and given out as they are.
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads the published directory"
)]

use std::fs::File;
use std::io::{ErrorKind, Read as _};

use hyper::header::CACHE_CONTROL;

use super::Context;
use crate::fault::Fault;
use crate::reply::Reply;

/// The largest file that is given out, in bytes: what is sent is held in memory.
const MOST: u64 = 512 << 20;

/// A file, by its folder and its name.
pub(super) fn answer(context: &Context<'_>, folder: &str, name: &str) -> Result<Reply, Fault> {
    let directory = context.app.settings().repository.as_deref();
    let path = directory
        .filter(|_| is_name(name))
        .ok_or(Fault::NoPage)?
        .join(folder)
        .join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Fault::NoPage),
        Err(error) => return Err(Fault::internal(error)),
    };
    let about = file.metadata().map_err(Fault::internal)?;
    if !about.is_file() || about.len() > MOST {
        return Err(Fault::NoPage);
    }
    let mut bytes = Vec::new();
    file.take(MOST)
        .read_to_end(&mut bytes)
        .map_err(Fault::internal)?;
    // What has a number or a digest in its name never changes under it.
    let kept = match name {
        "timestamp.json" | "root.json" => "public, max-age=60",
        _ => "public, max-age=31536000, immutable",
    };
    let media_type = if folder == "metadata" {
        "application/json"
    } else {
        "application/zstd"
    };
    Ok(Reply::document(media_type, bytes).with(CACHE_CONTROL, kept))
}

/// Whether it is the name of a file, and not the way to another one.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=255).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for good in [
            "timestamp.json",
            "12.root.json",
            "0a1b.advisories-0a.idx.zst",
        ] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".lock",
            "../key",
            "a/b",
            "a\0",
            "key secret",
            "ä",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
