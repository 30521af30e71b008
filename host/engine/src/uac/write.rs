//! The bytes of a request of ours for the way it takes: RFC 3261 8.1.1.

use std::fmt::Write;

use bytes::Bytes;
use switchhook_net::Local;
use switchhook_sip::message::{HeaderId, NameAddr};

use super::Own;

/// Writes it for that listener and branch. `server` is our name; empty for none.
pub(super) fn write(own: &Own, local: &Local, branch: &str, server: &str) -> Bytes {
    let request = &own.request;
    let (method, uri) = (&request.method, &request.uri);
    let ours = format!("<sip:{}>", local.sent_by);
    let from = request.from.as_deref().unwrap_or(&ours);
    let mut out = String::with_capacity(512);
    let mut line = |name: &str, value: std::fmt::Arguments<'_>| {
        // Writing to a String can't fail.
        let _ = write!(out, "{name}: {value}\r\n");
    };
    line(
        "Via",
        format_args!(
            "SIP/2.0/{} {};branch={branch};rport",
            local.transport, local.sent_by
        ),
    );
    line("Max-Forwards", format_args!("70"));
    match NameAddr::parse(from.as_bytes()).is_ok_and(|from| from.tag().is_some()) {
        true => line("From", format_args!("{from}")),
        false => line("From", format_args!("{from};tag={}", own.tag)),
    }
    match &request.to {
        Some(to) => line("To", format_args!("{to}")),
        None => line("To", format_args!("<{uri}>")),
    }
    line("Call-ID", format_args!("{}", own.call_id));
    line("CSeq", format_args!("{} {method}", own.cseq));
    if let Some((name, value)) = &own.authorization {
        line(name, format_args!("{value}"));
    }
    for header in &request.headers {
        line(&header.name, format_args!("{}", header.value));
    }
    let named = |id| {
        request
            .headers
            .iter()
            .any(|header| HeaderId::of(header.name.as_bytes()) == id)
    };
    if !server.is_empty() && !named(HeaderId::UserAgent) {
        line("User-Agent", format_args!("{server}"));
    }
    let body = request.body.as_ref();
    if let Some(body) = body {
        line("Content-Type", format_args!("{}", body.content_type));
    }
    let content = body.map_or(&[][..], |body| &body.content);
    line("Content-Length", format_args!("{}", content.len()));
    let first = format!("{method} {uri} SIP/2.0\r\n");
    [first.as_bytes(), out.as_bytes(), b"\r\n", content]
        .concat()
        .into()
}
