//! `snowguard fod verify --proxy --build`, and the gate with it: what Nix builds reaches the proxy and nothing else, in
//! a store that is gone afterwards. With the real Nix and its sandbox, the real proxy, and servers on loopback. Needs
//! the right to make namespaces, `nft` and `curl`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use snowguard_testkit::machine::{BuildUsers, is_root, may_confine, sandbox_users};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::Web;

const BODY: &str = "what it should be";
/// A script that asks for its own address, as it is told to.
const FETCH: &str = "curl --silent --show-error --fail --max-time 20 --output $out $urls";

struct Place {
    store: NixStore,
    /// The one that policies allow.
    http: Web,
    /// One that none allows.
    other: Web,
    users: BuildUsers,
}

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// What is said of one.
    fn fod(&self, name: &str) -> Value {
        let document = self.document();
        let fods = document["fods"].as_array().unwrap();
        fods.iter().find(|fod| fod["name"] == name).unwrap().clone()
    }
}

/// A fixed-output derivation that only a build can tell, since it asks curl for more.
fn fixed(name: &str, url: &str, script: &str, content: &str, more: &str) -> String {
    format!(
        "(derivation {{ name = \"{name}\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
         PATH = \"/usr/bin:/bin\"; curlOpts = \"--user-agent x\"; args = [ \"-c\" ''{script}'' ]; urls = [ \"{url}\" ]; \
         impureEnvVars = [ \"http_proxy\" \"https_proxy\" ]; {more} \
         outputHash = builtins.hashString \"sha256\" \"{content}\"; outputHashAlgo = \"sha256\"; \
         outputHashMode = \"flat\"; }})"
    )
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

impl Place {
    /// None where this machine lets nobody keep builds from anything; that is said.
    fn new() -> Option<Self> {
        if !may_confine() {
            return None;
        }
        let users = sandbox_users()?;
        let (http, other) = (Web::start().unwrap(), Web::start().unwrap());
        for (web, body) in [(&http, BODY), (&other, BODY)] {
            web.put("/file", body);
        }
        http.put("/tool", "a tool");
        let store = Nix::find().unwrap().store().unwrap();
        let shared = store.scratch().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
        Some(Self {
            store,
            http,
            other,
            users,
        })
    }

    /// Instantiates them, and lets each reach the one server.
    fn have(&self, all: &[String]) {
        let expression = format!("[ {} ]", all.join(" "));
        self.store.instantiate(&expression, &[]).unwrap();
        let mut list = self.snowguard(&["fod", "list", "--format", "json", self.drvs()]);
        let listing = Self::end(&mut list).document();
        let mut policy = String::new();
        for fod in listing["fods"].as_array().unwrap() {
            let base = self.http.base();
            let _ = write!(
                policy,
                "[[exception]]\noutput = {}\nhosts = [\"{}\"]\nprotocols = [\"http\"]\nprivate = true\n\
                 reason = \"the server of this test\"\nexpires = 2999-01-01\n\n",
                fod["output"],
                base.split_once("://").unwrap().1,
            );
        }
        self.store.write("policy.toml", policy).unwrap();
    }

    fn drvs(&self) -> &str {
        self.store.dir().to_str().unwrap()
    }

    /// Where stores are made that begin empty.
    fn cache(&self) -> PathBuf {
        self.store.scratch().join("home/snowguard")
    }

    /// What lies beside the file that says whose turn it is.
    fn left(&self) -> Vec<OsString> {
        let mut all = names(&self.cache());
        all.remove(&OsString::from("fresh.lock"));
        all.into_iter().collect()
    }

    fn snowguard(&self, args: &[&str]) -> Command {
        let daemon = Path::new(env!("CARGO_BIN_EXE_snowguardd"));
        let config = format!(
            "sandbox = true\nsandbox-paths = /bin /usr /lib /lib64 {}/shared\nsubstitute = false\n\
             filter-syscalls = false\nbuild-users-group = {}\n",
            self.store.scratch().display(),
            self.users.group()
        );
        let program = daemon.with_file_name("snowguard");
        let mut command = self.store.command_of(program, &config);
        command.args(args);
        command
    }

    /// `fod verify` of all, with what it needs to build behind the proxy.
    fn verifying(&self, more: &[&str]) -> Command {
        let mut args = vec!["fod", "verify", self.drvs(), "--build", "--proxy"];
        args.extend([
            "--format",
            "json",
            "--policy",
            "policy.toml",
            "--tries",
            "1",
        ]);
        args.extend(["--evidence", "evidence.jsonl"]);
        args.extend(["--daemon", env!("CARGO_BIN_EXE_snowguardd")]);
        args.extend(more);
        self.snowguard(&args)
    }

    fn end(command: &mut Command) -> Run {
        let output = command.output().unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn verify(&self, more: &[&str]) -> Run {
        Self::end(&mut self.verifying(more))
    }
}

#[test]
fn what_needs_a_builder_is_verified_through_the_proxy_in_a_store_of_its_own() {
    let Some(place) = Place::new() else { return };
    // Built with something that is fetched, and something that is built with that.
    let tool = fixed("tool", &place.http.url("/tool"), FETCH, "a tool", "");
    let made = format!(
        "(derivation {{ name = \"made\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
         args = [ \"-c\" \"read -r tool < $tool; echo $tool > $out\" ]; tool = {tool}; }})"
    );
    let script = format!("read -r made < $made; {FETCH} && [ \"$made\" = 'a tool' ]");
    let url = place.http.url("/file");
    place.have(&[fixed(
        "good",
        &url,
        &script,
        BODY,
        &format!("made = {made};"),
    )]);
    let before = names(place.store.dir());
    let run = place.verify(&["--where", "name=good"]).exits(0);
    assert_eq!(run.fod("good")["verdict"], "ok", "{}", run.stdout);
    let document = run.document();
    let egress = &document["egress"];
    assert_eq!(egress["builds"], true, "{egress}");
    assert_eq!(egress["denied"], 0, "{egress}");
    // Each request is of the one derivation whose token it had.
    let evidence = std::fs::read_to_string(place.store.scratch().join("evidence.jsonl")).unwrap();
    let lines = evidence.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let requests = lines.iter().filter(|line| line["kind"] == "request");
    let mut asked: Vec<(String, String)> = requests
        .map(|line| {
            assert_eq!(line["attributed"], "token", "{line}");
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            let drv = word(&line["derivations"][0]);
            let (_, name) = drv.rsplit_once('-').unwrap();
            (name.to_owned(), word(&line["url"]))
        })
        .collect();
    asked.sort();
    let expected = [("good.drv", "/file"), ("tool.drv", "/tool")];
    let expected = expected.map(|(drv, path)| (drv.to_owned(), place.http.url(path)));
    assert_eq!(asked, expected);
    assert_eq!(place.http.seen().len(), 2);
    // Of all that, nothing is left.
    assert_eq!(names(place.store.dir()), before);
    assert!(place.left().is_empty(), "{:?}", place.left());

    // One that is named keeps it, and has less to do the second time.
    let kept = format!("local?root={}/kept", place.store.scratch().display());
    let options = ["--where", "name=good", "--build-store", &kept];
    for asked in [2, 1] {
        place.verify(&options).exits(0);
        assert_eq!(place.http.seen().len(), asked);
    }
    assert_eq!(names(place.store.dir()), before);
    // So does the one that Nix uses.
    place
        .verify(&["--where", "name=good", "--build-store", "auto"])
        .exits(0);
    let made = names(place.store.dir());
    let is_good = |name: &OsString| name.to_str().unwrap().ends_with("-good");
    assert!(made.iter().any(is_good) && !before.iter().any(is_good));
    assert!(place.left().is_empty());
}

#[test]
fn what_a_build_may_not_reach_is_denied_and_told() {
    let Some(place) = Place::new() else { return };
    let service = place.other.url("/file");
    let curl = "curl --silent --show-error --fail --max-time 20 --output $out";
    let past = format!("{curl} --noproxy '*' $to");
    let to = |url: &str| format!("to = \"{url}\";");
    let url = place.http.url("/file");
    let quiet = format!("{curl} --proxy http://''${{http_proxy##*@}} $to");
    let both = format!("{curl} --noproxy '*' $to; {FETCH}");
    place.have(&[
        fixed(
            "elsewhere",
            &url,
            &format!("{curl} $to"),
            BODY,
            &to(&service),
        ),
        fixed("past", &url, &past, BODY, &to(&service)),
        fixed("private", &url, &past, BODY, &to("http://10.0.0.1/x")),
        fixed("named", &url, &past, BODY, &to("http://by-hand.example/x")),
        fixed("both", &url, &both, BODY, &to("http://10.0.0.2:8/x")),
        fixed("stale", &url, FETCH, "what it was", ""),
        // Whoever leaves the token out is known all the same.
        fixed("quiet", &url, &quiet, BODY, &to(&service)),
        fixed("idle", &url, &format!("printf '{BODY}' > $out"), BODY, ""),
    ]);
    let run = place.verify(&[]).exits(1);
    let host = service
        .trim_start_matches("http://")
        .trim_end_matches("/file");
    for (name, verdict, told) in [
        (
            "elsewhere",
            "denied",
            "127.0.0.1: the proxy denied it: ".to_owned(),
        ),
        (
            "past",
            "denied",
            format!(
                "{host}: its build tried to connect to {host} past the proxy, and was stopped; "
            ),
        ),
        (
            "private",
            "denied",
            "10.0.0.1:80: its build tried to connect to 10.0.0.1:80 past the proxy".to_owned(),
        ),
        (
            "named",
            "denied",
            "by-hand.example: its build asked a name server for by-hand.example".to_owned(),
        ),
        // It has what was promised all the same, and what it tried is told.
        (
            "both",
            "ok",
            "10.0.0.2:8: its build tried to connect".to_owned(),
        ),
        ("stale", "mismatch", "Nix got sha256-".to_owned()),
        (
            "quiet",
            "denied",
            "127.0.0.1: the proxy denied it: ".to_owned(),
        ),
        ("idle", "ok", "its build asked for nothing".to_owned()),
    ] {
        let fod = run.fod(name);
        assert_eq!(fod["verdict"], verdict, "{fod:#}\n{}", run.stderr);
        let reason = fod["reason"].as_str().unwrap();
        assert!(reason.contains(&told), "{name}: {reason}");
    }
    assert!(place.other.seen().is_empty());
    let document = run.document();
    let egress = &document["egress"];
    assert_eq!(egress["denied"], 2, "{egress}");
    for told in ["-past.drv tried to connect", "-both.drv tried", "hint: "] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert!(place.left().is_empty());
}

#[test]
fn what_it_is_built_with_has_a_policy_of_its_own() {
    let Some(place) = Place::new() else { return };
    let tool = fixed("tool", &place.other.url("/file"), FETCH, BODY, "");
    let good = fixed(
        "good",
        &place.http.url("/file"),
        FETCH,
        BODY,
        &format!("tool = {tool};"),
    );
    place.have(&[good]);
    let run = place.verify(&["--where", "name=good"]).exits(1);
    let fod = run.fod("good");
    assert_eq!(fod["verdict"], "needs-builder", "{fod:#}");
    let reason = fod["reason"].as_str().unwrap();
    assert!(
        reason.contains("-tool.drv: 127.0.0.1: the proxy denied it: "),
        "{reason}"
    );
    assert!(place.http.seen().is_empty() && place.other.seen().is_empty());
}

#[test]
fn without_what_keeps_builds_to_the_proxy_nothing_is_fetched() {
    let Some(place) = Place::new() else { return };
    let good = fixed("good", &place.http.url("/file"), FETCH, BODY, "");
    place.have(&[good]);
    for helper in ["/bin/false", "/no/such/program"] {
        let run = place.verify(&["--helper", helper]).exits(2);
        assert!(run.stderr.contains("--direct"), "{}", run.stderr);
    }
    let run = place
        .verify(&["--build-store", "unix:///no/such/socket"])
        .exits(2);
    assert!(run.stderr.contains("made by a daemon"), "{}", run.stderr);
    if is_root() {
        let mut root = place.verifying(&[]);
        let run = Place::end(root.env("NIX_CONFIG", "build-users-group ="));
        let run = run.exits(2);
        assert!(
            run.stderr.contains("builders would be root"),
            "{}",
            run.stderr
        );
        assert!(!run.stderr.contains("--without-sandbox"), "{}", run.stderr);
    }
    assert!(place.http.seen().is_empty());
    assert!(place.left().is_empty());
    // It is not asked for where nothing is built.
    let args = [
        "fod",
        "verify",
        place.drvs(),
        "--build",
        "--helper",
        "/bin/false",
    ];
    let run = Place::end(&mut place.snowguard(&args)).exits(2);
    assert!(run.stderr.contains("which is not used"), "{}", run.stderr);
}

/// What is fetched for both is the same, and what is built is not: one asks a server, the other writes by itself what is
/// promised.
#[test]
fn what_a_build_tells_is_told_of_what_was_built() {
    let Some(place) = Place::new() else { return };
    place.http.put("/other", "other bytes");
    // Only curl can ask the first address, so that no fetch decides.
    let urls = format!("ftp://127.0.0.1:1/x {}", place.http.url("/other"));
    let by = |name: &str, script: &str| {
        format!(
            "(derivation {{ name = \"{name}\"; system = builtins.currentSystem; builder = \"/bin/bash\"; \
             PATH = \"/usr/bin:/bin\"; args = [ \"-e\" (builtins.toFile \"builder.sh\" ''{script}'') ]; \
             urls = \"{urls}\"; impureEnvVars = [ \"http_proxy\" \"https_proxy\" ]; \
             outputHash = builtins.hashString \"sha256\" \"{BODY}\"; outputHashAlgo = \"sha256\"; \
             outputHashMode = \"flat\"; }})"
        )
    };
    let ask = "set -- $urls; curl --silent --show-error --fail --output $out $2";
    place.have(&[
        by("asked", ask),
        by("written", &format!("printf '{BODY}' > $out")),
    ]);
    let told = |run: &Run, name: &str| {
        let fod = run.fod(name);
        assert_eq!(fod["found_by"], "build", "{fod:#}");
        (
            fod["verdict"].as_str().unwrap().to_owned(),
            fod["earlier"] == true,
        )
    };
    let run = place.verify(&[]).exits(1);
    assert_eq!(told(&run, "asked"), ("mismatch".into(), false));
    assert_eq!(told(&run, "written"), ("ok".into(), false));
    // What a queue knows of the one says nothing of the other.
    let of = |name: &str, code: i32| {
        let run = place.verify(&["--queue", "fods.db", "--where", &format!("name={name}")]);
        told(&run.exits(code), name)
    };
    assert_eq!(of("written", 0), ("ok".into(), false));
    assert_eq!(of("asked", 1), ("mismatch".into(), false));
    assert_eq!(of("written", 0), ("ok".into(), true));
}

#[test]
fn a_build_that_takes_too_long_is_ended() {
    let Some(place) = Place::new() else { return };
    let slow = fixed("slow", &place.http.url("/file"), "sleep 600", BODY, "");
    place.have(&[slow]);
    for proxy in [true, false] {
        let mut command = place.verifying(&["--build-timeout", "2"]);
        if !proxy {
            let args = ["fod", "verify", place.drvs(), "--build", "--format", "json"];
            command = place.snowguard(&args);
            command.args(["--build-timeout", "2"]);
        }
        let run = Place::end(&mut command).exits(1);
        let fod = run.fod("slow");
        assert_eq!(fod["verdict"], "failed", "{fod:#}");
        let reason = fod["reason"].as_str().unwrap();
        assert!(
            reason.contains("more than 2 s; --build-timeout"),
            "{reason}: {}",
            run.stderr
        );
        assert!(place.left().is_empty());
    }
}

/// A run at whose build somebody interrupts or kills it.
struct Slow<'p> {
    place: &'p Place,
    running: std::process::Child,
}

impl<'p> Slow<'p> {
    /// Has one that says that it is there, and then holds a file as long as it lives.
    fn have(place: &'p Place) {
        let shared = place.store.scratch().join("shared");
        let shared = shared.display();
        let script = format!(
            "umask 0; exec 9>{shared}/lock; flock 9; trap : TERM; : > {shared}/there; sleep 600; sleep 600"
        );
        place.have(&[fixed("slow", &place.http.url("/file"), &script, BODY, "")]);
    }

    fn begin(place: &'p Place) -> Self {
        let there = place.store.scratch().join("shared/there");
        let _ = std::fs::remove_file(&there);
        let mut running = place.verifying(&[]);
        running.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = running.spawn().unwrap();
        let begun = Instant::now();
        while !there.exists() {
            assert!(running.try_wait().unwrap().is_none(), "it has ended");
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "it does not build"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(place.left().len(), 1);
        Self { place, running }
    }

    fn signal(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let own = i32::try_from(self.running.id()).unwrap();
        let own = rustix::process::Pid::from_raw(own).unwrap();
        rustix::process::kill_process(own, signal).unwrap();
        self.running.wait().unwrap().code()
    }

    /// Whether the builder is gone; it may take a while.
    fn is_gone(&self) -> bool {
        let lock = self.place.store.scratch().join("shared/lock");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_mins(1) {
            let mut flock = Command::new("flock");
            if flock
                .arg("-n")
                .arg(&lock)
                .arg("true")
                .status()
                .unwrap()
                .success()
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

/// Whether a process was started with that in its arguments.
fn is_at_work(store: &OsStr) -> bool {
    let of_process = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = entries.filter_map(of_process);
    lines.any(|line| String::from_utf8_lossy(&line).contains(store.to_str().unwrap()))
}

#[test]
fn who_interrupts_a_build_leaves_nothing_behind() {
    let Some(place) = Place::new() else { return };
    Slow::have(&place);
    let mut slow = Slow::begin(&place);
    assert_eq!(slow.signal(rustix::process::Signal::INT), Some(2));
    assert!(slow.is_gone(), "a builder goes on");
    assert!(place.left().is_empty(), "{:?}", place.left());
    // Who is killed leaves files, and nothing that runs; the next one sweeps.
    let mut killed = Slow::begin(&place);
    assert_eq!(killed.signal(rustix::process::Signal::KILL), None);
    assert!(killed.is_gone(), "a builder goes on");
    let left = place.left();
    assert_eq!(left.len(), 1);
    // Nix ends after its builder, and writes until then.
    let begun = Instant::now();
    while is_at_work(&left[0]) && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut again = Slow::begin(&place);
    assert!(!place.left().contains(&left[0]));
    assert_eq!(again.signal(rustix::process::Signal::INT), Some(2));
    assert!(again.is_gone() && place.left().is_empty());
}

#[test]
fn the_gate_keeps_builds_to_the_proxy_unless_it_goes_directly() {
    let Some(place) = Place::new() else { return };
    let plain = "derivation { name = \"x\"; system = \"x\"; builder = \"/x\"; }";
    let one = Nix::find().unwrap().store().unwrap();
    one.instantiate(plain, &[]).unwrap();
    let base = one.dir().to_str().unwrap().to_owned();
    let curl = "curl --silent --show-error --fail --max-time 20 --output $out $to";
    let to = format!("to = \"{}\";", place.other.url("/file"));
    let url = place.http.url("/file");
    let both = format!("curl --silent --noproxy '*' http://10.0.0.2/x; {FETCH}");
    place.have(&[
        fixed("sly", &url, curl, BODY, &to),
        fixed("both", &url, &both, BODY, ""),
    ]);
    let gate = |more: &[&str]| {
        let mut args = vec!["fod", "gate", &base, place.drvs(), "--verify", "--build"];
        args.extend(["--format", "json", "--tries", "1"]);
        args.extend(more);
        Place::end(&mut place.snowguard(&args)).exits(1)
    };
    let daemon = env!("CARGO_BIN_EXE_snowguardd");
    let run = gate(&["--policy", "policy.toml", "--daemon", daemon]);
    let verdict = |run: &Run| {
        let document = run.document();
        let changes = document["changes"].as_array().unwrap().iter();
        let of_sly = changes.filter(|change| change["name"] == "sly");
        of_sly
            .map(|change| change["verdict"].clone())
            .next()
            .unwrap()
    };
    assert_eq!(verdict(&run), "denied", "{}", run.stdout);
    // What came out right and wanted more is for who reads the change.
    let document = run.document();
    let found = document["findings"].as_array().unwrap().iter();
    let of_both: Vec<_> = found
        .filter(|found| found["name"] == "both" && found["rule"] == "denied")
        .collect();
    assert_eq!(of_both.len(), 1, "{}", run.stdout);
    assert_eq!(of_both[0]["level"], "note");
    let detail = of_both[0]["detail"].as_str().unwrap();
    assert!(detail.contains("10.0.0.2:80: its build tried"), "{detail}");
    assert_eq!(run.document()["egress"]["builds"], true);
    assert!(place.other.seen().is_empty());
    let run = gate(&["--direct"]);
    assert_eq!(verdict(&run), "ok", "{}", run.stdout);
    assert_eq!(run.document()["egress"]["through"], "direct");
    assert_eq!(place.other.seen().len(), 1);
    assert!(place.left().is_empty());
}
