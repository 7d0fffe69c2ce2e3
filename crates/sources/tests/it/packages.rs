//! Evaluated package sets.

use snowguard_inventory::fact::Mark;
use snowguard_inventory::{Built, Gap, Nature, Role};
use snowguard_sources::packages::{Derivations, Evaluation, evaluation};
use snowguard_sources::{Input, Options, read};

use crate::support::{World, object, piped, told};

const SET: &str = r#"{
  "openssl": {"name": "openssl-1.1.1g", "pname": "openssl", "version": "1.1.1g", "system": "x86_64-linux", "outputName": "bin",
    "meta": {"homepage": "https://www.openssl.org/", "position": "/x/pkgs/development/libraries/openssl/default.nix:89",
             "maintainers": [{"github": "someone"}], "knownVulnerabilities": ["CVE-2021-3711"],
             "identifiers": {"cpeParts": {"vendor": "openssl", "product": "openssl", "version": "1.1.1g"}}}},
  "odd": {"name": "odd-1", "meta": {"homepage": ["https://a.example/", "https://b.example/"], "maintainers": "nobody", "position": 3}},
  "python38Packages.werkzeug": {"name": "python3.8-Werkzeug-1.0.1", "meta": {}}
}"#;

#[test]
fn the_forms_say_the_same() {
    let by_env = piped(SET).unwrap();
    assert_eq!(by_env.nature, Nature::PackageSet);
    let channel = format!(r#"{{"version": 2, "packages": {SET}}}"#);
    let jobs = r#"{"attr":"openssl","attrPath":["openssl"],"name":"openssl-1.1.1g","drvPath":"/nix/store/00000000000000000000000000000000-openssl-1.1.1g.drv","meta":{"homepage":"https://www.openssl.org/"},"system":"x86_64-linux"}
{"attr":"broken","attrPath":["broken"],"error":"attribute missing"}
"#;
    for text in [SET, &*channel] {
        let subject = piped(text).unwrap();
        assert_eq!(subject.graph.roots().len(), 3);
        assert_eq!(subject.gaps, [Gap::NoDerivations { missing: 3, of: 3 }]);
        let meta = object(&subject, "openssl-1.1.1g").meta.as_ref().unwrap();
        assert_eq!(*meta.attr, *"openssl");
        assert_eq!(meta.cpes.len(), 1);
        assert_eq!(*meta.known_vulnerabilities[0], *"CVE-2021-3711");
        assert_eq!(*meta.maintainers[0], *"someone");
        let odd = object(&subject, "odd-1").meta.as_ref().unwrap();
        assert_eq!(odd.homepages.len(), 2);
        assert!(odd.position.is_none());
    }
    let subject = piped(jobs).unwrap();
    assert_eq!(subject.graph.roots().len(), 1);
    let [
        Gap::NoDerivations { missing: 1, of: 1 },
        Gap::Unreadable { count: 1, example },
    ] = &*subject.gaps
    else {
        panic!("{:?}", subject.gaps);
    };
    assert!(
        example.contains("broken") && example.contains("attribute missing"),
        "{example}"
    );
}

/// What the real `nix-env` prints of packages, with the derivations beside it.
#[test]
fn derivations_beside_a_set_say_what_sources_and_patches_are() {
    let world = World::new();
    let set = world
        .store
        .write("set.nix", "{ app = import ./instantiate.nix; }")
        .unwrap();
    let json = world.store.run(
        "nix-env",
        &[],
        [
            "-f",
            set.to_str().unwrap(),
            "-qaP",
            "--json",
            "--meta",
            "--drv-path",
            "--out-path",
        ],
    );
    let json = json.unwrap();
    let options = Options::default();
    let input = || {
        let pipe = std::io::Cursor::new(json.clone());
        Input::from_reader("standard input", pipe, &options).unwrap()
    };
    let beside = Input::detect(&world.drv, &options).unwrap();
    let subject = read(vec![input()], vec![beside], &options).unwrap();
    assert_eq!(subject.graph.roots().len(), 1);
    assert_eq!(subject.gaps, []);
    let meta = subject
        .object(subject.graph.roots()[0])
        .unwrap()
        .meta
        .as_ref()
        .unwrap();
    assert_eq!(meta.drv_path.as_deref(), world.drv.to_str());
    let lib = object(&subject, "lib-1.0");
    assert_eq!(lib.role, Role::Auxiliary);
    assert_eq!(lib.recipe.as_ref().unwrap().patches.len(), 1);
    let derivations = Derivations {
        inputs: vec![Input::detect(world.store.dir(), &options).unwrap()],
        live: false,
    };
    let whole = evaluation(input(), derivations, &options).unwrap();
    assert_eq!(whole.gaps, []);
    let [app] = &*whole.packages else {
        panic!("{whole:?}");
    };
    let output = app.outputs[0].1.as_deref();
    assert_eq!(output, Some(&*world.output("app-2.1")));
    assert_eq!(app.built, Some(Built::default()));
}

#[test]
fn broken_sets_are_told() {
    for (text, wanted) in [
        (&SET[..SET.len() / 2], "cannot read the package set"),
        (
            "{\"a\": {\"name\": \"a-1\", \"meta\": {}}, \"b\": 3,}",
            "cannot read the package set",
        ),
    ] {
        let text = told(&piped(text).unwrap_err());
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("hint: "), "{text}");
    }
}

