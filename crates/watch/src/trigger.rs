//! What makes a scan due: another system, other advisories, or time.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::history::Target;
use crate::settings::Watch;

/// So many links are followed.
const MAX_LINKS: usize = 40;

/// Where a target stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// What its input leads to.
    pub root: String,
    /// Which files of advisories there are.
    pub fingerprint: String,
    /// The time.
    pub at: Timestamp,
}

/// Why a scan is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was none.
    First,
    /// The input leads elsewhere.
    System,
    /// The index is another.
    Advisories,
    /// Time has passed.
    Schedule,
    /// The last one failed.
    Retry,
}

impl Reason {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::System => "system",
            Self::Advisories => "advisories",
            Self::Schedule => "schedule",
            Self::Retry => "retry",
        }
    }
}

/// When a target is to be scanned, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// When a target is to be scanned next. Depends on what is stored and on the present only, so that a
/// restart changes nothing.
pub fn due(target: Option<&Target>, now: &Now, settings: &Watch, instance: &str) -> Due {
    let at_once = |reason| Due { at: now.at, reason };
    let Some(target) = target else {
        return at_once(Reason::First);
    };
    if let Some(failing) = &target.failing {
        // What was wrong may have been mended.
        if failing.root != now.root {
            return at_once(Reason::System);
        }
        if failing.fingerprint != now.fingerprint {
            return at_once(Reason::Advisories);
        }
        let doublings = u32::try_from(failing.times.saturating_sub(1).min(20)).unwrap_or(20);
        let wait = settings.retry.get().saturating_mul(1 << doublings);
        let wait = wait.min(settings.retry_at_most.get());
        return Due {
            at: later(failing.last, wait).min(later(now.at, wait)),
            reason: Reason::Retry,
        };
    }
    let Some(last) = &target.last else {
        return at_once(Reason::First);
    };
    if last.root != now.root {
        return at_once(Reason::System);
    }
    if last.fingerprint != now.fingerprint {
        return at_once(Reason::Advisories);
    }
    let wait = settings.schedule.get() + jitter(settings, instance, last.finished);
    Due {
        // A clock that was set back makes nobody wait for a year.
        at: later(last.finished, wait).min(later(now.at, wait)),
        reason: Reason::Schedule,
    }
}

/// The same for the same machine and scan, and another for the next.
fn jitter(settings: &Watch, instance: &str, last: Timestamp) -> Duration {
    let key = crate::Key::of(["jitter", instance, &last.as_second().to_string()]);
    let number = u64::from_str_radix(&key.as_str()[..15], 16).unwrap_or(0);
    let range = settings.jitter.get().as_secs();
    Duration::from_secs(number.checked_rem(range).unwrap_or(0))
}

fn later(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// What an input leads to: the path at the end of its links, or nothing where there is none.
pub fn root_of(input: &Utf8Path) -> String {
    input
        .canonicalize_utf8()
        .map_or(String::new(), Utf8PathBuf::into_string)
}

/// Which files of advisories there are: the index, its delta, and what a tracker decided. What an update
/// keeps beside them does not count: it changes all the while. Files are replaced by rename, so another one has another inode.
pub fn fingerprint(index: &Utf8Path) -> String {
    let mut text = String::new();
    let beside = |ending| Utf8PathBuf::from(format!("{index}.{ending}"));
    for path in [index, &beside("delta"), &beside("triage")] {
        if let Ok(data) = path.metadata()
            && data.is_file()
        {
            let name = path.file_name().unwrap_or_default();
            let (time, nanoseconds) = (data.mtime(), data.mtime_nsec());
            let _ = write!(
                text,
                "{name}:{}:{}:{time}.{nanoseconds} ",
                data.len(),
                data.ino()
            );
        }
    }
    text
}

/// Tells when something in some directories changed.
#[derive(Clone, Debug)]
pub struct Watcher {
    inotify: Arc<OwnedFd>,
}

impl Watcher {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: Arc::new(inotify::init(CreateFlags::CLOEXEC)?),
        })
    }

    /// Watches every directory in which a link towards an input lies, and that of the index. May be
    /// called again: links lead elsewhere after a change.
    pub fn watch<'p>(&self, inputs: impl IntoIterator<Item = &'p Utf8Path>, index: &Utf8Path) {
        let mut directories: BTreeSet<Utf8PathBuf> = inputs.into_iter().flat_map(links).collect();
        directories.extend(index.parent().map(Utf8Path::to_owned));
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR;
        for directory in directories {
            // What is not there yet is met by the schedule, and by the next call.
            let _ = inotify::add_watch(&*self.inotify, directory.as_std_path(), flags);
        }
    }

    /// Waits until something changed.
    pub fn wait(&self) -> io::Result<()> {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&*self.inotify, &mut buffer);
        // What happened does not matter: whoever is woken looks for himself.
        reader.next()?;
        Ok(())
    }
}

