//! `snowguard fod build`, with the real Nix, the real proxy and servers on loopback. Needs the right to make
//! network namespaces (root, or user namespaces), `nft`, `curl`, `git` and `tar`.
//!
//! The derivations are what `fetchurl`, `fetchzip` and `fetchgit` of Nixpkgs do, in a few lines each, with the
//! programs of this machine. Most are built without the sandbox; the test of the sandbox lets these programs in, and
//! does so in each mode.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use snowguard_store::{
    ContentAddress, ContentAddressMethod, Hash, HashAlgo, Notation, References, StoreDir, StoreName,
};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::{Fault, Web};

const BODY: &[u8] = b"what it should be\n";
const STALE: &[u8] = b"the old version";

struct Place {
    store: NixStore,
    http: Web,
    https: Web,
    tree: String,
    commit: String,
}

/// What a run left behind.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    report: Value,
}

impl Place {
    fn new() -> Self {
        let store = Nix::find().unwrap().store().unwrap();
        let (http, https) = (Web::start().unwrap(), Web::start_tls().unwrap());
        for web in [&http, &https] {
            web.put("/file", BODY);
            web.fail_always("/old", Fault::Redirect(web.url("/file")));
        }
        let tree = store.scratch().join("tree");
        std::fs::create_dir_all(tree.join("a")).unwrap();
        std::fs::write(tree.join("a/b"), "c\n").unwrap();
        run(
            "tar",
            store.scratch(),
            &["-cf", "tree.tar", "-C", "tree", "a"],
        );
        http.put(
            "/tree.tar",
            std::fs::read(store.scratch().join("tree.tar")).unwrap(),
        );
        let commit = repository(store.scratch(), &[&http, &https]);
        let hash = store.run(
            "nix",
            &[],
            [
                "hash",
                "path",
                "--type",
                "sha256",
                "--base16",
                tree.to_str().unwrap(),
            ],
        );
        let tree = String::from_utf8(hash.unwrap()).unwrap().trim().to_owned();
        let hosts = [&http, &https].map(|web| web.base().split("://").nth(1).unwrap().to_owned());
        let recursive = Hash::parse_digest(&tree, HashAlgo::Sha256).unwrap();
        let flat = |body| {
            (
                ContentAddressMethod::Flat,
                Hash::of(HashAlgo::Sha256, body).unwrap(),
            )
        };
        let files = [
            "http", "https", "builtin", "unseen", "twice", "early", "curious", "first", "second",
        ];
        let mut outputs: Vec<_> = files.map(|name| (name, flat(BODY))).into();
        outputs.extend([
            ("zip", (ContentAddressMethod::Nar, recursive)),
            ("git", (ContentAddressMethod::Nar, recursive)),
            ("git-tls", (ContentAddressMethod::Nar, recursive)),
            ("stale", flat(STALE)),
        ]);
        // One test has its store elsewhere, with the usual name.
        let dirs = [store.dir().to_str().unwrap(), "/nix/store"];
        let policy = outputs.into_iter().flat_map(|(name, (method, hash))| {
            let hosts = &hosts;
            dirs.map(|dir| {
                format!(
                    "[[exception]]\noutput = \"{}\"\nhosts = [\"{}\", \"{}\"]\nprotocols = [\"http\", \"https\"]\n\
                     private = true\nreason = \"the servers of this test\"\nexpires = 2999-01-01\n",
                    output(dir, name, ContentAddress::new(method, hash)),
                    hosts[0],
                    hosts[1]
                )
            })
        });
        let policy: String = policy.collect();
        store.write("policy.toml", policy).unwrap();
        store
            .write("servers.pem", https.authority().unwrap())
            .unwrap();
        Self {
            store,
            http,
            https,
            tree,
            commit,
        }
    }