#[test]
fn a_broken_line_of_jobs_is_told_and_skipped() {
    let jobs = "{\"attr\":\"a\",\"name\":\"a-1\",\"drvPath\":\"x\"}\n{\"attr\":\n";
    let subject = piped(jobs).unwrap();
    assert_eq!(subject.graph.roots().len(), 1);
    let [
        Gap::NoDerivations { missing: 1, of: 1 },
        Gap::Unreadable { count: 1, example },
    ] = &*subject.gaps
    else {
        panic!("{:?}", subject.gaps);
    };
    assert!(example.contains("line 2"), "{example}");
}

const WHOLE: &str = r#"{"attr":"app","attrPath":["app"],"name":"app-1.2","pname":"app","version":"1.2","system":"x86_64-linux",
"drvPath":"/nix/store/00000000000000000000000000000000-app-1.2.drv","outputs":{"out":"/nix/store/00000000000000000000000000000000-app-1.2","dev":null},
"meta":{"description":"An app","broken":false,"insecure":true,"unfree":"no","maintainers":[{"github":"one","githubId":11},"two",{"name":"three","githubId":33}],
"teams":[{"shortName":"Team A","github":"team-a","members":[{"github":"one"},{"github":"four","githubId":"none"}]},{"members":[{"github":"five","githubId":55}]},7]}}"#;

#[test]
fn an_evaluation_is_read_as_a_whole() {
    let options = Options::default();
    let whole = |text: String| {
        let input = Input::from_reader("standard input", std::io::Cursor::new(text), &options);
        evaluation(input.unwrap(), Derivations::default(), &options).unwrap()
    };
    let line = WHOLE.replace('\n', "");
    let jobs = whole(format!(
        "{line}\n{{\"attr\":\"b\",\"error\":\"  failed\\n at line 2\"}}\nnot JSON\n"
    ));
    let object = whole(format!("{{\"app\":{WHOLE},\"c\":[]}}"));
    for evaluation in [&jobs, &object] {
        let [app] = &*evaluation.packages else {
            panic!("{evaluation:?}");
        };
        assert_eq!((&*app.name, &*app.meta.attr), ("app-1.2", "app"));
        assert_eq!(app.meta.maintainers, ["one", "four", "five"].map(Box::from));
        let numbers: Vec<_> = app
            .about
            .github_ids
            .iter()
            .map(|(name, id)| (&**name, *id))
            .collect();
        assert_eq!(numbers, [("five", 55), ("one", 11)]);
        assert_eq!(app.about.teams[0].github.as_deref(), Some("team-a"));
        assert_eq!(app.about.teams.len(), 1);
        assert_eq!(app.about.marks, [Mark::Insecure]);
        assert_eq!(app.about.description.as_deref(), Some("An app"));
        let outputs: Vec<_> = app
            .outputs
            .iter()
            .map(|(name, path)| (&**name, path.is_some()))
            .collect();
        assert_eq!(outputs, [("dev", false), ("out", true)]);
        assert!(app.built.is_none());
    }
    let told = |evaluation: &Evaluation| {
        let failed = evaluation.failed.iter().map(ToString::to_string);
        failed.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&jobs), @r"
    `b`: `failed`
    `line 3 is not a line of nix-eval-jobs: expected ident at line 1 column 2`
    ");
    insta::assert_snapshot!(told(&object), @"`c`: `it is no package`");
}

#[test]
fn what_is_no_package_set_is_refused() {
    let options = Options::default();
    let paths = "/nix/store/00000000000000000000000000000000-app-1.2\n";
    let input = Input::from_reader("standard input", std::io::Cursor::new(paths), &options);
    let refused = evaluation(input.unwrap(), Derivations::default(), &options).unwrap_err();
    insta::assert_snapshot!(refused, @"`standard input` is a list of store paths, and no package set");
}
