//! Commands that the script registered: called from outside of the lanes, answered by a route of the script on one of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use switchhook_script::{Fault, Invocation};

use crate::Engine;
use crate::erlang::post::Post;

/// How long an answer is waited for; a route's own deadline is shorter, unless it waits in host calls.
const PATIENCE: Duration = Duration::from_secs(60);

/// Spreads commands over the lanes.
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Engine {
    /// The names of the script's commands, each with a line of documentation.
    pub fn commands(&self) -> Vec<(String, String)> {
        let current = self.scripts().first().map(|script| script.current());
        let commands = current.iter().flat_map(|current| current.commands());
        commands
            .map(|command| (command.name.clone(), command.doc.clone()))
            .collect()
    }

    /// Whether the script has that command.
    pub fn has_command(&self, name: &str) -> bool {
        let current = self.scripts().first().map(|script| script.current());
        current.is_some_and(|current| current.commands().any(|command| command.name == name))
    }

    /// Runs a command of the script; `params` and the answer are JSON. Blocks: for a thread of its own.
    pub fn command(&self, name: &str, params: String) -> Result<String, Fault> {
        let fault = |code, message: &str| Fault {
            code,
            message: message.to_owned(),
        };
        let lane = NEXT.fetch_add(1, Ordering::Relaxed) % self.lanes.len().max(1);
        let lane = self.lanes.get(lane);
        let lane = lane.ok_or_else(|| fault(503, "there is no lane"))?;
        let (answer, answered) = sync_channel(1);
        let invocation = Invocation {
            name: name.to_owned(),
            params,
            answer: None,
        };
        let post = Post::Command(Box::new(invocation), answer);
        lane.post
            .try_send(post)
            .map_err(|_| fault(503, "the lane has too much to do"))?;
        answered
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| Err(fault(500, "the script gave no answer")))
    }
}
