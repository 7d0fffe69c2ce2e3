//! The whole way, over a database with real findings: from the first visit to a decision and back, in a
//! browser; and who may decide what.

use jiff::{Timestamp, ToSpan as _};
use sha2::{Digest as _, Sha256};
use snowguard_db::Database;
use snowguard_db::people::{GitHubUser, Login, People as _};
use snowguard_testkit::browser::{Browser, Page, View};
use snowguard_testkit::database::Scratch;
use snowguard_tracker::view::load;
use snowguard_web::Settings;

use crate::support::{Server, Visitor};
use crate::world::World;

/// Two packages in two channels; both are affected by one advisory, and one by another.
pub(crate) fn fill(db: &Database) {
    let mut world = World::new(db);
    for (channel, version) in [("nixos-unstable", "2.0"), ("nixos-26.05", "1.0")] {
        world.evaluate(
            channel,
            &[
                ("one", "one", version, "https://one.org/"),
                ("two", "two", "1.0", "https://two.org/"),
            ],
        );
    }
    world.records("cve", r#"
        {"id":"CVE-2026-0001","summary":"A heap overflow","severities":[{"word":"critical"}],"affects":[{"products":["one:one"],"default":"unaffected","rules":["<1.5"]},{"products":["two:two"],"default":"unaffected","rules":["<1.5"]}]}
        {"id":"CVE-2026-0002","summary":"Another","affects":[{"products":["two:two"],"default":"unaffected","rules":["<3"]}]}
    "#);
    world.settle();
    load::count(db, world.now()).unwrap();
}

pub(crate) fn server() -> Server {
    Server::over(Scratch::sqlite().unwrap(), |_| Settings::local(), fill)
}

/// Waits until something is so.
pub(crate) fn wait(page: &mut Page<'_>, expression: &str) {
    for _ in 0..200 {
        // While a page is left, there is nothing to be asked.
        if page.evaluate(expression).is_ok_and(|value| value == true) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let text = page
        .evaluate("location.href + ' ' + document.body.innerText")
        .unwrap();
    panic!("{expression} never became so: {text}");
}

pub(crate) fn has(text: &str) -> String {
    format!("document.body.innerText.includes({text:?})")
}

/// The same, when the script has begun to listen.
pub(crate) fn listens(text: &str) -> String {
    format!(
        "document.documentElement.classList.contains('live') && {}",
        has(text)
    )
}

#[test]
fn from_the_first_visit_to_a_decision_and_back_by_keys() {
    let server = server();
    let mut browser = Browser::start().unwrap();
    let token = server.token.as_deref().unwrap();
    let mut page = browser
        .open(
            &server.url(&format!("/login/local?token={token}")),
            View::DESK,
        )
        .unwrap();
    wait(&mut page, &listens("What needs action now"));
    // The first finding of the most pressing, and its page.
    page.press("j").unwrap();
    page.press("Enter").unwrap();
    wait(&mut page, &listens("Why we think so"));
    page.press("c").unwrap();
    assert_eq!(
        page.evaluate("document.querySelector('input[value=confirmed]').checked")
            .unwrap(),
        true
    );
    page.press("Enter").unwrap();
    wait(&mut page, &listens("Decided on 1 finding."));
    assert_eq!(
        page.evaluate("document.querySelector('.chips').innerText.includes('confirmed')")
            .unwrap(),
        true
    );
    page.press("u").unwrap();
    page.press("Enter").unwrap();
    wait(
        &mut page,
        &listens("Took back what was decided on 1 finding."),
    );
    assert!(
        page.complaints().unwrap().is_empty(),
        "{:?}",
        page.complaints()
    );
    // Search from anywhere.
    for key in ["/", "t", "w", "o", "Enter"] {
        page.press(key).unwrap();
    }
    wait(&mut page, "document.title.startsWith('Search: two')");
}

#[test]
fn the_same_without_script_on_a_phone() {
    let server = server();
    let mut browser = Browser::start().unwrap();
    let token = server.token.as_deref().unwrap();
    let view = View::PHONE.without_script();
    let mut page = browser
        .open(&server.url(&format!("/login/local?token={token}")), view)
        .unwrap();
    let click = |page: &mut Page<'_>, selector: &str, then: &str| {
        page.evaluate(&format!(
            "document.leaving = true; document.querySelector({selector:?}).click()"
        ))
        .unwrap();
        // Of the page that it leads to, and not of the one that it leads away from.
        wait(page, &format!("!document.leaving && {}", has(then)));
        let scrolls = page
            .evaluate("document.documentElement.scrollWidth > innerWidth")
            .unwrap();
        assert_eq!(scrolls, false, "after {selector}");
    };
    wait(&mut page, &has("What needs action now"));
    // All packages of an advisory at once: one is picked, the others are dismissed.
    click(
        &mut page,
        ".item-head a.name[href='/advisories/CVE-2026-0001']",
        "What it says",
    );
    page.evaluate("document.querySelector('input[name=f]').click(); document.querySelector('input[value=confirmed]').click(); document.querySelector('select[name=justification]').value = 'component_not_present'; document.querySelector('textarea').value = 'only the first has it'").unwrap();
    click(&mut page, "button[name=others]", "Decided on 2 findings.");
    let states = page
        .evaluate(
            "[...document.querySelectorAll('.decided .tag')].map(e => e.innerText).sort().join()",
        )
        .unwrap();
    assert_eq!(states, "confirmed,not affected");
    click(
        &mut page,
        "form[data-undo] button",
        "Took back what was decided on 2 findings.",
    );
    click(
        &mut page,
        "nav a[href='/activity']",
        "only the first has it",
    );
    click(&mut page, "nav a[href='/queue']", "Grouped by");
    click(
        &mut page,
        "nav a[href='/channels']",
        "As changes reach them",
    );
}

#[test]
fn real_pages_fit_and_are_quiet() {
    let server = server();
    let mut browser = Browser::start().unwrap();
    for path in [
        "/",
        "/queue",
        "/queue?by=package",
        "/advisories/CVE-2026-0001",
        "/packages/one",
        "/packages/one/CVE-2026-0001",
        "/maintainers/someone",
        "/channels",
        "/channels/nixos-26.05",
        "/search?q=cve",
        "/activity",
        "/data",
        "/api",
        "/login",
    ] {
        for view in [View::DESK, View::PHONE.dark()] {
            let mut page = browser.open(&server.url(path), view).unwrap();
            assert_eq!(
                page.evaluate("document.documentElement.scrollWidth > innerWidth")
                    .unwrap(),
                false,
                "{path}"
            );
            let complaints = page.complaints().unwrap();
            assert!(complaints.is_empty(), "{path}: {complaints:?}");
            assert_eq!(
                page.evaluate("document.querySelectorAll('h1').length")
                    .unwrap(),
                1,
                "{path}"
            );
        }
        let data = match path {
            "/" => "/api/v1/home".to_owned(),
            "/api" | "/login" => continue,
            path => format!("/api/v1{path}"),
        };
        let answer = server.get(&data, &[]);
        assert_eq!(answer.status, 200, "{data}: {}", answer.body);
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap();
    }
    // Another name of the same leads to it.
    let upper = server.get("/packages/one/CVE-2026-0001", &[]);
    assert_eq!(upper.status, 200);
}

/// Somebody who has logged in, as the database has it.
pub(crate) fn somebody(server: &Server, id: i64, login: &str) -> Visitor {
    let secret = format!("secret-of-{login}");
    let now = Timestamp::now();
    server
        .database
        .write(|s| {
            let account = s.sign_in(GitHubUser { id, login }, now)?.unwrap();
            s.add_login(
                account.id,
                &Login {
                    hash: Sha256::digest(secret.as_bytes()).to_vec(),
                    created: now,
                    seen: now,
                    expires: now + 1.hours(),
                    agent: "a test".into(),
                },
            )
        })
        .unwrap();
    Visitor::of(server, &secret)
}

/// A finding as forms name it.
pub(crate) fn named(server: &Server, package: &str, advisory: &str) -> String {
    let answer = server.get(&format!("/api/v1/packages/{package}/{advisory}"), &[]);
    let finding: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    format!("{}.{}", finding["row"]["id"], finding["row"]["revision"])
}

#[test]
fn who_does_not_maintain_a_package_does_not_decide_on_it() {
    let server = server();
    let maintainer = somebody(&server, 1, "someone");
    let reader = somebody(&server, 2, "stranger");
    let finding = named(&server, "one", "CVE-2026-0001");
    let form = format!("f={finding}&state=confirmed&back=/queue");
    assert_eq!(reader.post(&server, "/decide", &form).status, 403);
    assert!(
        !reader
            .get(&server, "/packages/one/CVE-2026-0001")
            .body
            .contains("data-decide")
    );
    assert_eq!(server.post("/decide", &[], &form).status, 401);
    let done = maintainer.post(&server, "/decide", &form);
    assert_eq!(done.status, 303, "{}", done.body);
    let place = done.header("location").unwrap();
    assert!(
        place.starts_with("/queue?done=decided&count=1&event="),
        "{place}"
    );
    let event = place.rsplit('=').next().unwrap();
    assert_eq!(
        reader
            .post(&server, "/undo", &format!("event={event}"))
            .status,
        403
    );
    // Decided on something that is not so any more.
    assert_eq!(maintainer.post(&server, "/decide", &form).status, 409);
    assert_eq!(
        maintainer
            .post(&server, "/undo", &format!("event={event}"))
            .status,
        303
    );
    assert_eq!(
        maintainer
            .post(&server, "/undo", &format!("event={event}"))
            .status,
        409,
        "once"
    );
}

#[test]
fn what_is_missing_in_a_decision_is_said() {
    let server = server();
    let visitor = server.log_in();
    let finding = named(&server, "one", "CVE-2026-0001");
    for (form, said) in [
        (format!("f={finding}"), "choose what it is"),
        (
            format!("f={finding}&state=not_affected&reason=x"),
            "needs one of the justifications",
        ),
        (
            format!("f={finding}&state=not_affected&justification=component_not_present"),
            "needs a reason",
        ),
        (
            format!("f={finding}&state=duplicate"),
            "needs the other advisory",
        ),
        (format!("f={finding}&state=closed"), "found out by matching"),
        ("state=confirmed".to_owned(), "no finding is selected"),
    ] {
        let answer = visitor.post(&server, "/decide", &form);
        assert_eq!(answer.status, 422, "{form}");
        assert!(answer.body.contains(said), "{form}: {}", answer.body);
    }
    assert_eq!(
        visitor
            .post(&server, "/decide", "f=x&state=confirmed")
            .status,
        400
    );
    assert_eq!(
        visitor
            .post(
                &server,
                "/decide",
                &format!("f={finding}&state=duplicate&duplicate_of=CVE-1")
            )
            .status,
        404
    );
    assert_eq!(
        visitor
            .post(&server, "/decide", "f=999999.0&state=confirmed")
            .status,
        404
    );
    let back = visitor.post(
        &server,
        "/comment",
        &format!("f={finding}&reason=seen&back=https://evil.example/"),
    );
    assert!(
        back.header("location")
            .unwrap()
            .starts_with("/?done=commented"),
        "never to another server"
    );
    for (whom, status) in [
        ("assignee=mallory", 404),
        ("give=1&to=+", 422),
        ("give=1&to=mallory", 404),
    ] {
        let form = format!("f={finding}&{whom}");
        assert_eq!(
            visitor.post(&server, "/assign", &form).status,
            status,
            "{whom}"
        );
    }
    let own = visitor.post(
        &server,
        "/assign",
        &format!("f={finding}&assignee=local_user"),
    );
    assert_eq!(own.status, 303, "{}", own.body);
}

#[test]
fn programs_decide_with_a_token_that_may() {
    let server = server();
    let visitor = server.log_in();
    let token = |scopes: &str| visitor.token(&server, scopes);
    let finding = named(&server, "two", "CVE-2026-0002");
    let form = format!("f={finding}&state=confirmed");
    let reads = token("scope=read");
    assert_eq!(
        server
            .post("/api/v1/decide", &[("Authorization", &reads)], &form)
            .status,
        403
    );
    let decides = token("scope=triage&scope=read");
    let answer = server.post("/api/v1/decide", &[("Authorization", &decides)], &form);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let done: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(done["findings"].as_array().unwrap().len(), 1);
    assert_eq!(
        server
            .post("/api/v1/decide", &[("Cookie", &visitor.cookie)], &form)
            .status,
        403,
        "a cookie alone is no word"
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the description is a file of the book"
)]
fn the_description_of_the_api_is_the_committed_one() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/src/reference/openapi.json"
    );
    let now = snowguard_web::openapi().unwrap();
    if std::env::var_os("SNOWGUARD_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        now == committed,
        "write it anew with SNOWGUARD_WRITE_OPENAPI=1, and read the difference"
    );
}
