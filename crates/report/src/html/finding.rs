//! Findings and their evidence, as the page shows them.
//!
//! What many findings share is told once: why a product is this package stands with the package,
//! sources are numbers, and the usual order of versions is not repeated.

use std::collections::HashMap;

use crate::model::{Evidence, Exploited, Finding, Package, Report};
use crate::{triage, words};

/// A step of severity, with its letter.
#[derive(Clone, Copy)]
pub(super) struct Rating {
    pub(super) class: &'static str,
    pub(super) letter: &'static str,
    pub(super) word: &'static str,
}

/// The steps, the gravest first.
pub(super) const RATINGS: [Rating; 5] = [
    Rating {
        class: "c",
        letter: "C",
        word: "critical",
    },
    Rating {
        class: "h",
        letter: "H",
        word: "high",
    },
    Rating {
        class: "m",
        letter: "M",
        word: "medium",
    },
    Rating {
        class: "l",
        letter: "L",
        word: "low",
    },
    Rating {
        class: "u",
        letter: "–",
        word: "unrated",
    },
];

fn rating(finding: &Finding) -> Rating {
    RATINGS[rating_index(finding)]
}

pub(super) fn rating_index(finding: &Finding) -> usize {
    match finding.severity.as_ref().map(|severity| severity.rating) {
        Some("critical") => 0,
        Some("high") => 1,
        Some("medium") => 2,
        Some(_) => 3,
        None => 4,
    }
}

/// Findings of a package within one section.
#[derive(Clone)]
pub(super) struct Group<'r> {
    pub(super) package: &'r Package,
    /// The head of the ids of its parts.
    pub(super) key: String,
    pub(super) findings: Vec<FindingView<'r>>,
    /// Why products are this package, each reason once.
    pub(super) whys: Vec<Why<'r>>,
    /// Where else on the page it stands.
    pub(super) elsewhere: Vec<(String, String)>,
}

/// Why a product is a package.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Why<'r> {
    pub(super) product: &'r str,
    pub(super) identity: &'r str,
    pub(super) sure: bool,
}

/// One finding.
#[derive(Clone)]
pub(super) struct FindingView<'r> {
    pub(super) of: &'r Finding,
    pub(super) class: &'static str,
    /// Letter and score.
    pub(super) label: String,
    pub(super) reason: String,
    /// What a tracker decided about it, in sentences.
    pub(super) triage: String,
    pub(super) exploited: Option<String>,
    /// Where it is fixed, in a few words.
    pub(super) fix: String,
    pub(super) patches: Vec<String>,
    pub(super) facts: Vec<String>,
    pub(super) evidence: Vec<EvidenceView<'r>>,
}

/// What one or more records of a source say in the same words.
#[derive(Clone)]
pub(super) struct EvidenceView<'r> {
    pub(super) of: &'r Evidence,
    /// The records whose names tell more than the finding's own.
    pub(super) records: Vec<&'r str>,
    pub(super) mark: &'static str,
    pub(super) by: &'r str,
    /// The number of its source.
    pub(super) source: usize,
    /// The number of its reason among the group's.
    pub(super) why: usize,
    /// The order of versions, where it is not the usual one.
    pub(super) order: Option<&'static str>,
}

/// Makes groups, each with the numbers of the sources.
pub(super) struct Maker<'r> {
    sources: HashMap<&'r str, usize>,
}

impl<'r> Maker<'r> {
    pub(super) fn of(report: &'r Report) -> Self {
        let names = report
            .index
            .sources
            .iter()
            .map(|source| source.name.as_str());
        Self {
            sources: names.zip(1..).collect(),
        }
    }

