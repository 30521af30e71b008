//! A lane's letter box: events from outside of SIP, taken one after the other as instances are free.
//!
//! Bounded. Where no instance is free the first waits in the lane and the others in the box, in order; so a burst holds up whoever
//! fills the box, and nothing is lost; the scripts of a site share it. Commands that scripts registered come the same way, and their answers go back.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::Instant;

use switchhook_dmq::envelope::Reply;
use switchhook_script::{Event, Fault, Invocation, Route};

use crate::guest::{Ended, Job, ROUTER};
use crate::lane::Lane;
use crate::uac::Permit;

/// Taken in one go.
const BATCH: usize = 64;

/// One letter.
pub(crate) enum Post {
    /// For a route of the script of that place.
    Event(usize, Box<Event>),
    /// What a request of ours came to, for a route of the script of that place.
    Answered(usize, Box<Event>, Permit),
    /// A command of the script of that place, and where its answer goes.
    Command(usize, Box<Invocation>, Answer),
    /// A message of a member of the bus, for the router, and what its answer is given by.
    Bus(Box<Event>, u64),
}

/// Where a command's answer goes.
pub(crate) type Answer = SyncSender<Result<String, Fault>>;

impl Lane {
    /// Takes letters out of the box. True where there are some to work on.
    pub(crate) fn poll_post(&mut self, task: &mut Context<'_>) -> bool {
        let mut came = false;
        while self.letters.len() < BATCH
            && let Poll::Ready(Some(post)) = self.post.poll_recv(task)
        {
            self.letters.push_back(post);
            came = true;
        }
        came
    }

    /// Works letters off, in order, until no instance is free.
    pub(crate) fn read_letters(&mut self, now: Instant) {
        while let Some(post) = self.letters.pop_front() {
            if let Some(post) = self.deliver(now, post) {
                self.letters.push_front(post);
                return;
            }
            self.drain(now);
        }
    }

    /// Gives a letter to the script. It comes back where no instance is free.
    fn deliver(&mut self, now: Instant, post: Post) -> Option<Post> {
        let (script, event, job) = match post {
            Post::Event(script, event) => (script, event, Job::Told { script, held: None }),
            Post::Answered(script, event, permit) => {
                let held = Some(permit);
                (script, event, Job::Told { script, held })
            }
            Post::Command(script, invocation, answer) => {
                let event = Event::new(Route::Command(invocation), None, None);
                (script, event, Job::Command { script, answer })
            }
            Post::Bus(event, ticket) => (ROUTER, event, Job::Bus(ticket)),
        };
        let generation = Arc::clone(self.pool_of(script).current());
        if !generation.handles(&event.route) {
            tracing::debug!(
                route = event.route.interface(),
                name = event.route.name(),
                "no handler"
            );
            if let Job::Bus(ticket) = job {
                self.answer_member(ticket, Reply::UNKNOWN);
            }
            return None;
        }
        let (job, event) = self.try_call(now, &generation, event, job)?;
        match (job, event) {
            (Job::Command { answer, .. }, event) => match event.route {
                Route::Command(invocation) => Some(Post::Command(script, invocation, answer)),
                _ => None,
            },
            (Job::Bus(ticket), event) => Some(Post::Bus(event, ticket)),
            (
                Job::Told {
                    held: Some(permit), ..
                },
                event,
            ) => Some(Post::Answered(script, event, permit)),
            (_, event) => Some(Post::Event(script, event)),
        }
    }

    /// Gives a message of a member of the bus its answer.
    pub(crate) fn answer_member(&self, ticket: u64, reply: Reply) {
        if let Some(dmq) = &self.dmq {
            dmq.answer(ticket, reply);
        }
    }

    /// A command's route has ended: its answer goes back.
    pub(crate) fn command_done(answer: &Answer, ended: Ended) {
        let result = match (ended.outcome, ended.event.route) {
            (Ok(_), Route::Command(invocation)) => invocation.answer,
            (Err(error), _) => Some(Err(failed(error.to_string()))),
            (Ok(_), _) => None,
        };
        let result = result.unwrap_or_else(|| Err(failed("the script gave no answer")));
        // Who no longer waits needs no answer.
        let _ = answer.try_send(result);
    }
}

fn failed(message: impl Into<String>) -> Fault {
    Fault {
        code: 500,
        message: message.into(),
    }
}
