#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main(req: &mut Request, reply: &mut Reply) -> Outcome {
        req.relay()
    }
}
