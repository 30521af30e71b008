#[switchhook_sdk::script]
mod routes {
    #[init]
    fn init(config: Config) {}

    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        req.relay()
    }
}
