//! How one can be verified: fetched again and compared without any builder, where that is exact; else by
//! a real build, or not at all. Each with its reason.
//!
//! Exact means: what is computed from what the server sends is what the fetcher of Nixpkgs would have put
//! into the store. So the program that is run afterwards is recognised line by line or not at all; a
//! program that does more is left to a build. What a fetcher is asked for beside that (options of curl,
//! passwords, hooks) does the same.
//!
//! Deliberately absent: fetching. Nothing here knows whether anything is still there.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use snowguard_store::derivation::attrs::Attrs;
use snowguard_store::{ContentAddress, ContentAddressMethod, Derivation, HashAlgo, StoreDir};

use crate::class::{Because, Class, Tool};
use crate::fod::Checkout;

/// How one can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Fetched again and compared, without a builder.
    Fetch(Form),
    /// By building it again: nothing less is exact.
    Build(Reason),
    /// It fetches nothing: there is nothing to go away. A build would show whether it is as it was.
    Nothing,
    /// A person has to put it into the store; nobody can fetch it.
    Manual,
}

/// What is made of what comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The file as it is sent.
    File {
        /// Whether it may be executed, where that is hashed as well.
        executable: bool,
    },
    /// A NAR as it is sent, which Nix unpacks.
    Nar {
        /// Packed with xz.
        xz: bool,
    },
    /// An archive, unpacked.
    Archive {
        /// Which.
        kind: Packing,
        /// What becomes of its root.
        root: Root,
    },
    /// The tree of a commit.
    Git(Tree),
}

/// Which archive, by the name under which the fetcher unpacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// A tar, packed with whatever its content tells.
    Tar,
    /// A tar that goes through `xz` first, whatever it is packed with.
    TarXz,
    /// A zip.
    Zip,
}

/// What becomes of the root of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// It stays: all members are below the output.
    Kept,
    /// Its one member is the output; if that is a file, it is the one member of the output.
    Stripped {
        /// Whether names that begin with a dot count. Where they do not, they are left out.
        hidden: bool,
    },
}

/// The tree of a commit, as `fetchgit` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// The repository.
    pub url: Box<str>,
    /// The revision: a commit, a tag, `refs/…` or `HEAD`.
    pub rev: Box<str>,
    /// With submodules.
    pub submodules: bool,
    /// With the files that Git LFS keeps elsewhere.
    #[serde(default)]
    pub lfs: bool,
    /// Only these, as `git sparse-checkout` takes them.
    pub sparse: Option<Sparse>,
}

/// What of a tree is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sparse {
    /// Directories or patterns, a line each.
    pub lines: Box<str>,
    /// Whether they are patterns.
    pub patterns: bool,
}

