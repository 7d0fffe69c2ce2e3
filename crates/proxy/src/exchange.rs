//! Requests and answers that the proxy sees: plain HTTP, and TLS that it has taken off.

use sha2::{Digest as _, Sha256};
use snowguard_fod::policy::{Protocol, Wanted};
use snowguard_store::hash::Notation;
use snowguard_store::{Hash, HashAlgo, Hasher};
use tokio::io::AsyncWriteExt as _;

use crate::build::over;
use crate::case::{Case, digest};
use crate::connection::{Buffered, NoBody, NoHead, Reply, Watch};
use crate::evidence::{Body, Tls, shown};
use crate::record::{KEPT, Kept, Take, is_kept_status, keys};
use crate::replay::replay;
use crate::serve::Shared;
use crate::upstream::{Fault, Stream};
use crate::who::Who;
use crate::wire::head::{Authority, Length, Request, Response};

/// A connection to a server that may be used again.
pub(crate) struct Server {
    pub(crate) stream: Buffered<Box<dyn Stream>>,
    pub(crate) protocol: Protocol,
    pub(crate) authority: Authority,
    pub(crate) address: String,
    /// Whether that is not an address of the public network.
    pub(crate) private: bool,
    pub(crate) tls: Option<Tls>,
}

impl Server {
    /// Whether a request may go this way as well: judged like the one that it was made for.
    fn fits(&self, to: &Destination, case: &Case<'_>) -> bool {
        self.protocol == to.protocol
            && self.authority == to.authority
            && (!self.private || case.judgement.private)
    }
}

/// Where a request goes.
pub(crate) struct Destination {
    pub(crate) protocol: Protocol,
    /// With its port.
    pub(crate) authority: Authority,
    pub(crate) path: Box<str>,
}

impl Destination {
    pub(crate) fn port(&self) -> u16 {
        self.authority.port.unwrap_or(self.protocol.port())
    }

    pub(crate) fn url(&self) -> String {
        let port = Some(self.port()).filter(|port| *port != self.protocol.port());
        let authority = Authority {
            host: self.authority.host.clone(),
            port,
        };
        format!("{}://{authority}{}", self.protocol, self.path)
    }

    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            protocol: self.protocol,
            host: &self.authority.host,
            port: self.port(),
        }
    }
}

/// Hashes what passes, counts it, and records it.
struct Passing<'c, 's> {
    case: &'c mut Case<'s>,
    upwards: bool,
    sha256: Option<Sha256>,
    others: Vec<Hasher>,
    take: Option<Take>,
    bytes: u64,
}

impl Watch for Passing<'_, '_> {
    async fn piece(&mut self, bytes: &[u8]) -> Result<(), NoBody> {
        let count = bytes.len() as u64;
        self.bytes += count;
        if self.upwards {
            self.case.take(count, 0)?;
        } else {
            self.case.take(0, count)?;
        }
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
        for hash in &mut self.others {
            hash.update(bytes);
        }
        if let Some(take) = &mut self.take
            && take.file.write_all(bytes).await.is_err()
        {
            // What cannot be kept whole is not kept; the fetch goes on.
            tracing::warn!("a body cannot be recorded");
            self.take = None;
        }
        Ok(())
    }
}

/// Carries one request and its answer. Whether the client's connection can be used again.
pub(crate) async fn exchange<C: Stream>(
    shared: &Shared,
    who: &Who,
    client: &mut Buffered<C>,
    request: &Request,
    to: Destination,
    server: &mut Option<Server>,
) -> bool {
    let url = to.url();
    let mut case = Case::open(shared, who, &request.method, &to, &url);
    let keep = tokio::select! {
        keep = carry(shared, client, request, &to, &url, server, &mut case) => Some(keep),
        () = over(who.group.as_ref()) => None,
    };
    if keep.is_none() {
        case.record.reason = Some("ended".to_owned());
    }
    let keep = keep.unwrap_or(false);
    if !keep {
        *server = None;
    }
    case.close().await;
    keep
}

