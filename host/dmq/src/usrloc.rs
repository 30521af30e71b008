//! The channel `usrloc`: contacts, one by one as they change, in batches for those that join.
//!
//! `{"action":1,"aor":...}` with all 19 keys: Kamailio makes garbage of those that are missing. A batch is
//! `{"multi":{"1":{...},"2":{...}}}`, at most [`MAX_BATCH`] contacts. What is read may lack all but `aor` and `c`, and may have
//! others besides.
//!
//! Times are absolute, by the sender's clock. [`Contact::left`] bounds what a wrong clock can do: a contact never lives longer than
//! it was granted.

use std::io::Write as _;
use std::time::Duration;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::body::{Added, Body};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// The address of record as it is written on the bus: `alice`, or `alice@example.test`.
    pub aor: String,
    /// Its name, the same at all nodes.
    pub ruid: String,
    /// The contact's URI.
    #[serde(rename = "c")]
    pub uri: String,
    /// Where its REGISTER came from, as a URI, where that differs from the contact.
    pub received: String,
    /// The sender's socket it came to: `udp:192.0.2.1:5060`. Left out where nobody told, as Kamailio does: 5.6.3 has a line in its log for each that it
    /// is told, which is half of what receiving the contact costs it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sock: String,
    /// The Path, a list of Route values.
    pub path: String,
    /// The Call-ID of its REGISTER.
    #[serde(rename = "callid")]
    pub call_id: String,
    /// The User-Agent of its REGISTER.
    pub user_agent: String,
    /// `+sip.instance`.
    pub instance: String,
    /// When it ends, in seconds since 1970; 0: never.
    pub expires: u64,
    /// The CSeq number of its REGISTER.
    pub cseq: u32,
    /// Flags of the sender's.
    pub flags: u32,
    /// Flags of its branch.
    pub cflags: u32,
    /// Preference in thousandths; -1 where it has none.
    pub q: i64,
    /// When it was last changed, in seconds since 1970.
    pub last_modified: u64,
    /// The methods it accepts, as bits.
    pub methods: u32,
    /// `reg-id`.
    pub reg_id: u32,
    /// The number of the node it registered at.
    pub server_id: u32,
}

/// An entry as it comes: with all that may be missing, and what goes with it.
#[derive(Deserialize)]
struct Entry {
    action: Option<i64>,
    multi: Option<Many>,
    #[serde(default, deserialize_with = "text")]
    aor: String,
    #[serde(default, deserialize_with = "text")]
    ruid: String,
    #[serde(default, deserialize_with = "text")]
    c: String,
    #[serde(default, deserialize_with = "text")]
    received: String,
    #[serde(default, deserialize_with = "text")]
    sock: String,
    #[serde(default, deserialize_with = "text")]
    path: String,
    #[serde(default, deserialize_with = "text")]
    callid: String,
    #[serde(default, deserialize_with = "text")]
    user_agent: String,
    #[serde(default, deserialize_with = "text")]
    instance: String,
    #[serde(default)]
    expires: u64,
    #[serde(default, deserialize_with = "wide")]
    cseq: u32,
    #[serde(default, deserialize_with = "wide")]
    flags: u32,
    #[serde(default, deserialize_with = "wide")]
    cflags: u32,
    #[serde(default = "no_q")]
    q: i64,
    #[serde(default)]
    last_modified: u64,
    #[serde(default = "all_methods", deserialize_with = "wide")]
    methods: u32,
    #[serde(default, deserialize_with = "wide")]
    reg_id: u32,
    #[serde(default, deserialize_with = "wide")]
    server_id: u32,
}

/// The entries of a batch, whatever they are called; none of them is a batch.
struct Many(Vec<Entry>);

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Many;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an object of at most {MAX_READ} contacts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Many, A::Error> {
        let mut many = Vec::new();
        while let Some((IgnoredAny, entry)) = map.next_entry()? {
            if many.len() >= MAX_READ {
                return Err(A::Error::invalid_length(MAX_READ + 1, &self));
            }
            many.push(entry);
        }
        Ok(Many(many))
    }
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
    let mut all: Entry = serde_json::from_slice(body)?;
    if let Some(Many(many)) = all.multi.take() {
        let many = many.into_iter().map(entry);
        return Ok(Message::Many(many.collect::<Result<_, _>>()?));
    }
    if all.action == Some(SYNC) {
        return Ok(Message::Ask);
    }
    let (action, contact) = entry(all)?;
    Ok(Message::One(action, Box::new(contact)))
}

fn entry(wire: Entry) -> Result<(Action, Contact), Malformed> {
    let action = match (wire.action, &wire.multi) {
        (Some(SAVE), None) => Action::Save,
        (Some(REMOVE), None) => Action::Remove,
        _ => return Err(Malformed("expected an action of 1 or 2".to_owned())),
    };
    // A removal names its contact by its ruid alone, if it wants.
    if wire.aor.is_empty() || (action == Action::Save && wire.c.is_empty()) {
        return Err(Malformed(
            "expected an address of record and a contact".to_owned(),
        ));
    }
    if !wire.sock.is_empty() && !is_socket(&wire.sock) {
        let found = &wire.sock;
        return Err(Malformed(format!(
            "sock: expected PROTOCOL:HOST:PORT, got {found:?}"
        )));
    }
    let contact = Contact {
        aor: wire.aor,
        ruid: wire.ruid,
        uri: wire.c,
        received: wire.received,
        sock: wire.sock,
        path: wire.path,
        call_id: wire.callid,
        user_agent: wire.user_agent,
        instance: wire.instance,
        expires: wire.expires,
        cseq: wire.cseq,
        flags: wire.flags,
        cflags: wire.cflags,
        q: wire.q,
        last_modified: wire.last_modified,
        methods: wire.methods,
        reg_id: wire.reg_id,
        server_id: wire.server_id,
    };
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
    let mut body = Vec::new();
    write_one(&mut body, action, contact).ok()?;
    let body = String::from_utf8(body).ok()?;
    (body.len() <= MAX_BODY).then_some(body)
}

const HEAD: &str = "{\"multi\":{";
const TAIL: &str = "}}";

/// A body for contacts.
pub(crate) fn batch() -> Body {
    Body::new(HEAD, TAIL, MAX_BATCH)
}

/// Adds a contact to such a body.
pub(crate) fn add(batch: &mut Body, contact: &Contact) -> Added {
    batch.add(|number, out| {
        write!(out, "\"{number}\":")?;
        write_one(out, SAVE, contact)
    })
}

/// `{"action":1,"aor":...}`.
fn write_one(out: &mut Vec<u8>, action: i64, contact: &Contact) -> std::io::Result<()> {
    write!(out, "{{\"action\":{action}")?;
    let at = out.len();
    serde_json::to_writer(&mut *out, contact)?;
    // Its brace: cheaper than to have serde flatten the contact into another struct.
    if let Some(brace) = out.get_mut(at) {
        *brace = b',';
    }
    Ok(())
}

#[cfg(test)]
mod tests;
