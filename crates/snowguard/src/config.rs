//! `snowguard.toml`: settings and suppressions.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use serde::Deserialize;
use snowguard_advisory::cpe::Cpe;
use snowguard_advisory::id::{AdvisoryId, CveId};
use snowguard_formats::{Limits, csaf, openvex};
use snowguard_inventory::IdentityTable;
use snowguard_matching::suppress::{Judged, Justification, Subject, Suppression};

use crate::cli::{FailOn, Global, WhenDeep};
use crate::error::Failure;

/// The settings.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// The advisory index.
    pub(crate) index: Option<Utf8PathBuf>,
    /// As `--max-age`.
    pub(crate) max_age: Option<String>,
    /// As `--fail-on`.
    pub(crate) fail_on: Vec<String>,
    /// As `--vex`.
    pub(crate) vex: Vec<Utf8PathBuf>,
    /// As `--identities`.
    pub(crate) identities: Vec<Utf8PathBuf>,
    /// As `--deep`.
    pub(crate) deep: Option<WhenDeep>,
    /// Which feeds are fetched, and from where.
    pub(crate) feeds: crate::advisories::Feeds,
    /// How decisions of a tracker are taken into account.
    pub(crate) triage: crate::triage::Settings,
    /// Decisions.
    pub(crate) suppress: Vec<toml::Spanned<Entry>>,
    /// Where it was read.
    #[serde(skip)]
    file: Option<Utf8PathBuf>,
    /// Its text, to tell lines.
    #[serde(skip)]
    text: String,
}

/// One decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Entry {
    component: String,
    version: Option<String>,
    advisory: String,
    justification: Option<String>,
    reason: String,
    expires: Option<toml::Value>,
}

