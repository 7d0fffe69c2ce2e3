//! Bills of materials that packages carry: wheels in `*.dist-info/sboms`, pip beside what it vendors,
//! archives of Java in `META-INF/sbom`.
//!
//! They are the one declaration of C libraries that a wheel bundles, and of the crates in extension
//! modules. CycloneDX and SPDX as JSON; only what has a purl and a version is a part.
//!
//! Source: PEP 770; CycloneDX 1.4 to 1.7, SPDX 2.3, their JSON schemas; Package URL specification,
//! the qualifiers `download_url` and `vcs_url`.

use serde::Deserialize;
use serde_json::value::RawValue;
use snowguard_advisory::identity::PackageKey;

use super::{Text, text_or_none};
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, PartsError, Sink};

const FORMAT: &str = "a bill of materials";

#[derive(Deserialize)]
struct Document<'a> {
    /// Of CycloneDX.
    #[serde(borrow, default)]
    components: Vec<&'a RawValue>,
    /// Of SPDX.
    #[serde(borrow, default)]
    packages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Component<'a> {
    #[serde(default, deserialize_with = "text_or_none")]
    purl: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    version: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    scope: Option<String>,
    #[serde(borrow, default)]
    components: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default, rename = "versionInfo", deserialize_with = "text_or_none")]
    version: Option<String>,
    #[serde(default, rename = "externalRefs")]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default, rename = "referenceType")]
    kind: String,
    #[serde(default, rename = "referenceLocator")]
    locator: String,
}

/// How deep components are read in one another. Every level is read again with each that is around
/// it.
const MOST_NESTED: usize = 32;

/// Adds what the document lists.
pub(crate) fn read(by: Declared, text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let document: Document<'_> = text.json(FORMAT)?;
    // In their order, those inside of one right after it, each with how many are around it.
    let outermost = document.components.into_iter().rev();
    let mut open: Vec<(&RawValue, usize)> = outermost.map(|piece| (piece, 0)).collect();
    while let Some((piece, depth)) = open.pop() {
        let place = text.line_of_piece(piece.get());
        let Ok(component) = serde_json::from_str::<Component<'_>>(piece.get()) else {
            sink.problem(place, "a component that is none");
            continue;
        };
        if component.components.is_empty() {
            // As most are.
        } else if depth + 1 < MOST_NESTED {
            let inner = component.components.iter().rev();
            open.extend(inner.map(|piece| (*piece, depth + 1)));
        } else {
            sink.problem(place, "components that are nested too deep");
        }
        let scope = match component.scope.as_deref() {
            Some("required") => Scope::Runtime,
            Some("optional") => Scope::Optional,
            // It is not in the product; tools write it of what only ran while building.
            Some("excluded") => Scope::Build,
            _ => Scope::Unknown,
        };
        if let (Some(purl), Some(version)) = (component.purl, component.version) {
            add(by, &purl, &version, scope, place, sink);
        }
    }
    for piece in document.packages {
        let place = text.line_of_piece(piece.get());
        let Ok(package) = serde_json::from_str::<Package>(piece.get()) else {
            sink.problem(place, "a package that is none");
            continue;
        };
        let purl = package.references.iter().find(|it| it.kind == "purl");
        if let (Some(purl), Some(version)) = (purl, package.version) {
            add(by, &purl.locator, &version, Scope::Unknown, place, sink);
        }
    }
    Ok(())
}

fn add(by: Declared, purl: &str, version: &str, scope: Scope, place: Span, sink: &mut Sink) {
    // A piece of a package, such as one of its modules, is the package.
    let whole = purl.split('#').next().unwrap_or(purl);
    let key = match PackageKey::from_purl(whole) {
        Ok(key) => key,
        Err(error) => return sink.problem(place, error.to_string()),
    };
    let name = name_of(whole);
    let draft = Draft::new(key.kind(), &name, version, place)
        .scope(scope)
        .origin(origin_of(whole));
    sink.add(by, draft);
}

