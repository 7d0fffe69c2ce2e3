//! Who makes a thing: whether the one who says that it is affected is its own project.
//!
//! An upstream's own word wins over a third party's where they contradict each other. The rule is
//! that the author of the statement (a CNA's short name, or the database part of an OSV id) is the
//! vendor or the product itself. The few whose names differ are listed below.

use crate::identity::{Named, Product, squeeze};

/// Whether `author` makes one of `products`.
pub(crate) fn is_upstream(author: &str, products: &[Product]) -> bool {
    let author = squeeze(author);
    !author.is_empty() && products.iter().any(|product| makes(&author, product))
}

fn makes(author: &str, product: &Product) -> bool {
    match product {
        Product::Named(named) => makes_named(author, named),
        Product::Repository(repo) => {
            repo.owner().is_some_and(|owner| squeeze(owner) == author)
                || listed(author, repo.as_str())
        }
        Product::Package(package) => listed(author, package.as_str()),
    }
}

fn makes_named(author: &str, named: &Named) -> bool {
    // Software made for another product is seldom made by that product's makers.
    if named.target_software.is_some() {
        return false;
    }
    let vendor = named
        .vendor
        .as_ref()
        .map(|vendor| organisation(&vendor.squeezed()).to_owned());
    match &vendor {
        Some(vendor) if vendor == author => true,
        Some(vendor) => listed(author, vendor),
        None => named.name.squeezed() == author || listed(author, named.name.as_str()),
    }
}

/// A vendor's name, squeezed to letters and digits, without the words that organisations add to
/// theirs.
pub fn organisation(vendor: &str) -> &str {
    const WORDS: [&str; 18] = [
        "softwarefoundation",
        "foundation",
        "softwareinc",
        "software",
        "incorporated",
        "corporation",
        "corp",
        "inc",
        "limited",
        "ltd",
        "llc",
        "gmbh",
        "project",
        "developers",
        "development",
        "team",
        "community",
        "group",
    ];
    for word in WORDS {
        if let Some(rest) = vendor.strip_suffix(word).filter(|rest| rest.len() > 1) {
            return rest;
        }
    }
    vendor
}

/// Authors whose short name is neither the vendor nor the product.
fn listed(author: &str, subject: &str) -> bool {
    const LISTED: [(&str, &[&str]); 10] = [
        (
            "mfsa",
            &[
                "mozilla",
                "firefox",
                "firefox-esr",
                "thunderbird",
                "nss",
                "seamonkey",
            ],
        ),
        (
            "psf",
            &["python", "pythonsoftware", "github.com/python/cpython"],
        ),
        (
            "go",
            &[
                "gostandardlibrary",
                "gotoolchain",
                "golang",
                "golang/stdlib",
                "golang/toolchain",
            ],
        ),
        ("kernelorg", &["linux", "linux-kernel"]),
        ("haxx", &["curl"]),
        ("f5", &["nginx"]),
        ("isc", &["internetsystemsconsortium"]),
        ("php", &["phpgroup"]),
        ("postgresql", &["postgresqlglobal"]),
        ("openbsd", &["openssh"]),
    ];
    LISTED
        .iter()
        .any(|(name, subjects)| *name == author && subjects.contains(&subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{PackageKey, RepoKey};

    #[test]
    fn upstreams_are_told_from_third_parties() {
        let named = |vendor, product| Product::from_vendor_product(vendor, product).unwrap();
        for (author, product, expected) in [
            ("openssl", named(Some("OpenSSL"), "OpenSSL"), true),
            (
                "apache",
                named(Some("Apache Software Foundation"), "Apache Tomcat"),
                true,
            ),
            ("CURL", named(None, "curl"), true),
            ("MFSA", named(None, "Firefox ESR"), true),
            ("Linux", named(Some("Linux"), "Linux"), true),
            (
                "PSF",
                Product::Repository(
                    RepoKey::from_url("https://github.com/python/cpython").unwrap(),
                ),
                true,
            ),
            ("redhat", named(None, "glibc"), false),
            ("GitHub_M", named(Some("grafana"), "grafana"), false),
            (
                "RUSTSEC",
                Product::Package(PackageKey::new("cargo", "openssl").unwrap()),
                false,
            ),
            (
                "BIT",
                Product::Package(PackageKey::new("bitnami", "nginx").unwrap()),
                false,
            ),
        ] {
            assert_eq!(
                is_upstream(author, std::slice::from_ref(&product)),
                expected,
                "{author} on {product}"
            );
        }
    }
}
