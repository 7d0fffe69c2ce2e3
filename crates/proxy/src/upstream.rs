//! Connections to servers: names are resolved, addresses judged, and exactly those connected to.

mod lookups;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use snowguard_fod::policy::Denial;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::lookups::Lookups;
pub(crate) use self::lookups::Share;
use self::tls::NoRoots;
use crate::settings::Settings;

/// What bytes come and go through.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// So many addresses of a name are tried.
const MOST_ADDRESSES: usize = 8;
/// So long an address is alone before the next is tried as well (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to servers.
pub(crate) struct Upstream {
    verifier: Arc<dyn ServerCertVerifier>,
    lookups: Lookups,
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
    #[error("other names are looked up for too long, and this one was not")]
    Crowded,
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
            Self::Resolve(_) | Self::NoAddress | Self::Crowded => "dns",
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
            Self::Slow | Self::Crowded => 504,
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
            lookups: Lookups::of_system(),
        })
    }

    /// Connects to a host. `private` allows addresses that are not of the public network; with `lenient` they are
    /// connected to all the same, and what would be denied is told. `share` holds the look-ups of who asks.
    pub(crate) async fn connect(
        &self,
        settings: &Settings,
        host: &str,
        port: u16,
        private: bool,
        lenient: bool,
        share: Option<&Share>,
    ) -> Result<Connected, Fault> {
        let known = match settings.resolve.get(host) {
            Some(address) => Some(*address),
            None => host.parse::<IpAddr>().ok(),
        };
        let look = match known {
            Some(_) => None,
            // Who waits for others to be done has waited for no server.
            None => Some(self.lookups.place(share).await?),
        };
        let work = async {
            let found = match (known, look) {
                (Some(address), _) => vec![(address, port).into()],
                (None, Some(place)) => self.lookups.resolve(place, host, port).await?,
                (None, None) => Vec::new(),
            };
            reach(found, private, lenient).await
        };
        timeout(settings.times.connect, work)
            .await
            .map_err(|_| Fault::Slow)?
    }
}

