//! `auth`: credentials are judged behind the effects; a challenge is a decision.

use switchhook_bindings::switchhook::script::auth::{Host, Kind, Verdict};
use wasmtime::Result;

use super::Answered;
use super::request::editable;
use crate::context::Context;
use crate::event::{Answer, Decision};

impl Host for Context {
    fn check(&mut self, kind: Kind, realm: String) -> Result<Verdict> {
        self.enter(realm.len())?;
        let Some(current) = self.try_event().and_then(|event| event.request.as_ref()) else {
            return Ok(Verdict::Missing);
        };
        let checked =
            self.effects()
                .check_credentials(kind, &realm, current.view(), &current.source);
        self.stale = matches!(checked.verdict, Verdict::Stale);
        if checked.position.is_some() {
            // A second check in one event finds what the first accepted, which is no copy.
            self.again = checked.again && (self.again || self.credentials.is_none());
            self.credentials = checked.position;
        }
        Ok(checked.verdict)
    }

    fn challenge(&mut self, kind: Kind, realm: String) -> Answered<()> {
        self.enter(realm.len())?;
        let made = self.effects().challenge(kind, &realm, self.stale);
        Ok(made.and_then(|headers| {
            let (status, reason) = match kind {
                Kind::Www => (401, "Unauthorized"),
                Kind::Proxy => (407, "Proxy Authentication Required"),
            };
            self.decide("auth.challenge", |_| {
                Ok(Decision::Respond(Answer {
                    status,
                    reason: reason.into(),
                    headers,
                    body: None,
                }))
            })
        }))
    }

    fn consume_credentials(&mut self) -> Result<()> {
        self.enter(0)?;
        if let Some(position) = self.credentials.take()
            && let Ok(event) = self.event("auth.consume-credentials")
            && let Ok(current) = editable(event, "auth.consume-credentials")
        {
            // The field may have been removed by name meanwhile, which is as good.
            let _ = current.edits.remove_field(&current.message, position);
        }
        Ok(())
    }
}
