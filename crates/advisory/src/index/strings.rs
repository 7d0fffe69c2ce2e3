//! The strings of an index: each once, sorted, told by its number.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::id::AdvisoryId;
use crate::identity::Product;
use crate::range::{Lower, Span, Upper};
use crate::record::Record;
use crate::severity::Severity;

/// All strings, sorted, with their numbers.
pub(super) struct Strings<'a> {
    pub(super) sorted: Vec<&'a str>,
    numbers: FxHashMap<&'a str, u32>,
}

impl<'a> Strings<'a> {
    pub(super) fn of(
        sources: impl Iterator<Item = &'a str>,
        records: &[(u32, &'a Record)],
    ) -> Self {
        let mut all: FxHashSet<&'a str> = sources.collect();
        for (_, record) in records {
            all.insert(record.id.as_str());
            all.extend(record.aliases.iter().map(AdvisoryId::as_str));
            all.extend(record.summary.as_deref());
            for severity in &record.severities {
                if let Severity::Vector(vector) = severity {
                    all.insert(vector.as_str());
                }
            }
            for affected in &record.affects {
                all.extend(affected.by.as_deref());
                for product in affected.products.iter().chain(&affected.only_with) {
                    match product {
                        Product::Package(key) => all.insert(key.as_str()),
                        Product::Repository(key) => all.insert(key.as_str()),
                        Product::Named(named) => {
                            all.extend(named.vendor.as_ref().map(crate::identity::Name::as_str));
                            all.extend(
                                named
                                    .target_software
                                    .as_ref()
                                    .map(crate::identity::Name::as_str),
                            );
                            all.insert(named.name.as_str())
                        }
                    };
                }
                for rule in &affected.rules {
                    match &rule.span {
                        Span::Exact(text) | Span::Text(text) => all.extend([&**text]),
                        Span::Between(lower, upper) => {
                            if let Lower::From(text) | Lower::After(text) = lower {
                                all.insert(text);
                            }
                            if let Upper::Before(text) | Upper::UpTo(text) | Upper::Within(text) =
                                upper
                            {
                                all.insert(text);
                            }
                        }
                    }
                }
            }
        }
        let mut sorted: Vec<&str> = all.into_iter().collect();
        sorted.sort_unstable();
        let numbers = sorted
            .iter()
            .zip(0..)
            .map(|(&text, number)| (text, number))
            .collect();
        Self { sorted, numbers }
    }

    pub(super) fn number(&self, text: &str) -> u32 {
        self.numbers.get(text).copied().unwrap_or(u32::MAX)
    }
}
