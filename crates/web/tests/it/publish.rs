//! Publishing: the way there in a browser, counted; who may; and what others fetch of it.

use snowguard_testkit::browser::{Browser, Page, View};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{Server, Visitor};
use crate::whole::{has, listens, named, server, somebody, wait};

/// The steps from the first page to a published issue: what is pressed, and what is then there.
const WAY: [(&str, &str); 5] = [
    (".rows a[data-go]", "Why we think so"),
    ("input[name=state][value=confirmed]", "Why we think so"),
    (".act button.go", "Decided on 1 finding."),
    ("a[data-publish]", "As it will be read"),
    (".form button.go", "It is published."),
];
/// How many clicks it may take.
const MOST: usize = 6;

fn first_page<'b>(browser: &'b mut Browser, server: &Server, view: View) -> Page<'b> {
    let token = server.token.as_deref().unwrap();
    let mut page = browser
        .open(&server.url(&format!("/login/local?token={token}")), view)
        .unwrap();
    wait(&mut page, &has("What needs action now"));
    page
}

fn is_published(server: &Server) -> bool {
    let answer = server.get("/api/v1/issues", &[]);
    let issues: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    issues["issues"].as_array().unwrap().len() == 1
}

#[test]
fn from_the_first_visit_to_a_published_finding_by_few_clicks() {
    let mut browser = Browser::start().unwrap();
    for view in [
        View::DESK,
        View::PHONE,
        View::DESK.without_script(),
        View::PHONE.without_script(),
    ] {
        let server = server();
        let mut page = first_page(&mut browser, &server, view);
        let mut clicks = 0;
        for (selector, then) in WAY {
            let found = page
                .evaluate(&format!("!!document.querySelector({selector:?})"))
                .unwrap();
            assert_eq!(found, true, "{selector}");
            page.evaluate(&format!("document.querySelector({selector:?}).click()"))
                .unwrap();
            clicks += 1;
            wait(&mut page, &has(then));
            let scrolls = page
                .evaluate("document.documentElement.scrollWidth > innerWidth")
                .unwrap();
            assert_eq!(scrolls, false, "after {selector} at {}", view.width);
        }
        assert!(clicks <= MOST);
        assert!(is_published(&server));
        assert!(page.complaints().unwrap().is_empty());
    }
}

#[test]
fn the_same_by_the_keys_of_the_page() {
    let server = server();
    let mut browser = Browser::start().unwrap();
    let mut page = first_page(&mut browser, &server, View::DESK);
    for (key, then) in [
        ("j", "What needs action now"),
        ("Enter", "Why we think so"),
        ("c", "Why we think so"),
        ("Enter", "Decided on 1 finding."),
        ("p", "As it will be read"),
        ("Enter", "It is published."),
    ] {
        wait(&mut page, &listens(""));
        page.press(key).unwrap();
        wait(&mut page, &listens(then));
    }
    assert!(is_published(&server));
}

/// Without script there are no keys of ours: what has the focus is pressed.
#[test]
fn the_same_by_tab_and_enter_without_script() {
    let server = server();
    let mut browser = Browser::start().unwrap();
    let view = View::PHONE.without_script();
    let mut page = first_page(&mut browser, &server, view);
    for (selector, then) in WAY {
        let has_focus = format!("document.activeElement.matches({selector:?})");
        let mut tabs = 0;
        while page.evaluate(&has_focus).unwrap() != true {
            page.press("Tab").unwrap();
            tabs += 1;
            assert!(tabs < 100, "{selector} is not reached");
            let seen = page
                .evaluate("document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'")
                .unwrap();
            assert_eq!(seen, true, "what has the focus is seen");
        }
        page.press(if selector.starts_with("input") {
            " "
        } else {
            "Enter"
        })
        .unwrap();
        wait(&mut page, &has(then));
    }
    assert!(is_published(&server));
}

fn confirmed(server: &Server, visitor: &Visitor) {
    let finding = named(server, "one", "CVE-2026-0001");
    let form = format!("f={finding}&state=confirmed");
    assert_eq!(visitor.post(server, "/decide", &form).status, 303);
}

