//! An index as static files for a fleet: published with signatures, fetched with suspicion.
//!
//! The files follow The Update Framework (TUF, specification 1.0), by the crate `tough`: a root says
//! which key may sign, a timestamp which state is in force and until when, a snapshot and targets what
//! belongs to it. So any web server or object store will do, and none has to be trusted: one that
//! hands out an old state (rollback), the same one for ever (freeze), or parts of several (mix and
//! match) is found out.
//!
//! ```text
//! metadata/root.json  N.root.json  N.snapshot.json  N.targets.json  timestamp.json
//! targets/SHA256.advisories-BASE.idx.zst          a base, compressed
//! targets/SHA256.advisories-BASE.delta.zst        what changed since the newest base
//! targets/SHA256.advisories-OLD-BASE.patch.zst    the newest base, compressed with an older as prefix
//! targets/SHA256.triage.json.zst                  what a tracker decided
//! ```
//!
//! `BASE` and `OLD` are digests of bases as deltas name them. Who has an older base takes a patch and
//! the delta, who has none takes the base.

mod directory;
mod error;
mod fetch;
mod publish;
mod sign;
#[cfg(test)]
mod tests;
mod transport;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::error::{FetchError, PublishError};
pub use self::fetch::{Anchor, Fetch, Fetched, Taken, TakenTriage, fetch, locate};
pub use self::publish::{Publish, Published, publish};

/// The largest index: what is unpacked is held in memory.
const MAX_INDEX: u64 = 2 << 30;

/// What a target says of itself, under `snowguard` in its custom part. It is signed with the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    /// What it is.
    kind: Kind,
    /// The digest of the base: of this one, the delta's, the one that a patch makes, the one that was
    /// published together with what a tracker decided.
    base: String,
    /// Of a patch: the digest of the base that it is applied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Of a base: the version in which it was published first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The length of what it unpacks to, in bytes.
    length: u64,
    /// The SHA-256 of that.
    sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The newest base.
    Base,
    /// A base before it.
    Old,
    /// The delta of the newest base.
    Delta,
    /// From an older base to the newest.
    Patch,
    /// What a tracker decided; it belongs to no base.
    Triage,
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
