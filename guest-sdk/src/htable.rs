//! Shared hash tables, each declared as `[[htable]]` in switchhook.toml; `$sht(table=>key)`. All scripts and lanes see the same.
//!
//! ```no_run
//! # use switchhook_sdk::prelude::*;
//! const CALLS: htable::Table = htable::Table::new("calls");
//!
//! # fn route(req: &mut Request) -> Outcome {
//! if CALLS.add(req.from().uri().as_str(), 1)? > 10 {
//!     return req.reply(486, "Too Many Calls");
//! }
//! # Ok(Next)
//! # }
//! ```

use crate::error::{Error, Result};
use crate::host::htable;
use crate::value;

pub use htable::Value;

/// The table of that name: `htable::table("calls").add(user, 1)?`.
pub const fn table(name: &str) -> Table<'_> {
    Table::new(name)
}

/// A table by its name in the config.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a>(&'a str);

impl<'a> Table<'a> {
    /// The table of that name. Whether there is one shows when it is used.
    pub const fn new(name: &'a str) -> Table<'a> {
        Table(name)
    }

    /// The value of a key; none where absent or expired.
    pub fn get(self, key: &str) -> Result<Option<Value>> {
        htable::get(self.0, key).map_err(Error::host)
    }

    /// Sets a value that lives as long as the table's config says.
    pub fn set(self, key: &str, value: impl Into<Value>) -> Result<()> {
        self.set_for(key, value, 0)
    }

    /// Sets a value that lives for so many seconds; 0 means the table's own expiry.
    pub fn set_for(self, key: &str, value: impl Into<Value>, seconds: u32) -> Result<()> {
        htable::set(self.0, key, &value.into(), seconds).map_err(Error::host)
    }

    /// Adds to an integer atomically and gives the new value; an absent key counts as 0; `sht_inc`.
    pub fn add(self, key: &str, delta: i64) -> Result<i64> {
        htable::add(self.0, key, delta).map_err(Error::host)
    }

    /// Sets a new life in seconds for a key; tells whether it is there; `$shtex`.
    pub fn expire(self, key: &str, seconds: u32) -> Result<bool> {
        htable::expire(self.0, key, seconds).map_err(Error::host)
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(self, key: &str) -> Result<bool> {
        htable::remove(self.0, key).map_err(Error::host)
    }

    /// Removes every key that begins so; tells how many; `sht_rm_name` with `sw`.
    pub fn remove_prefix(self, prefix: &str) -> Result<u32> {
        htable::remove_prefix(self.0, prefix).map_err(Error::host)
    }

    /// How many items are alive.
    pub fn size(self) -> Result<u32> {
        htable::size(self.0).map_err(Error::host)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            _ => false,
        }
    }
}

value::from! {
    i64 => Integer,
    i32 => Integer,
    u32 => Integer,
    &str => Text,
    String => Text,
    Vec<u8> => Bytes,
}
