//! Package sets as channels publish them: a folder with `git-revision` and `packages.json.br`, or a list
//! of heads as a Prometheus server answers it. Also the look at a checkout, which is published to this
//! machine only.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Deserialize;
use snowguard_db::Database;
use snowguard_db::evaluations::{Channel, Evaluations as _, Outcome, Poll, Shrinking};
use snowguard_http::{Address, Client, Conditions, Download, Event, Expected, Get, Page};
use snowguard_sources::Options;
use snowguard_sources::packages::Derivations;

use super::{
    Evaluator, IngestError, Progress, Revision, Source, Step, is_known, of_checkout, read_file,
    take,
};

/// Looks at what channels publish.
#[derive(Debug)]
pub struct Poller<'p> {
    /// Where heads are held.
    pub db: &'p Database,
    /// What fetches.
    pub client: &'p Client,
    /// How package sets are read.
    pub options: &'p Options,
    /// Where what is fetched is put meanwhile. What broke off there goes on from where it was.
    pub spool: &'p Utf8Path,
    /// Whether a package set is taken that lacks many attributes of the head. Then what is known of the
    /// last look is passed over.
    pub shrinking: Shrinking,
    /// What evaluates checkouts; without it, channels that have one as their source are not looked at.
    pub evaluator: Option<&'p Evaluator>,
}

/// What came of looking at a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// Its head is what it was the last time.
    Unchanged,
    /// Its head was fetched; what became of it.
    Fetched(Outcome),
}

/// What was seen of a channel.
struct Seen {
    polled: Polled,
    /// What named the head; nothing if the server says that it is as it was.
    page: Option<Page>,
}

/// What is known of a head from the last look.
fn conditions(poll: Option<&Poll>) -> Conditions {
    Conditions {
        etag: poll.and_then(|poll| poll.etag.clone()),
        last_modified: poll.and_then(|poll| poll.last_modified.clone()),
    }
}

/// How large the name of a revision may be.
const REVISION: u64 = 1_000;
/// How large a published package set may be, packed.
const PACKAGES: u64 = 1 << 30;
/// How large a list of channels may be.
const LIST: u64 = 4 << 20;
/// How often a package set is fetched again that changed meanwhile.
const TRIES: usize = 3;
/// What a package set is called in a release folder, in the order in which it is looked for.
const NAMES: [&str; 2] = ["packages.json.br", "packages.json"];

