//! Statements: what is claimed of which store objects, by which program, when.
//!
//! In JSON each is an in-toto Statement v1 in [canonical] form.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snowguard_formats::intoto::{self, Resource};
use snowguard_formats::{Limits, ReadError};
use snowguard_store::{ContentAddressMethod, Hash, HashAlgo, Notation, StoreDir, StorePath};

use crate::canonical::{self, NumberError};
use crate::fod::{self, FodVerification};
use crate::time::Time;

/// What a reader takes.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    depth: 16,
    objects: 20_000,
    values: 100_000,
};

/// How many subjects a statement has at most.
pub const MAX_SUBJECTS: usize = 4096;
/// How long the name and version of a program may be, in bytes.
const MAX_TOOL: usize = 256;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is about; one at least.
    pub subjects: Vec<Subject>,
    /// When it was made, as the one who signs it says.
    pub made_at: Time,
    /// With which program.
    pub tool: Tool,
    /// What is claimed.
    pub claim: Claim,
}

/// What is claimed. Another kind of claim is another variant, with a predicate type of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A fixed-output derivation was verified.
    FodVerification(FodVerification),
}

/// A store object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The store that it belongs to, such as `/nix/store`.
    pub store_dir: StoreDir,
    /// Its path.
    pub path: StorePath,
    /// By what its content is known; one at least, and one of each kind.
    pub contents: BTreeSet<Content>,
}

/// What a store object holds, as a hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// What is hashed.
    pub method: ContentAddressMethod,
    /// The hash.
    pub hash: Hash,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Claim {
    /// What the predicate means, and in which version.
    pub fn predicate_type(&self) -> &'static str {
        match self {
            Self::FodVerification(_) => fod::PREDICATE_TYPE,
        }
    }

    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::FodVerification(claim) => claim.fault(),
        }
    }
}

impl Content {
    /// The name of the digest in a statement: `sha256` of a file's bytes, `narSha256` of a NAR,
    /// `gitSha1` of Git's object, `textSha256` of a text with references.
    fn digest_name(method: ContentAddressMethod, algo: HashAlgo) -> String {
        let before = match method {
            ContentAddressMethod::Flat => return algo.as_str().to_owned(),
            ContentAddressMethod::Nar => "nar",
            ContentAddressMethod::Git => "git",
            ContentAddressMethod::Text => "text",
        };
        let (first, rest) = algo.as_str().split_at(1);
        format!("{before}{}{rest}", first.to_ascii_uppercase())
    }

    /// The content of a digest; none if it is of a kind that is not known here.
    fn of_digest(name: &str, hex: &str) -> Option<Result<Self, &'static str>> {
        use ContentAddressMethod::{Flat, Git, Nar, Text};
        let (method, algo) = [Flat, Nar, Git, Text]
            .into_iter()
            .flat_map(|method| HashAlgo::ALL.map(|algo| (method, algo)))
            .find(|(method, algo)| Self::digest_name(*method, *algo) == name)?;
        let hash = (hex.len() == 2 * algo.digest_len())
            .then(|| Hash::parse_digest(hex, algo).ok())
            .flatten()
            .ok_or("a digest is not of its length in hexadecimal");
        Some(hash.map(|hash| Self { method, hash }))
    }
}

