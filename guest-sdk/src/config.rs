//! The script's config: the `config` table of its `[[script]]` in switchhook.toml, which crosses as JSON.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads it into the script's own type.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::new(format!("config: {e}")))
}
