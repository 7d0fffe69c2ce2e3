//! Heads of requests and answers, and bodies in chunks, as the proxy of builds reads them.
//!
//! What is taken as a request must be sent on in a form that is read in the same way, and chunks mean the same
//! however they come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_proxy::wire::chunked::{Decoder, Piece};
use snowguard_proxy::wire::head::{self, Length, Target};

fuzz_target!(|bytes: &[u8]| {
    let _ = head::asked(bytes);
    if let Some(end) = head::end_of(bytes, 0) {
        let (first, rest) = bytes.split_at(end);
        if let Ok(request) = head::request(first) {
            let target = match &request.target {
                Target::Connect(authority) => authority.to_string(),
                Target::Absolute(protocol, authority, path) => {
                    format!("{protocol}://{authority}{path}")
                }
                Target::Origin(path) => path.to_string(),
            };
            let mut again = format!("{} {target} HTTP/1.1\r\n", request.method).into_bytes();
            if let Some(host) = &request.host {
                again.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
            }
            request.headers.write_end_to_end(&mut again, &["host"]);
            match request.length {
                Length::Bytes(length) => {
                    again.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
                }
                Length::Chunked => again.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
                Length::None | Length::UntilClose => {}
            }
            again.extend_from_slice(b"\r\n");
            // HTTP/1.0 may leave the host out, and 1.1 may not.
            if request.host.is_some() || matches!(request.target, Target::Connect(_)) {
                let read = head::request(&again).expect("what is sent on can be read");
                assert_eq!(read.length, request.length);
                assert_eq!(read.host, request.host);
                assert_eq!(read.method, request.method);
                assert_eq!(read.target, request.target);
            }
        }
        let _ = head::response(first);
        assert_eq!(chunks(rest, 1), chunks(rest, 7));
    }
    assert_eq!(chunks(bytes, 3), chunks(bytes, 8192));
});

/// The body and how much of the input it took; none if it is malformed or not whole.
fn chunks(bytes: &[u8], step: usize) -> Option<(Vec<u8>, usize)> {
    let (mut decoder, mut body, mut at) = (Decoder::default(), Vec::new(), 0);
    while !decoder.is_done() {
        let end = bytes.len().min(at + step);
        if at == end {
            return None;
        }
        match decoder.next(&bytes[at..end]).ok()? {
            Piece::Frame(taken) => at += taken,
            Piece::Data(taken) => {
                body.extend_from_slice(&bytes[at..at + taken]);
                at += taken;
            }
            Piece::End => break,
        }
    }
    Some((body, at))
}
