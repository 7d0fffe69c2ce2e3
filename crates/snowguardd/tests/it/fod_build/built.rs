//! What is built, in each mode: all of it through the proxy.

use std::process::Command;

use serde_json::Value;
use snowguard_testkit::machine;

use super::place::{BODY, Place, flat};

#[test]
fn every_shape_is_built_through_the_proxy_and_nothing_else() {
    for (mode, https) in [("tunnel", "fetched"), ("inspect", "ok")] {
        let Some(place) = Place::new() else { return };
        let run = place.build(&["--mode", mode], &place.shapes());
        run.ends(0);
        assert_eq!(run.report["strays"], Value::Array(Vec::new()));
        assert_eq!(
            run.verdicts(),
            shapes(https, https),
            "{mode}: {}",
            run.stderr
        );
        // The command itself prints what it built, and links to it.
        let built = run.stdout.trim();
        assert!(built.ends_with("-system"), "{built}");
        let link = std::fs::read_link(place.store.scratch().join("result")).unwrap();
        assert_eq!(link.to_str(), Some(built));
        assert!(place.asked() > 5);
        // A second time there is nothing to build, and nobody is asked.
        let again = place.build(&["--mode", mode], &place.shapes());
        again.ends(0);
        assert_eq!((again.stdout.trim(), place.asked()), (built, 0));
    }
}

#[test]
fn in_the_sandbox_every_shape_is_built_in_each_mode() {
    let Some(place) = Place::new() else { return };
    let Some(users) = machine::sandbox_users() else {
        return;
    };
    let config = format!(
        "sandbox = true\nsandbox-paths = /bin /usr /lib /lib64\nsubstitute = false\n\
         filter-syscalls = false\nbuild-users-group = {}",
        users.group()
    );
    let record = ["--record", "record"];
    // A store of its own each, as nothing is fetched a second time; the first is where it says.
    for (mode, is_seen, more) in [
        ("audit", false, &[][..]),
        ("tunnel", false, &[]),
        ("inspect", true, &record),
        ("replay", true, &record),
    ] {
        place.asked();
        // What is in a tunnel is verified by Nix itself, which has no way to these certificates in a sandbox.
        let builtin = if is_seen { &place.https } else { &place.http };
        let file = place.system(&place.shapes_with(builtin));
        let command = ["nix-build", file.to_str().unwrap(), "--no-out-link"];
        let options = [&["--mode", mode], more].concat();
        let mut command = place.command_in_sandbox(&options, &command);
        command.env("NIX_CONFIG", &config);
        if mode != "audit" {
            let elsewhere = place.store.scratch().join(mode);
            command.env("NIX_REMOTE", format!("local?root={}", elsewhere.display()));
            for variable in ["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOG_DIR"] {
                command.env_remove(variable);
            }
        }
        let run = place.left(command.output().unwrap());
        run.ends(0);
        let https = if is_seen { "ok" } else { "fetched" };
        assert_eq!(
            run.verdicts(),
            shapes("ok", https),
            "{mode}: {}",
            run.stderr
        );
        assert_eq!(run.report["strays"], Value::Array(Vec::new()), "{mode}");
        assert_eq!(place.asked() == 0, mode == "replay", "{mode}");
    }
}

#[test]
fn builders_get_no_secret_of_who_builds() {
    let Some(place) = Place::new() else { return };
    let script = "test -z \"$SECRET_OF_CI\" && test \"$SAID\" = yes && test -n \"$NIX_CONFIG\" && \
                  test \"$NIX_CONFIG\" = \"''${NIX_CONFIG/hunter2/}\" && curl --silent --fail -o $out $urls";
    let source = place.shell("curious", &place.http.url("/file"), script, &flat(BODY));
    let file = place.system(&[source]);
    let command = ["nix-build", file.to_str().unwrap()];
    let mut command = place.command(&["--pass-env", "SAID"], &command);
    command.env("SECRET_OF_CI", "hunter2").env("SAID", "yes");
    with_secrets(&mut command);
    place.left(command.output().unwrap()).ends(0);
}

/// Puts tokens and passwords before the settings.
fn with_secrets(command: &mut Command) {
    let config = command.get_envs().find(|(name, _)| *name == "NIX_CONFIG");
    let config = config.unwrap().1.unwrap().to_str().unwrap();
    let config = format!(
        "experimental-features = nix-command\naccess-tokens = example.org=hunter2\n\
         substituters = https://me:hunter2@cache.example\n{config}"
    );
    command.env("NIX_CONFIG", config);
}

#[test]
fn an_evaluation_gets_no_secret_of_who_builds() {
    let Some(place) = Place::new() else { return };
    // An expression writes into a URL what it finds; tokens would make more than one piece of the settings.
    let found = "${builtins.getEnv \"SAID\"}${builtins.getEnv \"SECRET_OF_CI\"}\
                 ${toString (builtins.length (builtins.split \"hunter\" (builtins.getEnv \"NIX_CONFIG\")))}";
    place.http.put("/file?yes1", BODY);
    let url = place.http.url(&format!("/file?{found}"));
    let file = place.system(&[place.fetchurl("curious", &url)]);
    let file = file.to_str().unwrap();
    for command in [
        &["nix-build", file][..],
        &["nix", "build", "--impure", "--no-link", "--file", file, ""],
    ] {
        let mut command = place.command(&["--pass-env", "SAID"], command);
        // That they are read all the same is what lets this Nix build, without a sandbox and as root.
        with_secrets(&mut command);
        command.env("SECRET_OF_CI", "hunter3").env("SAID", "yes");
        place.left(command.output().unwrap()).ends(0);
        let paths: Vec<_> = place.http.seen().into_iter().map(|r| r.path).collect();
        assert!(paths.iter().all(|path| path == "/file?yes1"), "{paths:?}");
    }
}

#[test]
fn what_an_evaluation_fetches_is_told_and_written_down() {
    let Some(place) = Place::new() else { return };
    let source = place.fetchurl("http", &place.http.url("/file"));
    let url = place.http.url("/tree.tar");
    let expression = format!("builtins.seq (builtins.fetchurl \"{url}\") {source}");
    let file = place.store.write("fetches.nix", expression).unwrap();
    let command = ["nix-build", file.to_str().unwrap(), "--no-out-link"];
    let mut command = place.command(&[], &command);
    command.env("XDG_CACHE_HOME", place.store.scratch().join("cache"));
    let run = place.left(command.output().unwrap());
    run.ends(0);
    assert_eq!(run.report["evaluation"]["requests"], 1);
    let told = "evaluation itself made 1 request:";
    assert_eq!(run.stderr.matches(told).count(), 1, "{}", run.stderr);
    let evidence = std::fs::read_to_string(place.store.scratch().join("evidence.jsonl")).unwrap();
    let mut lines = evidence
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["url"] == url.as_str()).unwrap();
    assert_eq!(
        (&line["name"], &line["attributed"]),
        (&"evaluation".into(), &"token".into())
    );
    assert_eq!(line["mode"], "audit");
}

/// What is said of each shape.
fn shapes(builtin: &str, https: &str) -> [(String, String); 6] {
    [
        ("builtin", builtin),
        ("git", "fetched"),
        ("git-tls", "fetched"),
        ("http", "ok"),
        ("https", https),
        ("zip", "fetched"),
    ]
    .map(|(name, verdict)| (name.to_owned(), verdict.to_owned()))
}
