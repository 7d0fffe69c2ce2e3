//! The first keys of a JSON document, as far as they are needed to tell what it is.
//!
//! Parsing stops at the first key that decides, so that a document of fifty megabytes costs as
//! little as a small one. What has no deciding key is read to its end, for the error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use snowguard_store::{Quoted, StorePath};

use super::{Format, Looks};

/// What is known of the outermost value.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact about the document, and they are independent"
)]
pub(super) struct Outline {
    keys: Vec<Box<str>>,
    more_keys: usize,
    array: bool,
    verdict: Option<Format>,
    build_result: bool,
    /// Whether `version` was seen, which alone says nothing.
    version: bool,
    /// Whether parsing was ended early, so that an error is none of the document's.
    stopped: bool,
    /// What the parser objects to, if it came so far.
    pub(super) broken: Option<String>,
}

impl Outline {
    pub(super) fn of(json: &[u8]) -> Self {
        let mut outline = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let read = Document(&mut outline).deserialize(&mut deserializer);
        if let Err(error) = read
            && !outline.stopped
        {
            outline.broken = Some(error.to_string());
        }
        outline
    }

    /// What the document is, if its keys decide it.
    pub(super) fn verdict(&self) -> Option<Result<Format, Looks>> {
        let has = |key: &str| self.keys.iter().any(|known| &**known == key);
        if let Some(format) = self.verdict {
            return Some(Ok(format));
        }
        if has("attr") && ["drvPath", "name", "error"].into_iter().any(has) {
            return Some(Ok(Format::Jobs));
        }
        let looks = if has("nodes") && has("root") && self.version {
            Looks::FlakeLock
        } else if has("lockfileVersion") {
            Looks::LockFile("npm")
        } else if has("_meta") && has("packages") && has("default") {
            Looks::LockFile("pipenv")
        } else if has("catalogVersion")
            || has("cveMetadata")
            || (has("vulnerabilities") && has("totalResults"))
            || (has("id") && has("affected") && has("modified"))
        {
            Looks::Advisory
        } else {
            return self.build_result.then_some(Err(Looks::BuildResult));
        };
        Some(Err(looks))
    }

    /// The first keys, for an error.
    pub(super) fn shape(&self) -> String {
        if self.array {
            return "an array".to_owned();
        }
        if self.keys.is_empty() {
            return "an object without keys".to_owned();
        }
        let shown: Vec<String> = self
            .keys
            .iter()
            .take(6)
            .map(|key| Quoted::new(&**key).to_string())
            .collect();
        let more = self.keys.len() + self.more_keys - shown.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("its keys are {}{more}", shown.join(", "))
    }

    fn key(&mut self, key: &str) {
        if self.keys.len() < 64 {
            self.keys
                .push(key.chars().take(64).collect::<String>().into());
        } else {
            self.more_keys += 1;
        }
    }

    /// Ends the parsing: what is known suffices.
    fn decide<T, E: serde::de::Error>(&mut self, format: Format) -> Result<T, E> {
        self.verdict = Some(format);
        self.stop()
    }

    fn stop<T, E: serde::de::Error>(&mut self) -> Result<T, E> {
        self.stopped = true;
        Err(E::custom("stopped"))
    }
}

/// Whether a key is a store path, whole or without its directory.
fn is_store_path(key: &str) -> bool {
    let base = key.rsplit('/').next().unwrap_or(key);
    base.parse::<StorePath>().is_ok()
}

struct Document<'o>(&'o mut Outline);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let outline = self.0;
        outline.array = true;
        let mut keys = Keys::default();
        if items.next_element_seed(&mut keys)?.is_some() {
            if keys.has("path") && (keys.has("narHash") || keys.has("valid")) {
                return outline.decide(Format::PathInfo);
            }
            if keys.has("drvPath") && keys.has("outputs") {
                outline.build_result = true;
                return outline.stop();
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let outline = self.0;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            outline.key(&key);
            match &*key {
                "bomFormat" => return outline.decide(Format::CycloneDx),
                "spdxVersion" | "SPDXID" => {
                    // Which version it is, and whether that is read, is for `formats` to say.
                    map.next_value::<IgnoredAny>()?;
                }
                "version" => {
                    map.next_value::<IgnoredAny>()?;
                    outline.version = true;
                }
                _ => {
                    let mut keys = Keys::default();
                    let read = map.next_value_seed(&mut keys);
                    if let Some(format) = decided_by(&key, &keys) {
                        return outline.decide(format);
                    }
                    if read.is_err() && keys.stopped {
                        return outline.stop();
                    }
                    read?;
                }
            }
        }
        Ok(())
    }
}

fn decided_by(key: &str, value: &Keys) -> Option<Format> {
    let any = |names: &[&str]| names.iter().any(|name| value.has(name));
    if is_store_path(key) {
        if value.null
            || any(&[
                "narHash",
                "narSize",
                "references",
                "registrationTime",
                "valid",
            ])
        {
            return Some(Format::PathInfo);
        }
        let fields = [
            "outputs",
            "inputDrvs",
            "inputSrcs",
            "inputs",
            "builder",
            "env",
        ];
        return any(&fields).then_some(Format::Derivations);
    }
    match key {
        "derivations" if value.object && (value.path_like || value.empty()) => {
            Some(Format::Derivations)
        }
        "info" if value.object && (value.path_like || value.empty()) => Some(Format::PathInfo),
        // SPDX has an array of that name.
        "packages" if value.object && !value.path_like => {
            value.nested_package.then_some(Format::Packages)
        }
        // What a job of nix-eval-jobs has under that name.
        "meta" => None,
        _ => value.is_package().then_some(Format::Packages),
    }
}

/// The first keys of a value; of a value within it, only whether it looks like a package.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact about the value, and they are independent"
)]
struct Keys {
    names: Vec<Box<str>>,
    object: bool,
    null: bool,
    path_like: bool,
    nested_package: bool,
    stopped: bool,
}

impl Keys {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|key| &**key == name)
    }

    fn empty(&self) -> bool {
        self.object && self.names.is_empty()
    }

    fn is_package(&self) -> bool {
        let facts = ["meta", "drvPath", "outputName", "pname", "system"];
        self.has("name") && facts.iter().any(|fact| self.has(fact))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Keys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(KeysVisitor {
            keys: self,
            depth: 0,
        })
    }
}

struct KeysVisitor<'k> {
    keys: &'k mut Keys,
    /// A package set's packages lie one level deeper; nothing deeper is looked at.
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for KeysVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeysVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { keys, depth } = self;
        keys.object = true;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if keys.names.len() < 32 {
                keys.names
                    .push(key.chars().take(64).collect::<String>().into());
            }
            if keys.names.len() == 1 && depth == 0 {
                keys.path_like = is_store_path(&key);
                let mut inner = Keys::default();
                let visitor = KeysVisitor {
                    keys: &mut inner,
                    depth: 1,
                };
                let read = map.next_value_seed(visitor);
                keys.nested_package = inner.is_package();
                if keys.nested_package || keys.path_like {
                    // One entry is enough: the rest may be very long.
                    keys.stopped = true;
                    return Err(A::Error::custom("stopped"));
                }
                read?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.keys.null = true;
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}
