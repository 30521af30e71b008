//! What a small site runs: users register and call each other, and a call that is not taken goes to a second target.
//!
//! Read it beside Kamailio's default configuration: the blocks have the same names and the same order. What a block comes to is
//! `Next` (go on with the next block), `Done` (it is decided, Kamailio's `exit`) or `Drop`.

use std::collections::BTreeMap;

use switchhook_sdk::prelude::*;

/// Our answer to OPTIONS, and what a 405 tells.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER";

#[switchhook_sdk::script]
mod routes {
    /// The `config` table of switchhook.toml. Which domains are ours stands in its `[sip]`.
    #[config]
    struct Config {
        /// Whether our own users must prove who they are.
        #[serde(default = "yes")]
        auth: bool,
        /// The realm of the users, and the domain that calls to our bare addresses mean.
        realm: String,
        /// Second targets, where calls go that are busy or not answered: user to URI.
        #[serde(default)]
        second: BTreeMap<String, String>,
        /// The second target of everyone else, such as a voicemail's URI. Empty: none.
        #[serde(default)]
        voicemail: String,
        /// Milliseconds that a phone may ring before the second target's turn.
        #[serde(default = "half_a_minute")]
        no_answer: u32,
    }

    fn yes() -> bool {
        true
    }

    fn half_a_minute() -> u32 {
        30_000
    }

    /// Every request but what the host answers itself: retransmissions, the CANCEL of a call, the ACK of a refused one.
    #[request_route]
    fn main(req: &mut Request, config: &Config) -> Outcome {
        route!(reqinit(req));
        route!(withindlg(req));
        route!(relaying(req));
        route!(auth(req, config));
        route!(registrar(req));
        location(req, config)
    }

    // REQINIT: what no proxy should pass on, and what is meant for the proxy itself
    fn reqinit(req: &mut Request) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        match req.method() {
            // a known INVITE's CANCEL does not come here
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
            // the ACK of a 2xx is a transaction of its own and has no answer
            (_, Method::Ack) => req.forward(),
            (_, Method::Notify) => {
                // it may be what makes the dialog of a SUBSCRIBE
                req.record_route()?;
                req.relay()
            }
            _ => req.relay(),
        }
    }

    // no open relay: only what is for our domains and addresses
    fn relaying(req: &mut Request) -> Outcome {
        if !req.is_for_us() {
            return req.reply(403, "Not Relaying");
        }
        // the way to us is behind it, and where it goes on from here we know
        if req.header("Route").is_some() {
            req.remove_header("Route");
        }
        Ok(Next)
    }

    // AUTH: our own users, and whoever registers
    fn auth(req: &mut Request, config: &Config) -> Outcome {
        if !config.auth {
            return Ok(Next);
        }
        let registers = req.method() == Method::Register;
        if !registers && !transport::is_myself(req.from().uri()) {
            return Ok(Next); // a caller from elsewhere may call our users
        }
        let access = if registers {
            auth::www_authenticate(req, &config.realm)?
        } else {
            auth::proxy_authenticate(req, &config.realm)?
        };
        let Access::Granted(user) = access else {
            return Ok(Done); // challenged, or refused
        };
        let claimed = if registers { req.to() } else { req.from() };
        if claimed.uri().user() != Some(&user) {
            return req.reply(403, "Not Your Name");
        }
        if !registers {
            auth::consume_credentials(req);
        }
        Ok(Next)
    }

    // REGISTRAR
    fn registrar(req: &mut Request) -> Outcome {
        match req.method() {
            Method::Register if !transport::is_myself(req.to().uri()) => {
                req.reply(404, "Not Found")
            }
            Method::Register => {
                req.save("location")?; // it answers
                Ok(Done)
            }
            _ => Ok(Next),
        }
    }

    // LOCATION: to all of the user's phones at once
    fn location(req: &mut Request, config: &Config) -> Outcome {
        let Some(user) = req.uri().user().map(str::to_owned) else {
            return req.reply(484, "Address Incomplete");
        };
        if let Method::Invite | Method::Subscribe | Method::Refer = req.method() {
            req.record_route()?;
        }
        let second = config
            .second_target(&user)
            .filter(|_| req.method() == Method::Invite);
        let registered = find(req, config)? > 0;
        match second {
            None if registered => req.relay(),
            None => req.reply(404, "Not Found"),
            Some(_) if registered => {
                req.on_failure(MANAGE_FAILURE)?;
                req.set_timeouts(0, config.no_answer)?;
                req.relay()
            }
            Some(second) => {
                route!(relay_to(req, config, second));
                req.reply(404, "Not Found")
            }
        }
    }

    // MANAGE_FAILURE: busy, no answer or not reachable: the second target, once
    #[failure_route("MANAGE_FAILURE")]
    fn manage_failure(req: &mut Request, reply: &mut Reply, config: &Config) -> Outcome {
        if req.is_canceled() {
            return Ok(Done);
        }
        let user = req.uri().user().unwrap_or_default();
        match (reply.status(), config.second_target(user)) {
            (408 | 480 | 486 | 487 | 503 | 600, Some(second)) => {
                log::info!("{user} answers {}: to {second}", reply.status());
                relay_to(req, config, second)
            }
            _ => Ok(Done), // the caller gets the best answer there was
        }
    }

    /// To a second target; one of our own users must be registered.
    fn relay_to(req: &mut Request, config: &Config, target: &str) -> Outcome {
        req.set_uri(target);
        if req.is_for_us() && find(req, config)? == 0 {
            return Ok(Next);
        }
        req.relay()
    }

    /// Looks the request URI up; a user at one of our bare addresses is a user of our realm too.
    fn find(req: &mut Request, config: &Config) -> Result<u32> {
        let found = req.lookup("location")?;
        if found > 0 || req.uri().host() == config.realm {
            return Ok(found);
        }
        let at_home = req.uri().with_host(&config.realm).with_port(None);
        req.lookup_uri("location", at_home)
    }

    impl Config {
        fn second_target(&self, user: &str) -> Option<&str> {
            let own = self.second.get(user).unwrap_or(&self.voicemail);
            (!own.is_empty()).then_some(own)
        }
    }
}

#[cfg(test)]
mod tests;
