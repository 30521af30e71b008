//! `rpc`: commands are registered while `init` runs, and go into the generation.

use switchhook_bindings::switchhook::script::rpc::Host;

use super::Answered;
use crate::command::{self, Command};
use crate::context::Context;
use crate::refusal::{invalid, limit, not_here};

impl Host for Context {
    fn register(&mut self, name: String, doc: String) -> Answered<()> {
        self.enter(name.len() + doc.len())?;
        let here = self.try_event().map_or("lifecycle", |event| event.here());
        let Some(commands) = &mut self.commands else {
            return Ok(Err(not_here("rpc.register", here, "init")));
        };
        if !command::is_name(&name) {
            return Ok(Err(invalid(format!(
                "rpc.register: expected `group.command` of letters, digits and `_`, got `{name}`"
            ))));
        }
        if commands.iter().any(|command| command.name == name) {
            return Ok(Err(invalid(format!(
                "rpc.register: `{name}` is there already"
            ))));
        }
        if commands.len() >= command::MAX || doc.len() > command::MAX_DOC {
            return Ok(Err(limit(format!(
                "rpc.register: at most {} commands, with {} bytes of documentation each",
                command::MAX,
                command::MAX_DOC
            ))));
        }
        commands.push(Command { name, doc });
        Ok(Ok(()))
    }
}
