//! Statements in their envelopes: signed, and read where a signature holds.

use snowguard_formats::ReadError;
use snowguard_formats::dsse::{self, Envelope, INTOTO};
use snowguard_store::{SecretKey, Signature};

use crate::judge::{Judgement, Reason, Times, Verdict};
use crate::key_id::KeyId;
use crate::keyring::{Entry, Keyring};
use crate::statement::{LIMITS, Statement, StatementError};

/// Signs a statement. The signature is on the type of the payload too (DSSE), so that it counts for
/// nothing else; `keyid` is the [`KeyId`].
///
/// One key makes a statement its own; several are several people who say the same.
pub fn sign(statement: &Statement, keys: &[&SecretKey]) -> Result<Envelope, StatementError> {
    let payload = statement.to_bytes()?;
    let pae = dsse::pae(INTOTO, &payload);
    let signatures = keys.iter().map(|key| dsse::Signature {
        key_id: Some(KeyId::of(key.public()).to_string()),
        bytes: key.sign(&pae).bytes().to_vec(),
    });
    Ok(Envelope {
        payload_type: INTOTO.to_owned(),
        signatures: signatures.collect(),
        payload,
    })
}

/// What a verification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Each signature, in their order.
    pub judgements: Vec<Judgement>,
    /// What was signed; none where no signature fits a key of the keyring, since then nothing of the
    /// payload was looked at.
    pub statement: Option<Statement>,
}

impl Verification {
    /// That of the signature that counts most: one that is valid is enough.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.judgements.iter().map(|judgement| judgement.verdict);
        verdicts.max().unwrap_or(Verdict::NotValid)
    }
}

/// Holds an envelope against a keyring.
pub fn verify(
    envelope: &[u8],
    keyring: &Keyring,
    times: &Times,
) -> Result<Verification, EnvelopeError> {
    let envelope = read(envelope)?;
    let pae = envelope.pae();
    let signers: Vec<Option<&Entry>> = envelope
        .signatures
        .iter()
        .map(|signature| signer(signature, &pae, keyring))
        .collect();
    let statement = if signers.iter().any(Option::is_some) {
        Some(Statement::read(&envelope.payload)?)
    } else {
        None
    };
    let judgements = envelope.signatures.iter().zip(signers);
    Ok(Verification {
        judgements: judgements
            .map(|(signature, signer)| match (signer, &statement) {
                (Some(entry), Some(statement)) => entry.judge(statement.made_at, times),
                _ => unknown(signature, keyring),
            })
            .collect(),
        statement,
    })
}

/// What is in an envelope, whoever signed it, and whose keys it names.
pub fn read_unverified(envelope: &[u8]) -> Result<(Statement, Vec<String>), EnvelopeError> {
    let envelope = read(envelope)?;
    let named = envelope.signatures.into_iter();
    let named = named.filter_map(|signature| signature.key_id).collect();
    Ok((Statement::read(&envelope.payload)?, named))
}

fn read(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    let envelope = Envelope::read(bytes, &LIMITS)?;
    if envelope.payload_type != INTOTO {
        return Err(EnvelopeError::OtherType(envelope.payload_type));
    }
    if envelope.signatures.is_empty() {
        return Err(EnvelopeError::Unsigned);
    }
    Ok(envelope)
}

/// The key whose signature this is. What the envelope calls it only says where to look first.
fn signer<'k>(signature: &dsse::Signature, pae: &[u8], keyring: &'k Keyring) -> Option<&'k Entry> {
    let fits = |entry: &&Entry| {
        Signature::new(entry.key().name(), &signature.bytes)
            .is_some_and(|signature| entry.key().verifies(pae, &signature))
    };
    let named = signature.key_id.as_deref().and_then(|id| keyring.named(id));
    named
        .filter(fits)
        .or_else(|| keyring.entries().iter().find(fits))
}

fn unknown(signature: &dsse::Signature, keyring: &Keyring) -> Judgement {
    let named = signature.key_id.as_deref();
    match named.and_then(|id| keyring.named(id)) {
        Some(entry) => entry.judgement(Verdict::NotValid, Reason::DoesNotFit),
        None => Judgement {
            key: None,
            name: None,
            verdict: Verdict::NotValid,
            reason: Reason::UnknownKey {
                named: named.map(str::to_owned),
            },
        },
    }
}

