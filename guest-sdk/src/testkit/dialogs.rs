//! The calls that a script tracks: the host's own table, with a time that passes when a test says so.

use std::time::{Duration, Instant};

use switchhook_sip::dialog::Id;
use switchhook_sip::message::{Message, Method};
use switchhook_store::dialogs::dialog::{Event, Kind, Request, Response, Side};
use switchhook_store::{DialogLimits, Dialogs as Table};

use super::message::text;
use super::site::Site;
use crate::bindings::exports::switchhook::script::dialog_route;
use crate::host::dialog::Info;
use crate::routes::Family;

/// See the module's header.
pub(crate) struct Dialogs {
    pub(crate) table: Table,
    pub(crate) now: Instant,
    /// What a dialog route is about.
    pub(crate) about: Option<Id>,
    /// Those that the script has ended.
    pub(crate) ending: Vec<Id>,
}

impl Default for Dialogs {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            table: Table::new(now, DialogLimits::default()),
            now,
            about: None,
            ending: Vec::new(),
        }
    }
}

/// The dialog of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tracked {
    /// The event's INVITE begins it.
    Begun(Id),
    /// The event's request is of it.
    Within(Id, Side),
}

impl Tracked {
    pub(crate) fn id(self) -> Id {
        match self {
            Self::Begun(id) | Self::Within(id, _) => id,
        }
    }
}

impl Dialogs {
    /// The dialog that a request is within, by its tags.
    pub(crate) fn of_request(&self, request: &Message) -> Option<Tracked> {
        let (from, to) = (request.from().ok()?, request.to().ok()?);
        let (from, to) = (from.tag().map(text)?, to.tag().map(text)?);
        let call_id = text(request.call_id().ok()?);
        let (id, side) = self.table.find(&call_id, &from, &to)?;
        Some(Tracked::Within(id, side))
    }
}

impl Site {
    /// Time passes: what is due in the calls that are tracked happens, those that the script terminates end, and their event routes run.
    pub fn pass(&self, time: Duration) {
        let due = {
            let dialogs = &mut self.world.borrow_mut().dialogs;
            let ending = std::mem::take(&mut dialogs.ending).into_iter();
            let ended = ending.filter_map(|id| Some((id, dialogs.table.end(dialogs.now, id)?)));
            let mut due: Vec<_> = ended.collect();
            dialogs.now += time;
            due.extend(dialogs.table.expire(dialogs.now, usize::MAX));
            due
        };
        for (id, event) in due {
            self.dialog_event(id, Some(event));
        }
    }

    /// The dialog of that Call-ID, if it is tracked and goes on or has just ended.
    pub fn dialog(&self, call_id: &str) -> Option<Info> {
        let world = self.world.borrow();
        let mut found = None;
        let mut part = 0;
        while world.dialogs.table.each_of_part(part, |dialog| {
            if *dialog.call_id == *call_id {
                found = Some(dialog.id);
            }
        }) {
            part += 1;
        }
        world.dialogs.info(found?)
    }

    /// A response went to a caller.
    pub(super) fn dialog_answered(&self, id: Id, status: u16) {
        let event = {
            let dialogs = &self.world.borrow().dialogs;
            let response = Response {
                status,
                tag: if status > 100 { "b1" } else { "" },
                contact: "",
                route_set: "",
            };
            dialogs.table.answered(dialogs.now, id, &response)
        };
        self.dialog_event(id, event);
    }

    /// A request within a dialog went on.
    pub(super) fn dialog_requested(&self, id: Id, side: Side, request: &Message) {
        let event = {
            let dialogs = &self.world.borrow().dialogs;
            let kind = match request.method() {
                Method::Ack => Kind::Ack,
                Method::Bye => Kind::Bye,
                Method::Invite | Method::Update => Kind::Refresh,
                _ => Kind::Other,
            };
            let request = Request {
                kind,
                cseq: request.cseq().map_or(0, |cseq| cseq.number),
                contact: "",
            };
            dialogs.table.requested(dialogs.now, id, side, &request)
        };
        self.dialog_event(id, event);
    }

    fn dialog_event(&self, id: Id, event: Option<Event>) {
        let Some(event) = event else {
            return;
        };
        if !self.handles(Family::DialogRoute, event.name()) {
            return;
        }
        let info = self.world.borrow().dialogs.info(id);
        let Some(info) = info else {
            return;
        };
        let event = match event {
            Event::Start => dialog_route::Event::Start,
            Event::End => dialog_route::Event::End,
            Event::Failed => dialog_route::Event::Failed,
            Event::Timeout => dialog_route::Event::Timeout,
        };
        let outer = {
            let mut world = self.world.borrow_mut();
            world.dialogs.about = Some(id);
            world.event.take()
        };
        if let Err(error) = self.run(|script| (script.on_dialog)(event, info)) {
            println!("the dialog route fails: {error}");
        }
        let mut world = self.world.borrow_mut();
        world.dialogs.about = None;
        world.event = outer;
    }
}
