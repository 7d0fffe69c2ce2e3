//! What goes past the proxy: connections to elsewhere, datagrams, and among these questions to name servers. Each is told
//! with the derivation that was built meanwhile. The end of a connection is all the answer that there is; nobody takes
//! datagrams, which the kernel tells who sent them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use rustix::net::{RecvFlags, recv};
use serde::Serialize;

use super::packets::{Datagram, datagram, name};

/// Where name servers listen.
const NAMES: u16 = 53;
/// So many different ones are told of, of each derivation.
const MOST: usize = 20;
/// How long is waited after a failure.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked, a millisecond apart, whether all that came is taken.
const MOST_LOOKS: u32 = 1000;
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Something that went past the proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in crate::fod) struct Stray {
    /// The derivation that was built meanwhile; none if it was one whose output is not fixed.
    pub(in crate::fod) derivation: Option<String>,
    pub(in crate::fod) to: To,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::fod) enum To {
    /// A connection.
    Address(SocketAddr),
    /// A datagram, of UDP.
    Datagram(SocketAddr),
    /// The address of a name was asked for.
    Name(String),
}

#[derive(Debug, Default)]
struct Seen {
    building: Option<String>,
    /// Where they come.
    sockets: Vec<OwnedFd>,
    strays: BTreeMap<Option<String>, BTreeSet<To>>,
    /// How many there were beyond those, which are only counted.
    untold: u64,
}

/// Watches for them.
#[derive(Debug)]
pub(in crate::fod) struct Strays(Arc<Mutex<Seen>>);

impl Strays {
    pub(super) fn watch(listeners: [TcpListener; 2], datagrams: [OwnedFd; 2]) -> Self {
        let seen = Self(Arc::default());
        let own = Arc::new(own_names());
        for listener in listeners {
            let seen = Self(Arc::clone(&seen.0));
            let mut own = seen.seen();
            own.sockets.extend(listener.try_clone().map(OwnedFd::from));
            drop(own);
            let _ = listener.set_nonblocking(true);
            std::thread::spawn(move || {
                loop {
                    wait_for(&listener);
                    let mut seen = seen.seen();
                    let Ok((connection, _)) = listener.accept() else {
                        drop(seen);
                        std::thread::sleep(PAUSE);
                        continue;
                    };
                    let four = ip_original_dst(&connection).map(SocketAddr::V4);
                    let meant =
                        four.or_else(|_| ipv6_original_dst(&connection).map(SocketAddr::V6));
                    if let Ok(meant) = meant {
                        seen.add(To::Address(meant));
                    }
                }
            });
        }
        for socket in datagrams {
            let seen = Self(Arc::clone(&seen.0));
            let mut of_datagrams = seen.seen();
            of_datagrams.sockets.extend(socket.try_clone());
            drop(of_datagrams);
            let own = Arc::clone(&own);
            std::thread::spawn(move || {
                // The rest of a longer one says nothing of where it goes.
                let mut bytes = [0; 1024];
                loop {
                    wait_for(&socket);
                    let mut seen = seen.seen();
                    let Ok((length, _)) = recv(&socket, &mut bytes[..], RecvFlags::DONTWAIT) else {
                        drop(seen);
                        std::thread::sleep(PAUSE);
                        continue;
                    };
                    if let Some(datagram) = datagram(&bytes[..length]) {
                        seen.add_datagram(&datagram, &own);
                    }
                }
            });
        }
        seen
    }

    /// Which derivation is built from now on. What came before is told of the one before.
    pub(in crate::fod) fn building(&self, derivation: Option<&str>) {
        for _ in 0..MOST_LOOKS {
            let mut seen = self.seen();
            let is_waiting = |socket| is_ready(socket, Some(&NOW));
            if !seen.sockets.iter().any(is_waiting) {
                seen.building = derivation.map(str::to_owned);
                return;
            }
            drop(seen);
            std::thread::sleep(Duration::from_millis(1));
        }
        self.seen().building = derivation.map(str::to_owned);
    }

