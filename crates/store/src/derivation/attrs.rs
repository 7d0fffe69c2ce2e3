//! Attributes of a derivation as packages mean them, wherever they are kept.
//!
//! Mostly each attribute is an environment variable, lists joined by spaces. With structured attributes
//! all of them are one JSON object in the variable `__json`.
//! Deliberately absent: what the attributes mean (`inventory` knows).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Derivation;

/// The attributes of one derivation.
#[derive(Debug, Clone)]
pub struct Attrs<'a> {
    drv: &'a Derivation,
    structured: Option<Map<String, Value>>,
}

impl Derivation {
    /// The structured attributes as text, if the derivation has them.
    pub fn structured_attrs(&self) -> Option<&[u8]> {
        self.env_bytes("__json")
    }

    /// The attributes, structured or not.
    pub fn attrs(&self) -> Result<Attrs<'_>, AttrsError> {
        let structured = match self.structured_attrs() {
            None => None,
            Some(json) => {
                Some(serde_json::from_slice(json).map_err(|source| AttrsError { source })?)
            }
        };
        Ok(Attrs {
            drv: self,
            structured,
        })
    }
}

impl Attrs<'_> {
    /// Whether they are structured.
    pub fn is_structured(&self) -> bool {
        self.structured.is_some()
    }

    /// An attribute as the text that a builder would see: `true` is `1`, `false` and `null` are empty, lists
    /// are joined by spaces. `None` if it is absent or an object.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.structured {
            None => self.drv.env_text(name),
            Some(attrs) => value_text(attrs.get(name)?),
        }
    }

    /// An attribute as a list of words; empty if it is absent.
    ///
    /// Unstructured lists are split at white space, since nothing else is left of them.
    pub fn list(&self, name: &str) -> Vec<Cow<'_, str>> {
        match &self.structured {
            None => match self.drv.env_text(name) {
                None => Vec::new(),
                Some(Cow::Borrowed(text)) => {
                    text.split_ascii_whitespace().map(Cow::Borrowed).collect()
                }
                Some(Cow::Owned(text)) => text
                    .split_ascii_whitespace()
                    .map(|word| Cow::Owned(word.to_owned()))
                    .collect(),
            },
            Some(attrs) => match attrs.get(name) {
                None => Vec::new(),
                Some(Value::Array(items)) => items.iter().filter_map(value_text).collect(),
                Some(value) => value_text(value)
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect(),
            },
        }
    }

    /// A structured attribute as JSON.
    pub fn json(&self, name: &str) -> Option<&Value> {
        self.structured.as_ref()?.get(name)
    }

    /// The names of all attributes, in no order that means anything.
    pub fn names(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match &self.structured {
            None => Box::new(
                self.drv
                    .env()
                    .map(|(name, _)| String::from_utf8_lossy(name)),
            ),
            Some(attrs) => Box::new(attrs.keys().map(|name| Cow::Borrowed(name.as_str()))),
        }
    }
}

/// The variable `__json` of a derivation is not a JSON object.
#[derive(Debug, thiserror::Error)]
#[error("read structured attributes: `__json` is not a JSON object")]
pub struct AttrsError {
    /// Where and what.
    #[source]
    source: serde_json::Error,
}

fn value_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(true) => Some(Cow::Borrowed("1")),
        Value::Bool(false) | Value::Null => Some(Cow::Borrowed("")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Array(items) => {
            let words: Vec<_> = items.iter().filter_map(scalar_text).collect();
            Some(Cow::Owned(words.join(" ")))
        }
        Value::Object(_) => None,
    }
}

/// As [`value_text`], for what is not itself a list.
fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Array(_) | Value::Object(_) => None,
        scalar => value_text(scalar),
    }
}
