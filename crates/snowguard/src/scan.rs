//! `snowguard scan` and `snowguard sbom`.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use std::mem::ManuallyDrop;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use snowguard_advisory::index::Index;
use snowguard_formats::{Layout, WriteError};
use snowguard_inventory::{IdentityTable, Inventory, Subject};
use snowguard_matching::suppress::{self, Applied, Suppression};
use snowguard_matching::{Finding, Matcher, Matches, Options};
use snowguard_report::escape;
use snowguard_report::model::Finding as Told;
use snowguard_report::pattern::Pattern;
use snowguard_report::triage::Triage;
use snowguard_report::{
    Facts, Report, build, csv, cyclonedx, html, openvex, result, sarif, spdx, text,
};

use crate::Findings;
use crate::cli::{
    Deciding, FailOn, Global, Reading, Sbom, SbomFormat, Scan, ScanFormat, UseTriage,
};
use crate::config::Config;
use crate::deep::Look;
use crate::error::Failure;
use crate::index::{self, Chosen};
use crate::output::Terminal;
use crate::read;
use crate::triage::Decisions;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(global: &Global, args: &Scan, terminal: &Terminal) -> Result<Findings, Failure> {
    if args.component.is_some() && args.format != ScanFormat::Table {
        return Err(Failure::message("--component narrows the table only")
            .hint("`snowguard explain ADVISORY PACKAGE --format json` has one package as data"));
    }
    if args.host.is_some() && args.format != ScanFormat::Result && args.result.is_none() {
        return Err(Failure::message("--host labels a result only")
            .hint("`--format result` or `--result FILE` writes one"));
    }
    if args.result.as_deref().is_some_and(|path| path == "-") {
        return Err(
            Failure::message("--result names a file: stdout is for what --format writes")
                .hint("`--format result` prints a result"),
        );
    }
    let config = Config::load(global)?;
    let fail_on = config.fail_on(&args.fail_on)?;
    let chosen = Chosen::new(global, &config)?;
    let deep = Look::new(&config, &args.reading, global.quiet, terminal);
    let subject = ending(subject(&args.inputs, &args.reading, &deep)?);
    let context = Context::new(
        &config,
        &chosen,
        &args.deciding,
        &args.reading.identities,
        &args.inputs,
        global.quiet,
        terminal,
    )?;
    let inventory = ending(Inventory::of(&subject, &context.table));
    let pattern = args.component.as_deref().filter(|name| *name != "?");
    let pattern = pattern
        .map(|name| wanted(name, &subject, &inventory))
        .transpose()?;
    let evidence = args.format != ScanFormat::Table;
    context.scan(&subject, &inventory, evidence, |facts, report| {
        if let Some(path) = &args.result {
            terminal.data(&signable(args, facts, report)?, Some(path))?;
        }
        match render(args, facts, report, terminal)? {
            Some(bytes) => terminal.data(&bytes, args.output.as_deref())?,
            // OpenVEX has no document without a statement.
            None => nothing_to_state(args, terminal),
        }
        let gate = Gate {
            what: &fail_on,
            listing: args.component.is_some() && pattern.is_none(),
            pattern,
        };
        if !global.quiet {
            gate.tell(report, terminal);
            if args.format == ScanFormat::Table && args.component.is_none() {
                hints(args, report, terminal);
            }
        }
        Ok(gate.fails(report).into())
    })
}

/// The packages that are asked for, if there are any.
fn wanted(name: &str, subject: &Subject, inventory: &Inventory) -> Result<Pattern, Failure> {
    let pattern = Pattern::new(name);
    let is_here = inventory.components.iter().any(|component| {
        pattern.means(&component.pname) || component.attrs.iter().any(|attr| pattern.means(attr))
    });
    if is_here {
        return Ok(pattern);
    }
    Err(
        Failure::message(format!("{} has no package {name}", subject.title))
            .hint("`--component '*name*'` finds parts of names"),
    )
}

