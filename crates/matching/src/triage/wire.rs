//! The document as bytes: JSON in one canonical form, read with limits on every count.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use snowguard_advisory::id::AdvisoryId;

use super::{Channel, Decided, Document, FixedSince, Standing, Tracker, Verdict};
use crate::finding::Status;
use crate::suppress::Justification;

/// The name and version of the format.
pub const SCHEMA: &str = "snowguard-triage/1";
/// The name of the format, whatever the version.
const FORMAT: &str = "snowguard-triage/";

/// The largest document, in bytes.
pub const MAX_BYTES: usize = 64 << 20;
/// The most decisions in it.
const MAX_DECISIONS: usize = 1_000_000;
/// The most channels.
const MAX_CHANNELS: usize = 64;
/// The most other names of an advisory, and the most versions of a package in a channel.
const MAX_LIST: usize = 1_000;
/// The longest name, version or commit, in bytes.
const MAX_NAME: usize = 512;
/// The longest address.
const MAX_URL: usize = 2_048;
/// The longest reason.
const MAX_REASON: usize = 16 << 10;

/// Why bytes are no document.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is larger than any that is read.
    #[error("the triage document has {0} bytes; at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// It is no JSON, or not as the format has it.
    #[error("this is no triage document")]
    Json(#[source] serde_json::Error),
    /// It names another format.
    #[error("this is no triage document: its schema is `{0}`")]
    OtherSchema(String),
    /// It is of a version that is not read.
    #[error("the triage document is of the version `{0}`; {SCHEMA} is read")]
    OtherVersion(String),
}

impl ReadError {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherVersion(_) => Some("a newer snowguard may read it"),
            Self::OtherSchema(_) | Self::Json(_) => {
                Some("a tracker writes such documents; any other file is none")
            }
            Self::TooLarge(_) => None,
        }
    }
}

impl Document {
    /// Reads a document. Keys that are not known are passed over.
    pub fn read(json: &[u8]) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(deserialize_with = "name")]
            schema: Box<str>,
        }
        if json.len() > MAX_BYTES {
            return Err(ReadError::TooLarge(json.len()));
        }
        let head: Head = serde_json::from_slice(json).map_err(ReadError::Json)?;
        if *head.schema != *SCHEMA {
            let schema = String::from(head.schema);
            return Err(if str::starts_with(&schema, FORMAT) {
                ReadError::OtherVersion(schema)
            } else {
                ReadError::OtherSchema(schema)
            });
        }
        let whole: Whole = serde_json::from_slice(json).map_err(ReadError::Json)?;
        let channels = whole.channels.into_iter().map(Into::into).collect();
        let decisions: Result<Vec<Decided>, String> =
            whole.decisions.into_iter().map(TryInto::try_into).collect();
        let decisions = decisions.map_err(|why| ReadError::Json(serde_json::Error::custom(why)))?;
        let tracker = Tracker {
            name: whole.tracker.name,
            url: whole.tracker.url,
        };
        Ok(Self::new(tracker, whole.generated, channels, decisions))
    }

    /// The document as canonical JSON (RFC 8785): the same decisions are the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Whole {
            channels: self.channels.iter().map(ChannelWire::of).collect(),
            decisions: self.decisions.iter().map(DecidedWire::of).collect(),
            generated: self.generated,
            schema: SCHEMA.into(),
            tracker: TrackerWire {
                name: self.tracker.name.clone(),
                url: self.tracker.url.clone(),
            },
        })
    }
}

/// Cuts off and leaves out what a reader would refuse.
pub(super) fn bounded(
    tracker: Tracker,
    channels: &mut Vec<Channel>,
    decisions: &mut Vec<Decided>,
) -> Tracker {
    channels.retain(|channel| is_name(&channel.name) && is_name(&channel.revision));
    channels.truncate(MAX_CHANNELS);
    decisions.retain_mut(fits);
    decisions.truncate(MAX_DECISIONS);
    Tracker {
        name: cut(&tracker.name, MAX_NAME)
            .unwrap_or("a tracker without a name")
            .into(),
        url: tracker.url,
    }
}

fn fits(decided: &mut Decided) -> bool {
    let optional = |text: &mut Option<Box<str>>, most| {
        *text = text
            .as_deref()
            .and_then(|text| cut(text, most))
            .map(Into::into);
    };
    optional(&mut decided.by, MAX_NAME);
    optional(&mut decided.reason, MAX_REASON);
    optional(&mut decided.issue, MAX_NAME);
    optional(&mut decided.fixed_in, MAX_NAME);
    decided.aliases.truncate(MAX_LIST);
    if let Verdict::NotAffected { versions, .. } = &mut decided.verdict {
        versions.retain(|version| is_name(version));
        versions.truncate(MAX_LIST);
    }
    for standing in &mut decided.channels {
        standing.versions.retain(|version| is_name(version));
        standing.versions.truncate(MAX_LIST);
        let fixed = standing.fixed.take();
        standing.fixed = fixed.filter(|fixed| is_name(&fixed.revision));
    }
    decided.channels.retain(|standing| is_name(&standing.name));
    decided.channels.truncate(MAX_CHANNELS);
    is_name(&decided.package) && is_address(&decided.url)
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
}

