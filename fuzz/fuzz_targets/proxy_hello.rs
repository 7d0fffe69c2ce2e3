//! The first bytes of TLS, and certificates, as the proxy of builds looks at them.
//!
//! A `ClientHello` that is whole says the same in many records as in one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_proxy::wire::{certificate, hello};

fuzz_target!(|bytes: &[u8]| {
    let _ = certificate::names(bytes);
    let parsed = hello::parse(bytes);
    if let Ok(Some(hello)) = &parsed {
        if let Some(server) = &hello.server {
            assert!(server.len() <= 253 && server.is_ascii());
        }
        // What follows a whole one changes nothing.
        let mut more = bytes.to_vec();
        more.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(hello::parse(&more), parsed);
    }
    // As one message of a handshake, in records of some bytes each.
    if !bytes.is_empty() && bytes.len() < 1 << 14 {
        let in_records = |size: usize| {
            let mut all = Vec::new();
            for piece in bytes.chunks(size) {
                let length = u16::try_from(piece.len()).expect("it is short");
                all.extend_from_slice(&[22, 3, 1]);
                all.extend_from_slice(&length.to_be_bytes());
                all.extend_from_slice(piece);
            }
            hello::parse(&all).ok().flatten()
        };
        // More than these are refused, whatever they say.
        assert_eq!(in_records(bytes.len().div_ceil(16)), in_records(1 << 14));
    }
});