#[test]
fn a_preview_publishes_nothing_and_keeps_what_was_typed() {
    let server = server();
    let visitor = server.log_in();
    let ask = |form: &str| {
        let form = format!("advisory=CVE-2026-0001&{form}");
        visitor.post(&server, "/publish", &form)
    };
    let refused = ask("title=a&text=b");
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .body
            .contains("no package of this advisory is confirmed")
    );
    assert_eq!(
        visitor
            .get(&server, "/advisories/CVE-2026-0001/publish")
            .status,
        422
    );
    confirmed(&server, &visitor);
    let form = visitor.get(&server, "/advisories/CVE-2026-0001/publish");
    assert!(
        form.body.contains("value=\"one: CVE-2026-0001\""),
        "{}",
        form.body
    );
    let lines = ask("title=Mine&text=one%0D%0A%0D%0Atwo&preview=1").body;
    assert!(lines.contains("one&#10;&#10;two</textarea>"), "{lines}");
    assert!(lines.contains("<p>one</p><p>two</p>"), "{lines}");
    let preview = ask("title=Mine&text=%3Cb%3Ebold%3C/b%3E&preview=1");
    assert_eq!(preview.status, 200);
    assert!(preview.body.contains("&#60;b&#62;bold"), "{}", preview.body);
    let long = "x".repeat(201);
    let refused = ask(&format!("title={long}&text=kept"));
    assert_eq!(refused.status, 422);
    assert!(
        refused.body.contains("A title has at most 200 characters.")
            && refused.body.contains("kept")
    );
    assert!(!is_published(&server));
    let done = ask("title=Mine&text=Words");
    let place = done.header("location").unwrap();
    assert!(
        place.starts_with("/issues/NIXPKGS-") && place.ends_with("-0001?done=published"),
        "{place}"
    );
    assert_eq!(ask("title=Mine&text=Words").status, 422, "once");
    let again = visitor.get(&server, "/advisories/CVE-2026-0001/publish");
    assert_eq!(again.status, 303);
    let page = place.split('?').next().unwrap();
    let id = page.rsplit('/').next().unwrap();
    let finding = visitor.get(&server, "/packages/one/CVE-2026-0001");
    assert!(finding.body.contains(&format!("published as {id}")));
    let edit = |revision: i64, title: &str| {
        let form = format!("issue={id}&revision={revision}&title={title}&text=Words");
        visitor.post(&server, "/edit", &form).status
    };
    assert_eq!(edit(0, "Other"), 303);
    assert_eq!(edit(0, "Third"), 409, "somebody was quicker");
    assert_eq!(visitor.get(&server, &format!("{page}/edit")).status, 200);
    let withdraw = |form: &str| {
        let form = format!("issue={id}&{form}");
        visitor.post(&server, "/withdraw", &form).status
    };
    assert_eq!(withdraw("revision=1&reason="), 422);
    assert_eq!(withdraw("revision=1&reason=it+was+wrong"), 303);
    assert_eq!(withdraw("revision=2&reason=again"), 409);
    let read = server.get(page, &[]);
    assert!(read.body.contains("it was wrong") && !read.body.contains("action=\"/withdraw\""));
}

#[test]
fn who_may_not_publish_does_not() {
    let server = server();
    confirmed(&server, &server.log_in());
    let maintainer = somebody(&server, 1, "someone");
    let form = "advisory=CVE-2026-0001&title=a&text=";
    assert_eq!(maintainer.post(&server, "/publish", form).status, 403);
    assert_eq!(
        maintainer
            .get(&server, "/advisories/CVE-2026-0001/publish")
            .status,
        403
    );
    assert!(
        !maintainer
            .get(&server, "/packages/one/CVE-2026-0001")
            .body
            .contains("data-publish")
    );
    assert_eq!(server.post("/publish", &[], form).status, 401);
    let asked = server.get("/advisories/CVE-2026-0001/publish", &[]);
    let back = "/login?back=/advisories/CVE-2026-0001/publish";
    assert!(
        asked.body.contains(back),
        "a login leads back: {}",
        asked.body
    );
    assert_eq!(
        server.get("/advisories/CVE-2026-0001/publish", &[]).status,
        401
    );
    assert!(!is_published(&server));
}

#[test]
fn programs_publish_with_a_token_that_may() {
    let server = server();
    let visitor = server.log_in();
    confirmed(&server, &visitor);
    let token = |scopes: &str| visitor.token(&server, scopes);
    let form = "advisory=CVE-2026-0001&title=A+title&text=";
    let triages = token("scope=read&scope=triage");
    assert_eq!(
        server
            .post("/api/v1/publish", &[("Authorization", &triages)], form)
            .status,
        403
    );
    let publishes = token("scope=publish");
    let answer = server.post("/api/v1/publish", &[("Authorization", &publishes)], form);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let done: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(done["issue"].as_str().unwrap().starts_with("NIXPKGS-"));
    let finding = named(&server, "two", "CVE-2026-0002");
    let form = format!("f={finding}&state=confirmed");
    assert_eq!(
        server
            .post("/api/v1/decide", &[("Authorization", &publishes)], &form)
            .status,
        403,
        "publishing is not deciding"
    );
}