    /// All that was seen, and how many there were beyond that.
    pub(in crate::fod) fn all(&self) -> (Vec<Stray>, u64) {
        let seen = self.seen();
        let all = seen.strays.iter().flat_map(|(derivation, all)| {
            all.iter().map(|to| Stray {
                derivation: derivation.clone(),
                to: to.clone(),
            })
        });
        (all.collect(), seen.untold)
    }

    /// What was seen of one derivation.
    pub(in crate::fod) fn of(&self, derivation: &str) -> Vec<To> {
        let seen = self.seen();
        let own = seen.strays.get(&Some(derivation.to_owned()));
        own.into_iter().flatten().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait_for(socket: &impl AsFd) {
    while !is_ready(socket, None) {}
}

/// Whether something came; waits for it where no time is given.
fn is_ready(socket: &impl AsFd, time: Option<&Timespec>) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::IN)];
    matches!(poll(&mut polled, time), Ok(1..))
}

impl Seen {
    fn add_datagram(&mut self, datagram: &Datagram<'_>, own: &BTreeSet<String>) {
        let asked = name(datagram.payload).filter(|_| datagram.to.port() == NAMES);
        match asked {
            // Git looks up what this machine is called, and goes on without an answer.
            Some(name) if own.contains(&name) => {}
            Some(name) => self.add(To::Name(name)),
            None => self.add(To::Datagram(datagram.to)),
        }
    }

    fn add(&mut self, to: To) {
        let own = self.strays.entry(self.building.clone()).or_default();
        if own.len() < MOST {
            own.insert(to);
        } else if !own.contains(&to) {
            self.untold += 1;
        }
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.derivation.as_deref();
        let who = who.unwrap_or("a derivation whose output is not fixed");
        write!(f, "{who} {}", self.to)
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(to) => write!(
                f,
                "tried to connect to {to} past the proxy, and was stopped"
            ),
            Self::Datagram(to) => write!(
                f,
                "sent {to} a datagram past the proxy (UDP), and was stopped"
            ),
            Self::Name(name) => write!(f, "asked a name server for {name}, and was not answered"),
        }
    }
}

impl To {
    /// What to do about it.
    pub(in crate::fod) fn remedy(&self) -> &'static str {
        match self {
            Self::Address(to) => match to.port() {
                9418 => "git:// is carried by no proxy, and proves nothing: take https://",
                22 => "ssh is carried by no proxy: take https://",
                _ if to.ip().is_loopback() => {
                    "a fixed-output derivation has no business with services of this machine"
                }
                _ => {
                    "a tool that ignores https_proxy must be told of the proxy by its own options, or it fetches what nobody checks"
                }
            },
            Self::Datagram(to) if to.ip().is_loopback() => {
                "a fixed-output derivation has no business with services of this machine"
            }
            Self::Datagram(to) if to.port() == 443 => {
                "HTTP/3 is carried by no proxy: a tool that uses https_proxy takes what is"
            }
            Self::Datagram(to) if !matches!(to.port(), NAMES | 853) => {
                "no proxy carries UDP: fetch it by https://"
            }
            Self::Datagram(_) | Self::Name(_) => {
                "a tool that uses the proxy lets it look up names: this one ignores https_proxy, or speaks git:// or ssh, which no proxy carries"
            }
        }
    }
}

/// What this machine is called, by itself and in the domains that are searched.
#[expect(
    clippy::disallowed_methods,
    reason = "the face asks what this machine is called"
)]
fn own_names() -> BTreeSet<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    names_of(
        &read("/proc/sys/kernel/hostname"),
        &read("/etc/resolv.conf"),
    )
}

