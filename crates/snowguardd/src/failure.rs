//! Failures: what happened, to which thing, and what to do next.

use std::process::ExitCode;

use snowguard_secrets::SecretError;
use snowguard_watch::results::ResultsError;
use snowguard_watch::service::ServiceError;
use snowguard_watch::{HistoryError, SettingsError};

use crate::environment::say;

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
        Self::new(anyhow::Error::msg(text.into()))
    }

    /// With what could not be done in front.
    pub(crate) fn context(mut self, what: impl std::fmt::Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(what);
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

    /// Tells it, with all causes, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let mut text = String::new();
        for cause in self.error.chain() {
            let cause = cause.to_string();
            if text.is_empty() {
                text = cause;
            } else if !text.ends_with(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        for (at, line) in text.lines().enumerate() {
            say(&if at == 0 {
                format!("error: {line}")
            } else {
                line.to_owned()
            });
        }
        for hint in &self.hints {
            say(&format!("hint: {hint}"));
        }
        ExitCode::from(2)
    }
}

impl From<snowguard_db::DbError> for Failure {
    fn from(error: snowguard_db::DbError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        let hint = error.hint();
        Self::new(error).hint(hint)
    }
}

impl From<ResultsError> for Failure {
    fn from(error: ResultsError) -> Self {
        Self::new(error).hint("check that the directory is there and not full")
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = match &error {
            SettingsError::Read { .. } => "`--config` takes a file that can be read",
            SettingsError::Wrong { .. } => "the book's page on watch.toml lists what it may hold",
        };
        Self::new(error).hint(hint)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::History(error) => error.into(),
            error @ ServiceError::Inotify(_) => {
                Self::new(error).hint("raise fs.inotify.max_user_instances and max_user_watches")
            }
        }
    }
}
