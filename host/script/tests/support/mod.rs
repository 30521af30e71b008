//! Small guests written as WAT, a world that writes down what they do to it, and requests to give them.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper fails as its test does"
)]

mod guest;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use switchhook_script::dmq::DmqNode;
use switchhook_script::erlang::ErlangNode;
use switchhook_script::uac::Uac;
use switchhook_script::wit::{Binding, Kind, Level, Routed, Value, Verdict};
use switchhook_script::{
    Answer, Checked, Current, Effects, ErrorCode, Event, Finished, Grants, HeaderField, Live,
    OwnRoute, Pool, Refusal, Route, Running, SaveResult, Scope, Script, Services, Settings, Target,
};
use switchhook_sip::digest::{Authority, Config, UserTable};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{EditError, Edits, Message, Uri, View};
use switchhook_sip::proxy::{LoopKey, Own};
use switchhook_sip::registrar::Limits;
use switchhook_store::{DialogLimits, Dialogs, Htables, LocationLimits, Locations, TableConfig};

pub use guest::guest;

/// A guest whose `on-request` has this body; it must leave a result's address, and has a local `$n`.
pub fn on_request(imports: &str, body: &str) -> Vec<u8> {
    guest(
        &["request-route"],
        imports,
        &format!(
            r#"(func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
                (local $n i32) call $begin {body})"#
        ),
    )
}

/// The same as a component.
pub fn componentize(module: &[u8]) -> Vec<u8> {
    wit_component::ComponentEncoder::default()
        .module(module)
        .unwrap()
        .encode()
        .unwrap()
}

/// A world that writes lines down, counts to itself, and has nothing else.
pub struct Book {
    lines: Mutex<Vec<String>>,
    count: Mutex<i64>,
    pub node: Mutex<Option<Arc<dyn ErlangNode>>>,
    pub bus: Mutex<Option<Arc<dyn DmqNode>>>,
    dialogs: Dialogs,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            count: Mutex::default(),
            node: Mutex::default(),
            bus: Mutex::default(),
            dialogs: Dialogs::new(Instant::now(), DialogLimits::default()),
        }
    }
}

impl Book {
    pub fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

fn nothing<T>() -> Result<T, Refusal> {
    Err(Refusal {
        code: ErrorCode::NotFound,
        message: "this world has none".into(),
    })
}

impl Effects for Book {
    fn log(&self, scope: &Scope<'_>, _: Level, text: &str) {
        let line = format!(
            "{}/{} {}: {text}",
            scope.script,
            scope.route,
            String::from_utf8_lossy(scope.call_id)
        );
        self.lines.lock().unwrap().push(line);
    }

    fn log_enabled(&self, level: Level) -> bool {
        level != Level::Trace
    }

    fn is_myself(&self, uri: &Uri<'_>) -> bool {
        uri.host == b"example.test"
    }

    fn refusal(&self, _: &Message) -> Option<Answer> {
        None
    }

    fn loose_route(&self, _: &Message, _: &mut Edits) -> Result<OwnRoute, EditError> {
        Ok(OwnRoute {
            routed: Routed::Loose,
            params: Some((*b";lr;ftag=abc;x").into()),
        })
    }

    fn htable_get(&self, _: &str, _: &str) -> Result<Option<Value>, Refusal> {
        Ok(Some(Value::Integer(*self.count.lock().unwrap())))
    }

    fn htable_set(&self, _: &str, _: &str, _: Value, _: u32) -> Result<(), Refusal> {
        nothing()
    }

    fn htable_add(&self, _: &str, _: &str, delta: i64) -> Result<i64, Refusal> {
        let mut count = self.count.lock().unwrap();
        *count += delta;
        Ok(*count)
    }

    fn htable_expire(&self, _: &str, _: &str, _: u32) -> Result<bool, Refusal> {
        nothing()
    }

    fn htable_remove(&self, _: &str, _: &str) -> Result<bool, Refusal> {
        nothing()
    }

    fn htable_remove_prefix(&self, _: &str, _: &str) -> Result<u32, Refusal> {
        nothing()
    }

    fn htable_size(&self, _: &str) -> Result<u32, Refusal> {
        nothing()
    }

    fn save(&self, _: &str, _: View<'_>, _: &Source, _: bool) -> Result<SaveResult, Refusal> {
        nothing()
    }

    fn lookup(&self, _: &str, _: &Uri<'_>) -> Result<Vec<Target>, Refusal> {
        nothing()
    }

    fn bindings(&self, _: &str, _: &Uri<'_>) -> Result<Vec<Binding>, Refusal> {
        nothing()
    }

    fn registered(&self, _: &str, _: &Uri<'_>) -> Result<bool, Refusal> {
        nothing()
    }

    fn unregister(&self, _: &str, _: &Uri<'_>) -> Result<u32, Refusal> {
        nothing()
    }

