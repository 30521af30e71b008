#[switchhook_sdk::script]
mod routes;
