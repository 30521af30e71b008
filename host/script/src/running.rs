//! One event on its way through a guest.
//!
//! A [`Running`] owns its instance and everything else it needs, so it can be polled on any thread and moved between polls.
//! The lane polls it once in place. It is ready then, nearly always. If not, [`Running::is_busy`] tells the two reasons
//! apart: a guest that computes goes on elsewhere and is trapped at its deadline there; one that waits in a host call
//! stays on the lane. Dropping it drops the instance.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::GuestError;
use crate::event::{Event, Outcome};
use crate::generation::Generation;
use crate::instance::Instance;
use crate::meter::{Meter, Metered};

/// What came of an event.
pub struct Finished {
    /// The event, with what the guest made of it. After an error its edits and decisions mean nothing.
    pub event: Box<Event>,
    /// What the route returned.
    pub outcome: Result<Outcome, GuestError>,
    /// The instance, where it can be used again.
    pub(crate) instance: Option<Box<Instance>>,
}

impl Finished {
    /// An event that was not started.
    pub(crate) fn refused(event: Box<Event>, error: GuestError) -> Self {
        Self {
            event,
            outcome: Err(error),
            instance: None,
        }
    }
}

/// See the module's header.
#[must_use = "a guest runs only while it is polled"]
pub struct Running(Metered<Pin<Box<dyn Future<Output = Finished> + Send>>>);

impl Running {
    /// Runs an event in an instance that is there.
    pub(crate) fn reuse(mut instance: Box<Instance>, event: Box<Event>) -> Self {
        let meter = Arc::clone(instance.meter());
        meter.reset(instance.generation().limits().deadline);
        instance.ready(Some(event));
        Self(Metered::new(Box::pin(run(instance)), meter))
    }

    /// Makes an instance and runs the event in it.
    pub(crate) fn begin(generation: Arc<Generation>, event: Box<Event>) -> Self {
        let meter = Arc::new(Meter::default());
        let call = Box::pin(begin(generation, Arc::clone(&meter), event));
        Self(Metered::new(call, meter))
    }

    /// An event that was refused before any guest saw it.
    pub(crate) fn refused(event: Box<Event>, error: GuestError) -> Self {
        let finished = Finished::refused(event, error);
        Self(Metered::new(
            Box::pin(std::future::ready(finished)),
            Arc::default(),
        ))
    }

    /// After a poll that was not ready: true if the guest was stopped while it computed, false if it waits in a host call.
    pub fn is_busy(&self) -> bool {
        self.0.meter().is_busy()
    }
}

impl Future for Running {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        Pin::new(&mut self.0).poll(cx)
    }
}

async fn begin(generation: Arc<Generation>, meter: Arc<Meter>, event: Box<Event>) -> Finished {
    match Instance::begin(&generation, Arc::clone(&meter)).await {
        Ok(mut instance) => {
            meter.reset(generation.limits().deadline);
            instance.ready(Some(event));
            run(instance).await
        }
        Err(refused) => Finished::refused(event, refused.into_guest_error()),
    }
}

async fn run(mut instance: Box<Instance>) -> Finished {
    let outcome = instance.call().await;
    let Some(event) = instance.end() else {
        unreachable!("an event was put in before the call, and only `end` takes it out");
    };
    let usable = matches!(
        outcome,
        Ok(_) | Err(GuestError::Returned(_) | GuestError::NoRoute { .. })
    );
    Finished {
        event,
        outcome,
        instance: usable.then_some(instance),
    }
}
