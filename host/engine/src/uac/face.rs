//! Requests as scripts give them: numbered, named, and posted to their lane. Never blocks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;
use switchhook_net::Steer;
use switchhook_script::uac::{Asked, Ending, ReplyTo, Request, Uac};
use switchhook_script::{ErrorCode, Refusal};
use switchhook_sip::dialog::Id;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Answer, Own};
use crate::lane::Mail;

/// See the module's header.
pub(crate) struct Face {
    parts: Parts,
    room: Arc<Semaphore>,
    next: AtomicU64,
    /// Makes Call-IDs and tags that nobody guesses.
    names: RandomState,
}

/// What the engine gives.
pub(crate) struct Parts {
    pub(crate) lanes: Vec<mpsc::Sender<Mail>>,
    /// Chooses the lane of a Call-ID, as lanes do.
    pub(crate) steer: Steer,
    /// The scripts by their places.
    pub(crate) scripts: Vec<String>,
    /// Our listeners.
    pub(crate) locals: Vec<SocketAddr>,
    /// Requests at once.
    pub(crate) most: usize,
    /// Timer F.
    pub(crate) patience: Duration,
}

impl Face {
    pub(crate) fn new(parts: Parts) -> Face {
        Face {
            room: Arc::new(Semaphore::new(parts.most.min(Semaphore::MAX_PERMITS))),
            parts,
            next: AtomicU64::new(1),
            names: RandomState::new(),
        }
    }

    fn post(
        &self,
        request: Request,
        answer: impl FnOnce(u64) -> Result<Answer, Refusal>,
    ) -> Result<u64, Refusal> {
        if let Some(local) = request
            .local
            .filter(|local| !self.parts.locals.contains(local))
        {
            return Err(refusal(
                ErrorCode::Invalid,
                format!("uac: expected a listener of this host, got {local}"),
            ));
        }
        let room = Arc::clone(&self.room).try_acquire_owned();
        let permit = room.map_err(|_| {
            let most = self.parts.most;
            refusal(
                ErrorCode::Limit,
                format!("uac: {most} requests are under way, which sip.max-own-requests allows"),
            )
        })?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [first, second, third] = [0u8, 1, 2].map(|part| self.names.hash_one((part, number)));
        let answer = answer(number)?;
        let patience = request.timeout.unwrap_or(self.parts.patience);
        let call_id = format!("{first:016x}{second:016x}");
        let own = Own {
            tag: format!("{third:016x}"),
            permit: Some(permit),
            ..Own::new(request, call_id.clone(), answer, patience)
        };
        self.tell(&call_id, Mail::Own(Box::new(own)))?;
        Ok(number)
    }

    /// To the lane of that Call-ID.
    fn tell(&self, call_id: &str, mail: Mail) -> Result<(), Refusal> {
        let Parts { lanes, steer, .. } = &self.parts;
        let lane = lanes.get(steer.lane_of(call_id.as_bytes()));
        let posted = lane.is_some_and(|lane| lane.try_send(mail).is_ok());
        let full = || {
            refusal(
                ErrorCode::Limit,
                "uac: the lane has too much to do".to_owned(),
            )
        };
        posted.then_some(()).ok_or_else(full)
    }
}

impl Uac for Face {
    fn send(&self, request: Request, to: Option<ReplyTo>) -> Result<u64, Refusal> {
        self.post(request, |number| {
            let Some(to) = to else {
                return Ok(Answer::Nobody);
            };
            let script = self
                .parts
                .scripts
                .iter()
                .position(|name| *name == to.script);
            let script = script.ok_or_else(|| {
                refusal(
                    ErrorCode::NotFound,
                    format!("uac: no script is named {}", to.script),
                )
            })?;
            Ok(Answer::Route { script, number, to })
        })
    }

    fn ask(&self, request: Request) -> Result<Asked, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.post(request, |_| Ok(Answer::Guest(answer)))?;
        Ok(Box::pin(async move { answered.await.ok() }))
    }

    fn end_dialog(&self, call_id: &str, id: Id, why: Ending) -> Result<(), Refusal> {
        self.tell(call_id, Mail::EndDialog(id, why))
    }
}

fn refusal(code: ErrorCode, message: String) -> Refusal {
    Refusal { code, message }
}