    /// A fixed-output derivation that a shell makes. The shell stays to the end: Nix kills a builder that has
    /// closed its output and not ended yet, as tar does where it takes the shell's place.
    fn shell(&self, name: &str, url: &str, script: &str, hash: &str) -> String {
        format!(
            "(derivation {{ name = \"source-{name}\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
             PATH = \"{}\"; args = [ \"-c\" ''{script} && :'' ]; urls = [ \"{url}\" ]; rev = \"{}\"; \
             SSL_CERT_FILE = \"/no-cert-file.crt\"; impureEnvVars = [ \"http_proxy\" \"https_proxy\" \
             \"NIX_GIT_SSL_CAINFO\" \"SECRET_OF_CI\" \"SAID\" ]; \
             outputHashAlgo = \"sha256\"; {hash} }})",
            std::env::var("PATH").unwrap(),
            self.commit,
        )
    }

    fn fetchurl(&self, name: &str, url: &str) -> String {
        let script = "curl --silent --show-error --fail --insecure --location -o $out $urls";
        self.shell(name, url, script, &flat(BODY))
    }

    fn recursive(&self) -> String {
        format!(
            "outputHash = \"{}\"; outputHashMode = \"recursive\";",
            self.tree
        )
    }

    /// What each fetcher of Nixpkgs does.
    fn shapes(&self) -> Vec<String> {
        self.shapes_with(&self.https)
    }

    /// The same, with the server from which Nix itself fetches.
    fn shapes_with(&self, builtin: &Web) -> Vec<String> {
        let zip = "curl --silent --show-error --fail -o $TMPDIR/x $urls && mkdir $out && tar -C $out -xf $TMPDIR/x";
        // As in Nixpkgs, Git looks at certificates only where it is told which.
        let git = "export HOME=$TMPDIR; if [ -n \"$NIX_GIT_SSL_CAINFO\" ]; then export GIT_SSL_CAINFO=$NIX_GIT_SSL_CAINFO; \
                   else export GIT_SSL_NO_VERIFY=1; fi; \
                   git clone --quiet $urls $out && cd $out && git checkout --quiet $rev && rm -rf .git";
        let repository = |web: &Web| web.url("/repo.git");
        vec![
            self.fetchurl("http", &self.http.url("/old")),
            self.fetchurl("https", &self.https.url("/old")),
            self.shell("zip", &self.http.url("/tree.tar"), zip, &self.recursive()),
            self.shell("git", &repository(&self.http), git, &self.recursive()),
            self.shell("git-tls", &repository(&self.https), git, &self.recursive()),
            format!(
                "(derivation {{ name = \"source-builtin\"; builder = \"builtin:fetchurl\"; system = \"builtin\"; \
                 url = \"{}\"; preferLocalBuild = true; outputHashAlgo = \"sha256\"; {} }})",
                builtin.url("/file"),
                flat(BODY)
            ),
        ]
    }

