//! Commands of a script: for `switchhook rpc`, JSON-RPC on the admin socket, and `rpc:call` from Erlang.
//!
//! ```
//! use switchhook_sdk::prelude::*;
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     /// Adds two numbers.
//!     #[rpc("sums.add")]
//!     fn add(params: &rpc::Params) -> Result<i64> {
//!         let (a, b): (i64, i64) = params.read()?;
//!         Ok(a + b)
//!     }
//! }
//!
//! # fn main() {
//! let site = switchhook_sdk::testkit::Site::new(routes::Script, "{}");
//! assert_eq!(site.command("sums.add", "[2, 3]").unwrap(), "5");
//! assert_eq!(site.command("sums.add", "[2]").unwrap_err().code, 400);
//! # }
//! ```
//!
//! The comment above the function is what `core.methods` tells. The name is `group.command`, in a group that the host does not have. What the
//! function returns is anything that serde can write as JSON. An error is a fault: 400 where the arguments are wrong
//! ([`bad_request`]), 404 ([`not_found`]), 500 for anything else.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorCode, Result};
use crate::host::rpc;

pub use crate::bindings::exports::switchhook::script::rpc_route::Fault;

/// The arguments of a command: a JSON array or object.
#[derive(Debug, Clone)]
pub struct Params(String);

impl Params {
    /// The arguments as a Rust type: a tuple or `Vec` of an array, a struct of either.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.0).map_err(|error| bad_request(format!("arguments: {error}")))
    }

    /// The arguments as they came.
    pub fn json(&self) -> &str {
        &self.0
    }
}

/// The error of a command whose arguments are wrong; a fault 400.
pub fn bad_request(message: impl Into<String>) -> Error {
    Error::coded(ErrorCode::Invalid, message.into())
}

/// The error of a command that was asked for what is not there; a fault 404.
pub fn not_found(message: impl Into<String>) -> Error {
    Error::coded(ErrorCode::NotFound, message.into())
}

/// Registers the script's commands; in `init`.
pub(crate) fn register(commands: &[(&str, &str)]) -> Result<()> {
    commands
        .iter()
        .try_for_each(|(name, doc)| rpc::register(name, doc).map_err(Error::host))
}

/// Runs a command's function; what the macro calls.
#[doc(hidden)]
pub fn answer<T: Serialize>(
    params: String,
    command: impl FnOnce(&Params) -> Result<T>,
) -> Result<String> {
    let value = command(&Params(params))?;
    Ok(serde_json::to_string(&value)?)
}

pub(crate) fn fault(error: Error) -> Fault {
    Fault {
        code: match error.code() {
            Some(ErrorCode::Invalid) => 400,
            Some(ErrorCode::NotFound) => 404,
            _ => 500,
        },
        message: error.into_message(),
    }
}
