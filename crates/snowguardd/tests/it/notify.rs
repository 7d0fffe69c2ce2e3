//! `snowguardd notify`.
#![expect(
    clippy::used_underscore_binding,
    reason = "the macro of an interface passes every argument on"
)]

use std::collections::HashMap;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Place, Running, until};

/// A place in which the first scan was told by nobody yet.
fn scanned(more: &str) -> Place {
    let place = Place::with_scanner();
    let settings = std::fs::read_to_string(place.path("watch.toml")).unwrap();
    place.write("watch.toml", &format!("{settings}{more}"));
    place.finds("1.1.1g", &["CVE-2026-1"]);
    scan(&place);
    place
}

fn scan(place: &Place) {
    let run = place
        .command(&["watch", "--config", "watch.toml", "--once"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn a_summary_first_and_then_what_changed() {
    let place = scanned("");
    let settings = std::fs::read_to_string(place.path("watch.toml")).unwrap();
    place.write(
        "watch.toml",
        &format!("{settings}[notify.file]\npath = '{}/told'\n", place.root()),
    );
    let told = || {
        let run = place.notifier("file", &["--once"]).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        let text = std::fs::read_to_string(place.path("told")).unwrap();
        text.lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["schema"], "snowguard-change/1");
                line["kind"].as_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(told(), ["baseline"]);
    place.finds("1.1.1h", &["CVE-2026-2"]);
    place.system("second");
    scan(&place);
    assert_eq!(told(), ["baseline", "opened", "fixed"]);
    assert_eq!(told().len(), 3);
}

#[test]
fn the_journal() {
    let place = scanned("");
    let socket = place.path("journal");
    let journal = UnixDatagram::bind(&socket).unwrap();
    let settings = std::fs::read_to_string(place.path("watch.toml")).unwrap();
    place.write(
        "watch.toml",
        &format!(
            "{settings}[notify.journal]\nsocket = '{}'\n",
            socket.display()
        ),
    );
    assert!(
        place
            .notifier("journal", &["--once"])
            .status()
            .unwrap()
            .success()
    );
    let mut buffer = [0; 10_000];
    let length = journal.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert!(
        text.contains("MESSAGE_ID=") && text.contains("1 open finding in system"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_told_is_an_error_once_and_tried_again_otherwise() {
    let place = scanned("[notify.file]\npath = '/nowhere/at/all'\n");
    let run = place.notifier("file", &["--once"]).output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let absent = ["--once", "--history", "/nowhere/history.sqlite"];
    let more = place
        .command(&["notify", "journal", absent[0], absent[1], absent[2]])
        .output()
        .unwrap();
    let unset = place.notifier("mail", &["--once"]).output().unwrap();
    let told: Vec<String> = [run, more, unset]
        .iter()
        .map(|run| String::from_utf8_lossy(&run.stderr).into_owned())
        .collect();
    insta::assert_snapshot!(told.concat());
    // Before it is ready, the signal ends it as it ends any process.
    let systemd = UnixDatagram::bind(place.path("notify")).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let running = Running::start(
        place
            .notifier("file", &[])
            .env("NOTIFY_SOCKET", place.path("notify"))
            .stderr(Stdio::null()),
    );
    let mut buffer = [0; 100];
    let length = systemd.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"READY=1"));
    assert_eq!(running.stop(), Some(0));
}

/// What a notification service was asked for: the id to replace, the summary, the body, the urgency.
type Shown = Arc<Mutex<Vec<(u32, String, String)>>>;

struct Service(Shown);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    fn notify(
        &self,
        _app: &str,
        replaces: u32,
        _icon: &str,
        summary: &str,
        body: &str,
        _actions: Vec<String>,
        _hints: HashMap<String, zbus::wire::OwnedVariant>,
        _timeout: i32,
    ) -> u32 {
        self.0
            .lock()
            .unwrap()
            .push((replaces, summary.to_owned(), body.to_owned()));
        7
    }

    #[expect(clippy::unused_self, reason = "it is a method of the service")]
    fn get_capabilities(&self) -> Vec<String> {
        vec!["body-markup".to_owned()]
    }
}

/// A session bus of this test.
fn bus(place: &Place) -> (Running, String) {
    let address = format!("unix:path={}/bus", place.root());
    place.write(
        "bus.conf",
        &format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\
             <busconfig><type>session</type><listen>{address}</listen><policy context=\"default\">\
             <allow send_destination=\"*\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>"
        ),
    );
    let config = format!("--config-file={}/bus.conf", place.root());
    let daemon = Running::start(Command::new("dbus-daemon").args([
        config.as_str(),
        "--nofork",
        "--nopidfile",
    ]));
    until("the bus", || place.path("bus").exists());
    (daemon, address)
}

#[test]
fn a_desktop_notification_takes_the_place_of_the_one_before() {
    let place = scanned("");
    let (_daemon, address) = bus(&place);
    let shown = Shown::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = Service(Arc::clone(&shown));
    let at: zbus::Address = address.parse().unwrap();
    let _connection = runtime
        .block_on(async {
            let connection = zbus::connection::Builder::address(at)
                .name("org.freedesktop.Notifications")
                .serve_at("/org/freedesktop/Notifications", service)
                .build();
            tokio::time::timeout(Duration::from_mins(1), connection).await
        })
        .unwrap()
        .unwrap();
    let _notifier = Running::start(
        place
            .notifier("desktop", &[])
            .env("DBUS_SESSION_BUS_ADDRESS", &address),
    );
    until("the summary", || shown.lock().unwrap().len() == 1);
    place.finds("<i>2", &["CVE-2026-2"]);
    place.system("second");
    scan(&place);
    until("the change", || shown.lock().unwrap().len() == 2);
    let shown = shown.lock().unwrap();
    assert_eq!((shown[0].0, shown[1].0), (0, 7));
    assert!(
        shown[0].1.ends_with(": 1 open finding in system"),
        "{shown:?}"
    );
    assert!(
        shown[1]
            .2
            .contains("openssl &lt;i&gt;2: update to 1.1.1za or later"),
        "{shown:?}"
    );
}
