//! Connections to servers: names are resolved, addresses judged, and exactly those connected to.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use snowguard_fod::policy::Denial;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::connection::Buffered;
use crate::evidence::{Certificate, Tls};
use crate::settings::Settings;
use crate::wire::certificate;

/// What bytes come and go through.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// So many names are resolved at a time: each takes a thread.
const MOST_LOOKUPS: usize = 64;
/// So many addresses of a name are tried.
const MOST_ADDRESSES: usize = 8;
/// So many certificates of a chain are kept.
const MOST_CHAIN: usize = 10;

/// Connects to servers.
pub(crate) struct Upstream {
    verifier: Arc<dyn ServerCertVerifier>,
    lookups: Arc<Semaphore>,
}

/// A connection to a server.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    /// Whether it is not of the public network, or this machine by a public address of its own.
    pub(crate) private: bool,
    /// Why it would be denied, where nothing is.
    pub(crate) denial: Option<Denial>,
}

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Denied(Denial),
    #[error("the name cannot be resolved: {0}")]
    Resolve(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the server does not answer in time")]
    Slow,
    #[error("the server cannot prove who it is: {0}")]
    Untrusted(String),
    #[error("TLS fails: {0}")]
    Tls(String),
    #[error("the connection ends early")]
    Cut,
    #[error("the answer of the server is malformed: {0}")]
    Malformed(String),
}

impl Fault {
    /// The word of interfaces.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.as_str(),
            Self::Resolve(_) | Self::NoAddress => "dns",
            Self::Connect(_) => "connect",
            Self::Slow => "timeout",
            Self::Untrusted(_) => "untrusted-certificate",
            Self::Tls(_) => "tls",
            Self::Cut => "cut",
            Self::Malformed(_) => "malformed-answer",
        }
    }

    /// The status that says so.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Denied(_) => 403,
            Self::Slow => 504,
            _ => 502,
        }
    }
}

