//! Running a guest for an event: in place where it ends at once, else suspended on the lane or moved to the background.
//!
//! A guest is polled once, in place. In nearly every case it is done then: no task, no thread hop. If it waits in a host call
//! it goes on as a local task; if it used up its ticks of processor time it goes to the background thread, so that a looping
//! guest costs a lane two ticks (2 ms). In both cases the transaction exists before, so that copies of the request are absorbed.
//!
//! Where no instance is free the event waits, bounded in number and time; then requests are answered 503, replies go on
//! unseen.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use switchhook_dmq::envelope::Reply;
use switchhook_script::{Event, Finished, GuestError, Outcome, Running, Share};
use switchhook_sip::transaction::{Key, ReplyId};

use crate::dmq::teller;
use crate::erlang::post::Answer;
use crate::lane::Lane;
use crate::relay::Relay;
use crate::request::Request;
use crate::uac::{Own, Permit};

/// How long an event waits for an instance.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a guest was asked, and so what to do with what it decided.
pub(crate) enum Job {
    /// The request route.
    Request(Request),
    /// The reply route: the reply goes on to its transaction.
    Reply,
    /// An onreply route: the verdict on that response.
    OnReply { key: Key, id: ReplyId },
    /// A failure route.
    Failure { key: Key, status: u16 },
    /// A branch route or an onsend route: the relay goes on.
    Relay(Box<Relay>),
    /// A contact's time is over: nothing follows.
    Expired,
    /// Something happened outside of SIP, or to a request of ours, for the script of that place: nothing follows, but that the next
    /// request may be sent.
    Told { script: usize, held: Option<Permit> },
    /// A command of the script of that place: its answer goes back.
    Command { script: usize, answer: Answer },
    /// A message of a member of the bus: its answer goes back by this.
    Bus(u64),
}

impl Job {
    /// The place of the script that was asked; the router's is 0.
    fn script(&self) -> usize {
        match self {
            Job::Told { script, .. } | Job::Command { script, .. } => *script,
            _ => ROUTER,
        }
    }
}

/// The place of the script that routes.
pub(crate) const ROUTER: usize = 0;

/// An event that waits for an instance.
pub(crate) struct Waiting {
    until: Instant,
    generation: Arc<Share>,
    job: Job,
}

/// What comes back from a task of the lane.
pub(crate) enum Done {
    /// The guest of that ticket has ended.
    Guest(u64, Box<Finished>),
    /// The guest of that ticket used up its tick after it had waited.
    Busy(u64, Running),
    /// A relay's question to the DNS is answered.
    Relay(Box<Relay>, crate::resolve::Answer),
    /// The same of a request of ours.
    Own(Box<Own>, crate::resolve::Answer),
}

/// What a guest's route came to.
pub(crate) struct Ended {
    pub(crate) event: Box<Event>,
    pub(crate) outcome: Result<Outcome, GuestError>,
}

impl Lane {
    /// Runs a guest for an event and goes on with what it decided, now or when it has ended.
    pub(crate) fn call(
        &mut self,
        now: Instant,
        generation: &Arc<Share>,
        event: Box<Event>,
        job: Job,
    ) {
        self.counters.guest_calls.count();
        let waiting = Waiting {
            until: now + PATIENCE,
            generation: Arc::clone(generation),
            job,
        };
        if let Some((waiting, event)) = self.poll_once(now, waiting, event) {
            self.wait_for_instance(now, waiting, event);
        }
    }

    /// Runs a guest for an event, unless no instance is free: then the event comes back.
    pub(crate) fn try_call(
        &mut self,
        now: Instant,
        generation: &Arc<Share>,
        event: Box<Event>,
        job: Job,
    ) -> Option<(Job, Box<Event>)> {
        let waiting = Waiting {
            until: now + PATIENCE,
            generation: Arc::clone(generation),
            job,
        };
        let (waiting, event) = self.poll_once(now, waiting, event)?;
        Some((waiting.job, event))
    }

