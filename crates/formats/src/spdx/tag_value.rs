//! Reads the tag-value form of SPDX 2: a line `Tag: value` at a time, in sections.
//!
//! A section begins with the tag that names its element. Tags that are not carried, and whole
//! sections of files, snippets, annotations and reviews, are passed over.

use super::{
    Checksum, CreationInfo, DOCUMENT_ID, Document, ExternalDocumentRef, ExternalRef,
    ExtractedLicense, Package, Purpose, Relationship, RelationshipType,
};
use crate::error::{Place, ReadError};
use crate::json::without_byte_order_mark;
use crate::{Format, Limits, Timestamp};

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Document, ReadError> {
    let bytes = without_byte_order_mark(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        malformed(
            Place::of_offset(bytes, error.valid_up_to()).line,
            "the text is not UTF-8",
        )
    })?;
    let mut reader = Reader::new();
    for (count, tag) in Tags::of(text).enumerate() {
        let tag = tag?;
        let place = |line| Place { line, column: 1 };
        let too_many = |what, limit| ReadError::TooMany {
            format: Format::SpdxTagValue,
            what,
            limit,
            place: place(tag.line),
        };
        if count >= limits.values {
            return Err(too_many("values", limits.values));
        }
        reader.take(&tag)?;
        if reader.objects > limits.objects {
            return Err(too_many("objects", limits.objects));
        }
    }
    Ok(reader.document)
}

/// Which element the next tags are about.
enum Section {
    Document,
    Package,
    License,
    /// One that is not carried.
    Other,
}

struct Reader {
    document: Document,
    section: Section,
    objects: usize,
}

impl Reader {
    fn new() -> Self {
        Self {
            document: Document {
                spdx_version: String::new(),
                data_license: String::new(),
                id: DOCUMENT_ID.to_owned(),
                name: String::new(),
                document_namespace: String::new(),
                creation_info: CreationInfo::default(),
                comment: None,
                document_describes: Vec::new(),
                external_document_refs: Vec::new(),
                has_extracted_licensing_infos: Vec::new(),
                packages: Vec::new(),
                relationships: Vec::new(),
            },
            section: Section::Document,
            objects: 0,
        }
    }

    fn take(&mut self, tag: &Tag<'_>) -> Result<(), ReadError> {
        let value = tag.value.to_owned();
        match tag.name {
            "PackageName" => {
                self.objects += 1;
                self.section = Section::Package;
                let mut package = Package::new("", value);
                package.files_analyzed = None;
                self.document.packages.push(package);
                return Ok(());
            }
            "LicenseID" => {
                self.objects += 1;
                self.section = Section::License;
                self.document
                    .has_extracted_licensing_infos
                    .push(ExtractedLicense {
                        id: value,
                        text: String::new(),
                        name: None,
                        see_also: Vec::new(),
                        comment: None,
                    });
                return Ok(());
            }
            "FileName" | "SnippetSPDXID" => {
                self.section = Section::Other;
                return Ok(());
            }
            "Relationship" => {
                self.objects += 1;
                self.document.relationships.push(relationship(tag)?);
                return Ok(());
            }
            "RelationshipComment" => {
                if let Some(relationship) = self.document.relationships.last_mut() {
                    relationship.comment = Some(value);
                }
                return Ok(());
            }
            _ => {}
        }
        match self.section {
            Section::Document => self.take_for_document(tag, value),
            Section::Package => self.take_for_package(tag, value),
            Section::License => {
                self.take_for_license(tag.name, value);
                Ok(())
            }
            Section::Other => Ok(()),
        }
    }

