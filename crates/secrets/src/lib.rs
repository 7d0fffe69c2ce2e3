#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads and writes the files of secrets"
)]

mod directory;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_store::SecretKey;
use snowguard_store::secret_key::SecretKeyError;
use zeroize::Zeroizing;

pub use self::directory::KeyDirectory;

/// The largest key file, in bytes: a key is one line.
const MAX_KEY: usize = 4096;
/// The longest line, in bytes.
const MAX_LINE: usize = 16 << 10;

/// A file with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// As it was named.
    name: String,
    path: Utf8PathBuf,
    /// Whether systemd looks after it.
    is_credential: bool,
}

impl SecretFile {
    /// The file at a path.
    pub fn at(path: &Utf8Path) -> Self {
        Self {
            name: path.to_string(),
            path: path.to_owned(),
            is_credential: false,
        }
    }

    /// The file that settings name: a path, or `credential:NAME` for one in `credentials`, the directory
    /// in which systemd hands secrets over. An error if there is no such directory, or if `NAME` leads
    /// out of it.
    pub fn named(name: &str, credentials: Option<&Utf8Path>) -> Result<Self, SecretError> {
        let Some(credential) = name.strip_prefix("credential:") else {
            return Ok(Self::at(Utf8Path::new(name)));
        };
        // What systemd takes for a name of one.
        let is_name = !matches!(credential, "" | "." | "..") && !credential.contains('/');
        match credentials {
            Some(directory) if is_name => Ok(Self {
                name: name.to_owned(),
                path: directory.join(credential),
                is_credential: true,
            }),
            _ => Err(SecretError::NoCredential(name.to_owned())),
        }
    }

    /// Reads a secret key that nobody but its owner can read.
    pub fn key(&self) -> Result<SecretKey, SecretError> {
        let (file, mode) = self.open()?;
        if mode & 0o077 != 0 && !self.is_credential {
            return Err(SecretError::Exposed {
                name: self.name.clone(),
                mode,
            });
        }
        self.text(file, MAX_KEY)?
            .parse()
            .map_err(|source| SecretError::Key {
                name: self.name.clone(),
                source,
            })
    }

    /// Reads one line of text, without the white space around it. Who else may read the file is its
    /// owner's affair: groups share such secrets.
    pub fn line(&self) -> Result<Zeroizing<String>, SecretError> {
        let (file, _) = self.open()?;
        let text = self.text(file, MAX_LINE)?;
        let line = text.trim();
        if line.is_empty() || line.chars().any(char::is_control) {
            return Err(SecretError::Line(self.name.clone()));
        }
        Ok(Zeroizing::new(line.to_owned()))
    }

    /// The open file, and who may read that very file.
    fn open(&self) -> Result<(File, u32), SecretError> {
        let cannot = |source| self.cannot_read(source);
        let file = File::open(&self.path).map_err(cannot)?;
        let mode = file.metadata().map_err(cannot)?.permissions().mode() & 0o777;
        Ok((file, mode))
    }

    fn text(&self, mut file: File, limit: usize) -> Result<Zeroizing<String>, SecretError> {
        // Never grown, which would leave behind what it held.
        let mut bytes = Zeroizing::new(vec![0; limit + 1]);
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cannot_read(error)),
            }
        }
        let text = std::str::from_utf8(&bytes[..filled])
            .ok()
            .filter(|text| text.len() <= limit)
            .ok_or_else(|| SecretError::Line(self.name.clone()))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn cannot_read(&self, source: io::Error) -> SecretError {
        SecretError::Read {
            name: self.name.clone(),
            source,
        }
    }
}

/// Makes a key, and writes it to a file that did not exist and that only its owner can read.
pub fn create_key(path: &Utf8Path, name: &str) -> Result<SecretKey, SecretError> {
    let mut seed = Zeroizing::new([0; 32]);
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut *seed))
        .map_err(SecretError::Random)?;
    let key = SecretKey::from_seed(name, &seed).map_err(|_| SecretError::Name(name.to_owned()))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(key.to_text().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .map_err(|source| SecretError::Write {
            path: path.to_owned(),
            source,
        })?;
    Ok(key)
}

