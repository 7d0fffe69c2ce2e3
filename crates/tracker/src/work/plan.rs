//! What a worker does, and how often.

use camino::Utf8PathBuf;
use jiff::SignedDuration;
use snowguard_feeds::FeedSettings;
use snowguard_http::Address;
use snowguard_send::mail::{MailAddress, Sendmail};
use zeroize::Zeroizing;

use super::Kind;
use crate::ingest::Evaluator;
use crate::publish::Site;

/// What a worker does, and how often. What is not set is left to others.
#[derive(Clone)]
pub struct Plan {
    /// Where downloads are put meanwhile.
    pub spool: Utf8PathBuf,
    /// How often each channel that has a source is looked at.
    pub look: Option<SignedDuration>,
    /// What evaluates checkouts.
    pub evaluator: Option<Evaluator>,
    /// Advisories, and matching with them.
    pub advisories: Option<Advisories>,
    /// What is published.
    pub publish: Option<Publish>,
    /// Telling subscribers.
    pub tell: Option<Tell>,
    /// How the database is kept.
    pub keep: Option<Keep>,
}

/// Advisories, and matching with them.
#[derive(Clone, Debug)]
pub struct Advisories {
    /// The index file, with its record store beside it.
    pub file: Utf8PathBuf,
    /// The feeds that are fetched; none where something else brings the record store up to date.
    pub feeds: Option<FeedSettings>,
    /// How often they are fetched, or the store is looked at.
    pub every: SignedDuration,
}

/// What is published.
#[derive(Clone)]
pub struct Publish {
    /// Where the tracker is, and in whose name it speaks.
    pub site: Site,
    /// The forge that has issues.
    pub to: Option<To>,
    /// How often what is published is held against what is known.
    pub every: SignedDuration,
}

/// A repository in a forge.
#[derive(Clone)]
pub struct To {
    /// The forge's interface: `https://api.github.com`.
    pub api: Address,
    /// `OWNER/NAME`.
    pub repository: String,
    /// A token that may write issues there.
    pub token: Zeroizing<String>,
    /// What the issues are marked with.
    pub label: Option<String>,
}

/// Telling subscribers.
#[derive(Clone)]
pub struct Tell {
    /// Where the tracker is.
    pub site: Site,
    /// From whom letters come.
    pub from: Option<MailAddress>,
    /// What takes letters.
    pub sendmail: Option<Sendmail>,
    /// The name of this machine.
    pub host: String,
    /// How often it is looked for what is new.
    pub every: SignedDuration,
}

/// How the database is kept.
#[derive(Clone, Debug)]
pub struct Keep {
    /// For how long older evaluations can be computed; none for ever.
    pub evaluations: Option<SignedDuration>,
    /// Backups.
    pub backup: Option<Backup>,
}

/// Backups.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Where they go.
    pub directory: Utf8PathBuf,
    /// How often.
    pub every: SignedDuration,
    /// How many are kept.
    pub count: usize,
}

/// How often the database is tended.
const TEND: SignedDuration = SignedDuration::from_hours(24);

impl Plan {
    pub(super) fn does(&self, kind: Kind) -> bool {
        match kind {
            Kind::Rematch => self.advisories.is_some(),
            kind => self.every(kind).is_some(),
        }
    }

    /// How often something is done; none if never, or where something else says when.
    pub(super) fn every(&self, kind: Kind) -> Option<SignedDuration> {
        match kind {
            Kind::Look => self.look,
            Kind::Advisories => self.advisories.as_ref().map(|plan| plan.every),
            Kind::Rematch => None,
            Kind::Publish => self.publish.as_ref().map(|plan| plan.every),
            Kind::Tell => self.tell.as_ref().map(|plan| plan.every),
            Kind::Tend => self.keep.as_ref().map(|_| TEND),
            Kind::Backup => Some(self.keep.as_ref()?.backup.as_ref()?.every),
        }
    }
}
