//! `snowguard fod gate --verify` and `fod verify --proxy`: with the real proxy, the real Nix, Git, and servers on
//! loopback. These are private addresses, so that each derivation that may reach one has an exception for it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::machine::{BuildUsers, may_confine, sandbox_users};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::{Fault, Web};

const BODY: &str = "what it should be\n";

struct Place {
    base: NixStore,
    head: NixStore,
    http: Web,
    tls: Web,
    /// One that no derivation names.
    other: Web,
}

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

fn git(at: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(args)
        .current_dir(at)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository of one commit with these files, served as files; the commit.
fn repository(scratch: &Path, web: &Web, name: &str, files: &[(&str, &str)]) -> String {
    let work = scratch.join(name);
    let git = |args: &[&str]| git(&work, args);
    std::fs::create_dir_all(&work).unwrap();
    for (file, content) in files {
        std::fs::write(work.join(file), content).unwrap();
    }
    git(&["init", "--quiet"]);
    // Not asked to do anything about what has an attribute.
    git(&["-c", "filter.lfs.required=false", "add", "."]);
    git(&["commit", "--quiet", "-m", "x"]);
    let bare = format!("{name}.git");
    git(&["clone", "--quiet", "--bare", ".", &format!("../{bare}")]);
    git(&[&format!("--git-dir=../{bare}"), "update-server-info"]);
    web.put_tree(&format!("/{bare}"), &scratch.join(&bare))
        .unwrap();
    git(&["rev-parse", "HEAD"])
}

const ATTRIBUTES: &str = "*.bin filter=lfs\n";
/// What Git LFS keeps.
const LARGE: &str = "what is large";

/// A repository of which a large file lies at another address; the commit.
fn large(scratch: &Path, web: &Web, name: &str, at: &str) -> String {
    let (oid, size) = (oid(), LARGE.len());
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
    let files = [(".gitattributes", ATTRIBUTES), ("x.bin", &pointer)];
    let commit = repository(scratch, web, name, &files);
    let answer = json!({
        "transfer": "basic",
        "objects": [{ "oid": oid, "size": size, "actions": { "download": { "href": at } } }],
    });
    let batch = format!("/{name}.git/info/lfs/objects/batch");
    web.put(&batch, answer.to_string());
    commit
}

fn oid() -> String {
    let hash = Hash::of(HashAlgo::Sha256, LARGE.as_bytes()).unwrap();
    hash.to_notation(Notation::Hex)
}

impl Place {
    fn new() -> Self {
        let store = || Nix::find().unwrap().store_at("nix/store").unwrap();
        let (base, head) = (store(), store());
        let (http, tls) = (Web::start().unwrap(), Web::start_tls().unwrap());
        let other = Web::start().unwrap();
        http.put("/gnu/mirrored", BODY);
        tls.put("/file", BODY);
        other.put("/secret", "the password");
        for (path, to) in [
            ("/moved", tls.url("/file")),
            ("/inwards", other.url("/secret")),
            ("/elsewhere", "https://elsewhere.example/x".to_owned()),
        ] {
            http.fail_always(path, Fault::Redirect(to));
        }
        let commit = repository(head.scratch(), &http, "repository", &[("file", BODY)]);
        tls.put("/large", LARGE);
        other.put("/large", LARGE);
        let large = [("large", &tls), ("large-inwards", &other)].map(|(name, web)| {
            let commit = large(head.scratch(), &http, name, &web.url("/large"));
            format!(
                "(large \"{name}\" \"{}\" \"{commit}\")\n",
                http.url(&format!("/{name}.git"))
            )
        });
        let tree = head.scratch().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join(".gitattributes"), ATTRIBUTES).unwrap();
        std::fs::write(tree.join("x.bin"), LARGE).unwrap();
        let args = ["--type", "sha256", tree.to_str().unwrap()];
        let tree = head.run("nix-hash", &[], args).unwrap();
        let place = Self {
            base,
            head,
            http,
            tls,
            other,
        };
        let urls = [
            ("good", place.tls.url("/file")),
            ("moved", place.http.url("/moved")),
            ("inwards", place.http.url("/inwards")),
            ("elsewhere", place.http.url("/elsewhere")),
            // Its own host, by a name that leads into a private network.
            ("inside", "http://inside.example/x".to_owned()),
        ];
        let mut all = String::new();
        for (name, url) in &urls {
            let _ = writeln!(all, "(fixed \"{name}\" \"{url}\")");
        }
        let expression = format!(
            r#"
            let
              drv = name: args: derivation ({{ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; }} // args);
              hash = {{
                outputHash = builtins.hashString "sha256" (builtins.fromJSON ''{body}'');
                outputHashAlgo = "sha256"; outputHashMode = "flat";
              }};
              fixed = name: url: drv name ({{ builder = "builtin:fetchurl"; inherit url; }} // hash);
              fetcher.args = [ "-e" (builtins.toFile "builder.sh" "") ];
              list = drv "mirrors-list" {{ gnu = "{mirror}"; }};
              git = drv "git-2.51.0" {{ }};
              large = name: url: rev: drv name (fetcher // {{
                inherit url rev; tool = git; fetchLFS = true;
                outputHash = "{tree}"; outputHashAlgo = "sha256"; outputHashMode = "recursive";
              }});
            in [
              {large}
              {all}
              (drv "mirrored" ({{ urls = [ "mirror://gnu/mirrored" ]; mirrorsFile = list; }} // fetcher // hash))
              (drv "repository" (fetcher // {{
                tool = git; url = "{repository}"; rev = "{commit}"; outputHashMode = "recursive";
                outputHash = builtins.hashFile "sha256" (builtins.toFile "x" "x"); outputHashAlgo = "sha256";
              }}))
            ]
            "#,
            body = serde_json::to_string(BODY).unwrap(),
            mirror = place.http.url("/gnu/"),
            repository = place.http.url("/repository.git"),
            large = large.concat(),
            tree = String::from_utf8(tree).unwrap().trim(),
        );
        place
            .base
            .instantiate(
                "derivation { name = \"x\"; system = \"x\"; builder = \"/x\"; }",
                &[],
            )
            .unwrap();
        place.head.instantiate(&expression, &[]).unwrap();
        place.write_policy();
        place
    }

    /// Each may reach the two servers that are named, and no more.
    fn write_policy(&self) {
        let hosts = [&self.http, &self.tls].map(|web| {
            let base = web.base();
            base.split_once("://").unwrap().1.to_owned()
        });
        let changes = self
            .gate(&["--format", "json", "--fail-on", "never"])
            .document();
        let mut policy = String::new();
        for change in changes["changes"].as_array().unwrap() {
            if change["name"] == "inside" {
                continue;
            }
            let _ = write!(
                policy,
                "[[exception]]\noutput = {}\nhosts = [\"{}\", \"{}\"]\nprotocols = [\"http\", \"https\"]\n\
                 private = true\nreason = \"the servers of this test\"\nexpires = 2999-01-01\n\n",
                change["output"], hosts[0], hosts[1],
            );
        }
        self.head.write("policy.toml", policy).unwrap();
        self.head
            .write("tls.pem", self.tls.authority().unwrap())
            .unwrap();
    }

    fn snowguard(&self, args: &[&str]) -> Run {
        let daemon = Path::new(env!("CARGO_BIN_EXE_snowguardd"));
        let output = Command::new(daemon.with_file_name("snowguard"))
            .args(args)
            .current_dir(self.head.scratch())
            .env("HOME", self.head.scratch())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn gate(&self, more: &[&str]) -> Run {
        let of = |store: &NixStore| store.dir().to_str().unwrap().to_owned();
        let (base, head) = (of(&self.base), of(&self.head));
        self.snowguard(&[&["fod", "gate", &base, &head][..], more].concat())
    }

    /// With what all runs through the proxy need here.
    fn verify(&self, more: &[&str]) -> Run {
        let daemon = env!("CARGO_BIN_EXE_snowguardd");
        let all = [
            "--verify",
            "--daemon",
            daemon,
            "--policy",
            "policy.toml",
            "--ca-file",
            "tls.pem",
            "--proxy-option",
            "--resolve",
            "--proxy-option",
            "inside.example=10.0.0.1",
            "--tries",
            "1",
        ];
        self.gate(&[&all[..], more].concat())
    }

    /// How often anything was asked.
    fn asked(&self) -> usize {
        [&self.http, &self.tls, &self.other]
            .map(|web| web.seen().len())
            .iter()
            .sum()
    }
}

/// What is said of each by its verdict.
fn verdicts(document: &Value) -> Vec<(String, String)> {
    let changes = document["changes"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let mut all: Vec<_> = changes
        .map(|change| (word(&change["name"]), word(&change["verdict"])))
        .collect();
    all.sort();
    all
}

fn told<'d>(document: &'d Value, name: &str) -> &'d str {
    let findings = document["findings"].as_array().unwrap();
    let one = findings
        .iter()
        .find(|found| found["name"] == name && found["rule"] == "denied");
    one.unwrap()["detail"].as_str().unwrap()
}