fn nothing_to_state(args: &Scan, terminal: &Terminal) {
    let path = args.output.as_deref().filter(|path| *path != "-");
    terminal.warning(&match path {
        Some(path) if path.exists() => {
            format!("there is nothing to state in OpenVEX; {path} is as it was")
        }
        _ => "there is nothing to state in OpenVEX; no document is written".to_owned(),
    });
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
            let (width, paint) = terminal.look(args.output.as_deref());
            let options = text::Options {
                width,
                paint,
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
        ScanFormat::Spdx => {
            let written = spdx::document_with_advisories(facts, report);
            document(written.to_json(Layout::Pretty))?
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
        ScanFormat::Csv => csv::scan(report).into_bytes(),
        ScanFormat::Result => signable(args, facts, report)?,
    };
    Ok(Some(bytes))
}

/// The result that can be signed.
fn signable(args: &Scan, facts: &Facts<'_, '_>, report: &Report) -> Result<Vec<u8>, Failure> {
    let statement = result::statement(facts, report, args.host.as_deref()).map_err(Failure::new)?;
    document(statement.to_json(Layout::Pretty))
}

fn document(written: Result<Vec<u8>, WriteError>) -> Result<Vec<u8>, Failure> {
    let bytes = written.map_err(Failure::new)?;
    let text = String::from_utf8(bytes).map_err(Failure::new)?;
    Ok(escape::json(text).into_bytes())
}

pub(crate) fn sbom(global: &Global, args: &Sbom, terminal: &Terminal) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let chosen = Chosen::new(global, &config)?;
    let context = Context::new(
        &config,
        &chosen,
        &Deciding {
            triage: Some(UseTriage::Ignore),
            ..Deciding::default()
        },
        &args.reading.identities,
        &args.inputs,
        true,
        terminal,
    )?;
    let deep = Look::new(&config, &args.reading, global.quiet, terminal);
    let subject = subject(&args.inputs, &args.reading, &deep)?;
    let inventory = Inventory::of(&subject, &context.table);
    context.scan(&subject, &inventory, false, |facts, _| {
        let bytes = document(match args.format {
            SbomFormat::Cyclonedx => cyclonedx::bom(facts).to_json(Layout::Pretty),
            SbomFormat::Spdx => spdx::document(facts).to_json(Layout::Pretty),
        })?;
        terminal.data(&bytes, args.output.as_deref())
    })?;
    Ok(Findings::None)
}

/// What is to be looked at. Nothing to look at is no clean system.
pub(crate) fn subject(
    inputs: &[Utf8PathBuf],
    reading: &Reading,
    deep: &Look<'_>,
) -> Result<Subject, Failure> {
    let subject = read::subject(inputs, reading, deep)?;
    if subject.objects.is_empty() {
        let names: Vec<&str> = inputs.iter().map(|input| input.as_str()).collect();
        return Err(Failure::message(format!(
            "there is nothing to look at in {}",
            names.join(", ")
        ))
        .hint("check that what made it has run to its end"));
    }
    Ok(subject)
}

/// What a scan needs beside its subject.
pub(crate) struct Context<'c> {
    pub(crate) index: Index<'c>,
    pub(crate) table: IdentityTable,
    chosen: &'c Chosen,
    pub(crate) suppressions: Vec<Suppression>,
    decisions: Option<Decisions>,
    now: Timestamp,
    pub(crate) today: Date,
}

impl<'c> Context<'c> {
    pub(crate) fn new(
        config: &Config,
        chosen: &'c Chosen,
        deciding: &Deciding,
        identities: &[Utf8PathBuf],
        inputs: &[Utf8PathBuf],
        quiet: bool,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let index = chosen.index()?;
        let (now, today) = now();
        let max_age = deciding.max_age.as_deref().or(config.max_age.as_deref());
        index::check_age(chosen, index, max_age, today, quiet, terminal)?;
        Ok(Self {
            index,
            table: config.identity_table(identities)?,
            chosen,
            suppressions: config.suppressions(&deciding.vex)?,
            decisions: Decisions::load(config, chosen, deciding, inputs, now, (quiet, terminal)),
            now,
            today,
        })
    }

    /// What a tracker decided.
    pub(crate) fn triage(&self) -> Option<Triage<'_>> {
        self.decisions.as_ref().map(Decisions::triage)
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
        let matches = ending(self.matcher().run(inventory)?);
        let (suppressions, applied) = self.apply(subject, inventory, &matches);
        let facts = Facts {
            subject,
            inventory,
            index: self.index,
            index_path: self.chosen.path().map(camino::Utf8Path::as_str),
            stale_after_days: index::STALE_AFTER_DAYS,
            matcher: self.matcher(),
            matches: &matches,
            suppressions: &suppressions,
            applied: &applied,
            triage: self.triage(),
            now: self.now,
            today: self.today,
            version: VERSION,
            evidence,
        };
        then(&facts, &ending(build(facts)?))
    }

    /// The decisions made here, then those of a tracker about what these leave open.
    fn apply(
        &self,
        subject: &Subject,
        inventory: &Inventory,
        matches: &Matches<'_>,
    ) -> (Vec<Suppression>, Applied) {
        let aliases = |finding: &Finding<'_>| {
            self.index
                .vulnerability(finding.vulnerability)
                .map(|record| record.aliases)
                .unwrap_or_default()
        };
        let mut applied = suppress::apply(
            &self.suppressions,
            subject,
            inventory,
            &matches.findings,
            self.today,
            aliases,
        );
        let mut suppressions = self.suppressions.clone();
        if let Some(triage) = self.triage().filter(|triage| triage.suppresses) {
            let found = &matches.findings;
            triage
                .document
                .suppress(inventory, found, aliases, &mut suppressions, &mut applied);
        }
        (suppressions, applied)
    }
}

