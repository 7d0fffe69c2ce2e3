//! Heads of HTTP/1 requests and responses.
//!
//! Sources: RFC 9110, RFC 9112. Stricter than these where they leave a choice: lines end with CR LF, no line
//! continues another, there is one `Host`, one `Content-Length`, and no `Transfer-Encoding` but `chunked`.

use std::fmt;
use std::net::IpAddr;

use snowguard_fod::policy::Protocol;

/// The longest head, in bytes.
pub const MOST_HEAD: usize = 64 << 10;
/// So many header lines at most.
pub const MOST_HEADERS: usize = 128;
/// The longest target of a request, in bytes.
pub const MOST_TARGET: usize = 16 << 10;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    None,
    /// So many bytes.
    Bytes(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends; of responses only.
    UntilClose,
}

/// Header lines in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Box<str>, Box<[u8]>)>);

impl Headers {
    /// The values of a header, by its name in any case.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let lines = self.0.iter();
        lines
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// The first value of a header, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self
            .lines()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        std::str::from_utf8(found?.1).ok()
    }

    /// All lines.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether a comma-separated header has an item, in any case.
    pub fn has_item(&self, name: &str, item: &str) -> bool {
        self.all(name).any(|value| {
            value
                .split(|byte| *byte == b',')
                .any(|one| one.trim_ascii().eq_ignore_ascii_case(item.as_bytes()))
        })
    }

    /// Writes the lines that are for whoever is at the end, and not for this hop; without the framing, which
    /// whoever sends on makes anew, and without those of `also`.
    pub fn write_end_to_end(&self, out: &mut Vec<u8>, also: &[&str]) {
        for (name, value) in self.lines() {
            let named_by_connection = || self.has_item("connection", name);
            let one_of =
                |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
            if one_of(&HOP_BY_HOP) || one_of(also) || named_by_connection() {
                continue;
            }
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// What is between two neighbours only; and the framing.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A host with its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// In lower case, without a dot at its end; addresses without brackets.
    pub host: Box<str>,
    /// The port, if one is named.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`; without user.
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        let wrong = || HeadError::Authority;
        let (host, rest) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, rest)
        } else {
            let end = text.find(':').unwrap_or(text.len());
            let (host, rest) = text.split_at(end);
            let host = host.strip_suffix('.').unwrap_or(host);
            let goes = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let is_name = host.len() <= 253
                && host
                    .split('.')
                    .all(|label| matches!(label.len(), 1..=63) && label.bytes().all(goes));
            if !is_name {
                return Err(wrong());
            }
            (host, rest)
        };
        let port = match rest.strip_prefix(':') {
            Some(port)
                if matches!(port.len(), 1..=5) && port.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Some(
                    port.parse()
                        .ok()
                        .filter(|port| *port != 0)
                        .ok_or_else(wrong)?,
                )
            }
            None if rest.is_empty() => None,
            _ => return Err(wrong()),
        };
        Ok(Self {
            host: host.to_ascii_lowercase().into(),
            port,
        })
    }

    /// Whether two mean the same place, where `port` is the one that is meant without one.
    pub fn is_same(&self, other: &Self, port: u16) -> bool {
        self.host == other.host && self.port.unwrap_or(port) == other.port.unwrap_or(port)
    }

    /// Whether the host is an address.
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A connection.
    Connect(Authority),
    /// A whole URL, for a proxy.
    Absolute(Protocol, Authority, Box<str>),
    /// A path with its query, of the server that is spoken to.
    Origin(Box<str>),
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Box<str>,
    /// What is asked for.
    pub target: Target,
    /// Whether it is HTTP/1.1, and not 1.0.
    pub is_1_1: bool,
    /// Header lines.
    pub headers: Headers,
    /// Its `Host`.
    pub host: Option<Authority>,
    /// Its body.
    pub length: Length,
}

impl Request {
    /// Whether the connection may be used again after the answer.
    pub fn keeps_open(&self) -> bool {
        let says = |item| {
            self.headers.has_item("connection", item)
                || self.headers.has_item("proxy-connection", item)
        };
        if self.is_1_1 {
            !says("close")
        } else {
            says("keep-alive") && !says("close")
        }
    }
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Whether it is HTTP/1.1, and not 1.0.
    pub is_1_1: bool,
    /// Header lines.
    pub headers: Headers,
    /// Its body, unless it has none by its status or by what was asked.
    pub length: Length,
}

