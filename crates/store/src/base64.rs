//! Base64 as Nix reads and writes it (RFC 4648, standard alphabet).
//!
//! Nix's reader is laxer than the RFC and this one follows it, since it has to read what Nix reads:
//! padding may be missing, whatever follows a `=` is ignored, line feeds are skipped, and spare bits of
//! the last digit may be anything. What this module writes is always canonical.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How many characters `bytes` bytes have, padding included.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Writes bytes, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(encoded_len(bytes.len()));
    for group in bytes.chunks(3) {
        let mut word = 0u32;
        for place in 0..3 {
            word = (word << 8) | u32::from(group.get(place).copied().unwrap_or(0));
        }
        for place in 0..4 {
            if place <= group.len() {
                let digit = (word >> (18 - 6 * place)) & 63;
                out.push(char::from(ALPHABET[digit as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Reads bytes; the error is the first byte that belongs to no digit.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut buffer, mut bits) = (0u32, 0);
    for &character in text {
        if character == b'=' {
            break;
        }
        if character == b'\n' {
            continue;
        }
        let digit = VALUES[usize::from(character)];
        if digit == NO_DIGIT {
            return Err(character);
        }
        buffer = (buffer << 6) | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(((buffer >> bits) & 0xff) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    Ok(out)
}

const NO_DIGIT: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0u8;
    while digit < 64 {
        values[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_vectors() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()), Ok(bytes.as_bytes().to_vec()));
            assert_eq!(encoded_len(bytes.len()), text.len());
        }
    }

    #[test]
    fn as_lax_as_nix() {
        assert_eq!(decode(b"Zm8"), Ok(b"fo".to_vec()), "padding may be missing");
        assert_eq!(
            decode(b"Zm\n8="),
            Ok(b"fo".to_vec()),
            "line feeds are skipped"
        );
        assert_eq!(
            decode(b"Zm9="),
            Ok(b"fo".to_vec()),
            "spare bits are ignored"
        );
        assert_eq!(
            decode(b"Zm8=!"),
            Ok(b"fo".to_vec()),
            "what follows `=` is ignored"
        );
        assert_eq!(decode(b"Zm8-"), Err(b'-'));
    }
}
