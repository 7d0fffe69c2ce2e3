use snowguard_store::{
    ContentAddressMethod, DerivationBuilder, DrvPath, Hash, InputDrv, OutputName, References,
};

use super::*;

/// A fixed-output derivation with these variables.
pub(crate) fn derivation(name: &str, env: &[(&str, &str)]) -> Derivation {
    built(name, "/bin/sh", &[], env)
}

/// The same with a builder, and with inputs of these names.
pub(crate) fn built(
    name: &str,
    builder: &str,
    inputs: &[&str],
    env: &[(&str, &str)],
) -> Derivation {
    let hash = Hash::of(HashAlgo::Sha256, name.as_bytes()).unwrap();
    of_hash(name, builder, inputs, env, hash)
}

pub(crate) fn of_hash(
    name: &str,
    builder: &str,
    inputs: &[&str],
    env: &[(&str, &str)],
    hash: Hash,
) -> Derivation {
    let dir = StoreDir::default();
    let out = OutputName::new("out").unwrap();
    let name = snowguard_store::StoreName::new(name).unwrap();
    let mut drv = DerivationBuilder::new(name.clone());
    let address = ContentAddress::new(ContentAddressMethod::Flat, hash);
    let path = dir.content_path(&name, &address, References::NONE).unwrap();
    drv.output(out.clone(), Output::Fixed { path, address });
    drv.builder(builder);
    for input in inputs {
        let path = format!("00000000000000000000000000000000-{input}.drv");
        drv.input_drv(InputDrv::new(
            path.parse::<DrvPath>().unwrap(),
            [out.clone()],
        ));
    }
    for (name, value) in env {
        drv.env(*name, *value);
    }
    drv.build().unwrap()
}

pub(crate) fn fod(name: &str, inputs: &[&str], env: &[(&str, &str)]) -> Fod {
    Fod::of(&built(name, "/bin/sh", inputs, env), &StoreDir::default()).unwrap()
}

fn shown(fod: &Fod) -> String {
    format!(
        "{} {} ({}), {}, after {}, proxy {}, tls {}",
        fod.tool.class,
        fod.tool.name,
        fod.tool.because,
        fod.reference(&fod.places().collect::<Vec<_>>()),
        fod.after.as_str(),
        fod.proxy.as_str(),
        fod.tls.as_str()
    )
}

/// The builder of `requireFile`.
pub(crate) const MANUAL: &str = "/nix/store/00000000000000000000000000000000-restrict-message";
const PROXIES: &str = "http_proxy https_proxy ftp_proxy all_proxy no_proxy";

