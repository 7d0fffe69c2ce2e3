//! `serve`: the tracker's pages and API, from a database, until it is told to stop.

mod sample;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use snowguard_db::{Database, DbError};
use snowguard_tracker::foresee::Foresight;
use snowguard_tracker::view::load;
use snowguard_watch::ready::Manager;
use snowguard_web::{App, GitHub, Login, Settings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::cli::Serve;
use crate::environment::{log_to_stderr, say, variable};
use crate::failure::Failure;
use crate::{metrics, plan, settings, work};

/// Where it listens if nobody says where.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// How often it is looked whether something is to be counted anew.
const LOOK: Duration = Duration::from_secs(15);

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    log_to_stderr(&args.log);
    let set = settings::Settings::load(args.place.config.as_deref())?;
    let listen = args.listen.or(set.server.listen).unwrap_or(LISTEN);
    let settings = settings(args, &set, listen)?;
    let location = plan::database(&args.place, &set)?;
    let database = Database::open(&location)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    let listener = runtime
        .block_on(TcpListener::bind(listen))
        .map_err(|error| cannot_listen(error, listen))?;
    let address = listener.local_addr().map_err(Failure::new)?;
    let url = settings.url.as_ref().map_or_else(
        || format!("http://{address}"),
        |url| url.as_str().trim_end_matches('/').to_owned(),
    );
    let site = plan::site(&set, Some(url));
    let plan = plan::plan(&set, &args.work, &database, &location, site)?;
    let (app, way_in) = App::new(settings, database.clone(), address).map_err(Failure::new)?;
    if let Some(advisories) = &plan.advisories {
        app.foresee(Foresight::by_file(advisories.file.clone()));
    }
    if let Some(place) = args.metrics.as_ref().or(set.metrics.as_ref()) {
        let (app, database) = (Arc::clone(&app), database.clone());
        metrics::serve_text(place, move || {
            app.metrics_text() + &work::metrics_text(&database)
        })?;
    }
    if args.sample {
        say("taking the sample in");
        if !sample::take_in(&database, &plan)? {
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
        let (database, stopping) = (database.clone(), Arc::clone(&stopping));
        std::thread::spawn(move || keep_counting(&database, &stopping))
    };
    let working = (set.worker.enabled && !args.no_worker).then(|| {
        let network = work::network(&set);
        work::beside(database, plan, network, Arc::clone(&stopping))
    });
    Manager::new(variable("NOTIFY_SOCKET").as_deref(), None).ready();
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::new)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::new)?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stopping.store(true, Ordering::Relaxed);
        };
        snowguard_web::serve(listener, app, stop).await;
        Ok::<(), Failure>(())
    })?;
    counting.thread().unpark();
    let _ = counting.join();
    if let Some(working) = working {
        let _ = working.join();
    }
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
    load::count(database, Timestamp::now())
}

fn settings(
    args: &Serve,
    set: &settings::Settings,
    listen: SocketAddr,
) -> Result<Settings, Failure> {
    let url = args.url.clone().or_else(|| set.url.clone());
    let login = login(args, set.server.github.as_ref(), url.is_some())?;
    if matches!(login, Login::Local) && !listen.ip().is_loopback() {
        return Err(Failure::message(format!(
            "cannot serve one person at {listen}, where others reach it"
        ))
        .hint("listen at 127.0.0.1, or let people log in with GitHub"));
    }
    let all = |asked: &[String], set: &[String]| asked.iter().chain(set).cloned().collect();
    let site = args.site.clone().or_else(|| set.site.clone());
    Ok(Settings {
        site: site.unwrap_or_else(|| "Snowguard".to_owned()),
        url,
        behind_proxy: args.behind_proxy || set.server.behind_proxy,
        login,
        letters: plan::sends_letters(set),
        publishing: plan::publishing(set),
        security: all(&args.security, &set.server.security),
        admins: all(&args.admin, &set.server.admins),
        repository: args
            .repository
            .clone()
            .or_else(|| set.server.repository.clone()),
        limits: snowguard_web::Limits::default(),
    })
}

/// How people log in: with the application of GitHub that arguments or settings name.
fn login(args: &Serve, set: Option<&settings::GitHub>, has_url: bool) -> Result<Login, Failure> {
    let id = args.github_client_id.as_ref();
    let Some(id) = id.or(set.map(|set| &set.client_id)) else {
        return Ok(Login::Local);
    };
    let file = args.github_secret_file.as_ref();
    let file = file.or(set.map(|set| &set.secret_file)).ok_or_else(|| {
        Failure::message("logging in with GitHub needs the secret of the application")
            .hint("give its file with --github-secret-file, or credential:NAME")
    })?;
    let secret = plan::secret(file)?;
    if !has_url {
        return Err(
            Failure::message("GitHub must know where to lead people back")
                .hint("give the address under which they reach this server with --url"),
        );
    }
    let address = |asked: Option<&Url>, set: Option<&Url>, usual: &str| match asked.or(set) {
        Some(url) => Ok(url.clone()),
        None => usual.parse().map_err(Failure::new),
    };
    Ok(Login::GitHub(Box::new(GitHub {
        client_id: id.clone(),
        client_secret: secret.to_string(),
        web: address(
            args.github_web.as_ref(),
            set.and_then(|set| set.web.as_ref()),
            "https://github.com",
        )?,
        api: address(
            args.github_api.as_ref(),
            set.and_then(|set| set.api.as_ref()),
            "https://api.github.com",
        )?,
    })))
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
