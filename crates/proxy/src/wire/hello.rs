//! The first bytes of TLS: which server a client asks for.
//!
//! Sources: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, and the registry of TLS extensions.

/// So many bytes are read before a client is taken for one that does not speak TLS.
pub const MOST: usize = 64 << 10;
/// In so many records a `ClientHello` comes at most: each read looks at all of them.
const MOST_RECORDS: usize = 16;

/// What a `ClientHello` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The server's name, in lower case.
    pub server: Option<Box<str>>,
    /// Whether another name may be hidden in it (Encrypted Client Hello).
    pub hides: bool,
}

/// Why first bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// They are no TLS.
    #[error("the first bytes are not those of TLS")]
    NotTls,
    /// They begin as TLS, and go on otherwise.
    #[error("the first message of TLS is malformed")]
    Malformed,
}

/// Reads a `ClientHello` from the first bytes; none if it is not whole.
pub fn parse(bytes: &[u8]) -> Result<Option<Hello>, HelloError> {
    let Some(message) = message(bytes)? else {
        return Ok(None);
    };
    body(&message).ok_or(HelloError::Malformed).map(Some)
}

/// The first handshake message, out of its records. Nothing is copied until it is whole.
fn message(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, HelloError> {
    let total = bytes.len();
    let mut records: Vec<&[u8]> = Vec::new();
    loop {
        // A record of a handshake, of any version that is called 3.
        if bytes.first().is_some_and(|kind| *kind != 22)
            || bytes.get(1).is_some_and(|major| *major != 3)
        {
            return Err(if records.is_empty() {
                HelloError::NotTls
            } else {
                HelloError::Malformed
            });
        }
        let Some(head) = bytes.get(..5) else {
            return more(total);
        };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if length == 0 || length > 1 << 14 || records.len() == MOST_RECORDS {
            return Err(HelloError::Malformed);
        }
        let Some(record) = bytes.get(5..5 + length) else {
            return more(total);
        };
        records.push(record);
        bytes = &bytes[5 + length..];
        let mut start = records.iter().copied().flatten().copied();
        if start.next().is_some_and(|kind| kind != 1) {
            return Err(HelloError::Malformed);
        }
        let length = (0..3).try_fold(0, |so_far: usize, _| {
            Some(so_far << 8 | usize::from(start.next()?))
        });
        if let Some(length) = length {
            if length > MOST {
                return Err(HelloError::Malformed);
            }
            let have: usize = records.iter().map(|record| record.len()).sum();
            if have >= 4 + length {
                let message = records.concat();
                return Ok(Some(message[4..4 + length].to_vec()));
            }
        }
    }
}

fn more(so_far: usize) -> Result<Option<Vec<u8>>, HelloError> {
    if so_far > MOST {
        return Err(HelloError::Malformed);
    }
    Ok(None)
}

fn body(message: &[u8]) -> Option<Hello> {
    let mut rest = Cursor(message);
    // Version and random bytes, session, ciphers, compression.
    rest.take(34)?;
    rest.vector8()?;
    rest.vector16()?;
    rest.vector8()?;
    let mut hello = Hello::default();
    if rest.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Cursor(rest.vector16()?);
    if !rest.0.is_empty() {
        return None;
    }
    let mut seen_name = false;
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let content = extensions.vector16()?;
        match kind {
            0 => {
                if std::mem::replace(&mut seen_name, true) {
                    return None;
                }
                hello.server = Some(server_name(content)?);
            }
            0xfe0d => hello.hides = true,
            _ => {}
        }
    }
    Some(hello)
}

/// One name of a host, and nothing else.
fn server_name(content: &[u8]) -> Option<Box<str>> {
    let mut whole = Cursor(content);
    let mut list = Cursor(whole.vector16()?);
    let kind = list.take(1)?;
    let name = list.vector16()?;
    if kind != [0] || !list.0.is_empty() || !whole.0.is_empty() {
        return None;
    }
    let goes = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 253 || !name.iter().all(goes) {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    Some(name.to_ascii_lowercase().into())
}

struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let two = self.take(2)?;
        Some(u16::from_be_bytes([two[0], two[1]]))
    }

    fn vector8(&mut self) -> Option<&'b [u8]> {
        let length = usize::from(self.take(1)?[0]);
        self.take(length)
    }

    fn vector16(&mut self) -> Option<&'b [u8]> {
        let length = usize::from(self.number()?);
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What rustls sends first.
    fn real(server: &str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = server.to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_real_one_is_read_when_it_is_whole() {
        let bytes = real("Example.org");
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        let hello = parse(&bytes).unwrap().unwrap();
        assert_eq!(hello.server.as_deref(), Some("example.org"));
        assert!(!hello.hides);
        // An address is not named.
        assert_eq!(parse(&real("127.0.0.1")).unwrap().unwrap().server, None);
    }

    #[test]
    fn one_in_many_records_is_the_same() {
        let bytes = real("example.org");
        let split = |each: usize| {
            let mut split = Vec::new();
            for piece in bytes[5..].chunks(each) {
                split.extend_from_slice(&[22, 3, 1, 0, u8::try_from(piece.len()).unwrap()]);
                split.extend_from_slice(piece);
            }
            parse(&split)
        };
        let length = bytes.len() - 5;
        assert_eq!(split(length.div_ceil(MOST_RECORDS)), parse(&bytes));
        assert_eq!(split(length / 100), Err(HelloError::Malformed));
        // Its head may be split as well.
        let mut head = vec![22, 3, 1, 0, 2, bytes[5], bytes[6]];
        let rest = u16::try_from(length - 2).unwrap().to_be_bytes();
        head.extend_from_slice(&[22, 3, 1, rest[0], rest[1]]);
        head.extend_from_slice(&bytes[7..]);
        assert_eq!(parse(&head), parse(&bytes));
    }

    #[test]
    fn what_is_no_tls_is_refused() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(HelloError::NotTls));
        assert_eq!(parse(b"SSH-2.0-x"), Err(HelloError::NotTls));
        assert_eq!(parse(&[22, 2]), Err(HelloError::NotTls));
        assert_eq!(parse(&[22, 3, 1, 0, 0]), Err(HelloError::Malformed));
        assert_eq!(parse(&[22, 3, 1, 0, 1, 2]), Err(HelloError::Malformed));
        let mut bytes = real("example.org");
        bytes[5 + 4 + 34] = 255;
        assert_eq!(parse(&bytes), Err(HelloError::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(at in 0usize..200, with: u8, cut in 0usize..300) {
            let mut bytes = real("example.org");
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = parse(&bytes);
            let _ = parse(&bytes[..cut.min(bytes.len())]);
        }
    }
}
