//! An Erlang gen_server decides where calls go; where it is slow, gone or wrong, the config decides.

use std::time::Duration;

use switchhook_sdk::erlang::{RpcError, Term, atom, list, tuple};
use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    use serde::{Deserialize, Serialize};

    /// The `config` table of switchhook.toml.
    #[config]
    struct Config {
        /// The registered name of the gen_server that is asked.
        router: String,
        /// Milliseconds that it may think.
        patience: u64,
        /// Where calls go that it says nothing of, such as `sip:192.0.2.10:5060`.
        fallback: String,
    }

    /// What the router is told: `#{caller => ..., called => ..., callid => ..., source => ...}`.
    #[derive(Serialize)]
    struct Question {
        #[serde(with = "erlang::binary")]
        caller: String,
        #[serde(with = "erlang::binary")]
        called: String,
        #[serde(with = "erlang::binary")]
        callid: String,
        #[serde(with = "erlang::binary")]
        source: String,
    }

    /// What it answers.
    #[derive(Debug, Deserialize)]
    enum Decision {
        /// `{relay, [Uri]}`: to these, all at once.
        Relay(Vec<String>),
        /// `{hunt, [Uri]}`: to these, one after the other.
        Hunt(Vec<String>),
        /// `{reject, Status, Reason}`
        Reject(u16, String),
    }

    #[request_route]
    fn main(req: &mut Request, config: &Config) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        if req.in_dialog() {
            req.loose_route()?;
            return if req.method() == Method::Ack {
                req.forward()
            } else {
                req.relay()
            };
        }
        match req.method() {
            Method::Invite => {}
            Method::Ack => return Ok(Drop),
            Method::Options => return req.reply(200, "OK"),
            _ => return req.reply(405, "Method Not Allowed"),
        }
        req.record_route()?;
        match ask(req, config) {
            Ok(Decision::Relay(uris)) if !uris.is_empty() => {
                req.fork(&targets(&uris), Order::Parallel)
            }
            Ok(Decision::Hunt(uris)) if !uris.is_empty() => {
                req.fork(&targets(&uris), Order::Serial)
            }
            Ok(Decision::Reject(status @ 400..=699, reason)) => req.reply(status, &reason),
            Ok(decision) => fall_back(req, config, &format!("it said {decision:?}")),
            Err(error) => fall_back(req, config, error.message()),
        }
    }

    /// `gen_server:call(Router, {route, Question}, Patience)`, on the active node.
    fn ask(req: &Request, config: &Config) -> Result<Decision> {
        let question = Question {
            caller: req.from().uri().user().unwrap_or_default().to_owned(),
            called: req.uri().user().unwrap_or_default().to_owned(),
            callid: req.call_id().to_owned(),
            source: req.source().to_string(),
        };
        let router: Term = erlang::Atom::new(&config.router)?.into();
        let question = tuple![atom("route"), erlang::to_map(&question)?];
        let patience = Duration::from_millis(config.patience);
        let call = list![router, question, config.patience];
        match erlang::rpc_for(patience, "", "gen_server", "call", call) {
            Ok(decision) => Ok(erlang::from_term(&decision)?),
            Err(RpcError::Raised(reason)) => Err(Error::new(format!("it failed: {reason}"))),
            Err(error) => Err(error.into()),
        }
    }

    fn fall_back(req: &mut Request, config: &Config, why: &str) -> Outcome {
        log::warn!("the router is not followed: {why}");
        req.set_next_hop(&config.fallback)?;
        req.relay()
    }

    /// The first is preferred.
    fn targets(uris: &[String]) -> Vec<Target> {
        let falling = (0..=1000).rev();
        let target = |(uri, q): (&String, u16)| Target {
            q,
            ..Target::from(uri.as_str())
        };
        uris.iter().zip(falling).map(target).collect()
    }

    #[event_route("erlang-event:node-up")]
    fn node_up(event: &erlang::Event) -> Outcome {
        if let erlang::Event::NodeUp { node } = event {
            log::info!("{node} may route");
        }
        Ok(Done)
    }

    #[event_route("erlang-event:node-busy")]
    fn node_busy(event: &erlang::Event) -> Outcome {
        if let erlang::Event::NodeBusy { node } = event {
            log::warn!("{node} takes no more questions");
        }
        Ok(Done)
    }

    #[event_route("erlang-event:node-ready")]
    fn node_ready(event: &erlang::Event) -> Outcome {
        if let erlang::Event::NodeReady { node } = event {
            log::info!("{node} takes questions again");
        }
        Ok(Done)
    }

    #[event_route("erlang-event:node-down")]
    fn node_down(event: &erlang::Event) -> Outcome {
        if let erlang::Event::NodeDown { node, reason } = event {
            log::warn!("{node} is gone: {reason}");
        }
        Ok(Done)
    }
}

#[cfg(test)]
mod tests;
