//! The requests of one connection.

use std::sync::Arc;

use snowguard_fod::policy::Protocol;
use tokio::sync::watch;

use crate::build::Held;
use crate::case::NO_EVIDENCE;
use crate::connect::connect;
use crate::connection::{Buffered, NoHead, Reply};
use crate::evidence;
use crate::exchange::{Destination, exchange};
use crate::metrics::add;
use crate::serve::Shared;
use crate::upstream::Stream;
use crate::who::{At, Unknown, Who};
use crate::wire::head::{self, HeadError, Length, Target};

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
            Ok(bytes) => head::request(&bytes),
            Err(NoHead::Wrong(error)) => Err(error),
            Err(NoHead::Slow) => {
                let text = "snowguard: the request does not come in time";
                say(shared, &mut client, 408, "slow-request", text, false).await;
                return client.close().await;
            }
            Err(NoHead::Gone | NoHead::Silent | NoHead::Cut) => return client.close().await,
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return shared.refuse(&mut client, &Who::default(), error).await,
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
                if unidentified(shared, &mut client, &request, &unknown, keep).await {
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
                return shared.refuse(&mut client, &who, HeadError::Target).await;
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

/// Says that nobody knows whose a request is, and writes it down.
async fn unidentified<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &head::Request,
    unknown: &Unknown,
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
    let (protocol, authority) = match &request.target {
        Target::Connect(authority) => ("https", Some(authority)),
        Target::Absolute(protocol, authority, _) => (protocol.as_str(), Some(authority)),
        Target::Origin(_) => ("http", None),
    };
    let record = evidence::Request {
        attributed: "nobody",
        method: request.method.clone(),
        url: authority.map_or_else(String::new, |authority| format!("{protocol}://{authority}")),
        host: authority.map_or_else(Box::default, |authority| authority.host.clone()),
        port: authority
            .and_then(|authority| authority.port)
            .unwrap_or_default(),
        protocol: if protocol == "https" { "https" } else { "http" },
        verdict: "denied",
        reason: Some(reason.to_owned()),
        detail: Some(text.to_owned()),
        ..evidence::Request::default()
    };
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
    shared.sink.tell_of_nobody(record).await;
    sent.is_ok() && keep
}
