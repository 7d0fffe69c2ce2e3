//! Failures: what happened, to which thing, and what to do next.

use std::process::ExitCode;

use camino::Utf8Path;

use snowguard_advisory::index::{FORMAT_VERSION, OpenError};

use crate::output::Terminal;

/// A failure with its hints.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hints: Vec<String>,
}

impl Failure {
    /// From an error.
    pub(crate) fn new(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            hints: Vec::new(),
        }
    }

    /// From words.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self {
            error: anyhow::Error::msg(text.into()),
            hints: Vec::new(),
        }
    }

    /// What happened and why, in one line, for who carries it on.
    pub(crate) fn text(&self) -> String {
        format!("{:#}", self.error)
    }

    /// With the thing that it happened to in front.
    pub(crate) fn context(mut self, place: impl std::fmt::Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(place);
        self
    }

    /// With what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With what to do next, where something is known that helps.
    pub(crate) fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hints.extend(hint.map(Into::into));
        self
    }

    /// A file that cannot be read.
    pub(crate) fn cannot_read(path: &Utf8Path, source: std::io::Error) -> Self {
        Self::new(anyhow::Error::new(source).context(format!("cannot read {path}")))
    }

    /// A file of settings that cannot be read.
    pub(crate) fn cannot_read_settings(path: &Utf8Path, source: std::io::Error) -> Self {
        let hint = if source.kind() == std::io::ErrorKind::InvalidData {
            "it must be text in UTF-8"
        } else {
            "check the path; those in snowguard.toml are meant beside that file"
        };
        Self::cannot_read(path, source).hint(hint)
    }

    /// A file that cannot be written.
    pub(crate) fn cannot_write(path: &Utf8Path, source: std::io::Error) -> Self {
        Self::new(anyhow::Error::new(source).context(format!("cannot write {path}")))
    }

    /// Tells it, with all causes, and gives the exit code.
    pub(crate) fn report(self, terminal: &Terminal) -> ExitCode {
        let mut text = String::new();
        for cause in self.error.chain() {
            let cause = cause.to_string();
            if text.is_empty() {
                text = cause;
            } else if !text.ends_with(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        terminal.error(&text);
        for hint in &self.hints {
            terminal.hint(hint);
        }
        ExitCode::from(2)
    }
}

impl From<snowguard_sources::SourceError> for Failure {
    fn from(error: snowguard_sources::SourceError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}

impl From<snowguard_advisory::index::Corrupt> for Failure {
    fn from(error: snowguard_advisory::index::Corrupt) -> Self {
        Self::new(error).hint("`snowguard advisories import` builds the index anew")
    }
}

impl From<snowguard_matching::MatchError> for Failure {
    fn from(error: snowguard_matching::MatchError) -> Self {
        let hint = error.hint();
        Self::new(error).hint(hint)
    }
}

impl From<snowguard_watch::HistoryError> for Failure {
    fn from(error: snowguard_watch::HistoryError) -> Self {
        let hint = error.hint();
        Self::new(error).hint(hint)
    }
}

impl From<snowguard_feeds::IndexFileError> for Failure {
    fn from(error: snowguard_feeds::IndexFileError) -> Self {
        if let Some(hint) = error.lock_hint() {
            return Self::new(error).hint(hint);
        }
        let hint = match &error {
            snowguard_feeds::IndexFileError::Open {
                source: OpenError::Version { found },
                ..
            } if *found > FORMAT_VERSION => {
                "a newer snowguard made it: update this one, or build the index anew with `snowguard advisories import`"
            }
            snowguard_feeds::IndexFileError::Open { .. } => {
                "`snowguard advisories import` builds the index anew"
            }
            snowguard_feeds::IndexFileError::Read { .. } => {
                "`snowguard advisories update` makes an index; without --index the one in the program is used"
            }
            snowguard_feeds::IndexFileError::Delta { .. } => {
                "remove that file: the index beside it is whole, but older; or build the index anew with \
                 `snowguard advisories import`"
            }
            snowguard_feeds::IndexFileError::Write { .. } => "`--output` puts it elsewhere",
            snowguard_feeds::IndexFileError::Lock { .. }
            | snowguard_feeds::IndexFileError::Held { .. }
            | snowguard_feeds::IndexFileError::Interrupted => return Self::new(error),
        };
        Self::new(error).hint(hint)
    }
}
