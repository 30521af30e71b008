#[switchhook_sdk::script]
mod routes {
    #[failure_route("BUSY")]
    fn manage_failure(req: &mut Request) -> Outcome {
        req.relay()
    }

    #[failure_route]
    fn busy(req: &mut Request) -> Outcome {
        req.relay()
    }
}
