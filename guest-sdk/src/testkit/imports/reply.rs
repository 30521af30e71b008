//! The current reply.

use crate::host::types::{Edit, Error, Snapshot};
use crate::routes::Family;
use crate::testkit::message::{self, invalid, snapshot};
use crate::testkit::world::{LOCAL, event_of, not_here};
use switchhook_sip::message::{Edits, Message, render};

pub(crate) fn read() -> Result<Snapshot, Error> {
    let families = [
        Family::ReplyRoute,
        Family::OnreplyRoute,
        Family::FailureRoute,
    ];
    event_of(&families, |event| {
        let reply = event.reply.as_ref().ok_or_else(|| not_here("here"))?;
        Ok(snapshot(reply, event.source, LOCAL))
    })
}

pub(crate) fn apply(edits: &[Edit]) -> Result<(), Error> {
    change(|reply| message::apply(reply, edits))
}

pub(crate) fn set_status(status: u16, reason: &str) -> Result<(), Error> {
    change(|reply| {
        if status / 100 != reply.status() / 100 {
            let class = reply.status() / 100;
            return Err(invalid(format!(
                "expected a status of {class}xx, got {status}"
            )));
        }
        let mut edits = Edits::default();
        edits
            .set_status_line(reply, status, reason.as_bytes())
            .map_err(invalid)?;
        let mut bytes = Vec::new();
        render(reply, &edits, &mut bytes);
        Message::parse(bytes.into()).map_err(invalid)
    })
}

fn change(act: impl FnOnce(&Message) -> Result<Message, Error>) -> Result<(), Error> {
    event_of(&[Family::ReplyRoute, Family::OnreplyRoute], |event| {
        let reply = event.reply.as_ref().ok_or_else(|| not_here("here"))?;
        event.reply = Some(act(reply)?);
        Ok(())
    })
}
