//! Out through a proxy that decides for each derivation what it may reach, and what it said of what was denied.

use std::fmt;

use snowguard_fod::outcome::{Attempt, Outcome, of_tries};
use snowguard_fod::place::Place;
use snowguard_fod::policy::Described;
use snowguard_http::Egress;

use crate::verify::Halt;

/// Lets derivations out, one by one.
pub trait Guard: fmt::Debug + Sync {
    /// Lets one out: where the proxy is, and the token of this one.
    fn open(&self, described: &Described) -> Result<Egress, Halt>;

    /// Nothing more comes of that token: the requests that were denied.
    fn close(&self, egress: &Egress) -> Result<Vec<Denied>, Halt>;
}

/// A request that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The host, without brackets.
    pub host: String,
    /// Why, and what to do about it; of the proxy.
    pub detail: String,
}

/// The outcome with what the proxy denied told as that: for who asks it looks like any server that does not answer.
pub(crate) fn told(mut outcome: Outcome, denied: &[Denied], is_git: bool) -> Outcome {
    let mut is_any = false;
    for tried in &mut outcome.tries {
        // What came was allowed.
        if tried.is_taken() {
            continue;
        }
        let at = tried.redirects.last().unwrap_or(&tried.url);
        let host = Place::of(at).host;
        // A repository is asked with its submodules, which may be anywhere.
        let mut of_it = denied.iter().filter(|one| is_git || one.host == host);
        if let Some(one) = of_it.next_back() {
            tried.result = Attempt::Denied;
            tried.detail = format!("{}: {}", one.host, one.detail);
            is_any = true;
        }
    }
    if is_any {
        (outcome.verdict, outcome.reason) = of_tries(&outcome.tries);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use snowguard_fod::outcome::{Try, Verdict};

    use super::*;
    use crate::tried::failed;
    use crate::verify::outcome;

    #[test]
    fn what_was_denied_is_no_accident() {
        let denied = Denied {
            host: "10.0.0.1".into(),
            detail: "no".into(),
        };
        let of = |tries: Vec<Try>, is_git| {
            let before = Outcome {
                tries,
                ..outcome(Verdict::Transient, "cannot connect".into())
            };
            let told = told(before, std::slice::from_ref(&denied), is_git);
            (told.verdict, told.reason)
        };
        let tried = |url: &str, redirects: &[&str]| Try {
            redirects: redirects.iter().map(ToString::to_string).collect(),
            ..failed(url, Attempt::Transient, "cannot connect")
        };
        let away = tried("https://x.org/a", &["http://10.0.0.1:8/b"]);
        let no = (Verdict::Denied, "10.0.0.1: no".to_owned());
        assert_eq!(of(vec![away.clone()], false), no);
        // Another address that does not answer may yet go well.
        let down = tried("https://y.org/a", &[]);
        assert_eq!(of(vec![away, down.clone()], false).0, Verdict::Transient);
        assert_eq!(of(vec![down.clone()], false).1, "cannot connect");
        assert_eq!(of(vec![down], true), no);
    }
}
