#![doc = include_str!("../README.md")]

mod attribute;
mod authority;
mod build;
mod case;
mod connect;
mod connection;
mod control;
pub mod evidence;
mod exchange;
mod listener;
mod load;
mod metrics;
mod process;
mod record;
mod replay;
mod requests;
mod room;
mod serve;
mod settings;
mod upstream;
mod who;
pub mod wire;

pub use self::authority::AuthorityError;
pub use self::control::{Control, ControlError};
pub use self::listener::Listener;
pub use self::load::LoadError;
pub use self::process::{keep_memory, until_unread};
pub use self::record::RecordError;
pub use self::serve::{Handle, Proxy, ProxyError, Session};
pub use self::settings::{EvidenceSettings, Mode, Settings, Times};
