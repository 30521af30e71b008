#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        req.relay()
    }

    #[request_route]
    fn other(req: &mut Request) -> Outcome {
        req.relay()
    }
}
