#[switchhook_sdk::script]
mod routes {
    #[event_route("erlang:greetings")]
    fn greetings(msg: &erlang::Message, req: &mut Request) -> Outcome {
        Ok(Done)
    }
}
