//! What Nix says of a build, read word by word.

use snowguard_fod::outcome::{Got, Outcome, Verdict};
use snowguard_store::{Hash, Notation};

use super::run::{End, Said, Watch};
use crate::job::Job;
use crate::verify::outcome;

/// What a build that has ended says of its derivation. `limits` are those that it was held to.
pub(super) fn told(job: &Job, built: &Said, limits: &Watch<'_>) -> Outcome {
    match built.end {
        End::Slow => {
            // Not for now: it would take as long again.
            let text = format!(
                "the build took more than {} s; --build-timeout allows more",
                limits.longest.as_secs()
            );
            return outcome(Verdict::Failed, text);
        }
        End::Loud => {
            let text = format!("its build printed more than {} bytes", limits.most_said);
            return outcome(Verdict::Failed, text);
        }
        End::Itself { .. } => {}
    }
    if let Some(elsewhere) = remote(&built.log, &job.drv) {
        return outcome(
            Verdict::NeedsBuilder,
            format!("another machine built it, which may have had it before: {elsewhere}"),
        );
    }
    if !is_built(job, built) {
        let text = "Nix had its output from elsewhere each time, and did not build it";
        return outcome(Verdict::NeedsBuilder, text.to_owned());
    }
    if built.is_success() {
        if let Some(instead) = by_hash(&built.log, job) {
            return instead;
        }
        return Outcome {
            got: Some(got(&job.address.hash)),
            ..outcome(Verdict::Ok, Verdict::Ok.what().to_owned())
        };
    }
    if let Some(found) = mismatch(&built.log, &job.drv) {
        let reason = format!("Nix got {found}, not {}", job.address.hash);
        return Outcome {
            got: Some(got(&found)),
            ..outcome(Verdict::Mismatch, reason)
        };
    }
    let (verdict, line) = failure(&built.log);
    outcome(verdict, format!("the build failed: {line}"))
}

/// Whether Nix built it, or once more, where it says that all went well: where the output is there, there is nothing to do.
pub(super) fn is_built(job: &Job, said: &Said) -> bool {
    // What is said first is cut off where much is printed, which Nix alone does not do.
    if !said.is_success() || !said.is_whole() {
        return true;
    }
    let begins = ["building", "checking outputs of"].map(|word| format!("{word} '{}'", job.drv));
    let mut lines = said.log.lines();
    lines.any(|line| begins.iter().any(|begin| line.starts_with(begin)))
}

fn got(hash: &Hash) -> Got {
    Got {
        hash: hash.to_string(),
        size: None,
        swhid: None,
    }
}

/// Where another machine built it, by Nix's own word.
fn remote<'l>(log: &'l str, drv: &str) -> Option<&'l str> {
    let wanted = format!("building '{drv}' on '");
    log.lines().find(|line| line.starts_with(&wanted))
}

/// What follows where the last address that `fetchurl` tried is one by the promised hash, and not one of its own.
fn by_hash(log: &str, job: &Job) -> Option<Outcome> {
    let tried: Vec<(usize, &str)> = log
        .match_indices("trying ")
        .filter(|(at, _)| log[..*at].ends_with('\n') || *at == 0 || log[..*at].ends_with("> "))
        .filter_map(|(at, word)| Some((at, log[at + word.len()..].lines().next()?.trim())))
        .collect();
    let (at, last) = *tried.last()?;
    let hash = &job.address.hash;
    let is_by_hash = |url: &str| {
        [
            Notation::Hex,
            Notation::Nix32,
            Notation::Base64,
            Notation::Sri,
        ]
        .iter()
        .any(|notation| url.ends_with(&format!("/{}", hash.to_notation(*notation))))
            && !job.urls.iter().any(|own| own == url)
    };
    if !is_by_hash(last) {
        return None;
    }
    if tried.iter().all(|(_, url)| is_by_hash(url)) {
        let text = format!(
            "Nix took it by its hash from {last}, and asked none of its own addresses: \
             NIX_HASHED_MIRRORS must be a blank where its daemon builds"
        );
        return Some(outcome(Verdict::NeedsBuilder, text));
    }
    let (verdict, line) = failure(&log[..at]);
    Some(outcome(
        verdict,
        format!(
            "its own addresses did not send it ({line}); it is had by its hash alone, from {last}"
        ),
    ))
}