fn is_address(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    is_web && url.len() <= MAX_URL && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The first so many bytes of a text, in whole characters; none of an empty one.
fn cut(text: &str, most: usize) -> Option<&str> {
    let text = &text[..text.floor_char_boundary(most)];
    (!text.is_empty()).then_some(text)
}

// Fields stand in the order of their names, as the canonical form has keys.

#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(deserialize_with = "list::<_, _, MAX_CHANNELS>")]
    channels: Vec<ChannelWire>,
    #[serde(deserialize_with = "list::<_, _, MAX_DECISIONS>")]
    decisions: Vec<DecidedWire>,
    generated: Timestamp,
    schema: Box<str>,
    tracker: TrackerWire,
}

#[derive(Serialize, Deserialize)]
struct TrackerWire {
    #[serde(deserialize_with = "name")]
    name: Box<str>,
    #[serde(deserialize_with = "address")]
    url: Box<str>,
}

#[derive(Serialize, Deserialize)]
struct ChannelWire {
    evaluated: Timestamp,
    #[serde(deserialize_with = "name")]
    name: Box<str>,
    #[serde(deserialize_with = "name")]
    revision: Box<str>,
}

#[derive(Serialize, Deserialize)]
struct DecidedWire {
    advisory: AdvisoryId,
    #[serde(
        default,
        deserialize_with = "list::<_, _, MAX_LIST>",
        skip_serializing_if = "Vec::is_empty"
    )]
    aliases: Vec<AdvisoryId>,
    #[serde(
        default,
        deserialize_with = "optional::<_, MAX_NAME>",
        skip_serializing_if = "Option::is_none"
    )]
    by: Option<Box<str>>,
    #[serde(
        default,
        deserialize_with = "list::<_, _, MAX_CHANNELS>",
        skip_serializing_if = "Vec::is_empty"
    )]
    channels: Vec<StandingWire>,
    decided: Timestamp,
    #[serde(
        default,
        deserialize_with = "optional::<_, MAX_NAME>",
        skip_serializing_if = "Option::is_none"
    )]
    fixed_in: Option<Box<str>>,
    #[serde(
        default,
        deserialize_with = "optional::<_, MAX_NAME>",
        skip_serializing_if = "Option::is_none"
    )]
    issue: Option<Box<str>>,
    #[serde(
        default,
        deserialize_with = "optional::<_, MAX_NAME>",
        skip_serializing_if = "Option::is_none"
    )]
    justification: Option<Box<str>>,
    #[serde(deserialize_with = "name")]
    package: Box<str>,
    #[serde(
        default,
        deserialize_with = "optional::<_, MAX_REASON>",
        skip_serializing_if = "Option::is_none"
    )]
    reason: Option<Box<str>>,
    #[serde(deserialize_with = "name")]
    state: Box<str>,
    #[serde(deserialize_with = "address")]
    url: Box<str>,
    #[serde(
        default,
        deserialize_with = "list::<_, _, MAX_LIST>",
        skip_serializing_if = "Vec::is_empty"
    )]
    versions: Vec<Name>,
}

#[derive(Serialize, Deserialize)]
struct StandingWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fixed: Option<FixedWire>,
    #[serde(deserialize_with = "name")]
    name: Box<str>,
    #[serde(deserialize_with = "status", serialize_with = "status_word")]
    status: Status,
    #[serde(
        default,
        deserialize_with = "list::<_, _, MAX_LIST>",
        skip_serializing_if = "Vec::is_empty"
    )]
    versions: Vec<Name>,
}

#[derive(Serialize, Deserialize)]
struct FixedWire {
    #[serde(deserialize_with = "name")]
    revision: Box<str>,
    since: Timestamp,
}

/// A text that is not longer than a name.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Name(#[serde(deserialize_with = "name")] Box<str>);

impl ChannelWire {
    fn of(channel: &Channel) -> Self {
        Self {
            evaluated: channel.evaluated,
            name: channel.name.clone(),
            revision: channel.revision.clone(),
        }
    }
}

impl From<ChannelWire> for Channel {
    fn from(wire: ChannelWire) -> Self {
        Self {
            name: wire.name,
            revision: wire.revision,
            evaluated: wire.evaluated,
        }
    }
}

