//! Where messages come from and go to.

use crate::host::types::{Endpoint, Error};
use crate::routes::Family;
use crate::testkit::message::invalid;
use crate::testkit::world::{event, event_of, world};
use crate::uri::Uri;

pub(crate) fn force_rport() {
    event(|event| event.arms.force_rport = true);
}

pub(crate) fn is_myself(uri: &str) -> bool {
    world(|world| world.owns(uri))
}

pub(crate) fn set_next_hop(uri: Option<&str>) -> Result<(), Error> {
    let families = [
        Family::RequestRoute,
        Family::FailureRoute,
        Family::BranchRoute,
    ];
    event_of(&families, |event| {
        if let Some(uri) = uri {
            Uri::parse(uri).map_err(invalid)?;
        }
        event.next_hop = uri.map(str::to_owned);
        Ok(())
    })
}

pub(crate) fn next_hop() -> Option<String> {
    event(|event| event.next_hop.clone()).flatten()
}

pub(crate) fn destination() -> Option<Endpoint> {
    event(|event| event.destination).flatten()
}