/// The hash that Nix got in place of the promised one, if it says so of this derivation.
///
/// A builder can print what it likes. What Nix says stands on lines of its own: `error: hash mismatch in fixed-output
/// derivation 'PATH':`, then `specified:` and `got:`. The last such message counts, since Nix speaks after the builder.
fn mismatch(log: &str, drv: &str) -> Option<Hash> {
    let wanted = format!("hash mismatch in fixed-output derivation '{drv}'");
    let at = log.rfind(&wanted)?;
    let mut lines = log[at..].lines().skip(1);
    let specified = lines.next()?.trim();
    specified.strip_prefix("specified:")?;
    let got = lines.next()?.trim().strip_prefix("got:")?;
    Hash::parse(got.trim(), None).ok()
}

/// What a failed build that says nothing of the hash means, and in which line.
fn failure(log: &str) -> (Verdict, String) {
    const GONE: [&str; 4] = [
        "error: 404",
        "HTTP error 404",
        "error: 410",
        "HTTP error 410",
    ];
    const PASSING: [&str; 14] = [
        "Could not resolve host",
        "Couldn't resolve host",
        "Temporary failure in name resolution",
        "timed out",
        "Connection refused",
        "Connection reset",
        "Couldn't connect to server",
        "Failed to connect",
        "Network is unreachable",
        "error: 429",
        "error: 500",
        "error: 502",
        "error: 503",
        "HTTP error 5",
    ];
    let has = |words: &[&str]| {
        log.lines()
            .rev()
            .find(|line| words.iter().any(|word| line.contains(word)))
    };
    // Of several addresses one may be gone, and another may pass.
    if let Some(line) = has(&PASSING) {
        (Verdict::Transient, line.trim().to_owned())
    } else if let Some(line) = has(&GONE) {
        (Verdict::Gone, line.trim().to_owned())
    } else {
        (Verdict::Failed, last_line(log))
    }
}

