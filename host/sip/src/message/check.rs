//! What every message must have, so that it can be routed or answered at all. RFC 3261 8.1.1, 8.2.2, 16.3 step 1, 20;
//! RFC 4475 3.1.2 and 3.3.
//!
//! Not here: schemes (416), Max-Forwards of zero (483), loops (482), Proxy-Require (420): those are the proxy's to answer.

use super::header::HeaderId;
use super::index::Span;
use super::malformed::{Fault, Malformed};
use super::token::{cut, is_token_byte};
use super::via::ViaPlaces;
use super::{Message, Method, NameAddr, Uri};

/// Those that must come once.
const MANDATORY: [HeaderId; 4] = [
    HeaderId::CallId,
    HeaderId::Cseq,
    HeaderId::From,
    HeaderId::To,
];

/// Those that may not come twice and that we or the next hop act on.
const ONCE: [HeaderId; 3] = [
    HeaderId::MaxForwards,
    HeaderId::ContentType,
    HeaderId::Expires,
];

const fn bit(id: HeaderId) -> u128 {
    1 << id as u8
}

const fn bits(ids: &[HeaderId]) -> u128 {
    match ids {
        [] => 0,
        [first, rest @ ..] => bit(*first) | bits(rest),
    }
}

/// What every message has and many ask for; read once, when it is checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) via: ViaPlaces,
    pub(super) call_id: Span,
    /// The CSeq's number and method.
    pub(super) cseq: (u32, Span),
    pub(super) from_tag: Option<Span>,
    pub(super) to_tag: Option<Span>,
}

pub(super) fn check(msg: &Message) -> Result<Known, Malformed> {
    once(msg)?;
    vias(msg)?;
    let place = |part: &[u8]| Span::within(msg.bytes(), part);
    let via = ViaPlaces::of(&msg.via()?, msg.bytes());
    let call_id = place(msg.call_id()?);
    let cseq = msg.cseq()?;
    // The value has no white space at its end, so its method is the last of it.
    let value = msg.header(HeaderId::Cseq).unwrap_or_default();
    let before = value.len().saturating_sub(cseq.method.as_bytes().len());
    let method = place(cut(value, before).1);
    let (from, to) = (msg.from()?, msg.to()?);
    for (id, address) in [(HeaderId::From, from), (HeaderId::To, to)] {
        address.uri().map_err(|fault| fault.of(id))?;
    }
    let known = Known {
        via,
        call_id,
        cseq: (cseq.number, method),
        from_tag: from.tag().map(place),
        to_tag: to.tag().map(place),
    };
    if !msg.is_request() {
        return Ok(known);
    }
    let bad = || Malformed::new(Fault::RequestUri, msg.request_uri());
    let uri = Uri::parse(msg.request_uri()).map_err(|_| bad())?;
    // Headers may not stand in a request URI (RFC 3261 19.1.1 table 1, RFC 4475 3.1.2.11).
    if uri.is_sip() && uri.headers.is_some() {
        return Err(bad());
    }
    let method = msg.method();
    if cseq.method != method {
        let fault = if method.is_other() {
            Fault::CseqMethodUnknown
        } else {
            Fault::CseqMethod
        };
        return Err(Malformed::new(fault, cseq.method.as_bytes()).of(HeaderId::Cseq));
    }
    if let Some(hops) = msg.max_forwards() {
        hops?;
    }
    if method == Method::Register {
        contacts(msg)?;
    }
    Ok(known)
}

/// No value of a list of Vias is without its beginning (RFC 4475 3.1.2.1).
fn vias(msg: &Message) -> Result<(), Malformed> {
    let lists = msg
        .fields()
        .filter(|field| field.id == HeaderId::Via && memchr::memchr(b',', field.value).is_some());
    for value in lists.flat_map(|field| field.values()) {
        if !value.first().copied().is_some_and(is_token_byte) {
            return Err(Malformed::new(Fault::Via, value).of(HeaderId::Via));
        }
    }
    Ok(())
}

/// One pass: what must be there once is, and no more than once.
fn once(msg: &Message) -> Result<(), Malformed> {
    let wanted = bits(&MANDATORY) | bits(&ONCE);
    let mut seen = 0;
    for slot in msg.index().slots() {
        let bit = bit(slot.id.0) & wanted;
        if seen & bit != 0 {
            let came = slot.value.of(msg.bytes());
            return Err(Malformed::new(Fault::Repeated, came).of(slot.id.0));
        }
        seen |= bit;
    }
    match MANDATORY.iter().find(|id| seen & bit(**id) == 0) {
        Some(id) => Err(Malformed::missing(*id)),
        None => Ok(()),
    }
}

/// A REGISTER's Contacts are bindings to be kept, so each must be an address or `*` (RFC 3261 10.3, RFC 4475 3.1.2.13).
fn contacts(msg: &Message) -> Result<(), Malformed> {
    for value in msg.values(HeaderId::Contact).filter(|value| *value != b"*") {
        let contact = NameAddr::parse(value).map_err(|fault| fault.of(HeaderId::Contact))?;
        contact.uri().map_err(|fault| fault.of(HeaderId::Contact))?;
    }
    Ok(())
}