impl Config {
    /// The file asked for; else `./snowguard.toml`, the user's, the system's; else nothing.
    #[expect(clippy::disallowed_methods, reason = "the face reads its settings")]
    pub(crate) fn load(global: &Global) -> Result<Self, Failure> {
        let path = match &global.config {
            Some(path) => path.clone(),
            None => match candidates().into_iter().find(|path| path.exists()) {
                Some(path) => path,
                None => return Ok(Self::default()),
            },
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|source| Failure::cannot_read_settings(&path, source))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let place = error.span().map_or(String::new(), |span| {
                format!(", line {}", line_of(&text, span.start))
            });
            Failure::message(format!("{path}{place}: {}", error.message()))
                .hint("the book's page on snowguard.toml lists what it may hold")
        })?;
        // Paths in the file are meant beside the file.
        let base = path.parent().unwrap_or(Utf8Path::new("")).to_owned();
        for listed in config
            .vex
            .iter_mut()
            .chain(&mut config.identities)
            .chain(&mut config.index)
            .chain(config.feeds.paths())
        {
            *listed = base.join(&*listed);
        }
        if let Some(age) = &config.max_age
            && let Err(failure) = crate::index::parse_age(age)
        {
            return Err(failure.context(format!("{path}: max-age")));
        }
        config.file = Some(path);
        config.text = text;
        Ok(config)
    }

    /// Where the settings were read; none if there is no file.
    pub(crate) fn file(&self) -> Option<&Utf8Path> {
        self.file.as_deref()
    }

    /// All decisions: of the file, and of VEX documents.
    pub(crate) fn suppressions(&self, vex: &[Utf8PathBuf]) -> Result<Vec<Suppression>, Failure> {
        let mut all = Vec::new();
        for entry in &self.suppress {
            all.push(self.suppression(entry)?);
        }
        for path in self.vex.iter().chain(vex) {
            all.extend(from_vex(path)?);
        }
        Ok(all)
    }

    /// The reviewed identities, with the user's before them.
    #[expect(clippy::disallowed_methods, reason = "the face reads its settings")]
    pub(crate) fn identity_table(&self, more: &[Utf8PathBuf]) -> Result<IdentityTable, Failure> {
        let mut table = IdentityTable::builtin();
        for path in self.identities.iter().chain(more) {
            let text = std::fs::read_to_string(path)
                .map_err(|source| Failure::cannot_read_settings(path, source))?;
            table.add_user(path.as_str(), &text).map_err(|error| {
                Failure::new(error).hint("a line is `package is|not vendor:product # reason`")
            })?;
        }
        Ok(table)
    }

    /// What makes the exit status 1: what was asked for, else what the settings say.
    pub(crate) fn fail_on(&self, asked: &[FailOn]) -> Result<Vec<FailOn>, Failure> {
        if !asked.is_empty() {
            return Ok(asked.to_vec());
        }
        self.fail_on
            .iter()
            .map(|word| {
                <FailOn as clap::ValueEnum>::from_str(word, true).map_err(|_| {
                    Failure::message(format!("{}: `{word}` is not a value of fail-on", self.file.as_deref().unwrap_or(Utf8Path::new(""))))
                        .hint("it may be affected, exploited, critical, high, medium, low, review or never")
                })
            })
            .collect()
    }

    fn suppression(&self, entry: &toml::Spanned<Entry>) -> Result<Suppression, Failure> {
        let line = line_of(&self.text, entry.span().start);
        let origin = format!(
            "{}, line {line}",
            self.file
                .as_deref()
                .unwrap_or(Utf8Path::new("snowguard.toml"))
        );
        let wrong = |what: String| Failure::message(format!("{origin}: {what}"));
        let entry = entry.get_ref();
        let component = Subject::parse(&entry.component).ok_or_else(|| {
            wrong(format!("`{}` names no component", entry.component))
                .hint("write a package's name, a purl, a CPE or a store path")
        })?;
        let id = crate::explain::id_of(entry.advisory.trim());
        let advisory: AdvisoryId = id
            .parse()
            .ok()
            .filter(|_| !id.starts_with("CVE-") || id.parse::<CveId>().is_ok())
            .ok_or_else(|| {
                wrong(format!("`{}` is not the id of an advisory", entry.advisory))
                    .hint("ids are like CVE-2021-3711, GHSA-2g68-c3qc-8985, PYSEC-2024-1")
            })?;
        let named = version_in(&entry.component);
        let stated: Option<Box<str>> = entry.version.as_deref().map(Into::into);
        if let (Some(named), Some(stated)) = (&named, &stated)
            && named != stated
        {
            let what = format!("`component` names version {named}, and `version` is {stated}");
            return Err(wrong(what).hint("keep one of them"));
        }
        let version = stated.or(named);
        let justification = match &entry.justification {
            None => None,
            Some(word) => Some(Justification::from_word(word).ok_or_else(|| {
                let words: Vec<&str> = Justification::ALL.iter().map(|j| j.as_str()).collect();
                wrong(format!("`{word}` is not a justification"))
                    .hint(format!("it may be {}", words.join(", ")))
            })?),
        };
        let expires = match &entry.expires {
            None => None,
            Some(toml::Value::Datetime(day)) => Some(day.to_string()),
            Some(toml::Value::String(day)) => Some(day.clone()),
            Some(_) => return Err(wrong("`expires` is not a day".into()).hint("write 2026-12-31")),
        };
        let expires = match expires {
            None => None,
            Some(day) => Some(
                day.get(..10)
                    .and_then(|day| day.parse::<Date>().ok())
                    .ok_or_else(|| {
                        wrong(format!("`{day}` is not a day")).hint("write 2026-12-31")
                    })?,
            ),
        };
        if entry.reason.trim().is_empty() {
            return Err(
                wrong("the reason is empty".into()).hint("say why, for whoever reads it in a year")
            );
        }
        Ok(Suppression {
            component,
            version,
            advisory,
            verdict: Judged::NotAffected(justification),
            reason: entry.reason.trim().into(),
            expires,
            origin: origin.into(),
            url: None,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
fn candidates() -> Vec<Utf8PathBuf> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value: &String| value.starts_with('/'))
    };
    let user =
        variable("XDG_CONFIG_HOME").or_else(|| Some(format!("{}/.config", variable("HOME")?)));
    let mut paths = vec![Utf8PathBuf::from("snowguard.toml")];
    paths.extend(user.map(|base| Utf8PathBuf::from(base).join("snowguard/snowguard.toml")));
    paths.push(Utf8PathBuf::from("/etc/snowguard/snowguard.toml"));
    paths
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.matches('\n').count()
}

