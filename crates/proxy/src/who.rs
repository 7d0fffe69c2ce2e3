//! Whose a request is: by its token, by the listener, or by the process at the other end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::attribute::{self, Process};
use crate::build::{Build, Group};
use crate::listener::NearEnd;
use crate::serve::{Shared, digest};
use crate::wire::head::Headers;

/// So long is looked for a process: where many ask, who is not found in time is nobody.
const LOOK: Duration = Duration::from_secs(5);

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
pub(crate) struct At {
    near: NearEnd,
    end: End,
    /// The process at the other end, once it was looked for: a look goes through all of them, and is not repeated.
    process: OnceCell<Option<Process>>,
}

impl At {
    pub(crate) fn new(near: NearEnd, end: End) -> Self {
        Self {
            near,
            end,
            process: OnceCell::new(),
        }
    }

    /// Whose every connection is that comes in here.
    pub(crate) fn owner(&self) -> Option<&Arc<Group>> {
        self.near.group.as_ref()
    }
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
    /// Whose a request is that does not say so, where only one could have made it: for blame, and for nothing else.
    pub(crate) fn alone(&self, at: &At) -> Who {
        let (group, how) = match at.owner() {
            Some(group) => (Some(Arc::clone(group)), "listener"),
            // What is fetched elsewhere meanwhile is not in that network.
            None if at.near.is_inherited => (self.sessions().alone(), "network"),
            None => (self.sessions().only(), "network"),
        };
        match group {
            Some(group) => Who {
                builds: group.builds.clone(),
                group: Some(group),
                how,
                pid: None,
            },
            None => Who {
                how: "nobody",
                ..Who::default()
            },
        }
    }

    /// Whose a request is.
    pub(crate) async fn who(self: &Arc<Self>, headers: &Headers, at: &At) -> Result<Who, Unknown> {
        let given = headers.all("proxy-authorization").count();
        let (group, how) = if given > 0 {
            let token = token(headers)
                .filter(|_| given == 1)
                .ok_or(Unknown::Token)?;
            let known = self.sessions().by_token.get(&digest(&token)).cloned();
            match known {
                // At a listener for some builds, the token of others has no business.
                Some(group) if at.owner().is_none_or(|own| Arc::ptr_eq(own, &group)) => {
                    (Some(group), "token")
                }
                // A token that is not known is a mistake or an attempt, also where nothing is denied.
                _ => return Err(Unknown::Token),
            }
        } else if let Some(group) = at.owner() {
            // No network keeps others from what is no build; it carries anything, and is not for them.
            if group.name.is_some() {
                return Err(Unknown::Nobody);
            }
            (Some(Arc::clone(group)), "listener")
        } else if let Some(group) = self.sessions().alone().filter(|_| self.is_lenient()) {
            (Some(group), "network")
        } else {
            (None, "nobody")
        };
        if let Some(group) = &group
            && group.builds.len() < 2
        {
            return Ok(Who {
                builds: group.builds.clone(),
                group: Some(Arc::clone(group)),
                how,
                pid: None,
            });
        }
        let (groups, count) = {
            let sessions = self.sessions();
            let groups = match &group {
                Some(group) => vec![Arc::clone(group)],
                None => sessions.by_process(self.is_lenient()),
            };
            (groups, sessions.builds())
        };
        // An audit writes down who it was also if that is nobody.
        if groups.is_empty() && !self.is_lenient() {
            return Err(Unknown::Nobody);
        }
        let process = at.process.get_or_init(|| self.process(at.end)).await;
        let pid = process.as_ref().map(|process| process.pid);
        let told = match process {
            // A process says what its builder wants: where that could be another build, it is not enough.
            Some(process) => match of_root(&groups, process) {
                Told::Nothing if count == 1 || self.is_lenient() => of_process(&groups, process),
                told => told,
            },
            None => Told::Nothing,
        };
        match (told, group) {
            (Told::One(group, build), _) => Ok(Who {
                builds: vec![build],
                group: Some(group),
                how: "process",
                pid,
            }),
            (Told::Contradiction, _) if !self.is_lenient() => Err(Unknown::Nobody),
            (_, Some(group)) => Ok(Who {
                builds: group.builds.clone(),
                group: Some(group),
                how,
                pid,
            }),
            (_, None) if self.is_lenient() => Ok(Who {
                how: "nobody",
                pid,
                ..Who::default()
            }),
            (_, None) => Err(Unknown::Nobody),
        }
    }

    /// The process at the other end, if there is a way to know.
    async fn process(self: &Arc<Self>, end: End) -> Option<Process> {
        let work = async {
            let place = Arc::clone(&self.looks).acquire_owned().await.ok()?;
            let shared = Arc::clone(self);
            let look = move || {
                let _place = place;
                let settings = &shared.settings;
                match end {
                    End::Pid(pid) => Some(attribute::of_pid(&settings.processes, pid)),
                    End::Tcp(peer, local) => {
                        attribute::of_tcp(&settings.processes, &settings.peer_net, peer, local)
                            .ok()?
                    }
                    End::Unknown => None,
                }
            };
            tokio::task::spawn_blocking(look).await.ok()?
        };
        timeout(LOOK, work).await.ok()?
    }
}

/// What a process tells.
enum Told {
    /// Of which build it is.
    One(Arc<Group>, Arc<Build>),
    /// Nothing that fits one build.
    Nothing,
    /// Of two, or of one that is not known: somebody made it say so.
    Contradiction,
}

/// The build in whose sandbox a process is, which no builder chooses. One in another sandbox is of none of these.
fn of_root(groups: &[Arc<Group>], process: &Process) -> Told {
    let Some(root) = process.root else {
        return Told::Nothing;
    };
    let is_its = |build: &Build| {
        let roots = attribute::roots(&build.drv);
        roots
            .iter()
            .any(|path| attribute::place(path) == Some(root))
    };
    let mut found = groups.iter().flat_map(|group| {
        let builds = group.builds.iter().filter(|build| is_its(build));
        builds.map(move |build| (group, build))
    });
    match (found.next(), found.next()) {
        (Some((group, build)), None) => Told::One(Arc::clone(group), Arc::clone(build)),
        // One derivation that is announced twice.
        (Some(_), Some(_)) => Told::Nothing,
        (None, _) => Told::Contradiction,
    }
}

/// The one build that a process works on: by the output, which is one derivation's; where nobody has one, by the name,
/// if no two builds have the same. All that it and those that started it say has to agree.
fn of_process(groups: &[Arc<Group>], process: &Process) -> Told {
    let agree = |all: &[String]| all.windows(2).all(|pair| pair[0] == pair[1]);
    if !agree(&process.outputs) || !agree(&process.names) {
        return Told::Contradiction;
    }
    let (output, name) = (process.outputs.first(), process.names.first());
    let fits = |said: Option<&String>, is: &str| said.is_none_or(|said| said == is);
    let mut found = groups.iter().flat_map(|group| {
        let builds = group
            .builds
            .iter()
            .filter(|build| fits(output, &build.fod.output) && fits(name, &build.fod.name));
        builds.map(move |build| (group, build))
    });
    match (found.next(), found.next()) {
        _ if output.is_none() && name.is_none() => Told::Nothing,
        (Some((group, build)), None) => Told::One(Arc::clone(group), Arc::clone(build)),
        (None, _) => Told::Contradiction,
        // One derivation that is announced twice, or two of one name.
        (Some(_), Some(_)) => Told::Nothing,
    }
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
