//! One after the other: what its plan says is done, and what follows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snowguard_fod::outcome::{FoundBy, Outcome, Try, Verdict, of_tries};
use snowguard_fod::plan::Form;
use snowguard_http::Client;

use crate::build::Builder;
use crate::file::{self, Came};
use crate::gate::Gate;
use crate::git::Git;
use crate::guard::{Guard, told};
use crate::job::{Job, Way};
use crate::space::{Share, Space};

/// With what is verified.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'v> {
    /// Fetches. It is to try once: what passes is tried again later. If it keeps to the public network, so do
    /// `git` and everything else here; what a build reaches is for who lets Nix build.
    pub client: &'v Client,
    /// How many ask one host at once.
    pub gate: &'v Gate,
    /// Fetches repositories.
    pub git: &'v Git,
    /// Builds what is to be built.
    pub builder: Option<&'v Builder<'v>>,
    /// Where files are put for a while.
    pub scratch: &'v Path,
    /// What is taken at most, of each.
    pub limits: Limits,
    /// What all may take of the disk together.
    pub space: &'v Space,
    /// Where the store paths of this machine lie, to tell what differs; none, and it is not told.
    pub store: Option<&'v Path>,
    /// The way out, where that is a proxy which decides; none, and it is direct.
    pub guard: Option<&'v dyn Guard>,
}

/// What is taken at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one download.
    pub download: u64,
    /// Bytes of a disk that a repository takes, with those of its submodules.
    pub repository: u64,
    /// What an archive or a checkout may become.
    pub archive: snowguard_archive::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            download: 32 << 30,
            repository: 16 << 30,
            archive: snowguard_archive::Limits::default(),
        }
    }
}

/// Why nothing can be said of any: not of this one, but of the machine, or since somebody wants an end.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Somebody wants an end.
    #[error("interrupted")]
    Interrupted,
    /// Files cannot be put anywhere.
    #[error("cannot keep what is fetched")]
    Scratch(#[source] io::Error),
    /// The network cannot be used at all, or what was fetched cannot be read again.
    #[error("{0}")]
    Network(String),
}

impl Halt {
    pub(crate) fn scratch(error: io::Error) -> Self {
        Self::Scratch(error)
    }
}

/// One that is fetched.
pub(crate) struct Asked<'a> {
    pub(crate) job: &'a Job,
    pub(crate) form: &'a Form,
    /// Where its output lies on this machine, if it does.
    pub(crate) old: Option<&'a Path>,
    /// What came of it when it was last as promised.
    pub(crate) before: Option<&'a Outcome>,
    /// What it has of the disk.
    pub(crate) share: &'a Arc<Share>,
}

impl Verifier<'_> {
    /// Verifies one.
    pub fn verify(&self, job: &Job) -> Result<Outcome, Halt> {
        self.verify_after(job, None)
    }

    /// As [`Self::verify`], knowing what came of it when it was last as promised: so it can be told that its address
    /// leads elsewhere now.
    pub fn verify_after(&self, job: &Job, before: Option<&Outcome>) -> Result<Outcome, Halt> {
        match &job.way {
            Way::Never(why) => Ok(outcome(Verdict::NotFetchable, why.clone())),
            Way::Build(why) => match self.builder {
                Some(builder) => builder.verify(job, self.client.interrupted()),
                None => Ok(outcome(Verdict::NeedsBuilder, why.clone())),
            },
            Way::Fetch(form) => match self.guard {
                Some(guard) => self.through(guard, job, form, before),
                None => self.fetch(job, form, before),
            },
        }
    }

    /// Through a proxy, under what this one may reach.
    fn through(
        &self,
        guard: &dyn Guard,
        job: &Job,
        form: &Form,
        before: Option<&Outcome>,
    ) -> Result<Outcome, Halt> {
        let Some(described) = &job.described else {
            let text = "what it may reach is not told, and it is to go through a proxy".to_owned();
            return Ok(outcome(Verdict::Failed, text));
        };
        let pass = guard.open(described)?;
        let client = self.client.through(pass.clone());
        let git = Git {
            proxy: Some(pass.url()),
            ..self.git.clone()
        };
        let inner = Verifier {
            client: &client,
            git: &git,
            guard: None,
            ..*self
        };
        let found = inner.fetch(job, form, before);
        // Its connections end with it, and the proxy waits for these.
        drop(client);
        let denied = guard.close(&pass);
        Ok(told(found?, &denied?, matches!(form, Form::Git(_))))
    }

    /// With as much of the disk as others leave; and if that does not suffice, once more with all of it.
    fn fetch(&self, job: &Job, form: &Form, before: Option<&Outcome>) -> Result<Outcome, Halt> {
        let old = self.old(job);
        let fetch = |share: &Arc<Share>| {
            let outcome = self.fetch_within(&Asked {
                job,
                form,
                old: old.as_deref(),
                before,
                share,
            });
            // What was broken off looks as if it were damaged.
            if share.is_stopped() {
                return Err(Halt::Interrupted);
            }
            outcome
        };
        let stop = self.client.interrupted();
        if !file::is_kept(form, &job.address) {
            return fetch(&Arc::new(self.space.nothing(stop)));
        }
        let share = self.space.enter(stop).ok_or(Halt::Interrupted)?;
        let share = Arc::new(share);
        let outcome = fetch(&share)?;
        if !share.is_refused() {
            return Ok(outcome);
        }
        drop(share);
        let all = self.space.enter_alone(stop).ok_or(Halt::Interrupted)?;
        fetch(&Arc::new(all))
    }

    /// In the order of the addresses. As with `fetchurl`, the first that sends something decides; but if one before it
    /// could not be asked here, only a build tells whether that sends something.
    fn fetch_within(&self, asked: &Asked<'_>) -> Result<Outcome, Halt> {
        let mut tries: Vec<Try> = Vec::new();
        for url in &asked.job.urls {
            let Came {
                tried,
                got,
                difference,
            } = match asked.form {
                Form::Git(tree) => self.git.fetch(self, asked, tree)?,
                _ => file::fetch(self, asked, url)?,
            };
            // Something came, and the fetcher would have taken it: the others are not asked.
            let is_taken = got.is_some() || tried.bytes.is_some();
            tries.push(tried);
            if is_taken {
                let (verdict, reason) = of_tries(&tries);
                let is_decided = verdict != Verdict::NeedsBuilder;
                return Ok(found(Outcome {
                    got: got.filter(|_| is_decided),
                    difference: difference.filter(|_| is_decided),
                    tries,
                    ..outcome(verdict, reason)
                }));
            }
            // Of a repository there is one address.
            if matches!(asked.form, Form::Git(_)) {
                break;
            }
        }
        let (verdict, reason) = of_tries(&tries);
        Ok(found(Outcome {
            tries,
            ..outcome(verdict, reason)
        }))
    }

    /// Where its output lies on this machine, if it does.
    fn old(&self, job: &Job) -> Option<PathBuf> {
        let name = job.output.rsplit('/').next()?;
        Some(self.store?.join(name))
    }
}

/// By its addresses; what only a build can tell was not found at all.
fn found(outcome: Outcome) -> Outcome {
    let is_found = outcome.verdict != Verdict::NeedsBuilder;
    Outcome {
        found_by: is_found.then_some(FoundBy::Fetch),
        ..outcome
    }
}

pub(crate) fn outcome(verdict: Verdict, reason: String) -> Outcome {
    Outcome {
        verdict,
        reason,
        found_by: None,
        got: None,
        difference: None,
        tries: Vec::new(),
    }
}
