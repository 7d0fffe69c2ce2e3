//! The identifiers of the SPDX licence list: which names are identifiers, and how they are spelled.
//!
//! Formats accept only these as identifiers and anything as a name. The list is
//! `data/spdx-license-ids.txt` (version 3.28.0, licences and exceptions), one a line in byte order;
//! a test holds it equal to the list in the CycloneDX schema. Expressions are not parsed here.

/// The identifier as the SPDX licence list spells it, or `None` when it has no such identifier.
///
/// Identifiers are compared without regard to ASCII case, as the SPDX specification says.
pub fn canonical_license_id(id: &str) -> Option<&'static str> {
    LICENSE_IDS
        .lines()
        .find(|known| known.eq_ignore_ascii_case(id))
}

const LICENSE_IDS: &str = include_str!("../data/spdx-license-ids.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_found_whatever_their_case() {
        assert_eq!(canonical_license_id("mit"), Some("MIT"));
        assert_eq!(
            canonical_license_id("GPL-2.0-or-later"),
            Some("GPL-2.0-or-later")
        );
        assert_eq!(canonical_license_id("unfree"), None);
        assert_eq!(canonical_license_id(""), None);
    }

    #[test]
    fn the_list_is_that_of_the_schema() {
        let mut ids = snowguard_testkit::schema::spdx_license_ids();
        ids.sort();
        assert_eq!(LICENSE_IDS.lines().collect::<Vec<_>>(), ids);
    }
}
