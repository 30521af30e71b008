//! A lane: one thread with its own sockets, transactions, timers and guest instances. It shares nothing with others on the way
//! of a UDP message: no lock, no thread hop.
//!
//! All messages of one Call-ID belong to one lane ([`Steer`]). The kernel delivers most datagrams there. A message that arrives elsewhere is handed over
//! once, with all others of its batch, through a bounded inbox; when that is full it is dropped and counted, as a full socket would.
//!
//! The loop: wait; read a batch; work each message off, down to the datagrams to send; do what is due; send the batch.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use ahash::RandomState;
use bytes::Bytes;
use switchhook_net::resolver::Resolver;
use switchhook_net::{Event as NetEvent, Failure, Net, Steer};
use switchhook_script::uac::Ending;
use switchhook_script::{Event, Pool, Script, Services};
use switchhook_sip::dialog::Id;
use switchhook_sip::flow::{Destination, Source};
use switchhook_sip::message::{Message, Method, refuse};
use switchhook_sip::resolve::Supported;
use switchhook_sip::transaction::{Manager, Origin, Output};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::background::{Back, Background};
use crate::clients::Clients;
use crate::config::EngineLimits;
use crate::context::Context;
use crate::copies::Copies;
use crate::dmq::Mailbox;
use crate::erlang::post::Post;
use crate::guest::{Done, Job, Waiting};
use crate::handover::{Handed, Inbox};
use crate::length::Unconnected;
use crate::overload::Overload;
use crate::stats::LaneCounters;
use crate::uac::Own;

/// Mail taken in one go.
const MAIL: usize = 256;
/// How often a lane wakes while events wait for an instance.
const RETRY: Duration = Duration::from_millis(2);
/// How long a lane sleeps at most, so that it looks after what has no timer of its own.
const NAP: Duration = Duration::from_millis(500);

/// The lane of that many that has all of one key, for what is no SIP; SIP goes by [`Steer`]. All must choose by the same keys.
pub(crate) fn lane_of(keys: &RandomState, key: impl Hash, lanes: usize) -> usize {
    let lane = keys.hash_one(key) % lanes.max(1) as u64;
    // It is below `lanes`.
    usize::try_from(lane).unwrap_or_default()
}

/// What a lane is told by others.
pub(crate) enum Mail {
    /// A request that ICMP says did not arrive; the kernel told another lane.
    Failed(Bytes, Destination, Failure),
    /// A message of the bus that goes by a connection.
    Send(Destination, Bytes),
    /// A request of ours whose Call-ID is this lane's.
    Own(Box<Own>),
    /// A call whose Call-ID is this lane's is to be ended from here.
    EndDialog(Id, Ending),
    /// A drain has begun: take notice.
    Drain,
    /// The lane is to end.
    Stop,
}

/// See the module's header.
pub(crate) struct Lane {
    pub(crate) index: usize,
    pub(crate) net: Net,
    pub(crate) resolver: Resolver,
    pub(crate) tm: Manager<Box<Context>>,
    /// Copies of requests for other servers.
    pub(crate) copies: Copies,
    /// Requests of our own.
    pub(crate) owns: Clients<Box<Own>>,
    pub(crate) services: Arc<Services>,
    /// What our listeners can send with.
    pub(crate) supported: Supported,
    /// Counts look-ups: hashed, it chooses among equal servers.
    pub(crate) random: u64,
    /// Peers that took no connection for a request too long for UDP.
    pub(crate) unconnected: Unconnected,
    pub(crate) pool: Pool,
    /// The instances of the other scripts, from place 1 on: they have what comes from outside of SIP.
    pub(crate) others: Vec<Pool>,
    pub(crate) background: Background,
    /// Guests that wait in a host call, and questions to the DNS.
    pub(crate) tasks: JoinSet<Done>,
    /// What guests elsewhere were asked, by ticket.
    pub(crate) parked: HashMap<u64, Job>,
    pub(crate) tickets: u64,
    /// Events without an instance.
    pub(crate) waiting: VecDeque<(Waiting, Box<Event>)>,
    pub(crate) inbox: mpsc::Receiver<Mail>,
    /// The other lanes' boxes.
    pub(crate) neighbours: Vec<mpsc::Sender<Mail>>,
    /// The letter box, and what was taken out of it and not worked off.
    pub(crate) post: mpsc::Receiver<Post>,
    pub(crate) letters: VecDeque<Post>,
    pub(crate) back: mpsc::Receiver<Back>,
    /// The inboxes of all lanes, this one's too; nothing where it is alone.
    pub(crate) lanes: Arc<[Inbox]>,
    /// What was read for other lanes, by lane.
    pub(crate) others_mail: Vec<Vec<Handed>>,
    /// What others read for this one.
    pub(crate) handed: Vec<Handed>,
    pub(crate) counters: Arc<LaneCounters>,
    pub(crate) limits: EngineLimits,
    /// Which lane a message belongs to.
    pub(crate) steer: Steer,
    /// Keys of the hashes that all lanes must agree on.
    pub(crate) keys: RandomState,
    pub(crate) server: Arc<str>,
    /// The way to the bus, where this node is on one.
    pub(crate) dmq: Option<Mailbox>,
    pub(crate) draining: Arc<AtomicBool>,
    /// When to look after what time has ended.
    pub(crate) tidy: Instant,
    pub(crate) overload: Overload,
    /// Buffers that are used again for whatever is written here.
    pub(crate) scratch: Vec<u8>,
    /// Transactions whose answer a dialog waits for.
    pub(crate) tracked: usize,
    /// Where the reply came from that the transaction layer works on.
    pub(crate) reply_source: Option<Source>,
    pub(crate) events: VecDeque<NetEvent>,
    pub(crate) mail: VecDeque<Mail>,
    pub(crate) done: VecDeque<Done>,
    pub(crate) returned: VecDeque<Back>,
}

