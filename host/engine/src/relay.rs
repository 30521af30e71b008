//! Sending a request on: one target after the other becomes a branch, then all go out by the script's order.
//!
//! A [`Relay`] is a step machine that owns its progress: it may stop at a name that must be resolved, or at a branch or onsend
//! route whose guest waits, and goes on when the answer is there. Nothing is sent before all targets are ready, so that the
//! order holds. While it is under way its transaction counts as busy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use switchhook_script::{Current, Event, Order, Outcome, Route, Share, Target};
use switchhook_sip::flow::{Destination, Source};
use switchhook_sip::message::Method;
use switchhook_sip::proxy::{Breadth, Shares};
use switchhook_sip::transaction::{Best, Branch, BranchId, Key, Refusal};

use crate::context::Spare;
use crate::forward::Problem;
use crate::guest::{Done, Ended, Job};
use crate::lane::Lane;
use crate::leg::{Leg, Stage};
use crate::request::Settings;
use crate::resolve::{Answer, Place, Search};

/// A request that is being sent on.
pub(crate) struct Relay {
    pub(crate) generation: Arc<Share>,
    way: Way,
    order: Order,
    targets: VecDeque<Target>,
    /// The target at work.
    leg: Option<Leg>,
    /// Those that are ready, with their q.
    ready: Vec<(u16, Branch)>,
    /// Rendered, where there is no transaction.
    bare: Option<(Destination, Bytes)>,
    /// Max-Breadth for each target that is still to come (RFC 5393).
    breadth: Option<Shares>,
    /// The worst thing that kept a target from becoming a branch.
    problem: Option<Problem>,
    attempt: Try,
}

/// Whether this is the request's first relay, a failure route's further one, or a branch's next address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    First,
    AfterFailure,
    NextAddress(BranchId),
}

pub(crate) enum Way {
    /// Through a transaction, whose context has the request.
    Stateful(Key),
    /// Without (RFC 3261 16.11).
    Stateless(Box<Bare>),
}

/// A request without a transaction.
pub(crate) struct Bare {
    pub(crate) source: Source,
    pub(crate) request: Current,
    pub(crate) record_route: Option<String>,
    /// The number of a copy that nobody upstream is told of.
    pub(crate) copy: Option<u64>,
}

/// The relay, to go on with; `None` where something must be waited for and has it.
type Next = Option<Box<Relay>>;

impl Relay {
    pub(crate) fn new(
        key: Key,
        generation: Arc<Share>,
        targets: Vec<Target>,
        order: Order,
        attempt: Try,
    ) -> Relay {
        Relay {
            generation,
            way: Way::Stateful(key),
            order,
            targets: targets.into(),
            leg: None,
            ready: Vec::new(),
            bare: None,
            breadth: None,
            problem: None,
            attempt,
        }
    }

    pub(crate) fn stateless(
        generation: Arc<Share>,
        source: Source,
        request: Current,
        next_hop: Option<String>,
        record_route: Option<String>,
    ) -> Relay {
        let target = Target {
            uri: String::from_utf8_lossy(request.view().request_uri()).into_owned(),
            next_hop,
            path: Vec::new(),
            q: 1000,
            flow: None,
        };
        Relay {
            generation,
            way: Way::Stateless(Box::new(Bare {
                source,
                request,
                record_route,
                copy: None,
            })),
            order: Order::Parallel,
            targets: VecDeque::from([target]),
            leg: None,
            ready: Vec::new(),
            bare: None,
            breadth: None,
            problem: None,
            attempt: Try::First,
        }
    }

    /// A copy for another server, of that number.
    pub(crate) fn copy(
        generation: Arc<Share>,
        source: Source,
        request: Current,
        next_hop: String,
        number: u64,
    ) -> Relay {
        let mut relay = Relay::stateless(generation, source, request, Some(next_hop), None);
        if let Way::Stateless(bare) = &mut relay.way {
            bare.copy = Some(number);
        }
        relay
    }

    /// A branch on its way to its next address.
    pub(crate) fn again(key: Key, generation: Arc<Share>, leg: Leg, failed: BranchId) -> Relay {
        let attempt = Try::NextAddress(failed);
        let mut relay = Relay::new(key, generation, Vec::new(), Order::Parallel, attempt);
        relay.leg = Some(leg);
        relay
    }

