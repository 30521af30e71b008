//! `log`.

use switchhook_bindings::switchhook::script::log::{Host, Level};
use wasmtime::Result;

use crate::context::Context;
use crate::line::line;

impl Host for Context {
    fn write(&mut self, level: Level, message: String) -> Result<()> {
        self.enter(message.len())?;
        self.effects().log(&self.scope(), level, &line(&message));
        Ok(())
    }

    fn enabled(&mut self, level: Level) -> Result<bool> {
        self.enter(0)?;
        Ok(self.effects().log_enabled(level))
    }
}
