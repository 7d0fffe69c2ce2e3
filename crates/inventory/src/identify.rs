//! What a component is called elsewhere: learnt from statements, URLs, habits and the reviewed table.

use snowguard_advisory::cpe::Cpe;
use snowguard_advisory::identity::{Name, PackageKey, RepoKey};

use crate::component::{Component, Identity, Reason};
use crate::naming;
use crate::origin;
use crate::recipe::Toolchain;
use crate::table::{IdentityTable, Relation, Target, VendorPattern};

impl Component {
    pub(crate) fn identify(&mut self, identity: Identity, reason: Reason) {
        if !self.identities.iter().any(|(known, _)| *known == identity) {
            self.identities.push((identity, reason));
        }
    }

    pub(crate) fn state_cpe(&mut self, cpe: &Cpe, reason: &Reason) {
        let product = cpe.product.text().and_then(Name::new);
        match (cpe.vendor.text().and_then(Name::new), product) {
            (Some(vendor), Some(product)) => {
                self.identify(Identity::Product(vendor, product), reason.clone());
            }
            (None, Some(product)) => self.identify(Identity::Name(product), reason.clone()),
            (_, None) => {}
        }
    }

    pub(crate) fn state_purl(&mut self, purl: &PackageKey, reason: &Reason) {
        match purl.kind() {
            "github" | "gitlab" | "bitbucket" => {
                let host = match purl.kind() {
                    "bitbucket" => "bitbucket.org",
                    "gitlab" => "gitlab.com",
                    _ => "github.com",
                };
                if let Some(repo) = RepoKey::from_url(&format!("https://{host}/{}", purl.name())) {
                    self.identify(Identity::Repository(repo), reason.clone());
                }
            }
            "generic" => {
                if let Some(name) = Name::new(purl.name()) {
                    self.identify(Identity::Name(name), reason.clone());
                }
            }
            _ => self.identify(Identity::Package(purl.clone()), reason.clone()),
        }
    }

    /// Learns from a URL. Home pages tell whose a thing is, but a page in a registry is often that
    /// of another package: only sources name packages there.
    pub(crate) fn learn(&mut self, url: &str, reason: fn(Box<str>) -> Reason, homepage: bool) {
        let origin = origin::of_url(url);
        if let Some(package) = origin.package.filter(|_| !homepage) {
            self.identify(Identity::Package(package), reason(url.into()));
        }
        if let Some(repository) = origin.repository {
            self.identify(Identity::Repository(repository), reason(url.into()));
        }
        for mark in origin.marks {
            if !self.marks.iter().any(|(known, _)| known.word == mark.word) {
                self.marks.push((mark, url.into()));
            }
        }
    }

    pub(crate) fn built_with(&mut self, toolchain: Toolchain) {
        if toolchain == Toolchain::Cargo
            && let Ok(key) = PackageKey::new("cargo", &self.pname)
        {
            self.identify(Identity::Package(key), Reason::Toolchain("Cargo"));
        }
    }

    /// Names from the package's own name and from the reviewed table; the table gives names only if
    /// this is what is known by its name.
    pub(crate) fn name_it(&mut self, table: &IdentityTable, is_known_by_name: bool) {
        let key = self.table_key();
        let marks = self.marks.clone();
        for statement in table
            .statements(&key)
            .iter()
            .filter(|s| is_known_by_name && s.relation == Relation::Is && s.holds_for(&marks))
        {
            let reason = Reason::Reviewed {
                reason: statement.reason.clone(),
                by_user: statement.by_user,
            };
            let identity = match &statement.target {
                Target::Product {
                    vendor: VendorPattern::Exactly(vendor),
                    product,
                } => Identity::Product(vendor.clone(), product.clone()),
                Target::Product { product, .. } => Identity::Name(product.clone()),
                Target::Package(key) => Identity::Package(key.clone()),
                Target::Repository(key) => Identity::Repository(key.clone()),
            };
            self.identify(identity, reason);
        }
        for statement in table
            .statements(&key)
            .iter()
            .filter(|s| s.relation == Relation::Not && s.holds_for(&marks))
        {
            // A statement against a package or a repository takes back what a URL seemed to say.
            self.identities
                .retain(|(identity, _)| match (&statement.target, identity) {
                    (Target::Package(not), Identity::Package(key)) => not != key,
                    (Target::Repository(not), Identity::Repository(key)) => not != key,
                    _ => true,
                });
        }
        // What is found inside of others is a registry's package, and its bare name says less.
        if self.is_part() {
            return;
        }
        if let Some(name) = Name::new(&self.pname) {
            self.identify(Identity::Name(name), Reason::Pname);
        }
        if self.language.is_none() {
            for attr in self.attrs.clone() {
                if let Some(name) = naming::package_of_attr(&attr).and_then(Name::new) {
                    self.identify(Identity::Name(name), Reason::Attribute(attr));
                }
            }
        }
        if let Some((language, registry)) = self.language.and_then(|l| Some((l, l.registry()?)))
            && !self
                .identities
                .iter()
                .any(|(i, _)| matches!(i, Identity::Package(key) if key.kind() == registry))
        {
            let name = if registry == "cpan" {
                self.pname.replace("::", "-")
            } else {
                self.pname.to_string()
            };
            if let Ok(key) = PackageKey::new(registry, &name) {
                self.identify(Identity::Package(key), Reason::Module(language));
            }
        }
    }
}