/// Where a head ends, behind its empty line; none if it is not whole.
///
/// `searched` bytes were looked at before, without success.
pub fn end_of(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let tail = bytes.get(from..)?;
    let at = tail.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(from + at + 4)
}

/// Reads the head of a request, which ends with its empty line.
pub fn request(head: &[u8]) -> Result<Request, HeadError> {
    let mut lines = lines(head)?;
    let first = lines.next().ok_or(HeadError::Line)?;
    let first = std::str::from_utf8(first).map_err(|_| HeadError::Line)?;
    let mut parts = first.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadError::Line);
    };
    let is_1_1 = version_of(version)?;
    if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token) {
        return Err(HeadError::Line);
    }
    if !METHODS.contains(&method) {
        return Err(HeadError::Method);
    }
    let headers = headers(lines)?;
    let host = host(&headers)?;
    let target = read_target(method, target)?;
    match &target {
        Target::Connect(authority) => {
            if host
                .as_ref()
                .is_some_and(|host| !authority.is_same(host, 443))
            {
                return Err(HeadError::OtherHost);
            }
        }
        Target::Absolute(protocol, authority, _) => match &host {
            Some(host) if !authority.is_same(host, protocol.port()) => {
                return Err(HeadError::OtherHost);
            }
            None if is_1_1 => return Err(HeadError::Host),
            _ => {}
        },
        Target::Origin(_) if host.is_none() && is_1_1 => return Err(HeadError::Host),
        Target::Origin(_) => {}
    }
    let length = match (transfer(&headers)?, content_length(&headers, false)?) {
        (true, Some(_)) => return Err(HeadError::TwoLengths),
        (true, None) if !is_1_1 => return Err(HeadError::Transfer),
        (true, None) => Length::Chunked,
        (false, Some(0) | None) => Length::None,
        (false, Some(bytes)) => Length::Bytes(bytes),
    };
    if length != Length::None && matches!(target, Target::Connect(_)) {
        return Err(HeadError::ConnectBody);
    }
    Ok(Request {
        method: method.into(),
        target,
        is_1_1,
        headers,
        host,
        length,
    })
}

/// What a head that is refused seems to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: Box<str>,
    /// `https`, `http` or `ftp`.
    pub scheme: &'static str,
    /// The host, from the target or else from `Host`.
    pub authority: Authority,
    /// The path with its query, as far as it is text.
    pub path: Box<str>,
}

/// What a head asks for, as far as that can be read; for telling it where it is refused, and for nothing else.
pub fn asked(head: &[u8]) -> Option<Asked> {
    let mut lines = head
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .filter(|line| !line.is_empty())
        .take(MOST_HEADERS);
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let mut parts = first.split(' ');
    let (method, target) = (parts.next()?, parts.next()?);
    if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token) {
        return None;
    }
    let (scheme, rest) = if method == "CONNECT" {
        ("https", target)
    } else if let Some((scheme, rest)) = target.split_once("://") {
        let known = ["https", "http", "ftp"];
        let known = known
            .iter()
            .find(|known| scheme.eq_ignore_ascii_case(known));
        (*known.unwrap_or(&"http"), rest)
    } else {
        ("http", target)
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = |line: &[u8]| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        let is_host = name.trim().eq_ignore_ascii_case("host");
        Authority::parse(value.trim()).ok().filter(|_| is_host)
    };
    let authority = match authority.rsplit('@').next().map(Authority::parse) {
        Some(Ok(authority)) => authority,
        _ => lines.find_map(host)?,
    };
    let path = path.chars().take_while(char::is_ascii_graphic);
    Some(Asked {
        method: method.into(),
        scheme,
        authority,
        path: path.collect(),
    })
}