/// Why bytes are no signed statement.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// No envelope.
    #[error("read the envelope")]
    Envelope(#[from] ReadError),
    /// An envelope around something else.
    #[error("its payload is {0}, not an in-toto statement")]
    OtherType(String),
    /// Nobody signed it.
    #[error("it has no signature")]
    Unsigned,
    /// What is signed is no statement that is known here.
    #[error("read what is signed")]
    Statement(#[from] StatementError),
}

#[cfg(test)]
mod tests {
    use snowguard_formats::Layout;

    use super::*;
    use crate::statement::tests::mismatch;
    use crate::time::Time;

    fn key(name: &str, seed: u8) -> SecretKey {
        SecretKey::from_seed(name, &[seed; 32]).unwrap()
    }

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn times() -> Times {
        Times {
            now: time("2026-06-01T00:00:00Z"),
            existed_by: None,
        }
    }

    fn keyring(keys: &[&SecretKey]) -> Keyring {
        let mut keyring = Keyring::default();
        for key in keys {
            let from = time("2026-01-01T00:00:00Z");
            keyring.add(key.public().clone(), from).unwrap();
        }
        keyring
    }

    fn json(envelope: &Envelope) -> Vec<u8> {
        envelope.to_json(Layout::Compact).unwrap()
    }

    #[test]
    fn what_is_signed_is_verified() {
        let (one, two, three) = (key("a-1", 1), key("b-1", 2), key("c-1", 3));
        let envelope = sign(&mismatch(), &[&one, &two]).unwrap();
        let verified = verify(&json(&envelope), &keyring(&[&three, &two]), &times()).unwrap();
        assert_eq!(verified.verdict(), Verdict::Valid);
        assert_eq!(verified.statement, Some(mismatch()));
        let told: Vec<String> = verified
            .judgements
            .iter()
            .map(ToString::to_string)
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        not valid: signed by a key that the keyring does not have (fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2)
        valid: b-1: the key is in force
        ");
        let nobody = verify(&json(&envelope), &keyring(&[&three]), &times()).unwrap();
        assert_eq!(nobody.verdict(), Verdict::NotValid);
        assert_eq!(nobody.statement, None);
    }

    #[test]
    fn a_keyid_is_only_a_hint() {
        let (one, two) = (key("a-1", 1), key("b-1", 2));
        let mut envelope = sign(&mismatch(), &[&one]).unwrap();
        envelope.signatures[0].key_id = Some(KeyId::of(two.public()).to_string());
        let verified = verify(&json(&envelope), &keyring(&[&one, &two]), &times()).unwrap();
        assert_eq!(verified.verdict(), Verdict::Valid);
        assert_eq!(verified.judgements[0].name.as_deref(), Some("a-1"));
        envelope.signatures[0].key_id = None;
        let verified = verify(&json(&envelope), &keyring(&[&one, &two]), &times()).unwrap();
        assert_eq!(verified.verdict(), Verdict::Valid);
        // By the key that it names, but not on this.
        envelope.signatures[0].key_id = Some("b-1".into());
        envelope.payload[0] ^= 1;
        let verified = verify(&json(&envelope), &keyring(&[&one, &two]), &times()).unwrap();
        assert_eq!(verified.judgements[0].reason, Reason::DoesNotFit);
        assert_eq!(verified.statement, None);
    }

    #[test]
    fn a_signature_counts_for_its_type_only() {
        let one = key("a-1", 1);
        let mut envelope = sign(&mismatch(), &[&one]).unwrap();
        // On the payload alone, and on the payload as another type.
        for message in [
            envelope.payload.clone(),
            dsse::pae("application/json", &envelope.payload),
        ] {
            envelope.signatures[0].bytes = one.sign(&message).bytes().to_vec();
            let verified = verify(&json(&envelope), &keyring(&[&one]), &times()).unwrap();
            assert_eq!(verified.verdict(), Verdict::NotValid);
        }
        envelope.payload_type = "application/json".into();
        let error = verify(&json(&envelope), &keyring(&[&one]), &times()).unwrap_err();
        assert!(matches!(error, EnvelopeError::OtherType(_)));
        envelope.payload_type = INTOTO.into();
        envelope.signatures.clear();
        let error = verify(&json(&envelope), &keyring(&[&one]), &times()).unwrap_err();
        assert!(matches!(error, EnvelopeError::Unsigned));
    }
}
