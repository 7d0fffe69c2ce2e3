//! JSON in, derivations out.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::parts::{Arena, Parts};
use super::super::{Derivation, Output, Span, TooLargeError};
use super::canonical::{Numbers, canonical};
use super::seeds::{Args, Env, InputDrvs, InputSrcs, Inputs, Outputs, Text};
use crate::compute::{ComputeError, References};
use crate::content_address::{ContentAddress, ContentAddressError, ContentAddressMethod};
use crate::hash::{Hash, HashAlgo, HashError};
use crate::path::{DrvPath, NameError, OutputName, PathError, StoreDir, StoreName, StorePath};
use crate::quote::Quoted;
use crate::serde_text::Str;

/// The derivations of one JSON document, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivationSet {
    /// The store directory: as the caller gave it, else as the first whole path says, else `/nix/store`.
    pub dir: StoreDir,
    /// Each derivation with its path.
    pub derivations: Vec<(DrvPath, Derivation)>,
}

impl DerivationSet {
    /// Reads what `nix derivation show` prints, in any form; see the [module](super).
    ///
    /// Fields that are not known are skipped. A `dir` that is given must be that of every whole path.
    pub fn from_json(json: &[u8], dir: Option<&StoreDir>) -> Result<Self, JsonError> {
        Self::from_json_with(json, dir, &JsonLimits::default())
    }

    /// Reads with limits of the caller's.
    pub fn from_json_with(
        json: &[u8],
        dir: Option<&StoreDir>,
        limits: &JsonLimits,
    ) -> Result<Self, JsonError> {
        let mut context = Context::new(json, dir, limits)?;
        let derivations = context.run(json, |context, json| {
            json.deserialize_map(DocumentVisitor { context })
        })?;
        Ok(Self {
            dir: context.dir.unwrap_or_default(),
            derivations,
        })
    }
}

impl Derivation {
    /// Reads one derivation without its path, as `nix derivation add` does; it must have a `name`.
    pub fn from_json(json: &[u8], dir: &StoreDir) -> Result<Self, JsonError> {
        let limits = JsonLimits::default();
        let mut context = Context::new(json, Some(dir), &limits)?;
        context.run(json, |context, json| {
            json.deserialize_map(DerivationVisitor {
                context,
                path: None,
            })
        })
    }
}

/// How much JSON is read before giving up; depth is bounded by the parser, at 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Bytes of the whole document.
    pub bytes: usize,
    /// Derivations in it.
    pub derivations: usize,
}

impl Default for JsonLimits {
    /// 4 GiB less one byte, four million derivations.
    fn default() -> Self {
        Self {
            bytes: u32::MAX as usize,
            derivations: 4 << 20,
        }
    }
}

