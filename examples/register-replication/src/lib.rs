//! A pair of registrars behind a load balancer, after the talk "Replication Mechanisms" (Kamailio World 2019): whichever of the two gets
//! a REGISTER saves it and passes it on to the other by `t_replicate`, with where the phone is in P- header fields. No bus is needed.

use switchhook_sdk::prelude::*;
use switchhook_sdk::transport::Endpoint;

/// Where the phone is, behind NAT or not: `$avp(received)`.
const RECEIVED: &str = "P-RCV-ADDR";
/// Whether it is behind NAT.
const NAT: &str = "P-SRC-NAT";
/// The socket of the other server that the phone registered at.
const SOCKET: &str = "P-Local-Sock";

#[switchhook_sdk::script]
mod routes {
    #[config]
    struct Config {
        /// The other server, a SIP URI with its address: PAIRSRV_IP:PAIRSRV_PORT.
        pair: String,
        /// The users' realm; empty for a site where all may register as whom they like.
        #[serde(default)]
        realm: String,
    }

    #[request_route]
    fn main(req: &mut Request, config: &Config) -> Outcome {
        if let Some(problem) = req.check() {
            return req.refuse(&problem);
        }
        if req.in_dialog() {
            return withindlg(req);
        }
        match req.method() {
            Method::Ack => Ok(Drop),
            Method::Cancel => req.reply(481, "Call/Transaction Does Not Exist"),
            Method::Options => req.reply(200, "OK"),
            Method::Register if is_from_pair(req, config)? => replicated(req),
            Method::Register => registrar(req, config),
            _ => location(req),
        }
    }

    fn withindlg(req: &mut Request) -> Outcome {
        match (req.loose_route()?, req.method()) {
            (Routed::None, Method::Ack) => Ok(Drop),
            (Routed::None, _) => req.reply(481, "Call/Transaction Does Not Exist"),
            (_, Method::Ack) => req.forward(),
            _ => req.relay(),
        }
    }

    fn location(req: &mut Request) -> Outcome {
        if req.lookup("location")? == 0 {
            return req.reply(404, "Not Found");
        }
        req.record_route()?;
        req.relay()
    }

    /// `src_ip == PAIRSRV_IP`
    fn is_from_pair(req: &Request, config: &Config) -> Result<bool> {
        let pair = Endpoint::of_uri(&config.pair);
        let pair =
            pair.ok_or_else(|| Error::new("config.pair: expected a SIP URI with an address"))?;
        Ok(req.source().ip() == pair.ip() && req.source().port == pair.port)
    }

    // A phone's REGISTER: saved before it is passed on, so that the other never knows of one that was refused here.
    fn registrar(req: &mut Request, config: &Config) -> Outcome {
        if !config.realm.is_empty() {
            let Access::Granted(user) = auth::www_authenticate(req, &config.realm)? else {
                return Ok(Done);
            };
            if req.to().uri().user() != Some(&user) {
                return req.reply(403, "Not Your Name");
            }
        }
        // What a phone writes there itself is no recipe of ours.
        for name in [NAT, RECEIVED, SOCKET] {
            req.remove_header(name);
        }
        if let Saved::Refused | Saved::Queried = req.save("location")? {
            return Ok(Done);
        }
        let source = req.source();
        if is_behind_nat(req, &source) {
            req.append_header(NAT, "yes");
        }
        req.append_header(RECEIVED, &source.to_uri());
        req.append_header(SOCKET, &req.local().to_string());
        // The other trusts us, not the phone.
        req.remove_header("Authorization");
        req.replicate([&config.pair])?;
        Ok(Done)
    }

    // The other's REGISTER: just saved, for the phone and not for the server that it came from.
    fn replicated(req: &mut Request) -> Outcome {
        let said = req.header(RECEIVED).and_then(Endpoint::of_uri);
        let phone = said.or_else(|| contact(req));
        match phone {
            Some(phone) => req.save_received("location", phone)?,
            None => req.save("location")?,
        };
        Ok(Done)
    }

    fn is_behind_nat(req: &Request, source: &Endpoint) -> bool {
        let contact = contact(req);
        contact.is_some_and(|contact| contact.ip() != source.ip() || contact.port != source.port)
    }

    /// The address that the first contact names, if it names one.
    fn contact(req: &Request) -> Option<Endpoint> {
        let contact = NameAddr::read(req.header("Contact")?);
        Endpoint::of_uri(contact.uri().as_str())
    }
}

#[cfg(test)]
mod tests;