#[test]
fn what_is_published_is_there_for_other_tools() {
    let server = server();
    let visitor = server.log_in();
    assert_eq!(
        server.get("/openvex.json", &[]).status,
        404,
        "no statement, no document"
    );
    assert_eq!(server.get("/osv/all.jsonl", &[]).body, "");
    confirmed(&server, &visitor);
    let done = visitor.post(
        &server,
        "/publish",
        "advisory=CVE-2026-0001&title=A+%3Ctitle%3E&text=",
    );
    let place = done.header("location").unwrap();
    let page = place.split('?').next().unwrap();
    let id = page.rsplit('/').next().unwrap();

    let osv = server.get(&format!("{page}.osv.json"), &[]);
    assert_eq!(osv.status, 200, "{}", osv.body);
    assert_eq!(osv.header("cache-control"), Some("public, max-age=60"));
    assert_valid(Schema::Osv17, osv.body.as_bytes());
    let value: serde_json::Value = serde_json::from_str(&osv.body).unwrap();
    assert_eq!(value["id"], format!("x_{id}"));
    assert_eq!(
        value["affected"].as_array().unwrap().len(),
        2,
        "one for each channel"
    );
    let open = server.get(&format!("{page}.osv.json?ecosystem=open"), &[]);
    let value: serde_json::Value = serde_json::from_str(&open.body).unwrap();
    assert_eq!(
        value["affected"][0]["package"]["ecosystem"],
        "Nixpkgs:nixos-unstable"
    );
    assert_eq!(
        server
            .get(&format!("{page}.osv.json?ecosystem=x"), &[])
            .status,
        400
    );
    assert_eq!(
        server.get("/issues/NIXPKGS-1999-0001.osv.json", &[]).status,
        404
    );
    assert_eq!(
        server.get("/issues/..%2F..%2Fetc.osv.json", &[]).status,
        404
    );

    let all = server.get("/osv/all.jsonl", &[]);
    assert_eq!(all.body.lines().count(), 1);
    let tag = all.header("etag").unwrap();
    assert_eq!(
        server
            .get("/osv/all.jsonl", &[("If-None-Match", tag)])
            .status,
        304
    );

    let archive = server.get("/osv/all.zip", &[]);
    assert_eq!(archive.status, 200);
    assert_eq!(archive.header("content-type"), Some("application/zip"));
    let open = server.get("/osv/all.zip?ecosystem=open", &[]);
    assert_ne!(open.header("etag"), archive.header("etag"));

    let vex = server.get("/openvex.json", &[]);
    assert_valid(Schema::OpenVex02, vex.body.as_bytes());
    assert_eq!(
        server.get("/openvex.json", &[]).header("etag"),
        vex.header("etag"),
        "the same statements, the same document"
    );

    let secdb = server.get("/secdb/nixos-unstable.json", &[]);
    let value: serde_json::Value = serde_json::from_str(&secdb.body).unwrap();
    assert_eq!(
        value["packages"][0]["pkg"]["secfixes"]["1.5"][0],
        "CVE-2026-0001"
    );
    assert_eq!(server.get("/secdb/nosuch.json", &[]).status, 404);

    let atom = server.get("/issues.atom", &[]);
    assert_eq!(atom.header("content-type"), Some("application/atom+xml"));
    assert!(
        atom.body.contains(&format!("/issues/{id}</id>")) && !atom.body.contains("<title>A"),
        "{}",
        atom.body
    );
    let list = server.get("/issues", &[]);
    assert!(
        list.body.contains("open in 1 of 2 channels"),
        "{}",
        list.body
    );

    // What is decided afterwards is in the next document.
    let finding = named(&server, "two", "CVE-2026-0001");
    let form =
        format!("f={finding}&state=not_affected&justification=component_not_present&reason=x");
    assert_eq!(visitor.post(&server, "/decide", &form).status, 303);
    let newer = server.get("/openvex.json", &[]);
    assert!(newer.body.contains("not_affected") && newer.header("etag") != vex.header("etag"));
}
