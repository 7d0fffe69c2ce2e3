//! The loop closed: what people decide in a tracker reaches every scan, signed on the way.

use jiff::Timestamp;
use serde_json::Value;
use snowguard_db::Database;
use snowguard_matching::suppress::Justification;
use snowguard_tracker::decide::{Actor, Request, act};
use snowguard_triage::{Act, Role, State};

use crate::day::run;
use crate::serve::Serving;
use crate::support::Place;

/// Both are of openssl 1.1.1g, which the sample has in nixpkgs-20.09 and the example system has too.
const CLEARED: &str = "CVE-2021-3711";
const CONFIRMED: &str = "CVE-2021-3712";

fn decide(place: &Place, advisory: &str, state: State) {
    let database = Database::open(place.path("tracker.db").to_str().unwrap()).unwrap();
    let finding = database
        .read(|session| {
            let rows = session.query(
                "SELECT f.id FROM finding f JOIN package p ON p.id = f.package \
                 JOIN advisory a ON a.id = f.advisory WHERE p.key = 'openssl' AND a.name = $1",
                &[advisory.into()],
            )?;
            rows.first().unwrap().get(0)
        })
        .unwrap();
    let team = Actor {
        account: None,
        role: Role::Security,
        maintainer: None,
    };
    let request = Request {
        finding,
        revision: None,
        act: Act::Decide(state),
    };
    act(&database, team, &[request], "looked at", Timestamp::now()).unwrap();
}

/// Runs the program; gives what it printed, and what it said.
#[track_caller]
fn ran(place: &Place, code: i32, args: &[&str]) -> (String, String) {
    let run = run(place, args);
    assert_eq!(run.status.code(), Some(code), "{args:?}: {run:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(run.stdout), text(run.stderr))
}

struct Site {
    place: Place,
    serving: Serving,
    key: String,
}

impl Site {
    fn start() -> Self {
        let place = Place::new();
        let serving = Serving::start(
            &place,
            &["--sample", "--site", "Lantern", "--repository", "public"],
        );
        let facts = |name: &str| {
            format!(
                "{}/../../data/advisories/{name}.jsonl",
                env!("CARGO_MANIFEST_DIR")
            )
        };
        let (cve, nvd) = (facts("cve5"), facts("nvd"));
        ran(
            &place,
            0,
            &["--index", "made.idx", "advisories", "import", &cve, &nvd],
        );
        let (key, _) = ran(
            &place,
            0,
            &["advisories", "key", "key", "--name", "lantern-1"],
        );
        Self {
            place,
            serving,
            key: key.trim().to_owned(),
        }
    }

    /// What the timer does on the machine that has the key.
    fn publish(&self, code: i32, document: &str) -> (String, String) {
        let address = format!("{}{document}", self.serving.base());
        let args = [
            "--index",
            "made.idx",
            "advisories",
            "publish",
            "--to",
            "public",
            "--key",
            "key",
            "--triage",
        ];
        ran(&self.place, code, &[&args[..], &[&address]].concat())
    }

    /// What a client does: it knows the address of the tracker, and the key.
    fn update(&self, code: i32, key: &str) -> (String, String) {
        let args = [
            "--index",
            "mine.idx",
            "advisories",
            "update",
            "--from",
            self.serving.base(),
            "--key",
            key,
        ];
        ran(&self.place, code, &args)
    }

    /// What a scan says of the two.
    fn scan(&self, more: &[&str]) -> [Value; 2] {
        let example = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../examples/nixos-20.09.json.zst"
        );
        let args = [
            "--index", "mine.idx", "scan", example, "--format", "json", "--quiet",
        ];
        let (json, _) = ran(&self.place, 1, &[&args[..], more].concat());
        let report: Value = serde_json::from_str(&json).unwrap();
        let packages = report["packages"].as_array().unwrap();
        let openssl = packages
            .iter()
            .find(|package| package["name"] == "openssl")
            .unwrap();
        [CLEARED, CONFIRMED].map(|id| {
            let mut findings = openssl["findings"].as_array().unwrap().iter();
            findings
                .find(|finding| finding["id"] == id)
                .unwrap()
                .clone()
        })
    }
}

