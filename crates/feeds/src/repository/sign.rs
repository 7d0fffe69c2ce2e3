//! Signing TUF metadata, and the root that says who may.

use std::collections::HashMap;
use std::num::NonZeroU64;

use jiff::Timestamp;
use olpc_cjson::CanonicalFormatter;
use serde::Serialize;
use snowguard_store::SecretKey;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use tough::schema::{RoleKeys, RoleType, Root, Signature, Signed};

use super::error::PublishError;

/// The version of the TUF specification that is followed.
pub(super) const SPECIFICATION: &str = "1.0.0";

/// A public key as TUF has it.
pub(super) fn tuf_key(public: &[u8; 32]) -> Key {
    Key::Ed25519 {
        keyval: Ed25519Key {
            public: public.to_vec().into(),
            _extra: HashMap::new(),
        },
        scheme: Ed25519Scheme::Ed25519,
        _extra: HashMap::new(),
    }
}

/// The id of a public key: a digest of its TUF form.
pub(super) fn key_id(public: &[u8; 32]) -> Result<Decoded<Hex>, tough::schema::Error> {
    tuf_key(public).key_id()
}

/// A root in which one key signs everything.
pub(super) fn root(
    version: NonZeroU64,
    expires: Timestamp,
    public: &[u8; 32],
) -> Result<Root, tough::schema::Error> {
    let id = key_id(public)?;
    let role = || RoleKeys {
        keyids: vec![id.clone()],
        threshold: NonZeroU64::MIN,
        _extra: HashMap::new(),
    };
    let roles = [
        RoleType::Root,
        RoleType::Timestamp,
        RoleType::Snapshot,
        RoleType::Targets,
    ];
    Ok(Root {
        spec_version: SPECIFICATION.to_owned(),
        consistent_snapshot: true,
        version,
        expires,
        keys: HashMap::from([(id.clone(), tuf_key(public))]),
        roles: roles.into_iter().map(|kind| (kind, role())).collect(),
        _extra: HashMap::new(),
    })
}

/// Whether a root lets a key sign for the root role.
pub(super) fn is_root_key(root: &Root, public: &[u8; 32]) -> bool {
    key_id(public).is_ok_and(|id| {
        root.roles
            .get(&RoleType::Root)
            .is_some_and(|role| role.keyids.contains(&id))
    })
}

/// Signs a role, and gives the bytes of its file.
pub(super) fn signed<T: Serialize>(role: T, keys: &[&SecretKey]) -> Result<Vec<u8>, PublishError> {
    let mut canonical = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut canonical, CanonicalFormatter::new());
    role.serialize(&mut serializer)
        .map_err(PublishError::json)?;
    let signatures = keys
        .iter()
        .map(|key| {
            Ok(Signature {
                keyid: key_id(key.public().bytes()).map_err(PublishError::schema)?,
                sig: key.sign(&canonical).bytes().to_vec().into(),
            })
        })
        .collect::<Result<_, PublishError>>()?;
    let signed = Signed {
        signed: role,
        signatures,
    };
    serde_json::to_vec(&signed).map_err(PublishError::json)
}