const VEX: &str = "--vex takes OpenVEX and CSAF 2.0 documents";

/// Decisions of an OpenVEX or CSAF document.
#[expect(clippy::disallowed_methods, reason = "the face reads its settings")]
fn from_vex(path: &Utf8Path) -> Result<Vec<Suppression>, Failure> {
    let bytes =
        std::fs::read(path).map_err(|source| Failure::cannot_read_settings(path, source))?;
    let limits = Limits::default();
    let detected = snowguard_formats::detect(&bytes).map_err(|error| {
        let hint = error.hint();
        let failure =
            Failure::new(anyhow::Error::new(error).context(format!("cannot use {path} as VEX")));
        failure.hint(hint.unwrap_or(VEX))
    })?;
    let unreadable = |error: snowguard_formats::ReadError| {
        let hint = error.hint();
        let failure =
            Failure::new(anyhow::Error::new(error).context(format!("cannot use {path} as VEX")));
        failure.hint(hint.unwrap_or(VEX))
    };
    match detected.format {
        snowguard_formats::Format::OpenVex => {
            let document = openvex::Document::read(&bytes, &limits).map_err(unreadable)?;
            from_openvex(&document, path)
        }
        snowguard_formats::Format::Csaf => {
            let document = csaf::Document::read(&bytes, &limits).map_err(unreadable)?;
            Ok(from_csaf(&document, path))
        }
        other => Err(
            Failure::message(format!("{path} is a {} document, not VEX", other.name())).hint(VEX),
        ),
    }
}

/// Later statements go before earlier ones about the same thing.
fn from_openvex(
    document: &openvex::Document,
    path: &Utf8Path,
) -> Result<Vec<Suppression>, Failure> {
    let mut all: Vec<Suppression> = Vec::new();
    for statement in document.chronological() {
        check_statement(statement, path)?;
        let verdict = match statement.status {
            openvex::Status::NotAffected => {
                let word = statement
                    .justification
                    .as_ref()
                    .map(openvex::Justification::as_str);
                Some(Judged::NotAffected(word.and_then(Justification::from_word)))
            }
            openvex::Status::Fixed => Some(Judged::Fixed),
            _ => None,
        };
        let reason = statement
            .impact_statement
            .as_deref()
            .or(statement.status_notes.as_deref())
            .or(statement
                .justification
                .as_ref()
                .map(openvex::Justification::as_str))
            .unwrap_or("stated without a reason");
        for (component, version) in statement.products.iter().flat_map(products_of) {
            for name in statement.vulnerability.names() {
                let Ok(advisory) = name.parse::<AdvisoryId>() else {
                    continue;
                };
                all.retain(|known| {
                    (&known.component, &known.version, &known.advisory)
                        != (&component, &version, &advisory)
                });
                if let Some(verdict) = verdict {
                    all.push(Suppression {
                        component: component.clone(),
                        version: version.clone(),
                        advisory,
                        verdict,
                        reason: reason.into(),
                        expires: None,
                        origin: path.as_str().into(),
                        url: None,
                    });
                }
            }
        }
    }
    Ok(all)
}

