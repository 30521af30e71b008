//! `dialog`: calls that are tracked. They act at once, on the table of [`crate::Effects::dialogs`]; which one is current stands in the
//! event. What a route did to it is told to other nodes when the route has ended.

use std::time::{Duration, Instant};

use switchhook_bindings::switchhook::script::dialog::{Host, Info, State as WitState};
use switchhook_sip::dialog::{Id, PARAM, State, read_route_param, route_param};
use switchhook_sip::message::{HeaderId, Message, Method, NameAddr, Params};
use switchhook_store::dialogs::Begin;
use switchhook_store::dialogs::dialog::Dialog;
use switchhook_store::{DialogError, Dialogs};
use wasmtime::Result;

use super::Answered;
use super::text::text;
use crate::context::Context;
use crate::event::{Event, Route, Tracked};
use crate::refusal::{Refusal, invalid, limit, not_found, not_here, of_malformed, unavailable};
use crate::uac::Ending;

/// The longest life that a route may set, 30 days.
const MAX_LIFETIME: u32 = 30 * 86_400;

impl Host for Context {
    fn manage(&mut self) -> Answered<()> {
        self.enter(0)?;
        let function = "dialog.manage";
        Ok(self
            .event_and_effects(function)
            .and_then(|(event, effects)| {
                let begins = matches!(event.route, Route::Request);
                let request = event.request.as_ref().filter(|_| begins);
                let request =
                    request.ok_or_else(|| not_here(function, event.here(), "request routes"))?;
                let uri = request.view().request_uri().to_vec();
                let (dialogs, now) = effects.dialogs();
                let id = begin(dialogs, now, &request.message, &uri)?;
                event.dialog = Some(Tracked::Begun(id));
                Ok(())
            }))
    }

    fn current(&mut self) -> Result<Option<Info>> {
        self.enter(0)?;
        self.find_dialog();
        let (dialogs, now) = self.effects().dialogs();
        let id = self.try_event().and_then(|event| event.dialog);
        let info = id.and_then(|tracked| info(dialogs, now, tracked.id()));
        self.copy(info.as_ref().map_or(0, size))?;
        Ok(info)
    }

    fn find(&mut self, call_id: String, from_tag: String, to_tag: String) -> Result<Option<Info>> {
        self.enter(call_id.len() + from_tag.len() + to_tag.len())?;
        let (dialogs, now) = self.effects().dialogs();
        let found = dialogs.find(&call_id, &from_tag, &to_tag);
        let info = found.and_then(|(id, _)| info(dialogs, now, id));
        self.copy(info.as_ref().map_or(0, size))?;
        Ok(info)
    }

    fn get_var(&mut self, name: String) -> Answered<Option<String>> {
        self.enter(name.len())?;
        let value = self.with_dialog("dialog.get-var", |dialogs, _, id| {
            let value = dialogs.read(id, |dialog| dialog.var(&name).map(str::to_owned));
            value.ok_or(DialogError::Unknown)
        });
        if let Ok(Some(value)) = &value {
            self.copy(value.len())?;
        }
        Ok(value)
    }

    fn set_var(&mut self, name: String, value: Option<String>) -> Answered<()> {
        self.enter(name.len() + value.as_ref().map_or(0, String::len))?;
        if name.is_empty() {
            return Ok(Err(invalid("dialog.set-var: expected a name")));
        }
        Ok(self.with_dialog("dialog.set-var", |dialogs, _, id| {
            dialogs.set_var(id, &name, value.as_deref())
        }))
    }

    fn set_timeout(&mut self, seconds: u32) -> Answered<()> {
        self.enter(0)?;
        if !(1..=MAX_LIFETIME).contains(&seconds) {
            return Ok(Err(invalid(format!(
                "dialog.set-timeout: expected 1 to {MAX_LIFETIME} seconds, got {seconds}"
            ))));
        }
        let life = Duration::from_secs(seconds.into());
        Ok(self.with_dialog("dialog.set-timeout", |dialogs, now, id| {
            dialogs.set_lifetime(now, id, life)
        }))
    }

