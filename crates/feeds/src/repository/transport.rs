//! How TUF metadata is fetched: through the client that fetches everything else.

use std::sync::Arc;

use bytes::Bytes;
use snowguard_http::{Address, Client, Get, HttpError};
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

/// The largest metadata file. There are at most some dozens of targets.
pub(super) const MAX_METADATA: u64 = 1 << 20;

#[derive(Clone)]
pub(super) struct Http {
    pub(super) client: Arc<Client>,
    /// The published directory. `tough` is given [`BASE`] in its place, and names files below it: an
    /// address may hold a password, and what `tough` is given it shows.
    pub(super) from: Address,
}

/// What stands for the published directory.
pub(super) const BASE: &str = "https://repository.invalid/";

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

#[tough::async_trait]
impl Transport for Http {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let client = Arc::clone(&self.client);
        let name = url.to_string();
        // The client waits in a runtime of its own.
        let got = tokio::task::spawn_blocking({
            let address = self.from.below(&["metadata", file_of(&url)]);
            move || get(&client, &address)
        })
        .await;
        let other = |source: Box<dyn std::error::Error + Send + Sync>| {
            TransportError::new_with_cause(TransportErrorKind::Other, &name, source)
        };
        let item = match got {
            Ok(Ok(Some(body))) => Ok(Bytes::from(body)),
            Ok(Ok(None)) => {
                return Err(TransportError::new(TransportErrorKind::FileNotFound, &name));
            }
            Ok(Err(error)) => Err(other(error.into())),
            Err(error) => Err(other(error.into())),
        };
        // Any fault in getting the next root counts as its absence if it is told here, and as the
        // fault that it is if the stream tells it.
        Ok(Box::pin(futures_util::stream::iter([item])))
    }
}

/// The last part of an address. All metadata lies in one folder.
fn file_of(url: &Url) -> &str {
    let path = url.path();
    path.rsplit('/').next().unwrap_or(path)
}

/// A small file; none if there is no such.
pub(super) fn get(client: &Client, address: &Address) -> Result<Option<Vec<u8>>, HttpError> {
    let got = client.get(&Get {
        address,
        limit: MAX_METADATA,
        conditions: None,
        headers: &[],
    });
    match got {
        Ok(page) => Ok(page.map(|page| page.body)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}
