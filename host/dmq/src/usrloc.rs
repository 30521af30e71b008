//! The channel `usrloc`: contacts, one by one as they change, in batches for those that join.
//!
//! `{"action":1,"aor":...}` with all 19 keys: Kamailio makes garbage of those that are missing. A batch is
//! `{"multi":{"1":{...},"2":{...}}}`, at most [`MAX_BATCH`] contacts. What is read may lack all but `aor` and `c`, and may have
//! others besides.
//!
//! Times are absolute, by the sender's clock. [`Contact::left`] bounds what a wrong clock can do: a contact never lives longer than
//! it was granted.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::envelope::MAX_BODY;
use crate::htable::Malformed;
use crate::node::Now;

/// The channel.
pub const CHANNEL: &str = "usrloc";
/// The most contacts in a batch that we send.
pub const MAX_BATCH: usize = 50;
/// The most contacts in a batch that is read.
pub const MAX_READ: usize = 1000;
/// The longest life that a contact is given.
pub const MAX_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// All methods: what Kamailio writes where a contact named none.
pub const ALL_METHODS: u32 = u32::MAX;

const SAVE: i64 = 1;
const REMOVE: i64 = 2;
const SYNC: i64 = 3;

/// A contact with all that Kamailio tells of it. Texts are empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The address of record as it is written on the bus: `alice`, or `alice@example.test`.
    pub aor: String,
    /// Its name, the same at all nodes.
    #[serde(default)]
    pub ruid: String,
    /// The contact's URI.
    #[serde(rename = "c")]
    pub uri: String,
    /// Where its REGISTER came from, as a URI, where that differs from the contact.
    #[serde(default, deserialize_with = "text")]
    pub received: String,
    /// The sender's socket it came to: `udp:192.0.2.1:5060`.
    #[serde(default, deserialize_with = "text")]
    pub sock: String,
    /// The Path, a list of Route values.
    #[serde(default, deserialize_with = "text")]
    pub path: String,
    /// The Call-ID of its REGISTER.
    #[serde(default, rename = "callid", deserialize_with = "text")]
    pub call_id: String,
    /// The User-Agent of its REGISTER.
    #[serde(default, deserialize_with = "text")]
    pub user_agent: String,
    /// `+sip.instance`.
    #[serde(default, deserialize_with = "text")]
    pub instance: String,
    /// When it ends, in seconds since 1970; 0: never.
    #[serde(default)]
    pub expires: u64,
    /// The CSeq number of its REGISTER.
    #[serde(default, deserialize_with = "wide")]
    pub cseq: u32,
    /// Flags of the sender's.
    #[serde(default, deserialize_with = "wide")]
    pub flags: u32,
    /// Flags of its branch.
    #[serde(default, deserialize_with = "wide")]
    pub cflags: u32,
    /// Preference in thousandths; -1 where it has none.
    #[serde(default = "no_q")]
    pub q: i64,
    /// When it was last changed, in seconds since 1970.
    #[serde(default)]
    pub last_modified: u64,
    /// The methods it accepts, as bits.
    #[serde(default = "all_methods", deserialize_with = "wide")]
    pub methods: u32,
    /// `reg-id`.
    #[serde(default, deserialize_with = "wide")]
    pub reg_id: u32,
    /// The number of the node it registered at.
    #[serde(default, deserialize_with = "wide")]
    pub server_id: u32,
}

fn no_q() -> i64 {
    -1
}

fn all_methods() -> u32 {
    ALL_METHODS
}

/// `null` is as empty as what is not there.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

/// 32 bits, which some write as a negative number.
fn wide<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    Ok(i64::deserialize(from)? as u32)
}

impl Contact {
    /// One of which only the name is known, for a removal: its ruid, or its URI where it has none.
    pub fn named(aor: &str, name: &str) -> Self {
        Self {
            aor: aor.to_owned(),
            ruid: name.to_owned(),
            uri: name.to_owned(),
            received: String::new(),
            sock: String::new(),
            path: String::new(),
            call_id: String::new(),
            user_agent: String::new(),
            instance: String::new(),
            expires: 0,
            cseq: 0,
            flags: 0,
            cflags: 0,
            q: no_q(),
            last_modified: 0,
            methods: ALL_METHODS,
            reg_id: 0,
            server_id: 0,
        }
    }

    /// How long it still lives by the clock of a member that is so many seconds behind ours (ahead, where negative). Never longer
    /// than it was granted, and never longer than [`MAX_LIFE`]; zero where it is over.
    pub fn left(&self, now: Now, behind: i64) -> Duration {
        if self.expires == 0 {
            return MAX_LIFE;
        }
        let end = self.expires.saturating_add_signed(behind);
        let left = end.saturating_sub(now.unix());
        let granted = match self.last_modified {
            0 => left,
            changed => self.expires.saturating_sub(changed),
        };
        Duration::from_secs(left.min(granted)).min(MAX_LIFE)
    }

