//! Backups, their restoring, and checks.

use std::process::ExitCode;

use jiff::Timestamp;
use snowguard_db::backup::{Done, restore as restore_backup};
use snowguard_db::findings::mark_all_stale;
use snowguard_db::{Database, Location, fsck as checks};

use super::print;
use crate::cli::{Backup, Fsck, Restore};
use crate::environment::say;
use crate::failure::Failure;

pub(super) fn backup(database: &Database, args: &Backup) -> Result<(), Failure> {
    let done = database.backup(args.to.as_std_path())?;
    told(&format!("wrote {}", args.to), &done);
    Ok(())
}

pub(super) fn restore(database: &str, args: &Restore) -> Result<(), Failure> {
    let into: Location = database.parse()?;
    let done = restore_backup(args.from.as_std_path(), &into)?;
    told(&format!("restored {} into {into}", args.from), &done);
    Ok(())
}

/// What does not hold, on stdout, a line each; status 1 if there is anything.
pub(super) fn fsck(database: &Database, args: &Fsck) -> Result<ExitCode, Failure> {
    if args.repair {
        database.write(|session| {
            checks::recompute(session)?;
            mark_all_stale(session, Timestamp::now())
        })?;
        say("computed the queue and the counts of lists anew; the worker matches everything again");
    }
    let problems = database.read(|session| checks::run(session))?;
    for problem in &problems {
        print(&[&problem.to_string()])?;
        say(&format!("hint: {}", problem.remedy));
    }
    if problems.is_empty() {
        say(&format!("{database} is sound"));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

fn told(what: &str, done: &Done) {
    say(&format!(
        "{what}: {} bytes, schema {}",
        done.bytes, done.schema
    ));
    for problem in &done.problems {
        say(&format!("warning: {problem}"));
        say(&format!("hint: {}", problem.remedy));
    }
}