/// What lives until the process ends: to take it apart first, object by object, would be one
/// twentieth of a scan's time.
fn ending<T>(value: T) -> ManuallyDrop<T> {
    ManuallyDrop::new(value)
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
    let mut text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    text.push('\n');
    Ok(escape::json(text).into_bytes())
}

/// What makes the exit status 1.
struct Gate<'g> {
    what: &'g [FailOn],
    /// Nothing but a list of names was asked for.
    listing: bool,
    /// Only these packages count.
    pattern: Option<Pattern>,
}

impl Gate<'_> {
    fn fails(&self, report: &Report) -> bool {
        self.findings(report)
            .any(|finding| fails(self.what, finding))
    }

    /// What nobody has rated may be as bad as anything: a gate on severity says what it cannot see.
    fn tell(&self, report: &Report, terminal: &Terminal) {
        let by_severity = self.what.iter().any(|what| {
            matches!(
                what,
                FailOn::Critical | FailOn::High | FailOn::Medium | FailOn::Low
            )
        });
        if !by_severity || self.fails(report) {
            return;
        }
        let unrated = self
            .findings(report)
            .filter(|finding| finding.status == "affected" && finding.severity.is_none())
            .count();
        if unrated > 0 {
            terminal.warning(&if unrated == 1 {
                "1 affected finding has no severity, and --fail-on does not count it".to_owned()
            } else {
                format!(
                    "{} affected findings have no severity, and --fail-on does not count them",
                    text::number(unrated)
                )
            });
            terminal.hint("`--fail-on affected` counts every affected finding");
        }
    }

    /// The open findings that count.
    fn findings<'r>(&'r self, report: &'r Report) -> impl Iterator<Item = &'r Told> {
        report
            .packages
            .iter()
            .filter(|package| {
                !self.listing
                    && self
                        .pattern
                        .as_ref()
                        .is_none_or(|pattern| pattern.means_package(package))
            })
            .flat_map(|package| &package.findings)
            .filter(|finding| finding.suppressed.is_none())
    }
}

/// Whether a finding that is not suppressed makes the exit status 1.
fn fails(what: &[FailOn], finding: &Told) -> bool {
    let rating = finding
        .severity
        .as_ref()
        .map_or("", |severity| severity.rating);
    let affected = finding.status == "affected";
    let at_least = |ratings: &[&str]| affected && ratings.contains(&rating);
    what.is_empty() && affected
        || what.iter().any(|what| match what {
            FailOn::Affected => affected,
            FailOn::Exploited => affected && finding.exploited.is_some(),
            FailOn::Critical => at_least(&["critical"]),
            FailOn::High => at_least(&["critical", "high"]),
            FailOn::Medium => at_least(&["critical", "high", "medium"]),
            FailOn::Low => at_least(&["critical", "high", "medium", "low", "none"]),
            FailOn::Review => finding.status == "needs_review",
            FailOn::Never => false,
        })
}

/// Hints are commands that people paste: nothing of a stranger's that a shell might obey is in one.
fn hints(args: &Scan, report: &Report, terminal: &Terminal) {
    let first = report.packages.iter().find_map(|package| {
        let finding = package
            .findings
            .iter()
            .find(|finding| finding.status == "affected" && finding.suppressed.is_none())?;
        (is_plain(&finding.id) && is_plain(&package.name)).then_some((finding, package))
    });
    let Some((finding, package)) = first else {
        return;
    };
    let mut command = format!("snowguard explain {} {}", finding.id, package.name);
    for input in &args.inputs {
        // What came through stdin is gone.
        if input == "-" {
            return;
        }
        if is_plain(input.as_str()) {
            let _ = write!(command, " --in {input}");
        } else {
            let quoted = input.as_str().replace('\'', r"'\''");
            let _ = write!(command, " --in '{quoted}'");
        }
    }
    terminal.hint(&format!("`{command}` shows why"));
}

fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with('-')
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._+-@/:".contains(&b))
}
