//! Where feeds are, and which are wanted.

use snowguard_http::{Address, AddressError};

use super::{ECOSYSTEMS, Feed};

/// Which feeds are fetched, and from where.
#[derive(Clone, Debug, Default)]
pub struct FeedSettings {
    /// A folder with all feeds, each in a folder of its name, in place of their own addresses.
    pub mirror: Option<Address>,
    /// Feeds that are not wanted.
    pub off: Vec<Feed>,
    /// Folders of single feeds, before the mirror.
    pub places: Vec<(Feed, Address)>,
    /// What of OSV.
    pub osv: OsvSettings,
    /// A token for GitHub's list of releases: more requests an hour.
    pub github_token: Option<String>,
    /// Takes a whole edition even if most of the records are gone from it.
    pub accept_smaller: bool,
}

/// What of OSV.
#[derive(Clone, Debug)]
pub struct OsvSettings {
    /// Which ecosystems, by OSV's names. A record about several belongs to the first of these.
    pub ecosystems: Vec<String>,
    /// Which of the records about malicious packages.
    pub malicious: Malicious,
}

/// Which records about malicious packages (`MAL-…`) are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Malicious {
    /// Those that name single releases of a package: others of it are good, so somebody may have it.
    #[default]
    Releases,
    /// All, also those of packages of which every release was bad.
    All,
    /// None.
    None,
}

impl Default for OsvSettings {
    fn default() -> Self {
        Self {
            ecosystems: ECOSYSTEMS.iter().map(|name| (*name).to_owned()).collect(),
            malicious: Malicious::default(),
        }
    }
}

/// The folder of a feed, and whether it is a mirror of ours or the feed's own place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub folder: Address,
    /// Whether somebody named it.
    pub named: bool,
}

impl FeedSettings {
    /// Which feeds are fetched: those asked for, else all that are not switched off.
    pub fn wanted(&self, only: &[Feed]) -> Vec<Feed> {
        let asked = |feed: &Feed| {
            if only.is_empty() {
                !self.off.contains(feed)
            } else {
                only.contains(feed)
            }
        };
        Feed::ALL.into_iter().filter(asked).collect()
    }

    /// Where a feed is.
    pub fn place(&self, feed: Feed) -> Result<Place, AddressError> {
        let own = self.places.iter().find(|(known, _)| *known == feed);
        let named = own.map(|(_, folder)| folder.clone()).or_else(|| {
            let mirror = self.mirror.as_ref()?;
            Some(mirror.below(&[feed.as_str()]))
        });
        match named {
            Some(folder) => Ok(Place {
                folder,
                named: true,
            }),
            None => Ok(Place {
                folder: own_place(feed).parse()?,
                named: false,
            }),
        }
    }
}

/// Where a feed is published.
fn own_place(feed: Feed) -> &'static str {
    match feed {
        Feed::Kev => "https://www.cisa.gov/sites/default/files/feeds",
        Feed::Epss => "https://epss.empiricalsecurity.com",
        Feed::Cve => "https://api.github.com/repos/CVEProject/cvelistV5",
        Feed::Nvd => "https://nvd.nist.gov/feeds/json/cve/2.0",
        Feed::Osv => "https://osv-vulnerabilities.storage.googleapis.com",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_places_are_https_and_mirrors_have_folders() {
        let mut settings = FeedSettings::default();
        for feed in Feed::ALL {
            let place = settings.place(feed).unwrap();
            assert!(place.folder.is_secure() && !place.named, "{feed}");
            assert_eq!(feed.as_str().parse(), Ok(feed));
        }
        settings.mirror = Some("http://mirror.example/feeds/".parse().unwrap());
        settings.places = vec![(Feed::Kev, "file:///srv/kev".parse().unwrap())];
        let shown = |feed| settings.place(feed).unwrap().folder.to_string();
        assert_eq!(shown(Feed::Osv), "http://mirror.example/feeds/osv");
        assert_eq!(shown(Feed::Kev), "file:///srv/kev");
    }

    #[test]
    fn what_is_asked_for_goes_before_what_is_off() {
        let settings = FeedSettings {
            off: vec![Feed::Nvd],
            ..FeedSettings::default()
        };
        assert!(!settings.wanted(&[]).contains(&Feed::Nvd));
        assert_eq!(settings.wanted(&[Feed::Nvd]), [Feed::Nvd]);
    }
}
