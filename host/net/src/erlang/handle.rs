//! The node as lanes and the daemon see it: commands in, a picture of it always at hand.
//!
//! Nothing here waits for the node but an answer that is asked for. A command is refused as busy where too many wait, or too many
//! bytes; what the picture shows as not connected is refused at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use switchhook_erlang::node::{Answer, CallId, Event, Process, RequestFault, RequestId, SendFault};
use switchhook_erlang::{NodeName, Pid, Reference, TermBytes, Who, Words};
use tokio::sync::{mpsc, oneshot};

use super::service::Core;

/// Added to a message's length, so that many small ones count too.
const OVERHEAD: usize = 128;
/// How long a connection may take: a handshake of ours, and then one of theirs.
const CONNECTING: Duration = Duration::from_secs(15);

pub(super) type Command = Box<dyn FnOnce(&mut Core, Instant) + Send>;

/// What a node looks like at a moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its name.
    pub name: NodeName,
    /// What tells its pids from those of earlier nodes of its name.
    pub creation: u32,
    /// The nodes that are there, in the order in which they came, and whether each takes less than it is sent.
    pub nodes: Vec<(NodeName, bool)>,
    /// Where messages without a named node go to.
    pub active: Option<NodeName>,
    /// The pids of the processes that scripts act as.
    pub pids: BTreeMap<Process, Pid>,
}

/// A node that runs. Cheap to clone, for any thread.
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shared: Arc<Face>,
}

/// What handles share with the node's thread.
pub(super) struct Face {
    pub(super) snapshot: RwLock<Arc<Snapshot>>,
    /// Bytes in commands that wait.
    pub(super) waiting: AtomicUsize,
    pub(super) most_waiting: usize,
    pub(super) references: AtomicU64,
    /// Third word of references made here.
    pub(super) mark: u32,
}

impl Face {
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.read();
        Arc::clone(&snapshot.unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn show(&self, new: Snapshot) {
        let mut snapshot = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *snapshot = Arc::new(new);
    }
}

impl Handle {
    /// What the node looks like now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// A reference that never was before.
    pub fn make_ref(&self) -> Reference {
        let snapshot = self.snapshot();
        let count = self.shared.references.fetch_add(1, Ordering::Relaxed);
        let words = [
            (count & 0x3_ffff) as u32,
            (count >> 18) as u32,
            self.shared.mark,
        ];
        Reference {
            node: snapshot.name.clone(),
            creation: snapshot.creation,
            ids: Words::from(words),
        }
    }

    /// Sends a message to a pid.
    pub fn send(&self, from: &Process, to: Pid, message: TermBytes) -> Result<(), SendFault> {
        self.reachable(&to.node)?;
        let from = from.clone();
        self.put(message.len(), move |core, now| {
            lost(core.node.send(now, &from, &to, message));
        })
    }

    /// Sends a message to a name that is registered on a node.
    pub fn reg_send(
        &self,
        from: &Process,
        node: NodeName,
        to: String,
        message: TermBytes,
    ) -> Result<(), SendFault> {
        self.reachable(&node)?;
        let from = from.clone();
        self.put(message.len(), move |core, now| {
            lost(core.node.reg_send(now, &from, &node, &to, message));
        })
    }

    /// Sends a message to an alias of a process.
    pub fn alias_send(
        &self,
        from: &Process,
        to: Reference,
        message: TermBytes,
    ) -> Result<(), SendFault> {
        self.reachable(&to.node)?;
        let from = from.clone();
        self.put(message.len(), move |core, now| {
            lost(core.node.alias_send(now, &from, &to, message));
        })
    }

    /// Answers a call of `gen_server`.
    pub fn reply(
        &self,
        from: &Process,
        to: Pid,
        tag: TermBytes,
        reply: TermBytes,
    ) -> Result<(), SendFault> {
        self.reachable(&to.node)?;
        let from = from.clone();
        self.put(reply.len(), move |core, now| {
            lost(core.node.reply(now, &from, &to, &tag, &reply));
        })
    }

    /// Calls a function on another node and waits for the end of it.
    pub async fn rpc(
        &self,
        node: NodeName,
        module: String,
        function: String,
        arguments: TermBytes,
        timeout: Duration,
    ) -> Result<TermBytes, RequestFault> {
        let deadline = Instant::now() + timeout;
        self.ask(arguments.len(), move |core, now| {
            core.node
                .rpc(now, &node, &module, &function, arguments, deadline)
        })
        .await
    }

    /// Calls a `gen_server` on another node and waits for its answer.
    pub async fn call(
        &self,
        node: NodeName,
        server: Who,
        request: TermBytes,
        timeout: Duration,
    ) -> Result<TermBytes, RequestFault> {
        let deadline = Instant::now() + timeout;
        self.ask(request.len(), move |core, now| {
            core.node.call(now, &node, server, &request, deadline)
        })
        .await
    }

    /// Watches a process of another node. Where that can't be, its end comes at once, for `noconnection`.
    pub fn monitor(&self, by: &Process, node: NodeName, who: Who) -> Result<Reference, SendFault> {
        let reference = self.make_ref();
        let (by, made) = (by.clone(), reference.clone());
        self.put(0, move |core, now| {
            let asked = who.clone();
            if core.node.monitor(now, &by, &node, asked, &made).is_err() {
                core.tell(Event::ProcessDown {
                    to: by,
                    reference: made,
                    who,
                    node,
                    reason: no_connection(),
                });
            }
        })?;
        Ok(reference)
    }

