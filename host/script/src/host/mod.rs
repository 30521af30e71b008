//! The host side of the contract, one file for each interface of wit/.
//!
//! Host functions read and edit the event in the store, or go through [`crate::Effects`]. Each counts itself and the bytes it
//! copies first. A call that makes no sense in the current route is refused with `not-here`; where the contract leaves no
//! room for an error, and there is no message to read at all, it traps with the same words.

mod auth;
pub(crate) mod dialog;
mod dmq;
mod erlang;
mod htable;
mod log;
mod registrar;
mod reply;
mod request;
mod rpc;
mod rr;
pub(crate) mod text;
mod tm;
mod transport;
mod uac;
mod vars;

use switchhook_bindings::switchhook::script as wit;
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker};

use crate::context::Context;
use crate::grants::{Grants, Interface};
use crate::refusal::Refusal;

/// What a function that may refuse gives.
type Answered<T> = Result<std::result::Result<T, Refusal>>;

/// Links what is granted, and nothing else. `types` has no functions.
pub(crate) fn link(linker: &mut Linker<Context>, grants: Grants) -> Result<()> {
    for interface in grants.iter() {
        macro_rules! add {
            ($module:ident) => {
                wit::$module::add_to_linker::<_, HasSelf<Context>>(linker, |context| context)?
            };
        }
        match interface {
            Interface::Log => add!(log),
            Interface::Vars => add!(vars),
            Interface::Request => add!(request),
            Interface::Reply => add!(reply),
            Interface::Transport => add!(transport),
            Interface::Tm => add!(tm),
            Interface::Rr => add!(rr),
            Interface::Registrar => add!(registrar),
            Interface::Auth => add!(auth),
            Interface::Dialog => add!(dialog),
            Interface::Htable => add!(htable),
            Interface::Erlang => add!(erlang),
            Interface::Rpc => add!(rpc),
            Interface::Dmq => add!(dmq),
            Interface::Uac => add!(uac),
        }
    }
    Ok(())
}

impl wit::types::Host for Context {}
