//! What ends a call from here: a BYE for each side, as if the other had sent it. RFC 3261 12.2.1.1, 15.1.1.
//!
//! Decides what stands in it; who sends it is the engine. A side whose Contact or tag is not known gets none.

use switchhook_sip::message::{NameAddr, list_values};

use super::dialog::{Dialog, Leg, Side};

/// The parts of a BYE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bye {
    /// The request URI.
    pub uri: String,
    /// The value of From: who seems to send it.
    pub from: String,
    /// The value of To: who gets it.
    pub to: String,
    /// One above the last number of who seems to send it.
    pub cseq: u32,
    /// The values of Route, in order.
    pub routes: Vec<String>,
}

impl Dialog {
    /// The BYE for one side.
    pub fn bye(&self, to: Side) -> Option<Bye> {
        let (callee, caller) = ((&self.callee, &self.to_uri), (&self.caller, &self.from_uri));
        let ((from, from_uri), (to, to_uri)) = match to {
            Side::Caller => (callee, caller),
            Side::Callee => (caller, callee),
        };
        if from.tag.is_empty() || to.tag.is_empty() || to.contact.is_empty() {
            return None;
        }
        let (uri, routes) = way(to);
        Some(Bye {
            uri,
            from: format!("<{from_uri}>;tag={}", from.tag),
            to: format!("<{to_uri}>;tag={}", to.tag),
            cseq: from.cseq.saturating_add(1).min(i32::MAX.unsigned_abs()),
            routes,
        })
    }
}

/// Request URI and Routes to a side. Before a strict router its URI is the request URI, and the Contact the last Route.
fn way(to: &Leg) -> (String, Vec<String>) {
    let routes = list_values(to.route_set.as_bytes());
    let routes = routes.map(|route| String::from_utf8_lossy(route).into_owned());
    let mut routes: Vec<_> = routes.collect();
    let first = routes
        .first()
        .and_then(|route| NameAddr::parse(route.as_bytes()).ok());
    let strict = first.and_then(|first| {
        let uri = first.uri().ok()?;
        (!uri.is_loose_route()).then(|| String::from_utf8_lossy(uri.raw).into_owned())
    });
    match strict {
        Some(strict) => {
            routes.remove(0);
            routes.push(format!("<{}>", to.contact));
            (strict, routes)
        }
        None => (to.contact.to_string(), routes),
    }
}
