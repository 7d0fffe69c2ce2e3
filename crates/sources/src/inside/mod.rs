//! What the files of objects declare of the libraries inside them.
//!
//! One parallel pass: directory entries, the first bytes of what may be of interest, and of that
//! only what its reader asks for. What was found in a store object is kept under its NAR hash, what
//! was found in a directory of files under the state of these files, so that the next scan reads
//! only what is new. Deliberately absent: what the bytes mean (`snowguard-parts`), and what follows
//! from it (`snowguard-inventory`).

mod cache;
mod codec;
mod files;
mod look;
mod stamp;
mod store;
mod walk;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use self::cache::Cache;
pub(crate) use self::files::read_files;
use self::look::Look;
pub(crate) use self::store::look_into;

/// Whether, and with what, objects are looked into.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    /// Whether at all.
    pub mode: Mode,
    /// The directory in which what was found is kept; none to keep nothing.
    pub cache: Option<PathBuf>,
    /// How much is read.
    pub limits: DeepLimits,
    /// The day on which it is read, counted from 1970: what was not used for long leaves the cache.
    pub today: u32,
    /// What it took, and what is to be told of it: counts up while it runs.
    pub effort: Arc<Effort>,
}

/// Which objects are looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// None.
    #[default]
    Never,
    /// Of a live store what is known from before, and as much that is new as costs little.
    Auto,
    /// All whose files are there.
    Always,
}

/// How much is read before an object is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeepLimits {
    /// What a reader may spend on one file.
    pub file: snowguard_parts::Limits,
    /// Directory entries of one object.
    pub entries: usize,
    /// Declarations of one object.
    pub declarations: usize,
    /// Bytes of new objects, as the store counts them, that [`Mode::Auto`] takes on at once.
    pub budget: u64,
    /// Bytes that the cache may take.
    pub cache: u64,
}

impl Default for DeepLimits {
    fn default() -> Self {
        Self {
            file: snowguard_parts::Limits::default(),
            entries: 4_000_000,
            declarations: 500_000,
            budget: 256 << 20,
            cache: 256 << 20,
        }
    }
}

/// What looking into objects took.
#[derive(Debug, Default)]
pub struct Effort {
    objects: AtomicUsize,
    of: AtomicUsize,
    known: AtomicUsize,
    opened: AtomicUsize,
    bytes: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

impl Effort {
    /// Objects that are done, and how many there are.
    pub fn objects(&self) -> (usize, usize) {
        (
            self.objects.load(Ordering::Relaxed),
            self.of.load(Ordering::Relaxed),
        )
    }

    /// Objects that were known from before.
    pub fn known(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    /// Files that were opened.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Bytes that were read from them.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What a person should know of it, in the order in which it came up.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings
            .lock()
            .map(|warnings| warnings.clone())
            .unwrap_or_default()
    }

    fn expect(&self, objects: usize) {
        self.of.fetch_add(objects, Ordering::Relaxed);
    }

    fn done(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    fn known_from_before(&self) {
        self.known.fetch_add(1, Ordering::Relaxed);
        self.done();
    }

    fn warn(&self, text: String) {
        if let Ok(mut warnings) = self.warnings.lock()
            && !warnings.contains(&text)
        {
            warnings.push(text);
        }
    }
}

/// For fuzzing only: reads a row of the cache, and writes what it says anew; none if it is no row.
pub fn rewrite_cached(row: &[u8]) -> Option<Vec<u8>> {
    codec::decode(row).map(|look| codec::encode(&look))
}

fn open_cache(deep: &Deep) -> Option<Cache> {
    let directory = deep.cache.as_deref()?;
    match Cache::open(directory, deep.today, deep.limits.cache) {
        Ok((cache, warning)) => {
            if let Some(warning) = warning {
                deep.effort.warn(warning);
            }
            Some(cache)
        }
        Err(warning) => {
            deep.effort.warn(warning);
            None
        }
    }
}

/// An object that could not be looked into at all.
fn unreadable(error: &std::io::Error) -> Look {
    Look {
        files: vec![look::File {
            path: Box::default(),
            stamp: None,
            parts: Vec::new(),
            problem: Some(error.to_string().into()),
            failed: true,
        }],
        ..Look::default()
    }
}