    /// Watches no longer.
    pub fn demonitor(&self, reference: Reference) -> Result<(), SendFault> {
        self.put(0, move |core, now| {
            core.node.demonitor(now, &reference);
        })
    }

    /// Links to a process of another node. Where that can't be, its exit comes at once, for `noconnection`.
    pub fn link(&self, process: &Process, to: Pid) -> Result<(), SendFault> {
        let process = process.clone();
        self.put(0, move |core, now| {
            if core.node.link(now, &process, &to).is_err() {
                core.tell(Event::Exit {
                    to: process,
                    from: to,
                    reason: no_connection(),
                });
            }
        })
    }

    /// Undoes a link.
    pub fn unlink(&self, process: &Process, to: Pid) -> Result<(), SendFault> {
        let process = process.clone();
        self.put(0, move |core, now| {
            core.node.unlink(now, &process, &to);
        })
    }

    /// Sends an exit signal.
    pub fn exit(&self, from: &Process, to: Pid, reason: TermBytes) -> Result<(), SendFault> {
        self.reachable(&to.node)?;
        let from = from.clone();
        self.put(reason.len(), move |core, now| {
            lost(core.node.exit(now, &from, &to, reason));
        })
    }

    /// Answers a call that a peer made.
    pub fn answer(&self, id: CallId, answer: Answer) -> Result<(), SendFault> {
        let length = match &answer {
            Answer::Value(term) | Answer::Error(term) => term.len(),
            Answer::Undefined => 0,
        };
        self.put(length, move |core, now| core.node.answer(now, id, answer))
    }

    /// Connects to a node that need not be configured, and waits until it is there or can't be reached.
    pub async fn connect(&self, node: NodeName) -> Result<(), SendFault> {
        let (answer, answered) = oneshot::channel();
        self.put(0, move |core, now| core.connect(now, node, answer))?;
        match tokio::time::timeout(CONNECTING, answered).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(SendFault::NotConnected),
        }
    }

    /// Ends the connection to a node.
    pub fn disconnect(&self, node: NodeName) -> Result<(), SendFault> {
        self.put(0, move |core, now| {
            core.node.disconnect(now, &node);
        })
    }

    /// Registers these processes for scripts, and no others.
    pub fn register(&self, names: Vec<Arc<str>>) -> Result<(), SendFault> {
        self.put(0, move |core, now| core.register(now, &names))
    }

    /// Starts a task on the node's thread; it ends with the node. While it computes the node does nothing else, so it must be short
    /// of breath and never block. What it tells the node then costs no wake-up of another thread.
    pub fn run<F: Future<Output = ()> + 'static>(
        &self,
        task: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), SendFault> {
        self.put(0, move |_, _| {
            tokio::task::spawn_local(task());
        })
    }

    /// Ends the node. Its peers see the connection closed.
    pub fn stop(&self) -> Result<(), SendFault> {
        self.put(0, |core, _| core.stop())
    }

    /// What the picture shows as gone or busy is refused at once.
    fn reachable(&self, node: &NodeName) -> Result<(), SendFault> {
        let snapshot = self.snapshot();
        if *node == snapshot.name {
            return Ok(());
        }
        match snapshot.nodes.iter().find(|(name, _)| name == node) {
            Some((_, false)) => Ok(()),
            Some((_, true)) => Err(SendFault::Busy),
            None => Err(SendFault::NotConnected),
        }
    }

    fn put(
        &self,
        bytes: usize,
        command: impl FnOnce(&mut Core, Instant) + Send + 'static,
    ) -> Result<(), SendFault> {
        let bytes = bytes + OVERHEAD;
        let face = &self.shared;
        if face.waiting.fetch_add(bytes, Ordering::Relaxed) > face.most_waiting {
            face.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Err(SendFault::Busy);
        }
        let counted = Arc::clone(face);
        let command: Command = Box::new(move |core, now| {
            counted.waiting.fetch_sub(bytes, Ordering::Relaxed);
            command(core, now);
        });
        self.commands.try_send(command).map_err(|error| {
            face.waiting.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Full(_) => SendFault::Busy,
                mpsc::error::TrySendError::Closed(_) => SendFault::NotConnected,
            }
        })
    }

    async fn ask(
        &self,
        bytes: usize,
        command: impl FnOnce(&mut Core, Instant) -> RequestId + Send + 'static,
    ) -> Result<TermBytes, RequestFault> {
        let (answer, answered) = oneshot::channel();
        self.put(bytes, move |core, now| {
            let id = command(core, now);
            core.wait_for(id, answer);
        })?;
        // The node's end drops what waits.
        answered.await.unwrap_or(Err(RequestFault::NotConnected))
    }
}

/// `noconnection`.
fn no_connection() -> TermBytes {
    TermBytes::from_static(b"\x83w\x0cnoconnection")
}

/// A node can go between the look at the picture and the sending, as it can right after.
fn lost(sent: Result<(), SendFault>) {
    if let Err(fault) = sent {
        tracing::debug!(%fault, "message lost");
    }
}
