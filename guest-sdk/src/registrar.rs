//! The location service: RFC 3261 section 10.
//!
//! [`Request::save`](crate::Request::save) and [`Request::lookup`](crate::Request::lookup) act on the current request; what
//! is here asks and changes without one.

use crate::error::{Error, Result};
use crate::host::registrar;

pub use registrar::{Binding, Saved};

/// The contacts of a URI, preferred first; changes nothing.
pub fn bindings(table: &str, uri: impl AsRef<str>) -> Result<Vec<Binding>> {
    registrar::bindings(table, uri.as_ref()).map_err(Error::host)
}

/// Whether a URI has contacts; `registered`.
pub fn registered(table: &str, uri: impl AsRef<str>) -> Result<bool> {
    registrar::registered(table, uri.as_ref()).map_err(Error::host)
}

/// Removes all contacts of a URI; tells how many; `unregister`.
pub fn unregister(table: &str, uri: impl AsRef<str>) -> Result<u32> {
    registrar::unregister(table, uri.as_ref()).map_err(Error::host)
}