    /// The findings of a package that are wanted; none if there are none.
    pub(super) fn group(
        &self,
        package: &'r Package,
        key: String,
        wanted: impl Fn(&Finding) -> bool,
    ) -> Option<Group<'r>> {
        let mut whys: Vec<Why<'r>> = Vec::new();
        let mut numbers: HashMap<Why<'r>, usize> = HashMap::new();
        let findings: Vec<FindingView<'r>> = package
            .findings
            .iter()
            .filter(|finding| wanted(finding))
            .map(|finding| {
                let mut number_of = |why: Why<'r>| {
                    *numbers.entry(why.clone()).or_insert_with(|| {
                        whys.push(why);
                        whys.len()
                    })
                };
                self.finding(finding, &mut number_of)
            })
            .collect();
        (!findings.is_empty()).then_some(Group {
            package,
            key,
            findings,
            whys,
            elsewhere: Vec::new(),
        })
    }

    fn finding(
        &self,
        of: &'r Finding,
        number_of: &mut dyn FnMut(Why<'r>) -> usize,
    ) -> FindingView<'r> {
        let rating = rating(of);
        let score = of.severity.as_ref().and_then(|severity| severity.score);
        let label = match score {
            Some(score) => format!("{} {score:.1}", rating.letter),
            None => rating.letter.to_owned(),
        };
        let fix = match (&of.fixed_in, &of.last_affected) {
            (Some(version), _) => format!("fixed in {version}"),
            (None, Some(version)) => format!("last affected {version}"),
            (None, None) => "no fix known".into(),
        };
        FindingView {
            of,
            class: rating.class,
            label,
            reason: format!("{}.", words::sentence(&of.reason)),
            triage: of
                .triage
                .as_ref()
                .map(triage::sentences)
                .unwrap_or_default(),
            exploited: of.exploited.as_ref().map(exploited),
            fix,
            patches: of.patches.iter().map(words::patch).collect(),
            facts: facts(of),
            evidence: self.evidence(of, number_of),
        }
    }

    /// The evidence for a finding, where the same is said several times as one.
    fn evidence(
        &self,
        of: &'r Finding,
        number_of: &mut dyn FnMut(Why<'r>) -> usize,
    ) -> Vec<EvidenceView<'r>> {
        let mut views: Vec<EvidenceView<'r>> = Vec::new();
        for evidence in &of.evidence {
            let view = self.claim(evidence, number_of);
            let at = views
                .iter()
                .position(|known| known.same(&view))
                .unwrap_or_else(|| {
                    views.push(view);
                    views.len() - 1
                });
            let records = &mut views[at].records;
            let record = evidence.record.as_str();
            if record != of.id && !records.contains(&record) {
                records.push(record);
            }
        }
        views
    }

    fn claim(
        &self,
        of: &'r Evidence,
        number_of: &mut dyn FnMut(Why<'r>) -> usize,
    ) -> EvidenceView<'r> {
        EvidenceView {
            of,
            records: Vec::new(),
            mark: match of.says {
                "affected" => "●",
                "not_affected" => "○",
                _ => "?",
            },
            by: of.by.as_deref().unwrap_or("the database"),
            source: self.sources.get(of.source.as_str()).copied().unwrap_or(0),
            why: number_of(Why {
                product: &of.product,
                identity: &of.identity,
                sure: of.identity_sure,
            }),
            order: (of.order != USUAL_ORDER).then_some(of.order),
        }
    }
}

impl EvidenceView<'_> {
    /// Whether both say the same of the same, whatever their records are called.
    fn same(&self, other: &Self) -> bool {
        let words = |view: &Self| {
            (
                view.mark,
                view.source,
                view.why,
                view.order,
                view.of.upstream,
            )
        };
        words(self) == words(other) && self.by == other.by && self.of.range == other.of.range
    }
}

fn exploited(exploited: &Exploited) -> String {
    let due = match exploited.due {
        Some(due) => format!("; US agencies had to act by {due}"),
        None => String::new(),
    };
    format!("{}{due}.", words::sentence(&words::exploited(exploited)))
}

/// Numbers for those who ask.
fn facts(finding: &Finding) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(vector) = finding.severity.as_ref().and_then(|s| s.vector.as_deref()) {
        facts.push(vector.to_owned());
    }
    if let Some(epss) = &finding.epss {
        facts.push(format!(
            "EPSS {:.1} %, above {:.1} % of all",
            epss.probability * 100.0,
            epss.percentile * 100.0
        ));
    }
    if let Some(ssvc) = &finding.ssvc {
        let mut text = format!("SSVC: exploitation {}", ssvc.exploitation);
        for (value, yes, no) in [
            (ssvc.automatable, "automatable", "not automatable"),
            (ssvc.total_impact, "total impact", "partial impact"),
        ] {
            if let Some(value) = value {
                text.push_str(", ");
                text.push_str(if value { yes } else { no });
            }
        }
        facts.push(text);
    }
    facts
}

/// The order by which versions are compared unless a record is about something else.
const USUAL_ORDER: &str = "upstream release order";
