//! What speaks against a fixed-output derivation.
//!
//! Each rule says what could go wrong and what to do. That certificates are not checked is no rule: it
//! holds for most of Nixpkgs, on purpose, and is told in a column.

use std::fmt;

use crate::class::Class;
use crate::fod::Fod;
use crate::place::{Host, Reference, Scheme};

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
            Self::PrivateHost => "use a public mirror, or say why in an exception",
            Self::NeedlessNetwork => "drop impureEnvVars",
            Self::Branch | Self::MutableTag => "name the commit",
            Self::GitProtocol => "use https://",
            Self::PlainHttp => "use https:// where the server has it",
            Self::Unknown => "look at its builder",
        }
    }

    fn applies(self, fod: &Fod) -> bool {
        let fetches = !matches!(fod.tool.class, Class::Nothing | Class::Manual);
        match self {
            Self::WeakHash => fod.is_weak(),
            Self::FakeHash => fod.is_fake(),
            Self::Credentials => fod.places().any(|place| place.has_credentials),
            Self::PrivateHost => fod.places().any(|place| {
                !matches!(place.scheme, Scheme::Mirror | Scheme::Ssh | Scheme::Other)
                    && place.network() == Host::Private
            }),
            Self::NeedlessNetwork => fod.tool.class == Class::Nothing && fod.asks_for_network,
            Self::Branch => fetches && fod.reference() == Reference::Branch,
            Self::GitProtocol => fod.places().any(|place| place.scheme == Scheme::Git),
            Self::PlainHttp => {
                let mut places = fod.places().peekable();
                places.peek().is_some()
                    && places.all(|place| {
                        matches!(place.scheme, Scheme::Http | Scheme::Ftp | Scheme::Svn)
                    })
            }
            Self::MutableTag => fetches && fod.reference() == Reference::Tag,
            Self::Unknown => fod.tool.class == Class::Unknown,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What speaks against one, in order.
pub fn against(fod: &Fod) -> Vec<Rule> {
    Rule::ALL
        .into_iter()
        .filter(|rule| rule.applies(fod))
        .collect()
}

#[cfg(test)]
mod tests {
    use snowguard_store::{Hash, HashAlgo, StoreDir};

    use super::*;
    use crate::fod::tests::{fod, of_hash};

    fn told(fod: &Fod) -> String {
        let rules = against(fod).into_iter();
        let words: Vec<String> = rules
            .map(|rule| format!("{rule} {}", rule.level(fod).as_str()))
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
            ].map(url).join("\n"), @"

        plain-http note


        mutable-tag note
        branch warning
        credentials error
        private-host error, plain-http note
        git-protocol warning
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
