//! Licences of a component: an identifier, a name or a whole expression.
//!
//! Texts of licences are not carried.

use serde::de::Deserializer;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::iri;
use crate::license_ids::canonical_license_id;

/// One licence, or one expression over licences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// What names it.
    pub name: LicenseName,
    /// Where its text is found; an expression has none.
    pub url: Option<String>,
    /// Who says so.
    pub acknowledgement: Option<Acknowledgement>,
}

/// What names a licence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LicenseName {
    /// An identifier of the SPDX licence list.
    Id(String),
    /// Any other name.
    Name(String),
    /// An SPDX expression. The specification allows it only as the single entry of its list.
    Expression(String),
}

crate::open_enum::open_enum! {
    /// Who says that a licence applies.
    pub enum Acknowledgement {
        /// The authors.
        Declared = "declared",
        /// Whoever analysed the component.
        Concluded = "concluded",
    }
}

impl License {
    /// A licence by its identifier where the SPDX list has it, else by its name.
    pub fn new(id_or_name: &str) -> Self {
        match canonical_license_id(id_or_name) {
            Some(id) => Self::from(LicenseName::Id(id.to_owned())),
            None => Self::from(LicenseName::Name(id_or_name.to_owned())),
        }
    }

    /// An SPDX expression such as `MIT OR Apache-2.0`.
    pub fn expression(expression: impl Into<String>) -> Self {
        Self::from(LicenseName::Expression(expression.into()))
    }
}

impl From<LicenseName> for License {
    fn from(name: LicenseName) -> Self {
        Self {
            name,
            url: None,
            acknowledgement: None,
        }
    }
}

impl Serialize for License {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            name: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            acknowledgement: Option<&'a Acknowledgement>,
            #[serde(
                skip_serializing_if = "Option::is_none",
                serialize_with = "iri::iri_option"
            )]
            url: &'a Option<String>,
        }
        let (id, name) = match &self.name {
            LicenseName::Id(id) => (Some(id.as_str()), None),
            LicenseName::Name(name) => (None, Some(name.as_str())),
            LicenseName::Expression(expression) => {
                let mut entry = serializer.serialize_map(None)?;
                entry.serialize_entry("expression", expression)?;
                if let Some(acknowledgement) = &self.acknowledgement {
                    entry.serialize_entry("acknowledgement", acknowledgement)?;
                }
                return entry.end();
            }
        };
        let mut entry = serializer.serialize_map(Some(1))?;
        let named = Named {
            id,
            name,
            acknowledgement: self.acknowledgement.as_ref(),
            url: &self.url,
        };
        entry.serialize_entry("license", &named)?;
        entry.end()
    }
}

/// Reads a list of licences; entries that name none, which some tools write, are left out.
pub(super) fn read_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<License>, D::Error> {
    let entries: Option<Vec<Entry>> = Option::deserialize(deserializer)?;
    Ok(entries
        .into_iter()
        .flatten()
        .filter_map(Entry::into_license)
        .collect())
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    license: Option<Named>,
    #[serde(default)]
    expression: Option<String>,
    #[serde(default)]
    acknowledgement: Option<Acknowledgement>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    acknowledgement: Option<Acknowledgement>,
    #[serde(default)]
    url: Option<String>,
}

impl Entry {
    fn into_license(self) -> Option<License> {
        if let Some(named) = self.license {
            let name = match (named.id, named.name) {
                (Some(id), _) => LicenseName::Id(id),
                (None, Some(name)) => LicenseName::Name(name),
                (None, None) => return None,
            };
            return Some(License {
                name,
                url: named.url,
                acknowledgement: named.acknowledgement,
            });
        }
        Some(License {
            name: LicenseName::Expression(self.expression?),
            url: None,
            acknowledgement: self.acknowledgement,
        })
    }
}
