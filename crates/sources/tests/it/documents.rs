//! Bills of materials of others.

use snowguard_inventory::{Gap, IdentityTable, Inventory, Nature};

use crate::support::{object, piped, references, told};

const CYCLONEDX: &str = r#"{
  "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
  "metadata": {"component": {"bom-ref": "root", "type": "operating-system", "name": "appliance", "version": "7"}},
  "components": [
    {"bom-ref": "openssl", "type": "library", "name": "openssl", "version": "1.1.1g",
     "purl": "pkg:generic/openssl@1.1.1g", "cpe": "cpe:2.3:a:openssl:openssl:1.1.1g:*:*:*:*:*:*:*",
     "externalReferences": [{"type": "website", "url": "https://www.openssl.org/"},
                            {"type": "distribution", "url": "https://www.openssl.org/source/openssl-1.1.1g.tar.gz"}],
     "pedigree": {"patches": [{"type": "backport", "diff": {"url": "file:///nix/store/00000000000000000000000000000000-CVE-2021-3711.patch"}}]}},
    {"bom-ref": "outer", "type": "application", "name": "outer", "version": "1",
     "components": [{"bom-ref": "inner", "type": "library", "name": "inner", "version": "2"}]}
  ],
  "dependencies": [{"ref": "root", "dependsOn": ["openssl", "outer", "nowhere"]}]
}"#;

#[test]
fn cyclonedx_tells_components_dependencies_and_patches() {
    let subject = piped(CYCLONEDX).unwrap();
    assert_eq!(subject.nature, Nature::Document);
    assert_eq!(subject.title, "appliance 7");
    let openssl = object(&subject, "openssl");
    let stated = openssl.stated.as_ref().unwrap();
    assert_eq!(stated.version.as_deref(), Some("1.1.1g"));
    assert_eq!(stated.cpes.len(), 1);
    assert_eq!(stated.patches.len(), 1);
    assert_eq!(stated.patches[0].named_cves[0].to_string(), "CVE-2021-3711");
    assert_eq!(*stated.urls[0], *"https://www.openssl.org/");
    assert_eq!(
        *stated.sources[0],
        *"https://www.openssl.org/source/openssl-1.1.1g.tar.gz"
    );
    let graph = references(&subject);
    assert_eq!(graph["root"], ["openssl", "outer"]);
    assert_eq!(graph["outer"], ["inner"]);
    assert_eq!(subject.gaps, []);
}

#[test]
fn a_flat_document_says_that_it_knows_no_dependencies() {
    let flat = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","version":"1"},{"type":"library","name":"b","version":"1"}]}"#;
    assert_eq!(piped(flat).unwrap().gaps, [Gap::NoDependencies]);
    let empty = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#;
    let error = piped(empty).unwrap_err();
    assert!(
        told(&error).contains("holds no component"),
        "{}",
        told(&error)
    );
}

#[test]
fn the_standard_library_of_go_has_the_version_of_its_advisories() {
    let document = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
      {"type":"library","name":"stdlib","version":"go1.27.2","purl":"pkg:golang/stdlib@1.27.2"}]}"#;
    let subject = piped(document).unwrap();
    let inventory = Inventory::of(&subject, &IdentityTable::builtin());
    let component = &inventory.components[0];
    assert_eq!(
        (&*component.pname, &*component.version),
        ("stdlib", "1.27.2")
    );
}

#[test]
fn spdx_in_both_forms() {
    let json = r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"appliance","dataLicense":"CC0-1.0","documentNamespace":"https://example.org/a",
      "packages":[{"SPDXID":"SPDXRef-a","name":"openssl","versionInfo":"1.1.1g","downloadLocation":"https://www.openssl.org/source/openssl-1.1.1g.tar.gz",
        "externalRefs":[{"referenceCategory":"SECURITY","referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a:openssl:openssl:1.1.1g:*:*:*:*:*:*:*"},
                        {"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:github/openssl/openssl@1.1.1g"}]},
        {"SPDXID":"SPDXRef-b","name":"curl","versionInfo":"7.70.0","downloadLocation":"NOASSERTION"}],
      "relationships":[{"spdxElementId":"SPDXRef-b","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-a"}]}"#;
    let subject = piped(json).unwrap();
    let stated = object(&subject, "openssl").stated.as_ref().unwrap();
    assert_eq!((stated.cpes.len(), stated.purls.len()), (1, 1));
    assert_eq!(
        *stated.sources[0],
        *"https://www.openssl.org/source/openssl-1.1.1g.tar.gz"
    );
    assert_eq!(references(&subject)["SPDXRef-b"], ["SPDXRef-a"]);

    let text = "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: appliance\nDocumentNamespace: https://example.org/a\n\nPackageName: openssl\nSPDXID: SPDXRef-a\nPackageVersion: 1.1.1g\nPackageDownloadLocation: NOASSERTION\n";
    let subject = piped(text).unwrap();
    let stated = object(&subject, "openssl").stated.as_ref().unwrap();
    assert_eq!(stated.version.as_deref(), Some("1.1.1g"));
}

#[test]
fn a_broken_document_is_told_with_its_place() {
    let cut = &CYCLONEDX[..CYCLONEDX.len() / 2];
    let text = told(&piped(cut).unwrap_err());
    assert!(
        text.contains("standard input") && text.contains("line "),
        "{text}"
    );
}
