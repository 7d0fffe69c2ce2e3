//! What the specification or its schema would object to in a document as it would be written.

use std::collections::HashSet;

use super::component::{Component, Hash};
use super::license::{License, LicenseName};
use super::{Bom, Vulnerability};
use crate::Timestamp;
use crate::error::{Problem, Problems};
use crate::license_ids::canonical_license_id;
use crate::open_enum::Vocabulary;

pub(super) fn problems(bom: &Bom) -> Vec<Problem> {
    let mut check = Check::default();
    check.document(bom);
    check.components(bom);
    check.references(bom);
    for (at, vulnerability) in bom.vulnerabilities.iter().enumerate() {
        check.vulnerability(&format!("/vulnerabilities/{at}"), vulnerability);
    }
    check.repetitions(bom);
    check.problems.0
}

#[derive(Default)]
struct Check<'a> {
    problems: Problems,
    refs: HashSet<&'a str>,
}

impl<'a> Check<'a> {
    fn document(&mut self, bom: &'a Bom) {
        if let Some(serial_number) = &bom.serial_number
            && !is_urn_uuid(serial_number)
        {
            self.problems.error(
                "/serialNumber",
                format!("`{serial_number}` is not `urn:uuid:` and a UUID in lower case"),
            );
        }
        if bom.version == 0 {
            self.problems
                .error("/version", "revisions are counted from 1");
        }
        let metadata = &bom.metadata;
        self.time("/metadata/timestamp", metadata.timestamp.as_ref());
        for (at, lifecycle) in metadata.lifecycles.iter().enumerate() {
            let place = format!("/metadata/lifecycles/{at}");
            if lifecycle.phase.is_some() == lifecycle.name.is_some() {
                self.problems
                    .error(&place, "a lifecycle has either a phase or a name");
            }
            self.vocabulary(&place, lifecycle.phase.as_ref());
        }
        for (at, composition) in bom.compositions.iter().enumerate() {
            self.vocabulary(
                &format!("/compositions/{at}/aggregate"),
                Some(&composition.aggregate),
            );
        }
        for (at, reference) in bom.external_references.iter().enumerate() {
            self.vocabulary(
                &format!("/externalReferences/{at}/type"),
                Some(&reference.kind),
            );
            self.hashes(&format!("/externalReferences/{at}"), &reference.hashes);
        }
    }

    /// Components hold components: the walk keeps its own stack, with the place of each.
    fn components(&mut self, bom: &'a Bom) {
        let mut stack: Vec<(String, &Component)> = Vec::new();
        stack.extend(
            bom.subject()
                .map(|subject| ("/metadata/component".to_owned(), subject)),
        );
        let lists = [
            ("/metadata/tools/components", &bom.metadata.tools),
            ("/components", &bom.components),
        ];
        for (place, components) in lists {
            stack.extend(placed(place, components));
        }
        stack.reverse();
        while let Some((place, component)) = stack.pop() {
            self.component(&place, component);
            stack.extend(placed(&format!("{place}/components"), &component.components).rev());
        }
    }

    fn component(&mut self, place: &str, component: &'a Component) {
        self.vocabulary(&format!("{place}/type"), Some(&component.kind));
        self.vocabulary(&format!("{place}/scope"), component.scope.as_ref());
        self.own_ref(place, component.bom_ref.as_deref());
        if component.name.is_empty() {
            self.problems
                .warning(format!("{place}/name"), "the component has no name");
        }
        if let Some(version) = &component.version
            && version.chars().count() > 1024
        {
            self.problems.error(
                format!("{place}/version"),
                "a version has at most 1024 characters",
            );
        }
        self.hashes(place, &component.hashes);
        self.licenses(place, &component.licenses);
        self.unique_components(&format!("{place}/components"), &component.components);
        for (at, reference) in component.external_references.iter().enumerate() {
            let place = format!("{place}/externalReferences/{at}");
            self.vocabulary(&format!("{place}/type"), Some(&reference.kind));
            self.hashes(&place, &reference.hashes);
        }
        for (at, evidence) in component.identity_evidence().iter().enumerate() {
            let place = format!("{place}/evidence/identity/{at}");
            self.vocabulary(&format!("{place}/field"), Some(&evidence.field));
            self.confidence(&place, evidence.confidence);
            for (at, method) in evidence.methods.iter().enumerate() {
                let place = format!("{place}/methods/{at}");
                self.vocabulary(&format!("{place}/technique"), Some(&method.technique));
                self.confidence(&place, Some(method.confidence));
            }
        }
        for (at, patch) in component.patches().iter().enumerate() {
            let place = format!("{place}/pedigree/patches/{at}");
            self.vocabulary(&format!("{place}/type"), Some(&patch.kind));
            for (at, issue) in patch.resolves.iter().enumerate() {
                self.vocabulary(&format!("{place}/resolves/{at}/type"), Some(&issue.kind));
            }
            let encoding = patch
                .diff
                .as_ref()
                .and_then(|diff| diff.text.as_ref()?.encoding.as_ref());
            self.vocabulary(&format!("{place}/diff/text/encoding"), encoding);
        }
    }

