//! By which identities packages were matched last, as whoever matches packs them: so that it is known which
//! packages an advisory could be about without looking at all of them.

use std::collections::HashMap;

use crate::advisories::count;
use crate::{Bulk, DbError, Session};

/// A package, and by what it was matched; nothing if it never was.
pub type Identified = (i64, Option<Vec<u8>>);

/// What is kept of packages; those of which nothing is are left out.
pub fn identities_of<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<HashMap<i64, Vec<u8>>, DbError> {
    let rows = session.query(
        "SELECT package, identities FROM identity WHERE package {in:1}",
        &[packages.into()],
    )?;
    let pairs = rows.map(|row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(pairs.into_iter().collect())
}

/// All packages in order of number, up to `limit` after one, each with what is kept of it.
pub fn identities_after<S: Session + ?Sized>(
    session: &mut S,
    after: i64,
    limit: usize,
) -> Result<Vec<Identified>, DbError> {
    session
        .query(
            "SELECT package.id, identity.identities FROM package \
             LEFT JOIN identity ON identity.package = package.id \
             WHERE package.id > $1 ORDER BY package.id LIMIT $2",
            &[after.into(), count(limit)],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
}

/// Keeps what packages were matched by.
pub fn put_identities<S: Session + ?Sized>(
    session: &mut S,
    packages: &[(i64, &[u8])],
) -> Result<(), DbError> {
    let bulk = Bulk::new("identity")
        .int("package")
        .bytes("identities")
        .then("ON CONFLICT (package) DO UPDATE SET identities = excluded.identities");
    let rows: Vec<_> = packages
        .iter()
        .map(|(package, identities)| vec![(*package).into(), (*identities).into()])
        .collect();
    session.insert_many(&bulk, &rows).map(drop)
}