    /// Gives an event its first poll. It comes back where no instance is free.
    fn poll_once(
        &mut self,
        now: Instant,
        waiting: Waiting,
        event: Box<Event>,
    ) -> Option<(Waiting, Box<Event>)> {
        let script = waiting.job.script();
        let mut running = self.pool_of(script).start(&waiting.generation, event);
        let mut task = TaskContext::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut running).poll(&mut task);
        if polled.is_pending() && running.is_busy() {
            // Ticks are of the wall clock: on a busy machine an honest guest is stopped because this thread was. One more
            // tick tells them apart; the background thread has to wait for processor time too.
            polled = Pin::new(&mut running).poll(&mut task);
        }
        match polled {
            Poll::Ready(finished) => {
                let (event, outcome) = self.pool_of(script).finish(finished);
                if outcome.as_ref().is_err_and(GuestError::is_full) {
                    if now < waiting.until {
                        return Some((waiting, event));
                    }
                    self.give_up(now, waiting.job);
                    return None;
                }
                self.ended(now, waiting.job, Ended { event, outcome });
            }
            Poll::Pending => {
                let job = self.hold(now, waiting.job)?;
                self.counters.suspended.count();
                let ticket = self.park(job);
                self.go_on(now, ticket, running);
            }
        }
        None
    }

    /// Lets a guest go on where it belongs: on the lane while it waits, in the background while it computes.
    pub(crate) fn go_on(&mut self, now: Instant, ticket: u64, running: Running) {
        if !running.is_busy() && self.tasks.len() < self.limits.suspended {
            self.tasks.spawn_local(async move {
                match Awaited(Some(running)).await {
                    Ok(finished) => Done::Guest(ticket, Box::new(finished)),
                    Err(running) => Done::Busy(ticket, running),
                }
            });
            return;
        }
        self.counters.background.count();
        if self.background.take(self.index, ticket, running).is_err()
            && let Some(job) = self.unpark(ticket)
        {
            self.give_up(now, job);
        }
    }

    /// The guest of that ticket has ended.
    pub(crate) fn came_back(&mut self, now: Instant, ticket: u64, finished: Finished) {
        let job = self.unpark(ticket);
        let script = job.as_ref().map_or(ROUTER, Job::script);
        let (event, outcome) = self.pool_of(script).finish(finished);
        if let Some(job) = job {
            self.ended(now, job, Ended { event, outcome });
        }
        self.retry_waiting(now);
    }

    /// Gives waiting events another try, in order; called when a guest has ended and now and then.
    pub(crate) fn retry_waiting(&mut self, now: Instant) {
        while let Some((waiting, event)) = self.waiting.pop_front() {
            if let Some(still) = self.poll_once(now, waiting, event) {
                // The others would find no instance either.
                self.waiting.push_front(still);
                break;
            }
        }
        self.counters.waiting.set(self.waiting.len() as u64);
    }

    fn wait_for_instance(&mut self, now: Instant, waiting: Waiting, event: Box<Event>) {
        if self.waiting.len() >= self.limits.waiting {
            self.counters.waiting_full.count();
            return self.give_up(now, waiting.job);
        }
        let Waiting {
            until,
            generation,
            job,
        } = waiting;
        let Some(job) = self.hold(now, job) else {
            return;
        };
        self.counters.waited.count();
        let waiting = Waiting {
            until,
            generation,
            job,
        };
        self.waiting.push_back((waiting, event));
        self.counters.waiting.set(self.waiting.len() as u64);
    }

    /// Makes sure that a transaction waits for the guest, so that copies of its messages are absorbed meanwhile. `None`
    /// where there is no room for one; the request is answered then.
    fn hold(&mut self, now: Instant, mut job: Job) -> Option<Job> {
        let key = match &mut job {
            Job::Request(request) if request.wants_transaction() => Some(self.open(now, request)?),
            Job::OnReply { key, .. } | Job::Failure { key, .. } => Some(*key),
            Job::Relay(relay) => relay.key(),
            Job::Request(_) | Job::Reply | Job::Expired => None,
            Job::Told { .. } | Job::Command { .. } | Job::Bus(_) => None,
        };
        self.busy(key);
        Some(job)
    }

    /// Marks a transaction as having a guest at work.
    pub(crate) fn busy(&mut self, key: Option<Key>) {
        if let Some(context) = key.and_then(|key| self.tm.data_mut(key)) {
            context.busy = true;
        }
    }

    fn park(&mut self, job: Job) -> u64 {
        self.tickets += 1;
        self.parked.insert(self.tickets, job);
        self.tickets
    }

    fn unpark(&mut self, ticket: u64) -> Option<Job> {
        self.parked.remove(&ticket)
    }

    /// A route has ended: carries out what follows.
    fn ended(&mut self, now: Instant, job: Job, ended: Ended) {
        if let Err(error) = &ended.outcome {
            self.report(&job, &ended.event, error);
        }
        match job {
            Job::Request(request) => self.request_done(now, request, ended),
            Job::Reply => self.reply_route_done(now, ended),
            Job::OnReply { key, id } => self.onreply_done(now, key, id, ended),
            Job::Failure { key, status } => self.failure_done(now, key, status, ended),
            Job::Relay(relay) => self.relay_guest_done(now, relay, ended),
            Job::Expired | Job::Told { .. } => {}
            Job::Command { answer, .. } => Self::command_done(&answer, ended),
            Job::Bus(ticket) => self.answer_member(ticket, teller::answer(ended)),
        }
    }

    /// No guest can run for this, now or in time: requests are answered 503, the rest goes on as without a script.
    fn give_up(&mut self, now: Instant, job: Job) {
        match job {
            Job::Request(request) => self.request_given_up(now, &request),
            Job::OnReply { key, id } => {
                let _ = self.tm.pass(now, id, None);
                self.release(now, key);
            }
            Job::Failure { key, status } => {
                self.give_best(now, key, status);
                self.release(now, key);
            }
            Job::Relay(relay) => self.relay(now, relay),
            // A command's caller learns it from the answer's end of the channel.
            Job::Reply | Job::Expired | Job::Told { .. } | Job::Command { .. } => {}
            Job::Bus(ticket) => self.answer_member(ticket, Reply::FAILED),
        }
    }

    /// The log line that tells an operator what failed, where, and for which call.
    fn report(&self, job: &Job, event: &Event, error: &GuestError) {
        match error {
            GuestError::Deadline { .. } => &self.counters.deadlines,
            GuestError::Returned(_) => &self.counters.errors,
            GuestError::Trap { .. } => &self.counters.traps,
            _ => &self.counters.limits,
        }
        .count();
        let call_id = event
            .current()
            .and_then(|current| current.message.call_id().ok())
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        tracing::error!(
            script = self.script_of(job.script()).name(),
            generation = self.generation_of(job),
            route = event.route.interface(),
            name = event.route.name(),
            %call_id,
            "{error}"
        );
    }

    fn generation_of(&self, job: &Job) -> u64 {
        let key = match job {
            Job::Request(request) => return request.generation.id().number(),
            Job::Relay(relay) => return relay.generation.id().number(),
            Job::OnReply { key, .. } | Job::Failure { key, .. } => *key,
            Job::Reply | Job::Expired | Job::Told { .. } | Job::Command { .. } | Job::Bus(_) => {
                let script = self.script_of(job.script());
                return script.current().id().number();
            }
        };
        self.tm
            .data(key)
            .map(|context| context.pinned.generation().id().number())
            .unwrap_or_default()
    }
}

/// A guest on the lane: until it has ended or begins to compute for long.
struct Awaited(Option<Running>);

impl Future for Awaited {
    type Output = Result<Finished, Running>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Some(mut running) = self.0.take() else {
            return Poll::Pending;
        };
        match Pin::new(&mut running).poll(task) {
            Poll::Ready(finished) => Poll::Ready(Ok(finished)),
            Poll::Pending if running.is_busy() => Poll::Ready(Err(running)),
            Poll::Pending => {
                self.0 = Some(running);
                Poll::Pending
            }
        }
    }
}
