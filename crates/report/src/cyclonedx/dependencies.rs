//! Which component depends on which: the graph of objects, with all that is no component taken out
//! of the middle.

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_closure::NodeId;
use snowguard_inventory::{ComponentId, Inventory, Subject};

/// The dependencies between components.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dependencies {
    /// What the roots need.
    pub(super) of_subject: Vec<ComponentId>,
    /// What each component needs, by number. Shorter than the inventory if there are so many that
    /// the rest was left out.
    pub(super) by_component: Vec<Vec<ComponentId>>,
}

/// How many dependencies a document may have. A package set of 28,000 has some two million; a graph
/// that was made for it could have as many as the square of its nodes.
const MAX_DEPENDENCIES: usize = 8_000_000;

/// How many components are walked before the count is looked at.
const BATCH: usize = 512;

impl Dependencies {
    /// Takes everything out of the graph that is no component: a component depends on those that it
    /// reaches without passing another one.
    pub(super) fn of(subject: &Subject, inventory: &Inventory) -> Self {
        Self::up_to(subject, inventory, MAX_DEPENDENCIES)
    }

    fn up_to(subject: &Subject, inventory: &Inventory, most: usize) -> Self {
        let owners = Owners::of(subject, inventory);
        let walk = |scratch: &mut Scratch, own: Option<u32>, from: &[NodeId]| {
            scratch.walk(subject, &owners.by_node, own, from)
        };
        let fresh = || Scratch::new(subject.objects.len(), inventory.components.len());
        let mut dependencies = Self {
            of_subject: walk(&mut fresh(), None, subject.graph.roots()),
            by_component: Vec::with_capacity(inventory.components.len()),
        };
        let mut count = dependencies.of_subject.len();
        for (batch, nodes) in owners.by_component.chunks(BATCH).enumerate() {
            let found: Vec<Vec<ComponentId>> = nodes
                .par_iter()
                .enumerate()
                .map_init(fresh, |scratch, (at, nodes)| {
                    walk(scratch, u32::try_from(batch * BATCH + at).ok(), nodes)
                })
                .collect();
            count += found.iter().map(Vec::len).sum::<usize>();
            if count > most {
                break;
            }
            dependencies.by_component.extend(found);
        }
        dependencies
    }
}

/// Which nodes a component is, in both directions.
struct Owners {
    by_node: Vec<Option<u32>>,
    by_component: Vec<Vec<NodeId>>,
}

impl Owners {
    fn of(subject: &Subject, inventory: &Inventory) -> Self {
        // In a package set a package and the derivation that builds it are two objects and one thing.
        let mut builders: FxHashMap<&str, NodeId> = FxHashMap::default();
        if subject.objects.iter().any(|object| object.meta.is_some()) {
            let ids = subject.objects.iter().map(|object| &*object.id);
            builders.extend(ids.zip(subject.graph.nodes()));
        }
        let builder = |node: &NodeId| {
            let meta = subject.object(*node)?.meta.as_deref()?;
            builders.get(meta.drv_path.as_deref()?).copied()
        };
        let mut by_node = vec![None; subject.objects.len()];
        let mut by_component = Vec::with_capacity(inventory.components.len());
        for (number, component) in (0_u32..).zip(&inventory.components) {
            let mut nodes = component.nodes.clone();
            nodes.extend(component.nodes.iter().filter_map(builder));
            for node in &nodes {
                if let Some(owner) = by_node.get_mut(node.index()) {
                    *owner = Some(number);
                }
            }
            by_component.push(nodes);
        }
        Self {
            by_node,
            by_component,
        }
    }
}

/// What was seen on a walk. Marks are the number of the walk, so that nothing is cleared between two.
struct Scratch {
    nodes: Vec<u32>,
    components: Vec<u32>,
    walk: u32,
    todo: Vec<NodeId>,
}

impl Scratch {
    fn new(nodes: usize, components: usize) -> Self {
        Self {
            nodes: vec![0; nodes],
            components: vec![0; components],
            walk: 0,
            todo: Vec::new(),
        }
    }

