//! `log`.

use switchhook_bindings::switchhook::script::log::{Host, Level};
use wasmtime::Result;

use crate::context::Context;

/// What is longer is cut.
const LINE: usize = 4096;

impl Host for Context {
    fn write(&mut self, level: Level, message: String) -> Result<()> {
        self.enter(message.len())?;
        let end = message.floor_char_boundary(LINE);
        let line = message.get(..end).unwrap_or_default();
        self.effects().log(&self.scope(), level, line);
        Ok(())
    }

    fn enabled(&mut self, level: Level) -> Result<bool> {
        self.enter(0)?;
        Ok(self.effects().log_enabled(level))
    }
}
