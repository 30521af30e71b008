//! A reply's way: through the reply route, its transaction, the onreply route it armed, and upstream.
//!
//! And what follows when no branch succeeded: the failure route, which may try other targets or answer itself.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use switchhook_script::{Current, Decision, Event, Outcome, Route};
use switchhook_sip::flow::{Destination, Source};
use switchhook_sip::message::{Edits, HeaderId, Message, Via, reason_phrase, response};
use switchhook_sip::proxy::{ReplyTarget, reply_target};
use switchhook_sip::transaction::{Best, Key, Matched, Refusal, ReplyId};

use crate::context::Held;
use crate::guest::{Ended, Job};
use crate::lane::Lane;
use crate::relay::{Relay, Try};
use crate::request::Settings;

impl Lane {
    /// Takes a reply from the network or another lane.
    pub(crate) fn reply(&mut self, now: Instant, message: Arc<Message>, source: Source) {
        self.counters.replies.count();
        if message.check().is_err() {
            // A malformed reply is dropped (RFC 3261 16.7 step 3, 18.1.2).
            self.counters.dropped.count();
            return;
        }
        if self.is_of_own(now, &message) || self.is_of_copy(&message) {
            return;
        }
        let generation = Arc::clone(self.pool.current());
        if generation.handles_replies() {
            let reply = Current::new(message, source);
            let event = Event::new(Route::Reply, None, Some(reply));
            return self.call(now, &generation, event, Job::Reply);
        }
        self.matched(now, &message, source);
    }

    /// The reply route has ended: the reply goes to its transaction, with its edits, unless it was dropped.
    pub(crate) fn reply_route_done(&mut self, now: Instant, ended: Ended) {
        let Ended { event, outcome } = ended;
        let Some(Current {
            message,
            edits,
            source,
        }) = event.reply
        else {
            return;
        };
        match outcome {
            Ok(Outcome::Drop) => {}
            Ok(Outcome::Done) if !edits.is_empty() => {
                self.scratch.clear();
                edits.view(&message).render(&mut self.scratch);
                let edited = Message::parse(Bytes::copy_from_slice(&self.scratch));
                // Edits keep a message readable; if not, the reply goes on as it came.
                match edited {
                    Ok(edited) => self.matched(now, &edited, source),
                    Err(_) => self.matched(now, &message, source),
                }
            }
            Ok(Outcome::Done) | Err(_) => self.matched(now, &message, source),
        }
    }

    fn matched(&mut self, now: Instant, message: &Message, source: Source) {
        self.reply_source = Some(source);
        match self.tm.on_response(now, message) {
            Matched::Taken => {}
            Matched::Late => self.counters.late.count(),
            Matched::Unknown => self.stray(message),
        }
    }

    /// A reply to what was forwarded without state goes to the Via below ours (RFC 3261 16.11); any other is dropped.
    fn stray(&mut self, message: &Message) {
        match self.upstream(message) {
            Some((bytes, destination)) => self.send(destination, bytes),
            None => self.counters.stray.count(),
        }
    }

    fn upstream(&mut self, message: &Message) -> Option<(Bytes, Destination)> {
        let mut vias = message.values(HeaderId::Via);
        let ours = Via::parse(vias.next()?).ok()?;
        if !self.services.own.is_own_via(&ours) {
            return None;
        }
        let destination = way_back(&Via::parse(vias.next()?).ok()?)?;
        let mut edits = Edits::default();
        edits.remove_first_value(message, HeaderId::Via).ok()?;
        if destination.transport.is_stream() {
            edits.add_content_length(message).ok()?;
        }
        self.scratch.clear();
        edits.view(message).render(&mut self.scratch);
        Some((Bytes::copy_from_slice(&self.scratch), destination))
    }

    /// The transaction layer asks about a reply: the onreply route decides, now or after the guest that runs.
    pub(crate) fn onreply(
        &mut self,
        now: Instant,
        key: Key,
        branch: usize,
        id: ReplyId,
        message: Arc<Message>,
        source: Source,
    ) {
        let held = self.limits.held;
        let Some(context) = self.tm.data_mut(key) else {
            let _ = self.tm.pass(now, id, None);
            return;
        };
        context.saw(message.status());
        if context.busy {
            if context.held.len() < held {
                context.held.push_back(Held::Reply {
                    branch,
                    id,
                    message,
                    source,
                });
                return;
            }
            let _ = self.tm.pass(now, id, None);
            return;
        }
        let route = context.routes.reply.clone().map(|name| Route::OnReply {
            name,
            index: u32::try_from(branch).unwrap_or(u32::MAX),
        });
        let generation = Arc::clone(context.pinned.generation());
        let Some(route) = route.filter(|route| generation.handles(route)) else {
            let _ = self.tm.pass(now, id, None);
            return;
        };
        let request = context.request.clone();
        let reply = Current::new(message, source);
        let mut event = Event::new(route, request, Some(reply));
        context.lend(&mut event);
        self.call(now, &generation, event, Job::OnReply { key, id });
    }

    /// An onreply route has ended. A final reply can't be dropped (wit/routes.wit).
    pub(crate) fn onreply_done(&mut self, now: Instant, key: Key, id: ReplyId, ended: Ended) {
        let Ended { mut event, outcome } = ended;
        let reply = event.reply.take();
        let provisional = reply
            .as_ref()
            .is_some_and(|reply| reply.message.status() < 200);
        self.settle(now, key, &mut event);
        let verdict = match (outcome, reply) {
            (Ok(Outcome::Drop), _) if provisional => self.tm.withhold(now, id),
            (Ok(_), Some(mut reply)) => self.tm.pass(now, id, Some(&mut reply.edits)),
            _ => self.tm.pass(now, id, None),
        };
        if verdict.is_err() {
            // An edit that can't be written: the reply goes on as it came.
            let _ = self.tm.pass(now, id, None);
        }
        self.release(now, key);
    }

