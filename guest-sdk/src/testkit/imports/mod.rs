//! The host's functions as the fake host has them, with the signatures of the component's imports.

pub(crate) mod auth;
pub(crate) mod dialog;
pub(crate) mod dmq;
pub(crate) mod erlang;
pub(crate) mod htable;
pub(crate) mod log;
pub(crate) mod registrar;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod rpc;
pub(crate) mod rr;
pub(crate) mod tm;
pub(crate) mod transport;
pub(crate) mod uac;
pub(crate) mod vars;
