//! From a control message to a frame.
//!
//! With the atom cache agreed on, a frame has a header; ours name no atoms, which every node reads. Reasons go as payloads where
//! the peer can read that (OTP 22 and later), else inside the control message. What is large is not copied: it follows the frame's head.

use bytes::Bytes;

use super::{Bonds, Control, TermBytes, Who, alternate};
use crate::flags::Flags;
use crate::ids::{Pid, Reference};
use crate::wire::scan::VERSION;
use crate::wire::write;

/// The head of a frame and what follows it.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// From the length on.
    pub(crate) head: Vec<u8>,
    /// The payload, where there is one, without its version byte if headers are used.
    pub(crate) payload: Option<Bytes>,
}

/// Writes a frame for a peer with these flags. `None` where it would be too long for the protocol.
pub(crate) fn encode(control: &Control, flags: Flags) -> Option<Encoded> {
    let headers = flags.has(Flags::DIST_HDR_ATOM_CACHE);
    let mut head = vec![0; 4];
    if headers {
        head.extend([VERSION, 68, 0]);
    } else {
        head.extend([b'p', VERSION]);
    }
    let payload = message(&mut head, control, flags);
    let payload = payload.map(|payload| {
        if headers {
            payload.slice(payload.len().min(1)..)
        } else {
            payload
        }
    });
    let length = head.len() - 4 + payload.as_ref().map_or(0, Bytes::len);
    let length = u32::try_from(length).ok()?;
    head.get_mut(..4)?.copy_from_slice(&length.to_be_bytes());
    Some(Encoded { head, payload })
}

/// `{37, Flags, From, Alias}`
fn to_alias(out: &mut Vec<u8>, flags: u64, from: &Pid, to: &Reference) {
    operation(out, 4, 37);
    write::integer(out, flags);
    write::pid(out, from);
    write::reference(out, to);
}

/// Writes the tuple and gives the payload.
fn message(out: &mut Vec<u8>, control: &Control, flags: Flags) -> Option<TermBytes> {
    let payloads = flags.has(Flags::EXIT_PAYLOAD);
    match control {
        Control::Send { from, to, message } => {
            match from {
                Some(from) if flags.has(Flags::SEND_SENDER) => {
                    operation(out, 3, 22);
                    write::pid(out, from);
                }
                _ => {
                    operation(out, 3, 2);
                    write::atom(out, "");
                }
            }
            write::pid(out, to);
            Some(message.clone())
        }
        Control::RegSend { from, to, message } => {
            operation(out, 4, 6);
            write::pid(out, from);
            write::atom(out, "");
            write::atom(out, to);
            Some(message.clone())
        }
        // OTP 30 is to know only the second form.
        Control::AliasSend { from, to, message } if !flags.has(Flags::ALTACT_SIG) => {
            operation(out, 3, 33);
            write::pid(out, from);
            write::reference(out, to);
            Some(message.clone())
        }
        Control::AliasSend { from, to, message } => {
            to_alias(out, alternate::ALIAS, from, to);
            Some(message.clone())
        }
        Control::AliasExit { from, to, reason } => {
            to_alias(out, alternate::ALIAS | alternate::EXIT, from, to);
            Some(reason.clone())
        }
        Control::Link { from, to } => pair(out, 1, from, to),
        Control::GroupLeader { from, to } => pair(out, 7, from, to),
        Control::Unlink { id: None, from, to } => pair(out, 4, from, to),
        Control::Unlink {
            id: Some(id),
            from,
            to,
        } => numbered(out, 35, *id, from, to),
        Control::UnlinkAck { id, from, to } => numbered(out, 36, *id, from, to),
        Control::Exit { from, to, reason } if payloads => {
            pair(out, 24, from, to);
            Some(reason.clone())
        }
        Control::Exit2 { from, to, reason } if payloads => {
            pair(out, 26, from, to);
            Some(reason.clone())
        }
        Control::Exit { from, to, reason } => with_reason(out, 3, from, to, reason),
        Control::Exit2 { from, to, reason } => with_reason(out, 8, from, to, reason),
        Control::Monitor {
            from,
            to,
            reference,
        } => watch(out, 19, from, to, reference),
        Control::Demonitor {
            from,
            to,
            reference,
        } => watch(out, 20, from, to, reference),
        Control::Down {
            from,
            to,
            reference,
            reason,
        } => {
            operation(
                out,
                if payloads { 4 } else { 5 },
                if payloads { 28 } else { 21 },
            );
            who(out, from);
            write::pid(out, to);
            write::reference(out, reference);
            if payloads {
                return Some(reason.clone());
            }
            out.extend_from_slice(reason.get(1..).unwrap_or_default());
            None
        }
        Control::Spawn {
            request,
            from,
            group_leader,
            module,
            function,
            arity,
            bonds,
            arguments,
        } => {
            operation(out, 6, 29);
            write::reference(out, request);
            write::pid(out, from);
            write::pid(out, group_leader);
            write::tuple(out, 3);
            write::atom(out, module);
            write::atom(out, function);
            write::integer(out, *arity);
            options(out, *bonds);
            Some(arguments.clone())
        }
        Control::Spawned {
            request,
            to,
            bonds,
            result,
        } => {
            operation(out, 5, 31);
            write::reference(out, request);
            write::pid(out, to);
            write::integer(out, u64::from(bonds.link) | u64::from(bonds.monitor) << 1);
            match result {
                Ok(pid) => write::pid(out, pid),
                Err(error) => write::atom(out, error),
            }
            None
        }
    }
}

fn operation(out: &mut Vec<u8>, arity: u8, number: u8) {
    write::tuple(out, arity);
    write::integer(out, number.into());
}

fn pair(out: &mut Vec<u8>, number: u8, from: &Pid, to: &Pid) -> Option<TermBytes> {
    operation(out, 3, number);
    write::pid(out, from);
    write::pid(out, to);
    None
}

fn numbered(out: &mut Vec<u8>, number: u8, id: u64, from: &Pid, to: &Pid) -> Option<TermBytes> {
    operation(out, 4, number);
    write::integer(out, id);
    write::pid(out, from);
    write::pid(out, to);
    None
}

fn with_reason(
    out: &mut Vec<u8>,
    number: u8,
    from: &Pid,
    to: &Pid,
    reason: &TermBytes,
) -> Option<TermBytes> {
    operation(out, 4, number);
    write::pid(out, from);
    write::pid(out, to);
    out.extend_from_slice(reason.get(1..).unwrap_or_default());
    None
}

fn watch(
    out: &mut Vec<u8>,
    number: u8,
    from: &Pid,
    to: &Who,
    reference: &Reference,
) -> Option<TermBytes> {
    operation(out, 4, number);
    write::pid(out, from);
    who(out, to);
    write::reference(out, reference);
    None
}

fn who(out: &mut Vec<u8>, who: &Who) {
    match who {
        Who::Pid(pid) => write::pid(out, pid),
        Who::Name(name) => write::atom(out, name),
    }
}

fn options(out: &mut Vec<u8>, bonds: Bonds) {
    let names: Vec<&str> = [(bonds.link, "link"), (bonds.monitor, "monitor")]
        .into_iter()
        .filter_map(|(wanted, name)| wanted.then_some(name))
        .collect();
    if !names.is_empty() {
        write::list(out, names.len() as u32);
        for name in names {
            write::atom(out, name);
        }
    }
    write::nil(out);
}
