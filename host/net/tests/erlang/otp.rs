//! Real Erlang nodes and ours, as processes and threads of one story.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchhook_erlang::node::{Answer, Event, Limits, NodeConfig, RequestFault, SendFault};
use switchhook_erlang::{Cookie, Flags, NodeName, TermBytes};
use switchhook_net::erlang::{Epmd, Settings, Started, start};
pub(crate) use switchhook_tests::erlang::{Erlang, PortMapper, free_port};

/// A term from Erlang's text, by hand: what the stories need.
pub(crate) fn atom(text: &str) -> TermBytes {
    let mut out = vec![131, b'w', text.len() as u8];
    out.extend(text.as_bytes());
    out.into()
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(crate) const OURS: &str = "proxy@127.0.0.1";
pub(crate) const THEIRS: &str = "node1@127.0.0.1";

pub(crate) fn settings(mapper: u16, nodes: &[&str]) -> Settings {
    Settings {
        node: NodeConfig {
            name: name(OURS),
            flags: Flags::OURS,
            cookie: Cookie::new("secret").unwrap(),
            cookies: Vec::new(),
            nodes: nodes.iter().map(|node| name(node)).collect(),
            takeover: true,
            retry: (Duration::from_millis(100), Duration::from_secs(1)),
            limits: Limits::default(),
        },
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        epmd: Epmd::At(SocketAddr::from(([127, 0, 0, 1], mapper))),
        addresses: Vec::new(),
        tls: None,
        connect: Duration::from_secs(5),
        events: 4096,
        commands: 4096,
    }
}

/// Our node, and a thread that does what a host would: answers calls and echoes messages.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    pub(crate) handle: switchhook_net::erlang::Handle,
    pub(crate) events: Receiver<Event>,
    runtime: tokio::runtime::Runtime,
    thread: Option<JoinHandle<()>>,
}

impl Ours {
    pub(crate) fn start(settings: Settings) -> Self {
        let Started {
            handle,
            mut events,
            address,
            thread,
        } = start(settings, [1 << 40, 2, 3]).unwrap();
        let (sender, received) = channel();
        let answering = handle.clone();
        std::thread::spawn(move || {
            while let Some(event) = events.blocking_recv() {
                if let Event::Call {
                    id,
                    function,
                    arguments,
                    ..
                } = &event
                {
                    let answer = match function.as_str() {
                        "echo" => Answer::Value(arguments.clone()),
                        "fail" => Answer::Error(atom("oops")),
                        "never" => continue,
                        _ => Answer::Undefined,
                    };
                    answering.answer(*id, answer).unwrap();
                }
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        handle.register(vec![Arc::from("greetings")]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            address,
            handle,
            events: received,
            runtime,
            thread: Some(thread),
        }
    }

    /// Waits for an event; others are dropped.
    pub(crate) fn wait<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|_| panic!("no event: {what}"));
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    }

    /// The next event, whatever it is.
    pub(crate) fn next(&self) -> Event {
        let event = self.events.recv_timeout(Duration::from_secs(20));
        event.expect("an event")
    }

    pub(crate) fn connect(&self, node: &str) -> Result<(), SendFault> {
        self.runtime.block_on(self.handle.connect(name(node)))
    }

    pub(crate) fn wait_up(&self, node: &str) {
        self.wait(&format!("{node} up"), |event| {
            matches!(event, Event::Up { node: up, .. } if up.as_str() == node).then_some(())
        });
    }

    /// The number of the next message `{call, N, ..}`.
    pub(crate) fn next_call(&self) -> u32 {
        let message = self.wait("a message", |event| match event {
            Event::Message { message, .. } => Some(message.clone()),
            _ => None,
        });
        // Small, or of 32 bits.
        match &message[9..] {
            [b'a', small, ..] => u32::from(*small),
            [b'b', a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn rpc(
        &self,
        module: &str,
        function: &str,
        arguments: &[u8],
        timeout: u64,
    ) -> Result<TermBytes, RequestFault> {
        let node = self.handle.snapshot().nodes[0].0.clone();
        self.rpc_at(node.as_str(), module, function, arguments, timeout)
    }

    pub(crate) fn rpc_at(
        &self,
        node: &str,
        module: &str,
        function: &str,
        arguments: &[u8],
        timeout: u64,
    ) -> Result<TermBytes, RequestFault> {
        let call = self.handle.rpc(
            name(node),
            module.into(),
            function.into(),
            TermBytes::copy_from_slice(arguments),
            Duration::from_millis(timeout),
        );
        self.runtime.block_on(call)
    }
}

impl Drop for Ours {
    /// Ends when its sockets are closed: who comes next may want the same port.
    fn drop(&mut self) {
        let _ = self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether Erlang is installed; where CI runs, it has to be.
pub(crate) fn erlang_is_here() -> bool {
    switchhook_tests::has("erl")
}

pub(crate) fn stage() -> Option<(PortMapper, Erlang)> {
    if !erlang_is_here() {
        return None;
    }
    let mapper = PortMapper::start(free_port());
    let erlang = Erlang::start(mapper.port, THEIRS, "secret", &["-hidden"]);
    Some((mapper, erlang))
}
