//! Tells systemd how the service is: the datagrams of `sd_notify(3)`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The line to systemd; it leads nowhere where no manager listens.
#[derive(Debug, Default)]
pub struct Manager {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// From the values of `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn new(socket: Option<&str>, watchdog_usec: Option<&str>) -> Self {
        let address = socket.and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        Self {
            to: address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address))),
            watchdog: watchdog_usec
                .and_then(|text| text.parse().ok())
                .filter(|usec| *usec > 0)
                .map(Duration::from_micros),
        }
    }

    /// How often [`Self::alive`] has to be called.
    pub fn beat(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The service works.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// What the service does, in one line.
    pub fn status(&self, text: &str) {
        let line: String = text.chars().filter(|c| !c.is_control()).collect();
        self.send(&format!("STATUS={line}"));
    }

    /// The service is not stuck.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    /// The service ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A manager that does not listen is not waited for: the service goes on without it.
    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_hears() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::new(path.to_str(), Some("2000000"));
        assert_eq!(manager.beat(), Some(Duration::from_secs(1)));
        manager.ready();
        manager.status("two\nlines");
        manager.alive();
        let mut buffer = [0; 100];
        for expected in ["READY=1", "STATUS=twolines", "WATCHDOG=1"] {
            let length = systemd.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]), Ok(expected));
        }
        // Nobody there is no failure.
        Manager::new(None, None).ready();
        Manager::new(Some("/nowhere/at/all"), Some("x")).alive();
    }
}
