//! `fod-policy`: what it says of files of exceptions.

use jiff::ToSpan as _;

use crate::support::Place;

fn exception(reason: &str, expires: &str) -> String {
    format!(
        "[[exception]]\nderivation = \"hello-*\"\nhosts = [\"x.org\"]\nreason = \"{reason}\"\nexpires = {expires}\n"
    )
}

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn check(place: &Place, files: &[&str]) -> Run {
    let args = [&["fod-policy"], files].concat();
    let output = place.command(&args).output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_policy_is_counted_and_what_ends_is_told() {
    let place = Place::new();
    let soon = jiff::Zoned::now().date().saturating_add(20.days());
    let late = jiff::Zoned::now().date().saturating_add(50.days());
    let all = [
        exception("gone by", "2001-01-01"),
        exception("nearly gone", &soon.to_string()),
        exception("there", &late.to_string()),
    ];
    place.write("policy.toml", &all.concat());
    place.write("fresh.toml", &exception("there", "2999-01-01"));
    place.write("empty.toml", "");
    let run = check(&place, &["policy.toml", "fresh.toml", "empty.toml"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (
            Some(0),
            "policy.toml: 3 exceptions; 1 has ended, 1 ends within 30 days\n\
             fresh.toml: 1 exception\nempty.toml: 0 exceptions\n"
        )
    );
    assert_eq!(
        run.stderr.replace(&soon.to_string(), "DAY"),
        "note: an exception ended on 2001-01-01: gone by\nnote: an exception ends on DAY: nearly gone\n"
    );
}

#[test]
fn a_policy_that_holds_for_every_source_is_told() {
    let place = Place::new();
    let broad = exception("all of them", "2999-01-01").replace("hello-*", "source");
    place.write("policy.toml", &broad);
    let run = check(&place, &["policy.toml"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(
        run.stderr,
        "warning: an exception holds for whatever is called `source`, as most sources are: all of them\n\
         hint: name its `output`\n"
    );
}

#[test]
fn each_policy_that_is_wrong_is_told_with_its_place() {
    let place = Place::new();
    let good = exception("there", "2999-01-01");
    place.write("good.toml", &good);
    place.write("word.toml", &good.replace("reason", "because"));
    let wrong = good.replace("x.org", "*");
    place.write("host.toml", &format!("{good}\n{wrong}"));
    let run = check(
        &place,
        &["word.toml", "none.toml", "good.toml", "host.toml"],
    );
    assert_eq!(run.code, Some(2));
    assert_eq!(run.stdout, "good.toml: 1 exception\n");
    insta::assert_snapshot!(run.stderr, @r#"
    error: cannot use word.toml: cannot read the policy file: TOML parse error at line 4, column 1
      |
    4 | because = "there"
      | ^^^^^^^
    unknown field `because`, expected one of `derivation`, `output`, `class`, `tool`, `hosts`, `protocols`, `private`, `reason`, `expires`
    hint: the book's page on the proxy says what it may hold
    error: cannot read none.toml: No such file or directory (os error 2)
    error: cannot use host.toml: exception 2 of the policy file, at line 7: a host is a name, `*.` before one, or an address, and perhaps `:PORT`
    hint: the book's page on the proxy says what it may hold
    "#);
}
