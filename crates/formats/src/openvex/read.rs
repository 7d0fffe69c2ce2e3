//! Reads documents in every form that the versions of OpenVEX gave them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};

use super::{Document, Justification, Product, Statement, Status, Subcomponent, Vulnerability};
use crate::json::{self, null_as_default};
use crate::{Format, Limits, ReadError, Timestamp};

/// Reads a document of any version that is read.
pub(super) fn document(bytes: &[u8], limits: &Limits) -> Result<Document, ReadError> {
    let read: ReadDocument = json::read(Format::OpenVex, bytes, limits)?;
    // 0.0 lists the parts once for all products of a statement. Here every product has its own, and
    // few bytes must not become many parts.
    let expanded = read.statements.iter().map(|statement| {
        let products = statement.products.len();
        products.saturating_mul(statement.subcomponents.len())
    });
    if expanded.fold(0, usize::saturating_add) > limits.objects {
        return Err(ReadError::TooManyExpanded {
            format: Format::OpenVex,
            what: "parts of products",
            limit: limits.objects,
        });
    }
    Ok(Document {
        context: read.context,
        id: read.id,
        author: read.author,
        role: read.role,
        timestamp: read.timestamp,
        last_updated: read.last_updated,
        version: read.version.unwrap_or(1),
        tooling: read.tooling,
        statements: read
            .statements
            .into_iter()
            .map(ReadStatement::into_statement)
            .collect(),
    })
}

#[derive(Deserialize)]
struct ReadDocument {
    #[serde(default, rename = "@context", deserialize_with = "null_as_default")]
    context: String,
    #[serde(default, rename = "@id", deserialize_with = "null_as_default")]
    id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    author: String,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    last_updated: Option<Timestamp>,
    #[serde(default, deserialize_with = "version")]
    version: Option<u64>,
    #[serde(default)]
    tooling: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    statements: Vec<ReadStatement>,
}

#[derive(Deserialize)]
struct ReadStatement {
    #[serde(default, rename = "@id")]
    id: Option<String>,
    #[serde(default, deserialize_with = "version")]
    version: Option<u64>,
    vulnerability: NameOr<Vulnerability>,
    #[serde(default)]
    vuln_description: Option<String>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    last_updated: Option<Timestamp>,
    #[serde(default, deserialize_with = "null_as_default")]
    products: Vec<NameOr<Product>>,
    #[serde(default, deserialize_with = "null_as_default")]
    subcomponents: Vec<NameOr<Subcomponent>>,
    status: Status,
    #[serde(default)]
    supplier: Option<String>,
    #[serde(default)]
    status_notes: Option<String>,
    #[serde(default, deserialize_with = "justification")]
    justification: Option<Justification>,
    #[serde(default, deserialize_with = "non_empty")]
    impact_statement: Option<String>,
    #[serde(default, deserialize_with = "non_empty")]
    action_statement: Option<String>,
    #[serde(default)]
    action_statement_timestamp: Option<Timestamp>,
}

impl ReadStatement {
    fn into_statement(self) -> Statement {
        let mut vulnerability = self.vulnerability.0;
        if vulnerability.description.is_none() {
            vulnerability.description = self.vuln_description;
        }
        let mut products: Vec<Product> = self.products.into_iter().map(|read| read.0).collect();
        for product in &mut products {
            let parts = self.subcomponents.iter().map(|part| part.0.clone());
            product.subcomponents.extend(parts);
        }
        Statement {
            id: self.id,
            version: self.version,
            vulnerability,
            timestamp: self.timestamp,
            last_updated: self.last_updated,
            products,
            status: self.status,
            supplier: self.supplier,
            status_notes: self.status_notes,
            justification: self.justification,
            impact_statement: self.impact_statement,
            action_statement: self.action_statement,
            action_statement_timestamp: self.action_statement_timestamp,
        }
    }
}

/// A bare name, or the whole value.
struct NameOr<T>(T);

/// What can be given by its name alone, and in full.
trait Named: Sized {
    const EXPECTED: &'static str;

    fn from_name(name: &str) -> Self;

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

impl<'de, T: Named> Deserialize<'de> for NameOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);

        impl<'de, T: Named> Visitor<'de> for Either<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
                Ok(T::from_name(name))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::from_map(map)
            }
        }

        deserializer
            .deserialize_any(Either(std::marker::PhantomData))
            .map(Self)
    }
}

impl Named for Vulnerability {
    const EXPECTED: &'static str = "the name of a vulnerability, or an object with its names";

    fn from_name(name: &str) -> Self {
        Self::new(name)
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let read = ReadVulnerability::deserialize(MapAccessDeserializer::new(map))?;
        let name = match (read.name, &read.id) {
            (Some(name), _) => name,
            // Early documents have only the IRI.
            (None, Some(id)) => id.clone(),
            (None, None) => return Err(A::Error::missing_field("name")),
        };
        Ok(Self {
            id: read.id,
            name,
            description: read.description,
            aliases: read.aliases,
        })
    }
}

#[derive(Deserialize)]
struct ReadVulnerability {
    #[serde(default, rename = "@id")]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    aliases: Vec<String>,
}

impl Named for Product {
    const EXPECTED: &'static str = "the identifier of a product, or an object with its identifiers";

    fn from_name(name: &str) -> Self {
        Self::id(name)
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let read = ReadProduct::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self {
            id: read.id,
            identifiers: read.identifiers,
            hashes: read.hashes,
            subcomponents: read.subcomponents.into_iter().map(|part| part.0).collect(),
        })
    }
}

#[derive(Deserialize)]
struct ReadProduct {
    #[serde(default, rename = "@id")]
    id: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    identifiers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_as_default")]
    hashes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_as_default")]
    subcomponents: Vec<NameOr<Subcomponent>>,
}

impl Named for Subcomponent {
    const EXPECTED: &'static str = "the identifier of a part, or an object with its identifiers";

    fn from_name(name: &str) -> Self {
        Self {
            id: Some(name.to_owned()),
            ..Self::default()
        }
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let read = ReadSubcomponent::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self {
            id: read.id,
            identifiers: read.identifiers,
            hashes: read.hashes,
        })
    }
}

#[derive(Deserialize)]
struct ReadSubcomponent {
    #[serde(default, rename = "@id")]
    id: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    identifiers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_as_default")]
    hashes: BTreeMap<String, String>,
}

/// Reads a revision that stands as a number or, as some tools have it, as a string of one.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Version;

    impl Visitor<'_> for Version {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a positive number")
        }

        fn visit_u64<E: Error>(self, version: u64) -> Result<Self::Value, E> {
            Ok(Some(version))
        }

        fn visit_str<E: Error>(self, version: &str) -> Result<Self::Value, E> {
            version
                .parse()
                .map(Some)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(version), &self))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Version)
}

/// Some tools write the empty string for none.
fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// As [`non_empty`].
fn justification<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Justification>, D::Error> {
    let justification: Option<Justification> = Option::deserialize(deserializer)?;
    Ok(justification.filter(|justification| !justification.as_str().is_empty()))
}
