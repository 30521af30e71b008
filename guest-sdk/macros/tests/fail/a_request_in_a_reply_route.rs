#[switchhook_sdk::script]
mod routes {
    #[reply_route]
    fn replies(reply: &mut Reply, req: &mut Request) -> Outcome {
        Ok(Done)
    }
}
