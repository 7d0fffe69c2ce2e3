//! Reports made through the whole pipeline: records into an index, objects into an inventory, both
//! into findings, and these into a report.

mod worlds;

use serde_json::{Value, json};
use snowguard_advisory::identity::PackageKey;
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::record::Record;
use snowguard_inventory::{
    Declaration, Gap, IdentityTable, Inventory, Nature, Need, Object, Origin, PatchText, Place,
    Proof, Recipe, Subject, SubjectBuilder,
};
use snowguard_matching::suppress::{self, Judged, Suppression};
use snowguard_matching::triage::Document;
use snowguard_matching::{Matcher, Options};
use snowguard_report::model::Report;
use snowguard_report::triage::Triage;
use snowguard_report::{Facts, build};

pub(crate) use worlds::{all, empty, inside, large, nasty, small, typical};

/// Something to scan, and what to scan it against.
pub(crate) struct World {
    subject: SubjectBuilder,
    title: String,
    nature: Nature,
    index: Builder,
    suppressions: Vec<Suppression>,
    index_path: Option<String>,
    inside: Vec<Declaration>,
    triage: Option<Decisions>,
}

/// What a tracker decided, for a system that follows a channel, and whether it suppresses.
pub(crate) type Decisions = (Document, Option<&'static str>, bool);

/// A world, scanned.
pub(crate) struct Scanned {
    subject: Subject,
    index: Vec<u8>,
    suppressions: Vec<Suppression>,
    index_path: Option<String>,
    triage: Option<Decisions>,
}

impl World {
    pub(crate) fn new(title: &str, nature: Nature) -> Self {
        Self {
            subject: SubjectBuilder::new(),
            title: title.to_owned(),
            nature,
            index: Builder::new(),
            suppressions: Vec::new(),
            index_path: None,
            inside: Vec::new(),
            triage: None,
        }
    }

    /// A file of a package declares a library.
    pub(crate) fn declares(
        &mut self,
        package: &str,
        file: &str,
        purl: &str,
        need: Need,
    ) -> &mut Self {
        let node = self.subject.find(&drv(package)).unwrap();
        let (name, version) = purl.split_once('@').unwrap();
        let package = PackageKey::from_purl(name).unwrap();
        let locked = file.ends_with(".lock");
        self.inside.push(Declaration {
            name: package.name().into(),
            package,
            version: version.into(),
            root: false,
            origin: Origin::Registry,
            place: Place {
                node,
                file: file.into(),
                member: file
                    .ends_with(".jar")
                    .then(|| "META-INF/maven/pom.properties".into()),
                offset: (!locked).then_some(4_096),
                length: (!locked).then_some(1_234),
                line: locked.then_some(7),
                by: if locked {
                    "Cargo.lock"
                } else {
                    "cargo-auditable data"
                }
                .into(),
                need,
                proof: if locked {
                    Proof::Locked
                } else {
                    Proof::Contained
                },
            },
        });
        self
    }

    /// The last declaration is of something that came from there.
    pub(crate) fn came_from(&mut self, origin: Origin) -> &mut Self {
        self.inside.last_mut().unwrap().origin = origin;
        self
    }

    /// A derivation; what `fill` sets stays.
    pub(crate) fn package(&mut self, name: &str, fill: impl FnOnce(&mut Recipe)) -> &mut Self {
        let id = drv(name);
        self.subject.object(&id, name, |object| {
            let (pname, version) = snowguard_store::parse_drv_name(name);
            let mut recipe = Recipe {
                pname: Some(pname.into()),
                version: Some(version.into()),
                outputs: vec![("out".into(), Some(out(name).into()))],
                ..Recipe::default()
            };
            fill(&mut recipe);
            object.recipe = Some(Box::new(recipe));
        });
        self
    }

    /// A source that is fetched.
    pub(crate) fn source(&mut self, name: &str, url: &str) -> &mut Self {
        self.subject.object(&drv(name), name, |object| {
            object.recipe = Some(Box::new(Recipe {
                fixed: true,
                outputs: vec![("out".into(), Some(out(name).into()))],
                urls: vec![url.into()],
                ..Recipe::default()
            }));
        });
        self
    }

    /// A patch that lies beside the expression.
    pub(crate) fn patch_file(&mut self, name: &str, text: &str) -> &mut Self {
        self.subject.object(&out(name), name, |object| {
            object.patch = Some(Box::new(PatchText::read(text.as_bytes())));
        });
        self
    }

    /// `from` refers to each of `to`, by names.
    pub(crate) fn edges(&mut self, from: &str, to: &[&str]) -> &mut Self {
        let find = |subject: &SubjectBuilder, name: &str| {
            subject
                .find(&drv(name))
                .or_else(|| subject.find(&out(name)))
                .unwrap_or_else(|| panic!("there is no {name}"))
        };
        let node = find(&self.subject, from);
        for name in to {
            let target = find(&self.subject, name);
            self.subject.edge(node, target);
        }
        self
    }

    pub(crate) fn root(&mut self, name: &str) -> &mut Self {
        let node = self.subject.find(&drv(name)).unwrap();
        self.subject.root(node);
        self
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object)) -> &mut Self {
        self.subject.object(&drv(name), name, fill);
        self
    }

    pub(crate) fn gap(&mut self, gap: Gap) -> &mut Self {
        self.subject.gap(gap);
        self
    }

    /// A record in the facts format.
    pub(crate) fn record(&mut self, source: &str, record: Value) -> &mut Self {
        let record: Record = serde_json::from_value(record).unwrap();
        self.index.add(source, SourceKind::Facts, record);
        self
    }

    pub(crate) fn suppress(&mut self, suppression: Suppression) -> &mut Self {
        self.suppressions.push(suppression);
        self
    }

    pub(crate) fn triage(&mut self, decisions: Decisions) -> &mut Self {
        self.triage = Some(decisions);
        self
    }

    pub(crate) fn index_path(&mut self, path: &str) -> &mut Self {
        self.index_path = Some(path.to_owned());
        self
    }

    pub(crate) fn finish(self) -> Scanned {
        let mut subject = self.subject.build(self.title, self.nature);
        subject.looked_into = if self.inside.is_empty() {
            0
        } else {
            subject.objects.len()
        };
        subject.inside = self.inside;
        Scanned {
            subject,
            index: self.index.finish().bytes,
            suppressions: self.suppressions,
            index_path: self.index_path,
            triage: self.triage,
        }
    }
}

