//! Requests of a script's own, as commands say.
//!
//! - `own.ask {method, uri, ...}` waits for the reply and gives it
//! - `own.send {method, uri, ..., context}` goes on; the reply is kept in the table `replies` under the context, as `status made-here`
//! - a MESSAGE is answered with what an OPTIONS to its request URI is answered: the route waits meanwhile

use serde::{Deserialize, Serialize};
use switchhook_sdk::prelude::*;

#[derive(Deserialize)]
#[serde(default)]
struct Wanted {
    method: String,
    uri: String,
    next_hop: Option<String>,
    user: Option<String>,
    password: String,
    body: String,
    timeout: u32,
    route: String,
    context: String,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            method: "OPTIONS".to_owned(),
            uri: String::new(),
            next_hop: None,
            user: None,
            password: String::new(),
            body: String::new(),
            timeout: 0,
            route: "came".to_owned(),
            context: String::new(),
        }
    }
}

#[derive(Serialize)]
struct Came {
    status: u16,
    reason: String,
    made_here: bool,
    server: String,
    text: String,
}

impl Wanted {
    fn request(&self) -> uac::Request {
        let mut request = uac::Request::new(&self.method, &self.uri)
            .header("X-Asks", "own")
            .timeout_ms(self.timeout);
        if let Some(next_hop) = &self.next_hop {
            request = request.next_hop(next_hop);
        }
        if let Some(user) = &self.user {
            request = request.credentials(user, &self.password);
        }
        if !self.body.is_empty() {
            request = request.body("text/plain", &self.body);
        }
        request
    }
}

#[switchhook_sdk::script]
pub mod routes {
    #[rpc("own.ask")]
    fn ask(params: &rpc::Params) -> Result<Came> {
        let wanted: Wanted = params.read()?;
        let reply = wanted.request().ask()?;
        Ok(Came {
            status: reply.status(),
            reason: reply.reason().to_owned(),
            made_here: reply.is_made_here(),
            server: reply.header("Server").unwrap_or_default().to_owned(),
            text: reply.text().unwrap_or_default().to_owned(),
        })
    }

    #[rpc("own.send")]
    fn send(params: &rpc::Params) -> Result<u64> {
        let wanted: Wanted = params.read()?;
        wanted
            .request()
            .on_reply(&wanted.route, &wanted.context)
            .send()
    }

    #[event_route("uac:came")]
    fn came(reply: &uac::Reply) -> Outcome {
        let text = format!("{} {}", reply.status(), reply.is_made_here());
        htable::table("replies").set(reply.context(), text)?;
        Ok(Done)
    }

    /// Sends again whatever comes: where nobody is reached this must not go on for ever.
    #[event_route("uac:again")]
    fn again(reply: &uac::Reply) -> Outcome {
        htable::table("replies").add(reply.context(), 1)?;
        uac::Request::new("OPTIONS", "sip:127.0.0.1;transport=tls")
            .on_reply("again", reply.context())
            .send()?;
        Ok(Done)
    }

    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        match req.method() {
            Method::Message => {
                let uri = req.uri().as_str().to_owned();
                let reply = uac::Request::new("OPTIONS", uri).timeout_ms(2000).ask()?;
                req.reply(reply.status(), reply.reason())
            }
            Method::Options => req.reply(200, "Here"),
            _ => req.reply(405, "Method Not Allowed"),
        }
    }
}
