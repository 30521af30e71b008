//! What the fake host knows: the site's tables, and the event that a script is in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use switchhook_sip::message::Message;
use switchhook_store::Vars;

use super::dialogs::{Dialogs, Tracked};
use super::dmq::FakeBus;
use super::erlang::Fake;
use super::message::text;
use super::uac::FakeUac;
use crate::host::auth::{Kind, Verdict};
use crate::host::htable;
use crate::host::registrar::Binding;
use crate::host::tm::{Order, Target};
use crate::host::types::{self, Body, Endpoint, ErrorCode, Header, IpAddress, Transport};
use crate::routes::Family;
use crate::uri::Uri;

/// Our one socket.
pub(super) const LOCAL: Endpoint = Endpoint {
    transport: Transport::Udp,
    address: IpAddress::V4(0x7f00_0001),
    port: 5060,
};

/// A site's state, and the event under way.
#[derive(Default)]
pub(super) struct World {
    pub(super) domains: Vec<String>,
    /// Contacts by table and address of record.
    pub(super) locations: BTreeMap<(String, String), Vec<Binding>>,
    pub(super) htables: BTreeMap<String, BTreeMap<String, htable::Value>>,
    pub(super) handlers: Vec<(Family, String)>,
    pub(super) event: Option<Event>,
    pub(super) log: Vec<String>,
    pub(super) erlang: Fake,
    pub(super) bus: FakeBus,
    pub(super) uac: FakeUac,
    pub(super) commands: Vec<(String, String)>,
    pub(crate) dialogs: Dialogs,
}

/// What a script is asked, and what it has done so far.
pub(super) struct Event {
    pub(super) family: Family,
    pub(super) request: Message,
    pub(super) reply: Option<Message>,
    pub(super) source: Endpoint,
    pub(super) destination: Option<Endpoint>,
    pub(super) credentials: Verdict,
    pub(super) decided: Vec<Decision>,
    pub(super) targets: Vec<Target>,
    pub(super) next_hop: Option<String>,
    pub(super) vars: Vars,
    pub(super) arms: Arms,
    pub(super) route_params: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) canceled: bool,
    pub(super) timed_out: bool,
    pub(super) branch: Option<u32>,
    pub(crate) dialog: Option<Tracked>,
}

/// The routes that a transaction has armed, and its timeouts.
#[derive(Clone, Default)]
pub(super) struct Arms {
    pub(super) failure: String,
    pub(super) onreply: String,
    pub(super) branch: String,
    pub(super) timeouts: (u32, u32),
    pub(super) force_rport: bool,
}

/// What a script decided, in order.
pub(super) enum Decision {
    Relay,
    Fork(Vec<Target>, Order),
    Forward,
    /// Copies, to these next hops.
    Replicate(Vec<String>),
    Reply(u16, String, Vec<Header>, Option<Body>),
    Challenge(Kind, String),
    Cancel,
}

impl Decision {
    /// Whether it decides what becomes of the request, as copies do not.
    pub(super) fn ends(&self) -> bool {
        !matches!(self, Decision::Replicate(_))
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<World>>>> = const { RefCell::new(None) };
}

/// Runs a script's export in that world.
pub(super) fn within<R>(world: &Rc<RefCell<World>>, export: impl FnOnce() -> R) -> R {
    struct Leave(Option<Rc<RefCell<World>>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _leave = Leave(CURRENT.replace(Some(world.clone())));
    export()
}

/// Whether a script runs: a function of its own that a test calls runs without a site.
pub(super) fn is_running() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// The world of the running script.
pub(super) fn world<R>(act: impl FnOnce(&mut World) -> R) -> R {
    let current = CURRENT.with_borrow(Clone::clone);
    let current = current.expect("a host call outside of a script: run it with testkit::Site");
    act(&mut current.borrow_mut())
}

/// The event of the running script; none in `init`.
pub(super) fn event<R>(act: impl FnOnce(&mut Event) -> R) -> Option<R> {
    world(|world| world.event.as_mut().map(act))
}

/// The same where the event is of one of these families.
pub(super) fn event_of<R>(
    families: &[Family],
    act: impl FnOnce(&mut Event) -> Result<R, types::Error>,
) -> Result<R, types::Error> {
    event(|event| {
        if families.contains(&event.family) {
            act(event)
        } else {
            Err(not_here(&format!("{:?}", event.family)))
        }
    })
    .unwrap_or_else(|| Err(not_here("init")))
}

pub(super) fn not_here(route: &str) -> types::Error {
    types::Error {
        code: ErrorCode::NotHere,
        message: format!("this call makes no sense in {route}"),
    }
}

pub(super) fn unavailable(message: &str) -> types::Error {
    types::Error {
        code: ErrorCode::Unavailable,
        message: message.to_owned(),
    }
}

pub(super) fn full(message: &str) -> types::Error {
    types::Error {
        code: ErrorCode::Limit,
        message: message.to_owned(),
    }
}

pub(super) fn not_found(what: &str, name: &str) -> types::Error {
    types::Error {
        code: ErrorCode::NotFound,
        message: format!("there is no {what} {name:?}"),
    }
}

impl World {
    /// Whether a URI is ours: one of the domains, or our socket.
    pub(super) fn owns(&self, uri: &str) -> bool {
        let uri = Uri::lenient(uri);
        let ours = self
            .domains
            .iter()
            .any(|domain| domain.eq_ignore_ascii_case(uri.host()));
        let socket = uri.host() == "127.0.0.1" && uri.port().unwrap_or(5060) == LOCAL.port;
        uri.is_sip() && (ours && uri.port().is_none_or(|port| port == 5060) || socket)
    }
}

/// What contacts are kept under: scheme, user and host.
pub(super) fn address_of_record(uri: &str) -> String {
    let uri = Uri::lenient(uri);
    match uri.user() {
        Some(user) => format!("sip:{user}@{}", uri.host().to_ascii_lowercase()),
        None => format!("sip:{}", uri.host().to_ascii_lowercase()),
    }
}

impl Event {
    pub(super) fn uri(&self) -> String {
        text(self.request.request_uri())
    }
}
