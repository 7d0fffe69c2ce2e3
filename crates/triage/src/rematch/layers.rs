//! Which attributes are matched together.
//!
//! Channels mostly have the same: what several of them have alike of a package is matched once. What
//! they have differently must not be mixed, or a patch in one would count for another; it goes to
//! further layers.

use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_inventory::{IdentityTable, Inventory, Nature, SubjectBuilder};

use super::{Head, Layer, Package, Rematch};

/// What one or several channels have of a package.
pub(super) struct Class {
    /// The package's place in what was handed over.
    pub(super) package: usize,
    /// The channels.
    pub(super) channels: Vec<i64>,
}

/// A layer before it is built.
pub(super) struct Draft<'p> {
    /// The channel whose own rules hold in it.
    scope: Option<i64>,
    classes: Vec<(Class, Vec<&'p Head>)>,
    attrs: FxHashSet<&'p str>,
}

/// Puts the packages into as few layers as need be.
pub(super) fn of<'p>(rematch: &Rematch<'_, '_>, packages: &'p [Package]) -> Vec<Draft<'p>> {
    let scoped: FxHashSet<&str> = rematch
        .rules
        .iter()
        .filter(|rule| rule.channel.is_some())
        .map(|rule| rule.package.as_str())
        .collect();
    let mut layers: FxHashMap<Option<i64>, Vec<Draft<'p>>> = FxHashMap::default();
    for (at, package) in packages.iter().enumerate() {
        let is_scoped = scoped.contains(package.key.as_str());
        for (class, heads) in classes(at, package, is_scoped) {
            let scope = class.channels.first().copied().filter(|_| is_scoped);
            let of_scope = layers.entry(scope).or_default();
            let has_room = |draft: &Draft<'_>| {
                let taken = draft
                    .classes
                    .last()
                    .is_some_and(|(last, _)| last.package == at);
                !taken && heads.iter().all(|head| !draft.attrs.contains(&*head.attr))
            };
            let place = of_scope.iter().position(has_room).unwrap_or_else(|| {
                of_scope.push(Draft {
                    scope,
                    classes: Vec::new(),
                    attrs: FxHashSet::default(),
                });
                of_scope.len() - 1
            });
            let draft = &mut of_scope[place];
            draft.attrs.extend(heads.iter().map(|head| &*head.attr));
            draft.classes.push((class, heads));
        }
    }
    let mut layers: Vec<_> = layers.into_iter().collect();
    layers.sort_by_key(|(scope, _)| *scope);
    layers.into_iter().flat_map(|(_, drafts)| drafts).collect()
}

/// What the channels have of a package, each different thing once. Where a rule holds in one channel
/// only, each channel is apart.
fn classes(at: usize, package: &Package, is_scoped: bool) -> Vec<(Class, Vec<&Head>)> {
    let mut by_channel: FxHashMap<i64, Vec<&Head>> = FxHashMap::default();
    for head in &package.heads {
        by_channel.entry(head.channel).or_default().push(head);
    }
    let mut channels: Vec<_> = by_channel.into_iter().collect();
    channels.sort_by_key(|(channel, _)| *channel);
    let mut classes: Vec<(Class, Vec<&Head>)> = Vec::new();
    for (channel, mut heads) in channels {
        heads.sort_by(|a, b| a.attr.cmp(&b.attr));
        let same = |a: &Head, b: &Head| {
            (&a.attr, &a.name, &a.version, a.fact) == (&b.attr, &b.name, &b.version, b.fact)
        };
        let known = classes.iter_mut().find(|(_, known)| {
            !is_scoped
                && known.len() == heads.len()
                && known.iter().zip(&heads).all(|(a, b)| same(a, b))
        });
        match known {
            Some((class, _)) => class.channels.push(channel),
            None => classes.push((
                Class {
                    package: at,
                    channels: vec![channel],
                },
                heads,
            )),
        }
    }
    classes
}

impl Draft<'_> {
    /// Makes components of it.
    pub(super) fn build(self, rematch: &Rematch<'_, '_>) -> Layer {
        let table = self.table(rematch);
        let mut builder = SubjectBuilder::new();
        let (mut classes, mut owners) = (Vec::with_capacity(self.classes.len()), Vec::new());
        for (class, heads) in self.classes {
            for head in heads {
                if let Some(fact) = (rematch.facts)(head.fact) {
                    fact.add_to(&mut builder, &head.attr, &head.name, &head.version);
                    owners.push(classes.len());
                }
            }
            classes.push(class);
        }
        let subject = builder.build("channels", Nature::PackageSet);
        Layer {
            inventory: Inventory::of(&subject, &table),
            table,
            classes,
            owners,
        }
    }

    fn table(&self, rematch: &Rematch<'_, '_>) -> IdentityTable {
        let mut table = rematch.table.clone();
        for rule in rematch.rules {
            let is_here = rule.channel.is_none() || rule.channel == self.scope;
            // A rule of a channel holds on the same days as one of all.
            if is_here && rule.holds(rematch.today, rule.channel.unwrap_or_default()) {
                rule.add_to(&mut table);
            }
        }
        table
    }
}
