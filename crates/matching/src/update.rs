//! What is known of another version of a component: what an update to it would leave and bring.

use rayon::prelude::*;
use snowguard_advisory::index::Corrupt;
use snowguard_advisory::order::Version;

use crate::claim::Claim;
use crate::finding::{Finding, FixedIn, Status};
use crate::matcher::{MANY, Matcher};
use crate::resolve::{fixed_in, resolve};

/// A vulnerability that reaches another version of a component, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InVersion<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether that is sure; else somebody would have to look.
    pub is_sure: bool,
    /// Where it is fixed, from that version on.
    pub fixed_in: FixedIn<'a>,
}

impl<'a> Matcher<'a> {
    /// What reaches a version of a component, out of all that was found for the component, whatever
    /// its status is in the present version.
    ///
    /// Patches do not count: whether an update keeps them is not known.
    pub fn in_version(
        &self,
        findings: &[Finding<'a>],
        version: &str,
    ) -> Result<Vec<InVersion<'a>>, Corrupt> {
        findings
            .par_iter()
            .with_min_len(MANY)
            .filter_map(|finding| self.finding_in(finding, Version::new(version)).transpose())
            .collect()
    }

    fn finding_in(
        &self,
        finding: &Finding<'a>,
        version: Version<'_>,
    ) -> Result<Option<InVersion<'a>>, Corrupt> {
        let outcome = |claim: &Claim<'_>| {
            let entry = self.index.entry(claim.entry)?;
            Ok::<_, Corrupt>(self.outcome(version, &entry))
        };
        // So it is with nearly all of the thousands that a kernel has: nothing is kept of them.
        let mut is_outside = true;
        for claim in &finding.claims {
            is_outside = is_outside && outcome(claim)?.is_outside();
        }
        if is_outside {
            return Ok(None);
        }
        let mut claims = finding.claims.clone();
        for claim in &mut claims {
            claim.outcome = outcome(claim)?;
        }
        let is_sure = match resolve(&claims) {
            Some((Status::Affected, _)) => true,
            Some((Status::NeedsReview, _)) => false,
            _ => return Ok(None),
        };
        let (withdrawn, _) = self.index.fixes_of(finding.vulnerability)?;
        Ok((!withdrawn).then(|| InVersion {
            id: finding.id,
            is_sure,
            fixed_in: fixed_in(&claims),
        }))
    }
}
