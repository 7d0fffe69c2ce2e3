//! Who has a repository, and where: asked by our own client, before git is let out.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::ControlFlow;

use snowguard_fod::outcome::Attempt;
use snowguard_fod::place::Place;
use snowguard_http::{Address, HttpError, Stream, is_public};
use url::Url;

use super::{Fetch, Stop};
use crate::tried;
use crate::verify::Halt;

/// How much of the list of what a repository has is read before git itself asks.
const MOST_ASKED: u64 = 1 << 16;

impl Fetch<'_> {
    /// Asks with our own client; where that led is where git goes.
    pub(super) fn ask(&mut self, url: &str) -> Result<String, Stop> {
        let said = |attempt, text: &str| Err(Stop::Said(attempt, text.to_owned()));
        if url.contains(char::is_control) {
            return said(Attempt::Failed, "it is no address");
        }
        let base = url.trim_end_matches('/');
        let Ok(address) = format!("{base}/info/refs?service=git-upload-pack").parse::<Address>()
        else {
            return said(Attempt::Skipped, "it is no address of https or http");
        };
        if address.path().is_some() {
            return said(Attempt::Denied, "it is a file of this machine");
        }
        let _pass = self
            .verifier
            .gate
            .enter(&address.host(), self.verifier.client.interrupted())
            .ok_or(Halt::Interrupted)?;
        let stream = Stream {
            address: &address,
            limit: u64::MAX,
            headers: &[("Git-Protocol", "version=2")],
            question: None,
            redirects: 20,
            cookies: false,
            statuses: &[],
        };
        let (mut hops, mut received) = (Vec::new(), 0);
        let outcome = self
            .verifier
            .client
            .stream(&stream, &mut hops, &mut |_, piece| {
                received += piece.len() as u64;
                if received < MOST_ASKED {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
        self.redirects.extend(hops.iter().map(ToString::to_string));
        outcome.map_err(|error| why_not(&error))?;
        let Some(last) = hops.last() else {
            return Ok(base.to_owned());
        };
        let last = last.to_string();
        match last.strip_suffix("/info/refs") {
            Some(place) => Ok(place.to_owned()),
            None => Err(Stop::Said(
                Attempt::Redirect,
                format!("it leads to {last}, which is no repository"),
            )),
        }
    }

    /// The addresses of a host, for git to use these and no others.
    pub(super) fn pin(&self, place: &str) -> Result<Option<String>, Stop> {
        if !self.git.public_only || self.git.proxy.is_some() {
            return Ok(None);
        }
        let url = Url::parse(place).ok();
        let (host, port) = url
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
            .ok_or_else(|| Stop::Said(Attempt::Failed, "it is no address".into()))?;
        let bare = host.trim_matches(['[', ']']);
        let found = (bare, port).to_socket_addrs().map_err(|error| {
            Stop::Said(
                Attempt::Transient,
                format!("cannot look up {host}: {error}"),
            )
        })?;
        let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
        if public.is_empty() {
            let text = format!("{host} is not on the public network");
            return Err(Stop::Said(Attempt::Denied, text));
        }
        let addresses: Vec<String> = public
            .iter()
            .map(|address| match address {
                SocketAddr::V4(v4) => v4.ip().to_string(),
                SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
            })
            .collect();
        Ok(Some(format!("{host}:{port}:{}", addresses.join(","))))
    }
}

/// What an error of the client means for a repository.
pub(super) fn why_not(error: &HttpError) -> Stop {
    match tried::of_error(error) {
        Err(halt) => Stop::Halt(halt),
        // Who may not know whether a repository is there is asked for a password; so is who asks too much.
        Ok((_, text)) if text.contains(" answered 401") || text.contains(" answered 403") => {
            let text = format!("{text}: it is gone, or for those only who have a login");
            Stop::Said(Attempt::Failed, text)
        }
        Ok((attempt, text)) => Stop::Said(attempt, text),
    }
}

/// The host of an address.
pub(super) fn host_of(url: &str) -> String {
    Place::of(url).host
}
