//! What a package is for, where a format has the graph and not the answer.

use crate::part::Scope;

/// An edge or a start: to a package, for a purpose.
pub(super) type To = (usize, Scope);

/// The scope of each package: the strongest for which it can be reached. Runtime is stronger than
/// optional, optional than development; what is not reached at all is unknown.
///
/// An edge of scope runtime keeps the purpose of who uses it; an optional one makes optional what
/// would be runtime.
pub(super) fn scopes(edges: &[Vec<To>], starts: &[To]) -> Vec<Scope> {
    let mut scopes = vec![Scope::Unknown; edges.len()];
    let mut later: Vec<usize> = Vec::new();
    for pass in [Scope::Runtime, Scope::Optional, Scope::Development] {
        let mut stack: Vec<usize> = starts
            .iter()
            .filter(|(_, scope)| *scope == pass)
            .map(|(at, _)| *at)
            .collect();
        if pass == Scope::Optional {
            stack.append(&mut later);
        }
        while let Some(at) = stack.pop() {
            if scopes.get(at) != Some(&Scope::Unknown) {
                continue;
            }
            scopes[at] = pass;
            for (to, scope) in &edges[at] {
                if pass == Scope::Runtime && *scope == Scope::Optional {
                    later.push(*to);
                } else {
                    stack.push(*to);
                }
            }
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scope::{Development, Optional, Runtime, Unknown};

    #[test]
    fn the_strongest_purpose_wins() {
        // 0 -> 1 -> 2 (optional) -> 3; 4 (development) -> 1, 5 -> 4; 6 is alone; 7 is optional.
        let edges = vec![
            vec![(1, Runtime)],
            vec![(2, Optional), (0, Runtime)],
            vec![(3, Runtime)],
            vec![],
            vec![(1, Runtime), (5, Runtime)],
            vec![(4, Runtime)],
            vec![],
            vec![(3, Runtime), (99, Runtime)],
        ];
        let starts = [(4, Development), (7, Optional), (0, Runtime)];
        assert_eq!(
            scopes(&edges, &starts),
            [
                Runtime,
                Runtime,
                Optional,
                Optional,
                Development,
                Development,
                Unknown,
                Optional
            ]
        );
    }
}