    /// The one branch of such a relay, once it is ready.
    pub(crate) fn written(mut self) -> Option<Branch> {
        self.ready.pop().map(|(_, branch)| branch)
    }

    pub(crate) fn key(&self) -> Option<Key> {
        match self.way {
            Way::Stateful(key) => Some(key),
            Way::Stateless(_) => None,
        }
    }

    /// How many branches each target may spread over. Targets that are tried one after the other each get the whole.
    fn shares(&self, request: &Current) -> Result<Shares, Problem> {
        let at_once = match self.order {
            Order::Parallel => self.targets.len() + 1,
            Order::Serial => 1,
        };
        Ok(Breadth::of(request.view())?.share(at_once)?)
    }

    /// Drops the target at work. The worst problem is what the caller is told if no target is left.
    fn skip(&mut self, problem: Option<Problem>) {
        self.leg = None;
        if let Some(problem) = problem {
            tracing::debug!(%problem, "a target was left out");
            self.problem = self.problem.take().or(Some(problem));
        }
    }
}

impl Lane {
    /// Works a relay until it is sent or must wait.
    pub(crate) fn relay(&mut self, now: Instant, mut relay: Box<Relay>) {
        self.busy(relay.key());
        if relay.leg.is_none() && relay.targets.is_empty() && relay.ready.is_empty() {
            self.target_request_uri(&mut relay);
        }
        loop {
            if relay.leg.is_none() {
                let Some(target) = relay.targets.pop_front() else {
                    return self.dispatch(now, *relay);
                };
                self.begin(&mut relay, target);
                continue;
            }
            match self.step(now, relay) {
                Some(back) => relay = back,
                None => return,
            }
        }
    }

    /// Without targets: to the request URI as the script left it.
    fn target_request_uri(&mut self, relay: &mut Relay) {
        let context = relay.key().and_then(|key| self.tm.data(key));
        if let Some(context) = context
            && let Some(request) = &context.request
        {
            let uri = request.view().request_uri();
            relay.targets.push_back(Target {
                uri: String::from_utf8_lossy(uri).into_owned(),
                next_hop: context.next_hop.clone(),
                path: Vec::new(),
                q: 1000,
                flow: None,
            });
        }
    }

    /// Takes the next target on.
    fn begin(&mut self, relay: &mut Relay, target: Target) {
        let (current, index) = match &relay.way {
            Way::Stateless(bare) => (bare.request.clone(), 0),
            Way::Stateful(key) => {
                let most = self.limits.branches;
                let Some(context) = self.tm.data_mut(*key) else {
                    return;
                };
                if context.branches as usize >= most {
                    return relay.skip(Some(Problem::TooMany));
                }
                let Some(request) = context.request.clone() else {
                    return relay.skip(None);
                };
                let index = context.branches;
                context.branches += 1;
                (request, index)
            }
        };
        if relay.breadth.is_none() {
            match relay.shares(&current) {
                Ok(shares) => relay.breadth = Some(shares),
                Err(problem) => {
                    relay.targets.clear();
                    return relay.skip(Some(problem));
                }
            }
        }
        let mut leg = Leg {
            next_hop: target.next_hop.clone(),
            target,
            index,
            current,
            breadth: relay.breadth.as_mut().and_then(Iterator::next).flatten(),
            stage: Stage::BranchRoute,
            others: VecDeque::new(),
            unwritten: None,
            long: false,
        };
        let uri = leg.target.uri.as_bytes();
        if uri != leg.current.view().request_uri() {
            // A URI that can't be read leaves the old one in place; the script's host calls refuse such targets.
            let _ = leg.current.edits.set_request_uri(&leg.current.message, uri);
        }
        relay.leg = Some(leg);
    }

