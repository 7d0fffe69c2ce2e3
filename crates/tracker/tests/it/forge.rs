//! Issues in a forge: opened once whatever happens to answers, and kept up to date.

use std::sync::Arc;

use snowguard_http::{Client, Settings};
use snowguard_testkit::forge::{self, LOGIN, TOKEN};
use snowguard_testkit::web::Fault;
use snowguard_tracker::publish::forge::{Forge, ForgeError};
use snowguard_tracker::publish::marker;
use snowguard_tracker::view::Status;

use crate::publish::{issue, site};

const OPEN: &str = "POST /repos/owner/name/issues";

fn client() -> Client {
    let settings = Settings {
        attempts: 1,
        ..Settings::default()
    };
    Client::new(settings, Arc::default()).unwrap()
}

fn forge<'c>(client: &'c Client, stand_in: &forge::Forge) -> Forge<'c> {
    let api = stand_in.web.base().parse().unwrap();
    Forge::new(client, &api, "owner/name", TOKEN, Some("security".into())).unwrap()
}

#[test]
fn an_issue_is_opened_once_and_kept_up_to_date() {
    let stand_in = forge::Forge::start().unwrap();
    let client = client();
    let forge = forge(&client, &stand_in);
    let mut issue = issue();
    let posted = forge.bring(&issue, &site(), None).unwrap().unwrap();
    assert_eq!(posted.number, 1);
    assert_eq!(stand_in.issues()[0]["labels"][0], "security");

    // Nothing new: nothing is sent.
    stand_in.web.seen();
    forge.bring(&issue, &site(), Some(1)).unwrap();
    assert!(stand_in.web.seen().iter().all(|seen| seen.method == "GET"));

    // Somebody adds a word, and the channel gets its fix.
    let text = stand_in.issues()[0]["body"].as_str().unwrap().to_owned();
    stand_in.edit(1, "body", format!("{text}I look at it.").into());
    issue.verdicts.packages[0].channels[0].status = Status::Fixed;
    forge.bring(&issue, &site(), Some(1)).unwrap();
    let known = &stand_in.issues()[0];
    let text = known["body"].as_str().unwrap();
    assert!(text.ends_with("I look at it."), "{text}");
    assert!(
        text.contains("| `openssl` | `nixos-unstable` | `3.0.13` | fixed |"),
        "{text}"
    );
    assert_eq!(
        (&known["state"], &known["state_reason"]),
        (&"closed".into(), &"completed".into())
    );

    // It comes back.
    issue.verdicts.packages[0].channels[0].status = Status::Affected;
    forge.bring(&issue, &site(), Some(1)).unwrap();
    assert_eq!(stand_in.issues()[0]["state"], "open");
    assert_eq!(stand_in.issues().len(), 1);
}

/// The request was taken and the answer lost: the next try finds what the first one opened.
#[test]
fn a_lost_answer_opens_no_second_issue() {
    let stand_in = forge::Forge::start().unwrap();
    let client = client();
    let forge = forge(&client, &stand_in);
    for fault in [
        Fault::Garbage(vec![]),
        Fault::Cut(5),
        Fault::Status(502, vec![]),
    ] {
        let mut issue = issue();
        issue.id = format!("NIX-2026-{:04}", 1 + stand_in.issues().len())
            .parse()
            .unwrap();
        let before = stand_in.issues().len();
        stand_in.web.fail(OPEN, [fault]);
        forge.bring(&issue, &site(), None).unwrap_err();
        let posted = forge.bring(&issue, &site(), None).unwrap().unwrap();
        assert_eq!(stand_in.issues().len(), before + 1);
        assert_eq!(posted.number, stand_in.issues().len() as u64);
    }
}

/// Anyone can write a marker into an issue of their own.
#[test]
fn the_marker_of_somebody_else_is_not_ours() {
    let stand_in = forge::Forge::start().unwrap();
    let client = client();
    let issue = issue();
    stand_in.open_as("mallory", "x", &marker(&issue.id));
    stand_in.open_as(LOGIN, "another", "<!-- snowguard: NIX-2026-0002 -->");
    let posted = forge(&client, &stand_in)
        .bring(&issue, &site(), None)
        .unwrap()
        .unwrap();
    assert_eq!(posted.number, 3);
}

#[test]
fn what_is_gone_is_said_and_not_opened_again() {
    let stand_in = forge::Forge::start().unwrap();
    let client = client();
    let forge = forge(&client, &stand_in);
    forge.bring(&issue(), &site(), None).unwrap();
    stand_in.edit(1, "deleted", true.into());
    let error = forge.bring(&issue(), &site(), Some(1)).unwrap_err();
    assert!(matches!(error, ForgeError::Gone { number: 1 }), "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(stand_in.issues().len(), 1);
}

/// There is nothing to take back.
#[test]
fn what_was_withdrawn_before_it_was_opened_is_not_opened() {
    let stand_in = forge::Forge::start().unwrap();
    let client = client();
    let mut issue = issue();
    issue.withdrawn = Some(issue.modified);
    let brought = forge(&client, &stand_in)
        .bring(&issue, &site(), None)
        .unwrap();
    assert_eq!((brought, stand_in.issues().len()), (None, 0));
}

#[test]
fn a_repository_is_two_names() {
    let client = client();
    let api = "https://api.example.org".parse().unwrap();
    for name in ["", "nixpkgs", "a/b/c", "../x", "a/..", "a/b?c", "a b/c"] {
        assert!(
            matches!(
                Forge::new(&client, &api, name, TOKEN, None),
                Err(ForgeError::Repository(_))
            ),
            "{name}"
        );
    }
}
