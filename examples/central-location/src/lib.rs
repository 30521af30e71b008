//! Registrars that tell a central server which of them a phone registered at, after the talk "Replication Mechanisms" (Kamailio World
//! 2019, the KUSRLOC recipe). The central server knows no phones, only their registrars: a call that a registrar has no phone for goes
//! through it.
//!
//! One script for both: with `central` in its config it is a registrar, without it is the central server.

use switchhook_sdk::prelude::*;
use switchhook_sdk::transport::Endpoint;

/// The method of the recipe.
const KUSRLOC: &str = "KUSRLOC";
/// Where each address of record is registered, at the central server.
const WHERE: htable::Table<'_> = htable::table("kusrloc");

#[switchhook_sdk::script]
mod routes {
    #[config]
    struct Config {
        /// The central server, a SIP URI; empty where this is it.
        #[serde(default)]
        central: String,
        /// The addresses that the central server takes news from. Of a registrar: the central server's own address.
        trusted: Vec<std::net::IpAddr>,
        /// Who a registrar is at the central server, where that asks.
        #[serde(default)]
        user: String,
        #[serde(default)]
        password: String,
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
            method if method.as_str() == KUSRLOC => store(req, config),
            Method::Register if config.central.is_empty() => req.reply(403, "Register Elsewhere"),
            Method::Register => registrar(req, config),
            _ if config.central.is_empty() => onward(req),
            _ => location(req, config),
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

    // The central server: a registrar's news. `$sht(kusrloc=>$rb) = "sip:" + $si + ":" + $sp + ";transport=" + $pr`
    fn store(req: &mut Request, config: &Config) -> Outcome {
        let is_news = config.central.is_empty() && req.uri().user() == Some("store");
        if !is_news || !is_trusted(req, config) {
            return req.reply(403, "Forbidden");
        }
        let Ok(aor) = String::from_utf8(req.body().to_vec()) else {
            return req.reply(400, "Bad Address Of Record");
        };
        if !aor.contains('@') || aor.len() > 256 {
            return req.reply(400, "Bad Address Of Record");
        }
        let registrar = req.source().to_uri();
        match req
            .header("Expires")
            .and_then(|text| text.parse::<u32>().ok())
        {
            // Only the registrar that has it can take it back: the phone may have moved on since.
            Some(0) if known(&aor)?.as_deref() == Some(&*registrar) => {
                WHERE.remove(&aor)?;
            }
            Some(0) => {}
            Some(seconds) => WHERE.set_for(&aor, registrar, seconds)?,
            None => WHERE.set(&aor, registrar)?,
        }
        req.reply(200, "Stored")
    }

    // The central server: to the registrar of that user. `$du = $sht(kusrloc=>$rU@$rd)`
    fn onward(req: &mut Request) -> Outcome {
        let uri = req.uri();
        let aor = format!("{}@{}", uri.user().unwrap_or_default(), uri.host());
        match known(&aor)? {
            Some(registrar) => {
                req.set_next_hop(registrar)?;
                req.relay()
            }
            None => req.reply(404, "Not Found"),
        }
    }

    /// The registrar of an address of record.
    fn known(aor: &str) -> Result<Option<String>> {
        Ok(match WHERE.get(aor)? {
            Some(htable::Value::Text(registrar)) => Some(registrar),
            _ => None,
        })
    }

    // A registrar: saves, and tells the central server.
    fn registrar(req: &mut Request, config: &Config) -> Outcome {
        let saved = req.save("location")?;
        if matches!(saved, Saved::Refused | Saved::Queried) {
            return Ok(Done);
        }
        let uri = req.to().uri().as_str().to_owned();
        let (aor, contacts) = (Uri::parse(&uri)?, registrar::bindings("location", &uri)?);
        let aor = format!("{}@{}", aor.user().unwrap_or_default(), aor.host());
        let seconds = contacts.iter().map(|contact| contact.expires).max();
        let mut news = uac::Request::new(KUSRLOC, &central(config, "store")?)
            .header("Expires", seconds.unwrap_or(0).to_string())
            .body("text/kusrloc", &aor)
            .on_reply("stored", &aor);
        if !config.user.is_empty() {
            news = news.credentials(&config.user, &config.password);
        }
        news.send()?;
        Ok(Done)
    }

    /// What became of the news; the phone was answered long ago, and will register again.
    #[event_route("uac:stored")]
    fn stored(reply: &uac::Reply) -> Outcome {
        if !reply.is_success() {
            let (aor, status, reason) = (reply.context(), reply.status(), reply.reason());
            log::warn!("the central server does not know of {aor}: {status} {reason}");
        }
        Ok(Done)
    }

    // A registrar: its own phones, else through the central server, unless the call came from there.
    fn location(req: &mut Request, config: &Config) -> Outcome {
        if req.lookup("location")? == 0 {
            if is_trusted(req, config) {
                return req.reply(404, "Not Found");
            }
            req.set_next_hop(&config.central)?;
        }
        req.record_route()?;
        req.relay()
    }

    fn is_trusted(req: &Request, config: &Config) -> bool {
        config.trusted.contains(&req.source().ip())
    }

    /// The central server's URI with that user.
    fn central(config: &Config, user: &str) -> Result<String> {
        let central = Uri::parse(&config.central)?;
        Ok(central.with_user(user).as_str().to_owned())
    }

    #[init]
    fn init(config: Config) -> Result<Config> {
        if !config.central.is_empty() && Endpoint::of_uri(&config.central).is_none() {
            return Err(Error::new(
                "config.central: expected a SIP URI with an address",
            ));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
