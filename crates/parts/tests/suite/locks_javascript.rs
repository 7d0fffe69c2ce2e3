//! Lock files of JavaScript: npm, yarn, pnpm.

use insta::assert_snapshot;
use snowguard_parts::{Declared, Evidence, Limits, Part, Scope, kind_of, read};

use crate::{declared, text};

/// What every lock file of one project says, made by npm, yarn and pnpm.
const JAVASCRIPT: [(&str, &str); 8] = [
    (
        "package-lock.json",
        include_str!("../data/javascript/npm-1/package-lock.json"),
    ),
    (
        "package-lock.json",
        include_str!("../data/javascript/npm-2/package-lock.json"),
    ),
    (
        "package-lock.json",
        include_str!("../data/javascript/npm-3/package-lock.json"),
    ),
    (
        "yarn.lock",
        include_str!("../data/javascript/yarn-1/yarn.lock"),
    ),
    (
        "yarn.lock",
        include_str!("../data/javascript/yarn-4/yarn.lock"),
    ),
    (
        "pnpm-lock.yaml",
        include_str!("../data/javascript/pnpm-5/pnpm-lock.yaml"),
    ),
    (
        "pnpm-lock.yaml",
        include_str!("../data/javascript/pnpm-6/pnpm-lock.yaml"),
    ),
    (
        "pnpm-lock.yaml",
        include_str!("../data/javascript/pnpm-9/pnpm-lock.yaml"),
    ),
];

