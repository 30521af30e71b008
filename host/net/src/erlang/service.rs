//! A node's thread: one task a connection, one that listens and hears commands.
//!
//! The node's state is behind one `RefCell`, borrowed for as long as one batch of bytes or commands takes, never across a wait.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchhook_erlang::handshake::{Failure, Status};
use switchhook_erlang::node::{
    ConnectionId, Event, Node, Output, Process, RequestFault, RequestId,
};
use switchhook_erlang::{Closed, NodeName, TermBytes};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;

use super::dial::dial;
use super::epmd;
use super::handle::{Command, Face, Handle, Snapshot};
use super::settings::{Epmd, Settings};
use super::socket::{self, Wake};
use super::tls::Stream;

/// Commands worked off before anything else has its turn.
const BATCH: usize = 256;
/// How long the loop sleeps where nothing is due.
const NAP: Duration = Duration::from_secs(60);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It can't listen.
    #[error("can't listen on {at}: {error}")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("the Erlang node could not be started: {0}")]
    Thread(#[from] io::Error),
}

/// A node that runs.
pub struct Started {
    /// The way to it.
    pub handle: Handle,
    /// What happens.
    pub events: mpsc::Receiver<Event>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends after [`Handle::stop`].
    pub thread: JoinHandle<()>,
}

/// Starts a node on a thread of its own; returns when it listens and EPMD was asked once. `seed` must not be guessed.
pub fn start(settings: Settings, seed: [u64; 3]) -> Result<Started, StartError> {
    let (commands, inbox) = mpsc::channel(settings.commands.max(1));
    let (outgoing, events) = mpsc::channel(settings.events.max(1));
    let (ready, started) = std::sync::mpsc::channel();
    let name = settings.node.name.alive().to_owned();
    let thread = std::thread::Builder::new()
        .name(format!("erlang-{name}"))
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(error.into()));
                    return;
                }
            };
            LocalSet::new().block_on(&runtime, async move {
                match begin(settings, seed, commands, outgoing).await {
                    Ok((shared, listener, handle, address)) => {
                        let _ = ready.send(Ok((handle, address)));
                        run(shared, listener, inbox).await;
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            });
        })?;
    let (handle, address) = started
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("it ended at once").into()))?;
    Ok(Started {
        handle,
        events,
        address,
        thread,
    })
}

/// Listens, registers, makes the node.
async fn begin(
    settings: Settings,
    seed: [u64; 3],
    commands: mpsc::Sender<Command>,
    outgoing: mpsc::Sender<Event>,
) -> Result<(Rc<Shared>, TcpListener, Handle, SocketAddr), StartError> {
    let at = settings.listen;
    let listen = |error| StartError::Listen { at, error };
    let listener = TcpListener::bind(at).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let [first, second, third] = seed;
    let mut creation = (first >> 32) as u32 | 4;
    let alive = settings.node.name.alive().to_owned();
    if let Epmd::At(at) = settings.epmd {
        let registered = match epmd::register(at, &alive, address.port()).await {
            Ok((stream, given)) => {
                creation = given;
                Some(stream)
            }
            Err(error) => {
                tracing::error!(node = %settings.node.name, %error, "not registered; trying again");
                None
            }
        };
        tokio::task::spawn_local(epmd::keep(at, alive, address.port(), registered));
    }
    let node = Node::new(
        settings.node.clone(),
        creation,
        [first, second],
        Instant::now(),
    );
    let core = Core {
        node,
        answers: HashMap::new(),
        connects: HashMap::new(),
        told: VecDeque::new(),
        changed: true,
        stopped: false,
    };
    let face = Arc::new(Face {
        snapshot: RwLock::new(Arc::new(core.picture(&[]))),
        waiting: AtomicUsize::new(0),
        most_waiting: settings.node.limits.queue,
        references: AtomicU64::new(0),
        mark: third as u32,
    });
    let handle = Handle {
        commands,
        shared: Arc::clone(&face),
    };
    let shared = Rc::new(Shared {
        core: RefCell::new(core),
        settings,
        outgoing,
        face,
        wakes: RefCell::new(HashMap::new()),
        busy: RefCell::new(Vec::new()),
        held_up: Cell::new(false),
        due: Notify::new(),
    });
    Ok((shared, listener, handle, address))
}