/// Connects to the first of some addresses that answers; each is judged.
async fn reach(found: Vec<SocketAddr>, private: bool, lenient: bool) -> Result<Connected, Fault> {
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
    let mut left = by_turns(good).into_iter().take(MOST_ADDRESSES);
    let mut attempts = JoinSet::new();
    let (mut denied, mut last) = (None, Fault::NoAddress);
    loop {
        if let Some(address) = left.next() {
            // Exactly the address that was judged: nothing is resolved again.
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let (address, connected) = tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok(ended) => ended,
                Err(error) => return Err(Fault::Connect(io::Error::other(error))),
            },
            // One that does not answer does not keep the next from being tried.
            () = tokio::time::sleep(STAGGER), if left.len() > 0 => continue,
            else => return Err(denied.map_or(last, Fault::Denied)),
        };
        let stream = match connected {
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
                denied.get_or_insert(inside);
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
}

/// Addresses of the two versions by turns, so that a network without one of them is told early (RFC 8305, section 4).
fn by_turns(all: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_6 = all.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|address| address.is_ipv6() == is_6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let pairs = std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    pairs
        .flat_map(|(one, other)| one.into_iter().chain(other))
        .collect()
}

/// Whether an address is not one of the public network, or, though it is, one of this machine: the way to such a one
/// begins at the same address, and passes no firewall.
fn is_inside(address: IpAddr, local: IpAddr) -> bool {
    !snowguard_http::is_public(address) || address.to_canonical() == local.to_canonical()
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
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::settings::{EvidenceSettings, Mode};

    /// What connects by the names of a test.
    fn upstream(
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> (Arc<Upstream>, Settings) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let upstream = Upstream {
            verifier: Arc::new(NoRoots(provider)),
            lookups: Lookups::by(Arc::new(resolve)),
        };
        let evidence = EvidenceSettings::new("/nowhere".into());
        (Arc::new(upstream), Settings::new(Mode::Tunnel, evidence))
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let done = runtime.block_on(work);
        runtime.shutdown_background();
        done
    }

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

    #[test]
    fn versions_of_addresses_take_turns() {
        let all = |text: &str| -> Vec<SocketAddr> {
            text.split(' ').map(|one| one.parse().unwrap()).collect()
        };
        let mixed = all("[2001:db8::1]:1 [2001:db8::2]:1 [2001:db8::3]:1 192.0.2.1:1");
        let turns = all("[2001:db8::1]:1 192.0.2.1:1 [2001:db8::2]:1 [2001:db8::3]:1");
        assert_eq!(by_turns(mixed), turns);
        assert_eq!(by_turns(Vec::new()), Vec::new());
    }

    #[test]
    fn a_name_that_changes_its_mind_is_connected_to_where_it_was_judged() {
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = good.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // Another address at each look, as who rebinds a name answers.
        let (upstream, settings) = upstream(move |_, port| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(vec![format!("127.0.0.{number}:{port}").parse().unwrap()])
        });
        run(async {
            let work = upstream.connect(&settings, "rebound.example", port, true, false, None);
            let connected = work.await.unwrap();
            assert_eq!(connected.address, good.local_addr().unwrap());
            assert_eq!(connected.stream.peer_addr().unwrap(), connected.address);
            assert_eq!(asked.load(Ordering::SeqCst), 1);
            // The next is judged anew.
            let work = upstream.connect(&settings, "rebound.example", port, false, false, None);
            let second: IpAddr = "127.0.0.2".parse().unwrap();
            let denied = work.await.err().unwrap();
            assert!(matches!(denied, Fault::Denied(Denial::Private(address)) if address == second));
            assert_eq!(asked.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn an_address_that_does_not_answer_does_not_use_up_the_time() {
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = good.local_addr().unwrap().port();
        // Who listens and takes nobody: beyond the few that wait, the kernel answers no more.
        let full = socket_that_is_full(port);
        let (upstream, mut settings) = upstream(move |_, port| {
            let addresses = ["127.0.0.2", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
            Ok(addresses.map(|ip| (ip, port).into()).to_vec())
        });
        settings.times.connect = Duration::from_secs(20);
        let connected = run(async {
            upstream
                .connect(&settings, "two.example", port, true, false, None)
                .await
        });
        assert_eq!(connected.unwrap().address, good.local_addr().unwrap());
        drop(full);
    }

    fn socket_that_is_full(port: u16) -> impl Sized {
        use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
        let address: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &address).unwrap();
        listen(&listener, 0).unwrap();
        let soon = Duration::from_millis(200);
        let waiting: Vec<_> =
            std::iter::repeat_with(|| std::net::TcpStream::connect_timeout(&address, soon))
                .map_while(Result::ok)
                .take(64)
                .collect();
        assert!(waiting.len() < 64, "the kernel takes more and more");
        (listener, waiting)
    }

    #[test]
    fn names_of_one_build_do_not_keep_another_waiting() {
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = good.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (upstream, settings) = upstream(move |host, port| {
            if host.starts_with("silent") {
                // Longer than a connection may take, unless the test is over before.
                for _ in 0..3000 {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                return Err(io::ErrorKind::TimedOut.into());
            }
            Ok(vec![format!("127.0.0.1:{port}").parse().unwrap()])
        });
        let (one, two) = (Share::default(), Share::default());
        run(async {
            let mut silent = JoinSet::new();
            for number in 0..100 {
                let (upstream, settings, one) =
                    (Arc::clone(&upstream), settings.clone(), one.clone());
                silent.spawn(async move {
                    let host = format!("silent{number}.example");
                    let work = upstream.connect(&settings, &host, port, true, false, Some(&one));
                    work.await.map(|_| ())
                });
            }
            while !one.is_full() {
                tokio::task::yield_now().await;
            }
            let work = upstream.connect(&settings, "good.example", port, true, false, Some(&two));
            assert_eq!(work.await.unwrap().address.port(), port);
            silent.abort_all();
            is_over.store(true, Ordering::SeqCst);
        });
    }
}
