//! Requests as bytes, answered without a connection: for who looks for bytes that do harm.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use jiff::ToSpan as _;
use snowguard_db::Database;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::people::{People as _, Scopes, Token};

use crate::app::App;
use crate::limits::Rate;
use crate::request::{Fields, MAX_TARGET, Method, Request, segments};
use crate::settings::{Limits, Settings};
use crate::{random, respond};

/// What was answered.
#[derive(Debug)]
pub struct Attempt {
    /// The status.
    pub status: u16,
    /// Where it leads.
    pub location: Option<String>,
    /// What it says.
    pub body: Vec<u8>,
}

/// A server over a new database, in which there is a package `a`, a channel `c`, and an account that may do
/// everything with the token `t`.
pub fn attempted(database: &Path) -> Result<Arc<App>, Box<dyn std::error::Error>> {
    let database = Database::open(&database.display().to_string())?;
    let limits = Limits {
        writing: Rate {
            burst: u32::MAX,
            per_second: f64::from(u32::MAX),
        },
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::local()
    };
    let listens_at = SocketAddr::from(([127, 0, 0, 1], 8080));
    let (app, _) = App::new(settings, database, listens_at)?;
    let now = app.now();
    app.database().write(|session| {
        session.add_channel("c", None)?;
        session.execute("INSERT INTO package (key, name) VALUES ('a', 'a')", &[])?;
        let account = session.local_account(now)?;
        let token = Token {
            id: 0,
            name: "t".to_owned(),
            scopes: Scopes::READ.and(Scopes::TRIAGE),
            created: now,
            used: Some(now),
            expires: now + (24 * 365).hours(),
        };
        session.add_token(account.id, &random::digest("t"), &token)
    })?;
    Ok(app)
}

/// Answers a request that stands in bytes as HTTP/1.1 has it: a line with the method and what is asked for, headers,
/// an empty line, and a form. None where the server takes it for none.
pub fn attempt(app: &App, bytes: &[u8]) -> Option<Attempt> {
    let mut rest = bytes;
    let first = line(&mut rest)?;
    let (method, target) = first.split_once(' ')?;
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        _ => return None,
    };
    let uri: Uri = target.parse().ok()?;
    let target = uri.path_and_query()?.as_str();
    if target.len() > MAX_TARGET {
        return None;
    }
    let mut headers = HeaderMap::new();
    loop {
        let header = line(&mut rest)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    let form = match method {
        Method::Get => Fields::default(),
        Method::Post => Fields::parse(rest).ok()?,
    };
    let request = Request {
        id: "0".to_owned(),
        method,
        segments: segments(uri.path()).ok()?,
        target: target.to_owned(),
        query: Fields::parse(uri.query().unwrap_or_default().as_bytes()).ok()?,
        form,
        headers,
        peer: IpAddr::from([127, 0, 0, 1]),
    };
    let reply = respond::to(app, &request).unwrap_or_else(|fault| {
        respond::fault(app, &fault, &request.id, request.is_api(), &request.target)
    });
    let location = reply.headers.get(LOCATION);
    Some(Attempt {
        status: reply.status.as_u16(),
        location: location.and_then(|to| Some(to.to_str().ok()?.to_owned())),
        body: reply.body,
    })
}

/// The next line, without its end.
fn line<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.get(1..).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    std::str::from_utf8(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fuzz target begins with is taken for requests, but for what has a NUL, and none of it harms.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the corpus lies in files")]
    fn what_is_fuzzed_first_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        let app = attempted(&directory.path().join("t.db")).unwrap();
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/web_request");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let answer = attempt(&app, &std::fs::read(&path).unwrap());
            let Some(answer) = answer else {
                assert!(path.ends_with("nul"), "{} is no request", path.display());
                continue;
            };
            assert_ne!(answer.status, 500, "{}", path.display());
            let body = String::from_utf8_lossy(&answer.body);
            let is_page = body.starts_with("<!doctype");
            assert!(!is_page || !body.contains("<zz"), "{}", path.display());
            count += 1;
        }
        assert!(count > 20);
    }

    #[test]
    fn bytes_are_answered_as_requests() {
        let directory = tempfile::tempdir().unwrap();
        let app = attempted(&directory.path().join("t.db")).unwrap();
        let status = |bytes: &str| attempt(&app, bytes.as_bytes()).map(|answer| answer.status);
        assert_eq!(status("GET /packages/a HTTP/1.1\r\n\r\n"), None);
        assert_eq!(status("GET /packages/a\r\n\r\n"), Some(200));
        assert_eq!(status("GET /packages/b\n\n"), Some(404));
        assert_eq!(status("GET /queue?cursor=~\n\n"), Some(400));
        assert_eq!(status("GET /\nAuthorization: Bearer u\n\n"), Some(401));
        let decide = "POST /api/v1/decide\nAuthorization: Bearer t\n\n";
        assert_eq!(status(decide), Some(422));
        let one = format!("{decide}state=confirmed&f=1.2&reason=r");
        assert_eq!(status(&one), Some(404));
    }
}
