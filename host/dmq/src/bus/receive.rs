//! Requests: who may make them, which came before, and their answers.

use std::sync::Arc;

use switchhook_sip::flow::Source;
use switchhook_sip::message::Message;

use super::{Asked, Bus, Event, MAX_ASKED, Output, PATIENCE, life, tell};
use crate::envelope::{Reply, Request, Unreadable};
use crate::list::{self, Status};
use crate::node::Now;
use crate::own;
use crate::own::auth::{Refusal, Signed};
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
        let request = match Request::read(message, source) {
            Ok(request) => request,
            Err(unreadable) => return self.unreadable(now, source, message, unreadable),
        };
        let id = self.seen.id(source.remote, request.branch);
        // Own nodes sign each copy anew and may be answered anew.
        let own = self.own.is_some() && request.channel == own::CHANNEL;
        if let Some(answer) = self.seen.find(id).filter(|_| !own) {
            self.counters.repeated += 1;
            return self.again(now, message, source, answer);
        }
        let signed = match self.may(now, source, message) {
            Ok(signed) => signed,
            Err(to) => {
                self.counters.refused += 1;
                return self.reply(now, message, source, to, &Reply::FORBIDDEN);
            }
        };
        self.counters.received += 1;
        if own {
            let reply = self.own_request(now, &request, signed, stores);
            return self.reply(now, message, source, signed, &reply);
        }
        self.seen.open(now.at, id);
        let reply = self.carry_out(now, source, &request, (id, signed), stores);
        if let Some(reply) = reply {
            if reply.status == Reply::BAD.status {
                self.counters.malformed += 1;
            }
            self.seen.close(id, &reply);
            self.reply(now, message, source, signed, &reply);
        }
    }

    fn unreadable(&mut self, now: Now, source: &Source, message: &Message, why: Unreadable) {
        let spoofed = why == Unreadable::Spoofed || !self.config.allows(source.remote.ip());
        let (count, reply) = match spoofed {
            true => (&mut self.counters.refused, Reply::FORBIDDEN),
            false => (&mut self.counters.malformed, Reply::BAD),
        };
        *count += 1;
        self.reply(now, message, source, None, &reply);
    }

    /// Whether that sender may say anything: one that signed with a key of ours may, and one whose address is allowed, unless all
    /// are to sign. Who is refused for its clock is told ours.
    fn may(
        &mut self,
        now: Now,
        source: &Source,
        message: &Message,
    ) -> Result<Option<Signed>, Option<Signed>> {
        let own = self.own.as_mut();
        let only_signed = own.as_ref().is_some_and(|own| own.only_signed());
        match own.and_then(|own| own.check(now, message)) {
            Some(Ok(signed)) => Ok(Some(signed)),
            Some(Err(Refusal::Time(signed))) => Err(Some(signed)),
            Some(Err(_)) => Err(None),
            None if only_signed || !self.config.allows(source.remote.ip()) => Err(None),
            None => Ok(None),
        }
    }

    fn own_request(
        &mut self,
        now: Now,
        request: &Request<'_>,
        signed: Option<Signed>,
        stores: &mut dyn Stores,
    ) -> Reply {
        let own = self.own.as_ref();
        let Some(life) = own.and_then(|own| own.is_ours(request.message, signed)) else {
            self.counters.refused += 1;
            return Reply::FORBIDDEN;
        };
        self.heard_ours(now, request.from, life);
        self.heard(now, request.from);
        let own = self.own.as_mut();
        own.map_or(Reply::UNKNOWN, |own| own.request(now, request, stores))
    }

    /// A copy of a request: the same answer, nothing else.
    fn again(&mut self, now: Now, message: &Message, source: &Source, answer: Answer) {
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
        self.reply(now, message, source, None, &reply);
    }

    fn reply(
        &mut self,
        now: Now,
        message: &Message,
        source: &Source,
        signed: Option<Signed>,
        reply: &Reply,
    ) {
        let own = self.own.as_ref();
        let fields = own.map(|own| own.answer_fields(now, signed, reply));
        let fields = fields.unwrap_or_default();
        if let Some(bytes) = reply.write(message, source, &self.config.server, &fields) {
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
        (id, signed): (u64, Option<Signed>),
        stores: &mut dyn Stores,
    ) -> Option<Reply> {
        let from = request.from;
        // Goodbye is no hello.
        let goodbye = request.channel == life::CHANNEL && says_goodbye(request);
        let own = self.own.as_ref().filter(|_| !goodbye);
        if let Some(life) = own.and_then(|own| own.is_ours(request.message, signed)) {
            self.heard_ours(now, from, life);
        }
        Some(match request.channel {
            life::CHANNEL if list::read(request.body).is_garbage() => Reply::BAD,
            life::CHANNEL => {
                if !goodbye {
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
            other if self.config.scripts && tell::is_channel(other) => {
                return self.ask_script(now, source, request, (id, signed));
            }
            _ => Reply::UNKNOWN,
        })
    }

    fn ask_script(
        &mut self,
        now: Now,
        source: &Source,
        request: &Request<'_>,
        (id, signed): (u64, Option<Signed>),
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
            signed,
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
        self.reply(self.now, &asked.message, &asked.source, asked.signed, reply);
        true
    }
}

fn says_goodbye(request: &Request<'_>) -> bool {
    let nodes = list::read(request.body).nodes;
    nodes.contains(&(request.from, Status::Disabled))
}
