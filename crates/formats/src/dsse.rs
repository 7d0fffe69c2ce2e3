//! DSSE: a payload with signatures on it and on what it is.
//!
//! Source: the DSSE protocol and envelope, version 1.0.2 (secure-systems-lab/dsse). What is signed is
//! not the payload alone but its [pre-authentication encoding](pae), which holds its type too, so that
//! no payload can be taken for one of another type. Deliberately absent: keys. Nothing here is
//! verified; [`Envelope::pae`] gives the bytes that a signature must be on.

use std::io::Write;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use serde::{Deserialize, Serialize};

use crate::error::{ReadError, WriteError};
use crate::json::{self, Layout};
use crate::{Format, Limits};

/// The payload type of in-toto statements.
pub const INTOTO: &str = "application/vnd.in-toto+json";

/// How many signatures an envelope may have.
pub const MAX_SIGNATURES: usize = 64;

/// A payload and the signatures on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is: a media type or a URI.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<Signature>,
}

/// One signature, and a hint by which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key, if one is given. It is not signed and proves nothing.
    pub key_id: Option<String>,
    /// The signature.
    pub bytes: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope. Its base64 may be of either alphabet, as the protocol demands of readers.
    pub fn read(json: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let wire: Wire = json::read(Format::Dsse, json, limits)?;
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(ReadError::TooManyExpanded {
                format: Format::Dsse,
                what: "signatures",
                limit: MAX_SIGNATURES,
            });
        }
        let bytes = |pointer: String, text: &str| {
            decoded(text).ok_or_else(|| ReadError::not_allowed(Format::Dsse, pointer, "no base64"))
        };
        let signatures = wire.signatures.iter().enumerate().map(|(at, signature)| {
            Ok(Signature {
                key_id: signature.keyid.clone().filter(|id| !id.is_empty()),
                bytes: bytes(format!("/signatures/{at}/sig"), &signature.sig)?,
            })
        });
        Ok(Self {
            signatures: signatures.collect::<Result<_, ReadError>>()?,
            payload: bytes("/payload".into(), &wire.payload)?,
            payload_type: wire.payload_type,
        })
    }

    /// The bytes that the signatures are on.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// Writes the envelope: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        let wire = Wire {
            payload: BASE64.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self
                .signatures
                .iter()
                .map(|signature| WireSignature {
                    keyid: signature.key_id.clone(),
                    sig: BASE64.encode(&signature.bytes),
                })
                .collect(),
        };
        json::write(Format::Dsse, &wire, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }
}

/// The pre-authentication encoding: `DSSEv1`, and the type and the payload each after its length in
/// bytes, all separated by single spaces.
///
/// ```
/// use snowguard_formats::dsse::pae;
/// // The example of the specification.
/// let encoded = pae("http://example.com/HelloWorld", b"hello world");
/// assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
/// ```
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    out.extend_from_slice(payload);
    out
}

#[derive(Serialize, Deserialize)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD]
        .iter()
        .find_map(|encoding| encoding.decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let envelope = Envelope {
            payload_type: INTOTO.into(),
            payload: b"{}\xff\xfe".to_vec(),
            signatures: vec![
                Signature {
                    key_id: Some("fleet-1".into()),
                    bytes: vec![0xfb; 64],
                },
                Signature {
                    key_id: None,
                    bytes: vec![1],
                },
            ],
        };
        let json = envelope.to_json(Layout::Compact).unwrap();
        assert_eq!(Envelope::read(&json, &Limits::default()).unwrap(), envelope);
        let url_safe = format!(
            r#"{{"payloadType": "{INTOTO}", "payload": "{}", "signatures": [
                {{"keyid": "fleet-1", "sig": "{}"}}, {{"keyid": "", "sig": "AQ"}}]}}"#,
            BASE64URL_NOPAD.encode(&envelope.payload),
            BASE64URL.encode(&envelope.signatures[0].bytes),
        );
        assert_eq!(
            Envelope::read(url_safe.as_bytes(), &Limits::default()).unwrap(),
            envelope
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let read = |json: &str| {
            Envelope::read(json.as_bytes(), &Limits::default())
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(read(r#"{"payload": "e30", "payloadType": "x", "signatures": [{"sig": "*"}]}"#), @"cannot read the DSSE document at `/signatures/0/sig`: no base64");
        insta::assert_snapshot!(read(r#"{"payload": 1}"#), @"cannot read the DSSE document at `/payload`");
        let many = vec![r#"{"sig": ""}"#; 65].join(",");
        insta::assert_snapshot!(read(&format!(r#"{{"payload": "", "payloadType": "x", "signatures": [{many}]}}"#)), @"DSSE document refused: it stands for more than 64 signatures");
    }
}
