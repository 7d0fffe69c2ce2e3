//! Derivations in, JSON out.

use serde_json::value::RawValue;

use super::super::{Derivation, InputDrv, Output};
use super::canonical::{Numbers, canonical, push_string};
use super::read::DerivationSet;
use crate::hash::Notation;
use crate::path::{DrvPath, OutputName, StoreDir, StorePath};
use crate::quote::Quoted;

/// The forms that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonForm {
    /// As Nix 2.4 to 2.14 print it: whole paths, no name. Texts that are not UTF-8 are printed as they are.
    Nix28,
    /// Version 4, as Nix prints it since 2.33.
    V4,
}

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonLayout {
    /// Without any space; so Nix prints version 4 into pipes.
    Compact,
    /// Indented by two spaces; so Nix 2.8 prints always, and newer ones on terminals.
    Pretty,
}

impl DerivationSet {
    /// Writes what `nix derivation show` prints of these derivations, sorted by path, without a line end.
    pub fn to_json(&self, form: JsonForm, layout: JsonLayout) -> Result<Vec<u8>, JsonWriteError> {
        let mut sorted: Vec<&(DrvPath, Derivation)> = self.derivations.iter().collect();
        sorted.sort_by(|one, other| one.0.cmp(&other.0));
        let mut json = Json::default();
        if form == JsonForm::V4 {
            json.raw("{\"derivations\":");
        }
        json.object(
            sorted.into_iter().map(|(path, drv)| (path, drv)),
            |json, (path, drv)| {
                match form {
                    JsonForm::Nix28 => json.path(path.as_path(), Some(&self.dir)),
                    JsonForm::V4 => json.path(path.as_path(), None),
                }
                json.raw(":");
                json.derivation(drv, &self.dir, form)
            },
        )?;
        if form == JsonForm::V4 {
            json.raw(",\"version\":4}");
        }
        Ok(layout.apply(json.out))
    }
}

impl Derivation {
    /// Writes one derivation, without its path and without a line end.
    pub fn to_json(
        &self,
        dir: &StoreDir,
        form: JsonForm,
        layout: JsonLayout,
    ) -> Result<Vec<u8>, JsonWriteError> {
        let mut json = Json::default();
        json.derivation(self, dir, form)?;
        Ok(layout.apply(json.out))
    }
}

/// Why a derivation cannot be written in a form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonWriteError {
    /// Version 4 is JSON proper, and this text is not UTF-8.
    #[error("write derivation as JSON: {text} is not UTF-8")]
    NotUtf8 {
        /// The text.
        text: Quoted,
    },
    /// Outputs of outputs are not to be had in the form of Nix 2.8.
    #[error("write derivation as JSON: outputs of outputs of `{input}` are unknown to this form")]
    Dynamic {
        /// The input.
        input: DrvPath,
    },
    /// The variable `__json` is not JSON, and version 4 has its content elsewhere.
    #[error("write derivation as JSON: `__json` is not JSON")]
    StructuredAttrs {
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Default)]
struct Json {
    out: Vec<u8>,
}

impl Json {
    fn derivation(
        &mut self,
        drv: &Derivation,
        dir: &StoreDir,
        form: JsonForm,
    ) -> Result<(), JsonWriteError> {
        match form {
            JsonForm::Nix28 => self.nix28(drv, dir),
            JsonForm::V4 => self.v4(drv),
        }
    }

