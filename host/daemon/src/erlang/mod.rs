//! The Erlang node as the daemon runs it: from `[erlang]` to a node that serves commands and scripts.
//!
//! Each name has a node on a thread of its own ([`switchhook_net::erlang`]), and a task on that thread that takes what happens there
//! to where it belongs: calls to the commands ([`serve`]), everything else to the engine's lanes.

mod serve;
mod value;

use crate::admin::Commands;
use crate::config::{Epmd, Erlang, Loaded, Problems};
use crate::daemon::Daemon;
use anyhow::{Context, Result};
use serve::Serve;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use switchhook_engine::{Engine, ErlangFace};
use switchhook_erlang::node::{Event, Limits, NodeConfig};
use switchhook_erlang::{Cookie, Flags, NodeName};
use switchhook_net::erlang::{Handle, Settings, Started, Tls, TlsFiles, start};
use tokio::sync::mpsc;
use tracing::{error, warn};

/// The first pause between two tries to connect.
const RETRY: Duration = Duration::from_millis(250);
/// Events and commands that wait.
const WAITING: usize = 16 * 1024;

/// The nodes that run. Stop them before the engine.
#[derive(Default)]
pub(crate) struct Nodes {
    handles: Vec<(Handle, SocketAddr)>,
    threads: Vec<JoinHandle<()>>,
}

impl Nodes {
    /// Starts those that the config names; none where it has no `[erlang]`.
    pub(crate) fn start(daemon: &Arc<Daemon>, commands: &Arc<Commands>) -> Result<Self> {
        let loaded = daemon.loaded();
        let mut nodes = Self::default();
        let Some(erlang) = &loaded.config.erlang else {
            return Ok(nodes);
        };
        let (serve, serving) = Serve::start(daemon, commands, erlang.results)
            .context("no threads for calls from Erlang")?;
        nodes.threads.extend(serving);
        let names = [&erlang.name].into_iter().chain(&erlang.more_names);
        for (index, name) in names.enumerate() {
            let settings = settings(&loaded, erlang, &name.0, index)?;
            let seed = crate::daemon::random::<24>()?;
            let mut words = [0; 3];
            for (word, bytes) in words.iter_mut().zip(seed.as_chunks().0) {
                *word = u64::from_ne_bytes(*bytes);
            }
            let started = start(settings, words).map_err(|error| {
                let label = error.to_string();
                loaded.problem(&["erlang", "listen"], "no Erlang node", label)
            })?;
            let Started {
                handle,
                events,
                address,
                thread,
            } = started;
            nodes.handles.push((handle.clone(), address));
            nodes.threads.push(thread);
            let (node, daemon, serve) = (handle.clone(), Arc::clone(daemon), serve.clone());
            handle
                .run(move || hand_on(daemon, node, events, serve))
                .context("no task for events from Erlang")?;
        }
        let mut handles = nodes.handles.iter().map(|(handle, _)| handle.clone());
        if let Some(first) = handles.next() {
            let others: Vec<Handle> = handles.collect();
            let all = [&first].into_iter().chain(&others).cloned().collect();
            let face = ErlangFace::new(first, others, erlang.rpc_timeout.0);
            // Set once, just here.
            let _ = daemon.services.erlang.set(Arc::new(face));
            let processes = daemon.erlang.get_or_init(|| Processes {
                nodes: all,
                configured: erlang.processes.clone(),
            });
            processes.register(&daemon.engine);
        }
        Ok(nodes)
    }

    /// Name and address of each.
    pub(crate) fn list(&self) -> impl Iterator<Item = (String, SocketAddr)> {
        let handles = self.handles.iter();
        handles.map(|(handle, address)| (handle.snapshot().name.to_string(), *address))
    }

    /// Ends them and waits for their threads.
    pub(crate) fn stop(self) {
        for (handle, _) in &self.handles {
            // One that is gone needs no telling.
            let _ = handle.stop();
        }
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a thread of the Erlang node had panicked");
            }
        }
    }
}

/// The processes that other nodes can send to: those that scripts handle, and those of the config.
pub(crate) struct Processes {
    nodes: Vec<Handle>,
    configured: Vec<String>,
}

