#[switchhook_sdk::script]
mod routes {
    #[request_route]
    #[reply_route]
    fn main(req: &mut Request) -> Outcome {
        req.relay()
    }
}
