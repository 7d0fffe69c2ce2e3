//! `tracker`: what goes into the tracker's database by hand, and how it is kept.

mod keep;
mod take;

use std::io::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::findings::{Findings as _, mark_all_stale, mark_stale};
use snowguard_db::jobs::{JobState, Jobs as _};
use snowguard_tracker::decide::{ActError, Actor, follow_channel};
use snowguard_tracker::ingest::{Source, check_name};
use snowguard_triage::Role;

use crate::cli::{AddChannel, OneChannel, Rematch, Tracker, TrackerCommand};
use crate::environment::say;
use crate::failure::Failure;
use crate::plan;
use crate::settings::Settings;

/// Runs one command. Only `fsck` has another status than success.
pub(crate) fn run(args: &Tracker) -> Result<ExitCode, Failure> {
    let settings = Settings::load(args.place.config.as_deref())?;
    let location = plan::database(&args.place, &settings)?;
    if let TrackerCommand::Restore(restore) = &args.command {
        keep::restore(&location, restore)?;
        return Ok(ExitCode::SUCCESS);
    }
    let database = Database::open(&location)?;
    match &args.command {
        TrackerCommand::Channels => channels(&database)?,
        TrackerCommand::AddChannel(args) => add_channel(&database, args)?,
        TrackerCommand::DropChannel(args) => follow(&database, args, false)?,
        TrackerCommand::FollowChannel(args) => follow(&database, args, true)?,
        TrackerCommand::Rematch(args) => rematch(&database, args)?,
        TrackerCommand::Jobs => jobs(&database)?,
        TrackerCommand::Ingest(args) => take::ingest(&database, args)?,
        TrackerCommand::Advisories(args) => take::advisories(&database, args)?,
        TrackerCommand::Backup(args) => keep::backup(&database, args)?,
        TrackerCommand::Fsck(args) => return keep::fsck(&database, args),
        TrackerCommand::Restore(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// One line each: name, whether it is followed, its head, its source.
fn channels(database: &Database) -> Result<(), Failure> {
    let lines = database.read(|session| {
        let mut lines = Vec::new();
        for channel in session.channels()? {
            let head = match channel.head {
                Some(head) => session.evaluation(head)?,
                None => None,
            };
            let state = if channel.is_followed {
                "followed"
            } else {
                "ended"
            };
            let head = head.map_or_else(
                || "no package set yet".to_owned(),
                |head| format!("{} of {}", head.revision, head.evaluated_at),
            );
            let source = channel.source.unwrap_or_else(|| "by hand".to_owned());
            lines.push([channel.name, state.to_owned(), head, source]);
        }
        Ok(lines)
    })?;
    for line in lines {
        print(&line.each_ref().map(String::as_str))?;
    }
    Ok(())
}

fn add_channel(database: &Database, args: &AddChannel) -> Result<(), Failure> {
    check_name(&args.name).map_err(take::ingest_failed)?;
    if let Some(source) = &args.source {
        Source::parse(source).map_err(take::ingest_failed)?;
    }
    let is_there = database
        .read(|session| session.channel(&args.name))?
        .is_some();
    if is_there {
        return Err(
            Failure::message(format!("there is a channel {} already", args.name))
                .hint("`snowguardd tracker channels` lists them"),
        );
    }
    database.write(|session| session.add_channel(&args.name, args.source.as_deref()))?;
    say(&format!("added {}", args.name));
    Ok(())
}

/// Whoever may run this may do anything.
const OPERATOR: Actor = Actor {
    account: None,
    role: Role::Admin,
    maintainer: None,
};

fn follow(database: &Database, args: &OneChannel, is_followed: bool) -> Result<(), Failure> {
    let now = Timestamp::now();
    follow_channel(
        database,
        OPERATOR,
        &args.name,
        is_followed,
        &args.reason,
        now,
    )
    .map_err(|error| {
        let hint = match error {
            ActError::Missing { .. } => Some("`snowguardd tracker channels` lists them"),
            _ => error.hint(),
        };
        Failure::new(error).maybe_hint(hint)
    })?;
    say(&format!(
        "{} is {}; the worker brings findings in step",
        args.name,
        if is_followed {
            "taken in again"
        } else {
            "left out"
        }
    ));
    Ok(())
}

fn rematch(database: &Database, args: &Rematch) -> Result<(), Failure> {
    let now = Timestamp::now();
    if args.packages.is_empty() {
        database.write(|session| mark_all_stale(session, now))?;
        say("the worker matches everything again");
        return Ok(());
    }
    let mut ids = Vec::new();
    for key in &args.packages {
        let id = database.read(|session| session.package_numbered_by(key))?;
        ids.push(id.ok_or_else(|| {
            Failure::message(format!("there is no package {key}"))
                .hint("a package is called as its page is: openssl, python:requests")
        })?);
    }
    database.write(|session| mark_stale(session, &ids, now))?;
    say(&format!("the worker matches {} packages again", ids.len()));
    Ok(())
}

/// One line each: number, kind, key, state, when it is due, how often it was tried, how far it is or what went
/// wrong.
fn jobs(database: &Database) -> Result<(), Failure> {
    let jobs = database.read(|session| session.unfinished_jobs(100))?;
    for job in jobs {
        let state = match job.state {
            JobState::Queued => "waiting",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
        };
        print(&[
            &job.id.to_string(),
            &job.kind,
            &job.key,
            state,
            &job.due.to_string(),
            &job.attempts.to_string(),
            job.progress.or(job.error).as_deref().unwrap_or(""),
        ])?;
    }
    Ok(())
}

/// A line of data: columns with tabs between.
fn print(columns: &[&str]) -> Result<(), Failure> {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| snowguard_report::escape::line(column))
        .collect();
    writeln!(std::io::stdout().lock(), "{}", columns.join("\t")).map_err(Failure::new)
}