impl Poller<'_> {
    /// Looks whether the source of a channel has a new head, and takes it. How it went is noted with the channel; after
    /// a failure the head is what it was, and the next look asks for everything again.
    pub fn poll(
        &self,
        channel: &Channel,
        now: Timestamp,
        progress: Progress<'_>,
    ) -> Result<Polled, IngestError> {
        let before = channel.poll.as_ref();
        let known = match self.shrinking {
            Shrinking::Refused => conditions(before),
            Shrinking::Taken => Conditions::default(),
        };
        let looked = self.look(channel, &known, now, progress);
        let (trouble, conditions) = match &looked {
            Ok(Seen {
                polled,
                page: Some(page),
            }) => (refusal(polled), page.conditions.clone()),
            // What was refused before is still there.
            Ok(Seen { page: None, .. }) => (before.and_then(|poll| poll.trouble.clone()), known),
            Err(error) => (Some(error.in_one_line()), conditions(before)),
        };
        let poll = Poll {
            at: now,
            trouble,
            etag: conditions.etag,
            last_modified: conditions.last_modified,
        };
        self.db
            .write(|session| session.note_poll(channel.id, &poll))?;
        looked.map(|seen| seen.polled)
    }

    fn look(
        &self,
        channel: &Channel,
        known: &Conditions,
        now: Timestamp,
        progress: Progress<'_>,
    ) -> Result<Seen, IngestError> {
        let source = channel.source.as_deref().map(Source::parse).transpose()?;
        let none = || IngestError::NoSource {
            name: channel.name.clone(),
        };
        let folder = match source.ok_or_else(none)? {
            Source::Release(folder) => folder,
            Source::Checkout(path) => {
                let evaluator = self.evaluator.ok_or_else(none)?;
                return self.look_at_checkout(channel, evaluator, &path, now, progress);
            }
        };
        let Some(mut page) = self.head(&folder, Some(known))? else {
            return Ok(Seen {
                polled: Polled::Unchanged,
                page: None,
            });
        };
        for _ in 0..TRIES {
            let revision = revision(&page, &folder, now)?;
            if is_known(self.db, channel, &revision)? {
                return Ok(Seen {
                    polled: Polled::Unchanged,
                    page: Some(page),
                });
            }
            let file = self.room_for(channel, &revision)?;
            self.packages(&folder, &file, progress)?;
            // What was fetched belongs to that revision only if that is still the head.
            let after = self.head(&folder, None)?.unwrap_or_default();
            if after.body != page.body {
                remove(&file)?;
                page = after;
                continue;
            }
            let read = read_file(&file, Derivations::default(), self.options, progress);
            remove(&file)?;
            let outcome = take(
                self.db,
                channel,
                &revision,
                now,
                self.shrinking,
                read?,
                progress,
            )?;
            return Ok(Seen {
                polled: Polled::Fetched(outcome),
                page: Some(page),
            });
        }
        Err(IngestError::Moved {
            address: folder.to_string(),
        })
    }

    /// Evaluates a checkout that is at a revision which the channel does not have.
    fn look_at_checkout(
        &self,
        channel: &Channel,
        evaluator: &Evaluator,
        path: &Utf8Path,
        now: Timestamp,
        progress: Progress<'_>,
    ) -> Result<Seen, IngestError> {
        let revision = of_checkout(path, now)?;
        let polled = if is_known(self.db, channel, &revision)? {
            Polled::Unchanged
        } else {
            // Where nix-eval-jobs has left derivations, they say what sources and patches are.
            let derivations = Derivations {
                inputs: Vec::new(),
                live: true,
            };
            let stop = self.client.interrupted();
            let read = evaluator.evaluate(path, derivations, self.options, stop, progress)?;
            // Whoever changed the checkout meanwhile has changed what was evaluated.
            if of_checkout(path, now)? != revision {
                return Err(IngestError::Moved {
                    address: path.to_string(),
                });
            }
            let shrinking = self.shrinking;
            let outcome = take(self.db, channel, &revision, now, shrinking, read, progress)?;
            Polled::Fetched(outcome)
        };
        Ok(Seen {
            polled,
            page: Some(Page::default()),
        })
    }

    /// Where the package set of a revision goes. What is left there of others is removed.
    fn room_for(&self, channel: &Channel, revision: &Revision) -> Result<Utf8PathBuf, IngestError> {
        let whose = format!("channel-{}-", channel.id);
        let name = format!("{whose}{}.packages", revision.as_str());
        let cannot = |source| IngestError::File {
            what: "read",
            path: self.spool.to_string(),
            source,
        };
        for entry in self.spool.read_dir_utf8().map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            if entry.file_name().starts_with(&whose) && !entry.file_name().starts_with(&name) {
                remove(&entry.into_path())?;
            }
        }
        Ok(self.spool.join(name))
    }

    /// Which revision is the head; nothing if that is as it was.
    fn head(
        &self,
        folder: &Address,
        known: Option<&Conditions>,
    ) -> Result<Option<Page>, IngestError> {
        let address = folder.below(&["git-revision"]);
        let get = Get {
            address: &address,
            limit: REVISION,
            conditions: known,
            headers: &[],
        };
        Ok(self.client.get(&get)?)
    }

    fn packages(
        &self,
        folder: &Address,
        file: &Utf8Path,
        progress: Progress<'_>,
    ) -> Result<(), IngestError> {
        let mut missing = None;
        for name in NAMES {
            let address = folder.below(&[name]);
            let download = Download {
                address: &address,
                to: file,
                conditions: None,
                headers: &[],
                expected: Expected {
                    length: None,
                    sha256: None,
                    limit: PACKAGES,
                },
            };
            let done = self.client.download(&download, &mut |event| match event {
                Event::Here { length, of } => progress(Step::Fetching { here: length, of }),
                Event::Again { error, .. } => progress(Step::Again { error }),
            });
            match done {
                Ok(_) => return Ok(()),
                Err(error) if error.is_missing() => missing = missing.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        // Of several that are not there, the first is the one that should be.
        Err(missing.map_or_else(
            || IngestError::Moved {
                address: folder.to_string(),
            },
            Into::into,
        ))
    }
}

/// The head of a channel in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The channel's name.
    pub channel: String,
    /// Its revision.
    pub revision: String,
    /// `rolling`, `stable`, `deprecated`, `unmaintained` and what else the server says.
    pub status: Option<String>,
    /// `primary`, `small`, `darwin` and what else the server says.
    pub variant: Option<String>,
}

