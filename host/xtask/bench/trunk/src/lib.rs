//! What the benchmark relays by: everything for our domain goes to one other server, with the checks of examples/default.
//!
//! The same logic stands beside it for Kamailio, in ../kamailio/trunk.cfg and trunk.lua: what changes here changes there.

use switchhook_sdk::prelude::*;

/// Our answer to OPTIONS.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER";

#[switchhook_sdk::script]
mod routes {
    /// The `config` table of switchhook.toml.
    #[config]
    struct Config {
        /// The host where everything goes.
        host: String,
        /// Its port.
        port: u16,
        /// Relay without transactions.
        #[serde(default)]
        stateless: bool,
    }

    #[request_route]
    fn main(req: &mut Request, config: &Config) -> Outcome {
        route!(reqinit(req));
        route!(withindlg(req));
        route!(relaying(req));
        let there = req.uri().with_host(&config.host);
        req.set_uri(there.with_port(Some(config.port)));
        if config.stateless {
            return req.forward();
        }
        if let Method::Invite | Method::Subscribe | Method::Refer = req.method() {
            req.record_route()?;
        }
        if req.method() == Method::Invite {
            req.on_failure(NO_WAY)?;
        }
        req.relay()
    }

    // REQINIT: what no proxy should pass on, and what is meant for the proxy itself
    fn reqinit(req: &mut Request) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        match req.method() {
            Method::Cancel => req.reply(481, "Call/Transaction Does Not Exist"),
            Method::Options if req.uri().user().is_none() && req.is_for_us() => req
                .answer(200, "OK")
                .header("Allow", ALLOW)
                .header("Accept", "*/*")
                .send(),
            _ => Ok(Next),
        }
    }

    // WITHINDLG: requests of a dialog follow the path that its first request recorded
    fn withindlg(req: &mut Request) -> Outcome {
        if !req.in_dialog() {
            return match req.method() {
                Method::Ack => Ok(Drop),
                Method::Bye | Method::Prack | Method::Update | Method::Info => {
                    req.reply(481, "Call/Transaction Does Not Exist")
                }
                _ => Ok(Next),
            };
        }
        match (req.loose_route()?, req.method()) {
            (Routed::None, Method::Ack) => Ok(Drop),
            (Routed::None, _) => req.reply(481, "Call/Transaction Does Not Exist"),
            (_, Method::Ack) => req.forward(),
            (_, Method::Notify) => {
                req.record_route()?;
                req.relay()
            }
            _ => req.relay(),
        }
    }

    // RELAYING: only what is for us
    fn relaying(req: &mut Request) -> Outcome {
        if !req.is_for_us() {
            return req.reply(403, "Not Relaying");
        }
        if req.header("Route").is_some() {
            req.remove_header("Route");
        }
        Ok(Next)
    }

    // NO_WAY: the other server is gone or too busy: the caller is told to come again
    #[failure_route("NO_WAY")]
    fn no_way(req: &mut Request, reply: &mut Reply) -> Outcome {
        match reply.status() {
            _ if req.is_canceled() => Ok(Done),
            408 | 503 => req.reply(503, "Service Unavailable"),
            _ => Ok(Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use switchhook_sdk::testkit::{Site, request};

    use super::routes::Script;

    const BOB: &str = "sip:bob@example.test";
    const THERE: &str = "sip:bob@192.0.2.1:5080";

    fn trunk(more: &str) -> Site {
        Site::new(
            Script,
            &format!(r#"{{"host": "192.0.2.1", "port": 5080{more}}}"#),
        )
    }

    #[test]
    fn what_is_for_us_goes_to_the_other_server_and_nothing_else_does() {
        let mut call = trunk("").receive(request("INVITE", BOB));
        assert_eq!(call.relayed_to(), [THERE]);
        assert!(call.sent()[0].header("Record-Route").is_some());
        call.times_out();
        assert_eq!(call.status(), Some(503), "no way is told as such");

        let message = trunk("").receive(request("MESSAGE", BOB));
        assert_eq!(message.relayed_to(), [THERE]);
        let elsewhere = trunk("").receive(request("MESSAGE", "sip:x@example.org"));
        assert_eq!(elsewhere.status(), Some(403));
    }

    #[test]
    fn a_stateless_trunk_forwards() {
        let message = trunk(r#", "stateless": true"#).receive(request("MESSAGE", BOB));
        assert_eq!(message.forwarded_to().as_deref(), Some(THERE));
        let last = request("MESSAGE", BOB).header("Max-Forwards", "0");
        assert_eq!(trunk("").receive(last).status(), Some(483));
    }
}
