//! Whatever comes through a pipe: what it is, what is in it, and which components that makes.
//!
//! Every form that is read is told by content alone, so one target reaches derivations, their JSON,
//! path infos, lists, documents, package sets, tar, gzip and zstd.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use snowguard_inventory::{IdentityTable, Inventory};
use snowguard_sources::{Input, Limits, Options, read};

fuzz_target!(|bytes: &[u8]| {
    let options = Options {
        limits: Limits {
            document: 1 << 20,
            derivation: 1 << 18,
            archive: 4 << 20,
            objects: 10_000,
        },
        ..Options::default()
    };
    let pipe = Cursor::new(bytes.to_vec());
    let read = Input::from_reader("standard input", pipe, &options)
        .and_then(|input| read(vec![input], Vec::new(), &options));
    match read {
        Ok(subject) => {
            assert_eq!(subject.graph.len(), subject.objects.len());
            let inventory = Inventory::of(&subject, &IdentityTable::default());
            assert!(inventory.components.len() <= subject.objects.len());
        }
        Err(error) => {
            let text = format!("{error} {:?}", error.hint());
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        }
    }
});
