//! The part of a download that is here already: `NAME.part`, and beside it `NAME.part.of`, which
//! says what it is a part of. Both outlive the process.
#![expect(
    clippy::disallowed_methods,
    reason = "this room owns the files of broken downloads"
)]

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::address::Address;
use crate::download::Expected;
use crate::error::HttpError;
use crate::settings::Conditions;

/// The files of one download.
pub(crate) struct Part {
    body: Utf8PathBuf,
    of: Utf8PathBuf,
    /// The address, told apart by its digest: it may hold secrets, and files stay.
    address: String,
}

/// A part with a validator: it can be gone on with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) length: u64,
    /// A strong `ETag` or a `Last-Modified`, for `If-Range`.
    pub(crate) validator: String,
}

impl Begun {
    /// Whether an answer may be of the same edition, as far as it says.
    pub(crate) fn is_of(&self, answer: &Conditions) -> bool {
        let known = self.conditions();
        let same = |known: Option<String>, found: &Option<String>| match (known, found) {
            (Some(known), Some(found)) => known == *found,
            _ => true,
        };
        same(known.etag, &answer.etag) && same(known.last_modified, &answer.last_modified)
    }

    /// What to ask with whether there is another one.
    pub(crate) fn conditions(&self) -> Conditions {
        let validator = Some(self.validator.clone());
        if self.validator.starts_with('"') {
            Conditions {
                etag: validator,
                last_modified: None,
            }
        } else {
            Conditions {
                etag: None,
                last_modified: validator,
            }
        }
    }
}

impl Part {
    pub(crate) fn beside(to: &Utf8Path, address: &Address) -> Self {
        let name = to.file_name().unwrap_or("download");
        Self {
            body: to.with_file_name(format!("{name}.part")),
            of: to.with_file_name(format!("{name}.part.of")),
            address: HEXLOWER.encode(&Sha256::digest(address.url().as_str())),
        }
    }

    /// What is here, if it is of the same address and can be gone on with.
    pub(crate) fn begun(&self) -> Option<Begun> {
        let mut text = String::new();
        File::open(&self.of)
            .and_then(|file| file.take(4096).read_to_string(&mut text))
            .ok()?;
        let (address, validator) = text.strip_suffix('\n')?.split_once('\n')?;
        let length = std::fs::metadata(&self.body).ok()?.len();
        (address == self.address && !validator.is_empty() && length > 0).then(|| Begun {
            length,
            validator: validator.to_owned(),
        })
    }

    /// Begins anew, with nothing.
    pub(crate) fn begin(&self, validator: Option<&str>) -> Result<File, HttpError> {
        self.discard();
        let file = File::create(&self.body).map_err(|source| self.cannot("write", source))?;
        if let Some(validator) = validator.filter(|text| !text.contains('\n')) {
            let text = format!("{}\n{validator}\n", self.address);
            std::fs::write(&self.of, text).map_err(|source| self.cannot("write", source))?;
        }
        Ok(file)
    }

    /// Goes on at the end.
    pub(crate) fn go_on(&self) -> Result<File, HttpError> {
        OpenOptions::new()
            .append(true)
            .open(&self.body)
            .map_err(|source| self.cannot("write", source))
    }

    pub(crate) fn append(&self, file: &mut File, bytes: &[u8]) -> Result<(), HttpError> {
        file.write_all(bytes)
            .map_err(|source| self.cannot("write", source))
    }

    pub(crate) fn length(&self) -> u64 {
        std::fs::metadata(&self.body).map_or(0, |metadata| metadata.len())
    }

    pub(crate) fn sha256(&self) -> Result<[u8; 32], HttpError> {
        let mut file = File::open(&self.body).map_err(|source| self.cannot("read", source))?;
        sha256(&mut file).map_err(|source| self.cannot("read", source))
    }

    /// The whole is here: gives it its name.
    pub(crate) fn finish(&self, to: &Utf8Path) -> Result<(), HttpError> {
        std::fs::rename(&self.body, to).map_err(|source| self.cannot("write", source))?;
        let _ = std::fs::remove_file(&self.of);
        Ok(())
    }

    /// Makes a whole file a part again, one that can be gone on with.
    pub(crate) fn reopen(&self, to: &Utf8Path, validator: Option<&str>) {
        self.discard();
        // Without a description it would be thrown away: its name, and its digest, may serve.
        if let Some(validator) = validator.filter(|text| !text.contains('\n'))
            && std::fs::rename(to, &self.body).is_ok()
        {
            let text = format!("{}\n{validator}\n", self.address);
            let _ = std::fs::write(&self.of, text);
        }
    }

    /// The length of a file that is here, if it certainly is what is expected.
    pub(crate) fn is_finished(&self, to: &Utf8Path, expected: &Expected) -> Option<u64> {
        let sha = expected.sha256?;
        let mut file = File::open(to).ok()?;
        let length = file.metadata().ok().filter(Metadata::is_file)?.len();
        let fits = length <= expected.limit && expected.length.is_none_or(|known| known == length);
        (fits && sha256(&mut file).ok()? == sha).then(|| {
            self.discard();
            length
        })
    }

    /// Away with it. The description goes first: without it the rest is worth nothing.
    pub(crate) fn discard(&self) {
        let _ = std::fs::remove_file(&self.of);
        let _ = std::fs::remove_file(&self.body);
    }

    fn cannot(&self, what: &'static str, source: io::Error) -> HttpError {
        HttpError::File {
            what,
            path: self.body.clone(),
            source,
        }
    }
}

fn sha256(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_described_part_of_the_same_address_is_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let to = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("all.zip");
        let address: Address = "https://x/all.zip".parse().unwrap();
        let part = Part::beside(&to, &address);
        assert_eq!(part.begun(), None);
        let mut file = part.begin(Some("\"v1\"")).unwrap();
        assert_eq!(part.begun(), None, "nothing has arrived");
        part.append(&mut file, b"half").unwrap();
        let begun = part.begun().unwrap();
        assert_eq!((begun.length, begun.validator.as_str()), (4, "\"v1\""));
        let other: Address = "https://y/all.zip".parse().unwrap();
        assert_eq!(Part::beside(&to, &other).begun(), None);
        part.begin(None).unwrap();
        assert_eq!(
            part.begun(),
            None,
            "without a validator it may be another's part"
        );
    }
}
