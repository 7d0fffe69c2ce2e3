//! The requests of one connection.

use std::sync::Arc;
use std::time::Duration;

use snowguard_fod::policy::Protocol;
use tokio::sync::watch;

use crate::build::{Group, Held, judge};
use crate::case::{Case, NO_EVIDENCE, refusal};
use crate::connect::connect;
use crate::connection::{Buffered, NoHead, Reply};
use crate::evidence;
use crate::exchange::{Destination, exchange};
use crate::metrics::add;
use crate::room::{Room, Stranger};
use crate::serve::Shared;
use crate::upstream::Stream;
use crate::who::{At, Unknown, Who};
use crate::wire::head::{self, Asked, HeadError, Length, Target};

/// Whose place a connection has.
pub(crate) enum Place {
    Build(Held),
    Stranger(Stranger),
}

impl Place {
    /// A place for a connection that came in there, if there is one.
    pub(crate) fn of(at: &At, room: &Arc<Room>) -> Option<Self> {
        match at.owner() {
            Some(group) => group.hold(room).map(Self::Build),
            None => room.of_stranger().map(Self::Stranger),
        }
    }

    /// Waits until its place is another's; for ever where it cannot become that.
    fn is_taken(&mut self) -> impl Future<Output = ()> + use<> {
        let told = match self {
            Self::Build(_) => None,
            Self::Stranger(stranger) => Some(stranger.rest()),
        };
        async move {
            match told {
                Some(told) => told.notified().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether it still has its place, which nobody else gets from now on.
    fn is_kept(&mut self) -> bool {
        match self {
            Self::Build(_) => true,
            Self::Stranger(stranger) => stranger.work(),
        }
    }

    fn is_of(&self, group: &Arc<Group>) -> bool {
        matches!(self, Self::Build(held) if held.is_of(group))
    }
}

/// The next request on a connection that is somebody's; none if it ends before. As long as that takes, nothing is done
/// for anybody, and its place may become another's.
async fn next<C: Stream>(
    shared: &Arc<Shared>,
    client: &mut Buffered<C>,
    at: &At,
    mut first: Duration,
) -> Option<(head::Request, Who)> {
    let times = shared.settings.times;
    loop {
        let read = match client.head(first, times.head).await {
            Ok(bytes) => head::request(&bytes).map_err(|error| (error, head::asked(&bytes))),
            Err(NoHead::Wrong(error)) => Err((error, head::asked(client.pending()))),
            Err(NoHead::Slow) => {
                let text = "snowguard: the request does not come in time";
                say(shared, client, 408, "slow-request", text).await;
                return None;
            }
            Err(NoHead::Gone | NoHead::Silent | NoHead::Cut) => return None,
        };
        first = times.next;
        let request = match read {
            Ok(request) => request,
            Err((error, asked)) => {
                refuse(shared, client, &shared.alone(at), asked, error).await;
                return None;
            }
        };
        if shared.sink.has_failed() && !shared.is_lenient() {
            let text = format!("snowguard: {NO_EVIDENCE}");
            say(shared, client, 503, "no-evidence", &text).await;
            return None;
        }
        match shared.who(&request.headers, at).await {
            Ok(who) => return Some((request, who)),
            Err(unknown) => {
                if !unidentified(shared, client, &request, &unknown, at).await {
                    return None;
                }
            }
        }
    }
}

/// The requests of one connection.
pub(crate) async fn serve<C: Stream>(
    shared: &Arc<Shared>,
    mut client: Buffered<C>,
    at: &At,
    room: &Room,
    mut place: Place,
    mut stopping: watch::Receiver<bool>,
) {
    let times = shared.settings.times;
    let mut server = None;
    let mut first = times.head;
    loop {
        let next = tokio::select! {
            next = next(shared, &mut client, at, first) => next,
            () = place.is_taken() => None,
            _ = stopping.changed() => None,
        };
        first = times.next;
        if !place.is_kept() {
            // Without a word: who does not read would keep it open.
            add(&shared.metrics.turned_away, 1);
            return client.close().await;
        }
        let Some((request, who)) = next else {
            return client.close().await;
        };
        if let Some(group) = &who.group
            && !place.is_of(group)
        {
            let Some(held) = group.hold(room) else {
                return turn_away(
                    shared,
                    client,
                    "there is no room for more connections of that build",
                )
                .await;
            };
            place = Place::Build(held);
        }
        let keep = match &request.target {
            Target::Connect(authority) => {
                match connect(shared, &who, client, &request, authority, stopping.clone()).await {
                    Some(again) => {
                        client = again;
                        true
                    }
                    None => return,
                }
            }
            Target::Absolute(Protocol::Http, authority, path) => {
                let to = Destination {
                    protocol: Protocol::Http,
                    authority: authority.clone(),
                    path: path.clone(),
                };
                exchange(shared, &who, &mut client, &request, to, &mut server).await
            }
            // A proxy that speaks TLS for others would not let them see with whom.
            Target::Absolute(Protocol::Https, ..) | Target::Origin(_) => {
                let asked = asked_of(&request);
                return refuse(shared, &mut client, &who, asked, HeadError::Target).await;
            }
        };
        if !keep {
            return client.close().await;
        }
    }
}

/// Says that there is no room, and ends a connection.
pub(crate) async fn turn_away<C: Stream>(shared: &Shared, mut client: Buffered<C>, why: &str) {
    add(&shared.metrics.turned_away, 1);
    let text = format!("snowguard: {why}");
    say(shared, &mut client, 503, "no-room", &text).await;
    client.close().await;
}

async fn say<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    status: u16,
    reason: &str,
    text: &str,
) {
    let reply = Reply {
        status,
        text,
        reason,
        keep: false,
        head_only: false,
    };
    // Who is gone is told nothing.
    let _ = client
        .send(&reply.bytes(), shared.settings.times.idle)
        .await;
}

/// Says that a head is refused, and writes it down.
pub(crate) async fn refuse<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    who: &Who,
    asked: Option<Asked>,
    error: HeadError,
) {
    // Before it is answered: a build that ends then has not ended before this was counted on it.
    let case = is_somebodys(who).then(|| Case::refused(shared, who, asked.as_ref(), error));
    let text = format!("snowguard: refused: {error}");
    let reply = Reply {
        status: error.status(),
        text: &text,
        reason: "malformed-request",
        keep: false,
        head_only: false,
    };
    let _ = client
        .send(&reply.bytes(), shared.settings.times.idle)
        .await;
    client.close().await;
    match case {
        Some(case) => case.close().await,
        None => {
            add(&shared.metrics.refused, 1);
            let record = evidence::Request {
                session: who.group.as_ref().map(|group| group.id),
                attributed: who.how,
                pid: who.pid,
                ..refusal(asked.as_ref(), error)
            };
            shared.sink.tell_of_nobody(record).await;
        }
    }
}

/// Whether there is a build on which a request can be counted.
fn is_somebodys(who: &Who) -> bool {
    who.group.is_some() && !who.builds.is_empty()
}

/// What a request is to the build that alone could have made it without saying so: a denial, where its policy does not
/// allow that; nothing where it does, since tools send a token only when they are asked for one.
fn blamed<'s>(shared: &'s Shared, who: &Who, request: &head::Request) -> Option<Case<'s>> {
    let (protocol, authority, path) = match &request.target {
        _ if !is_somebodys(who) => return None,
        Target::Connect(authority) => (Protocol::Https, authority, ""),
        Target::Absolute(Protocol::Http, authority, path) => (Protocol::Http, authority, &**path),
        Target::Absolute(Protocol::Https, ..) | Target::Origin(_) => {
            let asked = asked_of(request);
            return Some(Case::refused(
                shared,
                who,
                asked.as_ref(),
                HeadError::Target,
            ));
        }
    };
    let to = Destination {
        protocol,
        authority: authority.clone(),
        path: path.into(),
    };
    judge(&who.builds, &to.wanted(), shared.is_lenient()).denial?;
    Some(Case::open(shared, who, &request.method, &to, &to.url()))
}

