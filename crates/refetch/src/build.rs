//! A real build by Nix, for what nothing less is exact for; and what Nix said of it.
//!
//! What the fetcher itself needs is substituted or built as Nix is set up; only then the derivation is run, with
//! substitutes off, or once more with `--check` where its output is there. The verdict is what Nix says of the hash,
//! word by word; anything else that fails says nothing of it.
//!
//! How Nix is started for that, and what a build of it reaches, is for who implements [`Realise`].

mod fresh;
mod run;
mod said;
mod store;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use snowguard_fod::outcome::{Attempt, FoundBy, Outcome, Try, Verdict};

pub use self::fresh::Fresh;
pub use self::run::{Begun, End, Nix, Said, Stop, Watch};
pub use self::store::{Origin, Store, Turns};

use crate::guard::Denied;
use crate::job::Job;
use crate::verify::{Halt, outcome};

/// With what is built.
#[derive(Debug)]
pub struct Builder<'b> {
    /// Nix, for what builds nothing.
    pub nix: Nix,
    /// The store in which is built.
    pub store: Store,
    /// What builds.
    pub realise: &'b dyn Realise,
    /// How long one build may take.
    pub longest: Duration,
    /// How many bytes one build may print.
    pub most_said: u64,
    /// Where logs are put for a while.
    pub scratch: PathBuf,
    /// Who is at which output: of two builds that make the same one, Nix does the second not at all.
    pub turns: Turns,
}

/// Lets Nix build.
pub trait Realise: fmt::Debug + Sync {
    /// Makes sure that all that a derivation is built with is there; why not, where that cannot be.
    fn inputs(&self, inputs: &[String], watch: &Watch<'_>) -> Result<Option<String>, Stop>;

    /// Runs `nix-store` with these arguments, which lets it build one derivation and nothing else.
    fn derivation(&self, job: &Job, args: &[String], watch: &Watch<'_>) -> Result<Built, Stop>;

    /// How many builds go on at once, where that has a limit of its own.
    fn most_at_once(&self) -> Option<usize>;
}

/// What came of one build.
#[derive(Debug)]
pub struct Built {
    /// What Nix said.
    pub said: Said,
    /// What it was kept from reaching.
    pub denied: Vec<Denied>,
    /// How often it asked for something, where that is seen.
    pub requests: Option<u64>,
}

/// Nix as any other program: what it builds reaches what this machine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openly {
    /// Nix.
    pub nix: Nix,
    /// The store.
    pub store: Store,
}

impl Realise for Openly {
    fn inputs(&self, inputs: &[String], watch: &Watch<'_>) -> Result<Option<String>, Stop> {
        let mut realise = self.nix.command(self.store.name.as_deref());
        realise.arg("--realise").args(inputs);
        for (name, value) in self.store.origin.iter().flat_map(Origin::settings) {
            realise.args(["--option", name, &value]);
        }
        let made = watch.run(&mut realise)?;
        Ok((!made.is_success()).then(|| made.last_line()))
    }

    fn derivation(&self, _: &Job, args: &[String], watch: &Watch<'_>) -> Result<Built, Stop> {
        let mut build = self.nix.command(self.store.name.as_deref());
        Ok(Built {
            said: watch.run(build.args(args))?,
            denied: Vec::new(),
            requests: None,
        })
    }

    fn most_at_once(&self) -> Option<usize> {
        None
    }
}

impl Builder<'_> {
    pub(crate) fn verify(&self, job: &Job, stop: &AtomicBool) -> Result<Outcome, Halt> {
        match self.build(job, stop) {
            Ok(outcome) => Ok(outcome),
            Err(Stop::Missing) => Ok(outcome(
                Verdict::NeedsBuilder,
                "Nix is not installed here".to_owned(),
            )),
            Err(Stop::Halt(halt)) => Err(halt),
        }
    }

    fn build(&self, job: &Job, stop: &AtomicBool) -> Result<Outcome, Stop> {
        let watch = Watch {
            longest: self.longest,
            most_said: self.most_said,
            stop,
            scratch: &self.scratch,
        };
        let needs_builder = |why: String| Ok(outcome(Verdict::NeedsBuilder, why));
        if let Some(why) = self.store.take(&self.nix, &job.drv, &watch)? {
            return needs_builder(why);
        }
        let inputs = self.store.inputs(&self.nix, &job.drv, &watch)?;
        if !inputs.is_empty()
            && let Some(why) = self.realise.inputs(&inputs, &watch)?
        {
            return needs_builder(format!("what it is fetched with cannot be had: {why}"));
        }
        let _turn = self.turns.take(&job.output);
        let mut built = self.once(job, &watch)?;
        if !said::is_built(job, &built.said) {
            // It came meanwhile, as something that another is built with. Now that it is there, it is checked.
            built = self.once(job, &watch)?;
        }
        let found = with_denied(said::told(job, &built.said, &watch), &built.denied);
        let is_found = found.verdict != Verdict::NeedsBuilder;
        let reason = match (found.verdict, built.requests) {
            (Verdict::Ok, Some(0)) => format!("{}; its build asked for nothing", found.reason),
            _ => found.reason,
        };
        Ok(Outcome {
            found_by: is_found.then_some(FoundBy::Build),
            reason,
            ..found
        })
    }

