//! `work`: the worker of the tracker, in a process of its own or beside the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_http::Settings as Network;
use snowguard_tracker::work::{Plan, Worker, metrics};
use snowguard_watch::ready::Manager;

use crate::cli::WorkAlone;
use crate::environment::{log_to_stderr, say, variable};
use crate::failure::Failure;
use crate::plan;
use crate::settings::Settings;

/// Works until SIGTERM or SIGINT; or with `--once` until nothing is due.
pub(crate) fn run(args: &WorkAlone) -> Result<(), Failure> {
    log_to_stderr(&args.log);
    let settings = Settings::load(args.place.config.as_deref())?;
    let location = plan::database(&args.place, &settings)?;
    let database = Database::open(&location)?;
    let site = plan::site(&settings, None);
    if site.is_none() {
        say("note: nothing is published or told, since `url` is not set");
    }
    let plan = plan::plan(&settings, &args.work, &database, &location, site)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopping);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(Failure::new)?;
    // What is set is the server's: both cannot listen at one place.
    if let Some(place) = &args.metrics {
        let database = database.clone();
        crate::metrics::serve_text(place, move || metrics_text(&database))?;
    }
    let name = name();
    let network = network(&settings);
    let worker = Worker {
        db: &database,
        name: &name,
        plan: &plan,
        network: &network,
        clock: &Timestamp::now,
    };
    if args.once {
        let done = worker.until_idle(&stopping).map_err(failed)?;
        say(&format!("did {done} jobs; nothing more is due"));
        return Ok(());
    }
    let manager = Manager::new(variable("NOTIFY_SOCKET").as_deref(), None);
    manager.ready();
    say(&format!("working on {database} as {name}"));
    worker.run(&stopping).map_err(Failure::new)
}

/// The worker beside a server; it ends when `stopping` is set.
pub(crate) fn beside(
    database: Database,
    plan: Plan,
    network: Network,
    stopping: Arc<AtomicBool>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let name = name();
        let worker = Worker {
            db: &database,
            name: &name,
            plan: &plan,
            network: &network,
            clock: &Timestamp::now,
        };
        if let Err(error) = worker.run(&stopping) {
            tracing::error!(%error, "the worker cannot work");
        }
    })
}

/// Does what is due, and then returns.
pub(crate) fn once(database: &Database, plan: &Plan) -> Result<(), Failure> {
    let worker = Worker {
        db: database,
        name: &name(),
        plan,
        network: &Network::from_environment(),
        clock: &Timestamp::now,
    };
    worker.until_idle(&AtomicBool::new(false)).map_err(failed)?;
    Ok(())
}

/// How the worker uses the network.
pub(crate) fn network(settings: &Settings) -> Network {
    let mut network = Network::from_environment();
    network.ca_files.extend(settings.worker.ca_files.clone());
    network
}

/// What operators watch of the data; a line that says so where that cannot be told.
pub(crate) fn metrics_text(database: &Database) -> String {
    metrics::text(database).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot tell metrics of the data");
        "# the database does not answer\n".to_owned()
    })
}

fn failed(error: snowguard_tracker::work::WorkError) -> Failure {
    let hint = error.hint();
    Failure::new(error).maybe_hint(hint)
}

/// What tells this worker from all others, also from one that had its number before.
fn name() -> String {
    let host = snowguard_notify::notifier::host_name();
    let since = Timestamp::now().as_millisecond();
    format!("{host}:{}:{since:x}", std::process::id())
}
