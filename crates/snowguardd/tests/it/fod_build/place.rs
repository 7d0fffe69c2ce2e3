//! A store, servers on loopback, derivations that fetch from these, and `snowguard fod build` for them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use snowguard_store::{
    ContentAddress, ContentAddressMethod, Hash, HashAlgo, Notation, References, StoreDir, StoreName,
};
use snowguard_testkit::machine;
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::{Fault, Web};

/// What the servers have, and what most derivations declare.
pub(crate) const BODY: &[u8] = b"what it should be\n";
/// What they do not have any more.
pub(crate) const STALE: &[u8] = b"the old version";

pub(crate) struct Place {
    pub(crate) store: NixStore,
    pub(crate) http: Web,
    pub(crate) https: Web,
    tree: String,
    commit: String,
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: Value,
}

impl Place {
    /// Nothing where this machine lets nobody make networks: the test shows nothing then, which is said.
    pub(crate) fn new() -> Option<Self> {
        if !machine::may_confine() {
            return None;
        }
        let store = Nix::find().unwrap().store().unwrap();
        let (http, https) = (Web::start().unwrap(), Web::start_tls().unwrap());
        for web in [&http, &https] {
            web.put("/file", BODY);
            web.fail_always("/old", Fault::Redirect(web.url("/file")));
        }
        let scratch = store.scratch();
        std::fs::create_dir_all(scratch.join("tree/a")).unwrap();
        std::fs::write(scratch.join("tree/a/b"), "c\n").unwrap();
        run("tar", scratch, &["-cf", "tree.tar", "-C", "tree", "a"]);
        http.put(
            "/tree.tar",
            std::fs::read(scratch.join("tree.tar")).unwrap(),
        );
        let commit = repository(scratch, &[&http, &https]);
        let mut hash: Vec<_> = ["hash", "path", "--type", "sha256", "--base16"]
            .map(PathBuf::from)
            .into();
        hash.push(scratch.join("tree"));
        let tree = store.run("nix", &[], hash).unwrap();
        let place = Self {
            tree: String::from_utf8(tree).unwrap().trim().to_owned(),
            store,
            http,
            https,
            commit,
        };
        place.store.write("policy.toml", place.policy()).unwrap();
        let authority = place.https.authority().unwrap();
        place.store.write("servers.pem", authority).unwrap();
        Some(place)
    }

    /// Lets what these tests build reach the two servers, which are of this machine.
    fn policy(&self) -> String {
        let flat = |body| {
            let hash = Hash::of(HashAlgo::Sha256, body).unwrap();
            ContentAddress::new(ContentAddressMethod::Flat, hash)
        };
        let tree = Hash::parse_digest(&self.tree, HashAlgo::Sha256).unwrap();
        let tree = ContentAddress::new(ContentAddressMethod::Nar, tree);
        let files = [
            "http", "https", "builtin", "unseen", "twice", "early", "curious", "first", "second",
            "quiet", "asked",
        ];
        let mut outputs: Vec<_> = files.map(|name| (name, flat(BODY))).into();
        outputs.extend(["zip", "git", "git-tls"].map(|name| (name, tree)));
        outputs.push(("stale", flat(STALE)));
        let [http, https] =
            [&self.http, &self.https].map(|web| web.base().split("://").nth(1).unwrap().to_owned());
        // One test has its store elsewhere, with the usual name.
        let dirs = [self.store.dir().to_str().unwrap(), "/nix/store"];
        let outputs = outputs
            .iter()
            .flat_map(|(name, address)| dirs.map(|dir| output(dir, name, *address)));
        let entries: Vec<String> = outputs
            .map(|output| {
                format!(
                    "[[exception]]\noutput = \"{output}\"\nhosts = [\"{http}\", \"{https}\"]\n\
                     protocols = [\"http\", \"https\"]\nprivate = true\n\
                     reason = \"the servers of this test\"\nexpires = 2999-01-01\n"
                )
            })
            .collect();
        entries.concat()
    }

    /// A fixed-output derivation that a shell makes. The shell stays to the end: Nix kills a builder that has
    /// closed its output and not ended yet, as tar does where it takes the shell's place.
    pub(crate) fn shell(&self, name: &str, url: &str, script: &str, hash: &str) -> String {
        format!(
            "(derivation {{ name = \"source-{name}\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
             PATH = \"{}\"; args = [ \"-c\" ''{script} && :'' ]; urls = [ \"{url}\" ]; rev = \"{}\"; \
             SSL_CERT_FILE = \"/no-cert-file.crt\"; impureEnvVars = [ \"http_proxy\" \"https_proxy\" \
             \"NIX_GIT_SSL_CAINFO\" \"SECRET_OF_CI\" \"SAID\" \"NIX_CONFIG\" ]; \
             outputHashAlgo = \"sha256\"; {hash} }})",
            std::env::var("PATH").unwrap(),
            self.commit,
        )
    }

    pub(crate) fn fetchurl(&self, name: &str, url: &str) -> String {
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
    pub(crate) fn shapes(&self) -> Vec<String> {
        self.shapes_with(&self.https)
    }

    /// The same, with the server from which Nix itself fetches.
    pub(crate) fn shapes_with(&self, builtin: &Web) -> Vec<String> {
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

    /// A derivation that uses all of these, in a file.
    pub(crate) fn system(&self, sources: &[String]) -> PathBuf {
        let expression = format!(
            "derivation {{ name = \"system\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
             args = [ \"-c\" \"echo $sources > $out\" ]; sources = [ {} ]; }}",
            sources.join(" ")
        );
        self.store.write("system.nix", expression).unwrap()
    }

    pub(crate) fn command(&self, options: &[&str], command: &[&str]) -> Command {
        self.command_in_sandbox(&[&["--without-sandbox"], options].concat(), command)
    }

    /// Without the option that goes without.
    pub(crate) fn command_in_sandbox(&self, options: &[&str], command: &[&str]) -> Command {
        let daemon = Path::new(env!("CARGO_BIN_EXE_snowguardd"));
        let config =
            "sandbox = false\nsubstitute = false\nbuild-users-group =\nfilter-syscalls = false\n";
        let program = daemon.with_file_name("snowguard");
        let mut build = self.store.command_of(program, config);
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
            .env(
                "NIX_SSL_CERT_FILE",
                self.store.scratch().join("servers.pem"),
            );
        build
    }

    pub(crate) fn build(&self, options: &[&str], sources: &[String]) -> Run {
        let file = self.system(sources);
        let _ = std::fs::remove_file(self.store.scratch().join("report.json"));
        let command = ["nix-build", file.to_str().unwrap(), "--out-link", "result"];
        let output = self.command(options, &command).output().unwrap();
        self.left(output)
    }

    pub(crate) fn left(&self, output: Output) -> Run {
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

    pub(crate) fn asked(&self) -> usize {
        self.http.seen().len() + self.https.seen().len()
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stderr, self.report);
        self
    }

    pub(crate) fn verdicts(&self) -> Vec<(String, String)> {
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

pub(crate) fn flat(body: &[u8]) -> String {
    let hash = Hash::of(HashAlgo::Sha256, body)
        .unwrap()
        .to_notation(Notation::Hex);
    format!("outputHash = \"{hash}\"; outputHashMode = \"flat\";")
}

pub(crate) fn run(program: &str, at: &Path, args: &[&str]) -> String {
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
    for web in webs {
        web.put_tree("/repo.git", &directory).unwrap();
    }
    run("git", &tree, &[&git, "rev-parse", "HEAD"])
}
