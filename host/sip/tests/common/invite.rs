//! The INVITE that budgets are measured with, and what a proxy does to it.

use bytes::Bytes;
use switchhook_sip::message::{EditError, Edits, HeaderId, Malformed, Message};

/// 741 bytes and 12 header fields, as facts are measured with.
pub(crate) const INVITE: &str = "INVITE sip:+15551230042@sip.example.test;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---a41f6d2c33e0;rport\r\n\
    Max-Forwards: 70\r\n\
    Contact: <sip:alice@192.0.2.17:5060;transport=udp>\r\n\
    To: <sip:+15551230042@sip.example.test;user=phone>\r\n\
    From: \"Alice\" <sip:alice@sip.example.test>;tag=9fxced76sl\r\n\
    Call-ID: 3848276298220188511@192.0.2.17\r\n\
    CSeq: 1 INVITE\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n\
    Supported: replaces, timer\r\n\
    User-Agent: Handset 4.1-build7\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 199\r\n\r\n\
    v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.17\r\ns=-\r\nc=IN IP4 192.0.2.17\r\nt=0 0\r\n\
    m=audio 49172 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n";

/// The answer to it as it comes back to the proxy.
pub(crate) const RINGING: &str = "SIP/2.0 180 Ringing\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKf00dfeedf00dfeed\r\n\
    Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---a41f6d2c33e0;received=192.0.2.17;rport=5060\r\n\
    Record-Route: <sip:192.0.2.1;lr>\r\n\
    To: <sip:+15551230042@sip.example.test;user=phone>;tag=b0b\r\n\
    From: \"Alice\" <sip:alice@sip.example.test>;tag=9fxced76sl\r\n\
    Call-ID: 3848276298220188511@192.0.2.17\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:bob@192.0.2.42:5060>\r\n\
    User-Agent: Handset 4.1\r\n\
    Content-Length: 0\r\n\r\n";

/// Shared bytes, as they come from a receive buffer.
pub(crate) fn received(text: &'static str) -> Bytes {
    let bytes = Bytes::from(text.as_bytes().to_vec());
    // The first clone makes them shared.
    drop(bytes.clone());
    bytes
}

/// What a proxy needs to know of a request: top Via, tags, CSeq, Max-Forwards, Call-ID.
pub(crate) fn needed(msg: &Message) -> Result<usize, Malformed> {
    let via = msg.via()?;
    let branch = via.magic_branch().map_or(0, <[u8]>::len) + usize::from(via.rport().is_some());
    let tags = msg.from()?.tag().map_or(0, <[u8]>::len) + msg.to()?.tag().map_or(0, <[u8]>::len);
    let cseq = msg.cseq()?;
    let hops = msg.max_forwards().transpose()?.unwrap_or(70);
    Ok(branch + tags + cseq.number as usize + usize::from(hops) + msg.call_id()?.len())
}

/// What it changes: request URI, received and rport, Via, Record-Route, Max-Forwards, and one header more.
pub(crate) fn edit(msg: &Message, edits: &mut Edits) -> Result<(), EditError> {
    edits.clear();
    edits.set_request_uri(msg, b"sip:bob@192.0.2.42:5060;transport=udp")?;
    edits.set_via_params(msg, [(b"received", b"192.0.2.17"), (b"rport", b"5060")])?;
    edits.prepend_value(
        msg,
        HeaderId::Via,
        b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKf00dfeedf00dfeed",
    )?;
    edits.prepend_value(msg, HeaderId::RecordRoute, b"<sip:192.0.2.1;lr>")?;
    edits.set_max_forwards(msg, 69)?;
    edits.append_field(msg, b"X-Route", b"default")?;
    Ok(())
}
