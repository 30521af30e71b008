//! Commands that scripts registered: called from outside of the lanes, answered by a route of the script on one of them.

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
    /// The names of the scripts' commands, each with a line of documentation. Of two scripts with a command of one name the first has
    /// it.
    pub fn commands(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        for script in self.scripts() {
            for command in script.current().commands() {
                if all.iter().all(|(name, _)| *name != command.name) {
                    all.push((command.name.clone(), command.doc.clone()));
                }
            }
        }
        all
    }

    /// Whether a script has that command.
    pub fn has_command(&self, name: &str) -> bool {
        self.script_with(name).is_some()
    }

    /// The place of the script that has that command.
    fn script_with(&self, name: &str) -> Option<usize> {
        let mut scripts = self.scripts().iter();
        scripts.position(|script| {
            let current = script.current();
            current.commands().any(|command| command.name == name)
        })
    }

    /// Runs a command of a script; `params` and the answer are JSON. Blocks: for a thread of its own.
    pub fn command(&self, name: &str, params: String) -> Result<String, Fault> {
        let fault = |code, message: &str| Fault {
            code,
            message: message.to_owned(),
        };
        let script = self.script_with(name);
        let script = script.ok_or_else(|| fault(404, "no script has that command"))?;
        let lane = NEXT.fetch_add(1, Ordering::Relaxed) % self.lanes.len().max(1);
        let lane = self.lanes.get(lane);
        let lane = lane.ok_or_else(|| fault(503, "there is no lane"))?;
        let (answer, answered) = sync_channel(1);
        let invocation = Invocation {
            name: name.to_owned(),
            params,
            answer: None,
        };
        let post = Post::Command(script, Box::new(invocation), answer);
        lane.post
            .try_send(post)
            .map_err(|_| fault(503, "the lane has too much to do"))?;
        answered
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| Err(fault(500, "the script gave no answer")))
    }
}
