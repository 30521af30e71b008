//! `[[script]]`: a guest, what it may do and what it may cost.

use super::units::{Duration, Size};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use switchhook_script::Interface;

/// A script. The first one routes.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Script {
    /// Its name in logs, commands and `--set script.NAME...`: letters, digits, `-` and `_`.
    pub(crate) name: String,
    /// The component or core module.
    pub(crate) path: PathBuf,
    /// The interfaces it may import; any other makes loading fail.
    #[serde(default)]
    pub(crate) grants: Vec<Grant>,
    /// What one event may cost.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// The answer to a request for which the script trapped, ran out of a limit, failed or decided nothing.
    #[serde(default)]
    pub(crate) error_reply: ErrorReply,
    /// What the script's `init` gets, as JSON.
    #[serde(default)]
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
}

impl Script {
    /// The `config` table as `init` gets it.
    pub(crate) fn config_json(&self) -> String {
        serde_json::Value::Object(self.config.clone()).to_string()
    }
}

/// An interface of the contract; see wit/.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Grant {
    /// Write log lines.
    Log,
    /// Variables of the transaction.
    Vars,
    /// Read and edit requests.
    Request,
    /// Read and edit replies.
    Reply,
    /// Sources, sockets, next hop.
    Transport,
    /// Relay, fork, reply, arm routes.
    Tm,
    /// Record-Route and loose routing.
    Rr,
    /// Registrations: save, look up, remove.
    Registrar,
    /// Digest authentication.
    Auth,
    /// Calls that are tracked.
    Dialog,
    /// Shared hash tables.
    Htable,
    /// Terms to and calls into the Erlang node.
    Erlang,
    /// Commands of one's own, for the admin socket and Erlang.
    Rpc,
    /// The DMQ bus: its members, and messages to them.
    Dmq,
    /// Requests of the script's own.
    Uac,
}

impl Grant {
    /// The interface of wit/ that it is.
    pub(crate) fn interface(self) -> Interface {
        match self {
            Self::Log => Interface::Log,
            Self::Vars => Interface::Vars,
            Self::Request => Interface::Request,
            Self::Reply => Interface::Reply,
            Self::Transport => Interface::Transport,
            Self::Tm => Interface::Tm,
            Self::Rr => Interface::Rr,
            Self::Registrar => Interface::Registrar,
            Self::Auth => Interface::Auth,
            Self::Dialog => Interface::Dialog,
            Self::Htable => Interface::Htable,
            Self::Erlang => Interface::Erlang,
            Self::Rpc => Interface::Rpc,
            Self::Dmq => Interface::Dmq,
            Self::Uac => Interface::Uac,
        }
    }
}

/// What one event, or one instance, may cost.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Limits {
    /// Computing time of one event; a tick is a millisecond.
    pub(crate) deadline: Duration,
    /// Linear memory of an instance.
    pub(crate) memory: Size,
    /// Stack of an instance.
    pub(crate) stack: Size,
    /// Instances at once of one generation, over all lanes.
    pub(crate) instances: u32,
    /// Host calls of one event.
    pub(crate) host_calls: u32,
    /// Bytes copied between host and script in one event.
    pub(crate) bytes: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::millis(50),
            memory: Size::mib(16),
            stack: Size::kib(512),
            instances: 64,
            host_calls: 10_000,
            bytes: Size::mib(4),
        }
    }
}

/// A final answer.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ErrorReply {
    /// 400 to 699.
    #[schemars(range(min = 400, max = 699))]
    pub(crate) status: u16,
    /// The reason phrase.
    pub(crate) reason: String,
}

impl Default for ErrorReply {
    fn default() -> Self {
        Self {
            status: 500,
            reason: "Server Internal Error".to_owned(),
        }
    }
}
