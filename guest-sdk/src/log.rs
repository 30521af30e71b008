//! The host's log: `log::info!("{} calls {}", req.from().uri(), req.uri())`.
//!
//! Each line carries script, generation, route and Call-ID by itself. A message is put together only where the operator's `[log]`
//! lets its level through.

use std::fmt;

use crate::host::log;

pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace,
    __log_warn as warn,
};
pub use log::Level;

/// Whether a line of that level would be written.
pub fn enabled(level: Level) -> bool {
    log::enabled(level)
}

#[doc(hidden)]
pub fn line(level: Level, message: fmt::Arguments<'_>) {
    // errors and warnings are rare and nearly always wanted: asking first would be a call for nothing
    if !matches!(level, Level::Error | Level::Warn) && !log::enabled(level) {
        return;
    }
    match message.as_str() {
        Some(text) => log::write(level, text),
        None => log::write(level, &message.to_string()),
    }
}

/// Writes a line: someone should look at this. Arguments as for [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($arg:tt)+) => {
        $crate::log::line($crate::log::Level::Error, ::core::format_args!($($arg)+))
    };
}

/// Writes a line: odd, but handled. Arguments as for [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($arg:tt)+) => {
        $crate::log::line($crate::log::Level::Warn, ::core::format_args!($($arg)+))
    };
}

/// Writes a line: what happened. Arguments as for [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($arg:tt)+) => {
        $crate::log::line($crate::log::Level::Info, ::core::format_args!($($arg)+))
    };
}

/// Writes a line: for whoever writes the script. Arguments as for [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($arg:tt)+) => {
        $crate::log::line($crate::log::Level::Debug, ::core::format_args!($($arg)+))
    };
}

/// Writes a line: every step. Arguments as for [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($arg:tt)+) => {
        $crate::log::line($crate::log::Level::Trace, ::core::format_args!($($arg)+))
    };
}
