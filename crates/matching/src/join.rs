//! The join itself: which entries of the index speak of a component, and why it is that product.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};
use snowguard_advisory::identity::squeeze;
use snowguard_advisory::index::{Corrupt, EntryId, EntryView, Index, Key, ProductView};
use snowguard_inventory::IdentityTable;
use snowguard_inventory::component::{Component, Identity, Reason};

use crate::claim::Certainty;
use crate::vendor::{self, Verdict, Why};

/// What an index says of a component's names.
#[derive(Default)]
pub(crate) struct Joined<'a> {
    /// Entries about the component.
    pub(crate) entries: Vec<Join<'a>>,
    /// Entries about products of its names that it is taken not to be.
    pub(crate) strangers: Vec<Join<'a>>,
    /// Whether the index knows any of its identities.
    pub(crate) heard_of: bool,
    /// What all entries of a name together say of those that name no vendor, in a digest.
    pub(crate) context: u64,
}

/// One entry, and why it is, or is not, about the component.
pub(crate) struct Join<'a> {
    pub(crate) entry: EntryId,
    pub(crate) view: EntryView<'a>,
    pub(crate) product: ProductView<'a>,
    pub(crate) certainty: Certainty,
    pub(crate) why: Arc<Why>,
}

/// Joins a component with an index by each of its identities; an entry that several of them reach is
/// taken once, by the surest.
pub(crate) fn join<'a>(
    index: Index<'a>,
    table: &IdentityTable,
    component: &Component,
) -> Result<Joined<'a>, Corrupt> {
    let mut joined = Joined::default();
    let mut taken: FxHashMap<EntryId, usize> = FxHashMap::default();
    let key = component.table_key();
    for (identity, reason) in &component.identities {
        match identity {
            Identity::Package(package) => {
                let is = |p: &ProductView<'_>| matches!(p, ProductView::Package(k) if *k == package.as_str());
                by_identity(
                    index,
                    Key::Package(package),
                    reason,
                    is,
                    &mut joined,
                    &mut taken,
                )?;
            }
            Identity::Repository(repository) => {
                // A home page in a repository is often that of the project around the package.
                let own = squeeze(repository.name()) == squeeze(&component.pname);
                if !matches!(reason, Reason::Homepage(_)) || own {
                    let is = |p: &ProductView<'_>| matches!(p, ProductView::Repository(k) if *k == repository.as_str());
                    by_identity(
                        index,
                        Key::Repository(repository),
                        reason,
                        is,
                        &mut joined,
                        &mut taken,
                    )?;
                }
            }
            Identity::Name(name) | Identity::Product(_, name) => {
                let views = index
                    .lookup(Key::Name(name))?
                    .map(|entry| Ok((entry, index.entry(entry)?)))
                    .collect::<Result<Vec<_>, Corrupt>>()?;
                joined.heard_of |= !views.is_empty();
                by_name(
                    component,
                    table,
                    &key,
                    name.as_str(),
                    views,
                    &mut joined,
                    &mut taken,
                );
            }
        }
    }
    Ok(joined)
}

fn by_identity<'a>(
    index: Index<'a>,
    key: Key<'_>,
    reason: &Reason,
    is: impl Fn(&ProductView<'a>) -> bool,
    joined: &mut Joined<'a>,
    taken: &mut FxHashMap<EntryId, usize>,
) -> Result<(), Corrupt> {
    let why = Arc::new(Why::Identity(reason.clone()));
    for entry in index.lookup(key)? {
        joined.heard_of = true;
        let view = index.entry(entry)?;
        let product = view.products.clone().find(|product| is(product));
        let product = product
            .or_else(|| view.products.clone().next())
            .unwrap_or(ProductView::Package(""));
        take(
            joined,
            taken,
            Join {
                entry,
                view,
                product,
                certainty: Certainty::Sure,
                why: Arc::clone(&why),
            },
        );
    }
    Ok(())
}

fn take<'a>(joined: &mut Joined<'a>, taken: &mut FxHashMap<EntryId, usize>, join: Join<'a>) {
    match taken
        .get(&join.entry)
        .and_then(|&at| joined.entries.get_mut(at))
    {
        Some(known) if join.certainty > known.certainty => *known = join,
        Some(_) => {}
        None => {
            taken.insert(join.entry, joined.entries.len());
            joined.entries.push(join);
        }
    }
}

