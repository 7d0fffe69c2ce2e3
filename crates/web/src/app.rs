//! What all requests share: the database, the settings, and what is counted.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_db::people::People as _;
use snowguard_tracker::foresee::Foresight;
use snowguard_tracker::publish::Site;
use tokio::sync::Semaphore;

use crate::limits::Limiter;
use crate::metrics::Metrics;
use crate::random::{self, NoRandom};
use crate::respond::Made;
use crate::settings::{Login, Settings};

/// A server's state. Make one, and give it to [`serve`](crate::serve).
#[derive(Debug)]
pub struct App {
    settings: Settings,
    database: Database,
    listens_at: SocketAddr,
    gate: Arc<Semaphore>,
    metrics: Metrics,
    rates: Rates,
    instance: String,
    counter: AtomicU64,
    /// The digest of the token with which the one person logs in, until it is used.
    way_in: Mutex<Option<[u8; 32]>>,
    stopping: AtomicBool,
    /// Logins of the settings, with the numbers to which they are bound.
    bound: Mutex<Vec<(String, i64)>>,
    /// What rules would change, where there is an index.
    foresight: OnceLock<Foresight>,
    /// Documents that were made.
    documents: Mutex<Vec<Made>>,
    clock: fn() -> Timestamp,
}

/// Who has asked how often.
#[derive(Debug)]
pub(crate) struct Rates {
    pub(crate) reading: Limiter<IpAddr>,
    pub(crate) writing: Limiter<IpAddr>,
    pub(crate) login: Limiter<IpAddr>,
    /// What an account decides, from whatever address.
    pub(crate) deciding: Limiter<i64>,
}

impl App {
    /// A server over a database that listens at an address. Where one person uses it, the address with
    /// the token by which they log in comes with it.
    pub fn new(
        settings: Settings,
        database: Database,
        listens_at: SocketAddr,
    ) -> Result<(Arc<Self>, Option<String>), NoRandom> {
        let (digest, address) = match settings.login {
            Login::GitHub(_) => (None, None),
            Login::Local => {
                let token = random::secret()?;
                let base = settings.url.as_ref().map_or_else(
                    || format!("http://{listens_at}"),
                    |url| url.as_str().trim_end_matches('/').to_owned(),
                );
                let address = format!("{base}/login/local?token={token}");
                (Some(random::digest(&token)), Some(address))
            }
        };
        let limits = settings.limits;
        let app = Self {
            gate: Arc::new(Semaphore::new(limits.workers)),
            metrics: Metrics::default(),
            rates: Rates {
                reading: Limiter::new(limits.reading),
                writing: Limiter::new(limits.writing),
                login: Limiter::new(limits.login),
                deciding: Limiter::new(limits.writing),
            },
            instance: random::short()?,
            counter: AtomicU64::new(1),
            way_in: Mutex::new(digest),
            stopping: AtomicBool::new(false),
            bound: Mutex::default(),
            foresight: OnceLock::new(),
            documents: Mutex::default(),
            clock: Timestamp::now,
            settings,
            database,
            listens_at,
        };
        Ok((Arc::new(app), address))
    }

    /// The number at GitHub to which a login of the settings is bound, once somebody came by it.
    pub(crate) fn bound(&self, login: &str) -> Option<i64> {
        let lock = || self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, number)) = lock().iter().find(|(known, _)| known == login) {
            return Some(*number);
        }
        // What cannot be read gives nobody a role.
        let found = self.database.read(|session| session.bound_login(login));
        let number = found.ok().flatten()?;
        lock().push((login.to_owned(), number));
        Some(number)
    }

    /// Lets pages say what a rule would change, by an index. The first one that is given stays.
    pub fn foresee(&self, foresight: Foresight) {
        let _ = self.foresight.set(foresight);
    }

    /// What rules would change, if there is an index by now.
    pub(crate) fn foresight(&self) -> Option<&Foresight> {
        self.foresight
            .get()
            .filter(|foresight| foresight.is_there())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn answers_to(&self, host: &str) -> bool {
        self.settings.answers_to(host, self.listens_at)
    }

    /// The server as people address it, without a slash at its end, for where GitHub leads them back.
    pub(crate) fn base(&self) -> String {
        match &self.settings.url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listens_at),
        }
    }

    /// Where the tracker is, and in whose name it speaks.
    pub(crate) fn site(&self) -> Site {
        let publishing = &self.settings.publishing;
        Site {
            url: self.base(),
            author: publishing
                .author
                .clone()
                .unwrap_or_else(|| self.settings.site.clone()),
            ecosystem: publishing.ecosystem.clone(),
        }
    }

    pub(crate) fn gate(&self) -> Arc<Semaphore> {
        Arc::clone(&self.gate)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.rates
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn counter(&self) -> &AtomicU64 {
        &self.counter
    }

    pub(crate) fn way_in(&self) -> &Mutex<Option<[u8; 32]>> {
        &self.way_in
    }

    pub(crate) fn documents(&self) -> &Mutex<Vec<Made>> {
        &self.documents
    }

    pub(crate) fn stopping(&self) -> &AtomicBool {
        &self.stopping
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What operators count, as Prometheus reads it.
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }
}
