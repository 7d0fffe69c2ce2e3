//! `serve`: the tracker's pages and API, from a database, until it is told to stop.

mod sample;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use snowguard_db::meta::Meta as _;
use snowguard_db::{Database, DbError};
use snowguard_secrets::SecretFile;
use snowguard_tracker::view::load;
use snowguard_web::{App, GitHub, Login, Settings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

use crate::cli::{LogFormat, Serve};
use crate::environment::{directory, say};
use crate::failure::Failure;
use crate::metrics;

/// How often it is looked whether something is to be counted anew.
const LOOK: Duration = Duration::from_secs(15);

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    log_to_stderr(args);
    let settings = settings(args)?;
    let database = Database::open(&args.database)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    let listener = runtime
        .block_on(TcpListener::bind(args.listen))
        .map_err(|error| cannot_listen(error, args.listen))?;
    let address = listener.local_addr().map_err(Failure::new)?;
    let (app, way_in) = App::new(settings, database.clone(), address).map_err(Failure::new)?;
    if let Some(place) = &args.metrics {
        let app = Arc::clone(&app);
        metrics::serve_text(place, move || app.metrics_text())?;
    }
    if args.sample {
        say("taking the sample in");
        if !sample::take_in(&database)? {
            say("note: the database has channels already, and is served without the sample");
        }
    }
    count(&database)?;
    match &way_in {
        Some(way_in) => say(&format!("serving {database}; log in once at {way_in}")),
        None => say(&format!("serving {database} at http://{address}/")),
    }
    let stopping = Arc::new(AtomicBool::new(false));
    let counting = {
        let (database, stopping) = (database, Arc::clone(&stopping));
        std::thread::spawn(move || keep_counting(&database, &stopping))
    };
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::new)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::new)?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
        };
        snowguard_web::serve(listener, app, stop).await;
        Ok::<(), Failure>(())
    })?;
    stopping.store(true, Ordering::Relaxed);
    counting.thread().unpark();
    let _ = counting.join();
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// Counts what pages show in numbers whenever something was done or matched since.
fn keep_counting(database: &Database, stopping: &AtomicBool) {
    let mut seen = None;
    while !stopping.load(Ordering::Relaxed) {
        match changes(database) {
            Ok(now) if seen.as_ref() == Some(&now) => {}
            Ok(now) => match count(database) {
                Ok(()) => seen = Some(now),
                Err(error) => tracing::warn!(%error, "cannot count"),
            },
            Err(error) => tracing::warn!(%error, "cannot look for changes"),
        }
        std::thread::park_timeout(LOOK);
    }
}

/// What differs as soon as something was done, taken in or matched.
fn changes(database: &Database) -> Result<Vec<Option<i64>>, DbError> {
    database.read(|session| {
        let rows = session.query(
            "SELECT (SELECT max(id) FROM event), (SELECT max(id) FROM evaluation),
                    (SELECT max(id) FROM finding), (SELECT max(changed_at) FROM advisory)",
            &[],
        )?;
        let row = rows.first();
        row.map_or_else(
            || Ok(Vec::new()),
            |row| (0..4).map(|at| row.get(at)).collect(),
        )
    })
}

fn count(database: &Database) -> Result<(), DbError> {
    database.write(|session| {
        load::count(session, Timestamp::now())?;
        session.set_meta("view.counted", "1")
    })
}

fn settings(args: &Serve) -> Result<Settings, Failure> {
    let login = match (&args.github_client_id, &args.github_secret_file) {
        (None, _) => Login::Local,
        (Some(_), None) => {
            return Err(Failure::message(
                "logging in with GitHub needs the secret of the application",
            )
            .hint("give its file with --github-secret-file, or credential:NAME"));
        }
        (Some(id), Some(file)) => {
            let credentials = directory("CREDENTIALS_DIRECTORY");
            let secret = SecretFile::named(file, credentials.as_deref())?.line()?;
            if args.url.is_none() {
                return Err(
                    Failure::message("GitHub must know where to lead people back")
                        .hint("give the address under which they reach this server with --url"),
                );
            }
            Login::GitHub(Box::new(GitHub {
                client_id: id.clone(),
                client_secret: secret.to_string(),
                web: args.github_web.clone(),
                api: args.github_api.clone(),
            }))
        }
    };
    if matches!(login, Login::Local) && !args.listen.ip().is_loopback() {
        return Err(Failure::message(format!(
            "cannot serve one person at {}, where others reach it",
            args.listen
        ))
        .hint("listen at 127.0.0.1, or let people log in with GitHub"));
    }
    Ok(Settings {
        site: args.site.clone(),
        url: args.url.clone(),
        behind_proxy: args.behind_proxy,
        login,
        letters: false,
        publishing: snowguard_web::Publishing::default(),
        security: args.security.clone(),
        admins: args.admin.clone(),
        limits: snowguard_web::Limits::default(),
    })
}

fn log_to_stderr(args: &Serve) {
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

fn cannot_listen(error: std::io::Error, address: SocketAddr) -> Failure {
    let taken = error.kind() == std::io::ErrorKind::AddrInUse;
    let failure = Failure::new(error).context(format!("cannot listen at {address}"));
    if taken {
        failure.hint("another program listens there; give another port with --listen")
    } else {
        failure
    }
}
