//! Nix's own base-32 notation: the digits of a number, not RFC 4648.
//!
//! The bytes are read as one little-endian number, which is written with its most significant digit
//! first in an alphabet without `e`, `o`, `u` and `t`.
//! Source: the section "Nix32" of the store path protocol in the Nix manual.

use crate::quote::Quoted;

/// The digits, ascending; order of text is therefore order of the number.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Why a text is not nix32.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Nix32Error {
    /// A character outside [`ALPHABET`].
    #[error("read nix32 text: {character} is not a digit of it")]
    Digit {
        /// The offending byte.
        character: Quoted,
    },
    /// No whole number of bytes has this many digits, or not the number that is wanted here.
    #[error("read nix32 text: {length} digits do not make {}", wanted.map_or_else(|| "whole bytes".to_owned(), |n| format!("{n} bytes")))]
    Length {
        /// How many digits there are.
        length: usize,
        /// How many bytes were asked for, if that is known.
        wanted: Option<usize>,
    },
    /// The digits say a number that is too large for its bytes.
    #[error("read nix32 text: the number does not fit its {bytes} bytes")]
    Overflow {
        /// How many bytes the digits are for.
        bytes: usize,
    },
}

/// How many digits `bytes` bytes have.
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Writes bytes as nix32.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(encoded_len(bytes.len()));
    encode_to(bytes.iter().rev().copied(), bytes.len(), |digit| {
        out.push(char::from(digit));
    });
    out
}

/// Reads nix32 of any length.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Nix32Error> {
    let text = text.as_ref();
    let mut out = vec![0; text.len() * 5 / 8];
    if encoded_len(out.len()) != text.len() {
        return Err(Nix32Error::Length {
            length: text.len(),
            wanted: None,
        });
    }
    decode_into(text, &mut out)?;
    Ok(out)
}

/// Reads nix32 into as many bytes as `out` has.
pub fn decode_into(text: &[u8], out: &mut [u8]) -> Result<(), Nix32Error> {
    let length = out.len();
    if encoded_len(length) != text.len() {
        return Err(Nix32Error::Length {
            length: text.len(),
            wanted: Some(length),
        });
    }
    // The highest digit may have room for more bits than the bytes do.
    let spare = text.len() * 5 - length * 8;
    let mut places = out.iter_mut().rev();
    let (mut buffer, mut bits) = (0u32, 0usize);
    for (index, &character) in text.iter().enumerate() {
        let digit = VALUES[usize::from(character)];
        if digit == NO_DIGIT {
            return Err(Nix32Error::Digit {
                character: Quoted::new([character]),
            });
        }
        buffer = (buffer << 5) | u32::from(digit);
        bits += 5;
        if index == 0 {
            bits -= spare;
            if buffer >> bits != 0 {
                return Err(Nix32Error::Overflow { bytes: length });
            }
        }
        if bits >= 8 {
            bits -= 8;
            if let Some(place) = places.next() {
                *place = ((buffer >> bits) & 0xff) as u8;
            }
            buffer &= (1 << bits) - 1;
        }
    }
    Ok(())
}

/// Hands out the digits of `length` bytes that come most significant first.
pub(crate) fn encode_to(
    bytes_most_significant_first: impl Iterator<Item = u8>,
    length: usize,
    mut put: impl FnMut(u8),
) {
    let (mut buffer, mut bits) = (0u32, encoded_len(length) * 5 - length * 8);
    for byte in bytes_most_significant_first {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(ALPHABET[(buffer >> bits) as usize & 31]);
        }
        buffer &= (1 << bits) - 1;
    }
}

const NO_DIGIT: u8 = 0xff;

/// The value of each byte as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0u8;
    while digit < 32 {
        values[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};