/// Why a secret cannot be used. None of these repeats it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read the secret in {name}")]
    Read {
        /// As it was named.
        name: String,
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
    /// systemd did not hand it over, or that is no name.
    #[error("there is no `{0}`")]
    NoCredential(String),
    /// Others can read it.
    #[error("the secret key {name} can be read by others than its owner (mode {mode:04o})")]
    Exposed {
        /// As it was named.
        name: String,
        /// The permissions of the file.
        mode: u32,
    },
    /// It is no key.
    #[error("cannot use the key {name}")]
    Key {
        /// As it was named.
        name: String,
        /// What it is instead.
        source: SecretKeyError,
    },
    /// It is no text, more than one line, too long, or empty.
    #[error("{0} does not hold one line of text")]
    Line(String),
    /// Others can look into a directory of keys.
    #[error("the directory of keys {path} is open to others than its owner (mode {mode:04o})")]
    OpenDirectory {
        /// The directory.
        path: Utf8PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No file of a key can have that name.
    #[error("`{0}` cannot be the name of a key here")]
    FileName(String),
    /// No key can bear that name.
    #[error("`{0}` cannot be the name of a key: it must not be empty or hold a colon")]
    Name(String),
    /// The system gives no random bytes.
    #[error("cannot read random bytes from the system")]
    Random(#[source] io::Error),
}

impl SecretError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OpenDirectory { .. } => {
                Some("`chmod 700` mends that, if nobody else has been in there")
            }
            Self::FileName(_) => Some(
                "take up to 100 letters, digits, dots, dashes and underscores, and begin with none of `.` and `-`",
            ),
            Self::Key { .. } => Some(
                "`nix key generate-secret --key-name NAME`, or `snowguard advisories key FILE`, makes one",
            ),
            Self::Exposed { .. } => {
                Some("`chmod 600` mends that; a key that others have read is no secret")
            }
            Self::NoCredential(_) => {
                Some("`credential:NAME` needs LoadCredential=NAME:FILE in the unit")
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("an existing key is not replaced; name another file")
            }
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Line(_)
            | Self::Name(_)
            | Self::Random(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn root(&self) -> &Utf8Path {
            Utf8Path::from_path(self.0.path()).unwrap()
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Utf8PathBuf {
            let path = self.root().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn told(&self, error: &SecretError) -> String {
            let source = std::error::Error::source(error)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            format!("{error}{source}").replace(self.root().as_str(), "DIR")
        }
    }

    /// Of RFC 8032, section 7.1, test 1, in Nix's form.
    const KEY: &str = "test-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==\n";

    #[test]
    fn keys_survive_their_file_and_are_not_replaced() {
        let place = Place::new();
        let path = place.root().join("key");
        let key = create_key(&path, "mirror-1").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = SecretFile::at(&path).key().unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
        let error = create_key(&path, "mirror-1").unwrap_err();
        assert!(error.hint().unwrap().contains("not replaced"));
        let error = create_key(&place.root().join("other"), "a:b").unwrap_err();
        assert!(matches!(error, SecretError::Name(_)));
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let place = Place::new();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            let path = place.file("key", KEY, mode);
            let error = SecretFile::at(&path).key().unwrap_err();
            assert_eq!(
                place.told(&error),
                format!(
                    "the secret key DIR/key can be read by others than its owner (mode {mode:04o})"
                )
            );
        }
        let path = place.file("key", KEY, 0o400);
        assert_eq!(SecretFile::at(&path).key().unwrap().name(), "test-1");
        // systemd shows the mask of an access list there.
        place.file("handed", KEY, 0o440);
        let handed = SecretFile::named("credential:handed", Some(place.root())).unwrap();
        assert!(handed.key().is_ok());
    }

    #[test]
    fn credentials_are_names_in_their_directory() {
        let place = Place::new();
        place.file("key", KEY, 0o600);
        let inner = place.root().join("inner");
        for name in [
            "credential:",
            "credential:..",
            "credential:../key",
            "credential:/key",
        ] {
            let error = SecretFile::named(name, Some(&inner)).unwrap_err();
            assert_eq!(place.told(&error), format!("there is no `{name}`"));
        }
        // Not a file in the working directory.
        let error = SecretFile::named("credential:key", None).unwrap_err();
        assert!(error.hint().unwrap().contains("LoadCredential"));
        let path = place.root().join("key");
        assert_eq!(
            SecretFile::named(path.as_str(), None).unwrap(),
            SecretFile::at(&path)
        );
    }

    #[test]
    fn what_is_no_key_is_told_without_repeating_it() {
        let place = Place::new();
        let mut all = String::new();
        for (name, content) in [
            ("empty", Vec::new()),
            ("bytes", vec![0xff; 10]),
            ("endless", KEY.repeat(200).into_bytes()),
            ("short", b"test-1:AAAA".to_vec()),
            ("folder/none", Vec::new()),
        ] {
            let path = if name.contains('/') {
                place.root().join(name)
            } else {
                place.file(name, content, 0o600)
            };
            let error = SecretFile::at(&path).key().unwrap_err();
            all.push_str(&place.told(&error));
            all.push('\n');
        }
        assert!(!all.contains("nWGxne"));
        insta::assert_snapshot!(all, @r"
        cannot use the key DIR/empty: read secret key: it is not of the form `NAME:BASE64`
        DIR/bytes does not hold one line of text
        DIR/endless does not hold one line of text
        cannot use the key DIR/short: read secret key: it has 3 bytes, not 64
        cannot read the secret in DIR/folder/none: No such file or directory (os error 2)
        ");
    }

    #[test]
    fn a_line_is_one() {
        let place = Place::new();
        let line = |content: &str| {
            let path = place.file("line", content, 0o640);
            SecretFile::at(&path).line().map(|line| line.to_string())
        };
        assert_eq!(line("Bearer x\n").unwrap(), "Bearer x");
        let longest = "x".repeat(MAX_LINE);
        assert_eq!(line(&longest).unwrap(), longest);
        for content in ["", "\n", "a\nb", "a\u{0}", &"x".repeat(MAX_LINE + 1)] {
            let error = line(content).unwrap_err();
            assert_eq!(
                place.told(&error),
                "DIR/line does not hold one line of text"
            );
        }
    }

    /// A key that is piped in, as by a password manager, comes in pieces.
    #[test]
    fn a_pipe_is_read_to_its_end() {
        let place = Place::new();
        let path = place.root().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path.as_std_path(), mode).unwrap();
        let (first, rest) = KEY.split_at(20);
        let key = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut pipe = OpenOptions::new().write(true).open(&path).unwrap();
                pipe.write_all(first.as_bytes()).unwrap();
                std::thread::yield_now();
                pipe.write_all(rest.as_bytes()).unwrap();
            });
            SecretFile::at(&path).key()
        });
        assert_eq!(key.unwrap().name(), "test-1");
    }
}
