//! A proxy that tracks each call, and tells what it knows of them: header fields of an INVITE tell it what to do.
//!
//! - `X-Var: NAME VALUE` sets a variable, `X-Timeout: SECONDS` the call's life, `X-Trap: 1` fails behind all of it
//! - `X-Bye: 1` has a call whose time is over ended by BYEs; an INFO within a call that says `X-End: 1` ends it
//! - each call is in the profiles `inbound` and `caller` with the user of From as value; more than two of a caller are answered 486
//! - what goes on within a dialog carries `X-Dialog: STATE DURATION`, and `X-Var` with the variable `foo`
//! - the table `events` counts what befell calls, and keeps the last one's `foo` under the event's name with `-foo`

use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
pub mod routes {
    const EVENTS: htable::Table = htable::Table::new("events");

    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        if req.in_dialog() {
            return within(req);
        }
        match req.method() {
            Method::Invite => {}
            Method::Ack => return Ok(Drop),
            Method::Cancel => return req.relay(),
            _ => return req.reply(200, ""),
        }
        let caller = req.from().uri().user().unwrap_or_default().to_owned();
        if dialog::profile_size("caller", Some(&caller)) >= 2 {
            return req.reply(486, "Too Many Calls");
        }
        req.manage_dialog()?;
        dialog::set_profile("caller", Some(&caller))?;
        dialog::set_profile("inbound", None)?;
        if let Some((name, value)) = req.header("X-Var").and_then(|var| var.split_once(' ')) {
            dialog::set_var(name, value)?;
        }
        if let Some(seconds) = req.header("X-Timeout") {
            dialog::set_timeout(seconds.parse()?)?;
        }
        if req.header("X-Bye").is_some() {
            dialog::set_bye_on_timeout(true)?;
        }
        if req.header("X-Trap").is_some() {
            return Err(Error::new("as it was told"));
        }
        req.record_route()?;
        req.relay()
    }

    fn within(req: &mut Request) -> Outcome {
        req.loose_route()?;
        let Some(call) = dialog::current() else {
            return match req.method() {
                Method::Ack => Ok(Drop),
                _ => req.reply(481, "Not Tracked"),
            };
        };
        req.set_header("X-Dialog", &format!("{:?} {}", call.state, call.duration));
        if let Some(value) = dialog::var("foo")? {
            req.set_header("X-Var", &value);
        }
        if req.header("X-End").is_some() {
            dialog::terminate()?;
            return req.reply(200, "Ending");
        }
        match req.method() {
            Method::Ack => req.forward(),
            _ => req.relay(),
        }
    }

    #[event_route("dialog:start")]
    fn started(call: &dialog::Info) -> Outcome {
        note("start", call)
    }

    #[event_route("dialog:end")]
    fn ended(call: &dialog::Info) -> Outcome {
        note("end", call)
    }

    #[event_route("dialog:failed")]
    fn failed(call: &dialog::Info) -> Outcome {
        note("failed", call)
    }

    #[event_route("dialog:timeout")]
    fn timed_out(call: &dialog::Info) -> Outcome {
        note("timeout", call)
    }

    fn note(event: &str, call: &dialog::Info) -> Outcome {
        let foo = dialog::var("foo")?.unwrap_or_default();
        EVENTS.add(event, 1)?;
        EVENTS.set(&format!("{event}-foo"), foo)?;
        log::info!(
            "{event}: {} {:?} {} s",
            call.call_id,
            call.state,
            call.duration
        );
        Ok(Done)
    }
}