/// Refuses a statement that would suppress without one of the reasons that OpenVEX asks for.
fn check_statement(statement: &openvex::Statement, path: &Utf8Path) -> Result<(), Failure> {
    let about = statement.vulnerability.names().next().unwrap_or("nothing");
    let wrong = |what: String, known: Vec<&str>| {
        Failure::message(format!("{path}: the statement about {about} {what}"))
            .hint(format!("it may be {}", known.join(", ")))
    };
    if !statement.status.is_known() {
        let known = openvex::Status::KNOWN.iter().map(openvex::Status::as_str);
        return Err(wrong(
            format!(
                "has the status `{}`, which is none of OpenVEX",
                statement.status
            ),
            known.collect(),
        ));
    }
    let known = || Justification::ALL.iter().map(|j| j.as_str()).collect();
    match &statement.justification {
        Some(justification) if !justification.is_known() => Err(wrong(
            format!("has the justification `{justification}`, which is none of OpenVEX"),
            known(),
        )),
        None if statement.status == openvex::Status::NotAffected
            && statement.impact_statement.is_none() =>
        {
            Err(wrong(
                "says not_affected without a justification or an impact statement".into(),
                known(),
            ))
        }
        _ => Ok(()),
    }
}

/// A product's own names; those of its parts where it has parts.
fn products_of(product: &openvex::Product) -> Vec<(Subject, Option<Box<str>>)> {
    let mut names: Vec<&str> = Vec::new();
    if product.subcomponents.is_empty() {
        names.extend(product.id.as_deref());
        names.extend(product.purls());
        names.extend(product.identifiers.values().map(String::as_str));
    }
    for part in &product.subcomponents {
        names.extend(part.id.as_deref());
        names.extend(part.purls());
        names.extend(part.identifiers.values().map(String::as_str));
    }
    let mut subjects: Vec<(Subject, Option<Box<str>>)> = Vec::new();
    for name in names {
        // An id that is a URL names a product of the publisher, which nothing here is called.
        if name.starts_with("http") {
            continue;
        }
        if let Some(subject) = Subject::parse(name) {
            let entry = (subject, version_in(name));
            if !subjects.contains(&entry) {
                subjects.push(entry);
            }
        }
    }
    subjects
}

fn from_csaf(document: &csaf::Document, path: &Utf8Path) -> Vec<Suppression> {
    let mut all = Vec::new();
    for statement in document.statements() {
        let verdict = match statement.status {
            openvex::Status::NotAffected => {
                let word = statement.justification.map(csaf::Justification::as_str);
                Judged::NotAffected(word.and_then(Justification::from_word))
            }
            openvex::Status::Fixed => Judged::Fixed,
            _ => continue,
        };
        let Some(vulnerability) = document.vulnerabilities.get(statement.vulnerability) else {
            continue;
        };
        // Of a part within a whole, the part is what can be met here.
        let product = statement
            .product
            .part
            .map(|part| &part.identification)
            .or(statement.product.identification);
        let names = product
            .into_iter()
            .flat_map(|product| [product.purl.as_deref(), product.cpe.as_deref()])
            .flatten();
        for name in names {
            let Some(component) = Subject::parse(name) else {
                continue;
            };
            for advisory in vulnerability
                .names()
                .filter_map(|name| name.parse::<AdvisoryId>().ok())
            {
                all.push(Suppression {
                    component: component.clone(),
                    version: version_in(name),
                    advisory,
                    verdict,
                    reason: statement.impact.unwrap_or("stated without a reason").into(),
                    expires: None,
                    origin: path.as_str().into(),
                    url: None,
                });
            }
        }
    }
    all
}

/// The version in a purl or a CPE: a decision about one says nothing of others.
fn version_in(name: &str) -> Option<Box<str>> {
    if name.starts_with("cpe:") {
        let cpe: Cpe = name.parse().ok()?;
        let update = cpe.update.text().unwrap_or_default();
        return Some(format!("{}{update}", cpe.version.text()?).into());
    }
    let purl = name.strip_prefix("pkg:")?;
    let purl = purl.split(['?', '#']).next()?;
    purl.rsplit_once('@')
        .map(|(_, version)| version)
        .filter(|v| !v.contains('/'))
        .map(Into::into)
}
