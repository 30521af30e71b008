//! Where a request came from, noted in its top Via. RFC 3261 18.2.1, RFC 3581 section 4.

use crate::address::AddressText;
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
    let rport = force_rport || via.has_rport();
    let differs = host_ip(via.host) != Some(address);
    let received = rport || differs || via.params.get(b"received").is_some();
    let address = AddressText::ip(address);
    if rport {
        let port = AddressText::number(source.remote.port());
        let params = [
            (&b"received"[..], address.as_bytes()),
            (b"rport", port.as_bytes()),
        ];
        edits.set_via_params(request, params)
    } else if received {
        edits.set_via_params(request, [(b"received", address.as_bytes())])
    } else {
        Ok(())
    }
}
