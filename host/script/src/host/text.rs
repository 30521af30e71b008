//! Between the bytes of messages and the strings of guests, and what several interfaces read and write in messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use switchhook_bindings::switchhook::script::types::{
    Edit, Endpoint, Header, IpAddress, Snapshot, Transport as WitTransport,
};
use switchhook_sip::flow::{Source, Transport};
use switchhook_sip::message::{Edits, Field, HeaderId, Message, Placed, Uri, View, is_token};
use wasmtime::Result;

use crate::context::Context;
use crate::event::Current;
use crate::refusal::{Refusal, invalid, of_edit, of_malformed};

/// Bytes of a message as text: UTF-8, or else ISO 8859-1, in which every byte is a character.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A socket address as an endpoint.
pub(crate) fn endpoint(transport: Transport, address: SocketAddr) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(v4) => IpAddress::V4(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            IpAddress::V6(((bits >> 64) as u64, bits as u64))
        }
    };
    let transport = match transport {
        Transport::Udp => WitTransport::Udp,
        Transport::Tcp => WitTransport::Tcp,
        Transport::Tls => WitTransport::Tls,
        Transport::Ws => WitTransport::Ws,
        Transport::Wss => WitTransport::Wss,
    };
    Endpoint {
        transport,
        address: ip,
        port: address.port(),
    }
}

