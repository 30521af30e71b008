//! Lanes: wires events to guests and decisions to the network.
//!
//! Owns the threads and the order of things; knows sockets only as `switchhook-net` gives them, SIP as `switchhook-sip`
//! says it, guests as `switchhook-script` runs them.
//!
//! One [`Engine`] has as many lanes as its [`switchhook_net::Listeners`] were bound for. A request goes: datagram, parsed
//! in place; the transaction layer (copies, ACK, CANCEL); the guest's request route, polled once in place; its decisions, carried
//! out; branches, rendered and sent in a batch. A reply goes the same way back.
//!
//! What is bounded, and what happens then: [`EngineLimits`], [`switchhook_net::NetLimits`].

mod answer;
mod background;
mod clients;
mod command;
mod config;
mod context;
mod copies;
mod dialog;
pub mod dmq;
mod engine;
mod erlang;
mod failed;
mod failover;
mod forward;
mod guest;
mod handover;
mod housekeeping;
mod lane;
mod leg;
mod length;
mod overload;
mod relay;
mod reply;
mod request;
mod resolve;
mod stats;
mod uac;

pub use config::{EngineConfig, EngineLimits};
pub use engine::{Drained, Engine, StartError, SwapError};
pub use erlang::Face as ErlangFace;
pub use stats::{LaneCounters, Stats};
