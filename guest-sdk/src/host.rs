//! The host's functions, by interface.
//!
//! In a guest they are the component's imports. Anywhere else they are the test kit's fake host, so that the very same script
//! runs natively. This is the only place where the two are told apart.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testkit::imports::{
    auth, dialog, dmq, erlang, htable, log, registrar, reply, request, rpc, rr, tm, transport, uac,
    vars,
};

pub(crate) use crate::bindings::switchhook::script::types;
#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::switchhook::script::{
    auth, dialog, dmq, erlang, htable, log, registrar, reply, request, rpc, rr, tm, transport, uac,
    vars,
};
