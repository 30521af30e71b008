//! A registrar and proxy on a DMQ bus: contacts and the table `ht` replicate by themselves; the script adds a channel of its own, copies of
//! requests for all nodes, and says what becomes of members.

use switchhook_sdk::prelude::*;

/// What other nodes said on the channel `news`, by node; it does not replicate.
const NEWS: htable::Table<'_> = htable::table("news");
/// The bulletins of this site, by Call-ID; it does not replicate: each node gets a copy of the request instead.
const BULLETINS: htable::Table<'_> = htable::table("bulletins");

#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        if req.in_dialog() {
            return withindlg(req);
        }
        match req.method() {
            Method::Ack => return Ok(Drop),
            Method::Cancel => return req.reply(481, "Call/Transaction Does Not Exist"),
            Method::Options => return req.reply(200, "OK"),
            Method::Register => {
                // the other nodes have the contact as soon as it is saved
                req.save("location")?;
                return Ok(Done);
            }
            Method::Message if req.uri().user() == Some("bulletin") => return bulletin(req),
            _ => {}
        }
        if req.lookup("location")? == 0 {
            return req.reply(404, "Not Found");
        }
        req.record_route()?;
        req.relay()
    }

    fn withindlg(req: &mut Request) -> Outcome {
        match (req.loose_route()?, req.method()) {
            (Routed::None, Method::Ack) => Ok(Drop),
            (Routed::None, _) => req.reply(481, "Call/Transaction Does Not Exist"),
            (_, Method::Ack) => req.forward(),
            _ => req.relay(),
        }
    }

    /// A MESSAGE for `bulletin` is kept by every node: `dmq_t_replicate()`. What came from a node goes no further.
    fn bulletin(req: &mut Request) -> Outcome {
        let text = String::from_utf8_lossy(req.body()).into_owned();
        BULLETINS.set(req.call_id(), text)?;
        dmq::replicate(req)?;
        req.reply(200, "Kept")
    }

    /// A node says something on the channel `news`.
    #[event_route("dmq:news")]
    fn news(msg: &mut dmq::Message) -> Outcome {
        let Some(text) = msg.text() else {
            return msg.reply(415, "Text Wanted");
        };
        log::info!("{} says: {text}", msg.sender());
        NEWS.set(msg.sender(), text)?;
        msg.reply_with(202, "Noted", "text/plain", "thank you")
    }

    /// Says something to all nodes; gives the number of the message.
    #[rpc("news.tell")]
    fn tell(params: &rpc::Params) -> Result<u64> {
        let (text,): (String,) = params.read()?;
        dmq::broadcast("news", "text/plain", text)
    }

    /// Says something to one node, `[node, text]`; gives the number of the message.
    #[rpc("news.tell_one")]
    fn tell_one(params: &rpc::Params) -> Result<u64> {
        let (node, text): (String, String) = params.read()?;
        dmq::send(&node, "news", "text/plain", text)
    }

    /// Whether all other nodes answer at present.
    #[rpc("news.all_here")]
    fn all_here(_params: &rpc::Params) -> Result<bool> {
        let nodes = dmq::nodes()?;
        Ok(nodes.iter().all(|node| node.state == dmq::State::Active))
    }

    #[event_route("dmq-event:answered")]
    fn answered(event: &dmq::Event) -> Outcome {
        if let dmq::Event::Answered {
            number,
            node,
            status,
        } = event
        {
            log::info!("message {number}: {node} answers {status}");
        }
        Ok(Done)
    }

    #[event_route("dmq-event:peer-up")]
    fn peer_up(event: &dmq::Event) -> Outcome {
        log::info!("{} is here", event.node());
        Ok(Done)
    }

    #[event_route("dmq-event:peer-disabled")]
    fn peer_disabled(event: &dmq::Event) -> Outcome {
        log::warn!("{} does not answer", event.node());
        Ok(Done)
    }

    #[event_route("dmq-event:peer-down")]
    fn peer_down(event: &dmq::Event) -> Outcome {
        log::warn!("{} is gone", event.node());
        Ok(Done)
    }
}

#[cfg(test)]
mod tests;
