//! TLS with servers: each has to prove who it is, and what it showed is kept.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Fault, Stream, Upstream};
use crate::connection::Buffered;
use crate::evidence::{Certificate, Tls};
use crate::settings::Settings;
use crate::wire::certificate;

/// So many certificates of a chain are kept.
const MOST_CHAIN: usize = 10;

impl Upstream {
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
pub(super) struct NoRoots(pub(super) Arc<rustls::crypto::CryptoProvider>);

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