    fn check_credentials(&self, _: Kind, _: &str, _: View<'_>, _: &Source) -> Checked {
        Checked {
            verdict: Verdict::Missing,
            position: None,
            again: false,
        }
    }

    fn challenge(&self, _: Kind, _: &str, _: bool) -> Result<Vec<HeaderField>, Refusal> {
        nothing()
    }

    fn dialogs(&self) -> (&Dialogs, Instant) {
        (&self.dialogs, Instant::now())
    }

    fn erlang(&self) -> Result<Arc<dyn ErlangNode>, Refusal> {
        match self.node.lock().unwrap().clone() {
            Some(node) => Ok(node),
            None => nothing(),
        }
    }

    fn uac(&self) -> Result<Arc<dyn Uac>, Refusal> {
        nothing()
    }

    fn dmq(&self) -> Result<Arc<dyn DmqNode>, Refusal> {
        match self.bus.lock().unwrap().clone() {
            Some(bus) => Ok(bus),
            None => nothing(),
        }
    }
}

/// Effects that act, on [`services`].
pub fn live() -> Live {
    Live::new(Arc::new(services()))
}

/// One table `calls`, one location table, no users, no Erlang node; `example.test` is ours.
pub fn services() -> Services {
    let mut own = Own::new();
    own.add_interface(
        Transport::Udp,
        "127.0.0.1:5060",
        "127.0.0.1:5060".parse().unwrap(),
    );
    own.add_domain("example.test");
    let table = TableConfig {
        name: "calls".into(),
        expire: Duration::from_secs(3600),
        max_items: 2,
        max_bytes: 1 << 20,
    };
    Services {
        erlang: Default::default(),
        dmq: Default::default(),
        uac: Default::default(),
        own,
        loop_key: LoopKey::new([1, 2]),
        htables: Htables::new([table]),
        locations: [(
            "location".to_owned(),
            Locations::new(LocationLimits::default()),
        )]
        .into(),
        dialogs: Dialogs::new(Instant::now(), DialogLimits::default()),
        registrar: Limits::default(),
        authority: Authority::new([7; 32], Instant::now(), Config::default()),
        users: Box::new(UserTable::default()),
        clock: Instant::now,
    }
}

/// Everything granted, small pool.
pub fn settings() -> Settings {
    let mut settings = Settings::new("test");
    settings.grants = Grants::all();
    settings.limits.instances = 8;
    // Time is the wall's, and a test machine may be busy with other things.
    settings.limits.deadline = Duration::from_secs(10);
    settings
}

/// A script, its lane's pool and its world.
pub fn load(wasm: &[u8]) -> (Arc<Script>, Pool, Arc<Book>) {
    load_with(settings(), wasm)
}

pub fn load_with(settings: Settings, wasm: &[u8]) -> (Arc<Script>, Pool, Arc<Book>) {
    let book = Arc::new(Book::default());
    let script =
        Script::load(settings, book.clone(), wasm).unwrap_or_else(|error| panic!("{error}"));
    (script.clone(), Pool::new(script), book)
}

pub const INVITE: &str = "INVITE sip:bob@example.test SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n\
    Max-Forwards: 70\r\n\
    To: Bob <sip:bob@example.test>\r\n\
    From: Alice <sip:alice@example.test>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710@192.0.2.1\r\n\
    CSeq: 314159 INVITE\r\n\
    Contact: <sip:alice@192.0.2.1>\r\n\
    User-Agent: Phone/1.0\r\n\
    X-Mine:  a value \r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 4\r\n\r\nv=0\n";

pub fn source() -> Source {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Source {
        transport: Transport::Udp,
        remote: address("192.0.2.1:5060"),
        local: address("127.0.0.1:5060"),
        flow: FlowId::new(1),
    }
}

pub fn current(text: &'static str) -> Current {
    Current::new(Arc::new(Message::parse(text.into()).unwrap()), source())
}

/// An INVITE for the request route.
pub fn invite() -> Box<Event> {
    Event::new(Route::Request, Some(current(INVITE)), None)
}

/// Polls once, as a lane does.
pub fn poll(running: &mut Running) -> Poll<Finished> {
    Pin::new(running).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until it is finished, and tells how often that was.
pub fn finish(mut running: Running) -> (Finished, usize) {
    let mut polls = 1;
    loop {
        match poll(&mut running) {
            Poll::Ready(finished) => return (finished, polls),
            Poll::Pending => polls += 1,
        }
    }
}

/// Runs an event of the current generation to its end.
pub fn run(
    pool: &mut Pool,
    event: Box<Event>,
) -> (
    Box<Event>,
    Result<switchhook_script::Outcome, switchhook_script::GuestError>,
) {
    let generation = pool.current().clone();
    let (finished, _) = finish(pool.start(&generation, event));
    pool.finish(finished)
}