async fn carry<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &Request,
    to: &Destination,
    url: &str,
    server: &mut Option<Server>,
    case: &mut Case<'_>,
) -> bool {
    if case.is_denied() {
        return say(shared, client, request, case, 403).await;
    }
    let mut hash = None;
    if let Some(player) = &shared.player {
        return replay(shared, client, request, url, player, case).await;
    }
    let response = match ask(shared, client, request, to, server, case, &mut hash).await {
        Ok(response) => response,
        Err(Some(fault)) => {
            case.fault(&fault);
            *server = None;
            return say(shared, client, request, case, fault.status()).await;
        }
        // Who asked is gone.
        Err(None) => return false,
    };
    case.record.status = Some(response.status);
    let location = response
        .headers
        .text("location")
        .filter(|_| (300..400).contains(&response.status));
    let absolute = location.map(|location| resolve(to, location));
    if let Some(absolute) = &absolute {
        case.record.redirect = Some(shown(absolute, &[]));
        if let Some(group) = &case.group {
            group.redirected(digest(url), digest(absolute));
        }
    }
    let Some(known) = server else { return false };
    let keep = answer(shared, client, request, url, &response, known, case, hash).await;
    // What came beyond an answer, or may come, would be the answer to what is asked next.
    let is_ended = if has_body(request, &response) {
        response.length != Length::UntilClose
    } else {
        announces_nothing(&response)
    };
    let is_kept = response.is_1_1
        && is_ended
        && known.stream.pending().is_empty()
        && !response.headers.has_item("connection", "close");
    if !is_kept {
        *server = None;
    }
    keep
}

/// Whether a body comes with an answer.
fn has_body(request: &Request, response: &Response) -> bool {
    &*request.method != "HEAD" && !matches!(response.status, 204 | 304)
}

/// Whether an answer without a body announces none either: some servers send what they announce.
fn announces_nothing(response: &Response) -> bool {
    match response.length {
        Length::None | Length::Bytes(0) => true,
        // A status that never has a body, and nothing that says otherwise.
        Length::UntilClose => matches!(response.status, 204 | 304),
        Length::Bytes(_) | Length::Chunked => false,
    }
}

/// Sends a request to its server; a connection that was kept and is gone meanwhile is made anew once.
async fn ask<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &Request,
    to: &Destination,
    server: &mut Option<Server>,
    case: &mut Case<'_>,
    hash: &mut Option<[u8; 32]>,
) -> Result<Response, Option<Fault>> {
    let times = shared.settings.times;
    let can_repeat = request.length == Length::None;
    loop {
        let is_kept = match server.as_mut() {
            Some(known) => known.fits(to, case) && known.stream.is_quiet().await,
            None => false,
        };
        if !is_kept {
            *server = Some(open(shared, to, case).await?);
        }
        let Some(known) = server.as_mut() else {
            return Err(Some(Fault::NoAddress));
        };
        case.record.address = Some(known.address.clone());
        case.record.tls.clone_from(&known.tls);
        let sent = known.stream.send(&head_for(request, to), times.idle).await;
        if sent.is_ok() {
            body_for(shared, client, request, known, case, hash).await?;
            match known.stream.response(times.answer, times.head).await {
                Ok(response) => return Ok(response),
                Err(NoHead::Wrong(error)) => return Err(Some(Fault::Malformed(error.to_string()))),
                Err(NoHead::Silent | NoHead::Slow) => return Err(Some(Fault::Slow)),
                Err(NoHead::Gone | NoHead::Cut) => {}
            }
        }
        *server = None;
        if !is_kept || !can_repeat {
            return Err(Some(Fault::Cut));
        }
    }
}

