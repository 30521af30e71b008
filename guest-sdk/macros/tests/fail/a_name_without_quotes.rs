#[switchhook_sdk::script]
mod routes {
    #[failure_route(BUSY)]
    fn busy(req: &mut Request) -> Outcome {
        req.relay()
    }
}
