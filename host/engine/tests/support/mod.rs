//! An engine in this process, small guests written as WAT, and phones that send and expect messages on 127.0.0.1.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file takes what it needs"
)]

#[path = "../../../script/tests/support/guest.rs"]
mod guest;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_engine::{Engine, EngineConfig, EngineLimits};
use switchhook_net::{Dns, Listen, Listeners, NetLimits};
use switchhook_script::{Grants, Live, Script, Services, Settings};
use switchhook_sip::digest::{self, Authority, UserTable};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{HeaderId, Message};
use switchhook_sip::proxy::{LoopKey, Own};
use switchhook_sip::registrar;
use switchhook_sip::transaction::Timers;
use switchhook_store::{DialogLimits, Dialogs, Htables, LocationLimits, Locations};

pub use guest::guest;

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The guest of most stories. By the method's first letter: OPTIONS is answered, ACK forwarded, TRAP traps, LOOP loops,
/// NOTHING decides nothing, DROP drops; all else is record-routed and relayed, with a failure route that tries what the
/// header X-Second names.
pub const ROUTER: &str = r#"
    (import "switchhook:script/tm@0.1.0" "reply"
        (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "switchhook:script/tm@0.1.0" "relay" (func $relay (param i32)))
    (import "switchhook:script/tm@0.1.0" "forward" (func $forward (param i32)))
    (import "switchhook:script/tm@0.1.0" "on-failure" (func $on_failure (param i32 i32 i32)))
    (import "switchhook:script/tm@0.1.0" "add-target"
        (func $add_target (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32)))
    (import "switchhook:script/rr@0.1.0" "record-route" (func $record_route (param i32 i32 i32)))
    (import "switchhook:script/rr@0.1.0" "loose-route" (func $loose_route (param i32)))
    (import "switchhook:script/request@0.1.0" "method" (func $method (param i32)))
    (import "switchhook:script/request@0.1.0" "header" (func $header (param i32 i32 i32)))
"#;

/// The routes of [`ROUTER`]; `status` is what OPTIONS is answered with, so that generations can be told apart.
pub fn router(status: u16) -> Vec<u8> {
    let routes = format!(
        r#"
        (data (i32.const 1024) "f")
        (data (i32.const 1032) "X-Second")
        (func $first (result i32)
            (call $method (i32.const 128))
            (i32.load8_u (i32.load (i32.const 128))))
        (func $is (param $letter i32) (result i32) (i32.eq (call $first) (local.get $letter)))
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin
            (call $loose_route (i32.const 128))
            (if (call $is (i32.const 79)) (then
                (call $reply (i32.const {status}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
                (return (call $done))))
            (if (call $is (i32.const 65)) (then (call $forward (i32.const 128)) (return (call $done))))
            (if (call $is (i32.const 84)) (then unreachable))
            (if (call $is (i32.const 76)) (then (loop $for_ever (br $for_ever))))
            (if (call $is (i32.const 78)) (then (return (call $done))))
            (if (call $is (i32.const 68)) (then
                (drop (call $done))
                (i32.store8 (i32.const 20) (i32.const 1))
                (return (i32.const 16))))
            (call $record_route (i32.const 0) (i32.const 0) (i32.const 128))
            (call $on_failure (i32.const 1024) (i32.const 1) (i32.const 128))
            (call $relay (i32.const 128))
            (call $done))
        (func (export "switchhook:script/failure-route@0.1.0#on-failure") (param i32 i32) (result i32)
            (call $header (i32.const 1032) (i32.const 8) (i32.const 128))
            (if (i32.load8_u (i32.const 128)) (then
                (call $add_target (i32.load (i32.const 132)) (i32.load (i32.const 136))
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 1000) (i32.const 0) (i64.const 0) (i32.const 160))
                (call $relay (i32.const 160))))
            (call $done))"#
    );
    guest(&["request-route", "failure-route"], ROUTER, &routes)
}

/// An engine under test.
pub struct Site {
    pub engine: Engine,
    pub services: Arc<Services>,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
}

/// What a story may want otherwise.
pub struct Plan {
    pub lanes: usize,
    pub limits: EngineLimits,
    pub timers: Timers,
    pub script: Settings,
    pub dns: Dns,
    /// Exactly one UDP and one TCP address on 127.0.0.1 among them.
    pub listen: Vec<Listen>,
}

impl Default for Plan {
    fn default() -> Plan {
        let mut script = Settings::new("test");
        script.grants = Grants::of(["tm", "rr", "request", "reply", "transport", "log"]).unwrap();
        Plan {
            lanes: 1,
            limits: EngineLimits::default(),
            timers: Timers::default(),
            script,
            dns: Dns::default(),
            listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
                .map(|text| text.parse().unwrap())
                .into(),
        }
    }
}

impl Site {
    pub fn new() -> Site {
        Site::with(Plan::default())
    }

    pub fn with(plan: Plan) -> Site {
        Site::running(plan, &router(200))
    }

    /// An engine with that guest.
    pub fn running(plan: Plan, wasm: &[u8]) -> Site {
        let listeners = Listeners::bind(&plan.listen, plan.lanes, &NetLimits::default()).unwrap();
        let mut own = Own::new();
        for local in listeners.addresses() {
            own.add_interface(local.transport, &local.sent_by, local.address);
        }
        let address = |transport| {
            let of = |local: &&switchhook_net::Local| {
                local.transport == transport && local.address.ip().is_loopback()
            };
            listeners.addresses().iter().find(of).unwrap().address
        };
        let (udp, tcp) = (address(Transport::Udp), address(Transport::Tcp));
        let services = Arc::new(services(own));
        let effects = Arc::new(Live::new(Arc::clone(&services)));
        let script = Script::load(plan.script, effects, wasm).unwrap();
        let engine = Engine::start(EngineConfig {
            listeners,
            scripts: vec![script],
            services: Arc::clone(&services),
            timers: plan.timers,
            limits: plan.limits,
            dns: plan.dns,
            server: "switchhook-test".into(),
            dmq: None,
        })
        .unwrap();
        Site {
            engine,
            services,
            udp,
            tcp,
        }
    }

    /// Where a message from that phone comes from.
    pub fn source(&self, remote: SocketAddr) -> Source {
        Source {
            transport: Transport::Udp,
            remote,
            local: self.udp,
            flow: FlowId::new(0),
        }
    }

    /// Waits until a counter has a value.
    pub fn counts(&self, name: &str, value: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.engine.stats().value(name) != value {
            assert!(
                Instant::now() < deadline,
                "{name}: expected {value}, is {}",
                self.engine.stats().value(name)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn services(own: Own) -> Services {
    Services {
        erlang: Default::default(),
        dmq: Default::default(),
        uac: Default::default(),
        own,
        loop_key: LoopKey::new([1, 2]),
        htables: Htables::new([]),
        locations: BTreeMap::from([(
            "location".to_owned(),
            Locations::new(LocationLimits::default()),
        )]),
        dialogs: Dialogs::new(Instant::now(), DialogLimits::default()),
        registrar: registrar::Limits::default(),
        authority: Authority::new([7; 32], Instant::now(), digest::Config::default()),
        users: Box::new(UserTable::default()),
        clock: Instant::now,
    }
}

/// A name server that says the same of every name: these IPv4 addresses, in this order.
pub fn name_server(addresses: &[[u8; 4]]) -> Dns {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = vec![socket.local_addr().unwrap()];
    let addresses = addresses.to_vec();
    // Ends with the test's process.
    std::thread::spawn(move || {
        let mut space = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut space) {
            let answer = dns_answer(&space[..length], &addresses);
            socket.send_to(&answer, from).unwrap();
        }
    });
    Dns {
        servers,
        ..Dns::default()
    }
}

/// RFC 1035: header, the question as it came, and the addresses where those were asked for.
fn dns_answer(query: &[u8], addresses: &[[u8; 4]]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    let question = &query[12..end + 5];
    let known = question[question.len() - 4..question.len() - 2] == [0, 1];
    let addresses = if known { addresses } else { &[] };
    let mut out = query[..2].to_vec();
    out.extend([0x85, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    out.extend(question);
    for address in addresses {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        out.extend(address);
    }
    out
}

/// A phone on UDP.
pub struct Phone {
    socket: UdpSocket,
    pub address: SocketAddr,
    name: &'static str,
}

impl Phone {
    pub fn new(name: &'static str) -> Phone {
        Phone::at(name, "127.0.0.1:0".parse().unwrap())
    }

    /// A phone at that address.
    pub fn at(name: &'static str, address: SocketAddr) -> Phone {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = socket.local_addr().unwrap();
        Phone {
            socket,
            address,
            name,
        }
    }

    /// `sip:name@address` of the phone.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.name, self.address)
    }

    /// A request of a new dialog. `more` are further header lines, each with its line end.
    pub fn request(&self, method: &str, uri: &str, call: &str, more: &str) -> String {
        let Phone { address, name, .. } = self;
        let cseq_method = method;
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};branch=z9hG4bK-{call}-{method};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{name}@example.test>;tag={call}\r\n\
             To: <{uri}>\r\n\
             Call-ID: {call}\r\n\
             CSeq: 1 {cseq_method}\r\n\
             Contact: <sip:{name}@{address}>\r\n\
             {more}Content-Length: 0\r\n\r\n"
        )
    }

    pub fn send(&self, to: SocketAddr, text: &str) {
        self.socket.send_to(text.as_bytes(), to).unwrap();
    }

    pub fn receive(&self) -> Message {
        let mut space = vec![0; 65536];
        let (length, _) = self
            .socket
            .recv_from(&mut space)
            .unwrap_or_else(|error| panic!("{} waits in vain: {error}", self.name));
        Message::parse(Bytes::copy_from_slice(&space[..length])).unwrap()
    }

    /// The next message, which must be a reply of that status.
    pub fn status(&self, status: u16) -> Message {
        let message = self.receive();
        assert_eq!(
            message.status(),
            status,
            "{}: {}",
            self.name,
            text(&message)
        );
        message
    }

    /// The next message, which must be a request of that method.
    pub fn gets(&self, method: &str) -> Message {
        let message = self.receive();
        assert!(
            message.is_request() && message.method().as_str() == method,
            "{} expected {method}: {}",
            self.name,
            text(&message)
        );
        message
    }

    /// Nothing comes for a while.
    pub fn hears_nothing(&self, span: Duration) {
        self.socket.set_read_timeout(Some(span)).unwrap();
        let mut space = [0; 2048];
        let heard = self.socket.recv_from(&mut space);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        if let Ok((length, _)) = heard {
            panic!(
                "{} heard {}",
                self.name,
                String::from_utf8_lossy(&space[..length])
            );
        }
    }

    /// Answers a request.
    pub fn answer(&self, to: SocketAddr, request: &Message, status: u16) {
        self.send(to, &answer(request, status, &self.uri()));
    }
}

/// The answer of a phone to a request.
pub fn answer(request: &Message, status: u16, contact: &str) -> String {
    let reply = switchhook_sip::message::response(request, status, "Because", Some("callee"));
    let reply = reply
        .header(b"Contact", format!("<{contact}>").as_bytes())
        .unwrap();
    String::from_utf8(reply.finish().to_vec()).unwrap()
}

/// A request inside the dialog that a 2xx made, as its caller sends it.
pub fn in_dialog(phone: &Phone, method: &str, cseq: u32, ok: &Message) -> String {
    let header = |id| String::from_utf8_lossy(ok.header(id).unwrap()).into_owned();
    let target =
        String::from_utf8_lossy(ok.view().address(HeaderId::Contact).unwrap().uri).into_owned();
    let routes: Vec<String> = ok
        .values(HeaderId::RecordRoute)
        .map(|route| String::from_utf8_lossy(route).into_owned())
        .collect();
    let routes: String = routes
        .iter()
        .rev()
        .map(|route| format!("Route: {route}\r\n"))
        .collect();
    format!(
        "{method} {target} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {};branch=z9hG4bK-{cseq}-{method};rport\r\n\
         Max-Forwards: 70\r\n{routes}\
         From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
        phone.address,
        header(HeaderId::From),
        header(HeaderId::To),
        header(HeaderId::CallId),
    )
}

pub fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.bytes()).into_owned()
}

/// A phone on TCP.
pub struct TcpPhone {
    stream: TcpStream,
    held: Vec<u8>,
}

impl TcpPhone {
    pub fn new(to: SocketAddr) -> TcpPhone {
        TcpPhone::of(TcpStream::connect(to).unwrap())
    }

    /// A phone that was connected to.
    pub fn of(stream: TcpStream) -> TcpPhone {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        TcpPhone {
            stream,
            held: Vec::new(),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// The next message; all of these have no body.
    pub fn receive(&mut self) -> Message {
        loop {
            if let Some(end) = self.held.windows(4).position(|part| part == b"\r\n\r\n") {
                let rest = self.held.split_off(end + 4);
                let message = std::mem::replace(&mut self.held, rest);
                return Message::parse(message.into()).unwrap();
            }
            let mut space = [0; 4096];
            let length = self.stream.read(&mut space).expect("an answer");
            assert!(length > 0, "the connection was closed");
            self.held.extend_from_slice(&space[..length]);
        }
    }
}
