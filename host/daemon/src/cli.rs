//! The command line's words; what they do is in [`crate::command`].

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A SIP routing engine whose routing logic is WebAssembly.
#[derive(Parser)]
#[command(name = "switchhook", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run in the foreground; prints `ready` when every listener and script is up.
    ///
    /// SIGTERM and SIGINT let running transactions end (`sip.drain`), a second one stops at once. SIGHUP opens the log file anew and
    /// reloads what of the config can change while running.
    Run(Settings),
    /// Check a config and its scripts without opening a socket.
    Check(Settings),
    /// Exchange a script while calls are up; prints the old and the new generation.
    Swap {
        /// The script's name.
        script: String,
        /// The new component or core module.
        file: PathBuf,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// List the scripts of a running daemon.
    Scripts {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Call an admin method and print its result as JSON; without a method, list them.
    Rpc {
        /// The method, such as `stats.get`.
        method: Option<String>,
        /// Arguments in order, or `name=value` for each. JSON, or else plain text.
        args: Vec<String>,
        /// Follow `next` through all pages of a list; one item a line.
        #[arg(long)]
        all: bool,
        /// On one line.
        #[arg(long)]
        compact: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    Phones(Box<switchhook_phones::Args>),
    /// Print the JSON schema of switchhook.toml.
    #[command(hide = true)]
    Schema,
}

/// A config file and what the command line changes in it.
#[derive(Args)]
pub(crate) struct Settings {
    /// The config file.
    pub(crate) file: PathBuf,
    /// Change a setting: its dotted key and a TOML value or plain text, such as `sip.lanes=1` or `script.default.config.auth=false`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which daemon to talk to.
#[derive(Args)]
pub(crate) struct Daemon {
    /// Its admin socket. Without this and --config: the default of this user.
    #[arg(long, value_name = "PATH", env = "SWITCHHOOK_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// The config file that it runs, which names the socket.
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    pub(crate) config: Option<PathBuf>,
}