/// Why nothing less than a build is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A package manager decides for itself what it fetches.
    Vendor(&'static str),
    /// A version control system that is not spoken here.
    Vcs(&'static str),
    /// What it does cannot be told.
    Unknown,
    /// It has a program of its own for what came, or more than one that is known.
    Program(&'static str),
    /// An attribute that changes what is asked for, or what becomes of it.
    Attribute(&'static str),
    /// It is run by something else than the fetcher that its attributes look like.
    Builder,
    /// An archive that is not read here; its name.
    Archive(Box<str>),
    /// The history stays in its output.
    History,
    /// What is hashed, or how, is not computed here.
    Hash,
    /// None of its addresses is of a kind that is fetched here.
    Scheme,
    /// It names no address.
    NoUrl,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vendor(tool) => write!(f, "{tool} decides for itself what it fetches"),
            Self::Vcs(tool) => write!(f, "{tool} is not spoken here"),
            Self::Unknown => f.write_str("with what it fetches cannot be told"),
            Self::Program(name) => {
                write!(f, "what came goes through a program of its own, `{name}`")
            }
            Self::Attribute(name) => write!(f, "`{name}` changes what is fetched"),
            Self::Builder => f.write_str("its builder is not the one of its fetcher"),
            Self::Archive(name) => write!(f, "`{name}` is not an archive that is read here"),
            Self::History => f.write_str("the history of the repository stays in the output"),
            Self::Hash => f.write_str("this kind of hash is not computed here"),
            Self::Scheme => f.write_str("none of its addresses is https or http"),
            Self::NoUrl => f.write_str("it names no address"),
        }
    }
}

impl Plan {
    /// The word of interfaces.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Fetch(Form::File { executable: false }) => "file",
            Self::Fetch(Form::File { executable: true }) => "executable",
            Self::Fetch(Form::Nar { .. }) => "nar",
            Self::Fetch(Form::Archive { .. }) => "unpack",
            Self::Fetch(Form::Git(_)) => "git",
            Self::Build(_) => "build",
            Self::Nothing => "nothing",
            Self::Manual => "manual",
        }
    }

    /// Every word.
    pub const WORDS: [&str; 8] = [
        "file",
        "executable",
        "nar",
        "unpack",
        "git",
        "build",
        "nothing",
        "manual",
    ];

    /// Why so, in words.
    pub fn why(&self) -> String {
        match self {
            Self::Fetch(form) => form.why().to_owned(),
            Self::Build(reason) => reason.to_string(),
            Self::Nothing => "nothing in it fetches".to_owned(),
            Self::Manual => "a person has to put it into the store".to_owned(),
        }
    }

    /// The plan of a fixed-output derivation.
    pub(crate) fn of(
        drv: &Derivation,
        attrs: Option<&Attrs<'_>>,
        dir: &StoreDir,
        tool: Tool,
        address: ContentAddress,
        checkout: Checkout,
        urls: &[Box<str>],
    ) -> Self {
        let (method, algo) = (address.method, address.hash.algo());
        let fits = matches!(
            method,
            ContentAddressMethod::Flat | ContentAddressMethod::Nar
        );
        let made = match tool.class {
            Class::Nothing => return Self::Nothing,
            Class::Manual => return Self::Manual,
            _ if !fits || algo == HashAlgo::Blake3 => Err(Reason::Hash),
            Class::Vendor => Err(Reason::Vendor(tool.name)),
            Class::Vcs => Err(Reason::Vcs(tool.name)),
            Class::Unknown => Err(Reason::Unknown),
            Class::Builtin => builtin(drv, attrs, method),
            // Whatever else has curl among its inputs asks for something of its own.
            Class::Curl if tool.because != Because::Attribute("urls") => Err(Reason::Unknown),
            Class::Curl => {
                is_run_by_fetcher(drv, attrs, dir).and_then(|()| curl(attrs, method, urls))
            }
            Class::Git => {
                is_run_by_fetcher(drv, attrs, dir).and_then(|()| git(attrs, method, checkout, urls))
            }
        };
        match made {
            Ok(form) => Self::Fetch(form),
            Err(reason) => Self::Build(reason),
        }
    }
}

impl Form {
    /// Why it is exact.
    const fn why(&self) -> &'static str {
        match self {
            Self::File { executable: false } => "the hash is of the file as it is sent",
            Self::File { executable: true } => "the hash is of the file, made executable",
            Self::Nar { .. } => "the hash is of the NAR that is sent",
            Self::Archive {
                root: Root::Kept, ..
            } => "the hash is of the archive, unpacked as fetchzip does",
            Self::Archive { .. } => {
                "the hash is of the archive, unpacked without its root as fetchzip does"
            }
            Self::Git(Tree { lfs: true, .. }) => {
                "the hash is of the tree of a commit, with the files that Git LFS keeps elsewhere"
            }
            Self::Git(tree) => match (tree.submodules, &tree.sparse) {
                (_, Some(_)) => "the hash is of a part of the tree of a commit",
                (false, None) => "the hash is of the tree of a commit",
                (true, None) => "the hash is of the tree of a commit and of its submodules",
            },
        }
    }
}

fn text<'a>(attrs: Option<&'a Attrs<'_>>, name: &str) -> Option<Cow<'a, str>> {
    attrs?.text(name).filter(|text| !text.trim().is_empty())
}

fn is_set(attrs: Option<&Attrs<'_>>, name: &str) -> bool {
    text(attrs, name).is_some_and(|text| !matches!(text.trim(), "0" | "false"))
}