    /// Builds it, or once more where its output is there.
    fn once(&self, job: &Job, watch: &Watch<'_>) -> Result<Built, Stop> {
        let mut is_there = self.nix.command(self.store.name.as_deref());
        let is_there = watch.run(is_there.args(["--check-validity", &job.output]))?;
        // By this machine, and from its own addresses: whoever has the bytes by their hash says nothing of the source.
        let mut args = vec!["--realise", &job.drv];
        for (name, value) in [
            ("substitute", "false"),
            ("builders", ""),
            ("hashed-mirrors", ""),
        ] {
            args.extend(["--option", name, value]);
        }
        if is_there.is_success() {
            args.push("--check");
        }
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        self.realise.derivation(job, &args, watch)
    }
}

/// The outcome with what the build was kept from told as that: to its fetcher, it looks like any server that does not
/// answer.
fn with_denied(outcome: Outcome, denied: &[Denied]) -> Outcome {
    let Some(first) = denied.first() else {
        return outcome;
    };
    let tries = denied.iter().map(|one| Try {
        url: one.host.clone(),
        result: Attempt::Denied,
        detail: one.detail.clone(),
        redirects: Vec::new(),
        bytes: None,
    });
    let more = match denied.len() {
        1 => String::new(),
        count => format!("; and {} more were denied", count - 1),
    };
    let told = format!("{}: {}{more}", first.host, first.detail);
    let (verdict, reason) = match outcome.verdict {
        // It has all that was promised, or something else, whatever else it wanted.
        verdict @ (Verdict::Ok | Verdict::Mismatch) => {
            (verdict, format!("{}; on the way, {told}", outcome.reason))
        }
        _ => (Verdict::Denied, told),
    };
    Outcome {
        verdict,
        reason,
        tries: tries.collect(),
        ..outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Nix that says one thing after the other.
    #[derive(Debug)]
    struct Says(std::sync::Mutex<Vec<&'static str>>);

    impl Realise for Says {
        fn inputs(&self, _: &[String], _: &Watch<'_>) -> Result<Option<String>, Stop> {
            Ok(None)
        }

        fn derivation(&self, job: &Job, _: &[String], _: &Watch<'_>) -> Result<Built, Stop> {
            let said = self.0.lock().unwrap().pop().unwrap();
            Ok(Built {
                said: Said {
                    end: End::Itself { success: true },
                    out: String::new(),
                    log: said.replace("IT", &job.drv),
                },
                denied: Vec::new(),
                requests: Some(0),
            })
        }

        fn most_at_once(&self) -> Option<usize> {
            None
        }
    }

    #[test]
    fn what_comes_from_elsewhere_meanwhile_is_built_once_more() {
        let place = tempfile::tempdir().unwrap();
        let verify = |said: &[&'static str]| {
            let says = Says(said.to_vec().into());
            let builder = Builder {
                // All that it is asked is so.
                nix: Nix {
                    program: "/bin/true".into(),
                    environment: Vec::new(),
                },
                store: Store::default(),
                realise: &says,
                longest: Duration::from_mins(1),
                most_said: 1 << 20,
                scratch: place.path().to_owned(),
                turns: Turns::default(),
            };
            let job = said::tests::job();
            let found = builder.verify(&job, &AtomicBool::new(false)).unwrap();
            let left = says.0.lock().unwrap().len();
            format!(
                "{} {:?} {left}: {}",
                found.verdict, found.found_by, found.reason
            )
        };
        insta::assert_snapshot!([
            verify(&["", "building 'IT'...\n"]),
            verify(&["checking outputs of 'IT'...\n", ""]),
            verify(&["", ""]),
        ].join("\n"), @"
        ok Some(Build) 1: what comes now has the promised hash; its build asked for nothing
        ok Some(Build) 0: what comes now has the promised hash; its build asked for nothing
        needs-builder None 0: Nix had its output from elsewhere each time, and did not build it
        ");
    }

    #[test]
    fn what_a_build_was_kept_from_is_why_it_failed() {
        let denied = |host: &str| Denied {
            host: host.to_owned(),
            detail: "no".to_owned(),
        };
        let told = |verdict: Verdict, denied: &[Denied]| {
            let found = with_denied(outcome(verdict, "as it is".to_owned()), denied);
            format!(
                "{}: {} [{}]",
                found.verdict,
                found.reason,
                found.tries.len()
            )
        };
        let (one, two) = ([denied("a")], [denied("a"), denied("b")]);
        insta::assert_snapshot!([
            told(Verdict::Failed, &[]),
            told(Verdict::Failed, &one),
            told(Verdict::Transient, &two),
            told(Verdict::Mismatch, &one),
            told(Verdict::Ok, &two),
        ].join("\n"), @"
        failed: as it is [0]
        denied: a: no [1]
        denied: a: no; and 1 more were denied [2]
        mismatch: as it is; on the way, a: no [1]
        ok: as it is; on the way, a: no; and 1 more were denied [2]
        ");
    }
}
