//! What is to be verified, as it lies in a queue.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use snowguard_fod::plan::{Form, Plan};
use snowguard_fod::policy::Described;
use snowguard_fod::{Class, Fod, Place};
use snowguard_store::ContentAddress;

/// The edition of what decides a verdict: what a fetcher makes of what comes, and what an answer means. Where that
/// changes, this does, and what was found under other rules is found again.
const RULES: u32 = 6;
/// What stands in the place of a host where something is built.
pub(crate) const BUILT: &str = "nix";

/// One fixed-output derivation that is to be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The derivation; one of those that fetch the same.
    pub drv: String,
    /// The store path of its output.
    pub output: String,
    /// What is promised.
    pub address: ContentAddress,
    /// How it is verified.
    pub way: Way,
    /// From where, mirrors resolved, in the order in which they are tried.
    pub urls: Vec<String>,
    /// Whether it is fetched by `curl` as `fetchurl` calls it, and not by Nix itself. The two follow redirects and take
    /// answers in different ways.
    #[serde(default)]
    pub curl: bool,
    /// What else than its recipe allows it to be fetched, in words; empty where that is nothing unusual. What was found
    /// under other terms says nothing of these.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub terms: String,
    /// What its policy is compiled from, where it is to be fetched through a proxy that holds it to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Described>,
}

/// How one is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Fetched, and compared without a builder.
    Fetch(Form),
    /// Built by Nix; with the reason.
    Build(String),
    /// Not at all; with the reason.
    Never(String),
}

impl Job {
    /// What is to be done for one. `urls` are its own with mirrors resolved.
    pub fn of(fod: &Fod, drv: &str, urls: &[String]) -> Self {
        let way = match &fod.plan {
            Plan::Fetch(form) => Way::Fetch(form.clone()),
            Plan::Build(reason) => Way::Build(reason.to_string()),
            plan @ (Plan::Nothing | Plan::Manual) => Way::Never(plan.why()),
        };
        Self {
            drv: drv.to_owned(),
            output: fod.output.to_string(),
            address: fod.address,
            way,
            urls: urls.to_vec(),
            curl: fod.tool.class == Class::Curl,
            terms: String::new(),
            described: None,
        }
    }

    /// The same through a proxy.
    #[must_use]
    pub fn through_proxy(self, fod: &Fod) -> Self {
        Self {
            described: Some(Described::of(fod, &self.drv, &self.urls)),
            ..self
        }
    }

    /// The same, to be built: its fetcher knows what a fetch without it does not tell.
    #[must_use]
    pub fn to_be_built(&self) -> Self {
        Self {
            way: Way::Build("only its fetcher can tell".to_owned()),
            ..self.clone()
        }
    }

    /// What is the same, also under which rules and terms it is judged, for those that fetch the same from the same place
    /// and promise the same. What is built is the same only if it is one derivation. What was fetched directly says
    /// nothing of what a proxy would allow.
    pub fn key(&self) -> String {
        let built = matches!(self.way, Way::Build(_)).then_some(&self.drv);
        let same = (
            RULES,
            self.address.to_string(),
            &self.way,
            &self.urls,
            built,
            self.curl,
            &self.terms,
        );
        let mut bytes = serde_json::to_vec(&same).unwrap_or_default();
        if self.described.is_some() {
            bytes.extend_from_slice(b" through a proxy");
        }
        HEXLOWER.encode(&Sha256::digest(bytes))
    }

    /// Who is asked first; nobody for what is not fetched here.
    pub fn host(&self) -> String {
        match &self.way {
            Way::Fetch(_) => self
                .urls
                .first()
                .map_or_else(String::new, |url| Place::of(url).host),
            Way::Build(_) => BUILT.to_owned(),
            Way::Never(_) => String::new(),
        }
    }
}
