//! One call under way: which step it is at, and what its phones remember. Slots are used again, buffers and all.

use std::net::SocketAddr;

use crate::ids::Id;
use crate::template::Spans;

/// Nanoseconds since the run began.
pub(crate) type Nanos = u64;

/// A slot.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: Id,
    /// Which call of the run; a message with another one is of an earlier call.
    pub(super) serial: u32,
    pub(super) live: bool,
    /// Which phone of each role.
    pub(super) phone: usize,
    /// Which server.
    pub(super) target: usize,
    /// The step that it is at.
    pub(super) step: usize,
    /// Steps that were begun, and those whose message arrived: a bit each.
    pub(super) sent: u64,
    pub(super) arrived: u64,
    /// When it began, or should have begun.
    pub(super) due: Nanos,
    /// How long its pauses were.
    pub(super) paused: Nanos,
    pub(super) legs: Vec<Leg>,
    /// Record-Route of each dialog, comma separated, as who was called got it.
    pub(super) routes: Vec<Vec<u8>>,
    pub(super) alarm: Alarm,
}

/// When something is to be done for a call.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// The next time; of a pause its end.
    pub(super) at: Nanos,
    /// The time that stands in the queue of alarms for this call, 0 for none. Never later than `at`.
    pub(super) queued: Nanos,
    /// Until the retransmission after the next one.
    pub(super) interval: Nanos,
    /// When the step has failed.
    pub(super) deadline: Nanos,
}

/// One transaction of a call.
#[derive(Debug, Default)]
pub(super) struct Leg {
    pub(super) sent_at: Nanos,
    /// How often it was sent with other credentials before.
    pub(super) attempt: u8,
    /// A provisional answer came: the server has it.
    pub(super) provisional: bool,
    /// The final answer came.
    pub(super) done: bool,
    /// The request as sent last, and where its parts stand.
    pub(super) request: Vec<u8>,
    pub(super) spans: Spans,
    pub(super) credentials: Vec<u8>,
    /// Where it arrived from, and what its answers take over.
    pub(super) source: Option<SocketAddr>,
    pub(super) echo: Vec<u8>,
    /// The answer as sent last, and where its parts stand.
    pub(super) reply: Vec<u8>,
    pub(super) reply_spans: Spans,
    pub(super) reply_status: u16,
    /// The ACK that goes with a refusal, to send again.
    pub(super) ack: Vec<u8>,
}

impl Call {
    /// Makes the slot ready for a new call.
    pub(super) fn begin(&mut self, id: Id, serial: u32, transactions: usize, dialogs: usize) {
        self.id = id;
        self.serial = serial;
        self.live = true;
        self.step = 0;
        (self.sent, self.arrived) = (0, 0);
        self.paused = 0;
        self.legs.resize_with(transactions, Leg::default);
        self.routes.resize_with(dialogs, Vec::new);
        self.legs.iter_mut().for_each(Leg::clear);
        self.routes.iter_mut().for_each(Vec::clear);
    }
}

impl Leg {
    fn clear(&mut self) {
        self.attempt = 0;
        self.provisional = false;
        self.done = false;
        self.source = None;
        self.reply_status = 0;
        for bytes in [
            &mut self.request,
            &mut self.credentials,
            &mut self.echo,
            &mut self.reply,
            &mut self.ack,
        ] {
            bytes.clear();
        }
    }
}
