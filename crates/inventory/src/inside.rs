//! What the bytes of objects declare: the libraries inside a program, the modules beside it, the
//! locks of a source.
//!
//! A declaration is about one package in one version at one place. Where it is about the object
//! itself (the root crate of a Rust program, the `dist-info` of a Python module) it is evidence for
//! that component; every other one is a component of its own, one for however many places.
//! Deliberately absent: which bytes declare what, which is read in `snowguard-sources`.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use snowguard_advisory::id::CveId;
use snowguard_advisory::identity::{PackageKey, squeeze};
use snowguard_closure::NodeId;

use crate::component::Scope;
use crate::naming::Language;
use crate::patch::Patch;

/// One package that the bytes of an object declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The package, as its registry calls it.
    pub package: PackageKey,
    /// Its name as its authors spell it: `serde_core`, `Flask`.
    pub name: Box<str>,
    /// Its version; empty where the bytes do not say it.
    pub version: Box<str>,
    /// Whether it is the program or module itself, and none of the things that went into it.
    pub root: bool,
    /// Where it came from.
    pub origin: Origin,
    /// Where that stands.
    pub place: Place,
}

/// Where something is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The object.
    pub node: NodeId,
    /// The file, from the object on: `bin/rg`; empty where the object is the file.
    pub file: Arc<str>,
    /// The file within that file, where it is an archive; `!` stands between archives in archives.
    pub member: Option<Arc<str>>,
    /// At which byte of the file, or of its member.
    pub offset: Option<u64>,
    /// How many bytes that takes there.
    pub length: Option<u64>,
    /// In which line, from 1, of a text.
    pub line: Option<u32>,
    /// What declares it, as a reader sees it: `cargo-auditable`, `dist-info`.
    pub by: Arc<str>,
    /// What it is needed for, by the same word.
    pub need: Need,
    /// How well that proves that it is there.
    pub proof: Proof,
}

impl Place {
    /// Whether it proves that the package is there, and for more than building or development.
    pub fn is_strong(&self) -> bool {
        self.proof == Proof::Contained && !matches!(self.need, Need::Build | Need::Development)
    }
}

/// Where a declared package came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The registry of its ecosystem.
    Registry,
    /// A source repository: its URL.
    Repository(Box<str>),
    /// The project's own tree.
    Local,
    /// Anywhere else.
    Elsewhere,
}

/// How well a declaration proves that a package is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// What put it there says so.
    Contained,
    /// A manifest names it, but not as its registry does.
    Named,
    /// A bill of materials lists it, of which nothing says what it is of.
    Listed,
    /// A lock file says that it would be fetched.
    Locked,
}

impl Proof {
    /// Whether it says nothing of what is in the product.
    fn is_hearsay(self) -> bool {
        matches!(self, Self::Listed | Self::Locked)
    }

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::Named => "named",
            Self::Listed => "listed",
            Self::Locked => "locked",
        }
    }
}

/// What a declaration says that a package is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// It is in there, or is needed when the thing runs.
    Runtime,
    /// The thing works without it.
    Optional,
    /// The declaration does not say.
    Unknown,
    /// For building only, such as a build script's dependency.
    Build,
    /// For development only.
    Development,
}

impl Need {
    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "run-time",
            Self::Optional => "optional",
            Self::Unknown => "unknown",
            Self::Build => "build",
            Self::Development => "development",
        }
    }
}

/// An object in which things are declared that it is not itself.
#[derive(Debug)]
pub struct Host {
    /// The object.
    pub node: NodeId,
    /// What it is, for people: `ripgrep 14.1.0`, or the object's name.
    pub label: Box<str>,
    /// Patches of its build. They mend what it vendors only if they say so.
    pub patches: Vec<Patch>,
    /// CVEs of which its build phases speak.
    pub phase_cves: Vec<CveId>,
}

/// A version that the bytes of a component declare of it, and that is not the one it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherVersion {
    /// The version in the bytes.
    pub version: Box<str>,
    /// Where.
    pub place: Place,
}

/// How a declaration concerns the component that its object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// It is about that component.
    Itself,
    /// It is, but gives another version.
    ItselfOtherwise,
    /// It is about something inside.
    Inside,
}

