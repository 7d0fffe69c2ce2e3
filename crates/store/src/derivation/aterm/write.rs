//! Derivation in, bytes out.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Derivation, DynamicOutputs, InputDrv, Output};
use crate::hash::{Notation, hex};
use crate::path::{OutputName, StoreDir, StorePath};

impl Derivation {
    /// Writes the ATerm form, as Nix would.
    pub fn to_aterm(&self, dir: &StoreDir) -> Vec<u8> {
        write(self, dir, false, &Inputs::Stated)
    }
}

/// What stands for the input derivations.
pub(in super::super) enum Inputs {
    /// Their paths.
    Stated,
    /// Their hashes modulo, with the outputs that are needed of each.
    Hashed(BTreeMap<[u8; 32], BTreeSet<OutputName>>),
}

/// Writes the ATerm form; `mask_outputs` leaves out output paths and the variables that hold them.
pub(in super::super) fn write(
    drv: &Derivation,
    dir: &StoreDir,
    mask_outputs: bool,
    inputs: &Inputs,
) -> Vec<u8> {
    let mut out = Writer {
        out: Vec::with_capacity(1024 + drv.text.len() * 9 / 8),
        dir,
    };
    let dynamic = matches!(inputs, Inputs::Stated)
        && drv.input_drvs.iter().any(|input| !input.dynamic.is_empty());
    out.raw(if dynamic {
        "DrvWithVersion(\"xp-dyn-drv\","
    } else {
        "Derive("
    });
    out.list(drv.outputs.iter(), |out, (name, output)| {
        out.output(name, output, mask_outputs);
    });
    out.raw(",");
    match inputs {
        Inputs::Stated => out.list(drv.input_drvs.iter(), Writer::input_drv),
        Inputs::Hashed(hashes) => out.list(hashes.iter(), |out, (hash, names)| {
            out.raw("(");
            out.plain(hex(hash).as_bytes());
            out.raw(",");
            out.list(names.iter(), |out, name| {
                out.plain(name.as_str().as_bytes());
            });
            out.raw(")");
        }),
    }
    out.raw(",");
    out.list(drv.input_srcs.iter(), Writer::path);
    out.raw(",");
    out.plain(drv.system().as_bytes());
    out.raw(",");
    out.escaped(drv.builder());
    out.raw(",");
    out.list(drv.args(), Writer::escaped);
    out.raw(",");
    out.list(drv.env(), |out, (name, value)| {
        let masked =
            mask_outputs && std::str::from_utf8(name).is_ok_and(|name| drv.output(name).is_some());
        out.raw("(");
        out.escaped(name);
        out.raw(",");
        out.escaped(if masked { b"" } else { value });
        out.raw(")");
    });
    out.raw(")");
    out.out
}

struct Writer<'a> {
    out: Vec<u8>,
    dir: &'a StoreDir,
}

impl Writer<'_> {
    fn output(&mut self, name: &OutputName, output: &Output, mask: bool) {
        self.raw("(");
        self.plain(name.as_str().as_bytes());
        self.raw(",");
        match output.path() {
            Some(path) if !mask => self.path(path),
            _ => self.plain(b""),
        }
        self.raw(",");
        let (algo, hash) = match output {
            Output::InputAddressed { .. } | Output::Deferred => (String::new(), String::new()),
            Output::Fixed { address, .. } => (
                address.method.with_algo(address.hash.algo()),
                address.hash.to_notation(Notation::Hex),
            ),
            Output::Floating { method, algo } => (method.with_algo(*algo), String::new()),
            Output::Impure { method, algo } => (method.with_algo(*algo), "impure".to_owned()),
        };
        self.plain(algo.as_bytes());
        self.raw(",");
        self.plain(hash.as_bytes());
        self.raw(")");
    }

    fn input_drv(&mut self, input: &InputDrv) {
        self.raw("(");
        self.path(input.path.as_path());
        self.raw(",");
        if input.dynamic.is_empty() {
            self.names(&input.outputs);
        } else {
            self.raw("(");
            self.names(&input.outputs);
            self.raw(",[");
            self.dynamic(&input.dynamic);
            self.raw("])");
        }
        self.raw(")");
    }

    /// Writes what is sorted by chain as the nested entries that the chains stand for.
    fn dynamic(&mut self, entries: &[DynamicOutputs]) {
        // The entries that are open, as output names from the outermost on.
        let mut open: Vec<&OutputName> = Vec::new();
        let mut comma = false;
        for (index, DynamicOutputs { chain, outputs }) in entries.iter().enumerate() {
            let shared = open
                .iter()
                .zip(chain.iter())
                .take_while(|(one, other)| **one == *other)
                .count();
            comma |= shared < open.len();
            for _ in open.drain(shared..) {
                self.raw("]))");
            }
            let has_inner = entries
                .get(index + 1)
                .is_some_and(|next| next.chain.starts_with(chain));
            for (depth, name) in chain.iter().enumerate().skip(shared) {
                let last = depth + 1 == chain.len();
                self.raw(if comma { ",(" } else { "(" });
                self.plain(name.as_str().as_bytes());
                self.raw(",");
                let names = if last { &**outputs } else { &[] };
                if last && !has_inner {
                    self.names(names);
                    self.raw(")");
                    comma = true;
                } else {
                    self.raw("(");
                    self.names(names);
                    self.raw(",[");
                    open.push(name);
                    comma = false;
                }
            }
        }
        for _ in open {
            self.raw("]))");
        }
    }

    fn names(&mut self, names: &[OutputName]) {
        self.list(names.iter(), |out, name| {
            out.plain(name.as_str().as_bytes());
        });
    }

    fn path(&mut self, path: &StorePath) {
        self.raw("\"");
        self.raw(self.dir.as_str());
        self.raw("/");
        path.write_to(&mut self.out);
        self.raw("\"");
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.raw("[");
        for (index, value) in items.enumerate() {
            if index > 0 {
                self.raw(",");
            }
            item(self, value);
        }
        self.raw("]");
    }

    fn escaped(&mut self, text: &[u8]) {
        self.raw("\"");
        let mut start = 0;
        for (index, byte) in text.iter().enumerate() {
            let escape = match byte {
                b'"' => b'"',
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                _ => continue,
            };
            self.out.extend_from_slice(&text[start..index]);
            self.out.extend_from_slice(&[b'\\', escape]);
            start = index + 1;
        }
        self.out.extend_from_slice(&text[start..]);
        self.raw("\"");
    }

    fn plain(&mut self, text: &[u8]) {
        self.raw("\"");
        self.out.extend_from_slice(text);
        self.raw("\"");
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}
