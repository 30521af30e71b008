//! `ul.*`: registered contacts, as Kamailio's usrloc.

use crate::admin::jsonrpc::Fault;
use crate::admin::page::{Page, Paged};
use crate::admin::registry::{Registry, optional, required};
use crate::daemon::Daemon;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Instant;
use switchhook_sip::message::Uri;
use switchhook_sip::registrar::{Binding, canonical};
use switchhook_store::Locations;

#[derive(Deserialize)]
struct Dump {
    table: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Aor {
    table: String,
    aor: String,
}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    let params = const {
        &[
            optional("table", "its name, location without it"),
            optional("after", "the `next` of the page before"),
            optional("limit", "addresses of a page, 1000 without it"),
        ]
    };
    registry.add(
        "ul.dump",
        params,
        "A page of a location table, an item for each address of record: {items, next}.",
        |daemon: &Daemon, args: Dump| dump(daemon, args),
    );
    let params = const {
        &[
            required("table", "its name, usually location"),
            required("aor", "sip:user@domain, or user@domain"),
        ]
    };
    registry.add_short(
        "ul.lookup",
        params,
        "The contacts of an address of record.",
        |daemon: &Daemon, Aor { table, aor }| {
            let (now, aor) = (Instant::now(), address(&aor)?);
            let contacts = find(daemon, &table)?.read(now, &aor, |live| {
                live.map(|binding| contact(binding, now))
                    .collect::<Vec<_>>()
            });
            Ok(json!({ "aor": aor, "contacts": contacts }))
        },
    );
    registry.add_short(
        "ul.remove",
        params,
        "Removes all contacts of an address of record; tells how many.",
        |daemon: &Daemon, Aor { table, aor }| {
            Ok(find(daemon, &table)?.remove(Instant::now(), &address(&aor)?))
        },
    );
}

fn find<'a>(daemon: &'a Daemon, name: &str) -> Result<&'a Locations, Fault> {
    daemon.services.locations.get(name).ok_or_else(|| {
        let names: Vec<_> = daemon
            .services
            .locations
            .keys()
            .map(String::as_str)
            .collect();
        Fault::not_found(format!(
            "no [[location]] has the name `{name}`; there is {}",
            names.join(", ")
        ))
    })
}

/// The spelling that the table uses.
fn address(text: &str) -> Result<String, Fault> {
    let with_scheme = if text.contains(':') {
        text.to_owned()
    } else {
        format!("sip:{text}")
    };
    let uri = Uri::parse(with_scheme.as_bytes())
        .map_err(|error| Fault::invalid_params(format!("`aor`: {error}")))?;
    Ok(canonical(&uri))
}

fn dump(
    daemon: &Daemon,
    Dump {
        table,
        after,
        limit,
    }: Dump,
) -> Result<Paged, Fault> {
    let now = Instant::now();
    let table = find(daemon, table.as_deref().unwrap_or("location"))?;
    let page = Page::gather(after.as_deref(), limit, |part, page| {
        table.each_of_part(now, part, |aor, binding| {
            if let Some(contacts) = page.slot(aor, Vec::new) {
                contacts.push(contact(binding, now));
            }
        })
    })?;
    Ok(page.finish(|aor, contacts| json!({ "aor": aor, "contacts": contacts })))
}

fn contact(binding: &Binding, now: Instant) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let source = binding.received();
    json!({
        "uri": text(binding.uri()),
        "q": f64::from(binding.q()) / 1000.0,
        "expires": binding.remaining(now),
        "received": format!("{}:{}", source.transport.uri_param(), source.remote),
        "path": binding.path().map(text).collect::<Vec<_>>(),
        "instance": text(binding.instance()),
        "user_agent": text(binding.user_agent()),
        "call_id": text(binding.call_id()),
        "cseq": binding.cseq(),
    })
}