    fn nix28(&mut self, drv: &Derivation, dir: &StoreDir) -> Result<(), JsonWriteError> {
        self.raw("{\"outputs\":");
        self.object(drv.outputs(), |json, (name, output)| {
            json.name(name);
            json.raw(":{");
            if let Some(path) = output.path() {
                json.raw("\"path\":");
                json.path(path, Some(dir));
            }
            let (algo, rest) = match output {
                Output::InputAddressed { .. } | Output::Deferred => (None, String::new()),
                Output::Fixed { address, .. } => (
                    Some((",", address.method.with_algo(address.hash.algo()))),
                    format!(",\"hash\":\"{}\"", address.hash.to_notation(Notation::Hex)),
                ),
                Output::Floating { method, algo } => {
                    (Some(("", method.with_algo(*algo))), String::new())
                }
                Output::Impure { method, algo } => (
                    Some(("", method.with_algo(*algo))),
                    ",\"impure\":true".to_owned(),
                ),
            };
            if let Some((comma, algo)) = algo {
                json.raw(comma);
                json.raw("\"hashAlgo\":\"");
                json.raw(&algo);
                json.raw("\"");
            }
            json.raw(&rest);
            json.raw("}");
            Ok(())
        })?;
        self.raw(",\"inputSrcs\":");
        self.array(drv.input_srcs(), |json, path| json.path(path, Some(dir)));
        self.raw(",\"inputDrvs\":");
        self.object(drv.input_drvs(), |json, input| {
            if !input.dynamic().is_empty() {
                return Err(JsonWriteError::Dynamic {
                    input: input.path().clone(),
                });
            }
            json.path(input.path().as_path(), Some(dir));
            json.raw(":");
            json.array(input.outputs(), Self::name);
            Ok(())
        })?;
        self.raw(",\"system\":");
        self.nix28_text(drv.system().as_bytes());
        self.raw(",\"builder\":");
        self.nix28_text(drv.builder());
        self.raw(",\"args\":");
        self.array(drv.args(), Self::nix28_text);
        self.raw(",\"env\":");
        self.object(drv.env(), |json, (name, value)| {
            json.nix28_text(name);
            json.raw(":");
            json.nix28_text(value);
            Ok(())
        })?;
        self.raw("}");
        Ok(())
    }

    fn v4(&mut self, drv: &Derivation) -> Result<(), JsonWriteError> {
        self.raw("{\"args\":[");
        for (index, arg) in drv.args().enumerate() {
            self.comma(index);
            self.text(arg)?;
        }
        self.raw("],\"builder\":");
        self.text(drv.builder())?;
        self.raw(",\"env\":");
        self.object(
            drv.env().filter(|(name, _)| *name != b"__json"),
            |json, (name, value)| {
                json.text(name)?;
                json.raw(":");
                json.text(value)
            },
        )?;
        self.raw(",\"inputs\":{\"drvs\":");
        self.object(drv.input_drvs(), |json, input| {
            json.path(input.path().as_path(), None);
            json.raw(":");
            json.needs(input);
            Ok(())
        })?;
        self.raw(",\"srcs\":");
        self.array(drv.input_srcs(), |json, path| json.path(path, None));
        self.raw("},\"name\":");
        self.text(drv.name().as_str().as_bytes())?;
        self.raw(",\"outputs\":");
        self.object(drv.outputs(), |json, (name, output)| {
            json.name(name);
            json.raw(":");
            match output {
                Output::InputAddressed { path } => {
                    json.raw("{\"path\":");
                    json.path(path, None);
                    json.raw("}");
                }
                Output::Fixed { address, .. } => {
                    json.raw(&format!(
                        "{{\"hash\":\"{}\",\"method\":\"{}\"}}",
                        address.hash, address.method
                    ));
                }
                Output::Floating { method, algo } => {
                    json.raw(&format!(
                        "{{\"hashAlgo\":\"{algo}\",\"method\":\"{method}\"}}"
                    ));
                }
                Output::Deferred => json.raw("{}"),
                Output::Impure { method, algo } => {
                    json.raw(&format!(
                        "{{\"hashAlgo\":\"{algo}\",\"impure\":true,\"method\":\"{method}\"}}"
                    ));
                }
            }
            Ok(())
        })?;
        if let Some(structured) = drv.structured_attrs() {
            let bad = |source| JsonWriteError::StructuredAttrs { source };
            let structured: &RawValue = serde_json::from_slice(structured).map_err(bad)?;
            self.raw(",\"structuredAttrs\":");
            self.raw(&canonical(structured, Numbers::AsNix).map_err(bad)?);
        }
        self.raw(",\"system\":");
        self.text(drv.system().as_bytes())?;
        self.raw(",\"version\":4}");
        Ok(())
    }