/// Sends the body of a request on.
async fn body_for<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &Request,
    server: &mut Server,
    case: &mut Case<'_>,
    hash: &mut Option<[u8; 32]>,
) -> Result<(), Option<Fault>> {
    if request.length == Length::None {
        return Ok(());
    }
    let idle = shared.settings.times.idle;
    if request.headers.has_item("expect", "100-continue") {
        let _ = client.send(b"HTTP/1.1 100 Continue\r\n\r\n", idle).await;
    }
    let mut passing = Passing {
        case,
        upwards: true,
        sha256: shared.recorder.is_some().then(Sha256::new),
        others: Vec::new(),
        take: None,
        bytes: 0,
    };
    let chunked = request.length == Length::Chunked;
    let sent = client
        .body(
            &mut server.stream,
            request.length,
            chunked,
            idle,
            &mut passing,
        )
        .await;
    *hash = passing.sha256.map(|sha256| sha256.finalize().into());
    match sent {
        // A server that does not want all of it may have said why.
        Ok(()) => Ok(()),
        Err(NoBody::Target) => {
            case.spoilt = true;
            Ok(())
        }
        Err(NoBody::Source(_)) => Err(None),
        Err(NoBody::Denied(denial)) => Err(Some(Fault::Denied(denial))),
    }
}

/// Connects, with TLS where that is meant; what the server showed is written down also where it fails.
pub(crate) async fn open(
    shared: &Shared,
    to: &Destination,
    case: &mut Case<'_>,
) -> Result<Server, Fault> {
    let private = case.judgement.private;
    let lenient = shared.is_lenient();
    let host = &to.authority.host;
    let group = case.group.clone();
    let share = group.as_ref().map(|group| &group.lookups);
    let connected = shared
        .upstream
        .connect(&shared.settings, host, to.port(), private, lenient, share)
        .await?;
    if let Some(denial) = &connected.denial
        && case.record.verdict == "allowed"
    {
        case.deny(denial);
    }
    let address = connected.address.to_string();
    case.record.address = Some(address.clone());
    let server = |stream, tls| Server {
        stream: Buffered::new(stream),
        protocol: to.protocol,
        authority: to.authority.clone(),
        address,
        private: connected.private,
        tls,
    };
    if to.protocol == Protocol::Http {
        return Ok(server(Box::new(connected.stream) as Box<dyn Stream>, None));
    }
    let (secured, tls) = shared
        .upstream
        .secure(&shared.settings, connected.stream, host)
        .await;
    let tls = Some(tls);
    case.record.tls.clone_from(&tls);
    Ok(server(secured?, tls))
}