    /// A derivation that uses all of these, in a file; `part` makes those of one test others than those of the
    /// next.
    fn system(&self, sources: &[String]) -> PathBuf {
        let expression = format!(
            "derivation {{ name = \"system\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
             args = [ \"-c\" \"echo $sources > $out\" ]; sources = [ {} ]; }}",
            sources.join(" ")
        );
        self.store.write("system.nix", expression).unwrap()
    }

    fn command(&self, options: &[&str], command: &[&str]) -> Command {
        self.command_in_sandbox(&[&["--without-sandbox"], options].concat(), command)
    }

    /// Without the option that goes without.
    fn command_in_sandbox(&self, options: &[&str], command: &[&str]) -> Command {
        let daemon = Path::new(env!("CARGO_BIN_EXE_snowguardd"));
        let config =
            "sandbox = false\nsubstitute = false\nbuild-users-group =\nfilter-syscalls = false\n";
        let like = self.store.command("nix", &[]);
        let mut build = Command::new(daemon.with_file_name("snowguard"));
        build.envs(
            like.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        for unset in [
            "NIX_PATH",
            "NIX_USER_CONF_FILES",
            "NIX_BUILD_HOOK",
            "http_proxy",
            "https_proxy",
            "no_proxy",
        ] {
            build.env_remove(unset);
        }
        build
            .args([
                "fod",
                "build",
                "--report",
                "report.json",
                "--evidence",
                "evidence.jsonl",
            ])
            .args([
                "--policy",
                "policy.toml",
                "--daemon",
                daemon.to_str().unwrap(),
            ])
            .args([
                "--proxy-option",
                "--ca-file",
                "--proxy-option",
                "servers.pem",
            ])
            .args(options)
            .arg("--")
            .args(command)
            .env("NIX_CONFIG", config)
            .env(
                "NIX_SSL_CERT_FILE",
                self.store.scratch().join("servers.pem"),
            )
            .current_dir(self.store.scratch())
            .stdin(Stdio::null());
        build
    }

    fn build(&self, options: &[&str], sources: &[String]) -> Run {
        let file = self.system(sources);
        let _ = std::fs::remove_file(self.store.scratch().join("report.json"));
        let command = ["nix-build", file.to_str().unwrap(), "--out-link", "result"];
        let output = self.command(options, &command).output().unwrap();
        self.left(output)
    }

    fn left(&self, output: Output) -> Run {
        let report = std::fs::read(self.store.scratch().join("report.json"));
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            report: report.map_or(Value::Null, |report| {
                serde_json::from_slice(&report).unwrap()
            }),
        }
    }

    fn asked(&self) -> usize {
        self.http.seen().len() + self.https.seen().len()
    }
}

impl Run {
    #[track_caller]
    fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stderr, self.report);
        self
    }

    fn verdicts(&self) -> Vec<(String, String)> {
        let all = self.report["derivations"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let mut all: Vec<_> = all
            .iter()
            .map(|one| {
                let drv = word(&one["derivation"]);
                let name = drv.split("-source-").nth(1).unwrap();
                (
                    name.trim_end_matches(".drv").to_owned(),
                    word(&one["verdict"]),
                )
            })
            .collect();
        all.sort();
        all
    }
}

/// Where the store has what is called that and has that hash.
fn output(dir: &str, name: &str, address: ContentAddress) -> String {
    let dir = StoreDir::new(dir).unwrap();
    let name = StoreName::new(format!("source-{name}")).unwrap();
    let path = dir.content_path(&name, &address, References::NONE).unwrap();
    dir.show(&path).to_string()
}

fn flat(body: &[u8]) -> String {
    let hash = Hash::of(HashAlgo::Sha256, body)
        .unwrap()
        .to_notation(Notation::Hex);
    format!("outputHash = \"{hash}\"; outputHashMode = \"flat\";")
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

/// A repository of one commit that holds `tree`, served as files.
fn repository(scratch: &Path, webs: &[&Web]) -> String {
    let directory = scratch.join("repo.git");
    let git = format!("--git-dir={}", directory.display());
    run("git", scratch, &["init", "--quiet", "--bare", "repo.git"]);
    let tree = scratch.join("tree");
    run("git", &tree, &[&git, "--work-tree=.", "add", "."]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let commit = [&git, "--work-tree=.", "commit", "--quiet", "-m", "x"];
    run("git", &tree, &[&who[..], &commit].concat());
    run("git", &tree, &[&git, "update-server-info"]);
    let mut left = vec![directory.clone()];
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(scratch).unwrap().to_str().unwrap();
                for web in webs {
                    web.put(&format!("/{name}"), std::fs::read(&path).unwrap());
                }
            }
        }
    }
    run("git", &tree, &[&git, "rev-parse", "HEAD"])
}

/// Says of a test that it shows nothing on this machine. Where all is tested, it fails.
#[track_caller]
fn skipped(why: &str) {
    let told = format!("SKIPPED: this test needs {why}");
    let _ = std::io::stderr().write_all(format!("{told}\n").as_bytes());
    assert!(std::env::var_os("CI").is_none(), "{told}");
}

