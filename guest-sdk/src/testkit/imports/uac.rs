//! Requests of the script's own, as the site's fake network has them: kept, and answered where somebody was named.

pub(crate) use crate::bindings::switchhook::script::uac::{Credentials, Reply, ReplyTo, Request};
use crate::host::types::Error;
use crate::routes::Family;
use crate::testkit::message::invalid;
use crate::testkit::uac::{OwnRequest, reply};
use crate::testkit::world::{event, not_found, not_here, world};
use crate::uri::Uri;

pub(crate) fn send(request: &Request, to: Option<&ReplyTo>) -> Result<u64, Error> {
    check(request)?;
    world(|world| {
        if let Some(to) = to {
            let mut handlers = world.handlers.iter();
            if !handlers.any(|(family, name)| *family == Family::UacRoute && *name == to.route) {
                return Err(not_found("uac route", &to.route));
            }
        }
        let number = world.uac.sent.len() as u64 + 1;
        let body = request.body.clone();
        world.uac.sent.push(OwnRequest {
            number,
            method: request.method.clone(),
            uri: request.uri.clone(),
            from: request.from.clone(),
            to: request.to.clone(),
            headers: request
                .headers
                .iter()
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
            content_type: body
                .as_ref()
                .map_or(String::new(), |body| body.content_type.clone()),
            content: body.map_or(Vec::new(), |body| body.content),
            next_hop: request.next_hop.clone(),
            on_reply: to.map(|to| (to.route.clone(), to.context.clone())),
        });
        Ok(number)
    })
}

pub(crate) fn ask(request: &Request) -> Result<Reply, Error> {
    if event(|_| ()).is_none() {
        return Err(not_here("init"));
    }
    send(request, None)?;
    world(|world| {
        let mut answers = world.uac.answers.iter();
        let answer = answers.find(|(method, _)| *method == request.method);
        Ok(answer.map_or_else(|| reply(408, true), |(_, reply)| reply.clone()))
    })
}

fn check(request: &Request) -> Result<(), Error> {
    if ["INVITE", "ACK", "CANCEL"].contains(&request.method.as_str()) {
        return Err(invalid(format!("{} is not sent from here", request.method)));
    }
    let uris = [Some(&request.uri), request.next_hop.as_ref()];
    for uri in uris.into_iter().flatten() {
        Uri::parse(uri).map_err(|_| invalid(format!("expected a URI, got {uri:?}")))?;
    }
    Ok(())
}
