//! What can go wrong, in words for the person who reads the log.

use std::fmt;
use std::time::Duration;

use wasmtime::{Error, Trap, WasmBacktrace};

use crate::limits::{Limit, Limits, Overdue};

/// Why an event failed. The instance is thrown away but after [`GuestError::Returned`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The route returned an error text. The only one that leaves the instance in use.
    #[error("the script returned an error: {0}")]
    Returned(String),
    /// The guest trapped.
    #[error("the script trapped: {message}{trace}")]
    Trap {
        /// What happened.
        message: String,
        /// Where.
        trace: Trace,
    },
    /// The guest used up its processor time.
    #[error("the script used its {deadline:?} of processor time (limits.deadline){trace}")]
    Deadline {
        /// The time it had.
        deadline: Duration,
        /// Where it was.
        trace: Trace,
    },
    /// Another limit was reached.
    #[error("the script reached its limit of {limit}{trace}")]
    Limit {
        /// Which.
        limit: Limit,
        /// Where it was; empty where the guest was not running.
        trace: Trace,
    },
    /// The script has no such route.
    #[error("the script has no {interface} `{name}`")]
    NoRoute {
        /// The interface in wit/.
        interface: &'static str,
        /// The route's name, empty for families without.
        name: String,
    },
    /// A new instance was needed, and its `init` or `import-state` refused.
    #[error("a new instance of the script could not begin: {0}")]
    Init(String),
}

impl GuestError {
    /// True where the event could be tried again when another one has ended.
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            Self::Limit {
                limit: Limit::Instances(_),
                ..
            }
        )
    }

    /// Reads what wasmtime reports.
    pub(crate) fn of(error: &Error, limits: &Limits) -> Self {
        let trace = Trace::of(error);
        if let Some(Overdue(deadline)) = error.downcast_ref() {
            return Self::Deadline {
                deadline: *deadline,
                trace,
            };
        }
        if let Some(limit) = error.downcast_ref::<Limit>() {
            return Self::Limit {
                limit: *limit,
                trace,
            };
        }
        if let Some(Trap::StackOverflow) = error.downcast_ref() {
            return Self::Limit {
                limit: Limit::Stack(limits.stack),
                trace,
            };
        }
        let message = message(error);
        if message.contains(FUEL_EXHAUSTED) {
            return Self::Limit {
                limit: Limit::Bytes(limits.bytes),
                trace,
            };
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::Limit {
                limit: Limit::Instances(limits.instances),
                trace,
            };
        }
        Self::Trap { message, trace }
    }
}

/// wasmtime's words when a host call would copy more than it may; the type is private. A test holds on to them.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// The causes of an error, innermost last, without the backtrace.
pub(crate) fn message(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // wasmtime puts the backtrace into a context's text too.
        let cause = cause.split("\nwasm backtrace").next().unwrap_or_default();
        if cause.starts_with("error while executing at wasm backtrace") || cause.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause);
    }
    text
}

/// The guest's frames, innermost first, names demangled. Displays as indented lines, each after a line break.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    frames: Vec<String>,
}

/// More frames than that tell nothing new: an endless recursion has them all alike.
const MAX_FRAMES: usize = 24;

impl Trace {
    fn of(error: &Error) -> Self {
        let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
            return Self::default();
        };
        let frame = |frame: &wasmtime::FrameInfo| {
            let name = frame.func_name().map_or_else(
                || format!("function {}", frame.func_index()),
                |name| format!("{:#}", rustc_demangle::demangle(name)),
            );
            let line = frame
                .symbols()
                .iter()
                .find_map(|symbol| Some((symbol.file()?, symbol.line()?)));
            match line {
                Some((file, line)) => format!("{name} ({file}:{line})"),
                None => name,
            }
        };
        Self {
            frames: trace.frames().iter().take(MAX_FRAMES).map(frame).collect(),
        }
    }

    /// The frames' texts, innermost first.
    pub fn frames(&self) -> &[String] {
        &self.frames
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frames
            .iter()
            .try_for_each(|frame| write!(f, "\n    at {frame}"))
    }
}

/// Why a script was not loaded or swapped. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file can't be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The module is larger than `code` allows.
    #[error("the module has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// Not a component or core module, or one that does not fit the contract.
    #[error("this is no module that can be loaded: {0}")]
    Invalid(String),
    /// The compiler took too long.
    #[error("compiling took more than {0:?}")]
    CompileTimeout(Duration),
    /// The engine could not be made with these limits.
    #[error("the limits can not be met on this machine: {0}")]
    Limits(String),
    /// A grant in the config that names no interface.
    #[error(
        "grants: `{name}` is no interface; there are: {}",
        crate::Interface::names()
    )]
    UnknownGrant {
        /// What was written.
        name: String,
    },
    /// Interfaces that the script uses and the config does not grant.
    #[error("script `{script}` uses {} without a grant; allow it in switchhook.toml, in the [[script]] named `{script}`:\n    grants = [{grants}]", missing.join(", "))]
    NotGranted {
        /// The script's name.
        script: String,
        /// The interfaces.
        missing: Vec<&'static str>,
        /// The whole line's list, with them.
        grants: String,
    },
    /// Imports that the host does not offer.
    #[error("script `{script}` imports what this host does not offer: {}", imports.join(", "))]
    UnknownImports {
        /// The script's name.
        script: String,
        /// The imports' names.
        imports: Vec<String>,
    },
    /// No interface of the contract is exported.
    #[error("script `{0}` handles nothing: it exports no interface of switchhook:script@0.1.0")]
    NoExports(String),
    /// `init` named a handler whose interface is not exported.
    #[error(
        "`init` says that it handles {interface} `{name}`, but the script does not export {interface}"
    )]
    HandlerNotExported {
        /// The interface in wit/.
        interface: &'static str,
        /// The route's name.
        name: String,
    },
    /// `init` refused.
    #[error("`init` refused: {0}")]
    Init(String),
    /// `import-state` refused what the old generation handed over.
    #[error("`import-state` refused: {0}")]
    ImportState(String),
    /// A call of lifecycle failed.
    #[error("{function}: {error}")]
    Lifecycle {
        /// `init`, `export-state` or `import-state`; `instantiate` before any of these.
        function: &'static str,
        /// How.
        error: GuestError,
    },
}