impl Statement {
    /// The canonical bytes, which are what is signed; an error if the statement is not one that may be
    /// made.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StatementError> {
        if let Some(fault) = self.fault() {
            return Err(StatementError::NotAllowed(fault));
        }
        Ok(canonical::to_bytes(&self.to_value()?)?)
    }

    /// Reads a statement, in canonical form and with every field that is known in the spelling in which it
    /// is written. Fields that are not known are passed over.
    pub fn read(payload: &[u8]) -> Result<Self, StatementError> {
        // Its limits come before anything is built.
        let outer = intoto::Statement::read(payload, &LIMITS)?;
        let value: Value = serde_json::from_slice(payload).map_err(StatementError::json)?;
        if canonical::to_bytes(&value)? != payload {
            return Err(StatementError::NotCanonical);
        }
        Self::of(outer, &value)
    }

    /// As [`read`](Self::read), but with white space and in any order: as other programs may hand one
    /// over to be signed.
    pub fn read_loosely(json: &[u8]) -> Result<Self, StatementError> {
        let outer = intoto::Statement::read(json, &LIMITS)?;
        let value: Value = serde_json::from_slice(json).map_err(StatementError::json)?;
        Self::of(outer, &value)
    }

    fn of(outer: intoto::Statement, value: &Value) -> Result<Self, StatementError> {
        let Value::Object(mut predicate) = outer.predicate else {
            return Err(StatementError::NotAllowed("its predicate is no object"));
        };
        let made_at = member(&mut predicate, "made_at")?;
        let tool = member(&mut predicate, "tool")?;
        let claim = match outer.predicate_type.as_str() {
            fod::PREDICATE_TYPE => Claim::FodVerification(typed(Value::Object(predicate))?),
            _ => return Err(StatementError::OtherType(outer.predicate_type)),
        };
        let subjects = outer.subject.iter().map(subject);
        let statement = Self {
            subjects: subjects.collect::<Result<_, _>>()?,
            made_at,
            tool,
            claim,
        };
        if let Some(fault) = statement.fault() {
            return Err(StatementError::NotAllowed(fault));
        }
        if covers(value, &statement.to_value()?) {
            Ok(statement)
        } else {
            Err(StatementError::Spelling)
        }
    }

    fn to_value(&self) -> Result<Value, StatementError> {
        let predicate = match &self.claim {
            Claim::FodVerification(claim) => serde_json::to_value(claim),
        };
        let mut predicate = predicate.map_err(StatementError::json)?;
        if let Value::Object(fields) = &mut predicate {
            fields.insert("made_at".into(), self.made_at.to_string().into());
            let tool = serde_json::to_value(&self.tool).map_err(StatementError::json)?;
            fields.insert("tool".into(), tool);
        }
        let subjects = self.subjects.iter().map(|subject| Resource {
            name: Some(subject.store_dir.show(&subject.path).to_string()),
            digest: subject
                .contents
                .iter()
                .map(|content| {
                    (
                        Content::digest_name(content.method, content.hash.algo()),
                        content.hash.to_notation(Notation::Hex),
                    )
                })
                .collect(),
        });
        let outer =
            intoto::Statement::new(subjects.collect(), self.claim.predicate_type(), predicate);
        serde_json::to_value(outer).map_err(StatementError::json)
    }

    fn fault(&self) -> Option<&'static str> {
        if self.subjects.is_empty() || self.subjects.len() > MAX_SUBJECTS {
            return Some("it has no subject, or too many");
        }
        for subject in &self.subjects {
            if subject.contents.is_empty() {
                return Some("a subject has no digest");
            }
            let kinds: BTreeSet<_> = subject
                .contents
                .iter()
                .map(|content| (content.method, content.hash.algo()))
                .collect();
            if kinds.len() < subject.contents.len() {
                return Some("a subject has two digests of one kind");
            }
        }
        if self.tool.name.len() > MAX_TOOL || self.tool.version.len() > MAX_TOOL {
            return Some("the name of the tool is too long");
        }
        self.claim.fault()
    }
}

fn subject(resource: &Resource) -> Result<Subject, StatementError> {
    let name = resource.name.as_deref().unwrap_or_default();
    let (store_dir, path) = StoreDir::split(name)
        .map_err(|_| StatementError::NotAllowed("the name of a subject is no store path"))?;
    let contents = resource
        .digest
        .iter()
        .filter_map(|(name, hex)| Content::of_digest(name, hex))
        .collect::<Result<_, _>>()
        .map_err(StatementError::NotAllowed)?;
    Ok(Subject {
        store_dir,
        path,
        contents,
    })
}

fn member<T: for<'de> Deserialize<'de>>(
    fields: &mut Map<String, Value>,
    name: &'static str,
) -> Result<T, StatementError> {
    let value = fields.remove(name).ok_or(StatementError::Missing(name))?;
    typed(value)
}

fn typed<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, StatementError> {
    serde_path_to_error::deserialize(value).map_err(|error| StatementError::Field {
        place: error.path().to_string(),
        source: error.into_inner(),
    })
}

/// Whether all that one value holds is in another, in the same spelling. As deep as the [`LIMITS`] let be.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| covers(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| covers(whole, part))
        }
        _ => whole == part,
    }
}

