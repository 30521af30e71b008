//! Where a request came from, noted in its top Via. RFC 3261 18.2.1, RFC 3581 section 4.

use crate::flow::Source;
use crate::message::{EditError, Edits, Malformed, Marks, Message, View, host_ip};

/// What is to be noted: `received` where the sent-by host is not the sender's address, and both `received` and `rport` where `rport` is
/// asked for or `force_rport` is set. What the sender itself put there gives way: replies go by it.
pub fn marks(
    request: View<'_>,
    source: &Source,
    force_rport: bool,
) -> Result<Option<Marks>, Malformed> {
    let via = request.via()?;
    let address = source.remote.ip().to_canonical();
    let rport = force_rport || via.has_rport();
    let received = rport || host_ip(via.host) != Some(address) || via.has_received();
    Ok(received.then(|| Marks::new(address, rport.then_some(source.remote.port()))))
}

/// Notes it. To be done once, before our own Via is put above: every reply to what is sent on copies this one.
pub fn mark_source(
    request: &Message,
    edits: &mut Edits,
    source: &Source,
    force_rport: bool,
) -> Result<(), EditError> {
    match marks(edits.view(request), source, force_rport)? {
        Some(marks) => marks.put(edits, request),
        None => Ok(()),
    }
}