/// Fetches a list of channels from a Prometheus server: the answer to the query `channel_revision`, as
/// that of NixOS' infrastructure gives it.
pub fn heads_of_prometheus(client: &Client, address: &Address) -> Result<Vec<Head>, IngestError> {
    let get = Get {
        address,
        limit: LIST,
        conditions: None,
        headers: &[],
    };
    let page = client.get(&get)?.unwrap_or_default();
    read_heads(&page.body).map_err(IngestError::List)
}

/// Reads the answer to an instant query (Prometheus' HTTP API, `/api/v1/query`, a vector). What has no
/// channel or no revision is no head, and what is marked as not current is not the newest one.
fn read_heads(json: &[u8]) -> Result<Vec<Head>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        result: Vec<Sample>,
    }
    #[derive(Deserialize)]
    struct Sample {
        metric: Metric,
    }
    #[derive(Deserialize)]
    struct Metric {
        channel: Option<String>,
        revision: Option<String>,
        status: Option<String>,
        variant: Option<String>,
        current: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(json)?;
    let heads = answer.data.result.into_iter().filter_map(|sample| {
        let metric = sample.metric;
        let channel = metric.channel?;
        super::check_name(&channel).ok()?;
        let is_current = metric.current.is_none_or(|current| current == "1");
        is_current.then_some(Head {
            channel,
            revision: metric.revision?,
            status: metric.status,
            variant: metric.variant,
        })
    });
    Ok(heads.collect())
}

/// The revision that a head names. It is as old as its publication, where the server says that.
fn revision(page: &Page, folder: &Address, now: Timestamp) -> Result<Revision, IngestError> {
    let text = String::from_utf8_lossy(&page.body);
    let modified = page.conditions.last_modified.as_deref();
    let modified = modified.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let made_at = modified.map_or(now, |modified| modified.timestamp().min(now));
    let what = folder.below(&["git-revision"]).to_string();
    Revision::new(&text, made_at, &what)
}

/// Why what was fetched was not taken, if it was not.
pub(crate) fn refusal(polled: &Polled) -> Option<String> {
    match polled {
        Polled::Fetched(Outcome::Shrunk { head, missing }) => Some(format!(
            "the package set lacks {missing} of {head} attributes, and was not taken"
        )),
        Polled::Fetched(Outcome::Older { .. }) => {
            Some("the package set is older than the head, and was not taken".to_owned())
        }
        Polled::Fetched(Outcome::Empty) => Some("the package set holds nothing".to_owned()),
        _ => None,
    }
}

fn remove(file: &Utf8PathBuf) -> Result<(), IngestError> {
    match std::fs::remove_file(file) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(IngestError::File {
            what: "remove",
            path: file.to_string(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_a_list() {
        let json = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"channel_revision","channel":"nixos-26.05","current":"1","revision":"0123abc","status":"stable","variant":"primary"},"value":[1,"1"]},
            {"metric":{"channel":"nixos-25.05","current":"0","revision":"0123abd"},"value":[1,"1"]},
            {"metric":{"channel":"../x","revision":"0123abd"}},
            {"metric":{"channel":"nixos-unstable","revision":"0123abe"}},
            {"metric":{"instance":"x"}}]}}"#;
        let heads = read_heads(json).unwrap();
        let told: Vec<_> = heads
            .iter()
            .map(|head| format!("{} {} {:?}", head.channel, head.revision, head.status))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        nixos-26.05 0123abc Some("stable")
        nixos-unstable 0123abe None
        "#);
        assert!(read_heads(b"<html>").is_err());
        assert!(read_heads(br#"{"status":"error"}"#).is_err());
    }
}
