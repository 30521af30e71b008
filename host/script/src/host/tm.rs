//! `tm`: decisions, written down for the engine.

use std::fmt;
use std::sync::Arc;

use switchhook_bindings::switchhook::script::tm::{Host, Order as WitOrder, Target as WitTarget};
use switchhook_bindings::switchhook::script::types::{Body as WitBody, Header};
use switchhook_sip::flow::FlowId;
use switchhook_sip::message::{Method, is_token};
use wasmtime::Result;

use super::Answered;
use super::text::uri;
use crate::context::Context;
use crate::contract::Family;
use crate::event::{Answer, Body, Decision, Event, HeaderField, Order, Route, Target};
use crate::refusal::{Refusal, invalid, limit, not_found, not_here};

/// More targets than any call needs.
const MAX_TARGETS: usize = 64;
/// The most copies that one call sends: the most members of a bus.
const MAX_COPIES: usize = 256;
/// More decisions than any route makes.
const MAX_DECISIONS: usize = 256;
/// The longest time that a route may set, a day in milliseconds.
const MAX_TIMEOUT: u32 = 86_400_000;

const DECIDES: &str = "request and failure routes";

impl Host for Context {
    fn relay(&mut self) -> Answered<()> {
        self.enter(0)?;
        Ok(self.decide("tm.relay", |event| {
            let targets = std::mem::take(&mut event.targets);
            Ok(Decision::Relay {
                targets,
                order: Order::Parallel,
            })
        }))
    }

    fn fork(&mut self, targets: Vec<WitTarget>, order: WitOrder) -> Answered<()> {
        self.enter(targets.iter().map(size).sum())?;
        Ok(self.decide("tm.fork", |_| {
            if targets.is_empty() {
                return Err(invalid("tm.fork: expected at least one target, got none"));
            }
            if targets.len() > MAX_TARGETS {
                return Err(too_many_targets("tm.fork"));
            }
            let targets = targets.into_iter().map(lifted).collect::<Result<_, _>>()?;
            let order = match order {
                WitOrder::Parallel => Order::Parallel,
                WitOrder::Serial => Order::Serial,
            };
            Ok(Decision::Relay { targets, order })
        }))
    }

    fn forward(&mut self) -> Answered<()> {
        self.enter(0)?;
        if let Some(Event {
            route: route @ Route::Failure { .. },
            ..
        }) = self.try_event()
        {
            return Ok(Err(not_here(
                "tm.forward",
                route.interface(),
                "request routes",
            )));
        }
        Ok(self.decide("tm.forward", |_| Ok(Decision::Forward)))
    }

    fn replicate(&mut self, to: Vec<String>) -> Answered<()> {
        self.enter(to.iter().map(String::len).sum())?;
        Ok(self.copies("tm.replicate", to))
    }

    fn add_target(&mut self, target: WitTarget) -> Answered<()> {
        self.enter(size(&target))?;
        Ok(self.event("tm.add-target").and_then(|event| {
            let event = deciding(event, "tm.add-target")?;
            if event.targets.len() >= MAX_TARGETS {
                return Err(too_many_targets("tm.add-target"));
            }
            event.targets.push(lifted(target)?);
            Ok(())
        }))
    }

    fn targets(&mut self) -> Result<Vec<WitTarget>> {
        self.enter(0)?;
        let targets: Vec<_> = match self.try_event() {
            Some(event) => event.targets.iter().map(lowered).collect(),
            None => Vec::new(),
        };
        self.copy(targets.iter().map(size).sum())?;
        Ok(targets)
    }

    fn clear_targets(&mut self) -> Result<()> {
        self.enter(0)?;
        if let Some(event) = self.try_event_mut() {
            event.targets.clear();
        }
        Ok(())
    }

    fn reply(
        &mut self,
        status: u16,
        reason: String,
        headers: Vec<Header>,
        body: Option<WitBody>,
    ) -> Answered<()> {
        let fields: usize = headers
            .iter()
            .map(|header| header.name.len() + header.value.len())
            .sum();
        let content = body
            .as_ref()
            .map_or(0, |body| body.content_type.len() + body.content.len());
        self.enter(reason.len() + fields + headers.len() * size_of::<Header>() + content)?;
        Ok(self.decide("tm.reply", |_| {
            answer(status, reason, headers, body).map(Decision::Respond)
        }))
    }

