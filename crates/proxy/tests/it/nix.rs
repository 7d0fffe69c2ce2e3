//! The real Nix builds through the proxy, in every mode: what `fetchurl`, `fetchzip` and `fetchgit` of Nixpkgs do,
//! in a few lines each, and `builtin:fetchurl`.
//!
//! Mostly without a sandbox, so that the programs of this machine fetch; one test lets these in. The proxy comes by the
//! variables that the derivations let in, and for `builtin:fetchurl` by the environment of Nix itself.

use std::path::Path;
use std::process::{Command, Stdio};

use camino::Utf8PathBuf;
use serde_json::Value;
use snowguard_proxy::{Mode, Session, Settings};
use snowguard_store::{Hash, HashAlgo};
use snowguard_testkit::machine;
use snowguard_testkit::nix::{Nix, NixStore, NixVersion};
use snowguard_testkit::web::{Answer, Fault, Request, Web};

use crate::support::{Place, Running, loopback, requests};

const BODY: &[u8] = b"what it should be\n";

/// What fetches, and where from.
struct Shapes {
    store: NixStore,
    http: Web,
    https: Web,
    commit: String,
}

impl Shapes {
    fn new() -> Self {
        let store = Nix::find().unwrap().store().unwrap();
        let (http, https) = (Web::start().unwrap(), Web::start_tls().unwrap());
        for web in [&http, &https] {
            web.put("/file", BODY);
            web.fail_always("/old", Fault::Redirect(web.url("/file")));
        }
        let (project, commit) = repository(store.scratch());
        https.put("/tree.tar", archive(store.scratch()));
        https.answer_with(move |request| git(&project, request));
        Self {
            store,
            http,
            https,
            commit,
        }
    }

    /// Instantiates one shape; the path of its derivation.
    fn drv(&self, attributes: &str, hash: &str) -> Utf8PathBuf {
        let expression = format!(
            "derivation ({{ system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"{}\"; \
             impureEnvVars = [ \"http_proxy\" \"https_proxy\" ]; outputHashAlgo = \"sha256\"; {hash} }} // {{ {attributes} }})",
            path()
        );
        let file = self.store.write("shape.nix", expression).unwrap();
        let out = self.store.run("nix-instantiate", &[], [file]).unwrap();
        String::from_utf8(out).unwrap().trim().into()
    }

    /// `fetchurl`: curl that does not look at certificates, since the hash is known.
    fn fetchurl(&self, url: &str, body: &[u8]) -> Utf8PathBuf {
        self.drv(
            &format!(
                "name = \"source-file\"; urls = [ \"{url}\" ]; SSL_CERT_FILE = \"/no-cert-file.crt\"; \
                 args = [ \"-c\" \"curl --silent --show-error --fail --insecure --location --retry 0 -o $out $urls\" ];"
            ),
            &format!("outputHash = \"{}\"; outputHashMode = \"flat\";", sha256(body)),
        )
    }

    /// `fetchzip`: an archive is unpacked before it is hashed.
    fn fetchzip(&self) -> Utf8PathBuf {
        let url = self.https.url("/tree.tar");
        self.drv(
            &format!(
                "name = \"source-tree\"; urls = [ \"{url}\" ]; downloadToTemp = true; postFetch = \"unpackFile\"; \
                 args = [ \"-c\" \"curl --silent --show-error --fail --insecure -o $TMPDIR/x $urls && mkdir $out && tar -C $out -xf $TMPDIR/x\" ];"
            ),
            &format!("outputHash = \"{}\"; outputHashMode = \"recursive\";", self.tree()),
        )
    }

    /// `fetchgit`: one commit, without its history.
    fn fetchgit(&self) -> Utf8PathBuf {
        let url = self.https.url("/repo.git");
        let commit = &self.commit;
        self.drv(
            &format!(
                "name = \"source-git\"; url = \"{url}\"; rev = \"{commit}\"; GIT_SSL_NO_VERIFY = \"1\"; HOME = \"/homeless\"; \
                 nativeBuildInputs = [ \"/nix/store/00000000000000000000000000000000-git-2.51.0\" ]; \
                 args = [ \"-c\" \"git init --quiet $out && cd $out && git fetch --quiet --depth 1 $url $rev && \
                 git checkout --quiet FETCH_HEAD && rm -rf .git\" ];"
            ),
            &format!("outputHash = \"{}\"; outputHashMode = \"recursive\";", self.tree()),
        )
    }

