//! What goes past the proxy: connections to elsewhere, and questions to name servers. Each is told with the
//! derivation that was built meanwhile, and answered by its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use serde::Serialize;

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
pub(super) struct Stray {
    /// The derivation that was built meanwhile; none if it was one whose output is not fixed.
    pub(super) derivation: Option<String>,
    pub(super) to: To,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum To {
    /// A connection.
    Address(SocketAddr),
    /// The address of a name was asked for.
    Name(String),
}

#[derive(Default)]
struct Seen {
    building: Option<String>,
    /// Where they come.
    sockets: Vec<OwnedFd>,
    strays: BTreeMap<Option<String>, BTreeSet<To>>,
    /// How many there were beyond those, which are only counted.
    untold: u64,
}

/// Watches for them.
pub(super) struct Strays(Arc<Mutex<Seen>>);

impl Strays {
    pub(super) fn watch(listeners: [TcpListener; 2], names: UdpSocket) -> Self {
        let seen = Self(Arc::default());
        let own = own_names();
        for listener in listeners {
            let seen = Self(Arc::clone(&seen.0));
            let mut own = seen.seen();
            own.sockets.extend(listener.try_clone().map(OwnedFd::from));
            drop(own);
            let _ = listener.set_nonblocking(true);
            std::thread::spawn(move || {
                // The end of the connection is all the answer that there is.
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
        let asked = Self(Arc::clone(&seen.0));
        let mut of_names = seen.seen();
        of_names
            .sockets
            .extend(names.try_clone().map(OwnedFd::from));
        drop(of_names);
        let _ = names.set_nonblocking(true);
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            loop {
                wait_for(&names);
                let mut seen = asked.seen();
                let Ok((length, from)) = names.recv_from(&mut bytes) else {
                    drop(seen);
                    std::thread::sleep(PAUSE);
                    continue;
                };
                if let Some(name) = name(&bytes[..length]) {
                    // Git looks up what this machine is called, and goes on without an answer.
                    if !own.contains(&name) {
                        seen.add(To::Name(name));
                    }
                    let _ = names.send_to(&refused(&bytes[..length]), from);
                }
            }
        });
        seen
    }

    /// Which derivation is built from now on. What came before is told of the one before.
    pub(super) fn building(&self, derivation: Option<&str>) {
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
    pub(super) fn all(&self) -> (Vec<Stray>, u64) {
        let seen = self.seen();
        let all = seen.strays.iter().flat_map(|(derivation, all)| {
            all.iter().map(|to| Stray {
                derivation: derivation.clone(),
                to: to.clone(),
            })
        });
        (all.collect(), seen.untold)
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
        f.write_str(who.unwrap_or("a derivation whose output is not fixed"))?;
        match &self.to {
            To::Address(to) => write!(
                f,
                " tried to connect to {to} past the proxy, and was stopped"
            ),
            To::Name(name) => write!(f, " asked a name server for {name}, and was not answered"),
        }
    }
}

impl Stray {
    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match &self.to {
            To::Address(to) => match to.port() {
                9418 => "git:// is carried by no proxy, and proves nothing: take https://",
                22 => "ssh is carried by no proxy: take https://",
                _ if to.ip().is_loopback() => {
                    "a fixed-output derivation has no business with services of this machine"
                }
                _ => {
                    "a tool that ignores https_proxy must be told of the proxy by its own options, or it fetches what nobody checks"
                }
            },
            To::Name(_) => {
                "a tool that uses the proxy lets it look up names: this one ignores https_proxy"
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
    all
}

/// The name of a question (RFC 1035, section 4.1), if it is one.
fn name(query: &[u8]) -> Option<String> {
    let header = query.get(..12)?;
    // A question, and one.
    if header[2] & 0x80 != 0 || header[4..6] != [0, 1] {
        return None;
    }
    let mut name = String::new();
    let mut rest = &query[12..];
    loop {
        let (&length, after) = rest.split_first()?;
        match usize::from(length) {
            0 => {
                return Some(if name.is_empty() {
                    ".".to_owned()
                } else {
                    name
                });
            }
            length @ 1..=63 => {
                let (label, after) = after.split_at_checked(length)?;
                if !name.is_empty() {
                    name.push('.');
                }
                // A builder chooses the bytes: what no host has is written as zone files have it.
                for &byte in label {
                    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                        name.push(char::from(byte));
                    } else {
                        let _ = write!(name, "\\{byte:03}");
                    }
                }
                if name.len() > 1023 {
                    return None;
                }
                rest = after;
            }
            _ => return None,
        }
    }
}

/// The same question back, refused.
fn refused(query: &[u8]) -> Vec<u8> {
    let mut answer = query.to_vec();
    if let Some(flags) = answer.get_mut(2..4) {
        flags[0] |= 0x80;
        flags[1] = 5;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `dig example.org` asks, without EDNS.
    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";

    #[test]
    fn what_came_is_told_of_the_one_that_was_built_then() {
        let udp = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (names, client) = (udp(), udp());
        let to = names.local_addr().unwrap();
        let strays = Strays::watch([tcp(), tcp()], names);
        for drv in ["/a.drv", "/b.drv", "/c.drv"] {
            strays.building(Some(drv));
            client.send_to(QUERY, to).unwrap();
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
    fn names_are_read_from_questions() {
        assert_eq!(name(QUERY).as_deref(), Some("example.org"));
        assert_eq!(refused(QUERY)[..4], [0x12, 0x34, 0x81, 5]);
        for end in 0..QUERY.len() - 5 {
            assert_eq!(name(&QUERY[..end]), None, "{end}");
        }
        let mut answer = QUERY.to_vec();
        answer[2] |= 0x80;
        assert_eq!(name(&answer), None);
        // What a builder asks for is no text for a terminal.
        let mut line = QUERY.to_vec();
        line[13..20].copy_from_slice(b"x\n::a.\xff");
        let shown = r"x\010\058\058a\046\255.org";
        assert_eq!(name(&line).as_deref(), Some(shown));
        // A pointer is for answers.
        let mut pointer = QUERY.to_vec();
        pointer[12] = 0xc0;
        assert_eq!(name(&pointer), None);
    }

    #[test]
    fn this_machine_has_a_name_in_each_domain() {
        let all = names_of(
            "vm\n",
            "nameserver 192.0.2.1\nsearch a.example b.example.\n",
        );
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(all, ["vm", "vm.a.example", "vm.b.example"]);
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
            format!("{stray}\n{}", stray.remedy())
        };
        insta::assert_snapshot!([
            told(&drv, to("127.0.0.1:631")),
            told(&drv, to("10.0.0.1:443")),
            told(&drv, to("[2001:db8::1]:9418")),
            told(&None, To::Name("example.org".into())),
        ].join("\n"), @"
        /nix/store/x.drv tried to connect to 127.0.0.1:631 past the proxy, and was stopped
        a fixed-output derivation has no business with services of this machine
        /nix/store/x.drv tried to connect to 10.0.0.1:443 past the proxy, and was stopped
        a tool that ignores https_proxy must be told of the proxy by its own options, or it fetches what nobody checks
        /nix/store/x.drv tried to connect to [2001:db8::1]:9418 past the proxy, and was stopped
        git:// is carried by no proxy, and proves nothing: take https://
        a derivation whose output is not fixed asked a name server for example.org, and was not answered
        a tool that uses the proxy lets it look up names: this one ignores https_proxy
        ");
    }
}
