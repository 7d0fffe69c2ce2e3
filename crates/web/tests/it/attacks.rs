//! What somebody who means ill sends: statements for the database, markup for readers, names of what is
//! another's. `SECURITY.md` says which attack is tested where.

use snowguard_db::Database;
use snowguard_testkit::browser::{Browser, View};
use snowguard_testkit::database::Scratch;
use snowguard_web::{Rate, Settings};
use url::form_urlencoded::byte_serialize;

use crate::support::{Server, Visitor};
use crate::whole::{fill, named, somebody, wait};
use crate::world::World;

/// What would be executed if a text were taken for a part of a statement, a path, markup or a header.
const HOSTILE: [&str; 12] = [
    "' OR '1'='1",
    "'; DROP TABLE finding; --",
    "1); DELETE FROM event; --",
    "\" UNION SELECT name, role FROM account --",
    "one%' --",
    "$1",
    "{in:1}",
    "\\'; SELECT pg_sleep(10); --",
    "../../../../etc/passwd",
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror=window.pwned=1>",
    "a\r\nSet-Cookie: pwned=1",
];

fn patient() -> Settings {
    let mut settings = Settings::local();
    let much = Rate {
        burst: 100_000,
        per_second: 100_000.0,
    };
    settings.limits.reading = much;
    settings.limits.writing = much;
    settings
}

/// How many rows each table has that people care for.
fn rows_of(server: &Server) -> Vec<i64> {
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows = server.database.read(|s| s.query(&sql, &[])).unwrap();
        rows.first().unwrap().get::<i64>(0).unwrap()
    };
    [
        "finding",
        "package",
        "advisory",
        "account",
        "issue",
        "memory",
        "event",
        "token",
        "subscription",
        "channel",
    ]
    .map(count)
    .to_vec()
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn segment(text: &str) -> String {
    encoded(text).replace('+', "%20")
}

/// Every address and every field, with every text: nothing fails within, and nothing is changed.
fn nothing_comes_through(scratch: Scratch) {
    let server = Server::over(scratch, |_| patient(), fill);
    let visitor = server.log_in();
    let before = rows_of(&server);
    let good = |status: u16, what: &str, text: &str| {
        assert!(
            matches!(status, 200 | 303 | 308 | 400 | 403 | 404 | 409 | 413 | 422),
            "{what} with {text:?}: {status}"
        );
    };
    for text in HOSTILE {
        let name = segment(text);
        for path in [
            format!("/packages/{name}"),
            format!("/packages/one/{name}"),
            format!("/packages/{name}/CVE-2026-0001"),
            format!("/advisories/{name}"),
            format!("/advisories/{name}/publish"),
            format!("/maintainers/{name}"),
            format!("/channels/{name}"),
            format!("/issues/{name}"),
            format!("/issues/{name}.osv.json"),
            format!("/issues/{name}/edit"),
            format!("/secdb/{name}.json"),
            format!("/rules/{name}"),
            format!(
                "/rules/one?preview=1&product={name}&verdict=deny&channel={name}&reason={name}"
            ),
            format!("/atom/packages/{name}"),
            format!("/atom/search?q={name}"),
            format!("/search?q={name}"),
            format!("/search?q=one&kind={name}"),
            format!("/search?q=one&cursor={name}"),
            format!("/queue?by={name}"),
            format!("/queue?channel={name}&assignee={name}"),
            format!("/queue?cursor={name}"),
            format!("/activity?actor={name}"),
            format!("/activity?cursor={name}"),
            format!("/issues?cursor={name}"),
            format!("/admin?cursor={name}"),
            format!("/subscriptions/confirm?token={name}"),
            format!("/subscriptions/end?token=1.{name}"),
            format!("/login?back={name}"),
            format!("/?done={name}&event={name}&count={name}"),
        ] {
            for path in [path.clone(), format!("/api/v1{path}")] {
                let answer = visitor.get(&server, &path);
                good(answer.status, &path, text);
                let kind = answer.header("content-type").unwrap_or_default();
                if kind.starts_with("text/html") {
                    assert!(!answer.body.contains("<script>window.pwned"), "{path}");
                    assert!(!answer.body.contains("<img src=x"), "{path}");
                }
                assert_eq!(answer.cookie("pwned"), None, "{path}");
            }
        }
        let value = encoded(text);
        for (path, fields) in [
            ("/decide", "f=@&state=confirmed"),
            ("/decide", "f=1.0&state=@"),
            ("/decide", "f=1.0&state=duplicate&duplicate_of=@"),
            ("/undo", "event=@"),
            ("/publish", "advisory=@&title=@&text=@"),
            ("/edit", "issue=@&revision=@&title=@"),
            ("/withdraw", "issue=@&revision=@&reason=@"),
            ("/remember", "package=one&product=@&verdict=deny&reason=x"),
            (
                "/remember",
                "package=one&product=a:b&verdict=deny&reason=x&expires=@",
            ),
            ("/forget", "rule=@&reason=@"),
            ("/drop", "channel=@&reason=@"),
            (
                "/subscribe",
                "kind=package&name=@&way=webhook&target=https://x.org&pace=daily",
            ),
            (
                "/subscribe",
                "kind=everything&way=webhook&target=@&pace=daily",
            ),
            ("/unsubscribe", "subscription=@"),
            ("/settings/tokens/revoke", "token=@"),
            ("/settings/sessions/end", "session=@"),
            ("/admin/role", "account=@&role=@"),
        ] {
            let form = fields.replace('@', &value);
            let answer = visitor.post(&server, path, &form);
            good(answer.status, path, text);
        }
    }
    // One of them is a product as a rule has it, which is then stored as it is.
    let rules = server
        .database
        .read(|s| {
            s.query("SELECT product FROM memory", &[])
                .and_then(|rows| rows.map(|row| row.get::<String>(0)))
        })
        .unwrap();
    assert_eq!(rules, ["{in:1}"]);
    server
        .database
        .write(|s| s.batch("DELETE FROM memory; DELETE FROM event;"))
        .unwrap();
    let after = rows_of(&server);
    assert_eq!(after, before, "nothing else was added, and nothing is gone");
}