    fn on_failure(&mut self, route: String) -> Answered<()> {
        self.arm(
            "tm.on-failure",
            Family::Failure,
            &route,
            Decision::OnFailure,
        )
    }

    fn on_reply(&mut self, route: String) -> Answered<()> {
        self.arm("tm.on-reply", Family::Onreply, &route, Decision::OnReply)
    }

    fn on_branch(&mut self, route: String) -> Answered<()> {
        self.arm("tm.on-branch", Family::Branch, &route, Decision::OnBranch)
    }

    fn set_timeouts(&mut self, any_reply: u32, final_reply: u32) -> Answered<()> {
        self.enter(0)?;
        Ok(self.decide("tm.set-timeouts", |_| {
            if any_reply.max(final_reply) > MAX_TIMEOUT {
                return Err(invalid(format!(
                    "tm.set-timeouts: expected at most {MAX_TIMEOUT} ms, got {any_reply} and {final_reply}"
                )));
            }
            Ok(Decision::Timeouts { any_reply, final_reply })
        }))
    }

    fn cancel(&mut self) -> Answered<()> {
        self.enter(0)?;
        Ok(self.event("tm.cancel").and_then(|event| match event.route {
            Route::Request | Route::Failure { .. } | Route::OnReply { .. } => {
                push(event, Decision::Cancel)
            }
            _ => Err(not_here(
                "tm.cancel",
                event.here(),
                "request, failure and onreply routes",
            )),
        }))
    }

    fn status(&mut self) -> Result<Option<u16>> {
        self.enter(0)?;
        Ok(self.try_event().and_then(|event| event.transaction.status))
    }

    fn is_canceled(&mut self) -> Result<bool> {
        self.enter(0)?;
        Ok(self
            .try_event()
            .is_some_and(|event| event.transaction.canceled))
    }

    fn timed_out(&mut self) -> Result<bool> {
        self.enter(0)?;
        Ok(self
            .try_event()
            .is_some_and(|event| event.transaction.timed_out))
    }

    fn branch(&mut self) -> Result<Option<u32>> {
        self.enter(0)?;
        Ok(match self.try_event().map(|event| &event.route) {
            Some(Route::Branch { index, .. } | Route::OnReply { index, .. }) => Some(*index),
            _ => None,
        })
    }
}

impl Context {
    /// Writes a decision down, in the routes that decide.
    pub(super) fn decide(
        &mut self,
        function: &'static str,
        make: impl FnOnce(&mut Event) -> Result<Decision, Refusal>,
    ) -> Result<(), Refusal> {
        let event = deciding(self.event(function)?, function)?;
        let decision = make(event)?;
        push(event, decision)
    }

    /// Copies of the request to these next hops.
    pub(super) fn copies(
        &mut self,
        function: &'static str,
        to: Vec<String>,
    ) -> Result<(), Refusal> {
        let event = self.event(function)?;
        let (Route::Request, Some(current)) = (&event.route, &event.request) else {
            return Err(not_here(function, event.here(), "request routes"));
        };
        let method = current.message.method();
        if matches!(method, Method::Invite | Method::Ack | Method::Cancel) {
            return Err(invalid(format!(
                "{function}: expected a request that is no INVITE, ACK or CANCEL, got {}",
                method.as_str()
            )));
        }
        if to.len() > MAX_COPIES {
            return Err(limit(format!(
                "{function}: expected at most {MAX_COPIES} copies"
            )));
        }
        to.iter().try_for_each(|hop| uri(hop).map(drop))?;
        push(event, Decision::Replicate(to))
    }

