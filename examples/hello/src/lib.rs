//! A first script: answers OPTIONS, sends everything else to one server and stays on the path of its calls.

use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    /// The `config` table of switchhook.toml.
    #[config]
    struct Config {
        /// Where everything goes, such as `sip:192.0.2.10:5060`.
        server: String,
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
            Method::Options => req.reply(200, "Hello"),
            Method::Ack => Ok(Drop),
            _ => {
                log::info!(
                    "{} from {} to {}",
                    req.method(),
                    req.from().uri(),
                    req.uri()
                );
                req.set_next_hop(&config.server)?;
                req.record_route()?;
                req.relay()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use switchhook_sdk::testkit::{Site, request};

    fn site() -> Site {
        Site::new(
            super::routes::Script,
            r#"{"server": "sip:192.0.2.10:5060"}"#,
        )
    }

    #[test]
    fn options_are_answered() {
        let call = site().receive(request("OPTIONS", "sip:example.test"));
        assert_eq!(call.answer().map(|answer| answer.reason()), Some("Hello"));
    }

    #[test]
    fn a_call_goes_to_the_server_and_stays_with_us() {
        let call = site().receive(request("INVITE", "sip:bob@example.test"));
        assert_eq!(call.relayed_to(), ["sip:bob@example.test"]);
        assert_eq!(call.sent()[0].next_hop(), Some("sip:192.0.2.10:5060"));
        assert!(call.sent()[0].header("Record-Route").is_some());

        let bye = site().receive(request("BYE", "sip:bob@192.0.2.7").in_dialog());
        assert_eq!(bye.relayed_to(), ["sip:bob@192.0.2.7"]);
    }
}