#[test]
fn no_text_is_taken_for_a_statement_by_sqlite() {
    nothing_comes_through(Scratch::sqlite().unwrap());
}

#[test]
fn no_text_is_taken_for_a_statement_by_postgres() {
    nothing_comes_through(Scratch::postgres().unwrap());
}

const MARKUP: &str = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>";

/// A package, an advisory, a maintainer and people's words that are markup.
fn infested(db: &Database) {
    let mut world = World::new(db);
    let package = "x\"><svg onload=window.pwned=1>";
    world.evaluate(
        "nixos-unstable",
        &[
            ("one", package, "1.0<b>", "https://one.org/"),
            ("two", "one", "1.0", "https://one.org/"),
        ],
    );
    let records = format!(
        r#"{{"id":"CVE-2026-0001","summary":{:?},"affects":[{{"products":["one:one"],"default":"unaffected","rules":["<1.5"]}}]}}"#,
        format!("A title {MARKUP} [x](javascript:window.pwned=1)")
    );
    world.records("cve", &records);
    world.settle();
    db.write(|s| {
        s.execute(
            "UPDATE package SET name = $1 WHERE key = 'one'",
            &[MARKUP.into()],
        )?;
        s.execute("UPDATE advisory SET description = $1", &[MARKUP.into()])?;
        s.execute("UPDATE maintainer SET name = $1", &[MARKUP.into()])
    })
    .unwrap();
    snowguard_tracker::view::load::count(db, world.now()).unwrap();
}

