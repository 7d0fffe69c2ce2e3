//! What became of verifying one: a verdict, the reason, and everything that was tried.
//!
//! Values only: who fetches makes them, who reports shows them, who signs states them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is known after one was fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What comes now has the promised hash.
    Ok,
    /// Something else comes.
    Mismatch,
    /// It is not there any more, at none of its addresses.
    Gone,
    /// Its address leads elsewhere: where it must not be followed, to a page in place of the file, or to another host
    /// than when it was last as promised, and other bytes come from there.
    Redirect,
    /// Whoever answers cannot prove who it is.
    Tls,
    /// The policy does not allow to ask.
    Denied,
    /// It cannot be had: the server refuses, or what the fetcher makes of it cannot be made.
    Failed,
    /// No answer, or one that asks to come back: it may go well later.
    Transient,
    /// Only a build can tell, and there is no builder here.
    NeedsBuilder,
    /// It is not meant to be fetched.
    NotFetchable,
}

impl Verdict {
    /// All of them, the worst first.
    pub const ALL: [Self; 10] = [
        Self::Mismatch,
        Self::Gone,
        Self::Redirect,
        Self::Tls,
        Self::Denied,
        Self::Failed,
        Self::Transient,
        Self::NeedsBuilder,
        Self::NotFetchable,
        Self::Ok,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Mismatch => "mismatch",
            Self::Gone => "gone",
            Self::Redirect => "redirect",
            Self::Tls => "tls",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Transient => "transient",
            Self::NeedsBuilder => "needs-builder",
            Self::NotFetchable => "not-fetchable",
        }
    }

    /// What it means, in one sentence.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Ok => "what comes now has the promised hash",
            Self::Mismatch => "what comes now has another hash",
            Self::Gone => "it is at none of its addresses any more",
            Self::Redirect => "its address leads elsewhere than it may, or than it did",
            Self::Tls => "whoever answers has no certificate that is trusted here",
            Self::Denied => "what may be asked does not include where it is, or where that leads",
            Self::Failed => "the server refuses, or its output cannot be made of what comes",
            Self::Transient => "no answer that says anything; it may go well later",
            Self::NeedsBuilder => "only a build can tell, and none was done",
            Self::NotFetchable => "it is not meant to be fetched",
        }
    }

    /// What to do about it; empty where there is nothing.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Mismatch => {
                "look at what changed: a moved tag or a replaced file needs its author's word before the new hash"
            }
            Self::Gone => {
                "find where it is kept now, or a mirror; archives may know its identifier"
            }
            Self::Redirect => {
                "look at where it leads: put in where it really is, or find a mirror if the name is in other hands"
            }
            Self::Tls => "tell whoever runs that server; name another authority with --ca-file",
            Self::Denied => {
                "use an address that others reach; --allow-private, or with the proxy an exception in the file of --policy, \
                 lets other hosts be asked"
            }
            Self::Failed => {
                "look at what the address serves now: often a page in place of the file"
            }
            Self::Transient => "run it again later",
            Self::NeedsBuilder => "--build builds these with Nix",
            Self::Ok | Self::NotFetchable => "",
        }
    }

    /// Whether somebody must do something, since nobody could build it from its sources today.
    pub const fn is_finding(self) -> bool {
        matches!(self, Self::Mismatch | Self::Gone | Self::Redirect)
    }

    /// The verdict of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of verifying one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What is known now.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// In which way that was found; none where nothing was fetched and nothing built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_by: Option<FoundBy>,
    /// What came, where something came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<Got>,
    /// Where what came differs from what is in the local store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// Every address that was tried, in order.
    #[serde(default)]
    pub tries: Vec<Try>,
}

/// In which way something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// Its addresses were asked, and what they sent was hashed.
    Fetch,
    /// Nix built it.
    Build,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    /// Its hash, as SRI.
    pub hash: String,
    /// The length of what is hashed, in bytes: of the file, or of the NAR. Nix does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// By what Software Heritage knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swhid: Option<String>,
}

/// The first thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The member of the tree; empty for the object itself.
    pub member: String,
    /// What is in the local store.
    pub was: String,
    /// What comes now.
    pub is: String,
}

/// One address that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Which, without credentials.
    pub url: String,
    /// What came of it.
    pub result: Attempt,
    /// What was said, where it is no success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Where it led.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<String>,
    /// How many bytes came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What came of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// The promised bytes.
    Ok,
    /// Other bytes.
    Mismatch,
    /// The server refuses, or sends what the output cannot be made of.
    Failed,
    /// Nothing is there.
    Gone,
    /// It leads where it must not be followed, or elsewhere than to what is promised.
    Redirect,
    /// A certificate that is not trusted.
    Tls,
    /// It must not be asked.
    Denied,
    /// It may go well later.
    Transient,
    /// It was not asked: a scheme or a mirror that is not known here.
    Skipped,
}

