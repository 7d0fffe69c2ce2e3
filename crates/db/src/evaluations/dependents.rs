//! How many packages are built with each.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::findings::mark_stale;
use crate::{Bulk, DbError, Session, Value};

/// How many packages are looked up at once.
const PIECE: usize = 20_000;

pub(super) fn note<S: Session + ?Sized>(
    session: &mut S,
    dependents: &[(Box<str>, u32)],
    now: Timestamp,
) -> Result<(), DbError> {
    // In one order, so that two who do this wait for each other and do not lock each other out.
    let wanted: BTreeMap<&str, u32> = dependents
        .iter()
        .map(|(key, count)| (&**key, *count))
        .collect();
    let keys: Vec<String> = wanted.keys().map(|key| (*key).to_owned()).collect();
    let (mut changed, mut moved) = (Vec::new(), Vec::new());
    for keys in keys.chunks(PIECE) {
        let sql = "SELECT id, key, dependents FROM package WHERE key {in:1} ORDER BY id";
        let rows = session.query(sql, &[keys.to_vec().into()])?;
        for row in rows.iter() {
            let (id, key, was): (i64, &str, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let Some(&is) = wanted.get(key).filter(|is| **is != was) else {
                continue;
            };
            changed.push((id, is));
            // Only the order of magnitude counts in a rank.
            if is.leading_zeros() != was.leading_zeros() {
                moved.push(id);
            }
        }
    }
    changed.sort_unstable();
    let rows: Vec<Vec<Value<'_>>> = changed
        .iter()
        .map(|(id, count)| vec![(*id).into(), (*count).into()])
        .collect();
    let bulk = Bulk::new("package").int("id").key().int("dependents");
    session.update_many(&bulk, &rows)?;
    mark_stale(session, &moved, now)
}