#[test]
fn npm() {
    let (path, lock) = JAVASCRIPT[2];
    assert_snapshot!(text(path, lock), @r"
    sample | pkg:generic/sample | 1.0.0 | runtime | root | Local | line 7
    @babel/runtime | pkg:npm/@babel/runtime | 7.20.0 | runtime | sha512-NDYdls71fTXoU8TZHfbBWg7DiZfNzClcKui/+kyi6ppD2L1qnWW3VV6CjtaBXSUGGhiTWJ6ereOIkUvenif66Q== | line 22
    ansi-styles | pkg:npm/ansi-styles | 3.2.1 | runtime | sha512-VT0ZI6kZRdTh8YyJw3SMbYm/u+NqfsAxEpWO0Pf9sq8/e94WxxOpPKx9FR1FlyCtOVDNOQ+8ntlqFxiRc+r5qA== | line 33
    chalk | pkg:npm/chalk | 2.4.2 | runtime | sha512-Mti+f9lpJNcwF4tWV8/OrTTtF1gZi+f8FqlyAdouralcFWFQWF2+NgCHShjkCb+IFBLq9buZwE1xckQU4peSuQ== | line 44
    color-convert | pkg:npm/color-convert | 1.9.3 | runtime | sha512-QfAUtd+vFdAtFQcC8CCyYt1fYWxSqAiK2cSD6zDB8N3cpsEBAvRxp9zOGg6G/SHHJYAT88/az/IuDGALsNVbGg== | line 57
    color-name | pkg:npm/color-name | 1.1.3 | runtime | sha512-72fSenhMw2HZMTVHeCA9KCmpEIbzWiQsjN+BHcBbS9vr1mtt+vJjPdksIBNUmKAW8TFUDPJK5SUU3QhE9NEXDw== | line 65
    debug | pkg:npm/debug | 4.3.4 | development | sha512-PRWFHuSU3eDtQJPvnNY7Jcket1j0t5OuOsFzPPzsekD52Zl8qUfFIPEiswXqIvHWGVHOgX+7G/vCNNhehwxfkQ== | line 70
    escape-string-regexp | pkg:npm/escape-string-regexp | 1.0.5 | runtime | sha512-vbRorB5FUQWvla16U8R/qgaFIya2qGzwDrNmCZuYKrbdSUMG6I1ZCGQRefkRVhuOkIGVne7BQ35DSfo1qvJqFg== | line 87
    fsevents | pkg:npm/fsevents | 2.3.2 | optional | sha512-xiqMQR4xAeHTuB9uWm+fFRcIOgKBMiOBP+eXiyT7jsgVCq1bkVygt00oASowB7EdtpOHaaPgKt812P9ab+DDKA== | line 95
    has-flag | pkg:npm/has-flag | 3.0.0 | runtime | sha512-sKJf1+ceQBr4SMkvQnBDNDtf4TXpVhVGateu0t918bl30FnbE2m4vNLX+VWe/dpjlb+HugGYzW7uQXH98HPEYw== | line 107
    left-pad | pkg:npm/left-pad | 1.3.0 | runtime | for left | sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA== | line 115
    ms | pkg:npm/ms | 2.1.2 | development | sha512-sGkPx+VjMtmA6MX27oA4FBFELFCZZ4S4XqeGOXCv68tT+jb3vk/RyaKWP0PTKyWtmLSM0b+adUTEvbs1PEaH2w== | line 121
    regenerator-runtime | pkg:npm/regenerator-runtime | 0.13.11 | runtime | sha512-kY1AZVr2Ra+t+piVaJ4gxaFaReZVH40AKNo7UCX6W+dEwBo/2oZJzqfuN1qLq1oL45o56cPaTXELwrTh8Fpggg== | line 127
    supports-color | pkg:npm/supports-color | 5.5.0 | runtime | sha512-QjVjwdXIt408MIiAqCX4oUKsgU2EqAGzs2Ppkm4aQYbjm+ZEWEcW4SfFNTr4uMNZma0ey4f5lgLrkB0aX0QMow== | line 132
    ");
}

#[test]
fn every_tool_of_javascript_says_the_same() {
    let purls = |parts: &[Part]| {
        let of = parts.iter().filter(|part| !part.root).map(Part::purl);
        let mut purls: Vec<String> = of.collect();
        purls.sort();
        purls
    };
    let npm = declared(JAVASCRIPT[2].0, JAVASCRIPT[2].1.as_bytes());
    let expected = purls(&npm.parts);
    for (index, (path, lock)) in JAVASCRIPT.into_iter().enumerate() {
        let parts = declared(path, lock.as_bytes());
        assert_eq!(parts.problems, [], "{path} {index}");
        let found = purls(&parts.parts);
        // The newer yarn adds what builds `fsevents`.
        let found: Vec<String> = if index == 4 {
            let known = |purl: &String| expected.contains(purl);
            found.into_iter().filter(known).collect()
        } else {
            found
        };
        assert_eq!(found, expected, "{path} {index}");
        if path == "yarn.lock" {
            continue;
        }
        for part in parts.parts.iter().filter(|part| !part.root) {
            let scope = match &*part.name {
                "debug" | "ms" => Scope::Development,
                "fsevents" => Scope::Optional,
                _ => Scope::Runtime,
            };
            assert_eq!(part.scope, scope, "{path} {index} {}", part.name);
        }
    }
}

#[test]
fn yarn() {
    let (path, lock) = JAVASCRIPT[4];
    let text = text(path, lock);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("left") || line.contains("fsevents") || line.contains("root"))
        .collect();
    assert_snapshot!(lines.join("\n"), @r"
    fsevents | pkg:npm/fsevents | 2.3.2 | 10c0/be78a3efa3e181cda3cf7a4637cb527bcebb0bd0ea0440105a3bb45b86f9245b307dc10a2507e8f4498a7d4ec349d1910f4d73e4d4495b16103106e07eee735b | line 122
    left-pad | pkg:npm/left-pad | 1.3.0 | for left | 10c0/3fb59c76e281a2f5c810ad71dbbb8eba8b10c6cf94733dc7f27b8c516a5376cacea53543e76f6ae477d866c8954b27f1e15ca349424c2542474eb5bb1d2b6955 | line 162
    sample | pkg:generic/sample | 0.0.0-use.local | runtime | root | Local | line 244
    ");
}

#[test]
fn what_npm_has_installed() {
    let lock = include_str!("../data/javascript/installed/package-lock.json");
    let parts = declared("lib/node_modules/.package-lock.json", lock.as_bytes());
    // What `npm ls --all --json` says there: twelve packages, `left` being left-pad.
    assert_eq!(parts.parts.len(), 12);
    for part in &parts.parts {
        assert_eq!(part.by, Declared::NpmInstalled);
        assert_eq!(part.by.evidence(), Evidence::Contained);
    }
}

#[test]
fn npm_from_elsewhere() {
    assert_snapshot!(text("package-lock.json", r#"{
  "name": "house", "version": "1.0.0", "lockfileVersion": 3,
  "packages": {
    "": {"name": "house", "version": "1.0.0"},
    "packages/inner": {"name": "@house/inner", "version": "0.1.0"},
    "packages/nameless": {"version": "0.1.0"},
    "node_modules/@house/inner": {"resolved": "packages/inner", "link": true},
    "node_modules/is-odd": {"version": "3.0.1", "resolved": "git+ssh://git@github.com/a/is-odd.git#0123"},
    "node_modules/tar": {"version": "1.0.0", "resolved": "https://example.org/tar.tgz"},
    "node_modules/a/node_modules/b": {"version": "2.0.0", "inBundle": true},
    "node_modules/unversioned": {"resolved": "https://registry.npmjs.org/u/-/u-1.tgz"},
    "node_modules/strange": {"version": 5},
    "node_modules/wrong": []
  }
}"#), @r#"
    house | pkg:generic/house | 1.0.0 | runtime | root | Local | line 4
    @house/inner | pkg:generic/@house/inner | 0.1.0 | runtime | root | Local | line 5
    is-odd | pkg:generic/is-odd | 3.0.1 | runtime | Repository("git+ssh://git@github.com/a/is-odd.git#0123") | line 8
    tar | pkg:generic/tar | 1.0.0 | runtime | Elsewhere("https://example.org/tar.tgz") | line 9
    b | pkg:npm/b | 2.0.0 | runtime | line 10
    problem: line 11, no version of unversioned
    problem: line 12, no version of strange
    problem: line 13, no version of wrong
    "#);
    assert_snapshot!(text("npm-shrinkwrap.json", r#"{
  "lockfileVersion": 1,
  "dependencies": {
    "left": {"version": "npm:left-pad@1.3.0", "dependencies": {
      "deep": {"version": "1.0.0", "dev": true}
    }},
    "forked": {"version": "git+https://github.com/a/b.git#0123", "from": "a/b"},
    "beside": {"version": "file:../beside"}
  }
}"#), @r#"
    left-pad | pkg:npm/left-pad | 1.3.0 | runtime | for left | line 4
    deep | pkg:npm/deep | 1.0.0 | development | line 5
    forked | pkg:generic/forked | git+https://github.com/a/b.git#0123 | runtime | Repository("git+https://github.com/a/b.git#0123") | line 7
    beside | pkg:generic/beside | file:../beside | runtime | Local | line 8
    "#);
}

#[test]
fn pnpm_from_elsewhere() {
    assert_snapshot!(text("pnpm-lock.yaml", "lockfileVersion: '6.0'

packages:

  github.com/a/b/0123:
    resolution: {tarball: https://codeload.github.com/a/b/tar.gz/0123}
    name: b
    version: 2.0.0
    dev: false

  file:../beside:
    resolution: {directory: ../beside, type: directory}
    name: beside
    dev: false

  /@s/peer@1.0.0(react@18.0.0):
    resolution:
      integrity: sha512-x
      tarball: https://registry.npmjs.org/@s/peer/-/peer-1.0.0.tgz
    deprecated: >-
      do not: use
      this
    dev: true
"), @r#"
    b | pkg:generic/b | 2.0.0 | runtime | Elsewhere("https://codeload.github.com/a/b/tar.gz/0123") | line 5
    @s/peer | pkg:npm/@s/peer | 1.0.0 | development | sha512-x | line 16
    "#);
    assert_snapshot!(text("pnpm-lock.yaml", "lockfileVersion: '9.0'

importers:
  .:
    dependencies:
      b:
        specifier: github:a/b
        version: https://codeload.github.com/a/b/tar.gz/0123
      c:
        specifier: ^1
        version: 1.0.0(d@2.0.0)
  packages/x:
    devDependencies:
      e:
        specifier: ^1
        version: 1.0.0

packages:
  b@https://codeload.github.com/a/b/tar.gz/0123:
    resolution: {tarball: https://codeload.github.com/a/b/tar.gz/0123}
    version: 2.0.0
  c@1.0.0:
    resolution: {integrity: sha512-c}
  d@2.0.0:
    resolution: {integrity: sha512-d}
  e@1.0.0:
    resolution: {integrity: sha512-e}
  unreached@1.0.0:
    resolution: {integrity: sha512-f}

snapshots:
  b@https://codeload.github.com/a/b/tar.gz/0123: {}
  c@1.0.0(d@2.0.0):
    dependencies:
      d: 2.0.0
  d@2.0.0: {}
  e@1.0.0:
    dependencies:
      c: 1.0.0(d@2.0.0)
"), @r#"
    b | pkg:generic/b | 2.0.0 | runtime | Elsewhere("https://codeload.github.com/a/b/tar.gz/0123") | line 19
    c | pkg:npm/c | 1.0.0 | runtime | sha512-c | line 22
    d | pkg:npm/d | 2.0.0 | runtime | sha512-d | line 24
    e | pkg:npm/e | 1.0.0 | development | sha512-e | line 26
    unreached | pkg:npm/unreached | 1.0.0 | sha512-f | line 28
    "#);
    let error = read(
        kind_of("pnpm-lock.yaml", b"").unwrap(),
        "pnpm-lock.yaml",
        &b"packages: {}\n"[..],
        &Limits::default(),
    );
    assert_snapshot!(error.unwrap_err(), @"not a pnpm-lock.yaml: no lockfileVersion");
}

#[test]
fn pnpm_in_two_documents() {
    let lock = "---\nlockfileVersion: '9.0'\n\npackages:\n  a@1.0.0:\n    resolution: {integrity: x}\n\n---\n\
        lockfileVersion: '9.0'\n\npackages:\n  b@1.0.0:\n    resolution: {integrity: y}\n";
    assert_snapshot!(text("pnpm-lock.yaml", lock), @r"
    a | pkg:npm/a | 1.0.0 | x | line 5
    b | pkg:npm/b | 1.0.0 | y | line 12
    ");
    let unknown =
        "lockfileVersion: '10.0'\npackages:\n  b@1.0.0:\n    resolution: {integrity: y}\n";
    assert_snapshot!(text("pnpm-lock.yaml", unknown), @r"
    b | pkg:npm/b | 1.0.0 | y | line 3
    problem: line 1, version 10.0 is not known
    ");
}

#[test]
fn yarn_from_elsewhere() {
    assert_snapshot!(text("yarn.lock", r#"# yarn lockfile v1

"@s/a@^1.0.0", "@s/a@^1.1.0":
  version "1.1.0"
  resolved "https://registry.yarnpkg.com/@s/a/-/a-1.1.0.tgz#0123"
  integrity sha512-x

"b@git+https://github.com/a/b.git":
  version "2.0.0"
  resolved "git+https://github.com/a/b.git#0123"

"c@file:../c":
  version "0.0.0"

left@npm:left-pad@1.3.0:
  version "1.3.0"

broken@^1:
  integrity sha512-y
"#), @r#"
    @s/a | pkg:npm/@s/a | 1.1.0 | sha512-x | line 4
    b | pkg:generic/b | 2.0.0 | Repository("git+https://github.com/a/b.git#0123") | line 9
    c | pkg:generic/c | 0.0.0 | Local | line 13
    left-pad | pkg:npm/left-pad | 1.3.0 | for left | line 16
    problem: the whole file, no version of broken@^1
    "#);
    assert_snapshot!(text("yarn.lock", r#"__metadata:
  version: 8

"b@github:a/b":
  version: 2.0.0
  resolution: "b@https://github.com/a/b.git#commit=0123"
  linkType: hard

"beside@portal:../beside::locator=x%40workspace%3A.":
  version: 0.0.0-use.local
  resolution: "beside@portal:../beside::locator=x%40workspace%3A."
  linkType: soft

"c@npm:1.0.0":
  version: 1.0.0
  resolution: "c@npm:1.0.0::__archiveUrl=https%3A%2F%2Fnpm.example%2Fdownload%2Fc%2F1.0.0%2F01"
  linkType: hard

broken:
  version: 1
"#), @r#"
    b | pkg:generic/b | 2.0.0 | Repository("https://github.com/a/b.git#commit=0123") | line 5
    beside | pkg:generic/beside | 0.0.0-use.local | Local | line 10
    c | pkg:generic/c | 1.0.0 | Elsewhere("https%3A%2F%2Fnpm.example%2Fdownload%2Fc%2F1.0.0%2F01") | line 15
    problem: line 19, no version or resolution of broken
    "#);
}

#[test]
fn more_parts_than_the_limit() {
    let limits = Limits {
        parts: 2,
        ..Limits::default()
    };
    let lock = JAVASCRIPT[3].1;
    let kind = kind_of("yarn.lock", b"").unwrap();
    let parts = read(kind, "yarn.lock", lock.as_bytes(), &limits).unwrap();
    assert_eq!(parts.parts.len(), 2);
    assert_eq!(parts.problems.len(), 1);
    assert_eq!(&*parts.problems[0].what, "more than 2 parts");
    let limits = Limits {
        text: 100,
        ..Limits::default()
    };
    let error = read(kind, "yarn.lock", lock.as_bytes(), &limits).unwrap_err();
    assert_snapshot!(error, @"the file is larger than the limit of 100");
}

#[test]
fn nested_without_end() {
    let depth = 10_000;
    let lock = format!(
        "{{\"dependencies\":{}{}}}",
        "{\"a\":{\"version\":\"1\",\"dependencies\":".repeat(depth),
        "}}".repeat(depth),
    )
    .replace("\"dependencies\":}", "\"dependencies\":{}}");
    let parts = declared("package-lock.json", lock.as_bytes());
    assert_eq!(parts.parts.len(), 32);
    assert_eq!(parts.problems.len(), 1);
    assert_eq!(
        &*parts.problems[0].what,
        "dependencies that are nested too deep"
    );
}
