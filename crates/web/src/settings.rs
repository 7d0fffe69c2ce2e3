//! How a server is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::limits::Rate;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the site, in the head of every page.
    pub site: String,
    /// The address under which people reach it: `https://tracker.example.org`. Without it, only names of
    /// this machine are answered to.
    pub url: Option<Url>,
    /// Whether a proxy on this machine stands in front, whose `X-Forwarded-For` is believed.
    pub behind_proxy: bool,
    /// How people log in.
    pub login: Login,
    /// Whether a worker of this tracker sends letters, so that people can subscribe by mail.
    pub letters: bool,
    /// How what is confirmed is published.
    pub publishing: Publishing,
    /// Logins of the security team.
    pub security: Vec<String>,
    /// Logins of administrators.
    pub admins: Vec<String>,
    /// The directory of an index that is published with the decisions, if the server gives it out.
    pub repository: Option<PathBuf>,
    /// How much is asked for at once.
    pub limits: Limits,
}

/// How what is confirmed is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishing {
    /// What public ids begin with: capital letters and digits.
    pub prefix: String,
    /// What the package set calls itself as an ecosystem.
    pub ecosystem: String,
    /// Who says all this; without it the name of the site.
    pub author: Option<String>,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            prefix: "NIXPKGS".into(),
            ecosystem: "Nixpkgs".into(),
            author: None,
        }
    }
}

/// How people log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// One person, with a token that is printed when the server starts.
    Local,
    /// Everybody with an account there.
    GitHub(Box<GitHub>),
}

/// An application that is registered with GitHub.
#[derive(Clone)]
pub struct GitHub {
    /// The id of the application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where people log in: `https://github.com`.
    pub web: Url,
    /// Where it is asked who they are: `https://api.github.com`.
    pub api: Url,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHub")
            .field("client_id", &self.client_id)
            .field("web", &self.web.as_str())
            .finish_non_exhaustive()
    }
}

/// How much is asked for at once, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at once; more wait at the door.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and a connection may be idle.
    pub head: Duration,
    /// How long the body of a request may take to arrive.
    pub body: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
    /// How large a body may be, in bytes.
    pub body_bytes: usize,
    /// How many requests are worked on at once.
    pub workers: usize,
    /// How many wait for that; more are told to come again.
    pub waiting: usize,
    /// How long one waits.
    pub patience: Duration,
    /// What an address may ask for.
    pub reading: Rate,
    /// What an address may send.
    pub writing: Rate,
    /// How often an address may try to log in.
    pub login: Rate,
    /// How long requests may go on after the server was told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = |burst, per_second| Rate { burst, per_second };
        Self {
            connections: 512,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            body_bytes: 128 << 10,
            workers: 8,
            waiting: 128,
            patience: Duration::from_secs(5),
            reading: rate(300, 30.0),
            writing: rate(60, 2.0),
            login: rate(10, 0.1),
            drain: Duration::from_secs(20),
        }
    }
}

impl Settings {
    /// One person on this machine.
    pub fn local() -> Self {
        Self {
            site: "Snowguard".into(),
            url: None,
            behind_proxy: false,
            login: Login::Local,
            letters: false,
            publishing: Publishing::default(),
            security: Vec::new(),
            admins: Vec::new(),
            repository: None,
            limits: Limits::default(),
        }
    }

    /// Whether browsers reach it encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// Whether the server goes by that name, as the header `Host` has it. Another name means that a page
    /// elsewhere has its own name lead here, to read along.
    pub(crate) fn answers_to(&self, host: &str, listens_at: SocketAddr) -> bool {
        let host = host.to_ascii_lowercase();
        let port = format!(":{}", listens_at.port());
        if let Some(url) = &self.url
            && let Some(name) = url.host_str()
        {
            let full = url
                .port()
                .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
            if host == full {
                return true;
            }
        }
        let name = host.strip_suffix(&port).unwrap_or(&host);
        match name {
            "localhost" | "127.0.0.1" | "[::1]" => true,
            name => name.trim_matches(['[', ']']) == listens_at.ip().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_to_its_names_only() {
        let mut settings = Settings::local();
        let at: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        for good in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST",
            "[::1]:8080",
        ] {
            assert!(settings.answers_to(good, at), "{good}");
        }
        for wrong in [
            "evil.example:8080",
            "tracker.example.org",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!settings.answers_to(wrong, at), "{wrong}");
        }
        settings.url = Some("https://tracker.example.org".parse().unwrap());
        assert!(settings.answers_to("Tracker.example.org", at));
        assert!(!settings.answers_to("tracker.example.org.evil.example", at));
        assert!(settings.is_secure());
    }
}
