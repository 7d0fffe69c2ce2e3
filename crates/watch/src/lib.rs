#![doc = include_str!("../README.md")]

pub mod change;
pub mod duration;
pub mod history;
pub mod key;
pub mod message;
pub mod metrics;
pub mod observation;
pub mod policy;
pub mod ready;
pub mod results;
pub mod scanner;
pub mod service;
pub mod settings;
mod settle;
pub mod trigger;

pub use change::{Cause, Change, Kind, Severity, State};
pub use history::{History, HistoryError, Reading};
pub use key::Key;
pub use message::Message;
pub use observation::Observation;
pub use settings::{Settings, SettingsError};