/// Whether this machine lets the tests make networks. Where not, they say so and show nothing.
fn may_confine() -> bool {
    let may = [&["--net", "true"][..], &["--user", "--net", "true"]]
        .iter()
        .any(|args| {
            Command::new("unshare")
                .args(*args)
                .status()
                .is_ok_and(|end| end.success())
        });
    if !may {
        skipped("root or user namespaces, to make a network namespace");
    }
    may
}

#[test]
fn every_shape_is_built_through_the_proxy_and_nothing_else() {
    if !may_confine() {
        return;
    }
    for (mode, https) in [("tunnel", "fetched"), ("inspect", "ok")] {
        let place = Place::new();
        let run = place.build(&["--mode", mode], &place.shapes());
        run.ends(0);
        assert_eq!(run.report["strays"], Value::Array(Vec::new()));
        let expected = [
            ("builtin", https),
            ("git", "fetched"),
            ("git-tls", "fetched"),
            ("http", "ok"),
            ("https", https),
            ("zip", "fetched"),
        ];
        let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned()));
        assert_eq!(run.verdicts(), expected, "{mode}: {}", run.stderr);
        // The command itself prints what it built, and links to it.
        let built = run.stdout.trim();
        assert!(built.ends_with("-system"), "{built}");
        let link = std::fs::read_link(place.store.scratch().join("result")).unwrap();
        assert_eq!(link.to_str(), Some(built));
        assert!(place.asked() > 5);
        // A second time there is nothing to build, and nobody is asked.
        let again = place.build(&["--mode", mode], &place.shapes());
        again.ends(0);
        assert_eq!((again.stdout.trim(), place.asked()), (built, 0));
    }
}

#[test]
fn what_goes_past_the_proxy_is_stopped_and_told() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    // A service of this machine, which a fixed-output derivation reaches with plain Nix.
    let service = Web::start().unwrap();
    service.put("/x", BODY);
    let direct = "curl --silent --noproxy '*' --max-time 20 -o $out $urls";
    let cases = [
        ("loopback", service.url("/x"), "127.0.0.1:"),
        (
            "other-loopback",
            service.url("/x").replace("127.0.0.1", "127.8.9.1"),
            "127.8.9.1:",
        ),
        ("private", "http://10.0.0.1/x".to_owned(), "10.0.0.1:80"),
        (
            "public",
            "https://198.51.100.7/x".to_owned(),
            "198.51.100.7:443",
        ),
        (
            "git",
            "http://198.51.100.7:9418/x".to_owned(),
            "198.51.100.7:9418",
        ),
        (
            "name",
            "http://fetched-by-hand.example/x".to_owned(),
            "fetched-by-hand.example",
        ),
    ];
    for (name, url, told) in cases {
        let run = place.build(&[], &[place.shell(name, &url, direct, &flat(BODY))]);
        run.ends(1);
        let stray = &run.report["strays"][0];
        let drv = stray["derivation"].as_str().unwrap();
        assert!(
            drv.ends_with(&format!("-source-{name}.drv")),
            "{}",
            run.report
        );
        assert!(
            stray["to"].to_string().contains(told),
            "{name}: {}",
            run.report
        );
        assert!(
            run.stderr.contains(&format!("source-{name}.drv")),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    assert!(service.seen().is_empty());
}

#[test]
fn what_the_policy_does_not_have_is_denied() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let other = Web::start().unwrap();
    other.put("/x", BODY);
    let run = place.build(&[], &[place.fetchurl("denied", &other.url("/x"))]);
    run.ends(1);
    assert_eq!(
        run.verdicts(),
        [("denied".to_owned(), "policy-denied".to_owned())]
    );
    assert!(other.seen().is_empty());
}

