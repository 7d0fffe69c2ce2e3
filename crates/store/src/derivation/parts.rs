//! A derivation in the making: the one place that puts its parts in order.

use std::cmp::Ordering;

use super::{Derivation, InputDrv, Output, Span, TooLargeError};
use crate::path::{OutputName, StoreName, StorePath};

/// Everything that a reader has found, in the order in which it was found.
pub(super) struct Parts {
    pub(super) name: StoreName,
    pub(super) outputs: Vec<(OutputName, Output)>,
    pub(super) input_drvs: Vec<InputDrv>,
    pub(super) input_srcs: Vec<StorePath>,
    pub(super) arena: Arena,
    pub(super) system: Span,
    pub(super) builder: Span,
    pub(super) args: Vec<Span>,
    pub(super) env: Vec<(Span, Span)>,
}

impl Parts {
    /// Sorts; of what was said twice the last counts, as in Nix.
    pub(super) fn finish(mut self) -> Derivation {
        let arena = self.arena;
        sort_last_wins(&mut self.outputs, |one, other| one.0.cmp(&other.0));
        sort_last_wins(&mut self.input_drvs, |one, other| one.path.cmp(&other.path));
        sort_last_wins(&mut self.input_srcs, Ord::cmp);
        sort_last_wins(&mut self.env, |one, other| {
            arena.get(one.0).cmp(arena.get(other.0))
        });
        Derivation {
            name: self.name,
            outputs: self.outputs.into(),
            input_drvs: self.input_drvs.into(),
            input_srcs: self.input_srcs.into(),
            text: arena.finish(),
            system: self.system,
            builder: self.builder,
            args: self.args.into(),
            env: self.env.into(),
        }
    }
}

/// Collects texts into one allocation.
pub(super) struct Arena(Vec<u8>);

impl Arena {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(super) fn push(&mut self, text: &[u8]) -> Result<Span, TooLargeError> {
        self.push_with(|out| out.extend_from_slice(text))
    }

    /// Takes what `write` appends as one text.
    pub(super) fn push_with(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Span, TooLargeError> {
        let start = u32::try_from(self.0.len()).map_err(|_| TooLargeError)?;
        write(&mut self.0);
        let end = u32::try_from(self.0.len()).map_err(|_| TooLargeError)?;
        Ok(Span { start, end })
    }

    pub(super) fn get(&self, span: Span) -> &[u8] {
        self.0.get(span.range()).unwrap_or_default()
    }

    pub(super) fn finish(self) -> Box<[u8]> {
        self.0.into_boxed_slice()
    }
}

/// Sorts and keeps the last of equal items; mostly there is nothing to do.
pub(super) fn sort_last_wins<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    if items.is_sorted_by(|one, other| compare(one, other).is_lt()) {
        return;
    }
    items.reverse();
    items.sort_by(&compare);
    items.dedup_by(|later, earlier| compare(later, earlier).is_eq());
}
