//! Where a proxy listens, and how connections are taken.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use camino::Utf8Path;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::build::Group;
use crate::connection::Buffered;
use crate::metrics::add;
use crate::requests::{Place, serve, turn_away};
use crate::room::Room;
use crate::serve::{Session, Shared};
use crate::upstream::Stream;
use crate::who::{At, End};

/// How long is waited where no connection can be taken.
const PAUSE: Duration = Duration::from_millis(50);
/// So many connections wait to be taken, as far as the system allows. Where there is no room, each is tried again
/// after a second.
const BACKLOG: i32 = 4096;

/// Where a proxy listens.
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) end: NearEnd,
}

/// What a listener says of whoever connects to it.
#[derive(Clone, Default)]
pub(crate) struct NearEnd {
    /// Whose every connection is.
    pub(crate) group: Option<Arc<Group>>,
    /// Whether another process made it, in a network of builds that nobody else is in.
    pub(crate) is_inherited: bool,
}

pub(crate) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// At an address.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Self::of(Socket::Tcp(socket)))
    }

    /// At a socket, which only its owner reaches.
    pub fn unix(path: &Utf8Path) -> io::Result<Self> {
        Ok(Self::of(Socket::Unix(bind_private(path)?)))
    }

    /// At a socket that listens already, made by another process, perhaps in another network.
    pub fn inherited(socket: OwnedFd) -> io::Result<Self> {
        let is_unix =
            rustix::net::getsockname(&socket)?.address_family() == rustix::net::AddressFamily::UNIX;
        let mut listener = Self::of(if is_unix {
            Socket::Unix(socket.into())
        } else {
            Socket::Tcp(socket.into())
        });
        listener.end.is_inherited = true;
        Ok(listener)
    }

    /// At the descriptor of that number of this process, which is a socket that listens already; as `inherited`.
    pub fn inherited_number(number: i32) -> io::Result<Self> {
        let own = rustix::process::pidfd_open(
            rustix::process::getpid(),
            rustix::process::PidfdFlags::empty(),
        )?;
        // A copy of it: a number alone cannot be owned without unsafe code.
        let flags = rustix::process::PidfdGetfdFlags::empty();
        Self::inherited(rustix::process::pidfd_getfd(own, number, flags)?)
    }

    /// Lets every connection be one of a session: whoever reaches it needs no token.
    #[must_use]
    pub fn for_session(mut self, session: &Session) -> Self {
        self.end.group = Some(Arc::clone(&session.group));
        self
    }

    /// Where it is.
    pub fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(socket) => match socket.local_addr() {
                Ok(address) => address.to_string(),
                Err(_) => "?".to_owned(),
            },
            Socket::Unix(socket) => match socket.local_addr() {
                Ok(address) => match address.as_pathname() {
                    Some(path) => format!("unix:{}", path.display()),
                    None => "unix".to_owned(),
                },
                Err(_) => "?".to_owned(),
            },
        }
    }

    fn of(socket: Socket) -> Self {
        Self {
            socket,
            end: NearEnd::default(),
        }
    }
}

/// A socket that only its owner may use; one of a process before this one is replaced.
pub(crate) fn bind_private(path: &Utf8Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    if path
        .symlink_metadata()
        .is_ok_and(|data| data.file_type().is_socket())
    {
        std::fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

pub(crate) async fn accept_tcp(
    shared: Arc<Shared>,
    listener: TcpListener,
    near: NearEnd,
    mut stopping: watch::Receiver<bool>,
    room: Arc<Room>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => break,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of files: those that end make room.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let end = stream
            .local_addr()
            .map_or(End::Unknown, |local| End::Tcp(peer, local));
        let at = At::new(near.clone(), end);
        // In the order in which they come.
        let place = Place::of(&at, &room);
        connections.spawn(admitted(
            Arc::clone(&shared),
            stream,
            at,
            place,
            Arc::clone(&room),
            stopping.clone(),
        ));
    }
    drain(connections, stopping).await;
}

pub(crate) async fn accept_unix(
    shared: Arc<Shared>,
    listener: UnixListener,
    near: NearEnd,
    mut stopping: watch::Receiver<bool>,
    room: Arc<Room>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => break,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let pid = rustix::net::sockopt::socket_peercred(stream.as_fd())
            .ok()
            .and_then(|who| u32::try_from(who.pid.as_raw_nonzero().get()).ok());
        let at = At::new(near.clone(), pid.map_or(End::Unknown, End::Pid));
        // In the order in which they come.
        let place = Place::of(&at, &room);
        connections.spawn(admitted(
            Arc::clone(&shared),
            stream,
            at,
            place,
            Arc::clone(&room),
            stopping.clone(),
        ));
    }
    drain(connections, stopping).await;
}

/// Waits for connections until they are done, or are to end at once.
async fn drain(mut connections: JoinSet<()>, mut stopping: watch::Receiver<bool>) {
    let done = async { while connections.join_next().await.is_some() {} };
    let is_done = tokio::select! {
        () = done => true,
        _ = stopping.changed() => false,
    };
    if !is_done {
        connections.shutdown().await;
    }
}

/// Serves a connection if there is room.
async fn admitted<C: Stream>(
    shared: Arc<Shared>,
    stream: C,
    at: At,
    place: Option<Place>,
    room: Arc<Room>,
    stopping: watch::Receiver<bool>,
) {
    let client = Buffered::new(stream);
    add(&shared.metrics.connections, 1);
    let Some(place) = place else {
        return turn_away(&shared, client, "there are too many connections").await;
    };
    shared.metrics.open.fetch_add(1, Ordering::Relaxed);
    serve(&shared, client, &at, &room, place, stopping).await;
    shared.metrics.open.fetch_sub(1, Ordering::Relaxed);
}
