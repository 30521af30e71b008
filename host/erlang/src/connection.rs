//! One connection: a handshake, then frames and ticks.
//!
//! Bytes come in through [`Connection::received`], control messages come out; what is to be sent waits in the outbox. A tick
//! goes out when nothing else did for a quarter of the tick time; a peer that is silent for all of it is gone (OTP: between
//! 0.75 and 1.25 times). Whatever breaks the protocol ends the connection, and nothing else.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::control::{BadFrame, Control, Decoder, encode};
use crate::cookie::Cookie;
use crate::flags::Flags;
use crate::handshake::{
    Acceptor, Asked, Failure, Initiator, MAX_MESSAGE, Ours, PATIENCE, Peer, Step, Verdict,
};
use crate::name::NodeName;
use crate::outbox::Outbox;
use crate::wire::frame::{Framer, Prefix, TooLong};

/// Bounds of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// Longest frame, and all that messages in fragments may hold, in bytes. Beyond it the connection is closed.
    pub message: usize,
    /// A peer that is silent for this long is gone.
    pub tick_time: Duration,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] Failure),
    /// It took too long.
    #[error("the handshake took longer than {} s", PATIENCE.as_secs())]
    Slow,
    /// A frame is longer than allowed.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A frame breaks the protocol.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// Nothing came for the tick time.
    #[error("silent for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// It takes less than it is sent.
    #[error("it does not read: {0} bytes wait for it")]
    Full(usize),
    /// The network or the peer ended it.
    #[error("{0}")]
    Network(String),
    /// Another connection to the node took its place.
    #[error("replaced by another connection")]
    Replaced,
    /// We ended it on purpose.
    #[error("disconnected")]
    Ours,
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Input {
    /// A peer wants in: [`Connection::answer`] is due.
    Asked(Asked),
    /// The handshake is done.
    Up(Peer),
    /// A control message.
    Control(Control),
}

#[derive(Debug)]
enum State {
    Dialling(Initiator),
    Accepting(Acceptor),
    Up(Box<Decoder>, Flags),
    Over,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Connection {
    state: State,
    framer: Framer,
    handshake_prefix: Prefix,
    pub(crate) outbox: Outbox,
    limits: ConnectionLimits,
    ours: NodeName,
    began: Instant,
    heard: Instant,
    spoke: Instant,
}

impl Connection {
    /// One that we opened. `tls` says that lengths have four bytes from the start.
    pub(crate) fn dial(
        now: Instant,
        tls: bool,
        limits: ConnectionLimits,
        ours: Ours,
        dialled: NodeName,
        cookie: Cookie,
        challenge: u32,
    ) -> Self {
        let name = ours.name.clone();
        let (initiator, first) = Initiator::new(ours, dialled, cookie, challenge);
        let mut connection = Self::new(now, tls, limits, name, State::Dialling(initiator));
        connection.shake(&first);
        connection
    }

    /// One that a peer opened.
    pub(crate) fn accept(now: Instant, tls: bool, limits: ConnectionLimits, ours: Ours) -> Self {
        let name = ours.name.clone();
        Self::new(
            now,
            tls,
            limits,
            name,
            State::Accepting(Acceptor::new(ours)),
        )
    }

    fn new(
        now: Instant,
        tls: bool,
        limits: ConnectionLimits,
        ours: NodeName,
        state: State,
    ) -> Self {
        let prefix = if tls { Prefix::Four } else { Prefix::Two };
        Self {
            state,
            framer: Framer::new(prefix, MAX_MESSAGE),
            handshake_prefix: prefix,
            outbox: Outbox::default(),
            limits,
            ours,
            began: now,
            heard: now,
            spoke: now,
        }
    }

    /// For reading into its tail; then tell [`Connection::received`].
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.framer.buffer()
    }

    /// What both sides can do; none before the handshake is done.
    pub(crate) fn flags(&self) -> Flags {
        match &self.state {
            State::Up(_, flags) => *flags,
            _ => Flags(0),
        }
    }