/// The loop of the task that listens and hears commands.
async fn run(shared: Rc<Shared>, listener: TcpListener, mut commands: mpsc::Receiver<Command>) {
    loop {
        Rc::clone(&shared).pump();
        if shared.core.borrow().stopped {
            return;
        }
        let now = Instant::now();
        let deadline = shared.core.borrow().node.deadline().unwrap_or(now + NAP);
        let waits = !shared.core.borrow().told.is_empty();
        tokio::select! {
            command = commands.recv() => {
                let now = Instant::now();
                let mut core = shared.core.borrow_mut();
                let mut next = command;
                let mut done = 0;
                while let Some(command) = next {
                    command(&mut core, now);
                    done += 1;
                    next = (done < BATCH).then(|| commands.try_recv().ok()).flatten();
                }
            }
            // The pump uses it: reading goes on where that makes room.
            room = shared.outgoing.reserve(), if waits => if room.is_err() {
                return;
            },
            () = tokio::time::sleep_until(deadline.into()) => {
                shared.core.borrow_mut().node.on_timer(Instant::now());
            }
            () = shared.due.notified() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => accept(&shared, stream, from),
                Err(error) => {
                    // Out of descriptors, most likely: the next one would fail at once, too.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

fn accept(shared: &Rc<Shared>, stream: TcpStream, from: SocketAddr) {
    let shared = Rc::clone(shared);
    let tls = shared.settings.tls.clone();
    let Some(id) = shared
        .core
        .borrow_mut()
        .node
        .accepted(Instant::now(), tls.is_some())
    else {
        tracing::warn!(%from, "too many Erlang connections");
        return;
    };
    let wake = shared.admit(id);
    tokio::task::spawn_local(async move {
        let _ = stream.set_nodelay(true);
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let handshake = tokio::time::timeout(shared.settings.connect, tls.accept(stream));
                match handshake.await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return shared.closed(id, &format!("TLS: {error}")),
                    Err(_) => return shared.closed(id, "TLS: it takes too long"),
                }
            }
        };
        socket::run(shared, id, stream, wake).await;
    });
}

/// The node, and what its owner keeps beside it.
pub(super) struct Core {
    pub(super) node: Node,
    answers: HashMap<RequestId, oneshot::Sender<Result<TermBytes, RequestFault>>>,
    /// Who waits for a connection.
    connects: HashMap<NodeName, Vec<oneshot::Sender<bool>>>,
    /// Events that wait for room.
    told: VecDeque<Event>,
    /// The picture is no longer right.
    changed: bool,
    stopped: bool,
}

impl Core {
    pub(super) fn tell(&mut self, event: Event) {
        self.told.push_back(event);
    }

    pub(super) fn wait_for(
        &mut self,
        id: RequestId,
        answer: oneshot::Sender<Result<TermBytes, RequestFault>>,
    ) {
        self.answers.insert(id, answer);
    }

    pub(super) fn connect(&mut self, now: Instant, name: NodeName, answer: oneshot::Sender<bool>) {
        if self.node.nodes().contains(&name) {
            // Who no longer waits needs no answer.
            let _ = answer.send(true);
            return;
        }
        self.node.connect(now, &name);
        self.connects.entry(name).or_default().push(answer);
    }

    fn connected(&mut self, name: &NodeName, there: bool) {
        for answer in self.connects.remove(name).unwrap_or_default() {
            let _ = answer.send(there);
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn register(&mut self, now: Instant, names: &[Arc<str>]) {
        let gone: Vec<String> = self
            .node
            .registered()
            .filter(|name| !names.iter().any(|wanted| **wanted == **name))
            .map(str::to_owned)
            .collect();
        for name in gone {
            // The node's own ones stay.
            self.node.unregister(now, &name);
        }
        for name in names {
            self.node.register(name);
        }
        self.changed = true;
    }

    fn picture(&self, busy: &[NodeName]) -> Snapshot {
        let node = &self.node;
        let processes = node
            .registered()
            .map(|name| Process::Named(name.into()))
            .chain([Process::Own]);
        Snapshot {
            name: node.name().clone(),
            creation: node.creation(),
            nodes: node
                .nodes()
                .iter()
                .map(|name| (name.clone(), busy.contains(name)))
                .collect(),
            active: node.active().cloned(),
            pids: processes
                .filter_map(|process| node.pid(&process).map(|pid| (process, pid)))
                .collect(),
        }
    }
}

/// What the tasks of the thread share.
pub(super) struct Shared {
    pub(super) core: RefCell<Core>,
    settings: Settings,
    outgoing: mpsc::Sender<Event>,
    face: Arc<Face>,
    wakes: RefCell<HashMap<ConnectionId, Rc<Wake>>>,
    busy: RefCell<Vec<NodeName>>,
    /// Sockets are not read until events have gone.
    held_up: Cell<bool>,
    /// The main loop has something to see to.
    pub(super) due: Notify,
}

impl Shared {
    /// Whether so many events wait that sockets are not read: from when they are as many as allowed until half of them are gone. Each
    /// connection is woken then.
    pub(super) fn is_full(&self) -> bool {
        if self.core.borrow().told.len() >= self.settings.events {
            self.held_up.set(true);
        }
        self.held_up.get()
    }

    /// Bytes came in.
    pub(super) fn received(self: &Rc<Self>, now: Instant, id: ConnectionId, bytes: &[u8]) {
        {
            let mut core = self.core.borrow_mut();
            if let Some(buffer) = core.node.buffer(id) {
                buffer.extend_from_slice(bytes);
            }
            core.node.received(now, id);
        }
        Rc::clone(self).pump();
        self.due.notify_one();
    }

    /// The network ended a connection.
    pub(super) fn closed(self: &Rc<Self>, id: ConnectionId, why: &str) {
        self.core.borrow_mut().node.closed(Instant::now(), id, why);
        Rc::clone(self).pump();
        self.due.notify_one();
    }

    fn admit(&self, id: ConnectionId) -> Rc<Wake> {
        let wake = Rc::new(Wake::default());
        self.wakes.borrow_mut().insert(id, Rc::clone(&wake));
        wake
    }

    /// Does what the node wants done, and hands on what happened, as far as there is room.
    fn pump(self: Rc<Self>) {
        let mut core = self.core.borrow_mut();
        let mut answered = Vec::new();
        while let Some(output) = core.node.poll() {
            match output {
                Output::Event(Event::Answered { id, result }) => answered.push((id, result)),
                Output::Dial(name) => {
                    tokio::task::spawn_local(open(Rc::clone(&self), name));
                }
                Output::Close(id) => self.dismiss(id, None),
                Output::Farewell(id, outbox) => self.dismiss(id, Some(outbox)),
                Output::Event(event) => self.happened(&mut core, event),
            }
        }
        let wakes = self.wakes.borrow();
        while let Some(id) = core.node.to_write() {
            if let Some(wake) = wakes.get(&id) {
                wake.wake();
            }
        }
        // Before answers and events: who hears of one must not see an older picture.
        if core.changed {
            core.changed = false;
            self.face.show(core.picture(&self.busy.borrow()));
        }
        for (id, result) in answered {
            if let Some(answer) = core.answers.remove(&id) {
                // Who no longer waits needs no answer.
                let _ = answer.send(result);
            }
        }
        while !core.told.is_empty()
            && let Ok(permit) = self.outgoing.try_reserve()
            && let Some(event) = core.told.pop_front()
        {
            permit.send(event);
        }
        if self.held_up.get() && core.told.len() <= self.settings.events / 2 {
            self.held_up.set(false);
            wakes.values().for_each(|wake| wake.wake());
        }
    }

    fn dismiss(&self, id: ConnectionId, farewell: Option<switchhook_erlang::Outbox>) {
        if let Some(wake) = self.wakes.borrow_mut().remove(&id) {
            wake.close(farewell);
        }
    }

    fn happened(&self, core: &mut Core, event: Event) {
        match &event {
            Event::Up { node, hidden } => {
                tracing::info!(%node, hidden, "Erlang node up");
                core.connected(node, true);
                core.changed = true;
            }
            Event::Down { node, reason } => {
                tracing::warn!(%node, %reason, "Erlang node down");
                self.busy.borrow_mut().retain(|busy| busy != node);
                core.changed = true;
            }
            Event::Failed { node, reason } => {
                // A node that says `nok` dials us at this moment.
                let dials = matches!(reason, Closed::Handshake(Failure::Refused(Status::Nok)));
                if let Some(node) = node
                    && !dials
                {
                    core.connected(node, false);
                }
                let node = node.as_ref().map(NodeName::as_str);
                tracing::warn!(node, %reason, "no connection with an Erlang node");
            }
            Event::Active { .. } => core.changed = true,
            Event::Busy { node } => {
                self.busy.borrow_mut().push(node.clone());
                core.changed = true;
            }
            Event::Ready { node } => {
                self.busy.borrow_mut().retain(|busy| busy != node);
                core.changed = true;
            }
            Event::Message { .. }
            | Event::Exit { .. }
            | Event::ProcessDown { .. }
            | Event::Answered { .. }
            | Event::Call { .. } => {}
        }
        core.told.push_back(event);
    }
}

/// Dials a node.
async fn open(shared: Rc<Shared>, name: NodeName) {
    let opened = dial(&shared.settings, &name).await;
    let now = Instant::now();
    match opened {
        Ok(stream) => {
            let id = shared
                .core
                .borrow_mut()
                .node
                .dialled(now, &name, stream.is_tls());
            if let Some(id) = id {
                let wake = shared.admit(id);
                Rc::clone(&shared).pump();
                shared.due.notify_one();
                socket::run(shared, id, stream, wake).await;
            }
        }
        Err(error) => {
            let mut core = shared.core.borrow_mut();
            core.connected(&name, false);
            if core.node.not_dialled(now, &name) {
                tracing::warn!(node = %name, %error, "an Erlang node can't be reached; trying again");
            }
            shared.due.notify_one();
        }
    }
}
