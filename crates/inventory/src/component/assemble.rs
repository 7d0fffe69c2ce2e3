//! One component of all that is the same package.

use std::borrow::Cow;
use std::sync::Arc;

use snowguard_advisory::identity::RepoKey;

use super::draft::{Group, Key};
use super::paths::OutputPaths;
use super::{Applied, Component, Identity, Reason, Scope};
use crate::built::Built;
use crate::inside::{self, Declaration, Hosts, Origin, OtherVersion, Proof};
use crate::subject::{Nature, Object, Subject};
use crate::table::IdentityTable;

/// Makes the component of what is one package.
pub(super) fn assemble(
    subject: &Subject,
    paths: &OutputPaths<'_>,
    table: &IdentityTable,
    hosts: &Hosts,
    (language, key_name, version): &Key<'_>,
    group: &Group<'_>,
) -> Component {
    let (language, version, drafts) = (*language, *version, &*group.drafts);
    // The first by node is the nearest to the root in every reader; it gives the spelling.
    let declared_name = || group.declared.first().map(|first| &*first.name);
    let pname = drafts
        .first()
        .map(|draft| draft.pname)
        .or_else(declared_name)
        .unwrap_or(key_name);
    let mut component = Component {
        pname: pname.into(),
        version: version.into(),
        language,
        nodes: Vec::new(),
        attrs: Vec::new(),
        outputs: Vec::new(),
        identities: Vec::new(),
        marks: Vec::new(),
        sources: Vec::new(),
        patches: Vec::new(),
        phase_cves: Vec::new(),
        scope: Scope::Unknown,
        known_builds: drafts.iter().filter(|draft| draft.is_known()).count(),
        known_vulnerabilities: Vec::new(),
        places: Vec::new(),
        hosts: Vec::new(),
        other_versions: Vec::new(),
        is_local: false,
    };
    for draft in drafts {
        component.nodes.push(draft.node);
        let object = draft.object;
        if let Some(meta) = object.meta.as_deref() {
            push(&mut component.attrs, meta.attr.clone());
            for text in &meta.known_vulnerabilities {
                push(&mut component.known_vulnerabilities, text.clone());
            }
            for cpe in &meta.cpes {
                component.state_cpe(cpe, &Reason::Stated);
            }
            for purl in &meta.purls {
                component.state_purl(purl, &Reason::Stated);
            }
            for homepage in &meta.homepages {
                component.learn(homepage, Reason::Homepage, true);
            }
        }
        if let Some(stated) = object.stated.as_deref() {
            for cpe in &stated.cpes {
                component.state_cpe(cpe, &Reason::Document);
            }
            for purl in &stated.purls {
                component.state_purl(purl, &Reason::Document);
            }
            for url in &stated.urls {
                component.learn(url, Reason::Homepage, true);
            }
            for url in &stated.sources {
                component.learn(url, Reason::SourceUrl, false);
            }
            for patch in &stated.patches {
                applied(&mut component.patches, patch.clone());
            }
        }
        for (name, path) in draft.recipe.iter().flat_map(|recipe| &recipe.outputs) {
            if let Some(path) = path {
                push(&mut component.outputs, (name.clone(), path.clone()));
            }
        }
        let built = match (&object.built, draft.recipe) {
            (Some(built), _) => Cow::Borrowed(&**built),
            (None, Some(recipe)) => Cow::Owned(Built::of(recipe, paths)),
            (None, None) => continue,
        };
        for source in &built.sources {
            for url in &source.urls {
                component.learn(url, Reason::SourceUrl, false);
            }
            push(&mut component.sources, source.clone());
        }
        for patch in &built.patches {
            applied(&mut component.patches, patch.clone());
        }
        for cve in &built.phase_cves {
            applied(&mut component.phase_cves, *cve);
        }
        if let (Some(toolchain), None) = (built.toolchain, language) {
            component.built_with(toolchain);
        }
    }
    component.declared(group, hosts);
    // The copies in others are as much there as the objects that are it.
    let elsewhere = component
        .places
        .iter()
        .filter(|place| !component.nodes.contains(&place.node));
    let copies = inside::scope(elsewhere, |node| {
        let object = subject.object(node);
        // That a source has a lock does not prove what of it went into anything.
        if object.is_some_and(is_source) {
            return Scope::Unknown;
        }
        scope(subject, object.is_some_and(|object| object.run_time))
    });
    let is_own = !drafts.is_empty();
    let own = is_own.then(|| scope(subject, drafts.iter().any(|draft| draft.object.run_time)));
    component.scope = inside::strongest(own.into_iter().chain(copies)).unwrap_or(Scope::Unknown);
    let is_part = component.is_part();
    component.name_it(
        table,
        !is_part || group.declared.iter().any(|it| is_published(it)),
    );
    component
}

/// Whether a declaration is of what everyone knows by that name. A crate of the program's own tree,
/// a fork in a repository or a package of a house's registry may be called as a product is, and is
/// none; nor is a name in a manifest's free text.
fn is_published(declaration: &Declaration) -> bool {
    declaration.origin == Origin::Registry
        && (declaration.package.kind() != "generic" || declaration.place.proof == Proof::Contained)
}

fn is_source(object: &Object) -> bool {
    object.recipe.as_ref().is_some_and(|recipe| recipe.fixed)
}

impl Component {
    /// Takes what bytes declare of it.
    fn declared(&mut self, group: &Group<'_>, hosts: &Hosts) {
        for declaration in &group.declared {
            let place = &declaration.place;
            let reason = Reason::Declared {
                by: Arc::clone(&place.by),
                file: Arc::clone(&place.file),
            };
            match &declaration.origin {
                Origin::Registry => self.state_purl(&declaration.package, &reason),
                Origin::Repository(url) => {
                    if let Some(repository) = RepoKey::from_url(url) {
                        self.identify(Identity::Repository(repository), reason);
                    }
                }
                Origin::Local => self.is_local = true,
                // A mirror has what the registry has, or a house's registry what only it has. Which of
                // both it is nobody says; to pass over a mirror would hide everything.
                Origin::Elsewhere => {
                    if declaration.package.kind() != "generic" {
                        self.state_purl(&declaration.package, &reason);
                    }
                }
            }
            let is_elsewhere = !self.nodes.contains(&place.node)
                && !self.hosts.iter().any(|host| host.node == place.node);
            if let Some(host) = hosts.get(&place.node).filter(|_| is_elsewhere) {
                self.hosts.push(Arc::clone(host));
            }
            self.places.push(place.clone());
        }
        for declaration in &group.otherwise {
            self.other_versions.push(OtherVersion {
                version: declaration.version.clone(),
                place: declaration.place.clone(),
            });
        }
    }
}

fn scope(subject: &Subject, proven: bool) -> Scope {
    match subject.nature {
        Nature::RunTime => Scope::RunTime,
        _ if proven => Scope::RunTime,
        // Where run time is known for some, what is not among them is build time.
        Nature::BuildTime if subject.objects.iter().take(1).any(|root| root.run_time) => {
            Scope::BuildTime
        }
        _ => Scope::Unknown,
    }
}

pub(super) fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn applied<T: PartialEq>(list: &mut Vec<Applied<T>>, what: T) {
    match list.iter_mut().find(|applied| applied.what == what) {
        Some(applied) => applied.builds += 1,
        None => list.push(Applied { what, builds: 1 }),
    }
}
