//! Requests: who may make them, which came before, and their answers.

use std::sync::Arc;

use switchhook_sip::flow::Source;
use switchhook_sip::message::Message;

use super::{Asked, Bus, Event, MAX_ASKED, Output, PATIENCE, life};
use crate::envelope::{Reply, Request, Unreadable};
use crate::list::{self, Status};
use crate::node::Now;
use crate::seen::Answer;
use crate::stores::Stores;
use crate::{dialog, htable, usrloc};

impl Bus {
    pub(super) fn request(
        &mut self,
        now: Now,
        source: &Source,
        message: &Message,
        stores: &mut dyn Stores,
    ) {
        if !self.config.allows(source.remote.ip()) {
            self.counters.refused += 1;
            return self.reply(message, source, &Reply::FORBIDDEN);
        }
        let request = match Request::read(message, source) {
            Ok(request) => request,
            Err(Unreadable::Malformed) => {
                self.counters.malformed += 1;
                return self.reply(message, source, &Reply::BAD);
            }
            Err(Unreadable::Spoofed) => {
                self.counters.refused += 1;
                return self.reply(message, source, &Reply::FORBIDDEN);
            }
        };
        let id = self.seen.id(source.remote, request.branch);
        match self.seen.find(id) {
            None => self.seen.open(now.at, id),
            Some(answer) => {
                self.counters.repeated += 1;
                return self.again(message, source, answer);
            }
        }
        self.counters.received += 1;
        let reply = self.carry_out(now, source, &request, id, stores);
        if let Some(reply) = reply {
            if reply.status == Reply::BAD.status {
                self.counters.malformed += 1;
            }
            self.seen.close(id, &reply);
            self.reply(message, source, &reply);
        }
    }

    /// A copy of a request: the same answer, nothing else.
    fn again(&mut self, message: &Message, source: &Source, answer: Answer) {
        let Answer::Given { status, listed } = answer else {
            return;
        };
        let mut reply = Reply {
            status,
            reason: switchhook_sip::message::reason_phrase(status).into(),
            body: None,
        };
        if listed {
            reply.body = Some((list::CONTENT_TYPE.into(), self.list(Status::Active)));
        }
        self.reply(message, source, &reply);
    }

    fn reply(&mut self, message: &Message, source: &Source, reply: &Reply) {
        if let Some(bytes) = reply.write(message, source, &self.config.server) {
            let destination = source.back();
            self.out.push_back(Output::Send { destination, bytes });
        }
    }

    /// `None`: a script is asked.
    fn carry_out(
        &mut self,
        now: Now,
        source: &Source,
        request: &Request<'_>,
        id: u64,
        stores: &mut dyn Stores,
    ) -> Option<Reply> {
        let from = request.from;
        Some(match request.channel {
            life::CHANNEL => {
                // Goodbye is no hello.
                if !says_goodbye(request) {
                    self.heard(now, from);
                }
                self.listed(now, from, request.body, request.hops);
                let status = match self.leaving {
                    true => Status::Disabled,
                    false => Status::Active,
                };
                Reply {
                    body: Some((list::CONTENT_TYPE.into(), self.list(status))),
                    ..Reply::OK
                }
            }
            _ if self.leaving => Reply::new(503, "Service Unavailable"),
            htable::CHANNEL => self.htable(now, from, request.body, stores),
            usrloc::CHANNEL if self.config.contacts => self.usrloc(now, from, request.body, stores),
            dialog::CHANNEL if self.config.dialogs => self.dialog(now, from, request.body, stores),
            other if self.config.channels.contains(other) => {
                return self.ask_script(now, source, request, id);
            }
            _ => Reply::UNKNOWN,
        })
    }

    fn ask_script(
        &mut self,
        now: Now,
        source: &Source,
        request: &Request<'_>,
        id: u64,
    ) -> Option<Reply> {
        if self.asked.len() >= MAX_ASKED {
            return Some(Reply::FAILED);
        }
        self.serial += 1;
        let ticket = self.serial;
        let asked = Asked {
            until: now.at + PATIENCE,
            seen: id,
            message: request.message.clone(),
            source: *source,
        };
        self.asked.insert(ticket, asked);
        let channel: Arc<str> = self.name(request.channel);
        self.event(Event::Message {
            ticket,
            from: request.from,
            channel,
            content_type: request.content_type.into(),
            body: bytes::Bytes::copy_from_slice(request.body),
        });
        None
    }

    /// Answers a message on a channel of a script's. `false` where it has been answered before, or was given up.
    pub fn answer(&mut self, ticket: u64, reply: &Reply) -> bool {
        let Some(asked) = self.asked.remove(&ticket) else {
            return false;
        };
        self.seen.close(asked.seen, reply);
        self.reply(&asked.message, &asked.source, reply);
        true
    }
}

fn says_goodbye(request: &Request<'_>) -> bool {
    let nodes = list::read(request.body).nodes;
    nodes.contains(&(request.from, Status::Disabled))
}
