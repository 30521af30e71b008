//! Commands for a running daemon: JSON-RPC 2.0 over a Unix socket.
//!
//! [`registry`] is the one place where methods hang; [`methods`] are those there are. [`socket`] brings calls in, [`client`] is
//! the command line's other end. A new method is one entry in a file of [`methods`]; `core.methods` lists it by itself.

pub(crate) mod client;
mod jsonrpc;
mod methods;
mod page;
mod registry;
mod socket;

pub(crate) use jsonrpc::Fault;
pub(crate) use socket::Socket;

use crate::daemon::Daemon;
use registry::Registry;
use serde_json::Value;
use std::sync::Arc;

/// All commands, however a call comes in.
pub(crate) struct Commands {
    methods: Registry<Daemon>,
}

impl Commands {
    pub(crate) fn new() -> Self {
        Self {
            methods: methods::registry(),
        }
    }

    /// Whether there is a command of that name, the daemon's or the script's.
    pub(crate) fn has(&self, daemon: &Daemon, name: &str) -> bool {
        self.methods.has(name) || daemon.engine.has_command(name)
    }

    /// Whether it is a command that takes microseconds and waits for nothing.
    pub(crate) fn is_short(&self, name: &str) -> bool {
        self.methods.is_short(name)
    }

    /// Runs a command. It may take its time.
    pub(crate) fn call(
        &self,
        daemon: &Daemon,
        name: &str,
        params: Option<Value>,
    ) -> Result<Value, Fault> {
        if self.methods.has(name) || !daemon.engine.has_command(name) {
            return self.methods.call(daemon, name, params);
        }
        let params = params.unwrap_or_else(|| Value::Array(Vec::new()));
        let answer = daemon
            .engine
            .command(name, params.to_string())
            .map_err(|fault| Fault::of_script(fault.code, fault.message))?;
        serde_json::from_str(&answer)
            .map_err(|error| Fault::internal(format!("the script's answer is no JSON: {error}")))
    }
}

/// What answers each request at the socket.
pub(crate) fn answer(daemon: Arc<Daemon>, commands: Arc<Commands>) -> socket::Answer {
    Arc::new(move |request| commands.call(&daemon, &request.method, request.params.clone()))
}