#[test]
fn what_fetchers_of_nixpkgs_make_is_told() {
    let tool = |name: &str| format!("/nix/store/00000000000000000000000000000000-{name}");
    let (curl, git, go) = (tool("curl-8.1-dev"), tool("git-2.51.0"), tool("go-1.24"));
    let cases = [
        fod(
            "x.tar.gz",
            &["curl-8.1", "stdenv-linux", "mirrors-list"],
            &[
                ("urls", "https://x.org/x.tar.gz"),
                ("nativeBuildInputs", &curl),
                ("impureEnvVars", PROXIES),
                ("SSL_CERT_FILE", "/no-cert-file.crt"),
            ],
        ),
        fod(
            "source",
            &["curl-8.1"],
            &[
                ("urls", "https://github.com/o/r/archive/v1.tar.gz"),
                ("nativeBuildInputs", &curl),
                ("impureEnvVars", PROXIES),
                ("SSL_CERT_FILE", "/etc/ssl/certs/ca-bundle.crt"),
                ("downloadToTemp", "1"),
                ("postFetch", "unpackFile \"$downloadedFile\""),
            ],
        ),
        fod(
            "r",
            &["git-2.51.0"],
            &[
                ("url", "https://x.org/r.git"),
                ("rev", "v1.0"),
                ("nativeBuildInputs", &git),
                ("impureEnvVars", PROXIES),
                ("GIT_SSL_CAINFO", "/etc/ssl/certs/ca-bundle.crt"),
            ],
        ),
        fod(
            "r",
            &["git-2.51.0"],
            &[
                ("url", "git://x.org/r.git"),
                ("rev", "0123456789abcdef0123456789abcdef01234567"),
                ("nativeBuildInputs", &git),
                ("impureEnvVars", PROXIES),
            ],
        ),
        fod(
            "x-go-modules",
            &["go-1.24", "git-2.51.0", "nss-cacert-3.54"],
            &[
                ("src", &tool("source")),
                ("nativeBuildInputs", &format!("{go} {git}")),
                ("impureEnvVars", PROXIES),
            ],
        ),
        fod(
            "hadoop-deps",
            &["apache-maven-3.6"],
            &[("src", &tool("source"))],
        ),
        fod(
            "svn",
            &["subversion-1.12"],
            &[("url", "svn://x.org/r"), ("rev", "123")],
        ),
        fod(
            "texlive-a",
            &["a.tar.xz", "stdenv-linux"],
            &[("buildCommand", "tar x")],
        ),
        fod(
            "git-2.tar.gz-files",
            &["git-2.27.0.tar.xz"],
            &[("buildCommand", "tar x")],
        ),
        Fod::of(
            &built("file.bin", MANUAL, &[], &[("message", "buy it")]),
            &StoreDir::default(),
        )
        .unwrap(),
        fod(
            "x",
            &["some-new-fetcher"],
            &[
                ("nativeBuildInputs", &tool("some-new-fetcher")),
                ("impureEnvVars", PROXIES),
            ],
        ),
        Fod::of(
            &built("x", "builtin:fetchurl", &[], &[("url", "https://x.org/x")]),
            &StoreDir::default(),
        )
        .unwrap(),
    ];
    insta::assert_snapshot!(cases.iter().map(shown).collect::<Vec<_>>().join("\n"), @"
    curl curl (its attribute `urls`), file, after none, proxy yes, tls off
    curl curl (its attribute `urls`), tag, after unpack, proxy yes, tls verified
    git git (the tool is among its inputs), tag, after none, proxy yes, tls verified
    git git (the tool is among its inputs), content, after none, proxy no, tls without
    vendor go (the tool is among its inputs), none, after none, proxy yes, tls verified
    vendor maven (the tool is among its inputs), none, after none, proxy no, tls unknown
    vcs svn (the tool is among its inputs), registry, after none, proxy no, tls without
    nothing  (no tool that fetches is among its inputs), none, after none, proxy not-needed, tls not-needed
    nothing  (no tool that fetches is among its inputs), none, after none, proxy not-needed, tls not-needed
    manual  (its builder), none, after none, proxy not-needed, tls not-needed
    unknown  (its attribute `impureEnvVars`), none, after none, proxy yes, tls unknown
    builtin builtin:fetchurl (its builder), file, after none, proxy daemon, tls daemon
    ");
}

#[test]
fn a_revision_counts_where_it_is_read() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let told = |inputs: &[&str], url: &str, rev: &str| {
        let mut env = vec![(
            if inputs == ["curl-8.1"] {
                "urls"
            } else {
                "url"
            },
            url,
        )];
        env.extend((!rev.is_empty()).then_some(("rev", rev)));
        let fod = fod("x", inputs, &env);
        let places: Vec<Place<'_>> = fod.places().collect();
        format!("{} {:?}", fod.reference(&places), fod.rev.as_deref())
    };
    let main = "https://github.com/o/r/archive/main.tar.gz";
    let curl = |url, rev| told(&["curl-8.1"], url, rev);
    assert_eq!(curl(main, commit), "branch None");
    assert_eq!(curl(main, "main"), r#"branch Some("main")"#);
    assert_eq!(curl("https://x.org/x.tar.gz", "v1"), "file None");
    assert_eq!(curl(&format!("https:// {main}"), ""), "branch None");
    let hg = |rev| told(&["mercurial-5.4"], "https://x.org/r", rev);
    assert_eq!(hg(""), "branch None");
    assert_eq!(hg("e7e905edc00e"), r#"abbreviated Some("e7e905edc00e")"#);
    let bzr = told(&["breezy-3.0"], "https://x.org/r", "260");
    assert_eq!(bzr, r#"registry Some("260")"#);
    assert_eq!(told(&["git-2.51"], "https://x.org/r", ""), "branch None");
}

#[test]
fn only_what_the_fetcher_reads_is_where_it_fetches_from() {
    let (real, other) = ("https://x.org/v2", "https://y.org/v1");
    let both = [("url", real), ("urls", other), ("tag", "v1")];
    let builtin = built("x", "builtin:fetchurl", &[], &both);
    let builtin = Fod::of(&builtin, &StoreDir::default()).unwrap();
    assert_eq!(*builtin.urls, [real.into()]);
    let curl = fod("x", &["curl-8.1"], &both);
    assert_eq!(*curl.urls, [other.into()]);
    // It is one address to whoever reads it, whatever stands in it.
    let git = fod("x", &["git-2.51"], &[("url", "https://x.org/r a"), both[2]]);
    assert_eq!(*git.urls, ["https://x.org/r a".into()]);
    // What is checked out is `rev`, and without one the newest.
    let places: Vec<Place<'_>> = git.places().collect();
    assert_eq!(git.reference(&places), Reference::Branch);
}

#[test]
fn what_mirrors_stand_for_is_judged() {
    let list = derivation(
        crate::mirrors::LIST,
        &[("corp", "ftp://10.0.0.1/ http://x.org/")],
    );
    let mirrors = Mirrors::of(&list).unwrap();
    let fod = fod(
        "x",
        &["curl-8.1"],
        &[
            ("urls", "mirror://corp/x mirror://none/x"),
            ("impureEnvVars", PROXIES),
        ],
    );
    let urls = fod.resolved(&mirrors);
    assert_eq!(
        urls.join(" "),
        "ftp://10.0.0.1/x http://x.org/x mirror://none/x"
    );
    let places: Vec<Place<'_>> = urls.iter().map(|url| Place::of(url)).collect();
    assert_eq!(fod.tls_at(&places), Tls::Unknown);
    assert_eq!(fod.tls_at(&places[..2]), Tls::Without);
    assert_eq!(fod.proxy_at(&places), Proxy::Yes);
    assert_eq!(fod.proxy_at(&places[..1]), Proxy::No);
}

#[test]
fn what_may_fetch_is_not_said_to_fetch_nothing() {
    let class = |inputs: &[&str], env: &[(&str, &str)]| fod("x", inputs, env).tool.class;
    let tool = |name: &str| format!("/nix/store/00000000000000000000000000000000-{name}");
    assert_eq!(class(&["stdenv-linux", "a.tar.xz"], &[]), Class::Nothing);
    let data = ["stdenv-linux", "Roboto-2.ttf", "arial32.exe", "x-1.0.deb"];
    assert_eq!(class(&data, &[]), Class::Nothing);
    assert_eq!(class(&["stdenv-linux", "x.bin"], &[]), Class::Unknown);
    // What calls others is what fetches.
    let both = fod("x-deps.tar.gz", &["go-1.14", "bazel-3.3.1"], &[]);
    assert_eq!(both.tool.name, "bazel");
    assert_eq!(
        class(&["stdenv-linux", "python3-3.12"], &[]),
        Class::Unknown
    );
    let python = tool("python3-3.12");
    assert_eq!(
        class(&[], &[("nativeBuildInputs", &python)]),
        Class::Unknown
    );
    // The message of a file that has to be bought is its builder; beside an address it is a pretence.
    assert_eq!(
        class(
            &["restrict-message", "curl-8.1"],
            &[("urls", "https://x.org/x")]
        ),
        Class::Curl
    );
    let tooled = built("x", MANUAL, &["curl-8.1"], &[]);
    let tooled = Fod::of(&tooled, &StoreDir::default()).unwrap();
    assert_eq!(tooled.tool.class, Class::Curl);
    let url = [("url", "https://x.org/x")];
    let both = built("x", MANUAL, &["curl-8.1"], &url);
    let both = Fod::of(&both, &StoreDir::default()).unwrap();
    assert_eq!(both.tool.class, Class::Curl);
}

#[test]
fn downloaders_are_known_by_name() {
    let told = |inputs: &[&str]| {
        let fod = fod("x", inputs, &[("buildCommand", "fetch")]);
        format!(
            "{} {} {}",
            fod.tool.class,
            fod.tool.name,
            fod.proxy.as_str()
        )
    };
    // As `node_modules` of sr.ht had it: Node.js and nothing else that fetches.
    assert_eq!(
        told(&["stdenv-linux", "jq-1.6", "nodejs-12.18.3"]),
        "vendor npm no"
    );
    // What calls for others decides before Node.js.
    for (input, expected) in [
        ("git-2.51.0", "git git no"),
        ("pnpm-10.1", "vendor pnpm no"),
        ("yarn-berry-4-fetcher-1.0.1", "vendor yarn no"),
        ("curl-8.1", "curl curl no"),
    ] {
        assert_eq!(told(&["nodejs-22.1", input]), expected);
    }
    assert_eq!(told(&["nodejs-slim-22.1"]), "unknown  no");
    assert_eq!(told(&["aria2-1.37.0"]), "unknown aria2 no");
    assert_eq!(told(&["rsync-3.4.1", "git-2.51.0"]), "git git no");
    // A build system may fetch subprojects, and a source has a Makefile: neither is one that only unpacks.
    assert_eq!(told(&["meson-0.54.2", "ninja-1.10.0"]), "unknown  no");
    assert_eq!(told(&["linux-firmware-2020051"]), "unknown  no");
}

#[test]
fn urls_beyond_the_limit_are_counted_and_change_what_it_is() {
    let of = |last: &str| {
        let urls: Vec<String> = (0..MOST_URLS)
            .map(|at| format!("https://x.org/{at}"))
            .collect();
        let urls = format!("{} {last}", urls.join(" "));
        fod("x", &["curl-8.1"], &[("urls", urls.trim_end())])
    };
    let (none, one, other) = (of(""), of("https://y.org/x"), of("https://z.org/x"));
    let count = |fod: &Fod| (fod.urls.len(), fod.more_urls);
    assert_eq!((count(&none), count(&one)), ((64, 0), (64, 1)));
    assert_eq!(one.urls, other.urls);
    assert_ne!(one.asked, other.asked);
    assert_ne!(one.asked, none.asked);
}

#[test]
fn what_is_not_fixed_is_none() {
    let mut drv = DerivationBuilder::new(snowguard_store::StoreName::new("x").unwrap());
    drv.output(OutputName::new("out").unwrap(), Output::Deferred);
    assert_eq!(Fod::of(&drv.build().unwrap(), &StoreDir::default()), None);
}

#[test]
fn structured_attributes_are_read() {
    let json = r#"{"urls":["https://a.org/x","https://b.org/x"],"impureEnvVars":["https_proxy"],"curlOptsList":["-k"]}"#;
    let fod = fod("x", &["curl-8.1"], &[("__json", json)]);
    assert_eq!(fod.urls.len(), 2);
    insta::assert_snapshot!(shown(&fod), @"curl curl (its attribute `urls`), file, after none, proxy yes, tls off");
    // What cannot be read leaves it unknown.
    let broken = self::fod("x", &["curl-8.1"], &[("__json", "{")]);
    insta::assert_snapshot!(shown(&broken), @"curl curl (the tool is among its inputs), none, after none, proxy no, tls unknown");
}
