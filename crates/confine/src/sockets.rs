//! Where Unix sockets of this machine are: those that the kernel names, those that are mounted, and those that lie where
//! programs put them.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Where programs put sockets, beside the directories of the user.
const USUAL: &[&str] = &["/run", "/var/run", "/tmp", "/var/tmp"];
/// So many files are looked at, the ones near to these places first.
const MOST_FILES: usize = 100_000;
/// So deep below them.
const MOST_DEPTH: usize = 16;

/// The paths in `/proc/net/unix` (proc(5)), which are the eighth word of a line and all that follows. The kernel writes
/// a path as it is, so that one with a line feed goes on in what looks like the next line.
pub(crate) fn named(table: &[u8]) -> Vec<PathBuf> {
    let mut paths: Vec<Option<Vec<u8>>> = Vec::new();
    let table = table.strip_suffix(b"\n").unwrap_or(table);
    for line in table.split(|byte| *byte == b'\n').skip(1) {
        if is_entry(line) {
            paths.push(path_of(line).map(<[u8]>::to_vec));
        } else if let Some(Some(path)) = paths.last_mut() {
            path.push(b'\n');
            path.extend_from_slice(line);
        }
    }
    let named = paths.into_iter().flatten();
    let absolute = named.filter(|path| path.starts_with(b"/"));
    absolute.map(as_path).collect()
}

/// Whether a line begins an entry: with an address, and a colon.
fn is_entry(line: &[u8]) -> bool {
    let at = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    at.is_some_and(|at| at >= 8 && line[at..].starts_with(b": "))
}

fn path_of(line: &[u8]) -> Option<&[u8]> {
    let mut rest = line;
    for _ in 0..7 {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let end = rest[start..].iter().position(|byte| *byte == b' ')?;
        rest = &rest[start + end..];
    }
    rest.strip_prefix(b" ")
}

/// The places in `/proc/self/mountinfo` (proc(5)) at which something is mounted, which are the fifth word of a line.
/// Others than sockets are among them.
pub(crate) fn mounted(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let fifth = |line| <[u8]>::split(line, |byte| *byte == b' ').nth(4);
    lines
        .filter_map(fifth)
        .map(unescaped)
        .map(as_path)
        .collect()
}

/// A word of that table: what would end it is written in octal digits.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| byte == b'\\');
        let value = digits.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    bytes
}

/// What lies where programs put sockets.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) sockets: Vec<PathBuf>,
    /// What was not looked at, though it can be reached.
    pub(crate) missed: Option<String>,
}

/// Looks for sockets in the usual places and in those of the user.
pub(crate) fn walk(of_user: impl IntoIterator<Item = PathBuf>) -> Walked {
    let usual = USUAL.iter().map(PathBuf::from);
    walk_in(of_user.into_iter().chain(usual), MOST_FILES, MOST_DEPTH)
}

fn walk_in(places: impl Iterator<Item = PathBuf>, most: usize, depth: usize) -> Walked {
    let mut walked = Walked::default();
    let mut seen = HashSet::new();
    let real = places.filter_map(|place| std::fs::canonicalize(place).ok());
    let mut left: VecDeque<(PathBuf, usize)> = real.map(|place| (place, 0)).collect();
    let mut count = 0;
    while let Some((directory, below)) = left.pop_front() {
        if !seen.insert(directory.clone()) {
            continue;
        }
        if below > depth {
            walked.misses(&directory, "lies too deep");
            continue;
        }
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                // What may not be listed may be entered all the same.
                let is_closed = error.kind() == io::ErrorKind::PermissionDenied;
                if is_closed && access(&directory, Access::EXEC_OK).is_ok() {
                    walked.misses(&directory, "may not be listed");
                }
                continue;
            }
        };
        for entry in entries.flatten() {
            count += 1;
            if count > most {
                walked.misses(&directory, "comes after too many other files");
                return walked;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_socket() {
                walked.sockets.push(entry.path());
            } else if kind.is_dir() {
                left.push_back((entry.path(), below + 1));
            }
        }
    }
    walked
}

impl Walked {
    fn misses(&mut self, directory: &Path, why: &str) {
        let told = || format!("{} {why}", directory.display());
        self.missed.get_or_insert_with(told);
    }
}

fn as_path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_are_those_with_a_path() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 10421 /run/dbus/system bus\n\
            0000000000000000: 00000002 00000000 00010000 0001 01     5 @/tmp/abstract\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 10500\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 10423 relative\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 10424 /tmp/two\n\
            lines: \n\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 10422 /dev/log\n";
        let found = ["/run/dbus/system bus", "/tmp/two\nlines: \n", "/dev/log"];
        assert_eq!(named(table), found.map(PathBuf::from));
        assert!(named(b"").is_empty());
    }

    #[test]
    fn mounts_are_told_as_they_are_called() {
        let table = br"36 35 98:0 / / rw,noatime master:1 - ext3 /dev/root rw
37 36 0:24 /docker.sock /run/a\040b\134c\012d rw - tmpfs tmpfs rw
";
        let found = ["/", "/run/a b\\c\nd"];
        assert_eq!(mounted(table), found.map(PathBuf::from));
        assert_eq!(unescaped(br"a\9\0408\"), b"a\\9 8\\");
    }

    #[test]
    fn a_walk_ends_and_says_what_it_missed() {
        let place = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(place.path()).unwrap();
        let deep = root.join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink("/", root.join("a/elsewhere")).unwrap();
        let near = root.join("a/near");
        let _near = UnixListener::bind(&near).unwrap();
        let far = deep.join("far");
        let _far = UnixListener::bind(&far).unwrap();
        let walk = |most, depth| {
            // One inside of another is no reason to look twice.
            let places = [root.clone(), root.join("a"), root.join("none")];
            walk_in(places.into_iter(), most, depth)
        };
        let all = walk(100, 9);
        assert_eq!((all.sockets, all.missed), (vec![near.clone(), far], None));
        let some = walk(100, 1);
        assert_eq!(some.sockets, [near]);
        let told = format!("{} lies too deep", deep.display());
        assert_eq!(some.missed, Some(told));
        let few = walk(2, 9).missed.unwrap();
        assert!(few.ends_with("comes after too many other files"), "{few}");
        // Root may list all.
        if !rustix::process::getuid().is_root() {
            std::fs::set_permissions(&deep, std::fs::Permissions::from_mode(0o100)).unwrap();
            let told = format!("{} may not be listed", deep.display());
            assert_eq!(walk(100, 9).missed, Some(told));
            std::fs::set_permissions(&deep, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
