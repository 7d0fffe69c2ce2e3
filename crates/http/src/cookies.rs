//! Cookies of one document on its way over redirects, as `curl` keeps them for one command: some servers lead in a
//! circle until theirs comes back.
//!
//! Source: RFC 6265, sections 5.1 to 5.4. Nothing is kept beyond the document, and nothing is told to a host that
//! did not set it, or whose parent domain did not.

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::{Host, Url};

/// How many are kept, and how long one is, in bytes: as many as `curl` sends.
const MOST: usize = 150;
const LONGEST: usize = 4096;

/// Cookies.
#[derive(Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    /// The host that set it, or the domain that this named.
    domain: String,
    /// That very host, and none below it.
    only_host: bool,
    path: String,
    secure: bool,
}

impl Jar {
    /// Takes what an answer sets.
    pub(crate) fn take(&mut self, url: &Url, headers: &HeaderMap) {
        for header in headers.get_all(SET_COOKIE) {
            let Ok(text) = header.to_str() else { continue };
            let Some((cookie, is_over)) = read(url, text) else {
                continue;
            };
            self.cookies.retain(|old| {
                (&old.name, &old.domain, &old.path) != (&cookie.name, &cookie.domain, &cookie.path)
            });
            if !is_over && self.cookies.len() < MOST {
                self.cookies.push(cookie);
            }
        }
    }

    /// What to tell to an address.
    pub(crate) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let host = url.host_str()?.to_ascii_lowercase();
        let fits = |cookie: &&Cookie| {
            (host == cookie.domain || !cookie.only_host && is_below(&host, &cookie.domain))
                && is_path_below(url.path(), &cookie.path)
                && (!cookie.secure || url.scheme() == "https")
        };
        let mut found: Vec<&Cookie> = self.cookies.iter().filter(fits).collect();
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = found
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let mut value = HeaderValue::try_from(pairs.collect::<Vec<_>>().join("; ")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// A cookie as it is set, and whether it is taken away by that; none where it may not be set so.
fn read(url: &Url, text: &str) -> Option<(Cookie, bool)> {
    if text.len() > LONGEST {
        return None;
    }
    let host = url.host_str()?.to_ascii_lowercase();
    let mut parts = text.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        domain: host.clone(),
        only_host: true,
        path: directory(url.path()).to_owned(),
        secure: false,
    };
    if cookie.name.is_empty() {
        return None;
    }
    let (mut is_over, mut by_age) = (false, false);
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "domain" if !value.is_empty() => {
                let domain = value.strip_prefix('.').unwrap_or(value);
                let domain = domain.to_ascii_lowercase();
                let is_name = matches!(url.host(), Some(Host::Domain(_)));
                if is_name && domain.contains('.') && (host == domain || is_below(&host, &domain)) {
                    cookie.domain = domain;
                    cookie.only_host = false;
                } else if host != domain {
                    return None;
                }
            }
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.secure = true,
            "max-age" => {
                if let Ok(seconds) = value.parse::<i64>() {
                    (is_over, by_age) = (seconds <= 0, true);
                }
            }
            "expires" if !by_age => {
                // Servers that take one away say a time long ago.
                is_over = jiff::fmt::rfc2822::parse(value)
                    .is_ok_and(|until| until.timestamp() <= jiff::Timestamp::now());
            }
            _ => {}
        }
    }
    // What came in the clear cannot claim to be secret.
    (!cookie.secure || url.scheme() == "https").then_some((cookie, is_over))
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.'))
}

fn directory(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

fn is_path_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || directory.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(set_by: &str, set: &[&str], asked: &str) -> String {
        let mut jar = Jar::default();
        for one in set {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, one.parse().unwrap());
            jar.take(&set_by.parse().unwrap(), &headers);
        }
        let told = jar.header(&asked.parse().unwrap());
        told.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_cookie_goes_where_it_came_from_and_nowhere_else() {
        let by = "https://dl.x.org/a/b";
        for (set, asked, expected) in [
            ("k=v", "https://dl.x.org/a/c", "k=v"),
            ("k=v", "https://dl.x.org/c", ""),
            ("k=v; Path=/", "https://dl.x.org/c", "k=v"),
            ("k=v; Path=/c", "https://dl.x.org/cd", ""),
            ("k=v; Path=/", "https://x.org/", ""),
            ("k=v; Path=/", "https://y.dl.x.org/", ""),
            ("k=v; Path=/; Domain=.X.org", "https://y.x.org/", "k=v"),
            ("k=v; Path=/; Domain=x.org", "https://evilx.org/", ""),
            ("k=v; Path=/; Domain=y.org", "https://y.org/", ""),
            ("k=v; Path=/; Domain=org", "https://y.org/", ""),
            ("k=v; Path=/; Secure", "http://dl.x.org/", ""),
            ("k=v; Path=/; Max-Age=0", "https://dl.x.org/", ""),
            ("k=a=b ; Path=/", "https://dl.x.org/", "k=a=b"),
            ("=v; Path=/", "https://dl.x.org/", ""),
            (
                "k=v; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "https://dl.x.org/",
                "",
            ),
        ] {
            assert_eq!(told(by, &[set], asked), expected, "{set} at {asked}");
        }
        let both = told(
            by,
            &["k=1; Path=/", "l=2", "k=3; Path=/"],
            "https://dl.x.org/a/",
        );
        assert_eq!(both, "l=2; k=3");
        let gone = told(by, &["k=1; Path=/", "k=; Path=/; Max-Age=0"], by);
        assert_eq!(gone, "");
        assert_eq!(
            told("http://x.org/", &["k=v; Secure"], "https://x.org/"),
            ""
        );
        let number = told("http://1.2.3.4/", &["k=v; Domain=3.4"], "http://2.2.3.4/");
        assert_eq!(number, "");
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let many: Vec<String> = (0..MOST + 9).map(|n| format!("k{n}=v")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = told("http://x.org/", &many, "http://x.org/");
        assert_eq!(told.split("; ").count(), MOST);
    }
}
