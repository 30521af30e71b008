//! `transport`: where messages come from and go.

use switchhook_bindings::switchhook::script::transport::Host;
use switchhook_bindings::switchhook::script::types::Endpoint;
use switchhook_sip::flow::Source;
use wasmtime::{Error, Result};

use super::Answered;
use super::text::{endpoint, local, remote, uri};
use crate::context::Context;
use crate::event::Event;
use crate::refusal::not_here;

impl Host for Context {
    fn source(&mut self) -> Result<Endpoint> {
        self.enter(0)?;
        self.current_source("transport.source").map(remote)
    }

    fn local(&mut self) -> Result<Endpoint> {
        self.enter(0)?;
        self.current_source("transport.local").map(local)
    }

    fn force_rport(&mut self) -> Result<()> {
        self.enter(0)?;
        if let Some(event) = self.try_event_mut() {
            event.force_rport = true;
        }
        Ok(())
    }

    fn is_myself(&mut self, text: String) -> Result<bool> {
        self.enter(text.len())?;
        Ok(uri(&text).is_ok_and(|uri| self.effects().is_myself(&uri)))
    }

    fn set_next_hop(&mut self, hop: Option<String>) -> Answered<()> {
        self.enter(hop.as_ref().map_or(0, String::len))?;
        if let Some(Err(refusal)) = hop.as_deref().map(uri) {
            return Ok(Err(refusal));
        }
        Ok(self
            .event("transport.set-next-hop")
            .map(|event| event.next_hop = hop))
    }

    fn next_hop(&mut self) -> Result<Option<String>> {
        self.enter(0)?;
        let hop = self.try_event().and_then(|event| event.next_hop.clone());
        self.copy(hop.as_ref().map_or(0, String::len))?;
        Ok(hop)
    }

    fn destination(&mut self) -> Result<Option<Endpoint>> {
        self.enter(0)?;
        let destination = self.try_event().and_then(|event| event.destination);
        Ok(destination.map(|to| endpoint(to.transport, to.remote)))
    }
}

impl Context {
    fn current_source(&self, function: &'static str) -> Result<&Source> {
        let event = self.try_event();
        event
            .and_then(Event::current)
            .map(|current| &current.source)
            .ok_or_else(|| {
                let here = event.map_or("lifecycle", Event::here);
                Error::msg(not_here(function, here, "routes that have a message").message)
            })
    }
}