#[test]
fn a_hash_that_was_forgotten_is_caught() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let script = "curl --silent --show-error --fail --insecure --location -o $out $urls";
    let stale = place.shell("stale", &place.https.url("/file"), script, &flat(STALE));
    let run = place.build(&["--mode", "inspect"], &[stale]);
    run.ends(1);
    assert_eq!(
        run.verdicts(),
        [("stale".to_owned(), "mismatch".to_owned())]
    );
    assert!(run.stderr.contains("hash mismatch"), "{}", run.stderr);
    assert_eq!(run.report["derivations"][0]["built"], false);
}

#[test]
fn without_what_protects_nothing_is_fetched() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let sources = [place.fetchurl("http", &place.http.url("/file"))];
    for options in [
        ["--helper", "/bin/false"],
        ["--helper", "/no/such/program"],
        ["--daemon", "/bin/false"],
        ["--policy", "none.toml"],
    ] {
        // Given twice, an option is refused; so it is given here only.
        let file = place.system(&sources);
        let mut command = place.command(&[], &["nix-build", file.to_str().unwrap()]);
        let mut args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        match args.iter().position(|arg| arg == options[0]) {
            Some(at) => args[at + 1] = options[1].into(),
            None => {
                let end = args.iter().position(|arg| arg == "--").unwrap();
                args.splice(end..end, options.map(Into::into));
            }
        }
        let mut again = Command::new(command.get_program());
        again.args(&args).envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let output = again.current_dir(place.store.scratch()).output().unwrap();
        command.stdin(Stdio::null());
        let run = place.left(output);
        run.ends(2);
        assert!(run.stderr.contains("error: "), "{}", run.stderr);
        assert_eq!((run.stdout.as_str(), place.asked()), ("", 0), "{options:?}");
    }
    // A daemon would fetch in its own network.
    let file = place.system(&sources);
    let output = place
        .command(&[], &["nix-build", file.to_str().unwrap()])
        .env("NIX_REMOTE", "unix:///no/such/socket")
        .output()
        .unwrap();
    let run = place.left(output);
    run.ends(2);
    assert_eq!(place.asked(), 0);
}

#[test]
fn what_was_built_without_a_request_is_a_finding() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let script = "printf 'what it should be\\n' > $out";
    let unseen = place.shell("unseen", &place.http.url("/file"), script, &flat(BODY));
    let run = place.build(&[], &[unseen]);
    run.ends(1);
    assert_eq!(
        run.verdicts(),
        [("unseen".to_owned(), "nothing-fetched".to_owned())]
    );
    let told = "was built, and asked the proxy for nothing";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    // Two of one name and hash are one path: for the second nothing is asked, and nothing is said.
    let both = [&place.http.url("/file"), &place.http.url("/old")];
    let both = both.map(|url| place.fetchurl("twice", url));
    let run = place.build(&[], &both);
    run.ends(0);
    assert_eq!(run.verdicts(), [("twice".to_owned(), "ok".to_owned())]);
}

#[test]
fn what_an_evaluation_fetches_is_told_and_written_down() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let source = place.fetchurl("http", &place.http.url("/file"));
    let url = place.http.url("/tree.tar");
    let expression = format!("builtins.seq (builtins.fetchurl \"{url}\") {source}");
    let file = place.store.write("fetches.nix", expression).unwrap();
    let command = ["nix-build", file.to_str().unwrap(), "--no-out-link"];
    let mut command = place.command(&[], &command);
    command.env("XDG_CACHE_HOME", place.store.scratch().join("cache"));
    let run = place.left(command.output().unwrap());
    run.ends(0);
    assert_eq!(run.report["evaluation"]["requests"], 1);
    let told = "evaluation itself made 1 request:";
    assert_eq!(run.stderr.matches(told).count(), 1, "{}", run.stderr);
    let evidence = std::fs::read_to_string(place.store.scratch().join("evidence.jsonl")).unwrap();
    let mut lines = evidence
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["url"] == url.as_str()).unwrap();
    assert_eq!(
        (&line["name"], &line["attributed"]),
        (&"evaluation".into(), &"token".into())
    );
    assert_eq!(line["mode"], "audit");
}

