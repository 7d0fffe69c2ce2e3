//! Which database: a path for SQLite, a URL for PostgreSQL.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use postgres::Config;
use postgres::config::Host;

use super::DbError;

/// Which database. Shown without a password.
#[derive(Clone)]
pub struct Location(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(PathBuf),
    Postgres(Box<Server>),
}

/// A server, and how the connection to it is protected.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) protection: Protection,
}

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Protection {
    pub(super) mode: SslMode,
    /// Authorities that are trusted; the system's if nothing is given.
    pub(super) root: Option<PathBuf>,
    /// The client's certificate and key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// What `sslmode` says, with libpq's meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    /// Not encrypted.
    Disable,
    /// Encrypted if the server can, whoever it is.
    Prefer,
    /// Encrypted, whoever it is; with `sslrootcert` as `VerifyCa`.
    Require,
    /// Encrypted, by a server whose certificate is of a trusted authority.
    VerifyCa,
    /// Encrypted, by the server of that name.
    VerifyFull,
}

/// What a location names.
pub(super) enum Place<'a> {
    Sqlite(&'a Path),
    Postgres(&'a Server),
}

impl Location {
    /// A SQLite file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Sqlite(path.into()))
    }

    /// The path, where it is a file.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Sqlite(path) => Some(path),
            Kind::Postgres(_) => None,
        }
    }

    pub(super) fn place(&self) -> Place<'_> {
        match &self.0 {
            Kind::Sqlite(path) => Place::Sqlite(path),
            Kind::Postgres(server) => Place::Postgres(server),
        }
    }
}

impl FromStr for Location {
    type Err = DbError;

    /// `postgres://…` and `postgresql://…` are servers, everything else is a path.
    fn from_str(text: &str) -> Result<Self, DbError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let server = Server::parse(text).map_err(|reason| DbError::Location { reason })?;
            return Ok(Self(Kind::Postgres(Box::new(server))));
        }
        if text.is_empty() || text.contains('\0') || text.contains("://") || text == ":memory:" {
            return Err(DbError::Location {
                reason: "it is neither a path nor a URL of PostgreSQL".to_owned(),
            });
        }
        Ok(Self::file(text))
    }
}

/// Where the system's server has its socket, on Debian and NixOS.
const SOCKETS: &str = "/run/postgresql";

impl Server {
    fn parse(url: &str) -> Result<Self, String> {
        let (rest, mut ours) = split(url)?;
        let mut config = rest.parse::<Config>().map_err(|error| reason(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(SOCKETS);
        }
        let root = ours.remove("sslrootcert").filter(|root| root != "system");
        let client = match (ours.remove("sslcert"), ours.remove("sslkey")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            _ => return Err("sslcert and sslkey are given together".to_owned()),
        };
        let mode = match ours.get("sslmode").map(String::as_str) {
            // Without a word: nobody listens on this machine; elsewhere, nothing less than certainty.
            None if is_near(&config) => SslMode::Prefer,
            None | Some("verify-full") => SslMode::VerifyFull,
            Some("disable") => SslMode::Disable,
            Some("prefer") => SslMode::Prefer,
            Some("require") => SslMode::Require,
            Some("verify-ca") => SslMode::VerifyCa,
            Some(_) => {
                return Err(
                    "sslmode is one of disable, prefer, require, verify-ca, verify-full".to_owned(),
                );
            }
        };
        config.ssl_mode(match mode {
            SslMode::Disable => postgres::config::SslMode::Disable,
            SslMode::Prefer => postgres::config::SslMode::Prefer,
            _ => postgres::config::SslMode::Require,
        });
        if has_only_sockets(&config) {
            // The server never encrypts there.
            config.ssl_mode(postgres::config::SslMode::Disable);
        }
        Ok(Self {
            config,
            protection: Protection {
                mode,
                root: root.map(PathBuf::from),
                client,
            },
        })
    }
}

fn has_only_sockets(config: &Config) -> bool {
    config.get_hostaddrs().is_empty()
        && config
            .get_hosts()
            .iter()
            .all(|host| matches!(host, Host::Unix(_)))
}

/// Whether the connection does not leave this machine.
fn is_near(config: &Config) -> bool {
    config.get_hostaddrs().iter().all(IpAddr::is_loopback)
        && config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        })
}

