//! Transactions (RFC 3261 s.17, RFC 6026, RFC 4320) and the response context of a stateful proxy (s.16.6 to s.16.10).
//!
//! Owns, for one lane: which requests and responses belong together, every timer, retransmissions, hop-by-hop ACK, CANCEL, forking and
//! the choice of the best response. Never opens a socket, reads a clock, draws a random number or decides where a request
//! goes: bytes, events and `now` come in, [`Output`]s and the next deadline go out.
//!
//! # How to drive a [`Manager`]
//!
//! 1. Give it one input: [`on_request`](Manager::on_request), [`on_response`](Manager::on_response), [`on_timer`](Manager::on_timer),
//!    [`on_transport_error`](Manager::on_transport_error), or a decision ([`create`](Manager::create), [`relay`](Manager::relay),
//!    [`respond`](Manager::respond), [`pass`](Manager::pass), ...). `now` never goes back.
//! 2. Call [`poll`](Manager::poll) until it gives `None`, and do what each [`Output`] says, in order. Decisions may be made between
//!    two polls; what they cause comes after what is there.
//! 3. Sleep until [`deadline`](Manager::deadline) or the next input. At the deadline call [`on_timer`](Manager::on_timer). A deadline may be early,
//!    and then nothing happens; it is never late.
//!
//! A request goes through it like this:
//!
//! - [`on_request`](Manager::on_request) says what it is. [`New`](Arrival::New) is the caller's: answer it
//!   [without state](Manager::answer_without_state), or [`create`](Manager::create) a transaction, before anything that takes time, and then
//!   [`relay`](Manager::relay), [`respond`](Manager::respond) or [`answer`](Manager::answer) it. Whoever creates must see to an end:
//!   a final answer, or [`terminate`](Manager::terminate).
//! - For each target take a [`next_branch`](Manager::next_branch), render the request with it in the top Via, and hand the bytes to
//!   `relay`. Groups that come later go to [`queue`](Manager::queue).
//! - Responses go upstream by themselves unless the caller has [armed](Manager::arm) the transaction. Then
//!   [`Output::Reply`] and [`Output::Failure`] ask for a verdict, which may be given in the same turn or much later. Meanwhile copies are
//!   absorbed, a CANCEL is obeyed, other branches go on; a verdict that comes too late is [refused](Refusal) and changes nothing.
//! - [`Output::Terminated`] gives the caller's data back, once for each transaction, after everything else, unless it was taken
//!   back before.
//!
//! # Limits
//!
//! [`Config`] bounds transactions, branches and held responses. After its final response a transaction keeps that response, for as
//! long as copies may come, and about 700 bytes besides for itself and one branch; the request is let go. What the caller is asked and
//! never answers ends by itself after [`Timers::patience`].
//!
//! Not here: where a request goes and what is written into it (`proxy`), loop detection.

pub mod answer;
mod best;
mod cell;
pub mod client;
mod identity;
pub mod invite_client;
pub mod invite_server;
mod io;
mod leg;
mod manager;
mod names;
pub mod non_invite_client;
pub mod non_invite_server;
mod request;
pub mod server;
mod slots;
mod table;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod wheel;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use io::{
    Arms, Arrival, Best, Branch, Config, Key, Matched, NotCreated, Origin, Output, Refusal,
    ReplyId, Wait,
};
pub use manager::{Manager, Usage};
pub use names::{BranchId, Tag};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use timers::Timers;