/// Why a text is not the JSON form of derivations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// More bytes than [`JsonLimits::bytes`].
    #[error("read derivations: {length} bytes, more than {limit}")]
    TooLong {
        /// The length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More derivations than [`JsonLimits::derivations`].
    #[error("read derivations: more than {limit} of them")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Not JSON, or another type than expected somewhere.
    #[error("read derivations: not the JSON of `nix derivation show`")]
    Syntax {
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
    /// A version of the format that is not known.
    #[error("read derivations: format version {version} is not known, only those up to 4")]
    Version {
        /// The version.
        version: u64,
    },
    /// The path of a derivation is wrong.
    #[error("read derivations: invalid path {path}")]
    Path {
        /// The text.
        path: Quoted,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// Something within a derivation is wrong.
    #[error("read derivation {path}")]
    Derivation {
        /// Its path; empty for one that is read without.
        path: Quoted,
        /// What is wrong with it.
        #[source]
        source: Box<JsonDerivationError>,
    },
}

/// What can be wrong within one derivation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonDerivationError {
    /// A field is missing.
    #[error("read fields: `{field}` is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// The name is no name of a store object.
    #[error("read `name`")]
    Name {
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The name is not that of the path.
    #[error("read `name`: {name} is not the name in the path")]
    OtherName {
        /// The name.
        name: Quoted,
    },
    /// The path of an input is wrong.
    #[error("read inputs: invalid path")]
    Input {
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// The name of an output is wrong, of the derivation or of an input.
    #[error("read output name")]
    OutputName {
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The path of an output is wrong.
    #[error("read output `{output}`: invalid path")]
    OutputPath {
        /// The output.
        output: OutputName,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// The method or the algorithm of an output is wrong.
    #[error("read output `{output}`: invalid method or hash algorithm")]
    OutputMethod {
        /// The output.
        output: OutputName,
        /// What is wrong with it.
        #[source]
        source: ContentAddressError,
    },
    /// The hash of an output is wrong.
    #[error("read output `{output}`: invalid hash")]
    OutputHash {
        /// The output.
        output: OutputName,
        /// What is wrong with it.
        #[source]
        source: HashError,
    },
    /// The fields of an output make no kind of output.
    #[error("read output `{output}`: it has {problem}")]
    OutputShape {
        /// The output.
        output: OutputName,
        /// What does not fit.
        problem: &'static str,
    },
    /// The path of a fixed output is not stated and cannot be computed.
    #[error("read output `{output}`: its path cannot be computed")]
    OutputAddress {
        /// The output.
        output: OutputName,
        /// Why.
        #[source]
        source: ComputeError,
    },
    /// The texts are more than 4 GiB.
    #[error("read texts")]
    TooLarge {
        /// As the builder says it.
        #[source]
        source: TooLargeError,
    },
}

/// What holds for the whole document.
pub(super) struct Context<'a> {
    dir: Option<StoreDir>,
    limits: &'a JsonLimits,
    /// The path of the derivation that is being read, for errors.
    current: String,
    /// An error of ours on its way through serde, which knows only text.
    problem: Option<JsonError>,
}

impl<'a> Context<'a> {
    fn new(json: &[u8], dir: Option<&StoreDir>, limits: &'a JsonLimits) -> Result<Self, JsonError> {
        if json.len() > limits.bytes {
            return Err(JsonError::TooLong {
                length: json.len(),
                limit: limits.bytes,
            });
        }
        Ok(Self {
            dir: dir.cloned(),
            limits,
            current: String::new(),
            problem: None,
        })
    }

    fn run<'j, T>(
        &mut self,
        json: &'j [u8],
        read: impl FnOnce(
            &mut Self,
            &mut serde_json::Deserializer<serde_json::de::SliceRead<'j>>,
        ) -> serde_json::Result<T>,
    ) -> Result<T, JsonError> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let value = read(self, &mut json).and_then(|value| json.end().map(|()| value));
        value.map_err(|source| self.problem.take().unwrap_or(JsonError::Syntax { source }))
    }

    fn fail<E: de::Error>(&mut self, problem: JsonError) -> E {
        self.problem = Some(problem);
        E::custom("see the cause")
    }

    pub(super) fn fail_derivation<E: de::Error>(&mut self, problem: JsonDerivationError) -> E {
        let path = Quoted::new(&self.current);
        self.fail(JsonError::Derivation {
            path,
            source: Box::new(problem),
        })
    }

    pub(super) fn too_large<E: de::Error>(&mut self, source: TooLargeError) -> E {
        self.fail_derivation(JsonDerivationError::TooLarge { source })
    }

    fn check_version<E: de::Error>(&mut self, version: u64) -> Result<(), E> {
        if version <= 4 {
            Ok(())
        } else {
            Err(self.fail(JsonError::Version { version }))
        }
    }

    /// Reads a path, whole or without the directory.
    pub(super) fn path(&mut self, text: &str) -> Result<StorePath, PathError> {
        if !text.starts_with('/') {
            return text.parse();
        }
        match &self.dir {
            Some(dir) => dir.parse(text),
            None => {
                let (dir, path) = StoreDir::split(text)?;
                self.dir = Some(dir);
                Ok(path)
            }
        }
    }
}

/// The whole document: derivations by path, or these under `derivations`.
struct DocumentVisitor<'c, 'l> {
    context: &'c mut Context<'l>,
}

impl<'de> Visitor<'de> for DocumentVisitor<'_, '_> {
    type Value = Vec<(DrvPath, Derivation)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of derivations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.context;
        let mut derivations = Vec::new();
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match &*key {
                "version" => context.check_version(map.next_value()?)?,
                "derivations" => derivations = map.next_value_seed(Derivations { context })?,
                _ => {
                    let entry = map.next_value_seed(Entry { context, key: &key })?;
                    derivations.push(entry);
                    if derivations.len() > context.limits.derivations {
                        return Err(context.fail(JsonError::TooMany {
                            limit: context.limits.derivations,
                        }));
                    }
                }
            }
        }
        Ok(derivations)
    }
}

