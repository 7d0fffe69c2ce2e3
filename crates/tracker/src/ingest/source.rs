//! Where the package sets of a channel come from.

use std::fmt;

use camino::Utf8PathBuf;
use snowguard_http::Address;

use super::IngestError;

/// Where the package sets of a channel come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder of a release: `git-revision` and `packages.json.br` are in it.
    Release(Address),
    /// A checkout, which is evaluated.
    Checkout(Utf8PathBuf),
}

impl Source {
    /// An address is a folder of a release, and an absolute path a checkout.
    pub fn parse(text: &str) -> Result<Self, IngestError> {
        let text = text.trim();
        if text.starts_with('/') {
            return Ok(Self::Checkout(text.into()));
        }
        let address = text.parse().map_err(|source| IngestError::Source {
            source_text: text.to_owned(),
            source,
        })?;
        Ok(Self::Release(address))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(address) => address.fmt(f),
            Self::Checkout(path) => f.write_str(path.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths() {
        for text in [
            "https://channels.nixos.org/nixos-unstable",
            "file:///srv/mirror/nixos-unstable",
            "/srv/nixpkgs",
        ] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "nixos-unstable", "ftp://x/y", "./nixpkgs"] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }
}