    /// The transaction layer says that no branch succeeded: the failure route decides.
    pub(crate) fn failure(&mut self, now: Instant, key: Key, best: Best) {
        let Some(context) = self.tm.data_mut(key) else {
            return;
        };
        context.saw(best.status);
        if context.busy {
            context.held.push_back(Held::Failure(best));
            return;
        }
        let name = context.routes.failure.take();
        let generation = Arc::clone(context.pinned.generation());
        let route = name
            .map(|name| Route::Failure { name })
            .filter(|route| generation.handles(route));
        let Some(route) = route else {
            return self.give_best(now, key, best.status);
        };
        let request = context.request.clone();
        let reply = best
            .message
            .clone()
            .or_else(|| made_here(&request.as_ref()?.message, best.status));
        let timed_out = best.message.is_none() && best.status == 408;
        let source = context.source;
        let reply = reply.map(|reply| Current::new(reply, source));
        let mut event = Event::new(route, request, reply);
        context.next_hop = None;
        context.lend(&mut event);
        event.transaction.timed_out = timed_out;
        self.call(
            now,
            &generation,
            event,
            Job::Failure {
                key,
                status: best.status,
            },
        );
    }

    /// A failure route has ended: a relay tries on, an answer ends it, else the best reply goes upstream.
    pub(crate) fn failure_done(&mut self, now: Instant, key: Key, status: u16, ended: Ended) {
        let Ended { mut event, outcome } = ended;
        let mut settings = Settings::default();
        let mut relay = None;
        let mut answer = None;
        let decisions = std::mem::take(&mut event.decisions);
        for decision in decisions {
            match decision {
                Decision::Relay { targets, order } => relay = Some((targets, order)),
                Decision::Respond(given) => answer = Some(given),
                other => settings.take(other),
            }
        }
        if outcome.is_err() {
            (relay, answer) = (None, None);
        }
        let request = event
            .request
            .as_ref()
            .map(|request| (Arc::clone(&request.message), request.source));
        self.keep(key, &mut event, &settings);
        if let Some((targets, order)) = relay
            && let Some(context) = self.tm.data(key)
        {
            let generation = Arc::clone(context.pinned.generation());
            let relay = Relay::new(key, generation, targets, order, Try::AfterFailure);
            return self.relay(now, Box::new(relay));
        }
        match (answer, request) {
            (Some(answer), Some((request, source))) => {
                self.respond_in(now, key, &request, &source, &answer);
            }
            _ => self.give_best(now, key, status),
        }
        self.release(now, key);
    }

    /// Sends the best reply upstream; where no branch was ever sent, an answer of that status.
    pub(crate) fn give_best(&mut self, now: Instant, key: Key, status: u16) {
        let given = match self.tm.forward_best(now, key) {
            Err(Refusal::NotFailing) => self.tm.answer(now, key, status, "", &[]),
            given => given,
        };
        if let Err(refusal) = given {
            tracing::debug!(%refusal, "the best reply came too late");
        }
    }

    /// Takes back what an onreply route left: variables, armed routes, a cancel.
    fn settle(&mut self, now: Instant, key: Key, event: &mut Event) {
        let mut settings = Settings::default();
        let mut cancel = false;
        for decision in std::mem::take(&mut event.decisions) {
            match decision {
                Decision::Cancel => cancel = true,
                other => settings.take(other),
            }
        }
        // Edits of the request are not honoured here (wit/request.wit).
        event.request = None;
        if let Some(context) = self.tm.data_mut(key) {
            context.settle(event);
        }
        self.keep(key, event, &settings);
        if cancel {
            let _ = self.tm.cancel(now, key);
        }
    }

    /// The guest of a transaction has ended: what waited for it gets its turn.
    pub(crate) fn release(&mut self, now: Instant, key: Key) {
        loop {
            let Some(context) = self.tm.data_mut(key) else {
                return;
            };
            context.busy = false;
            match context.held.pop_front() {
                None => return,
                Some(Held::Reply {
                    branch,
                    id,
                    message,
                    source,
                }) => self.onreply(now, key, branch, id, message, source),
                Some(Held::Failure(best)) => self.failure(now, key, best),
                Some(Held::NextAddress(failed)) => self.next_address(now, key, failed),
            }
            if self.tm.data(key).is_none_or(|context| context.busy) {
                return;
            }
        }
    }
}

/// The reply that stands for silence or an unreachable peer, so that a failure route has one to look at.
fn made_here(request: &Message, status: u16) -> Option<Arc<Message>> {
    let bytes = response(request, status, reason_phrase(status), None).finish();
    Message::parse(bytes).ok().map(Arc::new)
}

/// Where a reply goes by its top Via. A name there is not resolved: peers whose address differs from it have `received`.
pub(crate) fn way_back(via: &Via<'_>) -> Option<Destination> {
    match reply_target(via)? {
        ReplyTarget::Address(transport, remote) => Some(Destination {
            transport,
            remote,
            local: None,
            flow: None,
        }),
        ReplyTarget::Name(..) => None,
    }
}
