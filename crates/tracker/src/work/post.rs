//! What goes out: issues to the forge, news to subscribers.

use super::beat::Beat;
use super::{Done, Lane, WorkError};
use crate::publish::forge::Forge;
use crate::publish::sync::sync;
use crate::subscribe::{Sender, tell as tell_all};

pub(super) fn publish(lane: &Lane<'_>, beat: &Beat<'_>) -> Result<Done, WorkError> {
    let worker = lane.worker;
    let Some(plan) = &worker.plan.publish else {
        return Ok(Done::nothing("left to others"));
    };
    let forge = match &plan.to {
        Some(to) => Some(Forge::new(
            &lane.client,
            &to.api,
            &to.repository,
            &to.token,
            to.label.clone(),
        )?),
        None => None,
    };
    let mut seen = 0;
    // Nothing is opened twice: whoever lost the job must not go on.
    let mut go_on = || {
        seen += 1;
        beat.say(format!("issue {seen}"));
        forge.is_none() || beat.is_ours()
    };
    let done = sync(
        worker.db,
        &plan.site,
        forge.as_ref(),
        worker.now(),
        &mut go_on,
    )?;
    for (issue, error) in &done.failed {
        tracing::warn!(issue, error, "the forge did not take an issue");
    }
    Ok(Done {
        told: format!(
            "looked at {} issues: {} changed, {} brought to the forge, {} refused",
            done.issues,
            done.changed,
            done.brought,
            done.failed.len()
        ),
        is_news: done.changed + done.brought + done.failed.len() > 0,
    })
}

pub(super) fn tell(lane: &Lane<'_>, beat: &Beat<'_>) -> Result<Done, WorkError> {
    let worker = lane.worker;
    let Some(plan) = &worker.plan.tell else {
        return Ok(Done::nothing("left to others"));
    };
    let sender = Sender {
        site: &plan.site,
        from: plan.from.clone(),
        sendmail: plan.sendmail.clone(),
        client: &lane.public,
        host: &plan.host,
    };
    let told = tell_all(worker.db, &sender, worker.now(), &mut || beat.is_ours())?;
    Ok(Done {
        is_news: told.asked + told.made + told.taken + told.failed + told.given_up > 0,
        told: format!(
            "{} people asked, {} subscriptions have news; {} deliveries taken, {} to be tried again, {} given up",
            told.asked, told.made, told.taken, told.failed, told.given_up
        ),
    })
}
