//! A labelled set that gates: what the matcher must say of packages and records, and why.
//!
//! The cases are our own, made after false alarms and misses that users of scanners have reported in
//! public (each case names the thread), and after traps that were met in real data. A case fails if
//! any verdict differs from its label.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use serde::Deserialize;
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::read::{Format, facts};
use snowguard_inventory::{IdentityTable, Inventory, Meta, Nature, Recipe, Role, SubjectBuilder};
use snowguard_matching::{Matcher, Options};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[expect(dead_code, reason = "for the reader")]
    why: String,
    package: Package,
    records: Vec<String>,
    expect: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    name: String,
    #[serde(default)]
    attr: Option<String>,
    #[serde(default)]
    pname: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    homepage: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default)]
    phase_cves: Vec<String>,
    #[serde(default)]
    cpe: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    name: String,
    #[serde(default)]
    url: Option<String>,
}

#[test]
fn every_labelled_case_holds() {
    let text = include_str!("regression/cases.toml");
    let set: Set = toml::from_str(text).unwrap();
    let mut wrong = Vec::new();
    for case in &set.case {
        for (id, expected) in &case.expect {
            let said = verdict(case, id);
            if said != *expected {
                wrong.push(format!(
                    "{}: {id} is {expected}, and the matcher says {said}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(set.case.len() >= 40, "the set shrank to {}", set.case.len());
}

fn verdict(case: &Case, id: &str) -> String {
    let mut builder = Builder::new();
    for record in &case.records {
        if let Ok(record) = facts::read(record.as_bytes()) {
            builder.add("case", SourceKind::Facts, record);
            continue;
        }
        let format = Format::detect(record.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error:?} in {record}", case.name));
        format.read(record.as_bytes(), &mut |read| {
            let read = read.unwrap_or_else(|error| panic!("{}: {error:?} in {record}", case.name));
            builder.add("case", SourceKind::Facts, read);
        });
    }
    let built = builder.finish();
    let index = Index::open(&built.bytes).unwrap();
    let table = IdentityTable::builtin();
    let subject = subject(&case.package);
    let inventory = Inventory::of(&subject, &table);
    assert_eq!(inventory.components.len(), 1, "{}", case.name);
    let matches = Matcher::new(index, &table, Options::default())
        .run(&inventory)
        .unwrap();
    let finding = matches.findings.iter().find(|finding| finding.id == id);
    finding
        .map_or("silent", |finding| finding.status.as_str())
        .to_owned()
}

fn subject(package: &Package) -> snowguard_inventory::Subject {
    let mut builder = SubjectBuilder::new();
    let store = |name: &str| format!("/nix/store/00000000000000000000000000000000-{name}");
    let mut recipe = Recipe {
        pname: package.pname.as_deref().map(Into::into),
        version: package.version.as_deref().map(Into::into),
        outputs: vec![("out".into(), Some(store(&package.name).into()))],
        phase_cves: package
            .phase_cves
            .iter()
            .map(|cve| cve.parse().unwrap())
            .collect(),
        ..Recipe::default()
    };
    let mut fetched = Vec::new();
    if let Some(url) = &package.source {
        recipe.sources.push(store("source").into());
        fetched.push(("source".to_owned(), Some(url.clone())));
    }
    for patch in &package.patches {
        recipe.patches.push(store(&patch.name).into());
        fetched.push((patch.name.clone(), patch.url.clone()));
    }
    for (name, url) in fetched {
        let made = Recipe {
            fixed: true,
            urls: url.into_iter().map(Into::into).collect(),
            outputs: vec![("out".into(), Some(store(&name).into()))],
            ..Recipe::default()
        };
        builder.object(&format!("{}.drv", store(&name)), &name, |object| {
            object.recipe = Some(Box::new(made));
            object.role = Role::Auxiliary;
        });
    }
    let drv = format!("{}.drv", store(&package.name));
    let evaluated = package.attr.is_some() || package.homepage.is_some() || package.cpe.is_some();
    builder.object(&drv, &package.name, |object| {
        object.recipe = Some(Box::new(recipe));
        object.role = if evaluated {
            Role::Auxiliary
        } else {
            Role::Part
        };
    });
    if evaluated {
        let meta = Meta {
            attr: package.attr.as_deref().unwrap_or(&package.name).into(),
            pname: package.pname.as_deref().map(Into::into),
            version: package.version.as_deref().map(Into::into),
            drv_path: Some(drv.into()),
            homepages: package.homepage.iter().map(|h| h.as_str().into()).collect(),
            cpes: package.cpe.iter().map(|cpe| cpe.parse().unwrap()).collect(),
            ..Meta::default()
        };
        let node = builder.object("attr", &package.name, |object| {
            object.meta = Some(Box::new(meta));
        });
        builder.root(node);
    }
    builder.build("case", Nature::PackageSet)
}