/// The directories in which the links lie over which a path leads.
fn links(input: &Utf8Path) -> Vec<Utf8PathBuf> {
    let (mut directories, mut at) = (Vec::new(), input.to_owned());
    for _ in 0..MAX_LINKS {
        let Some(parent) = at
            .parent()
            .and_then(|parent| parent.canonicalize_utf8().ok())
        else {
            break;
        };
        // What lies in the store does not change.
        if parent.starts_with("/nix/store") {
            break;
        }
        directories.push(parent.clone());
        match at.read_link_utf8() {
            Ok(next) => at = parent.join(next),
            Err(_) => break,
        }
    }
    directories
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files")]
mod tests {
    use super::*;
    use crate::duration::Length;
    use crate::history::{Failing, Scan};
    use crate::observation::{Counts, Knowledge};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn target(finished: i64, failing: Option<u64>) -> Target {
        Target::sample(
            "system",
            Some(Scan {
                started: at(finished),
                finished: at(finished),
                reason: "first".into(),
                root: "/a".into(),
                fingerprint: "f".into(),
                title: String::new(),
                components: 1,
                knowledge: Knowledge::default(),
                counts: Counts::default(),
                gaps: Vec::new(),
                blind: false,
            }),
            failing.map(|times| Failing {
                times,
                since: at(finished),
                last: at(finished),
                root: "/a".into(),
                fingerprint: "f".into(),
                error: String::new(),
                log: String::new(),
            }),
        )
    }

    fn now(root: &str, fingerprint: &str, second: i64) -> Now {
        Now {
            root: root.into(),
            fingerprint: fingerprint.into(),
            at: at(second),
        }
    }

    fn settings() -> Watch {
        Watch {
            schedule: Length::seconds(1_000),
            jitter: Length::seconds(100),
            ..Watch::default()
        }
    }

    #[test]
    fn what_makes_a_scan_due() {
        let due = |target: Option<&Target>, now: &Now| due(target, now, &settings(), "i");
        let same = now("/a", "f", 500);
        assert_eq!(due(None, &same).reason, Reason::First);
        let last = target(100, None);
        assert_eq!(
            due(Some(&last), &now("/b", "f", 500)).reason,
            Reason::System
        );
        assert_eq!(
            due(Some(&last), &now("/a", "g", 500)).reason,
            Reason::Advisories
        );
        let scheduled = due(Some(&last), &same);
        assert_eq!(scheduled.reason, Reason::Schedule);
        assert!((1_100..1_200).contains(&scheduled.at.as_second()));
        // The same after a restart.
        assert_eq!(due(Some(&last), &now("/a", "f", 900)), scheduled);
        // The clock was set back.
        assert!(due(Some(&target(1_000_000, None)), &same).at.as_second() < 1_700);
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later() {
        let wait = |times| {
            let target = target(100, Some(times));
            due(Some(&target), &now("/a", "f", 100), &settings(), "i")
                .at
                .as_second()
                - 100
        };
        assert_eq!([1, 2, 3, 100].map(wait), [60, 120, 240, 3_600]);
        let mended = target(100, Some(9));
        let due = due(Some(&mended), &now("/b", "f", 100), &settings(), "i");
        assert_eq!((due.reason, due.at), (Reason::System, at(100)));
    }

    #[test]
    fn links_and_files() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path())
            .unwrap()
            .canonicalize_utf8()
            .unwrap();
        std::fs::create_dir_all(root.join("profiles")).unwrap();
        std::fs::create_dir_all(root.join("run")).unwrap();
        std::os::unix::fs::symlink("system-1", root.join("profiles/system")).unwrap();
        std::os::unix::fs::symlink(root.join("target"), root.join("profiles/system-1")).unwrap();
        std::os::unix::fs::symlink("../profiles/system", root.join("run/current")).unwrap();
        let input = root.join("run/current");
        assert_eq!(root_of(&input), "");
        std::fs::create_dir(root.join("target")).unwrap();
        assert_eq!(root_of(&input), root.join("target"));
        assert!(links(&input).contains(&root.join("profiles")));

        let index = root.join("run/advisories.idx");
        assert_eq!(fingerprint(&index), "");
        std::fs::write(&index, "1").unwrap();
        let before = fingerprint(&index);
        std::fs::write(root.join("run/advisories.idx.delta"), "1").unwrap();
        let delta = fingerprint(&index);
        assert!(before != delta && delta.contains("advisories.idx.delta"));
        std::fs::write(root.join("run/advisories.idx.triage"), "1").unwrap();
        let decided = fingerprint(&index);
        assert_ne!(decided, delta);
        std::fs::write(root.join("run/advisories.records"), "1").unwrap();
        assert_eq!(fingerprint(&index), decided);
    }

    #[test]
    fn a_change_wakes() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let watcher = Watcher::new().unwrap();
        watcher.watch(
            [root.join("system").as_path()],
            &root.join("advisories.idx"),
        );
        std::os::unix::fs::symlink("/", root.join("system")).unwrap();
        watcher.wait().unwrap();
    }
}
