//! A web server on the loopback interface that serves what a test puts there, and fails on order.
//!
//! It knows what a static mirror knows: `ETag`, `Last-Modified`, conditional requests, `Range` with
//! `If-Range`. One request per connection. The port is the system's choice.

#![expect(
    clippy::disallowed_methods,
    reason = "tests serve the files that they wrote"
)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::certificates::Certificates;

/// How long a client may say nothing, and a silent server waits for it to go.
const PATIENCE: Duration = Duration::from_mins(1);

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// `Content-Length` says this, and the body is what it is.
    Length(u64),
    /// A status, and headers by name and value, with no body.
    Status(u16, Vec<(&'static str, String)>),
    /// So many bytes of the body at a time, with a pause after each.
    Drip(usize, Duration),
    /// The body begins and never ends, without a `Content-Length`.
    Endless,
    /// Somewhere else, with 302.
    Redirect(String),
    /// Another body, as a mirror that lags behind has it.
    Body(Vec<u8>),
    /// 304, whatever was asked.
    NotModified,
    /// `Range` is ignored.
    NoRange,
    /// `If-Range` is ignored: the rest of another edition is sent.
    NoIfRange,
    /// No answer at all.
    Silence,
    /// This in place of an answer.
    Garbage(Vec<u8>),
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// Headers in the order in which they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What was sent.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a server of a test says of itself.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers by name and value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A JSON document.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let kind = ("Content-Type".to_owned(), "application/json".to_owned());
        Self {
            status,
            headers: vec![kind],
            body: body.to_string().into_bytes(),
        }
    }
}

type Handler = Arc<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

/// A running server. It ends with the process that runs the test.
pub struct Web {
    address: SocketAddr,
    scheme: &'static str,
    authority: Option<String>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    pages: Mutex<BTreeMap<String, Page>>,
    faults: Mutex<BTreeMap<String, Faults>>,
    handler: Mutex<Option<Handler>>,
    seen: Mutex<Vec<Request>>,
    sent: AtomicU64,
}

#[derive(Clone)]
struct Page {
    body: Arc<[u8]>,
    headers: Vec<(String, String)>,
    last_modified: Option<String>,
}

