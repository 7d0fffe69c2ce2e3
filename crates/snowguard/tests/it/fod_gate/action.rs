//! The script and the action around the command.

use std::path::Path;
use std::process::Command;

use super::*;

#[test]
fn the_script_leaves_reports_and_keeps_the_status() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actions/fod-gate/gate.sh");
    let run = |base: &str, head: &str, more: &[(&str, &str)]| {
        let output = Command::new("bash")
            .arg(&script)
            .env("BASE", base)
            .env("HEAD", head)
            .env("SNOWGUARD", env!("CARGO_BIN_EXE_snowguard"))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", place.path("step.md"))
            .envs(more.iter().copied())
            .current_dir(place.work())
            .output()
            .unwrap();
        Run::new(&[], output, &place.work())
    };
    let (b, h) = (directory(&base), directory(&head));
    let told = run(b, h, &[]);
    told.exits(1);
    let lines: Vec<&str> = told.stdout.lines().collect();
    let token = lines[0].strip_prefix("::stop-commands::").unwrap();
    assert_eq!(token.len(), 32);
    assert_eq!(*lines.last().unwrap(), format!("::{token}::"));
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("step.md"), read("fod-gate/summary.md"));
    assert_valid(Schema::Sarif21, read("fod-gate/gate.sarif").as_bytes());
    run(b, b, &[]).exits(0);
    run(b, h, &[("FAIL_ON", "never")]).exits(0);
    // A check that fails is no check that passes, and leaves nothing that looks like it.
    run(b, "none", &[]).exits(2);
    assert!(read("step.md").ends_with("its log says why.\n"));
    assert!(!place.path("fod-gate/gate.json").exists());
    run(b, "", &[]).exits(2);
    // A word that is not known is no "no".
    for (name, value) in [("VERIFY", "yes"), ("BUILD", "on"), ("INCOMPLETE", "TRUE")] {
        let told = run(b, b, &[(name, value)]);
        told.exits(2);
        assert!(
            told.stderr
                .contains(&format!("{name} must be true or false")),
            "{told}"
        );
    }
    run(b, b, &[("VERIFY", "true"), ("BUILD", "false")]).exits(0);
    // Each word that switches something on does.
    run(b, b, &[("BUILD", "true")]).exits(2);
    run(b, b, &[("VERIFY", "1"), ("CA_FILE", "none.pem")]).exits(2);
}

/// In a script of an action, `${{ … }}` is put in before a shell reads it: whoever writes it writes code.
#[test]
fn the_action_puts_nothing_into_its_script() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actions/fod-gate/action.yml");
    let action = fs::read_to_string(file).unwrap();
    let (_, script) = action.split_once("run: |").unwrap();
    assert!(!script.contains("${{"), "{script}");
    let scripts = action.matches("run:").count();
    assert_eq!(scripts, 1);
}

#[test]
fn the_book_names_each_variable_of_the_script() {
    let page = include_str!("../../../../../docs/src/fod-gate.md");
    let script = include_str!("../../../../../actions/fod-gate/gate.sh");
    let is_of_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let names: Vec<&str> = script
        .split("${")
        .skip(1)
        .filter_map(|text| text.split(|c| !is_of_name(c)).next())
        .filter(|name| !name.is_empty() && !name.starts_with("GITHUB_"))
        .collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
