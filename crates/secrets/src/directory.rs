//! A directory of keys, which nobody but its owner may look into.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_store::SecretKey;

use crate::{SecretError, SecretFile, create_key};

/// How long the name of a key may be, in bytes: it is the name of a file, too.
const MAX_NAME: usize = 100;

/// A directory of mode 0700 in which each key has a file `NAME.secret` of mode 0600, and `NAME.public`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDirectory(Utf8PathBuf);

impl KeyDirectory {
    /// The directory, if it is there and others can neither read nor write it.
    pub fn open(path: &Utf8Path) -> Result<Self, SecretError> {
        let cannot = |source| SecretError::Read {
            name: path.to_string(),
            source,
        };
        let metadata = fs::metadata(path).map_err(cannot)?;
        if !metadata.is_dir() {
            return Err(cannot(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::OpenDirectory {
                path: path.to_owned(),
                mode,
            });
        }
        Ok(Self(path.to_owned()))
    }

    /// As [`open`](Self::open); a directory that is not there is made.
    pub fn create(path: &Utf8Path) -> Result<Self, SecretError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| SecretError::Write {
                path: path.to_owned(),
                source,
            })?;
        Self::open(path)
    }

    /// The secret key of a name.
    pub fn key(&self, name: &str) -> Result<SecretKey, SecretError> {
        SecretFile::at(&self.secret(name)?).key()
    }

    /// Makes a key of a name that has none yet, and writes both halves.
    pub fn create_key(&self, name: &str) -> Result<SecretKey, SecretError> {
        let path = self.secret(name)?;
        let key = create_key(&path, name)?;
        let public = path.with_extension("public");
        fs::write(&public, format!("{}\n", key.public()))
            // The names as well as the files survive a crash.
            .and_then(|()| File::open(&self.0)?.sync_all())
            .map_err(|source| SecretError::Write {
                path: public,
                source,
            })?;
        Ok(key)
    }

    /// Takes away a key that was made for something that then failed.
    pub fn discard(&self, name: &str) -> Result<(), SecretError> {
        let path = self.secret(name)?;
        for path in [path.with_extension("public"), path] {
            fs::remove_file(&path).map_err(|source| SecretError::Write { path, source })?;
        }
        Ok(())
    }

    /// The file of a secret key. A name never leads out of the directory.
    fn secret(&self, name: &str) -> Result<Utf8PathBuf, SecretError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty()
            || name.len() > MAX_NAME
            || name.starts_with(['.', '-'])
            || !name.chars().all(is_plain)
        {
            return Err(SecretError::FileName(name.to_owned()));
        }
        Ok(self.0.join(format!("{name}.secret")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(place: &tempfile::TempDir) -> &Utf8Path {
        Utf8Path::from_path(place.path()).unwrap()
    }

    fn set_mode(path: &Utf8Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_can_look_into_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = root(&place).join("a/keys");
        let keys = KeyDirectory::create(&path).unwrap();
        let mode = |path: &Utf8Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let key = keys.create_key("ci-1").unwrap();
        assert_eq!(mode(&path.join("ci-1.secret")), 0o600);
        assert_eq!(keys.key("ci-1").unwrap().public(), key.public());
        let public = fs::read_to_string(path.join("ci-1.public")).unwrap();
        assert_eq!(public, format!("{}\n", key.public()));
        for open in [0o750, 0o701, 0o755, 0o702] {
            set_mode(&path, open);
            let error = KeyDirectory::create(&path).unwrap_err();
            assert!(matches!(error, SecretError::OpenDirectory { mode, .. } if mode == open));
            assert!(error.hint().is_some());
        }
        set_mode(&path, 0o700);
        set_mode(&path.join("ci-1.secret"), 0o640);
        let error = KeyDirectory::open(&path).unwrap().key("ci-1").unwrap_err();
        assert!(matches!(error, SecretError::Exposed { mode: 0o640, .. }));
        assert!(KeyDirectory::open(&path.join("ci-1.public")).is_err());
        assert!(KeyDirectory::open(&path.join("none")).is_err());
    }

    #[test]
    fn names_stay_in_the_directory_and_keys_are_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyDirectory::create(&root(&place).join("keys")).unwrap();
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "-x",
            ".x",
            "a b",
            "a:b",
            "é",
            &"x".repeat(101),
        ] {
            assert!(
                matches!(keys.create_key(name), Err(SecretError::FileName(_))),
                "{name}"
            );
        }
        keys.create_key("ci-1").unwrap();
        assert!(matches!(
            keys.create_key("ci-1"),
            Err(SecretError::Write { .. })
        ));
        keys.discard("ci-1").unwrap();
        keys.create_key("ci-1").unwrap();
    }
}
