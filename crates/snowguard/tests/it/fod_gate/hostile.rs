//! What the author of a change writes forges no line of a report, hides none and leaks nothing.

use super::*;

#[test]
fn what_the_author_writes_stays_within_its_quotes() {
    let base = of("https://example.org/r.git", "v1", "one");
    let place = Place::new();
    let plain_head = of("https://example.org/r.git", "v2", "one");
    let expected = gate(&place, &base, &plain_head, &["--format", "markdown"]);
    let expected = skeleton(&expected.exits(1).stdout);
    for hostile in HOSTILE {
        let head = of("https://example.org/r.git", hostile, "one");
        let run = gate(&place, &base, &head, &["--format", "markdown"]);
        let markdown = &run.exits(1).stdout;
        let told = skeleton(markdown);
        // By a revision that looks like a commit or a branch other rules apply: all that is said about the
        // first finding, and the heading, are the same in any case.
        assert_eq!(told[0], expected[0], "{markdown}");
        for line in &told {
            let known = expected.contains(line)
                || line.starts_with("- **[branch](")
                || line.starts_with("- **[mutable-tag](");
            assert!(known || is_of_a_rule(line), "{line}\n{markdown}");
        }
        assert!(markdown.is_ascii(), "{markdown}");
        // And in the log of a job no line is a command of the runner.
        let run = gate(&place, &base, &head, &[]);
        for line in run.exits(1).stdout.lines() {
            assert!(!line.trim_start().starts_with("::"), "{run}");
            assert!(!line.contains("##"), "{run}");
            assert!(!line.chars().any(char::is_control), "{run}");
        }
        let run = gate(&place, &base, &head, &["--format", "sarif"]);
        assert_valid(Schema::Sarif21, run.exits(1).stdout.as_bytes());
        document(&gate(&place, &base, &head, &["--format", "json"]));
    }
}

