//! A folder served on the loopback interface, as a mirror of feeds is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the program ends.
pub(super) struct Server {
    address: SocketAddr,
}

impl Server {
    pub(super) fn start(folder: &Utf8Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("cannot listen on the loopback interface; --alone needs none")?;
        let address = listener.local_addr()?;
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up has nothing more to ask.
                let _ = answer(&stream, &folder);
            }
        });
        Ok(Self { address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

fn answer(mut stream: &TcpStream, folder: &Utf8Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    match file_of(&request, folder).map(std::fs::read) {
        Some(Ok(body)) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"1\"\r\nConnection: close\r\n\r\n",
                body.len()
            )?;
            stream.write_all(&body)
        }
        _ => stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

/// The file that a request line asks for, directly in the folder.
fn file_of(request: &str, folder: &Utf8Path) -> Option<Utf8PathBuf> {
    let path = request.strip_prefix("GET /")?.split(' ').next()?;
    (!path.is_empty() && !path.starts_with('.') && !path.contains('/')).then(|| folder.join(path))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn only_files_of_the_folder_are_asked_for() {
        let of = |request| file_of(request, Utf8Path::new("feed"));
        assert_eq!(of("GET /a.json.gz HTTP/1.1"), Some("feed/a.json.gz".into()));
        for request in [
            "",
            "GET / HTTP/1.1",
            "GET /../a HTTP/1.1",
            "GET /.. HTTP/1.1",
            "PUT /a HTTP/1.1",
        ] {
            assert_eq!(of(request), None, "{request}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let server = Server::start(Utf8Path::new("no such folder")).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}
