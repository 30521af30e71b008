//! Write SIP routing scripts for Switchhook in Rust.

pub mod auth;
#[doc(hidden)]
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]
pub mod bindings;
mod config;
mod error;
mod header;
mod host;
pub mod htable;
pub mod log;
mod message;
mod method;
mod nameaddr;
pub mod registrar;
mod reply;
mod request;
mod routes;
#[cfg(not(target_arch = "wasm32"))]
#[allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)] // a test's mistakes end the test
pub mod testkit;
pub mod transport;
mod uri;
pub mod vars;

pub use error::{End, Error, ErrorCode, Outcome, Result};
pub use method::Method;
pub use nameaddr::NameAddr;
pub use reply::{Answer, Reply};
pub use request::{Order, Problem, Request, Routed, Target};
pub use routes::{BranchRoute, Exports, FailureRoute, Family, OnReplyRoute, Script, private};
pub use switchhook_sdk_macros::script;
pub use uri::{NoUri, Uri, UriBuf};

#[doc(hidden)]
pub use bindings::export as __export;

/// What a script needs: `use switchhook_sdk::prelude::*;`
pub mod prelude {
    pub use crate::End::{Done, Drop, Next};
    pub use crate::auth::{self, Access};
    pub use crate::registrar::{self, Binding, Saved};
    pub use crate::{
        Error, Method, NameAddr, Order, Outcome, Reply, Request, Result, Routed, Target, Uri,
        UriBuf, htable, log, route, transport, vars,
    };
    pub use switchhook_sdk_macros::{
        branch_route, config, event_route, export_state, failure_route, import_state, init,
        onreply_route, onsend_route, reply_route, request_route,
    };
}
