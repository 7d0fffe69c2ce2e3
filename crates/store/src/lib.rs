#![doc = include_str!("../README.md")]

mod base64;
mod compute;
pub mod content_address;
pub mod derivation;
pub mod hash;
pub mod nar;
pub mod narinfo;
pub mod nix32;
pub mod object;
pub mod path;
pub mod path_info;
mod quote;
pub mod secret_key;
mod serde_text;
pub mod signature;
mod version;

pub use self::compute::{ComputeError, References};
pub use self::content_address::{ContentAddress, ContentAddressMethod};
pub use self::derivation::{Derivation, DerivationBuilder, DerivationKind, InputDrv, Output};
pub use self::hash::{Hash, HashAlgo, Hasher, Notation};
pub use self::nar::{NarDigest, NarHash};
pub use self::narinfo::NarInfo;
pub use self::object::ObjectInfo;
pub use self::path::{DrvPath, OutputName, StoreDir, StoreName, StorePath};
pub use self::path_info::{PathInfo, PathInfoSet};
pub use self::quote::Quoted;
pub use self::secret_key::SecretKey;
pub use self::signature::{PublicKey, Signature};
pub use self::version::{VersionComponents, compare_versions, parse_drv_name, version_components};
