//! From `[dmq]` to a place on the bus.

use crate::config::{Dmq, Loaded};
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use switchhook_dmq::own::auth::{Key, KeyError, Keyring};
use switchhook_dmq::own::version::NodeId;
use switchhook_dmq::{Config, Node, own};
use switchhook_engine::dmq::{Aors, DmqConfig, Face, Mailbox, Seat, Tables};
use switchhook_net::Local;
use switchhook_script::Services;
use switchhook_script::dmq::DmqNode;

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
    if dmq.dialogs {
        services.dialogs.watch(mailbox.watch_dialogs());
    }
    if let Some(name) = &dmq.location
        && let Some(table) = services.locations.get_mut(name)
    {
        table.watch(mailbox.watch_contacts(aors.clone()));
    }
    let face: Arc<dyn DmqNode> = Face::new(mailbox.clone());
    // The services are new: nothing has been set.
    let _ = services.dmq.set(face);
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
        [life, seed @ ..]: &[u64; 5],
    ) -> Result<Option<DmqConfig>> {
        let Some(dmq) = &loaded.config.dmq else {
            return Ok(None);
        };
        let htables: BTreeSet<Arc<str>> = dmq
            .htables
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        let mut bus = Config::new(own_node(loaded, dmq, locals)?, *seed);
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
        bus.scripts = true;
        bus.dialogs = dmq.dialogs;
        bus.dialog_entries = loaded.config.dialog.entries;
        (bus.ping, bus.timeout) = (dmq.ping.0, dmq.timeout.0);
        bus.server = loaded.config.sip.server.as_str().into();
        bus.own_nodes = Some(own_nodes(loaded, dmq, NodeId::new(*life))?);
        let tables = Tables::new(
            Arc::clone(services),
            htables,
            dmq.location.clone(),
            dmq.dialogs,
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

/// How we work with others of our own nodes.
fn own_nodes(loaded: &Loaded, dmq: &Dmq, life: NodeId) -> Result<own::Config> {
    let mut config = own::Config::new(life);
    config.only_signed = dmq.only_signed;
    let tables = loaded.config.htable.iter();
    let tables = tables.filter(|table| dmq.htables.contains(&table.name));
    config.lives = tables
        .map(|table| (table.name.as_str().into(), table.expire.0.0))
        .collect();
    let mut keys = Vec::new();
    for (index, file) in dmq.key_files.iter().enumerate() {
        let key = key(file).map_err(|label| {
            let index = index.to_string();
            let path = ["dmq", "key-files", &index];
            loaded.problem(&path, "this is no key of our nodes", label)
        })?;
        keys.push(key);
    }
    if !keys.is_empty() {
        let keyring = Keyring::new(keys);
        let problem = |label: KeyError| {
            let label = label.to_string();
            loaded.problem(
                &["dmq", "key-files"],
                "these are no keys of our nodes",
                label,
            )
        };
        config.keys = Some(keyring.map_err(problem)?);
    }
    Ok(config)
}

/// A file's key, named as the file without its ending.
fn key(file: &Path) -> Result<Key, String> {
    let secret = std::fs::read(file);
    let secret = secret.map_err(|error| format!("{}: {error}", file.display()))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Key::new(&name, secret.trim_ascii()).map_err(|error| error.to_string())
}

/// Our own node, which must be one of the listeners.
fn own_node(loaded: &Loaded, dmq: &Dmq, locals: &[Local]) -> Result<Node> {
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
