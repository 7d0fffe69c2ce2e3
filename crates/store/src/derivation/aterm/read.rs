//! Bytes in, derivation out.

use super::super::parts::{Arena, Parts, sort_last_wins};
use super::super::{Derivation, DynamicOutputs, InputDrv, Output, Span, TooLargeError};
use crate::content_address::{ContentAddress, ContentAddressError, ContentAddressMethod};
use crate::hash::{Hash, HashError};
use crate::path::{DrvPath, NameError, OutputName, PathError, StoreDir, StoreName, StorePath};
use crate::quote::Quoted;

impl Derivation {
    /// Reads the ATerm form; `name` is that of the derivation's path without `.drv`.
    ///
    /// ```
    /// # use snowguard_store::{Derivation, StoreDir};
    /// let text = br#"Derive([("out","/nix/store/2c9nir7ibvqlxsadns9dxqv9nc3rlzpc-a","","")],[],[],"x","/b",[],[])"#;
    /// let drv = Derivation::from_aterm(text, "a", &StoreDir::default())?;
    /// assert_eq!(drv.system(), "x");
    /// assert_eq!(drv.to_aterm(&StoreDir::default()), text);
    /// # Ok::<(), snowguard_store::derivation::aterm::AtermError>(())
    /// ```
    pub fn from_aterm(text: &[u8], name: &str, dir: &StoreDir) -> Result<Self, AtermError> {
        Self::from_aterm_with(text, name, dir, &AtermLimits::default())
    }

    /// Reads the ATerm form with limits of the caller's.
    pub fn from_aterm_with(
        text: &[u8],
        name: &str,
        dir: &StoreDir,
        limits: &AtermLimits,
    ) -> Result<Self, AtermError> {
        let name = StoreName::new(name).map_err(|source| AtermError::Name { source })?;
        if text.len() > limits.bytes {
            return Err(AtermError::TooLong {
                length: text.len(),
                limit: limits.bytes,
            });
        }
        Reader {
            text,
            at: 0,
            dir,
            items_left: limits.items,
            limits,
        }
        .derivation(name)
    }
}

/// How much of a derivation is read before giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtermLimits {
    /// Bytes of the whole text. The largest derivations of Nixpkgs have a few megabytes.
    pub bytes: usize,
    /// Elements of all lists together.
    pub items: usize,
    /// How deep outputs of outputs may be nested.
    pub dynamic_depth: usize,
}

impl Default for AtermLimits {
    /// 256 MiB, four million elements, 32 levels.
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            items: 4 << 20,
            dynamic_depth: 32,
        }
    }
}

