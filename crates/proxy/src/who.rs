//! Whose a request is: by its token, by the listener, or by the process at the other end.

use std::net::SocketAddr;
use std::sync::Arc;

use data_encoding::BASE64;

use crate::attribute::{self, Process};
use crate::build::{Build, Group};
use crate::serve::{Shared, digest};
use crate::wire::head::Headers;

/// Whose a request is.
#[derive(Clone, Default)]
pub(crate) struct Who {
    pub(crate) group: Option<Arc<Group>>,
    /// Of the group, those that it may be of.
    pub(crate) builds: Vec<Arc<Build>>,
    pub(crate) how: &'static str,
    pub(crate) pid: Option<u32>,
}

/// Why a request is nobody's.
pub(crate) enum Unknown {
    /// A token that is not in force.
    Token,
    /// None, and no process tells.
    Nobody,
}

/// Where a connection came in.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) end: End,
}

/// What is known of the other end.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// Its address, and ours.
    Tcp(SocketAddr, SocketAddr),
    Pid(u32),
    Unknown,
}

impl Shared {
    /// Whose a request is.
    pub(crate) async fn who(self: &Arc<Self>, headers: &Headers, at: &At) -> Result<Who, Unknown> {
        let given = headers.all("proxy-authorization").count();
        let (group, how) = if given > 0 {
            let token = token(headers)
                .filter(|_| given == 1)
                .ok_or(Unknown::Token)?;
            let known = self.sessions().by_token.get(&digest(&token)).cloned();
            match known {
                Some(group) => (Some(group), "token"),
                // A token that is not known is a mistake or an attempt, also where nothing is denied.
                None => return Err(Unknown::Token),
            }
        } else if let Some(group) = &at.group {
            (Some(Arc::clone(group)), "listener")
        } else {
            (None, "nobody")
        };
        if let Some(group) = &group
            && group.builds.len() == 1
        {
            return Ok(Who {
                builds: group.builds.clone(),
                group: Some(Arc::clone(group)),
                how,
                pid: None,
            });
        }
        let process = self.process(at).await;
        let pid = process.as_ref().map(|process| process.pid);
        let groups = match &group {
            Some(group) => vec![Arc::clone(group)],
            None => self.sessions().by_token.values().cloned().collect(),
        };
        let narrowed = process.and_then(|process| of_process(&groups, &process));
        match (narrowed, group) {
            (Some((group, build)), _) => Ok(Who {
                builds: vec![build],
                group: Some(group),
                how: "process",
                pid,
            }),
            (None, Some(group)) => Ok(Who {
                builds: group.builds.clone(),
                group: Some(group),
                how,
                pid,
            }),
            (None, None) if self.is_lenient() => Ok(Who {
                how: "nobody",
                pid,
                ..Who::default()
            }),
            (None, None) => Err(Unknown::Nobody),
        }
    }

    /// The process at the other end, if there is a way to know.
    async fn process(self: &Arc<Self>, at: &At) -> Option<Process> {
        let _place = self.looks.acquire().await.ok()?;
        let shared = Arc::clone(self);
        let end = at.end;
        let look = move || {
            let settings = &shared.settings;
            match end {
                End::Pid(pid) => Some(attribute::of_pid(&settings.processes, pid)),
                End::Tcp(peer, local) => {
                    attribute::of_tcp(&settings.processes, &settings.peer_net, peer, local).ok()?
                }
                End::Unknown => None,
            }
        };
        tokio::task::spawn_blocking(look).await.ok()?
    }
}

/// The one build that a process works on. By the output, which is one derivation's; else by the name, where no two
/// have the same.
fn of_process(groups: &[Arc<Group>], process: &Process) -> Option<(Arc<Group>, Arc<Build>)> {
    let all = || {
        groups
            .iter()
            .flat_map(|group| group.builds.iter().map(move |build| (group, build)))
    };
    let only = |fits: &dyn Fn(&Build) -> bool| {
        let mut found = all().filter(|(_, build)| fits(build));
        let (group, build) = found.next()?;
        found
            .next()
            .is_none()
            .then(|| (Arc::clone(group), Arc::clone(build)))
    };
    let by_output = |build: &Build| {
        process
            .outputs
            .iter()
            .any(|output| **output == *build.fod.output)
    };
    let by_name = |build: &Build| process.names.iter().any(|name| **name == *build.fod.name);
    only(&by_output).or_else(|| only(&by_name))
}

/// The user of `Basic`.
fn token(headers: &Headers) -> Option<String> {
    let value = headers.text("proxy-authorization")?;
    let (scheme, rest) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = BASE64.decode(rest.trim().as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, _) = text.split_once(':').unwrap_or((&text, ""));
    Some(user.to_owned())
}