#[derive(Default)]
struct Faults {
    next: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Web {
    /// Begins to serve over plain HTTP.
    pub fn start() -> io::Result<Self> {
        Self::serve(None)
    }

    /// Begins to serve over TLS, with a certificate of an authority that nobody trusts yet.
    pub fn start_tls() -> io::Result<Self> {
        let (config, authority) = tls()?;
        Self::serve(Some((config, authority)))
    }

    /// The authority that signed the server's certificate, in PEM.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The address of the server, without a slash at its end.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The address of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// Lets a function answer, before any document that was put. A fault comes in place of what it says,
    /// and after what it did: so a request can be taken, and its answer be lost.
    pub fn answer_with(
        &self,
        handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) {
        *lock(&self.shared.handler) = Some(Arc::new(handler));
    }

    /// Puts a document at a path.
    pub fn put(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.put_with(path, body, &[], None);
    }

    /// Puts all files of a directory below a path, as they are now.
    pub fn put_tree(&self, path: &str, directory: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.put_tree(&path, &entry.path())?;
            } else {
                self.put(&path, std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    /// Puts a document with headers of its own, and perhaps a `Last-Modified`.
    pub fn put_with(
        &self,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
        last_modified: Option<&str>,
    ) {
        let headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        let page = Page {
            body: body.into().into(),
            headers: headers.collect(),
            last_modified: last_modified.map(str::to_owned),
        };
        lock(&self.shared.pages).insert(path.to_owned(), page);
    }

    /// Takes a document away.
    pub fn remove(&self, path: &str) {
        lock(&self.shared.pages).remove(path);
    }

    /// The paths of all documents.
    pub fn paths(&self) -> Vec<String> {
        lock(&self.shared.pages).keys().cloned().collect()
    }

    /// Lets the next answers for a path fail in turn; `POST /path` is for requests of that method only.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut all = lock(&self.shared.faults);
        all.entry(path.to_owned()).or_default().next.extend(faults);
    }

    /// Lets every answer for a path fail.
    pub fn fail_always(&self, path: &str, fault: Fault) {
        let mut all = lock(&self.shared.faults);
        all.entry(path.to_owned()).or_default().always = Some(fault);
    }

    /// All is well again.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// What was asked for since the last time, in order.
    pub fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// How many bytes were sent since the last time, heads among them.
    pub fn sent(&self) -> u64 {
        self.shared.sent.swap(0, Ordering::Relaxed)
    }

    fn serve(tls: Option<(Arc<rustls::ServerConfig>, String)>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let (config, authority) = tls.unzip();
        let scheme = if config.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                let config = config.clone();
                std::thread::spawn(move || {
                    // A client that hangs up has nothing more to ask.
                    let _ = connection(stream, config, &shared);
                });
            }
        });
        Ok(Self {
            address,
            scheme,
            authority,
            shared,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connection(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    shared: &Shared,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let Some(config) = tls else {
        return answer(BufReader::new(stream), shared);
    };
    let session = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
    answer(
        BufReader::new(rustls::StreamOwned::new(session, stream)),
        shared,
    )
}

fn answer<S: Read + Write>(mut stream: BufReader<S>, shared: &Shared) -> io::Result<()> {
    let Some(request) = request(&mut stream)? else {
        return Ok(());
    };
    let path = request
        .path
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned();
    let handler = lock(&shared.handler).clone();
    let answered = handler.and_then(|handler| handler(&request));
    let page = lock(&shared.pages).get(&path).cloned();
    let fault = {
        let mut faults = lock(&shared.faults);
        let mut next = |of: &str| {
            let faults = faults.get_mut(of)?;
            faults.next.pop_front().or_else(|| faults.always.clone())
        };
        next(&format!("{} {path}", request.method)).or_else(|| next(&path))
    };
    lock(&shared.seen).push(request.clone());
    let out = &mut Counted {
        inner: stream.get_mut(),
        sent: &shared.sent,
    };
    let sent = match (answered, &fault) {
        (Some(answer), None) => {
            let length = answer.body.len() as u64;
            head(out, answer.status, &answer.headers, Some(length))
                .and_then(|()| out.write_all(&answer.body))
        }
        _ => respond(out, &request, page, fault.as_ref()),
    };
    out.flush()?;
    sent
}

/// Counts what is sent.
struct Counted<'c, W> {
    inner: &'c mut W,
    sent: &'c AtomicU64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sent.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn respond(
    out: &mut impl Write,
    request: &Request,
    page: Option<Page>,
    fault: Option<&Fault>,
) -> io::Result<()> {
    let nothing = || Page {
        body: [].into(),
        headers: Vec::new(),
        last_modified: None,
    };
    let page = match (fault, page) {
        (Some(Fault::Body(body)), _) => Page {
            body: body.clone().into(),
            ..nothing()
        },
        (Some(_), page) => page.unwrap_or_else(nothing),
        (None, Some(page)) => page,
        (None, None) if request.method == "POST" => nothing(),
        (None, None) => return head(out, 404, &[], Some(0)),
    };
    let etag = format!(
        "\"{}\"",
        &HEXLOWER.encode(&Sha256::digest(&page.body))[..16]
    );
    let mut headers = page.headers.clone();
    headers.push(("ETag".into(), etag.clone()));
    if let Some(date) = &page.last_modified {
        headers.push(("Last-Modified".into(), date.clone()));
    }
    let known = request.header("if-none-match") == Some(&etag)
        || (request.header("if-none-match").is_none()
            && page.last_modified.is_some()
            && request.header("if-modified-since") == page.last_modified.as_deref());
    match fault {
        Some(Fault::Status(status, more)) => {
            let more: Vec<_> = more.iter().map(|(n, v)| ((*n).into(), v.clone())).collect();
            return head(out, *status, &more, Some(0));
        }
        Some(Fault::Redirect(to)) => {
            return head(out, 302, &[("Location".into(), to.clone())], Some(0));
        }
        Some(Fault::NotModified) => return head(out, 304, &headers, None),
        Some(Fault::Silence) => {
            std::thread::sleep(PATIENCE);
            return Ok(());
        }
        Some(Fault::Garbage(bytes)) => return out.write_all(bytes),
        Some(Fault::Endless) => {
            head(out, 200, &headers, None)?;
            let piece = [b' '; 1 << 14];
            loop {
                out.write_all(&piece)?;
            }
        }
        _ if known => return head(out, 304, &headers, None),
        _ => {}
    }
    let heeds = !matches!(fault, Some(Fault::NoIfRange));
    let from = range(request, heeds, &etag, page.last_modified.as_deref())
        .filter(|_| !matches!(fault, Some(Fault::NoRange)));
    let whole = page.body.len();
    let body = match from {
        Some(from) if from >= whole => {
            let range = ("Content-Range".into(), format!("bytes */{whole}"));
            return head(out, 416, &[range], Some(0));
        }
        Some(from) => {
            let range = format!("bytes {from}-{}/{whole}", whole.saturating_sub(1));
            headers.push(("Content-Range".into(), range));
            &page.body[from..]
        }
        None => &page.body[..],
    };
    let status = if from.is_some() { 206 } else { 200 };
    let length = match fault {
        Some(Fault::Length(length)) => *length,
        _ => body.len() as u64,
    };
    head(out, status, &headers, Some(length))?;
    match fault {
        Some(Fault::Cut(at)) => out.write_all(&body[..body.len().min(*at)]),
        Some(Fault::Drip(size, pause)) => {
            for piece in body.chunks((*size).max(1)) {
                out.write_all(piece)?;
                out.flush()?;
                std::thread::sleep(*pause);
            }
            Ok(())
        }
        _ => out.write_all(body),
    }
}

/// Where the client wants to go on, if what it has is still of this edition.
fn range(request: &Request, heeds: bool, etag: &str, last_modified: Option<&str>) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    let from = range.strip_suffix('-')?.parse().ok()?;
    let same = request
        .header("if-range")
        .filter(|_| heeds)
        .is_none_or(|validator| validator == etag || Some(validator) == last_modified);
    same.then_some(from)
}

fn head(
    out: &mut impl Write,
    status: u16,
    headers: &[(String, String)],
    length: Option<u64>,
) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Told\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(text, "Content-Length: {length}\r\n");
    }
    out.write_all((text + "\r\n").as_bytes())
}

fn request(stream: &mut impl io::BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    for line in stream.by_ref().lines() {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let length = request.header("content-length");
    let length: u64 = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    stream.take(length).read_to_end(&mut request.body)?;
    Ok(Some(request))
}

/// A server's configuration for the loopback interface, and the authority behind it.
fn tls() -> io::Result<(Arc<rustls::ServerConfig>, String)> {
    let certificates = Certificates::new(&["127.0.0.1", "localhost"])?;
    let certificate = CertificateDer::from_pem_slice(certificates.certificate.as_bytes())
        .map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    Ok((Arc::new(config), certificates.authority))
}