    fn set_bye_on_timeout(&mut self, bye: bool) -> Answered<()> {
        self.enter(0)?;
        Ok(
            self.with_dialog("dialog.set-bye-on-timeout", |dialogs, _, id| {
                dialogs.set_bye(id, bye)
            }),
        )
    }

    fn terminate(&mut self) -> Answered<()> {
        self.enter(0)?;
        let found = self.with_dialog("dialog.terminate", |dialogs, _, id| {
            let call = dialogs.read(id, |dialog| (dialog.goes_on(), dialog.call_id.to_string()));
            call.map(|call| (id, call)).ok_or(DialogError::Unknown)
        });
        Ok(found.and_then(|(id, (goes_on, call_id))| match goes_on {
            true => self
                .effects()
                .uac()?
                .end_dialog(&call_id, id, Ending::Ordered),
            false => Err(unavailable(
                "dialog.terminate: expected a call that was answered and goes on",
            )),
        }))
    }

    fn set_profile(&mut self, profile: String, value: Option<String>) -> Answered<()> {
        self.enter(profile.len() + value.as_ref().map_or(0, String::len))?;
        if profile.is_empty() {
            return Ok(Err(invalid("dialog.set-profile: expected a name")));
        }
        Ok(self.with_dialog("dialog.set-profile", |dialogs, _, id| {
            dialogs.enter(id, &profile, value.as_deref())
        }))
    }

    fn unset_profile(&mut self, profile: String, value: Option<String>) -> Answered<bool> {
        self.enter(profile.len() + value.as_ref().map_or(0, String::len))?;
        Ok(self.with_dialog("dialog.unset-profile", |dialogs, _, id| {
            dialogs.leave(id, &profile, value.as_deref())
        }))
    }

    fn in_profile(&mut self, profile: String, value: Option<String>) -> Answered<bool> {
        self.enter(profile.len() + value.as_ref().map_or(0, String::len))?;
        Ok(self.with_dialog("dialog.in-profile", |dialogs, _, id| {
            Ok(dialogs.is_in(id, &profile, value.as_deref()))
        }))
    }

    fn profile_size(&mut self, profile: String, value: Option<String>) -> Result<u32> {
        self.enter(profile.len() + value.as_ref().map_or(0, String::len))?;
        let (dialogs, _) = self.effects().dialogs();
        let size = dialogs.size(&profile, value.as_deref());
        Ok(u32::try_from(size).unwrap_or(u32::MAX))
    }
}

impl Context {
    /// Does something with the current dialog.
    fn with_dialog<R>(
        &mut self,
        function: &'static str,
        act: impl FnOnce(&Dialogs, Instant, Id) -> Result<R, DialogError>,
    ) -> Result<R, Refusal> {
        self.find_dialog();
        let tracked = self.event(function)?.dialog;
        let tracked = tracked.ok_or_else(|| {
            not_found(format!(
                "{function}: no dialog is current; dialog.manage begins one"
            ))
        })?;
        let (dialogs, now) = self.effects().dialogs();
        act(dialogs, now, tracked.id()).map_err(|error| {
            let message = format!("{function}: {error}");
            match error {
                DialogError::Unknown => not_found(message),
                DialogError::Full { .. } => limit(message),
            }
        })
    }

    /// Looks for the dialog of a request within one, by its tags, where none is current.
    fn find_dialog(&mut self) {
        if let Ok((event, effects)) = self.event_and_effects("dialog")
            && event.dialog.is_none()
            && matches!(event.route, Route::Request)
            && let Some((call_id, from, to)) = names(event)
            && !to.is_empty()
        {
            let (dialogs, _) = effects.dialogs();
            let found = dialogs.find(&call_id, &from, &to);
            event.dialog = found.map(|(id, side)| Tracked::Within(id, side));
        }
    }

