//! Calls that a script has tracked: what their messages do to them, and what the script is told.
//!
//! A lane follows a dialog in two places only. In the transaction whose INVITE began it, each response that goes to the caller
//! ([`Lane::dialog_answer`]); there are none to look at where no call is tracked. And a request whose route found the dialog, once the
//! route has sent it on ([`Lane::dialog_request`]). All messages of a call are of one lane, so they come in their order.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use switchhook_script::uac::Ending;
use switchhook_script::{Event, Route, Tracked, dialog_info};
use switchhook_sip::dialog::{Id, PARAM, route_param};
use switchhook_sip::message::{HeaderId, Message, Method, NameAddr};
use switchhook_sip::transaction::{Key, Origin};
use switchhook_store::dialogs::dialog::{self, Kind, Response, Side};

use crate::context::Context;
use crate::guest::{Job, ROUTER};
use crate::lane::Lane;

impl Lane {
    /// A request route has ended that had a dialog at hand. `went` tells whether the request went on or was answered.
    pub(crate) fn dialog_request(
        &mut self,
        now: Instant,
        message: &Message,
        key: Option<Key>,
        tracked: Tracked,
        went: bool,
    ) {
        let services = Arc::clone(&self.services);
        let dialogs = &services.dialogs;
        match tracked {
            Tracked::Begun(id) => {
                self.counters.dialogs_begun.count();
                let context = key.and_then(|key| self.tm.data(key));
                if context.is_some_and(|context| context.dialog == Some(id)) {
                    dialogs.settle(id);
                } else if went || key.is_some() {
                    // The script failed, or answered by itself: the call is over before it began.
                    let event = dialogs.fail(now, id);
                    self.dialog_event(now, id, event);
                } else {
                    dialogs.forget(id);
                }
            }
            Tracked::Within(id, side) => {
                let contact = message.values(HeaderId::Contact).next();
                let contact = contact.and_then(|value| NameAddr::parse(value).ok());
                let contact = contact.map(|contact| String::from_utf8_lossy(contact.uri));
                let request = dialog::Request {
                    kind: match message.method() {
                        Method::Ack => Kind::Ack,
                        Method::Bye => Kind::Bye,
                        Method::Invite | Method::Update => Kind::Refresh,
                        _ => Kind::Other,
                    },
                    cseq: message.cseq().map_or(0, |cseq| cseq.number),
                    contact: contact.as_deref().unwrap_or_default(),
                };
                if went {
                    if request.kind == Kind::Refresh {
                        self.await_contact(key, id, side);
                    }
                    let event = dialogs.requested(now, id, side, &request);
                    self.dialog_event(now, id, event);
                }
                dialogs.settle(id);
            }
            Tracked::About(_) => {}
        }
    }

    /// The answer to a request of that side names the other one's Contact.
    fn await_contact(&mut self, key: Option<Key>, id: Id, side: Side) {
        let other = match side {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        };
        if let Some(context) = key.and_then(|key| self.tm.data_mut(key))
            && context.refreshes.replace((id, other)).is_none()
        {
            self.tracked += 1;
        }
    }

    /// A response is sent to who sent a request within a dialog. A 2xx tells where the other side is now (RFC 3261 12.2.1.2).
    fn dialog_refreshed(&mut self, now: Instant, key: Key, bytes: &Bytes) {
        let refreshes = self.tm.data_mut(key).and_then(|context| {
            let found = context.refreshes?;
            Some((context, found))
        });
        let Some((context, (id, side))) = refreshes else {
            return;
        };
        let Ok(response) = Message::parse(bytes.clone()) else {
            return;
        };
        if response.status() < 200 {
            return;
        }
        context.refreshes = None;
        self.tracked = self.tracked.saturating_sub(1);
        let contact = response.values(HeaderId::Contact).next();
        if let Some(contact) = contact.and_then(|value| NameAddr::parse(value).ok())
            && response.status() < 300
        {
            let contact = String::from_utf8_lossy(contact.uri);
            self.services.dialogs.refreshed(now, id, side, &contact);
        }
    }

