//! What `mirror://NAME/PATH` stands for.
//!
//! `fetchurl` has a derivation beside it, `mirrors-list`, whose attributes are the mirrors of that very
//! revision of Nixpkgs: a name, and the URLs under which it is had. Nothing else is believed, and none is
//! built in: lists change, and a wrong one would be told as evidence.

use std::collections::BTreeMap;

use snowguard_store::Derivation;

/// The name of the derivation that lists mirrors.
pub const LIST: &str = "mirrors-list";

/// Attributes of every derivation, which are no mirrors.
const OTHERS: [&str; 12] = [
    "name",
    "out",
    "outputs",
    "system",
    "builder",
    "stdenv",
    "args",
    "preferLocalBuild",
    "allowSubstitutes",
    "strictDeps",
    "passAsFile",
    "version",
];
/// So many URLs of a mirror are kept.
const MOST: usize = 64;

/// Mirrors by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    by_name: BTreeMap<Box<str>, Vec<Box<str>>>,
}

impl Mirrors {
    /// The mirrors of a list; none if the derivation is no such list.
    pub fn of(drv: &Derivation) -> Option<Self> {
        if drv.name().as_str() != LIST {
            return None;
        }
        let attrs = drv.attrs().ok()?;
        let mut by_name = BTreeMap::new();
        for name in attrs.names().filter(|name| !OTHERS.contains(&&**name)) {
            let urls: Vec<Box<str>> = attrs
                .list(&name)
                .into_iter()
                .filter(|url| url.contains("://") && !url.starts_with("mirror://"))
                .take(MOST)
                .map(Box::from)
                .collect();
            if !urls.is_empty() {
                by_name.insert(name.as_ref().into(), urls);
            }
        }
        Some(Self { by_name })
    }

    /// The list that one goes by, of those among its own inputs; none for one that cannot be read. Any derivation can
    /// be called so: those of others decide nothing for it, and of two nobody knows which it goes by.
    pub fn only<M>(lists: impl IntoIterator<Item = Option<M>>) -> Option<M> {
        let mut lists = lists.into_iter();
        let first = lists.next()?;
        first.filter(|_| lists.next().is_none())
    }

    /// Whether no list was read.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The URLs for which one stands, in the order in which `fetchurl` tries them: itself if it is no
    /// mirror; none if the mirror is not known.
    pub fn resolve(&self, url: &str) -> Vec<Box<str>> {
        let Some(rest) = url.strip_prefix("mirror://") else {
            return vec![url.into()];
        };
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let known = self.by_name.get(name).into_iter().flatten();
        known
            // `fetchurl` puts them together as they are.
            .map(|base| format!("{base}{path}").into())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fod::tests::derivation;

    #[test]
    fn mirrors_are_those_of_the_list() {
        let list = derivation(
            LIST,
            &[
                ("name", LIST),
                ("system", "x86_64-linux"),
                ("gnu", "https://ftpmirror.gnu.org/ https://ftp.gnu.org/gnu/"),
                (
                    "stdenv",
                    "/nix/store/00000000000000000000000000000000-stdenv",
                ),
            ],
        );
        let mirrors = Mirrors::only([Mirrors::of(&list)]).unwrap();
        assert_eq!(
            Mirrors::only([Mirrors::of(&list), Mirrors::of(&list)]),
            None
        );
        assert_eq!(Mirrors::only([Mirrors::of(&list), None]), None);
        assert_eq!(Mirrors::only([None, Mirrors::of(&list)]), None);
        assert_eq!(Mirrors::only::<Mirrors>([]), None);
        let other = derivation("other", &[("evil", "https://evil.example/")]);
        assert_eq!(Mirrors::of(&other), None);
        assert_eq!(
            mirrors.resolve("mirror://gnu/hello/hello-2.12.tar.gz"),
            [
                "https://ftpmirror.gnu.org/hello/hello-2.12.tar.gz".into(),
                Box::<str>::from("https://ftp.gnu.org/gnu/hello/hello-2.12.tar.gz"),
            ]
        );
        assert!(mirrors.resolve("mirror://evil/x").is_empty());
        assert!(mirrors.resolve("mirror://stdenv/x").is_empty());
        assert_eq!(mirrors.resolve("https://x.org/"), ["https://x.org/".into()]);
    }
}
