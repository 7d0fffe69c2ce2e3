//! CONNECT: a tunnel that is looked at in its first bytes, or TLS that is taken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use snowguard_fod::policy::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use crate::build::over;
use crate::case::{Case, NO_EVIDENCE};
use crate::connection::{Buffered, NoHead, Reply};
use crate::evidence::Tls;
use crate::exchange::{Destination, Server, exchange, open};
use crate::requests::{asked_of, refuse as refuse_head};
use crate::serve::Shared;
use crate::settings::Mode;
use crate::upstream::{Fault, Stream};
use crate::who::Who;
use crate::wire::head::{self, Asked, Authority, HeadError, Request, Target};
use crate::wire::hello::{self, Hello};

/// How often it is looked whether a tunnel still moves.
const BEAT: Duration = Duration::from_secs(1);
/// So many bytes are carried at a time, in each direction.
const PIECE: usize = 32 << 10;

/// Answers CONNECT. What comes back is the client's connection, if it is still one on which requests come.
pub(crate) async fn connect<C: Stream>(
    shared: &Arc<Shared>,
    who: &Who,
    client: Buffered<C>,
    request: &Request,
    authority: &Authority,
    stopping: watch::Receiver<bool>,
) -> Option<Buffered<C>> {
    let to = Destination {
        protocol: Protocol::Https,
        authority: authority.clone(),
        path: "".into(),
    };
    let url = format!("https://{authority}");
    let mut case = Case::open(shared, who, "CONNECT", &to, &url);
    if case.is_denied() {
        return refuse(shared, client, request, case, 403).await;
    }
    match shared.settings.mode {
        Mode::Audit | Mode::Tunnel => {
            let lenient = shared.is_lenient();
            let connected = shared
                .upstream
                .connect(
                    &shared.settings,
                    &authority.host,
                    to.port(),
                    case.judgement.private,
                    lenient,
                    case.group.as_ref().map(|group| &group.lookups),
                )
                .await;
            match connected {
                Ok(connected) => {
                    case.record.address = Some(connected.address.to_string());
                    if let Some(denial) = &connected.denial
                        && case.record.verdict == "allowed"
                    {
                        case.deny(denial);
                    }
                    tunnel(shared, client, authority, connected.stream, case).await;
                    None
                }
                Err(fault) => {
                    case.fault(&fault);
                    refuse(shared, client, request, case, fault.status()).await
                }
            }
        }
        Mode::Inspect => match open(shared, &to, &mut case).await {
            Ok(server) => {
                inspect(shared, who, client, authority, Some(server), case, stopping).await;
                None
            }
            Err(fault) => {
                case.fault(&fault);
                refuse(shared, client, request, case, fault.status()).await
            }
        },
        Mode::Replay => {
            inspect(shared, who, client, authority, None, case, stopping).await;
            None
        }
    }
}

async fn refuse<C: Stream>(
    shared: &Shared,
    mut client: Buffered<C>,
    request: &Request,
    case: Case<'_>,
    status: u16,
) -> Option<Buffered<C>> {
    // Whoever did not wait for the answer has sent what is no request.
    let keep = request.keeps_open() && client.pending().is_empty() && !case.silent;
    let text = case.text();
    let reply = Reply {
        status,
        text: &text,
        reason: case.record.reason.as_deref().unwrap_or("failed"),
        keep,
        head_only: false,
    };
    let sent = client
        .send(&reply.bytes(), shared.settings.times.idle)
        .await;
    case.close().await;
    if sent.is_ok() && keep {
        return Some(client);
    }
    client.close().await;
    None
}

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Carries a tunnel, once its first bytes are those of TLS with the server that was asked for.
async fn tunnel<C: Stream>(
    shared: &Shared,
    mut client: Buffered<C>,
    authority: &Authority,
    mut server: tokio::net::TcpStream,
    mut case: Case<'_>,
) {
    let times = shared.settings.times;
    if client.send(ESTABLISHED, times.idle).await.is_err() {
        case.record.reason = Some("client-gone".to_owned());
        return case.close().await;
    }
    case.record.status = Some(200);
    let hello = match timeout(times.handshake, first(&mut client)).await {
        Ok(hello) => hello,
        Err(_) => Err("the client does not begin in time".to_owned()),
    };
    let wrong = match &hello {
        Ok(hello) => {
            case.record.tls = Some(Tls {
                server: hello.server.clone(),
                ..Tls::default()
            });
            disagreement(hello, authority)
        }
        Err(what) => Some(("not-tls", what.clone())),
    };
    if let Some((reason, detail)) = wrong
        && case.record.verdict == "allowed"
    {
        case.note_denial(reason, &detail);
    }
    if !case.is_denied() {
        case.begin().await;
    }
    if case.is_denied() {
        case.record.status = None;
        client.close().await;
        return case.close().await;
    }
    for build in &case.judgement.builds {
        build.tally().tunnels += 1;
    }
    carry(shared, &mut client, &mut server, &mut case).await;
    case.close().await;
}