/// Reads the head of a response, which ends with its empty line.
pub fn response(head: &[u8]) -> Result<Response, HeadError> {
    let mut lines = lines(head)?;
    let first = lines.next().ok_or(HeadError::Line)?;
    let (version, rest) = first.split_at_checked(9).ok_or(HeadError::Line)?;
    let version = std::str::from_utf8(version).map_err(|_| HeadError::Line)?;
    let is_1_1 = version_of(version.strip_suffix(' ').ok_or(HeadError::Line)?)?;
    let digits = match rest {
        [a, b, c] | [a, b, c, b' ', ..] => [*a, *b, *c],
        _ => return Err(HeadError::Line),
    };
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return Err(HeadError::Line);
    }
    let status = digits
        .iter()
        .fold(0u16, |all, digit| all * 10 + u16::from(digit - b'0'));
    let headers = headers(lines)?;
    // The framing is made anew for who asked, so that a length beside chunks misleads nobody.
    let length = match (transfer(&headers)?, content_length(&headers, true)?) {
        (true, _) => Length::Chunked,
        (false, Some(bytes)) => Length::Bytes(bytes),
        (false, None) => Length::UntilClose,
    };
    Ok(Response {
        status,
        is_1_1,
        headers,
        length,
    })
}

/// What fetchers use: `git`, `curl`, and `svn` over HTTP.
const METHODS: [&str; 7] = [
    "CONNECT", "GET", "HEAD", "POST", "OPTIONS", "PROPFIND", "REPORT",
];