impl Lane {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut sleep = Box::pin(tokio::time::sleep(NAP));
        loop {
            self.wait(&mut sleep).await;
            let fill = self.net.receive(&mut self.events);
            self.overload
                .observe(Instant::now(), fill.max(self.handed_over()));
            self.work();
            self.take_handed();
            while let Some(mail) = self.mail.pop_front() {
                match mail {
                    Mail::Failed(bytes, destination, error) => {
                        let now = Instant::now();
                        self.request_failed(now, &bytes, destination, &error);
                        self.drain(now);
                    }
                    Mail::Send(destination, bytes) => self.send(destination, bytes),
                    Mail::Own(own) => {
                        self.counters.own_sent.count();
                        self.own(Instant::now(), own);
                    }
                    Mail::EndDialog(id, ending) => self.end_dialog(Instant::now(), id, ending),
                    Mail::Drain => {}
                    Mail::Stop => return,
                }
            }
            let now = Instant::now();
            while let Some(done) = self.done.pop_front() {
                match done {
                    Done::Guest(ticket, finished) => self.came_back(now, ticket, *finished),
                    Done::Busy(ticket, running) => self.go_on(now, ticket, running),
                    Done::Relay(relay, answer) => self.located(now, relay, answer),
                    Done::Own(own, answer) => self.own_located(now, own, answer),
                }
                self.drain(now);
            }
            while let Some(Back { ticket, finished }) = self.returned.pop_front() {
                self.came_back(now, ticket, finished);
                self.drain(now);
            }
            if !self.waiting.is_empty() {
                self.retry_waiting(now);
            }
            self.read_letters(now);
            self.tm.on_timer(now);
            self.drain(now);
            self.repeat_copies(now);
            self.repeat_own(now);
            self.net.flush(&mut self.events);
            // What could not be sent, and what followed from that.
            self.work();
            self.net.flush(&mut self.events);
            self.counters.alive.set(self.tm.usage().transactions as u64);
            if self.is_draining() {
                let unfinished = self.tm.unfinished() + self.owns.len();
                self.counters.unfinished.set(unfinished as u64);
                self.counters.drains.set(1);
            }
            if now >= self.tidy {
                self.housekeeping(now);
            }
        }
    }

    /// Waits for anything to do.
    async fn wait(&mut self, sleep: &mut Pin<Box<Sleep>>) {
        let now = Instant::now();
        let mut due = self.tidy.min(now + NAP);
        if !self.waiting.is_empty() || !self.letters.is_empty() {
            due = now + RETRY;
        }
        let deadlines = [
            self.tm.deadline(),
            self.copies.deadline(),
            self.owns.deadline(),
        ];
        for deadline in deadlines {
            due = due.min(deadline.unwrap_or(due));
        }
        if !self.events.is_empty() {
            due = now;
        }
        // To move the timer costs more than to wake once too early.
        if sleep.is_elapsed() || due < sleep.deadline().into_std() {
            sleep.as_mut().reset(due.into());
        }
        poll_fn(|task| {
            // A source that has nothing is asked only where the lane is going to sleep, so that it holds the lane's waker.
            let mut ready = self.net.poll_ready(task).is_ready();
            while (!ready || !self.inbox.is_empty())
                && self.mail.len() < MAIL
                && let Poll::Ready(Some(mail)) = self.inbox.poll_recv(task)
            {
                self.mail.push_back(mail);
                ready = true;
            }
            ready |= self.poll_post(task);
            if !ready && let Some(inbox) = self.lanes.get(self.index) {
                ready = inbox.poll(task);
            }
            while (!ready || !self.back.is_empty())
                && let Poll::Ready(Some(back)) = self.back.poll_recv(task)
            {
                self.returned.push_back(back);
                ready = true;
            }
            while !self.tasks.is_empty()
                && let Poll::Ready(Some(done)) = self.tasks.poll_join_next(task)
            {
                // A task that panicked took its job with it; the transaction's timers end what waited.
                if let Ok(done) = done {
                    self.done.push_back(done);
                }
                ready = true;
            }
            if ready || sleep.as_mut().poll(task).is_ready() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Works the network's events off, and gives other lanes what is theirs.
    fn work(&mut self) {
        while let Some(event) = self.events.pop_front() {
            match event {
                NetEvent::Message { bytes, source } => self.parse(&bytes, source),
                NetEvent::Failed {
                    bytes,
                    destination,
                    error,
                } => {
                    let now = Instant::now();
                    self.send_failed(now, &bytes, destination, &error);
                    self.drain(now);
                }
            }
        }
        self.hand_over();
    }

    /// Reads a message and takes it to the lane it belongs to.
    fn parse(&mut self, bytes: &Bytes, source: Source) {
        if self.tm.ends_stateless(bytes) {
            self.counters.request(Method::Ack);
            return self.counters.absorbed.count();
        }
        let parsed = if source.transport.is_stream() {
            Message::parse_stream(bytes.clone(), &switchhook_sip::message::Limits::default())
        } else {
            Message::parse(bytes.clone())
        };
        let message = match parsed {
            // It is large: from here on it stays where it is.
            Ok(message) => Arc::new(message),
            Err(malformed) => {
                return self.send_refusal(refuse(bytes, &malformed, None, &self.server), &source);
            }
        };
        // The bus knows copies and answers by itself: nothing of it makes a transaction.
        let message = match &self.dmq {
            Some(dmq) => dmq.take(message, source),
            None => Some(message),
        };
        let Some(message) = message else {
            return;
        };
        if self.lanes.len() > 1
            && let Ok(call_id) = message.call_id()
        {
            let lane = self.steer.lane_of(call_id);
            if lane != self.index
                && let Some(mail) = self.others_mail.get_mut(lane)
            {
                mail.push((message, source));
                return;
            }
        }
        self.take(message, source);
    }

    /// Gives other lanes what was read for them.
    fn hand_over(&mut self) {
        for (mail, other) in self.others_mail.iter_mut().zip(self.lanes.iter()) {
            if !mail.is_empty() {
                let lost = other.put(mail);
                self.counters.handover_full.add(lost as u64);
            }
        }
    }

    /// Works off what others read for this lane.
    fn take_handed(&mut self) {
        let Some(inbox) = self.lanes.get(self.index) else {
            return;
        };
        let mut handed = std::mem::take(&mut self.handed);
        inbox.take(&mut handed);
        for (message, source) in handed.drain(..) {
            self.counters.handed_over.count();
            self.take(message, source);
        }
        self.handed = handed;
    }

    /// Takes a message that is this lane's.
    fn take(&mut self, message: Arc<Message>, source: Source) {
        let now = Instant::now();
        if message.is_request() {
            self.request(now, message, source);
        } else {
            self.reply(now, message, source);
        }
        self.drain(now);
    }

    /// Answers what can't be read, where it can be answered; else drops it.
    pub(crate) fn send_refusal(&mut self, refusal: Option<Bytes>, source: &Source) {
        match refusal {
            Some(bytes) => {
                self.counters.malformed.count();
                self.send(source.back(), bytes);
            }
            None => self.counters.dropped.count(),
        }
    }

    /// Does what the transaction layer asks, until it asks no more.
    pub(crate) fn drain(&mut self, now: Instant) {
        while let Some(output) = self.tm.poll() {
            match output {
                Output::Send {
                    bytes,
                    destination,
                    origin,
                } => {
                    if self.tracked > 0 {
                        self.dialog_answer(now, origin, &bytes);
                    }
                    self.send(destination, bytes);
                    if let Origin::Server(key) = origin
                        && !self.tm.is_pending(key)
                        && let Some(context) = self.tm.data_mut(key)
                    {
                        if context.is_over() {
                            self.tm.take_data(key);
                        } else {
                            context.answered();
                        }
                    }
                }
                Output::Reply {
                    key,
                    branch,
                    id,
                    message,
                } => match self.reply_source {
                    Some(source) => self.onreply(now, key, branch, id, message, source),
                    None => {
                        let _ = self.tm.pass(now, id, None);
                    }
                },
                Output::Failure { key, best } => self.failure(now, key, best),
                Output::NextAddress { key, failed } => self.next_address(now, key, failed),
                Output::Terminated { data, .. } => {
                    if let Some(context) = data {
                        self.dialog_unanswered(now, &context);
                    }
                }
            }
        }
    }

    pub(crate) fn send(&mut self, destination: Destination, bytes: Bytes) {
        self.counters.sent(&bytes);
        self.net.send(destination, bytes);
    }

    /// How full the inbox is, in thousandths.
    fn handed_over(&self) -> u32 {
        self.lanes.get(self.index).map_or(0, Inbox::fill)
    }

    /// The instances of the script of that place.
    pub(crate) fn pool_of(&mut self, script: usize) -> &mut Pool {
        let other = script.checked_sub(1);
        match other.and_then(|other| self.others.get_mut(other)) {
            Some(pool) => pool,
            None => &mut self.pool,
        }
    }

    /// The script of that place.
    pub(crate) fn script_of(&self, script: usize) -> &Script {
        let other = script.checked_sub(1);
        let other = other.and_then(|other| self.others.get(other));
        other.unwrap_or(&self.pool).script()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
