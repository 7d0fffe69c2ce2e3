//! A place to run the program in, and what came out of it.

mod advisories;
mod system;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::civil::Date;
use unicode_width::UnicodeWidthStr;

pub(crate) use advisories::{Advisories, days_ago, days_from_now};
pub(crate) use system::{Package, System};

/// A scratch directory with a home of its own: nothing of the machine reaches a run.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    /// A place with `advisories.idx`, imported from the advisories that most tests use.
    pub(crate) fn with_index() -> Self {
        let place = Self::new();
        place.import(&Advisories::usual());
        place
    }

    /// Imports advisories as the user's own index, which every later run finds by itself.
    pub(crate) fn import(&self, advisories: &Advisories) {
        self.write("facts.jsonl", advisories.lines());
        let run = self.run(&["advisories", "import", "facts.jsonl", "--quiet"]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
        fs::remove_file(self.path("facts.jsonl")).unwrap();
    }

    /// Where runs take place.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Where an imported index lies if nobody says otherwise.
    pub(crate) fn default_index(&self) -> PathBuf {
        self.root
            .path()
            .join("home/.local/share/snowguard/advisories.idx")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes a system as `nix derivation show -r` prints it, compressed.
    pub(crate) fn system(&self, name: &str, system: &System) -> &Self {
        self.write(name, zstd::encode_all(system.json().as_slice(), 1).unwrap())
    }

    /// The file names in a directory below the place of work, sorted.
    pub(crate) fn files(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program with a cleaned environment, at work here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowguard"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.root.path().join("home"))
            .env("LANG", "C.UTF-8")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    /// Runs with more in the environment.
    pub(crate) fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Run {
        let output = self
            .command(args)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Run::new(args, output, self.root.path())
    }
}

/// What a run left behind.
pub(crate) struct Run {
    args: Vec<String>,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    root: PathBuf,
}

impl Run {
    pub(crate) fn new(args: &[&str], output: Output, root: &Path) -> Self {
        Self {
            args: args.iter().map(ToString::to_string).collect(),
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("it prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("it prints UTF-8"),
            root: root.to_owned(),
        }
    }

    /// Fails unless every line that a person reads fits 80 columns.
    ///
    /// Lines that a person copies (one word that is longer than a line) may be longer.
    #[track_caller]
    pub(crate) fn fits(&self) -> &Self {
        for line in self.stdout.lines() {
            let plain = without_colour(line);
            let longest = plain.split_whitespace().map(UnicodeWidthStr::width).max();
            assert!(
                plain.width() <= 80 || longest > Some(70),
                "{} columns: {plain}\n{self}",
                plain.width()
            );
            assert!(
                plain.trim_end() == plain,
                "spaces at the end of `{plain}`\n{self}"
            );
        }
        self
    }

    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Fails unless the run failed in words: nothing on stdout, what happened and what to do on
    /// stderr, exit status 2.
    #[track_caller]
    pub(crate) fn fails_with(&self, what: &str) -> &Self {
        self.exits(2);
        assert_eq!(self.stdout, "", "{self}");
        assert!(
            self.stderr.contains("error: "),
            "the failure is not told\n{self}"
        );
        assert!(self.stderr.contains(what), "`{what}` is not told\n{self}");
        self
    }

    /// The exit status and both streams, with what differs from run to run put in brackets.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("exit status {}", self.code);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                write!(text, "\n----- {name} -----\n{stream}").unwrap();
            }
        }
        let root = self.root.to_str().unwrap();
        let text = text.replace(root, "[PLACE]").replace('\u{1b}', "␛");
        stable(&text).trim_end().to_owned()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "\n$ snowguard {}\nexit status {}\n{}\n{}",
            self.args.join(" "),
            self.code,
            self.stdout,
            self.stderr
        )
    }
}

/// Days near today by their distance, ages by a word: the clock is the machine's own.
fn stable(text: &str) -> String {
    let mut out = text.to_owned();
    for days in -400..=400 {
        let day = days_from_now(days);
        if out.contains(&day) {
            let word = match days {
                0 => "[TODAY]".to_owned(),
                1.. => format!("[TODAY+{days}]"),
                _ => format!("[TODAY{days}]"),
            };
            out = out.replace(&day, &word);
        }
    }
    out
}

/// Without ANSI colour codes.
pub(crate) fn without_colour(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("a colour ends with m");
        rest = &rest[at + end + 1..];
    }
    out + rest
}

/// Which file this is: another inode is another file.
pub(crate) fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// The snapshot of a run, with what differs from run to run put in brackets.
macro_rules! assert_shown {
    ($run:expr, @$literal:literal) => {
        insta::assert_snapshot!($run.shown(), @$literal)
    };
    ($run:expr) => {
        insta::assert_snapshot!($run.shown())
    };
}
pub(crate) use assert_shown;

/// Today in UTC, as the program counts.
pub(crate) fn today() -> Date {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    jiff::Timestamp::from_second(i64::try_from(seconds).unwrap())
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

/// The system that the repository ships.
pub(crate) fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nixos-20.09.json.zst");
    path.to_str().unwrap().to_owned()
}
