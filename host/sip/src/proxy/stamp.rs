//! What is written once it is known on which socket a copy leaves: Record-Route and Via. RFC 3261 16.6 steps 4 and 8,
//! RFC 3581 section 3, RFC 5658 (double Record-Route), RFC 7118 section 5.

use smallvec::SmallVec;

use crate::flow::Transport;
use crate::message::{EditError, Edits, Fault, HeaderId, Malformed, Message, Uri};

/// One of our sockets as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface<'a> {
    /// What it speaks.
    pub transport: Transport,
    /// `host` or `host:port`, IPv6 in brackets.
    pub sent_by: &'a str,
}

/// That requests of this dialog shall come through us.
#[derive(Debug, Clone, Copy)]
pub struct RecordRoute<'a> {
    /// The socket that the request came on. Where it is not the one it leaves on, each side gets a value of its own.
    pub from: Interface<'a>,
    /// Further parameters for the URI: `ftag=abc;x`.
    pub params: &'a str,
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The socket that the copy leaves on.
    pub via: Interface<'a>,
    /// The branch, magic included; with the [`super::LoopMark`] behind a `.`.
    pub branch: &'a [u8],
    /// Ask the next hop to answer to the port that this came from (RFC 3581).
    pub rport: bool,
    /// Stay on the dialog's path.
    pub record_route: Option<RecordRoute<'a>>,
}

/// Most values are shorter.
type Text = SmallVec<[u8; 160]>;

/// Writes Record-Route and Via into the edits of a copy. To be done last: it reads the request URI as it goes out. For
/// another destination, begin again with the edits as they were before.
pub fn stamp(request: &Message, edits: &mut Edits, stamp: &Stamp<'_>) -> Result<(), EditError> {
    if let Some(record) = &stamp.record_route {
        let uri = edits.view(request).request_uri();
        let secure = uri
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
        let double = record.from != stamp.via;
        // The upstream side stands below: who answers reads from the top, who asked from the bottom.
        if double {
            let value = record_route(record.from, secure, true, record.params)?;
            edits.prepend_value(request, HeaderId::RecordRoute, &value)?;
        }
        let value = record_route(stamp.via, secure, double, record.params)?;
        edits.prepend_value(request, HeaderId::RecordRoute, &value)?;
    }
    let mut via = Text::new();
    for part in [
        &b"SIP/2.0/"[..],
        stamp.via.transport.as_str().as_bytes(),
        b" ",
        stamp.via.sent_by.as_bytes(),
        b";branch=",
        stamp.branch,
        if stamp.rport { b";rport" } else { b"" },
    ] {
        via.extend_from_slice(part);
    }
    edits.prepend_value(request, HeaderId::Via, &via)?;
    Ok(())
}

/// `<sip:host:port;transport=tcp;lr;r2=on;params>`
fn record_route(
    interface: Interface<'_>,
    secure: bool,
    double: bool,
    params: &str,
) -> Result<Text, EditError> {
    let params = params.trim_start_matches(';');
    let transport: &[u8] = match interface.transport {
        Transport::Udp => b"",
        Transport::Tls if secure => b"",
        Transport::Tcp => b";transport=tcp",
        Transport::Tls => b";transport=tls",
        Transport::Ws | Transport::Wss => b";transport=ws",
    };
    let mut value = Text::new();
    for part in [
        if secure { &b"<sips:"[..] } else { b"<sip:" },
        interface.sent_by.as_bytes(),
        transport,
        b";lr",
        if double { b";r2=on" } else { b"" },
        if params.is_empty() { b"" } else { b";" },
        params.as_bytes(),
    ] {
        value.extend_from_slice(part);
    }
    // What a script gave must not end the URI or begin another part of it.
    if !params.is_empty() {
        let uri = Uri::parse(value.get(1..).unwrap_or_default())?;
        let empty = params.split(';').any(|param| param.trim().is_empty());
        if uri.headers.is_some() || uri.user.is_some() || empty {
            return Err(Malformed::new(Fault::Uri, params.as_bytes()).into());
        }
    }
    value.push(b'>');
    Ok(value)
}
