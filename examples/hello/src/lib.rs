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
                log::info!("{} from {} to {}", req.method(), req.from().uri(), req.uri());
                req.set_next_hop(&config.server)?;
                req.record_route()?;
                req.relay()
            }
        }
    }
}
