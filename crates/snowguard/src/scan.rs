//! `snowguard scan` and `snowguard sbom`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use snowguard_advisory::index::Index;
use snowguard_formats::{Layout, WriteError};
use snowguard_inventory::{IdentityTable, Inventory, Subject};
use snowguard_matching::suppress::{self, Applied, Suppression};
use snowguard_matching::{Finding, Matcher, Matches, Options};
use snowguard_report::{Facts, Report, build, cyclonedx, html, openvex, sarif, text};

use crate::Findings;
use crate::cli::{Deciding, FailOn, Global, Sbom, Scan, ScanFormat};
use crate::config::Config;
use crate::error::Failure;
use crate::index::{self, Chosen};
use crate::output::Terminal;
use crate::read;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(global: &Global, args: &Scan, terminal: &Terminal) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let fail_on = if args.fail_on.is_empty() {
        config.fail_on()?
    } else {
        args.fail_on.clone()
    };
    let chosen = Chosen::new(global, &config)?;
    let context = Context::new(
        &config,
        &chosen,
        &args.deciding,
        &args.reading.identities,
        global.quiet,
        terminal,
    )?;
    let subject = read::subject(&args.inputs, &args.reading)?;
    let inventory = Inventory::of(&subject, &context.table);
    let evidence = args.format != ScanFormat::Table;
    context.scan(&subject, &inventory, evidence, |facts, report| {
        match render(args, facts, report, terminal)? {
            Some(bytes) => terminal.data(&bytes, args.output.as_deref())?,
            // OpenVEX has no document without a statement.
            None => terminal.warning("nothing is written: there is nothing to state"),
        }
        if args.format == ScanFormat::Table && args.component.is_none() && !global.quiet {
            hints(report, terminal);
        }
        Ok(fails(report, &fail_on).into())
    })
}

/// What is printed; none where the format cannot say that there is nothing.
fn render(
    args: &Scan,
    facts: &Facts<'_, '_>,
    report: &Report,
    terminal: &Terminal,
) -> Result<Option<Vec<u8>>, Failure> {
    let bytes = match args.format {
        ScanFormat::Table => {
            let to_file = args.output.is_some();
            let options = text::Options {
                width: if to_file { 80 } else { terminal.width() },
                paint: if to_file {
                    text::Paint::new(false)
                } else {
                    terminal.paint()
                },
                show_patched: args.show_patched,
                show_suppressed: args.show_suppressed,
                all: args.all,
                component: args.component.as_deref(),
            };
            text::scan(report, options).into_bytes()
        }
        ScanFormat::Json => json(report)?,
        ScanFormat::Sarif => {
            let options = sarif::Options {
                patched: args.show_patched,
            };
            document(sarif::log(report, options).to_json(Layout::Pretty))?
        }
        ScanFormat::Cyclonedx => {
            let bom = cyclonedx::bom_with_vulnerabilities(facts, report);
            document(bom.to_json(Layout::Pretty))?
        }
        ScanFormat::Openvex => {
            let issuer = openvex::Issuer {
                author: args.author.as_deref().unwrap_or("Unknown Author"),
                id: None,
            };
            match openvex::document(facts, report, issuer) {
                Some(vex) => document(vex.to_json(Layout::Pretty))?,
                None => return Ok(None),
            }
        }
        ScanFormat::Html => html::page(report).into_bytes(),
    };
    Ok(Some(bytes))
}

fn document(written: Result<Vec<u8>, WriteError>) -> Result<Vec<u8>, Failure> {
    written.map_err(Failure::new)
}

pub(crate) fn sbom(global: &Global, args: &Sbom, terminal: &Terminal) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let chosen = Chosen::new(global, &config)?;
    let context = Context::new(
        &config,
        &chosen,
        &Deciding::default(),
        &args.reading.identities,
        true,
        terminal,
    )?;
    let subject = read::subject(&args.inputs, &args.reading)?;
    let inventory = Inventory::of(&subject, &context.table);
    context.scan(&subject, &inventory, false, |facts, _| {
        let bytes = document(cyclonedx::bom(facts).to_json(Layout::Pretty))?;
        terminal.data(&bytes, args.output.as_deref())
    })?;
    Ok(Findings::None)
}

