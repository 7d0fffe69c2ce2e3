//! Likelihoods of exploitation: those of advisories that there are, where they changed.

use std::collections::HashMap;

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_db::advisories::Advisories as _;
use snowguard_db::findings::{Findings as _, mark_stale};
use snowguard_feeds::RecordStore;

use super::TakeError;

/// How many names are read, and rows written, at once.
const PIECE: usize = 5_000;

/// Brings in the scores of a source; how many changed.
pub(super) fn take(
    db: &Database,
    store: &RecordStore,
    source: &str,
    now: Timestamp,
) -> Result<u64, TakeError> {
    let mut known: HashMap<String, (i64, Option<f64>, Option<f64>)> = HashMap::new();
    db.read(|session| {
        known.clear();
        session.each_score(&mut |row| {
            known.insert(row.name.to_owned(), (row.id, row.epss, row.percentile));
        })
    })?;
    let (mut changed, mut ranked) = (Vec::new(), Vec::new());
    let mut after: Option<String> = None;
    loop {
        let names = store.names(source, after.as_deref(), PIECE)?;
        let Some(last) = names.last() else { break };
        after = Some(last.name.as_str().to_owned());
        for stored in &names {
            let Some((id, epss, percentile)) = known.get(stored.name.as_str()) else {
                continue;
            };
            let records = store.under_name(source, stored.name.as_str())?;
            let newest = records
                .iter()
                .filter_map(|record| record.epss)
                .max_by_key(|epss| epss.date);
            if let Some(score) = newest {
                let is = (
                    Some(f64::from(score.probability)),
                    Some(f64::from(score.percentile)),
                );
                if is != (*epss, *percentile) {
                    changed.push((*id, score.probability, score.percentile));
                    if ranks(*epss) != ranks(is.0) {
                        ranked.push(*id);
                    }
                }
            }
        }
    }
    for rows in changed.chunks(PIECE) {
        db.write(|session| session.put_scores(rows))?;
    }
    for advisories in ranked.chunks(PIECE) {
        db.write(|session| {
            let packages = session.packages_of_advisories(advisories)?;
            mark_stale(session, &packages, now)
        })?;
    }
    Ok(changed.len() as u64)
}

/// What of a likelihood a finding's place in lists depends on (`snowguard_triage::rank`): whole percents, from
/// ten on.
#[expect(clippy::cast_possible_truncation, reason = "a likelihood is at most 1")]
fn ranks(epss: Option<f64>) -> Option<i64> {
    let percents = (epss?.clamp(0.0, 1.0) * 100.0) as i64;
    (percents >= 10).then_some(percents)
}
