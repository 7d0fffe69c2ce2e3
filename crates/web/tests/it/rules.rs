//! Rules about packages and products, with what they would change; and channels that are left out.

use snowguard_advisory::index::Builder;
use snowguard_db::Database;
use snowguard_testkit::database::Scratch;
use snowguard_tracker::foresee::Foresight;
use snowguard_web::Settings;

use crate::support::Server;
use crate::whole::somebody;
use crate::world::World;

/// A package with an advisory about it, and one about something else of its name.
fn fill(db: &Database) -> Vec<u8> {
    let mut world = World::new(db);
    for channel in ["nixos-unstable", "nixos-26.05"] {
        world.evaluate(channel, &[("one", "one", "1.0", "https://one.org/")]);
    }
    world.records("cve", r#"
        {"id":"CVE-2026-0001","affects":[{"products":["one:one"],"default":"unaffected","rules":["<1.5"]}]}
        {"id":"CVE-2026-0002","affects":[{"products":["acme:one"],"default":"unaffected","rules":["<1.5"]}]}
    "#);
    world.settle();
    let mut builder = Builder::new();
    world.store.fill(&mut builder).unwrap();
    builder.finish().bytes
}

fn server() -> Server {
    let mut bytes = Vec::new();
    let server = Server::over(
        Scratch::sqlite().unwrap(),
        |_| Settings::local(),
        |db| bytes = fill(db),
    );
    server.app.foresee(Foresight::by_bytes(bytes));
    server
}

const ACCEPT: &str = "package=one&product=acme%3Aone&verdict=accept&reason=it+was+renamed";

#[test]
fn a_rule_is_made_after_a_look_at_what_it_would_change() {
    let server = server();
    let visitor = server.log_in();
    let page = visitor.get(&server, "/rules/one");
    assert!(
        page.body.contains("acme:one") && page.body.contains("CVE-2026-0002"),
        "{}",
        page.body
    );
    assert!(
        page.body
            .contains("/rules/one?product=acme:one&#38;verdict=accept#make"),
        "{}",
        page.body
    );
    let preview = visitor.get(&server, &format!("/rules/one?preview=1&{ACCEPT}"));
    assert!(
        preview
            .body
            .contains("It changes 1 finding; 1 finding stays as it is."),
        "{}",
        preview.body
    );
    assert!(
        preview.body.contains("would come: affected"),
        "{}",
        preview.body
    );
    assert!(
        preview.body.contains("value=\"it was renamed\""),
        "what was written stays"
    );
    let wrong = visitor.get(
        &server,
        "/rules/one?preview=1&product=acme%3Aone&verdict=accept",
    );
    assert!(
        wrong.body.contains("A rule needs a reason"),
        "{}",
        wrong.body
    );
    assert!(
        visitor
            .get(&server, "/rules/one")
            .body
            .contains("None about this package")
    );

    let made = visitor.post(&server, "/remember", ACCEPT);
    assert_eq!(
        made.header("location"),
        Some("/rules/one?done=remembered"),
        "{}",
        made.body
    );
    let page = visitor.get(&server, "/rules/one");
    assert!(page.body.contains("it was renamed") && page.body.contains("action=\"/forget\""));
    assert!(
        page.body.contains("No product of its names is left aside."),
        "{}",
        page.body
    );
    let activity = server.get("/activity", &[]);
    assert!(
        activity.body.contains("one is acme:one: it was renamed"),
        "{}",
        activity.body
    );
    let gone = visitor.post(&server, "/forget", "rule=1&package=one&reason=it+was+not");
    assert_eq!(gone.header("location"), Some("/rules/one?done=forgotten"));
    assert_eq!(
        visitor.post(&server, "/forget", "rule=1&reason=x").status,
        422,
        "once"
    );
    assert_eq!(
        visitor.post(&server, "/forget", "rule=9&reason=x").status,
        404
    );
}

#[test]
fn what_is_no_rule_is_said() {
    let server = server();
    let visitor = server.log_in();
    for (form, said) in [
        (
            "package=one&product=one&verdict=deny&reason=x",
            "is not vendor:product",
        ),
        ("package=one&product=a%3Aone&verdict=deny", "needs a reason"),
        (
            "package=one&product=a%3Aone&verdict=maybe&reason=x",
            "accept or deny",
        ),
        (
            "package=one&product=a%3Aone&verdict=deny&reason=x&expires=2020-01-01",
            "is past",
        ),
        (
            "package=one&product=a%3Aone&verdict=deny&reason=x&expires=soon",
            "a day is",
        ),
        (
            "product=a%3Aone&verdict=deny&reason=x",
            "the package is not said",
        ),
    ] {
        let answer = visitor.post(&server, "/remember", form);
        assert_eq!(answer.status, 422, "{form}: {}", answer.body);
        assert!(answer.body.contains(said), "{form}: {}", answer.body);
    }
    let elsewhere = "package=one&product=a%3Aone&verdict=deny&reason=x&channel=nosuch";
    assert_eq!(visitor.post(&server, "/remember", elsewhere).status, 404);
    assert_eq!(server.get("/rules/nosuch", &[]).status, 404);
}

#[test]
fn who_does_not_maintain_a_package_makes_no_rules_about_it() {
    let server = server();
    let (maintainer, stranger) = (
        somebody(&server, 1, "someone"),
        somebody(&server, 2, "mallory"),
    );
    assert_eq!(stranger.post(&server, "/remember", ACCEPT).status, 403);
    assert_eq!(server.post("/remember", &[], ACCEPT).status, 401);
    // A preview is two matches: not for everybody.
    let asked = format!("/rules/one?preview=1&{ACCEPT}");
    for page in [stranger.get(&server, &asked), server.get(&asked, &[])] {
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("It changes"));
    }
    assert_eq!(maintainer.post(&server, "/remember", ACCEPT).status, 303);
    assert_eq!(
        stranger.post(&server, "/forget", "rule=1&reason=x").status,
        403
    );
}

#[test]
fn a_channel_is_left_out_and_taken_in_again() {
    let server = server();
    let visitor = server.log_in();
    let maintainer = somebody(&server, 1, "someone");
    let page = "/channels/nixos-26.05";
    assert!(visitor.get(&server, page).body.contains("action=\"/drop\""));
    assert!(
        !maintainer
            .get(&server, page)
            .body
            .contains("action=\"/drop\"")
    );
    let form = "channel=nixos-26.05&reason=it+has+ended";
    assert_eq!(maintainer.post(&server, "/drop", form).status, 403);
    let done = visitor.post(&server, "/drop", form);
    assert_eq!(
        done.header("location"),
        Some("/channels/nixos-26.05?done=dropped"),
        "{}",
        done.body
    );
    assert_eq!(
        visitor.post(&server, "/drop", form).status,
        422,
        "it is so already"
    );
    let read = visitor.get(&server, page).body;
    assert!(read.contains("Not followed any more.") && read.contains("action=\"/follow\""));
    assert!(server.get("/activity", &[]).body.contains("it has ended"));
    assert_eq!(visitor.post(&server, "/follow", form).status, 303);
    assert_eq!(
        visitor.post(&server, "/follow", "channel=nosuch").status,
        404
    );
}
