//! Dialogs, in the host's own table; time is the site's.

use switchhook_sip::dialog::{Id, State as Stored, route_param};
use switchhook_sip::message::{HeaderId, Method, NameAddr};
use switchhook_store::DialogError;
use switchhook_store::dialogs::Begin;
use switchhook_store::dialogs::dialog::Dialog;

pub use crate::bindings::switchhook::script::dialog::{Info, State};
use crate::host::types::Error;
use crate::routes::Family;
use crate::testkit::dialogs::{Dialogs, Tracked};
use crate::testkit::message::{invalid, text};
use crate::testkit::world::{World, event_of, not_found, unavailable, world};

pub(crate) fn manage() -> Result<(), Error> {
    let request = event_of(&[Family::RequestRoute], |event| Ok(event.request.clone()))?;
    let (from, to) = (request.from(), request.to());
    let (Ok(from), Ok(to)) = (from, to) else {
        return Err(invalid("dialog.manage: expected From and To".to_owned()));
    };
    if request.method() != Method::Invite || to.tag().is_some() {
        return Err(invalid(
            "dialog.manage: expected an INVITE without a To tag".to_owned(),
        ));
    }
    let contact = request.values(HeaderId::Contact).next();
    let contact = contact.and_then(|value| NameAddr::parse(value).ok());
    let begun = world(|world| {
        let Dialogs { table, now, .. } = &world.dialogs;
        table.begin(
            *now,
            &Begin {
                call_id: &text(request.call_id().unwrap_or_default()),
                tag: &from.tag().map(text).unwrap_or_default(),
                cseq: request.cseq().map_or(0, |cseq| cseq.number),
                from_uri: &text(from.uri),
                to_uri: &text(to.uri),
                req_uri: &text(request.request_uri()),
                contact: &contact.map(|contact| text(contact.uri)).unwrap_or_default(),
                route_set: "",
            },
        )
    });
    let id = begun.map_err(refused)?;
    event_of(&[Family::RequestRoute], |event| {
        event.dialog = Some(Tracked::Begun(id));
        Ok(())
    })
}

pub(crate) fn current() -> Option<Info> {
    world(|world| {
        let id = find_current(world)?;
        world.dialogs.info(id)
    })
}

pub(crate) fn find(call_id: &str, from_tag: &str, to_tag: &str) -> Option<Info> {
    world(|world| {
        let (id, _) = world.dialogs.table.find(call_id, from_tag, to_tag)?;
        world.dialogs.info(id)
    })
}

pub(crate) fn get_var(name: &str) -> Result<Option<String>, Error> {
    within(|dialogs, id| {
        let value = dialogs
            .table
            .read(id, |dialog| dialog.var(name).map(str::to_owned));
        value.ok_or(DialogError::Unknown)
    })
}

pub(crate) fn set_var(name: &str, value: Option<&str>) -> Result<(), Error> {
    within(|dialogs, id| dialogs.table.set_var(id, name, value))
}

pub(crate) fn set_timeout(seconds: u32) -> Result<(), Error> {
    let life = std::time::Duration::from_secs(seconds.into());
    within(|dialogs, id| dialogs.table.set_lifetime(dialogs.now, id, life))
}

pub(crate) fn set_bye_on_timeout(bye: bool) -> Result<(), Error> {
    within(|dialogs, id| dialogs.table.set_bye(id, bye))
}

pub(crate) fn terminate() -> Result<(), Error> {
    world(|world| {
        let id = find_current(world).ok_or_else(|| not_found("current", "dialog"))?;
        let goes_on = |dialog: &Dialog| dialog.state.is_confirmed();
        if world.dialogs.table.read(id, goes_on) != Some(true) {
            return Err(unavailable("expected a call that was answered and goes on"));
        }
        world.dialogs.ending.push(id);
        Ok(())
    })
}

pub(crate) fn set_profile(profile: &str, value: Option<&str>) -> Result<(), Error> {
    within(|dialogs, id| dialogs.table.enter(id, profile, value))
}

pub(crate) fn unset_profile(profile: &str, value: Option<&str>) -> Result<bool, Error> {
    within(|dialogs, id| dialogs.table.leave(id, profile, value))
}

pub(crate) fn in_profile(profile: &str, value: Option<&str>) -> Result<bool, Error> {
    within(|dialogs, id| Ok(dialogs.table.is_in(id, profile, value)))
}

pub(crate) fn profile_size(profile: &str, value: Option<&str>) -> u32 {
    world(|world| world.dialogs.table.size(profile, value) as u32)
}

fn within<R>(act: impl FnOnce(&Dialogs, Id) -> Result<R, DialogError>) -> Result<R, Error> {
    world(|world| {
        let id = find_current(world).ok_or_else(|| not_found("current", "dialog"))?;
        act(&world.dialogs, id).map_err(refused)
    })
}

fn find_current(world: &mut World) -> Option<Id> {
    let Some(event) = &mut world.event else {
        return world.dialogs.about;
    };
    if event.dialog.is_none() && event.family == Family::RequestRoute {
        event.dialog = world.dialogs.of_request(&event.request);
    }
    event.dialog.map(Tracked::id)
}

fn refused(error: DialogError) -> Error {
    match error {
        DialogError::Unknown => not_found("current", "dialog"),
        full => crate::testkit::world::full(&full.to_string()),
    }
}

impl Dialogs {
    pub(crate) fn info(&self, id: Id) -> Option<Info> {
        let left = self.table.left(self.now, id)?.as_secs() as u32;
        let since = |then| self.now.saturating_duration_since(then).as_secs() as u32;
        self.table.read(id, |dialog| Info {
            id: route_param(id),
            call_id: dialog.call_id.to_string(),
            from_uri: dialog.from_uri.to_string(),
            to_uri: dialog.to_uri.to_string(),
            from_tag: dialog.caller.tag.to_string(),
            to_tag: dialog.callee.tag.to_string(),
            state: match dialog.state {
                Stored::Unconfirmed => State::Unconfirmed,
                Stored::Early => State::Early,
                Stored::ConfirmedUnacked => State::ConfirmedUnacked,
                Stored::Confirmed => State::Confirmed,
                Stored::Deleted => State::Deleted,
            },
            age: since(dialog.begun),
            duration: dialog.answered.map_or(0, since),
            left,
        })
    }
}
