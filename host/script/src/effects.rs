//! The one boundary between guests and the world.
//!
//! All that a host function does outside of its event goes through [`Effects`]: the log, the stores, the users, what is
//! ours. Reads and edits of the event are no effects, and decisions are data in it. The trait is narrow and complete on
//! purpose: recording, replay and shadow runs are other implementations of it. [`crate::Live`] is the one that acts.

use std::sync::Arc;
use std::time::Instant;

use switchhook_bindings::switchhook::script::auth::{Kind, Verdict};
use switchhook_bindings::switchhook::script::htable::Value;
use switchhook_bindings::switchhook::script::log::Level;
use switchhook_bindings::switchhook::script::registrar::{Binding, Saved};
use switchhook_bindings::switchhook::script::rr::Routed;
use switchhook_sip::flow::Source;
use switchhook_sip::message::{EditError, Edits, Message, Position, Uri, View};
use switchhook_store::Dialogs;

use crate::dmq::DmqNode;
use crate::erlang::ErlangNode;
use crate::event::{Answer, HeaderField, Target};
use crate::generation::GenerationId;
use crate::refusal::Refusal;
use crate::uac::Uac;

/// Who speaks: what each line of a script's log carries.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The script's name.
    pub script: &'a str,
    /// Its generation.
    pub generation: GenerationId,
    /// The route's interface, `lifecycle` outside of events.
    pub route: &'static str,
    /// The route's name, empty where it has none.
    pub name: &'a str,
    /// Empty where there is no message.
    pub call_id: &'a [u8],
}

/// What `registrar.save` did, and the answer to give.
#[derive(Debug, Clone)]
pub struct SaveResult {
    /// For the script.
    pub saved: Saved,
    /// For the phone.
    pub answer: Answer,
}

/// What credentials are worth, and where the accepted ones stand.
#[derive(Debug, Clone)]
pub struct Checked {
    /// For the script.
    pub verdict: Verdict,
    /// The header field of accepted credentials.
    pub position: Option<Position>,
    /// They came with a REGISTER that was accepted before, whose sender repeats it.
    pub again: bool,
}

/// What Route processing found.
#[derive(Debug, Clone)]
pub struct OwnRoute {
    /// For the script.
    pub routed: Routed,
    /// The parameters of our own Route URI, `;lr;ftag=abc`, where it was one that we made.
    pub params: Option<Box<[u8]>>,
}

/// Everything that a guest can do to the world.
pub trait Effects: Send + Sync + 'static {
    /// Writes a line.
    fn log(&self, scope: &Scope<'_>, level: Level, text: &str);
    /// Whether a line of that level would be written.
    fn log_enabled(&self, level: Level) -> bool;

    /// Whether a URI's host and port are ours.
    fn is_myself(&self, uri: &Uri<'_>) -> bool;
    /// Why a proxy must refuse a request (RFC 3261 16.3), if it must.
    fn refusal(&self, request: &Message) -> Option<Answer>;
    /// Takes our own Routes off and repairs what strict routers do (RFC 3261 16.4).
    fn loose_route(&self, request: &Message, edits: &mut Edits) -> Result<OwnRoute, EditError>;

    /// The value of a key.
    fn htable_get(&self, table: &str, key: &str) -> Result<Option<Value>, Refusal>;
    /// Sets a value; `ttl` in seconds, 0 means the table's own.
    fn htable_set(&self, table: &str, key: &str, value: Value, ttl: u32) -> Result<(), Refusal>;
    /// Adds to an integer.
    fn htable_add(&self, table: &str, key: &str, delta: i64) -> Result<i64, Refusal>;
    /// Sets a new life in seconds.
    fn htable_expire(&self, table: &str, key: &str, ttl: u32) -> Result<bool, Refusal>;
    /// Removes a key.
    fn htable_remove(&self, table: &str, key: &str) -> Result<bool, Refusal>;
    /// Removes every key that begins so.
    fn htable_remove_prefix(&self, table: &str, prefix: &str) -> Result<u32, Refusal>;
    /// How many items are alive.
    fn htable_size(&self, table: &str) -> Result<u32, Refusal>;

    /// Carries a REGISTER out; one that comes `again` only answers as before, and changes nothing.
    fn save(
        &self,
        table: &str,
        register: View<'_>,
        source: &Source,
        again: bool,
    ) -> Result<SaveResult, Refusal>;
    /// The contacts of a URI as targets, preferred first.
    fn lookup(&self, table: &str, uri: &Uri<'_>) -> Result<Vec<Target>, Refusal>;
    /// The contacts of a URI.
    fn bindings(&self, table: &str, uri: &Uri<'_>) -> Result<Vec<Binding>, Refusal>;
    /// Whether a URI has contacts.
    fn registered(&self, table: &str, uri: &Uri<'_>) -> Result<bool, Refusal>;
    /// Removes all contacts of a URI.
    fn unregister(&self, table: &str, uri: &Uri<'_>) -> Result<u32, Refusal>;

    /// The calls that are tracked, and the time: a store that is changed at once.
    fn dialogs(&self) -> (&Dialogs, Instant);

    /// Checks a request's credentials for a realm.
    fn check_credentials(
        &self,
        kind: Kind,
        realm: &str,
        request: View<'_>,
        source: &Source,
    ) -> Checked;
    /// The header fields of a challenge, strongest algorithm first.
    fn challenge(&self, kind: Kind, realm: &str, stale: bool) -> Result<Vec<HeaderField>, Refusal>;

    /// The Erlang node, a part of this boundary that is a trait of its own; refused where the site has none.
    fn erlang(&self) -> Result<Arc<dyn ErlangNode>, Refusal>;
    /// The place on a DMQ bus, in the same way.
    fn dmq(&self) -> Result<Arc<dyn DmqNode>, Refusal>;
    /// The sender of requests of scripts' own; refused where nothing can be sent yet.
    fn uac(&self) -> Result<Arc<dyn Uac>, Refusal>;
}
