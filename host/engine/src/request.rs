//! A request's way: into the transaction layer, through the script's request route, out as what the script decided.
//!
//! Without a transaction until something needs one: OPTIONS and refusals are answered without state, and a copy would be
//! answered anew. Relaying, INVITE, a 2xx, credentials of what is no REGISTER, and a guest that waits make the transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchhook_script::{Answer, Current, Decision, Event, Outcome, Route, Share, Tracked};
use switchhook_sip::flow::Source;
use switchhook_sip::message::{HeaderId, Message, Method, refuse};
use switchhook_sip::proxy::mark_source;
use switchhook_sip::transaction::{Arms, Arrival, Key, NotCreated, Wait};

use crate::context::Context;
use crate::dialog::with_name;
use crate::guest::{Ended, Job};
use crate::lane::Lane;
use crate::relay::{Relay, Try};

/// A request on its way through the request route.
pub(crate) struct Request {
    pub(crate) message: Arc<Message>,
    pub(crate) source: Source,
    pub(crate) generation: Arc<Share>,
    /// Its server transaction, as soon as there is one.
    pub(crate) key: Option<Key>,
    kind: Kind,
    /// Another transaction that came of the same request on another way (RFC 3261 8.2.2.2).
    merged: Option<Key>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To be answered or relayed.
    Plain,
    /// An ACK to a 2xx: relayed without state, never answered.
    Ack,
    /// A CANCEL of what we do not know: without state.
    Cancel,
}

impl Request {
    /// Whether a transaction must wait for its guest. ACK never has one, a CANCEL without its INVITE needs none.
    pub(crate) fn wants_transaction(&self) -> bool {
        self.kind == Kind::Plain
    }
}

impl Lane {
    /// Takes a request from the network or another lane.
    pub(crate) fn request(&mut self, now: Instant, message: Arc<Message>, source: Source) {
        self.counters.request(message.method());
        if let Err(malformed) = message.check() {
            return self.refuse(&message, &malformed, &source);
        }
        if self.turns_away(&message, &source) {
            return;
        }
        let mut twin = None;
        let kind = match self.tm.on_request(now, &message, &source) {
            Err(malformed) => return self.refuse(&message, &malformed, &source),
            Ok(Arrival::Absorbed) => {
                self.counters.absorbed.count();
                return;
            }
            Ok(Arrival::Cancelled(key)) => {
                if let Some(context) = self.tm.data_mut(key) {
                    context.cancelled = true;
                }
                return;
            }
            Ok(Arrival::New { merged }) => {
                twin = merged;
                Kind::Plain
            }
            Ok(Arrival::Ack { .. }) => Kind::Ack,
            Ok(Arrival::CancelUnmatched) => Kind::Cancel,
        };
        if message.method() == Method::Register && twin.is_some_and(|twin| self.is_answered(twin)) {
            return self.refuse_merged(&message, &source);
        }
        let generation = Arc::clone(self.pool.current());
        let current = Current::new(Arc::clone(&message), source);
        let event = Event::new(Route::Request, Some(current), None);
        let request = Request {
            message,
            source,
            generation: Arc::clone(&generation),
            key: None,
            kind,
            merged: twin,
        };
        self.call(now, &generation, event, Job::Request(request));
    }

    /// Answers 503 to what begins something new while nothing new is taken, and says whether it did; what has begun goes on.
    fn turns_away(&mut self, message: &Message, source: &Source) -> bool {
        let draining = self.is_draining();
        if !draining && !self.overload.refuses() {
            return false;
        }
        let after = self.limits.retry_after.to_string();
        let extra: [(&[u8], &[u8]); 1] = [(b"Retry-After", after.as_bytes())];
        let turned_away = self.tm.turn_away(message, source, 503, &extra);
        if turned_away {
            let why = match draining {
                true => &self.counters.draining,
                false => &self.counters.overload,
            };
            why.count();
        }
        turned_away
    }

