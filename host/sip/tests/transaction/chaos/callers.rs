//! Callers, each with a client transaction of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use switchhook_sip::message::{HeaderId, Message, Method};
use switchhook_sip::transaction::NonInviteClient;
use switchhook_sip::transaction::client::{Act as ClientAct, Client};
use switchhook_sip::transaction::timers::Time;

use super::world::{World, proxy, success};
use crate::lane::message;

pub(super) struct Caller {
    pub(super) request: Message,
    pub(super) client: Option<Client>,
    pub(super) cancel: Option<(NonInviteClient, Message)>,
    pub(super) ack: Option<Bytes>,
    /// How it ended: the status, or 0 when nothing came.
    pub(super) ends: Vec<u16>,
}

impl World {
    pub(super) fn caller_hears(&mut self, to: SocketAddr, reply: &Message) {
        let caller = caller_at(to).unwrap();
        let (now, reliable) = (Time(self.now), self.upstream.is_reliable());
        let this = &mut self.callers[caller];
        let status = reply.status();
        if reply.cseq().unwrap().method == Method::Cancel {
            if let Some((client, _)) = &mut this.cancel {
                *client = client.response(status).0;
            }
            return;
        }
        let Some(client) = &mut this.client else {
            return;
        };
        let act = client.response(status, now, reliable, &self.timers);
        match act {
            ClientAct::Pass | ClientAct::AckAndPass if status >= 200 => {
                let accepted = this.ends.iter().any(|end| success(*end));
                if !(accepted && success(status)) {
                    this.ends.push(status);
                }
            }
            _ => {}
        }
        let hop = matches!(act, ClientAct::AckAndPass | ClientAct::Ack);
        let invite = this.request.method() == Method::Invite;
        if hop || (invite && success(status) && act == ClientAct::Pass) {
            let ack = ack_of(&this.request, reply, hop, self.serial);
            this.ack = Some(ack.clone());
            self.send(to, proxy(), ack);
        }
    }

    pub(super) fn caller_cancels(&mut self, caller: usize) {
        let this = &mut self.callers[caller];
        let Some(client) = &this.client else { return };
        if client.is_silent() || !client.is_pending() {
            return;
        }
        let text = std::str::from_utf8(this.request.bytes()).unwrap();
        let cancel = message(&text.replace("INVITE", "CANCEL"));
        let reliable = self.upstream.is_reliable();
        let transaction = NonInviteClient::new(Time(self.now), reliable, &self.timers);
        this.cancel = Some((transaction, cancel.clone()));
        self.send(caller_address(caller), proxy(), cancel.bytes().clone());
    }

    pub(super) fn caller_timer(&mut self, caller: usize) {
        let now = Time(self.now);
        let this = &mut self.callers[caller];
        let mut sends = Vec::new();
        if let Some(client) = &mut this.client {
            match client.timer(now, &self.timers) {
                ClientAct::Send => sends.push(this.request.bytes().clone()),
                ClientAct::TimedOut => this.ends.push(0),
                _ => {}
            }
        }
        if let Some((client, cancel)) = &mut this.cancel {
            let (state, act) = client.timer(now, &self.timers);
            *client = state;
            if act == ClientAct::Send {
                sends.push(cancel.bytes().clone());
            }
        }
        for bytes in sends {
            self.send(caller_address(caller), proxy(), bytes);
        }
    }

    pub(super) fn request(&self, caller: usize, method: &str) -> Message {
        message(&format!(
            "{method} sip:bob@example.test SIP/2.0\r\n\
             Via: SIP/2.0/{} {};branch=z9hG4bK{}-{caller}\r\n\
             From: <sip:alice@example.test>;tag=a{caller}\r\n\
             To: <sip:bob@example.test>\r\n\
             Call-ID: {caller}\r\n\
             CSeq: 1 {method}\r\n\
             Content-Length: 0\r\n\r\n",
            self.upstream,
            caller_address(caller),
            self.seed,
        ))
    }
}

pub(super) fn caller_address(caller: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, 1].into(), 1_000 + caller as u16)
}

pub(super) fn caller_at(address: SocketAddr) -> Option<usize> {
    address
        .port()
        .checked_sub(1_000)
        .map(usize::from)
        .filter(|caller| *caller < 1_000)
}

/// A caller's ACK: on the INVITE's branch for a failure, on a new one for a 2xx.
pub(super) fn ack_of(invite: &Message, reply: &Message, hop: bool, serial: u64) -> Bytes {
    let text = |id| std::str::from_utf8(reply.header(id).unwrap()).unwrap();
    let via = std::str::from_utf8(invite.header(HeaderId::Via).unwrap()).unwrap();
    let via = if hop {
        via.to_owned()
    } else {
        format!("{via}-ack-{serial}")
    };
    Bytes::from(format!(
        "ACK sip:bob@example.test SIP/2.0\r\nVia: {via}\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        text(HeaderId::From),
        text(HeaderId::To),
        text(HeaderId::CallId),
    ))
}