    fn step(&mut self, now: Instant, mut relay: Box<Relay>) -> Next {
        let Some(leg) = relay.leg.as_mut() else {
            return Some(relay);
        };
        match leg.stage {
            Stage::BranchRoute => {
                leg.stage = Stage::Locate;
                self.branch_route(now, relay)
            }
            Stage::Locate => match self.locate(&relay.way, leg) {
                Ok(Place::Known(hops)) => {
                    leg.goes(hops);
                    Some(relay)
                }
                Ok(Place::Ask(search)) => self.ask(relay, search),
                Err(problem) => {
                    relay.skip(Some(problem));
                    Some(relay)
                }
            },
            Stage::Address(hop) => {
                match self.write(now, &relay.way, leg, hop) {
                    Ok(()) => {}
                    Err(problem) => match leg.others.pop_front() {
                        Some(next) => leg.stage = Stage::Address(next),
                        None => relay.skip(Some(problem)),
                    },
                }
                Some(relay)
            }
            Stage::OnsendRoute(destination, id) => {
                leg.stage = Stage::Ready(destination, id);
                self.onsend_route(now, relay, destination)
            }
            Stage::Ready(destination, id) => {
                self.ready(&mut relay, destination, id);
                Some(relay)
            }
        }
    }

    fn branch_route(&mut self, now: Instant, mut relay: Box<Relay>) -> Next {
        let (Some(key), Some(leg)) = (relay.key(), relay.leg.as_mut()) else {
            return Some(relay);
        };
        let Some(context) = self.tm.data_mut(key) else {
            return Some(relay);
        };
        let Some(name) = context.routes.branch.clone() else {
            return Some(relay);
        };
        let route = Route::Branch {
            name,
            index: leg.index,
        };
        if !relay.generation.handles(&route) {
            return Some(relay);
        }
        let mut event = Event::new(route, Some(leg.current.clone()), None);
        context.lend(&mut event);
        event.next_hop.clone_from(&leg.next_hop);
        let generation = Arc::clone(&relay.generation);
        self.call(now, &generation, event, Job::Relay(relay));
        None
    }

    fn onsend_route(&mut self, now: Instant, mut relay: Box<Relay>, to: Destination) -> Next {
        let Some(leg) = relay.leg.as_mut() else {
            return Some(relay);
        };
        if !relay.generation.handles_onsend() {
            return Some(relay);
        }
        let context = match relay.way {
            Way::Stateful(key) => self.tm.data_mut(key),
            Way::Stateless(_) => None,
        };
        let mut event = Event::new(Route::Onsend, Some(leg.current.clone()), None);
        if let Some(context) = context {
            context.lend(&mut event);
        }
        event.destination = Some(to);
        let generation = Arc::clone(&relay.generation);
        self.call(now, &generation, event, Job::Relay(relay));
        None
    }

    /// A branch route or an onsend route has ended.
    pub(crate) fn relay_guest_done(&mut self, now: Instant, mut relay: Box<Relay>, ended: Ended) {
        let Ended { mut event, outcome } = ended;
        let onsend = matches!(event.route, Route::Onsend);
        let next_hop = event.next_hop.take();
        let request = event.request.take();
        let dropped = match outcome {
            Ok(Outcome::Done) => false,
            Ok(Outcome::Drop) => true,
            // wit/routes.wit: a branch whose route failed is dropped, a request whose onsend route failed goes on.
            Err(_) => !onsend,
        };
        if let Some(key) = relay.key() {
            let mut settings = Settings::default();
            for decision in std::mem::take(&mut event.decisions) {
                settings.take(decision);
            }
            if let Some(context) = self.tm.data_mut(key) {
                context.vars = std::mem::take(&mut event.vars);
                context.targets = std::mem::take(&mut event.targets);
            }
            self.keep(key, &mut event, &settings);
        }
        if dropped {
            relay.skip(None);
        } else if let (Some(leg), Some(current), false) = (relay.leg.as_mut(), request, onsend) {
            leg.current = current;
            leg.next_hop = next_hop;
        }
        self.relay(now, relay);
    }

    /// Asks the DNS; only this relay waits.
    fn ask(&mut self, mut relay: Box<Relay>, search: Search) -> Next {
        if self.tasks.len() >= self.limits.suspended {
            relay.skip(Some(Problem::Unresolved(search.name().to_owned())));
            return Some(relay);
        }
        self.counters.lookups.count();
        let resolver = self.resolver.clone();
        self.tasks.spawn_local(async move {
            let answer = search.run(&resolver).await;
            Done::Relay(relay, answer)
        });
        None
    }

