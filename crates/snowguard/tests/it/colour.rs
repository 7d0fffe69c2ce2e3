//! When there is colour, and that it adds nothing but colour.

use crate::support::{Place, System, assert_shown, without_colour};

fn place() -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place
}

#[test]
fn colour_only_adds() {
    let place = place();
    for command in [
        vec!["scan", "system.json.zst", "--show-patched"],
        vec!["scan", "system.json.zst", "--component", "openssl"],
        vec![
            "explain",
            "CVE-2021-3156",
            "sudo",
            "--in",
            "system.json.zst",
        ],
        vec!["diff", "system.json.zst", "system.json.zst"],
        vec!["scan", "nosuch"],
    ] {
        let plain = place.run(&command);
        let mut coloured = command.clone();
        coloured.extend(["--color", "always"]);
        let coloured = place.run(&coloured);
        assert_eq!(plain.stdout, without_colour(&coloured.stdout));
        assert_eq!(plain.stderr, without_colour(&coloured.stderr));
        let all = format!("{}{}", coloured.stdout, coloured.stderr);
        assert!(all.contains('\u{1b}'), "{coloured}");
    }
}

#[test]
fn a_scan_in_colour() {
    let run = place().run(&["scan", "system.json.zst", "--color", "always"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn an_explanation_in_colour() {
    let run = place().run(&[
        "explain",
        "CVE-2021-3156",
        "sudo",
        "--in",
        "system.json.zst",
        "--color",
        "always",
    ]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn a_difference_in_colour() {
    let run = place().run(&[
        "diff",
        "system.json.zst",
        "system.json.zst",
        "--color",
        "always",
    ]);
    run.fits();
    assert_shown!(run);
}

/// <https://no-color.org>, <https://bixense.com/clicolors>
#[test]
fn habits_of_others_are_kept() {
    let place = place();
    for (flags, environment, colour) in [
        (&[][..], &[][..], false),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "0")], false),
        (&[], &[("CLICOLOR_FORCE", "")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
        (&[], &[("CLICOLOR", "1")], false),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&["--color", "auto"], &[("TERM", "xterm-256color")], false),
    ] {
        for command in ["scan", "sbom"] {
            let mut args = vec![command, "system.json.zst"];
            args.extend(flags);
            let run = place.run_with(&args, environment);
            let expected = colour && command == "scan";
            assert_eq!(
                run.stdout.contains('\u{1b}'),
                expected,
                "{flags:?} {environment:?} {run}"
            );
        }
    }
}

/// A pipe has no width: a wide terminal elsewhere changes nothing.
#[test]
fn the_width_of_a_pipe_is_80() {
    let place = place();
    let narrow = place.run(&["scan", "system.json.zst"]);
    let wide = place.run_with(&["scan", "system.json.zst"], &[("COLUMNS", "200")]);
    narrow.fits();
    assert_eq!(narrow.stdout, wide.stdout);
}
