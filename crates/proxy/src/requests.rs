//! The requests of one connection.

use std::sync::Arc;

use snowguard_fod::policy::Protocol;
use tokio::sync::watch;

use crate::build::{Held, judge};
use crate::case::{Case, NO_EVIDENCE, refusal};
use crate::connect::connect;
use crate::connection::{Buffered, NoHead, Reply};
use crate::evidence;
use crate::exchange::{Destination, exchange};
use crate::metrics::add;
use crate::serve::Shared;
use crate::upstream::Stream;
use crate::who::{At, Unknown, Who};
use crate::wire::head::{self, Asked, HeadError, Length, Target};

/// The requests of one connection.
pub(crate) async fn serve<C: Stream>(
    shared: &Arc<Shared>,
    mut client: Buffered<C>,
    at: &At,
    mut stopping: watch::Receiver<bool>,
) {
    let times = shared.settings.times;
    let mut server = None;
    let mut held: Option<Held> = None;
    let mut first = times.head;
    loop {
        let head = tokio::select! {
            head = client.head(first, times.head) => head,
            _ = stopping.changed() => return client.close().await,
        };
        first = times.next;
        let request = match head {
            Ok(bytes) => head::request(&bytes).map_err(|error| (error, head::asked(&bytes))),
            Err(NoHead::Wrong(error)) => Err((error, head::asked(client.pending()))),
            Err(NoHead::Slow) => {
                let text = "snowguard: the request does not come in time";
                say(shared, &mut client, 408, "slow-request", text, false).await;
                return client.close().await;
            }
            Err(NoHead::Gone | NoHead::Silent | NoHead::Cut) => return client.close().await,
        };
        let request = match request {
            Ok(request) => request,
            Err((error, asked)) => {
                return refuse(shared, &mut client, &shared.alone(at), asked, error).await;
            }
        };
        if shared.sink.has_failed() && !shared.is_lenient() {
            let text = format!("snowguard: {NO_EVIDENCE}");
            say(shared, &mut client, 503, "no-evidence", &text, false).await;
            return client.close().await;
        }
        let who = match shared.who(&request.headers, at).await {
            Ok(who) => who,
            Err(unknown) => {
                let keep = request.length == Length::None
                    && request.keeps_open()
                    && (client.pending().is_empty()
                        || !matches!(request.target, Target::Connect(_)));
                if unidentified(shared, &mut client, &request, &unknown, at, keep).await {
                    continue;
                }
                return client.close().await;
            }
        };
        if let Some(group) = &who.group
            && !held.as_ref().is_some_and(|held| held.is_of(group))
        {
            held = group.hold();
            if held.is_none() {
                add(&shared.metrics.turned_away, 1);
                let text = "snowguard: that build has too many connections";
                say(shared, &mut client, 503, "no-room", text, false).await;
                return client.close().await;
            }
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

pub(crate) async fn say<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    status: u16,
    reason: &str,
    text: &str,
    keep: bool,
) -> bool {
    let reply = Reply {
        status,
        text,
        reason,
        keep,
        head_only: false,
    };
    client
        .send(&reply.bytes(), shared.settings.times.idle)
        .await
        .is_ok()
        && keep
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

/// What a request asks for that no proxy carries.
fn asked_of(request: &head::Request) -> Option<Asked> {
    let (scheme, authority, path) = match &request.target {
        Target::Connect(authority) => ("https", Some(authority), ""),
        Target::Absolute(protocol, authority, path) => (protocol.as_str(), Some(authority), &**path),
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
    keep: bool,
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
    let keep = keep && !case.as_ref().is_some_and(|case| case.silent);
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