/// Whether a declaration is about the object that it stands in.
pub(crate) fn concern(
    declaration: &Declaration,
    pname: &str,
    version: &str,
    language: Option<Language>,
) -> Concern {
    let bare = |version: &str| version.strip_prefix('v').unwrap_or(version).to_owned();
    let same_name = own_name(&declaration.package) == squeeze(pname);
    let same_version = bare(&declaration.version) == bare(version);
    // A lock speaks of what it belongs to as well, but is no proof of what became of it.
    let fits = !declaration.place.proof.is_hearsay()
        && (language.is_none()
            || declaration.package.kind() == "generic"
            || language == Language::of_package(&declaration.package));
    // An archive is its library, and the package only if it is called so: others lie beside it.
    let of_archive =
        declaration.package.kind() == "maven" || declaration.place.proof == Proof::Named;
    match (declaration.root, same_name, same_version) {
        _ if !fits => Concern::Inside,
        (true, false, _) if of_archive && !is_called(&declaration.place.file, pname, version) => {
            Concern::Inside
        }
        // The main package of a program is the program, however the project calls its parts.
        (true, _, true) | (false, true, true) => Concern::Itself,
        // A bundle has programs of others, whose version is not its own.
        (true, ..) if declaration.version.is_empty() => {
            if same_name || is_called(&declaration.place.file, pname, version) {
                Concern::Itself
            } else {
                Concern::Inside
            }
        }
        // Snapshots between releases declare the release before, as they should.
        (true, true, false) if version.contains("unstable") => Concern::Itself,
        (true, true, false) => Concern::ItselfOtherwise,
        _ => Concern::Inside,
    }
}

/// Whether a file is called as a package is, as the program `gh` is whose module is called `cli`.
/// Archives have an ending, and may have the version.
fn is_called(file: &str, pname: &str, version: &str) -> bool {
    let base = file.rsplit('/').next().unwrap_or(file);
    let wrapped = base
        .strip_prefix('.')
        .and_then(|name| name.strip_suffix("-wrapped"));
    let base = wrapped.unwrap_or(base);
    let stem = base.strip_suffix(".jar").unwrap_or(base);
    let of_version = stem
        .strip_suffix(version)
        .and_then(|stem| stem.strip_suffix('-'));
    squeeze(of_version.unwrap_or(stem)) == squeeze(pname)
}

/// The last word of a package's name that is its own: `cli` of `github.com/cli/cli/v2`.
fn own_name(package: &PackageKey) -> String {
    let is_major = |word: &str| {
        package.kind() == "golang"
            && word
                .strip_prefix('v')
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let word = package.name().rsplit('/').find(|word| !is_major(word));
    squeeze(word.unwrap_or(package.name()))
}

/// Whether what stands at some places is there at run time; none without places. `of` gives the scope
/// of an object.
pub(crate) fn scope<'p>(
    places: impl IntoIterator<Item = &'p Place>,
    of: impl Fn(NodeId) -> Scope,
) -> Option<Scope> {
    let scopes = places.into_iter().map(|place| match place.need {
        Need::Build | Need::Development => Scope::BuildTime,
        // That it would be fetched proves nothing of where it went.
        _ if place.proof.is_hearsay() => Scope::Unknown,
        Need::Runtime | Need::Optional | Need::Unknown => of(place.node),
    });
    strongest(scopes)
}

/// Of copies of one thing, the one that is there at run time decides; then one of which nothing is
/// known.
pub(crate) fn strongest(scopes: impl Iterator<Item = Scope>) -> Option<Scope> {
    scopes.min_by_key(|scope| match scope {
        Scope::RunTime => 0,
        Scope::Unknown => 1,
        Scope::BuildTime => 2,
    })
}

