//! Names are resolved. Each look-up takes a thread for as long as name servers let it wait, so each build has a few at a
//! time, and cannot take those of others.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Fault;

/// So many names are resolved at a time.
const MOST: usize = 64;
/// So many of these for one build.
const MOST_OF_ONE: usize = 8;
/// So long is waited for others to be done.
const MOST_WAIT: Duration = Duration::from_mins(1);

type Resolver = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The look-ups of one build.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Semaphore>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_OF_ONE)))
    }
}

#[cfg(test)]
impl Share {
    pub(super) fn is_full(&self) -> bool {
        self.0.available_permits() == 0
    }
}

/// Resolves names.
pub(super) struct Lookups {
    resolver: Resolver,
    places: Arc<Semaphore>,
    /// Of those whose build is not known.
    nobody: Share,
}

/// The right to resolve one name.
pub(super) struct Place {
    _places: [OwnedSemaphorePermit; 2],
}

impl Lookups {
    /// As this system does.
    pub(super) fn of_system() -> Self {
        Self::by(Arc::new(|host, port| {
            Ok((host, port).to_socket_addrs()?.collect())
        }))
    }

    pub(super) fn by(resolver: Resolver) -> Self {
        Self {
            resolver,
            places: Arc::new(Semaphore::new(MOST)),
            nobody: Share::default(),
        }
    }

    /// Waits for a place. Each build waits for its own first, so that few of each stand before others.
    pub(super) async fn place(&self, share: Option<&Share>) -> Result<Place, Fault> {
        let Share(own) = share.unwrap_or(&self.nobody);
        let (own, all) = (Arc::clone(own), Arc::clone(&self.places));
        let both = async { Ok([own.acquire_owned().await?, all.acquire_owned().await?]) };
        match timeout(MOST_WAIT, both).await {
            Ok(Ok(places)) => Ok(Place { _places: places }),
            Ok(Err::<_, tokio::sync::AcquireError>(_)) | Err(_) => Err(Fault::Crowded),
        }
    }

    pub(super) async fn resolve(
        &self,
        place: Place,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let (resolver, host) = (Arc::clone(&self.resolver), host.to_owned());
        // Who gives up waiting does not end the thread, which keeps its place as long as it takes.
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            resolver(&host, port)
        });
        work.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(Fault::Resolve)
    }
}
