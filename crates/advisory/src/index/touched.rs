//! Which groups of records changed: what a delta of an index is about.

use std::collections::BTreeSet;

use crate::id::AdvisoryId;
use crate::record::Record;

/// The names by which the changed groups are found.
///
/// A group is all that is known of one vulnerability. A record belongs to the group of each CVE that
/// it names; if it names none, to the one that its names link it to. So a record that changed
/// touches its CVEs, or else all of its names. Both what it was and what it is must be noted: a
/// group can be left as well as joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched(BTreeSet<AdvisoryId>);

impl Touched {
    /// Nothing changed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a record, as it was or as it is.
    pub fn note(&mut self, record: &Record) {
        self.0.extend(
            marks(std::iter::once(&record.id).chain(&record.aliases))
                .into_iter()
                .cloned(),
        );
    }

    /// The names: CVE ids, and the other names of records without one.
    pub fn names(&self) -> impl Iterator<Item = &AdvisoryId> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name is among them.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl FromIterator<AdvisoryId> for Touched {
    fn from_iter<I: IntoIterator<Item = AdvisoryId>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

/// Of the names of one record, those whose groups it belongs to: its CVEs, or all if it has none.
pub fn marks<'n>(names: impl Iterator<Item = &'n AdvisoryId>) -> BTreeSet<&'n AdvisoryId> {
    let mut all: BTreeSet<&AdvisoryId> = names.collect();
    if all.iter().any(|name| name.cve().is_some()) {
        all.retain(|name| name.cve().is_some());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_touches_its_cves_or_all_of_its_names() {
        let mut record = Record::new("GHSA-aaaa-bbbb-cccc".parse().unwrap());
        record.aliases = vec!["PYSEC-2024-1".parse().unwrap()];
        let mut touched = Touched::new();
        touched.note(&record);
        let names =
            |touched: &Touched| touched.names().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&touched), ["GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1"]);
        record.aliases.push("CVE-2024-1234".parse().unwrap());
        let mut touched = Touched::new();
        touched.note(&record);
        assert_eq!(names(&touched), ["CVE-2024-1234"]);
    }
}
