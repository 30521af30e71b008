//! Credentials: worth what the test says.

pub use crate::bindings::switchhook::script::auth::{Kind, Verdict};
use crate::host::types::{Edit, Error};
use crate::routes::Family;
use crate::testkit::message;
use crate::testkit::world::{Decision, event, event_of};

pub(crate) fn check(_kind: Kind, _realm: &str) -> Verdict {
    event(|event| event.credentials.clone()).unwrap_or(Verdict::Missing)
}

pub(crate) fn challenge(kind: Kind, realm: &str) -> Result<(), Error> {
    event_of(&[Family::RequestRoute], |event| {
        event
            .decided
            .push(Decision::Challenge(kind, realm.to_owned()));
        Ok(())
    })
}

pub(crate) fn consume_credentials() {
    event(|event| {
        let edits = ["Authorization", "Proxy-Authorization"].map(|h| Edit::RemoveHeader(h.into()));
        if let Ok(request) = message::apply(&event.request, &edits) {
            event.request = request;
        }
    });
}
