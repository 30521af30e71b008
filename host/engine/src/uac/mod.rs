//! Requests of our own: what scripts send by `uac`, as client transactions of a lane (RFC 3261 8.1, 17.1.2).
//!
//! [`Face`] takes them on whatever thread a script runs, bounded in number ([`crate::EngineLimits::own_requests`]), and posts each to the
//! lane of its Call-ID, so that its answer comes there. The lane finds the way (RFC 3263), repeats, tries the next address where one
//! fails (4.3), and answers one challenge. Each comes to one final reply, made here where none comes; who asked is told once.

mod dialog;
mod face;
mod lane;
mod reply;
mod write;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use switchhook_script::uac::{Reply, ReplyTo, Request};
use switchhook_sip::resolve::Hop;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(crate) use face::{Face, Parts};

/// What the branches of our own requests begin with.
pub(crate) const BRANCH: &str = "z9hG4bKown.";

/// A request of ours, from its sending to its final reply.
pub(crate) struct Own {
    request: Request,
    call_id: String,
    /// For From, where that has none.
    tag: String,
    cseq: u32,
    answer: Answer,
    /// All its addresses together.
    patience: Duration,
    /// When it is over; set once a lane has it.
    until: Option<Instant>,
    /// The address at work, and those to try when that fails.
    at: Option<Hop>,
    others: VecDeque<Hop>,
    /// It is too long for UDP and was sent to TCP.
    long: bool,
    /// The header field that answers a challenge.
    authorization: Option<(&'static str, String)>,
    /// None of what the host sends by itself.
    permit: Option<Permit>,
}

impl Own {
    /// The first request with that Call-ID, of the host itself.
    fn new(request: Request, call_id: String, answer: Answer, patience: Duration) -> Own {
        Own {
            request,
            call_id,
            tag: String::new(),
            cseq: 1,
            answer,
            patience,
            until: None,
            at: None,
            others: VecDeque::new(),
            long: false,
            authorization: None,
            permit: None,
        }
    }
}

/// One of those that may be under way.
pub(crate) type Permit = OwnedSemaphorePermit;

/// Who is told what a request came to.
enum Answer {
    Nobody,
    /// A guest that waits.
    Guest(oneshot::Sender<Reply>),
    /// A route of the script of that place.
    Route {
        script: usize,
        number: u64,
        to: ReplyTo,
    },
}