#[test]
fn each_is_fetched_under_its_own_policy() {
    let place = Place::new();
    let more = [
        "--evidence",
        "evidence.jsonl",
        "--summary",
        "s.md",
        "--format",
        "json",
    ];
    let run = place.verify(&more);
    let document = run.exits(1).document();
    let expected = [
        ("elsewhere", "denied"),
        ("good", "ok"),
        ("inside", "denied"),
        ("inwards", "denied"),
        ("large", "ok"),
        ("large-inwards", "denied"),
        ("mirrored", "ok"),
        ("moved", "ok"),
        ("repository", "mismatch"),
    ];
    let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned()));
    assert_eq!(verdicts(&document), expected, "{document:#}");
    // Where it led, and what to do; and nobody was asked there.
    for (name, host) in [
        (
            "elsewhere",
            "elsewhere.example: the proxy denied it: nothing that it says names that host; ",
        ),
        (
            "inwards",
            "127.0.0.1: the proxy denied it: the host is allowed at another port only; ",
        ),
        (
            "large-inwards",
            "127.0.0.1: the proxy denied it: the host is allowed at another port only; ",
        ),
        (
            "inside",
            "inside.example: the proxy denied it: 10.0.0.1 is not an address of the public network; ",
        ),
    ] {
        assert!(
            told(&document, name).starts_with(host),
            "{}",
            told(&document, name)
        );
    }
    assert_eq!(place.other.seen().len(), 0);
    assert_eq!(document["egress"]["through"], "proxy");
    assert_eq!(document["egress"]["denied"], 4);
    let read = |name: &str| std::fs::read_to_string(place.head.scratch().join(name)).unwrap();
    let lines: Vec<Value> = read("evidence.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let denied = lines.iter().filter(|line| line["verdict"] == "denied");
    let mut hosts: Vec<&str> = denied.map(|line| line["host"].as_str().unwrap()).collect();
    hosts.sort_unstable();
    let expected = [
        "127.0.0.1",
        "127.0.0.1",
        "elsewhere.example",
        "inside.example",
    ];
    assert_eq!(hosts, expected);
    // Each request is of the one derivation whose token it had.
    let requests = lines.iter().filter(|line| line["kind"] == "request");
    for line in requests {
        assert_eq!(line["attributed"], "token", "{line}");
        assert_eq!(line["derivations"].as_array().unwrap().len(), 1, "{line}");
    }
    let summary = read("s.md");
    assert!(
        summary.contains("- Fetched through the proxy, each under the policy of its derivation: "),
        "{summary}"
    );
    assert!(
        summary.contains("4 denied") && summary.contains("`evidence.jsonl`"),
        "{summary}"
    );
    // Nothing of the token gets out.
    assert!(!run.stderr.contains("@127.0.0.1") && !summary.contains("@127.0.0.1"));
}