fn lines(head: &[u8]) -> Result<impl Iterator<Item = &[u8]>, HeadError> {
    if head.len() > MOST_HEAD {
        return Err(HeadError::TooLong);
    }
    let body = head.strip_suffix(b"\r\n\r\n").ok_or(HeadError::Line)?;
    let mut previous = 0;
    for &byte in body {
        let is_alone = match byte {
            b'\n' => previous != b'\r',
            _ => previous == b'\r',
        };
        if is_alone {
            return Err(HeadError::LineEnd);
        }
        if matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127) {
            return Err(HeadError::Control);
        }
        previous = byte;
    }
    if previous == b'\r' {
        return Err(HeadError::LineEnd);
    }
    Ok(body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

fn headers<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Result<Headers, HeadError> {
    let mut headers = Vec::new();
    for line in lines {
        if headers.len() == MOST_HEADERS {
            return Err(HeadError::TooLong);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(HeadError::Folded);
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(HeadError::Header)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(HeadError::Header);
        }
        let name = std::str::from_utf8(name).map_err(|_| HeadError::Header)?;
        headers.push((name.into(), value.trim_ascii().into()));
    }
    Ok(Headers(headers))
}

fn version_of(text: &str) -> Result<bool, HeadError> {
    match text {
        "HTTP/1.1" => Ok(true),
        "HTTP/1.0" => Ok(false),
        _ => Err(HeadError::Version),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn host(headers: &Headers) -> Result<Option<Authority>, HeadError> {
    let mut all = headers.all("host");
    let Some(value) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(HeadError::Host);
    }
    let text = std::str::from_utf8(value).map_err(|_| HeadError::Host)?;
    Authority::parse(text)
        .map(Some)
        .map_err(|_| HeadError::Host)
}

fn transfer(headers: &Headers) -> Result<bool, HeadError> {
    let mut all = headers.all("transfer-encoding");
    match (all.next(), all.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(HeadError::Transfer),
    }
}

/// A server may say the same length twice; who asks may not.
fn content_length(headers: &Headers, repeated: bool) -> Result<Option<u64>, HeadError> {
    let mut found: Option<u64> = None;
    for value in headers.all("content-length") {
        let is_number = matches!(value.len(), 1..=18) && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value)
            .ok()
            .filter(|_| is_number)
            .and_then(|text| text.parse().ok())
            .ok_or(HeadError::ContentLength)?;
        if found.is_some_and(|known| !repeated || known != number) {
            return Err(HeadError::ContentLength);
        }
        found = Some(number);
    }
    Ok(found)
}

fn read_target(method: &str, target: &str) -> Result<Target, HeadError> {
    if target.len() > MOST_TARGET {
        return Err(HeadError::TooLong);
    }
    if target.is_empty()
        || !target.bytes().all(|byte| matches!(byte, 0x21..=0x7e))
        || target.contains('#')
    {
        return Err(HeadError::Target);
    }
    if method == "CONNECT" {
        let authority = Authority::parse(target)?;
        return match authority.port {
            Some(_) => Ok(Target::Connect(authority)),
            None => Err(HeadError::Authority),
        };
    }
    if target.starts_with('/') {
        return Ok(Target::Origin(target.into()));
    }
    let (scheme, rest) = target.split_once("://").ok_or(HeadError::Target)?;
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "http" => Protocol::Http,
        "https" => Protocol::Https,
        "ftp" => return Err(HeadError::Ftp),
        _ => return Err(HeadError::Target),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = Authority::parse(authority)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Target::Absolute(
        protocol,
        authority,
        format!("{slash}{path}").into(),
    ))
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Too long, or too many lines.
    #[error("the head is too long")]
    TooLong,
    /// The first line is not of its form.
    #[error("the first line is malformed")]
    Line,
    /// A line ends with CR or LF alone.
    #[error("a line ends with CR or LF alone")]
    LineEnd,
    /// A control byte.
    #[error("the head holds a control byte")]
    Control,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("it is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    /// A method that no fetcher uses.
    #[error("the method is not allowed")]
    Method,
    /// A target of no known form.
    #[error("the target is malformed")]
    Target,
    /// FTP.
    #[error("ftp:// is not carried; use an https:// or http:// URL of the same file")]
    Ftp,
    /// A host or a port that cannot be.
    #[error("the host is malformed")]
    Authority,
    /// No `Host`, two, or one that cannot be.
    #[error("there is not one good Host header")]
    Host,
    /// `Host` and the target are different.
    #[error("the Host header is not the host that is asked for")]
    OtherHost,
    /// A header line that is none.
    #[error("a header line is malformed")]
    Header,
    /// A line that continues another.
    #[error("a header line continues another")]
    Folded,
    /// A length that is none, or two.
    #[error("Content-Length is malformed or repeated")]
    ContentLength,
    /// Another transfer encoding, or two.
    #[error("Transfer-Encoding is not `chunked` alone")]
    Transfer,
    /// A length beside chunks.
    #[error("there are both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// A body of CONNECT.
    #[error("CONNECT has no body")]
    ConnectBody,
}

impl HeadError {
    /// The status that says so.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLong => 431,
            Self::Version => 505,
            Self::Method => 405,
            Self::Ftp => 501,
            _ => 400,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match request(text.as_bytes()) {
            Ok(request) => format!("{:?} {:?}", request.target, request.length),
            Err(error) => format!("{}: {error}", error.status()),
        }
    }

    #[test]
    fn what_fetchers_send_is_read() {
        assert_eq!(
            told(
                "CONNECT GitHub.com.:443 HTTP/1.1\r\nHost: github.com:443\r\nProxy-Connection: Keep-Alive\r\n\r\n"
            ),
            "Connect(Authority { host: \"github.com\", port: Some(443) }) None"
        );
        assert_eq!(
            told("CONNECT [::1]:443 HTTP/1.0\r\n\r\n"),
            "Connect(Authority { host: \"::1\", port: Some(443) }) None"
        );
        assert_eq!(
            told("GET http://x.org:80?a=b HTTP/1.1\r\nHost: X.org\r\n\r\n"),
            "Absolute(Http, Authority { host: \"x.org\", port: Some(80) }, \"/?a=b\") None"
        );
        assert_eq!(
            told(
                "POST /git-upload-pack HTTP/1.1\r\nHost: x.org\r\nTransfer-Encoding: Chunked\r\n\r\n"
            ),
            "Origin(\"/git-upload-pack\") Chunked"
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let with = |lines: &str| {
            told(&format!(
                "GET http://x.org/ HTTP/1.1\r\nHost: x.org\r\n{lines}\r\n\r\n"
            ))
        };
        let cases = [
            with("Content-Length: 3\r\nTransfer-Encoding: chunked"),
            with("Content-Length: 3\r\nContent-Length: 3"),
            with("Content-Length: 3, 3"),
            with("Content-Length: +3"),
            with("Content-Length: 0x3"),
            with("Content-Length: 99999999999999999999"),
            with("Transfer-Encoding: chunked, chunked"),
            with("Transfer-Encoding: identity"),
            with("Transfer-Encoding: xchunked"),
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            with("Transfer-Encoding : chunked"),
            with("X: a\r\n b"),
            with("X: a\nTransfer-Encoding: chunked"),
            with("X: a\rY: b"),
            with("X: a\0b"),
            with("Host: x.org"),
            with("noheader"),
            with(": x"),
            told("GET http://x.org/ HTTP/1.1\r\nHost: y.org\r\n\r\n"),
            told("GET http://x.org/ HTTP/1.1\r\nHost: x.org:81\r\n\r\n"),
            told("GET http://x.org/ HTTP/1.1\r\n\r\n"),
            told("GET http://me@x.org/ HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET http://x.org/#a HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET  http://x.org/ HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET http://x.org:0/ HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET http://x..org/ HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET ftp://x.org/ HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET * HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("PUT http://x.org/ HTTP/1.1\r\nHost: x.org\r\n\r\n"),
            told("GET http://x.org/ HTTP/2.0\r\nHost: x.org\r\n\r\n"),
            told("GET http://x.org/\r\n\r\n"),
            told("CONNECT x.org HTTP/1.1\r\n\r\n"),
            told("CONNECT x.org:443 HTTP/1.1\r\nHost: y.org\r\n\r\n"),
            told("CONNECT x.org:443 HTTP/1.1\r\nContent-Length: 3\r\n\r\n"),
            told("POST http://x.org/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ];
        insta::assert_snapshot!(cases.join("\n"), @"
        400: there are both Content-Length and Transfer-Encoding
        400: Content-Length is malformed or repeated
        400: Content-Length is malformed or repeated
        400: Content-Length is malformed or repeated
        400: Content-Length is malformed or repeated
        400: Content-Length is malformed or repeated
        400: Transfer-Encoding is not `chunked` alone
        400: Transfer-Encoding is not `chunked` alone
        400: Transfer-Encoding is not `chunked` alone
        400: Transfer-Encoding is not `chunked` alone
        400: a header line is malformed
        400: a header line continues another
        400: a line ends with CR or LF alone
        400: a line ends with CR or LF alone
        400: the head holds a control byte
        400: there is not one good Host header
        400: a header line is malformed
        400: a header line is malformed
        400: the Host header is not the host that is asked for
        400: the Host header is not the host that is asked for
        400: there is not one good Host header
        400: the host is malformed
        400: the target is malformed
        400: the first line is malformed
        400: the host is malformed
        400: the host is malformed
        501: ftp:// is not carried; use an https:// or http:// URL of the same file
        400: the target is malformed
        405: the method is not allowed
        505: it is neither HTTP/1.0 nor HTTP/1.1
        400: the first line is malformed
        400: the host is malformed
        400: the Host header is not the host that is asked for
        400: CONNECT has no body
        400: Transfer-Encoding is not `chunked` alone
        ");
    }

    #[test]
    fn what_is_of_one_hop_is_not_sent_on() {
        let head = b"GET http://x.org/ HTTP/1.1\r\nHost: x.org\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n\
            Proxy-Authorization: Basic abc\r\nTE: trailers\r\nUpgrade: h2c\r\nRange: bytes=3-\r\nKeep-Alive: 3\r\n\r\n";
        let request = request(head).unwrap();
        let mut out = Vec::new();
        request.headers.write_end_to_end(&mut out, &["host"]);
        assert_eq!(out, b"Range: bytes=3-\r\n");
        assert!(!request.keeps_open());
    }

    #[test]
    fn responses() {
        let of = |text: &str| {
            response(text.as_bytes()).map(|response| (response.status, response.length))
        };
        assert_eq!(
            of("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
            Ok((200, Length::Bytes(3)))
        );
        assert_eq!(of("HTTP/1.0 404\r\n\r\n"), Ok((404, Length::UntilClose)));
        assert_eq!(
            of("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Ok((200, Length::Chunked))
        );
        for wrong in [
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            of("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"),
            Err(HeadError::ContentLength)
        );
    }

    #[test]
    fn a_head_ends_with_its_empty_line_however_it_comes() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest";
        for cut in 0..text.len() {
            let expected = text.len() - 4;
            let first = end_of(&text[..cut], 0);
            assert_eq!(first, (cut >= expected).then_some(expected));
            if first.is_none() {
                assert_eq!(end_of(text, cut), Some(expected));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let mut bytes = bytes;
            bytes.extend_from_slice(b"\r\n\r\n");
            let _ = (request(&bytes), response(&bytes));
        }
    }
}