    fn hashes(&mut self, place: &str, hashes: &[Hash]) {
        for (at, hash) in hashes.iter().enumerate() {
            let place = format!("{place}/hashes/{at}");
            self.vocabulary(&format!("{place}/alg"), Some(&hash.algorithm));
            let hex = hash.content.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !hex || !matches!(hash.content.len(), 32 | 40 | 64 | 96 | 128) {
                self.problems.error(
                    format!("{place}/content"),
                    "a digest is hexadecimal and has the length of a hash function",
                );
            }
        }
    }

    fn licenses(&mut self, place: &str, licenses: &[License]) {
        for (at, license) in licenses.iter().enumerate() {
            let place = format!("{place}/licenses/{at}");
            match &license.name {
                LicenseName::Id(id) if canonical_license_id(id) != Some(id) => {
                    self.problems.error(
                        format!("{place}/license/id"),
                        format!("`{id}` is not in the SPDX licence list: write it as a name"),
                    );
                }
                LicenseName::Expression(_) if licenses.len() > 1 => self.problems.error(
                    format!("{place}/expression"),
                    "an expression stands alone in its list",
                ),
                _ => {}
            }
            self.vocabulary(
                &format!("{place}/acknowledgement"),
                license.acknowledgement.as_ref(),
            );
        }
    }

    fn vulnerability(&mut self, place: &str, vulnerability: &'a Vulnerability) {
        self.own_ref(place, vulnerability.bom_ref.as_deref());
        self.time(&format!("{place}/created"), vulnerability.created.as_ref());
        self.time(
            &format!("{place}/published"),
            vulnerability.published.as_ref(),
        );
        self.time(&format!("{place}/updated"), vulnerability.updated.as_ref());
        self.time(
            &format!("{place}/rejected"),
            vulnerability.rejected.as_ref(),
        );
        if vulnerability.cwes.contains(&0) {
            self.problems
                .error(format!("{place}/cwes"), "a CWE is a positive number");
        }
        for (at, rating) in vulnerability.ratings.iter().enumerate() {
            let place = format!("{place}/ratings/{at}");
            self.vocabulary(&place, rating.severity.as_ref());
            self.vocabulary(&place, rating.method.as_ref());
            if rating.score.is_some_and(|score| !score.is_finite()) {
                self.problems
                    .error(format!("{place}/score"), "a score is a finite number");
            }
        }
        if let Some(analysis) = &vulnerability.analysis {
            let place = format!("{place}/analysis");
            self.vocabulary(&place, analysis.state.as_ref());
            self.vocabulary(&place, analysis.justification.as_ref());
            for response in &analysis.response {
                self.vocabulary(&place, Some(response));
            }
            self.time(
                &format!("{place}/firstIssued"),
                analysis.first_issued.as_ref(),
            );
            self.time(
                &format!("{place}/lastUpdated"),
                analysis.last_updated.as_ref(),
            );
        }
        for (at, affects) in vulnerability.affects.iter().enumerate() {
            let place = format!("{place}/affects/{at}");
            self.reference(&format!("{place}/ref"), &affects.reference);
            for (at, versions) in affects.versions.iter().enumerate() {
                let place = format!("{place}/versions/{at}");
                if versions.version.is_some() == versions.range.is_some() {
                    self.problems
                        .error(&place, "it has either a version or a range");
                }
                let length =
                    |text: &Option<String>| text.as_ref().map_or(1, |text| text.chars().count());
                if length(&versions.version) > 1024
                    || !(1..=4096).contains(&length(&versions.range))
                {
                    self.problems.error(
                        &place,
                        "a version has at most 1024 characters, a range 1 to 4096",
                    );
                }
                self.vocabulary(&place, versions.status.as_ref());
            }
        }
    }

