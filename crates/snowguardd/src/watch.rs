//! `snowguardd watch`: scans when something changed, and remembers.

use std::io::Read as _;
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_watch::ready::Manager;
use snowguard_watch::results::Results;
use snowguard_watch::service::{self, Listener, Service, Wake};
use snowguard_watch::{History, Reading, Settings, metrics};

use crate::cli::Watch;
use crate::environment::{beside, directory, say, variable};
use crate::failure::Failure;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(args: &Watch) -> Result<(), Failure> {
    let mut settings = Settings::load(args.settings.config.as_deref())?;
    if let Some(scanner) = &args.scanner {
        settings.watch.scanner = Some(scanner.clone());
    }
    let state = &args.settings.state;
    std::fs::create_dir_all(state).map_err(|source| {
        Failure::new(source)
            .context(format!("cannot make {state}"))
            .hint("`--state` takes a directory that this user may write")
    })?;
    let copy = args.history.clone().unwrap_or_else(|| {
        directory("RUNTIME_DIRECTORY")
            .unwrap_or_else(|| state.clone())
            .join("history.sqlite")
    });
    let results = Results::new(state, &copy)?;
    let path = state.join("watch.sqlite");
    let history = History::open(&path, &service::new_instance(&path, &chance()?))?;
    let text = Arc::new(RwLock::new(String::new()));
    let mut host = Host {
        textfile: args.metrics_file.clone().or(settings.metrics.textfile),
        text: Arc::clone(&text),
    };
    if let Some(place) = args.metrics.as_ref().or(settings.metrics.listen.as_ref()) {
        crate::metrics::serve(place, text)?;
    }
    let (wake, wakes) = mpsc::channel();
    let stop = wake.clone();
    ctrlc::set_handler(move || {
        // Nobody there: the service ends already.
        let _ = stop.send(Wake::Stop);
    })
    .map_err(Failure::new)?;
    let service = Service {
        settings: settings.watch,
        program: beside("snowguard"),
        cache: directory("CACHE_DIRECTORY"),
        history,
        copy,
        results,
        manager: Manager::new(
            variable("NOTIFY_SOCKET").as_deref(),
            variable("WATCHDOG_USEC").as_deref(),
        ),
        once: args.once,
    };
    Ok(service.run(&wake, &wakes, &mut host)?)
}

/// What the service needs of its surroundings.
struct Host {
    textfile: Option<Utf8PathBuf>,
    text: crate::metrics::Shared,
}

impl Listener for Host {
    fn published(&mut self, history: &Reading) {
        let text = match metrics::render(history, VERSION) {
            Ok(text) => text,
            Err(error) => return self.log(&service::in_full(&error)),
        };
        if let Some(path) = &self.textfile
            && let Err(error) = replace(path, &text)
        {
            say(&format!("cannot write {path}: {error}"));
        }
        *self.text.write().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn log(&mut self, line: &str) {
        say(line);
    }
}

/// Replaces a file as a whole: the collector reads the old or the new.
#[expect(
    clippy::disallowed_methods,
    reason = "the face writes what it was asked to write"
)]
fn replace(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    // Not a name that the collector takes: it ends differently.
    let beside = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or("metrics")));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

#[expect(clippy::disallowed_methods, reason = "chance is the kernel's")]
fn chance() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|source| Failure::new(source).context("cannot read /dev/urandom"))?;
    Ok(bytes)
}
