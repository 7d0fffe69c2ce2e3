//! `snowguard advisories update --from`: the index as someone publishes it, signed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8PathBuf;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use snowguard_feeds::Status;
use snowguard_feeds::repository::{Anchor, Fetch, FetchError, Taken, TakenTriage, fetch, locate};
use snowguard_feeds::update::error_text;
use snowguard_http::{Client, Event};
use snowguard_report::escape::line;
use snowguard_report::text::number;

use super::update::{bytes, network, seconds};
use super::{settings, target};
use crate::Findings;
use crate::cli::{Global, Update};
use crate::config::Config;
use crate::error::Failure;
use crate::output::Terminal;

pub(crate) fn run(
    global: &Global,
    args: &Update,
    from: &str,
    key: &str,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let index = target(global, &config, args.output.as_deref())?;
    let from = settings::address(from)?;
    let anchor = Anchor::given(key).map_err(failure)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second handler cannot be set; then Ctrl-C ends the program at once, which loses nothing.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let client = Client::new(config.feeds.network(args), interrupted)
        .map_err(|error| network(&error, error_text(&error)))?;
    let bar = if terminal.shows_progress() && !global.quiet {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} index: {msg}") {
        bar.set_style(style);
    }
    let client = Arc::new(client);
    let fetched = locate(&client, &from).and_then(|from| {
        fetch(
            &Fetch {
                from: &from,
                anchor: &anchor,
                state: &Utf8PathBuf::from(format!("{index}.trust")),
                index: &index,
                client: Arc::clone(&client),
                waiting: &|| bar.suspend(|| terminal.warning(super::WAITING)),
            },
            &mut |event| match event {
                Event::Here { length, of } => {
                    let of = of.map_or(String::new(), |of| format!(" of {}", bytes(of)));
                    bar.set_message(format!("{}{of}", bytes(length)));
                    bar.tick();
                }
                Event::Again { error, after } => {
                    let text = format!("{}; trying again in {}", error_text(error), seconds(after));
                    bar.suspend(|| terminal.warning(&text));
                }
            },
        )
    });
    bar.finish_and_clear();
    let edition = fetched
        .as_ref()
        .map(|fetched| format!("version {}", fetched.version));
    let noted = Status::note_signed(
        &index,
        edition
            .as_deref()
            .map_err(|error| error as &dyn std::error::Error),
        Timestamp::now(),
    );
    if let Err(error) = noted {
        let text = format!("cannot note when the index was fetched: {error}");
        terminal.warning(&text);
    }
    let fetched = fetched.map_err(failure)?;
    if let TakenTriage::Unread(error) = &fetched.triage {
        terminal.warning(&format!(
            "{error}; the index is taken without the decisions of the tracker"
        ));
        if let Some(hint) = error.hint() {
            terminal.hint(hint);
        }
    }
    if !global.quiet {
        let what = match (fetched.base, fetched.delta) {
            (Some(Taken::Whole), _) => "a new index",
            (Some(Taken::Patch), _) => "a new index, by a patch to the old one",
            (None, true) => "what changed since the last one",
            (None, false) => "nothing new",
        };
        let mut text = String::new();
        let _ = writeln!(text, "{}", line(index.as_str()));
        let _ = writeln!(text, "{what}; {} received", bytes(fetched.bytes));
        let _ = writeln!(
            text,
            "version {}, until {}",
            fetched.version, fetched.expires
        );
        match fetched.triage {
            TakenTriage::New(decisions) => {
                let _ = writeln!(text, "decisions of a tracker: {}", number(decisions));
            }
            TakenTriage::Same => text.push_str("decisions of a tracker: as they were\n"),
            TakenTriage::None | TakenTriage::Unread(_) => {}
        }
        terminal.data(text.as_bytes(), None)?;
    }
    Ok(Findings::None)
}

fn failure(error: FetchError) -> Failure {
    let hint = error.hint();
    match error {
        FetchError::Index(error) => error.into(),
        error => {
            let failure = Failure::new(error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        }
    }
}