/// Objects by node, each made once.
pub(crate) type Hosts = FxHashMap<NodeId, Arc<Host>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(purl: &str, version: &str, root: bool) -> Declaration {
        Declaration {
            package: PackageKey::from_purl(purl).unwrap(),
            name: "x".into(),
            version: version.into(),
            root,
            origin: Origin::Registry,
            place: Place {
                node: snowguard_closure::GraphBuilder::new().node(),
                file: "bin/x".into(),
                member: None,
                offset: None,
                length: None,
                line: None,
                by: "test".into(),
                need: Need::Runtime,
                proof: Proof::Contained,
            },
        }
    }

    #[test]
    fn what_is_the_object_itself() {
        let told = |purl, version, root, pname, own, language| {
            concern(&declaration(purl, version, root), pname, own, language)
        };
        let python = Some(Language::Python);
        for (expected, found) in [
            (
                Concern::Itself,
                told(
                    "pkg:cargo/ripgrep",
                    "14.1.0",
                    true,
                    "ripgrep",
                    "14.1.0",
                    None,
                ),
            ),
            (
                Concern::Itself,
                told(
                    "pkg:cargo/helix-term",
                    "23.10.0",
                    true,
                    "helix",
                    "23.10.0",
                    None,
                ),
            ),
            (
                Concern::Inside,
                told("pkg:cargo/regex", "1.5.4", false, "ripgrep", "14.1.0", None),
            ),
            (
                Concern::ItselfOtherwise,
                told(
                    "pkg:cargo/ripgrep",
                    "14.0.0",
                    true,
                    "ripgrep",
                    "14.1.0",
                    None,
                ),
            ),
            (
                Concern::Itself,
                told(
                    "pkg:golang/github.com/cli/cli/v2",
                    "",
                    true,
                    "cli",
                    "2.40.0",
                    None,
                ),
            ),
            (
                // The file is `bin/x`.
                Concern::Itself,
                told(
                    "pkg:golang/github.com/cli/cli/v2",
                    "",
                    true,
                    "x",
                    "2.40.0",
                    None,
                ),
            ),
            (
                Concern::Inside,
                told(
                    "pkg:golang/k8s.io/kubernetes",
                    "",
                    true,
                    "cloud-sdk",
                    "450.0.0",
                    None,
                ),
            ),
            (
                Concern::Itself,
                told(
                    "pkg:pypi/typing-extensions",
                    "4.1",
                    false,
                    "typing_extensions",
                    "4.1",
                    python,
                ),
            ),
            (
                Concern::Inside,
                told(
                    "pkg:npm/requests",
                    "2.31.0",
                    false,
                    "requests",
                    "2.31.0",
                    python,
                ),
            ),
            (
                Concern::Inside,
                told(
                    "pkg:pypi/urllib3",
                    "2.31.0",
                    false,
                    "requests",
                    "2.31.0",
                    python,
                ),
            ),
        ] {
            assert_eq!(expected, found);
        }
    }

    #[test]
    fn an_archive_is_the_package_only_if_it_is_called_so() {
        let of_app = |purl, file: &str, proof| {
            let mut declared = declaration(purl, "1.0", true);
            declared.place.file = file.into();
            declared.place.proof = proof;
            concern(&declared, "app", "1.0", None)
        };
        let maven = |name, file| of_app(name, file, Proof::Contained);
        assert_eq!(
            maven("pkg:maven/org.example/app", "share/java/app-1.0.jar"),
            Concern::Itself
        );
        assert_eq!(
            maven("pkg:maven/org.example/app-main", "share/java/app.jar"),
            Concern::Itself
        );
        // Its own version is the same by chance.
        assert_eq!(
            maven("pkg:maven/org.example/bar", "lib/bar-1.0.jar"),
            Concern::Inside
        );
        let manifest = |name, file| of_app(name, file, Proof::Named);
        assert_eq!(
            manifest("pkg:generic/org.example.app", "lib/app-1.0.jar"),
            Concern::Itself
        );
        assert_eq!(
            manifest("pkg:generic/org.example.bar", "lib/bar-1.0.jar"),
            Concern::Inside
        );
    }

    #[test]
    fn what_is_listed_somewhere_is_not_the_object() {
        let mut listed = declaration("pkg:cargo/app", "1.0", false);
        assert_eq!(concern(&listed, "app", "1.0", None), Concern::Itself);
        listed.place.proof = Proof::Listed;
        assert_eq!(concern(&listed, "app", "1.0", None), Concern::Inside);
        assert!(!listed.place.is_strong());
        assert_eq!(
            scope([&listed.place], |_| Scope::RunTime),
            Some(Scope::Unknown)
        );
    }

    #[test]
    fn a_copy_at_run_time_is_there_at_run_time() {
        // What builds it has the module as its own object; the program has a copy inside.
        let scope_with = |need| {
            let mut subject = crate::SubjectBuilder::new();
            let program = subject.object("/nix/store/p", "program-1.0", |object| {
                object.run_time = true;
            });
            let module = subject.object("/nix/store/m", "python3.11-requests-2.31.0", |_| {});
            subject.edge(program, module);
            subject.root(program);
            let mut subject = subject.build("program", crate::Nature::BuildTime);
            let mut copy = declaration("pkg:pypi/requests", "2.31.0", false);
            copy.place.node = program;
            copy.place.need = need;
            subject.inside.push(copy);
            let found = crate::Inventory::of(&subject, &crate::IdentityTable::default());
            let mut named = found.components.iter();
            named.find(|it| &*it.pname == "requests").unwrap().scope
        };
        assert_eq!(scope_with(Need::Runtime), Scope::RunTime);
        assert_eq!(scope_with(Need::Build), Scope::BuildTime);
    }

    /// What one object that declares these is, and has inside.
    fn inventory(declared: &[(&str, &str, Origin)]) -> Vec<crate::Component> {
        let mut subject = crate::SubjectBuilder::new();
        let node = subject.object("/nix/store/x", "editor-1.0", |_| {});
        let mut subject = subject.build("editor", crate::Nature::RunTime);
        for (purl, version, origin) in declared {
            let mut declaration = declaration(purl, version, false);
            declaration.name = declaration.package.name().into();
            declaration.origin = origin.clone();
            declaration.place.node = node;
            subject.inside.push(declaration);
        }
        crate::Inventory::of(&subject, &crate::IdentityTable::builtin()).components
    }

    fn names(declared: (&str, &str, Origin)) -> Vec<String> {
        let all = inventory(&[declared]);
        let part = all.iter().find(|component| component.is_part()).unwrap();
        let names = part.identities.iter().map(|(name, _)| name.to_string());
        names.collect()
    }

    #[test]
    fn what_is_of_no_registry_is_no_product_of_its_name() {
        let fork: Box<str> = "https://github.com/a/vim".into();
        assert!(names(("pkg:generic/vim", "0.1.0", Origin::Local)).is_empty());
        assert!(names(("pkg:generic/less", "1.0", Origin::Elsewhere)).is_empty());
        assert_eq!(
            names(("pkg:generic/vim", "0.1.0", Origin::Repository(fork))),
            ["github.com/a/vim"]
        );
        // A runtime that says in its own bytes which it is.
        let runtime = names(("pkg:generic/nodejs", "20.1.0", Origin::Registry));
        assert!(
            runtime.iter().any(|name| name == "nodejs:node.js"),
            "{runtime:?}"
        );
    }

    #[test]
    fn a_mirror_hides_nothing() {
        assert_eq!(
            names(("pkg:pypi/requests", "2.31.0", Origin::Elsewhere)),
            ["pkg:pypi/requests"]
        );
    }

    #[test]
    fn one_place_at_run_time_decides() {
        let place = |need| Place {
            need,
            ..declaration("pkg:cargo/a", "1", false).place
        };
        let joint = |needs: &[Need], object| {
            let places: Vec<Place> = needs.iter().map(|need| place(*need)).collect();
            scope(&places, |_| object).unwrap()
        };
        assert_eq!(
            joint(&[Need::Build, Need::Runtime], Scope::RunTime),
            Scope::RunTime
        );
        assert_eq!(joint(&[Need::Build], Scope::RunTime), Scope::BuildTime);
        assert_eq!(
            joint(&[Need::Build, Need::Unknown], Scope::Unknown),
            Scope::Unknown
        );
        assert_eq!(
            joint(&[Need::Development], Scope::Unknown),
            Scope::BuildTime
        );
    }
}
