//! Record-Route and Route, for one socket.

use switchhook_sip::message::{HeaderId, Message};

pub use crate::bindings::switchhook::script::rr::Routed;
use crate::host::types::{Edit, Error, Header};
use crate::nameaddr::NameAddr;
use crate::routes::Family;
use crate::testkit::message::{self, text};
use crate::testkit::world::{event, not_here, world};
use crate::uri::{Uri, params};

pub(crate) fn record_route(params: &str) -> Result<(), Error> {
    let own = if params.is_empty() {
        "<sip:127.0.0.1:5060;lr>".to_owned()
    } else {
        format!("<sip:127.0.0.1:5060;lr;{params}>")
    };
    event(|event| {
        event.request = prepend(&event.request, "Record-Route", &own)?;
        Ok(())
    })
    .unwrap_or_else(|| Err(not_here("init")))
}

pub(crate) fn loose_route() -> Result<Routed, Error> {
    world(|world| {
        let event = world.event.as_ref().ok_or_else(|| not_here("init"))?;
        if event.family != Family::RequestRoute {
            return Err(not_here(&format!("{:?}", event.family)));
        }
        let uri = event.uri();
        let routes: Vec<String> = event.request.values(HeaderId::Route).map(text).collect();
        let ours = |value: &String| world.owns(NameAddr::read(value).uri().as_str());
        let param = |uri: Uri<'_>| uri.params().map(|(n, v)| format!(";{n}={v}")).collect();

        // a strict router put our URI, with its lr, into the request URI and the real one last (RFC 3261 section 16.4)
        let strict = Uri::lenient(&uri).param("lr").is_some() && world.owns(&uri);
        let (routed, left, params): (Routed, &[String], String) = match routes.as_slice() {
            [left @ .., last] if strict => {
                let own = param(Uri::lenient(&uri));
                let real = Edit::SetUri(NameAddr::read(last).uri().as_str().to_owned());
                let request = message::apply(&event.request, &[real])?;
                if let Some(event) = &mut world.event {
                    event.request = request;
                }
                (Routed::Strict, left, own)
            }
            [first, left @ ..] if ours(first) => {
                let own = param(NameAddr::read(first).uri());
                let tagged = event.request.to().is_ok_and(|to| to.tag().is_some());
                let routed = if tagged {
                    Routed::Loose
                } else {
                    Routed::Preloaded
                };
                (routed, left, own)
            }
            _ => return Ok(Routed::None),
        };
        let dialog = world
            .event
            .as_ref()
            .and_then(|event| world.dialogs.of_request(&event.request));
        if let Some(event) = &mut world.event {
            event.dialog = event.dialog.or(dialog);
            event.route_params = Some(params);
            event.request = if left.is_empty() {
                message::apply(&event.request, &[Edit::RemoveHeader("Route".into())])?
            } else {
                let route = Header {
                    name: "Route".to_owned(),
                    value: left.join(", "),
                };
                message::apply(&event.request, &[Edit::SetHeader(route)])?
            };
        }
        Ok(routed)
    })
}

pub(crate) fn param(name: &str) -> Option<String> {
    event(|event| {
        let own = event.route_params.as_deref()?;
        params(own)
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    })
    .flatten()
}

fn prepend(msg: &Message, name: &str, value: &str) -> Result<Message, Error> {
    let header = Header {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    message::apply(msg, &[Edit::PrependHeader(header)])
}