    /// The DNS has answered.
    pub(crate) fn located(&mut self, now: Instant, mut relay: Box<Relay>, answer: Answer) {
        match (answer, relay.leg.as_mut()) {
            (Ok(hops), Some(leg)) => leg.goes(hops),
            (Err(problem), _) => {
                self.counters.unresolved.count();
                relay.skip(Some(problem));
            }
            (Ok(_), None) => {}
        }
        self.relay(now, relay);
    }

    /// Renders a branch.
    fn ready(&mut self, relay: &mut Relay, destination: Destination, id: Option<BranchId>) {
        let Some(mut leg) = relay.leg.take() else {
            return;
        };
        self.scratch.clear();
        leg.current.view().render(&mut self.scratch);
        let bytes = Bytes::copy_from_slice(&self.scratch);
        let Some(id) = id else {
            relay.bare = Some((destination, bytes));
            return;
        };
        let Some(context) = relay.key().and_then(|key| self.tm.data_mut(key)) else {
            return;
        };
        let spare = leg.others.len();
        let q = leg.target.q;
        if let Some(leg) = leg.spare() {
            context.spares.push(Spare { id, leg });
        }
        let branch = Branch {
            id,
            bytes,
            destination,
            wait: context.wait,
            spare,
        };
        relay.ready.push((q, branch));
    }

    /// Every target is ready or left out: sends.
    fn dispatch(&mut self, now: Instant, mut relay: Relay) {
        match relay.way {
            Way::Stateless(bare) => match (bare.copy, relay.bare.take()) {
                (Some(number), written) => self.send_copy(now, number, written, relay.problem),
                (None, Some((destination, bytes))) => self.send(destination, bytes),
                (None, None) => {
                    if let Some(problem) = relay.problem
                        && bare.request.message.method() != Method::Ack
                    {
                        let status = problem.status();
                        let _ = self.tm.answer_without_state(
                            &bare.request.message,
                            &bare.source,
                            status,
                            "",
                            &[],
                        );
                    }
                }
            },
            Way::Stateful(key) => {
                if let Try::NextAddress(failed) = relay.attempt {
                    self.send_again(now, key, failed, relay);
                    return self.release(now, key);
                }
                if relay.ready.is_empty() {
                    return self.nowhere(now, key, &relay);
                }
                let sent = self.fork(now, key, &mut relay);
                if let Err(refusal) = sent {
                    tracing::debug!(%refusal, "a relay came too late");
                    if relay.attempt == Try::AfterFailure {
                        let _ = self.tm.forward_best(now, key);
                    }
                }
                self.release(now, key);
            }
        }
    }

    fn fork(&mut self, now: Instant, key: Key, relay: &mut Relay) -> Result<(), Refusal> {
        let mut ready = std::mem::take(&mut relay.ready);
        if relay.order == Order::Parallel {
            let branches: Vec<Branch> = ready.into_iter().map(|(_, branch)| branch).collect();
            return self.tm.relay(now, key, branches);
        }
        // Stable: those of equal q keep the script's order.
        ready.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
        let mut groups = ready.into_iter().peekable();
        let mut first = true;
        while let Some((q, branch)) = groups.next() {
            let mut group = vec![branch];
            while let Some((_, branch)) = groups.next_if(|(other, _)| *other == q) {
                group.push(branch);
            }
            if std::mem::take(&mut first) {
                self.tm.relay(now, key, group)?;
            } else {
                self.tm.queue(key, group)?;
            }
        }
        Ok(())
    }

    /// No target is left to send to: to the failure route where one is armed, else the caller is told.
    fn nowhere(&mut self, now: Instant, key: Key, relay: &Relay) {
        let status = relay.problem.as_ref().map_or(500, Problem::status);
        let armed = self.tm.data_mut(key).is_some_and(|context| {
            context.busy = false;
            context.routes.failure.is_some() && (context.branches as usize) < self.limits.branches
        });
        if armed {
            let best = Best {
                branch: None,
                status,
                message: None,
            };
            return self.failure(now, key, best);
        }
        self.give_best(now, key, status);
        self.release(now, key);
    }
}
