//! `registrar`: the location service, behind the effects.

use switchhook_bindings::switchhook::script::registrar::{Binding, Host, Saved};
use switchhook_bindings::switchhook::script::types::Endpoint;
use switchhook_sip::flow::{FlowId, Source};
use switchhook_sip::message::{Method, Uri};
use wasmtime::Result;

use super::Answered;
use super::text::{address, transport, uri};
use crate::context::Context;
use crate::effects::Effects;
use crate::event::{Decision, Event, Route};
use crate::refusal::{Refusal, invalid, not_here};

impl Host for Context {
    fn save(&mut self, table: String) -> Answered<Saved> {
        self.enter(table.len())?;
        Ok(self.register("registrar.save", &table, |came| came))
    }

    fn save_received(&mut self, table: String, received: Endpoint) -> Answered<Saved> {
        self.enter(table.len())?;
        // The phone's connection, if it has one, is the other server's.
        let phone = |came: Source| Source {
            transport: transport(received.transport),
            remote: address(&received),
            local: came.local,
            flow: FlowId::NONE,
        };
        Ok(self.register("registrar.save-received", &table, phone))
    }

    fn lookup(&mut self, table: String, address: String) -> Answered<u32> {
        self.enter(table.len() + address.len())?;
        if let Some(event) = self.try_event().filter(|event| !event.decides()) {
            return Ok(Err(not_here(
                "registrar.lookup",
                Event::here(event),
                "request and failure routes",
            )));
        }
        let found = self.with_uri(&address, |effects, uri| effects.lookup(&table, uri));
        Ok(found.and_then(|targets| {
            let event = self.event("registrar.lookup")?;
            let count = targets.len() as u32;
            event.targets.extend(targets);
            Ok(count)
        }))
    }

    fn bindings(&mut self, table: String, address: String) -> Answered<Vec<Binding>> {
        self.enter(table.len() + address.len())?;
        let found = self.with_uri(&address, |effects, uri| effects.bindings(&table, uri));
        self.copy(found.iter().flatten().map(size).sum())?;
        Ok(found)
    }

    fn registered(&mut self, table: String, address: String) -> Answered<bool> {
        self.enter(table.len() + address.len())?;
        Ok(self.with_uri(&address, |effects, uri| effects.registered(&table, uri)))
    }

    fn unregister(&mut self, table: String, address: String) -> Answered<u32> {
        self.enter(table.len() + address.len())?;
        Ok(self.with_uri(&address, |effects, uri| effects.unregister(&table, uri)))
    }
}

impl Context {
    /// Carries the current REGISTER out as one that came from there, and answers it.
    fn register(
        &mut self,
        function: &'static str,
        table: &str,
        from: impl FnOnce(Source) -> Source,
    ) -> Result<Saved, Refusal> {
        let event = self.try_event();
        let event = event.ok_or_else(|| not_here(function, "lifecycle", "request routes"))?;
        let register = match (&event.route, &event.request) {
            (Route::Request, Some(current)) => current,
            _ => return Err(not_here(function, event.here(), "request routes")),
        };
        let method = register.message.method();
        if method != Method::Register {
            return Err(invalid(format!(
                "{function}: expected a REGISTER, got {}",
                method.as_str()
            )));
        }
        let source = from(register.source);
        let effects = self.effects();
        let result = effects.save(table, register.view(), &source, self.again)?;
        self.decide(function, |_| Ok(Decision::Respond(result.answer)))?;
        Ok(result.saved)
    }

    fn with_uri<T>(
        &self,
        text: &str,
        call: impl FnOnce(&dyn Effects, &Uri<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        call(self.effects(), &uri(text)?)
    }
}

fn size(binding: &Binding) -> usize {
    let path: usize = binding
        .path
        .iter()
        .map(|hop| hop.len() + size_of::<String>())
        .sum();
    binding.aor.len()
        + binding.uri.len()
        + binding.call_id.len()
        + binding.user_agent.len()
        + binding.instance.len()
        + path
        + size_of::<Binding>()
}
