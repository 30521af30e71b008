//! Every family of routes. Header fields of the request tell it what to do, header fields of what it sends tell what it did:
//!
//! - `X-Arm: failure, onreply, branch` arms `AGAIN`, `MARK` and `STAMP`; `X-Fork: URI, URI` forks to these, `X-Order: serial` one by one
//! - `X-Drop: request`, `onsend`, `branch`, `onreply` or `failure` drops there; `X-Fail:` ends the route of that name with an error;
//!   `reply` in a reply's own field does so in the reply route
//! - `X-Second: URI` is where `AGAIN` sends to, `X-Answer: STATUS` is what it answers
//! - `OPTIONS` is answered with how many requests this instance has seen, which a swap hands over

use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
pub mod routes {
    #[config]
    #[derive(Clone, Copy)]
    struct Config {
        /// What the count begins with.
        #[serde(default)]
        start: u32,
    }

    struct State {
        requests: u32,
    }

    #[init]
    fn init(config: Config) -> Result<State> {
        if config.start > 1_000_000 {
            return Err(Error::new("start: expected at most a million"));
        }
        Ok(State {
            requests: config.start,
        })
    }

    #[request_route]
    fn main(req: &mut Request, state: &mut State) -> Outcome {
        state.requests += 1;
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        route!(told(req, "request"));
        if req.in_dialog() {
            req.loose_route()?;
            return match req.method() {
                Method::Ack => req.forward(),
                _ => req.relay(),
            };
        }
        match req.method() {
            Method::Options => {
                let count = state.requests.to_string();
                return req.answer(200, "").header("X-Count", &count).send();
            }
            Method::Register => {
                req.save("location")?;
                return Ok(Done);
            }
            Method::Ack => return Ok(Drop),
            _ => {}
        }
        let arm: Vec<String> = listed(req, "X-Arm");
        for what in arm {
            match what.as_str() {
                "failure" => req.on_failure(AGAIN)?,
                "onreply" => req.on_reply(MARK)?,
                "branch" => req.on_branch(STAMP)?,
                _ => return req.reply(400, "X-Arm: failure, onreply or branch"),
            }
        }
        vars::push("seen=>by", "request")?;
        req.record_route()?;
        let targets = listed(req, "X-Fork");
        if targets.is_empty() {
            if req.lookup("location")? == 0 && req.is_for_us() {
                return req.reply(404, "");
            }
            return req.relay();
        }
        let order = match req.header("X-Order") {
            Some("serial") => Order::Serial,
            _ => Order::Parallel,
        };
        let first = 1000u16;
        let targets: Vec<Target> = targets
            .iter()
            .zip(0u16..)
            .map(|(uri, n)| Target {
                q: first.saturating_sub(n),
                ..Target::from(uri.as_str())
            })
            .collect();
        req.fork(&targets, order)
    }

    #[reply_route]
    fn replies(reply: &mut Reply) -> Outcome {
        match (reply.header("X-Drop"), reply.header("X-Fail")) {
            (Some("reply"), _) => return Ok(Drop),
            (_, Some("reply")) => return Err(Error::new("told to fail in reply")),
            _ => {}
        }
        reply.append_header("X-Reply-Route", &reply.status().to_string());
        Ok(Done)
    }

    #[onsend_route]
    fn sends(req: &mut Request) -> Outcome {
        route!(told(req, "onsend"));
        if let Some(destination) = req.destination() {
            log::debug!("{} goes to {destination}", req.method());
        }
        Ok(Done)
    }

    #[branch_route("STAMP")]
    fn stamp(req: &mut Request) -> Outcome {
        route!(told(req, "branch"));
        let number = req.branch().unwrap_or_default().to_string();
        req.set_header("X-Branch", &number);
        Ok(Done)
    }

    #[onreply_route("MARK")]
    fn mark(reply: &mut Reply, req: &mut Request) -> Outcome {
        route!(told(req, "onreply"));
        let number = reply.branch().unwrap_or_default().to_string();
        reply.set_header("X-Onreply-Route", &number);
        if reply.status() == 180 {
            reply.set_status(183, "Ringing Somewhere")?;
        }
        Ok(Done)
    }

    #[failure_route("AGAIN")]
    fn again(req: &mut Request, reply: &mut Reply) -> Outcome {
        route!(told(req, "failure"));
        vars::push("seen=>by", "failure")?;
        if req.is_canceled() {
            return Ok(Done);
        }
        if let Some(status) = req.header("X-Answer").and_then(|s| s.parse().ok()) {
            let (was, seen) = (reply.status().to_string(), vars::count("seen=>by"));
            return req
                .answer(status, "")
                .header("X-Was", &was)
                .header("X-Seen", &seen.to_string())
                .header("X-Timed-Out", &reply.timed_out().to_string())
                .send();
        }
        if let Some(second) = req.header("X-Second").map(str::to_owned) {
            req.set_uri(second);
            return req.relay();
        }
        Ok(Done)
    }

    #[event_route("usrloc:contact-expired")]
    fn expired(contact: &Binding) -> Outcome {
        log::info!("{} is no longer at {}", contact.aor, contact.uri);
        htable::table("expired").add(&contact.aor, 1)?;
        Ok(Done)
    }

    #[export_state]
    fn hand_over(state: &State) -> Option<Vec<u8>> {
        Some(state.requests.to_le_bytes().to_vec())
    }

    #[import_state]
    fn take_over(state: &mut State, bytes: &[u8]) -> Result<()> {
        let bytes = <[u8; 4]>::try_from(bytes)?;
        state.requests = u32::from_le_bytes(bytes);
        Ok(())
    }

    /// What the request's header fields want of a route before anything else.
    fn told(req: &Request, route: &str) -> Outcome {
        if req.header("X-Fail") == Some(route) {
            return Err(Error::new(["told to fail in ", route].concat()));
        }
        if req.header("X-Drop") == Some(route) {
            return Ok(Drop);
        }
        Ok(Next)
    }

    /// The values of a list of ours, which no grammar knows as one.
    fn listed(req: &Request, name: &str) -> Vec<String> {
        let value = req.header(name).unwrap_or_default();
        let values = value.split(',').map(str::trim);
        values
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .collect()
    }
}