#[test]
fn without_a_proxy_nothing_is_fetched() {
    let place = Place::new();
    place.asked();
    place
        .head
        .write("bad.toml", "[[exception]]\nhosts = 1\n")
        .unwrap();
    for (more, what) in [
        (
            &[
                "--policy",
                "bad.toml",
                "--daemon",
                env!("CARGO_BIN_EXE_snowguardd"),
            ][..],
            ["bad.toml", "line 2"],
        ),
        (
            &["--daemon", "nowhere"],
            ["cannot start the proxy, nowhere", "--direct"],
        ),
    ] {
        let run = place.gate(&[&["--verify"], more].concat());
        run.exits(2);
        assert!(
            what.iter().all(|what| run.stderr.contains(what)),
            "{}",
            run.stderr
        );
    }
    let run = place.gate(&["--verify", "--direct", "--policy", "policy.toml"]);
    assert!(
        run.exits(2).stderr.contains("which is not used"),
        "{}",
        run.stderr
    );
    place.gate(&["--verify", "--allow-private"]).exits(2);
    assert_eq!(place.asked(), 0);
    // Who wants it so gets it so, and everybody is told.
    let run = place.gate(&[
        "--verify",
        "--direct",
        "--allow-private",
        "--ca-file",
        "tls.pem",
        "--tries",
        "1",
        "--format",
        "markdown",
    ]);
    let told = &run.exits(1).stdout;
    assert!(
        told.contains("- Fetched directly and not through the proxy: "),
        "{told}"
    );
    assert!(!place.other.seen().is_empty());
}

