//! The server: connections with limits, requests with a number, a gate before the work, and an end that
//! lets what was begun be finished.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, IF_NONE_MATCH,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method as HttpMethod, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::app::App;
use crate::assets::assets;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::request::{Fields, MAX_TARGET, Method, Request, segments};
use crate::respond;

/// Where mail programs end what somebody gets, with one click.
const ONE_CLICK: &str = "/subscriptions/end";

/// Serves until `stop` is ready, then lets what was begun be finished.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: impl Future<Output = ()>) {
    let limits = app.settings().limits;
    let room = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(false);
    tokio::pin!(stop);
    loop {
        // What has no room waits in the system's queue.
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, connection) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (stream, peer) = match connection {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly: no file descriptors are left. Others must close theirs first.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let app = Arc::clone(&app);
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let _place = place;
            app.metrics().connections.fetch_add(1, Ordering::Relaxed);
            let serving = connection_of(&app, stream, peer);
            tokio::pin!(serving);
            tokio::select! {
                _ = serving.as_mut() => {}
                _ = stopped.changed() => {
                    serving.as_mut().graceful_shutdown();
                    let _ = serving.await;
                }
            }
            app.metrics().connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
    // Whoever asks over a connection that is still open learns that this one is about to go.
    app.stopping().store(true, Ordering::Relaxed);
    drop(listener);
    let _ = stopping.send(true);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain, room.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!("some requests were not finished in time");
    }
}

type Io = TokioIo<Patient>;
type Connection<S> = http1::Connection<Io, S>;

fn connection_of(
    app: &Arc<App>,
    stream: TcpStream,
    peer: SocketAddr,
) -> Connection<
    impl hyper::service::HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send>,
> {
    let limits = app.settings().limits;
    let _ = stream.set_nodelay(true);
    let app = Arc::clone(app);
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(answer(&app, request, peer.ip()).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(16 << 10)
        .max_headers(64)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.stall)), service)
}

/// Answers one request, whatever it is.
#[expect(
    clippy::disallowed_methods,
    reason = "it is measured how long requests take"
)]
async fn answer(
    app: &Arc<App>,
    request: hyper::Request<Incoming>,
    peer: IpAddr,
) -> Response<Full<Bytes>> {
    let start = Instant::now();
    let id = app.next_id();
    let head = request.method() == HttpMethod::HEAD;
    let known = header_of(request.headers().get(IF_NONE_MATCH));
    let method = request.method().clone();
    // Never the query: it may hold what was searched for, or a token.
    let path = request.uri().path().chars().take(200).collect::<String>();
    let is_api = path.starts_with("/api/");
    let peer = app.client_of(peer, request.headers());
    let (page, outcome) = work(app, request, peer, &id).await;
    let reply = match outcome {
        Ok(reply) => reply,
        Err(fault) => {
            if let Fault::Internal(error) = &fault {
                tracing::error!(request = id, error = %with_causes(error.as_ref()), "a request failed");
            }
            let page = if method == HttpMethod::GET {
                &path
            } else {
                "/"
            };
            respond::fault(app, &fault, &id, is_api, page)
        }
    };
    let reply = reply
        .tagged(known.as_deref())
        .finished(&id, app.settings().is_secure());
    let took = start.elapsed();
    app.metrics().count(page, reply.status.as_u16(), took);
    tracing::info!(
        request = id,
        method = %method,
        path = %snowguard_report::escape::line(&path),
        status = reply.status.as_u16(),
        ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if head {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    } else {
        *response.body_mut() = Full::new(reply.body.into());
    }
    response
}

/// Checks a request, reads its body, waits for its turn, and has it answered. The kind of page comes
/// with the answer.
async fn work(
    app: &Arc<App>,
    request: hyper::Request<Incoming>,
    peer: IpAddr,
    id: &str,
) -> (&'static str, Result<Reply, Fault>) {
    let (head, body) = request.into_parts();
    let method = match head.method {
        HttpMethod::GET | HttpMethod::HEAD => Method::Get,
        HttpMethod::POST => Method::Post,
        _ => return ("none", Err(Fault::Method)),
    };
    let path = head.uri.path();
    if let Some(file) = assets().at(path) {
        let gzip = header_of(head.headers.get(ACCEPT_ENCODING))
            .is_some_and(|accepted| accepted.contains("gzip"));
        return ("static", Ok(Reply::asset(file, gzip)));
    }
    if path == "/healthz" {
        return ("health", Ok(Reply::text("ok\n")));
    }
    let request = async {
        let host = header_of(head.headers.get(HOST)).unwrap_or_default();
        if !app.answers_to(&host) {
            return Err(Fault::Host);
        }
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        if target.len() > MAX_TARGET {
            return Err(Fault::TooLarge);
        }
        app.admit(method, path, peer)?;
        let form = match method {
            Method::Get => Fields::default(),
            Method::Post => {
                let limits = app.settings().limits;
                let form = form_of(&head.headers, body, limits.body_bytes, limits.body).await;
                match form {
                    // Mail programs may send it so (RFC 8058); the address says all that is needed.
                    Err(Fault::NoForm) if path == ONE_CLICK => Fields::default(),
                    form => form?,
                }
            }
        };
        Ok(Request {
            id: id.to_owned(),
            method,
            segments: segments(path)?,
            target: target.to_owned(),
            query: Fields::parse(head.uri.query().unwrap_or_default().as_bytes())?,
            form,
            headers: head.headers.clone(),
            peer,
        })
    };
    let request = match request.await {
        Ok(request) => request,
        Err(fault) => return ("none", Err(fault)),
    };
    let page = respond::name(&request);
    (page, behind_the_gate(app, request).await)
}

/// Has a request answered by a thread that may block, when it is its turn.
async fn behind_the_gate(app: &Arc<App>, request: Request) -> Result<Reply, Fault> {
    let limits = app.settings().limits;
    let metrics = app.metrics();
    let most = i64::try_from(limits.workers + limits.waiting).unwrap_or(i64::MAX);
    let _pending = Pending::of(&metrics.pending);
    if metrics.pending.load(Ordering::Relaxed) > most {
        metrics.refused.fetch_add(1, Ordering::Relaxed);
        return Err(Fault::Busy);
    }
    let turn = tokio::time::timeout(limits.patience, app.gate().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        metrics.refused.fetch_add(1, Ordering::Relaxed);
        return Err(Fault::Busy);
    };
    let app = Arc::clone(app);
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        respond::to(&app, &request)
    });
    work.await.map_err(Fault::internal)?
}

