//! wasmtime's bindings of the contract in `wit/`: a trait to implement for each imported interface, typed handles
//! for each exported one.
//!
//! A crate of its own, so that a change in the host side of an interface does not expand the macro again. It holds
//! nothing but generated code. Imports may trap (a limit was reached) and are plain functions: a call that waits is
//! named below as `async`. Exports run on fibers, so that a waiting or busy guest leaves its thread.

#![allow(
    missing_docs,
    reason = "generated; the documents are the comments in wit/"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "script",
    imports: {
        "switchhook:script/erlang@0.1.0.rpc": async | trappable,
        "switchhook:script/erlang@0.1.0.connect": async | trappable,
        "switchhook:script/uac@0.1.0.ask": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