    /// Nix itself fetches.
    fn builtin(&self, url: &str) -> Utf8PathBuf {
        self.drv(
            &format!("name = \"source-builtin\"; builder = \"builtin:fetchurl\"; system = \"builtin\"; url = \"{url}\"; preferLocalBuild = true;"),
            &format!("outputHash = \"{}\"; outputHashMode = \"flat\";", sha256(BODY)),
        )
    }

    /// The hash of the one tree.
    fn tree(&self) -> String {
        let tree = self.store.scratch().join("tree");
        let args = ["hash", "path", "--type", "sha256", "--base16"];
        let mut args: Vec<_> = args
            .iter()
            .map(|arg| std::ffi::OsString::from(*arg))
            .collect();
        args.push(tree.into());
        String::from_utf8(self.store.run("nix", &[], args).unwrap())
            .unwrap()
            .trim()
            .to_owned()
    }

    fn settings(&self, place: &Place, mode: Mode) -> Settings {
        let ca = place.root().join("servers.pem");
        std::fs::write(&ca, self.https.authority().unwrap()).unwrap();
        let mut settings = place.settings(mode, loopback(&[&self.http.base(), &self.https.base()]));
        if mode == Mode::Inspect {
            settings.ca_files.push(ca);
        }
        settings
    }

    /// Builds one derivation through the proxy, with certificates that Nix itself trusts; without a session as
    /// nobody.
    fn build(
        &self,
        running: &Running,
        session: Option<&Session>,
        drv: &Utf8PathBuf,
        trusted: &Path,
    ) -> Result<(), String> {
        let options = [("sandbox", "false"), ("build-users-group", "")];
        self.build_with(&options, running, session, drv, trusted)
    }