impl DecidedWire {
    fn of(decided: &Decided) -> Self {
        let justification = decided.verdict.justification();
        Self {
            advisory: decided.advisory.clone(),
            aliases: decided.aliases.clone(),
            by: decided.by.clone(),
            channels: decided.channels.iter().map(StandingWire::of).collect(),
            decided: decided.decided,
            fixed_in: decided.fixed_in.clone(),
            issue: decided.issue.clone(),
            justification: justification.map(|justification| justification.as_str().into()),
            package: decided.package.clone(),
            reason: decided.reason.clone(),
            state: decided.verdict.as_str().into(),
            url: decided.url.clone(),
            versions: match &decided.verdict {
                Verdict::NotAffected { versions, .. } => names(versions),
                Verdict::Confirmed | Verdict::Fixed | Verdict::WontFix => Vec::new(),
            },
        }
    }
}

impl TryFrom<DecidedWire> for Decided {
    type Error = String;

    fn try_from(wire: DecidedWire) -> Result<Self, String> {
        let about = || format!("the decision about {} and {}", wire.advisory, wire.package);
        let justification = wire.justification.as_deref().map(|word| {
            Justification::from_word(word).ok_or_else(|| {
                format!("{} has `{word}`, which is no justification of VEX", about())
            })
        });
        let verdict = match (&*wire.state, justification.transpose()?) {
            ("not_affected", Some(justification)) => Verdict::NotAffected {
                justification,
                versions: texts(wire.versions),
            },
            ("not_affected", None) => {
                return Err(format!("{} has no justification", about()));
            }
            ("confirmed", None) => Verdict::Confirmed,
            ("fixed", None) => Verdict::Fixed,
            ("wont_fix", None) => Verdict::WontFix,
            (_, Some(_)) => {
                return Err(format!(
                    "{} has a justification, and does not say not_affected",
                    about()
                ));
            }
            (other, None) => return Err(format!("{} has `{other}`, which is no state", about())),
        };
        Ok(Self {
            advisory: wire.advisory,
            aliases: wire.aliases,
            package: wire.package,
            verdict,
            decided: wire.decided,
            by: wire.by,
            reason: wire.reason,
            issue: wire.issue,
            url: wire.url,
            fixed_in: wire.fixed_in,
            channels: wire.channels.into_iter().map(Into::into).collect(),
        })
    }
}

impl StandingWire {
    fn of(standing: &Standing) -> Self {
        Self {
            fixed: standing.fixed.as_ref().map(|fixed| FixedWire {
                revision: fixed.revision.clone(),
                since: fixed.at,
            }),
            name: standing.name.clone(),
            status: standing.status,
            versions: names(&standing.versions),
        }
    }
}

impl From<StandingWire> for Standing {
    fn from(wire: StandingWire) -> Self {
        Self {
            name: wire.name,
            status: wire.status,
            versions: texts(wire.versions),
            fixed: wire.fixed.map(|fixed| FixedSince {
                revision: fixed.revision,
                at: fixed.since,
            }),
        }
    }
}

fn names(texts: &[Box<str>]) -> Vec<Name> {
    texts.iter().cloned().map(Name).collect()
}

fn texts(names: Vec<Name>) -> Vec<Box<str>> {
    names.into_iter().map(|Name(text)| text).collect()
}

const STATUSES: [Status; 5] = [
    Status::Affected,
    Status::NeedsReview,
    Status::Patched,
    Status::Fixed,
    Status::NotAffected,
];

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let word = name(deserializer)?;
    let known = STATUSES
        .into_iter()
        .find(|status| status.as_str() == &*word);
    known.ok_or_else(|| D::Error::custom(format_args!("`{word}` is no status")))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it serialises by reference"
)]
fn status_word<S: serde::Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

/// A text of at most so many bytes, and of at least one.
fn text<'de, D: Deserializer<'de>, const MOST: usize>(
    deserializer: D,
) -> Result<Box<str>, D::Error> {
    let text = Box::<str>::deserialize(deserializer)?;
    match text.len() {
        0 => Err(D::Error::custom("a text is empty")),
        length if length > MOST => Err(D::Error::custom(format_args!(
            "a text has {length} bytes; at most {MOST} are read"
        ))),
        _ => Ok(text),
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<str>, D::Error> {
    text::<D, MAX_NAME>(deserializer)
}

fn optional<'de, D: Deserializer<'de>, const MOST: usize>(
    deserializer: D,
) -> Result<Option<Box<str>>, D::Error> {
    text::<D, MOST>(deserializer).map(Some)
}

/// The address of a page: what a reader follows is on the web, and nothing that a browser would run.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<str>, D::Error> {
    let url = text::<D, MAX_URL>(deserializer)?;
    if is_address(&url) {
        Ok(url)
    } else {
        Err(D::Error::custom("an address is not one of the web"))
    }
}

/// A list of at most so many.
fn list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Bounded<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = from.next_element()? {
                if list.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MOST>(PhantomData))
}
