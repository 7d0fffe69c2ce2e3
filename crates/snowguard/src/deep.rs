//! Looking into files: whether, where what was found is kept, and what is shown meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use snowguard_inventory::{Gap, Subject};
use snowguard_report::text::number;
use snowguard_sources::{Deep, Effort, Mode};

use crate::cli::{Reading, WhenDeep};
use crate::config::Config;
use crate::error::Failure;
use crate::output::Terminal;
use crate::scan::now;

/// How the files of a system are looked into.
pub(crate) struct Look<'t> {
    when: WhenDeep,
    quiet: bool,
    terminal: &'t Terminal,
}

impl<'t> Look<'t> {
    /// As asked for, else as the settings say.
    pub(crate) fn new(
        config: &Config,
        reading: &Reading,
        quiet: bool,
        terminal: &'t Terminal,
    ) -> Self {
        let when = match (reading.no_deep, reading.deep) {
            (true, _) => WhenDeep::Never,
            (false, asked) => asked.or(config.deep).unwrap_or_default(),
        };
        Self {
            when,
            quiet,
            terminal,
        }
    }

    /// Without looking into anything.
    pub(crate) fn off(terminal: &'t Terminal) -> Self {
        Self {
            when: WhenDeep::Never,
            quiet: true,
            terminal,
        }
    }

    /// The same, without looking into anything.
    pub(crate) fn never(&self) -> Self {
        Self {
            when: WhenDeep::Never,
            ..*self
        }
    }

    /// Whether each of two sides may have been looked into less far than the other: what one of them
    /// has in the cache, or has room for, says nothing about the other.
    pub(crate) fn is_uneven(&self, sides: [&Subject; 2]) -> bool {
        let is_whole = |side: &&Subject| {
            let left_out = |gap: &Gap| matches!(gap, Gap::NotLookedInto { .. });
            side.looked_into > 0 && !side.gaps.iter().any(left_out)
        };
        let was_any = sides.iter().any(|side| side.looked_into > 0);
        self.when == WhenDeep::Auto && was_any && !sides.iter().all(is_whole)
    }

    /// What whoever reads must know.
    pub(crate) fn settings(&self) -> Deep {
        let (_, today) = now();
        let days = today.since((jiff::Unit::Day, Date::constant(1970, 1, 1)));
        Deep {
            mode: match self.when {
                WhenDeep::Auto => Mode::Auto,
                WhenDeep::Always => Mode::Always,
                WhenDeep::Never => Mode::Never,
            },
            cache: cache_directory(),
            today: days.map_or(0, |span| u32::try_from(span.get_days()).unwrap_or(0)),
            ..Deep::default()
        }
    }

    /// Shows on a terminal how far it is, and afterwards what went wrong beside.
    pub(crate) fn watch<T>(
        &self,
        effort: &Arc<Effort>,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let result = if self.terminal.shows_progress() && !self.quiet {
            let (done, wait) = channel::<()>();
            let shown = Arc::clone(effort);
            let watcher = std::thread::spawn(move || {
                // What is over soon needs no picture.
                let bar = ProgressBar::new(0);
                bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
                if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                    bar.set_style(style);
                }
                let mut ticks = 0;
                while wait.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    let (objects, of) = shown.objects();
                    ticks += 1;
                    if ticks == PATIENCE {
                        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                    }
                    if of > 0 {
                        bar.set_length(of as u64);
                        bar.set_position(objects as u64);
                        bar.set_message(format!("{} files", number(shown.opened())));
                    }
                }
                bar.finish_and_clear();
            });
            let result = work();
            drop(done);
            // A picture that failed is no failure of the scan.
            let _ = watcher.join();
            result
        } else {
            work()
        };
        if !self.quiet {
            for warning in effort.warnings() {
                self.terminal.warning(&warning);
            }
        }
        result
    }
}

const TEMPLATE: &str = "{spinner} looking inside {pos} of {len} objects, {msg}";
const TICK: Duration = Duration::from_millis(100);
const PATIENCE: usize = 5;

/// Where what was found is kept: what systemd gives a service, else as the XDG specification says.
#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
pub(crate) fn cache_directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(given) = set("CACHE_DIRECTORY") {
        // There may be several, with colons between them; none of ours has one.
        return std::env::split_paths(&given).next();
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(absolute)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
    Some(base.join("snowguard"))
}