/// In a real browser: no script of others runs, and the policy has nothing to complain about, since nothing of
/// it became markup.
#[test]
fn names_and_texts_of_others_are_no_markup_on_any_page() {
    let server = Server::over(Scratch::sqlite().unwrap(), |_| patient(), infested);
    let visitor = server.log_in();
    let markup = encoded(MARKUP);
    let finding = named(&server, "one", "CVE-2026-0001");
    for (path, form) in [
        (
            "/decide",
            format!("f={finding}&state=confirmed&reason={markup}"),
        ),
        (
            "/publish",
            format!("advisory=CVE-2026-0001&title={markup}&text={markup}"),
        ),
        (
            "/remember",
            format!("package=one&product=a:one&verdict=deny&reason={markup}"),
        ),
        (
            "/subscribe",
            format!(
                "kind=search&name={markup}&way=webhook&target=https%3A%2F%2Fx.org%2F%22%3E%3Cb%3E&pace=daily"
            ),
        ),
    ] {
        let answer = visitor.post(&server, path, &form);
        assert!(
            matches!(answer.status, 303 | 422),
            "{path}: {}",
            answer.body
        );
    }
    let issues: serde_json::Value =
        serde_json::from_str(&server.get("/api/v1/issues", &[]).body).unwrap();
    let issue = issues["issues"][0]["id"].as_str().unwrap().to_owned();
    let maintainer = segment(MARKUP);
    let mut browser = Browser::start().unwrap();
    for path in [
        "/".to_owned(),
        "/queue".into(),
        "/queue?bucket=confirmed".into(),
        "/packages/one".into(),
        "/packages/one/CVE-2026-0001".into(),
        "/advisories/CVE-2026-0001".into(),
        format!("/maintainers/{maintainer}"),
        "/channels/nixos-unstable".into(),
        "/issues".into(),
        format!("/issues/{issue}"),
        "/rules/one".into(),
        "/activity".into(),
        format!("/search?q={markup}"),
        format!("/packages/{maintainer}"),
    ] {
        let mut page = browser.open(&server.url(&path), View::DESK).unwrap();
        wait(&mut page, "document.readyState === 'complete'");
        let run = page.evaluate("window.pwned === undefined").unwrap();
        assert_eq!(run, true, "{path}");
        let found = page
            .evaluate("document.querySelectorAll('img, svg[onload], [onerror], script:not([src])').length")
            .unwrap();
        assert_eq!(found, 0, "{path}");
        let links = page
            .evaluate("[...document.querySelectorAll('a')].filter(a => a.protocol === 'javascript:').length")
            .unwrap();
        assert_eq!(links, 0, "{path}");
        let complaints = page.complaints().unwrap();
        let other: Vec<_> = complaints
            .iter()
            .filter(|said| !said.contains("404"))
            .collect();
        assert!(other.is_empty(), "{path}: {complaints:?}");
    }
    for path in ["/issues.atom", "/atom/activity", "/atom/packages/one"] {
        let feed = server.get(path, &[]).body;
        assert!(
            !feed.contains("<script") && !feed.contains("<img"),
            "{path}: {feed}"
        );
    }
    let data = server.get("/api/v1/packages/one", &[]);
    assert_eq!(data.header("content-type"), Some("application/json"));
    assert_eq!(data.header("x-content-type-options"), Some("nosniff"));
}

/// What is named by a number is looked up as one's own.
#[test]
fn numbers_of_others_are_of_no_use() {
    let server = Server::over(Scratch::sqlite().unwrap(), |_| patient(), fill);
    let (alice, mallory) = (
        somebody(&server, 1, "alice"),
        somebody(&server, 2, "mallory"),
    );
    let made = alice.post(&server, "/settings/tokens", "name=alices&scope=read&days=7");
    assert_eq!(made.status, 200);
    let page = alice.get(&server, "/settings").body;
    let session = page
        .split("name=\"session\" value=\"")
        .nth(1)
        .map(str::to_owned);
    assert_eq!(session, None, "the one in use is not offered");
    mallory.post(&server, "/settings/tokens/revoke", "token=1");
    for number in 0..5 {
        mallory.post(
            &server,
            "/settings/sessions/end",
            &format!("session={number}"),
        );
    }
    let after = alice.get(&server, "/settings");
    assert!(
        after.status == 200 && after.body.contains("alices"),
        "both are still there"
    );
    assert!(!mallory.get(&server, "/settings").body.contains("alices"));
    // Roles are not taken, findings and issues not acted on, by whoever knows their numbers.
    let finding = named(&server, "one", "CVE-2026-0001");
    let refused = |visitor: &Visitor, path: &str, form: &str| {
        let status = visitor.post(&server, path, form).status;
        assert!(matches!(status, 403 | 404), "{path}: {status}");
    };
    refused(&mallory, "/admin/role", "account=2&role=admin");
    refused(&mallory, "/decide", &format!("f={finding}&state=confirmed"));
    refused(&mallory, "/comment", &format!("f={finding}&reason=x"));
    refused(&mallory, "/publish", "advisory=CVE-2026-0001&title=a");
    refused(
        &mallory,
        "/withdraw",
        "issue=NIXPKGS-2026-0001&revision=0&reason=x",
    );
    refused(&mallory, "/drop", "channel=nixos-26.05");
    refused(&mallory, "/unsubscribe", "subscription=1");
}