/// What the rules say of one vendor of a name.
enum Offer {
    Take(Certainty, Arc<Why>),
    Refuse(Arc<Why>),
}

/// Joins entries that share a name with the component.
fn by_name<'a>(
    component: &Component,
    table: &IdentityTable,
    key: &str,
    name: &str,
    views: Vec<(EntryId, EntryView<'a>)>,
    joined: &mut Joined<'a>,
    taken: &mut FxHashMap<EntryId, usize>,
) {
    let (offers, context) = offers(component, table, key, name, &views);
    // The order of identities is of no consequence.
    joined.context = joined.context.wrapping_add(context);
    for (entry, view) in views {
        let mut best: Option<(Certainty, ProductView<'a>, &Arc<Why>)> = None;
        let mut against: Option<(ProductView<'a>, &Arc<Why>)> = None;
        for product in view.products.clone() {
            match by(product, name).and_then(|by| offers.get(&by)) {
                Some(Offer::Take(certainty, why))
                    if best.is_none_or(|(known, ..)| *certainty > known) =>
                {
                    best = Some((*certainty, product, why));
                }
                Some(Offer::Refuse(why)) => against = Some((product, why)),
                Some(Offer::Take(..)) | None => {}
            }
        }
        // An entry that names a stranger for certain is about the stranger, whatever a vendor-less
        // spelling in it says.
        match (best, against) {
            (Some((Certainty::Unsure, ..)) | None, Some((product, why))) => {
                let why = Arc::clone(why);
                joined.strangers.push(Join {
                    entry,
                    view,
                    product,
                    certainty: Certainty::Sure,
                    why,
                });
            }
            (Some((certainty, product, why)), _) => {
                let why = Arc::clone(why);
                take(
                    joined,
                    taken,
                    Join {
                        entry,
                        view,
                        product,
                        certainty,
                        why,
                    },
                );
            }
            (None, None) => {}
        }
    }
}

/// Vendor and target software of a product that has the name.
type By<'a> = (Option<&'a str>, Option<&'a str>);

fn by<'a>(product: ProductView<'a>, name: &str) -> Option<By<'a>> {
    match product {
        ProductView::Named {
            name: named,
            vendor,
            target_software,
            ..
        } if named == name => Some((vendor, target_software)),
        _ => None,
    }
}

/// Judges each vendor of a name once, and what names no vendor by what the others turned out to be: of
/// that, a digest.
fn offers<'a>(
    component: &Component,
    table: &IdentityTable,
    key: &str,
    name: &str,
    views: &[(EntryId, EntryView<'a>)],
) -> (FxHashMap<By<'a>, Offer>, u64) {
    let mut verdicts: FxHashMap<By<'a>, Verdict> = FxHashMap::default();
    for (_, view) in views {
        for by in view
            .products
            .clone()
            .filter_map(|product| by(product, name))
        {
            verdicts
                .entry(by)
                .or_insert_with(|| vendor::judge(component, table, key, by.0, name, by.1));
        }
    }
    let confirmed = verdicts
        .values()
        .any(|verdict| matches!(verdict, Verdict::Same(_)));
    let mut rivals: Vec<Box<str>> = verdicts
        .iter()
        .filter(|(_, verdict)| {
            matches!(
                verdict,
                Verdict::Other(Why::Stranger | Why::Reviewed { .. })
            )
        })
        .filter_map(|((vendor, _), _)| vendor.map(Into::into))
        .collect();
    rivals.sort();
    rivals.truncate(4);
    let context = FxBuildHasher.hash_one((name, confirmed, &rivals));
    let offers = verdicts
        .into_iter()
        .map(|(by, verdict)| {
            let offer = match verdict {
                Verdict::Same(why) => Offer::Take(Certainty::Sure, Arc::new(why)),
                Verdict::Neutral(why) if confirmed || rivals.is_empty() => {
                    Offer::Take(Certainty::Sure, Arc::new(why))
                }
                Verdict::Neutral(_) => {
                    Offer::Take(Certainty::Unsure, Arc::new(Why::SharedName(rivals.clone())))
                }
                Verdict::Unsure(why) => Offer::Take(Certainty::Unsure, Arc::new(why)),
                Verdict::Other(why) => Offer::Refuse(Arc::new(why)),
            };
            (by, offer)
        })
        .collect();
    (offers, context)
}