    /// Bytes came in.
    pub(crate) fn received(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The next thing that came in, or `None` until more bytes do.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Option<Input>, Closed> {
        while let Some(frame) = self.framer.next()? {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Up(mut decoder, flags) => {
                    let control = if frame.is_empty() {
                        Ok(None)
                    } else {
                        decoder.decode(&frame)
                    };
                    self.state = State::Up(decoder, flags);
                    if let Some(control) = control? {
                        return Ok(Some(Input::Control(control)));
                    }
                }
                State::Dialling(initiator) => {
                    if let Some(up) = self.step(now, initiator.receive(&frame)?, State::Dialling) {
                        return Ok(Some(up));
                    }
                }
                State::Accepting(acceptor) => {
                    if acceptor.is_waiting_for_name() {
                        let asked = acceptor.name(&frame)?;
                        self.state = State::Accepting(acceptor);
                        return Ok(Some(Input::Asked(asked)));
                    }
                    if let Some(up) = self.step(now, acceptor.receive(&frame)?, State::Accepting) {
                        return Ok(Some(up));
                    }
                }
                State::Over => return Ok(None),
            }
        }
        Ok(None)
    }

    fn step<H>(&mut self, now: Instant, step: Step<H>, state: fn(H) -> State) -> Option<Input> {
        match step {
            Step::On { handshake, send } => {
                self.state = state(handshake);
                if let Some(message) = send {
                    self.shake(&message);
                }
                None
            }
            Step::Done { peer, send } => {
                if let Some(message) = send {
                    self.shake(&message);
                }
                let known = [peer.name.clone(), self.ours.clone()];
                let headers = peer.flags.has(Flags::DIST_HDR_ATOM_CACHE);
                let decoder = Decoder::new(known, headers, self.limits.message);
                self.framer.switch(Prefix::Four, self.limits.message);
                self.state = State::Up(Box::new(decoder), peer.flags);
                self.spoke = now;
                Some(Input::Up(peer))
            }
        }
    }

    /// Lets a peer in, or not.
    pub(crate) fn answer(
        &mut self,
        asked: Asked,
        verdict: Verdict,
        cookie: Cookie,
        challenge: u32,
    ) -> Result<(), Failure> {
        let State::Accepting(acceptor) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let (messages, result) = acceptor.answer(asked, verdict, cookie, challenge);
        for message in messages {
            self.shake(&message);
        }
        self.state = State::Accepting(result?);
        Ok(())
    }

    /// Sends a control message. False where it is longer than the protocol can say; nothing is sent then.
    pub(crate) fn send(&mut self, now: Instant, control: &Control) -> bool {
        let Some(encoded) = encode(control, self.flags()) else {
            return false;
        };
        self.spoke = now;
        self.outbox.push(&encoded.head);
        if let Some(payload) = encoded.payload {
            self.outbox.push_shared(payload);
        }
        true
    }

    /// When [`Connection::on_timer`] is due.
    pub(crate) fn deadline(&self) -> Instant {
        match self.state {
            State::Up(..) => (self.heard + self.limits.tick_time).min(self.next_tick()),
            _ => self.began + PATIENCE,
        }
    }

    fn next_tick(&self) -> Instant {
        self.spoke + self.limits.tick_time / 4
    }

    /// Sends a tick if one is due; notices a peer that is silent or slow.
    pub(crate) fn on_timer(&mut self, now: Instant) -> Result<(), Closed> {
        if !matches!(self.state, State::Up(..)) {
            if now >= self.began + PATIENCE {
                return Err(Closed::Slow);
            }
            return Ok(());
        }
        if now >= self.heard + self.limits.tick_time {
            return Err(Closed::Silent(self.limits.tick_time));
        }
        if now >= self.next_tick() {
            self.spoke = now;
            // What still waits is a sign of life, too.
            if self.outbox.is_empty() {
                self.outbox.push(&[0; 4]);
            }
        }
        Ok(())
    }

    fn shake(&mut self, message: &Bytes) {
        let length = message.len().to_be_bytes();
        let length = match self.handshake_prefix {
            Prefix::Two => length.get(length.len() - 2..),
            Prefix::Four => length.get(length.len() - 4..),
        };
        self.outbox.push(length.unwrap_or_default());
        self.outbox.push(message);
    }
}