#[test]
fn what_was_found_is_counted_before_it_is_told() {
    let fetched = |urls: &[String]| {
        let of = |(at, url): (usize, &String)| {
            format!(
                r#"(git "source-{at}" (builtins.fromJSON {}))"#,
                nix_text(&json!(url).to_string())
            )
        };
        let all: Vec<String> = urls.iter().enumerate().map(of).collect();
        let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
        let expression = format!(
            r#"let
              drv = args: derivation ({{ system = "x86_64-linux"; builder = "/bin/sh"; }} // args);
              git = name: url: drv {{
                inherit name url; rev = "v1"; nativeBuildInputs = [ (drv {{ name = "git-2.51.0"; }}) ];
                outputHash = builtins.hashString "sha256" name; outputHashAlgo = "sha256";
                outputHashMode = "recursive";
              }};
            in drv {{ name = "system"; needs = [ {} ]; }}"#,
            all.join(" ")
        );
        nix.instantiate(&expression, &[]).unwrap();
        nix
    };
    let (place, base) = (Place::new(), fetched(&[]));
    let forged = "git://e.org/x\n- **Found:** 0 git-protocol\n  0 git-protocol, 0 mutable-tag\n";
    let urls: Vec<String> = (0..4).map(|at| format!("{forged}{at}")).collect();
    let head = fetched(&urls);
    let lines = |run: &Run| -> Vec<(usize, String)> {
        let lines = run.exits(1).stdout.lines().enumerate();
        let told = lines.filter(|(_, line)| {
            line.starts_with("- **Found:**") || line.trim_start().starts_with(['0', '4'])
        });
        told.map(|(at, line)| (at, line.to_owned())).collect()
    };
    // What blocks stands before what does not, and no line of another's is beside it.
    let text = gate(&place, &base, &head, &[]);
    let told = "4 git-protocol, 4 mutable-tag";
    assert_eq!(lines(&text), [(2, format!("  {told}"))], "{text}");
    let markdown = gate(&place, &base, &head, &["--format", "markdown"]);
    assert_eq!(
        lines(&markdown),
        [(4, format!("- **Found:** {told}"))],
        "{markdown}"
    );
    // Few are seen at a glance.
    let few = fetched(&urls[..2]);
    for format in ["text", "markdown"] {
        let run = gate(&place, &base, &few, &["--format", format]);
        assert_eq!(lines(&run), [], "{run}");
    }
}

#[test]
fn mirrors_of_others_decide_nothing() {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    nix.instantiate(MIRRORED, &[]).unwrap();
    let run = Place::new().run(&["fod", "list", directory(&nix), "--format", "json"]);
    assert_eq!(
        document(run.exits(0))["fods"][0]["urls"],
        json!(["https://ftp.gnu.org/gnu/hello/hello-2.12.tar.gz"])
    );
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let two = MIRRORED.replace(
        "mirrorsFile",
        "more = list \"https://evil.example/\"; mirrorsFile",
    );
    nix.instantiate(&two, &[]).unwrap();
    let run = Place::new().run(&["fod", "list", directory(&nix), "--format", "json"]);
    assert_eq!(
        document(run.exits(0))["fods"][0]["urls"],
        json!(["mirror://gnu/hello/hello-2.12.tar.gz"])
    );
}

#[test]
fn no_report_shows_a_password() {
    let (user, query) = ("https://me:hunter2@example.org/", "?token=hunter3");
    let base = of(&format!("{user}r.git{query}"), "v1", "one");
    let head = of(&format!("{user}s.git{query}"), "v2", "one");
    let place = Place::new();
    for format in ["text", "markdown", "json", "sarif"] {
        let run = gate(&place, &base, &head, &["--format", format]);
        let told = &run.exits(1).stdout;
        assert!(told.contains("https://example.org/s.git?token="), "{told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    for format in ["text", "json", "jsonl", "html"] {
        for command in ["list", "verify"] {
            let args = ["fod", command, directory(&head), "--format", format];
            let plan: &[&str] = if command == "verify" {
                &["--plan"]
            } else {
                &[]
            };
            let run = place.run(&[&args[..], plan].concat());
            assert!(!run.exits(0).stdout.contains("hunter"), "{run}");
        }
    }
    let run = place.run(&[
        "fod",
        "diff",
        directory(&base),
        directory(&head),
        "--format",
        "json",
    ]);
    assert!(!run.exits(1).stdout.contains("hunter"), "{run}");
}

/// What somebody might write where a URL or a revision is asked for.
const HOSTILE: [&str; 16] = [
    "https://e.org/\n## What this change fetches: passed\n\nNothing to see.\n",
    "https://e.org/`\n\n- **ok**: all is well",
    "https://e.org/``` </code></details><!--",
    "https://e.org/<script>alert(1)</script><img src=x onerror=alert(1)>",
    "https://e.org/|x|\n|-|-|\n|a|b|",
    "https://e.org/@everyone #1 !2 ~label www.evil.example",
    "https://e.org/[click](https://evil.example) ![x](https://evil.example/x.png)",
    "https://e.org/\r::set-output name=passed::true",
    "::stop-commands::x\n::error::y",
    "https://e.org/##[group]hidden",
    "##vso[task.prependpath]/tmp/x",
    "###teamcity[buildStatus status='SUCCESS']",
    "https://e.org/\u{202e}\u{2066}gnp.exe\u{200b}",
    "https://g\u{456}thub.com/o/r/archive/v2.tar.gz",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{9b}31m",
    "```\n\n~~~\n<details>\n---\n===\n    code",
];

/// A file that `fetchurl` fetches, from a mirror.
const MIRRORED: &str = r#"
  let
    drv = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
    list = url: drv { name = "mirrors-list"; gnu = url; };
    mirrored = list "https://ftp.gnu.org/gnu/";
  in [
    (list "https://evil.example/")
    (drv {
      name = "hello-2.12.tar.gz"; urls = [ "mirror://gnu/hello/hello-2.12.tar.gz" ]; mirrorsFile = mirrored;
      outputHash = builtins.hashString "sha256" "x"; outputHashAlgo = "sha256"; outputHashMode = "flat";
    })
  ]
"#;

/// Whether a line is one of ours that tells a rule.
fn is_of_a_rule(line: &str) -> bool {
    ["  - What: ", "  - What to do: ", "  - From: CODE"]
        .iter()
        .any(|start| line.starts_with(start))
        && line.matches("CODE").count() <= 1
        && !line.contains(['<', '[', '|', '@', '#'])
}

/// The lines of a summary without its code spans, as `CommonMark` has them: what a forge takes for markup.
fn skeleton(markdown: &str) -> Vec<String> {
    markdown.lines().map(without_spans).collect()
}

fn without_spans(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        out.push_str(&rest[..at]);
        let fence = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let inner = &rest[at + fence..];
        let mut from = 0;
        let end = loop {
            let Some(next) = inner[from..].find('`') else {
                panic!("a code span does not end: {line}");
            };
            let start = from + next;
            let run = inner[start..].len() - inner[start..].trim_start_matches('`').len();
            if run == fence {
                break start + run;
            }
            from = start + run;
        };
        out.push_str("CODE");
        rest = &inner[end..];
    }
    out + rest
}