    /// Every reference must lead to something in the document.
    fn references(&mut self, bom: &'a Bom) {
        for (at, dependency) in bom.dependencies.iter().enumerate() {
            let place = format!("/dependencies/{at}");
            self.reference(&format!("{place}/ref"), &dependency.reference);
            for (at, target) in dependency.depends_on.iter().enumerate() {
                self.reference(&format!("{place}/dependsOn/{at}"), target);
            }
            self.unique(
                &format!("{place}/dependsOn"),
                dependency.depends_on.iter().map(String::as_str),
            );
        }
        self.unique(
            "/dependencies",
            bom.dependencies
                .iter()
                .map(|dependency| dependency.reference.as_str()),
        );
        for (at, composition) in bom.compositions.iter().enumerate() {
            for (list, targets) in [
                ("assemblies", &composition.assemblies),
                ("dependencies", &composition.dependencies),
            ] {
                let place = format!("/compositions/{at}/{list}");
                for target in targets {
                    self.reference(&place, target);
                }
                self.unique(&place, targets.iter().map(String::as_str));
            }
        }
    }

    /// Lists in which the schema wants every entry once.
    fn repetitions(&mut self, bom: &'a Bom) {
        self.unique_components("/components", &bom.components);
        self.unique_components("/metadata/tools/components", &bom.metadata.tools);
        self.unique_values("/compositions", &bom.compositions);
        // As with components, a repeated bom-ref is told already.
        let without_ref = bom
            .vulnerabilities
            .iter()
            .filter(|vulnerability| vulnerability.bom_ref.is_none());
        self.unique_values("/vulnerabilities", without_ref);
        for (at, vulnerability) in bom.vulnerabilities.iter().enumerate() {
            self.unique_values(
                &format!("/vulnerabilities/{at}/affects"),
                &vulnerability.affects,
            );
        }
    }

    /// Components without a bom-ref that are the same; a repeated bom-ref is told already.
    fn unique_components(&mut self, place: &str, components: &[Component]) {
        let without_ref = components
            .iter()
            .filter(|component| component.bom_ref.is_none());
        self.unique_values(place, without_ref);
    }

    fn own_ref(&mut self, place: &str, bom_ref: Option<&'a str>) {
        let Some(bom_ref) = bom_ref else { return };
        let place = format!("{place}/bom-ref");
        if bom_ref.is_empty() {
            self.problems.error(place, "a bom-ref is not empty");
        } else if !self.refs.insert(bom_ref) {
            self.problems
                .error(place, format!("`{bom_ref}` is used more than once"));
        }
    }

    fn reference(&mut self, place: &str, target: &str) {
        if target.is_empty() {
            self.problems.error(place, "a reference is not empty");
        } else if !self.refs.contains(target) && !target.starts_with("urn:cdx:") {
            self.problems
                .warning(place, format!("`{target}` is no bom-ref of this document"));
        }
    }

    fn unique<'b>(&mut self, place: &str, targets: impl Iterator<Item = &'b str>) {
        let mut seen = HashSet::new();
        for target in targets {
            if !seen.insert(target) {
                self.problems
                    .error(place, format!("`{target}` is listed more than once"));
            }
        }
    }

    fn unique_values<'b, T: serde::Serialize + 'b>(
        &mut self,
        place: &str,
        values: impl IntoIterator<Item = &'b T>,
    ) {
        let mut seen = HashSet::new();
        for value in values {
            // A value that cannot be serialised is told when it is written.
            let Ok(json) = serde_json::to_string(value) else {
                continue;
            };
            if !seen.insert(json) {
                self.problems.error(place, "the same entry stands twice");
                return;
            }
        }
    }

    fn vocabulary<T: Vocabulary>(&mut self, place: &str, value: Option<&T>) {
        if let Some(value) = value
            && !value.is_in_vocabulary()
        {
            self.problems
                .error(place, format!("CycloneDX 1.6 has no value `{value}` here"));
        }
    }

    fn confidence(&mut self, place: &str, confidence: Option<f64>) {
        if confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
            self.problems.error(
                format!("{place}/confidence"),
                "a confidence lies between 0 and 1",
            );
        }
    }

    fn time(&mut self, place: &str, time: Option<&Timestamp>) {
        if let Some(time) = time
            && !time.is_well_formed()
        {
            self.problems
                .error(place, format!("`{time}` is not an RFC 3339 time"));
        }
    }
}

fn placed<'a>(
    place: &str,
    components: &'a [Component],
) -> impl DoubleEndedIterator<Item = (String, &'a Component)> {
    components
        .iter()
        .enumerate()
        .map(move |(at, component)| (format!("{place}/{at}"), component))
}

fn is_urn_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}