#[test]
fn what_runs_outside_cannot_be_made_to_build() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    // What is fetched is needed to know what to build.
    let source = place.fetchurl("early", &place.http.url("/file"));
    let expression = format!("builtins.seq (builtins.readFile {source}) {source}");
    let file = place.store.write("early.nix", expression).unwrap();
    let file = file.to_str().unwrap();
    let hook = place
        .store
        .write("hook", "#!/bin/sh\necho > hooked\n")
        .unwrap();
    run(
        "chmod",
        place.store.scratch(),
        &["+x", hook.to_str().unwrap()],
    );
    for arguments in [
        &[][..],
        &["-kj8"],
        &["-Qj4"],
        &["-j8"],
        &["--option", "build-max-jobs", "8"],
        &["--option", "build-hook", "/bin/true"],
        &["--accept-flake-config"],
    ] {
        let command = [&["nix-build", file], arguments].concat();
        let mut command = place.command(&[], &command);
        let run = place.left(command.env("NIX_BUILD_HOOK", &hook).output().unwrap());
        run.ends(2);
        assert_eq!(
            (run.stdout.as_str(), place.asked()),
            ("", 0),
            "{arguments:?}"
        );
        let option = arguments.first().unwrap_or(&"");
        assert!(run.stderr.contains(option), "{}", run.stderr);
    }
    assert!(!place.store.scratch().join("hooked").exists());
    // A flake may say how it is built, to who has said that flakes may.
    std::fs::create_dir(place.store.scratch().join("flake")).unwrap();
    let flake = format!(
        "{{ nixConfig.max-jobs = 8; outputs = {{ self }}: {{ x = builtins.seq (builtins.readFile {source}) {source}; }}; }}"
    );
    place.store.write("flake/flake.nix", flake).unwrap();
    let flake = format!("path:{}/flake#x", place.store.scratch().display());
    let mut command = place.command(&[], &["nix", "build", "--impure", "--no-link", &flake]);
    command.env(
        "NIX_CONFIG",
        "experimental-features = nix-command flakes\naccept-flake-config = true\nsandbox = false\n\
         substitute = false\nbuild-users-group =\nfilter-syscalls = false",
    );
    let run = place.left(command.output().unwrap());
    run.ends(2);
    assert!(run.stderr.contains("max-jobs"), "{}", run.stderr);
    assert_eq!(place.asked(), 0);
}

#[test]
fn a_store_of_a_daemon_is_refused_whoever_names_it() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let file = place.system(&[place.fetchurl("http", &place.http.url("/file"))]);
    let command = ["nix-build", file.to_str().unwrap()];
    let two = place.store.scratch().join("two");
    let two = format!("local?root={0}&real={0}/real", two.display());
    for (variable, value) in [
        (
            "NIX_CONFIG",
            "sandbox = false\nstore = unix:///no/such/socket",
        ),
        ("NIX_REMOTE", "unix:///no/such/socket"),
        ("NIX_REMOTE", "mounted-ssh-ng://builder"),
        ("NIX_REMOTE", &two),
    ] {
        let mut command = place.command(&[], &command);
        let run = place.left(command.env(variable, value).output().unwrap());
        run.ends(2);
        let told = "builds for the store";
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(place.asked(), 0, "{value}");
    }
    assert!(!place.store.scratch().join("two").exists());
    // Who may write to the store builds by itself, though a daemon is there.
    let mut command = place.command(&[], &command);
    let socket = place.store.scratch().join("socket");
    let _daemon = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    command
        .env("NIX_REMOTE", "auto")
        .env("NIX_DAEMON_SOCKET_PATH", &socket);
    place.left(command.output().unwrap()).ends(0);
}

