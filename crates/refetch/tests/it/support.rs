//! A verifier that may ask this machine, and derivations read from a store of the real Nix.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use snowguard_fod::{Fod, Outcome};
use snowguard_http::{Client, Settings};
use snowguard_refetch::{
    Builder, Gate, Git, HostLimits, Job, Limits, Nix, Openly, Space, Store, Turns, Verifier,
};
use snowguard_store::{Derivation, StoreDir};
use snowguard_testkit::nix::NixStore;
use snowguard_testkit::web::{Answer, Request};
use tempfile::TempDir;

/// What a verifier needs.
pub(crate) struct Place {
    pub(crate) client: Client,
    pub(crate) gate: Gate,
    pub(crate) git: Git,
    pub(crate) space: Space,
    pub(crate) scratch: TempDir,
}

impl Place {
    /// One that may ask this machine.
    pub(crate) fn private() -> Self {
        Self::of(false)
    }

    /// One that keeps to the public network.
    pub(crate) fn public() -> Self {
        Self::of(true)
    }

    fn of(public_only: bool) -> Self {
        let settings = Settings {
            attempts: 1,
            connect_timeout: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            longest_pause: Duration::ZERO,
            public_only,
            ..Settings::default()
        };
        Self {
            client: Client::new(settings, Arc::new(AtomicBool::new(false))).unwrap(),
            gate: Gate::new(HostLimits::default()),
            git: Git {
                public_only,
                ..Git::default()
            },
            space: Space::new(1 << 30),
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn verifier<'p>(
        &'p self,
        builder: Option<&'p Builder<'p>>,
        store: Option<&'p Path>,
    ) -> Verifier<'p> {
        Verifier {
            client: &self.client,
            gate: &self.gate,
            git: &self.git,
            builder,
            scratch: self.scratch.path(),
            limits: Limits::default(),
            space: &self.space,
            store,
            guard: None,
        }
    }

    pub(crate) fn verify(&self, job: &Job) -> Outcome {
        self.verifier(None, None).verify(job).unwrap()
    }
}

/// The fixed-output derivations of a store, by name; each with where it lies.
pub(crate) fn fods(store: &NixStore) -> Vec<(String, Fod)> {
    let dir = StoreDir::new(store.dir().to_str().unwrap()).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(store.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "drv") {
            continue;
        }
        let text = std::fs::read(&path).unwrap();
        let base = path.file_stem().unwrap().to_str().unwrap();
        let (_, name) = base.split_once('-').unwrap();
        let drv = Derivation::from_aterm(&text, name, &dir).unwrap();
        if let Some(fod) = Fod::of(&drv, &dir) {
            found.push((path.to_str().unwrap().to_owned(), fod));
        }
    }
    found.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    found
}

/// What is to be done for one.
pub(crate) fn job(drv: &str, fod: &Fod) -> Job {
    let urls: Vec<String> = fod.urls.iter().map(ToString::to_string).collect();
    Job::of(fod, drv, &urls)
}

/// Nix as it works on a store of the test kit.
pub(crate) fn openly(store: &NixStore) -> Openly {
    let command = store.command("nix-store", &[]);
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| {
            let (name, mut value) = (name.to_str()?.to_owned(), value?.to_str()?.to_owned());
            if name == "NIX_CONFIG" {
                // The scripts use the programs of this machine.
                value += "sandbox = false\nbuild-users-group =\n";
            }
            Some((name, value))
        })
        .collect();
    let program = command.get_program().into();
    Openly {
        nix: Nix {
            program,
            environment,
        },
        store: Store::default(),
    }
}

/// What builds with it, in that very store.
pub(crate) fn builder<'o>(store: &NixStore, openly: &'o Openly) -> Builder<'o> {
    Builder {
        nix: openly.nix.clone(),
        store: openly.store.clone(),
        realise: openly,
        longest: Duration::from_mins(2),
        most_said: 1 << 20,
        scratch: store.scratch().to_owned(),
        turns: Turns::default(),
    }
}

/// Runs a program to its end.
pub(crate) fn run(directory: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@example.org"),
            ("GIT_AUTHOR_DATE", "2020-01-01T00:00:00Z"),
            ("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z"),
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Git's own server, behind paths that begin with `/git/`.
pub(crate) fn git_backend(root: &Path, request: &Request) -> Option<Answer> {
    use std::io::Write as _;
    let rest = request.path.strip_prefix("/git")?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or(""))
        .env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(encoding) = request.header("content-encoding") {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    let at = output
        .stdout
        .windows(4)
        .position(|four| four == b"\r\n\r\n")?;
    let mut answer = Answer {
        status: 200,
        headers: Vec::new(),
        body: output.stdout[at + 4..].to_vec(),
    };
    for line in String::from_utf8_lossy(&output.stdout[..at]).lines() {
        let (name, value) = line.split_once(": ")?;
        if name == "Status" {
            answer.status = value.split(' ').next()?.parse().ok()?;
        } else {
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Some(answer)
}
