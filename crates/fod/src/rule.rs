//! What speaks against a fixed-output derivation.
//!
//! Each rule says what could go wrong and what to do. That certificates are not checked is no rule: it
//! holds for most of Nixpkgs, on purpose, and is told in a column.

use std::fmt;

use crate::class::Class;
use crate::fod::Fod;
use crate::place::{Host, Place, Scheme};
use crate::reference::Reference;

/// Something that speaks against one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Its hash can be met by another content.
    WeakHash,
    /// Its hash is a place holder.
    FakeHash,
    /// A user or a password stands in a URL, and so in the store.
    Credentials,
    /// A host of a private network: nobody else can fetch it, and a build reaches into that network.
    PrivateHost,
    /// Nothing in it fetches, and it asks for the network.
    NeedlessNetwork,
    /// It is fetched from a branch.
    Branch,
    /// It is fetched by Git's own protocol, which nothing protects and no proxy carries.
    GitProtocol,
    /// No URL of it is protected by TLS.
    PlainHttp,
    /// It is fetched by a tag, which its owner can move.
    MutableTag,
    /// What it does cannot be told.
    Unknown,
}

/// How much it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// To be looked at.
    Warning,
    /// To be mended.
    Error,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Note, Self::Warning, Self::Error];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Rule {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::WeakHash,
        Self::FakeHash,
        Self::Credentials,
        Self::PrivateHost,
        Self::NeedlessNetwork,
        Self::Branch,
        Self::GitProtocol,
        Self::PlainHttp,
        Self::MutableTag,
        Self::Unknown,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WeakHash => "weak-hash",
            Self::FakeHash => "fake-hash",
            Self::Credentials => "credentials",
            Self::PrivateHost => "private-host",
            Self::NeedlessNetwork => "needless-network",
            Self::Branch => "branch",
            Self::GitProtocol => "git-protocol",
            Self::PlainHttp => "plain-http",
            Self::MutableTag => "mutable-tag",
            Self::Unknown => "unknown",
        }
    }

    /// How much it says of a derivation to which it applies.
    pub fn level(self, fod: &Fod) -> Level {
        match self {
            Self::WeakHash | Self::FakeHash | Self::Credentials | Self::PrivateHost => Level::Error,
            Self::NeedlessNetwork | Self::Branch | Self::GitProtocol => Level::Warning,
            // A strong hash notices what was changed on the way; a weak one does not.
            Self::PlainHttp if fod.is_weak() => Level::Error,
            Self::PlainHttp | Self::MutableTag | Self::Unknown => Level::Note,
        }
    }

    /// What it means, in one sentence.
    pub const fn what(self) -> &'static str {
        match self {
            Self::WeakHash => "SHA-1 and MD5 do not name one content: another can be made to fit",
            Self::FakeHash => "the hash is all zeros: nothing can have it",
            Self::Credentials => {
                "a user or password is in the URL, and so in the store for all to read"
            }
            Self::PrivateHost => "the host is of a private network, which a build should not reach",
            Self::NeedlessNetwork => "nothing in it fetches, but it asks for the network",
            Self::Branch => "what it is fetched from moves as a matter of course",
            Self::GitProtocol => "git:// is protected by nothing, and no proxy carries it",
            Self::PlainHttp => "no URL of it is protected by TLS",
            Self::MutableTag => "the tag can be moved by its owner",
            Self::Unknown => "what it fetches, and with what, cannot be told",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::WeakHash => "use an SRI hash of SHA-256 or SHA-512",
            Self::FakeHash => "build it once and put in the hash that Nix tells",
            Self::Credentials => "take them out, and change them: they are known",
            Self::PrivateHost => {
                "use a public mirror; where it has to be so, the gate takes a waiver"
            }
            Self::NeedlessNetwork => "drop impureEnvVars",
            Self::Branch | Self::MutableTag => "name the commit",
            Self::GitProtocol => "use https://",
            Self::PlainHttp => "use https:// where the server has it",
            Self::Unknown => "look at its builder",
        }
    }

    /// Whether it applies, and to which place; none of them if it is about all of it.
    fn applies(self, fod: &Fod, places: &[Place<'_>]) -> Option<Where> {
        let fetches = !matches!(fod.tool.class, Class::Nothing | Class::Manual);
        let whole = |applies: bool| applies.then_some(Where::Whole);
        let first = |is: &dyn Fn(&Place<'_>) -> bool| places.iter().position(is).map(Where::At);
        let moves = |reference: Reference| {
            let is_most = fetches && fod.reference(places) == reference;
            first(&|place| is_most && fod.reference_at(place) == reference)
        };
        match self {
            Self::WeakHash => whole(fod.is_weak()),
            Self::FakeHash => whole(fod.is_fake()),
            Self::Credentials => first(&|place| place.has_credentials),
            Self::PrivateHost => first(&|place| {
                !matches!(place.scheme, Scheme::Mirror | Scheme::Ssh | Scheme::Other)
                    && place.network() == Host::Private
            }),
            Self::NeedlessNetwork => {
                whole(fod.tool.class == Class::Nothing && fod.asks_for_network)
            }
            Self::Branch => moves(Reference::Branch),
            Self::GitProtocol => first(&|place| place.scheme == Scheme::Git),
            Self::PlainHttp => {
                let is_plain = |place: &Place<'_>| {
                    matches!(place.scheme, Scheme::Http | Scheme::Ftp | Scheme::Svn)
                };
                whole(!places.is_empty() && places.iter().all(is_plain))
            }
            Self::MutableTag => moves(Reference::Tag),
            Self::Unknown => whole(fod.tool.class == Class::Unknown),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a rule applies.
#[derive(Clone, Copy)]
enum Where {
    Whole,
    At(usize),
}

/// A rule that applies to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Which.
    pub rule: Rule,
    /// How much it says of this one.
    pub level: Level,
    /// At which of its places it was met first; none if it is about all of it.
    pub at: Option<usize>,
}

/// What speaks against one, in order. `places` are its URLs, mirrors resolved: what a mirror stands for is its
/// author's text as well.
pub fn against(fod: &Fod, places: &[Place<'_>]) -> Vec<Met> {
    let met = |rule: Rule| {
        rule.applies(fod, places).map(|applies| Met {
            rule,
            level: rule.level(fod),
            at: match applies {
                Where::Whole => None,
                Where::At(at) => Some(at),
            },
        })
    };
    Rule::ALL.into_iter().filter_map(met).collect()
}

#[cfg(test)]
mod tests {
    use snowguard_store::{Hash, HashAlgo, StoreDir};

    use super::*;
    use crate::fod::tests::{fod, of_hash};

    fn told(fod: &Fod) -> String {
        let places: Vec<Place<'_>> = fod.places().collect();
        let words: Vec<String> = against(fod, &places)
            .into_iter()
            .map(|met| {
                let at = met.at.map_or_else(String::new, |at| format!(" at {at}"));
                format!("{} {}{at}", met.rule, met.level.as_str())
            })
            .collect();
        words.join(", ")
    }

    #[test]
    fn each_rule_applies_where_it_should() {
        let url = |url: &str| told(&fod("x", &["curl-8.1"], &[("urls", url)]));
        insta::assert_snapshot!(
            [
                "https://x.org/x-1.tar.gz",
                "http://x.org/x-1.tar.gz ftp://x.org/x-1.tar.gz",
                "http://x.org/x-1.tar.gz https://x.org/x-1.tar.gz",
                "mirror://gnu/x",
                "https://github.com/o/r/archive/v1.tar.gz",
                "https://github.com/o/r/archive/main.tar.gz",
                "https://me:secret@x.org/x",
                "http://10.0.0.1/x",
                "git://x.org/x",
                "https://x.org/a http://10.0.0.1/a https://github.com/o/r/archive/main.tar.gz",
            ].map(url).join("\n"), @"

        plain-http note


        mutable-tag note at 0
        branch warning at 0
        credentials error at 0
        private-host error at 0, plain-http note
        git-protocol warning at 0
        private-host error at 1, branch warning at 2
        ");
        let asks = ("impureEnvVars", "https_proxy");
        let needless = fod("x", &["x.tar.xz"], &[("buildCommand", "tar x"), asks]);
        assert_eq!(told(&needless), "needless-network warning");
        // Who asks for the network may use it with whatever tool it has.
        let tool = (
            "nativeBuildInputs",
            "/nix/store/00000000000000000000000000000000-new-1.0",
        );
        assert_eq!(told(&fod("x", &["new-1.0"], &[tool, asks])), "unknown note");
        let sha1 = Hash::of(HashAlgo::Sha1, b"x").unwrap();
        let env = [("urls", "http://x.org/x")];
        let weak = of_hash("x", "/bin/sh", &[], &env, sha1);
        let weak = Fod::of(&weak, &StoreDir::default()).unwrap();
        assert_eq!(told(&weak), "weak-hash error, plain-http error");
        let zeros = Hash::sha256([0; 32]);
        let fake = of_hash("x", "/bin/sh", &[], &[("urls", "https://x.org/x")], zeros);
        let fake = Fod::of(&fake, &StoreDir::default()).unwrap();
        assert_eq!(told(&fake), "fake-hash error");
    }
}
