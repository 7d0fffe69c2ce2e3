//! The services as systemd starts them: real processes, with a scanner that is a script.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write the files that the program reads, start it, and fail where they cannot go on"
)]

mod day;
mod decisions;
mod feeds;
mod fod;
mod fod_build;
mod fod_confined;
mod fod_gate;
mod fod_policy;
mod kill;
mod notify;
mod pages;
mod push;
mod serve;
mod support;
mod tracker;
mod units;
mod watch;
mod work;
