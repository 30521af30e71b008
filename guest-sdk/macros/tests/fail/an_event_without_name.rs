#[switchhook_sdk::script]
mod routes {
    #[event_route]
    fn gone(contact: &Binding) -> Outcome {
        Ok(Done)
    }
}
