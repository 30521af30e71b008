//! Names, pids and references as the protocol's crate and as the terms' crate have them.

use switchhook_erlang as wire;
use switchhook_erlang::NodeName;
use switchhook_term::{Atom, Pid, Reference};

/// A node's name as a script gave it.
pub(super) fn node_name(atom: &Atom) -> Option<NodeName> {
    NodeName::new(atom.as_str()).ok()
}

/// A node's name is an atom of at most 255 characters.
pub(super) fn atom(name: &NodeName) -> Atom {
    Atom::new(name.as_str()).unwrap_or_else(|_| Atom::from_static(""))
}

pub(super) fn to_pid(pid: &wire::Pid) -> Pid {
    Pid {
        node: atom(&pid.node),
        id: pid.id,
        serial: pid.serial,
        creation: pid.creation,
    }
}

pub(super) fn from_pid(pid: &Pid) -> Option<wire::Pid> {
    Some(wire::Pid {
        node: node_name(&pid.node)?,
        id: pid.id,
        serial: pid.serial,
        creation: pid.creation,
    })
}

pub(super) fn to_reference(reference: &wire::Reference) -> Reference {
    Reference {
        node: atom(&reference.node),
        creation: reference.creation,
        ids: reference.ids.as_slice().into(),
    }
}

pub(super) fn from_reference(reference: &Reference) -> Option<wire::Reference> {
    Some(wire::Reference {
        node: node_name(&reference.node)?,
        creation: reference.creation,
        ids: wire::Words::new(&reference.ids)?,
    })
}
