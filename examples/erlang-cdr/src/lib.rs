//! Call records for an Erlang gen_server: the nested `'$gen_cast'` term of the talk that introduced Kamailio's `erlang` module
//! (Kamailio World 2015), one for each call that ended or failed.
//!
//! What is known of a call while it is up is a tuple in the hash table `calls`, kept by Kamailio's container variables, so that it
//! outlives the transactions. The clock is Erlang's: the script asks the node for it.

use switchhook_sdk::erlang::variables::{Variable, erl_tuple};
use switchhook_sdk::erlang::{Term, atom, list, tuple};
use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    use serde::{Deserialize, Serialize};

    /// The `config` table of switchhook.toml.
    #[config]
    struct Config {
        /// Where calls go, such as `sip:192.0.2.10:5060`.
        server: String,
        /// The registered name of the gen_server that takes the records.
        collector: String,
        /// What a call costs.
        price: f64,
        /// Where calls go to, by the digits they begin with; the longest counts.
        zones: std::collections::BTreeMap<String, String>,
    }

    /// `{cdr, CallDesc, ServiceDesc, Caller, Called, Zone, DateTime}`
    #[derive(Serialize)]
    #[serde(rename = "cdr")]
    struct Cdr {
        call: CallDesc,
        service: ServiceDesc,
        caller: String,
        called: String,
        zone: String,
        at: Option<DateTime>,
    }

    /// `{call_desc, CallId, Branch, Direction}`
    #[derive(Serialize, Deserialize)]
    struct CallDesc {
        callid: String,
        branch: u32,
        direction: Direction,
    }

    #[derive(Serialize, Deserialize)]
    enum Direction {
        Outbound,
    }

    /// `{service_desc, Kind, Class, Plan, Side}`
    #[derive(Serialize)]
    struct ServiceDesc(Kind, u32, u32, Side);

    #[derive(Serialize)]
    enum Kind {
        Subscriber,
    }

    #[derive(Serialize)]
    enum Side {
        Buy,
    }

    /// How a call ended.
    #[derive(Clone, Copy, Serialize)]
    enum State {
        Answered,
        Busy,
        Failed,
    }

    /// `{{Year, Month, Day}, {Hour, Minute, Second}}`
    type DateTime = ((u32, u8, u8), (u8, u8, u8));

    #[request_route]
    fn main(req: &mut Request, config: &Config) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        if req.in_dialog() {
            req.loose_route()?;
            if req.method() == Method::Bye {
                ended(req.call_id(), config)?;
            }
            return if req.method() == Method::Ack {
                req.forward()
            } else {
                req.relay()
            };
        }
        match req.method() {
            Method::Invite => {
                req.on_reply(ANSWERED)?;
                req.on_failure(UNANSWERED)?;
                req.record_route()?;
            }
            Method::Ack => return Ok(Drop),
            Method::Options => return req.reply(200, "OK"),
            _ => {}
        }
        req.set_next_hop(&config.server)?;
        req.relay()
    }

    /// A call is answered: remembers who talks to whom since when.
    #[onreply_route]
    fn answered(reply: &mut Reply, req: &mut Request) -> Outcome {
        if (200..300).contains(&reply.status()) {
            let since = now().map_or(atom("undefined"), |now| {
                erlang::to_term(&now).unwrap_or(Term::NIL)
            });
            call(req.call_id()).set(tuple![user(req.from().uri()), user(req.to().uri()), since])?;
        }
        Ok(Done)
    }

    /// A call is not answered: its record goes out at once.
    #[failure_route]
    fn unanswered(req: &mut Request, reply: &mut Reply, config: &Config) -> Outcome {
        let state = match reply.status() {
            486 | 600 => State::Busy,
            _ => State::Failed,
        };
        let (caller, called) = (user(req.from().uri()), user(req.to().uri()));
        create(req.call_id(), caller, called, now(), state, 0, config);
        Ok(Next)
    }

    /// A call that was answered has ended.
    fn ended(call_id: &str, config: &Config) -> Result<()> {
        let Some(Term::Tuple(parts)) = call(call_id).find()? else {
            return Ok(()); // it is told by the first of two BYEs
        };
        call(call_id).unset()?;
        let [caller, called, since] = parts.as_slice() else {
            return Ok(());
        };
        let since: Option<DateTime> = erlang::from_term(since)?;
        let seconds = match (since, now()) {
            (Some(since), Some(now)) => seconds(now).saturating_sub(seconds(since)),
            _ => 0,
        };
        let text = |term: &Term| term.as_text().unwrap_or_default().into_owned();
        create(
            call_id,
            text(caller),
            text(called),
            since,
            State::Answered,
            seconds,
            config,
        );
        Ok(())
    }

    /// `{'$gen_cast', {create, Cdr, State, Pid, Price, Duration}}` to the collector. A record that can't be sent stands in the log.
    fn create(
        call_id: &str,
        caller: String,
        called: String,
        at: Option<DateTime>,
        state: State,
        seconds: u64,
        config: &Config,
    ) {
        let zone = zone(&called, config);
        let record = Cdr {
            call: CallDesc {
                callid: call_id.to_owned(),
                branch: 0,
                direction: Direction::Outbound,
            },
            service: ServiceDesc(Kind::Subscriber, 1, 2, Side::Buy),
            caller,
            called,
            zone,
            at,
        };
        let price = match state {
            State::Answered => config.price,
            _ => 0.0,
        };
        let sent = erlang::to_term(&record)
            .and_then(|cdr| Ok((cdr, erlang::to_term(&state)?)))
            .map_err(Error::from)
            .and_then(|(cdr, state)| {
                let create = tuple![
                    atom("create"),
                    cdr,
                    state,
                    erlang::self_pid()?,
                    price,
                    seconds
                ];
                let sent =
                    erlang::reg_send(&config.collector, "", tuple![atom("$gen_cast"), &create]);
                sent.map_err(|error| Error::new(format!("{error}: {create}")))
            });
        if let Err(error) = sent {
            log::error!("call record not sent: {error}");
        }
    }

    /// The node's clock, where one is connected.
    fn now() -> Option<DateTime> {
        let now = erlang::rpc("", "calendar", "universal_time", list![]).ok()?;
        erlang::from_term(&now).ok()
    }

    fn call(call_id: &str) -> Variable<'_> {
        erl_tuple(call_id).shared("calls")
    }

    fn user(uri: Uri<'_>) -> String {
        uri.user().unwrap_or_default().to_owned()
    }

    fn zone(called: &str, config: &Config) -> String {
        let zones = config.zones.iter().rev();
        let mut zones = zones.filter(|(digits, _)| called.starts_with(digits.as_str()));
        zones
            .next()
            .map_or_else(|| "unknown".to_owned(), |(_, zone)| zone.clone())
    }

    /// Seconds since the year 0, by the calendar.
    fn seconds(((year, month, day), (hour, minute, second)): DateTime) -> u64 {
        let (year, month) = (u64::from(year), u64::from(month));
        // the year begins in March, so that the day that may be missing is its last
        let (year, month) = if month > 2 {
            (year, month - 3)
        } else {
            (year.saturating_sub(1), month + 9)
        };
        let days = 365 * year + year / 4 - year / 100
            + year / 400
            + (153 * month + 2) / 5
            + u64::from(day);
        ((days * 24 + u64::from(hour)) * 60 + u64::from(minute)) * 60 + u64::from(second)
    }
}

#[cfg(test)]
mod tests;
