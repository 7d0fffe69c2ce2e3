//! A certificate for a server of a test, and the authority behind it, whom nobody trusts until a test says so.

use std::io;

/// A server's certificate and key, and the authority's certificate.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The server's certificate, PEM.
    pub certificate: String,
    /// The server's key, PEM.
    pub key: String,
}

impl Certificates {
    /// For a server with these names.
    pub fn new(names: &[&str]) -> io::Result<Self> {
        let other = io::Error::other::<rcgen::Error>;
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(rcgen::DnType::CommonName, "the authority of a test");
        let authority_key = rcgen::KeyPair::generate().map_err(other)?;
        let pem = authority.self_signed(&authority_key).map_err(other)?.pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().map_err(other)?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let own = rcgen::CertificateParams::new(names)
            .and_then(|params| params.signed_by(&key, &issuer))
            .map_err(other)?;
        Ok(Self {
            authority: pem,
            certificate: own.pem(),
            key: key.serialize_pem(),
        })
    }
}
