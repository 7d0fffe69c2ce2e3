//! What strangers send, read strictly: heads of HTTP/1, chunked bodies, a `ClientHello`, certificates.
//!
//! Pure: bytes in, values out, with limits. Where a text can be read in two ways it is refused, since whoever
//! stands behind the proxy may read it in the other way. No part of this knows a key.

pub mod certificate;
pub mod chunked;
pub mod head;
pub mod hello;
