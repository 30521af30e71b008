//! Callees, each with a server transaction of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use switchhook_sip::message::{Message, Method, response};
use switchhook_sip::transaction::server::{Act as ServerAct, Server};
use switchhook_sip::transaction::timers::Time;

use super::world::{Event, World, proxy, success};

pub(super) struct Uas {
    pub(super) address: SocketAddr,
    pub(super) branch: Vec<u8>,
    pub(super) request: Message,
    pub(super) server: Server,
    pub(super) last: Bytes,
    /// The 2xx to INVITE, repeated until the ACK comes (s.13.3.1.4).
    pub(super) success: Option<(Bytes, u64, u64, u64)>,
}

impl World {
    pub(super) fn uas_hears(&mut self, to: SocketAddr, request: Message) {
        let now = Time(self.now);
        let reliable = self.downstream.is_reliable();
        let branch = request.via().unwrap().branch().unwrap().to_vec();
        let known = self
            .uas
            .iter()
            .position(|uas| uas.branch == branch && uas.address == to);
        match (request.method(), known) {
            (Method::Ack, Some(uas)) => {
                let _ = self.uas[uas].server.ack(now, reliable, &self.timers);
            }
            (Method::Ack, None) => {
                let tag = request.to().unwrap().tag().unwrap().to_vec();
                let number = std::str::from_utf8(&tag[1..]).unwrap();
                self.uas[number.parse::<usize>().unwrap()].success = None;
            }
            (Method::Cancel, known) => {
                let status = if known.is_some() { 200 } else { 481 };
                let reply = response(&request, status, "", Some("c")).finish();
                self.send(to, proxy(), reply);
                if let Some(uas) = known {
                    self.uas_says(uas, 487);
                }
            }
            (_, Some(uas)) => {
                let this = &mut self.uas[uas];
                if this.server.request() == ServerAct::Resend {
                    let last = this.last.clone();
                    self.send(to, proxy(), last);
                }
            }
            (method, None) => {
                let invite = method == Method::Invite;
                let uas = self.uas.len();
                self.behave(uas, invite);
                self.uas.push(Uas {
                    address: to,
                    branch,
                    server: Server::new(invite, now, &self.timers),
                    request,
                    last: Bytes::new(),
                    success: None,
                });
            }
        }
    }

    /// What a callee will do with this request.
    pub(super) fn behave(&mut self, uas: usize, invite: bool) {
        let mut at = self.now + self.rng.below(300);
        if invite && self.rng.percent(70) {
            self.at(at, Event::Says(uas, 180));
            at += self.rng.below(30_000);
        } else if self.rng.percent(10) {
            at += self.rng.below(40_000);
        }
        // One in ten never makes up its mind.
        if !self.rng.percent(10) {
            let finals = [200, 200, 202, 302, 401, 404, 407, 408, 486, 487, 503, 603];
            let status = self.rng.pick(&finals);
            self.at(at, Event::Says(uas, status));
        }
    }

    pub(super) fn uas_says(&mut self, uas: usize, status: u16) {
        let now = Time(self.now);
        let reliable = self.downstream.is_reliable();
        let this = &mut self.uas[uas];
        let act = this.server.respond(status, now, reliable, &self.timers);
        if act != ServerAct::Send {
            return;
        }
        let tag = format!("t{uas}");
        let bytes = response(&this.request, status, "", Some(&tag)).finish();
        if this.server.is_invite() && success(status) {
            this.success = Some((bytes.clone(), self.now + 500, 500, self.now + 32_000));
        } else {
            this.last = bytes.clone();
        }
        let from = this.address;
        self.send(from, proxy(), bytes);
    }

    pub(super) fn uas_timer(&mut self, uas: usize) {
        let this = &mut self.uas[uas];
        let mut sends = Vec::new();
        match this.server.timer(Time(self.now), &self.timers) {
            ServerAct::Resend => sends.push(this.last.clone()),
            ServerAct::Trying => {
                let trying = response(&this.request, 100, "", None).finish();
                this.last = trying.clone();
                sends.push(trying);
            }
            _ => {}
        }
        if let Some((bytes, at, every, until)) = this.success.take() {
            if at > self.now {
                this.success = Some((bytes, at, every, until));
            } else if self.now < until {
                sends.push(bytes.clone());
                let every = (every * 2).min(4_000);
                this.success = Some((bytes, self.now + every, every, until));
            }
        }
        let from = this.address;
        for bytes in sends {
            self.send(from, proxy(), bytes);
        }
    }
}
