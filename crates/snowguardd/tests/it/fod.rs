//! `fod-proxy` as a process: announced builds, a socket that it inherits, its end, and `fod-evidence`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use snowguard_testkit::web::Web;

use crate::support::Place;

fn at(place: &Place, name: &str) -> String {
    place.path(name).to_str().unwrap().to_owned()
}

/// A fixed-output derivation of the URL, whose hash is that of `x`.
fn derivation(place: &Place, url: &str) -> String {
    let hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let text = format!(
        "Derive([(\"out\",\"/nix/store/6r3kfx4sbyq5yvzr9lkd9q0lh5vj2kwh-x\",\"sha256\",\"{hash}\")],[],[],\"x86_64-linux\",\"/bin/sh\",[],[(\"out\",\"/nix/store/6r3kfx4sbyq5yvzr9lkd9q0lh5vj2kwh-x\"),(\"urls\",\"{url}\")])"
    );
    place.write("00000000000000000000000000000000-x.drv", &text);
    at(place, "00000000000000000000000000000000-x.drv")
}

fn policy(place: &Place, web: &Web) {
    let host = web.base().replace("http://", "");
    place.write(
        "policy.toml",
        &format!(
            "[[exception]]\noutput = \"/nix/store/6r3kfx4sbyq5yvzr9lkd9q0lh5vj2kwh-x\"\nhosts = [\"{host}\"]\nprotocols = [\"http\"]\nprivate = true\n\
             reason = \"test\"\nexpires = 2999-01-01\n"
        ),
    );
}

/// What it says on stderr until it listens.
fn until_it_listens(child: &mut Child) -> (String, BufReader<std::process::ChildStderr>) {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening at "), "{line}");
    let address = line.trim().trim_start_matches("listening at ");
    (address.to_owned(), lines)
}

fn get(address: &str, url: &str, token: Option<&str>) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let host = url.split('/').nth(2).unwrap();
    let authorization = token.map_or_else(String::new, |token| {
        let basic = data_encoding::BASE64.encode(format!("{token}:x").as_bytes());
        format!("Proxy-Authorization: Basic {basic}\r\n")
    });
    let request =
        format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn stop(mut child: Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_takes_as_many_files_as_it_may() {
    let place = Place::new();
    let command = place.command(&["fod-proxy", "--mode", "audit", "--listen", "127.0.0.1:0"]);
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -S -n 64; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .args(["--evidence", at(&place, "evidence.jsonl").as_str()])
        // Fewer than any machine allows.
        .args(["--connections", "64"])
        .stderr(Stdio::piped());
    let mut child = few.spawn().unwrap();
    let (_, _stderr) = until_it_listens(&mut child);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[3], words[4], "{limits}");
    assert_ne!(words[3], "64");
    stop(child);
}

#[test]
fn its_memory_is_in_no_core_dump() {
    use std::os::unix::process::ExitStatusExt as _;
    let place = Place::new();
    let ended = |command: &[&std::ffi::OsStr], wait: &dyn Fn(&mut Child)| {
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
            .args(command)
            .current_dir(place.path("."))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait(&mut child);
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::ABORT).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
        status.core_dumped()
    };
    let started = |child: &mut Child| {
        let name = format!("/proc/{}/comm", child.id());
        while std::fs::read_to_string(&name).unwrap().trim() != "sleep" {
            std::thread::yield_now();
        }
    };
    let sleep = ["sleep", "60"].map(std::ffi::OsStr::new);
    if !ended(&sleep, &started) {
        let told = "SKIPPED: this test needs a machine that writes memory out (`ulimit -H -c`, core_pattern)";
        let _ = std::io::stderr().write_all(format!("{told}\n").as_bytes());
        assert!(std::env::var_os("CI").is_none(), "{told}");
        return;
    }
    let command = place.command(&["fod-proxy", "--mode", "inspect", "--listen", "127.0.0.1:0"]);
    let evidence = [at(&place, "evidence.jsonl"), at(&place, "control.sock")];
    let mut all = vec![command.get_program()];
    all.extend(command.get_args());
    let more = ["--evidence", &evidence[0], "--control", &evidence[1]];
    all.extend(more.map(std::ffi::OsStr::new));
    assert!(!ended(&all, &|child| drop(until_it_listens(child))));
}

