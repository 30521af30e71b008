//! Everything that a proxy may pass on goes to one next hop as it came; what it must refuse is refused.

use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    #[config]
    struct Config {
        /// Where everything goes.
        next_hop: String,
    }

    #[request_route]
    fn main(req: &mut Request, config: &Config) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        req.set_next_hop(&config.next_hop)?;
        match req.method() {
            Method::Ack => req.forward(),
            _ => req.relay(),
        }
    }
}
