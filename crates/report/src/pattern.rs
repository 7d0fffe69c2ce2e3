//! Which packages a person means: `openssl`, `*ssl`, `lib*`, `*python*`.

use crate::model::Package;

/// A name with `*` at its head, its tail or both; letters of either case are the same.
#[derive(Clone, Debug)]
pub struct Pattern {
    head: bool,
    text: String,
    tail: bool,
}

impl Pattern {
    /// From what was typed.
    pub fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        let (head, tail) = (text.starts_with('*'), text.ends_with('*'));
        Self {
            head,
            text: text.trim_matches('*').to_owned(),
            tail,
        }
    }

    /// Whether a name is meant.
    pub fn means(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        match (self.head, self.tail) {
            (true, true) => name.contains(&self.text),
            (true, false) => name.ends_with(&self.text),
            (false, true) => name.starts_with(&self.text),
            (false, false) => name == self.text,
        }
    }

    /// Whether a package is meant: by its name or an attribute.
    pub fn means_package(&self, package: &Package) -> bool {
        self.means(&package.name) || package.attributes.iter().any(|attr| self.means(attr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let means = |pattern: &str, name: &str| Pattern::new(pattern).means(name);
        assert!(means("openssl", "OpenSSL") && !means("openssl", "openssl-fips"));
        assert!(means("open*", "openssl") && !means("open*", "libopen"));
        assert!(means("*ssl", "openssl") && !means("*ssl", "ssl-tools"));
        assert!(means("*pens*", "openssl") && means("*", "anything"));
    }
}
