#[switchhook_sdk::script]
mod routes {
    #[config]
    struct Config {
        auth: bool,
    }

    #[config]
    struct Other {
        auth: bool,
    }

    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        req.relay()
    }
}
