//! A place with a scanner that is a script, and the services in it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_watch::{History, Reading};

/// A scratch directory: nothing of the machine reaches a service in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(place.path("state")).unwrap();
        place
    }

    /// A place where `scan.json` is what a scan prints, and `system` what is scanned.
    pub(crate) fn with_scanner() -> Self {
        let place = Self::new();
        place.write(
            "scanner",
            &format!(
                "#!/bin/sh\nexec cat {}\n",
                place.path("scan.json").display()
            ),
        );
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path("scanner"), executable).unwrap();
        place.system("first");
        place.write(
            "watch.toml",
            &format!(
                "[watch]\nscanner = '{0}/scanner'\nindex = '{0}/advisories.idx'\nsettle = '0s'\n\
                 retry = '1s'\n[[watch.target]]\nname = 'system'\ninput = '{0}/system'\n",
                place.root()
            ),
        );
        place
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.directory.path()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A notifier that reads the published history, and keeps what it has told beside it.
    pub(crate) fn notifier(&self, kind: &str, more: &[&str]) -> Command {
        let copy = self.copy();
        let state = format!("{}/told-{kind}", self.root());
        let mut args = vec![
            "notify",
            kind,
            "--config",
            "watch.toml",
            "--history",
            copy.as_str(),
        ];
        args.extend(["--state", &state]);
        args.extend(more);
        self.command(&args)
    }

    /// Replaces a file as a whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let beside = self.path(&format!(".{name}.new"));
        std::fs::File::create(&beside)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        std::fs::rename(beside, self.path(name)).unwrap();
    }

    /// Another generation of the system.
    pub(crate) fn system(&self, name: &str) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        let beside = self.path(".system");
        std::os::unix::fs::symlink(self.path(name), &beside).unwrap();
        std::fs::rename(beside, self.path("system")).unwrap();
    }

    /// What the next scan finds: advisories about one package.
    pub(crate) fn finds(&self, version: &str, advisories: &[&str]) {
        self.write("scan.json", &report(100, version, advisories));
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowguardd"));
        command
            .args(args)
            .env_clear()
            .env("LANG", "C.UTF-8")
            .env("STATE_DIRECTORY", self.path("state"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// The watcher, at work.
    pub(crate) fn watch(&self, more: &[&str]) -> Running {
        let mut args = vec!["watch", "--config", "watch.toml"];
        args.extend(more);
        Running::start(self.command(&args).stderr(Stdio::null()))
    }

    pub(crate) fn copy(&self) -> Utf8PathBuf {
        self.root().join("state/history.sqlite")
    }

    pub(crate) fn reading(&self) -> Option<Reading> {
        Reading::of_copy(&self.copy()).ok()
    }

    /// Waits until the history says so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Reading) -> bool) {
        until(what, || {
            self.reading().is_some_and(|reading| holds(&reading))
        });
    }

    /// What was told: the kind and the advisory of each change.
    pub(crate) fn told(&self) -> Vec<String> {
        let events = self.reading().unwrap().events_after(0, 10_000).unwrap();
        events
            .iter()
            .map(|event| {
                let advisory = event.told.advisory.as_deref().unwrap_or_default();
                let cause = event.told.cause.map_or("", snowguard_watch::Cause::as_str);
                format!("{} {advisory} {cause}", event.told.kind.as_str())
                    .trim()
                    .to_owned()
            })
            .collect()
    }

    /// The history itself, as the watcher opens it.
    pub(crate) fn history(&self) -> History {
        History::open(&self.root().join("state/watch.sqlite"), "test").unwrap()
    }
}

/// The JSON of a scan that found advisories about one package.
pub(crate) fn report(knows: u64, version: &str, advisories: &[&str]) -> String {
    let findings: Vec<_> = advisories
        .iter()
        .map(|id| {
            serde_json::json!({
                "id": id, "status": "affected", "url": format!("https://advisories.example/{id}"),
                "severity": {"rating": "high", "score": 7.5},
            })
        })
        .collect();
    let package = serde_json::json!({
        "name": "openssl", "version": version, "findings": findings,
        "action": {"update_to": "1.1.1za"},
    });
    serde_json::json!({
        "schema": "snowguard-scan/1",
        "tool": {"name": "snowguard", "version": "0.1.0"},
        "subject": {"title": "nixos-system-tern", "objects": 10, "components": 5},
        "index": {"path": "/idx", "newest": "2026-01-02", "vulnerabilities": knows, "sources": []},
        "packages": [package],
        "gaps": [],
    })
    .to_string()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// As a power cut ends it.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// As systemd ends it.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
