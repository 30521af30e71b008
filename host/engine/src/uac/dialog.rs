//! BYEs that end a tracked call from here, as requests of our own that nobody waits for. Repeated and sent to the next address like
//! others; their number is bounded by that of dialogs.

use std::time::Instant;

use switchhook_script::HeaderField;
use switchhook_script::uac::Request;
use switchhook_sip::dialog::Id;
use switchhook_store::dialogs::bye::Bye;
use switchhook_store::dialogs::dialog::Side;

use super::{Answer, Own};
use crate::lane::Lane;

impl Lane {
    /// Sends both sides of a call a BYE. It may have ended already: that is when its time is over.
    pub(crate) fn send_byes(&mut self, now: Instant, id: Id) {
        let read = self.services.dialogs.read(id, |dialog| {
            let byes = [Side::Caller, Side::Callee].map(|side| dialog.bye(side));
            (dialog.call_id.to_string(), byes)
        });
        let Some((call_id, byes)) = read else {
            return;
        };
        for bye in byes.into_iter().flatten() {
            self.counters.dialog_byes.count();
            let own = self.bye(call_id.clone(), bye);
            self.own(now, Box::new(own));
        }
    }

    fn bye(&self, call_id: String, bye: Bye) -> Own {
        let route = |value| HeaderField {
            name: "Route".into(),
            value,
        };
        let request = Request {
            method: "BYE".to_owned(),
            uri: bye.uri,
            from: Some(bye.from),
            to: Some(bye.to),
            headers: bye.routes.into_iter().map(route).collect(),
            body: None,
            next_hop: None,
            local: None,
            timeout: None,
            credentials: None,
        };
        let patience = self.owns.timer_f();
        Own {
            cseq: bye.cseq,
            ..Own::new(request, call_id, Answer::Nobody, patience)
        }
    }
}