    fn take_for_document(&mut self, tag: &Tag<'_>, value: String) -> Result<(), ReadError> {
        let document = &mut self.document;
        match tag.name {
            "SPDXVersion" => document.spdx_version = value,
            "DataLicense" => document.data_license = value,
            "SPDXID" => document.id = value,
            "DocumentName" => document.name = value,
            "DocumentNamespace" => document.document_namespace = value,
            "DocumentComment" => document.comment = Some(value),
            "Creator" => {
                self.objects += 1;
                document.creation_info.creators.push(value);
            }
            "Created" => document.creation_info.created = Some(Timestamp::verbatim(value)),
            "CreatorComment" => document.creation_info.comment = Some(value),
            "LicenseListVersion" => document.creation_info.license_list_version = Some(value),
            "ExternalDocumentRef" => {
                self.objects += 1;
                let mut words = tag.value.splitn(3, ' ');
                let (Some(id), Some(namespace), Some(digest)) =
                    (words.next(), words.next(), words.next())
                else {
                    return Err(tag.malformed("an external document is `ID NAMESPACE DIGEST`"));
                };
                document.external_document_refs.push(ExternalDocumentRef {
                    external_document_id: id.to_owned(),
                    spdx_document: namespace.to_owned(),
                    checksum: checksum(tag, digest)?,
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn take_for_package(&mut self, tag: &Tag<'_>, value: String) -> Result<(), ReadError> {
        let Some(package) = self.document.packages.last_mut() else {
            return Ok(());
        };
        match tag.name {
            "SPDXID" => package.id = value,
            "PackageVersion" => package.version = Some(value),
            "PackageFileName" => package.file_name = Some(value),
            "PackageSupplier" => package.supplier = Some(value),
            "PackageOriginator" => package.originator = Some(value),
            "PackageDownloadLocation" => package.download_location = value,
            "FilesAnalyzed" => package.files_analyzed = value.parse().ok(),
            "PackageHomePage" => package.homepage = Some(value),
            "PackageSourceInfo" => package.source_info = Some(value),
            "PackageLicenseConcluded" => package.license_concluded = Some(value),
            "PackageLicenseDeclared" => package.license_declared = Some(value),
            "PackageCopyrightText" => package.copyright_text = Some(value),
            "PackageSummary" => package.summary = Some(value),
            "PackageDescription" => package.description = Some(value),
            "PackageComment" => package.comment = Some(value),
            "PrimaryPackagePurpose" => {
                // This form spells it with dashes, the JSON form with underscores.
                package.purpose = Some(Purpose::from(value.replace('-', "_").as_str()));
            }
            "PackageChecksum" => {
                self.objects += 1;
                package.checksums.push(checksum(tag, tag.value)?);
            }
            "ExternalRef" => {
                self.objects += 1;
                let mut words = tag.value.split_ascii_whitespace();
                let (Some(category), Some(kind), Some(locator)) =
                    (words.next(), words.next(), words.next())
                else {
                    return Err(tag.malformed("an external reference is `CATEGORY TYPE LOCATOR`"));
                };
                package
                    .external_refs
                    .push(ExternalRef::new(category.into(), kind, locator));
            }
            "ExternalRefComment" => {
                if let Some(external) = package.external_refs.last_mut() {
                    external.comment = Some(value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_for_license(&mut self, name: &str, value: String) {
        let Some(license) = self.document.has_extracted_licensing_infos.last_mut() else {
            return;
        };
        match name {
            "ExtractedText" => license.text = value,
            "LicenseName" => license.name = Some(value),
            "LicenseCrossReference" => license.see_also.push(value),
            "LicenseComment" => license.comment = Some(value),
            _ => {}
        }
    }
}

fn relationship(tag: &Tag<'_>) -> Result<Relationship, ReadError> {
    let mut words = tag.value.split_ascii_whitespace();
    let (Some(element), Some(kind), Some(related), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(tag.malformed("a relationship is `ELEMENT TYPE ELEMENT`"));
    };
    Ok(Relationship::new(
        element,
        RelationshipType::from(kind),
        related,
    ))
}

fn checksum(tag: &Tag<'_>, digest: &str) -> Result<Checksum, ReadError> {
    match digest.split_once(':') {
        Some((algorithm, value)) => Ok(Checksum::new(algorithm.trim().into(), value.trim())),
        None => Err(tag.malformed("a digest is `ALGORITHM: HEX`")),
    }
}

/// A tag, its value, and the line where it begins.
struct Tag<'a> {
    name: &'a str,
    value: &'a str,
    line: usize,
}

impl Tag<'_> {
    fn malformed(&self, message: &str) -> ReadError {
        malformed(self.line, message)
    }
}

fn malformed(line: usize, message: &str) -> ReadError {
    ReadError::MalformedLine {
        format: Format::SpdxTagValue,
        line,
        message: message.to_owned(),
    }
}

/// Iterates over the tags of a text; ends after the first error.
struct Tags<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Tags<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            rest: text,
            line: 1,
        }
    }

    fn fail(&mut self, line: usize, message: &str) -> ReadError {
        self.rest = "";
        malformed(line, message)
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<Tag<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        const OPEN: &str = "<text>";
        const CLOSE: &str = "</text>";
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let line = self.line;
            let (text, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            let trimmed = text.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                self.rest = rest;
                self.line += 1;
                continue;
            }
            let Some((name, value)) = text.split_once(':') else {
                return Some(Err(self.fail(line, "a line is `Tag: value`")));
            };
            let value = value.trim();
            if !value.starts_with(OPEN) {
                self.rest = rest;
                self.line += 1;
                return Some(Ok(Tag {
                    name: name.trim(),
                    value,
                    line,
                }));
            }
            // The value may go on over many lines: look for its end from where it opens.
            let begin = self.rest.find(OPEN).unwrap_or_default() + OPEN.len();
            let Some(length) = self.rest[begin..].find(CLOSE) else {
                return Some(Err(self.fail(line, "`<text>` without `</text>`")));
            };
            let value = &self.rest[begin..begin + length];
            let end = begin + length + CLOSE.len();
            let after = self.rest[end..]
                .find('\n')
                .map_or("", |at| &self.rest[end + at + 1..]);
            let consumed = self.rest.len() - after.len();
            self.line += self.rest[..consumed].matches('\n').count();
            self.rest = after;
            return Some(Ok(Tag {
                name: name.trim(),
                value,
                line,
            }));
        }
    }
}