/// The `ClientHello`, which stays in the buffer.
async fn first<C: Stream>(client: &mut Buffered<C>) -> Result<Hello, String> {
    loop {
        match hello::parse(client.pending()) {
            Ok(Some(hello)) => return Ok(hello),
            Ok(None) => {}
            Err(error) => return Err(error.to_string()),
        }
        match client.fill().await {
            Ok(1..) => {}
            _ => return Err("the client ends before it has begun".to_owned()),
        }
    }
}

/// Why the server that TLS names is not the one that was asked for.
fn disagreement(hello: &Hello, authority: &Authority) -> Option<(&'static str, String)> {
    if hello.hides {
        return Some((
            "hidden-name",
            "the name of the server is hidden (ECH)".to_owned(),
        ));
    }
    match &hello.server {
        Some(server) if server.strip_suffix('.').unwrap_or(server) == &*authority.host => None,
        Some(server) => Some((
            "other-name",
            format!("TLS asks for {server}, and CONNECT for {}", authority.host),
        )),
        None if authority.is_address() => None,
        None => Some((
            "no-name",
            "TLS does not say which server it asks for".to_owned(),
        )),
    }
}

/// Carries bytes in both directions until one end is done, nothing moves, or it is too much.
async fn carry<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    server: &mut tokio::net::TcpStream,
    case: &mut Case<'_>,
) {
    let group = case.group.clone();
    let (up, down) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut server_read, mut server_write) = server.split();
    let upwards = async {
        let mut buffer = vec![0; PIECE];
        while let Ok(read @ 1..) = client_read.read(&mut buffer).await {
            if server_write.write_all(&buffer[..read]).await.is_err() {
                break;
            }
            up.fetch_add(read as u64, Ordering::Relaxed);
        }
        let _ = server_write.shutdown().await;
    };
    let downwards = async {
        let mut buffer = vec![0; PIECE];
        while let Ok(read @ 1..) = server_read.read(&mut buffer).await {
            if client_write.write_all(&buffer[..read]).await.is_err() {
                break;
            }
            down.fetch_add(read as u64, Ordering::Relaxed);
        }
        let _ = client_write.shutdown().await;
    };
    let watch = async {
        let mut counted = (0, 0);
        let mut still = Duration::ZERO;
        loop {
            tokio::time::sleep(BEAT).await;
            let now = (up.load(Ordering::Relaxed), down.load(Ordering::Relaxed));
            still = if now == counted {
                still + BEAT
            } else {
                Duration::ZERO
            };
            if case.take(now.0 - counted.0, now.1 - counted.1).is_err() {
                return;
            }
            counted = now;
            if shared.sink.has_failed() && !shared.is_lenient() {
                case.note_denial("no-evidence", NO_EVIDENCE);
                return;
            }
            if still >= shared.settings.times.idle {
                case.record
                    .reason
                    .get_or_insert_with(|| "timeout".to_owned());
                return;
            }
        }
    };
    let is_over = tokio::select! {
        _ = async { tokio::join!(upwards, downwards) } => false,
        () = watch => false,
        () = over(group.as_ref()) => true,
    };
    if is_over {
        case.record.reason = Some("ended".to_owned());
    }
    // The rest, since the last look.
    let (sent, received) = (case.record.sent, case.record.received);
    let rest = (
        up.load(Ordering::Relaxed) - sent,
        down.load(Ordering::Relaxed) - received,
    );
    let _ = case.take(rest.0, rest.1);
}

