//! A request of ours on its lane: located, sent, repeated, sent elsewhere, and what it comes to.

use std::time::Instant;

use switchhook_script::uac::{Answered as Outcome, Reply};
use switchhook_script::{Event, Route};
use switchhook_sip::digest::{Login, respond};
use switchhook_sip::flow::Destination;
use switchhook_sip::message::{HeaderId, Message, NameAddr, Uri};

use super::write::write;
use super::{Answer, Own, reply};
use crate::clients::Answered;
use crate::erlang::post::Post;
use crate::guest::Done;
use crate::lane::Lane;
use crate::resolve::{self, Place, place};

/// Nothing came in time.
const SILENCE: u16 = 408;
/// Nobody could be reached.
const UNREACHABLE: u16 = 503;

impl Own {
    /// Where it goes, as a URI: the next hop, the first Route, or the request URI.
    fn hop(&self) -> Option<Uri<'_>> {
        if let Some(next_hop) = &self.request.next_hop {
            return Uri::parse(next_hop.as_bytes()).ok();
        }
        let mut headers = self.request.headers.iter();
        let route = headers.find(|header| HeaderId::of(header.name.as_bytes()) == HeaderId::Route);
        match route {
            Some(route) => NameAddr::parse(route.value.as_bytes()).ok()?.uri().ok(),
            None => Uri::parse(self.request.uri.as_bytes()).ok(),
        }
    }

    /// Answers a challenge, once.
    fn login(&mut self, challenge: &Message, cnonce: &str) -> bool {
        let (asks, answers) = match challenge.status() {
            401 => (HeaderId::WwwAuthenticate, "Authorization"),
            407 => (HeaderId::ProxyAuthenticate, "Proxy-Authorization"),
            _ => return false,
        };
        let (Some(credentials), None) = (&self.request.credentials, &self.authorization) else {
            return false;
        };
        let login = Login {
            user: &credentials.user,
            password: &credentials.password,
        };
        let fields = challenge.fields().filter(|field| field.id == asks);
        let challenges = fields.map(|field| field.value);
        let (method, uri) = (self.request.method.as_bytes(), self.request.uri.as_bytes());
        let Some(value) = respond(challenges, login, method, uri, cnonce) else {
            return false;
        };
        self.authorization = Some((answers, value));
        self.cseq += 1;
        true
    }
}

impl Lane {
    /// Takes a request of ours: looks where it goes, and sends it there.
    pub(crate) fn own(&mut self, now: Instant, mut own: Box<Own>) {
        own.until = Some(now + own.patience);
        self.random = self.random.wrapping_add(1);
        let random = self.keys.hash_one(self.random);
        let found = own.hop().map(|uri| place(&uri, self.supported, random));
        match found {
            Some(Ok(Place::Known(hops))) => self.own_located(now, own, Ok(hops)),
            Some(Ok(Place::Ask(search))) if self.tasks.len() < self.limits.suspended => {
                self.counters.lookups.count();
                let resolver = self.resolver.clone();
                self.tasks.spawn_local(async move {
                    let answer = search.run(&resolver).await;
                    Done::Own(own, answer)
                });
            }
            Some(Err(problem)) => self.own_located(now, own, Err(problem)),
            _ => self.own_ended(own, reply::made(UNREACHABLE)),
        }
    }

    /// It is known where it goes, or that this can't be known.
    pub(crate) fn own_located(&mut self, now: Instant, mut own: Box<Own>, found: resolve::Answer) {
        match found {
            Ok(hops) => {
                own.others = hops.others;
                own.others.push_front(hops.first);
                self.own_onward(now, own, UNREACHABLE);
            }
            Err(problem) => {
                self.counters.unresolved.count();
                tracing::debug!(%problem, method = own.request.method, "a request of ours has no way");
                self.own_ended(own, reply::made(UNREACHABLE));
            }
        }
    }

