#[switchhook_sdk::script]
mod routes {
    #[event_route("usrloc:contact-expires")]
    fn gone(contact: &Binding) -> Outcome {
        Ok(Done)
    }
}
