//! `snowguardd notify`: tells what changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use camino::Utf8Path;
use snowguard_notify::desktop::{self, Desktop};
use snowguard_notify::file::{self, Appender};
use snowguard_notify::journal::{self, Journal};
use snowguard_notify::mail::{self, Mailer};
use snowguard_notify::notifier::{NotifierError, Wake, host_name};
use snowguard_notify::webhook::{self, Webhook};
use snowguard_notify::{Deliver, DeliverError, Kind, Notifier, Resolved};
use snowguard_watch::Settings;
use snowguard_watch::policy::Policy;
use snowguard_watch::ready::Manager;
use snowguard_watch::settings::DEFAULT_PATH;

use crate::cli::{NotifierKind, Notify};
use crate::environment::{directory, say, variable};
use crate::failure::Failure;

pub(crate) fn run(args: &Notify) -> Result<(), Failure> {
    let settings = Settings::load(args.settings.config.as_deref())?;
    let path = args
        .settings
        .config
        .as_deref()
        .unwrap_or(Utf8Path::new(DEFAULT_PATH));
    let stop = Arc::new(AtomicBool::new(false));
    match args.kind {
        NotifierKind::Journal => {
            let of: Resolved<journal::Settings> = Resolved::new(&settings, path, Kind::Journal)?;
            tell(args, of.policy, Journal::new(of.own), &stop)
        }
        NotifierKind::Desktop => {
            let of: Resolved<desktop::Settings> = Resolved::new(&settings, path, Kind::Desktop)?;
            tell(args, of.policy, Desktop::new()?, &stop)
        }
        NotifierKind::Mail => {
            let of: Resolved<mail::Settings> = Resolved::new(&settings, path, Kind::Mail)?;
            tell(args, of.policy, Mailer::new(of.own)?, &stop)
        }
        NotifierKind::Webhook => {
            let of: Resolved<webhook::Settings> = Resolved::new(&settings, path, Kind::Webhook)?;
            let credentials = directory("CREDENTIALS_DIRECTORY");
            let webhook = Webhook::new(&of.own, credentials.as_deref(), Arc::clone(&stop))?;
            tell(args, of.policy, webhook, &stop)
        }
        NotifierKind::File => {
            let of: Resolved<file::Settings> = Resolved::new(&settings, path, Kind::File)?;
            tell(args, of.policy, Appender::new(of.own), &stop)
        }
    }
}

fn tell(
    args: &Notify,
    policy: Policy,
    deliver: impl Deliver,
    stop: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    let state = &args.settings.state;
    std::fs::create_dir_all(state).map_err(|source| {
        Failure::new(source)
            .context(format!("cannot make {state}"))
            .hint("`--state` takes a directory that this user may write")
    })?;
    let mut notifier = Notifier {
        history: args.history.clone(),
        state: state.clone(),
        host: host_name(),
        policy,
        deliver,
    };
    if args.once {
        return Ok(notifier.once()?);
    }
    let (wake, wakes) = mpsc::channel();
    let (end, flag) = (wake.clone(), Arc::clone(stop));
    ctrlc::set_handler(move || {
        flag.store(true, Ordering::Relaxed);
        // Nobody there: the notifier ends already.
        let _ = end.send(Wake::Stop);
    })
    .map_err(Failure::new)?;
    Manager::new(variable("NOTIFY_SOCKET").as_deref(), None).ready();
    notifier.run(&wake, &wakes, &mut |line| say(line));
    Ok(())
}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        let hint = error.hint;
        Self::new(error).maybe_hint(hint)
    }
}

impl From<NotifierError> for Failure {
    fn from(error: NotifierError) -> Self {
        let hint = error.hint();
        Self::new(error).maybe_hint(hint)
    }
}