    /// Whether this one, come from a member, is newer than what is known. Of one Call-ID the greater CSeq is; otherwise the
    /// later change is, so far as both tell it.
    pub fn is_newer(&self, call_id: &str, cseq: u32, changed: u64) -> bool {
        if !call_id.is_empty() && self.call_id == call_id && self.cseq != cseq {
            return self.cseq > cseq;
        }
        self.last_modified == 0 || changed == 0 || self.last_modified >= changed
    }
}

/// What is done to a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is added or refreshed.
    Save,
    /// It is removed.
    Remove,
}

/// A contact that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To which; a removal needs no more than `aor` and `ruid` or `uri`.
    pub contact: Box<Contact>,
    /// How many seconds the clock that its times go by is behind ours.
    pub behind: i64,
}

/// A message of the channel, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// All contacts are asked for.
    Ask,
    /// One contact changes.
    One(Action, Box<Contact>),
    /// Many do.
    Many(Vec<(Action, Contact)>),
}

/// Whether it is written as a socket of a node's: `udp:192.0.2.1:5060`.
fn is_socket(text: &str) -> bool {
    let Some((protocol, rest)) = text.split_once(':') else {
        return false;
    };
    let port = rest
        .rsplit_once(':')
        .map(|(host, port)| (!host.is_empty(), port));
    let known = ["udp", "tcp", "tls", "sctp", "ws", "wss"];
    known.contains(&protocol)
        && port.is_some_and(|(host, port)| host && port.parse::<u16>().is_ok())
}

/// Reads a body.
pub fn read(body: &[u8]) -> Result<Message, Malformed> {
    let mut value: serde_json::Value = serde_json::from_slice(body)?;
    if let Some(multi) = value.get_mut("multi").map(serde_json::Value::take) {
        let serde_json::Value::Object(many) = multi else {
            return Err(Malformed("multi: expected an object".to_owned()));
        };
        if many.len() > MAX_READ {
            let got = many.len();
            return Err(Malformed(format!(
                "multi: expected at most {MAX_READ}, got {got}"
            )));
        }
        let many = many.into_iter().map(|(_, value)| entry(value));
        return Ok(Message::Many(many.collect::<Result<_, _>>()?));
    }
    if value.get("action").and_then(serde_json::Value::as_i64) == Some(SYNC) {
        return Ok(Message::Ask);
    }
    let (action, contact) = entry(value)?;
    Ok(Message::One(action, Box::new(contact)))
}

fn entry(mut value: serde_json::Value) -> Result<(Action, Contact), Malformed> {
    let action = match value.get("action").and_then(serde_json::Value::as_i64) {
        Some(SAVE) => Action::Save,
        Some(REMOVE) => Action::Remove,
        _ => return Err(Malformed("expected an action of 1 or 2".to_owned())),
    };
    // A removal names its contact by its ruid alone, if it wants.
    if let (Action::Remove, Some(object)) = (action, value.as_object_mut()) {
        object.entry("c").or_insert_with(|| "".into());
    }
    let contact = Contact::deserialize(value)?;
    if contact.aor.is_empty() || (action == Action::Save && contact.uri.is_empty()) {
        return Err(Malformed(
            "expected an address of record and a contact".to_owned(),
        ));
    }
    if !contact.sock.is_empty() && !is_socket(&contact.sock) {
        let found = &contact.sock;
        return Err(Malformed(format!(
            "sock: expected PROTOCOL:HOST:PORT, got {found:?}"
        )));
    }
    Ok((action, contact))
}

/// `{"action":3}`: asks for all contacts.
pub(crate) fn ask() -> String {
    format!("{{\"action\":{SYNC}}}")
}

/// The body of one change. `None` where it would be longer than a message may be.
pub fn write(action: Action, contact: &Contact) -> Option<String> {
    let action = match action {
        Action::Save => SAVE,
        Action::Remove => REMOVE,
    };
    // Writing into a string cannot fail.
    let contact = serde_json::to_string(contact).ok()?;
    // Put before it as text: cheaper than to have serde flatten the contact into another struct.
    let body = format!("{{\"action\":{action},{}", contact.strip_prefix('{')?);
    (body.len() <= MAX_BODY).then_some(body)
}

/// Gathers contacts into batches.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    body: String,
    count: usize,
}

const HEAD: &str = "{\"multi\":{";
const TAIL: &str = "}}";

impl Batch {
    /// Adds a contact; gives the batch before it where that is full. A contact that is too long for any is left out: `Err`.
    pub(crate) fn add(&mut self, contact: &Contact) -> Result<Option<String>, ()> {
        let text = write(Action::Save, contact).ok_or(())?;
        // The number and its marks take less than 16 bytes.
        if HEAD.len() + 16 + text.len() + TAIL.len() > MAX_BODY {
            return Err(());
        }
        let longer = self.body.len() + 16 + text.len() + TAIL.len();
        let full = (self.count >= MAX_BATCH || longer > MAX_BODY)
            .then(|| self.finish())
            .flatten();
        self.count += 1;
        self.body += if self.count == 1 { HEAD } else { "," };
        self.body += &format!("\"{}\":{text}", self.count);
        Ok(full)
    }

    /// The last batch, if there is anything in it.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let Self { mut body, count } = std::mem::take(self);
        body += TAIL;
        (count > 0).then_some(body)
    }
}

#[cfg(test)]
mod tests;
