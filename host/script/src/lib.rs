//! Runs guest scripts: their engine, the host side of the contract, instances, generations, limits.
//!
//! A [`Script`] is one `[[script]]` of the config. It compiles a module, holds its imports against the [`Grants`], and keeps
//! its [`Generation`]s. Each lane has a [`Pool`] of its instances. An [`Event`] goes in by [`Pool::start`], which gives a
//! [`Running`] future; what comes out is a [`Finished`], whose event holds edits and [`Decision`]s for the engine to carry
//! out, and whose instance goes back by [`Pool::finish`].
//!
//! This crate opens no socket and sends nothing. All that a guest does to the world at once (log, tables, registrations,
//! credentials) goes through [`Effects`]; all else it can do is data in the event.
//!
//! Limits: see [`Limits`]. Reaching one ends the event with a [`GuestError`] that says which, and the instance with it.

mod cache;
mod command;
mod compile;
mod context;
mod contract;
pub mod dmq;
mod drive;
mod effects;
pub mod erlang;
mod error;
mod event;
mod generation;
mod grants;
mod host;
mod instance;
mod limits;
mod line;
mod live;
mod meter;
mod pool;
mod refusal;
mod running;
mod runtime;
mod script;
mod services;
mod ticker;
pub mod uac;

/// The types of wit/ that cross this crate's border.
pub mod wit {
    pub use switchhook_bindings::exports::switchhook::script::dmq_route::{
        Answered as DmqAnswered, Event as DmqEvent,
    };
    pub use switchhook_bindings::exports::switchhook::script::erlang_route::{
        Down, Event as ErlangEvent, Exited, Kind as MessageKind, Lost,
    };
    pub use switchhook_bindings::switchhook::script::auth::{Kind, Verdict};
    pub use switchhook_bindings::switchhook::script::dialog::Info as DialogInfo;
    pub use switchhook_bindings::switchhook::script::htable::Value;
    pub use switchhook_bindings::switchhook::script::log::Level;
    pub use switchhook_bindings::switchhook::script::registrar::{Binding, Saved};
    pub use switchhook_bindings::switchhook::script::rr::Routed;
    pub use switchhook_bindings::switchhook::script::types::{Endpoint, IpAddress};
}

pub use command::{Command, Fault, Invocation};
pub use contract::Family;
pub use effects::{Checked, Effects, OwnRoute, SaveResult, Scope};
pub use error::{GuestError, LoadError, Trace};
pub use event::{
    Answer, Body, Current, Decision, Event, HeaderField, Order, Outcome, Route, Target, Tracked,
    TransactionView,
};
pub use generation::{Generation, GenerationId, Hash, Pinned, Share};
pub use grants::{Grants, Interface};
pub use host::dialog::info as dialog_info;
pub use limits::{Limit, Limits};
pub use live::{Live, binding};
pub use pool::Pool;
pub use refusal::{ErrorCode, Refusal};
pub use running::{Finished, Running};
pub use script::{ErrorReply, Script, Settings, Swapped};
pub use services::Services;
pub use ticker::TICK;