#[test]
fn without_the_sandbox_nothing_is_fetched_unless_it_is_said() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let file = place.system(&[place.fetchurl("http", &place.http.url("/file"))]);
    let command = ["nix-build", file.to_str().unwrap()];
    let mut off = place.command_in_sandbox(&[], &command);
    let run = place.left(off.output().unwrap());
    run.ends(2);
    assert!(
        run.stderr.contains("Nix's sandbox is off"),
        "{}",
        run.stderr
    );
    if rustix::process::geteuid().is_root() {
        let mut root = place.command_in_sandbox(&[], &command);
        root.env(
            "NIX_CONFIG",
            "sandbox = true\nsubstitute = false\nbuild-users-group =",
        );
        let run = place.left(root.output().unwrap());
        run.ends(2);
        assert!(
            run.stderr.contains("builders would be root"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(place.asked(), 0);
}

#[test]
fn builders_get_no_secret_of_who_builds() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let script =
        "test -z \"$SECRET_OF_CI\" && test \"$SAID\" = yes && curl --silent --fail -o $out $urls";
    let source = place.shell("curious", &place.http.url("/file"), script, &flat(BODY));
    let file = place.system(&[source]);
    let command = ["nix-build", file.to_str().unwrap()];
    let mut command = place.command(&["--pass-env", "SAID"], &command);
    command.env("SECRET_OF_CI", "hunter2").env("SAID", "yes");
    place.left(command.output().unwrap()).ends(0);
}

/// The users as whom Nix builds in its sandbox here; none, and said loudly, where it cannot.
fn sandbox_users() -> Option<&'static str> {
    let root = rustix::process::geteuid().is_root();
    let as_user: &[&str] = if root {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let made = Command::new("unshare")
        .args(as_user)
        .args(["--mount", "--pid", "--fork", "--mount-proc", "true"])
        .status();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let has_users = groups.lines().any(|line| line.starts_with("nixbld:"));
    if made.is_ok_and(|end| end.success()) && (has_users || !root) {
        return Some(if root { "nixbld" } else { "" });
    }
    let told = "SKIPPED: this test needs a mount namespace, and as root the group nixbld";
    let _ = std::io::stderr().write_all(format!("{told}\n").as_bytes());
    None
}

#[test]
fn in_the_sandbox_every_shape_is_built_in_each_mode() {
    if !may_confine() {
        return;
    }
    let Some(users) = sandbox_users() else { return };
    let place = Place::new();
    let config = format!(
        "sandbox = true\nsandbox-paths = /bin /usr /lib /lib64\nsubstitute = false\n\
         filter-syscalls = false\nbuild-users-group = {users}"
    );
    let record = ["--record", "record"].map(|word| ["--proxy-option", word]);
    let record = record.concat();
    // A store of its own each, as nothing is fetched a second time; the first is where it says.
    for (mode, is_seen, more) in [
        ("audit", false, &[][..]),
        ("tunnel", false, &[]),
        ("inspect", true, &record),
        ("replay", true, &record),
    ] {
        place.asked();
        // What is in a tunnel is verified by Nix itself, which has no way to these certificates in a sandbox.
        let builtin = if is_seen { &place.https } else { &place.http };
        let file = place.system(&place.shapes_with(builtin));
        let command = ["nix-build", file.to_str().unwrap(), "--no-out-link"];
        let options = [&["--mode", mode], more].concat();
        let mut command = place.command_in_sandbox(&options, &command);
        command.env("NIX_CONFIG", &config);
        if mode != "audit" {
            let elsewhere = place.store.scratch().join(mode);
            command.env("NIX_REMOTE", format!("local?root={}", elsewhere.display()));
            for variable in ["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOG_DIR"] {
                command.env_remove(variable);
            }
        }
        let run = place.left(command.output().unwrap());
        run.ends(0);
        let https = if is_seen { "ok" } else { "fetched" };
        let expected = [
            ("builtin", "ok"),
            ("git", "fetched"),
            ("git-tls", "fetched"),
            ("http", "ok"),
            ("https", https),
            ("zip", "fetched"),
        ];
        let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned()));
        assert_eq!(run.verdicts(), expected, "{mode}: {}", run.stderr);
        assert_eq!(run.report["strays"], Value::Array(Vec::new()), "{mode}");
        assert_eq!(place.asked() == 0, mode == "replay", "{mode}");
    }
}