/// The head that the server gets.
fn head_for(request: &Request, to: &Destination) -> Vec<u8> {
    let port = Some(to.port()).filter(|port| *port != to.protocol.port());
    let authority = Authority {
        host: to.authority.host.clone(),
        port,
    };
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {authority}\r\n",
        request.method, to.path
    )
    .into_bytes();
    // What is hashed is the file and not a form of it; and the body is asked for here.
    request
        .headers
        .write_end_to_end(&mut head, &["host", "accept-encoding", "expect"]);
    head.extend_from_slice(b"Accept-Encoding: identity\r\n");
    match request.length {
        Length::Bytes(bytes) => {
            head.extend_from_slice(format!("Content-Length: {bytes}\r\n").as_bytes());
        }
        Length::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Length::None if &*request.method == "POST" => {
            head.extend_from_slice(b"Content-Length: 0\r\n");
        }
        Length::None | Length::UntilClose => {}
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Hands the answer on.
#[expect(clippy::too_many_arguments, reason = "all of one exchange")]
async fn answer<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &Request,
    url: &str,
    response: &Response,
    server: &mut Server,
    case: &mut Case<'_>,
    hash: Option<[u8; 32]>,
) -> bool {
    let idle = shared.settings.times.idle;
    let has_body = has_body(request, response);
    let length = if has_body {
        response.length
    } else {
        Length::None
    };
    // Without a length, only chunks tell an end from a cut.
    let is_open = matches!(length, Length::Chunked | Length::UntilClose);
    let chunked = is_open && request.is_1_1;
    let ends = is_open && !request.is_1_1;
    let keep = request.keeps_open() && !ends && !case.spoilt;
    let mut head = format!("HTTP/1.1 {} \r\n", response.status).into_bytes();
    response.headers.write_end_to_end(&mut head, &["alt-svc"]);
    match response.length {
        // The length of what HEAD asks about.
        Length::Bytes(bytes) if response.status != 204 => {
            head.extend_from_slice(format!("Content-Length: {bytes}\r\n").as_bytes());
        }
        _ if chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    let connection: &[u8] = if keep { b"keep-alive" } else { b"close" };
    head.extend_from_slice(b"Connection: ");
    head.extend_from_slice(connection);
    head.extend_from_slice(b"\r\n\r\n");
    if client.send(&head, idle).await.is_err() {
        return false;
    }
    if !has_body {
        return keep;
    }
    // Who did not ask for a part takes what comes for the whole, whatever it is called.
    let is_part = response.status == 206 && request.headers.all("range").next().is_some();
    let part = is_part || is_encoded(response.headers.all("content-encoding"));
    let others = algorithms(case);
    let take = match &shared.recorder {
        Some(recorder) if is_recorded(&request.method, response.status) => {
            let begun = recorder.begin().await;
            begun
                .inspect_err(|error| tracing::warn!(%error, "a body cannot be recorded"))
                .ok()
        }
        _ => None,
    };
    let mut passing = Passing {
        case,
        upwards: false,
        sha256: Some(Sha256::new()),
        others: others
            .iter()
            .filter_map(|algo| Hasher::new(*algo))
            .collect(),
        take,
        bytes: 0,
    };
    let result = server
        .stream
        .body(client, length, chunked, idle, &mut passing)
        .await;
    let Passing {
        sha256,
        others,
        take,
        bytes,
        ..
    } = passing;
    let sha256: [u8; 32] = sha256
        .map(|sha256| sha256.finalize().into())
        .unwrap_or_default();
    let whole = result.is_ok();
    let mut hashes = vec![Hash::sha256(sha256).to_notation(Notation::Sri)];
    hashes.extend(
        others
            .into_iter()
            .map(|hash| hash.finish().to_notation(Notation::Sri)),
    );
    let mut matches = None;
    if whole && !part && is_good(response.status) {
        matches = case.judgement.body(&hashes);
    }
    case.record.body = Some(Body {
        bytes,
        hashes,
        whole,
        part,
        matches,
    });
    match result {
        Ok(()) => {}
        Err(NoBody::Source(reason)) => {
            let fault = if reason == "timeout" {
                Fault::Slow
            } else {
                Fault::Cut
            };
            case.fault(&fault);
        }
        Err(NoBody::Denied(denial)) => case.deny(&denial),
        Err(NoBody::Target) => {
            case.record
                .reason
                .get_or_insert_with(|| "client-gone".to_owned());
        }
    }
    if let (true, Some(recorder), Some(take)) = (whole, &shared.recorder, take) {
        let kept = Kept {
            keys: keys(&request.method, url, hash.as_ref(), &request.headers),
            url: case.record.url.clone(),
            status: response.status,
            to: response.headers.text("location").map(str::to_owned),
            headers: KEPT
                .iter()
                .filter_map(|name| {
                    Some(((*name).to_owned(), response.headers.text(name)?.to_owned()))
                })
                .collect(),
            sha256,
            bytes,
        };
        if let Err(error) = recorder.keep(take, kept).await {
            tracing::warn!(%error, "an answer cannot be recorded");
        }
    }
    whole && keep
}

/// The algorithms of what is declared, beside SHA-256.
pub(crate) fn algorithms(case: &Case<'_>) -> Vec<HashAlgo> {
    let mut all: Vec<HashAlgo> = case
        .judgement
        .builds
        .iter()
        .map(|build| build.algo())
        .collect();
    all.retain(|algo| *algo != HashAlgo::Sha256);
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a status says that what was asked for comes.
pub(crate) fn is_good(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Whether a body is in another form than that of the file, by its `Content-Encoding`; `identity` is none.
pub(crate) fn is_encoded<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> bool {
    let mut all = values
        .into_iter()
        .flat_map(|value| value.split(|byte| *byte == b','));
    all.any(|one| {
        !matches!(one.trim_ascii(), b"") && !one.trim_ascii().eq_ignore_ascii_case(b"identity")
    })
}

fn is_recorded(method: &str, status: u16) -> bool {
    matches!(method, "GET" | "POST" | "PROPFIND" | "REPORT" | "OPTIONS") && is_kept_status(status)
}

/// Where a redirect leads, as a whole address (RFC 3986, section 5.2). What cannot be read stays as it is.
fn resolve(from: &Destination, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    resolved(from, location).unwrap_or_else(|| location.to_owned())
}

fn resolved(from: &Destination, location: &str) -> Option<String> {
    let (protocol, rest) = match location.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            let protocol = match scheme.to_ascii_lowercase().as_str() {
                "https" => Protocol::Https,
                "http" => Protocol::Http,
                _ => return None,
            };
            (protocol, Some(rest))
        }
        _ => (from.protocol, location.strip_prefix("//")),
    };
    let (authority, path) = if let Some(rest) = rest {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let authority = Authority::parse(authority.rsplit('@').next()?).ok()?;
        (authority, format!("{slash}{path}"))
    } else {
        let before = from.path.split('?').next().unwrap_or("/");
        let path = match location.chars().next() {
            None => from.path.to_string(),
            Some('/') => location.to_owned(),
            Some('?') => format!("{before}{location}"),
            Some(_) => {
                let directory = before.rfind('/').map_or("/", |at| &before[..=at]);
                format!("{directory}{location}")
            }
        };
        (from.authority.clone(), path)
    };
    let to = Destination {
        protocol,
        authority,
        path: without_dots(&path).into(),
    };
    Some(to.url())
}

/// A path without `.` and `..`, as clients ask for it.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Says what happened in place of the answer of a server.
pub(crate) async fn say<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &Request,
    case: &mut Case<'_>,
    status: u16,
) -> bool {
    case.record.status = None;
    // What follows a body that nobody read is no request.
    let keep = request.length == Length::None && request.keeps_open() && !case.silent;
    let text = case.text();
    let reply = Reply {
        status,
        text: &text,
        reason: case.record.reason.as_deref().unwrap_or("failed"),
        keep,
        head_only: &*request.method == "HEAD",
    };
    client
        .send(&reply.bytes(), shared.settings.times.idle)
        .await
        .is_ok()
        && keep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_whole_addresses() {
        let from = Destination {
            protocol: Protocol::Https,
            authority: Authority::parse("x.org:443").unwrap(),
            path: "/a/b?c=d".into(),
        };
        for (location, expected) in [
            ("https://Y.org/x#f", "https://y.org/x"),
            ("http://y.org", "http://y.org/"),
            ("//y.org:443/x", "https://y.org/x"),
            ("/x?y", "https://x.org/x?y"),
            ("x", "https://x.org/a/x"),
            ("./x", "https://x.org/a/x"),
            ("../../x/./y/..", "https://x.org/x/"),
            ("/../x/../y?../z", "https://x.org/y?../z"),
            ("?q", "https://x.org/a/b?q"),
            ("", "https://x.org/a/b?c=d"),
            ("x?u=http://y.org/", "https://x.org/a/x?u=http://y.org/"),
            ("https://me:word@y.org/x", "https://y.org/x"),
            ("https://y.org:no/x", "https://y.org:no/x"),
            ("ftp://y.org/x", "ftp://y.org/x"),
        ] {
            assert_eq!(resolve(&from, location), expected, "{location}");
        }
    }
}
