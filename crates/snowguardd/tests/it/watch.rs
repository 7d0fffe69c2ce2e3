//! `snowguardd watch`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};

use crate::support::{Place, report, until};

#[test]
fn a_new_system_and_new_advisories_are_scanned() {
    let place = Place::with_scanner();
    place.finds("1.1.1g", &["CVE-2026-1"]);
    let watch = place.watch(&[]);
    place.until("the first scan", |history| {
        history.last_event().unwrap() == 1
    });
    place.finds("1.1.1h", &["CVE-2026-2"]);
    place.system("second");
    place.until("the new system", |history| {
        history.last_event().unwrap() == 3
    });
    place.write(
        "scan.json",
        &report(101, "1.1.1h", &["CVE-2026-2", "CVE-2026-3"]),
    );
    place.write("advisories.idx", "new");
    place.until("the new advisories", |history| {
        history.last_event().unwrap() == 4
    });
    assert_eq!(
        place.told(),
        [
            "baseline",
            "opened CVE-2026-2 system",
            "fixed CVE-2026-1 system",
            "opened CVE-2026-3 advisories",
        ]
    );
    assert_eq!(watch.stop(), Some(0));
    // A restart finds nothing new, and what happened meanwhile.
    let watch = place.watch(&[]);
    place.finds("1.1.1i", &[]);
    place.system("third");
    place.until("what happened meanwhile", |history| {
        history.last_event().unwrap() == 6
    });
    watch.kill();
}

#[test]
fn a_failed_scan_is_kept_and_tried_again() {
    let place = Place::with_scanner();
    let works = std::fs::read_to_string(place.path("scanner")).unwrap();
    std::fs::write(
        place.path("scanner"),
        "#!/bin/sh\necho error: no store >&2\nexit 2\n",
    )
    .unwrap();
    place.finds("1.1.1g", &["CVE-2026-1"]);
    let _watch = place.watch(&[]);
    place.until("a failure", |history| {
        let targets = history.targets().unwrap();
        targets.iter().any(|target| {
            target
                .failing
                .as_ref()
                .is_some_and(|f| f.error == "the scan failed: no store")
        })
    });
    std::fs::write(place.path("scanner"), works).unwrap();
    place.until("the next try", |history| history.last_event().unwrap() == 1);
    assert_eq!(place.told(), ["baseline"]);
}

#[test]
fn once() {
    let place = Place::with_scanner();
    place.finds("1.1.1g", &["CVE-2026-1"]);
    let run = place
        .command(&["watch", "--config", "watch.toml", "--once"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    assert_eq!(place.told(), ["baseline"]);
    assert_eq!(place.history().reading().unwrap().last_event().unwrap(), 1);
}

#[test]
fn systemd_is_told() {
    let place = Place::with_scanner();
    place.finds("1.1.1g", &[]);
    let systemd = UnixDatagram::bind(place.path("notify")).unwrap();
    systemd
        .set_read_timeout(Some(std::time::Duration::from_mins(1)))
        .unwrap();
    let _watch = crate::support::Running::start(
        place
            .command(&["watch", "--config", "watch.toml"])
            .env("NOTIFY_SOCKET", place.path("notify"))
            .env("WATCHDOG_USEC", "200000"),
    );
    let mut heard = Vec::new();
    let mut buffer = [0; 500];
    while heard.len() < 50 {
        let length = systemd.recv(&mut buffer).unwrap();
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        let has = |what: &str| heard.iter().any(|line| line.starts_with(what));
        if has("READY=1") && has("WATCHDOG=1") && has("STATUS=next scan: system") {
            return;
        }
    }
    panic!("{heard:?}");
}

#[test]
fn metrics_over_a_socket_and_in_a_file() {
    let place = Place::with_scanner();
    place.finds("1.1.1g", &["CVE-2026-1"]);
    let socket = format!("unix:{}/metrics.sock", place.root());
    // A socket of a process that was killed is in the way.
    drop(std::os::unix::net::UnixListener::bind(place.path("metrics.sock")).unwrap());
    let _watch = place.watch(&["--metrics", &socket, "--metrics-file", "snowguard.prom"]);
    place.until("the first scan", |history| {
        history.last_event().unwrap() == 1
    });
    let expected = "\nsnowguard_findings{target=\"system\",severity=\"high\"} 1\n";
    until("the file", || {
        std::fs::read_to_string(place.path("snowguard.prom"))
            .is_ok_and(|text| text.contains(expected))
    });
    let mut stream = UnixStream::connect(place.path("metrics.sock")).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("text/plain; version=0.0.4") && answer.contains(expected),
        "{answer}"
    );
}

#[test]
fn what_it_refuses() {
    let place = Place::with_scanner();
    let fails = |args: &[&str]| {
        let run = place.command(args).output().unwrap();
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8(run.stderr)
            .unwrap()
            .replace(place.root().as_str(), "[PLACE]")
    };
    let mut told = fails(&["watch", "--metrics", "0.0.0.0:9187"]);
    told += &fails(&["watch", "--config", "absent.toml"]);
    std::fs::write(
        place.path("state/watch.sqlite"),
        "this is no database at all",
    )
    .unwrap();
    told += &fails(&["watch"]);
    insta::assert_snapshot!(told);
}
