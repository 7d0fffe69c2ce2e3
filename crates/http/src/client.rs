//! The client: one set of connections, one runtime, and the patience that all requests share.

use std::fmt;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use reqwest::header::{
    ACCEPT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LINK,
};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, redirect};

use crate::address::Address;
use crate::error::HttpError;
use crate::fault::{Fault, Patience, fault, follow, refusal, status_error, too_large};
use crate::local;
use crate::pace::Pace;
use crate::public::{PublicOnly, may_be_public};
use crate::settings::{Conditions, Egress, Settings};

/// How often waiting looks whether the person wants to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// Fetches and sends. It may be used from several threads at once.
pub struct Client {
    settings: Settings,
    interrupted: Arc<AtomicBool>,
    runtime: Arc<tokio::runtime::Runtime>,
    certificates: Vec<Certificate>,
    following: OnceLock<reqwest::Client>,
    staying: OnceLock<reqwest::Client>,
    unshared: OnceLock<reqwest::Client>,
    /// Whether it has asked for anything: from then on a connection may be one that was used before.
    has_asked: AtomicBool,
    received: AtomicU64,
}

/// A small document that is wanted.
#[derive(Clone, Debug)]
pub struct Get<'a> {
    /// Where it is.
    pub address: &'a Address,
    /// How large it may be, in bytes.
    pub limit: u64,
    /// What is known of it.
    pub conditions: Option<&'a Conditions>,
    /// Headers to send, by name and value.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Something to send.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    /// Where to.
    pub address: &'a Address,
    /// What.
    pub body: &'a [u8],
    /// What it is: `application/json`.
    pub content_type: &'a str,
    /// Headers to send, by name and value.
    pub headers: &'a [(&'a str, &'a str)],
    /// Tells the receiver that two requests are one. With it, whatever may have been lost is sent
    /// again; without it, only what has certainly not been taken.
    pub idempotency_key: Option<&'a str>,
    /// How large the answer may be, in bytes.
    pub limit: u64,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What it says.
    pub body: Vec<u8>,
    /// What to ask with the next time.
    pub conditions: Conditions,
    /// The `Link` headers: where a list goes on.
    pub links: Vec<String>,
}