/// A URL without the settings that are ours to keep, and these.
fn split(url: &str) -> Result<(String, BTreeMap<String, String>), String> {
    let Some((rest, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), BTreeMap::new()));
    };
    let (mut others, mut ours) = (Vec::new(), BTreeMap::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((name @ ("sslmode" | "sslrootcert" | "sslcert" | "sslkey"), value)) => {
                let value = decoded(value)
                    .ok_or_else(|| format!("the value of {name} is not percent-encoded"))?;
                if ours.insert(name.to_owned(), value).is_some() {
                    return Err(format!("{name} is given twice"));
                }
            }
            _ => others.push(part),
        }
    }
    let query = others.join("&");
    let url = if query.is_empty() {
        rest.to_owned()
    } else {
        format!("{rest}?{query}")
    };
    Ok((url, ours))
}

/// `%2F` is `/`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.extend(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// What the parser says is wrong; it names settings, and never their values.
fn reason(error: &postgres::Error) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(path) => write!(f, "{}", path.display()),
            Kind::Postgres(server) => f.write_str(&name(&server.config)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// Server and database, without user and password.
pub(super) fn name(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            };
            let ports = config.get_ports();
            match ports.get(index).or_else(|| ports.first()) {
                Some(port) => format!("{name}:{port}"),
                None => name,
            }
        })
        .collect();
    format!(
        "database `{}` on {}",
        config
            .get_dbname()
            .or_else(|| config.get_user())
            .unwrap_or("postgres"),
        hosts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_shown_without_its_password() {
        let shown = |text: &str| match text.parse::<Location>() {
            Ok(location) => format!("{location:?}"),
            Err(error) => error.to_string(),
        };
        insta::assert_snapshot!(shown("postgres://anna:secret@db.example:5433/guard"), @"Location(database `guard` on db.example:5433)");
        insta::assert_snapshot!(shown("postgresql:///guard?host=/run/postgresql&user=anna&password=secret"), @"Location(database `guard` on /run/postgresql)");
        insta::assert_snapshot!(shown("postgres://anna:secret@db:port/guard"), @"read the name of the database: invalid value for option `port`");
        insta::assert_snapshot!(shown("postgres://anna:secret@db/guard?sslmode=secret"), @"read the name of the database: sslmode is one of disable, prefer, require, verify-ca, verify-full");
        insta::assert_snapshot!(shown("postgres://anna:secret@db/guard?sslcert=secret"), @"read the name of the database: sslcert and sslkey are given together");
        insta::assert_snapshot!(shown("postgres://anna:secret@db/guard?sslmode=require&sslmode=disable"), @"read the name of the database: sslmode is given twice");
        insta::assert_snapshot!(shown("postgres:///guard"), @"Location(database `guard` on /run/postgresql)");
        insta::assert_snapshot!(shown("state/tracker.db"), @"Location(state/tracker.db)");
        insta::assert_snapshot!(shown("mysql://anna:secret@db/guard"), @"read the name of the database: it is neither a path nor a URL of PostgreSQL");
        insta::assert_snapshot!(shown(":memory:"), @"read the name of the database: it is neither a path nor a URL of PostgreSQL");
    }

    #[test]
    fn protection_is_what_is_asked_for_and_else_as_near_the_server_is() {
        let mode = |text: &str| match text.parse::<Location>().unwrap().place() {
            Place::Postgres(server) => (server.protection.mode, server.config.get_ssl_mode()),
            Place::Sqlite(_) => panic!("a server is no file"),
        };
        use postgres::config::SslMode::{Disable, Prefer, Require};
        assert_eq!(
            mode("postgres://db.example/x"),
            (SslMode::VerifyFull, Require)
        );
        assert_eq!(
            mode("postgres://localhost,db.example/x"),
            (SslMode::VerifyFull, Require)
        );
        assert_eq!(
            mode("postgres://localhost,[::1],127.0.0.2/x"),
            (SslMode::Prefer, Prefer)
        );
        assert_eq!(mode("postgres:///x"), (SslMode::Prefer, Disable));
        assert_eq!(
            mode("postgres://db/x?sslmode=disable"),
            (SslMode::Disable, Disable)
        );
        assert_eq!(
            mode("postgres://db/x?connect_timeout=3&sslmode=require"),
            (SslMode::Require, Require)
        );
        assert_eq!(
            mode("postgres://db/x?sslmode=verify-ca&sslrootcert=system"),
            (SslMode::VerifyCa, Require)
        );
        let location: Location = "postgres://db/x?sslrootcert=%2Fa%20b.pem".parse().unwrap();
        let Place::Postgres(server) = location.place() else {
            panic!("a server is no file");
        };
        assert_eq!(
            server.protection.root.as_deref(),
            Some(Path::new("/a b.pem"))
        );
    }
}
