//! The current request.

use switchhook_sip::message::HeaderId;

pub use crate::bindings::switchhook::script::request::Problem;
pub(crate) use crate::bindings::switchhook::script::request::Whole;
use crate::host::types::{Edit, Error, Header};
use crate::routes::Family;
use crate::testkit::message::{self, snapshot};
use crate::testkit::world::{LOCAL, event, event_of, world};
use crate::uri::Uri;

pub(crate) fn read() -> Whole {
    let none = [Family::ErlangRoute, Family::ErlangEvent, Family::RpcRoute];
    let read = event(|event| {
        assert!(!none.contains(&event.family), "there is no request here");
        let snapshot = snapshot(&event.request, event.source, LOCAL);
        (snapshot, event.request.to_tag().is_some())
    });
    let (snapshot, in_dialog) = read.expect("there is no request in init");
    Whole {
        snapshot,
        for_us: is_for_us(),
        in_dialog,
        problem: check(),
    }
}

pub(crate) fn apply(edits: &[Edit]) -> Result<(), Error> {
    let families = [
        Family::RequestRoute,
        Family::FailureRoute,
        Family::BranchRoute,
    ];
    event_of(&families, |event| {
        event.request = message::apply(&event.request, edits)?;
        Ok(())
    })
}

pub(crate) fn is_for_us() -> bool {
    let uri = event(|event| event.uri()).unwrap_or_default();
    world(|world| world.owns(&uri))
}

/// What a script can react to: mandatory fields, URI scheme, Max-Forwards, Proxy-Require.
pub(crate) fn check() -> Option<Problem> {
    event(|event| {
        let request = &event.request;
        if let Err(malformed) = request.check() {
            return Some(problem(malformed.status(), &malformed.to_string()));
        }
        let uri = event.uri();
        let uri = Uri::lenient(&uri);
        if !uri.is_sip() && !uri.scheme().eq_ignore_ascii_case("tel") {
            return Some(problem(416, "Unsupported URI Scheme"));
        }
        if let Some(Ok(0)) = request.max_forwards() {
            return Some(problem(483, "Too Many Hops"));
        }
        let wanted: Vec<String> = request
            .values(HeaderId::ProxyRequire)
            .map(message::text)
            .collect();
        (!wanted.is_empty()).then(|| Problem {
            headers: vec![Header {
                name: "Unsupported".to_owned(),
                value: wanted.join(", "),
            }],
            ..problem(420, "Bad Extension")
        })
    })
    .flatten()
}

fn problem(status: u16, reason: &str) -> Problem {
    Problem {
        status,
        reason: reason.to_owned(),
        headers: Vec::new(),
    }
}
