//! Decisions: kept in order, carried out when the route has returned.

pub use crate::bindings::switchhook::script::tm::{Order, Target};
use crate::host::types::{Body, Error, Header};
use crate::routes::Family;
use crate::testkit::message::invalid;
use crate::testkit::world::{Decision, Event, event, event_of, not_found, world};
use crate::uri::Uri;

const DECIDING: &[Family] = &[Family::RequestRoute, Family::FailureRoute];

pub(crate) fn relay() -> Result<(), Error> {
    decide(Decision::Relay)
}

pub(crate) fn fork(targets: &[Target], order: Order) -> Result<(), Error> {
    if targets.is_empty() {
        return Err(invalid("fork: expected at least one target, got none"));
    }
    targets.iter().try_for_each(sound)?;
    decide(Decision::Fork(targets.to_vec(), order))
}

pub(crate) fn forward() -> Result<(), Error> {
    event_of(&[Family::RequestRoute], |event| {
        event.decided.push(Decision::Forward);
        Ok(())
    })
}

pub(crate) fn replicate(to: &[String]) -> Result<(), Error> {
    event_of(&[Family::RequestRoute], |event| {
        let method = event.request.method().as_str().to_owned();
        if ["INVITE", "ACK", "CANCEL"].contains(&method.as_str()) {
            return Err(invalid(format!(
                "replicate: no copies are sent of {method}"
            )));
        }
        to.iter()
            .try_for_each(|hop| Uri::parse(hop).map(drop).map_err(invalid))?;
        event.decided.push(Decision::Replicate(to.to_vec()));
        Ok(())
    })
}

pub(crate) fn add_target(target: &Target) -> Result<(), Error> {
    sound(target)?;
    event_of(DECIDING, |event| {
        event.targets.push(target.clone());
        Ok(())
    })
}

pub(crate) fn targets() -> Vec<Target> {
    event(|event| event.targets.clone()).unwrap_or_default()
}

pub(crate) fn clear_targets() {
    event(|event| event.targets.clear());
}

pub(crate) fn reply(
    status: u16,
    reason: &str,
    headers: &[Header],
    body: Option<&Body>,
) -> Result<(), Error> {
    if !(101..700).contains(&status) {
        return Err(invalid(format!(
            "expected a status of 101 to 699, got {status}"
        )));
    }
    decide(Decision::Reply(
        status,
        reason.to_owned(),
        headers.to_vec(),
        body.cloned(),
    ))
}

pub(crate) fn on_failure(route: &str) -> Result<(), Error> {
    arm(Family::FailureRoute, route, |event| &mut event.arms.failure)
}

pub(crate) fn on_reply(route: &str) -> Result<(), Error> {
    arm(Family::OnreplyRoute, route, |event| &mut event.arms.onreply)
}

pub(crate) fn on_branch(route: &str) -> Result<(), Error> {
    arm(Family::BranchRoute, route, |event| &mut event.arms.branch)
}

pub(crate) fn set_timeouts(any_reply: u32, final_reply: u32) -> Result<(), Error> {
    event_of(DECIDING, |event| {
        event.arms.timeouts = (any_reply, final_reply);
        Ok(())
    })
}

pub(crate) fn cancel() -> Result<(), Error> {
    let families = [
        Family::RequestRoute,
        Family::FailureRoute,
        Family::OnreplyRoute,
    ];
    event_of(&families, |event| {
        event.decided.push(Decision::Cancel);
        Ok(())
    })
}

pub(crate) fn status() -> Option<u16> {
    event(|event| event.status).flatten()
}

pub(crate) fn is_canceled() -> bool {
    event(|event| event.canceled).unwrap_or_default()
}

pub(crate) fn timed_out() -> bool {
    event(|event| event.timed_out).unwrap_or_default()
}

pub(crate) fn branch() -> Option<u32> {
    event(|event| event.branch).flatten()
}

fn decide(decision: Decision) -> Result<(), Error> {
    event_of(DECIDING, |event| {
        event.decided.push(decision);
        Ok(())
    })
}

fn sound(target: &Target) -> Result<(), Error> {
    Uri::parse(&target.uri).map(drop).map_err(invalid)
}

fn arm(
    family: Family,
    route: &str,
    slot: impl FnOnce(&mut Event) -> &mut String,
) -> Result<(), Error> {
    let known = route.is_empty()
        || world(|world| {
            let mut handlers = world.handlers.iter();
            handlers.any(|(f, name)| *f == family && name == route)
        });
    if !known {
        return Err(not_found("route", route));
    }
    event_of(DECIDING, |event| {
        route.clone_into(slot(event));
        Ok(())
    })
}
