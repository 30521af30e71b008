#[switchhook_sdk::script]
fn main(req: &mut Request) -> Outcome {
    req.relay()
}
