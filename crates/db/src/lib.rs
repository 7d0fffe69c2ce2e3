#![doc = include_str!("../README.md")]

pub mod advisories;
pub mod backup;
mod engine;
mod error;
pub mod evaluations;
pub mod findings;
pub mod fsck;
pub mod issues;
pub mod jobs;
pub mod meta;
mod packed;
pub mod people;
pub mod refetch;
mod schema;
pub mod search;
mod stored;
pub mod subscriptions;

pub use self::engine::{
    Bulk, Database, Dialect, FromValue, Kind, Location, Observed, Row, Rows, Scan, Seen, Session,
    Settings, Value, Verb,
};
pub use self::error::{DbError, Trouble};
pub use self::schema::VERSION as SCHEMA_VERSION;
