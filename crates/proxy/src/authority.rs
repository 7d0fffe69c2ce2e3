//! The authority of one run: certificates for the servers that builds ask for, so that TLS can be taken off.
//!
//! Its key is made when the proxy begins, is never written anywhere, and is gone when the proxy ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// So many certificates are kept.
const MOST: usize = 512;

/// Signs for the servers that builds ask for.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// One for all: who has one has this process.
    key: KeyPair,
    years: (i32, i32),
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    by_host: BTreeMap<Box<str>, Arc<ServerConfig>>,
    order: VecDeque<Box<str>>,
}

impl Authority {
    /// Makes one, in a year.
    pub(crate) fn new(year: i16) -> Result<Self, AuthorityError> {
        let years = (i32::from(year) - 1, i32::from(year) + 2);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "Snowguard proxy of this run");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            key: KeyPair::generate()?,
            years,
            made: Mutex::default(),
        })
    }

    /// Its certificate in PEM, for those who are to trust it.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// What a server of that name shows.
    pub(crate) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.by_host.get(host) {
            return Ok(Arc::clone(known));
        }
        let config = Arc::new(self.make(host)?);
        if made.order.len() >= MOST
            && let Some(oldest) = made.order.pop_front()
        {
            made.by_host.remove(&oldest);
        }
        made.order.push_back(host.into());
        made.by_host.insert(host.into(), Arc::clone(&config));
        Ok(config)
    }

    fn make(&self, host: &str) -> Result<ServerConfig, AuthorityError> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(self.years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(self.years.1, 1, 1);
        let leaf = params.signed_by(&self.key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It could not be signed.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("cannot use a certificate")]
    Use(#[from] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_once_and_their_number_is_bounded() {
        let authority = Authority::new(2026).unwrap();
        let first = authority.server("x.org").unwrap();
        assert!(Arc::ptr_eq(&first, &authority.server("x.org").unwrap()));
        for at in 0..MOST {
            authority.server(&format!("x{at}.org")).unwrap();
        }
        let made = authority.made.lock().unwrap();
        assert_eq!((made.order.len(), made.by_host.len()), (MOST, MOST));
        assert!(!made.by_host.contains_key("x.org"));
        assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!authority.pem().contains("PRIVATE"));
    }
}
