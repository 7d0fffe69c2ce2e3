//! A derivation as far as its policy needs it, to be told to another process that does not have its file.

use serde::{Deserialize, Serialize};
use snowguard_store::ContentAddress;

use crate::class::Tool;
use crate::fod::{After, Checkout, Fod, Proxy, Tls};
use crate::plan::Plan;

/// What a policy is compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// The store path of the derivation.
    pub derivation: Box<str>,
    /// The name of its output.
    pub name: Box<str>,
    /// The store path of its output.
    pub output: Box<str>,
    /// What is promised.
    pub address: ContentAddress,
    /// The word of its class.
    pub class: Box<str>,
    /// The name of its tool.
    pub tool: Box<str>,
    /// Its URLs, mirrors resolved; a mirror that is not known stays as it is written.
    pub urls: Vec<Box<str>>,
    /// How many more it names, which were not kept.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more_urls: usize,
    /// Whether what is promised is of what comes, as it comes.
    pub as_it_comes: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Described {
    /// Takes from a derivation what matters. `urls` are its own with mirrors resolved.
    pub fn of(fod: &Fod, derivation: &str, urls: &[String]) -> Self {
        Self {
            derivation: derivation.into(),
            name: fod.name.clone(),
            output: fod.output.clone(),
            address: fod.address,
            class: fod.tool.class.as_str().into(),
            tool: fod.tool.name.into(),
            urls: urls.iter().map(|url| url.as_str().into()).collect(),
            more_urls: fod.more_urls,
            as_it_comes: fod.after == After::Nothing,
        }
    }

    /// The derivation again, as far as this tells; none if its class and tool are not known here.
    pub fn fod(&self) -> Option<Fod> {
        Some(Fod {
            name: self.name.clone(),
            output: self.output.clone(),
            address: self.address,
            tool: Tool::named(&self.class, &self.tool)?,
            urls: self.urls.clone(),
            more_urls: self.more_urls,
            after: if self.as_it_comes {
                After::Nothing
            } else {
                After::Other
            },
            // Who fetches it is led through the proxy; the rest says nothing of what may be reached.
            proxy: Proxy::Yes,
            rev: None,
            sources: Vec::new(),
            checkout: Checkout::default(),
            tls: Tls::Unknown,
            asks_for_network: true,
            plan: Plan::Nothing,
            scripts: Vec::new(),
            asked: Box::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fod::tests::fod;
    use crate::mirrors::Mirrors;
    use crate::policy::{Limits, Policy};

    #[test]
    fn what_is_told_has_the_same_policy() {
        let all = [
            fod(
                "a",
                &["curl-8.1"],
                &[("urls", "https://github.com/o/r/x.tar.gz http://y.org/x")],
            ),
            fod("b", &["go-1.24"], &[]),
            fod(
                "c",
                &["git-2.51"],
                &[("url", "https://x.org/r.git"), ("rev", "v1")],
            ),
            fod("d", &["a.tar.xz"], &[("buildCommand", "tar x")]),
            fod("e", &["nobody-knows-1"], &[("url", "https://x.org/e")]),
        ];
        for fod in all {
            let compile = |fod: &Fod| {
                let policy = Policy::compile(fod, &Mirrors::default(), &[], Limits::default());
                (policy.routes().to_vec(), policy.fetches())
            };
            let urls: Vec<String> = fod.urls.iter().map(ToString::to_string).collect();
            let told = Described::of(&fod, "/nix/store/x.drv", &urls);
            assert_eq!(compile(&told.fod().unwrap()), compile(&fod), "{}", fod.name);
            let other = Described {
                tool: "something".into(),
                ..told
            };
            assert_eq!(other.fod(), None);
        }
    }
}