#[test]
fn what_was_fetched_directly_is_fetched_again_through_the_proxy() {
    let place = Place::new();
    let queue = ["--queue", "fods.db", "--format", "json"];
    let direct = [
        "--tries",
        "1",
        "--verify",
        "--direct",
        "--allow-private",
        "--ca-file",
        "tls.pem",
    ];
    place.gate(&[&direct[..], &queue].concat()).exits(1);
    place.asked();
    let document = place.verify(&queue).exits(1).document();
    assert!(verdicts(&document).contains(&("inwards".to_owned(), "denied".to_owned())));
    assert!(place.asked() > 4);
    // What is settled is not asked again; what was denied is, since exceptions come and go.
    let document = place.verify(&queue).exits(1).document();
    assert_eq!(document["egress"]["denied"], 4);
    assert_eq!(place.tls.seen().len(), 0);
}

#[test]
fn verify_goes_through_the_proxy_where_it_is_asked_to() {
    let place = Place::new();
    let head = place.head.dir().to_str().unwrap();
    let args = [
        "fod",
        "verify",
        head,
        "--format",
        "json",
        "--proxy",
        "--policy",
        "policy.toml",
        "--ca-file",
        "tls.pem",
        "--daemon",
        env!("CARGO_BIN_EXE_snowguardd"),
        "--where",
        "name=good,moved,inwards",
    ];
    let document = place.snowguard(&args).exits(1).document();
    assert_eq!(
        document["verdicts"],
        serde_json::json!({"ok": 2, "denied": 1})
    );
    assert_eq!(document["egress"]["through"], "proxy");
    assert_eq!(place.other.seen().len(), 0);
}

/// A repository of packages as its maintainers keep it: what it fetches is raised from commit to commit.
struct Packages {
    store: NixStore,
    web: Web,
    /// None where nothing can be built in a sandbox.
    users: Option<BuildUsers>,
}