    /// Our Route named a dialog: it is the current one if the request is of it.
    pub(super) fn dialog_of_route(&mut self, params: &[u8]) {
        let Some(param) = Params::new(params).get(PARAM.as_bytes()) else {
            return;
        };
        let value = param.value.map(text).unwrap_or_default();
        if let Some(id) = read_route_param(&value)
            && let Ok((event, effects)) = self.event_and_effects("dialog")
            && let Some((call_id, from, to)) = names(event)
        {
            let (dialogs, _) = effects.dialogs();
            let side = dialogs.side(id, &call_id, &from, &to);
            event.dialog = side.map(|side| Tracked::Within(id, side));
        }
    }
}

/// Call-ID, From tag and To tag of the event's request.
fn names(event: &Event) -> Option<(String, String, String)> {
    let message = &event.request.as_ref()?.message;
    let from = message.from().ok()?.tag().map(text).unwrap_or_default();
    let to = message.to().ok()?.tag().map(text).unwrap_or_default();
    Some((text(message.call_id().ok()?), from, to))
}

fn begin(
    dialogs: &Dialogs,
    now: Instant,
    message: &Message,
    req_uri: &[u8],
) -> Result<Id, Refusal> {
    let (from, to) = (message.from(), message.to());
    let (from, to) = (
        from.map_err(|error| of_malformed(&error))?,
        to.map_err(|error| of_malformed(&error))?,
    );
    if message.method() != Method::Invite || to.tag().is_some() {
        return Err(invalid(
            "dialog.manage: expected an INVITE without a To tag, which begins a dialog",
        ));
    }
    let call_id = message.call_id().map_err(|error| of_malformed(&error))?;
    let cseq = message.cseq().map_err(|error| of_malformed(&error))?;
    let contact = message.values(HeaderId::Contact).next();
    let contact = contact.and_then(|value| NameAddr::parse(value).ok());
    let routes: Vec<_> = message.values(HeaderId::RecordRoute).map(text).collect();
    let begin = Begin {
        call_id: &text(call_id),
        tag: &from.tag().map(text).unwrap_or_default(),
        cseq: cseq.number,
        from_uri: &text(from.uri),
        to_uri: &text(to.uri),
        req_uri: &text(req_uri),
        contact: &contact.map(|contact| text(contact.uri)).unwrap_or_default(),
        route_set: &routes.join(", "),
    };
    dialogs
        .begin(now, &begin)
        .map_err(|error| limit(format!("dialog.manage: {error}")))
}

/// A dialog as scripts see it.
pub fn info(dialogs: &Dialogs, now: Instant, id: Id) -> Option<Info> {
    let left = seconds(dialogs.left(now, id)?);
    let since = |then: Instant| seconds(now.saturating_duration_since(then));
    dialogs.read(id, |dialog: &Dialog| Info {
        id: route_param(id),
        call_id: dialog.call_id.to_string(),
        from_uri: dialog.from_uri.to_string(),
        to_uri: dialog.to_uri.to_string(),
        from_tag: dialog.caller.tag.to_string(),
        to_tag: dialog.callee.tag.to_string(),
        state: match dialog.state {
            State::Unconfirmed => WitState::Unconfirmed,
            State::Early => WitState::Early,
            State::ConfirmedUnacked => WitState::ConfirmedUnacked,
            State::Confirmed => WitState::Confirmed,
            State::Deleted => WitState::Deleted,
        },
        age: since(dialog.begun),
        duration: dialog.answered.map_or(0, since),
        left,
    })
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

fn size(info: &Info) -> usize {
    let text = [
        &info.id,
        &info.call_id,
        &info.from_uri,
        &info.to_uri,
        &info.from_tag,
        &info.to_tag,
    ];
    size_of::<Info>() + text.iter().map(|text| text.len()).sum::<usize>()
}
