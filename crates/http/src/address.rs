//! Addresses: what may be fetched from, and how it is shown.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use url::{Host, Url};

/// An absolute address of scheme `https`, `http` or `file`.
///
/// It is shown without user name, password, query and fragment: any of these may be a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Url);

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no absolute URL.
    #[error("it is not an absolute address like https://host/path")]
    NotAbsolute,
    /// Its scheme is not spoken.
    #[error("its scheme is `{0}`; it may be https, http or file")]
    Scheme(String),
    /// It names no host.
    #[error("it names no host")]
    NoHost,
    /// A file address that is no path of this machine.
    #[error("it names no absolute path of this machine")]
    NoPath,
}

impl Address {
    /// The host with its port if that is unusual; `this machine` for files.
    pub fn host(&self) -> String {
        match (self.0.host_str(), self.0.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => "this machine".to_owned(),
        }
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is certain to lead nowhere but to this machine.
    pub fn is_this_machine(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(number)) => number.is_loopback(),
            Some(Host::Ipv6(number)) => number.is_loopback(),
            None => true,
        }
    }

    /// The path of a `file` address.
    pub fn path(&self) -> Option<Utf8PathBuf> {
        let path = (self.0.scheme() == "file").then(|| self.0.to_file_path().ok())??;
        Utf8PathBuf::from_path_buf(path).ok()
    }

    /// What a link in the document at this address leads to.
    ///
    /// A link of its own scheme is taken as it is; whether that may be followed is not decided here.
    pub fn join(&self, link: &str) -> Result<Self, AddressError> {
        Self::new(self.0.join(link).map_err(|_| AddressError::NotAbsolute)?)
    }

    /// The address of something in the folder that this names, whether or not it ends with `/`.
    ///
    /// Each name becomes one segment, with `_` for slashes: nothing in it leads out of the folder.
    #[must_use]
    pub fn below(&self, names: &[&str]) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // In the address of a file, an escaped slash would be a slash.
            let plain = names.iter().map(|name| name.replace(['/', '\0'], "_"));
            segments.pop_if_empty().extend(plain);
        }
        Self(url)
    }

    /// The address as it is asked for, with all that it holds.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    fn new(url: Url) -> Result<Self, AddressError> {
        match url.scheme() {
            "file" => match url.to_file_path().map(Utf8PathBuf::from_path_buf) {
                Ok(Ok(_)) => Ok(Self(url)),
                _ => Err(AddressError::NoPath),
            },
            "http" | "https" if url.host().is_none() => Err(AddressError::NoHost),
            "http" | "https" => Ok(Self(url)),
            other => Err(AddressError::Scheme(other.to_owned())),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::new(Url::parse(text.trim()).map_err(|_| AddressError::NotAbsolute)?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// A URL without what may be secret.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail where there is nothing to take away.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = address("https://user:hunter2@mirror.example:8443/a/b?token=hunter2#hunter2");
        assert_eq!(secret.to_string(), "https://mirror.example:8443/a/b");
        assert_eq!(
            format!("{secret:?}"),
            "Address(https://mirror.example:8443/a/b)"
        );
        assert_eq!(secret.host(), "mirror.example:8443");
    }

    #[test]
    fn this_machine_is_told_by_names_that_mean_it() {
        for here in [
            "http://localhost:80/",
            "http://127.0.0.1:8080/x",
            "http://[::1]:1/",
            "https://[::1]/",
            "file:///etc/x",
        ] {
            assert!(address(here).is_this_machine(), "{here}");
        }
        for elsewhere in [
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "http://0.0.0.0/",
            "http://10.0.0.1/",
            "http://[::]/",
            "http://user:127.0.0.1@hooks.example/",
        ] {
            assert!(!address(elsewhere).is_this_machine(), "{elsewhere}");
        }
    }

    #[test]
    fn only_three_schemes() {
        for (text, error) in [
            ("mirror.example/x", AddressError::NotAbsolute),
            ("ftp://mirror.example", AddressError::Scheme("ftp".into())),
            ("file://elsewhere/x", AddressError::NoPath),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
        assert_eq!(address("file:///srv/mirror").path().unwrap(), "/srv/mirror");
        assert_eq!(address("https://x/y").path(), None);
    }

    #[test]
    fn names_stay_in_their_folder() {
        for base in ["https://x/mirror", "https://x/mirror/"] {
            let below = address(base).below(&["crates.io", "../all.zip"]);
            assert_eq!(below.to_string(), "https://x/mirror/crates.io/.._all.zip");
        }
    }
}
