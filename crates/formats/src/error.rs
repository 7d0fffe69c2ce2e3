//! What can go wrong between bytes and documents, and what is wrong inside a document.
//!
//! A [`ReadError`] or [`WriteError`] means that there is no result. A [`Problem`] is a finding about
//! a document that could be read or built all the same.

use std::fmt;

use crate::detect::DetectError;
use crate::{Format, text};

/// A document could not be read.
///
/// `Display` says what and where; the parser's own words are the source.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are no document of the expected format, or none at all.
    #[error("expected {expected}")]
    Unrecognised {
        /// What the caller asked for.
        expected: Format,
        /// What the bytes look like instead.
        #[source]
        source: DetectError,
    },
    /// The bytes are a document of another format that is read here.
    #[error("expected {expected}, found {found}")]
    OtherFormat {
        /// What the caller asked for.
        expected: Format,
        /// What it is.
        found: Format,
    },
    /// The format is right, the version is not one that is read.
    #[error("{format} {version} is not read; readable versions are {readable}")]
    UnsupportedVersion {
        /// The format.
        format: Format,
        /// The version that the document states.
        version: String,
        /// The versions that are read, in words.
        readable: &'static str,
    },
    /// More bytes than [`Limits::bytes`](crate::Limits::bytes).
    #[error("{format} document refused: {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The format.
        format: Format,
        /// The size of the document.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("{format} document refused: nested deeper than {limit} levels at {place}")]
    TooDeep {
        /// The format.
        format: Format,
        /// The limit.
        limit: usize,
        /// Where it was passed.
        place: Place,
    },
    /// More than [`Limits::objects`](crate::Limits::objects) or
    /// [`Limits::values`](crate::Limits::values).
    #[error("{format} document refused: more than {limit} {what} by {place}")]
    TooMany {
        /// The format.
        format: Format,
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// Where it was passed.
        place: Place,
    },
    /// An older form stands for more than [`Limits::objects`](crate::Limits::objects).
    #[error("{format} document refused: it stands for more than {limit} {what}")]
    TooManyExpanded {
        /// The format.
        format: Format,
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The JSON is broken, or a field is not what the format says.
    #[error("cannot read the {format} document at `{pointer}`")]
    Malformed {
        /// The format.
        format: Format,
        /// JSON pointer to the field, as far as it is known; empty for the document itself.
        pointer: String,
        /// What was expected and found, with line and column.
        #[source]
        source: JsonError,
    },
    /// A field holds what the format does not allow.
    #[error("cannot read the {format} document at `{pointer}`: {message}")]
    NotAllowed {
        /// The format.
        format: Format,
        /// JSON pointer to the field.
        pointer: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// A line of a tag-value document is not what the format says.
    #[error("cannot read the {format} document at line {line}: {message}")]
    MalformedLine {
        /// The format.
        format: Format,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
}

impl ReadError {
    pub(crate) fn not_allowed(format: Format, pointer: String, message: &'static str) -> Self {
        Self::NotAllowed {
            format,
            pointer,
            message,
        }
    }

    /// What to do about it, when there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unrecognised { source, .. } => source.hint(),
            Self::UnsupportedVersion {
                format: Format::Spdx | Format::SpdxTagValue,
                ..
            } => Some("export SPDX 2.3 JSON instead"),
            Self::UnsupportedVersion {
                format: Format::CycloneDx,
                ..
            } => Some("export CycloneDX 1.6 JSON instead"),
            _ => None,
        }
    }
}

/// What the JSON parser objects to, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at {place}")]
pub struct JsonError {
    message: String,
    place: Place,
}

impl JsonError {
    /// Where in the text it is.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let place = Place {
            line: error.line(),
            column: error.column(),
        };
        // The parser quotes the document, however long or hostile, and ends with the place.
        let full = error.to_string();
        let end = format!(" at line {} column {}", place.line, place.column);
        Self {
            message: text::message(full.strip_suffix(&end).unwrap_or(&full)),
            place,
        }
    }
}

/// A document could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {format} document")]
pub struct WriteError {
    /// The format.
    pub format: Format,
    /// What the output said.
    #[source]
    pub source: std::io::Error,
}

/// A position in text, both from 1; the column counts bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The byte within the line.
    pub column: usize,
}

impl Place {
    pub(crate) fn of_offset(text: &[u8], offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let mut lines = before.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        Self {
            // All but the last.
            line: lines.count() + 1,
            column: last.len() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemSeverity {
    /// Legal, but others will stumble over it.
    Warning,
    /// Against the specification or the schema.
    Error,
}

/// Something about a document that its specification, or those who read it, object to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: ProblemSeverity,
    /// JSON pointer to what is wrong; empty for the document itself.
    pub pointer: String,
    /// What is wrong, in words that name the rule.
    pub message: String,
}

impl Problem {
    /// Whether it is against the specification or the schema, and not merely odd.
    pub fn is_error(&self) -> bool {
        self.severity == ProblemSeverity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            ProblemSeverity::Warning => "warning",
            ProblemSeverity::Error => "error",
        };
        let place = if self.pointer.is_empty() {
            "/"
        } else {
            &self.pointer
        };
        write!(f, "{severity}: {place}: {}", self.message)
    }
}

/// Collects problems while a check walks a document.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(crate) fn error(&mut self, pointer: impl Into<String>, message: impl AsRef<str>) {
        self.push(ProblemSeverity::Error, pointer.into(), message.as_ref());
    }

    pub(crate) fn warning(&mut self, pointer: impl Into<String>, message: impl AsRef<str>) {
        self.push(ProblemSeverity::Warning, pointer.into(), message.as_ref());
    }

    fn push(&mut self, severity: ProblemSeverity, pointer: String, message: &str) {
        self.0.push(Problem {
            severity,
            pointer,
            message: text::message(message),
        });
    }
}
