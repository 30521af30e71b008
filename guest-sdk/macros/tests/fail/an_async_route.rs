#[switchhook_sdk::script]
mod routes {
    #[request_route]
    async fn main(req: &mut Request) -> Outcome {
        req.relay()
    }
}