/// The day that exceptions are held against is that of UTC, wherever the machine is: of one that ends with yesterday
/// it is said that it has ended, and of one that ends with today it is not.
#[test]
fn exceptions_end_with_a_day_of_utc() {
    let place = Place::new();
    let today = || {
        jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
    };
    let notes = |day: jiff::civil::Date, zone: &str| {
        let exception = |reason: &str, expires: jiff::civil::Date| {
            format!(
                "[[exception]]\nderivation = \"x\"\nhosts = [\"x.org\"]\nreason = \"{reason}\"\nexpires = {expires}\n"
            )
        };
        let text = exception("yesterday", day.yesterday().unwrap()) + &exception("today", day);
        place.write("policy.toml", &text);
        // It says so, and then that it listens nowhere.
        let run = place
            .command(&["fod-proxy", "--mode", "tunnel"])
            .args(["--policy", at(&place, "policy.toml").as_str()])
            .args(["--evidence", at(&place, "evidence.jsonl").as_str()])
            .env("TZ", zone)
            .output()
            .unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        ["yesterday", "today"].map(|reason| told.contains(&format!(": {reason}\n")))
    };
    // In one of these it is another day, at any time; UTC-14 of POSIX is east.
    for zone in ["UTC-14", "UTC+12"] {
        let (day, told) = loop {
            let day = today();
            let told = notes(day, zone);
            if day == today() {
                break (day, told);
            }
        };
        assert_eq!(told, [true, false], "{zone}, {day}");
    }
}

