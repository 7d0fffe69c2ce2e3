//! What ties a login to the encrypted connection it is made over: the digest of the server's certificate, so that
//! somebody between cannot pass the login on.
//!
//! Source: RFC 5929, section 4 (`tls-server-end-point`); RFC 5280, section 4.1 (the certificate), RFC 4055 and RFC 5758
//! (the algorithms).

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The digest by the algorithm with which the certificate is signed, SHA-256 in place of older ones. Nothing where the
/// signature names no algorithm, as with Ed25519.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = algorithm(certificate)?;
    Some(match algorithm {
        // With RSA: MD5, SHA-1 and SHA-256; with ECDSA: SHA-1 and SHA-256.
        [
            0x2a,
            0x86,
            0x48,
            0x86,
            0xf7,
            0x0d,
            0x01,
            0x01,
            0x04 | 0x05 | 0x0b,
        ]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02] => Sha256::digest(certificate).to_vec(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] => Sha384::digest(certificate).to_vec(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}

/// The object identifier of the algorithm that a certificate is signed with.
fn algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// An element of DER with this tag: what is in it, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(tag: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag, 0x82];
        bytes.extend_from_slice(&u16::try_from(inner.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(inner);
        bytes
    }

    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let mut inner = wrapped(0x30, &[0; 300]);
        inner.extend(wrapped(0x30, &wrapped(0x06, identifier)));
        inner.extend([0x03, 1, 0]);
        wrapped(0x30, &inner)
    }

    #[test]
    fn the_algorithm_decides_on_the_digest() {
        let rsa = |last| certificate(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
        let ecdsa = |last| certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last]);
        let length = |bytes: &[u8]| end_point(bytes).map(|digest| digest.len());
        assert_eq!(
            [5, 11, 12, 13, 14].map(|last| length(&rsa(last))),
            [Some(32), Some(32), Some(48), Some(64), None]
        );
        assert_eq!(
            [2, 3, 4].map(|last| length(&ecdsa(last))),
            [Some(32), Some(48), Some(64)]
        );
        assert_eq!(length(&certificate(&[0x2b, 0x65, 0x70])), None);
        let whole = rsa(11);
        for end in 0..whole.len() - 3 {
            assert_eq!(end_point(&whole[..end]), None, "{end}");
        }
        assert_eq!(end_point(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