    fn refuse(
        &mut self,
        message: &Message,
        malformed: &switchhook_sip::message::Malformed,
        source: &Source,
    ) {
        let refusal = refuse(message.bytes(), malformed, None, &self.server);
        self.send_refusal(refusal, source);
    }

    /// Whether we were who answered that request.
    fn is_answered(&self, key: Key) -> bool {
        self.tm.data(key).is_some_and(|twin| twin.answered_here)
    }

    /// Whether we are who answers that request: we did, or may yet, as it went nowhere else.
    fn is_for_us(&self, key: Key) -> bool {
        self.tm
            .data(key)
            .is_some_and(|twin| twin.answered_here || twin.branches == 0)
    }

    /// A copy that took another way here is no further request to a UAS (RFC 3261 8.2.2.2). A proxy lets it pass: a spiral, or the next try
    /// of a proxy before us, looks the same. So a REGISTER is refused before the script can save it twice, any other request when
    /// the script accepts it.
    fn refuse_merged(&mut self, message: &Message, source: &Source) {
        self.respond_without(message, source, &merged(), false);
    }

    /// Answers 503 with Retry-After, without state.
    fn unavailable(&mut self, message: &Message, source: &Source) {
        let after = self.limits.retry_after.to_string();
        let extra: [(&[u8], &[u8]); 1] = [(b"Retry-After", after.as_bytes())];
        let _ = self
            .tm
            .answer_without_state(message, source, 503, "", &extra);
    }

    /// Makes the request's transaction. `None`, and the request answered 503, where there are too many.
    pub(crate) fn open(&mut self, now: Instant, request: &mut Request) -> Option<Key> {
        if let Some(key) = request.key {
            return Some(key);
        }
        let context = Box::new(Context::new(
            request.generation.pin(),
            request.source,
            Current::new(Arc::clone(&request.message), request.source),
        ));
        let message = Arc::clone(&request.message);
        match self.tm.create(now, message, &request.source, context) {
            Ok(key) => {
                self.counters.created.count();
                request.key = Some(key);
                Some(key)
            }
            Err(NotCreated::Full(_)) => {
                self.counters.full.count();
                self.unavailable(&request.message, &request.source);
                None
            }
            // It was new a moment ago and is a request: nothing else can have come between.
            Err(_) => None,
        }
    }

    /// No guest can run for the request.
    pub(crate) fn request_given_up(&mut self, now: Instant, request: &Request) {
        match request.key {
            _ if request.kind == Kind::Ack => {}
            None => self.unavailable(&request.message, &request.source),
            Some(key) => {
                let after = self.limits.retry_after.to_string();
                let extra: [(&[u8], &[u8]); 1] = [(b"Retry-After", after.as_bytes())];
                let _ = self.tm.answer(now, key, 503, "", &extra);
                self.release(now, key);
            }
        }
    }

    /// The request route has ended: carries out what it decided.
    pub(crate) fn request_done(&mut self, now: Instant, mut request: Request, ended: Ended) {
        let Ended { mut event, outcome } = ended;
        let decisions = std::mem::take(&mut event.decisions);
        let decided = decisions.iter().any(|decision| {
            matches!(
                decision,
                Decision::Relay { .. } | Decision::Forward | Decision::Respond(_)
            )
        });
        let tracked = event.dialog;
        let went = decided && matches!(outcome, Ok(Outcome::Done));
        let mut relayed = false;
        match outcome {
            Ok(Outcome::Done) if decided => {
                relayed = self.carry_out(now, &mut request, event, decisions);
            }
            Ok(Outcome::Done) => {
                if request.kind != Kind::Ack {
                    self.counters.undecided.count();
                    tracing::warn!(
                        script = self.pool.script().name(),
                        generation = %request.generation.id(),
                        method = %request.message.method(),
                        call_id = %String::from_utf8_lossy(request.message.call_id().unwrap_or_default()),
                        "the request route decided nothing"
                    );
                }
                self.error_reply(now, &mut request);
            }
            Ok(Outcome::Drop) => {
                if let Some(key) = request.key {
                    self.tm.terminate(key);
                }
            }
            Err(_) => self.error_reply(now, &mut request),
        }
        if let Some(tracked) = tracked {
            self.dialog_request(now, &request.message, request.key, tracked, went);
        }
        if let Some(key) = request.key.filter(|_| !relayed) {
            self.release(now, key);
        }
    }

