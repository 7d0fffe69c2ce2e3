//! The terminal: what may be coloured, how wide it is, and what goes where.

use std::io::{self, IsTerminal as _, Write as _};

use camino::Utf8Path;
use snowguard_report::escape::line;
use snowguard_report::text::Paint;

use crate::cli::Color;
use crate::error::Failure;

/// How to speak.
pub(crate) struct Terminal {
    color: Color,
}

impl Terminal {
    pub(crate) fn new(color: Color) -> Self {
        Self { color }
    }

    /// The styles of stdout.
    fn paint(&self) -> Paint {
        Paint::new(self.colours(io::stdout().is_terminal()))
    }

    /// The columns of stdout; 80 where it is no terminal.
    #[expect(clippy::unused_self, reason = "it is a property of the terminal")]
    fn width(&self) -> usize {
        // Not that of stderr: a pipe beside a wide terminal is a pipe.
        terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| usize::from(width.0))
    }

    /// Whether progress may be shown.
    #[expect(clippy::unused_self, reason = "it is a property of the terminal")]
    pub(crate) fn shows_progress(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// The columns and styles of text that goes to stdout, or to a file: 80, and none.
    pub(crate) fn look(&self, file: Option<&Utf8Path>) -> (usize, Paint) {
        match file.filter(|path| *path != "-") {
            Some(_) => (80, Paint::new(false)),
            None => (self.width(), self.paint()),
        }
    }

    /// Data, on stdout or in a file.
    ///
    /// Who closes the pipe has seen enough: `snowguard scan | head` is no failure, and the exit
    /// status says what was found, as if all had been read.
    #[expect(clippy::unused_self, reason = "it is the terminal that prints")]
    pub(crate) fn data(&self, bytes: &[u8], file: Option<&Utf8Path>) -> Result<(), Failure> {
        match file.filter(|path| *path != "-") {
            Some(path) => replace(path, bytes),
            None => {
                let mut out = io::stdout().lock();
                match out.write_all(bytes).and_then(|()| out.flush()) {
                    Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                        anyhow::Error::new(source).context("cannot write to stdout"),
                    )),
                    _ => Ok(()),
                }
            }
        }
    }

    pub(crate) fn error(&self, text: &str) {
        self.say("error", anstyle_of("error"), text);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.say("warning", anstyle_of("warning"), text);
    }

    pub(crate) fn note(&self, text: &str) {
        self.say("note", anstyle_of("note"), text);
    }

    pub(crate) fn hint(&self, text: &str) {
        self.say("hint", anstyle_of("hint"), text);
    }

    /// A line of diagnostics. A stderr that is gone is nobody's failure.
    fn say(&self, label: &str, colour: &str, text: &str) {
        let text: Vec<_> = text.lines().map(line).collect();
        let text = text.join("\n");
        let coloured = self.colours(io::stderr().is_terminal());
        let (start, end) = if coloured {
            (colour, "\u{1b}[0m")
        } else {
            ("", "")
        };
        let _ = writeln!(io::stderr().lock(), "{start}{label}:{end} {text}");
    }

    #[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
    fn colours(&self, is_terminal: bool) -> bool {
        let is = |name, value: &str| std::env::var_os(name).is_some_and(|set| set == *value);
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self.color {
            Color::Always => true,
            Color::Never => false,
            // As no-color.org and bixense.com/clicolors have it.
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
            Color::Auto => is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb"),
        }
    }
}

fn anstyle_of(label: &str) -> &'static str {
    match label {
        "error" => "\u{1b}[1;31m",
        "warning" => "\u{1b}[1;33m",
        _ => "\u{1b}[1;36m",
    }
}

/// Replaces a file as a whole: who reads it sees the old or the new. A link keeps pointing at it.
#[expect(
    clippy::disallowed_methods,
    reason = "the face writes what it was asked to write"
)]
fn replace(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    let failure = |source| Failure::cannot_write(path, source);
    // Devices and pipes (`--output /dev/stderr`) are written to, not replaced.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::write(path, bytes).map_err(failure);
    }
    let target = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let beside = target.with_file_name(format!(
        ".{}.{}",
        target.file_name().unwrap_or("output"),
        std::process::id()
    ));
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, &target))
        .map_err(|source| {
            let _ = std::fs::remove_file(&beside);
            failure(source).hint("`--output` takes a file in a directory that is there")
        })
}
