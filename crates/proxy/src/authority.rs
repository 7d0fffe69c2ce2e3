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
#[expect(
    clippy::disallowed_methods,
    reason = "tests start a client, and read what is written"
)]
mod tests {
    use std::fmt::Write as _;

    use camino::Utf8Path;
    use data_encoding::{BASE64, HEXLOWER};
    use serde_json::json;
    use snowguard_fod::policy::Exceptions;
    use snowguard_testkit::web::Web;
    use tracing::field::{Field, Visit};
    use tracing::span;

    use super::*;
    use crate::build::By;
    use crate::{EvidenceSettings, Listener, Mode, Proxy, Settings};

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

    /// All that is said to a log, at every level.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<String>>);

    impl Visit for Log {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
        }
    }

    impl tracing::Subscriber for Log {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
            attributes.record(&mut self.clone());
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, values: &span::Record<'_>) {
            values.record(&mut self.clone());
        }

        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    /// The secret of a key in the forms in which it could be written.
    fn forms(key: &KeyPair) -> Vec<Vec<u8>> {
        let der = key.serialize_der();
        // RFC 5915: version 1, and an octet string of 32 bytes.
        let begins = [2, 1, 1, 4, 32];
        let at = der.windows(5).position(|five| five == begins).unwrap() + 5;
        let secret = &der[at..at + 32];
        let list: Vec<String> = secret.iter().map(u8::to_string).collect();
        let mut forms = vec![
            secret.to_vec(),
            HEXLOWER.encode(secret).into(),
            BASE64.encode(secret).trim_end_matches('=').into(),
            list.join(", ").into(),
        ];
        // As a part of more, from each of the three places at which Base64 may begin.
        forms.extend((0..3).map(|skip| {
            let part = &secret[skip..];
            let whole = part.len() / 3 * 3;
            BASE64.encode(&part[..whole])[..24].into()
        }));
        forms
    }

    /// Whether one of these stands there, also over the ends of lines.
    fn holds(bytes: &[u8], secrets: &[Vec<u8>]) -> bool {
        let joined: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|byte| !b"\r\n".contains(byte))
            .collect();
        let is_in = |all: &[u8], one: &[u8]| all.windows(one.len()).any(|part| part == one);
        secrets
            .iter()
            .any(|secret| is_in(bytes, secret) || is_in(&joined, secret))
    }

    fn files(directory: &Utf8Path, all: &mut Vec<(String, Vec<u8>)>) {
        for entry in directory.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_dir() {
                files(&path, all);
            } else {
                all.push((path.to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }

    #[test]
    fn its_key_gets_into_no_evidence_no_log_and_no_file() {
        let web = Web::start_tls().unwrap();
        web.put("/x", "x");
        let place = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(place.path()).unwrap();
        let url = web.url("/x").replace("127.0.0.1", "localhost");
        let host = url.split('/').nth(2).unwrap();
        let output = "/nix/store/6r3kfx4sbyq5yvzr9lkd9q0lh5vj2kwh-x";
        let exceptions = format!(
            "[[exception]]\noutput = \"{output}\"\nhosts = [\"{host}\"]\nprivate = true\n\
             reason = \"test\"\nexpires = 2999-01-01\n"
        );
        std::fs::write(root.join("servers.pem"), web.authority().unwrap()).unwrap();
        let evidence = EvidenceSettings::new(root.join("evidence.jsonl"));
        let mut settings = Settings::new(Mode::Inspect, evidence);
        settings.exceptions = Exceptions::parse(&exceptions).unwrap();
        settings.record = Some(root.join("record"));
        settings.ca_files.push(root.join("servers.pem"));
        let address = "127.0.0.1".parse().unwrap();
        settings.resolve.insert("localhost".to_owned(), address);
        let described = json!({
            "derivation": "/nix/store/00000000000000000000000000000000-x.drv",
            "name": "x",
            "output": output,
            "address": format!("fixed:sha256:{}", "0".repeat(52)),
            "class": "curl",
            "tool": "curl",
            "urls": [url],
            "as_it_comes": true,
        });
        let described = serde_json::from_value(described).unwrap();
        let log = Log::default();
        // One thread, so that all of it has this log.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (told, secrets) = tracing::subscriber::with_default(log.clone(), || {
            runtime.block_on(async {
                let today = "2026-01-01".parse().unwrap();
                let proxy = Proxy::new(settings, today).unwrap();
                let session = proxy.begin_described(&described, today, By::Token).unwrap();
                let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
                let through = format!("http://{}:x@{}", session.token, listener.address());
                let handle = proxy.clone().serve(vec![listener]).unwrap();
                let curl = tokio::task::spawn_blocking(move || {
                    let mut curl = std::process::Command::new("curl");
                    curl.args(["--silent", "--insecure", "--verbose", "--proxy", &through]);
                    curl.arg(&url).output().unwrap()
                });
                let curl = curl.await.unwrap();
                assert_eq!(
                    curl.stdout,
                    b"x",
                    "{}",
                    String::from_utf8_lossy(&curl.stderr)
                );
                let authority = proxy.shared.authority.as_ref().unwrap();
                let secrets = [authority.issuer.key(), &authority.key].map(forms).concat();
                let verdicts = proxy.end(&session.token).await.unwrap();
                let told = format!(
                    "{verdicts:?}\n{session:?}\n{}\n{}",
                    proxy.metrics(),
                    proxy.authority().unwrap()
                );
                handle.stop().await;
                (told, secrets)
            })
        });
        let mut all = vec![
            ("what is told".to_owned(), told.into_bytes()),
            ("log".to_owned(), log.0.lock().unwrap().clone().into_bytes()),
        ];
        files(root, &mut all);
        assert!(all.len() > 6, "there is evidence, and a record");
        for (name, bytes) in &all {
            assert!(!holds(bytes, &secrets), "{name}");
        }
        // It would be found.
        let key = KeyPair::generate().unwrap();
        let secrets = forms(&key);
        assert!(holds(&key.serialize_der(), &secrets));
        assert!(holds(key.serialize_pem().as_bytes(), &secrets));
        assert!(holds(
            format!("{:?}", key.serialize_der()).as_bytes(),
            &secrets
        ));
    }
}