/// The last line that says something. Newer versions of Nix tell the reason, and where outputs would have been after that.
pub(super) fn last_line(log: &str) -> String {
    let mut said = log.lines().rev().map(str::trim);
    let mut all = said.clone().filter(|line| !line.is_empty());
    let last = all.next().unwrap_or("it said nothing");
    let is_place = |line: &&str| line.starts_with('/') || *line == "Output paths:";
    let reason = said
        .find(|line| !line.is_empty() && !is_place(line))
        .filter(|line| line.starts_with("Reason: "));
    let line = reason.unwrap_or(last);
    line.chars().take(300).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const DRV: &str = "/nix/store/00000000000000000000000000000000-x.drv";

    /// As Nix 2.8 and 2.34 say it.
    const LOG: &str = "error: hash mismatch in fixed-output derivation '/nix/store/00000000000000000000000000000000-x.drv':
         specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
            got:    sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
error: 1 dependencies failed to build
";

    pub(in crate::build) fn job() -> Job {
        let hash = Hash::of(snowguard_store::HashAlgo::Sha256, b"x").unwrap();
        Job {
            drv: DRV.into(),
            output: String::new(),
            address: snowguard_store::ContentAddress::new(
                snowguard_store::ContentAddressMethod::Flat,
                hash,
            ),
            way: crate::job::Way::Build(String::new()),
            urls: vec!["https://x.org/a".into()],
            curl: false,
            terms: String::new(),
            described: None,
        }
    }

    #[test]
    fn what_nix_says_of_the_hash_is_read() {
        let got = mismatch(LOG, DRV).unwrap();
        assert_eq!(
            got,
            Hash::of(snowguard_store::HashAlgo::Sha256, b"").unwrap()
        );
        assert_eq!(mismatch(LOG, "/nix/store/other.drv"), None);
        assert_eq!(
            mismatch("hash mismatch in fixed-output derivation", DRV),
            None
        );
        assert_eq!(mismatch(&LOG.replace("got:", "is:"), DRV), None);
    }

    #[test]
    fn who_has_it_by_its_hash_is_not_the_source() {
        let hash = Hash::of(snowguard_store::HashAlgo::Sha256, b"x").unwrap();
        let job = job();
        let told = |log: &str, job: &Job| {
            let found = by_hash(log, job);
            found
                .map(|found| format!("{}: {}", found.verdict, found.reason))
                .unwrap_or_default()
        };
        let own = "\ntrying https://x.org/a\ncurl: (22) The requested URL returned error: 404\n";
        let hashed = format!(
            "trying https://tarballs.example/sha256/{}\n",
            hash.to_notation(Notation::Hex)
        );
        insta::assert_snapshot!([
            told(&format!("{own}{hashed}"), &job),
            told(&hashed, &job),
            told(&format!("{hashed}{own}"), &job),
            told(own, &job),
            told("", &job),
            told(&format!("\ntrying https://x.org/a\n{hashed}"), &job),
        ].join("\n"), @r"
        gone: its own addresses did not send it (curl: (22) The requested URL returned error: 404); it is had by its hash alone, from https://tarballs.example/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        needs-builder: Nix took it by its hash from https://tarballs.example/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, and asked none of its own addresses: NIX_HASHED_MIRRORS must be a blank where its daemon builds



        failed: its own addresses did not send it (trying https://x.org/a); it is had by its hash alone, from https://tarballs.example/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        ");
        // An address of its own may be one by hash.
        let itself = hashed.trim().strip_prefix("trying ").unwrap();
        let its_own = Job {
            urls: vec![itself.into()],
            ..job
        };
        assert_eq!(told(&hashed, &its_own), "");
        assert!(remote(&format!("building '{DRV}' on 'ssh://b'...\n"), DRV).is_some());
        assert!(remote(&format!("building '{DRV}'...\n"), DRV).is_none());
    }

    #[test]
    fn what_was_there_already_was_not_built() {
        let job = job();
        let said = |success, log: String| Said {
            end: End::Itself { success },
            out: String::new(),
            log,
        };
        let built = |said: &Said| is_built(&job, said);
        assert!(!built(&said(true, String::new())));
        assert!(!built(&said(
            true,
            "building '/nix/store/other.drv'...\n".to_owned()
        )));
        assert!(built(&said(true, format!("building '{DRV}'...\n"))));
        assert!(built(&said(
            true,
            format!("checking outputs of '{DRV}'...\n")
        )));
        assert!(built(&said(true, "x".repeat(1 << 20))));
        assert!(built(&said(false, String::new())));
    }

    #[test]
    fn what_else_failed_says_nothing_of_the_hash() {
        let told = |log: &str| failure(log).0;
        assert_eq!(
            told("curl: (6) Could not resolve host: x.org"),
            Verdict::Transient
        );
        let both =
            "curl: (22) The requested URL returned error: 404\ncurl: (28) Operation timed out";
        assert_eq!(told(both), Verdict::Transient);
        assert_eq!(
            told("curl: (22) The requested URL returned error: 404"),
            Verdict::Gone
        );
        assert_eq!(
            told("error: builder for 'x' failed with exit code 1"),
            Verdict::Failed
        );
        // As Nix 2.34 says it.
        let newer = "error: Cannot build '/nix/store/x.drv'.\n       Reason: builder failed with exit code 3.\n       \
                     Output paths:\n         /nix/store/x\n";
        assert_eq!(last_line(newer), "Reason: builder failed with exit code 3.");
        assert_eq!(last_line("a\n/nix/store/x\n\n"), "/nix/store/x");
    }
}
