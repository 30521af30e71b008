#[switchhook_sdk::script]
mod routes {
    #[failure_route]
    fn busy(req: Request) -> Outcome {
        req.relay()
    }
}
