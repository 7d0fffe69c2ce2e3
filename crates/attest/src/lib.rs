#![doc = include_str!("../README.md")]

pub mod canonical;
pub mod envelope;
pub mod fod;
pub mod judge;
pub mod key_id;
pub mod keyring;
pub mod statement;
pub mod time;

pub use self::envelope::{EnvelopeError, Verification, read_unverified, sign, verify};
pub use self::fod::FodVerification;
pub use self::judge::{Judgement, Reason, Times, Verdict};
pub use self::key_id::KeyId;
pub use self::keyring::{Keyring, KeyringError, RevocationReason};
pub use self::statement::{Claim, Content, Statement, StatementError, Subject, Tool};
pub use self::time::Time;
