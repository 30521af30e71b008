#[switchhook_sdk::script]
mod routes {
    #[rpc("count")]
    fn count(params: &rpc::Params) -> Result<u32> {
        Ok(1)
    }
}
