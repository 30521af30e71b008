//! `switchhook run FILE`: from the config to `ready`, and from a signal to the end.

use super::print;
use crate::admin::{self, Commands, Socket};
use crate::cli::Settings;
use crate::config::{self, Loaded};
use crate::daemon::{Daemon, assemble};
use crate::erlang::Nodes;
use crate::log;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

pub(crate) fn run(settings: &Settings) -> Result<()> {
    let loaded = config::load(&settings.file, &settings.set)?;
    let (log, _flush) = log::start(&loaded.config.log)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let drain = loaded.config.sip.drain.0;
    let daemon = runtime.block_on(async {
        // Before anything takes time: a signal that comes while scripts compile must not be lost.
        let mut signals = Signals::new()?;
        let socket = admin_socket(&loaded)?;
        let path = loaded.config.admin_socket();
        let (file, set) = (settings.file.clone(), settings.set.clone());
        let starting = tokio::task::spawn_blocking(move || assemble(loaded, file, set, log));
        let daemon = tokio::select! {
            daemon = starting => Arc::new(daemon.context("the start panicked")??),
            () = signals.stop() => return Ok(None),
        };
        let commands = Arc::new(Commands::new());
        let starting = {
            let (daemon, commands) = (Arc::clone(&daemon), Arc::clone(&commands));
            tokio::task::spawn_blocking(move || Nodes::start(&daemon, &commands))
        };
        let nodes = starting.await.context("the Erlang node panicked")??;
        let answer = admin::answer(Arc::clone(&daemon), commands);
        let serving = socket.map(|socket| tokio::spawn(socket.serve(answer)));
        print(&greeting(&daemon, &nodes, path.as_deref()))?;
        info!("ready");
        signals.until_stop(&daemon).await;
        info!(deadline = ?drain, "draining: new calls are refused, running transactions may end");
        tokio::select! {
            drained = daemon.engine.drain(drain) => match drained.left {
                0 => info!("stopped"),
                left => warn!(transactions = left, "stopped at the deadline of sip.drain"),
            },
            () = signals.stop() => warn!("stopped at once by a second signal"),
        }
        if let Some(serving) = serving {
            serving.abort();
            // The socket's file goes with the task.
            _ = serving.await;
        }
        anyhow::Ok(Some((daemon, nodes)))
    })?;
    // Ends the tasks of admin connections, which hold the daemon too.
    runtime.shutdown_background();
    if let Some((daemon, nodes)) = daemon {
        // Their threads hold the daemon, too.
        nodes.stop();
        if let Some(daemon) = Arc::into_inner(daemon) {
            daemon.engine.stop();
        }
    }
    Ok(())
}

fn admin_socket(loaded: &Loaded) -> Result<Option<Socket>> {
    let admin = &loaded.config.admin;
    let Some(path) = loaded.config.admin_socket() else {
        return Ok(None);
    };
    let socket = Socket::bind(&path, admin.mode.0, admin.max_connections.into());
    let socket = socket.map_err(|error| {
        loaded.problem(
            &["admin", "listen"],
            "no admin socket",
            format!("{error:#}"),
        )
    })?;
    Ok(Some(socket))
}

/// Where it listens, what to try, and `ready`.
fn greeting(daemon: &Daemon, nodes: &Nodes, socket: Option<&Path>) -> String {
    let mut text = String::new();
    for local in daemon.engine.locals() {
        _ = writeln!(text, "listening on {local}");
    }
    for (name, address) in nodes.list() {
        _ = writeln!(text, "erlang node {name} on {address}");
    }
    if let Some(socket) = socket {
        _ = writeln!(text, "admin on unix:{}", socket.display());
    }
    for script in daemon.engine.scripts() {
        _ = writeln!(
            text,
            "script {} generation {}",
            script.name(),
            script.current().id()
        );
    }
    if let Some(local) = daemon.engine.locals().first() {
        _ = writeln!(text, "try: sipsak -s sip:{}", local.address);
    }
    if let Some(socket) = socket {
        // Who needs no --socket is not told of it.
        let which = if socket == crate::dirs::admin_socket() {
            String::new()
        } else {
            format!(" --socket {}", socket.display())
        };
        _ = writeln!(text, "     switchhook scripts{which}");
        _ = writeln!(text, "     switchhook rpc core.methods{which}");
    }
    text.push_str("ready\n");
    text
}

/// The signals that a daemon answers to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The next SIGTERM or SIGINT.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reloads at each SIGHUP until a signal to stop comes.
    async fn until_stop(&mut self, daemon: &Arc<Daemon>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    let daemon = Arc::clone(daemon);
                    // It may compile. One after the other: the next SIGHUP waits for this one.
                    let reload = tokio::task::spawn_blocking(move || daemon.hangup());
                    tokio::select! {
                        _ = reload => {}
                        _ = self.terminate.recv() => return,
                        _ = self.interrupt.recv() => return,
                    }
                }
            }
        }
    }
}