/// What a scan needs beside its subject.
pub(crate) struct Context<'c> {
    pub(crate) index: Index<'c>,
    pub(crate) table: IdentityTable,
    chosen: &'c Chosen,
    suppressions: Vec<Suppression>,
    now: Timestamp,
    today: Date,
}

impl<'c> Context<'c> {
    pub(crate) fn new(
        config: &Config,
        chosen: &'c Chosen,
        deciding: &Deciding,
        identities: &[camino::Utf8PathBuf],
        quiet: bool,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let index = chosen.index()?;
        let (now, today) = now();
        let max_age = deciding
            .max_age
            .as_deref()
            .or(config.max_age.as_deref())
            .map(index::parse_age)
            .transpose()?;
        index::check_age(chosen, index, max_age, today, quiet, terminal)?;
        Ok(Self {
            index,
            table: config.identity_table(identities)?,
            chosen,
            suppressions: config.suppressions(&deciding.vex)?,
            now,
            today,
        })
    }

    pub(crate) fn matcher(&self) -> Matcher<'_> {
        Matcher::new(self.index, &self.table, Options::default())
    }

    /// Scans, and hands over what came out.
    pub(crate) fn scan<T>(
        &self,
        subject: &Subject,
        inventory: &Inventory,
        evidence: bool,
        then: impl FnOnce(&Facts<'_, '_>, &Report) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let matches = self.matcher().run(inventory)?;
        let applied = self.apply(subject, inventory, &matches);
        let facts = Facts {
            subject,
            inventory,
            index: self.index,
            index_path: self.chosen.path().map(camino::Utf8Path::as_str),
            stale_after_days: index::STALE_AFTER_DAYS,
            matches: &matches,
            suppressions: &self.suppressions,
            applied: &applied,
            now: self.now,
            today: self.today,
            version: VERSION,
            evidence,
        };
        then(&facts, &build(facts)?)
    }

    fn apply(&self, subject: &Subject, inventory: &Inventory, matches: &Matches<'_>) -> Applied {
        let aliases = |finding: &Finding<'_>| {
            self.index
                .vulnerability(finding.vulnerability)
                .map(|record| record.aliases)
                .unwrap_or_default()
        };
        suppress::apply(
            &self.suppressions,
            subject,
            inventory,
            &matches.findings,
            self.today,
            aliases,
        )
    }
}

/// The present, to the second, and the day in UTC, in which advisories count theirs.
#[expect(clippy::disallowed_methods, reason = "the face knows the clock")]
pub(crate) fn now() -> (Timestamp, Date) {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    (now, now.to_zoned(TimeZone::UTC).date())
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(Failure::new)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Whether what was found makes the exit status 1.
fn fails(report: &Report, fail_on: &[FailOn]) -> bool {
    let summary = &report.summary;
    if fail_on.is_empty() {
        return summary.affected > 0;
    }
    fail_on.iter().any(|what| match what {
        FailOn::Affected => summary.affected > 0,
        FailOn::Exploited => summary.exploited > 0,
        FailOn::Critical => summary.critical > 0,
        FailOn::High => summary.critical + summary.high > 0,
        FailOn::Medium => summary.critical + summary.high + summary.medium > 0,
        FailOn::Low => summary.critical + summary.high + summary.medium + summary.low > 0,
        FailOn::Review => summary.needs_review > 0,
        FailOn::Never => false,
    })
}

fn hints(report: &Report, terminal: &Terminal) {
    let first = report.packages.iter().find_map(|package| {
        let finding = package
            .findings
            .iter()
            .find(|finding| finding.status == "affected" && finding.suppressed.is_none())?;
        Some(format!(
            "`snowguard explain {} {}` shows why",
            finding.id, package.name
        ))
    });
    if let Some(text) = first {
        terminal.hint(&text);
    }
}
