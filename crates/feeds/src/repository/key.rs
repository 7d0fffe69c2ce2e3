//! Keys on disk, in the form of `nix key generate-secret`: `NAME:BASE64`, 64 bytes for a secret key and
//! 32 for a public one.
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads and writes key files"
)]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use snowguard_store::signature::PublicKey;
use zeroize::Zeroizing;

/// A key file is one line.
const MAX_FILE: u64 = 4096;

/// A secret key with its name. It is never shown.
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// Makes a key, and writes it to a file that did not exist and that only its owner may read.
    pub fn create(path: &Utf8Path, name: &str) -> Result<Self, KeyError> {
        let io = |source| KeyError::Write {
            path: path.to_owned(),
            source,
        };
        let mut seed = Zeroizing::new([0; 32]);
        File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut *seed))
            .map_err(KeyError::Random)?;
        let key = Self::new(name, SigningKey::from_bytes(&seed))?;
        let text = Zeroizing::new(format!(
            "{name}:{}\n",
            *Zeroizing::new(BASE64.encode(&*Zeroizing::new(key.key.to_keypair_bytes())))
        ));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        file.write_all(text.as_bytes()).map_err(io)?;
        file.sync_all().map_err(io)?;
        Ok(key)
    }

    /// Reads a key from a file that nobody but its owner may read.
    pub fn read(path: &Utf8Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE).read_to_string(&mut text).map_err(io)?;
        let invalid = || KeyError::Invalid(path.to_owned());
        let (name, secret) = text.trim().split_once(':').ok_or_else(invalid)?;
        let bytes = Zeroizing::new(BASE64.decode(secret.as_bytes()).map_err(|_| invalid())?);
        let pair: &[u8; 64] = bytes.as_slice().try_into().map_err(|_| invalid())?;
        let key = SigningKey::from_keypair_bytes(pair).map_err(|_| invalid())?;
        Self::new(name, key).map_err(|_| invalid())
    }

    /// The public half.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::new(&self.name, self.key.verifying_key().to_bytes())
            .map_err(|_| KeyError::Name(self.name.clone()))
    }

    pub(super) fn public_bytes(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn new(name: &str, key: SigningKey) -> Result<Self, KeyError> {
        let key = Self {
            name: name.to_owned(),
            key,
        };
        key.public()?;
        Ok(key)
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the key file {path}")]
    Read {
        /// Where it lies.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the key file {path}")]
    Write {
        /// Where it should lie.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it.
    #[error("the key file {path} can be read by others than its owner (mode {mode:04o})")]
    Open {
        /// Where it lies.
        path: Utf8PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no key.
    #[error("{0} is not a secret key of the form NAME:BASE64")]
    Invalid(Utf8PathBuf),
    /// It cannot bear that name.
    #[error("`{0}` cannot be the name of a key: it must not be empty or hold a colon")]
    Name(String),
    /// The system gives no random bytes.
    #[error("cannot read random bytes from the system")]
    Random(#[source] io::Error),
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } | Self::Invalid(_) => {
                Some("`snowguard advisories key FILE` makes a key")
            }
            Self::Open { .. } => {
                Some("`chmod 600` mends that; a key that others have read is no secret")
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("an existing key is not replaced; name another file")
            }
            Self::Write { .. } | Self::Random(_) | Self::Name(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("key.secret");
        (directory, path)
    }

    #[test]
    fn keys_survive_their_file_and_are_not_replaced() {
        let (_keep, path) = scratch();
        let key = SecretKey::create(&path, "mirror-1").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = SecretKey::read(&path).unwrap();
        assert_eq!(again.public().unwrap(), key.public().unwrap());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
        let public = key.public().unwrap().to_string();
        assert_eq!(public.parse::<PublicKey>().unwrap(), key.public().unwrap());
        let error = SecretKey::create(&path, "mirror-1").unwrap_err();
        assert!(error.hint().unwrap().contains("not replaced"));
        assert!(!format!("{key:?}").contains("SigningKey"));
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let (_keep, path) = scratch();
        SecretKey::create(&path, "mirror-1").unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = SecretKey::read(&path)
                .unwrap_err()
                .to_string()
                .replace(path.as_str(), "PATH");
            assert_eq!(
                error,
                format!("the key file PATH can be read by others than its owner (mode {mode:04o})")
            );
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "mirror-1:AAAA").unwrap();
        assert!(matches!(SecretKey::read(&path), Err(KeyError::Invalid(_))));
        assert!(matches!(
            SecretKey::create(&path.with_extension("x"), "a:b"),
            Err(KeyError::Name(_))
        ));
    }
}