    fn arm(
        &mut self,
        function: &'static str,
        family: Family,
        route: &str,
        decision: fn(Option<Arc<str>>) -> Decision,
    ) -> Answered<()> {
        self.enter(route.len())?;
        let generation = self.generation();
        if !route.is_empty() && !generation.handles_named(family, route) {
            let known = generation.handlers().map(|handlers| handlers.names(family));
            return Ok(Err(not_found(match known.as_deref() {
                Some(names) if !names.is_empty() => {
                    format!("{function}: the script has no {family} `{route}`; it has {names}")
                }
                _ => format!("{function}: the script has no {family} `{route}`"),
            })));
        }
        let route = (!route.is_empty()).then(|| Arc::from(route));
        Ok(self.decide(function, |_| Ok(decision(route))))
    }
}

fn deciding<'a>(event: &'a mut Event, function: &str) -> Result<&'a mut Event, Refusal> {
    if event.decides() {
        Ok(event)
    } else {
        Err(not_here(function, event.here(), DECIDES))
    }
}

fn push(event: &mut Event, decision: Decision) -> Result<(), Refusal> {
    if event.decisions.len() >= MAX_DECISIONS {
        return Err(limit(format!(
            "expected at most {MAX_DECISIONS} decisions in one route"
        )));
    }
    event.decisions.push(decision);
    Ok(())
}

fn too_many_targets(function: &str) -> Refusal {
    limit(format!(
        "{function}: expected at most {MAX_TARGETS} targets"
    ))
}

/// An answer that can be written as it is.
fn answer(
    status: u16,
    reason: String,
    headers: Vec<Header>,
    body: Option<WitBody>,
) -> Result<Answer, Refusal> {
    if !(101..700).contains(&status) {
        return Err(invalid(format!(
            "tm.reply: expected a status of 101 to 699, got {status}"
        )));
    }
    line("tm.reply: the reason phrase", &reason)?;
    for header in &headers {
        if !is_token(header.name.as_bytes()) {
            return Err(invalid(format!(
                "tm.reply: header name: expected a token, got `{}`",
                header.name
            )));
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            return Err(invalid(
                "tm.reply: Content-Length follows the body; it is not given",
            ));
        }
        line(format_args!("tm.reply: {}", header.name), &header.value)?;
    }
    if let Some(body) = &body {
        line("tm.reply: the content type", &body.content_type)?;
    }
    let fields = headers.into_iter();
    Ok(Answer {
        status,
        reason: reason.into(),
        headers: fields
            .map(|header| HeaderField {
                name: header.name.into(),
                value: header.value,
            })
            .collect(),
        body: body.map(|body| Body {
            content_type: body.content_type,
            content: body.content,
        }),
    })
}

/// Refuses text that would end its line.
pub(super) fn line(what: impl fmt::Display, text: &str) -> Result<(), Refusal> {
    // Without an early end, so that it is done many bytes at a time.
    let bad = |byte: u8| byte.is_ascii_control() & (byte != b'\t');
    match text.bytes().fold(false, |found, byte| found | bad(byte)) {
        true => Err(invalid(format!(
            "{what} has a line end or another control character"
        ))),
        false => Ok(()),
    }
}

fn lifted(target: WitTarget) -> Result<Target, Refusal> {
    uri(&target.uri)?;
    target
        .next_hop
        .iter()
        .chain(&target.path)
        .try_for_each(|hop| uri(hop).map(drop))?;
    if target.q > 1000 {
        return Err(invalid(format!(
            "target: expected a q of 0 to 1000 thousandths, got {}",
            target.q
        )));
    }
    Ok(Target {
        uri: target.uri,
        next_hop: target.next_hop,
        path: target.path,
        q: target.q,
        flow: target.connection.map(FlowId::new),
    })
}

fn lowered(target: &Target) -> WitTarget {
    WitTarget {
        uri: target.uri.clone(),
        next_hop: target.next_hop.clone(),
        path: target.path.clone(),
        q: target.q,
        connection: target.flow.map(FlowId::number),
    }
}

fn size(target: &WitTarget) -> usize {
    let path: usize = target
        .path
        .iter()
        .map(|hop| hop.len() + size_of::<String>())
        .sum();
    target.uri.len()
        + target.next_hop.as_ref().map_or(0, String::len)
        + path
        + size_of::<WitTarget>()
}
