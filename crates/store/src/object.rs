//! What is known of a store object apart from its content, wherever that is written down.
//!
//! Deliberately absent: the forms in which it is written down (`narinfo`, `path_info`).

use crate::compute::{ComputeError, References};
use crate::content_address::{ContentAddress, ContentAddressMethod};
use crate::nar::NarHash;
use crate::path::{StoreDir, StorePath};
use crate::signature::{PublicKey, Signature};

/// What is known of a store object apart from its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its path.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// The length of its NAR in bytes.
    pub nar_size: u64,
    /// The objects that it refers to, itself perhaps among them; sorted.
    pub references: Vec<StorePath>,
    /// The derivation that it was built by.
    pub deriver: Option<StorePath>,
    /// Who vouches for it, in the order in which that was written down.
    pub signatures: Vec<Signature>,
    /// How its path follows from its content, if it does.
    pub content_address: Option<ContentAddress>,
}

impl ObjectInfo {
    /// What signatures are made over: path, hash and length of the NAR, and references.
    pub fn fingerprint(&self, dir: &StoreDir) -> String {
        let references: Vec<String> = self
            .references
            .iter()
            .map(|path| dir.show(path).to_string())
            .collect();
        let path = dir.show(&self.path);
        format!(
            "1;{path};{};{};{}",
            self.nar_hash,
            self.nar_size,
            references.join(",")
        )
    }

    /// The signatures that verify, each with its key.
    pub fn verified<'a>(
        &'a self,
        dir: &StoreDir,
        keys: &'a [PublicKey],
    ) -> impl Iterator<Item = (&'a Signature, &'a PublicKey)> + use<'a> {
        let fingerprint = self.fingerprint(dir);
        self.signatures.iter().filter_map(move |signature| {
            let key = keys
                .iter()
                .find(|key| key.verifies(fingerprint.as_bytes(), signature))?;
            Some((signature, key))
        })
    }

    /// Whether the path follows from the content address, so that no signature is needed once the content
    /// has been checked; `None` if there is no content address.
    pub fn path_follows_from_content(&self, dir: &StoreDir) -> Result<Option<bool>, ComputeError> {
        let Some(address) = &self.content_address else {
            return Ok(None);
        };
        let (itself, others): (Vec<_>, Vec<_>) = self
            .references
            .iter()
            .cloned()
            .partition(|reference| *reference == self.path);
        let itself = !itself.is_empty();
        if itself && address.method == ContentAddressMethod::Text {
            return Ok(Some(false));
        }
        let references = References {
            others: &others,
            itself,
        };
        Ok(Some(
            dir.content_path(self.path.name(), address, references)? == self.path,
        ))
    }
}