impl Client {
    /// Makes a client. Nothing is connected yet. Setting `interrupted` ends what it is doing.
    pub fn new(settings: Settings, interrupted: Arc<AtomicBool>) -> Result<Self, HttpError> {
        let certificates = settings
            .ca_files
            .iter()
            .map(|path| certificates(path))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| HttpError::File {
                what: "start threads for",
                path: Utf8PathBuf::from("the network"),
                source,
            })?;
        Ok(Self {
            settings,
            interrupted,
            runtime: Arc::new(runtime),
            certificates,
            following: OnceLock::new(),
            staying: OnceLock::new(),
            unshared: OnceLock::new(),
            has_asked: AtomicBool::new(false),
            received: AtomicU64::new(0),
        })
    }

    /// A client that goes out through a proxy which decides what may be reached, and is the same otherwise. It has
    /// connections of its own, which end with it.
    #[must_use]
    pub fn through(&self, egress: Egress) -> Self {
        Self {
            settings: Settings {
                // Who looks up names is who judges them.
                public_only: false,
                egress: Some(egress),
                ..self.settings.clone()
            },
            interrupted: Arc::clone(&self.interrupted),
            runtime: Arc::clone(&self.runtime),
            certificates: self.certificates.clone(),
            following: OnceLock::new(),
            staying: OnceLock::new(),
            unshared: OnceLock::new(),
            has_asked: AtomicBool::new(false),
            received: AtomicU64::new(0),
        }
    }

    /// Fetches a small document into memory. None if it is as `conditions` say.
    pub fn get(&self, get: &Get<'_>) -> Result<Option<Page>, HttpError> {
        self.check_reach(get.address)?;
        if let Some(path) = get.address.path() {
            return self.get_local(get, &path);
        }
        self.runtime.block_on(async {
            let client = self.following()?;
            let mut patience = Patience::new(self);
            loop {
                let fault = match self.get_once(client, get).await {
                    Ok(page) => return Ok(page),
                    Err(fault) => fault,
                };
                patience.bear(fault, &mut |_| ()).await?;
            }
        })
    }

    /// Sends a document. What is not answered with 2xx is an error.
    pub fn post(&self, post: &Post<'_>) -> Result<Page, HttpError> {
        self.send(&Method::POST, post)
    }

    /// Sends what is to be changed of a thing. It says how the thing shall be, so that it can be sent
    /// again whatever became of it. What is not answered with 2xx is an error.
    pub fn patch(&self, patch: &Post<'_>) -> Result<Page, HttpError> {
        self.send(&Method::PATCH, patch)
    }

    fn send(&self, method: &Method, post: &Post<'_>) -> Result<Page, HttpError> {
        self.check_reach(post.address)?;
        self.runtime.block_on(async {
            // What is sent once and led elsewhere might be taken twice, or be turned into a question.
            let client = self.staying()?;
            let mut patience = Patience::new(self);
            loop {
                let fault = match self.send_once(client, method, post).await {
                    Ok(page) => return Ok(page),
                    Err(fault) => fault,
                };
                patience.bear(fault, &mut |_| ()).await?;
            }
        })
    }

    /// How many bytes of bodies have arrived in all.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    pub(crate) fn count(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What ends all that it does, once it is set.
    pub fn interrupted(&self) -> &Arc<AtomicBool> {
        &self.interrupted
    }

    pub(crate) fn check_interrupted(&self) -> Result<(), HttpError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(HttpError::Interrupted);
        }
        Ok(())
    }

    /// What is no name is judged here: only names are resolved.
    pub(crate) fn check_reach(&self, address: &Address) -> Result<(), HttpError> {
        if self.settings.public_only && !may_be_public(address.url()) {
            return Err(HttpError::NotPublic {
                host: address.host(),
            });
        }
        Ok(())
    }

    /// Whether nothing was asked for before.
    pub(crate) fn is_first(&self) -> bool {
        !self.has_asked.swap(true, Ordering::Relaxed)
    }

    /// The client that follows redirects.
    pub(crate) fn following(&self) -> Result<&reqwest::Client, HttpError> {
        let public_only = self.settings.public_only;
        let policy = redirect::Policy::custom(move |attempt| follow(attempt, public_only));
        self.client(&self.following, |builder| builder.redirect(policy))
    }

    /// The client that follows none.
    pub(crate) fn staying(&self) -> Result<&reqwest::Client, HttpError> {
        let policy = redirect::Policy::none();
        self.client(&self.staying, |builder| builder.redirect(policy))
    }

    /// The client that follows none, with a new connection for each request.
    pub(crate) fn unshared(&self) -> Result<&reqwest::Client, HttpError> {
        let policy = redirect::Policy::none();
        self.client(&self.unshared, |builder| {
            builder.redirect(policy).pool_max_idle_per_host(0)
        })
    }

    fn client<'s>(
        &self,
        place: &'s OnceLock<reqwest::Client>,
        way: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<&'s reqwest::Client, HttpError> {
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let mut builder = way(reqwest::Client::builder());
        if self.settings.public_only {
            // A proxy would resolve names by itself.
            builder = builder.no_proxy().dns_resolver(Arc::new(PublicOnly));
        }
        if let Some(egress) = &self.settings.egress {
            let proxy = reqwest::Proxy::all(format!("http://{}", egress.address))
                .map_err(|error| HttpError::Setup(error.without_url()))?;
            // With one of its own it looks for none in the environment, nor for hosts to leave out.
            builder = builder.proxy(proxy.basic_auth(&egress.token, "x"));
        }
        let client = builder
            .user_agent(&self.settings.user_agent)
            .connect_timeout(self.settings.connect_timeout)
            .referer(false)
            .tls_certs_merge(self.certificates.iter().cloned())
            .build()
            .map_err(|error| HttpError::Setup(error.without_url()))?;
        Ok(place.get_or_init(|| client))
    }

    async fn get_once(
        &self,
        client: &reqwest::Client,
        get: &Get<'_>,
    ) -> Result<Option<Page>, Fault> {
        let mut request = client.get(get.address.url().clone());
        request = with_conditions(request, get.conditions);
        request = request.headers(headers(get.headers)?);
        let response = self.answer(request, get.address).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        self.page(response, get.address, get.limit).await.map(Some)
    }

    async fn send_once(
        &self,
        client: &reqwest::Client,
        method: &Method,
        post: &Post<'_>,
    ) -> Result<Page, Fault> {
        let repeatable = *method == Method::PATCH || post.idempotency_key.is_some();
        let mut request = client
            .request(method.clone(), post.address.url().clone())
            .headers(headers(post.headers)?)
            .header("Content-Type", post.content_type)
            .body(post.body.to_vec());
        if let Some(key) = post.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let outcome = async {
            let response = self.answer(request, post.address).await?;
            if response.status().is_redirection() {
                return Err(Fault::last(status_error(post.address, response.status())));
            }
            self.page(response, post.address, post.limit).await
        };
        outcome.await.map_err(|fault| {
            let taken_perhaps = !matches!(
                &fault.error,
                HttpError::Connect { .. } | HttpError::Status { .. } | HttpError::Later { .. }
            ) || matches!(&fault.error, HttpError::Status { status, .. }
                if status.is_server_error() && *status != StatusCode::SERVICE_UNAVAILABLE);
            if taken_perhaps && !repeatable {
                Fault::last(fault.error)
            } else {
                fault
            }
        })
    }

    /// Sends a request and waits for the head of the answer. Errors of status are faults.
    pub(crate) async fn answer(
        &self,
        request: RequestBuilder,
        address: &Address,
    ) -> Result<Response, Fault> {
        // Bodies are counted, resumed and checked as they are sent.
        let request = request.header(ACCEPT_ENCODING, "identity");
        self.answer_as_asked(request, address).await
    }

    /// The same, with no word on how the body may be packed.
    pub(crate) async fn answer_as_asked(
        &self,
        request: RequestBuilder,
        address: &Address,
    ) -> Result<Response, Fault> {
        let waiting = tokio::time::timeout(
            self.settings.connect_timeout + self.settings.stall,
            request.send(),
        );
        let response = match self.or_stop(waiting).await.map_err(Fault::last)? {
            Err(_) => return Err(self.stalled(address)),
            Ok(Err(error)) => return Err(fault(address, 0, error)),
            Ok(Ok(response)) => response,
        };
        if response.status().as_u16() >= 400 {
            return Err(refusal(address, &response, self.settings.longest_pause));
        }
        Ok(response)
    }

    async fn page(
        &self,
        mut response: Response,
        address: &Address,
        limit: u64,
    ) -> Result<Page, Fault> {
        let conditions = conditions_of(response.headers());
        let links = response.headers().get_all(LINK).iter();
        let links = links.filter_map(|link| Some(link.to_str().ok()?.to_owned()));
        let links = links.collect();
        let mut body = Vec::new();
        let mut pace = Pace::new(self.settings.stall);
        while let Some(chunk) = self
            .chunk(&mut response, address, body.len() as u64)
            .await?
        {
            if body.len() as u64 + chunk.len() as u64 > limit {
                return Err(Fault::last(too_large(address, limit)));
            }
            body.extend_from_slice(&chunk);
            if pace.is_too_slow(chunk.len()) {
                return Err(self.stalled(address));
            }
        }
        Ok(Page {
            body,
            conditions,
            links,
        })
    }

    /// The next piece of a body.
    pub(crate) async fn chunk(
        &self,
        response: &mut Response,
        address: &Address,
        received: u64,
    ) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + use<>>, Fault> {
        let waiting = tokio::time::timeout(self.settings.stall, response.chunk());
        match self.or_stop(waiting).await.map_err(Fault::last)? {
            Err(_) => Err(self.stalled(address)),
            Ok(Err(error)) => Err(fault(address, received, error)),
            Ok(Ok(chunk)) => {
                self.count(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
                Ok(chunk)
            }
        }
    }

    pub(crate) fn stalled(&self, address: &Address) -> Fault {
        Fault::passing(HttpError::Stalled {
            host: address.host(),
            seconds: self.settings.stall.as_secs(),
        })
    }

    /// Waits, but not beyond the person's patience.
    pub(crate) async fn or_stop<T>(
        &self,
        waiting: impl Future<Output = T>,
    ) -> Result<T, HttpError> {
        tokio::pin!(waiting);
        loop {
            self.check_interrupted()?;
            tokio::select! {
                done = &mut waiting => return Ok(done),
                () = tokio::time::sleep(GLANCE) => (),
            }
        }
    }

    fn get_local(&self, get: &Get<'_>, path: &Utf8Path) -> Result<Option<Page>, HttpError> {
        let local = local::open(path)?;
        let known = get.conditions.and_then(|known| known.etag.as_ref());
        if known == Some(&local.etag) {
            return Ok(None);
        }
        let mut body = Vec::new();
        local
            .file
            .take(get.limit.saturating_add(1))
            .read_to_end(&mut body)
            .map_err(|source| HttpError::File {
                what: "read",
                path: path.to_owned(),
                source,
            })?;
        if body.len() as u64 > get.limit {
            return Err(too_large(get.address, get.limit));
        }
        self.count(body.len() as u64);
        Ok(Some(Page {
            body,
            conditions: Conditions {
                etag: Some(local.etag),
                last_modified: None,
            },
            links: Vec::new(),
        }))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

pub(crate) fn with_conditions(
    mut request: RequestBuilder,
    conditions: Option<&Conditions>,
) -> RequestBuilder {
    if let Some(conditions) = conditions {
        if let Some(etag) = &conditions.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(last_modified) = &conditions.last_modified {
            request = request.header(IF_MODIFIED_SINCE, last_modified);
        }
    }
    request
}

pub(crate) fn conditions_of(headers: &HeaderMap) -> Conditions {
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
    Conditions {
        etag: text(ETAG),
        last_modified: text(LAST_MODIFIED),
    }
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> Result<HeaderMap, HttpError> {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let wrong = || HttpError::Header((*name).to_owned());
        let name: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.parse().map_err(|_| wrong())?;
        // It may be a token: not for logs, and not for another host.
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the files that a person names as trusted"
)]
fn certificates(path: &Utf8Path) -> Result<Vec<Certificate>, HttpError> {
    let wrong = |why: String| HttpError::Certificates {
        path: path.to_owned(),
        why,
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&bytes).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there are none in it".to_owned()));
    }
    Ok(found)
}