/// The object under `derivations`.
struct Derivations<'c, 'l> {
    context: &'c mut Context<'l>,
}

impl<'de> DeserializeSeed<'de> for Derivations<'_, '_> {
    type Value = Vec<(DrvPath, Derivation)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(DocumentVisitor {
            context: self.context,
        })
    }
}

/// One derivation under its path.
struct Entry<'c, 'l, 'k> {
    context: &'c mut Context<'l>,
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for Entry<'_, '_, '_> {
    type Value = (DrvPath, Derivation);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        let Self { context, key } = self;
        let path = match context.path(key).and_then(DrvPath::new) {
            Ok(path) => path,
            Err(source) => {
                return Err(context.fail(JsonError::Path {
                    path: Quoted::new(key),
                    source,
                }));
            }
        };
        key.clone_into(&mut context.current);
        let drv = json.deserialize_map(DerivationVisitor {
            context,
            path: Some(&path),
        })?;
        Ok((path, drv))
    }
}

struct DerivationVisitor<'c, 'l, 'p> {
    context: &'c mut Context<'l>,
    path: Option<&'p DrvPath>,
}

impl<'de> Visitor<'de> for DerivationVisitor<'_, '_, '_> {
    type Value = Derivation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a derivation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Derivation, A::Error> {
        let context = self.context;
        // As much as the texts of a small derivation.
        let mut arena = Arena::with_capacity(2048);
        let (mut name, mut system, mut builder) = (None, None, None);
        let mut outputs: Vec<(OutputName, RawOutput<'de>)> = Vec::new();
        let (mut srcs, mut drvs) = (Vec::new(), Vec::new());
        let (mut args, mut env) = (Vec::new(), Vec::new());
        let mut structured: Option<&'de RawValue> = None;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match &*key {
                "name" => name = Some(map.next_value::<Str<'de>>()?),
                "version" => context.check_version(map.next_value()?)?,
                "outputs" => map.next_value_seed(Outputs {
                    context,
                    outputs: &mut outputs,
                })?,
                "inputSrcs" => map.next_value_seed(InputSrcs {
                    context,
                    srcs: &mut srcs,
                })?,
                "inputDrvs" => map.next_value_seed(InputDrvs {
                    context,
                    drvs: &mut drvs,
                })?,
                "inputs" => map.next_value_seed(Inputs {
                    context,
                    srcs: &mut srcs,
                    drvs: &mut drvs,
                })?,
                "system" | "platform" => {
                    let text = map.next_value::<Str<'de>>()?;
                    system = Some(
                        arena
                            .push(text.as_bytes())
                            .map_err(|source| context.too_large(source))?,
                    );
                }
                "builder" => {
                    let text = Text {
                        context,
                        arena: &mut arena,
                    };
                    builder = Some(map.next_value_seed(text)?);
                }
                "args" => map.next_value_seed(Args {
                    context,
                    arena: &mut arena,
                    out: &mut args,
                })?,
                "env" => map.next_value_seed(Env {
                    context,
                    arena: &mut arena,
                    out: &mut env,
                })?,
                "structuredAttrs" => structured = map.next_value::<Option<&'de RawValue>>()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }

        let name = match (self.path, name) {
            (Some(path), Some(name)) if path.drv_name() != &*name => {
                return Err(context.fail_derivation(JsonDerivationError::OtherName {
                    name: Quoted::new(&*name),
                }));
            }
            (Some(path), _) => StoreName::new(path.drv_name()),
            (None, Some(name)) => StoreName::new(&*name),
            (None, None) => {
                return Err(context.fail_derivation(JsonDerivationError::Missing { field: "name" }));
            }
        };
        let name =
            name.map_err(|source| context.fail_derivation(JsonDerivationError::Name { source }))?;
        let outputs = outputs
            .into_iter()
            .map(|(output, raw)| {
                raw.resolve(&output, &name, context)
                    .map(|resolved| (output, resolved))
                    .map_err(|problem| context.fail_derivation(problem))
            })
            .collect::<Result<_, A::Error>>()?;
        if let Some(structured) = structured {
            let text = canonical(structured, Numbers::Keep).map_err(de::Error::custom)?;
            let pair = arena
                .push(b"__json")
                .and_then(|key| Ok((key, arena.push(text.as_bytes())?)))
                .map_err(|source| context.too_large(source))?;
            env.push(pair);
        }
        let mut required = |span: Option<Span>, field| {
            span.ok_or_else(|| context.fail_derivation(JsonDerivationError::Missing { field }))
        };
        let (system, builder) = (required(system, "system")?, required(builder, "builder")?);
        Ok(Parts {
            name,
            outputs,
            input_drvs: drvs,
            input_srcs: srcs,
            arena,
            system,
            builder,
            args,
            env,
        }
        .finish())
    }
}

/// An output with the fields of every form.
#[derive(serde::Deserialize)]
pub(super) struct RawOutput<'a> {
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "hashAlgo")]
    hash_algo: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    hash: Option<Cow<'a, str>>,
    #[serde(default)]
    impure: bool,
}