    fn build_with(
        &self,
        options: &[(&str, &str)],
        running: &Running,
        session: Option<&Session>,
        drv: &Utf8PathBuf,
        trusted: &Path,
    ) -> Result<(), String> {
        let user = session.map_or_else(String::new, |session| format!("{}:x@", session.token));
        let proxy = format!("http://{user}{}", running.address);
        let mut command = self.store.command("nix-store", &[]);
        for (name, value) in options {
            command.args(["--option", name, value]);
        }
        let output = command
            .args(["--realise", drv.as_str()])
            .args(["--option", "filter-syscalls", "false"])
            .env("http_proxy", &proxy)
            .env("https_proxy", &proxy)
            .env("NIX_SSL_CERT_FILE", trusted)
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn path() -> String {
    std::env::var("PATH").unwrap()
}

fn sha256(body: &[u8]) -> String {
    Hash::of(HashAlgo::Sha256, body)
        .unwrap()
        .to_notation(snowguard_store::hash::Notation::Hex)
}

fn run(program: &str, at: &Path, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(at)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A directory with `repo.git`, whose one commit holds `tree`.
fn repository(scratch: &Path) -> (std::path::PathBuf, String) {
    let tree = scratch.join("tree");
    std::fs::create_dir_all(tree.join("a")).unwrap();
    std::fs::write(tree.join("a/b"), "c\n").unwrap();
    let project = scratch.join("project");
    std::fs::create_dir(&project).unwrap();
    let git = project.join("repo.git");
    let directory = format!("--git-dir={}", git.display());
    run("git", &project, &["init", "--quiet", "--bare", "repo.git"]);
    run("git", &tree, &[&directory, "--work-tree=.", "add", "."]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let commit = [
        &who[..],
        &[&directory, "--work-tree=.", "commit", "--quiet", "-m", "x"],
    ]
    .concat();
    run("git", &tree, &commit);
    run(
        "git",
        &project,
        &[
            &directory,
            "config",
            "uploadpack.allowAnySHA1InWant",
            "true",
        ],
    );
    let commit = run("git", &project, &[&directory, "rev-parse", "HEAD"]);
    (project, commit)
}

fn archive(scratch: &Path) -> Vec<u8> {
    run("tar", scratch, &["-cf", "tree.tar", "-C", "tree", "a"]);
    std::fs::read(scratch.join("tree.tar")).unwrap()
}

/// Git's own server of the smart protocol, as a web server runs it.
fn git(project: &Path, request: &Request) -> Option<Answer> {
    use std::io::Write as _;
    if !request.path.starts_with("/repo.git") {
        return None;
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", project)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env(
            "CONTENT_TYPE",
            request.header("content-type").unwrap_or_default(),
        )
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    for (name, variable) in [
        ("git-protocol", "GIT_PROTOCOL"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ] {
        if let Some(value) = request.header(name) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&request.body)
        .unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut status = 200;
    let mut headers = Vec::new();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            status = value[..3].parse().unwrap();
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Some(Answer {
        status,
        headers,
        body: output[end + 4..].to_vec(),
    })
}

fn gets(evidence: &[Value]) -> usize {
    requests(evidence)
        .iter()
        .filter(|line| line["method"] == "GET")
        .count()
}

#[test]
fn every_shape_is_built_in_every_mode() {
    let shapes = Shapes::new();
    let record = Place::new();
    for (mode, outcomes) in [
        (
            Mode::Audit,
            ["ok", "fetched", "fetched", "fetched", "fetched"],
        ),
        (
            Mode::Tunnel,
            ["ok", "fetched", "fetched", "fetched", "fetched"],
        ),
        (Mode::Inspect, ["ok", "ok", "fetched", "fetched", "ok"]),
        (Mode::Replay, ["ok", "ok", "fetched", "fetched", "ok"]),
    ] {
        let place = Place::new();
        let mut settings = shapes.settings(&place, mode);
        if matches!(mode, Mode::Inspect | Mode::Replay) {
            settings.record = Some(record.root().join("record"));
        }
        let running = Running::start(settings);
        // Nix trusts who it is to trust: the servers' authority, or ours where TLS is taken off.
        let trusted = place.root().join("trusted.pem");
        let pem = running
            .proxy
            .authority()
            .or(shapes.https.authority())
            .unwrap();
        std::fs::write(&trusted, pem).unwrap();
        shapes.http.seen();
        shapes.https.seen();
        let all = [
            shapes.fetchurl(&shapes.http.url("/old"), BODY),
            shapes.fetchurl(&shapes.https.url("/old"), BODY),
            shapes.fetchzip(),
            shapes.fetchgit(),
            shapes.builtin(&shapes.https.url("/file")),
        ];
        for (drv, outcome) in all.iter().zip(outcomes) {
            let session = running.begin(&[drv]);
            let built = shapes.build(&running, Some(&session), drv, trusted.as_std_path());
            let verdict = running.end(&session);
            assert!(built.is_ok(), "{mode:?} {drv}: {built:?}\n{verdict}");
            assert_eq!(verdict["verdict"], outcome, "{mode:?} {drv}: {verdict}");
            assert!(verdict["requests"].as_u64().unwrap() > 0);
            // So that the next mode builds it again.
            let output = verdict["output"].as_str().unwrap();
            shapes
                .store
                .run("nix-store", &[], ["--delete", "--ignore-liveness", output])
                .unwrap();
        }
        let servers = shapes.http.seen().len() + shapes.https.seen().len();
        let evidence = running.stop();
        if mode == Mode::Replay {
            assert_eq!(servers, 0, "nothing goes out");
        } else {
            assert!(servers >= 7);
        }
        if mode == Mode::Inspect {
            assert!(gets(&evidence) >= 7);
        }
    }
}

#[test]
fn a_hash_that_was_forgotten_is_told_with_the_hash_that_came() {
    let shapes = Shapes::new();
    let place = Place::new();
    let running = Running::start(shapes.settings(&place, Mode::Inspect));
    let drv = shapes.fetchurl(&shapes.https.url("/file"), b"the old version");
    let session = running.begin(&[&drv]);
    let failed = shapes
        .build(&running, Some(&session), &drv, Path::new("/dev/null"))
        .unwrap_err();
    assert!(failed.contains("hash mismatch"), "{failed}");
    let verdict = running.end(&session);
    assert_eq!(verdict["verdict"], "mismatch");
    let got = Hash::of(HashAlgo::Sha256, BODY).unwrap();
    assert_eq!(
        verdict["got"][0],
        got.to_notation(snowguard_store::hash::Notation::Sri)
    );
}

#[test]
fn what_reaches_elsewhere_is_stopped_and_told() {
    let shapes = Shapes::new();
    let place = Place::new();
    let running = Running::start(shapes.settings(&place, Mode::Tunnel));
    let other = Web::start().unwrap();
    other.put("/x", BODY);
    for url in [
        other.url("/x"),
        "http://10.0.0.1/x".to_owned(),
        "https://10.0.0.1/x".to_owned(),
    ] {
        let drv = shapes.fetchurl(&url, BODY);
        let session = running.begin(&[&drv]);
        let failed = shapes
            .build(&running, Some(&session), &drv, Path::new("/dev/null"))
            .unwrap_err();
        assert!(failed.contains("403"), "{url}: {failed}");
        let verdict = running.end(&session);
        assert_eq!(verdict["verdict"], "policy-denied", "{url}");
    }
    assert!(other.seen().is_empty());
    let evidence = running.stop();
    assert!(
        requests(&evidence)
            .iter()
            .all(|line| line["reason"] == "private-address")
    );
}

#[test]
fn without_a_token_the_process_tells_whose_it_is() {
    let shapes = Shapes::new();
    let place = Place::new();
    let running = Running::start(shapes.settings(&place, Mode::Tunnel));
    let drvs = [
        shapes.fetchurl(&shapes.http.url("/file"), BODY),
        shapes.fetchzip(),
        shapes.builtin(&shapes.https.url("/file")),
    ];
    let trusted = place.root().join("trusted.pem");
    std::fs::write(&trusted, shapes.https.authority().unwrap()).unwrap();
    let today = jiff::Zoned::now().date();
    let begin = |drv: &Utf8PathBuf| running.proxy.begin_by_process(&[drv], today).unwrap();
    // Newer Nix gives what it does itself neither `out` nor a directory with the name: nobody is guessed then.
    let is_told = shapes.store.nix().version() <= NixVersion::new(2, 26);
    for drv in &drvs {
        // Without the sandbox, a process can say what it wants: it is believed where there is one build only.
        let session = &begin(drv);
        let is_builtin = drv.as_str().contains("source-builtin");
        let built = shapes.build(&running, None, drv, trusted.as_std_path());
        let verdict = running.end(session);
        if is_builtin && !is_told {
            assert!(built.unwrap_err().contains("407"), "{drv}");
            assert_eq!(verdict["verdict"], "nothing-fetched");
        } else {
            assert!(built.is_ok(), "{drv}: {built:?}");
            assert_eq!(verdict["requests"], 1);
        }
    }
    let evidence = running.stop();
    assert!(
        requests(&evidence)
            .iter()
            .filter(|line| line["reason"] != "unattributed")
            .all(|line| line["attributed"] == "process"),
        "{evidence:?}"
    );
}

#[test]
fn in_a_sandbox_a_process_is_of_the_build_in_whose_root_it_is() {
    let Some(users) = machine::sandbox_users() else {
        return;
    };
    let shapes = Shapes::new();
    let place = Place::new();
    let running = Running::start(shapes.settings(&place, Mode::Tunnel));
    let url = shapes.http.url("/file");
    let hash = format!(
        "outputHash = \"{}\"; outputHashMode = \"flat\";",
        sha256(BODY)
    );
    let other = shapes.drv(
        &format!("name = \"source-other\"; urls = [ \"{url}\" ];"),
        &hash,
    );
    let today = jiff::Zoned::now().date();
    let begin = |drv: &Utf8PathBuf| running.proxy.begin_by_process(&[drv], today).unwrap();
    let others = begin(&other);
    let its = others.description["derivations"][0]["output"]
        .as_str()
        .unwrap()
        .to_owned();
    // One that says to be the other, by all that a builder can choose; it takes the shell's place.
    let forged = shapes.drv(
        &format!(
            "name = \"source-forged\"; urls = [ \"{url}\" ]; args = [ \"-c\" \"mkdir -p $TMPDIR/nix-build-source-other.drv-0 && \
             cd $TMPDIR/nix-build-source-other.drv-0 && exec env out={its} curl --silent --show-error --fail -o $out $urls\" ];"
        ),
        &hash,
    );
    let own = begin(&forged);
    let options = [
        ("sandbox", "true"),
        ("sandbox-fallback", "false"),
        ("sandbox-paths", "/bin /usr /lib /lib64"),
        ("build-users-group", users.group()),
    ];
    let built = shapes.build_with(&options, &running, None, &forged, Path::new("/dev/null"));
    assert!(built.is_ok(), "{built:?}");
    assert_eq!(running.end(&others)["requests"], 0);
    assert_eq!(running.end(&own)["requests"], 1);
    // Who is in no sandbox of these is nobody, whatever it says.
    let _both = [begin(&forged), begin(&other)];
    let output = Command::new("curl")
        .args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args(["--proxy", &format!("http://{}", running.address), &url])
        .env("out", its)
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "407");
    running.stop();
}