/// The socket address of an endpoint.
pub(super) fn address(endpoint: &Endpoint) -> SocketAddr {
    let ip = match endpoint.address {
        IpAddress::V4(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
        IpAddress::V6((high, low)) => {
            let bits = (u128::from(high) << 64) | u128::from(low);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    };
    SocketAddr::new(ip, endpoint.port)
}

/// A guest's transport.
pub(super) fn transport(transport: WitTransport) -> Transport {
    match transport {
        WitTransport::Udp => Transport::Udp,
        WitTransport::Tcp => Transport::Tcp,
        WitTransport::Tls => Transport::Tls,
        WitTransport::Ws => Transport::Ws,
        WitTransport::Wss => Transport::Wss,
    }
}

pub(super) fn remote(source: &Source) -> Endpoint {
    endpoint(source.transport, source.remote)
}

pub(super) fn local(source: &Source) -> Endpoint {
    endpoint(source.transport, source.local)
}

/// A URI from a guest.
pub(super) fn uri(text: &str) -> Result<Uri<'_>, Refusal> {
    Uri::parse(text.as_bytes()).map_err(|error| of_malformed(&error))
}

/// The message and its index for an SDK. Counts what is copied.
pub(super) fn snapshot(
    context: &mut Context,
    which: fn(&Context) -> Option<&Current>,
) -> Result<Option<Snapshot>> {
    let Some(current) = which(context) else {
        return Ok(None);
    };
    let source = current.source;
    let view = current.view();
    let mut bytes = Vec::with_capacity(view.len_at_most() + FIELDS);
    let mut fields = Vec::with_capacity(FIELDS);
    view.render_placed(&mut bytes, |field| {
        fields.extend_from_slice(&numbers(field))
    });
    let length = bytes.len() as u32;
    bytes.extend_from_slice(&fields);
    context.copy(bytes.len())?;
    Ok(Some(Snapshot {
        bytes,
        length,
        source: remote(&source),
        local: local(&source),
    }))
}

/// Room for the numbers of as many header fields as nearly all messages have.
const FIELDS: usize = 32 * 16;

/// Four numbers a field, as `types.snapshot` says.
fn numbers(field: Placed) -> [u8; 16] {
    let Placed { id, name, value } = field;
    let [name, name_end] = name.map(u128::from);
    let [value, value_end] = value.map(u128::from);
    let numbers = (id as u128) << 24 | name | name_end << 32 | value << 64 | value_end << 96;
    numbers.to_le_bytes()
}

/// The fields of that name. The name is looked up once, not for each field.
fn named<'a>(view: View<'a>, name: &'a str) -> impl Iterator<Item = Field<'a>> {
    let id = HeaderId::of(name.as_bytes());
    let fields = view.fields().filter(move |field| field.id == id);
    fields.filter(move |field| {
        id != HeaderId::Other || field.name.eq_ignore_ascii_case(name.as_bytes())
    })
}

/// The first value of a header.
pub(super) fn header(view: View<'_>, name: &str) -> Option<String> {
    let value = match HeaderId::of(name.as_bytes()) {
        HeaderId::Other => named(view, name).next()?.value,
        id => view.header(id)?,
    };
    Some(text(value))
}

/// Every value of a header, lists taken apart.
pub(super) fn headers(view: View<'_>, name: &str) -> Vec<String> {
    named(view, name)
        .flat_map(|field| field.values())
        .map(text)
        .collect()
}

/// Applies edits in order; after a refusal the edits are as before.
pub(super) fn apply(current: &mut Current, list: &[Edit]) -> Result<(), Refusal> {
    let mut edits = current.edits.clone();
    for edit in list {
        apply_one(&current.message, &mut edits, edit)?;
    }
    current.edits = edits;
    Ok(())
}

fn apply_one(message: &Message, edits: &mut Edits, edit: &Edit) -> Result<(), Refusal> {
    match edit {
        Edit::SetUri(uri) => edits.set_request_uri(message, uri.as_bytes()),
        Edit::SetHeader(Header { name, value }) => return set_header(message, edits, name, value),
        Edit::AppendHeader(Header { name, value }) => edits
            .append_field(message, long(name), value.as_bytes())
            .map(drop),
        Edit::PrependHeader(Header { name, value }) => {
            let first = edits
                .view(message)
                .named(name.as_bytes())
                .next()
                .map(|field| field.position);
            match first {
                Some(first) => edits.insert_before(message, first, long(name), value.as_bytes()),
                None => edits.prepend_field(message, long(name), value.as_bytes()),
            }
            .map(drop)
        }
        Edit::RemoveHeader(name) => {
            return match is_token(name.as_bytes()) {
                true => edits
                    .remove_named(message, name.as_bytes())
                    .map(drop)
                    .map_err(of_edit),
                false => Err(invalid(format!(
                    "header name: expected a token, got `{name}`"
                ))),
            };
        }
        Edit::SetBody(body) => {
            edits.set_body(message, Some(body.content_type.as_bytes()), &body.content)
        }
        Edit::RemoveBody => edits.set_body(message, None, b""),
    }
    .map_err(of_edit)
}

/// Replaces the first field of that name and removes the others; appends it where there was none.
fn set_header(
    message: &Message,
    edits: &mut Edits,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let id = HeaderId::of(name.as_bytes());
    if id != HeaderId::Other {
        return edits
            .set_header(message, id, value.as_bytes())
            .map(drop)
            .map_err(of_edit);
    }
    let same: Vec<_> = edits
        .view(message)
        .named(name.as_bytes())
        .map(|field| field.position)
        .collect();
    let Some((first, others)) = same.split_first() else {
        let added = edits.append_field(message, name.as_bytes(), value.as_bytes());
        return added.map(drop).map_err(of_edit);
    };
    edits
        .replace_value(message, *first, value.as_bytes())
        .map_err(of_edit)?;
    others
        .iter()
        .try_for_each(|other| edits.remove_field(message, *other))
        .map_err(of_edit)
}

/// The name to write: compact forms mean their long names.
fn long(name: &str) -> &[u8] {
    match HeaderId::of(name.as_bytes()) {
        HeaderId::Other => name.as_bytes(),
        id => id.name().as_bytes(),
    }
}

/// What an edit brings along, in bytes.
pub(super) fn size(list: &[Edit]) -> usize {
    let one = |edit: &Edit| match edit {
        Edit::SetUri(text) | Edit::RemoveHeader(text) => text.len(),
        Edit::SetHeader(header) | Edit::AppendHeader(header) | Edit::PrependHeader(header) => {
            header.name.len() + header.value.len()
        }
        Edit::SetBody(body) => body.content_type.len() + body.content.len(),
        Edit::RemoveBody => 0,
    };
    list.iter().map(|edit| one(edit) + size_of::<Edit>()).sum()
}