    fn walk(
        &mut self,
        subject: &Subject,
        owners: &[Option<u32>],
        own: Option<u32>,
        from: &[NodeId],
    ) -> Vec<ComponentId> {
        self.walk += 1;
        let mut found = Vec::new();
        let mark = self.walk;
        let is_new = |marks: &mut Vec<u32>, at: usize| {
            let slot = marks.get_mut(at);
            slot.is_some_and(|slot| std::mem::replace(slot, mark) != mark)
        };
        self.todo.clear();
        for &node in from {
            match owners.get(node.index()).copied().flatten() {
                // A root may itself be a component: the subject depends on it.
                Some(owner) if own.is_none() => {
                    if is_new(&mut self.components, owner as usize) {
                        found.push(ComponentId(owner));
                    }
                }
                _ => {
                    if is_new(&mut self.nodes, node.index()) {
                        self.todo.push(node);
                    }
                }
            }
        }
        while let Some(node) = self.todo.pop() {
            for &next in subject.graph.references(node) {
                match owners.get(next.index()).copied().flatten() {
                    Some(owner) if Some(owner) == own => {}
                    Some(owner) => {
                        if is_new(&mut self.components, owner as usize) {
                            found.push(ComponentId(owner));
                        }
                    }
                    None => {
                        if is_new(&mut self.nodes, next.index()) {
                            self.todo.push(next);
                        }
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use snowguard_inventory::{IdentityTable, Meta, Nature, Role, SubjectBuilder};

    use super::*;

    /// A subject from edges between names; a name without version is no component.
    fn subject(edges: &[(&str, &str)]) -> Subject {
        let mut builder = SubjectBuilder::new();
        for (from, to) in edges {
            let [from, to] = [from, to].map(|name| builder.object(name, name, |_| {}));
            builder.edge(from, to);
        }
        builder.build("test", Nature::RunTime)
    }

    fn told(subject: &Subject) -> Vec<String> {
        let inventory = Inventory::of(subject, &IdentityTable::default());
        let dependencies = Dependencies::of(subject, &inventory);
        let names = |list: &[ComponentId]| {
            let names = list.iter().filter_map(|id| inventory.get(*id));
            names
                .map(|c| c.pname.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let mut told = vec![format!("→ {}", names(&dependencies.of_subject))];
        for ((_, component), list) in inventory.iter().zip(&dependencies.by_component) {
            told.push(format!("{} → {}", component.pname, names(list)));
        }
        told
    }

    #[test]
    fn what_is_no_component_is_passed_through() {
        let subject = subject(&[
            ("system", "path"),
            ("path", "a-1"),
            ("a-1", "hook"),
            ("hook", "script"),
            ("script", "b-2"),
            ("script", "c-3"),
            ("a-1", "b-2"),
            ("b-2", "d-4"),
        ]);
        assert_eq!(told(&subject), ["→ a", "a → b c", "b → d", "c → ", "d → "]);
    }

    #[test]
    fn circles_and_long_chains_are_walked() {
        let names: Vec<String> = (0..100_000).map(|n| format!("x{n}-script")).collect();
        let mut edges: Vec<(&str, &str)> = names
            .windows(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        edges.extend([("a-1", names[0].as_str()), (names[99_999].as_str(), "b-1")]);
        edges.extend([
            ("b-1", names[5].as_str()),
            (names[7].as_str(), names[3].as_str()),
        ]);
        assert_eq!(told(&subject(&edges)), ["→ a", "a → b", "b → "]);
    }

    #[test]
    fn a_package_and_its_derivation_are_one() {
        let mut builder = SubjectBuilder::new();
        for name in ["a-1", "b-2"] {
            let package = builder.object(&format!("attr:{name}"), name, |object| {
                object.meta = Some(Box::new(Meta {
                    attr: name.into(),
                    drv_path: Some(format!("{name}.drv").into()),
                    ..Meta::default()
                }));
            });
            builder.root(package);
        }
        let nodes = ["a-1.drv", "src", "b-2.drv"]
            .map(|id| builder.object(id, id, |object| object.role = Role::Auxiliary));
        builder.edge(nodes[0], nodes[1]);
        builder.edge(nodes[1], nodes[2]);
        let subject = builder.build("set", Nature::PackageSet);
        assert_eq!(told(&subject), ["→ a b", "a → b", "b → "]);
    }

    #[test]
    fn too_many_are_left_out_from_some_point_on() {
        let names: Vec<String> = (0..2_000).map(|n| format!("p{n}-1")).collect();
        let mut edges: Vec<(&str, &str)> = Vec::new();
        for name in &names {
            edges.extend([(name.as_str(), "hub"), ("hub", name.as_str())]);
        }
        let subject = subject(&edges);
        let inventory = Inventory::of(&subject, &IdentityTable::default());
        let some = Dependencies::up_to(&subject, &inventory, 1_500_000);
        assert_eq!(some.by_component.len(), BATCH);
        assert_eq!(some.by_component[0].len(), 1_999);
    }
}
