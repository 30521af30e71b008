//! `udp:127.0.0.1:5060`: where to listen, as the config writes it.
//!
//! What the words mean is `switchhook_net`'s; here are the port that may be left out and Kamailio's word `advertise`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// `TRANSPORT:ADDRESS[:PORT] [advertise HOST[:PORT]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) switchhook_net::Listen);

/// The port of SIP by UDP and TCP (RFC 3261 section 18.1.1).
const PORT: u16 = 5060;

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, advertise) = match text.split_once(" advertise ") {
            Some((address, advertise)) => (address.trim(), Some(advertise.trim())),
            None => (text.trim(), None),
        };
        let address = if has_port(address) {
            Cow::from(address)
        } else {
            format!("{address}:{PORT}").into()
        };
        let mut listen: switchhook_net::Listen = address
            .parse()
            .map_err(|error: switchhook_net::BadListen| error.to_string())?;
        listen.advertise = advertise.map(host_and_port).transpose()?;
        Ok(Self(listen))
    }
}

/// Whether something follows the address; a lone IPv6 address is in brackets.
fn has_port(text: &str) -> bool {
    let address = text.split_once(':').map_or("", |(_, address)| address);
    match address.rsplit_once(']') {
        Some((_, rest)) => !rest.is_empty(),
        None => address.contains(':'),
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (text, Some(PORT)),
    };
    let valid = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
    match port {
        Some(port) if valid => Ok((host.to_owned(), port)),
        _ => Err(format!(
            "`{text}`: expected a host name or address after `advertise`, with a port or without"
        )),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match &self.0.advertise {
            Some((host, port)) => write!(f, " advertise {host}:{port}"),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|label| de::Error::custom(format_args!("bad listen address\n{label}")))
    }
}

impl serde::Serialize for Listen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Listen {
    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "TRANSPORT:ADDRESS[:PORT] [advertise HOST[:PORT]]. Without a port 5060; port 0 takes a free one. 0.0.0.0 and [::] \
                            stand for every address of that family which the machine has at the start. `advertise` \
                            says what peers reach us by where that is not the address itself (behind NAT).",
            "type": "string",
            "pattern": "^(udp|tcp):",
            "examples": ["udp:127.0.0.1:5060", "tcp:[::1]:5060", "udp:10.0.0.5:5060 advertise sip.example.test:5060", "udp:0.0.0.0:5060"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in [
            "udp:127.0.0.1:5060",
            "tcp:[::1]:5061",
            "udp:127.0.0.1:0",
            "udp:10.0.0.5:5060 advertise sip.example.test:5070",
            "udp:0.0.0.0:5060 advertise 203.0.113.1:5060",
            "tcp:[::]:5060",
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!(
            "udp:127.0.0.1".parse::<Listen>().unwrap().to_string(),
            "udp:127.0.0.1:5060"
        );
        assert_eq!(
            "tcp:[::1]".parse::<Listen>().unwrap().to_string(),
            "tcp:[::1]:5060"
        );
        let behind_nat: Listen = "udp:10.0.0.5 advertise [2001:db8::1]".parse().unwrap();
        assert_eq!(
            behind_nat.0.advertise,
            Some(("[2001:db8::1]".to_owned(), 5060))
        );
        for text in [
            "",
            "udp",
            "127.0.0.1:5060",
            "sctp:127.0.0.1:5060",
            "udp:example.test:5060",
            "udp:127.0.0.1:99999",
            "udp:10.0.0.5 advertise ",
            "udp:10.0.0.5 advertise a b",
        ] {
            text.parse::<Listen>().unwrap_err();
        }
    }
}
