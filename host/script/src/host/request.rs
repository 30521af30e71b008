//! `request`: the current request, read and edited in place.

use switchhook_bindings::switchhook::script::request::{Host, Problem, Whole};
use switchhook_bindings::switchhook::script::types::{Edit, Header};
use switchhook_sip::message::Uri;
use wasmtime::{Error, Result};

use super::Answered;
use super::text::{apply, header, headers, size, snapshot, text};
use crate::context::Context;
use crate::event::{Current, Event, Route};
use crate::refusal::{Refusal, not_here, of_edit};

const ANY: &str = "routes that have a request";

impl Host for Context {
    fn read(&mut self) -> Result<Whole> {
        self.enter(0)?;
        let Some(snapshot) = snapshot(self, |context| context.try_event()?.request.as_ref())?
        else {
            return Err(self.no_request("request.read"));
        };
        let request = self.request("request.read")?;
        Ok(Whole {
            snapshot,
            for_us: self.is_ours(request),
            in_dialog: request.view().may_have_to_tag(),
            problem: self.problem(request),
        })
    }

    fn apply(&mut self, edits: Vec<Edit>) -> Answered<()> {
        self.enter(size(&edits))?;
        Ok(self
            .event("request.apply")
            .and_then(|event| apply(editable(event, "request.apply")?, &edits)))
    }

    fn method(&mut self) -> Result<String> {
        self.enter(0)?;
        let method = text(self.request("request.method")?.view().method().as_bytes());
        self.copy(method.len())?;
        Ok(method)
    }

    fn uri(&mut self) -> Result<String> {
        self.enter(0)?;
        let uri = text(self.request("request.uri")?.view().request_uri());
        self.copy(uri.len())?;
        Ok(uri)
    }

    fn is_for_us(&mut self) -> Result<bool> {
        self.enter(0)?;
        Ok(self.is_ours(self.request("request.is-for-us")?))
    }

    fn set_uri(&mut self, uri: String) -> Answered<()> {
        self.enter(uri.len())?;
        Ok(self.event("request.set-uri").and_then(|event| {
            let current = editable(event, "request.set-uri")?;
            current
                .edits
                .set_request_uri(&current.message, uri.as_bytes())
                .map_err(of_edit)
        }))
    }

    fn header(&mut self, name: String) -> Result<Option<String>> {
        self.enter(name.len())?;
        let value = header(self.request("request.header")?.view(), &name);
        self.copy(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn headers(&mut self, name: String) -> Result<Vec<String>> {
        self.enter(name.len())?;
        let values = headers(self.request("request.headers")?.view(), &name);
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
        let length = self.request("request.body")?.view().body().len();
        self.copy(length)?;
        Ok(self.request("request.body")?.view().body().to_vec())
    }

    fn check(&mut self) -> Result<Option<Problem>> {
        self.enter(0)?;
        Ok(self.problem(self.request("request.check")?))
    }
}

impl Context {
    fn request(&self, function: &'static str) -> Result<&Current> {
        let request = self.try_event().and_then(|event| event.request.as_ref());
        request.ok_or_else(|| self.no_request(function))
    }

    fn is_ours(&self, request: &Current) -> bool {
        let uri = Uri::parse(request.view().request_uri());
        uri.is_ok_and(|uri| self.effects().is_myself(&uri))
    }

    fn problem(&self, request: &Current) -> Option<Problem> {
        let answer = self.effects().refusal(&request.message)?;
        let headers = answer.headers.into_iter();
        Some(Problem {
            status: answer.status,
            reason: answer.reason.into_owned(),
            headers: headers
                .map(|field| Header {
                    name: field.name.into_owned(),
                    value: field.value,
                })
                .collect(),
        })
    }

    fn no_request(&self, function: &'static str) -> Error {
        let here = self.try_event().map_or("lifecycle", Event::here);
        Error::msg(not_here(function, here, ANY).message)
    }
}

/// The request, in the routes that may change it.
pub(super) fn editable<'a>(
    event: &'a mut Event,
    function: &str,
) -> Result<&'a mut Current, Refusal> {
    let here = event.here();
    let may = matches!(
        event.route,
        Route::Request | Route::Branch { .. } | Route::Failure { .. }
    );
    match &mut event.request {
        Some(current) if may => Ok(current),
        _ => Err(not_here(
            function,
            here,
            "request, branch and failure routes",
        )),
    }
}
