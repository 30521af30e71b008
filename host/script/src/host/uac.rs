//! `uac`: requests are checked here, and sent behind the effects.

use std::net::SocketAddr;
use std::time::Duration;

use switchhook_bindings::switchhook::script::types::{Body as WitBody, Header};
use switchhook_bindings::switchhook::script::uac::{
    Host, Reply, ReplyTo as WitReplyTo, Request as WitRequest,
};
use switchhook_sip::message::{HeaderId, Method, NameAddr, is_token};
use wasmtime::Result;

use super::Answered;
use super::text::uri;
use super::tm::line;
use crate::context::Context;
use crate::contract::Family;
use crate::event::{Body, HeaderField};
use crate::refusal::{Refusal, invalid, not_found, not_here, of_malformed, unavailable};
use crate::uac::{Credentials, ReplyTo, Request};

/// The longest wait, in milliseconds.
const MAX_TIMEOUT: u32 = 180_000;
/// More header fields than any request needs.
const MAX_HEADERS: usize = 128;

impl Host for Context {
    fn send(&mut self, request: WitRequest, to: Option<WitReplyTo>) -> Answered<u64> {
        let further = to
            .as_ref()
            .map_or(0, |to| to.route.len() + to.context.len());
        self.enter(size(&request) + further)?;
        Ok(self.send_own(request, to))
    }

    async fn ask(&mut self, request: WitRequest) -> Answered<Reply> {
        self.enter(size(&request))?;
        let asked = match self.try_event() {
            Some(_) => self
                .effects()
                .uac()
                .and_then(|uac| uac.ask(lifted(request)?)),
            None => Err(not_here("uac.ask", "lifecycle", "any route")),
        };
        let reply = match asked {
            Ok(asked) => asked
                .await
                .ok_or_else(|| unavailable("uac.ask: the host is ending")),
            Err(refusal) => Err(refusal),
        };
        self.copy(reply.as_ref().map_or(0, weight))?;
        Ok(reply)
    }
}

impl Context {
    fn send_own(&self, request: WitRequest, to: Option<WitReplyTo>) -> Result<u64, Refusal> {
        let to = to.map(|WitReplyTo { route, context }| {
            if !self.generation().handles_named(Family::Uac, &route) {
                return Err(not_found(format!(
                    "uac.send: this script has no uac route `{route}`"
                )));
            }
            Ok(ReplyTo {
                script: self.generation().script().to_owned(),
                route: route.into(),
                context,
                depth: self.try_event().map_or(0, |event| event.depth),
            })
        });
        self.effects()
            .uac()?
            .send(lifted(request)?, to.transpose()?)
    }
}

/// What a request brings along, in bytes.
fn size(request: &WitRequest) -> usize {
    let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let headers = request.headers.iter();
    let credentials = request.credentials.as_ref();
    request.method.len()
        + request.uri.len()
        + [
            &request.from,
            &request.to,
            &request.next_hop,
            &request.local,
        ]
        .map(of)
        .iter()
        .sum::<usize>()
        + headers.map(field).sum::<usize>()
        + request.body.as_ref().map_or(0, body)
        + credentials.map_or(0, |login| login.user.len() + login.password.len())
}

/// What a reply brings along, in bytes.
pub(crate) fn weight(reply: &Reply) -> usize {
    let headers = reply.headers.iter().map(field).sum::<usize>();
    reply.reason.len() + headers + reply.body.as_ref().map_or(0, body)
}

fn field(header: &Header) -> usize {
    header.name.len() + header.value.len() + size_of::<Header>()
}

fn body(body: &WitBody) -> usize {
    body.content_type.len() + body.content.len()
}

fn lifted(request: WitRequest) -> Result<Request, Refusal> {
    let WitRequest {
        method,
        uri: to_uri,
        from,
        to,
        headers,
        body,
        next_hop,
        local,
        timeout,
        credentials,
    } = request;
    if !is_token(method.as_bytes()) {
        return Err(invalid(format!("uac: expected a method, got `{method}`")));
    }
    if matches!(
        Method::of(method.as_bytes()),
        Method::Invite | Method::Ack | Method::Cancel
    ) {
        return Err(invalid(format!(
            "uac: {method} is not sent from here: nobody would hold the call; expected a request that ends with its reply"
        )));
    }
    uri(&to_uri)?;
    next_hop.as_deref().map(uri).transpose()?;
    if timeout > MAX_TIMEOUT {
        return Err(invalid(format!(
            "uac: expected a timeout of at most {MAX_TIMEOUT} ms, got {timeout}"
        )));
    }
    if headers.len() > MAX_HEADERS {
        return Err(invalid(format!(
            "uac: expected at most {MAX_HEADERS} header fields"
        )));
    }
    if let Some(body) = &body {
        line("uac: the content type", &body.content_type)?;
    }
    let local = local.map(|local| {
        let read = local.parse::<SocketAddr>();
        read.map_err(|_| {
            invalid(format!(
                "uac: expected a listener such as 192.0.2.1:5060, got `{local}`"
            ))
        })
    });
    Ok(Request {
        method,
        uri: to_uri,
        from: from.map(address).transpose()?,
        to: to.map(address).transpose()?,
        headers: headers.into_iter().map(checked).collect::<Result<_, _>>()?,
        body: body.map(|body| Body {
            content_type: body.content_type,
            content: body.content,
        }),
        next_hop,
        local: local.transpose()?,
        timeout: (timeout > 0).then(|| Duration::from_millis(timeout.into())),
        credentials: credentials.map(|login| Credentials {
            user: login.user,
            password: login.password,
        }),
    })
}

/// The value of From or To that a URI or a name with one stands for.
fn address(text: String) -> Result<String, Refusal> {
    line("uac: the address", &text)?;
    let text = match text.contains('<') {
        true => text,
        // Its parameters are the URI's, not the header's.
        false => format!("<{text}>"),
    };
    let read = NameAddr::parse(text.as_bytes()).and_then(|address| address.uri().map(drop));
    read.map_err(|error| of_malformed(&error))?;
    Ok(text)
}

fn checked(header: Header) -> Result<HeaderField, Refusal> {
    let Header { name, value } = header;
    if !is_token(name.as_bytes()) {
        return Err(invalid(format!(
            "uac: expected a header's name, got `{name}`"
        )));
    }
    line(&name, &value)?;
    let ours = matches!(
        HeaderId::of(name.as_bytes()),
        HeaderId::Via
            | HeaderId::From
            | HeaderId::To
            | HeaderId::CallId
            | HeaderId::Cseq
            | HeaderId::MaxForwards
            | HeaderId::ContentLength
            | HeaderId::ContentType
    );
    match ours {
        true => Err(invalid(format!(
            "uac: {name} is made by the host, or has its own place in the request"
        ))),
        false => Ok(HeaderField {
            name: name.into(),
            value,
        }),
    }
}
