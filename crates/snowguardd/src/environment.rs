//! What systemd tells a service by its environment, and what it says on stderr.

use std::io::Write as _;

use camino::Utf8PathBuf;
use snowguard_report::escape::line;
use tracing::level_filters::LevelFilter;

use crate::cli::{Log, LogFormat};

/// A variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value: &String| !value.is_empty())
}

/// One directory of systemd's: of several, the first.
pub(crate) fn directory(name: &str) -> Option<Utf8PathBuf> {
    let value = variable(name)?;
    let first = value.split(':').next().unwrap_or_default();
    (!first.is_empty()).then(|| first.into())
}

/// The program of that name beside this one; else the one of the search path.
pub(crate) fn beside(name: &str) -> Utf8PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|path| Utf8PathBuf::from_path_buf(path).ok())
        .and_then(|path| path.parent().map(|directory| directory.join(name)))
        .filter(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

/// A line of diagnostics. A stderr that is gone is nobody's failure.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", line(text));
}

/// What happens goes to stderr, as text or as JSON.
pub(crate) fn log_to_stderr(args: &Log) {
    let level: LevelFilter = args.log_level.into();
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr);
    // A second one in a process is left out: the first stays.
    let _ = match args.log {
        LogFormat::Text => builder.with_ansi(false).without_time().try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
