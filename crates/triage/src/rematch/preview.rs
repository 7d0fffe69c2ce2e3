//! What a rule would change, before it is made: the difference of two matches of one package.

use snowguard_matching::Status;

use super::Outcome;

/// The difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// By advisory name.
    pub changes: Vec<Change>,
    /// How many findings stay as they are.
    pub same: usize,
}

/// What becomes of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The advisory.
    pub advisory: String,
    /// What is found without the rule; none if nothing is.
    pub was: Option<Status>,
    /// What is found with it; none if nothing is.
    pub is: Option<Status>,
}

/// Compares what is found for one package without and with a rule.
pub fn difference(without: &[Outcome], with: &[Outcome]) -> Preview {
    let mut preview = Preview::default();
    let (mut old, mut new) = (without.iter().peekable(), with.iter().peekable());
    loop {
        let (was, is) = match (old.peek(), new.peek()) {
            (None, None) => return preview,
            (Some(was), Some(is)) if was.advisory == is.advisory => (old.next(), new.next()),
            (Some(was), Some(is)) if was.advisory < is.advisory => (old.next(), None),
            (Some(_), None) => (old.next(), None),
            (_, Some(_)) => (None, new.next()),
        };
        let status = |outcome: Option<&Outcome>| outcome.map(|outcome| outcome.status);
        if status(was) == status(is) {
            preview.same += 1;
        } else if let Some(either) = was.or(is) {
            preview.changes.push(Change {
                advisory: either.advisory.clone(),
                was: status(was),
                is: status(is),
            });
        }
    }
}
