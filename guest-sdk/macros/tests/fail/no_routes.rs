#[switchhook_sdk::script]
mod routes {
    #[init]
    fn init() -> Result<()> {
        Ok(())
    }
}