/// Namespace and name of a purl as they were written: a key has them folded.
fn name_of(purl: &str) -> String {
    let path = purl.split('?').next().unwrap_or(purl);
    let path = path.split_once('/').map_or(path, |(_, rest)| rest);
    let end = path.rfind('@').filter(|at| *at > 0).unwrap_or(path.len());
    let mut bytes = Vec::with_capacity(end);
    let mut rest = &path.as_bytes()[..end];
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the qualifiers of a purl say that it came from.
fn origin_of(purl: &str) -> Origin {
    let qualifiers = purl.split_once('?').map_or("", |(_, rest)| rest);
    let of = |name: &str| {
        qualifiers
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    match (of("vcs_url"), of("download_url")) {
        (Some(url), _) => Origin::Repository(url.into()),
        (None, Some(url)) if url.starts_with("file:") => Origin::Local,
        // A registry's own package needs no address; a generic one is named by it.
        _ => Origin::Registry,
    }
}

#[cfg(test)]
mod tests {
    use crate::part::{Part, Span};
    use crate::read::{Limits, Parts, read};
    use crate::{Kind, kind_of};

    fn parts(path: &str, text: &str) -> Parts {
        assert_eq!(kind_of(path, b""), Some(Kind::Sbom));
        read(Kind::Sbom, path, text.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_wheel_lists_its_crates_and_c_libraries() {
        let found = parts(
            "a-1.dist-info/sboms/a.cyclonedx.json",
            r#"{ "bomFormat": "CycloneDX", "specVersion": "1.5",
  "metadata": { "component": { "name": "a", "version": "1", "purl": "pkg:pypi/a@1" } },
  "components": [
    { "name": "pyo3", "version": "0.29.0", "scope": "required", "purl": "pkg:cargo/pyo3@0.29.0" },
    { "name": "cc", "version": "1.2.0", "scope": "excluded", "purl": "pkg:cargo/cc@1.2.0" },
    { "name": "own", "version": "0.1.0", "purl": "pkg:cargo/own@0.1.0?download_url=file://.",
      "components": [
        { "name": "libXau", "version": "1.0.9-3.el8", "purl": "pkg:rpm/almalinux/libXau@1.0.9-3.el8" } ] },
    { "name": "module", "type": "file" }, 7
  ] }"#,
        );
        let told: Vec<String> = found
            .parts
            .iter()
            .map(|part| format!("{} {:?} {}", part.purl(), part.scope, part.place.span))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        pkg:cargo/pyo3@0.29.0 Runtime line 4
        pkg:cargo/cc@1.2.0 Build line 5
        pkg:generic/own@0.1.0 Unknown line 6
        pkg:rpm/almalinux/libxau@1.0.9-3.el8 Unknown line 8
        ");
        assert_eq!(found.problems.len(), 1);
        assert_eq!(found.problems[0].place.span, Span::Line(9));
    }

    #[test]
    fn components_in_components_have_an_end() {
        let mut text = String::from(r#"{ "components": ["#);
        let levels = 50_000;
        for _ in 0..levels {
            text.push_str(r#"{"purl": "pkg:cargo/a@1", "version": "1", "components": ["#);
        }
        text.push_str(&"]}".repeat(levels + 1));
        let found = parts("META-INF/sbom/a.cdx.json", &text);
        assert_eq!(found.parts.len(), 32);
        assert!(found.problems[0].what.contains("nested too deep"));
    }

    #[test]
    fn names_are_as_they_were_written() {
        assert_eq!(super::name_of("pkg:cargo/Serde_JSON@1.0?x=y"), "Serde_JSON");
        assert_eq!(super::name_of("pkg:npm/%40babel/core@7"), "@babel/core");
        assert_eq!(super::name_of("pkg:maven/G/a"), "G/a");
    }

    #[test]
    fn the_standard_library_of_go_has_the_version_of_its_advisories() {
        for version in ["go1.27.2", "v1.27.2", "1.27.2"] {
            let component =
                format!(r#"{{"purl": "pkg:golang/stdlib@{version}", "version": "{version}"}}"#);
            let text = format!(r#"{{"bomFormat": "CycloneDX", "components": [{component}]}}"#);
            let found = parts("META-INF/sbom/a.cdx.json", &text);
            assert_eq!(
                found.parts[0].advisory_version(),
                Some("1.27.2"),
                "{version}"
            );
        }
    }

    #[test]
    fn spdx_names_packages_by_references() {
        let found = parts(
            "a-1.dist-info/sboms/a.spdx.json",
            r#"{ "spdxVersion": "SPDX-2.3", "packages": [
    { "name": "x/y", "versionInfo": "v1.2.3", "externalRefs": [
      { "referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a" },
      { "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:golang/x/y@v1.2.3" } ] },
    { "name": "no purl", "versionInfo": "1" } ] }"#,
        );
        let told: Vec<String> = found.parts.iter().map(Part::purl).collect();
        assert_eq!(told, ["pkg:golang/x/y@v1.2.3"]);
    }
}
