//! `reply`: the current reply, read everywhere it is there, edited in reply and onreply routes.

use switchhook_bindings::switchhook::script::reply::Host;
use switchhook_bindings::switchhook::script::types::{Edit, Snapshot};
use wasmtime::Result;

use super::Answered;
use super::text::{apply, header, headers, size, snapshot, text};
use crate::context::Context;
use crate::event::{Current, Event, Route};
use crate::refusal::{Refusal, invalid, not_here, of_edit};

const ANY: &str = "reply, onreply and failure routes";

impl Host for Context {
    fn read(&mut self) -> Answered<Snapshot> {
        self.enter(0)?;
        let read = snapshot(self, |context| context.try_event()?.reply.as_ref())?;
        let here = self.try_event().map_or("lifecycle", Event::here);
        Ok(read.ok_or_else(|| not_here("reply.read", here, ANY)))
    }

    fn apply(&mut self, edits: Vec<Edit>) -> Answered<()> {
        self.enter(size(&edits))?;
        Ok(self
            .event("reply.apply")
            .and_then(|event| apply(editable(event, "reply.apply")?, &edits)))
    }

    fn status(&mut self) -> Result<Option<u16>> {
        self.enter(0)?;
        Ok(self.reply().map(|reply| reply.view().status()))
    }

    fn reason(&mut self) -> Result<Option<String>> {
        self.enter(0)?;
        let reason = self.reply().map(|reply| text(reply.view().reason()));
        self.copy(reason.as_ref().map_or(0, String::len))?;
        Ok(reason)
    }

    fn set_status(&mut self, status: u16, reason: String) -> Answered<()> {
        self.enter(reason.len())?;
        Ok(self.event("reply.set-status").and_then(|event| {
            let current = editable(event, "reply.set-status")?;
            let before = current.view().status();
            if status / 100 != before / 100 {
                return Err(invalid(format!(
                    "reply.set-status: the reply is a {before}, expected another {}xx, got {status}",
                    before / 100
                )));
            }
            current.edits.set_status_line(&current.message, status, reason.as_bytes()).map_err(of_edit)
        }))
    }

    fn header(&mut self, name: String) -> Result<Option<String>> {
        self.enter(name.len())?;
        let value = self.reply().and_then(|reply| header(reply.view(), &name));
        self.copy(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn headers(&mut self, name: String) -> Result<Vec<String>> {
        self.enter(name.len())?;
        let values = self
            .reply()
            .map(|reply| headers(reply.view(), &name))
            .unwrap_or_default();
        self.copy(
            values
                .iter()
                .map(|value| value.len() + size_of::<String>())
                .sum(),
        )?;
        Ok(values)
    }

    fn body(&mut self) -> Result<Vec<u8>> {
        self.enter(0)?;
        let length = self.reply().map_or(0, |reply| reply.view().body().len());
        self.copy(length)?;
        Ok(self
            .reply()
            .map(|reply| reply.view().body().to_vec())
            .unwrap_or_default())
    }
}

impl Context {
    fn reply(&self) -> Option<&Current> {
        self.try_event().and_then(|event| event.reply.as_ref())
    }
}

fn editable<'a>(event: &'a mut Event, function: &str) -> Result<&'a mut Current, Refusal> {
    let here = event.here();
    let may = matches!(event.route, Route::Reply | Route::OnReply { .. });
    match &mut event.reply {
        Some(current) if may => Ok(current),
        _ => Err(not_here(function, here, "reply and onreply routes")),
    }
}