impl RawOutput<'_> {
    fn resolve(
        self,
        output: &OutputName,
        drv_name: &StoreName,
        context: &mut Context<'_>,
    ) -> Result<Output, JsonDerivationError> {
        let shape = |problem| {
            Err(JsonDerivationError::OutputShape {
                output: output.clone(),
                problem,
            })
        };
        let bad_method = |source| JsonDerivationError::OutputMethod {
            output: output.clone(),
            source,
        };
        let bad_hash = |source| JsonDerivationError::OutputHash {
            output: output.clone(),
            source,
        };
        let path = match self.path.filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => {
                Some(
                    context
                        .path(&path)
                        .map_err(|source| JsonDerivationError::OutputPath {
                            output: output.clone(),
                            source,
                        })?,
                )
            }
        };
        // Until 2.23 the algorithm held the method; since 2.33 the hash of a fixed output holds its algorithm.
        let (method, algo): (Option<ContentAddressMethod>, Option<HashAlgo>) =
            match (self.method, self.hash_algo) {
                (None, None) => (None, None),
                (None, Some(both)) => {
                    let (method, algo) =
                        ContentAddressMethod::parse_with_algo(&both).map_err(bad_method)?;
                    (Some(method), Some(algo))
                }
                (Some(method), algo) => {
                    let algo = algo
                        .map(|algo| algo.parse())
                        .transpose()
                        .map_err(bad_hash)?;
                    (Some(method.parse().map_err(bad_method)?), algo)
                }
            };
        match (method, algo, self.hash.filter(|hash| !hash.is_empty())) {
            (Some(method), algo, Some(hash)) if !self.impure => {
                let hash = Hash::parse(&hash, algo).map_err(bad_hash)?;
                let address = ContentAddress::new(method, hash);
                let path = match path {
                    Some(path) => path,
                    None => fixed_path(output, drv_name, &address, context.dir.as_ref())?,
                };
                Ok(Output::Fixed { path, address })
            }
            (Some(method), Some(algo), None) => match path {
                Some(_) => shape("a path that it cannot know"),
                None if self.impure => Ok(Output::Impure { method, algo }),
                None => Ok(Output::Floating { method, algo }),
            },
            (None, None, None) if !self.impure => Ok(match path {
                Some(path) => Output::InputAddressed { path },
                None => Output::Deferred,
            }),
            (Some(_), None, None) => shape("a method without a hash or its algorithm"),
            (None, _, Some(_)) => shape("a hash without a method or an algorithm"),
            _ => shape("fields that do not go together"),
        }
    }
}

fn fixed_path(
    output: &OutputName,
    drv_name: &StoreName,
    address: &ContentAddress,
    dir: Option<&StoreDir>,
) -> Result<StorePath, JsonDerivationError> {
    let bad = |source| JsonDerivationError::OutputAddress {
        output: output.clone(),
        source,
    };
    let name = output.path_name(drv_name.as_str()).map_err(|source| {
        bad(ComputeError::Name {
            output: output.clone(),
            source,
        })
    })?;
    dir.cloned()
        .unwrap_or_default()
        .content_path(&name, address, References::NONE)
        .map_err(bad)
}
