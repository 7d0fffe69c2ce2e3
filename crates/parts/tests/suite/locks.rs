//! Lock files.

use insta::assert_snapshot;
use snowguard_parts::{Declared, Evidence, Limits, Part, PartsError, Scope, kind_of, read};

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
fn cargo() {
    assert_snapshot!(text("Cargo.lock", r#"# This file is automatically @generated by Cargo.
version = 4

[[package]]
name = "forked"
version = "0.2.0"
source = "git+https://github.com/a/forked?rev=0123#0123"

[[package]]
name = "house"
version = "2.0.0"
source = "sparse+https://cargo.example/index/"
checksum = "aa"

[[package]]
name = "inner"
version = "0.1.0"

[[package]]
name = "serde_core"
version = "1.0.228"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "41d385c7d4ca58e59fc732af25c3983b67ac852c1a25000afe1175de458b67ad"

[[package]]
name = "top"
version = "0.0.1"
dependencies = [
 "forked",
 "house",
 "inner",
 "serde_core",
]
"#), @r#"
    forked | pkg:generic/forked | 0.2.0 | Repository("https://github.com/a/forked?rev=0123#0123") | line 5
    house | pkg:generic/house | 2.0.0 | Elsewhere("sparse+https://cargo.example/index/") | sha256:aa | line 10
    inner | pkg:generic/inner | 0.1.0 | Local | line 16
    serde_core | pkg:cargo/serde-core | 1.0.228 | sha256:41d385c7d4ca58e59fc732af25c3983b67ac852c1a25000afe1175de458b67ad | line 20
    top | pkg:generic/top | 0.0.1 | root | Local | line 26
    "#);
    assert_snapshot!(text("Cargo.lock", r#"[root]
name = "top"
version = "0.0.1"
dependencies = ["libc 0.2.43 (registry+https://github.com/rust-lang/crates.io-index)"]

[[package]]
name = "libc"
version = "0.2.43"
source = "registry+https://github.com/rust-lang/crates.io-index"

[metadata]
"checksum libc 0.2.43 (registry+https://github.com/rust-lang/crates.io-index)" = "76e3a3ef172f1a0b9a9ff0dd1491ae5e6c948b94479a3021819ba7d860c8645d"
"#), @r"
    top | pkg:generic/top | 0.0.1 | root | Local | line 2
    libc | pkg:cargo/libc | 0.2.43 | sha256:76e3a3ef172f1a0b9a9ff0dd1491ae5e6c948b94479a3021819ba7d860c8645d | line 7
    ");
    let error = read(
        kind_of("Cargo.lock", b"").unwrap(),
        "Cargo.lock",
        &b"<<<<<<< HEAD"[..],
        &Limits::default(),
    );
    let error = error.unwrap_err();
    assert!(matches!(error, PartsError::Malformed { .. }));
    assert_snapshot!(error, @"not a Cargo.lock: key with no value, expected `=`");
}

#[test]
fn go() {
    assert_snapshot!(text("go.mod", "module example.com/sample // the sample

go 1.19

require (
\tgithub.com/spf13/cobra v1.7.0
\tgithub.com/docker/distribution v2.8.2+incompatible
\tgithub.com/spf13/pflag v1.0.5 // indirect
\texample.com/beside v0.0.0-00010101000000-000000000000
)

require example.com/one v1.0.0
replace github.com/spf13/pflag => github.com/spf13/pflag v1.0.3
replace (
\texample.com/beside => ../beside
\texample.com/one v1.0.0 => example.com/other v1.2.0
\texample.com/one => example.com/never v9.9.9
)
exclude example.com/one v0.9.0
retract v0.1.0
"), @r"
    example.com/sample | pkg:golang/example.com/sample | (devel) | root | line 1
    github.com/spf13/cobra | pkg:golang/github.com/spf13/cobra | v1.7.0 | line 6
    github.com/docker/distribution | pkg:golang/github.com/docker/distribution | v2.8.2+incompatible | line 7
    github.com/spf13/pflag | pkg:golang/github.com/spf13/pflag | v1.0.3 | for github.com/spf13/pflag@v1.0.5 | line 8
    example.com/beside | pkg:golang/example.com/beside | v0.0.0-00010101000000-000000000000 | Local | line 9
    example.com/other | pkg:golang/example.com/other | v1.2.0 | for example.com/one@v1.0.0 | line 12
    ");
    assert_snapshot!(text("go.sum", "github.com/spf13/cobra v1.7.0 h1:hyqWnYt1ZQShIddO5kBpj3vu05/++x6tJ6dg8EC572I=
github.com/spf13/cobra v1.7.0/go.mod h1:uLxZILRyS/50WlhOIKD7W6V5bgeIt+4sICxh6uRMrb0=
github.com/cpuguy83/go-md2man/v2 v2.0.2/go.mod h1:tgQtvFlXSQOSOSIRvRPT7W67SCa46tRHOmNcaadrF8o=

<<<<<<<
"), @r"
    github.com/spf13/cobra | pkg:golang/github.com/spf13/cobra | v1.7.0 | h1:hyqWnYt1ZQShIddO5kBpj3vu05/++x6tJ6dg8EC572I= | line 1
    problem: line 5, a line of go.sum without a version or checksum
    ");
    assert_snapshot!(text("vendor/modules.txt", "# github.com/docker/distribution v2.8.2+incompatible
## explicit
github.com/docker/distribution/digestset
github.com/docker/distribution/reference
# github.com/inconshreveable/mousetrap v1.1.0
## explicit; go 1.18
# github.com/spf13/pflag v1.0.5 => github.com/spf13/pflag v1.0.3
## explicit; go 1.12
github.com/spf13/pflag
# example.com/beside v0.0.0 => ../beside
## explicit
example.com/beside
# github.com/spf13/pflag => github.com/spf13/pflag v1.0.3
# example.com/beside => ../beside
"), @r"
    github.com/docker/distribution | pkg:golang/github.com/docker/distribution | v2.8.2+incompatible | line 1
    github.com/spf13/pflag | pkg:golang/github.com/spf13/pflag | v1.0.3 | for github.com/spf13/pflag@v1.0.5 | line 7
    example.com/beside | pkg:golang/example.com/beside | v0.0.0 | Local | line 10
    ");
}

#[test]
fn versions_as_advisories_have_them() {
    let parts = declared(
        "go.mod",
        b"module m\nrequire a.b/c v2.8.2+incompatible\nrequire a.b/d v0.0.0-20210908233432-aa78b53d3365\n",
    );
    let versions: Vec<_> = parts.parts.iter().map(Part::advisory_version).collect();
    assert_eq!(
        versions,
        [
            None,
            Some("2.8.2"),
            Some("0.0.0-20210908233432-aa78b53d3365")
        ]
    );
}

#[test]
fn python() {
    assert_snapshot!(text("uv.lock", include_str!("../data/python/uv.lock")), @r"
    blinker | pkg:pypi/blinker | 1.9.0 | runtime | sha256:b4ce2265a7abece45e7cc896e98dbebe6cead56bcf805a3d23136d145f5445bf | line 6
    click | pkg:pypi/click | 8.5.1 | runtime | sha256:9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4 | line 15
    flask | pkg:pypi/flask | 3.0.0 | runtime | sha256:cfadcdb638b609361d29ec22360d6070a77d7463dcb3ab08d2c2f2f168845f58 | line 24
    iniconfig | pkg:pypi/iniconfig | 2.3.1 | development | sha256:67f4b9c50da0dedf52af349e7749a80a9057a5031199791b906c3bb3ae878960 | line 40
    itsdangerous | pkg:pypi/itsdangerous | 2.2.0 | runtime | sha256:e0050c0b7da1eea53ffaf149c0cfbb5c6e2e2b69c4bef22c81fa6eb73e5f6173 | line 49
    jinja2 | pkg:pypi/jinja2 | 3.1.6 | runtime | sha256:0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d | line 58
    markupsafe | pkg:pypi/markupsafe | 3.0.4 | runtime | sha256:2e9ad7dd851bf45fab9f75cbff4cb493fee9979e8d8c7c9c3ee119022518edd6 | line 70
    pyyaml | pkg:pypi/pyyaml | 6.0.3 | runtime | sha256:d76623373421df22fb4cf8817020cbb7ef15c725b9d5e45f17e189bfc384190f | line 79
    sample-thing | pkg:generic/sample-thing | 0.1.0 | runtime | root | Local | line 88
    werkzeug | pkg:pypi/werkzeug | 3.1.9 | runtime | sha256:55ca7c70a75689be937aa27f8ff4b018f06ff4838fc73045560bf0f5a1291060 | line 118
    ");
    assert_snapshot!(text("Pipfile.lock", include_str!("../data/python/Pipfile.lock")), @r"
    blinker | pkg:pypi/blinker | 1.9.0 | runtime | line 17
    click | pkg:pypi/click | 8.5.1 | runtime | line 24
    flask | pkg:pypi/flask | 3.0.0 | runtime | line 31
    itsdangerous | pkg:pypi/itsdangerous | 2.2.0 | runtime | line 39
    jinja2 | pkg:pypi/jinja2 | 3.1.6 | runtime | line 46
    markupsafe | pkg:pypi/markupsafe | 3.0.4 | runtime | line 53
    werkzeug | pkg:pypi/werkzeug | 3.1.9 | runtime | line 60
    iniconfig | pkg:pypi/iniconfig | 2.3.1 | development | line 69
    ");
    assert_snapshot!(text("requirements.txt", include_str!("../data/python/requirements.txt")), @r"
    blinker | pkg:pypi/blinker | 1.9.0 | sha256:b4ce2265a7abece45e7cc896e98dbebe6cead56bcf805a3d23136d145f5445bf | line 3
    click | pkg:pypi/click | 8.5.1 | sha256:8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37 | line 7
    flask | pkg:pypi/flask | 3.0.0 | sha256:21128f47e4e3b9d597a3e8521a329bf56909b690fcc3fa3e477725aa81367638 | line 11
    itsdangerous | pkg:pypi/itsdangerous | 2.2.0 | sha256:c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef | line 15
    jinja2 | pkg:pypi/jinja2 | 3.1.6 | sha256:0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d | line 19
    markupsafe | pkg:pypi/markupsafe | 3.0.4 | sha256:007e1ffd9bf65bb6ee96df7b258fc632a4868dd5566037986c64781f35a36e98 | line 23
    werkzeug | pkg:pypi/werkzeug | 3.1.9 | sha256:55ca7c70a75689be937aa27f8ff4b018f06ff4838fc73045560bf0f5a1291060 | line 29
    ");
}

#[test]
fn uv_extras_and_groups() {
    assert_snapshot!(text("uv.lock", r#"version = 1

[[package]]
name = "house"
version = "0.1.0"
source = { editable = "." }
dependencies = [{ name = "a", extra = ["fast"] }]

[package.optional-dependencies]
more = [{ name = "b" }]

[package.dev-dependencies]
dev = [{ name = "c" }]

[[package]]
name = "dynamic"
source = { virtual = "packages/dynamic" }

[[package]]
name = "a"
version = "1.0"
source = { registry = "https://mirror.example/simple" }

[package.optional-dependencies]
fast = [{ name = "d" }]
slow = [{ name = "e" }]

[[package]]
name = "b"
version = "1.0"
source = { git = "https://github.com/a/b?rev=0123#0123" }

[[package]]
name = "c"
version = "1.0"
source = { url = "https://example.org/c-1.0.tar.gz" }

[[package]]
name = "d"
version = "1.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "e"
version = "1.0"
source = { path = "../e" }
"#), @r#"
    house | pkg:generic/house | 0.1.0 | runtime | root | Local | line 4
    a | pkg:pypi/a | 1.0 | runtime | Elsewhere("https://mirror.example/simple") | line 20
    b | pkg:generic/b | 1.0 | optional | Repository("https://github.com/a/b?rev=0123#0123") | line 29
    c | pkg:generic/c | 1.0 | development | Elsewhere("https://example.org/c-1.0.tar.gz") | line 34
    d | pkg:pypi/d | 1.0 | runtime | line 39
    e | pkg:generic/e | 1.0 | Local | line 44
    "#);
}

#[test]
fn poetry() {
    assert_snapshot!(text("poetry.lock", r#"# This file is automatically @generated by Poetry 1.4.2
[[package]]
name = "Flask"
version = "3.0.0"
description = "A simple framework"
category = "main"
optional = false
python-versions = ">=3.8"

[package.dependencies]
click = ">=8.1.3"

[[package]]
name = "iniconfig"
version = "2.0.0"
category = "dev"
optional = false

[[package]]
name = "orjson"
version = "3.9.0"
category = "main"
optional = true

[metadata]
lock-version = "2.0"
"#), @r"
    Flask | pkg:pypi/flask | 3.0.0 | runtime | line 3
    iniconfig | pkg:pypi/iniconfig | 2.0.0 | development | line 14
    orjson | pkg:pypi/orjson | 3.9.0 | optional | line 20
    ");
    assert_snapshot!(text("poetry.lock", r#"# This file is automatically @generated by Poetry 2.1.0
[[package]]
name = "both"
version = "1.0"
optional = false
groups = ["main", "dev"]

[[package]]
name = "dev-only"
version = "1.0"
optional = false
groups = ["dev"]

[[package]]
name = "maybe"
version = "1.0"
optional = true
groups = ["main"]
markers = "extra == \"e\""

[[package]]
name = "forked"
version = "1.0"
optional = false
groups = ["main"]

[package.source]
type = "git"
url = "https://github.com/a/forked"
reference = "main"
resolved_reference = "0123"

[[package]]
name = "mirrored"
version = "1.0"
optional = false

[package.source]
type = "legacy"
url = "https://mirror.example/simple"
reference = "mirror"
"#), @r#"
    both | pkg:pypi/both | 1.0 | runtime | line 3
    dev-only | pkg:pypi/dev-only | 1.0 | development | line 9
    maybe | pkg:pypi/maybe | 1.0 | optional | line 15
    forked | pkg:generic/forked | 1.0 | runtime | Repository("https://github.com/a/forked") | line 22
    mirrored | pkg:pypi/mirrored | 1.0 | Elsewhere("https://mirror.example/simple") | line 34
    "#);
}

#[test]
fn composer() {
    let packages = r#""packages": [
    {"name": "monolog/monolog", "version": "3.4.0",
     "source": {"type": "git", "url": "https://github.com/Seldaek/monolog.git", "reference": "e2392369686d420ca32df3803de28b5d6f76867d"},
     "dist": {"type": "zip", "url": "https://api.github.com/repos/Seldaek/monolog/zipball/e239", "shasum": ""},
     "notification-url": "https://packagist.org/downloads/"},
    {"name": "house/forked", "version": "dev-main",
     "source": {"type": "git", "url": "https://github.com/house/forked.git", "reference": "0123"}},
    {"name": "house/inner", "version": "v0.1.0", "dist": {"type": "path", "url": "packages/inner"}},
    {"name": "psr/container", "version": "2.0.2", "notification-url": "https://packagist.org/downloads/"},
    {"name": "nameless"}
  ]"#;
    let lock = format!(
        r#"{{{packages}, "packages-dev": [{{"name": "phpunit/phpunit", "version": "10.0.0"}}]}}"#
    );
    assert_snapshot!(text("composer.lock", &lock), @r#"
    monolog/monolog | pkg:composer/monolog/monolog | 3.4.0 | runtime | line 2
    house/forked | pkg:generic/house/forked | dev-main | runtime | Repository("https://github.com/house/forked.git") | line 6
    house/inner | pkg:generic/house/inner | v0.1.0 | runtime | Local | line 8
    psr/container | pkg:composer/psr/container | 2.0.2 | runtime | line 9
    phpunit/phpunit | pkg:composer/phpunit/phpunit | 10.0.0 | development | line 11
    problem: line 10, a package without name or version
    "#);
    let installed =
        format!(r#"{{{packages}, "dev": true, "dev-package-names": ["psr/container"]}}"#);
    assert_snapshot!(text("vendor/composer/installed.json", &installed), @r#"
    monolog/monolog | pkg:composer/monolog/monolog | 3.4.0 | runtime | line 2
    house/forked | pkg:generic/house/forked | dev-main | runtime | Repository("https://github.com/house/forked.git") | line 6
    house/inner | pkg:generic/house/inner | v0.1.0 | runtime | Local | line 8
    psr/container | pkg:composer/psr/container | 2.0.2 | development | line 9
    problem: line 10, a package without name or version
    "#);
    let first = r#"[{"name": "monolog/monolog", "version": "v1.0.0"}]"#;
    let parts = declared("vendor/composer/installed.json", first.as_bytes());
    assert_eq!(parts.parts[0].scope, Scope::Unknown);
    assert_eq!(parts.parts[0].advisory_version(), Some("1.0.0"));
}

#[test]
fn bundler() {
    assert_snapshot!(text("Gemfile.lock", "GIT
  remote: https://github.com/a/forked.git
  revision: 0123
  specs:
    forked (0.2.0)
      rack (>= 2)

PATH
  remote: .
  specs:
    house (1.0.0)
      nokogiri

GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.15.0-x86_64-linux)
      racc (~> 1.4)
    racc (1.7.1)
    rack (3.0.0)

GEM
  remote: https://gems.example/
  specs:
    private (1.0.0.pre1)

PLATFORMS
  x86_64-linux

DEPENDENCIES
  house!
  forked!

CHECKSUMS
  rack (3.0.0) sha256=197adbbe5d585dca1909ec6c544f1f1eae9d4bea1a0b2c6a9a3d6ea2c6ff6c8c
  racc (1.7.1)

BUNDLED WITH
   2.4.10
"), @r#"
    forked | pkg:generic/forked | 0.2.0 | Repository("https://github.com/a/forked.git") | line 5
    house | pkg:generic/house | 1.0.0 | root | Local | line 11
    nokogiri | pkg:gem/nokogiri | 1.15.0 | line 17
    racc | pkg:gem/racc | 1.7.1 | line 19
    rack | pkg:gem/rack | 3.0.0 | sha256=197adbbe5d585dca1909ec6c544f1f1eae9d4bea1a0b2c6a9a3d6ea2c6ff6c8c | line 20
    private | pkg:gem/private | 1.0.0.pre1 | Elsewhere("https://gems.example/") | line 25
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