/// Why bytes are no statement, or why one cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not an in-toto statement.
    #[error("read the statement")]
    Read(#[from] ReadError),
    /// Not JSON.
    #[error("read the statement")]
    Json {
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A number that no statement has.
    #[error("encode the statement")]
    Number(#[from] NumberError),
    /// The same value in other bytes.
    #[error("the statement is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// A known field in another spelling.
    #[error("a field of the statement is not spelled as it must be")]
    Spelling,
    /// A statement about something else.
    #[error("statements of type {0} are not known here")]
    OtherType(String),
    /// A field that must be there is not.
    #[error("the predicate has no `{0}`")]
    Missing(&'static str),
    /// A field that cannot be read.
    #[error("read the predicate at `{place}`")]
    Field {
        /// Which.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It says what no statement may.
    #[error("the statement is not allowed: {0}")]
    NotAllowed(&'static str),
}

impl StatementError {
    fn json(source: serde_json::Error) -> Self {
        Self::Json { source }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fod::{Means, Outcome, Tried};

    /// A statement about a file that came with another content.
    pub(crate) fn mismatch() -> Statement {
        let hash = |text: &str| Hash::of(HashAlgo::Sha256, text.as_bytes()).unwrap();
        let flat = |hash| Content {
            method: ContentAddressMethod::Flat,
            hash,
        };
        let path = "/nix/store/9j1q28s372d76plrxz2armh5sibgfpxb-hello-2.12.tar.gz";
        let (store_dir, path) = StoreDir::split(path).unwrap();
        Statement {
            subjects: vec![Subject {
                store_dir,
                path,
                contents: BTreeSet::from([flat(hash("old"))]),
            }],
            made_at: "2026-01-31T12:00:00Z".parse().unwrap(),
            tool: Tool {
                name: "snowguard".into(),
                version: "0.1.0".into(),
            },
            claim: Claim::FodVerification(FodVerification {
                derivation: "00000000000000000000000000000000-hello-2.12.tar.gz.drv"
                    .parse()
                    .unwrap(),
                output: "out".parse().unwrap(),
                declared: flat(hash("old")),
                means: Means::Refetch,
                outcome: Outcome::Mismatch {
                    observed: flat(hash("new")),
                    bytes: Some(3),
                },
                sources: vec![Tried {
                    url: "https://example.org/hello-2.12.tar.gz".into(),
                    outcome: Outcome::Mismatch {
                        observed: flat(hash("new")),
                        bytes: Some(3),
                    },
                    detail: None,
                }],
                swhids: vec!["swh:1:cnt:3e5126c4e761fe3b26d2f0c0f2c6e8a9d1f0a2bb".into()],
            }),
        }
    }

    fn fod(statement: &mut Statement) -> &mut FodVerification {
        let Claim::FodVerification(claim) = &mut statement.claim;
        claim
    }

    #[test]
    fn a_statement_has_one_form() {
        let bytes = mismatch().to_bytes().unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"declared":{"hash":"sha256-y6BrVzb69n5UsHtWHq6UOV53TFF6fZEKVDaeEmPM+9Q=","method":"flat"},"derivation":"00000000000000000000000000000000-hello-2.12.tar.gz.drv","made_at":"2026-01-31T12:00:00Z","means":"refetch","outcome":{"bytes":3,"observed":{"hash":"sha256-EVB6Di9eadXfpApiob17buV+a82FxnybhDGzb/8hxDc=","method":"flat"},"verdict":"mismatch"},"output":"out","sources":[{"outcome":{"bytes":3,"observed":{"hash":"sha256-EVB6Di9eadXfpApiob17buV+a82FxnybhDGzb/8hxDc=","method":"flat"},"verdict":"mismatch"},"url":"https://example.org/hello-2.12.tar.gz"}],"swhids":["swh:1:cnt:3e5126c4e761fe3b26d2f0c0f2c6e8a9d1f0a2bb"],"tool":{"name":"snowguard","version":"0.1.0"}},"predicateType":"https://github.com/snowguard/snowguard/fod-verification/v1","subject":[{"digest":{"sha256":"cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"},"name":"/nix/store/9j1q28s372d76plrxz2armh5sibgfpxb-hello-2.12.tar.gz"}]}"#);
        assert_eq!(Statement::read(&bytes).unwrap(), mismatch());
    }

    #[test]
    fn other_spellings_are_refused_or_brought_into_it() {
        let bytes = mismatch().to_bytes().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let spaced = text.replacen(':', ": ", 1);
        assert!(matches!(
            Statement::read(spaced.as_bytes()),
            Err(StatementError::NotCanonical)
        ));
        let loose = Statement::read_loosely(spaced.as_bytes()).unwrap();
        assert_eq!(loose.to_bytes().unwrap(), bytes);
        // Twice the same key: the last one counts to most readers.
        let twice = text.replacen('{', "{\"_type\":\"x\",", 1);
        assert!(Statement::read(twice.as_bytes()).is_err());
        // The same digest and hash in other notations.
        let hash = Hash::of(HashAlgo::Sha256, b"old").unwrap();
        let upper = text.replace(
            &hash.to_notation(Notation::Hex),
            &hash.to_notation(Notation::Hex).to_uppercase(),
        );
        assert!(Statement::read(upper.as_bytes()).is_err());
        let nix32 = text.replace(
            &hash.to_notation(Notation::Sri),
            &hash.to_prefixed(Notation::Nix32),
        );
        assert!(matches!(
            Statement::read(nix32.as_bytes()),
            Err(StatementError::Spelling)
        ));
        // What a later version adds is passed over.
        let more = text.replace("\"swhids\"", "\"squirrel\":1,\"swhids\"");
        assert_eq!(Statement::read(more.as_bytes()).unwrap(), mismatch());
    }

    #[test]
    fn what_may_not_be_said_is_neither_written_nor_read() {
        let told = |change: fn(&mut Statement)| {
            let mut statement = mismatch();
            change(&mut statement);
            let error = statement.to_bytes().unwrap_err().to_string();
            let bytes = canonical::to_bytes(&statement.to_value().unwrap()).unwrap();
            // An object of JSON holds one digest of a kind.
            assert!(Statement::read(&bytes).is_err() || error.contains("two digests"));
            error
        };
        insta::assert_snapshot!([
            told(|s| s.subjects.clear()),
            told(|s| s.subjects[0].contents.clear()),
            told(|s| {
                let other = Content { hash: Hash::of(HashAlgo::Sha256, b"x").unwrap(), ..fod(s).declared };
                s.subjects[0].contents.insert(other);
            }),
            told(|s| fod(s).sources[0].url = "https://me:secret@example.org/".into()),
            told(|s| fod(s).outcome = Outcome::Mismatch { observed: fod(s).declared, bytes: None }),
            told(|s| {
                let hash = Hash::of(HashAlgo::Sha1, b"x").unwrap();
                let observed = Content { hash, ..fod(s).declared };
                fod(s).outcome = Outcome::Mismatch { observed, bytes: None };
            }),
            told(|s| fod(s).swhids = vec![String::new(); 17]),
        ].join("\n"), @"
        the statement is not allowed: it has no subject, or too many
        the statement is not allowed: a subject has no digest
        the statement is not allowed: a subject has two digests of one kind
        the statement is not allowed: the address of a source has a name or password in it
        the statement is not allowed: it calls the very same content a mismatch
        the statement is not allowed: what came is hashed in another way than what is declared
        the statement is not allowed: it has too many sources or identifiers
        ");
    }

    #[test]
    fn digests_are_named_by_what_is_hashed() {
        let hash = Hash::of(HashAlgo::Sha1, b"x").unwrap();
        let name = |method| Content::digest_name(method, HashAlgo::Sha1);
        assert_eq!(name(ContentAddressMethod::Flat), "sha1");
        assert_eq!(name(ContentAddressMethod::Nar), "narSha1");
        assert_eq!(name(ContentAddressMethod::Git), "gitSha1");
        assert_eq!(name(ContentAddressMethod::Text), "textSha1");
        let hex = hash.to_notation(Notation::Hex);
        let content = Content::of_digest("narSha1", &hex).unwrap().unwrap();
        assert_eq!(
            (content.method, content.hash),
            (ContentAddressMethod::Nar, hash)
        );
        assert!(Content::of_digest("sha3", &hex).is_none());
        assert!(Content::of_digest("sha256", &hex).unwrap().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            url in "[a-z]{1,8}://[a-z.]{1,20}/\\PC{0,40}",
            detail in prop::option::of("\\PC{0,40}"),
            version in "\\PC{0,20}",
            bytes in prop::option::of(0..=canonical::MAX_INTEGER),
            second in 0_i64..4_000_000_000,
        ) {
            let mut statement = mismatch();
            statement.tool.version = version;
            statement.made_at = jiff::Timestamp::from_second(second).unwrap().into();
            let claim = fod(&mut statement);
            claim.sources[0].url = url;
            claim.sources[0].detail = detail;
            if let Outcome::Mismatch { bytes: told, .. } = &mut claim.outcome {
                *told = bytes;
            }
            let written = statement.to_bytes().unwrap();
            let again = Statement::read(&written).unwrap();
            prop_assert_eq!(again.to_bytes().unwrap(), written);
            prop_assert_eq!(again, statement);
        }
    }
}
