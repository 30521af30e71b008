//! Messages of `gen_server` (OTP, `gen.erl`): recognised, taken apart, answered.
//!
//! A call is `{'$gen_call', {Pid, Tag}, Request}`, a cast `{'$gen_cast', Request}`. A tag may be a reference, a pair, or
//! `[alias|Reference]`; it goes back as it came, and in the last case the answer goes to the alias, as OTP does it, so that
//! an answer that comes too late is nobody's.

use std::time::Instant;

use super::processes::{bare, term};
use super::{Gen, Node, SendFault};
use crate::control::{Control, TermBytes};
use crate::flags::Flags;
use crate::ids::{Pid, Reference};
use crate::wire::read::Reader;
use crate::wire::scan::{BadTerm, Scanner, VERSION};
use crate::wire::write;

/// Takes a message apart where it is one of `gen_server`'s.
pub(super) fn recognise(message: &TermBytes) -> Option<Gen> {
    let mut reader = Reader::new(bare(message), &[]);
    let arity = reader.tuple().ok()?;
    match (arity, reader.atom().ok()?.as_ref()) {
        (3, "$gen_call") => {
            if reader.tuple().ok()? != 2 {
                return None;
            }
            let mut scanner = Scanner::default();
            let from = reader.pid().ok()?;
            let tag = standing(reader.any(&mut scanner).ok()?);
            let request = standing(reader.any(&mut scanner).ok()?);
            Some(Gen::Call { from, tag, request })
        }
        (2, "$gen_cast") => {
            let mut scanner = Scanner::default();
            let request = standing(reader.any(&mut scanner).ok()?);
            Some(Gen::Cast { request })
        }
        _ => None,
    }
}

/// The reference of `[alias|Reference]`, or of a tag that is a reference.
pub(super) fn reference_of(tag: &TermBytes) -> Option<(Reference, bool)> {
    match bare(tag) {
        bytes @ [b'l', ..] => {
            let mut reader = Reader::new(bytes, &[]);
            let one = reader.list().ok()? == 1;
            let alias = one && reader.atom().ok()? == "alias";
            let reference = reader.reference().ok()?;
            (alias && reader.rest().is_empty()).then_some((reference, true))
        }
        bytes => {
            let mut reader = Reader::new(bytes, &[]);
            let reference = reader.reference().ok()?;
            reader.rest().is_empty().then_some((reference, false))
        }
    }
}

/// `{Tag, Reply}` taken apart.
pub(super) fn reply_parts(message: &TermBytes) -> Result<(TermBytes, TermBytes), BadTerm> {
    let mut reader = Reader::new(bare(message), &[]);
    if reader.tuple()? != 2 {
        return Err(BadTerm::Kind("{Tag, Reply}"));
    }
    let mut scanner = Scanner::default();
    let tag = standing(reader.any(&mut scanner)?);
    Ok((tag, standing(reader.any(&mut scanner)?)))
}

fn standing(bytes: &[u8]) -> TermBytes {
    let mut out = Vec::with_capacity(bytes.len() + 1);
    out.push(VERSION);
    out.extend_from_slice(bytes);
    out.into()
}

impl Node {
    /// Answers a call of `gen_server`.
    pub fn reply(
        &mut self,
        now: Instant,
        sender: &super::Process,
        to: &Pid,
        tag: &TermBytes,
        reply: &TermBytes,
    ) -> Result<(), SendFault> {
        let from = self.pid(sender).ok_or(SendFault::NoProcess)?;
        let id = self
            .connection_to(&to.node)
            .ok_or(SendFault::NotConnected)?;
        let control = self.reply_control(id, from, to, tag, bare(reply));
        self.offer(now, id, &control)
    }

    pub(super) fn reply_control(
        &self,
        id: super::ConnectionId,
        from: Pid,
        to: &Pid,
        tag: &TermBytes,
        reply: &[u8],
    ) -> Control {
        let message = term(|out| {
            write::tuple(out, 2);
            out.extend_from_slice(bare(tag));
            out.extend_from_slice(reply);
        });
        let flags = self.connections.get(&id).map(|e| e.connection.flags());
        let aliases =
            flags.is_some_and(|flags| flags.has(Flags::ALIAS) || flags.has(Flags::ALTACT_SIG));
        match reference_of(tag) {
            Some((alias, true)) if aliases => Control::AliasSend {
                from,
                to: alias,
                message,
            },
            _ => Control::Send {
                from: Some(from),
                to: to.clone(),
                message,
            },
        }
    }
}
