#![doc = include_str!("../README.md")]

pub mod cursor;
pub mod desktop;
pub mod document;
pub mod file;
pub mod journal;
pub mod mail;
pub mod notifier;
pub mod refused;
pub mod settings;
pub mod webhook;

use snowguard_watch::Message;

pub use cursor::CursorError;
pub use notifier::{Notifier, Wake};
pub use settings::{Kind, Resolved};

/// Who tells a message.
pub trait Deliver {
    /// Tells it, and returns when it is told. `again` says that it may have been told before, by a
    /// process that ended before it could note that.
    fn deliver(&mut self, message: &Message, again: bool) -> Result<(), DeliverError>;

    /// How many changes it can tell at once.
    fn most(&self) -> usize {
        2_000
    }
}

/// Whether a receiver refused a message, rather than could not be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// It did not: some time it may be told.
    #[default]
    No,
    /// It found something wrong with it, which may lie in the message, in the settings or on the way.
    Wrong,
    /// It takes shorter ones.
    TooLarge,
}

/// Why a message was not told.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DeliverError {
    /// What could not be done, to which thing.
    pub what: String,
    /// What to do.
    pub hint: Option<&'static str>,
    /// Whether its receiver said that it does not want it.
    pub refused: Refusal,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DeliverError {
    /// In words, without another cause.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            refused: Refusal::No,
            source: None,
        }
    }

    /// With its cause.
    pub fn of(
        what: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::new(what)
        }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}