    /// Sends it to the first address that is left. Where none is, or no time, that is how it ends.
    fn own_onward(&mut self, now: Instant, mut own: Box<Own>, failed: u16) {
        let left = own.until.map(|until| until.saturating_duration_since(now));
        let left = left.unwrap_or_default();
        if left.is_zero() {
            return self.own_ended(own, reply::made(SILENCE));
        }
        while let Some(hop) = own.others.pop_front() {
            let local = self
                .net
                .egress(hop.transport, hop.address, own.request.local);
            let Some(local) = local else {
                continue;
            };
            let number = self.owns.number();
            let bytes = write(&own, local, &self.owns.branch(number), &self.server);
            let next_hop = own.request.next_hop.as_deref();
            if bytes.len() > self.limits.udp_request
                && !own.long
                && let Some(stream) = self.by_stream(now, hop, next_hop)
            {
                own.long = true;
                own.others.push_front(hop);
                own.others.push_front(stream);
                continue;
            }
            let destination = Destination {
                transport: hop.transport,
                remote: hop.address,
                local: Some(local.address),
                flow: None,
            };
            own.at = Some(hop);
            let addresses = u32::try_from(own.others.len()).unwrap_or(u32::MAX);
            let patience = left / addresses.saturating_add(1);
            let sent = (destination, bytes.clone());
            self.owns.sent(now, number, sent, Some(patience), own);
            return self.send(destination, bytes);
        }
        self.own_ended(own, reply::made(failed));
    }

    /// Takes a reply to a request of ours.
    pub(crate) fn is_of_own(&mut self, now: Instant, message: &Message) -> bool {
        let mut own = match self.owns.answered(message) {
            Answered::Other => return false,
            Answered::Taken => return true,
            Answered::Final(own) => own,
        };
        let cnonce = self.keys.hash_one((&own.call_id, own.cseq));
        if own.login(message, &format!("{cnonce:016x}")) {
            self.counters.own_challenged.count();
            own.others.extend(own.at);
            own.others.rotate_right(1);
            self.own_onward(now, own, UNREACHABLE);
        } else if message.status() == UNREACHABLE && !own.others.is_empty() {
            self.own_elsewhere(now, own, UNREACHABLE);
        } else {
            self.own_ended(own, reply::of(message));
        }
        true
    }

    /// Repeats what is due, and gives up what waited long enough.
    pub(crate) fn repeat_own(&mut self, now: Instant) {
        let (again, lost) = self.owns.repeat(now);
        for (destination, bytes) in again {
            self.counters.own_repeated.count();
            self.send(destination, bytes);
        }
        for own in lost {
            self.own_elsewhere(now, own, SILENCE);
        }
        self.counters.own_alive.set(self.owns.len() as u64);
    }

    /// A request with that branch could not be sent: true where it is one of ours.
    pub(crate) fn own_failed(&mut self, now: Instant, branch: &[u8]) -> bool {
        match self.owns.failed(branch) {
            Some(own) => self.own_elsewhere(now, own, UNREACHABLE),
            None => return false,
        }
        true
    }

    /// Its address failed: on to the next one.
    fn own_elsewhere(&mut self, now: Instant, own: Box<Own>, failed: u16) {
        if !own.others.is_empty() {
            self.counters.next_addresses.count();
        }
        self.own_onward(now, own, failed);
    }

    /// It has come to that.
    fn own_ended(&mut self, own: Box<Own>, reply: Reply) {
        if reply.made_here {
            match reply.status {
                SILENCE => &self.counters.own_silent,
                _ => &self.counters.own_unreachable,
            }
            .count();
        }
        match own.answer {
            Answer::Nobody => {}
            Answer::Guest(guest) => {
                // A guest that ended needs no answer.
                let _ = guest.send(reply);
            }
            Answer::Route { script, number, to } => {
                // What is made here comes at once: without a bound, a route that sends again would never rest.
                let depth = match reply.made_here {
                    true => to.depth.saturating_add(1),
                    false => 0,
                };
                let route = Route::Uac {
                    name: to.route,
                    answered: Box::new(Outcome {
                        number,
                        context: to.context,
                        reply,
                    }),
                };
                let mut event = Event::new(route, None, None);
                event.depth = depth;
                self.letters.push_back(match own.permit {
                    Some(permit) => Post::Answered(script, event, permit),
                    None => Post::Event(script, event),
                });
            }
        }
    }
}