    /// A response is sent to a caller. Called only while calls are tracked here.
    pub(crate) fn dialog_answer(&mut self, now: Instant, origin: Origin, bytes: &Bytes) {
        let Origin::Server(key) = origin else {
            return;
        };
        let Some(context) = self.tm.data_mut(key) else {
            return;
        };
        let Some(id) = context.dialog else {
            return self.dialog_refreshed(now, key, bytes);
        };
        let Ok(response) = Message::parse(bytes.clone()) else {
            return;
        };
        let status = response.status();
        if status >= 200 {
            // What comes after the final answer is a copy of it.
            context.dialog = None;
            self.tracked = self.tracked.saturating_sub(1);
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let tag = response.to().ok().and_then(|to| to.tag().map(text));
        let contact = response.values(HeaderId::Contact).next();
        let contact = contact.and_then(|value| NameAddr::parse(value).ok());
        let event = self.services.dialogs.answered(
            now,
            id,
            &Response {
                status,
                tag: &tag.unwrap_or_default(),
                contact: &contact.map(|contact| text(contact.uri)).unwrap_or_default(),
                route_set: &self.way_to_callee(&response),
            },
        );
        self.dialog_event(now, id, event);
    }

    /// The Record-Routes between us and who answered, nearest first (RFC 3261 12.1.2 has them in reverse).
    fn way_to_callee(&self, response: &Message) -> String {
        let own = |value: &&[u8]| {
            let address = NameAddr::parse(value).ok();
            let uri = address.as_ref().and_then(|address| address.uri().ok());
            uri.is_some_and(|uri| self.services.own.is_own(&uri))
        };
        let theirs = response.values(HeaderId::RecordRoute);
        let theirs = theirs.take_while(|value| !own(value));
        let mut theirs: Vec<_> = theirs.map(String::from_utf8_lossy).collect();
        theirs.reverse();
        theirs.join(", ")
    }

    /// A transaction is over. A call that it never answered has failed.
    pub(crate) fn dialog_unanswered(&mut self, now: Instant, context: &Context) {
        if context.refreshes.is_some() {
            self.tracked = self.tracked.saturating_sub(1);
        }
        if let Some(id) = context.dialog {
            self.tracked = self.tracked.saturating_sub(1);
            let event = self.services.dialogs.fail(now, id);
            self.dialog_event(now, id, event);
        }
    }

    /// What time brought about, up to a batch; for one lane, now and then. Tells how much it was.
    pub(crate) fn expire_dialogs(&mut self, now: Instant) -> usize {
        let services = Arc::clone(&self.services);
        let ended = services.dialogs.expire(now, self.limits.expired);
        let count = ended.len();
        for (id, event) in ended {
            if event == dialog::Event::Timeout && services.dialogs.wants_bye(id) {
                self.end_elsewhere(id);
            }
            self.dialog_event(now, id, Some(event));
        }
        count
    }

    /// A call's time is over: the lane of its Call-ID, where its answers come, sends BYEs.
    fn end_elsewhere(&self, id: Id) {
        let dialogs = &self.services.dialogs;
        let call_id = dialogs.read(id, |dialog| dialog.call_id.clone());
        let uac = self.services.uac.get();
        if let (Some(call_id), Some(uac)) = (call_id, uac)
            && let Err(refusal) = uac.end_dialog(&call_id, id, Ending::TimedOut)
        {
            tracing::warn!(%call_id, reason = refusal.message, "no BYE ends this call");
        }
    }

    /// Ends a call from here. One whose time is over has ended already.
    pub(crate) fn end_dialog(&mut self, now: Instant, id: Id, ending: Ending) {
        match ending {
            Ending::TimedOut => self.send_byes(now, id),
            Ending::Ordered => {
                let services = Arc::clone(&self.services);
                let event = services.dialogs.end(now, id);
                if event.is_some() {
                    self.send_byes(now, id);
                }
                self.dialog_event(now, id, event);
            }
        }
    }

    /// Tells the script what befell a dialog.
    fn dialog_event(&mut self, now: Instant, id: Id, event: Option<dialog::Event>) {
        let Some(event) = event else {
            return;
        };
        match event {
            dialog::Event::Start => &self.counters.dialogs_started,
            dialog::Event::End => &self.counters.dialogs_ended,
            dialog::Event::Failed => &self.counters.dialogs_failed,
            dialog::Event::Timeout => &self.counters.dialogs_timed_out,
        }
        .count();
        let generation = Arc::clone(self.pool.current());
        if !generation.handles_dialog(event.name()) {
            return;
        }
        let Some(info) = dialog_info(&self.services.dialogs, now, id) else {
            return;
        };
        let info = Box::new(info);
        let mut told = Event::new(Route::Dialog { event, info }, None, None);
        told.dialog = Some(Tracked::About(id));
        self.call(
            now,
            &generation,
            told,
            Job::Told {
                script: ROUTER,
                held: None,
            },
        );
    }
}

/// The parameters of the Record-Route of a call that is tracked.
pub(crate) fn with_name(params: &str, id: Id) -> String {
    let name = route_param(id);
    match params {
        "" => format!("{PARAM}={name}"),
        params => format!("{params};{PARAM}={name}"),
    }
}