impl Upstream {
    /// Trusts the authorities of the system, and those of the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One that cannot be used is as good as absent: a server that needs it is refused.
            let _ = roots.add(certificate);
        }
        for file in &settings.ca_files {
            let all = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| TrustError::Read(file.to_string(), error.to_string()))?;
            for certificate in all {
                roots
                    .add(certificate)
                    .map_err(|error| TrustError::Read(file.to_string(), error.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if roots.is_empty() {
            Arc::new(NoRoots(provider))
        } else {
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| TrustError::Use(error.to_string()))?
        };
        Ok(Self {
            verifier,
            lookups: Arc::new(Semaphore::new(MOST_LOOKUPS)),
        })
    }

    /// Connects to a host. `private` allows addresses that are not of the public network; with `lenient` they are
    /// connected to all the same, and what would be denied is told.
    pub(crate) async fn connect(
        &self,
        settings: &Settings,
        host: &str,
        port: u16,
        private: bool,
        lenient: bool,
    ) -> Result<Connected, Fault> {
        let work = self.connect_at_all(settings, host, port, private, lenient);
        timeout(settings.times.connect, work)
            .await
            .map_err(|_| Fault::Slow)?
    }

    async fn connect_at_all(
        &self,
        settings: &Settings,
        host: &str,
        port: u16,
        private: bool,
        lenient: bool,
    ) -> Result<Connected, Fault> {
        let found = self.resolve(settings, host, port).await?;
        let is_good = |address: &SocketAddr| private || snowguard_http::is_public(address.ip());
        let mut denial = None;
        let mut good: Vec<SocketAddr> = found.iter().copied().filter(is_good).collect();
        if good.is_empty() {
            let first = found.first().ok_or(Fault::NoAddress)?;
            denial = Some(Denial::Private(first.ip()));
            if !lenient {
                return Err(Fault::Denied(Denial::Private(first.ip())));
            }
            good = found;
        }
        let mut last = Fault::NoAddress;
        for address in good.into_iter().take(MOST_ADDRESSES) {
            // Exactly the address that was judged: nothing is resolved again.
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = Fault::Connect(error);
                    continue;
                }
            };
            let local = stream.local_addr().map_err(Fault::Connect)?;
            let is_inside = is_inside(address.ip(), local.ip());
            if is_inside && !private {
                let inside = Denial::Private(address.ip());
                if !lenient {
                    last = Fault::Denied(inside);
                    continue;
                }
                denial.get_or_insert(inside);
            }
            let _ = stream.set_nodelay(true);
            return Ok(Connected {
                stream,
                address,
                private: is_inside,
                denial,
            });
        }
        Err(last)
    }

    async fn resolve(
        &self,
        settings: &Settings,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Fault> {
        if let Some(address) = settings.resolve.get(host) {
            return Ok(vec![(*address, port).into()]);
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let place = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(|_| Fault::NoAddress)?;
        let host = host.to_owned();
        // Who gives up waiting does not end the thread, which keeps its place as long as it takes.
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            let found = (host.as_str(), port).to_socket_addrs()?;
            Ok::<Vec<SocketAddr>, io::Error>(found.collect())
        });
        work.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(Fault::Resolve)
    }

    /// Speaks TLS with a server, which has to prove that it has that name. What it showed is told in any case.
    pub(crate) async fn secure(
        &self,
        settings: &Settings,
        stream: TcpStream,
        host: &str,
    ) -> (Result<Box<dyn Stream>, Fault>, Tls) {
        let watching = Arc::new(Watching {
            inner: Arc::clone(&self.verifier),
            seen: Mutex::default(),
        });
        let result = self.handshake(settings, stream, host, &watching).await;
        let seen = watching.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = Tls {
            verified: Some(result.is_ok()),
            server: Some(host.into()),
            chain: seen.clone(),
        };
        (result, tls)
    }

    async fn handshake(
        &self,
        settings: &Settings,
        stream: TcpStream,
        host: &str,
        watching: &Arc<Watching>,
    ) -> Result<Box<dyn Stream>, Fault> {
        let wrong = |error: rustls::Error| Fault::Tls(error.to_string());
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| Fault::Tls(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(watching) as _;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that is resumed shows no certificates.
        config.resumption = rustls::client::Resumption::disabled();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = Buffered::new(stream);
        match timeout(settings.times.handshake, connector.connect(name, stream)).await {
            Err(_) => Err(Fault::Slow),
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(
                match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(rustls::Error::InvalidCertificate(what)) => {
                        Fault::Untrusted(what.to_string())
                    }
                    Some(other) => Fault::Tls(other.to_string()),
                    None => Fault::Tls(error.to_string()),
                },
            ),
        }
    }
}

/// Whether an address is not one of the public network, or, though it is, one of this machine: the way to such a one
/// begins at the same address, and passes no firewall.
fn is_inside(address: IpAddr, local: IpAddr) -> bool {
    !snowguard_http::is_public(address) || address.to_canonical() == local.to_canonical()
}

/// Verifies as another does, and keeps what it saw.
#[derive(Debug)]
struct Watching {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Vec<Certificate>>,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity)
            .chain(intermediates)
            .take(MOST_CHAIN);
        let chain = chain.map(|der| {
            let names = certificate::names(der).unwrap_or_default();
            Certificate {
                sha256: HEXLOWER.encode(&Sha256::digest(der)),
                subject: names.subject,
                issuer: names.issuer,
            }
        });
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Where no authority is known, nobody is trusted.
#[derive(Debug)]
struct NoRoots(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for NoRoots {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Why it cannot be told whom to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of certificates cannot be read.
    #[error("cannot read certificates from {0}: {1}")]
    Read(String, String),
    /// They cannot be used.
    #[error("cannot use the trusted certificates: {0}")]
    Use(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_inside_by_any_of_its_addresses() {
        let inside = |address: &str, local: &str| {
            is_inside(address.parse().unwrap(), local.parse().unwrap())
        };
        assert!(!inside("1.1.1.1", "9.9.9.9"));
        assert!(!inside("2606:4700::1111", "2620:fe::fe"));
        assert!(inside("9.9.9.9", "9.9.9.9"));
        assert!(inside("9.9.9.9", "::ffff:9.9.9.9"));
        assert!(inside("2620:fe::fe", "2620:fe::fe"));
        assert!(inside("127.0.0.1", "9.9.9.9"));
        assert!(inside("10.0.0.1", "10.0.0.2"));
    }
}
