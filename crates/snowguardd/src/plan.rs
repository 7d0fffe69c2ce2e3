//! From settings and arguments to what the server and the worker are told.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::SignedDuration;
use snowguard_db::Database;
use snowguard_feeds::{Feed, FeedSettings};
use snowguard_http::Address;
use snowguard_secrets::SecretFile;
use snowguard_send::mail::Sendmail;
use snowguard_tracker::ingest::{Evaluator, EvaluatorLimits, Program};
use snowguard_tracker::publish::Site;
use snowguard_tracker::work::{self, Plan};
use snowguard_watch::duration::Length;
use zeroize::Zeroizing;

use crate::cli;
use crate::environment::{directory, variable};
use crate::failure::Failure;
use crate::settings::{self, Settings};

/// Where the forge is, if nothing else is set.
const FORGE: &str = "https://api.github.com";

/// What was asked for, else what is set.
pub(crate) fn database(args: &cli::Place, settings: &Settings) -> Result<String, Failure> {
    if let Some(asked) = &args.database {
        return Ok(asked.clone());
    }
    if let Some(file) = &settings.database_file {
        return Ok(secret(file)?.to_string());
    }
    // As a unit hands it over.
    let usual = || Some(directory("STATE_DIRECTORY")?.join("tracker.db").to_string());
    settings.database.clone().or_else(usual).ok_or_else(|| {
        Failure::message("it is not known where the database is")
            .hint("--database names a file, or the URL of a PostgreSQL; tracker.toml can, too")
    })
}

/// What a worker does. Without `site`, nothing goes out.
pub(crate) fn plan(
    settings: &Settings,
    args: &cli::Work,
    database: &Database,
    location: &str,
    site: Option<Site>,
) -> Result<Plan, Failure> {
    let file = file(settings, args, database, location);
    let fetch = args.fetch || settings.advisories.fetch;
    if fetch && file.is_none() {
        return Err(
            Failure::message("it is not known where advisories are kept")
                .hint("--advisories names the index file, beside which their records are"),
        );
    }
    let feeds = fetch.then(|| feeds(&settings.advisories)).transpose()?;
    let spool = settings.worker.spool.clone().or_else(|| {
        let beside = file.as_deref().and_then(Utf8Path::parent);
        directory("CACHE_DIRECTORY").or_else(|| Some(beside?.join("spool")))
    });
    let spool = spool.unwrap_or_else(|| temporary().join("snowguard-spool"));
    Ok(Plan {
        look: Some(long(settings.worker.look)),
        evaluator: settings
            .evaluator
            .as_ref()
            .map(|set| evaluator(set, &spool))
            .transpose()?,
        advisories: file.map(|file| work::Advisories {
            file,
            feeds,
            every: long(settings.advisories.every),
        }),
        publish: site
            .clone()
            .map(|site| publish(&settings.publish, site))
            .transpose()?,
        tell: site.map(|site| tell(settings, site)),
        keep: Some(work::Keep {
            evaluations: settings.keep.evaluations.map(long),
            backup: settings.keep.backup.as_ref().map(|backup| work::Backup {
                directory: backup.directory.clone(),
                every: long(backup.every),
                count: backup.count,
            }),
        }),
        spool,
    })
}

/// The index: as asked for, else as set, else beside a database that is a file.
pub(crate) fn file(
    settings: &Settings,
    args: &cli::Work,
    database: &Database,
    location: &str,
) -> Option<Utf8PathBuf> {
    let named = args.advisories.clone();
    named
        .or_else(|| settings.advisories.file.clone())
        .or_else(|| match database.dialect() {
            snowguard_db::Dialect::Sqlite => {
                Some(Utf8Path::new(location).with_extension("advisories.idx"))
            }
            snowguard_db::Dialect::Postgres => None,
        })
}

/// Where the tracker is, if it is known.
pub(crate) fn site(settings: &Settings, url: Option<String>) -> Option<Site> {
    let set = settings
        .url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/').to_owned());
    let name = settings.site.clone();
    let publishing = publishing(settings);
    Some(Site {
        url: url.or(set)?,
        author: publishing
            .author
            .or(name)
            .unwrap_or_else(|| "Snowguard".to_owned()),
        ecosystem: publishing.ecosystem,
    })
}