impl Processes {
    /// Registers them, as the scripts are now.
    pub(crate) fn register(&self, engine: &Engine) {
        let mut names: Vec<Arc<str>> = self.configured.iter().map(|n| n.as_str().into()).collect();
        for script in engine.scripts() {
            for name in script.current().processes().unwrap_or_default() {
                if name != switchhook_script::erlang::SELF && !names.iter().any(|n| **n == *name) {
                    names.push(name.into());
                }
            }
        }
        for node in &self.nodes {
            if let Err(fault) = node.register(names.clone()) {
                error!(%fault, "Erlang processes not registered");
            }
        }
    }
}

/// Takes events to where they belong, until the node ends.
async fn hand_on(
    daemon: Arc<Daemon>,
    node: Handle,
    mut events: mpsc::Receiver<Event>,
    serve: Serve,
) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Call {
                id,
                node: from,
                module,
                function,
                arguments,
            } => serve.call(serve::Call {
                node: node.clone(),
                id,
                from: from.to_string(),
                method: format!("{module}.{function}"),
                arguments,
            }),
            other => daemon.engine.erlang(other).await,
        }
    }
}

fn settings(
    loaded: &Loaded,
    erlang: &Erlang,
    name: &NodeName,
    index: usize,
) -> Result<Settings, Problems> {
    let cookie = match (&erlang.cookie, &erlang.cookie_file) {
        (Some(cookie), _) => self::cookie(loaded, &["erlang", "cookie"], cookie)?,
        (None, file) => {
            let file = file.as_deref().unwrap_or(Path::new(""));
            cookie_file(loaded, &["erlang", "cookie-file"], file)?
        }
    };
    let mut cookies = Vec::new();
    for (index, peer) in erlang.peer.iter().enumerate() {
        if let Some(file) = &peer.cookie_file {
            let at = index.to_string();
            let path = ["erlang", "peer", &at, "cookie-file"];
            cookies.push((peer.name.0.clone(), cookie_file(loaded, &path, file)?));
        }
    }
    let tls = match &erlang.tls {
        None => None,
        Some(tls) => {
            let files = TlsFiles {
                certificate: tls.certificate.clone(),
                key: tls.key.clone(),
                authorities: tls.authorities.clone(),
            };
            let problem = |error: &dyn ToString| {
                loaded.problem(
                    &["erlang", "tls"],
                    "no TLS for the Erlang node",
                    error.to_string(),
                )
            };
            Some(Tls::new(&files).map_err(|error| problem(&error))?)
        }
    };
    let mut listen = erlang.listen;
    if listen.port() != 0 {
        listen.set_port(listen.port().saturating_add(index as u16));
    }
    let addresses = erlang.peer.iter();
    Ok(Settings {
        node: NodeConfig {
            name: name.clone(),
            flags: Flags::OURS,
            cookie,
            cookies,
            nodes: erlang.nodes.iter().map(|node| node.0.clone()).collect(),
            takeover: erlang.takeover,
            retry: (RETRY, erlang.max_retry.0),
            limits: Limits {
                connections: erlang.max_connections.into(),
                message: erlang.max_message.bytes(),
                queue: erlang.send_queue.bytes(),
                tick_time: erlang.tick_time.0,
                ..Limits::default()
            },
        },
        listen,
        epmd: match erlang.epmd {
            Epmd::At(address) => switchhook_net::erlang::Epmd::At(address),
            Epmd::Off => switchhook_net::erlang::Epmd::Off,
        },
        addresses: addresses
            .filter_map(|peer| Some((peer.name.0.clone(), peer.address?)))
            .collect(),
        tls,
        connect: erlang.connect_timeout.0,
        events: WAITING,
        commands: WAITING,
    })
}

fn cookie_file(loaded: &Loaded, path: &[&str], file: &Path) -> Result<Cookie, Problems> {
    let text = fs::read_to_string(file).map_err(|error| {
        let label = format!("{}: {error}", file.display());
        loaded.problem(path, "can't read the cookie", label)
    })?;
    let mode = fs::metadata(file).map_or(0, |file| file.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        warn!(
            "{} can be read by others (mode {mode:04o}) and holds a cookie: chmod 400 it",
            file.display()
        );
    }
    cookie(loaded, path, text.trim_end())
}

fn cookie(loaded: &Loaded, path: &[&str], text: &str) -> Result<Cookie, Problems> {
    Cookie::new(text).map_err(|error| loaded.problem(path, "this is no cookie", error.to_string()))
}
