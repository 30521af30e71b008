//! Registrations, without time and without the order of requests.

use switchhook_sip::message::HeaderId;

pub use crate::bindings::switchhook::script::registrar::{Binding, Saved};
use crate::host::tm::Target;
use crate::host::types::{Endpoint, Error, Header};
use crate::nameaddr::NameAddr;
use crate::routes::Family;
use crate::testkit::message::text;
use crate::testkit::world::{
    Decision, Event, World, address_of_record, not_found, not_here, world,
};

pub(crate) fn save(table: &str) -> Result<Saved, Error> {
    save_from(table, None)
}

pub(crate) fn save_received(table: &str, received: Endpoint) -> Result<Saved, Error> {
    save_from(table, Some(received))
}

fn save_from(table: &str, received: Option<Endpoint>) -> Result<Saved, Error> {
    known(table)?;
    world(|world| {
        let event = match &world.event {
            Some(event) if event.family == Family::RequestRoute => event,
            _ => return Err(not_here("this route")),
        };
        let request = &event.request;
        let to = request.header(HeaderId::To).map(text).unwrap_or_default();
        let aor = address_of_record(NameAddr::read(&to).uri().as_str());
        let asked = request.view().number(HeaderId::Expires, u32::MAX);
        let asked = asked.and_then(Result::ok).unwrap_or(3600);
        let contacts: Vec<Binding> = request
            .values(HeaderId::Contact)
            .map(|value| Binding {
                received: received.unwrap_or(event.source),
                ..binding(event, &aor, &text(value), asked)
            })
            .collect();

        let kept = world.locations.entry((table.to_owned(), aor)).or_default();
        let saved = match contacts.as_slice() {
            [] => Saved::Queried,
            [star] if star.uri == "*" => {
                kept.clear();
                Saved::Removed
            }
            contacts => {
                for contact in contacts {
                    kept.retain(|old| old.uri != contact.uri);
                    if contact.expires > 0 {
                        kept.push(contact.clone());
                    }
                }
                if contacts.iter().all(|contact| contact.expires == 0) {
                    Saved::Removed
                } else {
                    Saved::Updated
                }
            }
        };
        let headers = kept
            .iter()
            .map(|contact| Header {
                name: "Contact".to_owned(),
                value: format!("<{}>;expires={}", contact.uri, contact.expires),
            })
            .collect();
        if let Some(event) = &mut world.event {
            event
                .decided
                .push(Decision::Reply(200, "OK".to_owned(), headers, None));
        }
        Ok(saved)
    })
}

pub(crate) fn lookup(table: &str, uri: &str) -> Result<u32, Error> {
    let found = bindings(table, uri)?;
    world(|world| {
        let event = world.event.as_mut().ok_or_else(|| not_here("init"))?;
        event.targets.extend(found.iter().map(|contact| Target {
            uri: contact.uri.clone(),
            next_hop: None,
            path: contact.path.clone(),
            q: contact.q,
            connection: None,
        }));
        Ok(found.len() as u32)
    })
}

pub(crate) fn bindings(table: &str, uri: &str) -> Result<Vec<Binding>, Error> {
    known(table)?;
    let mut found = world(|world| {
        let key = (table.to_owned(), address_of_record(uri));
        world.locations.get(&key).cloned().unwrap_or_default()
    });
    found.sort_by_key(|contact| std::cmp::Reverse(contact.q));
    Ok(found)
}

pub(crate) fn registered(table: &str, uri: &str) -> Result<bool, Error> {
    Ok(!bindings(table, uri)?.is_empty())
}

pub(crate) fn unregister(table: &str, uri: &str) -> Result<u32, Error> {
    known(table)?;
    let key = (table.to_owned(), address_of_record(uri));
    Ok(world(|world: &mut World| {
        world.locations.remove(&key).unwrap_or_default().len() as u32
    }))
}

fn known(table: &str) -> Result<(), Error> {
    match table {
        "location" => Ok(()),
        _ => Err(not_found("location table", table)),
    }
}

fn binding(event: &Event, aor: &str, value: &str, asked: u32) -> Binding {
    let request = &event.request;
    let contact = NameAddr::read(value);
    let expires = contact.param("expires").and_then(|e| e.parse().ok());
    let q = contact.param("q").and_then(|q| q.parse::<f64>().ok());
    Binding {
        aor: aor.to_owned(),
        uri: contact.uri().as_str().to_owned(),
        q: q.map_or(1000, |q| (q * 1000.0) as u16),
        expires: expires.unwrap_or(asked),
        call_id: request.call_id().map(text).unwrap_or_default(),
        cseq: request.cseq().map(|cseq| cseq.number).unwrap_or_default(),
        user_agent: request
            .header(HeaderId::UserAgent)
            .map(text)
            .unwrap_or_default(),
        instance: String::new(),
        path: request.values(HeaderId::Path).map(text).collect(),
        received: event.source,
    }
}
