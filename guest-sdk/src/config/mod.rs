//! The script's config: the `config` table of its `[[script]]` in switchhook.toml, which crosses as JSON.
//!
//! A reader of our own, because a general one makes every guest 60 KB larger; and because an error should name the key
//! (`second.bob: expected a string, got a number`), not a column of text that the operator never wrote. Owned values only: a config's
//! type keeps nothing of the JSON.

mod error;
mod json;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads it into the script's own type.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    json::read(json).map_err(|error| Error::new(error.to_string()))
}
