#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main<T>(req: &mut Request) -> Outcome {
        req.relay()
    }
}
