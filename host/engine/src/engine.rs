//! The engine as the daemon sees it: started whole, drained, stopped; scripts swapped, numbers read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahash::RandomState;
use switchhook_net::resolver::{Resolver, Unresolved};
use switchhook_net::{Local, Net, NetCounters, Part, Steer};
use switchhook_script::{LoadError, Pool, Script, Services, Swapped};
use switchhook_sip::transaction::{Config as TransactionConfig, Manager};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use crate::background::{Back, Background};
use crate::clients::Clients;
use crate::config::EngineConfig;
use crate::copies;
use crate::dmq::teller::Teller;
use crate::dmq::{self, Mailbox};
use crate::erlang::post::Post;
use crate::handover::Inbox;
use crate::lane::{Lane, Mail};
use crate::length::Unconnected;
use crate::overload::Overload;
use crate::resolve::supported;
use crate::stats::{LaneCounters, Stats};
use crate::uac::{self, Face, Parts as UacParts};

/// How often a drain looks whether transactions are left.
const LOOK: Duration = Duration::from_millis(50);

/// A running engine. Dropping it leaves the lanes running; call [`Engine::stop`].
pub struct Engine {
    scripts: Vec<Arc<Script>>,
    locals: Vec<Local>,
    pub(crate) lanes: Vec<Handle>,
    /// Chooses the lanes of what is no SIP.
    pub(crate) keys: RandomState,
    counters: Vec<(Arc<LaneCounters>, Arc<NetCounters>)>,
    draining: Arc<AtomicBool>,
    background: JoinHandle<()>,
    dmq: Option<(Mailbox, JoinHandle<()>)>,
}

