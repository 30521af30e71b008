//! Calls from Erlang: `rpc:call(Node, Module, Function, Args)` is the command `module.function`, the same that the admin socket
//! has.
//!
//! A command that takes microseconds and waits for nothing is run on the node's thread, so that its answer leaves with what the node
//! says anyway. A few threads run the others, so that one that takes its time (a swap compiles) holds up nobody. How many wait is
//! bounded by the node.

use super::value;
use crate::admin::{Commands, Fault};
use crate::config::Results;
use crate::daemon::Daemon;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use switchhook_erlang::TermBytes;
use switchhook_erlang::node::{Answer, CallId};
use switchhook_net::erlang::Handle;
use switchhook_term::{Term, decode};
use tracing::{debug, info};

/// Threads that run commands.
const THREADS: usize = 4;
/// What faults are in Kamailio's shape: its codes are those of SIP.
const BAD_REQUEST: i64 = 400;
const SERVER_ERROR: i64 = 500;

/// Arguments that are read on the node's thread, in bytes.
const SHORT: usize = 4096;

/// A call to be run.
pub(super) struct Call {
    pub(super) node: Handle,
    pub(super) id: CallId,
    pub(super) from: String,
    /// `module.function`.
    pub(super) method: String,
    pub(super) arguments: TermBytes,
}

/// What runs calls.
#[derive(Clone)]
pub(super) struct Serve {
    runner: Arc<Runner>,
    calls: Sender<Call>,
}

impl Serve {
    /// Starts the threads; they end with the last clone of this.
    pub(super) fn start(
        daemon: &Arc<Daemon>,
        commands: &Arc<Commands>,
        results: Results,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let runner = Arc::new(Runner {
            daemon: Arc::clone(daemon),
            commands: Arc::clone(commands),
            results,
        });
        let (calls, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for index in 0..THREADS {
            let (runner, waiting) = (Arc::clone(&runner), Arc::clone(&waiting));
            let thread = std::thread::Builder::new()
                .name(format!("erlang-rpc-{index}"))
                .spawn(move || {
                    while let Some(call) = next(&waiting) {
                        runner.answer(&call);
                    }
                })?;
            threads.push(thread);
        }
        Ok((Self { runner, calls }, threads))
    }

    /// Runs a call, here or on a thread. Does not block.
    pub(super) fn call(&self, call: Call) {
        if call.arguments.len() <= SHORT && self.runner.commands.is_short(&call.method) {
            return self.runner.answer(&call);
        }
        // The threads live as long as this does.
        let _ = self.calls.send(call);
    }
}

fn next(waiting: &Mutex<Receiver<Call>>) -> Option<Call> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.recv().ok()
}

struct Runner {
    daemon: Arc<Daemon>,
    commands: Arc<Commands>,
    results: Results,
}

impl Runner {
    /// Runs a call and gives the node its answer.
    fn answer(&self, call: &Call) {
        if let Err(fault) = call.node.answer(call.id, self.run(call)) {
            debug!(from = call.from, %fault, "an answer to Erlang was lost");
        }
    }

    fn run(&self, call: &Call) -> Answer {
        let method = &call.method;
        if !self.commands.has(&self.daemon, method) {
            return Answer::Undefined;
        }
        let result = parameters(method, &call.arguments)
            .and_then(|parameters| self.commands.call(&self.daemon, method, Some(parameters)));
        if method == "script.swap" {
            info!(from = call.from, ok = result.is_ok(), "script swap by rpc");
        }
        match (result, self.results) {
            (Ok(value), results) => Answer::Value(value::result(&value, results).into()),
            (Err(fault), Results::Maps) => {
                Answer::Error(value::modern_fault(fault.code, &fault.message).into())
            }
            (Err(fault), Results::Kamailio) => {
                let code = match fault.code {
                    // A script's own.
                    code @ 100..=699 => code,
                    _ if fault.is_about_arguments() => BAD_REQUEST,
                    _ => SERVER_ERROR,
                };
                Answer::Value(value::classic_fault(code, &fault.message).into())
            }
        }
    }
}

fn parameters(method: &str, arguments: &TermBytes) -> Result<Value, Fault> {
    let list = decode(arguments).map_err(|error| Fault::invalid_params(error.to_string()))?;
    if let ("script.swap", Term::List(items)) = (method, &list)
        && let [name, Term::Binary(module)] = &items[..]
        && module.starts_with(b"\0asm")
        && let [name] = &value::arguments(&Term::List(vec![name.clone()]))?[..]
    {
        return Ok(json!({ "script": name, "base64": STANDARD.encode(module) }));
    }
    value::arguments(&list).map(Value::Array)
}