    /// The configured answer to a request whose script failed.
    fn error_reply(&mut self, now: Instant, request: &mut Request) {
        let reply = self.pool.script().error_reply();
        let answer = Answer {
            status: reply.status,
            reason: reply.reason.clone().into(),
            headers: Vec::new(),
            body: None,
        };
        self.respond(now, request, &answer, false);
    }

    /// Says whether the transaction is a relay's now, which may wait for the DNS or a guest and releases it when it is sent.
    fn carry_out(
        &mut self,
        now: Instant,
        request: &mut Request,
        mut event: Box<Event>,
        decisions: Vec<Decision>,
    ) -> bool {
        let sends = |decision: &Decision| {
            matches!(
                decision,
                Decision::Relay { .. } | Decision::Forward | Decision::Replicate(_)
            )
        };
        if let Some(Current {
            message,
            edits,
            source,
        }) = &mut event.request
            && decisions.iter().any(sends)
        {
            // Its Via was read before; this can only fail where the script took it away.
            let _ = mark_source(message, edits, source, false);
        }
        let mut settings = Settings::default();
        let mut relayed = false;
        for decision in decisions {
            match decision {
                Decision::Respond(answer) => {
                    self.respond(now, request, &answer, event.force_rport);
                }
                Decision::Relay { .. } | Decision::Forward if request.kind != Kind::Plain => {
                    self.forward(now, request, &mut event, &settings);
                }
                Decision::Forward => self.forward(now, request, &mut event, &settings),
                Decision::Relay { targets, order } => {
                    let Some(key) = self.open(now, request) else {
                        return relayed;
                    };
                    relayed = true;
                    self.keep(key, &mut event, &settings);
                    let relay = Relay::new(
                        key,
                        Arc::clone(&request.generation),
                        targets,
                        order,
                        Try::First,
                    );
                    self.relay(now, Box::new(relay));
                }
                Decision::Cancel => {
                    if let Some(key) = request.key {
                        let _ = self.tm.cancel(now, key);
                    }
                }
                Decision::Replicate(to) => self.replicate(now, request, &event, to),
                other => settings.take(other),
            }
        }
        if let Some(key) = request.key {
            self.keep(key, &mut event, &settings);
        }
        relayed
    }

    /// Puts what the route left behind into its transaction.
    pub(crate) fn keep(&mut self, key: Key, event: &mut Event, settings: &Settings) {
        let Some(context) = self.tm.data_mut(key) else {
            return;
        };
        if let Some(request) = event.request.take() {
            context.request = Some(request);
            context.settle(event);
        }
        if let Some(Tracked::Begun(id)) = event.dialog.take()
            && context.dialog.replace(id).is_none()
        {
            self.tracked += 1;
        }
        settings.apply(context);
        let arms = Arms {
            failure: context.routes.failure.is_some(),
            replies: context.routes.reply.is_some(),
        };
        let force_rport = context.force_rport;
        self.tm.arm(key, arms);
        if force_rport {
            self.tm.answer_to_source(key);
        }
    }

    fn forward(&mut self, now: Instant, request: &Request, event: &mut Event, settings: &Settings) {
        let Some(current) = event.request.clone() else {
            return;
        };
        let record_route = settings.record_route.clone().flatten();
        let relay = Relay::stateless(
            Arc::clone(&request.generation),
            request.source,
            current,
            event.next_hop.clone(),
            record_route,
        );
        self.relay(now, Box::new(relay));
    }

    /// Sends copies of a request to other servers.
    fn replicate(&mut self, now: Instant, request: &Request, event: &Event, to: Vec<String>) {
        let Some(current) = &event.request else {
            return;
        };
        for next_hop in to {
            let generation = Arc::clone(&request.generation);
            let number = self.copies.number();
            let relay = Relay::copy(
                generation,
                request.source,
                current.clone(),
                next_hop,
                number,
            );
            self.relay(now, Box::new(relay));
        }
    }