pub(crate) struct Handle {
    mail: mpsc::Sender<Mail>,
    /// The lane's letter box.
    pub(crate) post: mpsc::Sender<Post>,
    thread: JoinHandle<()>,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No script was given.
    #[error("no script to route with")]
    NoScript,
    /// A thread or its runtime could not be made.
    #[error("a lane could not be started: {0}")]
    Lane(#[from] std::io::Error),
    /// The resolver could not be made.
    #[error("the resolver could not be started: {0}")]
    Resolver(#[from] Unresolved),
}

/// Why a swap changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// No script has that name.
    #[error("no script is named `{0}`")]
    Unknown(String),
    /// The new code was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What a drain came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Transactions that somebody still waited for at the deadline.
    pub left: u64,
}

impl Engine {
    /// Starts all lanes; returns when each reads its sockets.
    pub fn start(config: EngineConfig) -> Result<Engine, StartError> {
        let script = config.scripts.first().ok_or(StartError::NoScript)?;
        let locals = config.listeners.addresses().to_vec();
        let senders = config.listeners.senders()?;
        let steer = config.listeners.steer().clone();
        let parts = config.listeners.split();
        let limits = config.limits;
        let channels = |_: &Part| mpsc::channel::<Mail>(limits.inbox.max(1));
        let (mail, inboxes): (Vec<_>, Vec<_>) = parts.iter().map(channels).unzip();
        // As many places as guests may be away, so that none waits to come back.
        let channels = |_: &Part| mpsc::channel::<Back>(limits.background.max(1));
        let (back_senders, backs): (Vec<_>, Vec<_>) = parts.iter().map(channels).unzip();
        let (background, background_thread) = Background::start(limits.background, back_senders)?;
        let dmq = config.dmq.as_ref().map(|dmq| dmq.mailbox.clone());
        let keys = RandomState::new();
        let alone = parts.len() < 2;
        let inbox = |_: &Part| Inbox::new(limits.inbox.max(1));
        let handover: Arc<[Inbox]> = parts.iter().filter(|_| !alone).map(inbox).collect();
        let draining = Arc::new(AtomicBool::new(false));
        let server: Arc<str> = config.server.as_str().into();
        let mut lanes = Vec::new();
        let mut counters = Vec::new();
        let (started, begun) = std::sync::mpsc::channel();
        for (index, ((part, inbox), back)) in parts.into_iter().zip(inboxes).zip(backs).enumerate()
        {
            let lane_counters = Arc::new(LaneCounters::default());
            counters.push((Arc::clone(&lane_counters), part.counters()));
            let (post, letters) = mpsc::channel(limits.inbox.max(1));
            let neighbours = mail.iter().enumerate().filter(|(other, _)| *other != index);
            let parts = LaneParts {
                index,
                part,
                inbox,
                neighbours: neighbours.map(|(_, mail)| mail.clone()).collect(),
                post: letters,
                back,
                lanes: Arc::clone(&handover),
                background: background.clone(),
                script: Arc::clone(script),
                others: config.scripts.iter().skip(1).cloned().collect(),
                services: Arc::clone(&config.services),
                counters: lane_counters,
                transactions: TransactionConfig {
                    timers: config.timers.clone(),
                    max_transactions: limits.transactions,
                    max_branches: limits.branches,
                    max_held: limits.held,
                    server: config.server.as_str().into(),
                },
                limits: limits.clone(),
                dns: config.dns.clone(),
                steer: steer.clone(),
                keys: keys.clone(),
                server: Arc::clone(&server),
                dmq: dmq.clone(),
                draining: Arc::clone(&draining),
            };
            let started = started.clone();
            let thread = std::thread::Builder::new()
                .name(format!("switchhook-{index}"))
                .spawn(move || run(parts, &started))?;
            if let Some(mail) = mail.get(index).cloned() {
                lanes.push(Handle { mail, post, thread });
            }
        }
        drop(started);
        for _ in &lanes {
            match begun.recv() {
                Ok(result) => result?,
                Err(_) => return Err(std::io::Error::other("a lane ended at once").into()),
            }
        }
        let uac = Face::new(UacParts {
            lanes: mail.clone(),
            steer,
            scripts: config
                .scripts
                .iter()
                .map(|script| script.name().to_owned())
                .collect(),
            locals: locals.iter().map(|local| local.address).collect(),
            most: limits.own_requests,
            patience: config.timers.f,
        });
        // Services belong to one engine: it is set once.
        let _ = config.services.uac.set(Arc::new(uac));
        let dmq = match (dmq, config.dmq, mail.first()) {
            (Some(mailbox), Some(config), Some(lane)) => {
                let parts = dmq::Parts {
                    sockets: senders,
                    lane: lane.clone(),
                    teller: Teller {
                        script: Arc::clone(script),
                        lanes: lanes.iter().map(|lane| lane.post.clone()).collect(),
                        keys: keys.clone(),
                    },
                };
                Some((mailbox, dmq::start(config, parts)?))
            }
            _ => None,
        };
        Ok(Engine {
            dmq,
            scripts: config.scripts,
            locals,
            lanes,
            keys,
            counters,
            draining,
            background: background_thread,
        })
    }

    /// Our addresses.
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }

    /// The scripts, the router first.
    pub fn scripts(&self) -> &[Arc<Script>] {
        &self.scripts
    }

    /// The way to the bus, where this node is on one.
    pub fn dmq(&self) -> Option<&Mailbox> {
        self.dmq.as_ref().map(|(mailbox, _)| mailbox)
    }

    /// Exchanges a script's code; running transactions keep theirs. Blocks while it compiles: not for an async thread.
    pub fn swap(&self, script: &str, wasm: &[u8]) -> Result<Swapped, SwapError> {
        let found = self.scripts.iter().find(|other| other.name() == script);
        let script = found.ok_or_else(|| SwapError::Unknown(script.to_owned()))?;
        Ok(script.swap(wasm)?)
    }

