//! `snowguard explain`.

use snowguard_advisory::id::AdvisoryId;
use snowguard_inventory::component::Component;
use snowguard_inventory::{Inventory, Meta, Nature, Subject, SubjectBuilder};
use snowguard_report::explain::{Explanation, Question, explain};
use snowguard_report::text;

use crate::Findings;
use crate::cli::{Explain, Global, PlainFormat};
use crate::config::Config;
use crate::deep::Look;
use crate::error::Failure;
use crate::index::Chosen;
use crate::output::Terminal;
use crate::scan::{self, Context, json};

pub(crate) fn run(
    global: &Global,
    args: &Explain,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let chosen = Chosen::new(global, &config)?;
    let context = Context::new(
        &config,
        &chosen,
        &args.deciding,
        &args.reading.identities,
        &args.inputs,
        global.quiet,
        terminal,
    )?;
    let id = id_of(args.advisory.trim());
    let found = context
        .index
        .find(&id)?
        .or(context.index.find(args.advisory.trim())?);
    let Some(vulnerability) = found else {
        return Err(unknown(&context, &id, args.package.as_deref())?);
    };
    let subject = match &args.package {
        Some(package)
            if package.contains('@') && args.inputs.is_empty() && !package.starts_with('@') =>
        {
            imagined(package)
        }
        _ => {
            let deep = Look::new(&config, &args.reading, global.quiet, terminal);
            scan::subject(&args.inputs, &args.reading, &deep)?
        }
    };
    let inventory = Inventory::of(&subject, &context.table);
    let wanted = wanted(args.package.as_deref());
    if let Some(package) = &args.package
        && !inventory.components.iter().any(&wanted)
    {
        return Err(
            Failure::message(format!("{} has no package {package}", subject.title)).hint(format!(
                "without --in, `{}@VERSION` asks about a version that is not here",
                package.split('@').next().unwrap_or(package)
            )),
        );
    }
    let explanation = explain(&Question {
        index: context.index,
        vulnerability,
        matcher: &context.matcher(),
        subject: &subject,
        inventory: &inventory,
        wanted: args
            .package
            .as_ref()
            .map(|_| &wanted as &dyn Fn(&Component) -> bool),
        suppressions: &context.suppressions,
        triage: context.triage(),
        today: context.today,
    })?;
    let bytes = match args.format {
        PlainFormat::Text => {
            let (width, paint) = terminal.look(args.output.as_deref());
            text::explain(&explanation, paint, width).into_bytes()
        }
        PlainFormat::Json => json(&explanation)?,
    };
    terminal.data(&bytes, args.output.as_deref())?;
    Ok(is_affected(&explanation).into())
}

/// An id as its publishers write it, however it was typed.
pub(crate) fn id_of(text: &str) -> String {
    match text.get(..5) {
        Some(head) if head.eq_ignore_ascii_case("ghsa-") => {
            format!("GHSA-{}", text[5..].to_ascii_lowercase())
        }
        _ if text.contains('-') => text.to_uppercase(),
        _ => text.to_owned(),
    }
}

fn is_affected(explanation: &Explanation) -> bool {
    explanation
        .packages
        .iter()
        .filter(|package| package.status == "affected")
        .any(|package| {
            let finding = package.finding.as_ref();
            finding.is_none_or(|finding| finding.suppressed.is_none())
        })
}

/// Which packages are meant: by name, attribute, or name and version.
fn wanted(package: Option<&str>) -> impl Fn(&Component) -> bool {
    let (name, version) = match package.map(|p| {
        p.split_once('@')
            .filter(|(name, _)| !name.is_empty())
            .map_or((p, None), |(n, v)| (n, Some(v)))
    }) {
        None => (None, None),
        Some((name, version)) => (Some(name.to_lowercase()), version.map(str::to_owned)),
    };
    move |component| {
        let Some(name) = &name else { return true };
        let by_name = component.pname.to_lowercase() == *name
            || component.table_key() == *name
            || component
                .attrs
                .iter()
                .any(|attr| attr.to_lowercase() == *name);
        by_name
            && version
                .as_ref()
                .is_none_or(|version| **version == *component.version)
    }
}

/// A package that is not here, to ask about.
fn imagined(package: &str) -> Subject {
    let (name, version) = package.split_once('@').unwrap_or((package, ""));
    let (language, name) = name.split_once(':').unwrap_or(("", name));
    let attr = if language.is_empty() {
        name.to_owned()
    } else {
        format!("{language}Packages.{name}")
    };
    let mut builder = SubjectBuilder::new();
    let meta = Meta {
        attr: attr.into(),
        pname: Some(name.into()),
        version: Some(version.into()),
        ..Meta::default()
    };
    let node = builder.object(package, &format!("{name}-{version}"), |object| {
        object.meta = Some(Box::new(meta));
    });
    builder.root(node);
    builder.build(package, Nature::PackageSet)
}

fn unknown(context: &Context<'_>, id: &str, package: Option<&str>) -> Result<Failure, Failure> {
    let is_id = |text: &str| text.contains('-') && id_of(text).parse::<AdvisoryId>().is_ok();
    if let Some(other) = package.filter(|other| is_id(other) && !is_id(id)) {
        let failure = Failure::message(format!("{id} is not the id of an advisory"));
        return Ok(failure.hint(format!(
            "the advisory comes first: `snowguard explain {} {id}`",
            id_of(other)
        )));
    }
    if !is_id(id) {
        return Ok(
            Failure::message(format!("{id} is not the id of an advisory"))
                .hint("ids are like CVE-2021-3711, GHSA-2g68-c3qc-8985, PYSEC-2024-1"),
        );
    }
    let head = id.get(..id.len().saturating_sub(1)).unwrap_or_default();
    let similar = context.index.ids_beginning_with(head, 4)?;
    let failure = Failure::message(format!("the index has no advisory {id}"));
    Ok(if similar.is_empty() || head.len() < 6 {
        failure.hint("`snowguard advisories info` tells what is in it and how old it is")
    } else {
        failure.hint(format!("the index has {}", similar.join(", ")))
    })
}