/// Counts a request for as long as it lives, even if its client goes.
struct Pending<'m>(&'m std::sync::atomic::AtomicI64);

impl<'m> Pending<'m> {
    fn of(count: &'m std::sync::atomic::AtomicI64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn form_of(
    headers: &hyper::HeaderMap,
    body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Fields, Fault> {
    let kind = header_of(headers.get(CONTENT_TYPE)).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let says = header_of(headers.get(CONTENT_LENGTH)).and_then(|length| length.parse().ok());
    if says.is_some_and(|length: usize| length > limit) {
        return Err(Fault::TooLarge);
    }
    let body = tokio::time::timeout(patience, Limited::new(body, limit).collect());
    let body = match body.await {
        Err(_) => return Err(Fault::Slow),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Fault::TooLarge);
        }
        Ok(Err(_)) => return Err(Fault::Malformed("the body breaks off".into())),
        Ok(Ok(body)) => body.to_bytes(),
    };
    // Anything else could be sent by a page elsewhere without the browser asking first.
    if kind != "application/x-www-form-urlencoded" {
        return Err(Fault::NoForm);
    }
    Ok(Fields::parse(&body)?)
}

fn header_of(value: Option<&HeaderValue>) -> Option<String> {
    Some(value?.to_str().ok()?.to_owned())
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl App {
    /// A number for a request, by which it is found in the log.
    fn next_id(&self) -> String {
        let count = self.counter().fetch_add(1, Ordering::Relaxed);
        format!("{}-{count}", self.instance())
    }

    /// Who asks: the peer, or whom a proxy of ours names.
    fn client_of(&self, peer: IpAddr, headers: &hyper::HeaderMap) -> IpAddr {
        if !self.settings().behind_proxy || !peer.is_loopback() {
            return peer;
        }
        // The last is what our own proxy added; those before are what it was told.
        let named = headers.get_all("x-forwarded-for").iter().next_back();
        let named = header_of(named).and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        named.unwrap_or(peer)
    }

    /// Whether an address may ask now.
    #[expect(clippy::disallowed_methods, reason = "rates are per second")]
    fn admit(&self, method: Method, path: &str, peer: IpAddr) -> Result<(), Fault> {
        let now = Instant::now();
        let peer = network_of(peer);
        let is_login = path.starts_with("/login/");
        let taken = if is_login {
            self.rates().login.take(&peer, now)
        } else if method == Method::Post {
            self.rates().writing.take(&peer, now)
        } else {
            self.rates().reading.take(&peer, now)
        };
        taken.map_err(Fault::TooMany)
    }
}

/// What is counted as one client: an address, and of IPv6 the network that one client has for itself.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

/// A stream whose other end must take what is sent: one that takes nothing for a while is gone.
struct Patient {
    stream: TcpStream,
    stall: Duration,
    /// Set while something waits to be taken.
    until: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream, stall: Duration) -> Self {
        Self {
            stream,
            stall,
            until: None,
        }
    }

    fn judged<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if outcome.is_ready() {
            self.until = None;
            return outcome;
        }
        let stall = self.stall;
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        match until.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(std::io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judged(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judged(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.judged(context, outcome)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
