#[switchhook_sdk::script(name = "default")]
mod routes {
    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        req.relay()
    }
}