#[test]
fn builds_are_announced_judged_and_told() {
    let place = Place::new();
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let drv = derivation(&place, &web.url("/x"));
    policy(&place, &web);
    let mut child = place
        .command(&["fod-proxy", "--mode", "tunnel", "--listen", "127.0.0.1:0"])
        .args(["--policy", at(&place, "policy.toml").as_str()])
        .args(["--control", at(&place, "control.sock").as_str()])
        .args(["--evidence", at(&place, "evidence.jsonl").as_str()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (address, _stderr) = until_it_listens(&mut child);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(place.path("control.sock"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let control = UnixStream::connect(place.path("control.sock")).unwrap();
    let mut answers = BufReader::new(control.try_clone().unwrap());
    let mut ask = |request: Value| {
        writeln!(&control, "{request}").unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(ask(json!({ "status": {} }))["listeners"], json!([address]));
    let begun = ask(json!({ "begin": { "derivations": [drv] } }));
    assert_eq!(
        begun["derivations"][0]["routes"][0]["because"], "exception: test",
        "{begun}"
    );
    let token = begun["token"].as_str().unwrap().to_owned();
    assert!(get(&address, &web.url("/x"), None).starts_with("HTTP/1.1 407 "));
    assert!(get(&address, &web.url("/x"), Some(&token)).ends_with("\r\n\r\nx"));
    assert!(get(&address, "http://evil.example.org/", Some(&token)).starts_with("HTTP/1.1 403 "));
    let ended = ask(json!({ "end": { "token": token } }));
    assert_eq!(ended["verdicts"][0]["verdict"], "ok", "{ended}");
    assert_eq!(
        ask(json!({ "end": { "token": token } }))["error"],
        "that token is not in force"
    );
    let missing = ask(json!({ "begin": { "derivations": ["/nix/store/x.drv"] } }));
    assert!(
        missing["error"]
            .as_str()
            .unwrap()
            .contains("cannot read /nix/store/x.drv"),
        "{missing}"
    );
    assert!(
        ask(json!({ "forget": {} }))["error"]
            .as_str()
            .unwrap()
            .contains("no request")
    );
    stop(child);

    let evidence = |args: &[&str]| {
        let file = at(&place, "evidence.jsonl");
        let mut all = vec!["fod-evidence", file.as_str()];
        all.extend(args);
        let run = place.command(&all).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        String::from_utf8(run.stdout).unwrap()
    };
    assert_eq!(evidence(&[]).lines().count(), 4);
    assert_eq!(
        evidence(&["--kind", "build", "--verdict", "ok"])
            .lines()
            .count(),
        1
    );
    assert_eq!(
        evidence(&["--derivation", "x", "--verdict", "denied"])
            .lines()
            .count(),
        1
    );
    assert_eq!(evidence(&["--host", "evil.example.org"]).lines().count(), 1);
    insta::assert_snapshot!(evidence(&["--propose", "2027-01-31"]), @r#"
    [[exception]]
    output = "/nix/store/6r3kfx4sbyq5yvzr9lkd9q0lh5vj2kwh-x"
    hosts = ["evil.example.org"]
    protocols = ["http"]
    reason = "proposed by an audit: say why"
    expires = 2027-01-31
    "#);

    // A word that nothing has is no filter that finds nothing.
    let file = at(&place, "evidence.jsonl");
    let wrong = ["fod-evidence", file.as_str(), "--verdict", "deny"];
    let run = place.command(&wrong).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(
        told.contains("'denied'") && told.contains("would-deny, refused, ok, mismatch"),
        "{told}"
    );

    // What a server chose is shown, and not obeyed.
    let path = place.path("evidence.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let mut line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    line["host"] = json!("shown.example.org");
    line["redirect"] = json!("/a\u{202e}b\u{9b}c");
    text += &line.to_string();
    text.push('\n');
    std::fs::write(&path, &text).unwrap();
    let shown = evidence(&["--host", "shown.example.org"]);
    assert!(shown.contains(r"/a\u202eb\u009bc"), "{shown}");
    assert!(!shown.contains(['\u{202e}', '\u{9b}']), "{shown}");
}

#[test]
fn a_socket_that_listens_already_is_taken_over() {
    let place = Place::new();
    let web = Web::start().unwrap();
    web.put("/x", "x");
    place.write("drvs", &derivation(&place, &web.url("/x")));
    policy(&place, &web);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // As in the unit, whose files are for nobody else.
    let mut child = Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_snowguardd"))
        .args(["fod-proxy", "--mode", "inspect"])
        .args(["--inherit", "0", "--no-token"])
        .args(["--derivations", at(&place, "drvs").as_str()])
        .args(["--policy", at(&place, "policy.toml").as_str()])
        .args(["--evidence", at(&place, "evidence.jsonl").as_str()])
        .args(["--ca-out", at(&place, "ca.pem").as_str()])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(until_it_listens(&mut child).0, address);
    let mut told = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut told)
        .unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["listeners"], json!([address]));
    assert!(get(&address, &web.url("/x"), None).ends_with("\r\n\r\nx"));
    let pem = std::fs::read_to_string(place.path("ca.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"));
    // Who has to trust it is somebody else.
    let mode = std::fs::metadata(place.path("ca.pem"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o644);
    stop(child);
    // What was not ended is judged when the proxy ends.
    let evidence = std::fs::read_to_string(place.path("evidence.jsonl")).unwrap();
    let verdicts = std::fs::read_to_string(place.path("evidence.jsonl.verdicts")).unwrap();
    let last: Value = serde_json::from_str(verdicts.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["verdict"]),
        (&json!("build"), &json!("ok"))
    );
    assert!(evidence.contains("\"attributed\":\"listener\""));
}

#[test]
fn what_cannot_work_is_told_before_it_listens() {
    let place = Place::new();
    place.write(
        "wrong.toml",
        "[[exception]]\nhosts = [\"*\"]\nreason = \"\"\nexpires = 2027-01-01\n",
    );
    let told = |args: &[&str]| {
        let evidence = at(&place, "evidence.jsonl");
        let mut all = vec!["fod-proxy", "--evidence", evidence.as_str(), "--mode"];
        all.extend(args);
        let run = place.command(&all).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        String::from_utf8(run.stderr)
            .unwrap()
            .replace(place.root().as_str(), "DIR")
    };
    let wrong = at(&place, "wrong.toml");
    insta::assert_snapshot!(
        [
            told(&["tunnel"]),
            told(&["tunnel", "--listen", "127.0.0.1:0"]),
            told(&["replay", "--listen", "127.0.0.1:0"]),
            told(&["tunnel", "--listen", "127.0.0.1:0", "--policy", wrong.as_str()]),
            told(&["audit", "--listen", "127.0.0.1:0", "--ca-out", "ca.pem"]),
            told(&["audit", "--inherit", "99"]),
        ].join("\n"), @"
    error: the proxy listens nowhere
    hint: --listen, --unix or --inherit says where

    error: no build could ever be announced
    hint: --control or --derivations says which builds there are

    error: replay needs a record
    hint: --record DIR names one that inspect wrote

    error: cannot use DIR/wrong.toml: exception 1 of the policy file, at line 1: it names no derivation, output, class or tool
    hint: the book's page on the proxy says what it may hold

    error: only inspect and replay have an authority
    hint: leave --ca-out out: TLS is carried as it is

    error: cannot take over descriptor 99: Bad file descriptor (os error 9)
    hint: it has to be a socket on which somebody listens already
    ");
}

#[test]
fn a_thousand_at_a_time_fit_into_200_mb() {
    let place = Place::new();
    let web = Web::start().unwrap();
    web.put("/x", vec![b'x'; 100_000]);
    let drv = derivation(&place, &web.url("/x"));
    place.write("drvs", &drv);
    policy(&place, &web);
    let mut child = place
        .command(&["fod-proxy", "--mode", "inspect", "--listen", "127.0.0.1:0"])
        .args(["--no-token", "--derivations", at(&place, "drvs").as_str()])
        .args(["--policy", at(&place, "policy.toml").as_str()])
        .args(["--evidence", at(&place, "evidence.jsonl").as_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (address, _stderr) = until_it_listens(&mut child);
    let url = web.url("/x");
    let host = url.split('/').nth(2).unwrap();
    let request = format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // All are asked before one is read.
    let mut streams: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_mins(1)))
                .unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    for stream in &mut streams {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.len() > 100_000);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(kib < 200_000, "{kib} KiB");
    stop(child);
    let evidence = std::fs::read_to_string(place.path("evidence.jsonl")).unwrap();
    assert_eq!(evidence.matches("\"kind\":\"request\"").count(), 1000);
}
