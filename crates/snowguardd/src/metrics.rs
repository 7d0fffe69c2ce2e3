//! Metrics over HTTP, on this machine only.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use camino::{Utf8Path, Utf8PathBuf};
use snowguard_watch::metrics::MEDIA_TYPE;

use crate::failure::Failure;

/// The text that is served now.
pub(crate) type Shared = Arc<RwLock<String>>;

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Unix(Utf8PathBuf),
    Loopback(SocketAddr),
}

impl Place {
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::message(format!("cannot serve metrics at `{text}`: {what}"))
                .hint("write unix:/run/snowguard/metrics.sock, 127.0.0.1:9187 or [::1]:9187")
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Utf8PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(wrong("the path of a socket is absolute"))
            };
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| wrong("it is no address with a port"))?;
        if !address.ip().is_loopback() {
            return Err(wrong(
                "others must not reach it, and it is not a loopback address",
            ));
        }
        Ok(Self::Loopback(address))
    }
}

/// Serves from a thread of its own until the process ends. What cannot be served is told at once.
pub(crate) fn serve(place: &str, text: Shared) -> Result<(), Failure> {
    serve_text(place, move || {
        text.read().unwrap_or_else(PoisonError::into_inner).clone()
    })
}

/// The same, with a text that is made when it is asked for.
pub(crate) fn serve_text(
    place: &str,
    text: impl Fn() -> String + Send + Sync + 'static,
) -> Result<(), Failure> {
    let text: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(text);
    let place = Place::parse(place)?;
    let failed = {
        let place = place.clone();
        move |source: std::io::Error| {
            Failure::new(source).context(match &place {
                Place::Unix(path) => format!("cannot serve metrics at unix:{path}"),
                Place::Loopback(address) => format!("cannot serve metrics at {address}"),
            })
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(&failed)?;
    let page = move || async move { ([(CONTENT_TYPE, MEDIA_TYPE)], text()) };
    let router = Router::new().route("/metrics", get(page));
    match place {
        Place::Unix(path) => {
            remove_stale(&path).map_err(&failed)?;
            let listener = runtime
                .block_on(async { tokio::net::UnixListener::bind(&path) })
                .map_err(&failed)?;
            // As on loopback: whoever is on this machine may ask. The directory may say otherwise.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))
                .map_err(&failed)?;
            std::thread::spawn(move || {
                let _ = runtime.block_on(axum::serve(listener, router).into_future());
            });
        }
        Place::Loopback(address) => {
            let listener = runtime
                .block_on(tokio::net::TcpListener::bind(address))
                .map_err(&failed)?;
            if let Ok(address) = listener.local_addr() {
                crate::environment::say(&format!("metrics at http://{address}/metrics"));
            }
            std::thread::spawn(move || {
                let _ = runtime.block_on(axum::serve(listener, router).into_future());
            });
        }
    }
    Ok(())
}

/// A socket of a process before this one is in the way; anything else is somebody's file.
fn remove_stale(path: &Utf8Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match path.symlink_metadata() {
        Ok(data) if data.file_type().is_socket() => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine() {
        for good in ["unix:/run/a", "127.0.0.1:0", "[::1]:9187", "127.8.8.8:1"] {
            assert!(Place::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "0.0.0.0:9187",
            "[::]:9187",
            "192.0.2.1:1",
            "unix:a",
            "localhost:1",
            "9187",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