/// Says, in a script, that it is there, and has a file locked while it lives.
fn lives(place: &Path) -> String {
    let place = place.display();
    format!("exec 9>{place}/lock; flock 9; : > {place}/there; sleep 600; sleep 600")
}

/// Waits for it.
fn until_it_lives(place: &Path) {
    let begun = Instant::now();
    while !place.join("there").exists() {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "it does not build"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether it is gone; it may take a while.
fn is_gone(place: &Path) -> bool {
    let begun = Instant::now();
    let is_free = || {
        let mut flock = Command::new("flock");
        flock.arg("-n").arg(place.join("lock")).arg("true");
        flock.status().unwrap().success()
    };
    while begun.elapsed() < Duration::from_mins(1) {
        if is_free() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Whether programs are kept apart here. Where not, the test says so and shows nothing.
fn is_apart() -> bool {
    let root = rustix::process::geteuid().is_root();
    let as_user: &[&str] = if root {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let made = Command::new("unshare")
        .args(as_user)
        .args(["--mount", "--pid", "--fork", "--mount-proc", "true"])
        .status();
    let is_apart = made.is_ok_and(|end| end.success());
    if !is_apart {
        let told = "SKIPPED: this test needs process and mount namespaces";
        let _ = std::io::stderr().write_all(format!("{told}\n").as_bytes());
    }
    is_apart
}

#[test]
fn what_one_build_leaves_behind_is_gone_when_the_next_begins() {
    if !may_confine() || !is_apart() {
        return;
    }
    let place = Place::new();
    let scratch = place.store.scratch();
    let url = place.http.url("/file");
    let fetch = "curl --silent --show-error --fail -o $out $urls";
    // In a session of its own, so that Nix does not end it either.
    let first = format!(
        "(setsid bash -c '{}' </dev/null >/dev/null 2>&1 &); while ! [ -e {}/there ]; do sleep 0.01; done; {fetch}",
        lives(scratch),
        scratch.display()
    );
    let first = place.shell("first", &url, &first, &flat(BODY));
    let second = format!(
        "test -e ${{{first}}} && flock -n {}/lock true && {fetch}",
        scratch.display()
    );
    let second = place.shell("second", &url, &second, &flat(BODY));
    let run = place.build(&[], &[second]);
    run.ends(0);
    let expected = ["first", "second"].map(|name| (name.to_owned(), "ok".to_owned()));
    assert_eq!(run.verdicts(), expected);
}

#[test]
fn whoever_kills_it_ends_the_builds_and_the_proxy() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let scratch = place.store.scratch();
    let source = place.shell("slow", "/", &lives(scratch), &flat(BODY));
    let file = place.system(&[source]);
    let mut child = place
        .command(&[], &["nix-build", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_it_lives(scratch);
    let proxy = children(child.id())
        .into_iter()
        .find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .any(|word| word == b"fod-proxy")
        })
        .expect("there is a proxy");
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{proxy}/stat"));
        stat.is_ok_and(|stat| stat.contains("(snowguardd) ") && !stat.contains(") Z "))
    };
    assert!(is_alive());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_gone(scratch), "a builder goes on");
    let begun = Instant::now();
    while is_alive() && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_alive(), "the proxy goes on");
}

fn children(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        after.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}

#[test]
fn who_interrupts_leaves_nothing_behind() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let scratch = place.store.scratch();
    let source = place.shell("slow", "/", &lives(scratch), &flat(BODY));
    let file = place.system(&[source]);
    let mut child = place
        .command(&[], &["nix-build", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_it_lives(scratch);
    let own = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(own, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(is_gone(scratch), "a builder goes on");
}
