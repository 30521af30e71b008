#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main(&mut self) -> Outcome {
        Ok(Done)
    }
}