fn are_fetched(urls: &[Box<str>]) -> Result<(), Reason> {
    let known = ["https://", "http://", "mirror://"];
    if urls.is_empty() {
        return Err(Reason::NoUrl);
    }
    let is = |url: &str| {
        let url = url.to_ascii_lowercase();
        known.iter().any(|scheme| url.starts_with(scheme))
    };
    if urls.iter().any(|url| is(url)) {
        Ok(())
    } else {
        Err(Reason::Scheme)
    }
}

/// `builtin:fetchurl`, by what Nix's own source says of `unpack` and `executable`.
fn builtin(
    drv: &Derivation,
    attrs: Option<&Attrs<'_>>,
    method: ContentAddressMethod,
) -> Result<Form, Reason> {
    if drv.builder() != b"builtin:fetchurl" {
        return Err(Reason::Builder);
    }
    let url = text(attrs, "url").ok_or(Reason::NoUrl)?;
    are_fetched(&[Box::from(url.trim())])?;
    let is = |name: &str| text(attrs, name).is_some_and(|text| text == "1");
    if is("unpack") {
        return match method {
            ContentAddressMethod::Nar if !is("executable") => Ok(Form::Nar {
                xz: url.ends_with(".xz"),
            }),
            // The rights of what a NAR holds are set anew, or its bytes are hashed as a file.
            _ => Err(Reason::Attribute("unpack")),
        };
    }
    file(is("executable"), method)
}

/// A flat hash is of the bytes, and Nix refuses a file that may be executed.
fn file(executable: bool, method: ContentAddressMethod) -> Result<Form, Reason> {
    if executable && method == ContentAddressMethod::Flat {
        return Err(Reason::Attribute("executable"));
    }
    Ok(Form::File { executable })
}

/// Attributes by which a builder of Nixpkgs does something else than its fetcher does.
const OTHER_STEPS: [&str; 10] = [
    "buildCommand",
    "buildCommandPath",
    "buildPhase",
    "installPhase",
    "phases",
    "preHook",
    "postHook",
    "netrcPhase",
    "preFetch",
    "NIX_PREFETCH_GIT_CHECKOUT_HOOK",
];

/// Whether it is run by a script as fetchers of Nixpkgs are run by theirs: by a shell, from a file that is a source,
/// whose path follows from its content. What that says is not read here; see `Fod::scripts`.
fn is_run_by_fetcher(
    drv: &Derivation,
    attrs: Option<&Attrs<'_>>,
    dir: &StoreDir,
) -> Result<(), Reason> {
    let args: Vec<Cow<'_, str>> = drv.args().map(String::from_utf8_lossy).collect();
    let (builder, scripts) = match args.split_first() {
        Some((first, rest)) if first == "-e" => match rest {
            [script] => (script, 1),
            // The newer ones have what reads the variables before it.
            [first, script] if name_of(first) == Some("source-stdenv.sh") => (script, 2),
            _ => return Err(Reason::Builder),
        },
        _ => return Err(Reason::Builder),
    };
    let is_source = |arg: &Cow<'_, str>| {
        let mut sources = drv.input_srcs().iter();
        sources.any(|path| dir.show(path).to_string() == **arg)
    };
    let shell = String::from_utf8_lossy(drv.builder());
    let is_shell = matches!(shell.rsplit('/').next(), Some("bash" | "sh"));
    if !is_shell
        || name_of(builder) != Some("builder.sh")
        || !args.iter().rev().take(scripts).all(is_source)
    {
        return Err(Reason::Builder);
    }
    match OTHER_STEPS.iter().find(|name| is_set(attrs, name)) {
        Some(name) => Err(Reason::Attribute(name)),
        None => Ok(()),
    }
}

/// The name of a store path: what stands behind its digest.
fn name_of(path: &str) -> Option<&str> {
    let base = path.rsplit('/').next()?;
    base.split_once('-').map(|(_, name)| name)
}

/// Options of curl that change nothing of what comes.
const HARMLESS: [&str; 6] = [
    "-k",
    "--insecure",
    "-L",
    "--location",
    "--http1.1",
    "--globoff",
];

