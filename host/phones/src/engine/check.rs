//! Whether a message that arrived is the one that was sent, but for what a proxy may and must change.
//!
//! Pure: the message, and what was sent. The first thing that is wrong is the fault. RFC 3261 8.1.3, 8.2, 12.2, 16.6, 16.7.

use super::call::Leg;
use crate::scenario::program::Transaction;
use crate::template::Part;
use crate::verdict::{Fault, Reason};
use crate::wire::{self, Message, Name};

type Checked = Result<(), Fault>;

/// Max-Forwards as sent.
const HOPS: u32 = 70;

/// A request at the phone that it is for. `uri` is the one that must be in it.
pub(super) fn request(
    message: &Message<'_>,
    transaction: &Transaction,
    leg: &Leg,
    uri: &[u8],
) -> Checked {
    let part = |part| leg.spans.of(part, &leg.request);
    if let wire::Start::Request { uri: got, .. } = message.start
        && got != uri
    {
        return Err(Fault::differs(Reason::RequestUri, Some(got), uri));
    }
    same(
        Reason::CallId,
        message.first(Name::CallId),
        part(Part::CallId),
    )?;
    same(Reason::From, message.first(Name::From), part(Part::From))?;
    same(Reason::To, message.first(Name::To), part(Part::To))?;
    if transaction.method == "CANCEL" {
        // it is the server's own, hop by hop
        return Ok(());
    }
    vias(message, part(Part::Via))?;
    hops(message)?;
    if let Some(route) = message.first(Name::Route) {
        let detail = format!("got Route `{}`, expected none", route.escape_ascii());
        return Err(Fault::new(Reason::Route, detail));
    }
    if transaction.record_routed && message.first(Name::RecordRoute).is_none() {
        return Err(Fault::new(
            Reason::RecordRoute,
            "got none, expected the server's",
        ));
    }
    contact(message, part(Part::Contact))?;
    body(message, part(Part::Body), part(Part::Kind))
}

/// Ours is the last one, unchanged but for `received` and `rport`; above it stands the server's.
fn vias(message: &Message<'_>, sent: &[u8]) -> Checked {
    let mut first = None;
    let mut last = None;
    for via in message.values(Name::Via) {
        first = first.or(Some(via));
        last = Some(via);
    }
    let (Some(first), Some(last)) = (first, last) else {
        return Err(Fault::new(Reason::Via, "got none"));
    };
    our_via(last, sent)?;
    let branch = wire::param(first, b"branch").unwrap_or_default();
    let new =
        branch.starts_with(crate::ids::COOKIE) && Some(branch) != wire::param(sent, b"branch");
    if !new {
        let detail = format!(
            "got `{}` on top, expected one of the server's with a branch of its own",
            first.escape_ascii()
        );
        return Err(Fault::new(Reason::Via, detail));
    }
    Ok(())
}

fn our_via(got: &[u8], sent: &[u8]) -> Checked {
    let same = wire::param(got, b"branch") == wire::param(sent, b"branch")
        && wire::sent_by(got) == wire::sent_by(sent);
    if !same {
        return Err(Fault::differs(Reason::Via, Some(got), sent));
    }
    Ok(())
}

fn hops(message: &Message<'_>) -> Checked {
    let got = message.first(Name::MaxForwards);
    match got.and_then(wire::decimal) {
        Some(hops) if hops < HOPS => Ok(()),
        _ => Err(Fault::new(
            Reason::MaxForwards,
            format!(
                "got `{}`, expected less than {HOPS}",
                got.unwrap_or_default().escape_ascii()
            ),
        )),
    }
}

fn contact(message: &Message<'_>, sent: &[u8]) -> Checked {
    if sent.is_empty() {
        return Ok(());
    }
    same(Reason::Contact, message.first(Name::Contact), sent)
}

/// Body, length and type.
fn body(message: &Message<'_>, sent: &[u8], kind: &[u8]) -> Checked {
    same(Reason::Body, Some(message.body), sent)?;
    let length = message.first(Name::ContentLength).and_then(wire::decimal);
    if length.is_some_and(|length| length as usize != sent.len()) {
        let detail = format!(
            "got Content-Length {}, expected {}",
            length.unwrap_or(0),
            sent.len()
        );
        return Err(Fault::new(Reason::Body, detail));
    }
    if !sent.is_empty() {
        same(Reason::Body, message.first(Name::ContentType), kind)?;
    }
    Ok(())
}

/// A response at the phone that asked: what every one of them must have.
pub(super) fn response(message: &Message<'_>, leg: &Leg, port: &[u8]) -> Checked {
    let part = |part| leg.spans.of(part, &leg.request);
    let mut vias = message.values(Name::Via);
    let (Some(via), None) = (vias.next(), vias.next()) else {
        let detail = format!(
            "got {} values, expected ours alone",
            message.values(Name::Via).count()
        );
        return Err(Fault::new(Reason::Via, detail));
    };
    our_via(via, part(Part::Via))?;
    same(Reason::Rport, wire::param(via, b"rport"), port)?;
    same(
        Reason::CallId,
        message.first(Name::CallId),
        part(Part::CallId),
    )?;
    same(Reason::From, message.first(Name::From), part(Part::From))
}

/// To of an answer: as sent, and where the request had no tag, one more.
pub(super) fn to_tag(message: &Message<'_>, leg: &Leg, expected: Option<&[u8]>) -> Checked {
    let sent = leg.spans.of(Part::To, &leg.request);
    let got = message.first(Name::To).unwrap_or_default();
    let Some(rest) = got.strip_prefix(sent) else {
        return Err(Fault::differs(Reason::To, Some(got), sent));
    };
    let had = wire::param(sent, b"tag").is_some();
    match (rest.strip_prefix(b";tag="), expected) {
        (None, _) if had && rest.is_empty() => Ok(()),
        (Some(tag), Some(expected)) if !had && tag == expected => Ok(()),
        (Some(tag), None) if !had && !tag.is_empty() => Ok(()),
        _ => Err(Fault::differs(
            Reason::ToTag,
            wire::param(got, b"tag"),
            expected.unwrap_or(b"one"),
        )),
    }
}

/// A phone's answer as it reached who asked: what the phone put in, and the Record-Route of the way there.
pub(super) fn relayed(message: &Message<'_>, leg: &Leg, routes: &[u8], dialog: bool) -> Checked {
    let part = |part| leg.reply_spans.of(part, &leg.reply);
    contact(message, part(Part::Contact))?;
    body(message, part(Part::Body), part(Part::Kind))?;
    if dialog && !message.values(Name::RecordRoute).eq(wire::Values(routes)) {
        let mut got = Vec::new();
        join(message, &mut got);
        return Err(Fault::differs(Reason::RecordRoute, Some(&got), routes));
    }
    Ok(())
}

/// The registrar's answer lists what was registered.
pub(super) fn bindings(message: &Message<'_>, leg: &Leg) -> Checked {
    let sent = leg.spans.of(Part::Contact, &leg.request);
    if message
        .values(Name::Contact)
        .any(|value| value.starts_with(sent))
    {
        return Ok(());
    }
    Err(Fault::differs(
        Reason::Bindings,
        message.first(Name::Contact),
        sent,
    ))
}

/// Record-Route's values, comma separated.
pub(super) fn join(message: &Message<'_>, out: &mut Vec<u8>) {
    for value in message.values(Name::RecordRoute) {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(value);
    }
}

fn same(reason: Reason, got: Option<&[u8]>, expected: &[u8]) -> Checked {
    if got == Some(expected) {
        return Ok(());
    }
    Err(Fault::differs(reason, got, expected))
}
