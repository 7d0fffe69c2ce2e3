//! Looks at a channel.

use snowguard_db::evaluations::Shrinking;
use snowguard_sources::Options;

use super::beat::Beat;
use super::{Done, Lane, WorkError};
use crate::ingest::{self, IngestError, Outcome, Polled, Poller, Step, refusal};

/// Takes a new package set in, if there is one. What it changed is noted for matching with it.
pub(super) fn look(lane: &Lane<'_>, key: &str, beat: &Beat<'_>) -> Result<Done, WorkError> {
    let (worker, now) = (lane.worker, lane.worker.now());
    let channel = match ingest::followed(worker.db, key) {
        Ok(channel) => channel,
        Err(IngestError::NoChannel { .. } | IngestError::Ended { .. }) => {
            return Ok(Done::nothing(format!("{key} is not followed any more")));
        }
        Err(error) => return Err(error.into()),
    };
    super::keep::make_directory(&worker.plan.spool)?;
    let poller = Poller {
        db: worker.db,
        client: &lane.client,
        options: &Options::default(),
        spool: &worker.plan.spool,
        shrinking: Shrinking::Refused,
        evaluator: worker.plan.evaluator.as_ref(),
    };
    let polled = poller.poll(&channel, now, &mut |step| beat.say(told(step)))?;
    if let Some(why) = refusal(&polled) {
        // It is noted with the channel, and asked for again the next time.
        return Ok(Done::news(format!("{key} stays: {why}")));
    }
    Ok(match polled {
        Polled::Fetched(Outcome::Taken(taken)) => Done::news(format!(
            "{key} has a new package set: {} added, {} removed, {} of another version, {} built anew",
            taken.added, taken.removed, taken.changed, taken.rebuilt
        )),
        _ => Done::nothing(format!("{key} is as it was")),
    })
}

fn told(step: Step<'_>) -> String {
    match step {
        Step::Fetching { here, of: Some(of) } => format!("fetching: {here} of {of} bytes"),
        Step::Fetching { here, of: None } => format!("fetching: {here} bytes"),
        Step::Again { error } => format!("fetching again: {error}"),
        Step::Evaluating { printed } => format!("evaluating: {printed} bytes"),
        Step::Reading => "reading".to_owned(),
        Step::Storing { attributes, .. } => format!("storing {attributes} attributes"),
    }
}
