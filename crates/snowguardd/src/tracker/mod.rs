//! `tracker`: what goes into the tracker's database by hand, and how it is kept.

mod keep;
mod take;

use std::io::Write as _;
use std::process::ExitCode;

use snowguard_db::Database;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_tracker::ingest::{Source, check_name};

use crate::cli::{AddChannel, Tracker, TrackerCommand};
use crate::environment::say;
use crate::failure::Failure;

/// Runs one command. Only `fsck` has another status than success.
pub(crate) fn run(args: &Tracker) -> Result<ExitCode, Failure> {
    if let TrackerCommand::Restore(restore) = &args.command {
        keep::restore(&args.database, restore)?;
        return Ok(ExitCode::SUCCESS);
    }
    let database = Database::open(&args.database)?;
    match &args.command {
        TrackerCommand::Channels => channels(&database)?,
        TrackerCommand::AddChannel(args) => add_channel(&database, args)?,
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

/// A line of data: columns with tabs between.
fn print(columns: &[&str]) -> Result<(), Failure> {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| snowguard_report::escape::line(column))
        .collect();
    writeln!(std::io::stdout().lock(), "{}", columns.join("\t")).map_err(Failure::new)
}
