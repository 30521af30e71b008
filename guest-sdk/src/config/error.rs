//! What is wrong with a config, and at which key.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

#[derive(Debug)]
pub(super) struct ConfigError {
    /// The keys that lead there, outermost first.
    path: String,
    message: String,
}

impl ConfigError {
    pub(super) fn new(message: &str) -> ConfigError {
        ConfigError {
            path: String::new(),
            message: message.to_owned(),
        }
    }

    /// The same, found under that key.
    pub(super) fn under(mut self, key: &str) -> ConfigError {
        if !self.path.is_empty() {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, key);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "config: {}", self.message)
        } else {
            write!(f, "config.{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for ConfigError {}

impl de::Error for ConfigError {
    fn custom<T: fmt::Display>(message: T) -> ConfigError {
        ConfigError::new(&message.to_string())
    }

    // serde's own texts for these two can show floats, and that alone is 20 KB of guest
    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> ConfigError {
        ConfigError::new(&format!("expected {expected}, got {}", kind(&got)))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> ConfigError {
        ConfigError::new(&format!("expected {expected}, got another {}", kind(&got)))
    }
}

fn kind(got: &Unexpected<'_>) -> &'static str {
    match got {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "number",
        Unexpected::Char(_) | Unexpected::Str(_) => "string",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "list",
        Unexpected::Map => "table",
        _ => "value",
    }
}
