//! What is refused before anything is fetched or built: what would build outside, or without what protects.

use std::process::{Command, Stdio};

use super::place::{Place, run};

#[test]
fn without_what_protects_nothing_is_fetched() {
    let Some(place) = Place::new() else { return };
    let sources = [fetched_early(&place)];
    for options in [
        ["--helper", "/bin/false"],
        ["--helper", "/no/such/program"],
        ["--daemon", "/bin/false"],
        ["--policy", "none.toml"],
    ] {
        // Given twice, an option is refused; so it is given here only.
        let file = place.system(&sources);
        let mut command = place.command(&[], &["nix-build", file.to_str().unwrap()]);
        let mut args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        match args.iter().position(|arg| arg == options[0]) {
            Some(at) => args[at + 1] = options[1].into(),
            None => {
                let end = args.iter().position(|arg| arg == "--").unwrap();
                args.splice(end..end, options.map(Into::into));
            }
        }
        let mut again = Command::new(command.get_program());
        again.args(&args).envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let output = again.current_dir(place.store.scratch()).output().unwrap();
        command.stdin(Stdio::null());
        let run = place.left(output);
        run.ends(2);
        assert!(run.stderr.contains("error: "), "{}", run.stderr);
        assert_eq!((run.stdout.as_str(), place.asked()), ("", 0), "{options:?}");
    }
    // A daemon would fetch in its own network.
    let file = place.system(&sources);
    let output = place
        .command(&[], &["nix-build", file.to_str().unwrap()])
        .env("NIX_REMOTE", "unix:///no/such/socket")
        .output()
        .unwrap();
    let run = place.left(output);
    run.ends(2);
    assert_eq!(place.asked(), 0);
}

#[test]
fn what_runs_outside_cannot_be_made_to_build() {
    let Some(place) = Place::new() else { return };
    // What is fetched is needed to know what to build.
    let source = place.fetchurl("early", &place.http.url("/file"));
    let expression = format!("builtins.seq (builtins.readFile {source}) {source}");
    let file = place.store.write("early.nix", expression).unwrap();
    let file = file.to_str().unwrap();
    let hook = place
        .store
        .write("hook", "#!/bin/sh\necho > hooked\n")
        .unwrap();
    run(
        "chmod",
        place.store.scratch(),
        &["+x", hook.to_str().unwrap()],
    );
    for arguments in [
        &[][..],
        &["-kj8"],
        &["-Qj4"],
        &["-j8"],
        &["--option", "build-max-jobs", "8"],
        &["--option", "build-hook", "/bin/true"],
        &["--accept-flake-config"],
    ] {
        let command = [&["nix-build", file], arguments].concat();
        let mut command = place.command(&[], &command);
        let run = place.left(command.env("NIX_BUILD_HOOK", &hook).output().unwrap());
        run.ends(2);
        assert_eq!(
            (run.stdout.as_str(), place.asked()),
            ("", 0),
            "{arguments:?}"
        );
        let option = arguments.first().unwrap_or(&"");
        assert!(run.stderr.contains(option), "{}", run.stderr);
    }
    assert!(!place.store.scratch().join("hooked").exists());
    // A flake may say how it is built, to who has said that flakes may.
    std::fs::create_dir(place.store.scratch().join("flake")).unwrap();
    let flake = format!(
        "{{ nixConfig.max-jobs = 8; outputs = {{ self }}: {{ x = builtins.seq (builtins.readFile {source}) {source}; }}; }}"
    );
    place.store.write("flake/flake.nix", flake).unwrap();
    let flake = format!("path:{}/flake#x", place.store.scratch().display());
    let mut command = place.command(&[], &["nix", "build", "--impure", "--no-link", &flake]);
    command.env(
        "NIX_CONFIG",
        "experimental-features = nix-command flakes\naccept-flake-config = true\nsandbox = false\n\
         substitute = false\nbuild-users-group =\nfilter-syscalls = false",
    );
    let run = place.left(command.output().unwrap());
    run.ends(2);
    assert!(run.stderr.contains("max-jobs"), "{}", run.stderr);
    assert_eq!(place.asked(), 0);
}

#[test]
fn a_store_of_a_daemon_is_refused_whoever_names_it() {
    let Some(place) = Place::new() else { return };
    let file = place.system(&[place.fetchurl("http", &place.http.url("/file"))]);
    let command = ["nix-build", file.to_str().unwrap()];
    let two = place.store.scratch().join("two");
    let two = format!("local?root={0}&real={0}/real", two.display());
    for (variable, value) in [
        (
            "NIX_CONFIG",
            "sandbox = false\nstore = unix:///no/such/socket",
        ),
        ("NIX_REMOTE", "unix:///no/such/socket"),
        ("NIX_REMOTE", "mounted-ssh-ng://builder"),
        ("NIX_REMOTE", &two),
    ] {
        let mut command = place.command(&[], &command);
        let run = place.left(command.env(variable, value).output().unwrap());
        run.ends(2);
        let told = "builds for the store";
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(place.asked(), 0, "{value}");
    }
    assert!(!place.store.scratch().join("two").exists());
    // Who may write to the store builds by itself, though a daemon is there.
    let mut command = place.command(&[], &command);
    let socket = place.store.scratch().join("socket");
    let _daemon = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    command
        .env("NIX_REMOTE", "auto")
        .env("NIX_DAEMON_SOCKET_PATH", &socket);
    place.left(command.output().unwrap()).ends(0);
}

#[test]
fn without_the_sandbox_nothing_is_fetched_unless_it_is_said() {
    let Some(place) = Place::new() else { return };
    let file = place.system(&[fetched_early(&place)]);
    let command = ["nix-build", file.to_str().unwrap()];
    let mut off = place.command_in_sandbox(&[], &command);
    let run = place.left(off.output().unwrap());
    run.ends(2);
    assert!(
        run.stderr.contains("Nix's sandbox is off"),
        "{}",
        run.stderr
    );
    if rustix::process::geteuid().is_root() {
        let mut root = place.command_in_sandbox(&[], &command);
        root.env(
            "NIX_CONFIG",
            "sandbox = true\nsubstitute = false\nbuild-users-group =",
        );
        let run = place.left(root.output().unwrap());
        run.ends(2);
        assert!(
            run.stderr.contains("builders would be root"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(place.asked(), 0);
}

/// A source for which an evaluation fetches too, before anything is built.
fn fetched_early(place: &Place) -> String {
    let source = place.fetchurl("http", &place.http.url("/file"));
    let url = place.http.url("/tree.tar");
    format!("(builtins.seq (builtins.readFile (builtins.fetchurl \"{url}\")) {source})")
}
