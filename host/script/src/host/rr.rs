//! `rr`: Record-Route as a decision, Route at once.

use switchhook_bindings::switchhook::script::rr::{Host, Routed};
use switchhook_sip::message::{Params, unescape};
use wasmtime::Result;

use super::Answered;
use super::request::editable;
use super::text::text;
use crate::context::Context;
use crate::event::{Decision, Route};
use crate::refusal::{invalid, not_here, of_edit};

impl Host for Context {
    fn record_route(&mut self, params: String) -> Answered<()> {
        self.enter(params.len())?;
        let params = params.strip_prefix(';').unwrap_or(&params).to_owned();
        let fits =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'?' | b',');
        if !params.bytes().all(fits) {
            return Ok(Err(invalid(format!(
                "rr.record-route: expected URI parameters such as `ftag=abc;x`, got `{params}`"
            ))));
        }
        Ok(self.decide("rr.record-route", |_| Ok(Decision::RecordRoute(params))))
    }

    fn loose_route(&mut self) -> Answered<Routed> {
        self.enter(0)?;
        let function = "rr.loose-route";
        let found = self
            .event_and_effects(function)
            .and_then(|(event, effects)| {
                if !matches!(event.route, Route::Request) {
                    return Err(not_here(function, event.here(), "request routes"));
                }
                let current = editable(event, function)?;
                effects
                    .loose_route(&current.message, &mut current.edits)
                    .map_err(of_edit)
            });
        Ok(found.map(|found| {
            if let Some(params) = &found.params {
                self.dialog_of_route(params);
            }
            self.own_route = found.params;
            found.routed
        }))
    }

    fn param(&mut self, name: String) -> Result<Option<String>> {
        self.enter(name.len())?;
        let param = self
            .own_route
            .as_deref()
            .and_then(|params| Params::new(params).get(name.as_bytes()));
        let value = param.map(|param| text(&unescape(param.value.unwrap_or_default())));
        self.copy(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }
}