impl Try {
    /// Whether something came: the fetcher takes that, right or wrong, and asks no other address.
    pub fn is_taken(&self) -> bool {
        self.bytes.is_some() || matches!(self.result, Attempt::Ok | Attempt::Mismatch)
    }
}

/// What follows from the addresses that were tried, in their order.
///
/// `fetchurl` takes what the first address that answers sends, right or wrong. If one that could not be asked here is
/// before that, or none answers, only a build tells whether it sends something. Else what is refused counts, then what
/// may yet go well. Only what is nowhere is gone.
pub fn of_tries(tries: &[Try]) -> (Verdict, String) {
    let order = [
        (Attempt::Ok, Verdict::Ok),
        (Attempt::Mismatch, Verdict::Mismatch),
        (Attempt::Skipped, Verdict::NeedsBuilder),
        (Attempt::Failed, Verdict::Failed),
        (Attempt::Transient, Verdict::Transient),
        (Attempt::Tls, Verdict::Tls),
        (Attempt::Redirect, Verdict::Redirect),
        (Attempt::Denied, Verdict::Denied),
        (Attempt::Gone, Verdict::Gone),
    ];
    let tries = match tries.iter().position(Try::is_taken) {
        Some(at) => {
            let mut before = tries[..at].iter();
            if let Some(skipped) = before.find(|tried| tried.result == Attempt::Skipped) {
                let (url, why) = (&skipped.url, &skipped.detail);
                let text = format!("{url} comes before the one that sends something; {why}");
                return (Verdict::NeedsBuilder, text);
            }
            &tries[at..=at]
        }
        None => tries,
    };
    for (attempt, verdict) in order {
        let mut with = tries.iter().filter(|tried| tried.result == attempt);
        if let Some(tried) = with.next() {
            let reason = match (verdict, tries.len()) {
                (Verdict::Gone, 2..) => {
                    format!("none of {} addresses has it; {}", tries.len(), tried.detail)
                }
                _ if tried.detail.is_empty() => verdict.what().to_owned(),
                _ => tried.detail.clone(),
            };
            return (verdict, reason);
        }
    }
    (
        Verdict::NeedsBuilder,
        "it names no address that could be asked".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(result: Attempt, detail: &str) -> Try {
        Try {
            url: "https://x.org/x".into(),
            result,
            detail: detail.into(),
            redirects: Vec::new(),
            bytes: None,
        }
    }

    #[test]
    fn only_what_is_nowhere_is_gone() {
        let told = |results: &[Attempt]| {
            let tries: Vec<Try> = results
                .iter()
                .map(|result| tried(*result, &format!("{result:?}")))
                .collect();
            let (verdict, reason) = of_tries(&tries);
            format!("{verdict}: {reason}")
        };
        use Attempt::{Denied, Gone, Mismatch, Skipped, Tls, Transient};
        assert_eq!(told(&[Gone]), "gone: Gone");
        assert_eq!(
            told(&[Gone, Gone]),
            "gone: none of 2 addresses has it; Gone"
        );
        assert_eq!(told(&[Gone, Transient]), "transient: Transient");
        assert_eq!(told(&[Gone, Skipped]), "needs-builder: Skipped");
        assert_eq!(told(&[Transient, Skipped]), "needs-builder: Skipped");
        let before = "https://x.org/x comes before the one that sends something; Skipped";
        assert_eq!(
            told(&[Gone, Skipped, Attempt::Ok]),
            format!("needs-builder: {before}")
        );
        // What came was taken, whatever was refused before.
        assert_eq!(told(&[Attempt::Failed, Attempt::Ok]), "ok: Ok");
        let came = Try {
            bytes: Some(3),
            ..tried(Attempt::Redirect, "a page")
        };
        let (verdict, _) = of_tries(&[tried(Attempt::Failed, "403"), came]);
        assert_eq!(verdict, Verdict::Redirect);
        assert_eq!(told(&[Denied, Tls]), "tls: Tls");
        assert_eq!(told(&[Gone, Mismatch]), "mismatch: Mismatch");
        assert_eq!(
            told(&[]),
            "needs-builder: it names no address that could be asked"
        );
    }

    #[test]
    fn words_are_read_again() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::of(verdict.as_str()), Some(verdict));
        }
        assert_eq!(Verdict::of("fine"), None);
    }
}
