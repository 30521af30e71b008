//! The bus, as the site's fake one has it: whoever was named is a member and answers.

pub use crate::bindings::switchhook::script::dmq::{Node, State};
use crate::host::types::{Body, Endpoint, Error, ErrorCode, Transport};
use crate::testkit::dmq::BusSent;
use crate::testkit::message::invalid;
use crate::testkit::world::{LOCAL, World, event, not_found, not_here, world};

/// The longest body.
const MAX_BODY: usize = 30_000;

pub(crate) fn nodes() -> Result<Vec<Node>, Error> {
    Ok(world(|world| world.bus.members.clone()))
}

pub(crate) fn self_() -> Result<String, Error> {
    Ok(uri(&LOCAL, LOCAL.port))
}

pub(crate) fn is_from_node() -> Result<bool, Error> {
    let source = event(|event| event.source).ok_or_else(|| not_here("init"))?;
    let members = nodes()?;
    Ok(match source.transport {
        Transport::Udp => {
            let sender = uri(&source, source.port);
            members.iter().any(|member| member.uri == sender)
        }
        _ => {
            let host = uri(&source, 0);
            let host = host.strip_suffix("0").unwrap_or(&host);
            members.iter().any(|member| member.uri.starts_with(host))
        }
    })
}

pub(crate) fn send(to: &str, channel: &str, message: &Body) -> Result<u64, Error> {
    if !nodes()?.iter().any(|member| member.uri == to) {
        return Err(not_found("member of the bus", to));
    }
    post(Some(to), channel, message)
}

pub(crate) fn broadcast(channel: &str, message: &Body) -> Result<u64, Error> {
    post(None, channel, message)
}

pub(crate) fn replicate(from_nodes_too: bool) -> Result<u32, Error> {
    if !from_nodes_too && is_from_node()? {
        return Ok(0);
    }
    let to: Vec<String> = nodes()?.into_iter().map(|member| member.uri).collect();
    if !to.is_empty() {
        super::tm::replicate(&to)?;
    }
    Ok(to.len() as u32)
}

fn post(to: Option<&str>, channel: &str, message: &Body) -> Result<u64, Error> {
    let own = [
        "notification_peer",
        "htable",
        "usrloc",
        "dialog",
        "switchhook",
    ];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if own.contains(&channel) || channel.is_empty() || !channel.bytes().all(plain) {
        return Err(invalid(format!(
            "expected a channel of the script's own, got {channel:?}"
        )));
    }
    if message.content.len() > MAX_BODY {
        return Err(Error {
            code: ErrorCode::Limit,
            message: format!("expected at most {MAX_BODY} bytes"),
        });
    }
    world(|World { bus, .. }| {
        let number = bus.sent.len() as u64 + 1;
        bus.sent.push(BusSent {
            number,
            to: to.map(str::to_owned),
            channel: channel.to_owned(),
            content_type: message.content_type.clone(),
            content: message.content.clone(),
        });
        Ok(number)
    })
}

fn uri(endpoint: &Endpoint, port: u16) -> String {
    format!("sip:{}", std::net::SocketAddr::new(endpoint.ip(), port))
}