/// Takes TLS off, and carries the requests that are in it.
async fn inspect<C: Stream>(
    shared: &Arc<Shared>,
    who: &Who,
    mut client: Buffered<C>,
    authority: &Authority,
    mut server: Option<Server>,
    mut case: Case<'_>,
    mut stopping: watch::Receiver<bool>,
) {
    let times = shared.settings.times;
    if client.send(ESTABLISHED, times.idle).await.is_err() {
        case.record.reason = Some("client-gone".to_owned());
        return case.close().await;
    }
    case.record.status = Some(200);
    let taken = timeout(times.handshake, take_off(shared, client, authority)).await;
    let taken = taken.unwrap_or_else(|_| Err(("timeout", Fault::Slow.to_string())));
    let mut inner = match taken {
        Ok(stream) => Buffered::new(stream),
        Err((reason, detail)) => {
            case.record.status = None;
            case.note_denial(reason, &detail);
            return case.close().await;
        }
    };
    case.close().await;
    loop {
        let head = tokio::select! {
            head = inner.head(times.next, times.head) => head,
            () = over(who.group.as_ref()) => return inner.close().await,
            _ = stopping.changed() => return inner.close().await,
        };
        let request = match head {
            Ok(bytes) => head::request(&bytes).map_err(|error| (error, head::asked(&bytes))),
            Err(NoHead::Wrong(error)) => Err((error, head::asked(inner.pending()))),
            Err(NoHead::Gone | NoHead::Silent | NoHead::Slow | NoHead::Cut) => {
                return inner.close().await;
            }
        };
        let request = match request {
            Ok(request) => request,
            Err((error, asked)) => {
                return refuse_head(shared, &mut inner, who, within(asked), error).await;
            }
        };
        let path = match &request.target {
            Target::Origin(path) => path.clone(),
            Target::Absolute(Protocol::Https, named, path) if named.is_same(authority, 443) => {
                path.clone()
            }
            Target::Absolute(..) | Target::Connect(_) => {
                let asked = within(asked_of(&request));
                return refuse_head(shared, &mut inner, who, asked, HeadError::OtherHost).await;
            }
        };
        // Another host in the same connection would go round the policy.
        let is_same = request
            .host
            .as_ref()
            .is_none_or(|host| host.is_same(authority, 443));
        if !is_same {
            let asked = within(asked_of(&request));
            return refuse_head(shared, &mut inner, who, asked, HeadError::OtherHost).await;
        }
        let to = Destination {
            protocol: Protocol::Https,
            authority: authority.clone(),
            path,
        };
        if !exchange(shared, who, &mut inner, &request, to, &mut server).await {
            return inner.close().await;
        }
    }
}

/// What is asked for in TLS.
fn within(asked: Option<Asked>) -> Option<Asked> {
    asked.map(|asked| Asked {
        scheme: "https",
        ..asked
    })
}

type Taken<C> = tokio_rustls::server::TlsStream<Buffered<C>>;

async fn take_off<C: Stream>(
    shared: &Shared,
    client: Buffered<C>,
    authority: &Authority,
) -> Result<Taken<C>, (&'static str, String)> {
    let failed = |error: std::io::Error| ("not-tls", format!("TLS with the client fails: {error}"));
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), client)
        .await
        .map_err(failed)?;
    let hello = Hello {
        server: start
            .client_hello()
            .server_name()
            .map(|name| name.to_ascii_lowercase().into()),
        hides: false,
    };
    if let Some(wrong) = disagreement(&hello, authority) {
        return Err(wrong);
    }
    let Some(ours) = &shared.authority else {
        return Err(("tls", "there is no authority".to_owned()));
    };
    let config = ours
        .server(&authority.host)
        .map_err(|error| ("tls", error.to_string()))?;
    start.into_stream(config).await.map_err(|error| {
        let detail = format!("the client does not take our certificate: {error}");
        ("client-distrusts", detail)
    })
}
