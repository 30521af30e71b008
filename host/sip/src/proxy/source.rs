//! Where a request came from, noted in its top Via. RFC 3261 18.2.1, RFC 3581 section 4.

use std::fmt::Display;
use std::io::{Cursor, Write as _};

use crate::flow::Source;
use crate::message::{EditError, Edits, Message, host_ip};

/// Adds `received` where the sent-by host is not the sender's address, and both `received` and `rport` where `rport` is asked
/// for or `force_rport` is set. What the sender itself put there is overwritten: replies go by it.
///
/// To be done once, before anything else: every reply copies this Via.
pub fn mark_source(
    request: &Message,
    edits: &mut Edits,
    source: &Source,
    force_rport: bool,
) -> Result<(), EditError> {
    let via = edits.view(request).via()?;
    let address = source.remote.ip().to_canonical();
    let rport = force_rport || via.params.get(b"rport").is_some();
    let differs = host_ip(via.host) != Some(address);
    if differs || rport || via.params.get(b"received").is_some() {
        set(request, edits, b"received", address)?;
    }
    if rport {
        set(request, edits, b"rport", source.remote.port())?;
    }
    Ok(())
}

/// An address or a port, written on the stack: the longest IPv6 address takes 45 bytes.
fn set(
    request: &Message,
    edits: &mut Edits,
    name: &[u8],
    value: impl Display,
) -> Result<(), EditError> {
    let mut text = Cursor::new([0; 48]);
    let _ = write!(text, "{value}");
    let len = usize::try_from(text.position()).unwrap_or(0);
    let text = text.get_ref().get(..len).unwrap_or_default();
    edits.set_via_param(request, name, text)
}
