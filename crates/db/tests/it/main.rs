//! What holds on both engines, and what each engine must do.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write scratch files, and fail where they cannot go on"
)]

mod backup;
mod durability;
mod engine;
mod evaluations;
mod filled;
mod fsck;
mod issues;
mod jobs;
mod migration;
mod people;
mod refetch;
mod refusals;
mod schema;
mod search;
mod stale;
mod subscriptions;
mod tls;
