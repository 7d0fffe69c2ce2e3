//! What a reviewed file accepts, and nothing beside it.

use super::*;

#[test]
fn waivers_cover_what_they_name_and_no_more() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let plain = document(&gate(&place, &base, &head, &["--format", "json"]));
    let stale = plain["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["rule"] == "stale-hash")
        .unwrap();
    let waiver = |rule: &str, output: &str, url: &str, expires: &str| {
        format!(
            "[[waiver]]\nrule = \"{rule}\"\noutput = \"{output}\"\nurl = \"{url}\"\nreason = \"known\"\nexpires = {expires}\n"
        )
    };
    let (output, url) = (
        stale["output"].as_str().unwrap(),
        stale["urls"][0].as_str().unwrap(),
    );
    let with = |text: &str| {
        place.write("w.toml", text);
        let more = ["--format", "json", "--waivers", "w.toml"];
        document(&gate(&place, &base, &head, &more))
    };
    let blocking = |document: &Value| {
        let blocks = |rule: &&String| rule.contains("! ");
        rules(document).iter().filter(blocks).count()
    };
    let all = blocking(&plain);
    let waived = with(&waiver("stale-hash", output, url, "2999-01-01"));
    assert_eq!(blocking(&waived), all - 1);
    assert_eq!(waived["unused_waivers"], json!([]));
    // Another source, another rule, another day.
    let other = with(&waiver(
        "stale-hash",
        output,
        "https://example.org/other",
        "2999-01-01",
    ));
    assert_eq!(blocking(&other), all);
    assert_eq!(other["unused_waivers"][0]["line"], 1);
    let expired = with(&waiver("stale-hash", output, url, "2020-01-01"));
    assert_eq!(blocking(&expired), all + 1);
    assert!(
        rules(&expired)
            .iter()
            .any(|rule| rule.starts_with("expired-waiver! "))
    );
    for (wrong, what) in [
        (
            waiver("no-such", output, url, "2999-01-01"),
            "line 1: there is no such rule",
        ),
        (
            waiver("stale", output, url, "2999-01-01"),
            "line 1: there is no such rule (did you mean `stale-hash`?)",
        ),
        (
            waiver("expired-waiver", output, url, "2999-01-01"),
            "there is no such rule",
        ),
        (waiver("stale-hash", "x", url, "2999-01-01"), "store path"),
        (
            "[[waiver]]\nrule = \"stale-hash\"\n".into(),
            "cannot read the waivers",
        ),
    ] {
        place.write("w.toml", wrong);
        gate(&place, &base, &head, &["--waivers", "w.toml"]).fails_with(what);
    }
    gate(&place, &base, &head, &["--waivers", "none.toml"]).fails_with("none.toml");
}

#[test]
fn a_waiver_of_what_is_not_shown_covers_this_alone() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let of = |release: &str| {
        let url = format!("https://example.org/get?release={release}&\u{e9}=1");
        fetched_by(&store, "", &[&url])
    };
    let (base, head, next) = (of("1.9"), of("2.0"), of("3.0"));
    let told = document(gate_of(&place, &base, &head, &[]).exits(1));
    assert_eq!(rules(&told), ["stale-hash! x"]);
    let found = &told["findings"][0];
    // What a maintainer copies out of the summary.
    let markdown = place.run(&["fod", "gate", &base, &head, "--format", "markdown"]);
    let url = found["waiver_url"].as_str().unwrap();
    assert!(
        markdown
            .stdout
            .contains(&format!("URL for a waiver: `{url}`")),
        "{markdown}"
    );
    let waiver = format!(
        "[[waiver]]\nrule = \"stale-hash\"\noutput = {}\nurl = \"{url}\"\nreason = \"known\"\nexpires = 2999-01-01\n",
        found["output"]
    );
    place.write("w.toml", waiver);
    gate_of(&place, &base, &head, &["--waivers", "w.toml"]).exits(0);
    gate_of(&place, &base, &next, &["--waivers", "w.toml"]).exits(1);
}
