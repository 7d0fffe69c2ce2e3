//! From what was read of an evaluation to what is kept of it. Pure.

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_db::evaluations::{NewAttribute, NewFact, NewPackage, paths};
use snowguard_inventory::component::table_key;
use snowguard_inventory::{Fact, naming};
use snowguard_sources::packages::{Evaluated, Evaluation};
use snowguard_store::parse_drv_name;

/// An attribute path and why nothing is kept of it.
pub type Failed = (Box<str>, Box<str>);

/// What is kept of an evaluation, and what of it failed.
pub fn attributes(evaluation: Evaluation) -> (Vec<NewAttribute>, Vec<Failed>) {
    let failed = evaluation.failed.into_iter();
    let mut failed: Vec<Failed> = failed
        .map(|failure| (printable(&failure.attr), printable(&failure.error)))
        .collect();
    let read: Vec<Result<NewAttribute, Failed>> =
        evaluation.packages.par_iter().map(attribute).collect();
    let mut attributes = Vec::with_capacity(read.len());
    for read in read {
        match read {
            Ok(attribute) => attributes.push(attribute),
            Err(failure) => failed.push(failure),
        }
    }
    (attributes, failed)
}

/// How many packages are built with each, by key, where that is known.
pub fn dependents(evaluation: &Evaluation) -> Vec<(Box<str>, u32)> {
    let Some(uses) = &evaluation.uses else {
        return Vec::new();
    };
    let mut keys: Vec<Box<str>> = Vec::new();
    let mut numbers: FxHashMap<Box<str>, usize> = FxHashMap::default();
    let all: Vec<Option<Box<str>>> = evaluation
        .packages
        .par_iter()
        .map(|package| Some(attribute(package).ok()?.package.key))
        .collect();
    let groups: Vec<Option<usize>> = all
        .into_iter()
        .map(|key| {
            let key = key?;
            let number = *numbers.entry(key.clone()).or_insert(keys.len());
            if number == keys.len() {
                keys.push(key);
            }
            Some(number)
        })
        .collect();
    let counts = uses.dependents(&groups, keys.len());
    keys.into_iter()
        .zip(counts)
        .filter_map(|(key, count)| Some((key, count?)))
        .collect()
}

/// The longest attribute path, name or version that is taken, in bytes.
const LONGEST: usize = 400;

fn attribute(package: &Evaluated) -> Result<NewAttribute, Failed> {
    let meta = &package.meta;
    let refuse = |why: &str| Err((printable(&meta.attr), why.into()));
    let version = match meta.version.as_deref() {
        Some(version) if !version.is_empty() => version,
        _ => parse_drv_name(&package.name).1,
    };
    for (what, text) in [
        ("its attribute path", &*meta.attr),
        ("its name", &*package.name),
        ("its version", version),
        ("its pname", meta.pname.as_deref().unwrap_or_default()),
    ] {
        if text.len() > LONGEST {
            return refuse(&format!("{what} is too long"));
        }
        if text.contains(char::is_control) {
            return refuse(&format!("{what} has control characters"));
        }
    }
    if meta.attr.is_empty() || package.name.is_empty() {
        return refuse("it has no name");
    }
    let parsed = naming::parse_evaluated(
        &meta.attr,
        &package.name,
        meta.pname.as_deref(),
        Some(version),
    );
    let name = if parsed.pname.is_empty() {
        &*package.name
    } else {
        parsed.pname
    };
    let json = Fact::of(meta, &package.about, package.built.as_ref()).encode();
    let drv = meta.drv_path.as_deref();
    let drv = drv.and_then(|drv| paths::pack_drv(&package.name, drv));
    Ok(NewAttribute {
        path: meta.attr.clone(),
        package: NewPackage {
            key: table_key(parsed.language, name).into(),
            name: name.into(),
            language: parsed.language.map(|language| language.as_str().into()),
        },
        name: package.name.clone(),
        version: version.into(),
        fact: NewFact {
            digest: Fact::digest(&json),
            json: json.into(),
        },
        drv: drv.map(Into::into),
        outputs: paths::pack_outputs(&package.name, &package.outputs).map(Into::into),
    })
}

/// Without characters that one of the databases does not take, or that move a cursor.
fn printable(text: &str) -> Box<str> {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    kept.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use snowguard_inventory::Meta;
    use snowguard_sources::packages::Failure;

    use super::*;

    fn evaluated(attr: &str, name: &str, pname: Option<&str>, version: Option<&str>) -> Evaluated {
        Evaluated {
            name: name.into(),
            meta: Meta {
                attr: attr.into(),
                pname: pname.map(Into::into),
                version: version.map(Into::into),
                drv_path: Some(
                    format!("/nix/store/00000000000000000000000000000000-{name}.drv").into(),
                ),
                ..Meta::default()
            },
            about: snowguard_inventory::fact::About::default(),
            outputs: vec![("out".into(), None)],
            built: None,
        }
    }

    #[test]
    fn packages_are_known_by_language_and_name() {
        let evaluation = Evaluation {
            uses: None,
            packages: vec![
                evaluated(
                    "openssl_1_1",
                    "openssl-1.1.1g",
                    Some("openssl"),
                    Some("1.1.1g"),
                ),
                evaluated(
                    "python38Packages.falcon",
                    "python3.8-falcon-2.0.0",
                    Some("falcon"),
                    None,
                ),
                evaluated(
                    "firefox-esr",
                    "firefox-78.0esr",
                    Some("firefox"),
                    Some("78.0esr"),
                ),
                evaluated("hook", "hook", None, None),
            ],
            ..Evaluation::default()
        };
        let (attributes, failed) = attributes(evaluation);
        assert_eq!(failed, []);
        let told: Vec<_> = attributes
            .iter()
            .map(|new| {
                format!(
                    "{} {} {:?}",
                    new.package.key, new.version, new.package.language
                )
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        openssl 1.1.1g None
        python:falcon 2.0.0 Some("Python")
        firefox-esr 78.0esr None
        hook  None
        "#);
        assert!(
            attributes
                .iter()
                .all(|new| new.drv.as_ref().unwrap().len() == 20)
        );
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let evaluation = Evaluation {
            uses: None,
            packages: vec![
                evaluated("", "a-1", None, None),
                evaluated("a\0b", "a-1", None, None),
                evaluated("a", &"x".repeat(500), None, None),
            ],
            failed: vec![Failure {
                attr: "b".into(),
                error: "\u{1b}[31mred".into(),
            }],
            ..Evaluation::default()
        };
        let (attributes, failed) = attributes(evaluation);
        assert!(attributes.is_empty());
        let told: Vec<_> = failed
            .iter()
            .map(|(attr, why)| format!("{attr:?} {why:?}"))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        "b" " [31mred"
        "" "it has no name"
        "a b" "its attribute path has control characters"
        "a" "its name is too long"
        "#);
    }
}
