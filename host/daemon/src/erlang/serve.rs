//! Calls from Erlang: `rpc:call(Node, Module, Function, Args)` is the command `module.function`, the same that the admin socket
//! has.
//!
//! A few threads run them, so that one that takes its time (a swap compiles) does not hold up the others. How many wait is bounded
//! by the node.

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

/// A call to be run.
pub(super) struct Call {
    pub(super) node: Handle,
    pub(super) id: CallId,
    pub(super) from: String,
    pub(super) module: String,
    pub(super) function: String,
    pub(super) arguments: TermBytes,
}

/// Starts the threads; they end with the sender.
pub(super) fn start(
    daemon: &Arc<Daemon>,
    commands: &Arc<Commands>,
    results: Results,
) -> std::io::Result<(Sender<Call>, Vec<JoinHandle<()>>)> {
    let (calls, waiting) = channel();
    let waiting = Arc::new(Mutex::new(waiting));
    let mut threads = Vec::new();
    for index in 0..THREADS {
        let (daemon, commands) = (Arc::clone(daemon), Arc::clone(commands));
        let waiting = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name(format!("erlang-rpc-{index}"))
            .spawn(move || {
                while let Some(call) = next(&waiting) {
                    let answer = run(&daemon, &commands, results, &call);
                    if let Err(fault) = call.node.answer(call.id, answer) {
                        debug!(from = call.from, %fault, "an answer to Erlang was lost");
                    }
                }
            })?;
        threads.push(thread);
    }
    Ok((calls, threads))
}

fn next(waiting: &Mutex<Receiver<Call>>) -> Option<Call> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.recv().ok()
}

fn run(daemon: &Arc<Daemon>, commands: &Commands, results: Results, call: &Call) -> Answer {
    let method = format!("{}.{}", call.module, call.function);
    if !commands.has(daemon, &method) {
        return Answer::Undefined;
    }
    let result = parameters(&method, &call.arguments)
        .and_then(|parameters| commands.call(daemon, &method, Some(parameters)));
    if method == "script.swap" {
        info!(from = call.from, ok = result.is_ok(), "script swap by rpc");
    }
    match (result, results) {
        (Ok(value), _) => Answer::Value(value::result(&value, results).into()),
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
