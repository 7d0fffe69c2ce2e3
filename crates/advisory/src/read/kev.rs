//! CISA's Known Exploited Vulnerabilities catalogue.
//!
//! Source: `known_exploited_vulnerabilities_schema.json`. A catalogue entry says that a CVE is
//! exploited, since when, and nothing about versions.

use serde::Deserialize;

use super::{ReadError, With, cve_id, day, lenient};
use crate::record::Record;
use crate::severity::Exploited;

/// Reads a catalogue.
pub fn read(document: &[u8], sink: &mut dyn FnMut(Result<Record, ReadError>)) {
    read_with(With::Facts, document, sink);
}

/// As [`read`], with or without the words of the catalogue.
pub fn read_with(with: With, document: &[u8], sink: &mut dyn FnMut(Result<Record, ReadError>)) {
    let catalogue: Catalogue = match serde_json::from_slice(document) {
        Ok(catalogue) => catalogue,
        Err(error) => return sink(Err(ReadError::json(error))),
    };
    for entry in catalogue.vulnerabilities {
        sink(entry.record(with));
    }
}

#[derive(Deserialize)]
struct Catalogue {
    vulnerabilities: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve_id: Option<String>,
    date_added: Option<String>,
    due_date: Option<String>,
    known_ransomware_campaign_use: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    short_description: Option<String>,
}

impl Entry {
    fn record(self, with: With) -> Result<Record, ReadError> {
        let mut record = Record::new(cve_id(self.cve_id)?);
        record.exploited = day(self.date_added.as_deref()).map(|since| Exploited {
            since,
            due: day(self.due_date.as_deref()),
            ransomware: self.known_ransomware_campaign_use.as_deref() == Some("Known"),
        });
        record.texts = with.texts(|texts| texts.describe(self.short_description.as_deref()));
        Ok(record)
    }
}
