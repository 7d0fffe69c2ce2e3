//! How builds are announced: JSON lines over a socket that only its owner and root may use.
//!
//! | request | answer |
//! |---|---|
//! | `{"begin": {"derivations": ["/nix/store/….drv"]}}` | `{"token": "…", "session": 1, "derivations": […]}` |
//! | the same with `"by": "process"` | the same; requests without a token may be of these |
//! | the same with `"by": "network"` | the same; requests without one are of these while there are no others, in an audit; else those that they may not make are counted on them |
//! | `{"admit": {"described": {…}}}` | the same, for one whose file is not here: what its policy is compiled from. It has `by` as well |
//! | `{"end": {"token": "…"}}` | `{"verdicts": […], "denials": […]}`: the first of what was denied, or would be |
//! | `{"status": {}}` | `{"mode": …, "listeners": […], "requests": 1, "authority": PEM or null}` |
//!
//! The token is the user of the proxy's address, with any password: `http://TOKEN:x@127.0.0.1:3128`. What fails is `{"error": "…", "hint": "…"}`. The connection may be used for more.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use snowguard_fod::policy::{Described, day_of};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::build::By;
use crate::listener::bind_private;
use crate::serve::{Proxy, ProxyError, Session};

/// The longest request, in bytes.
const MOST: u64 = 16 << 20;
/// So many speak at a time.
const MOST_SPEAKERS: usize = 64;

/// The socket.
pub struct Control {
    listener: std::os::unix::net::UnixListener,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Begin {
        derivations: Vec<Utf8PathBuf>,
        #[serde(default)]
        by: By,
    },
    Admit {
        described: Box<Described>,
        #[serde(default)]
        by: By,
    },
    End {
        token: String,
    },
    Status {},
}

impl Control {
    /// Makes the socket.
    pub fn bind(path: &Utf8Path) -> Result<Self, ControlError> {
        let failed = |source| ControlError {
            path: path.to_owned(),
            source,
        };
        let listener = bind_private(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener })
    }

    /// Answers until the task is dropped. `listeners` are where builds reach the proxy.
    pub async fn serve(self, proxy: Proxy, listeners: Vec<String>) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener)?;
        let room = Arc::new(Semaphore::new(MOST_SPEAKERS));
        let listeners = Arc::new(listeners);
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            // Between making a socket and taking it away from others there is a moment.
            let own = rustix::process::geteuid();
            let is_ours = rustix::net::sockopt::socket_peercred(stream.as_fd())
                .is_ok_and(|who| who.uid == own || who.uid.is_root());
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                continue;
            };
            if is_ours {
                let (proxy, listeners) = (proxy.clone(), Arc::clone(&listeners));
                tokio::spawn(async move {
                    let _place = place;
                    let _ = speak(stream, &proxy, &listeners).await;
                });
            }
        }
    }
}

async fn speak(mut stream: UnixStream, proxy: &Proxy, listeners: &[String]) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        if (&mut read).take(MOST).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => answer(request, proxy, listeners).await,
            Err(error) => json!({ "error": format!("it is no request: {error}") }),
        };
        let mut bytes = serde_json::to_vec(&answer).map_err(io::Error::other)?;
        bytes.push(b'\n');
        write.write_all(&bytes).await?;
    }
}

async fn answer(request: Request, proxy: &Proxy, listeners: &[String]) -> Value {
    match request {
        Request::Begin { derivations, by } => {
            let proxy = proxy.clone();
            let begun = tokio::task::spawn_blocking(move || {
                let paths: Vec<&Utf8Path> = derivations.iter().map(Utf8PathBuf::as_path).collect();
                let today = day_of(Timestamp::now());
                proxy.admit(&paths, today, by)
            });
            match begun.await {
                Ok(Ok(session)) => opened(session),
                Ok(Err(error)) => failure(&error),
                Err(_) => json!({ "error": "the proxy is about to end" }),
            }
        }
        Request::Admit { described, by } => {
            match proxy.begin_described(&described, day_of(Timestamp::now()), by) {
                Ok(session) => opened(session),
                Err(error) => failure(&error),
            }
        }
        Request::End { token } => match proxy.end(&token).await {
            Some((verdicts, denials)) => json!({ "verdicts": verdicts, "denials": denials }),
            None => json!({ "error": "that token is not in force" }),
        },
        Request::Status {} => json!({
            "mode": proxy.shared.settings.mode.as_str(),
            "listeners": listeners,
            "requests": proxy.requests(),
            "authority": proxy.authority(),
        }),
    }
}

fn opened(session: Session) -> Value {
    let mut answer = session.description;
    answer["token"] = session.token.into();
    answer
}

fn failure(error: &ProxyError) -> Value {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    json!({ "error": text, "hint": error.hint() })
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {path}")]
pub struct ControlError {
    /// Where.
    pub path: Utf8PathBuf,
    /// Why.
    pub source: io::Error,
}