#[test]
fn what_is_decided_in_the_tracker_is_known_to_every_scan() {
    let site = Site::start();
    // Nothing is published yet.
    let (_, told) = site.update(2, &site.key);
    assert!(told.contains("there is no signed index at"), "{told}");
    site.publish(0, "/triage.json.zst");
    let (told, _) = site.update(0, &site.key);
    assert!(told.ends_with("decisions of a tracker: 0\n"), "{told}");
    let [one, two] = site.scan(&[]);
    assert_eq!(
        (&one["triage"], &two["triage"]),
        (&Value::Null, &Value::Null)
    );

    let justification = Justification::VulnerableCodeNotPresent;
    decide(&site.place, CLEARED, State::NotAffected { justification });
    decide(&site.place, CONFIRMED, State::Confirmed);
    site.publish(0, "/triage.json");
    let (told, _) = site.update(0, &site.key);
    assert!(told.ends_with("decisions of a tracker: 2\n"), "{told}");
    let [one, two] = site.scan(&["--channel", "nixpkgs-20.09"]);
    assert_eq!(one["suppressed"]["origin"], "Lantern");
    assert_eq!(
        one["suppressed"]["justification"],
        "vulnerable_code_not_present"
    );
    assert_eq!(two["suppressed"], Value::Null);
    assert_eq!(two["triage"]["state"], "confirmed");
    let mut channels = two["triage"]["channels"].as_array().unwrap().iter();
    let yours = channels.find(|channel| channel["yours"] == true).unwrap();
    assert_eq!(
        (&yours["name"], &yours["status"]),
        (&"nixpkgs-20.09".into(), &"affected".into())
    );
    // The link leads to the page.
    let page = Serving::ask(two["triage"]["url"].as_str().unwrap());
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains(CONFIRMED),
        "{page}"
    );
    // Switched off.
    let [one, _] = site.scan(&["--triage", "ignore"]);
    assert_eq!(
        (&one["suppressed"], &one["triage"]),
        (&Value::Null, &Value::Null)
    );

    let head = |path: &str| Serving::ask(&format!("{}{path}", site.serving.base()));
    assert!(head("/triage.json").contains("content-type: application/json"));
    assert!(head("/repository/metadata/timestamp.json").contains("max-age=60"));
    assert!(head("/repository/metadata/1.root.json").contains("immutable"));

    // What is taken back is no longer said.
    decide(&site.place, CLEARED, State::Untriaged);
    site.publish(0, "/triage.json.zst");
    site.update(0, &site.key);
    let [one, two] = site.scan(&[]);
    assert_eq!(
        (&one["suppressed"], &one["triage"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(two["triage"]["state"], "confirmed");
}

#[test]
fn what_the_tracker_did_not_sign_is_not_believed() {
    let site = Site::start();
    decide(&site.place, CONFIRMED, State::Confirmed);
    site.publish(0, "/triage.json.zst");
    site.update(0, &site.key);
    let before = site.scan(&[]);
    let unchanged = |what: &str| assert_eq!(site.scan(&[]), before, "{what}");

    // A page is no document; what is published stays.
    let (_, told) = site.publish(2, "/data");
    assert!(told.contains("this is no triage document"), "{told}");
    let (_, told) = site.publish(2, "/nowhere");
    assert!(told.contains("404"), "{told}");
    site.update(0, &site.key);
    unchanged("a page");

    let (other, _) = ran(&site.place, 0, &["advisories", "key", "other"]);
    let (_, told) = site.update(2, other.trim());
    assert!(told.contains("signed with another key"), "{told}");
    unchanged("another key");

    let timestamp = site.place.path("public/metadata/timestamp.json");
    let old = std::fs::read(&timestamp).unwrap();
    site.publish(0, "/triage.json.zst");
    let new = std::fs::read(&timestamp).unwrap();
    site.update(0, &site.key);
    std::fs::write(&timestamp, old).unwrap();
    let (_, told) = site.update(2, &site.key);
    assert!(told.contains("older state"), "{told}");
    unchanged("a rollback");
    std::fs::write(&timestamp, new).unwrap();

    // One that has expired: as a tracker that stands still.
    let args = [
        "--index",
        "made.idx",
        "advisories",
        "publish",
        "--to",
        "public",
        "--key",
        "key",
        "--expires",
        "0.00001h",
    ];
    ran(&site.place, 0, &args);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let (_, told) = site.update(2, &site.key);
    assert!(told.contains("has expired"), "{told}");
    unchanged("a freeze");

    // Nothing but what was published is given out.
    for path in [
        "/repository/../key",
        "/repository/metadata/..%2F..%2Fkey",
        "/repository/.lock",
        "/repository/metadata/",
    ] {
        let answer = Serving::ask(&format!("{}{path}", site.serving.base()));
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(!answer.contains("lantern-1:"), "{path}");
    }
}