const PACKAGES: &str = r#"
let
  drv = name: args: derivation ({ inherit name; system = builtins.currentSystem; builder = "/bin/sh"; } // args);
  of = content: {
    outputHash = builtins.hashString "sha256" content; outputHashAlgo = "sha256"; outputHashMode = "flat";
  };
in [
  (drv "x" ({ builder = "builtin:fetchurl"; url = "@URL@"; } // of "@PROMISED@"))
  @MORE@
]
"#;

/// What only a build can tell, since it asks curl for more, or asks nobody as far as is known.
const BUILT: &str = r#"
  (drv "built" ({
    args = [ "-e" (builtins.toFile "builder.sh" "printf three > $out") ];
    urls = [ "https://example.org/built" ]; curlOpts = "--user-agent x";
  } // of "three"))
  (drv "written" ({ args = [ "-c" "printf four > $out" ]; } // of "four"))
"#;

impl Packages {
    fn new() -> Self {
        let web = Web::start().unwrap();
        web.put("/x-1.tar.gz", "one");
        web.put("/x-2.tar.gz", "two");
        let store = Nix::find().unwrap().store_at("nix/store").unwrap();
        std::fs::create_dir(store.scratch().join("packages")).unwrap();
        let users = may_confine().then(sandbox_users).flatten();
        let packages = Self { store, web, users };
        packages.git(&["init", "--quiet"]);
        packages
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.store.scratch().join("packages"), args)
    }

    /// A state of the packages, and its derivations as a job of CI writes them out.
    fn commit(&self, name: &str, path: &str, promised: &str, more: &str) {
        let at = |path: &str| self.store.scratch().join(path);
        let text = PACKAGES
            .replace("@URL@", &self.web.url(path))
            .replace("@PROMISED@", promised)
            .replace("@MORE@", more);
        std::fs::write(at("packages/default.nix"), text).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", name]);
        let checkout = at(name);
        self.git(&[
            "worktree",
            "add",
            "--quiet",
            "--detach",
            checkout.to_str().unwrap(),
        ]);
        let file = checkout.join("default.nix");
        let drvs = self.store.run("nix-instantiate", &[], [file]).unwrap();
        let drvs = String::from_utf8(drvs).unwrap();
        let mut args = vec!["show-derivation", "-r"];
        args.extend(drvs.lines());
        let shown = self.store.run("nix", &["nix-command"], args).unwrap();
        std::fs::write(at(&format!("{name}.json")), shown).unwrap();
    }

    /// The check, as a job of CI runs it.
    fn check(&self, head: &str, more: &[(&str, &str)]) -> Run {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actions/fod-gate/gate.sh");
        let daemon = Path::new(env!("CARGO_BIN_EXE_snowguardd"));
        let config = format!(
            "sandbox-paths = /bin /usr /lib /lib64\nsubstitute = false\nbuild-users-group = {}\n\
             filter-syscalls = false\n",
            self.users.as_ref().map_or("", BuildUsers::group)
        );
        let mut command = self.store.command_of("bash", &config);
        let output = command
            .arg(script)
            .env("BASE", "base.json")
            .env("HEAD", format!("{head}.json"))
            .env("SNOWGUARD", daemon.with_file_name("snowguard"))
            .env("SNOWGUARDD", daemon)
            .env("GITHUB_STEP_SUMMARY", self.store.scratch().join("step.md"))
            .envs(more.iter().copied())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.store.scratch().join(name)).unwrap()
    }

    /// What the reports say of each finding that blocks.
    fn blocking(&self) -> Vec<String> {
        let document: Value = serde_json::from_str(&self.read("fod-gate/gate.json")).unwrap();
        let findings = document["findings"].as_array().unwrap().iter();
        let blocking = findings.filter(|found| found["blocks"] == true);
        let told = blocking.map(|found| {
            let word = |key: &str| found[key].as_str().unwrap().to_owned();
            format!("{} {}", word("rule"), word("name"))
        });
        told.collect()
    }
}

#[test]
fn a_change_to_a_repository_is_checked_in_ci() {
    let packages = Packages::new();
    packages.commit("base", "/x-1.tar.gz", "one", "");
    packages.commit("stale", "/x-2.tar.gz", "one", "");
    packages.commit("mended", "/x-2.tar.gz", "two", BUILT);
    // What is accepted lies where the change cannot alter it.
    let (mut policy, mut waivers) = (String::new(), String::new());
    for head in ["stale", "mended"] {
        packages.check(head, &[("FAIL_ON", "never")]).exits(0);
        let document: Value = serde_json::from_str(&packages.read("fod-gate/gate.json")).unwrap();
        let changes = document["changes"].as_array().unwrap().iter();
        for output in changes
            .filter(|one| one["name"] == "x")
            .map(|one| &one["output"])
        {
            let base = packages.web.base();
            let host = base.split_once("://").unwrap().1;
            let until = "reason = \"the server of this test\"\nexpires = 2999-01-01\n\n";
            let _ = write!(
                policy,
                "[[exception]]\noutput = {output}\nhosts = [\"{host}\"]\nprotocols = [\"http\"]\nprivate = true\n{until}",
            );
            let _ = write!(
                waivers,
                "[[waiver]]\nrule = \"private-host\"\noutput = {output}\n{until}"
            );
        }
    }
    packages.store.write("base/policy.toml", policy).unwrap();
    packages.store.write("base/waivers.toml", waivers).unwrap();
    packages.web.seen();
    let usual = [
        ("VERIFY", "true"),
        ("POLICY", "base/policy.toml"),
        ("WAIVERS", "base/waivers.toml"),
        ("QUEUE", "queue.db"),
    ];
    // Forgotten: the old hash stands beside the new address.
    packages.check("stale", &usual).exits(1);
    assert_eq!(packages.blocking(), ["stale-hash x", "mismatch x"]);
    assert_eq!(packages.web.seen().len(), 1);
    let evidence = packages.read("fod-gate/evidence.jsonl");
    assert!(evidence.contains("/x-2.tar.gz"), "{evidence}");
    let summary = packages.read("fod-gate/summary.md");
    assert!(summary.contains("fod-red.md#stale-hash"), "{summary}");
    assert!(packages.read("step.md").ends_with(&summary));
    // Mended: all but what only a build can tell.
    packages.check("mended", &usual).exits(1);
    let not_built = ["needs-builder built", "not-fetchable written"];
    assert_eq!(packages.blocking(), not_built);
    let with_builds = [&usual[..], &[("BUILD", "true")]].concat();
    packages.web.seen();
    if packages.users.is_some() {
        let outputs = || {
            let entries = std::fs::read_dir(packages.store.dir()).unwrap().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        let before = outputs();
        packages.check("mended", &with_builds).exits(0);
        assert!(packages.blocking().is_empty());
        // It was built elsewhere, and nothing of that is left.
        assert_eq!(outputs(), before);
        let left = std::fs::read_dir(packages.store.scratch().join("home/snowguard")).unwrap();
        let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["fresh.lock"]);
        // What the queue keeps is not asked for again.
        assert!(packages.web.seen().is_empty());
        // One store that is named is kept; and what keeps builds to the proxy must be there.
        let named = packages.store.scratch().join("named");
        let store = format!("local?root={}", named.display());
        let unkept = [&with_builds[..4], &[("BUILD", "true"), ("QUEUE", "")]].concat();
        let in_it = [&unkept[..], &[("BUILD_STORE", store.as_str())]].concat();
        packages.check("mended", &in_it).exits(0);
        assert!(named.join("nix/store").is_dir());
        packages.web.seen();
        let helpless = [&unkept[..], &[("HELPER", "/bin/false")]].concat();
        packages.check("mended", &helpless).exits(2);
        assert!(packages.web.seen().is_empty());
    }
    // Without its exception it is denied; and a policy that is not there is a check that failed.
    let without = [("VERIFY", "1"), ("WAIVERS", "base/waivers.toml")];
    packages.check("stale", &without).exits(1);
    assert_eq!(packages.blocking(), ["stale-hash x", "denied x"]);
    packages
        .check("stale", &[("VERIFY", "1"), ("POLICY", "nowhere.toml")])
        .exits(2);
    assert!(!packages.store.scratch().join("fod-gate/gate.json").exists());
    packages
        .check("stale", &[("POLICY", "base/policy.toml")])
        .exits(2);
    packages.check("stale", &[("DIRECT", "true")]).exits(2);
    assert!(packages.web.seen().is_empty());
}
