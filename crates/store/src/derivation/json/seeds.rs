//! The parts of a derivation, read by serde straight into where they belong.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::parts::Arena;
use super::super::{DynamicOutputs, InputDrv, Span};
use super::read::{Context, JsonDerivationError, RawOutput};
use crate::path::{DrvPath, OutputName, StorePath};
use crate::serde_text::Str;

/// Makes a visitor its own seed.
macro_rules! seed {
    ($name:ty, $method:ident) => {
        impl<'de> DeserializeSeed<'de> for $name {
            type Value = <Self as Visitor<'de>>::Value;

            fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
                json.$method(self)
            }
        }
    };
}

/// A string of any bytes: old versions of Nix print texts that are not UTF-8 as they are.
pub(super) struct Text<'c, 'l> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) arena: &'c mut Arena,
}

seed!(Text<'_, '_>, deserialize_bytes);

impl Visitor<'_> for Text<'_, '_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Span, E> {
        self.arena
            .push(text)
            .map_err(|source| self.context.too_large(source))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        self.visit_bytes(text.as_bytes())
    }
}

/// `args`.
pub(super) struct Args<'c, 'l> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) arena: &'c mut Arena,
    pub(super) out: &'c mut Vec<Span>,
}

seed!(Args<'_, '_>, deserialize_seq);

impl<'de> Visitor<'de> for Args<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self {
            context,
            arena,
            out,
        } = self;
        while let Some(arg) = items.next_element_seed(Text { context, arena })? {
            out.push(arg);
        }
        Ok(())
    }
}

/// `env`.
pub(super) struct Env<'c, 'l> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) arena: &'c mut Arena,
    pub(super) out: &'c mut Vec<(Span, Span)>,
}

seed!(Env<'_, '_>, deserialize_map);

impl<'de> Visitor<'de> for Env<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            context,
            arena,
            out,
        } = self;
        while let Some(name) = map.next_key_seed(Text { context, arena })? {
            let value = map.next_value_seed(Text { context, arena })?;
            out.push((name, value));
        }
        Ok(())
    }
}

/// `outputs`, not yet resolved: that needs the name of the derivation, which comes later.
pub(super) struct Outputs<'c, 'l, 'de> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) outputs: &'c mut Vec<(OutputName, RawOutput<'de>)>,
}

impl<'de> DeserializeSeed<'de> for Outputs<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Outputs<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of outputs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Str<'de>>()? {
            let name = output_name(self.context, &name)?;
            self.outputs.push((name, map.next_value()?));
        }
        Ok(())
    }
}

/// `inputs` of version 4; of a resolved derivation, which has no input derivations left, only sources.
pub(super) struct Inputs<'c, 'l> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) srcs: &'c mut Vec<StorePath>,
    pub(super) drvs: &'c mut Vec<InputDrv>,
}

seed!(Inputs<'_, '_>, deserialize_any);

impl<'de> Visitor<'de> for Inputs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of `srcs` and `drvs`, or an array of store paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        let Self { context, srcs, .. } = self;
        InputSrcs { context, srcs }.visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            context,
            srcs,
            drvs,
        } = self;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match &*key {
                "srcs" => map.next_value_seed(InputSrcs { context, srcs })?,
                "drvs" => map.next_value_seed(InputDrvs { context, drvs })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// `inputSrcs`, or `srcs`.
pub(super) struct InputSrcs<'c, 'l> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) srcs: &'c mut Vec<StorePath>,
}

seed!(InputSrcs<'_, '_>, deserialize_seq);

impl<'de> Visitor<'de> for InputSrcs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of store paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(path) = items.next_element::<Str<'de>>()? {
            let path = self.context.path(&path);
            let path = path.map_err(|source| {
                self.context
                    .fail_derivation(JsonDerivationError::Input { source })
            })?;
            self.srcs.push(path);
        }
        Ok(())
    }
}

/// `inputDrvs`, or `drvs`.
pub(super) struct InputDrvs<'c, 'l> {
    pub(super) context: &'c mut Context<'l>,
    pub(super) drvs: &'c mut Vec<InputDrv>,
}

seed!(InputDrvs<'_, '_>, deserialize_map);

impl<'de> Visitor<'de> for InputDrvs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of input derivations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { context, drvs } = self;
        while let Some(path) = map.next_key::<Str<'de>>()? {
            let path = context.path(&path).and_then(DrvPath::new);
            let path = path
                .map_err(|source| context.fail_derivation(JsonDerivationError::Input { source }))?;
            let mut dynamic = Vec::new();
            let mut chain = Vec::new();
            let outputs = map.next_value_seed(Needs {
                context,
                chain: &mut chain,
                found: &mut dynamic,
            })?;
            drvs.push(if dynamic.is_empty() {
                InputDrv::new(path, outputs)
            } else {
                InputDrv::with_dynamic(path, outputs, dynamic)
            });
        }
        Ok(())
    }
}

/// What is needed of an input: outputs, or these and, by output, the same again.
///
/// This calls itself through serde, whose depth the JSON parser bounds.
struct Needs<'c, 'l> {
    context: &'c mut Context<'l>,
    chain: &'c mut Vec<OutputName>,
    found: &'c mut Vec<DynamicOutputs>,
}

seed!(Needs<'_, '_>, deserialize_any);

impl<'de> Visitor<'de> for Needs<'_, '_> {
    type Value = Vec<OutputName>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of outputs, or an object of `outputs` and `dynamicOutputs`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<OutputName>, A::Error> {
        let mut outputs = Vec::new();
        while let Some(name) = items.next_element::<Str<'de>>()? {
            outputs.push(output_name(self.context, &name)?);
        }
        Ok(outputs)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<OutputName>, A::Error> {
        let Self {
            context,
            chain,
            found,
        } = self;
        let mut outputs = Vec::new();
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match &*key {
                "outputs" => {
                    outputs = map.next_value_seed(Needs {
                        context,
                        chain,
                        found,
                    })?;
                }
                "dynamicOutputs" => map.next_value_seed(Dynamic {
                    context,
                    chain,
                    found,
                })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(outputs)
    }
}

/// `dynamicOutputs`.
struct Dynamic<'c, 'l> {
    context: &'c mut Context<'l>,
    chain: &'c mut Vec<OutputName>,
    found: &'c mut Vec<DynamicOutputs>,
}

seed!(Dynamic<'_, '_>, deserialize_map);

impl<'de> Visitor<'de> for Dynamic<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of outputs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            context,
            chain,
            found,
        } = self;
        while let Some(name) = map.next_key::<Str<'de>>()? {
            let name = output_name(context, &name)?;
            chain.push(name);
            let outputs = map.next_value_seed(Needs {
                context,
                chain,
                found,
            })?;
            found.extend(DynamicOutputs::new(chain.iter().cloned(), outputs));
            chain.pop();
        }
        Ok(())
    }
}

fn output_name<E: de::Error>(context: &mut Context<'_>, name: &str) -> Result<OutputName, E> {
    OutputName::new(name)
        .map_err(|source| context.fail_derivation(JsonDerivationError::OutputName { source }))
}