    /// Writes what version 4 says of an input: outputs, and by output the same again.
    fn needs(&mut self, input: &InputDrv) {
        // The entries that are open, with the outputs to be written when they are closed.
        let mut open: Vec<(&OutputName, &[OutputName])> = Vec::new();
        self.raw("{\"dynamicOutputs\":{");
        let mut comma = false;
        for dynamic in input.dynamic() {
            let chain = dynamic.chain();
            let shared = open
                .iter()
                .zip(chain)
                .take_while(|((one, _), other)| *one == *other)
                .count();
            comma |= shared < open.len();
            while open.len() > shared {
                self.close(open.pop());
            }
            for (depth, name) in chain.iter().enumerate().skip(shared) {
                if comma {
                    self.raw(",");
                }
                comma = false;
                self.name(name);
                self.raw(":{\"dynamicOutputs\":{");
                open.push((
                    name,
                    if depth + 1 == chain.len() {
                        dynamic.outputs()
                    } else {
                        &[]
                    },
                ));
            }
        }
        while let Some(entry) = open.pop() {
            self.close(Some(entry));
        }
        self.raw("},\"outputs\":");
        self.array(input.outputs(), Self::name);
        self.raw("}");
    }

    fn close(&mut self, entry: Option<(&OutputName, &[OutputName])>) {
        self.raw("},\"outputs\":");
        self.array(
            entry.map(|(_, outputs)| outputs).unwrap_or_default(),
            Self::name,
        );
        self.raw("}");
    }

    fn object<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut entry: impl FnMut(&mut Self, T) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        self.raw("{");
        for (index, item) in items.into_iter().enumerate() {
            self.comma(index);
            entry(self, item)?;
        }
        self.raw("}");
        Ok(())
    }

    fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.raw("[");
        for (index, item) in items.into_iter().enumerate() {
            self.comma(index);
            write(self, item);
        }
        self.raw("]");
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.raw(",");
        }
    }

    fn path(&mut self, path: &StorePath, dir: Option<&StoreDir>) {
        self.raw("\"");
        if let Some(dir) = dir {
            self.raw(dir.as_str());
            self.raw("/");
        }
        path.write_to(&mut self.out);
        self.raw("\"");
    }

    fn name(&mut self, name: &OutputName) {
        self.raw("\"");
        self.raw(name.as_str());
        self.raw("\"");
    }

    fn text(&mut self, text: &[u8]) -> Result<(), JsonWriteError> {
        let text = std::str::from_utf8(text).map_err(|_| JsonWriteError::NotUtf8 {
            text: Quoted::new(text),
        })?;
        push_string(&mut self.out, text);
        Ok(())
    }

    /// Old versions of Nix know fewer escapes, and do not ask for UTF-8.
    fn nix28_text(&mut self, text: &[u8]) {
        self.raw("\"");
        for &byte in text {
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.raw("\\n"),
                b'\r' => self.raw("\\r"),
                b'\t' => self.raw("\\t"),
                0..32 => self.raw(&format!("\\u{byte:04x}")),
                _ => self.out.push(byte),
            }
        }
        self.raw("\"");
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

impl JsonLayout {
    fn apply(self, compact: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Compact => compact,
            Self::Pretty => pretty(&compact),
        }
    }
}

/// Indents JSON that has no spaces between its tokens.
fn pretty(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 3 / 2);
    let mut depth = 0;
    let mut rest = compact;
    let new_line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while let [first, after @ ..] = rest {
        let mut length = 1;
        match first {
            b'{' | b'[' => {
                out.push(*first);
                if let [close @ (b'}' | b']'), ..] = after {
                    out.push(*close);
                    length = 2;
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(*first);
            }
            b',' => {
                out.push(b',');
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                length = string_len(rest);
                out.extend_from_slice(&rest[..length]);
            }
            _ => out.push(*first),
        }
        rest = &rest[length..];
    }
    out
}

/// The length of the string that a text begins with, quotes included.
pub(super) fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}