fn names_of(hostname: &str, resolver: &str) -> BTreeSet<String> {
    let hostname = hostname.trim();
    let domains = resolver.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("search" | "domain")).then_some(words)
    });
    let mut all: BTreeSet<String> = domains
        .flatten()
        .map(|domain| format!("{hostname}.{}", domain.trim_end_matches('.')))
        .collect();
    all.insert(hostname.to_owned());
    // As Nix's sandbox calls it. No name server is to be asked for that (RFC 6761, section 6.3); where there is no
    // `/etc/hosts`, it is.
    all.insert("localhost".to_owned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_of_the_one_that_was_built_then() {
        let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || std::os::unix::net::UnixDatagram::pair().unwrap();
        let ((client, packets), (_other, others)) = (pair(), pair());
        let strays = Strays::watch([tcp(), tcp()], [packets.into(), others.into()]);
        // Of IPv4, UDP, to a port of this machine.
        let mut packet = [0; 28];
        (packet[0], packet[9], packet[16]) = (0x45, 17, 127);
        for drv in ["/a.drv", "/b.drv", "/c.drv"] {
            strays.building(Some(drv));
            client.send(&packet).unwrap();
        }
        strays.building(None);
        let all = strays
            .all()
            .0
            .into_iter()
            .filter_map(|stray| stray.derivation);
        assert_eq!(all.collect::<Vec<_>>(), ["/a.drv", "/b.drv", "/c.drv"]);
    }

    #[test]
    fn one_derivation_does_not_take_the_place_of_others() {
        let mut seen = Seen::default();
        for building in ["/a.drv", "/b.drv"] {
            seen.building = Some(building.to_owned());
            for number in 0..30 {
                seen.add(To::Name(format!("{number}.example.org")));
            }
            seen.add(To::Name("0.example.org".to_owned()));
        }
        let strays = Strays(Arc::new(Mutex::new(seen)));
        let (all, untold) = strays.all();
        assert_eq!((all.len(), untold), (40, 20));
        assert_eq!(all[20].derivation.as_deref(), Some("/b.drv"));
    }

    #[test]
    fn this_machine_has_a_name_in_each_domain() {
        let all = names_of(
            "vm\n",
            "nameserver 192.0.2.1\nsearch a.example b.example.\n",
        );
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(all, ["localhost", "vm", "vm.a.example", "vm.b.example"]);
    }

    #[test]
    fn strays_are_told_with_who_and_where() {
        let drv = Some("/nix/store/x.drv".to_owned());
        let to = |text: &str| To::Address(text.parse().unwrap());
        let told = |derivation: &Option<String>, to| {
            let stray = Stray {
                derivation: derivation.clone(),
                to,
            };
            format!("{stray}\n{}", stray.to.remedy())
        };
        insta::assert_snapshot!([
            told(&drv, to("127.0.0.1:631")),
            told(&drv, to("10.0.0.1:443")),
            told(&drv, to("[2001:db8::1]:9418")),
            told(&drv, To::Datagram("198.51.100.7:443".parse().unwrap())),
            told(&None, To::Name("example.org".into())),
        ].join("\n"), @"
        /nix/store/x.drv tried to connect to 127.0.0.1:631 past the proxy, and was stopped
        a fixed-output derivation has no business with services of this machine
        /nix/store/x.drv tried to connect to 10.0.0.1:443 past the proxy, and was stopped
        a tool that ignores https_proxy must be told of the proxy by its own options, or it fetches what nobody checks
        /nix/store/x.drv tried to connect to [2001:db8::1]:9418 past the proxy, and was stopped
        git:// is carried by no proxy, and proves nothing: take https://
        /nix/store/x.drv sent 198.51.100.7:443 a datagram past the proxy (UDP), and was stopped
        HTTP/3 is carried by no proxy: a tool that uses https_proxy takes what is
        a derivation whose output is not fixed asked a name server for example.org, and was not answered
        a tool that uses the proxy lets it look up names: this one ignores https_proxy, or speaks git:// or ssh, which no proxy carries
        ");
    }
}