    /// All counters, summed over the lanes.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.counters)
    }

    /// Refuses new requests outside of dialogs (503) and waits until nobody waits for a transaction of ours, or for that
    /// long. Transactions that only absorb copies are not waited for.
    pub async fn drain(&self, patience: Duration) -> Drained {
        self.draining.store(true, Ordering::Relaxed);
        for lane in &self.lanes {
            // A lane with a full inbox is awake anyway.
            let _ = lane.mail.try_send(Mail::Drain);
        }
        let deadline = Instant::now() + patience;
        loop {
            let stats = self.stats();
            let left = stats.value("transactions.unfinished");
            let all = stats.value("lanes.draining") == self.lanes.len() as u64;
            if (all && left == 0) || Instant::now() >= deadline {
                return Drained { left };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends all lanes and waits for their threads. Blocks: not for an async thread.
    pub fn stop(self) {
        // Goodbyes are answered through the lanes.
        if let Some((mailbox, thread)) = self.dmq {
            mailbox.stop();
            if thread.join().is_err() {
                tracing::error!("the bus's thread had panicked");
            }
        }
        for lane in &self.lanes {
            // A lane that is gone needs no telling.
            let _ = lane.mail.blocking_send(Mail::Stop);
        }
        for lane in self.lanes {
            if lane.thread.join().is_err() {
                tracing::error!("a lane had panicked");
            }
        }
        if self.background.join().is_err() {
            tracing::error!("the background thread had panicked");
        }
    }
}

/// What goes to a lane's thread.
struct LaneParts {
    index: usize,
    part: Part,
    inbox: mpsc::Receiver<Mail>,
    neighbours: Vec<mpsc::Sender<Mail>>,
    post: mpsc::Receiver<Post>,
    back: mpsc::Receiver<Back>,
    lanes: Arc<[Inbox]>,
    background: Background,
    script: Arc<Script>,
    others: Vec<Arc<Script>>,
    services: Arc<Services>,
    counters: Arc<LaneCounters>,
    transactions: TransactionConfig,
    limits: crate::config::EngineLimits,
    dns: switchhook_net::Dns,
    steer: Steer,
    keys: RandomState,
    server: Arc<str>,
    dmq: Option<Mailbox>,
    draining: Arc<AtomicBool>,
}

fn run(parts: LaneParts, started: &std::sync::mpsc::Sender<Result<(), StartError>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error.into()));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async move {
        match lane(parts) {
            Ok(lane) => {
                let _ = started.send(Ok(()));
                lane.run().await;
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    });
}

fn lane(parts: LaneParts) -> Result<Lane, StartError> {
    // Each lane's own: nobody who sees one lane's names can tell another's.
    let random = RandomState::new();
    let seed = [0u64, 1, 2, 3].map(|n| random.hash_one(n));
    let net = Net::new(parts.part)?;
    let supported = supported(net.locals());
    let timers = parts.transactions.timers.clone();
    let housekeeping = parts.limits.housekeeping;
    Ok(Lane {
        index: parts.index,
        net,
        resolver: Resolver::new(&parts.dns)?,
        copies: Clients::new(copies::BRANCH, Instant::now(), timers.clone()),
        owns: Clients::new(uac::BRANCH, Instant::now(), timers),
        tm: Manager::new(Instant::now(), seed, parts.transactions),
        pool: Pool::new(parts.script),
        others: parts.others.into_iter().map(Pool::new).collect(),
        services: parts.services,
        supported,
        random: 0,
        unconnected: Unconnected::default(),
        background: parts.background,
        tasks: JoinSet::new(),
        parked: std::collections::HashMap::new(),
        tickets: 0,
        waiting: std::collections::VecDeque::new(),
        inbox: parts.inbox,
        post: parts.post,
        letters: std::collections::VecDeque::new(),
        back: parts.back,
        others_mail: parts.lanes.iter().map(|_| Vec::new()).collect(),
        lanes: parts.lanes,
        neighbours: parts.neighbours,
        handed: Vec::new(),
        counters: parts.counters,
        limits: parts.limits,
        steer: parts.steer,
        keys: parts.keys,
        server: parts.server,
        dmq: parts.dmq,
        draining: parts.draining,
        tidy: Instant::now() + housekeeping,
        overload: Overload::default(),
        scratch: Vec::with_capacity(4096),
        reply_source: None,
        tracked: 0,
        events: std::collections::VecDeque::new(),
        mail: std::collections::VecDeque::new(),
        done: std::collections::VecDeque::new(),
        returned: std::collections::VecDeque::new(),
    })
}
