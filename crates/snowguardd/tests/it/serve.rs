//! `serve` as a process: what it says, whom it lets in, what it refuses, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Place;

/// A server that is killed when this is dropped.
pub(crate) struct Serving {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    /// The address with the token.
    way_in: String,
}

impl Serving {
    pub(crate) fn start(place: &Place, more: &[&str]) -> Self {
        let mut args = vec![
            "serve",
            "--database",
            "tracker.db",
            "--listen",
            "127.0.0.1:0",
        ];
        args.extend(more);
        let mut command = place.command(&args);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut way_in = String::new();
        while !way_in.contains("log in once at ") {
            way_in.clear();
            assert!(stderr.read_line(&mut way_in).unwrap() > 0, "it ended");
        }
        Self {
            way_in: way_in
                .split("log in once at ")
                .nth(1)
                .unwrap()
                .trim()
                .to_owned(),
            child,
            stderr,
        }
    }

    pub(crate) fn ask(url: &str) -> String {
        let rest = url.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn base(&self) -> &str {
        self.way_in.split_once("/login").unwrap().0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_one_person_and_ends_when_it_is_told() {
    let place = Place::new();
    let mut serving = Serving::start(&place, &["--log", "json"]);
    assert!(Serving::ask(&format!("{}/readyz", serving.base())).ends_with("ready\n"));
    let home = Serving::ask(&format!("{}/", serving.base()));
    assert!(home.contains("Nothing is here yet"), "{home}");
    let way_in = serving.way_in.clone();
    assert!(Serving::ask(&way_in).starts_with("HTTP/1.1 303"));
    assert!(Serving::ask(&way_in).starts_with("HTTP/1.1 403"), "once");
    kill_process(Pid::from_child(&serving.child), Signal::TERM).unwrap();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    serving.stderr.read_to_string(&mut log).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let paths: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["fields"]["path"].as_str())
        .collect();
    assert_eq!(paths, ["/readyz", "/", "/login/local", "/login/local"]);
    let token = way_in.split_once("token=").unwrap().1;
    assert!(!log.contains(token), "no secret is logged");
    // What was there is there again, with another token.
    let again = Serving::start(&place, &[]);
    assert_ne!(again.way_in, way_in);
}

#[test]
fn the_sample_is_there_at_once() {
    let place = Place::new();
    let serving = Serving::start(&place, &["--sample"]);
    let ask = |path: &str| Serving::ask(&format!("{}{path}", serving.base()));
    let home = ask("/");
    assert!(
        home.contains("Most pressing") && home.contains("corepkgs-2026"),
        "{home}"
    );
    let package = ask("/packages/openssl");
    assert!(
        package.contains("Affected in corepkgs-2026 and nixpkgs-20.09"),
        "{package}"
    );
    drop(serving);
    // What is there is left as it is.
    let again = Serving::start(&place, &["--sample"]);
    assert!(Serving::ask(&format!("{}/channels", again.base())).contains("nixpkgs-20.09"));
}

#[test]
fn what_it_refuses() {
    let place = Place::new();
    place.write("secret", "hush\n");
    let refused = |args: &[&str]| {
        let mut all = vec!["serve", "--database", "tracker.db"];
        all.extend(args);
        let run = place.command(&all).output().unwrap();
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8(run.stderr).unwrap()
    };
    insta::assert_snapshot!(
        [
            refused(&["--listen", "0.0.0.0:0"]),
            refused(&["--github-client-id", "app"]),
            refused(&["--github-client-id", "app", "--github-secret-file", "secret"]),
            refused(&["--github-client-id", "app", "--github-secret-file", "none", "--url", "https://a.example"]),
        ]
        .join("\n"),
        @"
    error: cannot serve one person at 0.0.0.0:0, where others reach it
    hint: listen at 127.0.0.1, or let people log in with GitHub

    error: logging in with GitHub needs the secret of the application
    hint: give its file with --github-secret-file, or credential:NAME

    error: GitHub must know where to lead people back
    hint: give the address under which they reach this server with --url

    error: cannot read the secret in none: No such file or directory (os error 2)
    "
    );
}