    /// Answers a request: without state where it can be, else through its transaction.
    fn respond(&mut self, now: Instant, request: &mut Request, answer: &Answer, force_rport: bool) {
        if request.kind == Kind::Ack {
            return;
        }
        if answer.status < 300 && request.merged.is_some_and(|twin| self.is_for_us(twin)) {
            request.merged = None;
            return self.respond(now, request, &merged(), force_rport);
        }
        let stateful = request.kind == Kind::Plain && wants_state(&request.message, answer.status);
        if request.key.is_none() && stateful && self.open(now, request).is_none() {
            return;
        }
        match request.key {
            Some(key) => {
                if let Some(context) = self.tm.data_mut(key) {
                    context.answered_here = true;
                }
                if force_rport {
                    self.tm.answer_to_source(key);
                }
                self.respond_in(now, key, &request.message, &request.source, answer);
            }
            None => self.respond_without(&request.message, &request.source, answer, force_rport),
        }
    }
}

fn merged() -> Answer {
    Answer {
        status: 482,
        reason: "Merged Request".into(),
        headers: Vec::new(),
        body: None,
    }
}

/// What a route sets for the transaction, in the order it was set.
#[derive(Default)]
pub(crate) struct Settings {
    record_route: Option<Option<String>>,
    failure: Option<Option<Arc<str>>>,
    reply: Option<Option<Arc<str>>>,
    branch: Option<Option<Arc<str>>>,
    any_reply: u32,
    final_reply: u32,
}

impl Settings {
    pub(crate) fn take(&mut self, decision: Decision) {
        match decision {
            Decision::RecordRoute(params) => self.record_route = Some(Some(params)),
            Decision::OnFailure(route) => self.failure = Some(route),
            Decision::OnReply(route) => self.reply = Some(route),
            Decision::OnBranch(route) => self.branch = Some(route),
            Decision::Timeouts {
                any_reply,
                final_reply,
            } => {
                self.any_reply = any_reply;
                self.final_reply = final_reply;
            }
            Decision::Relay { .. }
            | Decision::Forward
            | Decision::Replicate(_)
            | Decision::Respond(_)
            | Decision::Cancel => {}
        }
    }

    fn apply(&self, context: &mut Context) {
        if let Some(record_route) = &self.record_route {
            context.record_route = match (record_route, context.dialog) {
                (Some(params), Some(dialog)) => Some(with_name(params, dialog)),
                _ => record_route.clone(),
            };
        }
        for (set, route) in [
            (&self.failure, &mut context.routes.failure),
            (&self.reply, &mut context.routes.reply),
            (&self.branch, &mut context.routes.branch),
        ] {
            if let Some(set) = set {
                route.clone_from(set);
            }
        }
        let span = |millis: u32| (millis > 0).then(|| Duration::from_millis(u64::from(millis)));
        let wait = Wait {
            first: span(self.any_reply),
            answer: span(self.final_reply),
        };
        context.wait.first = wait.first.or(context.wait.first);
        context.wait.answer = wait.answer.or(context.wait.answer);
    }
}

/// Whether an answer needs a transaction, because a copy of the request would not come to the same one: an INVITE waits for
/// its ACK; credentials are good for one request (RFC 7616 3.4); what a script did for a 2xx it may not do twice. OPTIONS,
/// refusals and REGISTER are answered without state (RFC 3261 8.2.7): the registrar knows a copy by Call-ID and CSeq, and the
/// authority one of a REGISTER whose credentials it accepted.
fn wants_state(request: &Message, status: u16) -> bool {
    let credentials = || {
        request.header(HeaderId::Authorization).is_some()
            || request.header(HeaderId::ProxyAuthorization).is_some()
    };
    match request.method() {
        Method::Register => false,
        Method::Invite => true,
        Method::Options => credentials(),
        _ => status < 300 || credentials(),
    }
}
