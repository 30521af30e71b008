//! From `[dmq]` to a place on the bus.

use crate::config::{Dmq, Loaded};
use anyhow::Result;
use std::collections::BTreeSet;
use std::sync::Arc;
use switchhook_dmq::{Config, Node};
use switchhook_engine::dmq::{Aors, DmqConfig, Mailbox, Seat, Tables};
use switchhook_net::Local;
use switchhook_script::Services;

/// A place on the bus, taken before the tables are shared: they tell what is written into them.
pub(super) struct Place {
    mailbox: Mailbox,
    seat: Seat,
    aors: Aors,
}

/// Takes a place, where the config asks for one, and has the tables tell the bus what is written.
pub(super) fn take(loaded: &Loaded, services: &mut Services) -> Result<Option<Place>> {
    let config = &loaded.config;
    let Some(dmq) = &config.dmq else {
        return Ok(None);
    };
    let (mailbox, seat) = Mailbox::new();
    let aors = Aors {
        domain: domain(loaded, dmq),
    };
    for name in &dmq.htables {
        let table = config.htable.iter().find(|table| table.name == *name);
        if let Some(table) = table {
            let watch = mailbox.watch_htable(name, table.expire.0.0);
            services.htables.watch(name, watch);
        }
    }
    if let Some(name) = &dmq.location
        && let Some(table) = services.locations.get_mut(name)
    {
        table.watch(mailbox.watch_contacts(aors.clone()));
    }
    Ok(Some(Place {
        mailbox,
        seat,
        aors,
    }))
}

fn domain(loaded: &Loaded, dmq: &Dmq) -> String {
    let first = loaded.config.sip.domains.first();
    let address = || dmq.address.node().map(|node| node.address.ip().to_string());
    let domain = dmq.domain.as_ref().or(first).cloned();
    domain.or_else(address).unwrap_or_default()
}

impl Place {
    /// What the engine starts the bus with.
    pub(super) fn config(
        self,
        loaded: &Loaded,
        services: &Arc<Services>,
        locals: &[Local],
        seed: [u64; 4],
    ) -> Result<Option<DmqConfig>> {
        let Some(dmq) = &loaded.config.dmq else {
            return Ok(None);
        };
        let htables: BTreeSet<Arc<str>> = dmq
            .htables
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        let mut bus = Config::new(own(loaded, dmq, locals)?, seed);
        for (index, peer) in dmq.peers.iter().enumerate() {
            let nodes = peer.nodes().map_err(|label| {
                let index = index.to_string();
                loaded.problem(&["dmq", "peers", &index], "can't join the bus", label)
            })?;
            bus.peers.extend(nodes);
        }
        bus.allow = dmq.allow.iter().map(|range| range.1).collect();
        bus.tables = htables.clone();
        bus.contacts = dmq.location.is_some();
        (bus.ping, bus.timeout) = (dmq.ping.0, dmq.timeout.0);
        bus.server = loaded.config.sip.server.as_str().into();
        let tables = Tables::new(
            Arc::clone(services),
            htables,
            dmq.location.clone(),
            self.aors,
        );
        Ok(Some(DmqConfig {
            bus,
            tables: Arc::new(tables),
            mailbox: self.mailbox,
            seat: self.seat,
        }))
    }
}

/// Our own node, which must be one of the listeners.
fn own(loaded: &Loaded, dmq: &Dmq, locals: &[Local]) -> Result<Node> {
    let problem =
        |label: String| loaded.problem(&["dmq", "address"], "members can't reach us there", label);
    let node = dmq.address.node();
    let node = node.ok_or_else(|| problem("expected an address, not a name".to_owned()))?;
    let listens =
        |local: &Local| local.transport == node.transport && local.address == node.address;
    if !locals.iter().any(listens) {
        let known = locals
            .iter()
            .map(|local| format!("{}:{}", local.transport.uri_param(), local.address));
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(problem(format!("expected one of sip.listen: {known}")).into());
    }
    Ok(node)
}
