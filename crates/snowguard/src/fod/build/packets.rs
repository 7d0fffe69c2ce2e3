//! What a packet says that went past the proxy: where it was meant to go, and what was asked of a name server. Its bytes
//! are those of a builder.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

const UDP: u8 = 17;
/// So many heads of options are looked through.
const MOST_HEADS: usize = 8;

/// A datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Datagram<'p> {
    pub(super) to: SocketAddr,
    pub(super) payload: &'p [u8],
}

/// The datagram in a packet of IPv4 or IPv6, if it is one.
pub(super) fn datagram(packet: &[u8]) -> Option<Datagram<'_>> {
    match packet.first()? >> 4 {
        4 => four(packet),
        6 => six(packet),
        _ => None,
    }
}

/// RFC 791, section 3.1.
fn four(packet: &[u8]) -> Option<Datagram<'_>> {
    let head = usize::from(packet[0] & 15) * 4;
    if head < 20 || *packet.get(9)? != UDP {
        return None;
    }
    let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    user(Ipv4Addr::from(to).into(), packet.get(head..)?)
}

/// RFC 8200, sections 3 and 4.
fn six(packet: &[u8]) -> Option<Datagram<'_>> {
    let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let mut next = packet[6];
    let mut rest = &packet[40..];
    for _ in 0..MOST_HEADS {
        let length = match next {
            UDP => return user(Ipv6Addr::from(to).into(), rest),
            // Of a fragment: only the first one says where to.
            44 if rest.get(2..4)? == [0, 0] || rest.get(2..4)? == [0, 1] => 8,
            // Options for who is on the way, routes, options for who is there.
            0 | 43 | 60 => (usize::from(*rest.get(1)?) + 1) * 8,
            _ => return None,
        };
        next = *rest.first()?;
        rest = rest.get(length..)?;
    }
    None
}

/// RFC 768.
fn user(to: std::net::IpAddr, bytes: &[u8]) -> Option<Datagram<'_>> {
    let (head, payload) = bytes.split_at_checked(8)?;
    let port = u16::from_be_bytes([head[2], head[3]]);
    Some(Datagram {
        to: SocketAddr::new(to, port),
        payload,
    })
}

/// The name of a question (RFC 1035, section 4.1), if it is one.
pub(super) fn name(query: &[u8]) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `dig example.org` asks, without EDNS.
    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";

    /// A datagram with the ports 4660 and 443.
    const HEAD: &[u8] = b"\x12\x34\x01\xbb\x00\x09\x00\x00!";

    fn of_six(next: u8, rest: &[&[u8]]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        packet.extend(
            [Ipv6Addr::LOCALHOST, "2001:db8::1".parse().unwrap()]
                .map(|ip: Ipv6Addr| ip.octets())
                .concat(),
        );
        packet.extend(rest.concat());
        packet
    }

    #[test]
    fn datagrams_say_where_they_go() {
        let four = [
            b"\x45\x00\x00\x1d\x00\x00\x40\x00\x40\x11\x00\x00\x7f\x00\x00\x01\xc6\x33\x64\x07",
            HEAD,
        ];
        let four = four.concat();
        let expected = |to: &str| {
            let to = to.parse().unwrap();
            Some(Datagram { to, payload: b"!" })
        };
        assert_eq!(datagram(&four), expected("198.51.100.7:443"));
        let six = of_six(UDP, &[HEAD]);
        assert_eq!(datagram(&six), expected("[2001:db8::1]:443"));
        // Behind options, and as the first of fragments.
        let options = [44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let fragment = [UDP, 0, 0, 1, 0, 0, 0, 7];
        let six = of_six(0, &[&options, &fragment, HEAD]);
        assert_eq!(datagram(&six), expected("[2001:db8::1]:443"));
        for whole in [&four, &six] {
            for end in 0..whole.len() - 1 {
                assert_ne!(datagram(&whole[..end]), datagram(whole), "{end}");
            }
        }
        // What is no datagram.
        assert_eq!(datagram(&of_six(6, &[HEAD])), None);
        let connects = [&four[..9], &[6], &four[10..]].concat();
        assert_eq!(datagram(&connects), None);
        // Heads without an end.
        let endless = [[60, 0, 0, 0, 0, 0, 0, 0]; 20].concat();
        assert_eq!(datagram(&of_six(60, &[&endless])), None);
    }

    #[test]
    fn no_byte_is_too_strange() {
        let options = [44, 0, 0, 0, 0, 0, 0, 0];
        let fragment = [UDP, 0, 0, 1, 0, 0, 0, 7];
        let packet = of_six(60, &[&options, &fragment, &HEAD[..8], QUERY]);
        let whole = datagram(&packet).unwrap();
        assert_eq!(name(whole.payload).as_deref(), Some("example.org"));
        for at in 0..packet.len() {
            for byte in 0..=255 {
                let mut strange = packet.clone();
                strange[at] = byte;
                for end in [at + 1, strange.len()] {
                    let found = datagram(&strange[..end]);
                    let _ = found.and_then(|found| name(found.payload));
                }
            }
        }
    }

    #[test]
    fn names_are_read_from_questions() {
        assert_eq!(name(QUERY).as_deref(), Some("example.org"));
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
}