fn curl(
    attrs: Option<&Attrs<'_>>,
    method: ContentAddressMethod,
    urls: &[Box<str>],
) -> Result<Form, Reason> {
    for name in ["curlOpts", "curlOptsList"] {
        let list = attrs.map(|attrs| attrs.list(name)).unwrap_or_default();
        if !list.iter().all(|option| HARMLESS.contains(&&**option)) {
            return Err(Reason::Attribute(name));
        }
    }
    if is_set(attrs, "showURLs") {
        return Err(Reason::Attribute("showURLs"));
    }
    let executable = is_set(attrs, "executable");
    let Some(program) = text(attrs, "postFetch") else {
        if is_set(attrs, "downloadToTemp") {
            return Err(Reason::Attribute("downloadToTemp"));
        }
        are_fetched(urls)?;
        return file(executable, method);
    };
    let (kind, root) = unpacking(&program)?;
    if !is_set(attrs, "downloadToTemp") {
        return Err(Reason::Program("postFetch"));
    }
    if method != ContentAddressMethod::Nar {
        return Err(Reason::Hash);
    }
    are_fetched(urls)?;
    Ok(Form::Archive { kind, root })
}

/// What `fetchzip` writes, without indentation and empty lines. The forms that it had are listed in the
/// book; another one is a program of its own.
fn unpacking(program: &str) -> Result<(Packing, Root), Reason> {
    let other = || Reason::Program("postFetch");
    let mut lines = program
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .peekable();
    let expect = |found: Option<&str>, wanted: &[&str]| {
        found
            .and_then(|found| wanted.iter().position(|wanted| *wanted == found))
            .ok_or_else(other)
    };
    for wanted in [
        r#"unpackDir="$TMPDIR/unpack""#,
        r#"mkdir "$unpackDir""#,
        r#"cd "$unpackDir""#,
    ] {
        expect(lines.next(), &[wanted])?;
    }
    let name = lines
        .next()
        .and_then(|line| line.strip_prefix(r#"renamed="$TMPDIR/"#)?.strip_suffix('"'))
        .filter(|name| !name.contains(['$', '`', '"', '\\', '/']))
        .ok_or_else(other)?;
    for wanted in [
        r#"mv "$downloadedFile" "$renamed""#,
        r#"unpackFile "$renamed""#,
    ] {
        expect(lines.next(), &[wanted])?;
    }
    lines.next_if_eq(&r#"chmod -R +w "$unpackDir""#);
    let root = if lines.next_if_eq(&r#"mv "$unpackDir" "$out""#).is_some() {
        Root::Kept
    } else {
        let counted = expect(
            lines.next(),
            &[
                r#"if [ $(ls "$unpackDir" | wc -l) != 1 ]; then"#,
                r#"if [ $(ls -A "$unpackDir" | wc -l) != 1 ]; then"#,
            ],
        )?;
        let words = |line: &&str| line.starts_with("echo \"") && !line.contains(['$', '`', ';']);
        while lines.next_if(words).is_some() {}
        expect(lines.next(), &["exit 1"])?;
        expect(lines.next(), &["fi"])?;
        let named = expect(
            lines.next(),
            &[
                r#"fn=$(cd "$unpackDir" && echo *)"#,
                r#"fn=$(cd "$unpackDir" && ls -A)"#,
            ],
        )?;
        if counted != named {
            return Err(other());
        }
        for wanted in [
            r#"if [ -f "$unpackDir/$fn" ]; then"#,
            "mkdir $out",
            "fi",
            r#"mv "$unpackDir/$fn" "$out""#,
        ] {
            expect(lines.next(), &[wanted])?;
        }
        Root::Stripped { hidden: named == 1 }
    };
    // Rights to write are not hashed.
    while lines
        .next_if(|line| matches!(*line, r#"chmod -R a-w "$out""# | r#"chmod 755 "$out""#))
        .is_some()
    {}
    if lines.next().is_some() {
        return Err(other());
    }
    Ok((packing(name)?, root))
}

/// By the name, as `unpackFile` chooses.
fn packing(name: &str) -> Result<Packing, Reason> {
    let is_tar = [".tar", ".tgz", ".tbz2", ".tbz", ".txz"]
        .iter()
        .any(|end| name.ends_with(end))
        || name.contains(".tar.");
    if name.ends_with(".zip") {
        Ok(Packing::Zip)
    } else if name.ends_with(".tar.xz") || name.ends_with(".txz") {
        Ok(Packing::TarXz)
    } else if is_tar
        && ![".lz", ".lzma", ".Z", ".lzo"]
            .iter()
            .any(|end| name.ends_with(end))
    {
        Ok(Packing::Tar)
    } else {
        Err(Reason::Archive(name.into()))
    }
}

fn git(
    attrs: Option<&Attrs<'_>>,
    method: ContentAddressMethod,
    checkout: Checkout,
    urls: &[Box<str>],
) -> Result<Form, Reason> {
    if checkout.dot_git {
        return Err(Reason::History);
    }
    for name in ["postFetch", "gitConfigFile", "rootDir"] {
        if is_set(attrs, name) {
            return Err(Reason::Attribute(name));
        }
    }
    if method != ContentAddressMethod::Nar {
        return Err(Reason::Hash);
    }
    let rev = text(attrs, "rev");
    let (Some(url), Some(rev)) = (urls.first(), rev) else {
        return Err(Reason::NoUrl);
    };
    are_fetched(std::slice::from_ref(url))?;
    // A list is one of directories; in the environment they stand on lines.
    let listed = attrs.filter(|attrs| attrs.is_structured()).map(|attrs| {
        let lines = attrs.list("sparseCheckout");
        Cow::<str>::Owned(lines.join("\n"))
    });
    let sparse = text(attrs, "sparseCheckoutText")
        .or_else(|| listed.filter(|lines| !lines.is_empty()))
        .or_else(|| text(attrs, "sparseCheckout"));
    Ok(Form::Git(Tree {
        url: url.clone(),
        rev: rev.trim().into(),
        submodules: checkout.submodules,
        lfs: checkout.lfs,
        sparse: sparse.map(|lines| Sparse {
            lines: lines.as_ref().into(),
            patterns: is_set(attrs, "nonConeMode"),
        }),
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use snowguard_store::{Hash, Output};

    use super::*;
    use crate::Fod;
    use crate::fod::tests::built;

    const BUILDER: &str = "/nix/store/00000000000000000000000000000000-builder.sh";
    const UNPACK: &str = r#"
      unpackDir="$TMPDIR/unpack"
      mkdir "$unpackDir"
      cd "$unpackDir"

      renamed="$TMPDIR/@NAME@"
      mv "$downloadedFile" "$renamed"
      unpackFile "$renamed"
    "#;
    const STRIP: &str = r#"
      if [ $(ls "$unpackDir" | wc -l) != 1 ]; then
        echo "error: more than one"
        exit 1
      fi
      fn=$(cd "$unpackDir" && echo *)
      if [ -f "$unpackDir/$fn" ]; then
        mkdir $out
      fi
      mv "$unpackDir/$fn" "$out"
    "#;

    /// The plan of one with a hash of a NAR or of a file.
    fn plan(nar: bool, builder: &str, inputs: &[&str], env: &[(&str, &str)]) -> Plan {
        run_by_script(nar, builder, inputs, env).plan
    }

    /// One that a shell makes by a script of the store, as the fetchers of Nixpkgs are.
    pub(crate) fn run_by_script(
        nar: bool,
        builder: &str,
        inputs: &[&str],
        env: &[(&str, &str)],
    ) -> Fod {
        let mut drv = built("x", builder, inputs, env).to_builder();
        drv.arg("-e").arg(BUILDER);
        drv.input_src(StoreDir::default().parse(BUILDER).unwrap());
        if nar {
            let hash = Hash::sha256([7; 32]);
            let address = ContentAddress::new(ContentAddressMethod::Nar, hash);
            let name = snowguard_store::StoreName::new("x").unwrap();
            let path = StoreDir::default()
                .content_path(&name, &address, snowguard_store::References::NONE)
                .unwrap();
            let out = snowguard_store::OutputName::new("out").unwrap();
            drv.output(out, Output::Fixed { path, address });
        }
        let drv = drv.build().unwrap();
        Fod::of(&drv, &StoreDir::default()).unwrap()
    }

    fn told(plan: &Plan) -> String {
        format!("{}: {}", plan.as_str(), plan.why())
    }

    fn url(nar: bool, env: &[(&str, &str)]) -> String {
        let mut all = vec![("urls", "https://x.org/x.tar.gz")];
        all.extend(env);
        told(&plan(nar, "/bin/sh", &["curl-8.1"], &all))
    }

    #[test]
    fn files_are_exact_unless_something_is_done_with_them() {
        insta::assert_snapshot!([
            url(false, &[]),
            url(true, &[("executable", "1")]),
            url(true, &[]),
            url(false, &[("executable", "1")]),
            url(false, &[("curlOpts", "-k")]),
            url(false, &[("curlOpts", "--data x=y")]),
            url(false, &[("postFetch", "patch -p1")]),
            url(false, &[("netrcPhase", "cat > netrc")]),
            url(false, &[("buildCommand", "curl x | sed y > $out")]),
            url(false, &[("downloadToTemp", "1")]),
            told(&plan(false, "/bin/sh", &["curl-8.1"], &[("urls", "ftp://x.org/x")])),
            told(&plan(false, "/bin/sh", &["curl-8.1"], &[("urls", "ftp://x.org/x mirror://gnu/x")])),
            told(&plan(false, "builtin:fetchurl", &[], &[("url", "https://x.org/x")])),
            told(&plan(true, "builtin:fetchurl", &[], &[("url", "https://x.org/x"), ("executable", "1")])),
            told(&plan(true, "builtin:fetchurl", &[], &[("url", "https://x.org/x.nar.xz"), ("unpack", "1")])),
            told(&plan(false, "builtin:fetchurl", &[], &[("url", "https://x.org/x.nar"), ("unpack", "1")])),
        ].join("\n"), @r"
        file: the hash is of the file as it is sent
        executable: the hash is of the file, made executable
        file: the hash is of the file as it is sent
        build: `executable` changes what is fetched
        file: the hash is of the file as it is sent
        build: `curlOpts` changes what is fetched
        build: what came goes through a program of its own, `postFetch`
        build: `netrcPhase` changes what is fetched
        build: `buildCommand` changes what is fetched
        build: `downloadToTemp` changes what is fetched
        build: none of its addresses is https or http
        file: the hash is of the file as it is sent
        file: the hash is of the file as it is sent
        executable: the hash is of the file, made executable
        nar: the hash is of the NAR that is sent
        build: `unpack` changes what is fetched
        ");
    }

    #[test]
    fn what_fetchzip_writes_is_recognised_and_nothing_else() {
        let zip = |name: &str, rest: &str, temp: bool| {
            let program = format!("{}{rest}", UNPACK.replace("@NAME@", name));
            let mut env = vec![("postFetch", program.as_str())];
            if temp {
                env.push(("downloadToTemp", "1"));
            }
            url(true, &env)
        };
        let newer = STRIP
            .replace(r#"ls "$unpackDir""#, r#"ls -A "$unpackDir""#)
            .replace("echo *", "ls -A");
        let mixed = STRIP.replace("echo *", "ls -A");
        let all = |rest: &str| format!("chmod -R +w \"$unpackDir\"\n{rest}\nchmod 755 \"$out\"\n");
        let kept = all("mv \"$unpackDir\" \"$out\"");
        insta::assert_snapshot!([
            zip("v1.tar.gz", STRIP, true),
            zip("v1.zip", &all(&newer), true),
            zip("download.tar.zst", &kept, true),
            zip("v1.tar.gz", STRIP, false),
            zip("v1.tar.gz", &mixed, true),
            zip("v1.tar.gz", "", true),
            zip("v1.tar.gz", &format!("{STRIP}rm -r $out/tests"), true),
            zip("v1.tar.gz", &STRIP.replace("more than one", "$(rm -r x)"), true),
            zip("v1.7z", STRIP, true),
            zip("$(x).zip", STRIP, true),
            zip("v1.tar.lz", STRIP, true),
        ].join("\n"), @r"
        unpack: the hash is of the archive, unpacked without its root as fetchzip does
        unpack: the hash is of the archive, unpacked without its root as fetchzip does
        unpack: the hash is of the archive, unpacked as fetchzip does
        build: what came goes through a program of its own, `postFetch`
        build: what came goes through a program of its own, `postFetch`
        build: what came goes through a program of its own, `postFetch`
        build: what came goes through a program of its own, `postFetch`
        build: what came goes through a program of its own, `postFetch`
        build: `v1.7z` is not an archive that is read here
        build: what came goes through a program of its own, `postFetch`
        build: `v1.tar.lz` is not an archive that is read here
        ");
    }

    #[test]
    fn trees_of_commits_are_exact_without_their_history() {
        let git = |env: &[(&str, &str)]| {
            let mut all = vec![("url", "https://x.org/r.git"), ("rev", "v1")];
            all.extend(env);
            told(&plan(true, "/bin/sh", &["git-2.51.0"], &all))
        };
        insta::assert_snapshot!([
            git(&[]),
            git(&[("fetchSubmodules", "1"), ("deepClone", "1")]),
            git(&[("sparseCheckout", "src\ndoc")]),
            git(&[("leaveDotGit", "1")]),
            git(&[("fetchLFS", "1")]),
            git(&[("postFetch", "rm -r $out/x")]),
            git(&[("rootDir", "x")]),
            git(&[("url", "git://x.org/r")]),
        ].join("\n"), @r"
        git: the hash is of the tree of a commit
        git: the hash is of the tree of a commit and of its submodules
        git: the hash is of a part of the tree of a commit
        build: the history of the repository stays in the output
        git: the hash is of the tree of a commit, with the files that Git LFS keeps elsewhere
        build: `postFetch` changes what is fetched
        build: `rootDir` changes what is fetched
        build: none of its addresses is https or http
        ");
    }

    #[test]
    fn who_runs_it_otherwise_than_its_fetcher_is_not_trusted() {
        let with = |builder: &str, source: &str, args: &[&str]| {
            let env = [("urls", "https://x.org/x.tar.gz")];
            let mut drv = built("x", builder, &["curl-8.1"], &env).to_builder();
            drv.input_src(StoreDir::default().parse(source).unwrap());
            for arg in args {
                drv.arg(*arg);
            }
            let drv = drv.build().unwrap();
            Fod::of(&drv, &StoreDir::default()).unwrap().plan.as_str()
        };
        let first = "/nix/store/00000000000000000000000000000000-source-stdenv.sh";
        assert_eq!(with("/bin/sh", BUILDER, &["-e", BUILDER]), "file");
        // What is made by a derivation may be anything.
        assert_eq!(with("/bin/sh", first, &["-e", BUILDER]), "build");
        for args in [
            &[BUILDER][..],
            &["-c", "true", BUILDER],
            &["-ec", "true", BUILDER],
            &["-e", first, BUILDER],
            &["-e", BUILDER, BUILDER],
        ] {
            assert_eq!(with("/bin/sh", BUILDER, args), "build", "{args:?}");
        }
        assert_eq!(with("/bin/env", BUILDER, &["-e", BUILDER]), "build");
    }

    #[test]
    fn what_is_not_known_is_left_to_a_build() {
        insta::assert_snapshot!([
            told(&plan(true, "/bin/sh", &["cargo-1.80"], &[("src", "/nix/store/00000000000000000000000000000000-s")])),
            told(&plan(true, "/bin/sh", &["subversion-1.14"], &[("url", "https://x.org/svn")])),
            told(&plan(true, "/bin/sh", &["curl-8.1"], &[("url", "https://x.org/x")])),
            told(&plan(true, "/bin/sh", &[], &[("buildCommand", "tar x")])),
            told(&plan(false, crate::fod::tests::MANUAL, &[], &[])),
        ].join("\n"), @r"
        build: cargo decides for itself what it fetches
        build: svn is not spoken here
        build: with what it fetches cannot be told
        nothing: nothing in it fetches
        manual: a person has to put it into the store
        ");
    }
}
