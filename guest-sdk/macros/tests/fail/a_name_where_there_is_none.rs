#[switchhook_sdk::script]
mod routes {
    #[request_route("MAIN")]
    fn main(req: &mut Request) -> Outcome {
        req.relay()
    }
}