/// Why a text is not a derivation in ATerm form. Offsets are in bytes from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AtermError {
    /// The name that came with the text is no name of a store object.
    #[error("read derivation: invalid name")]
    Name {
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// More bytes than [`AtermLimits::bytes`].
    #[error("read derivation: {length} bytes, more than {limit}")]
    TooLong {
        /// The length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More list elements than [`AtermLimits::items`].
    #[error("read derivation: more than {limit} list elements")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Outputs of outputs are nested deeper than [`AtermLimits::dynamic_depth`].
    #[error("read derivation: outputs of outputs more than {limit} levels deep at byte {offset}")]
    TooDeep {
        /// Where.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// Neither `Derive(` nor `DrvWithVersion(`.
    #[error(
        "read derivation: it begins with {found}, neither with `Derive(` nor with `DrvWithVersion(`"
    )]
    Head {
        /// The first bytes.
        found: Quoted,
    },
    /// `DrvWithVersion` of a version that is not known.
    #[error("read derivation: unknown format version {version}")]
    Version {
        /// The version.
        version: Quoted,
    },
    /// Something else stands there.
    #[error("read derivation: expected {expected} at byte {offset}, found {found}")]
    Expected {
        /// Where.
        offset: usize,
        /// What would be right.
        expected: &'static str,
        /// What is there, the next few bytes.
        found: Quoted,
    },
    /// The text ends before the derivation does.
    #[error("read derivation: it ends too early, at byte {offset}: expected {expected}")]
    Truncated {
        /// Where.
        offset: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// A string has no end.
    #[error("read derivation: the string at byte {offset} does not end")]
    OpenString {
        /// Where it begins.
        offset: usize,
    },
    /// Bytes after the end.
    #[error("read derivation: it ends at byte {offset}, but {more} bytes follow")]
    Trailing {
        /// Where the derivation ends.
        offset: usize,
        /// How many bytes follow.
        more: usize,
    },
    /// A store path is wrong, or not in the store directory.
    #[error("read derivation: invalid path at byte {offset}")]
    Path {
        /// Where.
        offset: usize,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// An output name is wrong.
    #[error("read derivation: invalid output name at byte {offset}")]
    OutputName {
        /// Where.
        offset: usize,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The hash algorithm of an output is wrong.
    #[error("read derivation: invalid hash algorithm of output `{output}`")]
    OutputAlgo {
        /// The output.
        output: OutputName,
        /// What is wrong with it.
        #[source]
        source: ContentAddressError,
    },
    /// The hash of an output is wrong.
    #[error("read derivation: invalid hash of output `{output}`")]
    OutputHash {
        /// The output.
        output: OutputName,
        /// What is wrong with it.
        #[source]
        source: HashError,
    },
    /// Path, hash algorithm and hash of an output make no kind of output.
    #[error("read derivation: output `{output}` has {problem}")]
    OutputShape {
        /// The output.
        output: OutputName,
        /// What does not fit.
        problem: &'static str,
    },
    /// Nothing is needed of an input, or the outputs of outputs are not sorted.
    #[error("read derivation: {problem} at byte {offset}")]
    DynamicInput {
        /// Where.
        offset: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The system is not UTF-8.
    #[error("read derivation: its system {system} is not UTF-8")]
    System {
        /// The text.
        system: Quoted,
    },
    /// The texts are more than 4 GiB.
    #[error("read derivation: too large")]
    TooLarge {
        /// As the builder says it.
        #[source]
        source: TooLargeError,
    },
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    dir: &'a StoreDir,
    items_left: usize,
    limits: &'a AtermLimits,
}

impl<'a> Reader<'a> {
    fn derivation(mut self, name: StoreName) -> Result<Derivation, AtermError> {
        let dynamic = self.head()?;
        let outputs = self.outputs()?;
        self.expect(b",", "`,` and the input derivations")?;
        let input_drvs = self.input_drvs(dynamic)?;
        self.expect(b",", "`,` and the input sources")?;
        let input_srcs = self.input_srcs()?;

        // All that follows is free text; unescaped it is no longer than it is now.
        let mut arena = Arena::with_capacity(self.text.len() - self.at);
        self.expect(b",", "`,` and the system")?;
        let system = self.system(&mut arena)?;
        self.expect(b",", "`,` and the builder")?;
        let builder = self.text_into(&mut arena)?;
        self.expect(b",", "`,` and the arguments")?;
        let mut args = Vec::new();
        let mut list = self.list()?;
        while self.next(&mut list)? {
            args.push(self.text_into(&mut arena)?);
        }
        self.expect(b",", "`,` and the environment")?;
        let env = self.env(&mut arena)?;
        self.expect(b")", "`)` after the environment")?;
        if self.at < self.text.len() {
            return Err(AtermError::Trailing {
                offset: self.at,
                more: self.text.len() - self.at,
            });
        }

        Ok(Parts {
            name,
            outputs,
            input_drvs,
            input_srcs,
            arena,
            system,
            builder,
            args,
            env,
        }
        .finish())
    }

    /// Whether this is the form with outputs of outputs.
    fn head(&mut self) -> Result<bool, AtermError> {
        if self.eat(b"Derive(") {
            return Ok(false);
        }
        if !self.eat(b"DrvWithVersion(") {
            return Err(AtermError::Head {
                found: self.found(),
            });
        }
        let (_, version) = self.plain()?;
        if version != b"xp-dyn-drv" {
            return Err(AtermError::Version {
                version: Quoted::new(version),
            });
        }
        self.expect(b",", "`,` and the outputs")?;
        Ok(true)
    }

    fn outputs(&mut self) -> Result<Vec<(OutputName, Output)>, AtermError> {
        let mut outputs = Vec::new();
        let mut list = self.list()?;
        while self.next(&mut list)? {
            self.expect(b"(", "`(` and an output")?;
            let name = self.output_name()?;
            self.expect(b",", "`,` and the path of the output")?;
            let (path_at, path) = self.plain()?;
            self.expect(b",", "`,` and the hash algorithm of the output")?;
            let (_, algo) = self.plain()?;
            self.expect(b",", "`,` and the hash of the output")?;
            let (_, hash) = self.plain()?;
            self.expect(b")", "`)` after the output")?;
            let output = self.output(&name, path_at, path, algo, hash)?;
            outputs.push((name, output));
        }
        // As in Nix, the first of several outputs of one name counts; of all else it is the last.
        if !outputs.is_sorted_by(|one, other| one.0 < other.0) {
            outputs.reverse();
        }
        Ok(outputs)
    }

    fn output(
        &self,
        name: &OutputName,
        path_at: usize,
        path: &[u8],
        algo: &[u8],
        hash: &[u8],
    ) -> Result<Output, AtermError> {
        let shape = |problem| AtermError::OutputShape {
            output: name.clone(),
            problem,
        };
        let parsed_path = || {
            self.dir.parse(path).map_err(|source| AtermError::Path {
                offset: path_at,
                source,
            })
        };
        if algo.is_empty() {
            return match (path, hash) {
                (_, [_, ..]) => Err(shape("a hash without an algorithm")),
                ([], []) => Ok(Output::Deferred),
                (_, []) => Ok(Output::InputAddressed {
                    path: parsed_path()?,
                }),
            };
        }
        let (method, algo) = ContentAddressMethod::parse_with_algo(&String::from_utf8_lossy(algo))
            .map_err(|source| AtermError::OutputAlgo {
                output: name.clone(),
                source,
            })?;
        match (path, hash) {
            ([], b"") => Ok(Output::Floating { method, algo }),
            ([], b"impure") => Ok(Output::Impure { method, algo }),
            (_, b"" | b"impure") => Err(shape("a path that it cannot know")),
            (_, hash) => {
                let hash =
                    Hash::parse_digest(&String::from_utf8_lossy(hash), algo).map_err(|source| {
                        AtermError::OutputHash {
                            output: name.clone(),
                            source,
                        }
                    })?;
                Ok(Output::Fixed {
                    path: parsed_path()?,
                    address: ContentAddress::new(method, hash),
                })
            }
        }
    }

    fn input_drvs(&mut self, dynamic: bool) -> Result<Vec<InputDrv>, AtermError> {
        let mut inputs = Vec::new();
        let mut list = self.list()?;
        while self.next(&mut list)? {
            self.expect(b"(", "`(` and an input derivation")?;
            let (offset, path) = self.plain()?;
            let path: DrvPath = self
                .dir
                .parse_drv(path)
                .map_err(|source| AtermError::Path { offset, source })?;
            self.expect(b",", "`,` and the outputs of the input derivation")?;
            inputs.push(if dynamic {
                self.dynamic_input(path)?
            } else {
                InputDrv {
                    path,
                    outputs: self.output_names()?.into(),
                    dynamic: Box::default(),
                }
            });
            self.expect(b")", "`)` after the input derivation")?;
        }
        Ok(inputs)
    }

    /// Outputs, or a tuple of outputs and, by output, the same again.
    fn dynamic_input(&mut self, path: DrvPath) -> Result<InputDrv, AtermError> {
        let mut outputs = Vec::new();
        let mut dynamic = Vec::new();
        // The outputs that lead to where we are.
        let mut chain: Vec<OutputName> = Vec::new();
        loop {
            let offset = self.at;
            let tuple = self.eat(b"(");
            let names = self.output_names()?;
            let mut inner = false;
            if tuple {
                self.expect(b",[", "`,[` and the outputs of outputs")?;
                inner = !self.eat(b"]");
            }
            if names.is_empty() && !inner {
                return Err(AtermError::DynamicInput {
                    offset,
                    problem: "an input without outputs",
                });
            }
            if chain.is_empty() {
                outputs = names;
            } else if !names.is_empty() {
                dynamic.push(DynamicOutputs {
                    chain: chain.clone().into(),
                    outputs: names.into(),
                });
            }
            if inner {
                self.enter(&mut chain, None)?;
                continue;
            }
            if tuple {
                self.expect(b")", "`)` after the outputs of outputs")?;
            }
            // This entry is complete; so may be those around it.
            loop {
                let Some(done) = chain.pop() else {
                    return Ok(InputDrv {
                        path,
                        outputs: outputs.into(),
                        dynamic: dynamic.into(),
                    });
                };
                self.expect(b")", "`)` after the outputs of an output")?;
                if self.eat(b",") {
                    self.enter(&mut chain, Some(&done))?;
                    break;
                }
                self.expect(b"])", "`,` or `])` after the outputs of an output")?;
            }
        }
    }

    /// Enters the outputs of an output, which must come after `previous`.
    fn enter(
        &mut self,
        chain: &mut Vec<OutputName>,
        previous: Option<&OutputName>,
    ) -> Result<(), AtermError> {
        let offset = self.at;
        self.count()?;
        self.expect(b"(", "`(` and an output")?;
        let name = self.output_name()?;
        if previous.is_some_and(|previous| *previous >= name) {
            return Err(AtermError::DynamicInput {
                offset,
                problem: "outputs of outputs out of order",
            });
        }
        self.expect(b",", "`,` and the outputs of the output")?;
        chain.push(name);
        if chain.len() > self.limits.dynamic_depth {
            return Err(AtermError::TooDeep {
                offset,
                limit: self.limits.dynamic_depth,
            });
        }
        Ok(())
    }

    fn output_names(&mut self) -> Result<Vec<OutputName>, AtermError> {
        let mut names = Vec::new();
        let mut list = self.list()?;
        while self.next(&mut list)? {
            names.push(self.output_name()?);
        }
        sort_last_wins(&mut names, Ord::cmp);
        Ok(names)
    }

    fn output_name(&mut self) -> Result<OutputName, AtermError> {
        let (offset, name) = self.plain()?;
        OutputName::new(name).map_err(|source| AtermError::OutputName { offset, source })
    }

    fn input_srcs(&mut self) -> Result<Vec<StorePath>, AtermError> {
        let mut paths = Vec::new();
        let mut list = self.list()?;
        while self.next(&mut list)? {
            let (offset, path) = self.plain()?;
            paths.push(
                self.dir
                    .parse(path)
                    .map_err(|source| AtermError::Path { offset, source })?,
            );
        }
        Ok(paths)
    }

    /// The system; Nix prints it without escaping, so it is taken as it stands.
    fn system(&mut self, arena: &mut Arena) -> Result<Span, AtermError> {
        let (_, system) = self.plain()?;
        if std::str::from_utf8(system).is_err() {
            return Err(AtermError::System {
                system: Quoted::new(system),
            });
        }
        arena
            .push(system)
            .map_err(|source| AtermError::TooLarge { source })
    }

    fn env(&mut self, arena: &mut Arena) -> Result<Vec<(Span, Span)>, AtermError> {
        let mut env = Vec::new();
        let mut list = self.list()?;
        while self.next(&mut list)? {
            self.expect(b"(", "`(` and an environment variable")?;
            let key = self.text_into(arena)?;
            self.expect(b",", "`,` and the value of the environment variable")?;
            let value = self.text_into(arena)?;
            self.expect(b")", "`)` after the environment variable")?;
            env.push((key, value));
        }
        Ok(env)
    }

    /// Reads a string with its escapes into the arena.
    fn text_into(&mut self, arena: &mut Arena) -> Result<Span, AtermError> {
        let offset = self.at;
        self.expect(b"\"", "a string")?;
        let mut rest = &self.text[self.at..];
        let mut open = false;
        let span = arena
            .push_with(|out| {
                loop {
                    let Some(end) = memchr::memchr2(b'"', b'\\', rest) else {
                        open = true;
                        return;
                    };
                    out.extend_from_slice(&rest[..end]);
                    match rest[end..] {
                        [b'\\', escaped, ref after @ ..] => {
                            out.push(match escaped {
                                b'n' => b'\n',
                                b'r' => b'\r',
                                b't' => b'\t',
                                other => other,
                            });
                            rest = after;
                        }
                        [b'"', ref after @ ..] => {
                            rest = after;
                            return;
                        }
                        _ => {
                            open = true;
                            return;
                        }
                    }
                }
            })
            .map_err(|source| AtermError::TooLarge { source })?;
        if open {
            return Err(AtermError::OpenString { offset });
        }
        self.at = self.text.len() - rest.len();
        Ok(span)
    }

    /// Reads a string as it stands, with its offset; escapes are not undone.
    fn plain(&mut self) -> Result<(usize, &'a [u8]), AtermError> {
        let offset = self.at;
        self.expect(b"\"", "a string")?;
        let start = self.at;
        let mut end = start;
        loop {
            match memchr::memchr2(b'"', b'\\', &self.text[end..]) {
                Some(found) if self.text[end + found] == b'"' => {
                    end += found;
                    break;
                }
                Some(found) if end + found + 2 <= self.text.len() => end += found + 2,
                _ => return Err(AtermError::OpenString { offset }),
            }
        }
        self.at = end + 1;
        Ok((offset, &self.text[start..end]))
    }

    fn list(&mut self) -> Result<List, AtermError> {
        self.expect(b"[", "`[`, a list")?;
        Ok(List { first: true })
    }

    /// Whether the list goes on; its separator, or its end, is read.
    fn next(&mut self, list: &mut List) -> Result<bool, AtermError> {
        if self.eat(b"]") {
            return Ok(false);
        }
        if !std::mem::take(&mut list.first) {
            self.expect(b",", "`,` or `]` after a list element")?;
        }
        self.count()?;
        Ok(true)
    }

    fn count(&mut self) -> Result<(), AtermError> {
        match self.items_left.checked_sub(1) {
            Some(left) => self.items_left = left,
            None => {
                return Err(AtermError::TooMany {
                    limit: self.limits.items,
                });
            }
        }
        Ok(())
    }

    fn expect(&mut self, token: &[u8], expected: &'static str) -> Result<(), AtermError> {
        if self.eat(token) {
            Ok(())
        } else if self.at == self.text.len() {
            Err(AtermError::Truncated {
                offset: self.at,
                expected,
            })
        } else {
            Err(AtermError::Expected {
                offset: self.at,
                expected,
                found: self.found(),
            })
        }
    }

    fn eat(&mut self, token: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn found(&self) -> Quoted {
        let rest = &self.text[self.at..];
        Quoted::new(&rest[..rest.len().min(16)])
    }
}

struct List {
    first: bool,
}
