//! Keeps each line for the test and prints it.

pub use crate::bindings::switchhook::script::log::Level;
use crate::testkit::world::{is_running, world};

pub(crate) fn write(level: Level, message: &str) {
    let line = format!("{}: {message}", name(level));
    println!("{line}");
    if is_running() {
        world(|world| world.log.push(line));
    }
}

pub(crate) fn enabled(_level: Level) -> bool {
    true
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
