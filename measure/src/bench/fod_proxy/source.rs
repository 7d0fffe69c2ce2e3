//! What is fetched, who serves it, and who fetches it, over TLS. `GET /N` is answered with N bytes.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest as _, Sha256};
use snowguard_testkit::certificates::Certificates;

/// The server's name.
pub(super) const HOST: &str = "source.example";
/// What bodies repeat. Each byte of it looks like chance, so nothing is smaller than it is.
static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..(1 << 17)).flat_map(|_| step()).collect()
});
/// So much is read or written at a time.
const PIECE: usize = 64 << 10;
/// How long anybody may say nothing.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest head.
const MOST_HEAD: usize = 16 << 10;

/// The SHA-256 of so many bytes.
pub(super) fn digest(bytes: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    for piece in pieces(bytes) {
        hash.update(piece);
    }
    hash.finalize().into()
}

/// A body in pieces.
fn pieces(bytes: u64) -> impl Iterator<Item = &'static [u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let piece = expected(at, bytes, PIECE);
        at += piece.len() as u64;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}

/// What comes from there on, up to so much, as far as it lies together.
fn expected(at: u64, bytes: u64, most: usize) -> &'static [u8] {
    let block: &[u8] = &BLOCK;
    let from = usize::try_from(at % block.len() as u64).unwrap_or(0);
    let rest = usize::try_from(bytes - at).unwrap_or(usize::MAX);
    let to = from.saturating_add(rest.min(most)).min(block.len());
    &block[from..to]
}

/// How the server speaks TLS.
pub(super) fn server_config(certificates: &Certificates) -> Result<Arc<ServerConfig>> {
    let chain = vec![CertificateDer::from_pem_slice(
        certificates.certificate.as_bytes(),
    )?];
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// How a client speaks TLS that trusts these authorities, in PEM.
pub(super) fn client_config(authorities: &[u8]) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each fetch is that of another process.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Serves, each connection in a thread of its own.
pub(super) fn serve(listener: &TcpListener, config: &Arc<ServerConfig>) {
    for stream in listener.incoming().flatten() {
        let config = Arc::clone(config);
        std::thread::spawn(move || {
            // A client that hangs up has nothing more to ask.
            let _ = answer(stream, config);
        });
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    let session = ServerConnection::new(config)?;
    let mut stream = rustls::StreamOwned::new(session, Wide::new(stream)?);
    let asked = head(&mut stream)?;
    let bytes: u64 = asked
        .strip_prefix("GET /")
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .context("nobody asks so")?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n"
    )?;
    for piece in pieces(bytes) {
        stream.write_all(piece)?;
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    // The kernel may forget what nobody has open any more, though it was not received.
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(())
}

/// How a client gets to the server.
#[derive(Clone)]
pub(super) struct Way {
    /// To whom it connects: the server, or a proxy.
    pub(super) to: SocketAddr,
    /// What it asks a proxy for.
    pub(super) connect: Option<Connect>,
    pub(super) config: Arc<ClientConfig>,
}

#[derive(Clone)]
pub(super) struct Connect {
    /// Name or address, and port.
    pub(super) target: String,
    /// The user, whose password does not matter.
    pub(super) token: Option<String>,
}

/// A connection on which nothing was asked for.
pub(super) struct Opened(rustls::StreamOwned<ClientConnection, Wide>);

impl Way {
    /// Connects, and shakes hands with who proves to be the server.
    pub(super) fn open(&self) -> Result<Opened> {
        let stream = TcpStream::connect_timeout(&self.to, PATIENCE).context("cannot connect")?;
        let mut stream = Wide::new(stream)?;
        if let Some(connect) = &self.connect {
            let target = &connect.target;
            let mut asked = Vec::new();
            write!(asked, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")?;
            if let Some(token) = &connect.token {
                let user = BASE64.encode(format!("{token}:x").as_bytes());
                write!(asked, "Proxy-Authorization: Basic {user}\r\n")?;
            }
            asked.extend(b"\r\n");
            stream.write_all(&asked)?;
            let told = head(&mut stream)?;
            let status = told.split(' ').nth(1);
            ensure!(status == Some("200"), "the proxy answers: {}", told.trim());
        }
        let session = ClientConnection::new(Arc::clone(&self.config), ServerName::try_from(HOST)?)?;
        let mut stream = rustls::StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .context("TLS fails")?;
        }
        Ok(Opened(stream))
    }
}

impl Opened {
    /// Fetches so many bytes, which have to be those that are served.
    pub(super) fn fetch(mut self, bytes: u64) -> Result<()> {
        let stream = &mut self.0;
        write!(
            stream,
            "GET /{bytes} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        )?;
        let told = head(stream)?;
        ensure!(
            told.split(' ').nth(1) == Some("200"),
            "the answer is {told}"
        );
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < bytes {
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "the body ends after {at} of {bytes} bytes");
            let mut piece = &buffer[..count];
            while !piece.is_empty() {
                let (one, rest) = piece.split_at(
                    piece
                        .len()
                        .min(expected(at, bytes, piece.len()).len().max(1)),
                );
                ensure!(
                    one == expected(at, bytes, one.len()),
                    "another body comes, from byte {at} on"
                );
                at += one.len() as u64;
                piece = rest;
            }
        }
        Ok(())
    }
}

/// A head, byte by byte: what comes after it stays where it is.
fn head(stream: &mut impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if bytes.len() >= MOST_HEAD || stream.read(&mut one)? == 0 {
            bail!("no head comes: {}", String::from_utf8_lossy(&bytes).trim());
        }
        bytes.push(one[0]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A socket that is read in large pieces, of which TLS takes small ones.
struct Wide(BufReader<TcpStream>);

impl Wide {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(PIECE, stream)))
    }
}

impl Read for Wide {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wide {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, all: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        self.0.get_mut().write_vectored(all)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.get_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_served_fetched_and_looked_at() {
        let certificates = Certificates::new(&[HOST]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let config = server_config(&certificates).unwrap();
        std::thread::spawn(move || serve(&listener, &config));
        let way = Way {
            to,
            connect: None,
            config: client_config(certificates.authority.as_bytes()).unwrap(),
        };
        for bytes in [0, 1, 100_000, (1 << 20) + 17, 3 << 20] {
            way.open().unwrap().fetch(bytes).unwrap();
        }
        let stranger = Certificates::new(&[HOST]).unwrap();
        let distrusting = Way {
            config: client_config(stranger.authority.as_bytes()).unwrap(),
            ..way
        };
        assert!(distrusting.open().is_err());
    }

    #[test]
    fn pieces_make_up_the_body() {
        let bytes = (2 << 20) + 5;
        let body: Vec<u8> = pieces(bytes).flatten().copied().collect();
        assert_eq!(body.len() as u64, bytes);
        assert_eq!(body[..1 << 20], body[1 << 20..2 << 20]);
        assert_eq!(digest(bytes), <[u8; 32]>::from(Sha256::digest(&body)));
    }
}