/// What a request asks for that is refused.
pub(crate) fn asked_of(request: &head::Request) -> Option<Asked> {
    let (scheme, authority, path) = match &request.target {
        Target::Connect(authority) => ("https", Some(authority), ""),
        Target::Absolute(protocol, authority, path) => {
            (protocol.as_str(), Some(authority), &**path)
        }
        Target::Origin(path) => ("http", request.host.as_ref(), &**path),
    };
    Some(Asked {
        method: request.method.clone(),
        scheme,
        authority: authority?.clone(),
        path: path.into(),
    })
}

/// Says that nobody knows whose a request is, and writes it down.
async fn unidentified<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &head::Request,
    unknown: &Unknown,
    at: &At,
) -> bool {
    add(&shared.metrics.nobody, 1);
    let (reason, text) = match unknown {
        Unknown::Token => (
            "unknown-token",
            "the token of the proxy's address is not in force",
        ),
        Unknown::Nobody => ("unattributed", "it is not known whose request that is"),
    };
    let hint =
        "http://TOKEN:x@HOST:PORT in http_proxy and https_proxy tells, with a token of this proxy";
    let full = format!("snowguard: denied: {text}\nhint: {hint}");
    let case = blamed(shared, &shared.alone(at), request);
    let keep = request.length == Length::None
        && request.keeps_open()
        && (client.pending().is_empty() || !matches!(request.target, Target::Connect(_)))
        && !case.as_ref().is_some_and(|case| case.silent);
    let reply = Reply {
        status: 407,
        text: &full,
        reason,
        keep,
        head_only: &*request.method == "HEAD",
    };
    let sent = client
        .send(&reply.bytes(), shared.settings.times.idle)
        .await;
    match case {
        Some(case) => case.close().await,
        None => {
            let record = of_nobody(request, reason, text);
            shared.sink.tell_of_nobody(record).await;
        }
    }
    sent.is_ok() && keep
}

/// What is written down of a request that is nobody's.
fn of_nobody(request: &head::Request, reason: &str, text: &str) -> evidence::Request {
    let (protocol, authority) = match &request.target {
        Target::Connect(authority) => (Protocol::Https, Some(authority)),
        Target::Absolute(protocol, authority, _) => (*protocol, Some(authority)),
        Target::Origin(_) => (Protocol::Http, None),
    };
    evidence::Request {
        attributed: "nobody",
        method: request.method.clone(),
        url: authority.map_or_else(String::new, |authority| format!("{protocol}://{authority}")),
        host: authority.map_or_else(Box::default, |authority| authority.host.clone()),
        port: authority
            .and_then(|authority| authority.port)
            .unwrap_or_default(),
        protocol: protocol.as_str(),
        verdict: "denied",
        reason: Some(reason.to_owned()),
        detail: Some(text.to_owned()),
        ..evidence::Request::default()
    }
}