/// How what is confirmed is published.
pub(crate) fn publishing(settings: &Settings) -> snowguard_web::Publishing {
    let usual = snowguard_web::Publishing::default();
    let set = &settings.publish;
    snowguard_web::Publishing {
        prefix: set.prefix.clone().unwrap_or(usual.prefix),
        ecosystem: set.ecosystem.clone().unwrap_or(usual.ecosystem),
        author: set.author.clone().or(usual.author),
    }
}

/// Whether a worker with these settings sends letters.
pub(crate) fn sends_letters(settings: &Settings) -> bool {
    settings.tell.from.is_some() || settings.tell.sendmail.is_some()
}

/// A secret that settings or arguments name.
pub(crate) fn secret(file: &str) -> Result<Zeroizing<String>, Failure> {
    let credentials = directory("CREDENTIALS_DIRECTORY");
    Ok(SecretFile::named(file, credentials.as_deref())?.line()?)
}

fn feeds(set: &settings::Advisories) -> Result<FeedSettings, Failure> {
    let mut feeds = FeedSettings {
        mirror: set.mirror.as_deref().map(address).transpose()?,
        github_token: set
            .github_token_file
            .as_deref()
            .map(|file| secret(file).map(|token| token.to_string()))
            .transpose()?,
        ..FeedSettings::default()
    };
    for name in &set.off {
        let feed: Feed = name.parse().map_err(|error| {
            Failure::new(error).context("tracker.toml: `advisories.off`".to_owned())
        })?;
        feeds.off.push(feed);
    }
    if let Some(ecosystems) = &set.ecosystems {
        for name in ecosystems {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
                return Err(Failure::message(format!(
                    "tracker.toml: `advisories.ecosystems`: `{name}` is not an ecosystem"
                ))
                .hint("names are OSV's: PyPI, crates.io, npm"));
            }
        }
        feeds.osv.ecosystems.clone_from(ecosystems);
    }
    Ok(feeds)
}

fn publish(set: &settings::Publish, site: Site) -> Result<work::Publish, Failure> {
    let to = set.forge.as_ref().map(|forge| {
        Ok::<_, Failure>(work::To {
            api: address(forge.api.as_deref().unwrap_or(FORGE))?,
            repository: forge.repository.clone(),
            token: secret(&forge.token_file)?,
            label: forge.label.clone(),
        })
    });
    Ok(work::Publish {
        site,
        to: to.transpose()?,
        every: long(set.every),
    })
}

fn tell(settings: &Settings, site: Site) -> work::Tell {
    let set = &settings.tell;
    let sendmail = || Sendmail::new(set.sendmail.clone());
    work::Tell {
        site,
        from: set.from.clone(),
        sendmail: sends_letters(settings).then(sendmail),
        host: snowguard_notify::notifier::host_name(),
        every: long(set.every),
    }
}

fn evaluator(set: &settings::Evaluator, spool: &Utf8Path) -> Result<Evaluator, Failure> {
    let program = match &set.program {
        Some(path) if path.file_name() == Some("nix-env") => Some(Program::NixEnv(path.clone())),
        Some(path) => Some(Program::NixEvalJobs(path.clone())),
        None => variable("PATH").as_deref().and_then(Program::find),
    };
    let program = program.ok_or_else(|| {
        Failure::message("there is no nix-eval-jobs and no nix-env in PATH")
            .hint("`evaluator.program` in tracker.toml names one")
    })?;
    let usual = EvaluatorLimits::default();
    Ok(Evaluator {
        program,
        limits: EvaluatorLimits {
            time: set.time_limit.map_or(usual.time, Length::get),
            memory: set
                .memory_gib
                .map_or(usual.memory, |gib| u64::from(gib) << 30),
            output: usual.output,
        },
        system: set.system.clone(),
        workers: set.workers.unwrap_or(4).max(1),
        spool: spool.to_owned(),
    })
}

fn address(text: &str) -> Result<Address, Failure> {
    text.parse::<Address>()
        .map_err(|error| Failure::new(error).context(format!("tracker.toml: `{text}`")))
}

fn long(length: Length) -> SignedDuration {
    SignedDuration::try_from(length.get()).unwrap_or(SignedDuration::MAX)
}

fn temporary() -> Utf8PathBuf {
    Utf8PathBuf::try_from(std::env::temp_dir()).unwrap_or_else(|_| "/tmp".into())
}
