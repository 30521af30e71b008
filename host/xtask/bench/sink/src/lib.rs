//! What the Erlang benchmark sends to: every message is decoded, and the one that is the atom `done` is answered.

use switchhook_sdk::erlang::atom;
use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    #[event_route("erlang:sink")]
    fn sink(msg: &erlang::Message) -> Outcome {
        if msg.content().is_atom("done") {
            return msg.reply(atom("done"));
        }
        Ok(Done)
    }
}
