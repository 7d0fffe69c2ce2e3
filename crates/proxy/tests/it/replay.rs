//! What inspect records, replay answers with; offline.

use snowguard_fod::policy::Exceptions;
use snowguard_proxy::{Mode, Proxy};
use snowguard_testkit::web::{Fault, Web};

use crate::support::{Place, Running, loopback, requests};

#[test]
fn what_was_recorded_is_had_again_without_a_server() {
    let web = Web::start().unwrap();
    web.put("/x", "what it should be");
    web.fail_always("/old", Fault::Redirect(web.url("/x?sig=1")));
    let place = Place::new();
    let record = place.root().join("record");
    let exceptions = || loopback(&[&web.base()]);
    let mut settings = place.settings(Mode::Inspect, exceptions());
    settings.record = Some(record.clone());
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/old"), b"what it should be");
    let session = running.begin(&[&drv]);
    assert!(
        running
            .curl(&session, &["--location", &web.url("/old")])
            .good
    );
    running.stop();
    let mode = |path: &str| {
        let data = std::fs::metadata(record.join(path)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o777
    };
    assert_eq!((mode(""), mode("index.jsonl")), (0o700, 0o600));
    web.seen();

    let mut settings = place.settings(Mode::Replay, exceptions());
    settings.record = Some(record.clone());
    let running = Running::start(settings);
    let session = running.begin(&[&drv]);
    let got = running.curl(&session, &["--location", &web.url("/old")]);
    assert!(
        got.answer.ends_with("what it should be"),
        "{} {}",
        got.answer,
        got.stderr
    );
    let got = running.curl(&session, &["--head", &web.url("/x?sig=1")]);
    assert!(
        got.good && got.answer.contains("Content-Length: 17"),
        "{}",
        got.answer
    );
    // By its hash, whatever its address is by now.
    let got = running.curl(&session, &[&web.url("/moved")]);
    assert!(got.answer.ends_with("what it should be"), "{}", got.answer);
    assert_eq!(running.end(&session)["verdict"], "ok");
    // What was not recorded is not there, and what is not allowed is denied here as well.
    let other = place.drv("source", &web.url("/y"), b"y");
    let session = running.begin(&[&other]);
    let got = running.curl(&session, &[&web.url("/y")]);
    assert!(
        got.answer.contains("Snowguard-Reason: not-recorded"),
        "{}",
        got.answer
    );
    let got = running.curl(&session, &["http://evil.example.org/x"]);
    assert!(
        got.answer.contains("Snowguard-Reason: other-host"),
        "{}",
        got.answer
    );
    assert!(web.seen().is_empty());
    let evidence = running.stop();
    let modes: Vec<_> = requests(&evidence)
        .iter()
        .map(|line| line["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes[..3], ["inspect", "inspect", "replay"]);
}

#[test]
fn a_record_that_was_changed_does_not_pass() {
    let web = Web::start().unwrap();
    web.put("/x", "what it should be");
    let place = Place::new();
    let record = place.root().join("record");
    let mut settings = place.settings(Mode::Inspect, loopback(&[&web.base()]));
    settings.record = Some(record.clone());
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"what it should be");
    let session = running.begin(&[&drv]);
    assert!(running.curl(&session, &[&web.url("/x")]).good);
    running.stop();
    for body in std::fs::read_dir(record.join("sha256")).unwrap() {
        std::fs::write(body.unwrap().path(), "what it is instead").unwrap();
    }
    let mut settings = place.settings(Mode::Replay, loopback(&[&web.base()]));
    settings.record = Some(record);
    let running = Running::start(settings);
    let session = running.begin(&[&drv]);
    assert!(!running.curl(&session, &[&web.url("/x")]).good);
    let evidence = running.stop();
    assert_eq!(requests(&evidence)[1]["reason"], "record-damaged");
}

#[test]
fn an_index_that_says_what_no_server_could_is_refused() {
    let web = Web::start().unwrap();
    web.put_with("/x", "x", &[("Content-Type", "text/plain")], None);
    let place = Place::new();
    let record = place.root().join("record");
    let mut settings = place.settings(Mode::Inspect, loopback(&[&web.base()]));
    settings.record = Some(record.clone());
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    assert!(running.curl(&session, &[&web.url("/x")]).good);
    running.stop();
    let index = record.join("index.jsonl");
    let good = std::fs::read_to_string(&index).unwrap();
    let changes = [
        // An answer before the real one, headers of one's own.
        ("\"status\":200", "\"status\":103"),
        ("text/plain", "text/plain\\r\\nX-Injected: yes"),
        ("\"content-type\"", "\"x-injected\""),
        ("\"headers\"", "\"to\":\"/\\n\",\"headers\""),
        ("\"sha256\":\"", "\"sha256\":\"../"),
    ];
    let told = changes.map(|(from, to)| {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        std::fs::write(&index, changed).unwrap();
        let mut settings = place.settings(Mode::Replay, Exceptions::default());
        settings.record = Some(record.clone());
        let error = Proxy::new(settings, jiff::Zoned::now().date())
            .err()
            .unwrap();
        let cause = std::error::Error::source(&error).unwrap();
        let cause = cause.to_string().replace(place.root().as_str(), "DIR");
        format!("{cause}; {}", error.hint().unwrap())
    });
    insta::assert_snapshot!(told.join("\n"), @"
    DIR/record/index.jsonl, line 1: its `status` is none that is recorded; somebody changed it: take that line out, or record anew with --mode inspect
    DIR/record/index.jsonl, line 1: a header would end in the middle of its value; somebody changed it: take that line out, or record anew with --mode inspect
    DIR/record/index.jsonl, line 1: one of its `headers` is none that is recorded; somebody changed it: take that line out, or record anew with --mode inspect
    DIR/record/index.jsonl, line 1: a header would end in the middle of its value; somebody changed it: take that line out, or record anew with --mode inspect
    DIR/record/index.jsonl, line 1: its `sha256` is no SHA-256; somebody changed it: take that line out, or record anew with --mode inspect
    ");
}

#[test]
fn modes_say_what_they_need() {
    let place = Place::new();
    let today = jiff::Zoned::now().date();
    let told = |mode, record: bool| {
        let mut settings = place.settings(mode, Exceptions::default());
        settings.record = record.then(|| place.root().join("nowhere"));
        match Proxy::new(settings, today) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(told(Mode::Replay, false), "replay needs a record");
    assert_eq!(told(Mode::Replay, true), "cannot use the record");
    assert_eq!(
        told(Mode::Tunnel, true),
        "only inspect sees what could be recorded"
    );
}
