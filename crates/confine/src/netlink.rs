//! Brings the loopback interface up, and lets every address lead to it.
//!
//! Source: rtnetlink(7) and `linux/rtnetlink.h`. The messages are those that `ip link set lo up` and `ip route
//! add local default dev lo` send.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
/// A request to create something, and to say whether it worked.
const REQUEST: u16 = 0x1 | 0x4;
const CREATE: u16 = 0x400 | 0x200;
const IFF_UP: u32 = 1;
/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_HOST: u8 = 254;
const RTN_LOCAL: u8 = 2;
const RTA_OIF: u16 = 4;

/// Brings the loopback interface up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // struct ifinfomsg: family, padding, type, index, flags, and which of these change.
    let mut body = vec![0; 4];
    for word in [LOOPBACK, IFF_UP, IFF_UP] {
        body.extend_from_slice(&word.to_ne_bytes());
    }
    ask(RTM_NEWLINK, REQUEST, &body)
}

/// Lets every address of a family lead to the loopback interface, as if all were this machine's.
pub(crate) fn all_is_local(family: AddressFamily) -> io::Result<()> {
    let family = u8::try_from(family.as_raw()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // struct rtmsg: family, lengths of prefixes, tos, table, protocol, scope, type, flags.
    let mut body = vec![
        family,
        0,
        0,
        0,
        RT_TABLE_LOCAL,
        RTPROT_BOOT,
        RT_SCOPE_HOST,
        RTN_LOCAL,
    ];
    body.extend_from_slice(&0_u32.to_ne_bytes());
    // struct rtattr, and the interface.
    body.extend_from_slice(&8_u16.to_ne_bytes());
    body.extend_from_slice(&RTA_OIF.to_ne_bytes());
    body.extend_from_slice(&LOOPBACK.to_ne_bytes());
    ask(RTM_NEWROUTE, REQUEST | CREATE, &body)
}

fn ask(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let length = u32::try_from(16 + body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // struct nlmsghdr: length, type, flags, number, and who asks.
    let mut message = length.to_ne_bytes().to_vec();
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(body);
    sendto(
        &socket,
        &message,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut answer = [0; 4096];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let answer = &answer[..length.min(4096)];
    let is_error = answer.get(4..6) == Some(&NLMSG_ERROR.to_ne_bytes()[..]);
    let code = answer.get(16..20).and_then(|code| code.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) if is_error => Ok(()),
        Some(code) if is_error => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}