impl Scanned {
    /// Scans, and hands over what came out.
    pub(crate) fn with<T>(&self, then: impl FnOnce(&Facts<'_, '_>, &Report) -> T) -> T {
        let index = Index::open(&self.index).unwrap();
        let table = IdentityTable::builtin();
        let inventory = Inventory::of(&self.subject, &table);
        let matcher = Matcher::new(index, &table, Options::default());
        let matches = matcher.run(&inventory).unwrap();
        let today = jiff::civil::date(2026, 11, 21);
        let mut applied = suppress::apply(
            &self.suppressions,
            &self.subject,
            &inventory,
            &matches.findings,
            today,
            |_| Vec::new(),
        );
        let mut suppressions = self.suppressions.clone();
        let triage = self
            .triage
            .as_ref()
            .map(|(document, channel, suppresses)| Triage {
                document,
                channel: *channel,
                suppresses: *suppresses,
            });
        if let Some(triage) = triage.filter(|triage| triage.suppresses) {
            triage.document.suppress(
                &inventory,
                &matches.findings,
                |_| Vec::new(),
                &mut suppressions,
                &mut applied,
            );
        }
        let facts = Facts {
            subject: &self.subject,
            inventory: &inventory,
            index,
            index_path: self.index_path.as_deref(),
            stale_after_days: 14,
            matcher,
            matches: &matches,
            suppressions: &suppressions,
            applied: &applied,
            triage,
            now: "2026-11-21T08:30:00Z".parse().unwrap(),
            today,
            version: "0.1.0",
            evidence: true,
        };
        let report = build(facts).unwrap();
        then(&facts, &report)
    }
}

/// The path of a derivation, with a digest that a name determines.
pub(crate) fn drv(name: &str) -> String {
    format!("{}.drv", out(name))
}

/// The path of an output.
pub(crate) fn out(name: &str) -> String {
    let hash = snowguard_store::Hash::of(snowguard_store::HashAlgo::Sha1, name.as_bytes()).unwrap();
    let digest = hash.to_notation(snowguard_store::Notation::Nix32);
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "+-._?=".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(180)
        .collect();
    format!("/nix/store/{digest}-{name}")
}

/// What a record says of a product (`vendor:product`, `:product`, `pkg:…`, `repo:…`), and where it is
/// affected.
pub(crate) fn affects(product: &str, by: Option<&str>, upstream: bool, rule: &str) -> Value {
    let mut affected = json!({"products": [product], "upstream": upstream, "rules": [rule]});
    if let Some(by) = by {
        affected["by"] = by.into();
    }
    affected
}

/// A decision in `snowguard.toml`.
pub(crate) fn decision(component: &str, advisory: &str, verdict: Judged) -> Suppression {
    Suppression {
        component: suppress::Subject::parse(component).unwrap(),
        version: None,
        advisory: advisory.parse().unwrap(),
        verdict,
        reason: "looked at by hand".into(),
        expires: None,
        origin: "snowguard.toml, entry 1".into(),
        url: None,
    }
}
