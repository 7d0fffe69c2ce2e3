//! A host by its name, or all hosts below one.

use std::fmt;
use std::net::IpAddr;

/// `x.org`, or `*.x.org` for every host below it. An address stands for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    /// In lower case; without `*.`.
    name: Box<str>,
    below: bool,
}

impl HostPattern {
    /// Reads a pattern. None if it is no name: `*` alone and `*.org` would allow what nobody reviewed.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(rest) => {
                let name = name_of(rest)?;
                let is_address = name.parse::<IpAddr>().is_ok();
                (name.contains('.') && !is_address).then_some(Self { name, below: true })
            }
            None => Self::exactly(text),
        }
    }

    /// One host, whatever stands in its name.
    pub fn exactly(text: &str) -> Option<Self> {
        Some(Self {
            name: name_of(text)?,
            below: false,
        })
    }

    /// Whether a host is meant, by its name in lower case.
    pub fn fits(&self, host: &str) -> bool {
        if !self.below {
            return *self.name == *host;
        }
        host.strip_suffix(&*self.name)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.name)
    }
}

/// A name of ASCII letters, digits, dots and dashes, or an address; in lower case, without the dot at its end.
fn name_of(text: &str) -> Option<Box<str>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let is_address = text.parse::<IpAddr>().is_ok();
    let is_name = || {
        text.len() <= 253
            && text.split('.').all(|label| {
                let goes = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                matches!(label.len(), 1..=63) && label.bytes().all(goes)
            })
    };
    (is_address || is_name()).then(|| text.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_one_host_or_all_below() {
        let fits = |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().fits(host);
        assert!(fits("X.org.", "x.org"));
        assert!(!fits("x.org", "a.x.org"));
        assert!(fits("*.x.org", "a.b.x.org"));
        for host in ["x.org", ".x.org", "ax.org", "x.org.evil"] {
            assert!(!fits("*.x.org", host), "{host}");
        }
        assert!(fits("[::1]", "::1"));
        for wrong in [
            "",
            "*",
            "*.org",
            "*.10.0.0.1",
            "a b",
            "a..b",
            "a/b",
            "ä.org",
            "x*.org",
        ] {
            assert_eq!(HostPattern::parse(wrong), None, "{wrong}");
        }
    }
}
