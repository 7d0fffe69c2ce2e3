//! The reviewed file of exceptions: read for the proxy, and checked for whoever writes it.

use camino::Utf8Path;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use snowguard_fod::policy::{Exceptions, day_of};
use snowguard_report::escape;
use snowguard_report::text::number;

use super::{MOST_LIST, print};
use crate::cli::FodPolicy;
use crate::environment::say;
use crate::failure::Failure;

/// The file if nobody says which.
pub(super) const USUAL: &str = "/etc/snowguard/fod-policy.toml";
/// An exception that ends within so many days is told, so that it is looked at while it holds.
const SOON: i32 = 30;

/// Says of each file whether the proxy would take it.
pub(crate) fn check(args: &FodPolicy) -> Result<(), Failure> {
    let today = day_of(Timestamp::now());
    let mut failed: Option<Failure> = None;
    for file in &args.files {
        match read(file) {
            Ok(exceptions) => {
                let name = escape::line(file.as_str());
                print(&format!("{name}: {}", summary(&exceptions, today)))?;
                remark(&exceptions, today);
                for ending in exceptions.ending(today, soon(today)) {
                    say(&format!(
                        "note: an exception ends on {}: {}",
                        ending.expires, ending.reason
                    ));
                }
            }
            // One that is wrong does not keep the next from being looked at.
            Err(failure) => {
                if let Some(before) = failed.replace(failure) {
                    before.report();
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Reads a file as the proxy takes it.
pub(super) fn read(file: &Utf8Path) -> Result<Exceptions, Failure> {
    let text = super::read(file, MOST_LIST)
        .map_err(|source| Failure::new(source).context(format!("cannot read {file}")))?;
    Exceptions::parse(&text)
        .map_err(|error| Failure::new(error).context(format!("cannot use {file}")))
        .map_err(|failure| failure.hint("the book's page on the proxy says what it may hold"))
}

/// Says what holds no more, and what holds for more than its writer may know.
pub(super) fn remark(exceptions: &Exceptions, today: Date) {
    for expired in exceptions.expired(today) {
        say(&format!(
            "note: an exception ended on {}: {}",
            expired.expires, expired.reason
        ));
    }
    for broad in exceptions.broad(today) {
        say(&format!(
            "warning: an exception holds for whatever is called `source`, as most sources are: {}",
            broad.reason
        ));
        say("hint: name its `output`");
    }
}

/// `12 exceptions; 1 has ended, 2 end within 30 days`.
fn summary(exceptions: &Exceptions, today: Date) -> String {
    let all = exceptions.all().len();
    let ended = exceptions.expired(today).len();
    let ending = exceptions.ending(today, soon(today)).len();
    let mut text = counted(all, "exception", "exceptions");
    let mut more = Vec::new();
    if ended > 0 {
        more.push(counted(ended, "has ended", "have ended"));
    }
    if ending > 0 {
        let end = counted(ending, "ends", "end");
        more.push(format!("{end} within {SOON} days"));
    }
    if !more.is_empty() {
        text = format!("{text}; {}", more.join(", "));
    }
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

fn soon(today: Date) -> Date {
    today.saturating_add(SOON.days())
}
